# SPDX-License-Identifier: MIT
"""A vCPU."""

from __future__ import annotations

import errno
import functools
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kvmemu._core import ffi, lib
from kvmemu.constants import (
    KVM_ARM32_VCPU_PSCI_0_2,
    KVM_ARM_IRQ_TYPE_PPI,
    KVM_ARM_IRQ_TYPE_SHIFT,
    KVM_ARM_IRQ_VCPU2_SHIFT,
    KVM_ARM_IRQ_VCPU_SHIFT,
    KVM_ARM_VCPU_FINALIZE,
    KVM_ARM_VCPU_INIT,
    KVM_ARM_VCPU_PSCI_0_2,
    KVM_GET_MP_STATE,
    KVM_GET_REG_LIST,
    KVM_GET_VCPU_EVENTS,
    KVM_RUN,
    KVM_SET_GUEST_DEBUG,
    KVM_SET_MP_STATE,
    KVM_SET_VCPU_EVENTS,
)
from kvmemu.errors import KvmError, check, kvm_error
from kvmemu.file import BYTES, COUNT, WORDS, File, new_filled
from kvmemu.guest import Guest, GuestFunction, check_function
from kvmemu.registers import RegisterIds, Registers, name_of, reg_bytes
from kvmemu.stats import Statistics, read_statistics

if TYPE_CHECKING:
    from kvmemu.vm import Vm

_MAX_BYTES = 256
_WORD = 8
_get_reg, _set_reg = lib.kvmemu_get_reg, lib.kvmemu_set_reg  # called by the million: one look-up
_EVENTS = "<BBB5xQ48x"


@dataclass(frozen=True)
class VcpuEvents:
    """struct kvm_vcpu_events of arm64.

    Attributes:
        serror_pending: an SError waits for the guest.
        serror_esr: its syndrome, where the host has the RAS extension; None else.
        ext_dabt_pending: set to have the guest take an external data abort; reads as False.
    """

    serror_pending: bool = False
    serror_esr: int | None = None
    ext_dabt_pending: bool = False


class Vcpu(File):
    """A vCPU.

    Attributes:
        vm: the VM it belongs to.
        id: as given at creation.
        index: its place among its VM's vCPUs, in order of creation.
        regs: its registers by name or id.
        arch: "arm64", or "arm" on a 32-bit host.
    """

    def __init__(self, handle: Any, vm: Vm, vcpu_id: int, index: int) -> None:
        super().__init__(handle)
        self.vm = vm
        self.id = vcpu_id
        self.index = index
        self._ids: RegisterIds | None = None
        self._guest: Guest | None = None

    # What a vCPU that is only restored does not need is made when it is asked for.

    @functools.cached_property
    def arch(self) -> str:
        return "arm" if lib.kvmemu_arch(self.handle()) == 32 else "arm64"

    @functools.cached_property
    def regs(self) -> Registers:
        return Registers(self)

    @functools.cached_property
    def _value(self) -> Any:
        return ffi.new(WORDS, _MAX_BYTES // 8)

    def __str__(self) -> str:
        return f"vCPU {self.id}"

    # ---- initialisation and state ----

    def init(self, features: Iterable[int] | None = None, target: int | None = None) -> None:
        """KVM_ARM_VCPU_INIT, which also resets a vCPU that was initialised before.

        Args:
            features: KVM_ARM_VCPU_* bit numbers (KVM_ARM32_VCPU_* on a 32-bit host); None takes
                PSCI_0_2 alone.
            target: None takes KVM_ARM_PREFERRED_TARGET's.

        Raises:
            KvmError: EINVAL for a combination the host cannot have or that differs from the first
                time, ENOENT for a feature that does not exist.
        """
        if features is None:
            features = [KVM_ARM32_VCPU_PSCI_0_2 if self.arch == "arm" else KVM_ARM_VCPU_PSCI_0_2]
        if target is None:
            target = self.vm.preferred_target()
        self._ids = None
        self.ioctl(KVM_ARM_VCPU_INIT, bytearray(self.init_data(features, target)))

    @staticmethod
    def init_data(features: Iterable[int], target: int) -> bytes:
        """struct kvm_vcpu_init."""
        words = [0] * 7
        for feature in features:
            words[feature // 32] |= 1 << feature % 32
        return struct.pack("<8I", target, *words)

    def finalize(self, feature: int) -> None:
        """KVM_ARM_VCPU_FINALIZE of KVM_ARM_VCPU_SVE.

        Raises:
            KvmError: EINVAL if the vCPU does not have the feature, EPERM the second time.
        """
        self._ids = None
        self._packed(KVM_ARM_VCPU_FINALIZE, "<i", feature)

    @property
    def mp_state(self) -> int:
        """KVM_MP_STATE_*: runnable, stopped or suspended."""
        state = ffi.new("uint32_t *")
        self.ioctl(KVM_GET_MP_STATE, state)
        return int(state[0])

    @mp_state.setter
    def mp_state(self, state: int) -> None:
        self._packed(KVM_SET_MP_STATE, "<I", state)

    @property
    def events(self) -> VcpuEvents:
        """KVM_GET_VCPU_EVENTS."""
        data = ffi.new(WORDS, 8)
        self.ioctl(KVM_GET_VCPU_EVENTS, data)
        flags = data[0]  # serror_pending, serror_has_esr, ext_dabt_pending
        return VcpuEvents(flags & 0xFF != 0, data[1] if flags >> 8 & 0xFF else None)

    @events.setter
    def events(self, events: VcpuEvents) -> None:
        self._packed(
            KVM_SET_VCPU_EVENTS,
            _EVENTS,
            events.serror_pending,
            events.serror_esr is not None,
            events.ext_dabt_pending,
            events.serror_esr or 0,
        )

    def set_guest_debug(self, control: int) -> None:
        """KVM_SET_GUEST_DEBUG with KVM_GUESTDBG_* and no hardware break- or watchpoints."""
        self._packed(KVM_SET_GUEST_DEBUG, "<II512x", control, 0)

    # ---- registers ----

    def reg_list(self) -> list[int]:
        """KVM_GET_REG_LIST: the ids of all registers, in Linux's order.

        Raises:
            KvmError: ENOEXEC before init(), EPERM with SVE before finalize().
        """
        return list(self.register_ids())

    def register_ids(self) -> RegisterIds:
        """reg_list() in a form that get_regs() and set_regs() take without work of their own.

        A vCPU's list does not change once it is there; init() and finalize() have it read again.
        """
        if self._ids is not None:
            return self._ids
        room = ffi.new(WORDS, self.vm.nr_reg_list + 1)
        room[0] = self.vm.nr_reg_list
        address = int(ffi.cast("unsigned long", room))
        result = lib.kvmemu_ioctl(self.handle(), KVM_GET_REG_LIST, address, ffi.NULL)
        if result == -errno.E2BIG:
            self.vm.nr_reg_list = room[0]
            return self.register_ids()
        check(result, f"KVM_GET_REG_LIST on {self}")
        self._ids = RegisterIds.unpack(ffi.buffer(room)[8 : 8 * room[0] + 8])
        return self._ids

    def get_one_reg(self, register_id: int) -> int:
        """KVM_GET_ONE_REG: the value as an unsigned integer of the register's size.

        Raises:
            KvmError: ENOENT or EINVAL for an id that is no register of this vCPU, ENOEXEC before
                init(), EPERM for an SVE register before finalize().
        """
        value = self._value
        size: int = _get_reg(self._handle or self.handle(), register_id, value, _MAX_BYTES)
        if size == _WORD:
            result: int = value[0]
            return result
        if size < 0:
            raise kvm_error(-size, f"KVM_GET_ONE_REG of {name_of(register_id)} on {self}")
        return int.from_bytes(ffi.buffer(value, size), "little")

    def set_one_reg(self, register_id: int, value: int) -> None:
        """KVM_SET_ONE_REG.

        Raises:
            KvmError: as for get_one_reg(), and EINVAL for a value the register cannot have.
            OverflowError: the value is negative or wider than the register.
        """
        data = value.to_bytes(reg_bytes(register_id), "little")
        size: int = _set_reg(self._handle or self.handle(), register_id, data)
        if size < 0:
            call = f"KVM_SET_ONE_REG of {name_of(register_id)} to {value:#x} on {self}"
            raise kvm_error(-size, call)

    def get_regs(self, ids: Sequence[int]) -> bytes:
        """Many registers in one crossing.

        Args:
            ids: register ids; register_ids() has them in the form that costs least.

        Returns:
            Their values one after another, little-endian, each of its register's size.

        Raises:
            KvmError: what the first register that failed gave.
        """
        if not isinstance(ids, RegisterIds):
            ids = RegisterIds(ids)
        size, done = ids.nr_bytes, new_filled(COUNT)
        values = new_filled(BYTES, size or 1)
        result = lib.kvmemu_get_regs(
            self._handle or self.handle(), ids.pointer, len(ids), values, size, done
        )
        if result < 0:
            raise self._batch_error(result, "reading registers", ids, done[0])
        data: bytes = ffi.buffer(values, size)[:]
        return data

    def set_regs(self, ids: Sequence[int], values: bytes | bytearray) -> None:
        """Many registers in one crossing; values as get_regs() gives them.

        Raises:
            KvmError: what the first register that failed gave; those before it are written.
        """
        if not isinstance(ids, RegisterIds):
            ids = RegisterIds(ids)
        done = new_filled(COUNT)
        result = lib.kvmemu_set_regs(
            self._handle or self.handle(), ids.pointer, len(ids), ffi.from_buffer(values),
            len(values), done,
        )  # fmt: skip
        if result < 0:
            raise self._batch_error(result, "writing registers", ids, done[0])

    def _batch_error(self, result: int, what: str, ids: Sequence[int], done: int) -> KvmError:
        at = f"{name_of(ids[done])}" if done < len(ids) else "the end"
        return kvm_error(-result, f"{what} at {at} on {self}")

    # ---- running, statistics ----

    @property
    def kvm_run(self) -> memoryview:
        """The shared pages, writable: struct kvm_run at 0, the coalesced MMIO ring at a page."""
        run, size = ffi.new("void **"), ffi.new("size_t *")
        check(lib.kvmemu_run(self.handle(), run, size), f"kvm_run of {self}")
        return memoryview(ffi.buffer(run[0], size[0]))

    @property
    def exit_reason(self) -> int:
        """Why the last run() ended: KVM_EXIT_*."""
        return int(struct.unpack_from("<I", self.kvm_run, 8)[0])

    @property
    def immediate_exit(self) -> bool:
        """Whether run() returns at once with EINTR."""
        return bool(self.kvm_run[1])

    @immediate_exit.setter
    def immediate_exit(self, value: bool) -> None:
        self.kvm_run[1] = value

    def run(self) -> None:
        """KVM_RUN: returns when the guest needs something; see exit_reason.

        Raises:
            KvmError: EINTR (an InterruptedError as well) for a signal, immediate_exit, or a change
                of a timer that user space has to see; ENOEXEC, EPERM, EINVAL for a vCPU that is not
                ready to run.
        """
        guest = self._guest
        result: int = lib.kvmemu_ioctl(self._handle or self.handle(), KVM_RUN, 0, ffi.NULL)
        if guest is not None and guest.error is not None:
            raise guest.error
        if result < 0:
            raise kvm_error(-result, f"KVM_RUN on {self}")

    @property
    def guest(self) -> Guest | None:
        """What set_guest() gave it."""
        return self._guest

    def set_guest(self, guest: GuestFunction | Guest | None) -> Guest | None:
        """Gives the vCPU what it executes in run(); None: it waits for ever, as at first.

        Args:
            guest: a function of a Cpu; or the Guest of another vCPU, which then goes on here, where
                that vCPU's state was restored.

        Returns:
            The guest.

        Raises:
            TypeError: it is no function, or one whose call does not run it: a generator function.
        """
        if guest is not None and not isinstance(guest, Guest):
            check_function(guest)
        if self._guest is not None and self._guest is not guest:
            self._guest.stop()
        self._guest = None
        if isinstance(guest, Guest):
            self._take_over(guest)
            return guest
        entry, context = ffi.NULL, ffi.NULL
        if guest is not None:
            self._guest = Guest(self, guest)
            entry, context = lib.kvmemu_python_guest, self._guest.handle
        check(lib.kvmemu_set_guest(self.handle(), entry, context), f"guest of {self}")
        return self._guest

    def _take_over(self, guest: Guest) -> None:
        before = guest.vcpu
        if before is not self:
            result = lib.kvmemu_move_guest(before.handle(), self.handle())
            check(result, f"guest of {before} to {self} of another VM")
            before._guest = None
        guest.vcpu = self
        self._guest = guest

    def close(self) -> None:
        """As of any file; a guest that is under way is unwound first."""
        if self._guest is not None:
            self._guest.stop()
            self._guest = None
        super().close()

    def ppi(self, intid: int, level: bool) -> None:
        """KVM_IRQ_LINE of one of this vCPU's private interrupts.

        Args:
            intid: 16 to 31.
            level: as for Vm.irq_line(), which also says where this goes if ids are not indices.

        Raises:
            KvmError: ENXIO without a GIC in the kernel, EINVAL for another number.
        """
        whose = self.index >> 8 << KVM_ARM_IRQ_VCPU2_SHIFT
        whose |= (self.index & 0xFF) << KVM_ARM_IRQ_VCPU_SHIFT
        self.vm.irq_line(KVM_ARM_IRQ_TYPE_PPI << KVM_ARM_IRQ_TYPE_SHIFT | whose | intid, level)

    def map_irq(self, intid: int, host_intid: int) -> None:
        """Have the guest deactivate an interrupt of the host: a driver's part, not user space's.

        Args:
            intid: the guest's, a PPI of this vCPU or an SPI of its VM.
            host_intid: an SPI of the host, whose line System.host_irq_line() drives.

        Raises:
            KvmError: EAGAIN before the GIC is initialised, EINVAL for interrupts that are not such,
                EEXIST if the guest's is mapped already, EBUSY if the host's is, or if the guest's
                is pending or active.
        """
        call = f"mapping interrupt {intid} of {self} to {host_intid} of the host"
        check(lib.kvmemu_map_irq(self.handle(), intid, host_intid), call)

    def unmap_irq(self, intid: int) -> None:
        """Undo map_irq().

        Raises:
            KvmError: ENOENT if it is not mapped, EBUSY while it is pending or active.
        """
        check(lib.kvmemu_unmap_irq(self.handle(), intid), f"unmapping {intid} of {self}")

    def stats(self) -> Statistics:
        """KVM_GET_STATS_FD: this vCPU's statistics as they are now."""
        return read_statistics(self)
