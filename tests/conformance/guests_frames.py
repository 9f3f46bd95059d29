# SPDX-License-Identifier: MIT
"""Scripts: every register of a GIC as the guest reaches it, by all widths, and its neighbours.

Part of the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from conformance.guests import CPU, DIST, REDIST, REDIST_BYTES, SGI_FRAME, Machine

WIDTHS = (1, 2, 4, 8)
ONES = {1: 0xFF, 2: 0xFFFF, 4: 0xFFFFFFFF, 8: 0xFFFFFFFFFFFFFFFF}
OPS_A_LIST = 400

# Of a bit an interrupt, for 96 of them: the first word, the last, and one that is behind.
WORDS = (0x0, 0x8, 0xC, 0x7C)
BIT_REGISTERS = tuple(range(0x080, 0x400, 0x80))
DIST_V3 = (
    0x0, 0x4, 0x8, 0xC, 0x10, 0x14, 0x20, 0x40, 0x44, 0x48, 0x50, 0x58, 0x60,
    *(base + word for base in BIT_REGISTERS for word in WORDS),
    0x400, 0x41C, 0x420, 0x45C, 0x460, 0x7FC, 0x800, 0x81C, 0x820, 0x85C, 0x860, 0xBFC,
    0xC00, 0xC04, 0xC08, 0xC14, 0xC18, 0xCFC, 0xD00, 0xD04, 0xD0C, 0xD7C, 0xE00, 0xE08, 0xEFC,
    0xF00, 0xF10, 0xF1C, 0xF20, 0xF2C, 0xF30, 0xFD0, 0xFE8, 0xFFC, 0x1000, 0x2000, 0x5FF8,
    0x6000, 0x60F8, 0x6100, 0x6104, 0x6108, 0x62F8, 0x6300, 0x7FD8, 0x7FE0, 0x8000, 0xC000,
    *range(0xFFD0, 0x10000, 4),
)  # fmt: skip
DIST_V2 = (
    0x0, 0x4, 0x8, 0xC, 0x10, 0x20, 0x40,
    *(base + word for base in BIT_REGISTERS for word in WORDS),
    0x400, 0x41C, 0x420, 0x45C, 0x460, 0x7FC, 0x800, 0x81C, 0x820, 0x85C, 0x860, 0xBFC,
    0xC00, 0xC04, 0xC08, 0xC14, 0xC18, 0xCFC, 0xD00, 0xD04, 0xD0C, 0xE00, 0xE08, 0xEFC,
    0xF00, 0xF10, 0xF1C, 0xF20, 0xF2C, 0xF30, *range(0xFD0, 0x1000, 4),
)  # fmt: skip
REDIST_OFFSETS = (
    0x0, 0x4, 0x8, 0xC, 0x10, 0x14, 0x18, 0x20, 0x40, 0x44, 0x48, 0x70, 0x74, 0x78, 0x7C, 0x80,
    0xA0, 0xB0, 0xC0, 0xC4, 0x100, 0x110, 0x1000, 0x8000, *range(0xFFD0, 0x10000, 4),
    *(SGI_FRAME + offset for offset in (
        0x0, 0x80, 0x84, 0x100, 0x104, 0x180, 0x184, 0x200, 0x204, 0x280, 0x284, 0x300, 0x304,
        0x380, 0x384, 0x400, 0x410, 0x41C, 0x420, 0xC00, 0xC04, 0xC08, 0xD00, 0xD04, 0xE00, 0xE04,
        0xF00, 0x1000, 0xFFE8, 0xFFFC,
    )),
)  # fmt: skip


def _reads(address: int) -> Iterator[str]:
    """By each width that the address allows, and the parts of a word."""
    for width in WIDTHS:
        if address % width == 0:
            yield f"load {address:#x} {width}"
    yield f"load {address + 1:#x} 1"
    yield f"load {address + 2:#x} 2"


def _writes(address: int) -> Iterator[str]:
    """All ones by each width, then zero, and what came of it."""
    for width in (4, 1, 2, 8):
        if address % width:
            continue
        yield f"store {address:#x} {width} {ONES[width]:#x}"
        yield f"load {address:#x} 4"
        yield f"store {address:#x} {width} 0"
        yield f"load {address:#x} 4"
    yield f"store {address + 3:#x} 1 0xff"
    yield f"load {address:#x} 4"


def _lists(m: Machine, ops: Iterable[str], vcpu: int = 0) -> Iterator[str]:
    """Statements of not too many operations."""
    left = list(ops)
    while left:
        yield m.guest(*left[:OPS_A_LIST], vcpu=vcpu)
        left = left[OPS_A_LIST:]


def _sweep(m: Machine, base: int, offsets: Iterable[int], vcpu: int = 0) -> Iterator[str]:
    offsets = list(offsets)
    yield f"# loads at {base:#x}"
    yield from _lists(m, (op for offset in offsets for op in _reads(base + offset)), vcpu)
    yield f"# stores at {base:#x}"
    yield from _lists(m, (op for offset in offsets for op in _writes(base + offset)), vcpu)


def dist(version: int) -> list[str]:
    """GICD."""
    m = Machine(version, vcpus=2)
    lines = m.head(
        "The distributor's registers as a guest finds them, by loads and stores of 1, 2, 4 and 8 "
        "bytes: what there is, what keeps what is written, what reads as zero."
    )
    lines += _sweep(m, DIST, DIST_V3 if version == 3 else DIST_V2)
    end = DIST + (0x10000 if version == 3 else 0x1000)
    lines += ["# around the frame", m.guest(f"load {DIST - 4:#x} 4 <- 5", f"store {end:#x} 4 6")]
    return lines


def words(version: int) -> list[str]:
    """Every word of the distributor's first page, after a guest has put something everywhere."""
    m = Machine(version, vcpus=2, nr_irqs=64)
    lines = m.head(
        "Every word of the distributor's registers of interrupts: patterns stored, then all read "
        "back; then all that clears them."
    )
    pattern = (0x12345678, 0xA5A5A5A5, 0xFEDCBA98)
    offsets = [
        offset
        for first, last in ((0x80, 0x100), (0x180, 0x400), (0x400, 0xC00), (0xC00, 0xF00))
        for offset in range(first, min(last, first + 0x44 if last <= 0x400 else last), 4)
        if offset % 0x80 < 0x10 or 0x400 <= offset < 0x448 or 0x800 <= offset < 0x848
    ]
    stores = (f"store {DIST + o:#x} 4 {pattern[o // 4 % 3]:#x}" for o in offsets)
    lines += _lists(m, stores)
    lines += _lists(m, (f"load {DIST + offset:#x} 4" for offset in range(0, 0x1000, 4)))
    if version == 3:
        stores = (
            f"store {REDIST + SGI_FRAME + o:#x} 4 {pattern[o // 4 % 3]:#x}"
            for o in (0x80, 0x100, 0x200, 0x300, *range(0x400, 0x420, 4), 0xC00, 0xC04)
        )
        lines += _lists(m, stores)
        every = range(REDIST + SGI_FRAME, REDIST + SGI_FRAME + 0xF00, 4)
        lines += _lists(m, (f"load {address:#x} 4" for address in every))
        lines += _lists(m, (f"load {REDIST + offset:#x} 4" for offset in range(0, 0x200, 4)))
    lines += _lists(m, (f"store {DIST + o:#x} 4 -1" for o in range(0x180, 0x190, 4)))
    for base in (0x180, 0x280, 0x380):
        lines += _lists(m, (f"store {DIST + base + word:#x} 4 -1" for word in range(0, 0x10, 4)))
    lines += _lists(m, (f"load {DIST + offset:#x} 4" for offset in range(0x80, 0x400, 4)))
    return lines


def redist() -> list[str]:
    """GICR, of this vCPU and of another."""
    m = Machine(3, vcpus=2)
    lines = m.head(
        "A redistributor's registers as a guest finds them, its own and another vCPU's, by loads "
        "and stores of 1, 2, 4 and 8 bytes."
    )
    lines += _sweep(m, REDIST, REDIST_OFFSETS)
    other = REDIST + REDIST_BYTES
    few = (
        0x0,
        0x4,
        0x8,
        0xC,
        0x14,
        0x70,
        0x78,
        0xFFE8,
        0x10080,
        0x10100,
        0x10200,
        0x10400,
        0x10C04,
    )
    lines += _sweep(m, other, few)
    lines += _sweep(m, other, few, vcpu=1)
    lines.append("# behind the last one")
    end = REDIST + 2 * REDIST_BYTES
    lines.append(
        m.guest(f"load {end:#x} 4 <- 5", f"load {end + 8:#x} 8 <- 6", f"store {end:#x} 1 7")
    )
    return lines


# Offsets of a GICV that all implementations have, and what is written there. A GICV is made for
# accesses of 32 bits. QEMU's ABPR can be less than BPR's least value and one.
GICV = {
    0x00: (0x0, 0xFFFFFFFF, 0x1), 0x04: (0x0, 0xFF, 0x48, 0xF0), 0x08: (0, 1, 2, 3, 5, 7, 0xFF),
    0x1C: (3, 5, 7), 0xD0: (0xFFFFFFFF, 0x0),
}  # fmt: skip
GICV_READ = (0x0C, 0x14, 0x18, 0xFC, 0xD4, 0xD8, 0xDC, 0x100)


def cpuif_v2() -> list[str]:
    """GICC, which the guest has in the hardware's GICV."""
    m = Machine(2)
    lines = m.head(
        "The CPU interface of a GICv2 as a guest finds it: it is the hardware's. What user space "
        "sees of what the guest wrote, and the other way round."
    )
    lines.append(m.guest(*(f"load {CPU + offset:#x} 4" for offset in (*GICV, *GICV_READ))))
    names = {0x00: "CTLR", 0x04: "PMR", 0x08: "BPR0", 0x1C: "BPR1", 0xD0: "APR"}
    for offset, values in GICV.items():
        address = CPU + offset
        for value in values:
            lines.append(m.guest(f"store {address:#x} 4 {value:#x}", f"load {address:#x} 4"))
            lines.append(m.see_cpuif(names[offset]))
            lines.append(m.set_cpuif(names[offset], value))
            lines += [m.see_cpuif(names[offset]), m.guest(f"load {address:#x} 4")]
    lines.append("# around the frame")
    lines.append(m.guest(f"load {CPU - 4:#x} 4 <- 5", f"load {CPU + 0x2000:#x} 4 <- 5"))
    return lines


SYSREGS_RW = ("PMR", "BPR0", "BPR1", "CTLR", "SRE", "IGRPEN0", "IGRPEN1", "AP0R0", "AP1R0")
SYSREGS_MORE = ("AP0R1", "AP0R2", "AP0R3", "AP1R1", "AP1R2", "AP1R3")
SYSREGS_RO = ("IAR0", "IAR1", "HPPIR0", "HPPIR1", "RPR")
SYSREGS_WO = ("EOIR0", "EOIR1", "DIR", "SGI1R", "ASGI1R", "SGI0R")
HIGHER = ("ICC_SRE_EL2", "S3_6_C12_C12_5", "S3_4_C12_C11_0", "S3_4_C12_C11_1", "S3_4_C12_C12_0")
VALUES = (0xFFFFFFFFFFFFFFFF, 0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0x7, 0x55, 0x80, 0xF8)


def sysregs() -> list[str]:
    """ICC_*_EL1: which can be read and written, and what they keep."""
    m = Machine(3)
    lines = m.head(
        "The GICv3's CPU interface registers as a guest finds them: what each keeps of what is "
        "written, which are only to be read or written, and what user space sees of it."
    )
    every = (*SYSREGS_RW, *SYSREGS_MORE, *SYSREGS_RO, *SYSREGS_WO)
    lines.append(m.guest(*(f"read ICC_{name}_EL1" for name in every)))
    for name in (*SYSREGS_RW, *SYSREGS_MORE):
        # what a binary point does with bits that are not there is not said
        values = range(8) if name.startswith("BPR") else VALUES
        ops = [
            op for v in values for op in (f"write ICC_{name}_EL1 {v:#x}", f"read ICC_{name}_EL1")
        ]
        lines += [f"# {name}", m.guest(*ops)]
        for value in (7, 0, 3, 5) if name in SYSREGS_RW else ():
            many = value if name.startswith("BPR") else value * 0x11111111
            lines.append(m.guest(f"write ICC_{name}_EL1 {many:#x}"))
            lines.append(m.see_cpuif(name))
        for value in (0xFFFFFFFF, 0x0, 0x5) if name in SYSREGS_RW else ():
            lines += [m.set_cpuif(name, value), m.see_cpuif(name), m.guest(f"read ICC_{name}_EL1")]
    lines.append("# only to be read, or written")
    lines.append(m.guest(*(f"write ICC_{name}_EL1 0" for name in SYSREGS_RO)))
    lines.append(m.guest(*(f"write ICC_{name}_EL1 0" for name in SYSREGS_WO)))
    lines.append("# of higher exception levels")
    lines.append(m.guest(*(f"read {name}" for name in HIGHER)))
    lines.append(m.guest(*(f"write {name} 0" for name in HIGHER)))
    return lines


def sysregs_v2() -> list[str]:
    """ICC_*_EL1 of guests of a machine that has none."""
    m = Machine(2)
    lines = m.head("The GICv3's CPU interface registers where the machine has a GICv2.")
    every = (*SYSREGS_RW, *SYSREGS_MORE, *SYSREGS_RO, *SYSREGS_WO)
    lines.append(m.guest(*(f"read ICC_{name}_EL1" for name in every)))
    lines.append(m.guest(*(f"write ICC_{name}_EL1 0x1" for name in every)))
    return lines
