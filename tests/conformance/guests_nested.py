# SPDX-License-Identifier: MIT
"""Scripts: more active interrupts than list registers, and two groups at once.

Part of the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from conformance.guests import DIST, ICACTIVER, ISACTIVER, ISENABLER, ISPENDR, Machine
from conformance.guests_order import COUNTS, MIXED, SPIS

# Ever more urgent; all of their own group priority at the least binary point.
RISING = {irq: 0xF0 - 8 * n for n, irq in enumerate(SPIS)}


def _order(count: int, name: str) -> list[int]:
    """In which order interrupts that are nested so deep end."""
    irqs = list(SPIS[:count])
    if name == "due":
        return irqs[::-1]
    if name == "outermost first":
        return irqs
    return sorted(irqs, key=lambda irq: irq * 7 % 23)


def _nest(m: Machine, count: int) -> list[str]:
    """They arrive one by one; those that get a list register are acknowledged."""
    ops = []
    for irq in SPIS[:count]:
        ops += [*m.set_bits(ISPENDR, [irq]), "lines", m.cpuif.ack(), m.cpuif.running()]
    return ops


def _activate(m: Machine, count: int) -> list[str]:
    """All active, with their priorities, as user space leaves them that moves a VM to here."""
    lines = [m.put(ISACTIVER, 32, (1 << count) - 1)]
    bits = sum(1 << (RISING[irq] >> 3) for irq in SPIS[:count])
    return [*lines, m.set_cpuif("AP1R0" if m.version == 3 else "APR", bits)]


def _ends(m: Machine, count: int, order: str, see: list[str]) -> Iterator[str]:
    """Each end, and what is left; within one run and with user space looking in between."""
    c = m.cpuif
    look = ["lines", c.highest(), c.running(), *c.active_priorities()]
    yield m.guest(*look, c.ack(), *m.load_bits(ISACTIVER, 32, 63))
    for irq in _order(count, order):
        yield m.guest(c.end_if_running(irq), *look, *m.load_bits(ISACTIVER, 32, 63))
        yield from see
    yield from m.clear(SPIS[:count])
    yield from _activate(m, count)
    ops = []
    for irq in _order(count, order):
        ops += [c.end_if_running(irq), c.running(), *c.active_priorities()]
    yield m.guest(*ops, *look, *m.load_bits(ISACTIVER, 32, 63))
    yield from see
    yield from m.clear(SPIS[:count])


def _deactivations(m: Machine, count: int, order: str, see: list[str]) -> Iterator[str]:
    """EOImode 1: all dropped, then deactivated."""
    c = m.cpuif
    drops = []
    for irq in _order(count, "due"):
        drops += [c.eoi(irq), c.running(), *c.active_priorities()]
    yield m.guest(*drops, "lines", c.ack(), *m.load_bits(ISACTIVER, 32, 63))
    yield from see
    for irq in _order(count, order):
        yield m.guest(c.deactivate(irq), "lines", *m.load_bits(ISACTIVER, 32, 63))
        yield from see
    yield from m.clear(SPIS[:count])
    yield from _activate(m, count)
    ops = []
    for irq in _order(count, order):
        # A GICv2's maintenance interrupt comes some time after the store: it is left instead.
        ops += [c.deactivate(irq), *([] if m.version == 3 else [f"load {DIST + 8:#x} 4"])]
    yield m.guest(*ops, c.running(), *m.load_bits(ISACTIVER, 32, 63))
    yield from see
    yield from m.clear(SPIS[:count])


def actives(version: int) -> list[str]:
    """5 to 20 active at once, where there are four list registers."""
    m = Machine(version)
    c = m.cpuif
    lines = m.head(
        "More active interrupts than list registers: the ones that arrive then, which are not "
        "given; and up to 20 that user space made active. Ends and deactivations of those that are "
        "in a list register, and of others, which are counted (EOIcount) and stay active."
    )
    lines.append(m.guest(*m.start(SPIS), *m.priorities(RISING), *m.set_bits(ISENABLER, SPIS)))
    # A GICv2 leaves open what an end does that is not due.
    orders = ("due", "outermost first", "mixed") if version == 3 else ("due",)
    for count in (5, 6, 8, 13, 20):
        see = m.see_state(SPIS[:count])
        lines += [f"# {count} arrive", m.guest(*_nest(m, count)), *see]
        lines += [m.guest(*(c.end_if_running(irq) for irq in SPIS[3::-1]), "lines"), *see]
        lines += [m.guest(c.ack_all(), "lines"), *see, *m.clear(SPIS)]
        for order in orders:
            lines += [f"# {count}, ends: {order}", *_activate(m, count)]
            lines += _ends(m, count, order, see)
    lines.append(m.guest(*c.control(eoi_mode=True)))
    for count in (5, 6, 8, 13, 20):
        see = m.see_state(SPIS[:count])
        for order in ("due", "outermost first", "mixed"):
            lines += [f"# EOImode 1, {count}, deactivations: {order}", *_activate(m, count)]
            lines += _deactivations(m, count, order, see)
    lines.append("# pending and active, more than list registers")
    used = SPIS[:7]
    see = m.see_state(used)
    lines += [m.guest(*m.set_bits(ISACTIVER, used), *m.set_bits(ISPENDR, used), "lines"), *see]
    for irq in (34, 38, 32, 36):
        lines += [m.guest(c.deactivate(irq), "lines", c.ack(), c.running()), *see]
    ops = [*m.set_bits(ICACTIVER, used), "lines"]
    return [*lines, m.guest(*ops), *see, m.guest(c.ack_all(), "lines"), *see]


# ---- two groups ----


def _group0(count: int) -> list[int]:
    """Which are in group 0: in no step with the priorities."""
    return [irq for n, irq in enumerate(SPIS[:count]) if n % 3 == 0 or n % 7 == 4]


def _take_both(m: Machine, *, load: bool) -> list[str]:
    """One of group 0 and then one of group 1, if it preempts; they end the other way round."""
    c = m.cpuif
    levels = [c.running(), *c.active_priorities()]
    ops = ["lines", c.highest(0), c.highest(1), c.ack("a", 0), *levels, c.ack("b", 1), *levels]
    if load:
        ops += [*m.load_bits(ISPENDR, 32, 63), *m.load_bits(ISACTIVER, 32, 63)]
    return [*ops, c.eoi("$b", 1), *levels, c.eoi("$a", 0), *levels]


# Binary points of group 0 and group 1, and whether the first holds for both.
POINTS = ((0, 0, False), (4, 5, False), (3, 7, False), (6, 2, False), (0, 7, True), (5, 0, True))


def mixed_v3() -> list[str]:
    """1 to 20 pending, of mixed priorities and groups: group 0 as FIQ, group 1 as IRQ."""
    m = Machine(3)
    c = m.cpuif
    lines = m.head(
        "1 to 20 interrupts are pending, of mixed priorities and groups: which line is up, which "
        "group's register gives what, what of one group preempts the other, for several binary "
        "points of each and one for both. Active priorities, pending and active bits at each step."
    )
    one = [irq for irq in SPIS if irq not in _group0(len(SPIS))]
    priorities = dict(zip(SPIS, MIXED, strict=True))
    lines.append(m.guest(*m.start(one), *m.priorities(priorities), *m.set_bits(ISENABLER, SPIS)))
    for bpr0, bpr1, cbpr in POINTS:
        ops = [*c.control(cbpr=cbpr), c.binary_point(bpr0, 0), c.binary_point(bpr1, 1)]
        lines += [f"# binary points {bpr0}, {bpr1}; CBPR {cbpr:d}"]
        lines.append(m.guest(*ops, *c.binary_points()))
        for count in COUNTS:
            times, used = min(count + 1, 15), SPIS[:count]
            for load in (False, True):
                body = "; ".join(_take_both(m, load=load))
                lines.append(m.guest(*m.set_bits(ISPENDR, used), f"repeat {times} [ {body} ]"))
                lines += m.see_state(used)
            lines.append(m.guest(c.ack_all(group=0), c.ack_all(group=1)))
            lines += [*m.see_state(used), *m.clear(used)]
        lines += [f"# {bpr0}, {bpr1}, {cbpr:d}: step by step", *_steps_v3(m, 9)]
    return lines


def _steps_v3(m: Machine, count: int) -> list[str]:
    """As the lines say, one operation a run; all nested as deep as it goes, then ended."""
    c = m.cpuif
    used = SPIS[:count]
    lines = [m.guest(*m.set_bits(ISPENDR, used), "lines"), *m.see_state(used)]
    for _ in range(3):
        for group in (1, 0, 0, 1):
            lines.append(m.guest("lines", c.highest(0), c.highest(1), c.ack("", group), "lines"))
            lines += m.see_state(used)
    for irq in sorted(used, key=lambda irq: MIXED[irq - 32]):
        lines.append(m.guest(c.eoi(irq, int(irq not in _group0(count))), "lines", c.running()))
        lines += m.see_state(used)
    return [*lines, m.guest(c.ack_all(group=0), c.ack_all(group=1), "lines"), *m.clear(used)]


def _arrive_v3(m: Machine, groups: Iterable[int], ladder: Iterable[int]) -> list[str]:
    """Ever more urgent ones arrive, of these groups; each is tried by both registers."""
    c = m.cpuif
    groups, ladder = list(groups), list(ladder)
    irqs = SPIS[: len(groups)]
    word = sum(group << n for n, group in enumerate(groups))
    setup = [f"store {m.frame(0x80, 32)[0]:#x} 4 {word:#x}"]
    ops = [*setup, *m.priorities(dict(zip(irqs, ladder, strict=True)))]
    for irq, group in zip(irqs, groups, strict=True):
        ops += [*m.set_bits(ISPENDR, [irq]), "lines", c.highest(0), c.highest(1)]
        ops += [c.ack("", 1 - group), c.ack("", group), c.running(), *c.active_priorities()]
    return ops


def preempting_v3() -> list[str]:
    """Groups preempt each other."""
    m = Machine(3)
    c = m.cpuif
    lines = m.head(
        "Ever more urgent interrupts arrive, of both groups: which preempts which, for several "
        "binary points and CBPR; ended by the register of their group, in the order that is due."
    )
    lines.append(m.guest(*m.start(), *m.set_bits(ISENABLER, SPIS)))
    ladders = ((0xF0, 0xC8, 0xC0, 0x80, 0x38, 0x30), (0x88, 0x80, 0x78, 0x40, 0x08, 0x00))
    patterns = ((1, 0, 1, 0, 1, 0), (0, 1, 1, 0, 0, 1), (0, 0, 1, 1, 0, 1), (1, 1, 0, 1, 0, 0))
    for bpr0, bpr1, cbpr in POINTS:
        ops = [*c.control(cbpr=cbpr), c.binary_point(bpr0, 0), c.binary_point(bpr1, 1)]
        lines += [f"# binary points {bpr0}, {bpr1}; CBPR {cbpr:d}", m.guest(*ops)]
        for ladder in ladders:
            for groups in patterns:
                used = SPIS[: len(groups)]
                lines += [m.guest(*_arrive_v3(m, groups, ladder)), *m.see_state(used)]
                ops = []
                for irq in reversed(used):
                    ops += [c.eoi(irq, groups[irq - 32]), c.running(), *c.active_priorities()]
                lines += [m.guest(*ops, "lines"), *m.see_state(used)]
                lines += [m.guest(c.ack_all(group=0), c.ack_all(group=1)), *m.see_state(used)]
                lines += m.clear(used)
    return lines


def mixed_v2() -> list[str]:
    """The same on a GICv2, whose IAR gives both groups (AckCtl)."""
    m = Machine(2)
    c = m.cpuif
    lines = m.head(
        "1 to 20 interrupts are pending, of mixed priorities and groups, of which group 0 is an "
        "FIQ (FIQEn) or not; IAR gives both (AckCtl). Active priorities, pending and active bits."
    )
    one = [irq for irq in SPIS if irq not in _group0(len(SPIS))]
    setup = [*m.start(), *m.set_bits(0x80, one), *m.priorities(dict(zip(SPIS, MIXED, strict=True)))]
    lines.append(m.guest(*setup, *m.set_bits(ISENABLER, SPIS)))
    levels = [c.running(), *c.active_priorities()]
    take = ["lines", c.highest(), c.ack("a"), *levels]
    for control in (0x7, 0xF):
        lines += [f"# GICC_CTLR {control:#x}", m.guest(*c.control(v2=control))]
        for count in COUNTS:
            used = SPIS[:count]
            for load in ([], [*m.load_bits(ISPENDR, 32, 63), *m.load_bits(ISACTIVER, 32, 63)]):
                body = [*take, *load, "until $a 1023", c.eoi("$a"), *levels]
                lines.append(
                    m.guest(*m.set_bits(ISPENDR, used), f"repeat {count + 1} [ {'; '.join(body)} ]")
                )
                lines += m.see_state(used)
            lines.append(f"# {count}, a run each")
            lines += [m.guest(*m.set_bits(ISPENDR, used)), *m.see_state(used)]
            for _ in range(min(count, 6)):
                lines += [m.guest(*take), *m.see_state(used)]
            lines += [*m.clear(used)]
        lines.append(f"# GICC_CTLR {control:#x}: groups preempt each other")
        for first in (32, 34, 36, 38):
            ops = []
            four = sorted(SPIS[first - 32 : first - 28], key=lambda irq: -MIXED[irq - 32])
            for irq in four:
                ops += [*m.set_bits(ISPENDR, [irq]), "lines", c.highest(), c.ack(), *levels]
            lines += [m.guest(*ops), *m.see_state(four)]
            ends = [op for irq in reversed(four) for op in (c.end_if_running(irq), *levels)]
            lines += [m.guest(*ends, "lines"), *m.see_state(four), *m.clear(four)]
    return lines
