# SPDX-License-Identifier: MIT
"""Lines of scripts about interrupt controllers: devices, attributes, the frames' registers.

Part of the tests; see make_scripts.py and generator/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

V3_HOSTS = ("gicv3-max", "gicv3-max-sve", "gicv3-neoverse-n1", "gicv3-gicv2-compat")
V2_HOSTS = ("gicv2-cortex-a72", "gicv3-gicv2-compat")
HOSTS_OF = {2: V2_HOSTS, 3: V3_HOSTS}
# SVE makes no difference to registers of frames: their long scripts do without a host
SWEEP_HOSTS_OF = {2: V2_HOSTS, 3: ("gicv3-max", "gicv3-neoverse-n1", "gicv3-gicv2-compat")}

TYPE = {2: "KVM_DEV_TYPE_ARM_VGIC_V2", 3: "KVM_DEV_TYPE_ARM_VGIC_V3"}
GROUP = "KVM_DEV_ARM_VGIC_GRP_"
DIST, CPU, REDIST = "DIST_REGS", "CPU_REGS", "REDIST_REGS"
ICC, LEVELS, ADDR, IRQS, CTRL = "CPU_SYSREGS", "LEVEL_INFO", "ADDR", "NR_IRQS", "CTRL"

UNTOUCHED = 0xEEEE  # what a call reads into: no register's value
ONES, PATTERN = 0xFFFFFFFF, 0x5A3C96E1

DIST_BASE = 0x8000000
CPU_BASE = 0x8010000
REDIST_BASE = 0x80A0000
V3_ADDR_DIST, V3_ADDR_REDIST, V3_ADDR_REGION = 2, 3, 5
V2_ADDR_DIST, V2_ADDR_CPU = 0, 1
INIT = 0

VGIC_PRIVATE = 32


@dataclass(frozen=True)
class Row:
    """A register, or an array of them, as the architecture has it.

    Attributes:
        bits: of a field an interrupt; 0 for other registers.
    """

    name: str
    offset: int
    bytes: int = 4
    bits: int = 0


def per_irq(name: str, offset: int, bits: int, irqs: int = 1024) -> Row:
    return Row(name, offset, bits * irqs // 8, bits)


# Arm IHI 0048B, 4.1.2
V2_DIST = (
    Row("GICD_CTLR", 0), Row("GICD_TYPER", 4), Row("GICD_IIDR", 8),
    per_irq("GICD_IGROUPR", 0x80, 1),
    per_irq("GICD_ISENABLER", 0x100, 1), per_irq("GICD_ICENABLER", 0x180, 1),
    per_irq("GICD_ISPENDR", 0x200, 1), per_irq("GICD_ICPENDR", 0x280, 1),
    per_irq("GICD_ISACTIVER", 0x300, 1), per_irq("GICD_ICACTIVER", 0x380, 1),
    per_irq("GICD_IPRIORITYR", 0x400, 8), per_irq("GICD_ITARGETSR", 0x800, 8),
    per_irq("GICD_ICFGR", 0xC00, 2), Row("GICD_NSACR", 0xE00, 16), Row("GICD_SGIR", 0xF00),
    Row("GICD_CPENDSGIR", 0xF10, 16), Row("GICD_SPENDSGIR", 0xF20, 16),
    Row("GICD_PIDR", 0xFD0, 48),
)  # fmt: skip
# 4.1.3; APR at 0xd0, NSAPR at 0xe0, IIDR at 0xfc, DIR in the second page
V2_CPU = (
    Row("GICC_CTLR", 0), Row("GICC_PMR", 4), Row("GICC_BPR", 8), Row("GICC_IAR", 0xC),
    Row("GICC_EOIR", 0x10), Row("GICC_RPR", 0x14), Row("GICC_HPPIR", 0x18), Row("GICC_ABPR", 0x1C),
    Row("GICC_AIAR", 0x20), Row("GICC_APR", 0xD0, 16), Row("GICC_NSAPR", 0xE0, 16),
    Row("GICC_IIDR", 0xFC), Row("GICC_DIR", 0x1000),
)  # fmt: skip
# Arm IHI 0069, 12.8
V3_DIST = (
    Row("GICD_CTLR", 0), Row("GICD_TYPER", 4), Row("GICD_IIDR", 8), Row("GICD_TYPER2", 0xC),
    Row("GICD_STATUSR", 0x10), Row("GICD_SETSPI_NSR", 0x40), Row("GICD_CLRSPI_NSR", 0x48),
    per_irq("GICD_IGROUPR", 0x80, 1),
    per_irq("GICD_ISENABLER", 0x100, 1), per_irq("GICD_ICENABLER", 0x180, 1),
    per_irq("GICD_ISPENDR", 0x200, 1), per_irq("GICD_ICPENDR", 0x280, 1),
    per_irq("GICD_ISACTIVER", 0x300, 1), per_irq("GICD_ICACTIVER", 0x380, 1),
    per_irq("GICD_IPRIORITYR", 0x400, 8), per_irq("GICD_ITARGETSR", 0x800, 8),
    per_irq("GICD_ICFGR", 0xC00, 2), per_irq("GICD_IGRPMODR", 0xD00, 1),
    Row("GICD_NSACR", 0xE00, 16), Row("GICD_SGIR", 0xF00), Row("GICD_SPENDSGIR", 0xF20, 16),
    Row("GICD_IGROUPRE", 0x1000, 16), per_irq("GICD_IROUTER", 0x6000, 64),
    Row("GICD_PIDR", 0xFFD0, 48),
)  # fmt: skip
SGI_BASE = 0x10000
# 12.10
V3_REDIST = (
    Row("GICR_CTLR", 0), Row("GICR_IIDR", 4), Row("GICR_TYPER", 8, 8), Row("GICR_STATUSR", 0x10),
    Row("GICR_WAKER", 0x14), Row("GICR_MPAMIDR", 0x18, 8), Row("GICR_SETLPIR", 0x40, 8),
    Row("GICR_PROPBASER", 0x70, 8), Row("GICR_PENDBASER", 0x78, 8), Row("GICR_INVLPIR", 0xA0, 8),
    Row("GICR_INVALLR", 0xB0, 8), Row("GICR_SYNCR", 0xC0), Row("GICR_PIDR", 0xFFD0, 48),
    per_irq("GICR_IGROUPR", SGI_BASE + 0x80, 1, 64),
    per_irq("GICR_ISENABLER", SGI_BASE + 0x100, 1, 64),
    per_irq("GICR_ICENABLER", SGI_BASE + 0x180, 1, 64),
    per_irq("GICR_ISPENDR", SGI_BASE + 0x200, 1, 64),
    per_irq("GICR_ICPENDR", SGI_BASE + 0x280, 1, 64),
    per_irq("GICR_ISACTIVER", SGI_BASE + 0x300, 1, 64),
    per_irq("GICR_ICACTIVER", SGI_BASE + 0x380, 1, 64),
    per_irq("GICR_IPRIORITYR", SGI_BASE + 0x400, 8, 32),
    per_irq("GICR_ICFGR", SGI_BASE + 0xC00, 2, 64), Row("GICR_IGRPMODR", SGI_BASE + 0xD00),
    Row("GICR_NSACR", SGI_BASE + 0xE00), Row("GICR_PIDR of SGI_base", SGI_BASE + 0xFFD0, 48),
)  # fmt: skip
# 12.2, those that a CPU interface has; encodings as KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS wants them
V3_ICC = {
    "ICC_PMR_EL1": 0xC230, "ICC_IAR0_EL1": 0xC640, "ICC_EOIR0_EL1": 0xC641,
    "ICC_HPPIR0_EL1": 0xC642, "ICC_BPR0_EL1": 0xC643,
    **{f"ICC_AP0R{n}_EL1": 0xC644 + n for n in range(4)},
    **{f"ICC_AP1R{n}_EL1": 0xC648 + n for n in range(4)},
    "ICC_DIR_EL1": 0xC659, "ICC_RPR_EL1": 0xC65B, "ICC_SGI1R_EL1": 0xC65D,
    "ICC_ASGI1R_EL1": 0xC65E, "ICC_SGI0R_EL1": 0xC65F, "ICC_IAR1_EL1": 0xC660,
    "ICC_EOIR1_EL1": 0xC661, "ICC_HPPIR1_EL1": 0xC662, "ICC_BPR1_EL1": 0xC663,
    "ICC_CTLR_EL1": 0xC664, "ICC_SRE_EL1": 0xC665, "ICC_IGRPEN0_EL1": 0xC666,
    "ICC_IGRPEN1_EL1": 0xC667,
}  # fmt: skip


# ---- calls ----


def number(value: int) -> str:
    return str(value) if value < 10 else f"{value:#x}"


def attr(op: str, group: str | int, what: int, memory: str, fd: str = "gic") -> str:
    """One device attribute: HAS, GET or SET, and where its value is."""
    name = GROUP + group if isinstance(group, str) else number(group)
    return f"ioctl {fd} KVM_{op}_DEVICE_ATTR [ u32 0 {name} u64 {number(what)} {memory} ]"


def has(group: str | int, what: int, fd: str = "gic") -> str:
    return attr("HAS", group, what, "0", fd)


def get(group: str | int, what: int, fd: str = "gic") -> str:
    """A value as wide as the group's are."""
    wide = group in (ICC, ADDR)
    return attr("GET", group, what, f"[ {'u64' if wide else 'u32'} {UNTOUCHED:#x} ]", fd)


def put(group: str | int, what: int, value: int, fd: str = "gic") -> str:
    """KVM_SET_DEVICE_ATTR."""
    wide = group in (ICC, ADDR)
    return attr("SET", group, what, f"[ {'u64' if wide else 'u32'} {number(value)} ]", fd)


def irq_line(kind: int, vcpu: int, irq: int, level: int, vm: str = "vm") -> str:
    """KVM_IRQ_LINE; kind is 0 for a vCPU's own lines, 1 for an SPI, 2 for a PPI."""
    packed = vcpu >> 8 << 28 | kind << 24 | (vcpu & 0xFF) << 16 | irq
    return f"ioctl {vm} KVM_IRQ_LINE [ u32 {packed:#x} {level} ]"


def init_vcpu(name: str, features: int = 0) -> str:
    block = f"[ u32 KVM_ARM_TARGET_GENERIC_V8 {number(features)} 6*0 ]"
    return f"ioctl {name} KVM_ARM_VCPU_INIT {block}"


# ---- VMs ----


def affinity(vcpu_id: int) -> int:
    """MPIDR_EL1's lower three affinities, as KVM makes them from a vCPU's id."""
    return vcpu_id & 0xF | (vcpu_id >> 4 & 0xFF) << 8 | (vcpu_id >> 12 & 0xFF) << 16


def whose(version: int, vcpu_id: int) -> int:
    """The part of an attribute that says whose register it is; of an id 32 bits count."""
    return (vcpu_id & 0xFFFFFFFF if version == 2 else affinity(vcpu_id)) << 32


def vm_of(ids: Iterable[int], tag: str = "", features: int = 0) -> list[str]:
    """A VM and its vCPUs, named after their ids."""
    lines = [f"ioctl kvm KVM_CREATE_VM 0 -> vm{tag}"]
    for vcpu_id in ids:
        name = f"v{vcpu_id}{tag}"
        lines += [f"ioctl vm{tag} KVM_CREATE_VCPU {vcpu_id} -> {name}", init_vcpu(name, features)]
    return lines


def create(version: int, tag: str = "") -> str:
    return f"ioctl vm{tag} KVM_CREATE_DEVICE [ u32 {TYPE[version]} 0 0 ] -> gic{tag}"


def place(version: int, tag: str = "") -> list[str]:
    """The frames' addresses."""
    second = (V3_ADDR_REDIST, REDIST_BASE) if version == 3 else (V2_ADDR_CPU, CPU_BASE)
    first = V3_ADDR_DIST if version == 3 else V2_ADDR_DIST
    fd = f"gic{tag}"
    return [put(ADDR, first, DIST_BASE, fd), put(ADDR, *second, fd)]


def device(version: int, irqs: int, tag: str = "") -> list[str]:
    """An interrupt controller that is ready."""
    fd = f"gic{tag}"
    return [
        create(version, tag),
        put(IRQS, 0, irqs, fd),
        *place(version, tag),
        attr("SET", CTRL, INIT, "0", fd),
    ]


# ---- registers of frames ----


def words(row: Row, irqs: int) -> list[int]:
    """Offsets of a row worth asking for: those that exist, the next one, and the last."""
    if not row.bits:
        return list(range(row.offset, row.offset + row.bytes, 4))
    there = min(irqs * row.bits // 8, row.bytes)
    ends = {row.offset + there, row.offset + row.bytes - 4}
    inside = range(row.offset, row.offset + there, 4)
    return sorted({*inside, *(end for end in ends if end < row.offset + row.bytes)})


def private_words(row: Row) -> list[int]:
    """Offsets of the fields of SGIs and PPIs."""
    return [at for at in words(row, VGIC_PRIVATE) if row.bits and at < row.offset + row.bits * 4]


def gaps(rows: Iterable[Row], end: int, step: int) -> Iterator[int]:
    """Offsets where no row is: the first behind each, and every step bytes."""
    rows = list(rows)
    ends = {row.offset + row.bytes for row in rows}
    for at in sorted({*ends, *range(0, end, step)}):
        if at < end and not any(row.offset <= at < row.offset + row.bytes for row in rows):
            yield at
