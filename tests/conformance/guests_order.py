# SPDX-License-Identifier: MIT
"""Scripts: in which order a guest is given its interrupts, how they nest, and how they end.

Part of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.guests import ICACTIVER, ICPENDR, ISACTIVER, ISENABLER, ISPENDR, Machine

SPIS = tuple(range(32, 52))
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20)
# Mixed, with equal ones among them; the lowest three bits are not there on these machines.
MIXED = (
    0xA0, 0x80, 0xC0, 0x40, 0x80, 0x20, 0xE0, 0x60, 0x40, 0xA8,
    0x10, 0x88, 0xF0, 0x48, 0x00, 0x78, 0x80, 0xD0, 0x28, 0xF8,
)  # fmt: skip


def _begin(machine: Machine, priorities: tuple[int, ...] = MIXED) -> Iterator[str]:
    yield machine.guest(
        *machine.start(SPIS),
        *machine.priorities(dict(zip(SPIS, priorities, strict=True))),
        *machine.set_bits(ISENABLER, SPIS),
    )


def order(version: int) -> list[str]:
    """1 to 20 pending, of mixed priorities, each ended before the next."""
    m = Machine(version)
    lines = m.head(
        "The order in which a guest acknowledges 1 to 20 interrupts that are pending, of mixed "
        "priorities: more than there are list registers. Each is ended before the next."
    )
    lines += _begin(m)
    for count in COUNTS:
        lines.append(f"# {count}")
        lines.append(m.guest(*m.set_bits(ISPENDR, SPIS[:count]), "lines", m.cpuif.highest(),
                             m.cpuif.ack_all(), "lines"))  # fmt: skip
        lines += m.see_state(SPIS)
    lines.append("# the same from user space, with level-triggered interrupts whose lines stay up")
    for count in (1, 4, 5, 9):
        for intid in SPIS[:count]:
            lines.append(f"ioctl vm KVM_IRQ_LINE [ u32 {0x1000000 | intid:#x} 1 ]")
        lines.append(m.guest("lines", m.cpuif.ack_all(times=count + 2), "lines"))
        lines += m.see_state(SPIS)
        for intid in SPIS[:count]:
            lines.append(f"ioctl vm KVM_IRQ_LINE [ u32 {0x1000000 | intid:#x} 0 ]")
        lines.append(m.guest("lines", m.cpuif.ack("a"), m.cpuif.running()))
        lines += m.see_state(SPIS)
    return lines


# Ever more urgent, by small steps and large ones.
LADDERS = ((0xF0, 0xE8, 0xD8, 0xC0), (0xF0, 0x90, 0x88, 0x08), (0x10, 0x08, 0x00, 0x00))
LONG_LADDER = (0xF8, 0xF0, 0xE0, 0xD8, 0xC0, 0xA0, 0x80, 0x40, 0x08, 0x00)


def _climb(m: Machine, ladder: tuple[int, ...], *, look: bool) -> list[str]:
    """They arrive one after another, and each is acknowledged if it preempts."""
    ops = []
    for number, irq in enumerate(SPIS[: len(ladder)]):
        ops += [*m.set_bits(ISPENDR, [irq]), "lines", m.cpuif.ack(f"i{number}"), m.cpuif.running()]
        ops += m.cpuif.active_priorities() if look else []
    return ops


def preemption(version: int) -> list[str]:
    """Ever more urgent interrupts arrive while others run, for each binary point."""
    m = Machine(version)
    c = m.cpuif
    group = 1 if version == 3 else 0
    irqs = SPIS[: len(LONG_LADDER)]
    lines = m.head(
        "Ever more urgent interrupts arrive while others run, for each binary point: which "
        "preempt, the running priority, the active priorities. They end in the order that is due."
    )
    lines.append(m.guest(*m.start(irqs), *m.set_bits(ISENABLER, irqs)))
    for number, ladder in enumerate(LADDERS):
        lines.append(m.guest(*m.priorities(dict(zip(irqs, ladder, strict=False)))))
        for point in range(8):
            lines.append(f"# ladder {number}, binary point {point}")
            point_ops = [c.binary_point(point, group), c.binary_points()[group]]
            climb = _climb(m, ladder, look=not number)
            ends = []
            for name in ("i3", "i2", "i1", "i0"):
                ends += [c.eoi(f"${name}"), c.running(), c.highest()]
            lines.append(m.guest(*point_ops, *climb))
            lines += [*m.see_state(irqs), *m.clear(irqs)]
            # what could not preempt runs when the others have ended
            lines += [m.guest(*climb, *ends, c.ack_all(times=4)), *m.see_state(irqs)]
            lines += m.clear(irqs)
    lines += ["# more than list registers: what is active keeps them"]
    lines.append(m.guest(*m.priorities(dict(zip(irqs, LONG_LADDER, strict=True)))))
    lines.append(m.guest(c.binary_point(0, group), *_climb(m, LONG_LADDER, look=True)))
    lines += m.see_state(irqs)
    for irq in (36, 35, 34, 33):
        lines += [m.guest(c.eoi(irq), "lines", c.highest(), c.ack(), c.running())]
        lines += m.see_state(irqs)
    return lines


def masks(version: int) -> list[str]:
    """Priority masks, and one that changes while interrupts wait in list registers."""
    m = Machine(version)
    c = m.cpuif
    irqs = SPIS[:6]
    lines = m.head("Priority masks: what they let through, and what becomes of the rest.")
    lines.append(
        m.guest(
            *m.start(irqs),
            *m.priorities(dict(zip(irqs, (0x00, 0x08, 0x50, 0x80, 0xF0, 0xF8), strict=True))),
            *m.set_bits(ISENABLER, irqs),
        )
    )
    for mask in (0x00, 0x01, 0x07, 0x08, 0x0C, 0x10, 0x50, 0x58, 0x80, 0xF0, 0xF7, 0xF8, 0xFF):
        ops = [c.mask(mask), c.read_mask(), *m.set_bits(ISPENDR, irqs), "lines", c.highest()]
        lines += [f"# {mask:#x}", m.guest(*ops, c.ack_all(), "lines"), *m.see_state(irqs)]
        lines.append(m.guest(*m.set_bits(ICPENDR, irqs), "lines"))
    lines.append("# while they wait")
    ops = [c.mask(0), *m.set_bits(ISPENDR, irqs), "lines"]
    for mask in (0x08, 0x10, 0x60, 0x00, 0xFF):
        ops += [c.mask(mask), "lines", c.highest(), c.ack("a"), c.running(), c.eoi("$a")]
    lines += [m.guest(*ops, c.ack_all(), "lines"), *m.see_state(irqs)]
    lines.append("# user space changes it between two runs")
    lines.append(m.guest(*m.set_bits(ISPENDR, irqs), "lines"))
    for mask in (0x00, 0x50, 0xF8):
        lines += [
            m.set_cpuif("PMR", mask if version == 3 else mask >> 3),
            m.guest("lines", c.read_mask(), c.ack("a"), c.eoi("$a")),
        ]
    return [*lines, m.guest(c.ack_all(), "lines"), *m.see_state(irqs)]


def eoi_mode(version: int) -> list[str]:
    """Priority drop and deactivation apart."""
    m = Machine(version)
    c = m.cpuif
    irqs = SPIS[:8]
    lines = m.head(
        "EOImode 1: the end of an interrupt drops its priority, and a write to DIR deactivates it, "
        "in any order, for more interrupts than there are list registers."
    )
    setup = [*m.start(irqs), *c.control(eoi_mode=True)]
    lines.append(m.guest(*setup, *m.set_bits(ISENABLER, irqs)))
    drop = [c.ack("a"), c.running(), c.eoi("$a"), c.running(), *c.active_priorities(), "lines"]
    for count in (1, 2, 3, 4):
        used = irqs[:count]
        lines += [f"# {count}: all dropped, then deactivated from the last to the first"]
        lines.append(m.guest(*m.set_bits(ISPENDR, used), *drop * count))
        lines += m.see_state(used)
        for irq in reversed(used):
            lines += [m.guest(c.deactivate(irq), "lines", c.ack()), *m.see_state(used)]
    lines.append(
        "# the same within one run, from the first to the last; then again what is not active"
    )
    lines.append(
        m.guest(*m.set_bits(ISPENDR, irqs[:4]), *drop * 4, *(c.deactivate(irq) for irq in irqs[:4]))
    )
    lines += [*m.see_state(irqs), m.guest(*(c.deactivate(irq) for irq in irqs[:2]), "lines")]
    lines += [*m.see_state(irqs), "# deactivated before its priority is dropped"]
    ops = [*m.set_bits(ISPENDR, irqs[:1]), c.ack("a"), c.deactivate("$a"), c.running()]
    lines += [m.guest(*ops, *c.active_priorities()), *m.see_state(irqs)]
    ops = [
        *m.set_bits(ISPENDR, irqs[:1]),
        "lines",
        c.ack("b"),
        c.eoi(irqs[0]),
        c.running(),
        c.ack(),
    ]
    lines += [m.guest(*ops), *m.see_state(irqs)]
    lines.append("# it comes again while active: pending and active")
    lines.append(m.guest(*m.set_bits(ISPENDR, irqs[:1]), "lines", c.ack("a"), c.running()))
    lines += [*m.see_state(irqs), m.guest(c.deactivate(irqs[0]), "lines", c.ack_all(eoi=False))]
    lines += [*m.see_state(irqs), m.guest(c.eoi(irqs[0]), c.deactivate(irqs[0]), "lines")]
    lines += m.see_state(irqs)
    for count in (5, 6, 8):
        used = irqs[:count]
        lines.append(f"# {count} active at once: more than list registers")
        lines.append(m.guest(*m.set_bits(ISPENDR, used), *drop * (count + 1)))
        lines += m.see_state(used)
        lines += [m.guest(*drop * 2), *m.see_state(used)]
        for irq in used:
            lines += [m.guest(c.deactivate(irq), "lines", *drop[:3]), *m.see_state(used)]
        lines.append("# and what is left over")
        lines.append(m.guest(*m.set_bits(ICACTIVER, used), *m.set_bits(ICPENDR, used), "lines"))
        lines += [m.guest(c.ack(), c.running(), *c.active_priorities()), *m.see_state(used)]
    lines.append("# EOImode 0: DIR does nothing")
    lines.append(
        m.guest(*c.control(), *m.set_bits(ISPENDR, irqs[:1]), c.ack(), c.deactivate(irqs[0]))
    )
    lines += [*m.see_state(irqs), m.guest(c.eoi(irqs[0]), "lines"), *m.see_state(irqs)]
    if version == 3:
        lines.append("# the mode changes while one is active: dropped in mode 1, ended in mode 0")
        ops = [*c.control(eoi_mode=True), *m.set_bits(ISPENDR, irqs[:1]), c.ack(), c.eoi(irqs[0])]
        ops += [*c.control(), c.eoi(irqs[0]), c.running(), c.deactivate(irqs[0])]
        lines += [m.guest(*ops), *m.see_state(irqs)]
    return lines


def ends(version: int) -> list[str]:
    """Ends of what is not there: not active, not in a list register, not the right one."""
    m = Machine(version)
    c = m.cpuif
    irqs = SPIS[:8]
    lines = m.head(
        "Ends of interrupts: not in the order that is due, twice, of one that is not active, not "
        "there, or not in a list register, which is counted (EOIcount)."
    )
    lines.append(
        m.guest(
            *m.start(irqs),
            *m.priorities({irq: 0x80 - 0x10 * n for n, irq in enumerate(irqs)}),
            *m.set_bits(ISENABLER, irqs),
        )
    )
    after = [c.running(), *c.active_priorities(), "lines"]

    def nested(count: int) -> list[str]:
        ops = []
        for irq in irqs[:count]:
            ops += [*m.set_bits(ISPENDR, [irq]), c.ack()]
        return ops

    if version == 3:  # a GICv2 leaves open what becomes of an end where none is due
        lines += ["# one, twice", m.guest(*nested(1), *after, c.eoi(32), *after, c.eoi(32), *after)]
        lines += [*m.see_state(irqs), "# nothing active; special numbers; nobody's"]
        lines += [m.guest(c.eoi(n), *after) for n in (33, 1023, 1022, 1020, 1019, 500, 96, 0)]
        lines += [*m.see_state(irqs), "# special numbers, another one, while one is active"]
        ops = nested(1)
        for intid in (1023, 1020, 40):
            ops += [c.eoi(intid), *after]
        lines += [m.guest(*ops), *m.see_state(irqs)]
        lines += [m.guest(*nested(1), c.eoi(32), c.eoi(32), *after), *m.see_state(irqs)]
        lines += m.clear(irqs)
    lines.append("# three, the outermost first")
    ops = nested(3)
    for irq in irqs[:3]:
        ops += [c.eoi(irq), *after]
    lines += [m.guest(*ops), *m.see_state(irqs)]
    for count in (4, 5, 6, 8):
        lines.append(f"# {count} nested; user space looks in between; ended as due")
        lines += [m.guest(*nested(count), *after), *m.see_state(irqs)]
        lines.append(m.guest("lines", c.ack(), *after))
        ops = []
        for irq in reversed(irqs[:count]):
            ops += [c.end_if_running(irq), *after]
        lines += [m.guest(*ops), *m.see_state(irqs)]
        lines.append(m.guest("lines", c.ack_all(), *m.load_bits(ISACTIVER, 32, 63)))
        lines.append(m.guest(*m.set_bits(ICACTIVER, irqs), *m.set_bits(ICPENDR, irqs)))
        lines += m.see_state(irqs)
    lines.append("# made inactive in the distributor, then ended")
    lines.append(m.guest(*nested(2), *m.set_bits(ICACTIVER, [33]), *after))
    lines += [*m.see_state(irqs), m.guest(c.eoi(33), *after, c.eoi(32), *after)]
    lines += m.see_state(irqs)
    lines.append("# made active in the distributor: nothing to end, until it is")
    lines.append(m.guest(*m.set_bits(ISACTIVER, [34]), *after, *m.load_bits(ISACTIVER, 32, 63)))
    lines += [
        *m.see_state(irqs),
        m.guest(*m.set_bits(ISPENDR, [34]), "lines", c.ack(), c.end_if_running(34)),
    ]
    lines += [*m.see_state(irqs), m.guest("lines", c.ack_all(), *after), *m.see_state(irqs)]
    return lines
