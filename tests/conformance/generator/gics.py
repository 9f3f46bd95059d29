# SPDX-License-Identifier: MIT
"""Random calls about interrupt controllers: devices, attributes, registers of frames, lines.

Part of the tests.
"""

from __future__ import annotations

from conformance import gic_lines as lines
from conformance.generator.vcpus import begin_pmu
from conformance.generator.writer import Gic, Writer
from conformance.gic_lines import ADDR, CPU, CTRL, DIST, ICC, INIT, IRQS, LEVELS, REDIST, Row

ROWS: dict[int, dict[str, tuple[Row, ...]]] = {
    2: {DIST: lines.V2_DIST, CPU: lines.V2_CPU},
    3: {DIST: lines.V3_DIST, REDIST: lines.V3_REDIST},
}
GROUPS = {
    2: (DIST, DIST, DIST, CPU),
    3: (DIST, DIST, REDIST, REDIST, ICC, LEVELS),
}
COUNTS = (64, 64, 96, 96, 128, 256, 992, 32, 63, 1024)
BASES = (0x8000000, 0x8010000, 0x80A0000, 0x9000000, 0x10000000, 0xFFFFFF0000, 0x1000, 1 << 40)
STATE_WORDS = (0x80, 0x100, 0x200, 0x300)
PMU_INTID = 23
EDGE_AND_LEVEL = (0xAAAAAAAA, 0, 0x88888888)


def create(w: Writer) -> None:
    """A controller; seldom another than the host has, or only the question."""
    vm, name, version = w.vm(), w.new_name("gic"), w.pick((*w.versions * 4, 2, 3))
    if w.one_in(8):
        w.add(f"ioctl {vm} KVM_CREATE_IRQCHIP 0")
        return
    test = w.one_in(8)
    kind = w.pick((lines.TYPE[version], lines.TYPE[version], lines.TYPE[version], "9"))
    created = "" if test else f" -> {name}"
    w.add(f"ioctl {vm} KVM_CREATE_DEVICE [ u32 {kind} 0 {int(test)} ]{created}")
    if not test:
        w.gics.append(Gic(name, vm, version))


def begin(w: Writer) -> None:
    """A controller of the first VM as one sets it up, with its vCPUs' PMUs."""
    version, vm = w.pick(w.versions), w.vms[0]
    gic = Gic(w.new_name("gic"), vm, version)
    w.gics.append(gic)
    w.add(f"ioctl {vm} KVM_CREATE_DEVICE [ u32 {lines.TYPE[version]} 0 0 ] -> {gic.name}")
    w.add(lines.put(IRQS, 0, w.pick((64, 96, 128)), gic.name))
    for line in lines.place(version):
        w.add(line.replace(" gic ", f" {gic.name} "))
    if version == 2 and w.one_in(3):
        return
    w.add(lines.attr("SET", CTRL, INIT, "0", gic.name))
    for vcpu in w.vcpus:
        begin_pmu(w, vcpu, PMU_INTID)
    if not w.one_in(3):
        _enable(w, gic)


def _enable(w: Writer, gic: Gic) -> None:
    """Distributor on, interrupts enabled, priority masks low: what is pending is taken."""
    w.add(lines.put(DIST, 0, 2 if gic.version == 3 else 1, gic.name))
    w.add(lines.put(DIST, 0x104, lines.ONES, gic.name))
    for at in (0xC08, 0xC0C):
        w.add(lines.put(DIST, at, w.pick(EDGE_AND_LEVEL), gic.name))
    for vcpu in w.vcpus:
        who = lines.whose(gic.version, vcpu.number)
        if gic.version == 3:
            w.add(lines.put(REDIST, who | 0x10100, lines.ONES, gic.name))
            w.add(lines.put(ICC, who | 0xC230, 0xF8, gic.name))
        else:
            w.add(lines.put(DIST, who | 0x100, lines.ONES, gic.name))
            w.add(lines.put(CPU, who | 4, 0x1F, gic.name))


def _whose(w: Writer, gic: Gic) -> int:
    """A vCPU's part of an attribute, seldom one that there is not."""
    if w.one_in(10):
        return w.pick((1, 2, 0x101, 0xFF, 0xFFFFFFFF)) << 32
    return lines.whose(gic.version, w.pick(w.vcpus).number) & 0xFFFFFFFF_FFFFFFFF


def _offset(w: Writer, rows: tuple[Row, ...]) -> int:
    """A register's, more often of the first interrupts; seldom of none."""
    if w.one_in(12):
        return w.pick((w.number(0, 0x110), w.number(0, 0x1FFFF), 0xFFFC, 0x10000, 0xFFFFFFFF))
    row = w.pick(rows)
    words = row.bytes // 4
    if row.bits and words > 1 and not w.one_in(6):
        words = min(words, 4 * row.bits)
    return row.offset + 4 * w.number(0, words - 1)


def _register(w: Writer, gic: Gic) -> tuple[str, int]:
    """Group and attribute of a register, seldom of the other version."""
    version = gic.version if not w.one_in(16) else 5 - gic.version
    group, who = w.pick(GROUPS[version]), _whose(w, gic)
    if group == LEVELS:
        return LEVELS, who | w.pick((0, 32, 64, 96, 32, 33, 1 << 10, 992))
    if group == ICC:
        encodings = tuple(lines.V3_ICC.values())
        return ICC, who | (w.number(0, 0xFFFF) if w.one_in(12) else w.pick(encodings))
    return group, who | _offset(w, ROWS[version][group])


def _value(w: Writer, group: str, what: int) -> int:
    """One that the register may take more than zeros from."""
    if group == ICC:
        return w.pick((0, 1, 7, 0xF8, 0xFF, 0x8400, 0x8401, 0x8403, 0x8300, w.word()))
    if group == DIST and what & 0xFFFFFFFF == 8:
        return w.pick((0x4B00243B, 0x4B00343B, 0x4B00043B, 0x4B00143B, 0x4B00443B, 0))
    return w.word() & 0xFFFFFFFF


def register(w: Writer) -> None:
    """A register of a frame: there, read, written, written and read."""
    if not w.gics:
        return
    gic = w.gic()
    group, what = _register(w, gic)
    op = w.pick(("HAS", "GET", "SET", "both", "both", "both", "bad"))
    if op == "bad":
        w.add(lines.attr(w.pick(("GET", "SET")), group, what, "bad", gic.name))
    elif op == "HAS":
        w.add(lines.has(group, what, gic.name))
    if op in ("SET", "both"):
        w.add(lines.put(group, what, _value(w, group, what), gic.name))
    if op in ("GET", "both"):
        w.add(lines.get(group, what, gic.name))


def copy(w: Writer) -> None:
    """A register read from one controller and written to another, or to itself."""
    if not w.gics:
        return
    source, target = w.gic(), w.gic()
    group, what = _register(w, source)
    w.add(lines.attr("GET", group, what, "&value", source.name))
    w.add(lines.attr("SET", group, what, "&value", target.name))


def show(w: Writer) -> None:
    """The state of the first interrupts, as far as it is visible."""
    if not w.gics:
        return
    gic = w.gic()
    for offset in STATE_WORDS:
        w.add(lines.get(DIST, offset + 4, gic.name))
    for vcpu in w.vcpus[:3]:
        who = lines.whose(gic.version, vcpu.number)
        if gic.version == 3:
            w.add(lines.get(REDIST, who | 0x10200, gic.name))
            w.add(lines.get(REDIST, who | 0x10300, gic.name))
            w.add(lines.get(LEVELS, who, gic.name))
        else:
            for offset in (0x200, 0x300, 0xF10):
                w.add(lines.get(DIST, who | offset, gic.name))
    if gic.version == 3:
        w.add(lines.get(LEVELS, 32, gic.name))


def address(w: Writer) -> None:
    """Where a frame is."""
    if not w.gics:
        return
    gic, op = w.gic(), w.pick(("HAS", "GET", "SET", "SET", "SET"))
    kinds = (0, 1) if gic.version == 2 else (2, 3, 5, 5)
    kind = w.pick((*kinds, *kinds, w.number(0, 6)))
    value = w.pick(BASES) + w.pick((0, 0, 0, 0x10000, 0x1000, 0x800))
    if kind == lines.V3_ADDR_REGION:
        value = value & ~0xFFFF | w.number(0, 3) | w.pick((1, 2, 8, 0, 0xFFF)) << 52
        value |= w.pick((0, 0, 0, 0, 1)) << 12
    memory = "bad" if w.one_in(12) else f"[ {value:#x} ]"
    w.add(lines.attr(op, ADDR, kind, memory, gic.name))


def legacy_address(w: Writer) -> None:
    device = w.pick((0, 0, 0, 1)) << 16 | w.pick((0, 1, 0, 1, 2))
    w.add(f"ioctl {w.vm()} KVM_ARM_SET_DEVICE_ADDR [ {device:#x} {w.pick(BASES):#x} ]")


def count(w: Writer) -> None:
    """The number of interrupts."""
    if not w.gics:
        return
    gic = w.gic()
    w.add(lines.put(IRQS, 0, w.pick(COUNTS), gic.name))
    w.add(lines.get(IRQS, 0, gic.name))


def control(w: Writer) -> None:
    if not w.gics:
        return
    gic, what = w.gic(), w.pick((0, 0, 0, 3, 1, 4))
    op = w.pick(("SET", "SET", "SET", "HAS", "GET"))
    w.add(lines.attr(op, CTRL, what, w.pick(("0", "0", "bad")), gic.name))


def odd_attribute(w: Writer) -> None:
    """Groups, attributes and pointers of any kind."""
    if not w.gics:
        return
    group, what = w.number(0, 10), w.word()
    memory = w.pick(("bad", "0", f"[ {w.word():#x} ]"))
    op = w.pick(("HAS", "GET", "SET"))
    w.add(lines.attr(op, group, what, memory, w.gic().name))


def irq_line(w: Writer) -> None:
    """A vCPU's own line, a PPI or an SPI."""
    kind = w.pick((1, 1, 1, 2, 2, 2, 0, 3))
    intid = {
        0: w.number(0, 2), 1: w.number(32, 70), 2: w.number(16, 31), 3: w.number(0, 40),
    }[kind]  # fmt: skip
    if w.one_in(8):
        intid = w.pick((0, 15, 16, 31, 32, 95, 96, 1019, 1020, 8192))
    place = w.pick((0, 0, 0, 0, 1, 1, 2)) if not w.one_in(10) else w.pick((3, 256, 0xFFF))
    w.add(lines.irq_line(kind, place, intid, w.number(0, 1), w.vm()))
