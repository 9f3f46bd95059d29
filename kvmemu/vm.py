# SPDX-License-Identifier: MIT
"""A VM."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kvmemu._core import ffi, lib
from kvmemu.constants import (
    ALL,
    KVM_ARM_PREFERRED_TARGET,
    KVM_CHECK_EXTENSION,
    KVM_CLEAR_DIRTY_LOG,
    KVM_CREATE_DEVICE,
    KVM_CREATE_DEVICE_TEST,
    KVM_CREATE_VCPU,
    KVM_DEV_TYPE_ARM_VGIC_V2,
    KVM_DEV_TYPE_ARM_VGIC_V3,
    KVM_ENABLE_CAP,
    KVM_GET_DIRTY_LOG,
    KVM_SET_USER_MEMORY_REGION,
    KVM_VGIC_V2_ADDR_TYPE_CPU,
    KVM_VGIC_V2_ADDR_TYPE_DIST,
    KVM_VGIC_V3_ADDR_TYPE_DIST,
    KVM_VGIC_V3_ADDR_TYPE_REDIST,
)
from kvmemu.errors import kvm_error
from kvmemu.gic import Gic, VgicV2, VgicV3
from kvmemu.injection import Injection
from kvmemu.stats import Statistics, read_statistics
from kvmemu.vcpu import Vcpu

VIRT_DIST = 0x0800_0000  # where QEMU's virt machine has its GIC
VIRT_CPU = 0x0801_0000
VIRT_REDIST = 0x080A_0000


@dataclass(frozen=True)
class MemorySlot:
    """A memory slot as it was set.

    Attributes:
        slot: its number.
        ipa: where the guest sees it.
        size: bytes.
        flags: KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY.
        memory: the buffer behind it; None if it was given by address.
        address: where that is in this process.
    """

    slot: int
    ipa: int
    size: int
    flags: int
    memory: Any
    address: int

    def view(self) -> memoryview:
        """The memory, writable."""
        buffer = ffi.buffer(ffi.cast("char *", self.address), self.size)
        return memoryview(buffer)


class Vm(Injection):
    """A VM.

    Attributes:
        ipa_bits: the size of its guest physical address space.
        vcpus: its vCPUs, in the order they were created through this object.
        gic: its interrupt controller, if it was created through this object.
    """

    def __init__(self, handle: Any, ipa_bits: int) -> None:
        super().__init__(handle)
        self.ipa_bits = ipa_bits
        self.vcpus: list[Vcpu] = []
        self.gic: Gic | None = None
        # Memory slots as set; their buffers are kept while the VM may use them.
        self._slots: dict[int, MemorySlot] = {}
        # How long the register list of a vCPU was: a first guess for the next one.
        self.nr_reg_list = 0

    def __str__(self) -> str:
        return "the VM"

    def close(self) -> None:
        """As of any file. Its vCPUs live on, as with KVM; guests that stand still end there, and so
        their threads.
        """
        for vcpu in self.vcpus:
            if vcpu.guest is not None:
                vcpu.guest.end()
        super().close()

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
        vcpu = Vcpu(self._create(KVM_CREATE_VCPU, number), self, number, len(self.vcpus))
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
            KvmError: EINVAL for a bad alignment or a forbidden change, EEXIST for an overlap,
                EFAULT beyond the VM's address space.
        """
        address, length = 0, 0
        if isinstance(memory, int):
            address, length = memory, size or 0
        elif memory is not None:
            buffer = ffi.from_buffer(memory)
            address = int(ffi.cast("unsigned long", buffer))
            length = len(buffer) if size is None else size
        self._packed(KVM_SET_USER_MEMORY_REGION, "<IIQQQ", slot, flags, ipa, length, address)
        buffer = None if isinstance(memory, int) else memory
        if length:
            self._slots[slot] = MemorySlot(slot, ipa, length, flags, buffer, address)
        else:
            self._slots.pop(slot, None)

    @property
    def memory_slots(self) -> list[MemorySlot]:
        """The slots that were set through this object, by number. KVM itself does not tell."""
        return [self._slots[number] for number in sorted(self._slots)]

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

    # ---- devices, statistics ----

    def _create_device(self, kind: int) -> Any:
        """KVM_CREATE_DEVICE: the core's file of the device."""
        data = ffi.new("uint32_t[3]", [kind, 0, 0])
        created = ffi.new("struct kvmemu_file **")
        address = ffi.cast("unsigned long", data)
        result = lib.kvmemu_ioctl(self.handle(), KVM_CREATE_DEVICE, address, created)
        if result < 0:
            names = [n for n, v in ALL.items() if v == kind and n.startswith("KVM_DEV_TYPE_")]
            what = names[0] if names else f"type {kind}"
            raise kvm_error(-result, f"KVM_CREATE_DEVICE of {what} on {self}")
        return created[0]

    def can_create_device(self, kind: int) -> bool:
        """KVM_CREATE_DEVICE_TEST: whether the host has such a device, KVM_DEV_TYPE_*."""
        data = bytearray(struct.pack("<III", kind, 0, KVM_CREATE_DEVICE_TEST))
        address = ffi.cast("unsigned long", ffi.from_buffer(data))
        return int(lib.kvmemu_ioctl(self.handle(), KVM_CREATE_DEVICE, address, ffi.NULL)) == 0

    def create_vgic_v2(
        self,
        dist: int | None = VIRT_DIST,
        cpu: int | None = VIRT_CPU,
        nr_irqs: int | None = None,
        *,
        init: bool = True,
    ) -> VgicV2:
        """A GICv2, with all vCPUs there already if it is to be initialised at once.

        Args:
            dist, cpu: where the frames are; None leaves that open.
            nr_irqs: 64 to 992 in steps of 32; None leaves KVM's 256.
            init: initialise it, so that its registers are there.

        Raises:
            KvmError: ENODEV if the host cannot have one, EEXIST if there is a GIC already, E2BIG
                with more than 8 vCPUs, and what the device says of addresses and nr_irqs.
        """
        gic = VgicV2(self._create_device(KVM_DEV_TYPE_ARM_VGIC_V2), self)
        self.gic = gic
        if nr_irqs is not None:
            gic.nr_irqs = nr_irqs
        if dist is not None:
            gic.set_address(KVM_VGIC_V2_ADDR_TYPE_DIST, dist)
        if cpu is not None:
            gic.set_address(KVM_VGIC_V2_ADDR_TYPE_CPU, cpu)
        if init:
            gic.init()
        return gic

    def create_vgic_v3(
        self,
        dist: int | None = VIRT_DIST,
        redist: int | None = VIRT_REDIST,
        regions: Iterable[tuple[int, int]] | None = None,
        nr_irqs: int | None = None,
        *,
        init: bool = True,
    ) -> VgicV3:
        """A GICv3, with all vCPUs there already if it is to be initialised at once.

        Args:
            dist: where the distributor is; None leaves that open.
            redist: where the redistributors are, one after another; None leaves that open.
            regions: instead of redist, runs of redistributors: base and count of each.
            nr_irqs: 64 to 992 in steps of 32; None leaves KVM's 256.
            init: initialise it, so that its registers are there.

        Raises:
            KvmError: ENODEV if the host cannot have one, EEXIST if there is a GIC already, and what
                the device says of addresses and nr_irqs.
        """
        gic = VgicV3(self._create_device(KVM_DEV_TYPE_ARM_VGIC_V3), self)
        self.gic = gic
        if nr_irqs is not None:
            gic.nr_irqs = nr_irqs
        if dist is not None:
            gic.set_address(KVM_VGIC_V3_ADDR_TYPE_DIST, dist)
        if regions is not None:
            for index, (base, count) in enumerate(regions):
                gic.add_region(index, base, count)
        elif redist is not None:
            gic.set_address(KVM_VGIC_V3_ADDR_TYPE_REDIST, redist)
        if init:
            gic.init()
        return gic

    def stats(self) -> Statistics:
        """KVM_GET_STATS_FD: this VM's statistics as they are now."""
        return read_statistics(self)
