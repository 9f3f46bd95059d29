# SPDX-License-Identifier: MIT
"""Scripts about what injects interrupts, and what then shows of them.

Part of the tests; see make_scripts.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from conformance import gic_lines as gic
from conformance.gic_lines import CPU, DIST, ICC, LEVELS, REDIST, get, irq_line, put
from conformance.sweep import head

IRQS = 96
IDS = {2: (0, 3, 1), 3: (0, 3, 17)}  # not in order: KVM mixes up ids and places
EDGE, LEVEL = 0xAAAAAAAA, 0
SGI_BASE = gic.SGI_BASE
# INTIDs at the ends of what there is, and above
INTIDS = (0, 1, 15, 16, 17, 27, 30, 31, 32, 33, 47, 48, 95, 96, 127, 1019, 1020, 1023, 1024, 8192)
PPI, SPI = 2, 1


def private(version: int, vcpu_id: int) -> tuple[str, int]:
    """Group and attribute of the register frame that has a vCPU's private interrupts."""
    if version == 2:
        return DIST, gic.whose(2, vcpu_id)
    return REDIST, gic.whose(3, vcpu_id) | SGI_BASE


def show(version: int, vcpu_ids: Iterable[int], spis: Iterable[int] = (1, 2)) -> list[str]:
    """Pending and active state, and the lines' levels, of some vCPUs and words of SPIs."""
    lines = []
    first, *_ = vcpu_ids = tuple(vcpu_ids)
    for vcpu_id in vcpu_ids:
        group, whose = private(version, vcpu_id)
        lines.append(get(group, whose | 0x200))
        if version == 3:
            lines.append(get(LEVELS, whose & ~SGI_BASE))
    for word in spis:
        lines.append(get(DIST, gic.whose(2, first) * (version == 2) | 0x200 + 4 * word))
        if version == 3:
            lines.append(get(LEVELS, 32 * word))
    return lines


def _set_config(version: int) -> list[str]:
    """SPIs 32 to 47 edge, 48 to 63 level, 64 to 95 one of each."""
    return [put(DIST, 0xC08, EDGE), put(DIST, 0xC0C, LEVEL)] + [
        put(DIST, at, 0x88888888) for at in (0xC10, 0xC14)
    ]


def _every_input(version: int) -> list[str]:
    """Each type, vCPU and INTID: 1, 1, 0, 0."""
    lines = ["", "# types, INTIDs, levels"]
    for kind in (0, SPI, PPI, 3, 15):
        for intid in INTIDS:
            lines += [irq_line(kind, 0, intid, level) for level in (1, 1, 0)]
        lines += show(version, IDS[version])
    lines += ["", "# vCPUs of PPIs: the place in order of creation, in two fields"]
    for place in (0, 1, 2, 3, 17, 255, 256, 257, 511, 3840, 4095):
        lines += [irq_line(PPI, place, 20, 1), irq_line(PPI, place, 16, 0)]
        lines += [irq_line(SPI, place, 50, 1)]
    lines += show(version, IDS[version])
    for place in range(3):
        lines += [irq_line(PPI, place, intid, 1) for intid in (16, 25, 31)]
        lines += show(version, IDS[version])
    for place in range(3):
        lines += [irq_line(PPI, place, intid, 0) for intid in (16, 20, 25, 31)]
    lines += show(version, IDS[version])
    lines += ["", "# levels that are not 0 or 1"]
    for level in (2, 0x100, 0xFFFFFFFF):
        lines.append(f"ioctl vm KVM_IRQ_LINE [ u32 {SPI << 24 | 49:#x} {level:#x} ]")
        lines += [*show(version, IDS[version][:1]), irq_line(SPI, 0, 49, 0)]
    return lines


def _configuration(version: int) -> list[str]:
    """An input that changes before and after the interrupt's configuration does."""
    lines = ["", "# configured as edge and level while it is high"]
    for first, second in ((EDGE, LEVEL), (LEVEL, EDGE)):
        for level in (1, 0):
            lines.append(put(DIST, 0xC10, first))
            for step in (
                irq_line(SPI, 0, 70, 1),
                put(DIST, 0xC10, second),
                irq_line(SPI, 0, 70, level),
                put(DIST, 0xC10, first),
                put(DIST, 0x288, gic.ONES),
            ):
                lines += [step, *show(version, IDS[version][:1], (2,))]
            lines += [irq_line(SPI, 0, 70, 0), put(DIST, 0x208, 0)]
    lines += ["", "# the latch of a level interrupt, beside its line"]
    lines += [put(DIST, 0xC10, LEVEL), put(DIST, 0x208, 0x40)]
    for step in (
        irq_line(SPI, 0, 70, 1),
        irq_line(SPI, 0, 70, 0),
        put(DIST, 0x208, 0),
        put(DIST, 0x288, 0x40),
        irq_line(SPI, 0, 70, 1),
        put(DIST, 0x208, 0x40),
        put(DIST, 0x288, 0x40),
        put(DIST, 0x208, 0),
    ):
        lines += [step, *show(version, IDS[version][:1], (2,))]
    return lines


def _line_levels(version: int) -> list[str]:
    """KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO: info 31:10, INTID 9:0, affinity above."""
    if version == 2:
        return ["", "# GICv2 has no line levels", gic.has(LEVELS, 0), get(LEVELS, 0)]
    lines = ["", "# line levels as attributes"]
    for what in (0, 1, 31, 32, 64, 96, 128, 992, 1023, 0x400, 0x420, 1 << 31, 3 << 32, 0x101 << 32):
        lines += [gic.has(LEVELS, what), put(LEVELS, what, gic.PATTERN), get(LEVELS, what)]
    lines += [gic.has(LEVELS, 2 << 32), get(LEVELS, 2 << 32), put(LEVELS, 2 << 32, 1)]
    lines += [gic.attr("SET", LEVELS, 32, "bad"), gic.attr("GET", LEVELS, 32, "bad")]
    lines += [gic.attr("SET", LEVELS, 33, "bad"), gic.attr("GET", LEVELS, 33, "bad")]
    lines += show(version, IDS[version])
    for value in (gic.ONES, 0, 0x80000001):
        for what in (0, 32, 64, 3 << 32):
            lines += [put(LEVELS, what, value), get(LEVELS, what)]
        lines += show(version, IDS[version])
        lines += [irq_line(SPI, 0, intid, level) for intid in (32, 63, 95) for level in (0, 1, 0)]
        lines += show(version, IDS[version])
    return lines


def _sgis(version: int) -> list[str]:
    """Software-generated interrupts through registers that user space may write."""
    if version == 3:
        lines = ["", "# SGIs: latches that ISPENDR sets and clears as one"]
        for vcpu_id in IDS[3]:
            group, whose = private(3, vcpu_id)
            for value in (0xFFFF, 0x8001, 0):
                lines += [put(group, whose | 0x200, value), get(group, whose | 0x200)]
                lines += [put(group, whose | 0x280, gic.ONES), get(group, whose | 0x280)]
        return lines
    lines = ["", "# SGIs: senders are ids, targets places"]
    senders = [gic.whose(2, vcpu_id) for vcpu_id in IDS[2]]
    for who in senders:
        for value in (0x010000, 0x020001, 0x070002, 0xFF0003, 0x1000004, 0x2000005, 0x3FF0006):
            lines.append(put(DIST, who | 0xF00, value))
        for other in senders:
            lines += [get(DIST, other | at) for at in (0x200, 0xF10, 0xF14, 0xF20)]
    for at, values in {0xF10: (0x01, 0x0808, gic.ONES), 0xF20: (0x80, 0x010100, 0)}.items():
        for value in values:
            for who in senders:
                lines += [put(DIST, who | at, value), get(DIST, who | at), get(DIST, who | 0x200)]
    for at in (0x200, 0x280, 0x200):
        for who in senders:
            lines += [put(DIST, who | at, 0x70003), get(DIST, who | 0x200), get(DIST, who | 0xF20)]
    return lines


def _before_init(version: int) -> list[str]:
    """A GICv2 is initialised by its first interrupt; a GICv3 is not."""
    lines = ["", "# before it is initialised"]
    for kind, intid in ((PPI, 20), (SPI, 40), (SPI, 400), (PPI, 40), (SPI, 20)):
        tag = f"_{kind}_{intid}"
        lines += [*gic.vm_of((0, 1), tag), gic.create(version, tag)]
        lines += [irq_line(kind, 0, intid, 1, f"vm{tag}"), irq_line(kind, 2, intid, 1, f"vm{tag}")]
        lines += [put(gic.IRQS, 0, 64, f"gic{tag}"), get(gic.IRQS, 0, f"gic{tag}")]
        lines += [f"ioctl vm{tag} KVM_CREATE_VCPU 2 -> late{tag}"]
        lines += [get(DIST, at, f"gic{tag}") for at in (0x200, 0x204)]
    tag = "_nobody"
    lines += ["", "# no vCPU", *gic.vm_of((), tag), gic.create(version, tag)]
    lines += [gic.attr("SET", gic.CTRL, gic.INIT, "0", f"gic{tag}")]
    lines += [irq_line(kind, 0, 40, 1, f"vm{tag}") for kind in (SPI, PPI)]
    lines += [irq_line(PPI, 0, 20, 1, f"vm{tag}"), get(DIST, 0x204, f"gic{tag}")]
    lines += [get(gic.IRQS, 0, f"gic{tag}"), gic.has(DIST, 0x204, f"gic{tag}")]
    return lines


def inject(version: int) -> list[str]:
    """KVM_IRQ_LINE and the registers that make interrupts pending."""
    lines = [
        *head(
            gic.HOSTS_OF[version],
            f"Interrupts of a GICv{version}, by KVM_IRQ_LINE and by registers: what is refused, "
            "what is pending then, and which lines are high. vCPUs whose ids are not their places.",
        ),
        "open kvm",
        *gic.vm_of(IDS[version]),
        *gic.device(version, IRQS),
        *_set_config(version),
        *show(version, IDS[version]),
    ]
    lines += _every_input(version) + _configuration(version) + _line_levels(version)
    return lines + _sgis(version) + _before_init(version)


# ---- who is woken ----

RUN_EXIT = 8  # offset of exit_reason in struct kvm_run
ASLEEP_MS, AWAKE_MS = 25, 5000  # until the alarm, for those that sleep on and for the others
NONE: tuple[int, ...] = ()
FIRST, SECOND, BOTH = (0,), (1,), (0, 1)


class Sleepers:
    """Suspended vCPUs: their KVM_RUN ends where an interrupt wakes them, else by an alarm."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.ids = (0, 1)
        cap = "ioctl vm KVM_ENABLE_CAP [ u32 KVM_CAP_ARM_SYSTEM_SUSPEND 0 u64 4*0 64*0 ]"
        self.lines = ["open kvm", *gic.vm_of(self.ids), cap, *gic.device(version, IRQS)]
        for vcpu_id in self.ids:
            self.lines += [
                f"mmap v{vcpu_id} 0x1000 0 -> run{vcpu_id}",
                f"ioctl v{vcpu_id} KVM_SET_MP_STATE [ u32 KVM_MP_STATE_SUSPENDED ]",
                *self.interface(vcpu_id, 0xF8),
            ]
        self.lines += [put(DIST, 0, 2 if version == 3 else 1), *_set_config(version)]

    def interface(self, vcpu_id: int, mask: int) -> list[str]:
        """The CPU interface's priority mask; groups on."""
        if self.version == 2:
            whose = gic.whose(2, vcpu_id)
            return [put(CPU, whose | 4, mask >> 3), put(CPU, whose, 1)]
        whose = gic.whose(3, vcpu_id)
        return [put(ICC, whose | 0xC230, mask), put(ICC, whose | 0xC667, 1)]

    def step(self, comment: str, awake: tuple[int, ...], *lines: str) -> None:
        """What is done, and which of them wakes then."""
        self.lines += ["", f"# {comment}", *lines]
        for vcpu_id in self.ids:
            ms = AWAKE_MS if vcpu_id in awake else ASLEEP_MS
            self.lines += [f"alarm {ms}", f"ioctl v{vcpu_id} KVM_RUN 0"]
        self.lines += [f"peek run{vcpu_id}+{RUN_EXIT} [ u32 0 ]" for vcpu_id in self.ids]


def target(version: int, spi: int, place: int) -> str:
    """The target of an SPI whose number is a multiple of 4: the vCPU at a place."""
    if version == 2:
        return put(DIST, 0x800 + spi, 0x01010101 << place)
    return put(DIST, 0x6000 + 8 * spi, gic.affinity(place))


def wake(version: int) -> list[str]:
    """What makes an interrupt one that a vCPU would take."""
    sleepers = Sleepers(version)
    step = sleepers.step
    step("nothing pending", NONE)
    step("an edge SPI, not enabled", NONE, irq_line(SPI, 0, 36, 1))
    step("enabled", FIRST, put(DIST, 0x104, 0x10))
    step("its priority too low for the mask", NONE, *sleepers.interface(0, 0))
    step("and high enough again", FIRST, *sleepers.interface(0, 0xF8))
    step("the priority the mask's", NONE, put(DIST, 0x424, 0xF8F8F8F8))
    step("one step above it", FIRST, put(DIST, 0x424, 0xF0F0F0F0))
    step("the distributor off", NONE, put(DIST, 0, 0))
    step("and on", NONE, put(DIST, 0, 2 if version == 3 else 1))
    step("active", NONE, put(DIST, 0x304, 0x10))
    step("not active any more", FIRST, put(DIST, 0x384, 0x10))
    step("sent to the other, where it is not queued", BOTH, target(version, 36, 1))
    step("off and on again", SECOND, put(DIST, 0x184, 0x10), put(DIST, 0x104, 0x10))
    off = put(DIST, 0x204, 0) if version == 3 else put(DIST, 0x284, 0x10)
    step("not pending", NONE, off)
    step("again, for the other now", SECOND, irq_line(SPI, 0, 36, 1))
    step("back to the first while pending", SECOND, target(version, 36, 0))
    step("and not pending again", NONE, off)
    step("a level SPI, enabled", FIRST, put(DIST, 0x104, 1 << 20), irq_line(SPI, 0, 52, 1))
    step("its line down", NONE, irq_line(SPI, 0, 52, 0))
    step(
        "to nobody",
        FIRST if version == 2 else NONE,
        target(version, 52, 5 if version == 2 else 2),
        irq_line(SPI, 0, 52, 1),
    )
    step("its line down again", NONE, irq_line(SPI, 0, 52, 0))
    group, whose = private(version, sleepers.ids[1])
    step("a PPI of the other, not enabled", NONE, irq_line(PPI, 1, 20, 1))
    step("enabled", SECOND, put(group, whose | 0x100, 1 << 20))
    step("active", NONE, put(group, whose | 0x300, 1 << 20))
    step("down and not active", NONE, irq_line(PPI, 1, 20, 0), put(group, whose | 0x380, 1 << 20))
    step("an SGI", SECOND, put(group, whose | 0x200, 2))
    step("of the other group", SECOND, put(DIST, 8, 0x4B00243B), put(group, whose | 0x80, 0))
    step("its group's enable off", SECOND, *_groups_off(version, sleepers.ids[1]))
    step("active on the first, its target the second", SECOND, *_active_elsewhere(version))
    step(
        "and pending on both, for their targets",
        BOTH,
        irq_line(SPI, 0, 60, 1),
        irq_line(SPI, 0, 56, 1),
    )
    step("no longer active", BOTH, put(DIST, 0x384, gic.ONES))
    return [
        *head(
            gic.HOSTS_OF[version],
            f"What of a GICv{version} wakes a suspended vCPU (0), and what leaves it asleep until "
            "the alarm (EINTR): pending, enabled, not active, with a priority above the mask; "
            "groups do not count. An interrupt is queued for its target when it becomes pending, "
            "and moves when that vCPU has run.",
        ),
        *sleepers.lines,
    ]


def _active_elsewhere(version: int) -> list[str]:
    """SPIs 56 and 60, level, enabled; 60 is active where it was, and then sent elsewhere."""
    lines = [target(version, 60, 0), put(DIST, 0x304, 1 << 28), target(version, 60, 1)]
    return [*lines, put(DIST, 0x104, 1 << 28 | 1 << 24), target(version, 56, 0)]


def _groups_off(version: int, vcpu_id: int) -> list[str]:
    whose = gic.whose(version, vcpu_id)
    if version == 2:
        return [put(CPU, whose, 0)]
    return [put(ICC, whose | 0xC666, 0), put(ICC, whose | 0xC667, 0)]
