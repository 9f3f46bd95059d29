# SPDX-License-Identifier: MIT
"""Random guests that act: interrupts that arrive, are taken, nest and end, and what shows of them.

Part of the tests. One guest runs at a time, so that its answers have an order. Left out is what
depends on when the host's own interrupts come (timers), and what QEMU's virtual CPU interface is
known to do otherwise than the architecture (tests/c/vif_script.h): priority 0xf8 and, on a GICv2,
ends that are not due, binary points, groups that are off, the sender in GICV_HPPIR.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from conformance import guests as g
from conformance.generator.writer import ALARM_MS, Writer
from conformance.guests import DIST, Machine

HOSTS_OF = {2: g.V2_HOSTS, 3: (*g.V3_HOSTS, "gicv3-max-sve")}
SPIS = tuple(range(32, 44))
PPIS, SGIS = (20, 21), (1, 2, 3)
STEPS_MAX, OPERATIONS_MAX = 30, 24
PRIORITIES = tuple(range(0, 0xF8, 8))
BITS = (g.ISENABLER, g.ICENABLER, *(g.ISPENDR, g.ICPENDR) * 2, g.ISACTIVER, g.ICACTIVER)
KVM_SPI, KVM_PPI = 0x1000000, 0x2000000


@dataclass
class _List:
    """What a guest is to do, while it is being made up.

    Attributes:
        taken: names of acknowledgements that have not been ended, the last one last.
        dropped: those that were, and may have to be deactivated.
    """

    m: Machine
    w: Writer
    vcpu: int
    has_sgis: bool
    ops: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    @property
    def irqs(self) -> tuple[int, ...]:
        return (*SPIS, *SPIS, *PPIS, *(SGIS if self.has_sgis else ()))

    def some(self) -> list[int]:
        """A few interrupts, more often one."""
        return [self.w.pick(self.irqs) for _ in range(self.w.pick((1, 1, 1, 2, 3, 8)))]

    def group(self) -> int:
        return self.w.pick((0, 1, 1)) if self.m.version == 3 else 0

    # ---- operations ----

    def take(self) -> None:
        name = self.w.new_name("a")
        self.ops.append(self.m.cpuif.ack(name, self.group()))
        self.taken.append(name)

    def end(self) -> None:
        """A GICv2's: of the one that was taken last."""
        c, w = self.m.cpuif, self.w
        if self.m.version == 3 and (not self.taken or w.one_in(6)):
            self.ops.append(c.eoi(w.pick((*self.irqs, 1023, 77, 500)), self.group()))
        elif self.taken:
            at = -1 if self.m.version == 2 or not w.one_in(5) else w.number(0, len(self.taken) - 1)
            self.dropped.append(self.taken.pop(at))
            self.ops.append(c.eoi(f"${self.dropped[-1]}", self.group()))
        self._leave()

    def deactivate(self) -> None:
        if self.dropped:
            name = self.dropped.pop(self.w.number(0, len(self.dropped) - 1))
            self.ops.append(self.m.cpuif.deactivate(f"${name}"))
        elif self.m.version == 3:
            self.ops.append(self.m.cpuif.deactivate(self.w.pick(self.irqs)))
        self._leave()

    def _leave(self) -> None:
        """A maintenance interrupt may be due, which comes some time after a store."""
        if self.m.version == 2:
            self.ops.append(f"load {DIST + 8:#x} 4")

    def look(self) -> None:
        c, w = self.m.cpuif, self.w
        kinds = ["lines", c.running(), *c.active_priorities(), c.read_mask()]
        if self.m.version == 3 or not self.has_sgis:
            kinds.append(c.highest(self.group()))
        if self.m.version == 3:
            kinds += [*c.binary_points(), "read ICC_CTLR_EL1"]
        self.ops += [w.pick(kinds) for _ in range(w.number(1, 3))]

    def store_bits(self) -> None:
        """Enabled, pending, active, or none of it: of a few."""
        self.ops += self.m.set_bits(self.w.pick(BITS), self.some(), self.vcpu)

    def pend(self) -> None:
        irqs = [irq for irq in self.some() if irq >= 16 or self.m.version == 3]
        self.ops += self.m.set_bits(g.ISPENDR, irqs, self.vcpu)

    def load_bits(self) -> None:
        offset = self.w.pick((*BITS, g.IGROUPR))
        first = self.w.pick((0, 32, 32))
        self.ops += self.m.load_bits(offset, first, first + 31, self.vcpu)

    def priority(self) -> None:
        values = {irq: self.w.pick(PRIORITIES) for irq in self.some()}
        self.ops += self.m.priorities(values, self.vcpu)

    def word(self) -> None:
        """A register of the frames as a whole: groups, levels and edges, targets."""
        m, w = self.m, self.w
        irq = w.pick(self.irqs)
        kind = w.pick(("group", "config", "target"))
        if kind == "group":
            address, _ = m.frame(g.IGROUPR, irq, self.vcpu)
            self.ops.append(f"store {address:#x} 4 {w.word() & 0xFFFFFFFF:#x}")
        elif kind == "config" and irq >= 16:
            address, shift = m.frame(g.ICFGR, irq, self.vcpu, bits=2)
            self.ops.append(f"store {address:#x} 4 {w.pick((2, 0)) << shift:#x}")
        elif irq >= 32 and m.version == 3:
            self.ops.append(f"store {DIST + g.IROUTER + 8 * irq:#x} 8 {w.number(0, m.vcpus)}")
        elif irq >= 32:
            address, shift = m.frame(g.ITARGETSR, irq, bits=8)
            self.ops.append(f"store {address + shift // 8:#x} 1 {w.number(0, (2 << m.vcpus) - 1)}")

    def control(self) -> None:
        """The CPU interface's; the distributor's."""
        c, w, m = self.m.cpuif, self.w, self.m
        kind = w.pick(("mask", "points", "control", "group", "active", "dist"))
        if kind == "mask":
            self.ops.append(c.mask(w.pick((0xFF, 0xF0, 0xF8, 0x80, *PRIORITIES))))
        elif kind == "dist":
            value = w.pick((3, 3, 1, 2)) if m.version == 2 else 0x10 | w.pick((3, 3, 1, 2, 0))
            self.ops.append(f"store {DIST:#x} 4 {value:#x}")
        elif m.version == 2:
            self.ops += c.control(v2=w.pick((7, 15)), eoi_mode=w.coin())
        elif kind == "points":
            self.ops.append(c.binary_point(w.number(0, 7), w.number(0, 1)))
        elif kind == "control":
            self.ops.append(f"write ICC_CTLR_EL1 {w.number(0, 3)}")
        elif kind == "group":
            self.ops.append(f"write ICC_IGRPEN{w.number(0, 1)}_EL1 {w.pick((1, 1, 0))}")
        else:
            value = w.pick((0, 0, w.number(0, 0x7FFFFFFF)))
            self.ops.append(f"write ICC_AP{w.number(0, 1)}R0_EL1 {value:#x}")

    def send(self) -> None:
        """An SGI, to some of the vCPUs, or to all others."""
        if not self.has_sgis:
            return
        w, intid, targets = self.w, self.w.pick(SGIS), self.w.number(0, 7)
        others = w.one_in(4)
        if self.m.version == 2:
            where = w.pick((0, 0, 1, 2)) << 24 | targets << 16
            group1 = w.pick((0, 0, 1)) << 15
            self.ops.append(f"store {DIST + g.GICD_SGIR:#x} 4 {where | group1 | intid:#x}")
            return
        value = intid << 24 | (1 << 40 if others else targets)
        self.ops.append(f"write ICC_{w.pick(('SGI1R', 'SGI1R', 'SGI0R', 'ASGI1R'))}_EL1 {value:#x}")


_OPERATIONS: dict[Callable[[_List], None], int] = {
    _List.take: 14, _List.end: 11, _List.deactivate: 4, _List.look: 12, _List.pend: 10,
    _List.store_bits: 7, _List.load_bits: 5, _List.priority: 5, _List.word: 3, _List.control: 5,
    _List.send: 4,
}  # fmt: skip
_WEIGHTED = [step for step, weight in _OPERATIONS.items() for _ in range(weight)]


@dataclass
class _Script:
    """A VM whose guests act."""

    m: Machine
    w: Writer
    has_sgis: bool

    def begin(self) -> None:
        """Most things on, each vCPU by its own guest."""
        m, w = self.m, self.w
        for line in ("open kvm", *m.create()):
            w.add(line)
        private = (*PPIS, *SGIS)
        for vcpu in range(m.vcpus):
            own = private if vcpu else (*private, *SPIS)
            # a GICv2's IAR gives both groups
            on = [*m.start(), *(m.cpuif.control(v2=7) if m.version == 2 else [])]
            groups = own if m.version == 3 else own[1::2]
            ops = [*on, *m.set_bits(g.IGROUPR, [irq for irq in groups if irq not in PPIS], vcpu)]
            ops += m.priorities({irq: w.pick(PRIORITIES) for irq in own}, vcpu)
            self.act([*ops, *m.set_bits(g.ISENABLER, own, vcpu)], vcpu)

    def guest(self) -> None:
        """One list of operations; seldom it then waits."""
        todo = _List(self.m, self.w, self.w.pick(range(self.m.vcpus)), self.has_sgis)
        for _ in range(self.w.number(1, OPERATIONS_MAX)):
            self.w.pick(_WEIGHTED)(todo)
        if self.w.one_in(16):
            todo.ops.append("wfi")
            todo.take()
            self.w.add(f"alarm {ALARM_MS}")
        self.act(todo.ops, todo.vcpu)

    def act(self, ops: list[str], vcpu: int) -> None:
        """A line for each operation, so that a script can be made shorter by lines."""
        for line in (f"guest {self.m.vcpu(vcpu)} [", *(f"  {op};" for op in ops), "]"):
            self.w.add(line)

    def line(self) -> None:
        """A line of an interrupt, as a device moves it."""
        vcpu, level = self.w.pick(range(self.m.vcpus)), self.w.number(0, 1)
        irq = self.w.pick((*SPIS, *PPIS))
        kind = KVM_SPI if irq >= 32 else KVM_PPI | vcpu << 16
        self.w.add(f"ioctl vm KVM_IRQ_LINE [ u32 {kind | irq:#x} {level} ]")

    def put(self) -> None:
        """User space writes state."""
        m, w = self.m, self.w
        vcpu, irq = w.pick(range(m.vcpus)), w.pick((0, 32, 32))
        if m.version == 3 and w.one_in(4):
            name = w.pick(("AP0R0", "AP1R0"))
            w.add(m.set_cpuif(name, w.pick((0, 0, w.number(0, 0x7FFFFFFF))), vcpu))
            return
        private = 0x0030000E if m.version == 3 else 0x00300000
        value = w.word() & (private if irq == 0 else 0xFFF)
        w.add(m.put(w.pick((g.ISPENDR, g.ICPENDR, g.ISACTIVER, g.ICACTIVER)), irq, value, vcpu))

    def clear(self) -> None:
        """Nothing pending or active any more, for one vCPU."""
        vcpu = self.w.pick(range(self.m.vcpus))
        for offset in (g.ICPENDR, g.ICACTIVER):
            for irq in (0, 32):
                self.w.add(self.m.put(offset, irq, 0xFFFFFFFF, vcpu))
        for name in ("AP0R0", "AP1R0") if self.m.version == 3 else ("APR",):
            self.w.add(self.m.set_cpuif(name, 0, vcpu))

    def see(self) -> None:
        """What user space sees of a vCPU."""
        for line in self.m.see_state((0, 32), self.w.pick(range(self.m.vcpus))):
            self.w.add(line)


_STEPS = [
    *[_Script.guest] * 14, *[_Script.line] * 6, *[_Script.put] * 3, _Script.clear,
    *[_Script.see] * 4,
]  # fmt: skip


def is_possible(host: str) -> bool:
    """Whether there are guests on this host."""
    return any(host in hosts for hosts in HOSTS_OF.values())


def script(w: Writer, host: str) -> None:
    """The lines of a whole script."""
    version = w.pick([version for version, hosts in HOSTS_OF.items() if host in hosts])
    has_sgis = w.coin()
    made = _Script(Machine(version, vcpus=w.pick((1, 1, 2, 3))), w, has_sgis)
    made.begin()
    for _ in range(w.number(2, STEPS_MAX)):
        w.pick(_STEPS)(made)
    for vcpu in range(made.m.vcpus):
        for line in made.m.see_state((0, 32), vcpu):
            w.add(line)
