# SPDX-License-Identifier: MIT
"""Devices of a VM, and the interrupt controllers among them."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kvmemu import constants as kvm
from kvmemu._core import ffi, lib
from kvmemu.errors import KvmError, check, kvm_error
from kvmemu.file import BYTES, COUNT, WORDS, File, new_filled
from kvmemu.gic_attrs import WHOSE_SHIFT, affinity_attr, attr_name
from kvmemu.gic_frames import FrameRegisters
from kvmemu.gic_irq import NR_PRIVATE_IRQS, Irq, irq_of

if TYPE_CHECKING:
    from kvmemu.vcpu import Vcpu
    from kvmemu.vm import Vm

_LEVELS = kvm.VGIC_LEVEL_INFO_LINE_LEVEL << kvm.KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT
_REGION_COUNT_SHIFT = 52
_REDIST_BYTES = 0x2_0000
_ADDRESS_KINDS = {
    (2, "gicd"): kvm.KVM_VGIC_V2_ADDR_TYPE_DIST,
    (2, "gicc"): kvm.KVM_VGIC_V2_ADDR_TYPE_CPU,
    (3, "gicd"): kvm.KVM_VGIC_V3_ADDR_TYPE_DIST,
}
_REGION_BASE_MASK = 0x000F_FFFF_FFFF_0000
_REGION_MOST = 0xFFF  # both of count and of index


class Device(File):
    """A device of a VM: attributes by group and number.

    Attributes:
        vm: the VM it belongs to.
    """

    def __init__(self, handle: Any, vm: Vm) -> None:
        super().__init__(handle)
        self.vm = vm

    def get_attrs(self, group: int, attrs: bytes, size: int) -> bytes:
        """Many attributes in one crossing.

        Args:
            group: a group of registers.
            attrs: their numbers, packed: uint64 each, of the machine's byte order.
            size: bytes of a value.

        Returns:
            The values one after another.

        Raises:
            KvmError: what the first attribute that failed gave.
        """
        count = len(attrs) // 8
        room, done = count * size, new_filled(COUNT)
        values = new_filled(BYTES, room or 1)
        result = lib.kvmemu_get_attrs(
            self.handle(), group, ffi.from_buffer(WORDS, attrs), count, values, room, done
        )
        if result < 0:
            raise self._batch_error("reading", result, group, attrs, done[0])
        data: bytes = ffi.buffer(values, room)[:]
        return data

    def set_attrs(self, group: int, attrs: bytes, values: bytes) -> None:
        """Many attributes in one crossing; arguments as get_attrs() takes and gives them.

        Raises:
            KvmError: what the first attribute that failed gave; those before it are set.
        """
        done = new_filled(COUNT)
        result = lib.kvmemu_set_attrs(
            self.handle(), group, ffi.from_buffer(WORDS, attrs), len(attrs) // 8,
            ffi.from_buffer(values), len(values), done,
        )  # fmt: skip
        if result < 0:
            raise self._batch_error("writing", result, group, attrs, done[0])

    def _batch_error(
        self, doing: str, result: int, group: int, attrs: bytes, done: int
    ) -> KvmError:
        at = 8 * done
        which = struct.unpack_from("=Q", attrs, at)[0] if at < len(attrs) else 0
        return kvm_error(-result, f"{doing} {self._attr_name(group, which)} on {self}")


class Gic(Device):
    """A virtual GIC.

    Attributes:
        version: 2 or 3.
    """

    version = 0

    def __str__(self) -> str:
        return f"the GICv{self.version}"

    def _attr_name(self, group: int, attr: int) -> str:
        return attr_name(self.version, group, attr)

    def init(self) -> None:
        """KVM_DEV_ARM_VGIC_CTRL_INIT, once all vCPUs are there: its interrupts and registers exist
        from then on. The second time it does nothing.

        Raises:
            KvmError: EBUSY while a vCPU is being created; ENOMEM.

        Source: vgic_init(), arch/arm64/kvm/vgic/vgic-init.c, Linux 6.1.
        """
        self.set_device_attr(kvm.KVM_DEV_ARM_VGIC_GRP_CTRL, kvm.KVM_DEV_ARM_VGIC_CTRL_INIT)

    @property
    def nr_irqs(self) -> int:
        """SGIs, PPIs and SPIs together; 32 until the number is set or settled by init().

        Raises:
            KvmError: on setting, EINVAL but for 64 to 992 in steps of 32; EBUSY the second time,
                and after init().
        """
        return self.get_device_attr(kvm.KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, 4)

    @nr_irqs.setter
    def nr_irqs(self, count: int) -> None:
        self.set_device_attr(kvm.KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, count, 4)

    def address(self, kind: int) -> int | None:
        """KVM_DEV_ARM_VGIC_GRP_ADDR: where a frame is.

        Args:
            kind: KVM_VGIC_V2_ADDR_TYPE_*, KVM_VGIC_V3_ADDR_TYPE_*.

        Returns:
            A guest physical address; None if it has no place yet.

        Raises:
            KvmError: ENXIO for a frame that such a GIC does not have.
        """
        found = self.get_device_attr(kvm.KVM_DEV_ARM_VGIC_GRP_ADDR, kind)
        return None if found == (1 << 64) - 1 else found

    def set_address(self, kind: int, ipa: int) -> None:
        """KVM_DEV_ARM_VGIC_GRP_ADDR: gives a frame its place, once.

        Args:
            kind: as for address().
            ipa: a multiple of 4 KiB on a GICv2, of 64 KiB on a GICv3.

        Raises:
            KvmError: EEXIST the second time; EINVAL, E2BIG for an address that cannot be; ENXIO for
                a frame that such a GIC does not have.
        """
        self.set_device_attr(kvm.KVM_DEV_ARM_VGIC_GRP_ADDR, kind, ipa)

    def frame_address(self, frame: str) -> int | None:
        """Where a frame is that all vCPUs find in one place; None if it has none in memory."""
        kind = _ADDRESS_KINDS.get((self.version, frame))
        return None if kind is None else self.address(kind)

    def guest_address(self, frame: str, vcpu: Vcpu) -> int | None:
        """Where a vCPU's guest finds a frame, one of FRAMES; None if it has no place in memory."""
        if frame == "gicr" and isinstance(self, VgicV3):
            return self.redist_address(vcpu)
        return self.frame_address(frame)

    @property
    def dist(self) -> FrameRegisters:
        """The distributor's registers: `gic.dist["GICD_ISENABLER1"]`.

        On a GICv2 those that are banked are vCPU 0's: see VgicV2.banked_dist(). On a GICv3 those of
        SGIs and PPIs are zero: the redistributors have them.
        """
        return FrameRegisters(self, "gicd", kvm.KVM_DEV_ARM_VGIC_GRP_DIST_REGS)

    def irq(self, intid: int, vcpu: Vcpu | None = None) -> Irq:
        """One interrupt, whatever KVM's interface shows of it.

        Args:
            intid: its number.
            vcpu: whose, for SGIs and PPIs; the vCPU of id 0 if None.

        Raises:
            KvmError: ENXIO before init(), ENOENT if there is no such interrupt or vCPU.
        """
        data = ffi.new("struct kvmemu_gic_irq *")
        vcpu_id = vcpu.id if vcpu is not None else 0
        result = lib.kvmemu_gic_irq(self.handle(), vcpu_id, intid, data)
        check(result, f"looking at interrupt {intid} of {self}")
        return irq_of(data[0], vcpu_id)

    def irqs(self, vcpus: Iterable[Vcpu] | None = None) -> Iterator[Irq]:
        """Every interrupt, for people and tests: `print(*gic.irqs(), sep="\\n")`.

        Args:
            vcpus: whose private interrupts; None takes all vCPUs.

        Returns:
            The SGIs and PPIs of one vCPU after another, then the SPIs. Each is as it is when it is
            taken from the iterator.

        Raises:
            KvmError: ENXIO before init().
        """
        for vcpu in self.vm.vcpus if vcpus is None else vcpus:
            for intid in range(NR_PRIVATE_IRQS):
                yield self.irq(intid, vcpu)
        for intid in range(NR_PRIVATE_IRQS, self.nr_irqs):
            yield self.irq(intid)


class VgicV2(Gic):
    """KVM_DEV_TYPE_ARM_VGIC_V2."""

    version = 2

    def banked_dist(self, vcpu: Vcpu) -> FrameRegisters:
        """The distributor's registers as one vCPU sees them: those of SGIs and PPIs are its own.

        The first access initialises a GICv2 that is not initialised yet.
        """
        whose = vcpu.id << WHOSE_SHIFT
        return FrameRegisters(self, "gicd", kvm.KVM_DEV_ARM_VGIC_GRP_DIST_REGS, whose)

    def cpu(self, vcpu: Vcpu) -> FrameRegisters:
        """The registers of a vCPU's CPU interface: `gic.cpu(vcpu)["GICC_CTLR"]`.

        GICC_PMR has the upper five bits of the mask, shifted down, as KVM's attribute has them.
        """
        whose = vcpu.id << WHOSE_SHIFT
        return FrameRegisters(self, "gicc", kvm.KVM_DEV_ARM_VGIC_GRP_CPU_REGS, whose)


class VgicV3(Gic):
    """KVM_DEV_TYPE_ARM_VGIC_V3."""

    version = 3

    def redist_address(self, vcpu: Vcpu) -> int | None:
        """Where a vCPU's redistributor is: they are given out in order of creation."""
        before = vcpu.index
        for base, count in self.regions():
            if not count or before < count:
                return base + before * _REDIST_BYTES
            before -= count
        return None

    def redist(self, vcpu: Vcpu) -> FrameRegisters:
        """The registers of a vCPU's redistributor, both frames: `gic.redist(vcpu)["GICR_TYPER"]`.

        The vCPU is named by its affinity, as MPIDR_EL1 has it now; of vCPUs that share one, KVM
        takes the first. Offsets of the second frame, SGI_base, begin at 0x10000.
        """
        group = kvm.KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
        return FrameRegisters(self, "gicr", group, affinity_attr(vcpu.regs["MPIDR_EL1"]))

    def icc(self, vcpu: Vcpu) -> FrameRegisters:
        """The system registers of a vCPU's CPU interface: `gic.icc(vcpu)["ICC_PMR_EL1"]`.

        The vCPU is named as by redist(). An integer key is an encoding: op0 in bits 15:14, op1 in
        13:11, CRn in 10:7, CRm in 6:3, op2 in 2:0.
        """
        group = kvm.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS
        return FrameRegisters(self, "icc", group, affinity_attr(vcpu.regs["MPIDR_EL1"]))

    def line_levels(self, intid: int, vcpu: Vcpu | None = None) -> int:
        """KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO: the inputs of 32 interrupts, bit n that of intid + n.

        Args:
            intid: a multiple of 32.
            vcpu: whose, for SGIs and PPIs; the first one if None.

        Raises:
            KvmError: EINVAL for another number; EBUSY before init(), and while a vCPU runs.

        Source: vgic_v3_line_level_info_uaccess(), arch/arm64/kvm/vgic/vgic-mmio-v3.c, Linux 6.1,
        which shows the lines of level-triggered interrupts only.
        """
        return self.get_device_attr(
            kvm.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, self._levels_attr(intid, vcpu), 4
        )

    def set_line_levels(self, intid: int, levels: int, vcpu: Vcpu | None = None) -> None:
        """Sets what line_levels() reads, whatever the interrupts' triggers. SGIs have no input."""
        attr = self._levels_attr(intid, vcpu)
        self.set_device_attr(kvm.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, attr, levels, 4)

    def _levels_attr(self, intid: int, vcpu: Vcpu | None) -> int:
        vcpu = vcpu if vcpu is not None else self.vm.vcpus[0]
        return affinity_attr(vcpu.regs["MPIDR_EL1"]) | _LEVELS | intid

    def regions(self) -> list[tuple[int, int]]:
        """The redistributor regions, base and count of each; count 0 is the one region of
        KVM_VGIC_V3_ADDR_TYPE_REDIST, as long as there are vCPUs.
        """
        found: list[tuple[int, int]] = []
        kind = kvm.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION
        group = kvm.KVM_DEV_ARM_VGIC_GRP_ADDR
        while True:
            result, region = self.try_device_attr(
                kvm.KVM_GET_DEVICE_ATTR, group, kind, len(found)
            )
            if result == -errno.ENOENT:
                return found
            check(result, f"redistributor regions of {self}")
            found.append((region & _REGION_BASE_MASK, region >> _REGION_COUNT_SHIFT))

    def add_region(self, index: int, base: int, count: int) -> None:
        """KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION: a run of redistributors.

        Args:
            index: the number of regions there are.
            base: guest physical address, a multiple of 64 KiB.
            count: redistributors it has room for, each of 128 KiB.

        Raises:
            KvmError: EINVAL for an index out of order, an overlap or a count of zero.
            ValueError: a number that has no place in the attribute.
        """
        if base & ~_REGION_BASE_MASK or not 0 <= count <= _REGION_MOST >= index >= 0:
            raise ValueError(f"no attribute says region {index}: {count} at {base:#x}")
        region = count << _REGION_COUNT_SHIFT | base | index
        self.set_address(kvm.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, region)
