# SPDX-License-Identifier: MIT
"""Scripts about the order of calls: creation, initialisation, registers, runs; and bad pointers.

Part of the tests; see make_scripts.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from conformance import gic_lines as gic
from conformance.gic_lines import (
    CPU,
    CTRL,
    DIST,
    ICC,
    INIT,
    IRQS,
    LEVELS,
    REDIST,
    attr,
    get,
    has,
    irq_line,
    put,
)
from conformance.sweep import SYSREG, head

SAVE_TABLES = 3
PMR, MPIDR = 0xC230, SYSREG | 0xC005
REGISTERS = {  # a register of each group that has them
    2: ((DIST, 0x100), (DIST, 0x104), (CPU, 4)),
    3: ((DIST, 0x104), (REDIST, 0), (REDIST, 0x10100), (ICC, PMR), (LEVELS, 32)),
}
OTHER = {2: 3, 3: 2}


def _section(comment: str, *lines: str) -> list[str]:
    return ["", f"# {comment}", *lines]


def _registers(version: int, tag: str, whose: int = 0) -> list[str]:
    """One register of each group: is it there, read, written."""
    lines = []
    for group, offset in REGISTERS[version]:
        what, fd = whose | offset, f"gic{tag}"
        lines += [has(group, what, fd), get(group, what, fd), put(group, what, 0xFF, fd)]
        lines += [get(group, what, fd)]
    return lines


def _init(tag: str = "") -> str:
    return attr("SET", CTRL, INIT, "0", f"gic{tag}")


def _run(vcpu: str) -> list[str]:
    """A KVM_RUN that returns at once."""
    return [
        f"mmap {vcpu} 0x1000 0 -> run_{vcpu}",
        f"poke run_{vcpu}+1 [ u8 1 ]",
        f"ioctl {vcpu} KVM_RUN 0",
    ]


# ---- creation ----


def _creation(version: int) -> list[str]:
    kind = gic.TYPE[version]
    lines = _section("a second one of each kind", *gic.vm_of((0,), "_second"))
    make = "ioctl vm_second KVM_CREATE_"
    lines += [f"{make}DEVICE [ u32 {kind} 0 1 ]", f"{make}DEVICE [ u32 {kind} 0 0 ] -> one"]
    lines += [f"{make}DEVICE [ u32 {gic.TYPE[n]} 0 {test} ]" for n in (2, 3) for test in (0, 1)]
    lines += [f"{make}IRQCHIP 0", "close one", f"{make}DEVICE [ u32 {kind} 0 0 ] -> two"]
    lines += _section(
        "KVM_CREATE_IRQCHIP first",
        *gic.vm_of((0,), "_chip"),
        "ioctl vm_chip KVM_CREATE_IRQCHIP 0",
        "ioctl vm_chip KVM_CREATE_IRQCHIP bad",
        f"ioctl vm_chip KVM_CREATE_DEVICE [ u32 {kind} 0 0 ] -> gic_chip",
        "ioctl vm_chip KVM_CHECK_EXTENSION KVM_CAP_IRQCHIP",
        irq_line(1, 0, 40, 1, "vm_chip"),
        irq_line(0, 0, 0, 1, "vm_chip"),
        *_run("v0_chip"),
    )
    lines += _section("after a vCPU has run", *gic.vm_of((0, 1), "_ran"), *_run("v0_ran"))
    lines += [gic.create(version, "_ran"), "ioctl vm_ran KVM_CREATE_IRQCHIP 0"]
    lines += [f"ioctl vm_ran KVM_CREATE_DEVICE [ u32 {kind} 0 1 ]"]
    lines += _section("after a run that failed, of a vCPU that is not initialised")
    lines += ["ioctl kvm KVM_CREATE_VM 0 -> vm_no", "ioctl vm_no KVM_CREATE_VCPU 0 -> v0_no"]
    lines += [*_run("v0_no"), gic.create(version, "_no"), *_run("v0_no")[2:]]
    lines += _section("the descriptor: other requests, a second one, closed")
    lines += [*gic.vm_of((0,), "_fd"), gic.create(version, "_fd"), "dup gic_fd -> gic_dup"]
    for request in ("KVM_RUN", "KVM_GET_API_VERSION", "KVM_CREATE_VCPU", "KVM_CREATE_DEVICE"):
        lines.append(f"ioctl gic_fd {request} 0")
    lines += [f"ioctl gic_fd KVM_{op}_DEVICE_ATTR bad" for op in ("HAS", "GET", "SET")]
    lines += ["close gic_fd", get(IRQS, 0, "gic_fd"), get(IRQS, 0, "gic_dup"), "close vm_fd"]
    lines += [_init("_dup"), *(get(group, at, "gic_dup") for group, at in REGISTERS[version])]
    lines += ["close v0_fd", *(get(group, at, "gic_dup") for group, at in REGISTERS[version])]
    return lines


def _many_vcpus(version: int) -> list[str]:
    """More vCPUs than a GICv2 can have: its limit stays though it is refused."""
    lines = _section("nine vCPUs, then the controller", *gic.vm_of(range(9), "_nine"))
    lines += [gic.create(version, "_nine"), "ioctl vm_nine KVM_CREATE_IRQCHIP 0"]
    lines += ["ioctl vm_nine KVM_CHECK_EXTENSION KVM_CAP_MAX_VCPUS"]
    lines += ["ioctl vm_nine KVM_CREATE_VCPU 9 -> tenth", "ioctl vm_nine KVM_CREATE_VCPU 7 -> old"]
    lines += _section("the controller, then vCPUs", *gic.vm_of((), "_none"))
    lines += [gic.create(version, "_none")]
    for number in (0, 7, 8, 255, 256, 511, 512, 7):
        lines.append(f"ioctl vm_none KVM_CREATE_VCPU {number} -> n{len(lines)}")
    lines += _section("eight, and a ninth", *gic.vm_of(range(8), "_eight"))
    lines += [gic.create(version, "_eight"), "ioctl vm_eight KVM_CREATE_VCPU 8 -> ninth"]
    lines += [put(IRQS, 0, 64, "gic_eight"), _init("_eight"), get(DIST, 4, "gic_eight")]
    lines += ["ioctl vm_eight KVM_CREATE_VCPU 8 -> ninth_again"]
    if version == 2:
        lines += [put(DIST, 0x820, gic.ONES, "gic_eight"), get(DIST, 0x820, "gic_eight")]
        lines += [get(DIST, n << 32 | 0x800, "gic_eight") for n in range(9)]
    return lines


# ---- initialisation ----


def _before_init(version: int) -> list[str]:
    lines = _section("registers before there is a vCPU", *gic.vm_of((), "_empty"))
    lines += [gic.create(version, "_empty"), *_registers(version, "_empty"), get(IRQS, 0)]
    lines[-1] = get(IRQS, 0, "gic_empty")
    lines += _section("registers before it is initialised", *gic.vm_of((0, 1), "_early"))
    lines += [gic.create(version, "_early"), *_registers(version, "_early")]
    lines += [get(IRQS, 0, "gic_early"), put(IRQS, 0, 64, "gic_early")]
    lines += ["ioctl vm_early KVM_CREATE_VCPU 2 -> v2_early", _init("_early"), _init("_early")]
    lines += ["ioctl vm_early KVM_CREATE_VCPU 3 -> v3_early", *_registers(version, "_early")]
    lines += [put(IRQS, 0, 64, "gic_early"), *gic.place(version, "_early")]
    lines += [*gic.place(version, "_early"), *_run("v0_early"), *_registers(version, "_early")]
    lines += [put(IRQS, 0, 64, "gic_early"), _init("_early")]
    lines += _section("vCPUs that are not initialised have no affinity yet")
    lines += ["ioctl kvm KVM_CREATE_VM 0 -> vm_raw"]
    lines += [f"ioctl vm_raw KVM_CREATE_VCPU {n} -> v{n}_raw" for n in (1, 0)]
    lines += [gic.create(version, "_raw"), *gic.place(version, "_raw"), _init("_raw")]
    for step in ("", gic.init_vcpu("v1_raw"), gic.init_vcpu("v0_raw")):
        lines += [step, *_registers(version, "_raw"), *_registers(version, "_raw", 1 << 32)]
    return [line for line in lines if line]


NUMBERS = (
    0, 1, 31, 32, 63, 64, 65, 95, 96, 992, 993, 1019, 1020, 1023, 1024, 1056, 8192, 1 << 31,
    gic.ONES,
)  # fmt: skip


def _counts(version: int) -> list[str]:
    """KVM_DEV_ARM_VGIC_GRP_NR_IRQS."""
    lines = _section("the number of interrupts: each in a VM of its own")
    for number in NUMBERS:
        tag = f"_n{number}"
        lines += [f"ioctl kvm KVM_CREATE_VM 0 -> vm{tag}"]
        lines += [f"ioctl vm{tag} KVM_CREATE_VCPU 0 -> v0{tag}", gic.create(version, tag)]
        lines += [put(IRQS, 0, number, f"gic{tag}"), get(IRQS, 0, f"gic{tag}"), _init(tag)]
        lines += [get(IRQS, 0, f"gic{tag}"), get(DIST, 4, f"gic{tag}")]
        lines += [irq_line(1, 0, intid, 1, f"vm{tag}") for intid in (63, 64, 255, 256, 991, 992)]
        lines += [put(DIST, 0xC0C, 0, f"gic{tag}"), has(DIST, 0x17C, f"gic{tag}")]
    lines += _section("its attribute and pointer", *gic.vm_of((0,), "_i"))
    lines += [gic.create(version, "_i")]
    for what in (0, 1, 1 << 32):
        lines += [has(IRQS, what, "gic_i"), get(IRQS, what, "gic_i")]
        for memory in ("bad", "0", "[ u16 64 ]"):
            lines += [attr(op, IRQS, what, memory, "gic_i") for op in ("GET", "SET")]
    lines += [put(IRQS, 7, 64, "gic_i"), put(IRQS, 0, 100, "gic_i"), put(IRQS, 0, 64, "gic_i")]
    return lines


def _control(version: int) -> list[str]:
    lines = _section("control", *gic.vm_of((0, 1), "_c"), gic.create(version, "_c"))
    for _ in range(2):
        for what in (*range(6), 1 << 32, 1 << 32 | 3):
            lines += [has(CTRL, what, "gic_c"), get(CTRL, what, "gic_c")]
            if what:
                lines += [attr("SET", CTRL, what, memory, "gic_c") for memory in ("0", "bad")]
        lines.append(_init("_c"))
    lines += [attr("SET", CTRL, INIT, "bad", "gic_c"), attr("SET", CTRL, SAVE_TABLES, "0", "gic_c")]
    return lines


def _groups(version: int) -> list[str]:
    """Groups of the other version, and numbers that are no group."""
    lines = _section("groups", *gic.vm_of((0,), "_g"), *gic.device(version, 64, "_g"))
    for group in (*range(10), 0x10001, 0xFFFFFFFF):
        for what in (0, 0x104, 1 << 32):
            lines += [has(group, what, "gic_g"), attr("GET", group, what, "[ 0xeeee ]", "gic_g")]
            lines += [attr("GET", group, what, "bad", "gic_g")]
            lines += [attr("SET", group, what, "bad", "gic_g")]
    lines += _section("flags, which nobody looks at")
    for op in ("HAS", "GET", "SET"):
        for flags in (1, 0xFFFFFFFF):
            block = f"[ u32 {flags:#x} {gic.GROUP}{DIST} u64 0x104 [ u32 1 ] ]"
            lines.append(f"ioctl gic_g KVM_{op}_DEVICE_ATTR {block}")
        lines.append(f"ioctl gic_g KVM_{op}_DEVICE_ATTR [ u32 0 {gic.GROUP}{DIST} u64 0x104 ]")
    return lines


def _pointers(version: int, tag: str) -> list[str]:
    """Which of a bad pointer, an unknown register and an unknown vCPU is found first."""
    nobody = 9 << 32
    offsets = {DIST: (0x104, 0x44, 0x105), CPU: (4, 0x44), REDIST: (0x10100, 0x44)}
    offsets |= {LEVELS: (32, 33), ICC: (PMR, 0xC080, 0xC664)}
    lines = []
    for group, _ in dict(REGISTERS[version]).items():
        for offset in offsets[group]:
            for who in (0, nobody):
                for memory in ("bad", "[ u16 1 ]"):
                    what = who | offset
                    lines += [attr(op, group, what, memory, f"gic{tag}") for op in ("GET", "SET")]
    return lines


def orders(version: int) -> list[str]:
    lines = [
        *head(
            gic.HOSTS_OF[version],
            f"GICv{version}: creation, vCPUs, initialisation and runs in every order; what is "
            "refused, with which error, and which error comes first.",
        ),
        "open kvm",
    ]
    lines += _creation(version) + _many_vcpus(version) + _before_init(version)
    lines += _counts(version) + _control(version) + _groups(version)
    lines += _section("pointers before it is initialised", *gic.vm_of((0,), "_p"))
    lines += [gic.create(version, "_p"), *(() if version == 2 else _pointers(3, "_p"))]
    lines += [*_section("and after"), _init("_p"), *_pointers(version, "_p")]
    if version == 3:
        lines += _affinities()
    return lines


def _affinities() -> list[str]:
    """MPIDR_EL1 is user space's to write: whose a redistributor is, and where SPIs go."""
    lines = _section("affinities that change", *gic.vm_of((0, 1), "_m"))
    lines += gic.device(3, 64, "_m")

    def seen() -> Iterable[str]:
        for mpidr in (0, 1, 2, 0x10203, 0x1000000):
            yield get(REDIST, mpidr << 32 | 8, "gic_m")
            yield get(REDIST, mpidr << 32 | 12, "gic_m")
            yield get(ICC, mpidr << 32 | PMR, "gic_m")

    lines += [put(ICC, n << 32 | PMR, 0x10 + n, "gic_m") for n in (0, 1)]
    for value in (0x80000002, 0x10203, 0x100000001, 0x1000000, 0, 0xFFFFFFFFFFFFFFFF):
        lines += [f"set v0_m {MPIDR:#x} {value:#x}", *seen()]
    lines += [gic.init_vcpu("v0_m"), *seen(), f"set v1_m {MPIDR:#x} 0x80000000", *seen()]
    return lines


# ---- state from one VM to another ----

FRAMES = {
    2: (
        (DIST, tuple(row for row in gic.V2_DIST if row.name not in ("GICD_SGIR", "GICD_NSACR"))),
        (CPU, tuple(row for row in gic.V2_CPU if row.name in (
            "GICC_CTLR", "GICC_PMR", "GICC_BPR", "GICC_ABPR", "GICC_APR",
        ))),
    ),
    3: ((DIST, gic.V3_DIST), (REDIST, gic.V3_REDIST)),
}  # fmt: skip
READ_ONLY = ("TYPER", "IIDR", "PIDR", "MPAMIDR")
ICC_STATE = (
    "ICC_PMR_EL1", "ICC_BPR0_EL1", "ICC_AP0R0_EL1", "ICC_AP1R0_EL1", "ICC_BPR1_EL1",
    "ICC_CTLR_EL1", "ICC_SRE_EL1", "ICC_IGRPEN0_EL1", "ICC_IGRPEN1_EL1",
)  # fmt: skip
ROUTED = 10  # SPIs whose GICD_IROUTER is among them
CLEARING = ("GICD_IC", "GICR_IC", "GICD_CPENDSGIR")
STATE_IRQS = 64
STATE_IDS = (0, 1)
Item = tuple[str, int, str]  # group, attribute, name


def _items(version: int) -> list[Item]:
    """Every register of a VM that has state, the shared ones once."""
    items: list[Item] = []
    for place, vcpu_id in enumerate(STATE_IDS):
        who = gic.whose(version, vcpu_id)
        for group, rows in FRAMES[version]:
            for row in rows:
                offsets = gic.words(row, STATE_IRQS)[: None if not row.bits else -1]
                if row.name == "GICD_IROUTER":
                    offsets = [row.offset + 8 * intid for intid in range(32, 32 + ROUTED)]
                if group == DIST and place:
                    offsets = gic.private_words(row) if version == 2 else []
                items += [(group, who | at, row.name) for at in offsets if _has_state(row.name)]
        if version == 3:
            items += [(ICC, who | gic.V3_ICC[name], name) for name in ICC_STATE]
            items += [(LEVELS, who, "lines")] + [(LEVELS, 32, "lines")] * (not place)
    return items


def _has_state(name: str) -> bool:
    return not name.startswith(CLEARING) and not any(word in name for word in READ_ONLY)


def _wide(group: str) -> int:
    return 8 if group == ICC else 4


def _busy_state(version: int) -> list[str]:
    """Interrupts in every state there is."""
    lines = [put(DIST, 0, 3), put(DIST, 0x84, 0x0F0F0F0F), put(DIST, 0x104, 0x33333333)]
    lines += [put(DIST, 0xC08, 0xAAAA0000), put(DIST, 0xC0C, 0x8888AAAA)]
    lines += [put(DIST, 0x420 + 4 * n, 0x10101010 * (n + 1) & 0xF8F8F8F8) for n in range(8)]
    lines += [irq_line(1, 0, intid, 1) for intid in (32, 33, 39, 40, 41, 52, 55, 63)]
    lines += [put(DIST, 0x304, 0x00FF00FF)]
    for n, vcpu_id in enumerate(STATE_IDS):
        who = gic.whose(version, vcpu_id)
        lines += [irq_line(2, n, intid, 1) for intid in (20, 21 + n)]
        if version == 3:
            lines += [put(REDIST, who | gic.SGI_BASE | at, 0xC35A0F | n) for at in (0x80, 0x100)]
            lines += [put(REDIST, who | gic.SGI_BASE | at, 0x70003 << n) for at in (0x200, 0x300)]
            lines += [put(REDIST, who | gic.SGI_BASE | 0x400 + 4 * k, 0xA0907040) for k in (0, 5)]
            lines += [put(REDIST, who | 0x70, 0x80000780), put(REDIST, who | 0x78, 0x90000480)]
            lines += [put(ICC, who | code, 0xF7 - n) for code in (PMR, 0xC643, 0xC663, 0xC648)]
            lines += [put(ICC, who | 0xC664, 0x8400 | n), put(ICC, who | 0xC667, 1)]
            lines += [put(DIST, 0x6000 + 8 * (40 + n), n)]
        else:
            lines += [put(DIST, who | 0x100, 0xC35A0F | n), put(DIST, who | 0x300, 0x70003 << n)]
            lines += [put(DIST, who | 0xF00, sgi) for sgi in (0x30001, 0x1000002, 0x2000003)]
            lines += [put(DIST, 0x820 + 4 * n, 0x03020100), put(DIST, who | 0x400, 0xA0907040)]
            lines += [put(CPU, who | at, 0x1F1 - n) for at in (0, 4, 8, 0x1C, 0xD0)]
    return lines


def _second_vm(version: int, tag: str) -> list[str]:
    return [*gic.vm_of(STATE_IDS, tag), *gic.device(version, STATE_IRQS, tag)]


def save_restore(version: int) -> list[str]:
    """All registers of one VM into another, in several orders."""
    items = _items(version)
    lines = [
        *head(
            gic.SWEEP_HOSTS_OF[version],
            f"All of a GICv{version}'s registers with state read in one VM, written in others and "
            "read there: in the order of the frames, backwards, twice, with what clears written "
            "first, and with the distributor's control and revision first or last.",
        ),
        "open kvm",
        f"buffer saved {8 * len(items):#x}",
        *_second_vm(version, ""),
        *_busy_state(version),
        *_section("read"),
    ]
    for n, (group, what, _) in enumerate(items):
        lines.append(attr("GET", group, what, f"&saved+{8 * n:#x}"))
        lines.append(f"peek saved+{8 * n:#x} [ u{8 * _wide(group)} 0 ]")
    revision = put(DIST, 8, 0x4B00243B)
    for tag, comment, order, before in (
        ("_same", "in order", range(len(items)), [revision]),
        ("_back", "backwards", range(len(items) - 1, -1, -1), []),
        ("_rev3", "in order, the revision 3 first", range(len(items)), [put(DIST, 8, 0x4B00343B)]),
    ):
        lines += _section(f"written {comment}", *_second_vm(version, tag))
        lines += [line.replace(" gic ", f" gic{tag} ") for line in before]
        lines += _restore(items, order, tag) + _read(items, tag)
    lines += _section("written again, over itself", *_restore(items, range(len(items)), "_same"))
    lines += _read(items, "_same")
    lines += _section("over other state, what clears first")
    lines += [line.replace(" gic ", " gic_same ") for line in _clear_all(version)]
    lines += _read(items, "_same") + _restore(items, range(len(items)), "_same")
    return lines + _read(items, "_same")


def _restore(items: list[Item], order: Iterable[int], tag: str) -> list[str]:
    return [attr("SET", *items[n][:2], f"&saved+{8 * n:#x}", f"gic{tag}") for n in order]


def _read(items: list[Item], tag: str) -> list[str]:
    return [get(group, what, f"gic{tag}") for group, what, _ in items]


def _clear_all(version: int) -> list[str]:
    lines = []
    for vcpu_id in STATE_IDS:
        who = gic.whose(version, vcpu_id)
        group, base = (DIST, 0) if version == 2 else (REDIST, gic.SGI_BASE)
        for at in (0x180, 0x280, 0x380):
            lines += [put(group, who | base | at, gic.ONES), put(DIST, at + 4, gic.ONES)]
        if version == 2:
            lines += [put(DIST, who | 0xF10 + 4 * n, gic.ONES) for n in range(4)]
    return lines
