# SPDX-License-Identifier: MIT
"""Scripts: several vCPUs: SGIs, interrupts that move, a GIC that moves to another VM.

Part of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.guests import (
    DIST,
    GICD_SGIR,
    IGROUPR,
    IROUTER,
    ISACTIVER,
    ISENABLER,
    ISPENDR,
    ITARGETSR,
    Machine,
    attr,
)
from conformance.guests_state import edge, line

SGIS = tuple(range(16))
RAM = 0x4000_0000


def _begin(m: Machine, intids: tuple[int, ...]) -> Iterator[str]:
    """All vCPUs take these interrupts."""
    private = [intid for intid in intids if intid < 32]
    shared = [intid for intid in intids if intid >= 32]
    for vcpu in range(m.vcpus):
        groups = m.set_bits(IGROUPR, private, vcpu) if m.version == 3 else []
        own = [*m.start(shared), *groups, *m.set_bits(ISENABLER, private, vcpu)]
        yield m.guest(*own, *m.set_bits(ISENABLER, shared), vcpu=vcpu)


def _look(m: Machine, vcpu: int, first: int = 0) -> list[str]:
    # QEMU's GICV_HPPIR does not say who sent an SGI
    highest = [m.cpuif.highest()] if m.version == 3 or first >= 16 else []
    return [
        "lines",
        *highest,
        *m.load_bits(ISPENDR, first, first, vcpu),
        *m.load_bits(ISACTIVER, first, first, vcpu),
    ]


def _everyone(m: Machine, first: int = 0) -> Iterator[str]:
    """Each vCPU looks, takes what it has, and user space looks too."""
    for vcpu in range(m.vcpus):
        yield m.guest(
            *_look(m, vcpu, first),
            m.cpuif.ack_all(times=4, leave=m.version == 2),
            "lines",
            vcpu=vcpu,
        )
        yield from m.see_state((first,), vcpu)


def sgis_v3() -> list[str]:
    """ICC_SGI1R_EL1 and its like: targets, ranges, groups."""
    m = Machine(3, vcpus=4)
    lines = m.head(
        "SGIs on a GICv3: to oneself, to others, to all others; affinities that nobody has; "
        "ranges; groups; SGI0R and ASGI1R."
    )
    lines += _begin(m, SGIS)
    values = {
        "0 to itself": 0x1,
        "1 to 1": 0x1000002,
        "15 to all four": 0xF00000F,
        "2 to all but itself (IRM)": 0x10002000000,
        "3: IRM, and a list": 0x1000300000F,
        "4 to vCPUs that are not there": 0x4000FF0,
        "5: another Aff1": 0x5010001,
        "6: another Aff2": 0x106000001,
        "7: another Aff3": 0x1000007000001,
        "8: another range": 0x100008000001,
        "9: nobody": 0x9000000,
    }
    for name, value in values.items():
        for register in ("SGI1R", "SGI0R", "ASGI1R"):
            if register != "SGI1R" and value & 0xF0:
                continue
            lines.append(f"# {register}: {name}")
            lines.append(m.guest(f"write ICC_{register}_EL1 {value:#x}", *_look(m, 0)))
            lines += _everyone(m)
    lines.append("# group 0: SGI1R does not send it, SGI0R does, ASGI1R does not")
    group = m.frame(IGROUPR, 0, 1)[0]
    lines.append(m.guest(f"store {group:#x} 4 0xfffe", vcpu=1))
    for register in ("SGI1R", "SGI0R", "ASGI1R"):
        lines.append(
            m.guest(f"write ICC_{register}_EL1 0x2", f"write ICC_{register}_EL1 0x1000002")
        )
        lines.append(m.guest(*_look(m, 1), m.cpuif.ack_all(group=0), m.cpuif.ack_all(), vcpu=1))
        lines += m.see_state((0,), 1)
    lines.append("# sent while active; sent twice; not enabled")
    sgi, c = "write ICC_SGI1R_EL1 0x5000002", m.cpuif
    lines += [m.guest(sgi, sgi), m.guest(c.ack("a"), *_look(m, 1), vcpu=1), m.guest(sgi)]
    lines += [*m.see_state((0,), 1), m.guest(*_look(m, 1), c.eoi(5), *_look(m, 1), vcpu=1)]
    lines += [m.guest(c.ack_all(), vcpu=1), *m.see_state((0,), 1)]
    lines.append(m.guest(f"store {m.frame(ISENABLER, 0, 1)[0] + 0x80:#x} 4 0x20", sgi, vcpu=1))
    lines += [m.guest(*_look(m, 1), c.ack(), vcpu=1), *m.see_state((0,), 1)]
    lines.append("# made pending in the redistributor; SGIs are edge-triggered")
    lines.append(m.guest(*m.set_bits(ISPENDR, [6], 1), f"load {m.frame(0xC00, 0, 1)[0]:#x} 4"))
    lines += [m.guest(*_look(m, 1), c.ack_all(), *_look(m, 1), vcpu=1), *m.see_state((0,), 1)]
    return lines


def sgis_v2() -> list[str]:
    """GICD_SGIR: filters, and one SGI from several senders."""
    m = Machine(2, vcpus=4)
    c = m.cpuif
    lines = m.head(
        "SGIs on a GICv2: target lists and filters; one SGI from several vCPUs, each of which is "
        "acknowledged by itself; GICD_SPENDSGIR and GICD_CPENDSGIR."
    )
    lines += _begin(m, SGIS)
    look = [
        *_look(m, 0),
        *(f"load {DIST + offset:#x} 4" for offset in (0xF10, 0xF14, 0xF20, 0xF24)),
    ]
    sgir = DIST + GICD_SGIR
    values = {
        "0 to itself": 0x10000,
        "1 to 1": 0x20001,
        "15 to all four": 0xF000F,
        "2 to all but itself": 0x1000002,
        "3 to itself (filter)": 0x2000003,
        "4: filters and lists": 0x10F0004,
        "5: the filter that is reserved": 0x30F0005,
        "6 to vCPUs that are not there": 0xF00006,
        "7 to nobody": 0x7,
        "8: group bit": 0xF8008,
    }
    for sender in (0, 2):
        for name, value in values.items():
            lines.append(f"# from {sender}: {name}")
            lines.append(m.guest(f"store {sgir:#x} 4 {value:#x}", *look, vcpu=sender))
            lines += _everyone(m)
    lines.append("# one SGI from all four to vCPU 1, then acknowledged")
    for sender in (2, 0, 3, 1):
        lines.append(m.guest(f"store {sgir:#x} 4 0x20005", vcpu=sender))
    lines += [*m.see_state((0,), 1), m.guest(*look, vcpu=1)]
    for _ in range(5):
        lines.append(m.guest(c.ack("a"), c.running(), *look, c.eoi("$a"), *look, vcpu=1))
        lines += m.see_state((0,), 1)
    lines.append("# the same within one run; and with other SGIs")
    for sender in (2, 0, 3, 1):
        lines.append(
            m.guest(*(f"store {sgir:#x} 4 {0x20000 | n:#x}" for n in (5, 6, 4)), vcpu=sender)
        )
    lines += [m.guest(c.ack_all(times=16, leave=True), *look, vcpu=1), *m.see_state((0,), 1)]
    lines.append("# a second sender while it is active")
    lines += [m.guest(f"store {sgir:#x} 4 0x20005", vcpu=0), m.guest(c.ack("a"), vcpu=1)]
    lines += [m.guest(f"store {sgir:#x} 4 0x20005", vcpu=2), *m.see_state((0,), 1)]
    lines += [
        m.guest(*look, c.ack(), c.eoi(5), *look, c.ack_all(leave=True), vcpu=1),
        *m.see_state((0,), 1),
    ]
    lines.append("# EOImode 1")
    lines += [m.guest(*c.control(eoi_mode=True), vcpu=1)]
    for sender in (0, 2):
        lines.append(m.guest(f"store {sgir:#x} 4 0x20005", vcpu=sender))
    ops = [c.ack("a"), c.eoi("$a"), *look, c.ack("b"), c.eoi("$b"), c.deactivate("$a"), *look]
    lines += [m.guest(*ops, c.ack("c"), c.eoi("$c"), c.deactivate("$c"), *look, vcpu=1)]
    lines += [*m.see_state((0,), 1), m.guest(*c.control(), vcpu=1)]
    lines.append("# pending by GICD_SPENDSGIR, by the guest and by user space; GICD_CPENDSGIR")
    lines.append(
        m.guest(f"store {DIST + 0xF25:#x} 1 0x6", *look, c.ack_all(leave=True), *look, vcpu=1)
    )
    lines.append(
        m.guest(f"store {DIST + 0xF24:#x} 4 0x0f000a00", f"store {DIST + 0xF14:#x} 4 0x3000200")
    )
    lines += [m.guest(*look, c.ack_all(leave=True), *look), *m.see_state((0,), 0)]
    lines += [m.put(0xF20, 0, 0x0A000002, 1), *m.see_state((0,), 1), m.see(0xF20, 0, 1)]
    lines += [
        m.guest(*look, c.ack("a"), *look, vcpu=1),
        m.see(0xF20, 0, 1),
        m.put(0xF10, 0, 0xFF000000, 1),
    ]
    lines += [
        m.guest(*look, c.eoi(0x400), c.ack_all(leave=True), *look, vcpu=1),
        *m.see_state((0,), 1),
    ]
    return lines


def together(version: int) -> list[str]:
    """Two vCPUs at once, which send SGIs to each other."""
    m = Machine(version, vcpus=2)
    c = m.cpuif
    lines = m.head(
        "Two vCPUs at the same time: SGIs to and fro, each of which waits for the other's; device "
        "interrupts that one vCPU makes pending and the other takes; memory that both see."
    )
    lines += ["buffer ram 0x1000"]
    lines.append(f"ioctl vm KVM_SET_USER_MEMORY_REGION [ u32 0 0 u64 {RAM:#x} 0x1000 &ram ]")
    lines += _begin(m, (*SGIS, 32, 33))

    def send(target: int, sgi: int) -> str:
        if version == 3:
            return f"write ICC_SGI1R_EL1 {sgi << 24 | 1 << target:#x}"
        return f"store {DIST + GICD_SGIR:#x} 4 {1 << 16 + target | sgi:#x}"

    take = ["wfi", c.ack("a"), c.running(), c.eoi("$a")]
    lines.append("# to and fro")
    ping = [f"repeat 8 [ {'; '.join([send(1, 3), *take])} ]", "lines"]
    pong = [f"repeat 8 [ {'; '.join([*take, send(0, 4)])} ]", "lines"]
    lines += [m.guests(ping, pong), *m.see_state((0,)), *m.see_state((0,), 1)]
    lines.append("# both send first, then wait")
    # each time another one: a second of the same could come while the first is pending
    each = [[op for sgi in range(5, 9) for op in (send(1 - n, sgi), *take)] for n in (0, 1)]
    lines += [m.guests([*each[0], "lines"], [*each[1], "lines"]), *m.see_state((0,), 1)]
    lines.append("# a word in memory says when")
    word = f"{RAM + 0x10:#x} 4"
    first = [f"store {word} 1", f"wait {word} 2", f"load {word}", send(1, 6), f"wait {word} 3"]
    second = [f"wait {word} 1", f"store {word} 2", *take, f"store {word} 3"]
    lines += [m.guests(first, second), "peek ram+0x10 [ u32 0 ]"]
    lines.append("# an SPI for the other one")
    if version == 3:
        route = f"store {DIST + IROUTER + 8 * 32:#x} 8 1"
    else:
        route = f"store {DIST + ITARGETSR + 32:#x} 1 2"
    first = [route, *m.set_bits(ISPENDR, [32]), f"wait {word} 4", *_look(m, 0, 32)]
    second = [*take, f"store {word} 4"]
    lines += [m.guests(first, second), *m.see_state((32,)), *m.see_state((32,), 1)]
    lines.append("# one ends by an alarm, then so does the other")
    lines += ["alarm 200", m.guests(["lines", "wfi"], ["wfi", "lines"]), line(32, 1), line(33, 1)]
    lines += ["guest v0 v1", line(32, 0), line(33, 0), *_everyone(m)]
    return lines


def moves(version: int) -> list[str]:
    """An SPI that is sent to another vCPU while it is pending, active or both."""
    m = Machine(version, vcpus=3)
    c = m.cpuif
    irq = 33
    lines = m.head(
        "An SPI goes to another vCPU while it is pending, active, or both, by the guest's write "
        "and by user space's; with routes to nobody, and to more than one."
    )
    lines += _begin(m, (32, irq))
    lines.append(m.guest(*edge(m, (irq,))))
    if version == 3:
        address, width = DIST + IROUTER + 8 * irq, 8
        routes: dict[int | str, int] = {
            0: 0,
            1: 1,
            2: 2,
            "Aff1": 0x101,
            "any (IRM)": 0x80000001,
            "nobody": 0x7,
        }
    else:
        address, width = DIST + ITARGETSR + irq, 1
        routes = {0: 1, 1: 2, 2: 4, "none": 0, "all": 7, "1 and 2": 6, "nobody": 0x80}

    def to(route: int | str) -> str:
        return f"store {address:#x} {width} {routes[route]:#x}"

    pend = m.set_bits(ISPENDR, [irq])
    for route in routes:
        lines.append(f"# pending for vCPU 0, then sent to {route}")
        lines.append(m.guest(to(0), *pend, *_look(m, 0, 32), to(route), *_look(m, 0, 32)))
        lines += [m.guest(f"load {address:#x} {width}"), *_everyone(m, 32)]
        lines.append("# back, and taken")
        lines += [m.guest(to(0), *_look(m, 0, 32), c.ack_all(), vcpu=0), *m.see_state((32,))]
    for route in (1, 2):
        lines.append(f"# active on vCPU 0, then sent to {route}: pending there while active here")
        lines.append(m.guest(to(0), *pend, c.ack("a"), to(route), *pend, *_look(m, 0, 32)))
        lines.append(m.guest(*_look(m, route, 32), c.ack(), vcpu=route))
        lines += [
            m.guest(*_look(m, 0, 32), c.ack(), c.eoi(irq), *_look(m, 0, 32)),
            *_everyone(m, 32),
        ]
        lines.append("# active, moved, ended: the next one comes there")
        lines.append(
            m.guest(to(0), *pend, c.ack("a"), to(route), c.eoi("$a"), *pend, *_look(m, 0, 32))
        )
        lines += _everyone(m, 32)
    if version == 3:
        lines.append("# by user space, between two runs")
        route_attr = f"{IROUTER + 8 * irq:#x}"
        for state in ([*pend], [*pend, c.ack()], [*pend, c.ack(), *pend]):
            lines.append(m.guest(to(0), *state, "lines"))
            lines.append(attr("gic", "SET", "DIST_REGS", route_attr, "[ u32 1 ]"))
            lines.append(m.guest(*_look(m, 1, 32), c.ack("a"), c.eoi("$a"), vcpu=1))
            lines += [m.guest(*_look(m, 0, 32), c.ack(), c.eoi(irq)), *_everyone(m, 32)]
    lines.append("# a line that is up goes with it")
    lines += [m.guest(to(0)), line(32, 1), m.guest("lines", c.ack("a"))]
    base = address - width
    lines.append(m.guest(f"store {base:#x} {width} {routes[1]:#x}", c.eoi(32), *_look(m, 0, 32)))
    lines += [m.guest(*_look(m, 1, 32), c.ack("a"), c.eoi("$a"), vcpu=1), line(32, 0)]
    lines += _everyone(m, 32)
    return lines
