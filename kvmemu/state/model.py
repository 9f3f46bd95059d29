# SPDX-License-Identifier: MIT
"""What a saved VM consists of. Layer: state. Plain data; nothing here makes a call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from kvmemu.registers import reg_bytes
from kvmemu.vcpu import VcpuEvents


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
    """

    id: int
    target: int
    features: tuple[int, ...]
    mp_state: int
    events: VcpuEvents
    ids: tuple[int, ...]
    values: bytes

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
class VmState:
    """A whole VM.

    Attributes:
        ipa_bits: the size of its guest physical address space.
        vcpus: in the order they were created.
        origin: where it was saved, in words ("Linux 6.1.0", "kvmemu 0.1.0 gicv3-max").
    """

    ipa_bits: int
    vcpus: tuple[VcpuState, ...] = field(default=())
    origin: str = ""

    @property
    def nr_registers(self) -> int:
        """Registers of all vCPUs."""
        return sum(len(vcpu.ids) for vcpu in self.vcpus)
