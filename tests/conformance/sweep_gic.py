# SPDX-License-Identifier: MIT
"""Scripts that go through the registers of the interrupt controllers' frames.

Part of the tests; see make_scripts.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance import gic_lines as gic
from conformance.gic_lines import CPU, DIST, ICC, REDIST, Row, get, has, put
from conformance.sweep import head

IRQS = 96
V3_IDS = (0, 1, 16, 258)  # affinities 0, 1, 0x100, 0x1002
V2_IDS = (0, 1, 2, 5)
VALUES = (gic.ONES, 0, gic.PATTERN)


def _write_all(group: str, whose: int, offsets: Iterable[int], values: Iterable[int]) -> list[str]:
    lines = []
    for offset in offsets:
        for value in values:
            lines += [put(group, whose | offset, value), get(group, whose | offset)]
    return lines


def _rows(
    group: str, rows: Sequence[Row], irqs: int, whose: int, values: Iterable[int]
) -> list[str]:
    """Each register of each row: is it there, what is it at reset, what does it keep."""
    values = tuple(values)
    lines: list[str] = []
    for row in rows:
        offsets = gic.words(row, irqs)
        lines += ["", f"# {row.name}"]
        for at in offsets:
            lines += [has(group, whose | at), get(group, whose | at)]
        lines += _write_all(group, whose, offsets, values)
    return lines


def _read_all(group: str, rows: Sequence[Row], irqs: int, whose: int) -> list[str]:
    return [get(group, whose | at) for row in rows for at in gic.words(row, irqs)]


def _nowhere(group: str, rows: Sequence[Row], end: int, step: int, whose: int) -> list[str]:
    """Offsets without a register, and some that are not a multiple of 4."""
    lines = ["", "# where no register is"]
    for offset in gic.gaps(rows, end, step):
        at = whose | offset
        lines += [has(group, at), put(group, at, gic.ONES), get(group, at)]
    lines += ["", "# not aligned"]
    for row in rows:
        for low in (1, 2, 3):
            at = whose | row.offset + low
            lines += [has(group, at), put(group, at, gic.ONES), get(group, at)]
    lines += ["", "# offsets with upper bits"]
    for high in (0x10000, 0x20000, 0x100000, 0x80000000):
        at = whose | high
        lines += [has(group, at), put(group, at, gic.ONES), get(group, at)]
    return lines


def _without_ids(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if "PIDR" not in row.name]


def _begin(version: int, ids: Iterable[int], comment: str) -> list[str]:
    return [
        *head(gic.SWEEP_HOSTS_OF[version], comment),
        "open kvm",
        *gic.vm_of(ids),
        *gic.device(version, IRQS),
    ]


# ---- GICv3 ----


def v3_dist() -> list[str]:
    lines = _begin(
        3,
        V3_IDS,
        "Every register of the GICv3's distributor, four vCPUs, 96 interrupts: reset values, all "
        "ones, zeros, a pattern; then where there is none. GICD_IROUTER is done for some SPIs.",
    )
    rows = [row for row in gic.V3_DIST if row.name != "GICD_IROUTER"]
    router = next(row for row in gic.V3_DIST if row.name == "GICD_IROUTER")
    lines += _rows(DIST, rows, IRQS, 0, VALUES)
    lines += ["", "# GICD_IROUTER"]
    routers = [router.offset + 8 * intid for intid in (0, 31, 32, 33, 63, 64, 95, 96, 1019, 1023)]
    for at in routers:
        for half in (at, at + 4):
            lines += [has(DIST, half), get(DIST, half)]
            lines += _write_all(DIST, 0, [half], (gic.ONES, 0x101, 0x80000001, 0))
    lines += ["", "# all of them again"]
    lines += _read_all(DIST, rows, IRQS, 0) + [get(DIST, at) for at in routers]
    lines += _nowhere(DIST, gic.V3_DIST, 0x10000, 0x800, 0)
    lines += ["", "# the affinity in an attribute does not matter"]
    for mpidr in (1, 0x102, 0xFFFFFFFF):
        lines += [has(DIST, mpidr << 32 | 0x104), get(DIST, mpidr << 32 | 0x104)]
    return lines


def v3_redist() -> list[str]:
    lines = _begin(
        3,
        V3_IDS,
        "Every register of the GICv3's redistributors: all of the first, the private interrupts' "
        "of each of four vCPUs, whose affinities are 0, 1, 0x100 and 0x1002.",
    )
    first, *others = (gic.whose(3, number) for number in V3_IDS)
    lines += _rows(REDIST, gic.V3_REDIST, gic.VGIC_PRIVATE, first, VALUES)
    lines += _nowhere(REDIST, gic.V3_REDIST, 0x20000, 0x1000, first)
    for place, whose in enumerate(others):
        values = (gic.PATTERN >> place, gic.ONES >> 4 * place)
        lines += ["", f"# affinity {whose >> 32:#x}"]
        lines += _read_all(REDIST, _without_ids(gic.V3_REDIST), gic.VGIC_PRIVATE, whose)
        for row in gic.V3_REDIST:
            if row.bits or row.name in ("GICR_PROPBASER", "GICR_PENDBASER"):
                lines += _write_all(REDIST, whose, gic.words(row, gic.VGIC_PRIVATE), values)
    lines += ["", "# each has its own"]
    for whose in (first, *others):
        lines += _read_all(REDIST, _without_ids(gic.V3_REDIST), gic.VGIC_PRIVATE, whose)
    lines += ["", "# affinities that no vCPU has"]
    for mpidr in (2, 0x10, 0x101, 0x1000, 0x10002, 0x1000000, 0x1000001, 0xFFFFFFFF):
        for op in (has, get):
            lines.append(op(REDIST, mpidr << 32))
        lines.append(put(REDIST, mpidr << 32 | 0x10100, gic.ONES))
    return lines


def v3_tables() -> list[str]:
    """The two base registers, whose memory attributes KVM corrects."""
    lines = _begin(
        3,
        (0, 1),
        "GICR_PROPBASER, one for all, and GICR_PENDBASER: each bit, and every memory attribute "
        "(shareability 11:10, inner cacheability 9:7, outer 58:56).",
    )
    one = gic.whose(3, 1)
    for at in (0x70, 0x78):
        lines += ["", f"# {at:#x}"]
        lines += [get(REDIST, at), get(REDIST, at + 4)]
        for bit in range(32):
            lines += _write_all(REDIST, 0, (at, at + 4), (1 << bit,))
        for shareability in range(4):
            for inner in range(8):
                lines += _write_all(REDIST, 0, (at,), (shareability << 10 | inner << 7,))
        for outer in range(8):
            lines += _write_all(REDIST, 0, (at + 4,), (outer << 24,))
        lines += [get(REDIST, one | at), get(REDIST, one | at + 4)]
    return lines


ICC_VALUES = {
    "ICC_PMR_EL1": (0xFF, 0x7, 0xF0, 0x1F8, (1 << 64) - 1),
    "ICC_BPR0_EL1": (*range(8), 8, (1 << 64) - 1),
    "ICC_BPR1_EL1": (*range(8), 8, (1 << 64) - 1),
    "ICC_CTLR_EL1": (
        *(0x400 | bits for bits in range(4)), 0x8400, 0x8402, 0x8403, 0x8000, 0x8300, 0x8500,
        0x8700, 0xC400, 0xBC00, 0x9400, 0x8C00, 0x8404, 0x48400, 0x8400 | 1 << 32, 0,
        (1 << 64) - 1,
    ),
    "ICC_SRE_EL1": (0, 1, 2, 4, 7, 9, 1 << 32, (1 << 64) - 1),
}  # fmt: skip
ICC_COMMON = (0, 1, (1 << 64) - 1, 0xA5A5A5A5_5A3C96E1)
IMMEDIATE_EXIT = "poke run{0}+1 [ u8 1 ]"


def v3_icc() -> list[str]:
    lines = _begin(
        3,
        V3_IDS,
        "Every ICC system register of four vCPUs: reset values, writes; with one binary point for "
        "both groups; what the hardware makes of them in a KVM_RUN that returns at once; fewer "
        "bits of priority (ICC_CTLR_EL1).",
    )
    for name, encoding in gic.V3_ICC.items():
        lines += ["", f"# {name}", has(ICC, encoding), get(ICC, encoding)]
        for value in ICC_VALUES.get(name, ICC_COMMON):
            lines += [put(ICC, encoding, value), get(ICC, encoding)]
    lines += ["", "# other encodings"]
    for encoding in (0, 0xC000, 0xC080, 0xC62F, 0xC650, 0xC664 | 0x10000, 0xFFFF, 0xC64C, 0xC668):
        lines += [has(ICC, encoding), get(ICC, encoding), put(ICC, encoding, 1)]
    rows = {name: code for name, code in gic.V3_ICC.items() if name in ICC_VALUES or "APR" in name}
    rows |= {name: gic.V3_ICC[name] for name in ("ICC_IGRPEN0_EL1", "ICC_IGRPEN1_EL1")}
    lines += _icc_binary_points() + _icc_of_each(rows) + _icc_runs(rows) + _icc_fewer_bits()
    lines += ["", "# affinities that no vCPU has"]
    for mpidr in (2, 0x101, 0xFFFFFFFF):
        what = mpidr << 32 | gic.V3_ICC["ICC_PMR_EL1"]
        lines += [has(ICC, what), get(ICC, what), put(ICC, what, 0)]
    return lines


def _icc_binary_points() -> list[str]:
    bpr0, bpr1, ctlr = (gic.V3_ICC[f"ICC_{name}_EL1"] for name in ("BPR0", "BPR1", "CTLR"))
    lines = ["", "# CBPR: BPR1 reads as BPR0 + 1, and its own value stays"]
    lines += [put(ICC, ctlr, 0x8400), put(ICC, bpr1, 3)]
    for value in range(8):
        lines += [put(ICC, bpr0, value), put(ICC, ctlr, 0x8401), get(ICC, bpr1)]
        lines += [put(ICC, bpr1, 5), get(ICC, bpr0), put(ICC, ctlr, 0x8400), get(ICC, bpr1)]
    return lines


def _icc_of_each(rows: dict[str, int]) -> list[str]:
    lines = ["", "# each vCPU has its own"]
    for step, vcpu_id in enumerate(V3_IDS):
        for encoding in rows.values():
            lines.append(put(ICC, gic.whose(3, vcpu_id) | encoding, 0x8401 + step))
    for vcpu_id in V3_IDS:
        lines += [get(ICC, gic.whose(3, vcpu_id) | encoding) for encoding in rows.values()]
    return lines


def _icc_runs(rows: dict[str, int]) -> list[str]:
    """What a VMCR and the active priorities come back as from the hardware."""
    encodings = [*rows.values(), gic.V3_ICC["ICC_AP0R0_EL1"], gic.V3_ICC["ICC_AP1R0_EL1"]]
    lines = ["", "# through the hardware"]
    for vcpu_id in V3_IDS[1:3]:
        whose = gic.whose(3, vcpu_id)
        lines += [f"mmap v{vcpu_id} 0x1000 0 -> run{vcpu_id}", IMMEDIATE_EXIT.format(vcpu_id)]
        for value in (0, 0x8401, 0xFFFFFFFF, 0x5A3C96E1):
            lines += [put(ICC, whose | encoding, value) for encoding in encodings]
            lines += [f"ioctl v{vcpu_id} KVM_RUN 0"]
            lines += [get(ICC, whose | encoding) for encoding in encodings]
    return lines


def _icc_fewer_bits() -> list[str]:
    ctlr, apr = gic.V3_ICC["ICC_CTLR_EL1"], gic.V3_ICC["ICC_AP1R0_EL1"]
    whose = gic.whose(3, V3_IDS[3])
    lines = ["", "# fewer bits of priority than the host, for good, even from a refused write"]
    for value in (0x8500, 0xBF00, 0x8300, 0x8400, 0x4200, 0x8300, 0x8200, 0x8000, 0x8100):
        lines += [put(ICC, whose | ctlr, value), get(ICC, whose | ctlr)]
    for n in range(4):
        lines += [put(ICC, whose | apr + n, gic.ONES), get(ICC, whose | apr + n)]
    return lines


# ---- GICv2 ----


def v2_dist() -> list[str]:
    lines = _begin(
        2,
        V2_IDS,
        "Every register of the GICv2's distributor, vCPUs 0, 1, 2 and 5, 96 interrupts: reset "
        "values, all ones, zeros, a pattern; the banked ones of each vCPU; where there is none.",
    )
    first, *others = (gic.whose(2, number) for number in V2_IDS)
    lines += _rows(DIST, gic.V2_DIST, IRQS, first, VALUES)
    for place, whose in enumerate(others):
        lines += ["", f"# vCPU {whose >> 32}"]
        for row in _without_ids(gic.V2_DIST):
            banked = gic.private_words(row) if row.bits else gic.words(row, IRQS)
            lines += [get(DIST, whose | at) for at in banked]
            lines += _write_all(DIST, whose, banked, (gic.PATTERN >> place, gic.ONES >> place * 4))
    lines += ["", "# each has its own"]
    for whose in (first, *others):
        for row in _without_ids(gic.V2_DIST):
            banked = gic.private_words(row) if row.bits else gic.words(row, IRQS)
            lines += [get(DIST, whose | at) for at in banked]
    lines += _nowhere(DIST, gic.V2_DIST, 0x1000, 0x40, others[0])
    lines += ["", "# vCPUs that are not there; of the number 8 bits count"]
    for number in (3, 4, 6, 7, 8, 15, 255, 256, 257, 0xFFFFFF):
        what = number << 32 | 0x100
        lines += [has(DIST, what), get(DIST, what), put(DIST, what, 0)]
    return lines


GICC_VALUES = (gic.ONES, 0, gic.PATTERN, *range(1, 32), 0x100, 0x200, 0xF8)


def v2_cpu() -> list[str]:
    lines = _begin(
        2,
        V2_IDS,
        "Every register of the GICv2's CPU interfaces, which user space alone may access: writes, "
        "each vCPU's own, and what the hardware makes of them in a KVM_RUN that returns at once.",
    )
    plain = [row for row in gic.V2_CPU if row.name not in ("GICC_CTLR", "GICC_PMR", "GICC_BPR")]
    swept = [row for row in gic.V2_CPU if row not in plain]
    first, *others = (gic.whose(2, number) for number in V2_IDS)
    lines += _rows(CPU, plain, IRQS, first, VALUES)
    lines += _rows(CPU, swept, IRQS, first, GICC_VALUES)
    for whose in (first, others[1]):
        lines += ["", f"# vCPU {whose >> 32}"]
        lines += _read_all(CPU, gic.V2_CPU, IRQS, whose)
    lines += _nowhere(CPU, gic.V2_CPU, 0x2000, 0x40, others[0])
    lines += ["", "# through the hardware"]
    rows = [row for row in gic.V2_CPU if row.name in ("GICC_CTLR", "GICC_PMR", "GICC_BPR")]
    rows += [row for row in gic.V2_CPU if row.name in ("GICC_ABPR", "GICC_APR")]
    offsets = [at for row in rows for at in gic.words(row, IRQS)]
    for vcpu_id in V2_IDS[2:]:
        whose = gic.whose(2, vcpu_id)
        lines += [f"mmap v{vcpu_id} 0x1000 0 -> run{vcpu_id}", IMMEDIATE_EXIT.format(vcpu_id)]
        for value in (0, 1, 2, 3, 4, 7, 0x1F, 0x21B, gic.PATTERN, gic.ONES):
            lines += [put(CPU, whose | at, value) for at in offsets]
            lines += [f"ioctl v{vcpu_id} KVM_RUN 0"]
            lines += [get(CPU, whose | at) for at in offsets]
    return lines + _guest_run(V2_IDS[2], offsets)


WFI_LOOP = "0xd503207f 0x17ffffff"  # wfi; b . - 4
FIQEN, ACKCTL = 8, 4


def _guest_run(vcpu_id: int, offsets: Iterable[int]) -> list[str]:
    """The same where a guest is entered; and where its vCPU is stopped.

    FIQEn is always 1 and AckCtl 0 in QEMU's GICv3, which has no GICv2 compatibility, once a guest
    is entered: so they are here.
    """
    whose, offsets = gic.whose(2, vcpu_id), tuple(offsets)
    lines = ["", "# through a guest", "buffer mem 0x1000", f"poke mem+0 [ u32 {WFI_LOOP} ]"]
    lines += ["ioctl vm KVM_SET_USER_MEMORY_REGION [ u32 0 0 u64 0 0x1000 &mem ]"]
    lines += [f"poke run{vcpu_id}+1 [ u8 0 ]"]
    for state in ("STOPPED", "RUNNABLE"):
        lines.append(f"ioctl v{vcpu_id} KVM_SET_MP_STATE [ u32 KVM_MP_STATE_{state} ]")
        for value in (0, 3, gic.PATTERN, gic.ONES):
            lines += [put(CPU, whose | at, value) for at in offsets if at]
            lines += [put(CPU, whose, value & ~ACKCTL | FIQEN)]
            lines += ["alarm 20", f"ioctl v{vcpu_id} KVM_RUN 0"]
            lines += [get(CPU, whose | at) for at in offsets]
    return lines
