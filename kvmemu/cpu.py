# SPDX-License-Identifier: MIT
"""The CPU that a guest executes on, as the guest sees it: instructions are methods."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kvmemu._core import ffi, lib
from kvmemu.gic_registers import FRAMES_OF_VERSION, find_gic_register, gic_registers
from kvmemu.registers import sysreg_encoding, sysreg_names
from kvmemu.suggest import did_you_mean

if TYPE_CHECKING:
    from kvmemu.vcpu import Vcpu

_LEAVE = 1
_NR_X = 31
_ISR_I, _ISR_F = 1 << 7, 1 << 6

FIRST_SPECIAL = 1020  # INTIDs from here on are no interrupts
FIRST_LPI = 8192  # but from here on they are


class UndefinedInstruction(Exception):
    """The guest named a register that its CPU does not have, or may not use so."""


class ExternalAbort(Exception):
    """User space answered the guest's access with an external abort."""


class XRegisters:
    """x0 to x30 of the running vCPU."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu

    def _at(self, index: int) -> int:
        if not 0 <= index < _NR_X:
            raise IndexError(f"there is no x{index}")
        return index

    def __getitem__(self, index: int) -> int:
        return int(lib.kvmemu_cpu_x(self._cpu.pointer)[self._at(index)])

    def __setitem__(self, index: int, value: int) -> None:
        lib.kvmemu_cpu_x(self._cpu.pointer)[self._at(index)] = value

    def __len__(self) -> int:
        return _NR_X


class Cpu:
    """The CPU as its guest sees it.

    Attributes:
        vcpu: the vCPU. A guest that moves to another one finds that here afterwards.
        x: registers x0 to x30.
    """

    def __init__(
        self, vcpu: Vcpu, yield_to_host: Callable[[], None], wait_for_turn: Callable[[], None]
    ) -> None:
        self.vcpu = vcpu
        self.x = XRegisters(self)
        self._yield = yield_to_host
        self._wait_for_turn = wait_for_turn
        self._pointer: Any = None
        self._executing = False
        self._value = ffi.new("uint64_t *")

    @property
    def pointer(self) -> Any:
        """struct kvmemu_cpu, for calls of the C interface; waits until the vCPU is in KVM_RUN.

        Raises:
            RuntimeError: it is not, and this is not its guest.
        """
        if self._pointer is None:
            self._wait_for_turn()
        return self._pointer

    def enter(self, pointer: Any) -> None:
        """The vCPU is in its guest from now on."""
        self._pointer = pointer

    def leave(self) -> bool:
        """The vCPU is not in its guest any more; False, and it is, in the middle of an instruction.

        The guest says first that it executes and looks then where, this does it the other way
        round: one of them notices.
        """
        pointer, self._pointer = self._pointer, None
        if self._executing:
            self._pointer = pointer
        return not self._executing

    def _execute(self, operation: Callable[..., int], *args: Any) -> None:
        """One instruction; as often as it takes."""
        while True:
            self._executing = True
            pointer = self._pointer
            if pointer is None:
                self._executing = False
                self._wait_for_turn()
                continue
            result = operation(pointer, *args)
            self._executing = False
            if result == 0:
                return
            if result != _LEAVE:
                raise _error(result)
            self._yield()

    # ---- registers ----

    def read(self, register: str | int) -> int:
        """MRS; or, for a register of one of the GIC's frames in memory, a load.

        Args:
            register: a name (ICC_IAR1_EL1, GICD_ISENABLER1; GICR_* is this vCPU's own, GICC_* the
                CPU interface of a GICv2), or the encoding of a system register.

        Raises:
            KeyError: no register has this name.
            UndefinedInstruction: the CPU does not have it, or it cannot be read.
        """
        frame = None if isinstance(register, int) else self._frame_register(register)
        if frame is not None:
            return self.load(*frame)
        self._execute(lib.kvmemu_cpu_read_sysreg, _encoding(register), self._value)
        return int(self._value[0])

    def write(self, register: str | int, value: int) -> None:
        """MSR; or, for a register of one of the GIC's frames, a store. Arguments as for read()."""
        frame = None if isinstance(register, int) else self._frame_register(register)
        if frame is not None:
            self.store(frame[0], value, frame[1])
        else:
            self._execute(lib.kvmemu_cpu_write_sysreg, _encoding(register), value)

    def _frame_register(self, name: str) -> tuple[int, int] | None:
        """Address and size of a register in memory; None for other names."""
        if not name.upper().startswith(("GICD_", "GICR_", "GICC_")):
            return None
        gic = self.vcpu.vm.gic
        found = find_gic_register(gic.version, name) if gic is not None else None
        base = gic.guest_address(found.frame, self.vcpu) if gic is not None and found else None
        if found is None or base is None:
            hint = "" if gic is None or found else did_you_mean(name, _names_in_memory(gic.version))
            raise KeyError(f"{self.vcpu} has no register {name!r} in memory{hint}")
        return base + found.offset, found.bytes

    @property
    def pc(self) -> int:
        """The program counter, which is the guest's own to move."""
        return int(lib.kvmemu_cpu_pc(self.pointer)[0])

    @pc.setter
    def pc(self, value: int) -> None:
        lib.kvmemu_cpu_pc(self.pointer)[0] = value

    # ---- memory ----

    def load(self, ipa: int, size: int = 4) -> int:
        """A load of 1, 2, 4 or 8 bytes, little-endian: memory, the GIC's frames, or what user space
        answers.

        Raises:
            ValueError: another size, or an address that is not a multiple of it.
            ExternalAbort: user space has the access fail (VcpuEvents.ext_dabt_pending).
        """
        self._execute(lib.kvmemu_cpu_load, ipa, size, self._value)
        return int(self._value[0])

    def store(self, ipa: int, value: int, size: int = 4) -> None:
        """A store; arguments and errors as for load()."""
        self._execute(lib.kvmemu_cpu_store, ipa, size, value)

    mmio_read = load

    def mmio_write(self, ipa: int, value: int, size: int = 4) -> None:
        """store() by the name that a device has for it."""
        self.store(ipa, value, size)

    # ---- waiting, calls, interrupts ----

    def wfi(self) -> None:
        """WFI: returns when the vCPU has an interrupt to take."""
        self._execute(lib.kvmemu_cpu_wfi)

    def hvc(self, function: int, *args: int) -> tuple[int, int, int, int]:
        """HVC #0 by the SMC Calling Convention: PSCI and KVM's own calls.

        Args:
            function: its number, for x0.
            args: for x1 and up.

        Returns:
            x0 to x3 afterwards.
        """
        return self._call(lib.kvmemu_cpu_hvc, function, args)

    def smc(self, function: int, *args: int) -> tuple[int, int, int, int]:
        """SMC #0, as hvc()."""
        return self._call(lib.kvmemu_cpu_smc, function, args)

    def _call(
        self, operation: Callable[..., int], function: int, args: tuple[int, ...]
    ) -> tuple[int, int, int, int]:
        registers = lib.kvmemu_cpu_x(self.pointer)
        for index, value in enumerate((function, *args)):
            registers[index] = value & 0xFFFF_FFFF_FFFF_FFFF
        self._execute(operation)
        registers = lib.kvmemu_cpu_x(self.pointer)
        return registers[0], registers[1], registers[2], registers[3]

    @property
    def irq(self) -> bool:
        """Whether an IRQ is asserted to the CPU."""
        return self._is_asserted(_ISR_I)

    @property
    def fiq(self) -> bool:
        """Whether an FIQ is asserted to the CPU."""
        return self._is_asserted(_ISR_F)

    def _is_asserted(self, bit: int) -> bool:
        return bool(self.read(_encoding("ISR_EL1")) & bit)

    def acknowledge(self, group: int = 1) -> Iterator[int]:
        """Acknowledges pending interrupts of a group one after another, until none is left.

        What is to be done with each, its end included, is the caller's.
        """
        register = f"ICC_IAR{group}_EL1"
        while not FIRST_SPECIAL <= (intid := self.read(register)) < FIRST_LPI:
            yield intid


def _error(result: int) -> Exception:
    if result == -errno.ENOENT:
        return UndefinedInstruction("the CPU has no such register, or not for this")
    if result == -errno.EFAULT:
        return ExternalAbort("user space answered with an external abort")
    return ValueError("accesses are of 1, 2, 4 or 8 bytes, at a multiple of that")


def _names_in_memory(version: int) -> Iterator[str]:
    for frame in FRAMES_OF_VERSION[version]:
        yield from gic_registers(version, frame)


def _encoding(register: str | int) -> int:
    if isinstance(register, int):
        return register
    encoding = sysreg_encoding(register)
    if encoding is None:
        hint = did_you_mean(register, sysreg_names())
        raise KeyError(f"there is no system register {register!r}{hint}")
    return encoding
