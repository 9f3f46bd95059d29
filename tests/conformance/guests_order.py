# SPDX-License-Identifier: MIT
"""Scripts: in which order a guest is given its interrupts, how they nest, and how they end.

Part of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.guests import (
    ISENABLER,
    ISPENDR,
    Machine,
)

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
