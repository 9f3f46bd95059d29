# SPDX-License-Identifier: MIT
"""Interrupts as they are inside the GIC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kvmemu.gic_settings import vcpus_in

NR_SGIS = 16
NR_PRIVATE_IRQS = 32


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

    def __str__(self) -> str:
        """`SPI 33: enabled, pending (latch), edge, group 1, priority 0xa0, to vCPU 0, queued`."""
        whose = "" if self.vcpu is None else f" of vCPU {self.vcpu}"
        causes = [word for word, is_so in (("latch", self.latch), ("line", self.line)) if is_so]
        line = " (its line is high)" if self.line and not self.pending else ""
        parts = [
            ("enabled" if self.enabled else "disabled") + line,
            f"pending ({', '.join(causes)})" if self.pending else "",
            "active" if self.active else "",
            "edge" if self.edge else "level",
            f"group {self.group}",
            f"priority {self.priority:#04x}",
            "of the host" if self.hw else "",
            f"from {vcpus_in(self.sources)}" if self.sources else "",
            f"to vCPU {self.target}" if self.target is not None else "to nobody",
            f"queued on vCPU {self.queued}" if self.queued is not None else "",
        ]
        return f"{self.kind} {self.intid}{whose}: {', '.join(filter(None, parts))}"


def kind_of(intid: int) -> str:
    """ "SGI", "PPI" or "SPI"."""
    return "SGI" if intid < NR_SGIS else "PPI" if intid < NR_PRIVATE_IRQS else "SPI"


def irq_of(found: Any, vcpu_id: int) -> Irq:
    """From struct kvmemu_gic_irq.

    Args:
        vcpu_id: whose it is, if it is private.
    """
    return Irq(
        intid=found.intid,
        kind=kind_of(found.intid),
        vcpu=vcpu_id if found.intid < NR_PRIVATE_IRQS else None,
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
