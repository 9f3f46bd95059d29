# SPDX-License-Identifier: MIT
"""Guests to start from: what tests, the demonstration and prototypes have a vCPU execute.

Each function here makes a guest for Vcpu.set_guest(). They work with a GICv2 and a GICv3:
Interrupts hides how a CPU interface is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kvmemu import constants as kvm
from kvmemu.cpu import FIRST_LPI, FIRST_SPECIAL, Cpu
from kvmemu.guest import GuestFunction

_INTID = 0x3FF
_VTIMER = 27


class Interrupts:
    """A CPU's interface to the GIC, as system registers or in memory."""

    def __init__(self, cpu: Cpu) -> None:
        gic = cpu.vcpu.vm.gic
        self._cpu = cpu
        self._v3 = gic is None or gic.version == 3
        self._frame = 0 if gic is None or self._v3 else gic.address(kvm.KVM_VGIC_V2_ADDR_TYPE_CPU)

    def _read(self, register: str, offset: int) -> int:
        if self._v3:
            return self._cpu.read(register)
        return self._cpu.load((self._frame or 0) + offset)

    def _write(self, register: str, offset: int, value: int) -> None:
        if self._v3:
            self._cpu.write(register, value)
        else:
            self._cpu.store((self._frame or 0) + offset, value)

    def switch_on(self, intids: range = range(32, 128), *, split: bool = False) -> None:
        """The distributor, these interrupts, and this CPU's interface with no priority masked.

        Args:
            intids: SPIs to enable, whole words of 32; SGIs are enabled always.
            split: ends do not deactivate (EOImode 1): deactivate() does.
        """
        self._cpu.write("GICD_CTLR", 2 if self._v3 else 1)
        for word in range(intids.start // 32, (intids.stop + 31) // 32):
            self._cpu.write(f"GICD_ISENABLER{word}", 0xFFFF_FFFF)
        self._write("ICC_PMR_EL1", 0x04, 0xFF)
        if self._v3:
            self._cpu.write("ICC_CTLR_EL1", 2 if split else 0)
            self._cpu.write("ICC_IGRPEN1_EL1", 1)
        else:
            self._write("", 0x00, 1 | split << 9)

    def enable_private(self, mask: int) -> None:
        """Enable this CPU's SGIs and PPIs whose bits are set."""
        self._cpu.write("GICR_ISENABLER0" if self._v3 else "GICD_ISENABLER0", mask)

    def acknowledge(self) -> int | None:
        """The interrupt that is active from now on, with an SGI's sender in bits 12:10 on a GICv2;
        None if there is none to take.
        """
        found = self._read("ICC_IAR1_EL1", 0x0C)
        special = found & _INTID if not self._v3 else found
        return None if FIRST_SPECIAL <= special < FIRST_LPI else found

    def end(self, intid: int) -> None:
        """What acknowledge() gave drops its priority, and is deactivated if that is not apart."""
        self._write("ICC_EOIR1_EL1", 0x10, intid)

    def deactivate(self, intid: int) -> None:
        """What acknowledge() gave is inactive again, where end() did not do that."""
        self._write("ICC_DIR_EL1", 0x1000, intid)

    def running_priority(self) -> int:
        """Of what is active; 0xFF if nothing is."""
        return self._read("ICC_RPR_EL1", 0x14)

    def set_binary_point(self, value: int) -> None:
        """How many low bits of a priority do not count for preemption, less one."""
        self._write("ICC_BPR1_EL1", 0x08, value)

    def wait(self) -> int:
        """Waits for an interrupt, and acknowledges it."""
        while True:
            while not self._cpu.irq:
                self._cpu.wfi()
            intid = self.acknowledge()
            if intid is not None:
                return intid

    def send_sgi(self, intid: int, vcpu_index: int) -> None:
        """An SGI to one vCPU, with fewer than 16 of them."""
        if self._v3:
            self._cpu.write("ICC_SGI1R_EL1", intid << 24 | 1 << vcpu_index)
        else:
            self._cpu.write("GICD_SGIR", 1 << (16 + vcpu_index) | intid)


def acknowledge_and_end(taken: Callable[[int], object], *, split: bool = False) -> GuestFunction:
    """Takes interrupts one after another, and tells of each between acknowledging and ending it.

    Args:
        taken: is called with the interrupt's number.
        split: end and deactivation apart (EOImode 1).
    """

    def guest(cpu: Cpu) -> None:
        interrupts = Interrupts(cpu)
        interrupts.switch_on(split=split)
        while True:
            intid = interrupts.wait()
            taken(intid & _INTID if intid < FIRST_LPI else intid)
            interrupts.end(intid)
            if split:
                interrupts.deactivate(intid)

    return guest


def deferred_deactivation(taken: Callable[[int], object], after: int = 4) -> GuestFunction:
    """Ends interrupts at once, and deactivates them in bunches of `after`, oldest first."""

    def guest(cpu: Cpu) -> None:
        interrupts = Interrupts(cpu)
        interrupts.switch_on(split=True)
        waiting: list[int] = []
        while True:
            intid = interrupts.wait()
            interrupts.end(intid)
            waiting.append(intid)
            taken(intid)
            if len(waiting) == after:
                for old in waiting:
                    interrupts.deactivate(old)
                waiting.clear()

    return guest


def nested(begin: Callable[[int], object], finish: Callable[[int], object]) -> GuestFunction:
    """Takes an interrupt of higher priority in the middle of another, as deep as they come."""

    def guest(cpu: Cpu) -> None:
        interrupts = Interrupts(cpu)
        interrupts.switch_on()

        def handle(intid: int) -> None:
            begin(intid)
            while cpu.irq and (higher := interrupts.acknowledge()) is not None:
                handle(higher)
            finish(intid)
            interrupts.end(intid)

        while True:
            handle(interrupts.wait())

    return guest


def ping_pong(
    other: int, rounds: int, done: Callable[[int], object], intid: int = 3
) -> GuestFunction:
    """One of two vCPUs that answer each other's SGIs; the one of index 0 begins.

    Args:
        other: the other's index.
        rounds: how often each sends.
        done: is called with the number of SGIs taken, at the end.
    """

    def guest(cpu: Cpu) -> None:
        interrupts = Interrupts(cpu)
        interrupts.switch_on()
        begins = cpu.vcpu.index < other
        for number in range(rounds):
            if begins:
                interrupts.send_sgi(intid, other)
            interrupts.end(interrupts.wait())
            if not begins:
                interrupts.send_sgi(intid, other)
            cpu.x[0] = number + 1
        done(cpu.x[0])

    return guest


def timer_tick(
    period: int, tick: Callable[[int], object], ticks: int | None = None
) -> GuestFunction:
    """A tick by the virtual timer: each is `period` counter ticks after the last, however late.

    Args:
        tick: is called with CNTVCT_EL0 at each.
        ticks: after so many it stops; None: never.
    """

    def guest(cpu: Cpu) -> None:
        interrupts = Interrupts(cpu)
        interrupts.switch_on()
        interrupts.enable_private(1 << _VTIMER)
        due = cpu.read("CNTVCT_EL0") + period
        cpu.write("CNTV_CVAL_EL0", due)
        cpu.write("CNTV_CTL_EL0", 1)
        for _ in _counting(ticks):
            intid = interrupts.wait()
            tick(cpu.read("CNTVCT_EL0"))
            due += period
            cpu.write("CNTV_CVAL_EL0", due)
            interrupts.end(intid)
        cpu.write("CNTV_CTL_EL0", 0)

    return guest


def _counting(times: int | None) -> Iterator[int]:
    number = 0
    while times is None or number < times:
        yield number
        number += 1
