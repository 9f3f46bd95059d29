# SPDX-License-Identifier: MIT
"""Devices of a VM, and the interrupt controllers among them."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kvmemu import constants as kvm
from kvmemu._core import ffi, lib
from kvmemu.errors import KvmError, check, kvm_error
from kvmemu.file import BYTES, COUNT, WORDS, File, new_filled
from kvmemu.gic_attrs import WHOSE_SHIFT, affinity_attr, attr_name
from kvmemu.gic_registers import GicRegister, gic_register_at, gic_registers

if TYPE_CHECKING:
    from kvmemu.vcpu import Vcpu
    from kvmemu.vm import Vm

NR_SGIS = 16
NR_PRIVATE_IRQS = 32
_WORD = 4
_LEVELS = kvm.VGIC_LEVEL_INFO_LINE_LEVEL << kvm.KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT
_REGION_COUNT_SHIFT = 52
_REDIST_BYTES = 0x2_0000
_ADDRESS_KINDS = {
    (2, "gicd"): kvm.KVM_VGIC_V2_ADDR_TYPE_DIST,
    (2, "gicc"): kvm.KVM_VGIC_V2_ADDR_TYPE_CPU,
    (3, "gicd"): kvm.KVM_VGIC_V3_ADDR_TYPE_DIST,
}
_REGION_BASE_MASK = 0x000F_FFFF_FFFF_0000


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


class FrameRegisters(MutableMapping[str | int, int]):
    """Registers of one frame, or of one vCPU's CPU interface, by name or offset.

    Iterates over the names of those that this VM has, ascending by offset. A register of 64 bits in
    a frame is read and written as two words, as KVM asks for. A name that no register has raises
    KeyError; what KVM refuses raises KvmError.
    """

    def __init__(self, gic: Gic, frame: str, group: int, whose: int = 0) -> None:
        self._gic = gic
        self._frame = frame
        self._group = group
        self._whose = whose

    def register(self, key: str | int) -> GicRegister:
        """What a name or an offset stands for.

        Raises:
            KeyError: nothing.
        """
        version = self._gic.version
        if isinstance(key, int):
            register = gic_register_at(version, self._frame, key)
        else:
            register = gic_registers(version, self._frame).get(key.upper())
        if register is None:
            what = f"{key:#x}" if isinstance(key, int) else repr(key)
            raise KeyError(f"the {self._frame.upper()} of a GICv{version} has no register {what}")
        return register

    def _words(self, register: GicRegister) -> Sequence[tuple[int, int, int]]:
        """Attribute, bytes and shift of each access that a register takes."""
        attr = self._whose | register.offset
        if self._frame == "icc" or register.bytes == _WORD:
            return [(attr, register.bytes, 0)]
        return [(attr, _WORD, 0), (attr + _WORD, _WORD, 32)]

    def __getitem__(self, key: str | int) -> int:
        return sum(
            self._gic.get_device_attr(self._group, attr, size) << shift
            for attr, size, shift in self._words(self.register(key))
        )

    def __setitem__(self, key: str | int, value: int) -> None:
        register = self.register(key)
        if value < 0 or value >> 8 * register.bytes:
            raise OverflowError(f"{value:#x} does not fit in {register.name}")
        for attr, size, shift in self._words(register):
            word = value >> shift & (1 << 8 * size) - 1
            self._gic.set_device_attr(self._group, attr, word, size)

    def __delitem__(self, key: str | int) -> None:
        raise TypeError("a register cannot be deleted")

    def _has(self, register: GicRegister) -> bool:
        attr = self._whose | register.offset
        if not self._gic.has_device_attr(self._group, attr):
            return False
        if self._frame != "icc":
            return True
        # KVM has attributes for active priorities that this vCPU's priorities do not need.
        try:
            self._gic.get_device_attr(self._group, attr)
        except KvmError:
            return False
        return True

    def __iter__(self) -> Iterator[str | int]:
        registers = gic_registers(self._gic.version, self._frame).values()
        return (register.name for register in registers if self._has(register))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, (str, int)):
            return False
        try:
            return self._has(self.register(key))
        except KeyError:
            return False


@dataclass(frozen=True)
class Irq:
    """An interrupt as it is inside the GIC, beyond what KVM's interface shows.

    Attributes:
        intid: its number.
        kind: "SGI", "PPI" or "SPI".
        vcpu: the id of the vCPU it is private to; None for an SPI.
        enabled, active: as the distributor has them.
        latch: it is pending by an edge or by a register.
        line: its input is high.
        pending: to the guest: the latch, or the line of a level-triggered interrupt.
        edge: edge-triggered; else level-triggered.
        priority: 0 is the highest.
        group: 0 or 1.
        hw: mapped to an interrupt of the host.
        owned: a device in the kernel is its source.
        target: the id of the vCPU it goes to when it is next pending; None if there is none.
        targets: GICv2: the mask of target CPU interfaces.
        affinity: GICv3: Aff2 to Aff0 of where it is routed to.
        sources: GICv2 SGIs: the mask of senders.
        queued: the id of the vCPU that has it on its list of what to deliver; None if none has.
    """

    intid: int
    kind: str
    vcpu: int | None
    enabled: bool
    pending: bool
    latch: bool
    line: bool
    active: bool
    edge: bool
    priority: int
    group: int
    hw: bool
    owned: bool
    target: int | None
    targets: int
    affinity: int
    sources: int
    queued: int | None


def kind_of(intid: int) -> str:
    """ "SGI", "PPI" or "SPI"."""
    return "SGI" if intid < NR_SGIS else "PPI" if intid < NR_PRIVATE_IRQS else "SPI"


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
        """KVM_DEV_ARM_VGIC_CTRL_INIT, once all vCPUs are there.

        Raises:
            KvmError: EBUSY while a vCPU is being created; ENOMEM.
        """
        self.set_device_attr(kvm.KVM_DEV_ARM_VGIC_GRP_CTRL, kvm.KVM_DEV_ARM_VGIC_CTRL_INIT)

    @property
    def nr_irqs(self) -> int:
        """SGIs, PPIs and SPIs together; 32 until the number is set or settled by init()."""
        return self.get_device_attr(kvm.KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, 4)

    @nr_irqs.setter
    def nr_irqs(self, count: int) -> None:
        self.set_device_attr(kvm.KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, count, 4)

    def address(self, kind: int) -> int | None:
        """KVM_DEV_ARM_VGIC_GRP_ADDR: where a frame is; None if it has no place yet."""
        found = self.get_device_attr(kvm.KVM_DEV_ARM_VGIC_GRP_ADDR, kind)
        return None if found == (1 << 64) - 1 else found

    def set_address(self, kind: int, ipa: int) -> None:
        """KVM_DEV_ARM_VGIC_GRP_ADDR: gives a frame its place, once.

        Raises:
            KvmError: EEXIST the second time; EINVAL, E2BIG for an address that cannot be.
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
        """The distributor's registers; on a GICv2 those that are banked are vCPU 0's."""
        return FrameRegisters(self, "gicd", kvm.KVM_DEV_ARM_VGIC_GRP_DIST_REGS)

    def irq(self, intid: int, vcpu: Vcpu | None = None) -> Irq:
        """One interrupt, private ones of a vCPU.

        Raises:
            KvmError: ENXIO before init(), ENOENT if there is no such interrupt.
        """
        data = ffi.new("struct kvmemu_gic_irq *")
        vcpu_id = vcpu.id if vcpu is not None else 0
        result = lib.kvmemu_gic_irq(self.handle(), vcpu_id, intid, data)
        check(result, f"looking at interrupt {intid} of {self}")
        found = data[0]
        return Irq(
            intid=intid,
            kind=kind_of(intid),
            vcpu=vcpu_id if intid < NR_PRIVATE_IRQS else None,
            enabled=bool(found.enabled),
            pending=bool(found.pending),
            latch=bool(found.latch),
            line=bool(found.line),
            active=bool(found.active),
            edge=bool(found.edge),
            priority=found.priority,
            group=found.group,
            hw=bool(found.hw),
            owned=bool(found.owned),
            target=found.target if found.target >= 0 else None,
            targets=found.targets,
            affinity=found.mpidr,
            sources=found.sources,
            queued=found.queued if found.queued >= 0 else None,
        )

    def irqs(self, vcpus: Iterable[Vcpu] | None = None) -> Iterator[Irq]:
        """Every interrupt: the private ones of each vCPU (or of those given), then the SPIs.

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
        """The distributor's registers as one vCPU sees them: those of SGIs and PPIs are its own."""
        whose = vcpu.id << WHOSE_SHIFT
        return FrameRegisters(self, "gicd", kvm.KVM_DEV_ARM_VGIC_GRP_DIST_REGS, whose)

    def cpu(self, vcpu: Vcpu) -> FrameRegisters:
        """The registers of a vCPU's CPU interface."""
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
        """The registers of a vCPU's redistributor, both frames."""
        group = kvm.KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
        return FrameRegisters(self, "gicr", group, affinity_attr(vcpu.regs["MPIDR_EL1"]))

    def icc(self, vcpu: Vcpu) -> FrameRegisters:
        """The system registers of a vCPU's CPU interface."""
        group = kvm.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS
        return FrameRegisters(self, "icc", group, affinity_attr(vcpu.regs["MPIDR_EL1"]))

    def line_levels(self, intid: int, vcpu: Vcpu | None = None) -> int:
        """KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO: the inputs of 32 interrupts, bit n that of intid + n.

        Args:
            intid: a multiple of 32.
            vcpu: whose, for SGIs and PPIs; the first one if None.
        """
        return self.get_device_attr(
            kvm.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, self._levels_attr(intid, vcpu), 4
        )

    def set_line_levels(self, intid: int, levels: int, vcpu: Vcpu | None = None) -> None:
        """Sets what line_levels() reads. SGIs have no input."""
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
        """KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION.

        Raises:
            KvmError: EINVAL for an index out of order, an overlap or a count of zero.
        """
        region = count << _REGION_COUNT_SHIFT | base | index
        self.set_address(kvm.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, region)
