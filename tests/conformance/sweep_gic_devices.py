# SPDX-License-Identifier: MIT
"""Scripts about the devices in the kernel that have an interrupt: the timers and the PMU.

Part of the tests; see make_scripts.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from conformance import gic_lines as gic
from conformance.gic_lines import CPU, DIST, ICC, LEVELS, irq_line, put
from conformance.sweep import SYSREG, head
from conformance.sweep_gic_inject import PPI, SPI, private, show

IRQS = 96
ALARM_MS = 20
RUN_EXIT = 8  # offset of exit_reason in struct kvm_run
VTIMER, PTIMER, PMU = 27, 30, 23
TIMER_GROUP, PMU_GROUP = 1, 0
PMU_IRQ, PMU_INIT = 0, 1
PMU_FEATURE = 8
PMCR, PMINTENSET, PMOVSSET, PMOVSCLR = (SYSREG | n for n in (0xDCE0, 0xC4F1, 0xDCF3, 0xDCE3))
WFI, BACK = 0xD503207F, 0x17FFFFFF  # wfi; b . - 4


def _set(vcpu: str, name: str, value: int) -> str:
    return f"set {vcpu} {name} {gic.number(value)}"


def _vcpu_attr(op: str, vcpu: str, group: int, what: int, memory: str) -> str:
    return f"ioctl {vcpu} KVM_{op}_DEVICE_ATTR [ u32 0 {group} u64 {what} {memory} ]"


def _intid(vcpu: str, group: int, what: int, intid: int) -> list[str]:
    """An INTID chosen, and what it is then."""
    return [
        _vcpu_attr("SET", vcpu, group, what, f"[ u32 {intid} ]"),
        _vcpu_attr("GET", vcpu, group, what, "[ u32 0x5555 ]"),
    ]


class _Machine:
    """A VM whose vCPUs can run: at once, or asleep, or waiting in a guest of two instructions."""

    def __init__(self, version: int, ids: Iterable[int], tag: str = "", features: int = 0) -> None:
        self.version, self.ids, self.tag = version, tuple(ids), tag
        self.lines = gic.vm_of(self.ids, tag, features)
        self.lines += [
            f"buffer mem{tag} 0x1000",
            f"poke mem{tag}+0 [ u32 {WFI:#x} {BACK:#x} ]",
            f"ioctl vm{tag} KVM_SET_USER_MEMORY_REGION [ u32 0 0 u64 0 0x1000 &mem{tag} ]",
            f"ioctl vm{tag} KVM_ENABLE_CAP "
            "[ u32 KVM_CAP_ARM_SYSTEM_SUSPEND 0 u64 4*0 64*0 ]",
            *(f"mmap {self.vcpu(n)} 0x1000 0 -> run{n}{tag}" for n in self.ids),
        ]

    def vcpu(self, vcpu_id: int) -> str:
        return f"v{vcpu_id}{self.tag}"

    def ready(self) -> None:
        self.lines += gic.device(self.version, IRQS, self.tag)

    def show(self) -> None:
        lines = show(self.version, self.ids)
        self.lines += [line.replace(" gic ", f" gic{self.tag} ") for line in lines]

    def at_once(self, vcpu_id: int) -> None:
        run = f"run{vcpu_id}{self.tag}"
        self.lines += [f"poke {run}+1 [ u8 1 ]", f"ioctl {self.vcpu(vcpu_id)} KVM_RUN 0"]
        self.lines += [f"poke {run}+1 [ u8 0 ]"]

    def run(self, vcpu_id: int, ms: int = ALARM_MS) -> None:
        run = f"run{vcpu_id}{self.tag}"
        self.lines += [f"alarm {ms}", f"ioctl {self.vcpu(vcpu_id)} KVM_RUN 0"]
        self.lines += [f"peek {run}+{RUN_EXIT} [ u32 0 ]", f"peek {run}+304 [ 0 ]"]

    def state(self, vcpu_id: int, state: str) -> None:
        vcpu = self.vcpu(vcpu_id)
        self.lines.append(f"ioctl {vcpu} KVM_SET_MP_STATE [ u32 KVM_MP_STATE_{state} ]")

    def open_interface(self, vcpu_id: int) -> None:
        """The distributor on, and the vCPU's priority mask as low as can be."""
        whose = gic.whose(self.version, vcpu_id)
        fd = f"gic{self.tag}"
        if self.version == 2:
            self.lines += [put(DIST, 0, 1, fd), put(CPU, whose | 4, 0x1F, fd)]
            return
        self.lines += [put(DIST, 0, 2, fd), put(ICC, whose | 0xC230, 0xFF, fd)]

    def private(self, vcpu_id: int, offset: int, value: int) -> None:
        """A register of private interrupts, written."""
        group, whose = private(self.version, vcpu_id)
        self.lines.append(put(group, whose | offset, value, f"gic{self.tag}"))


# ---- timers ----

CTL, CVAL = "KVM_REG_ARM_TIMER_CTL", "KVM_REG_ARM_TIMER_CVAL"  # the physical timer's are not there
EXPIRED = ((CTL, 1), (CVAL, 0))


def _timer_lines(machine: _Machine) -> None:
    """A timer's output becomes the interrupt's line as the vCPU runs."""
    lines = machine.lines
    lines += ["", "# expired, masked, unmasked, later, off"]
    for register, value in (
        (CVAL, 0), (CTL, 1), (CTL, 3), (CTL, 1), (CVAL, 1 << 60), (CVAL, 0), (CTL, 0),
    ):  # fmt: skip
        lines.append(_set("v0", register, value))
        machine.show()
        machine.at_once(0)
        machine.show()
    for intid in (VTIMER, PTIMER):
        lines += ["", f"# PPI {intid} after a run: lines, latches and active state are written"]
        for level in (1, 0):
            for value in (1, 0):
                lines += [_set("v0", CTL, level), _set("v0", CVAL, 0)]
                lines += [irq_line(PPI, 0, intid, value)]
                if machine.version == 3:
                    lines.append(put(LEVELS, 0, value << intid))
                machine.show()
                machine.at_once(0)
                machine.show()
        for offset, bits in ((0x200, 1), (0x300, 1), (0x380, 1), (0x200, 0), (0x280, 1)):
            machine.private(0, offset, bits << intid)
            machine.show()
            machine.at_once(0)
            machine.state(0, "STOPPED")
            machine.run(0)
            machine.show()
            machine.state(0, "RUNNABLE")
    lines += ["", "# high, and the vCPU initialised again"]
    lines += [_set("v0", *pair) for pair in EXPIRED]
    machine.at_once(0)
    for offset in (0x200, 0x300):
        machine.private(0, offset, 1 << VTIMER | 1 << PTIMER | 1 << 20)
    machine.show()
    lines.append(gic.init_vcpu("v0"))
    machine.show()
    machine.at_once(0)
    machine.show()


def _expire_soon(machine: _Machine) -> None:
    """In 10 ms, of a counter of 62.5 MHz."""
    machine.lines += ["set v0 KVM_REG_ARM_TIMER_CNT 0"]
    machine.lines += [_set("v0", CVAL, 625000), _set("v0", CTL, 1)]


def _timer_wakes(machine: _Machine) -> None:
    """A timer that expires while its vCPU sleeps, or runs."""
    lines = machine.lines
    machine.open_interface(0)
    lines += ["", "# it wakes a suspended vCPU where its interrupt is enabled"]
    machine.state(0, "SUSPENDED")
    for offset in (0x100, 0x180):
        machine.private(0, offset, 1 << VTIMER)
        _expire_soon(machine)
        machine.run(0, 2000 if offset == 0x100 else 40)
        machine.show()
        lines += [_set("v0", CTL, 0)]
        machine.run(0)
        machine.show()
    lines += ["", "# and is pending for a guest that does not take it"]
    machine.state(0, "RUNNABLE")
    machine.private(0, 0x100, 1 << VTIMER)
    _expire_soon(machine)
    machine.run(0, 40)
    machine.show()
    lines += [_set("v0", CTL, 0)]
    machine.show()
    machine.run(0)
    machine.show()


def _timer_intids(version: int) -> list[str]:
    """INTIDs of the timers: chosen for all vCPUs, taken at the first run."""
    lines: list[str] = []
    cases: dict[str, tuple[tuple[int, int, int], ...]] = {
        "others": ((0, 0, 16), (0, 1, 31)),
        "the same for both": ((0, 0, 20), (0, 1, 20)),
        "no PPIs": ((0, 0, 15), (0, 0, 32), (0, 0, 0), (0, 1, -1), (0, 2, 20), (0, 2, 40)),
        "exchanged": ((0, 0, PTIMER), (0, 1, VTIMER)),
        "by the second vCPU": ((1, 0, 21), (1, 1, 22)),
    }
    for place, (comment, chosen) in enumerate(cases.items()):
        machine = _Machine(version, (0, 1), f"_{place}")
        machine.lines += _intid("v0" + machine.tag, TIMER_GROUP, 0, 25)
        machine.ready()
        for vcpu, timer, intid in chosen:
            machine.lines += _intid(f"v{vcpu}{machine.tag}", TIMER_GROUP, timer, intid)
        other = f"v{1 - chosen[0][0]}{machine.tag}"
        machine.lines += [
            _vcpu_attr("GET", other, TIMER_GROUP, timer, "[ u32 0x5555 ]") for timer in (0, 1)
        ]
        machine.lines += [_set(f"v0{machine.tag}", *pair) for pair in EXPIRED]
        machine.at_once(0)
        machine.show()
        machine.lines += _intid(f"v0{machine.tag}", TIMER_GROUP, 0, 26)
        machine.lines += _intid(other, TIMER_GROUP, 0, 26)
        machine.at_once(1)
        machine.at_once(0)
        machine.show()
        lines += ["", f"# INTIDs: {comment}", *machine.lines]
    return lines


def _odd_places(version: int) -> list[str]:
    """vCPUs whose ids are not their places: a timer's line goes to the place that its id says."""
    lines: list[str] = []
    for place, ids in enumerate(((1, 0), (0, 3), (2, 0, 1))):
        machine = _Machine(version, ids, f"_p{place}")
        machine.ready()
        for number in ids:
            machine.lines += [_set(machine.vcpu(number), *pair) for pair in EXPIRED]
        for number in ids:
            machine.at_once(number)
            machine.show()
        for number in ids:
            machine.at_once(number)
            machine.show()
        lines += ["", f"# ids {ids}", *machine.lines]
    return lines


def timers(version: int) -> list[str]:
    machine = _Machine(version, (0, 1))
    machine.lines += [irq_line(PPI, 0, intid, 1) for intid in (VTIMER, PTIMER)]
    machine.ready()
    machine.lines += ["", "# before the first run the PPIs are user space's too"]
    for level in (1, 0, 1):
        machine.lines += [irq_line(PPI, 0, intid, level) for intid in (VTIMER, PTIMER)]
        machine.show()
    machine.lines += [irq_line(PPI, 1, intid, 1) for intid in (VTIMER, PTIMER)]
    machine.at_once(0)
    machine.show()
    for place in (0, 1):
        machine.lines += [irq_line(PPI, place, intid, 0) for intid in (VTIMER, PTIMER)]
    machine.show()
    _timer_lines(machine)
    _timer_wakes(machine)
    return [
        *head(
            gic.HOSTS_OF[version],
            f"The timers' interrupts in a GICv{version}: lines and latches as time passes a CVAL, "
            "before and after runs; INTIDs; vCPUs whose ids are not their places.",
        ),
        "open kvm",
        *machine.lines,
        *_timer_intids(version),
        *_odd_places(version),
    ]


# ---- the PMU ----


def _overflow(machine: _Machine, vcpu_id: int) -> None:
    """The overflow line up and down, seen after runs of each kind."""
    vcpu = machine.vcpu(vcpu_id)
    machine.lines += [_set(vcpu, f"{PMOVSCLR:#x}", 0), _set(vcpu, f"{PMINTENSET:#x}", 1)]
    machine.state(vcpu_id, "STOPPED")
    for register, value in ((PMOVSSET, 1), (PMCR, 0x1001), (PMCR, 0x1000), (PMCR, 0x1001)):
        machine.lines.append(_set(vcpu, f"{register:#x}", value))
        machine.at_once(vcpu_id)
        machine.show()
        machine.run(vcpu_id)
        machine.show()
    machine.state(vcpu_id, "RUNNABLE")
    for register, value in ((PMOVSSET, 2), (PMINTENSET, 2), (PMINTENSET, 1), (PMOVSSET, 3)):
        machine.lines.append(_set(vcpu, f"{register:#x}", value))
        machine.run(vcpu_id)
        machine.show()
    machine.lines.append(gic.init_vcpu(vcpu, PMU_FEATURE))
    machine.show()
    machine.run(vcpu_id)
    machine.show()


def _pmu_order(version: int) -> list[str]:
    """The interrupt before and after the device, INIT before and after its initialisation."""
    machine = _Machine(version, (0, 1), features=PMU_FEATURE)
    lines = machine.lines
    lines += [*_intid("v0", PMU_GROUP, PMU_IRQ, PMU), gic.create(version)]
    lines += [_vcpu_attr("GET", "v0", PMU_GROUP, PMU_IRQ, "[ u32 0 ]")]
    lines += [_vcpu_attr("SET", "v0", PMU_GROUP, PMU_IRQ, "bad")]
    lines += [_vcpu_attr("SET", "v0", PMU_GROUP, PMU_INIT, "0")]
    for intid in (0, 15, 1020, 1023, 8192, -1):
        lines += _intid("v0", PMU_GROUP, PMU_IRQ, intid)
    lines += _intid("v0", PMU_GROUP, PMU_IRQ, PMU)
    lines += _intid("v0", PMU_GROUP, PMU_IRQ, PMU) + _intid("v0", PMU_GROUP, PMU_IRQ, 24)
    for intid in (24, 40, PMU):
        lines += _intid("v1", PMU_GROUP, PMU_IRQ, intid)
    lines += [_vcpu_attr("SET", "v0", PMU_GROUP, PMU_INIT, "0"), *gic.place(version)]
    lines += [put(gic.IRQS, 0, IRQS), gic.attr("SET", gic.CTRL, gic.INIT, "0")]
    machine.at_once(0)
    lines += [_vcpu_attr("SET", "v0", PMU_GROUP, PMU_INIT, "0")] * 2
    lines += _intid("v0", PMU_GROUP, PMU_IRQ, 24)
    lines += [irq_line(PPI, 0, PMU, 1)]
    machine.show()
    machine.at_once(0)
    _overflow(machine, 0)
    machine.open_interface(1)
    machine.at_once(1)
    lines += [_vcpu_attr("SET", "v1", PMU_GROUP, PMU_INIT, "0")]
    machine.at_once(1)
    machine.private(1, 0x100, 1 << PMU)
    _overflow(machine, 1)
    return lines


def _pmu_intids(version: int) -> list[str]:
    """SPIs, which differ between vCPUs; INTIDs that do not exist or are taken."""
    lines: list[str] = []
    cases: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "SPIs": ((0, 1), (40, 41)),
        "the same SPI, then another": ((0, 1), (40, 40)),
        "an SPI that is not there": ((0,), (96,)),
        "the last SPI": ((0,), (95,)),
        "the virtual timer's": ((0,), (VTIMER,)),
        "the physical timer's": ((0,), (PTIMER,)),
        "none": ((0,), ()),
        "ids that are no places": ((1, 0), (PMU, PMU)),
        "ids beyond the places": ((0, 5), (PMU, PMU)),
        "SPIs and ids beyond the places": ((0, 5), (50, 51)),
    }
    for place, (comment, (ids, intids)) in enumerate(cases.items()):
        machine = _Machine(version, ids, f"_{place}", PMU_FEATURE)
        machine.ready()
        fd = f"gic{machine.tag}"
        machine.lines += [put(DIST, 0xC08, 0, fd)]  # SPIs 32 to 47 are level
        for number, intid in zip(ids, intids, strict=False):
            machine.lines += _intid(machine.vcpu(number), PMU_GROUP, PMU_IRQ, intid)
        if comment.startswith("the same"):
            machine.lines += _intid(machine.vcpu(1), PMU_GROUP, PMU_IRQ, 42)
        for number in ids:
            vcpu = machine.vcpu(number)
            machine.lines += [_vcpu_attr("SET", vcpu, PMU_GROUP, PMU_INIT, "0")]
            machine.lines += [
                _set(vcpu, f"{register:#x}", value)
                for register, value in ((PMINTENSET, 1), (PMOVSSET, 1), (PMCR, 0x1001))
            ]
        machine.lines += [
            irq_line(SPI if intid >= 32 else PPI, 0, intid, 1, f"vm{machine.tag}")
            for intid in intids
        ]
        machine.show()
        for number in ids:
            machine.state(number, "STOPPED")
            machine.run(number)
            machine.show()
        lines += ["", f"# {comment}: {', '.join(map(str, intids))}", *machine.lines]
    return lines


def pmu(version: int) -> list[str]:
    return [
        *head(
            gic.HOSTS_OF[version],
            f"The PMU's interrupt in a GICv{version}: its attributes and their order, its line as "
            "overflow, enable bits and PMCR_EL0.E say at a run, SPIs, INTIDs that are taken.",
        ),
        "open kvm",
        *_pmu_order(version),
        *_pmu_intids(version),
    ]
