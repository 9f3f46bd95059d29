# SPDX-License-Identifier: MIT
"""A saved GIC interrupt by interrupt, instead of register by register. Layer: state."""

from __future__ import annotations

from dataclasses import dataclass

from kvmemu.gic_irq import NR_PRIVATE_IRQS, kind_of
from kvmemu.gic_settings import meaning_of, settings
from kvmemu.state.gic_text import entries, whose_by_id
from kvmemu.state.model import VmState


@dataclass
class SavedIrq:
    """An interrupt of a saved VM.

    Attributes:
        intid: its number.
        kind: "SGI", "PPI" or "SPI".
        vcpu: the id of the vCPU it is private to; None for an SPI.
        enabled, active: as the distributor has them.
        pending: the pending latch; on a GICv2, which does not tell the two apart, or the line.
        line: its input is high; None on a GICv2, which does not tell.
        priority: 0 is the highest.
        edge: edge-triggered; else level-triggered.
        group: 0 or 1.
        target: the id of the vCPU an SPI goes to; None if there is none, and for private ones.
        targets: GICv2: the mask of an SPI's targets.
        senders: GICv2: the mask of an SGI's senders.
    """

    intid: int
    kind: str
    vcpu: int | None
    enabled: bool = False
    pending: bool = False
    line: bool | None = None
    active: bool = False
    priority: int = 0
    edge: bool = False
    group: int = 0
    target: int | None = None
    targets: int = 0
    senders: int = 0

    def note(self, meaning: str, value: int, vcpus: dict[int, int]) -> None:
        """Take over a field of a register."""
        match meaning:
            case "group" | "priority" | "targets" | "senders":
                setattr(self, meaning, value)
            case "pending latch":
                self.pending = bool(value)
            case "trigger":
                self.edge = bool(value)
            case "affinity":
                self.target = vcpus.get((value >> 32 & 0xFF) << 24 | value & 0xFFFFFF)
            case _:
                setattr(self, meaning, bool(value))
        if meaning == "targets" and self.kind == "SPI":  # KVM's lowest; vCPU 0 if there is none
            self.target = (value & -value).bit_length() - 1 if value else 0


def interrupts(state: VmState) -> list[SavedIrq]:
    """Every interrupt: the private ones of each vCPU, then the SPIs. None without a GIC."""
    if state.gic is None or not state.gic.initialized:
        return []
    found = {
        (vcpu.id, intid): SavedIrq(intid, kind_of(intid), vcpu.id)
        for vcpu in state.vcpus
        for intid in range(NR_PRIVATE_IRQS)
    }
    shared = {
        intid: SavedIrq(intid, kind_of(intid), None)
        for intid in range(NR_PRIVATE_IRQS, state.gic.nr_irqs)
    }
    vcpus = {whose: vcpu for vcpu, whose in whose_by_id(state.gic.version, state.vcpus).items()}
    for entry in entries(state.gic, state.vcpus):
        meaning = meaning_of(entry.register)
        if meaning is None:
            continue
        for intid, value in settings(entry.register, entry.value, entry.intid):
            irq = shared.get(intid) if entry.vcpu is None else found.get((entry.vcpu, intid))
            if irq is not None:
                irq.note(meaning, value, vcpus)
    return [*found.values(), *shared.values()]
