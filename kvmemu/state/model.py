# SPDX-License-Identifier: MIT
"""What a saved VM consists of. Layer: state. Plain data; nothing here makes a call.

Values stay packed as they were read, one after another; Python's numbers are made of them only when
somebody looks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from kvmemu.registers import reg_bytes
from kvmemu.state.memory import Contents
from kvmemu.vcpu import VcpuEvents


@dataclass(frozen=True)
class VcpuDevices:
    """What a vCPU's device attributes say.

    Attributes:
        pmu_intid: the PMU's overflow interrupt; None if there is none.
        pmu_ready: KVM_ARM_VCPU_PMU_V3_INIT was made.
        vtimer_intid, ptimer_intid: the timers' interrupts; None without a GIC in the kernel.
        pvtime_ipa: where stolen time is reported; None if nowhere.
    """

    pmu_intid: int | None = None
    pmu_ready: bool = False
    vtimer_intid: int | None = None
    ptimer_intid: int | None = None
    pvtime_ipa: int | None = None


@dataclass(frozen=True)
class VcpuState:
    """One vCPU.

    Attributes:
        id: its id.
        target: for KVM_ARM_VCPU_INIT.
        features: KVM_ARM_VCPU_* bit numbers, ascending.
        mp_state: KVM_MP_STATE_*.
        events: pending SError.
        ids: its registers in the order of KVM_GET_REG_LIST.
        values: their values one after another, little-endian, each of its register's size.
        devices: interrupts of its PMU and timers.
    """

    id: int
    target: int
    features: tuple[int, ...]
    mp_state: int
    events: VcpuEvents
    ids: tuple[int, ...]
    values: bytes
    devices: VcpuDevices = VcpuDevices()

    @cached_property
    def registers(self) -> dict[int, int]:
        """Values by id."""
        return dict(self._items())

    def _items(self) -> Iterator[tuple[int, int]]:
        at = 0
        for register_id in self.ids:
            size = reg_bytes(register_id)
            yield register_id, int.from_bytes(self.values[at : at + size], "little")
            at += size


@dataclass(frozen=True)
class AttrBlock:
    """Attributes of one group of a device, in the order in which they are restored.

    Attributes:
        group: KVM_DEV_ARM_VGIC_GRP_*.
        attrs: their numbers, packed: uint64 of the machine's byte order.
        values: their values, packed, of `size` bytes each.
        size: 4 or 8.
    """

    group: int
    attrs: bytes
    values: bytes
    size: int = 4

    def __len__(self) -> int:
        return len(self.attrs) // 8

    def items(self) -> Iterator[tuple[int, int]]:
        """Attributes with their values."""
        attrs = struct.unpack(f"={len(self)}Q", self.attrs)
        values = struct.unpack(f"={len(self)}{'I' if self.size == 4 else 'Q'}", self.values)
        return zip(attrs, values, strict=True)


@dataclass(frozen=True)
class GicState:
    """The GIC.

    Attributes:
        version: 2 or 3.
        nr_irqs: SGIs, PPIs and SPIs together; 32 if that is not settled yet.
        dist, cpu: where the distributor and, on a GICv2, the CPU interface are; None if nowhere.
        redist: on a GICv3, where the redistributors are if they are one run without an end.
        regions: else the runs: base and count of each.
        initialized: its registers exist, and are in blocks.
        blocks: its registers and line levels, in the order in which they are restored.
    """

    version: int
    nr_irqs: int
    dist: int | None = None
    cpu: int | None = None
    redist: int | None = None
    regions: tuple[tuple[int, int], ...] = ()
    initialized: bool = True
    blocks: tuple[AttrBlock, ...] = ()

    @cached_property
    def registers(self) -> dict[tuple[int, int], int]:
        """Values by group and attribute."""
        return {(b.group, attr): value for b in self.blocks for attr, value in b.items()}


@dataclass(frozen=True)
class SlotState:
    """A memory slot; what is in it is beside the state, see VmState.ram.

    Attributes:
        slot: its number.
        ipa: where the guest sees it.
        size: bytes.
        flags: KVM_MEM_*.
        sha256: of the contents, all of them, zeros included.
    """

    slot: int
    ipa: int
    size: int
    flags: int
    sha256: str = ""


@dataclass(frozen=True)
class VmState:
    """A whole VM.

    Attributes:
        ipa_bits: the size of its guest physical address space.
        vcpus: in the order they were created.
        origin: where it was saved, in words ("Linux 6.1.0", "kvmemu 0.1.0 gicv3-max").
        gic: None if it has none in the kernel.
        slots: its memory slots, by number.
        ram: the slots' contents, by number. Not compared: slots have checksums.
    """

    ipa_bits: int
    vcpus: tuple[VcpuState, ...] = field(default=())
    origin: str = ""
    gic: GicState | None = None
    slots: tuple[SlotState, ...] = ()
    ram: dict[int, Contents] = field(default_factory=dict, compare=False, repr=False)

    @property
    def nr_registers(self) -> int:
        """Registers of all vCPUs."""
        return sum(len(vcpu.ids) for vcpu in self.vcpus)
