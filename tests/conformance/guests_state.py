# SPDX-License-Identifier: MIT
"""Scripts: groups, levels and edges, and what a guest writes about interrupts it has already.

Part of the tests.
"""

from __future__ import annotations

from collections.abc import Iterable

from conformance.guests import (
    DIST,
    ICACTIVER,
    ICENABLER,
    ICFGR,
    ICPENDR,
    IGROUPR,
    ISACTIVER,
    ISENABLER,
    ISPENDR,
    Machine,
)

SPI_LINE = 0x1000000


def line(intid: int, level: int) -> str:
    """User space moves an SPI's line."""
    return f"ioctl vm KVM_IRQ_LINE [ u32 {SPI_LINE | intid:#x} {level} ]"


def ppi_line(intid: int, level: int, vcpu: int = 0) -> str:
    """And a PPI's."""
    return f"ioctl vm KVM_IRQ_LINE [ u32 {0x2000000 | vcpu << 16 | intid:#x} {level} ]"


def edge(m: Machine, intids: Iterable[int]) -> list[str]:
    """Edge-triggered: a store for 16 of them."""
    words: dict[int, int] = {}
    for intid in intids:
        address, shift = m.frame(ICFGR, intid, bits=2)
        words[address] = words.get(address, 0) | 2 << shift
    return [f"store {address:#x} 4 {word:#x}" for address, word in words.items()]


def groups_v3() -> list[str]:
    """Group 0 is an FIQ; each group is acknowledged by its own register, and can be off."""
    m = Machine(3)
    c = m.cpuif
    zero, one = (32, 34, 36), (33, 35, 37)
    irqs = (*zero, *one)
    lines = m.head(
        "Two groups: which line each raises, what IAR0 and IAR1 say when the other one is due, "
        "groups that are off, one binary point for both (CBPR)."
    )
    priorities = {32: 0xA0, 33: 0x90, 34: 0x80, 35: 0x80, 36: 0x20, 37: 0x30}
    lines.append(m.guest(*m.start(one), *m.priorities(priorities), *m.set_bits(ISENABLER, irqs)))
    look = ["lines", c.highest(0), c.highest(1)]
    for pending in ((32,), (33,), (32, 33), (34, 35), (36, 37), irqs):
        lines.append(f"# {pending}")
        ops = [*m.set_bits(ISPENDR, pending), *look]
        for number in range(len(pending)):
            for group in (1, 0):
                name = f"a{group}_{number}"
                ops += [c.ack(name, group), c.running(), *c.active_priorities()]
                ops += [c.eoi(f"${name}", group), *look]
        lines += [m.guest(*ops), *m.see_state(irqs)]
    lines.append("# ended by the other group's register")
    for irq, wrong, right in ((32, 1, 0), (33, 0, 1)):
        ops = [*m.set_bits(ISPENDR, [irq]), c.ack("a", right), c.eoi("$a", wrong), c.running()]
        ops += [*c.active_priorities(), c.eoi("$a", right), c.running(), *c.active_priorities()]
        lines += [m.guest(*ops), *m.see_state(irqs)]
    lines.append("# nested: a group 0 interrupt in one of group 1, and the other way round")
    for outer, inner in ((33, 34), (32, 35)):
        outer_group, inner_group = outer % 2, inner % 2
        ops = [*m.set_bits(ISPENDR, [outer]), c.ack("o", outer_group), c.running()]
        ops += [*m.set_bits(ISPENDR, [inner]), *look, c.ack("i", inner_group), c.running()]
        ops += [
            *c.active_priorities(),
            c.eoi("$i", inner_group),
            c.running(),
            c.eoi("$o", outer_group),
        ]
        lines += [m.guest(*ops, c.running(), *c.active_priorities()), *m.see_state(irqs)]
    lines.append("# a group that is off")
    for group in (0, 1):
        off, on = (f"write ICC_IGRPEN{group}_EL1 {value}" for value in (0, 1))
        ops = [off, f"read ICC_IGRPEN{group}_EL1", *m.set_bits(ISPENDR, irqs), *look]
        ops += [c.ack("a", group), c.ack("b", 1 - group), c.eoi("$b", 1 - group), *look]
        lines += [m.guest(*ops), *m.see_state(irqs)]
        lines += [m.guest(on, *look, c.ack_all(group=0), c.ack_all(group=1)), *m.see_state(irqs)]
    lines.append("# off in the distributor")
    for value in (0x11, 0x12, 0x10):
        ops = [f"store {DIST:#x} 4 {value:#x}", *m.set_bits(ISPENDR, irqs), *look]
        lines += [m.guest(*ops), *m.see_state(irqs)]
        lines.append(m.guest(*look, c.ack(group=0), c.ack(group=1), c.running()))
        lines += m.clear(irqs)
    lines.append(m.guest(f"store {DIST:#x} 4 0x13", *look, c.ack_all(group=0), c.ack_all(group=1)))
    lines.append("# one binary point for both")
    for points in ((3, 5), (5, 3), (6, 0), (0, 7)):
        for cbpr in (0, 1):
            ops = [f"write ICC_CTLR_EL1 {cbpr}", c.binary_point(points[0], 0)]
            ops += [c.binary_point(points[1], 1), *c.binary_points(), "read ICC_CTLR_EL1"]
            ops += [*m.set_bits(ISPENDR, [32]), c.ack("a", 0), *m.set_bits(ISPENDR, [33]), "lines"]
            ops += [c.ack("b", 1), *m.set_bits(ISPENDR, [37]), "lines", c.ack("c", 1), c.running()]
            ops += [*c.active_priorities(), c.eoi("$c"), c.eoi("$b"), c.eoi("$a", 0), c.running()]
            lines += [m.guest(*ops), *m.see_state(irqs), *m.clear(irqs)]
    return lines


def groups_v2() -> list[str]:
    """GICC_CTLR: EnableGrp0, EnableGrp1, AckCtl, FIQEn, CBPR."""
    m = Machine(2)
    c = m.cpuif
    zero, one = (32, 34), (33, 35)
    irqs = (*zero, *one)
    lines = m.head(
        "Two groups on a GICv2: which line each raises (FIQEn), what IAR and HPPIR say of group 1 "
        "with and without AckCtl, groups that are off, one binary point for both (CBPR)."
    )
    priorities = {32: 0xA0, 33: 0x90, 34: 0x80, 35: 0x80}
    setup = [*m.start(), *m.set_bits(IGROUPR, one), *m.load_bits(IGROUPR, 32, 63)]
    lines.append(m.guest(*setup, *m.priorities(priorities), *m.set_bits(ISENABLER, irqs)))
    for control in range(16):
        lines.append(f"# GICC_CTLR {control:#x}")
        for pending in ((32,), (33,), irqs):
            # QEMU tells of one that is pending in a group that is off
            on = {control >> intid % 2 & 1 for intid in pending}
            if 0 in on and control & 3:
                continue
            ops = [*c.control(v2=control), *m.set_bits(ISPENDR, pending), "lines", c.highest()]
            ops += [c.ack("a"), c.running(), *c.active_priorities()]
            lines += [m.guest(*ops), *m.see_state(irqs), *m.clear(irqs)]
            ops = [*m.set_bits(ISPENDR, pending), c.ack("a"), c.eoi("$a"), c.running(), "lines"]
            lines += [m.guest(*ops), *m.see_state(irqs), *m.clear(irqs)]
    lines.append("# one binary point for both")
    for points in ((3, 5), (5, 3), (6, 4)):
        for cbpr in (False, True):
            ops = [*c.control(v2=7, cbpr=cbpr), c.binary_point(points[0], 0)]
            ops += [c.binary_point(points[1], 1), *c.binary_points()]
            ops += [*m.set_bits(ISPENDR, [33]), c.ack("a"), *m.set_bits(ISPENDR, [35]), "lines"]
            ops += [c.ack("b"), c.running(), *c.active_priorities(), c.eoi("$b"), c.running()]
            lines += [m.guest(*ops, c.eoi("$a"), c.running()), *m.see_state(irqs), *m.clear(irqs)]
    return lines


def _line_moves(m: Machine, irq: int, kind: str, look: list[str], see: list[str]) -> list[str]:
    """One interrupt's line, at every stage."""
    c, lines = m.cpuif, []
    lines.append(f"# {kind}: up, acknowledged, ended, down")
    lines += [line(irq, 1), *see, m.guest(*look, c.ack("a"), *look), *see]
    lines += [
        m.guest(c.eoi(irq), *look),
        *see,
        m.guest(c.ack("a"), c.eoi("$a"), *look),
        *see,
    ]
    lines += [line(irq, 0), *see, m.guest(*look, c.ack("a"), c.eoi("$a"), *look), *see]
    lines.append(f"# {kind}: up and down before it is acknowledged, within one run and not")
    lines += [
        line(irq, 1),
        m.guest("lines"),
        line(irq, 0),
        *see,
        m.guest(*look, c.ack("a")),
        *see,
    ]
    lines += [m.guest(c.eoi(irq), *look), *see]
    lines.append(f"# {kind}: down while active, ended")
    lines += [
        line(irq, 1),
        m.guest(c.ack("a")),
        line(irq, 0),
        *see,
        m.guest(c.eoi(irq), *look),
    ]
    lines += [*see, m.guest(c.ack())]
    lines.append(f"# {kind}: down and up while active: again")
    lines += [line(irq, 1), m.guest(c.ack("a")), line(irq, 0), *see, line(irq, 1), *see]
    lines += [m.guest(*look, c.ack()), *see, m.guest(c.eoi(irq), *look, c.ack("b")), *see]
    lines += [line(irq, 0), m.guest(c.eoi(irq), *look, c.ack()), *see]
    lines.append(f"# {kind}: up all the time, acknowledged three times in one run")
    again = [c.ack("a"), c.eoi("$a")]
    # the end of one lets the hypervisor send the next, but not before it is told
    again = ["wfi", *again] if kind == "level" else again
    lines += [line(irq, 1), m.guest(*again * 3), *see, line(irq, 0), m.guest(*look), *see]
    lines.append(f"# {kind}: a latch, set by the guest; cleared by it; with the line up")
    lines += [m.guest(*m.set_bits(ISPENDR, [irq]), *look, c.ack("a"), *look, c.eoi("$a"), *look)]
    lines += [*see, m.guest(*m.set_bits(ISPENDR, [irq]), *m.set_bits(ICPENDR, [irq]), *look)]
    lines += [*see, line(irq, 1), m.guest(*m.set_bits(ICPENDR, [irq]), *look, c.ack("a"))]
    lines += [*see, m.guest(c.eoi(irq), *look), *see, line(irq, 0)]
    lines += [m.guest(*look, c.ack_all(times=3)), *see]
    lines.append(f"# {kind}: both, and then the line goes down")
    lines += [line(irq, 1), m.guest(*m.set_bits(ISPENDR, [irq]), *look), line(irq, 0), *see]
    lines += [m.guest(*look, c.ack_all(times=3), *look), *see]
    lines.append(f"# {kind}: pending and active, and cleared")
    lines += [m.guest(*m.set_bits(ISPENDR, [irq]), c.ack("a"), *m.set_bits(ISPENDR, [irq]), *look)]
    lines += [*see, m.guest(*look, *m.set_bits(ICPENDR, [irq]), *look), *see]
    lines += [m.guest(c.eoi(irq), *look, c.ack()), *see]
    lines.append(f"# {kind}: disabled while its line is up, and enabled")
    lines += [line(irq, 1), m.guest(*m.set_bits(ICENABLER, [irq]), *look, c.ack()), *see]
    lines += [m.guest(*m.set_bits(ISENABLER, [irq]), *look, c.ack("a"), c.eoi("$a"))]
    lines += [line(irq, 0), m.guest(c.ack_all(times=2)), *see]
    return lines


def levels(version: int) -> list[str]:
    """Lines that rise and fall, seen by the guest at every stage of an interrupt."""
    m = Machine(version)
    c = m.cpuif
    irqs = (32, 33, 34)
    lines = m.head(
        "Level- and edge-triggered interrupts: lines that rise and fall before, while and after "
        "the guest has the interrupt; latches; the guest's configuration."
    )
    setup = [*m.start((*irqs, 20, 21)), *edge(m, (33,)), *m.set_bits(ISENABLER, (*irqs, 20, 21))]
    lines.append(m.guest(*setup, *m.load_bits(ICFGR // 2, 32, 33)))
    look = ["lines", *m.load_bits(ISPENDR, 32, 63), *m.load_bits(ISACTIVER, 32, 63)]

    see = m.see_state((32,))
    for irq, kind in ((32, "level"), (33, "edge")):
        lines += _line_moves(m, irq, kind, look, see)
    lines.append("# the configuration changes under a pending interrupt")
    config = m.frame(ICFGR, 34, bits=2)[0]
    for before, after in ((0x8, 0x28), (0x28, 0x8)):
        word = f"store {config:#x} 4"
        lines += [m.guest(f"{word} {before:#x}"), line(34, 1), m.guest("lines"), *see]
        lines += [m.guest(f"{word} {after:#x}", *look, c.ack("a"), c.eoi("$a"), *look), *see]
        lines += [line(34, 0), m.guest(*look, c.ack_all(times=2)), *see, *m.clear((34,))]
    lines.append("# PPIs: level-triggered")
    seen = m.see_state((20,))
    lines += [ppi_line(20, 1), m.guest("lines", c.ack("a")), *seen, m.guest(c.eoi(20), "lines")]
    lines += [*seen, ppi_line(20, 0), m.guest("lines", c.ack()), *seen]
    lines += [ppi_line(21, 1), m.guest(c.ack("a")), ppi_line(21, 0), ppi_line(21, 1)]
    lines += [m.guest(c.eoi(21), "lines"), *seen, ppi_line(21, 0), m.guest("lines", c.ack())]
    return lines


def writes(version: int) -> list[str]:
    """What a guest writes about interrupts that are in list registers, and what shows at once."""
    m = Machine(version)
    c = m.cpuif
    irqs = tuple(range(32, 40))
    lines = m.head(
        "A guest writes registers of interrupts that it has: pending, active, or both; and what "
        "the CPU interface then gives it."
    )
    # a GICv2's group 1 is on too, for when one is moved there
    setup = [*m.start(irqs), *c.control(v2=3), *edge(m, irqs)]
    lines.append(m.guest(*setup, *m.set_bits(ISENABLER, irqs)))
    look = ["lines", c.highest(), *m.load_bits(ISPENDR, 32, 63), *m.load_bits(ISACTIVER, 32, 63)]
    states = {
        "idle": [],
        "pending": [*m.set_bits(ISPENDR, [33])],
        "active": [*m.set_bits(ISPENDR, [33]), c.ack()],
        "pending and active": [*m.set_bits(ISPENDR, [33]), c.ack(), *m.set_bits(ISPENDR, [33])],
    }
    changes = {
        "ISPENDR": m.set_bits(ISPENDR, [33]),
        "ICPENDR": m.set_bits(ICPENDR, [33]),
        "ISACTIVER": m.set_bits(ISACTIVER, [33]),
        "ICACTIVER": m.set_bits(ICACTIVER, [33]),
        "ICENABLER": m.set_bits(ICENABLER, [33]),
        "IPRIORITYR": m.priorities({33: 0x70}),
        "IGROUPR": [f"store {m.frame(IGROUPR, 33)[0]:#x} 4 {0 if version == 3 else 2}"],
    }
    undo = [*m.set_bits(ISENABLER, [33]), *m.priorities({33: 0x00})]
    group = 0xFF if version == 3 else 0
    undo.append(f"store {m.frame(IGROUPR, 33)[0]:#x} 4 {group:#x}")
    for state, ops in states.items():
        for change, write in changes.items():
            lines.append(f"# {state}; {change}")
            lines.append(m.guest(*ops, *look, *write, *look, c.ack("a"), c.running()))
            lines += m.see_state(irqs)
            lines.append(
                m.guest(*look, c.end_if_running(33), c.running(), *look, c.ack("b"), c.eoi("$b"))
            )
            lines += [*m.see_state(irqs), m.guest(*undo, *look), *m.clear(irqs)]
    lines.append("# a priority that changes decides which comes first, now or never")
    ops = [*m.priorities({32: 0x40, 33: 0x50}), *m.set_bits(ISPENDR, (32, 33)), c.highest()]
    lines.append(m.guest(*ops, *m.priorities({33: 0x30}), c.highest(), c.ack_all(times=3)))
    lines += m.see_state(irqs)
    lines.append("# by user space, between two runs")
    for offset in (ISPENDR, ICPENDR, ISACTIVER, ICACTIVER, ICENABLER):
        for state, ops in states.items():
            lines.append(f"# {state}; {offset:#x}")
            lines += [m.guest(*ops, "lines"), m.put(offset, 32, 2), *m.see_state(irqs)]
            lines.append(
                m.guest(*look, c.ack("a"), c.eoi("$a"), *look, c.end_if_running(33), c.running())
            )
            lines += [*m.see_state(irqs), m.guest(*undo), *m.clear(irqs)]
    return lines
