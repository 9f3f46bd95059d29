# SPDX-License-Identifier: MIT
"""A VM."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from kvmemu._core import ffi
from kvmemu.constants import (
    KVM_ARM_PREFERRED_TARGET,
    KVM_CHECK_EXTENSION,
    KVM_CLEAR_DIRTY_LOG,
    KVM_CREATE_VCPU,
    KVM_ENABLE_CAP,
    KVM_GET_DIRTY_LOG,
    KVM_IRQ_LINE,
    KVM_SET_USER_MEMORY_REGION,
)
from kvmemu.file import File
from kvmemu.stats import Statistics, read_statistics
from kvmemu.vcpu import Vcpu


class Vm(File):
    """A VM.

    Attributes:
        ipa_bits: the size of its guest physical address space.
        vcpus: its vCPUs, in the order they were created through this object.
    """

    def __init__(self, handle: Any, ipa_bits: int) -> None:
        super().__init__(handle)
        self.ipa_bits = ipa_bits
        self.vcpus: list[Vcpu] = []
        # The buffers that back memory slots, kept while the VM may use them.
        self._memory: dict[int, Any] = {}

    def check_extension(self, cap: int) -> int:
        """KVM_CHECK_EXTENSION on this VM."""
        return self.ioctl(KVM_CHECK_EXTENSION, cap)

    def enable_cap(self, cap: int, *args: int, flags: int = 0) -> None:
        """KVM_ENABLE_CAP with up to four arguments.

        Raises:
            KvmError: EINVAL for a capability that cannot be enabled, or not any more.
        """
        padded = (*args, 0, 0, 0, 0)[:4]
        self._packed(KVM_ENABLE_CAP, "<II4Q64x", cap, flags, *padded)

    def preferred_target(self) -> int:
        """KVM_ARM_PREFERRED_TARGET: the target for Vcpu.init()."""
        return int(self._packed(KVM_ARM_PREFERRED_TARGET, "<I28x", 0)[0])

    def create_vcpu(self, vcpu_id: int | None = None) -> Vcpu:
        """KVM_CREATE_VCPU.

        Args:
            vcpu_id: its id; None takes the number of vCPUs there are.

        Raises:
            KvmError: EEXIST for an id that is taken, EINVAL for one out of range.
        """
        number = len(self.vcpus) if vcpu_id is None else vcpu_id
        vcpu = Vcpu(self._create(KVM_CREATE_VCPU, number), self, number)
        self.vcpus.append(vcpu)
        return vcpu

    def create_vcpus(self, count: int, features: Iterable[int] = ()) -> list[Vcpu]:
        """Create and initialise several vCPUs with the same features."""
        features = tuple(features)
        created = [self.create_vcpu() for _ in range(count)]
        for vcpu in created:
            vcpu.init(features)
        return created

    # ---- memory ----

    def set_user_memory_region(
        self, slot: int, ipa: int, memory: Any, *, flags: int = 0, size: int | None = None
    ) -> None:
        """KVM_SET_USER_MEMORY_REGION.

        Args:
            slot: its number.
            ipa: where the guest sees it; page-aligned.
            memory: a page-aligned writable buffer (an mmap.mmap), or an address; None deletes.
            flags: KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY.
            size: bytes; the buffer's length if None.

        Raises:
            KvmError: EINVAL for a bad alignment or a forbidden change, EEXIST for an overlap, EFAULT
                beyond the VM's address space.
        """
        address, length = 0, 0
        if isinstance(memory, int):
            address, length = memory, size or 0
        elif memory is not None:
            buffer = ffi.from_buffer(memory)
            address = int(ffi.cast("unsigned long", buffer))
            length = len(buffer) if size is None else size
        self._packed(KVM_SET_USER_MEMORY_REGION, "<IIQQQ", slot, flags, ipa, length, address)
        if length and not isinstance(memory, int):
            self._memory[slot] = memory
        else:
            self._memory.pop(slot, None)

    def get_dirty_log(self, slot: int, pages: int) -> bytearray:
        """KVM_GET_DIRTY_LOG: a bit a page, rounded up to whole 64-bit words.

        Raises:
            KvmError: ENOENT if the slot does not exist or is not logged.
        """
        bitmap = bytearray((pages + 63) // 64 * 8)
        address = int(ffi.cast("unsigned long", ffi.from_buffer(bitmap)))
        self._packed(KVM_GET_DIRTY_LOG, "<IIQ", slot, 0, address)
        return bitmap

    def clear_dirty_log(self, slot: int, first_page: int, pages: int, bitmap: bytearray) -> None:
        """KVM_CLEAR_DIRTY_LOG of the pages whose bits are set; first_page a multiple of 64."""
        address = int(ffi.cast("unsigned long", ffi.from_buffer(bitmap)))
        self._packed(KVM_CLEAR_DIRTY_LOG, "<IIQQ", slot, pages, first_page, address)

    # ---- interrupts, statistics ----

    def irq_line(self, irq: int, level: bool) -> None:
        """KVM_IRQ_LINE. irq: type in bits 27:24, vCPU in 31:28 and 23:16, number in 15:0.

        Raises:
            KvmError: ENXIO for an interrupt of a controller the VM does not have, EINVAL for a
                number out of range.
        """
        self.ioctl(KVM_IRQ_LINE, bytearray(struct.pack("<II", irq, level)))

    def stats(self) -> Statistics:
        """KVM_GET_STATS_FD: this VM's statistics as they are now."""
        return read_statistics(self)
