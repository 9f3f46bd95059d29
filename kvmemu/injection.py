# SPDX-License-Identifier: MIT
"""Interrupts into a VM, and events out of it: lines, eventfds, routes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from kvmemu import constants as kvm
from kvmemu._core import lib
from kvmemu.errors import kvm_error
from kvmemu.file import File

_SPI = kvm.KVM_ARM_IRQ_TYPE_SPI << kvm.KVM_ARM_IRQ_TYPE_SHIFT
_IRQFD = "<4I16x"
_MSI = "<5I12x"
_IOEVENTFD = "<QQIiI36x"
_ROUTE = "<4I"  # struct kvm_irq_routing_entry, before its union
_PIN = "<2I24x"
_MESSAGE = "<4I16x"


@dataclass(frozen=True)
class Msi:
    """A message-signalled interrupt.

    Attributes:
        address: where the device writes: GITS_TRANSLATER.
        data: what it writes: the EventID.
        devid: its DeviceID; None for none.
    """

    address: int
    data: int
    devid: int | None = None

    @property
    def flags(self) -> int:
        """KVM_MSI_*."""
        return 0 if self.devid is None else kvm.KVM_MSI_VALID_DEVID

    @property
    def words(self) -> tuple[int, int, int]:
        """Address, lower half first, and data."""
        return self.address & 0xFFFFFFFF, self.address >> 32, self.data


class Injection(File):
    """The calls of a VM that inject interrupts, or say how they come in."""

    def irq_line(self, irq: int, level: bool) -> None:
        """KVM_IRQ_LINE: an input of the interrupt controller goes high or low.

        Args:
            irq: KVM_ARM_IRQ_TYPE_* in bits 27:24; for private interrupts the vCPU's index in bits
                23:16, and its upper part in 31:28; the INTID in 15:0. See spi() and Vcpu.ppi().
            level: of a level-triggered interrupt; an edge-triggered one is pending once it is high.

        Raises:
            KvmError: ENXIO for an interrupt of a controller the VM does not have; EINVAL for a type
                or number out of range, or a vCPU that is not there; EBUSY before init() of a GICv3.

        Source: kvm_vm_ioctl_irq_line(), arch/arm64/kvm/arm.c, Linux 6.1, which takes the id of the
        vCPU that it found for an index again: where the two differ another vCPU's line moves.
        """
        result = lib.kvmemu_irq_line(self._handle or self.handle(), irq, level)
        if result < 0:
            raise kvm_error(-result, f"KVM_IRQ_LINE of {irq:#x} on {self}")

    def spi(self, intid: int, level: bool) -> None:
        """KVM_IRQ_LINE of a shared interrupt.

        Args:
            intid: 32 and above.
            level: as for irq_line().

        Raises:
            KvmError: ENXIO without a GIC in the kernel, EINVAL if there is no such interrupt.
        """
        self.irq_line(_SPI | intid, level)

    # ---- by eventfd ----

    def assign_irqfd(self, fd: int, gsi: int, resample: int | None = None) -> None:
        """KVM_IRQFD: a write to an eventfd injects an interrupt.

        Args:
            fd: the eventfd. A write raises the line of a level-triggered interrupt, and nothing
                lowers it again; an edge-triggered one is pending.
            gsi: as set_gsi_routing() has it; without, INTID - 32.
            resample: an eventfd that is signalled, and the line lowered, when the guest has dealt
                with the interrupt.

        Raises:
            KvmError: EAGAIN before the GIC's init(), EBADF, EINVAL for what is no eventfd, EBUSY
                for one that injects already.

        Source: kvm_irqfd_assign(), virt/kvm/eventfd.c, Linux 6.1.
        """
        flags = 0 if resample is None else kvm.KVM_IRQFD_FLAG_RESAMPLE
        self._packed(kvm.KVM_IRQFD, _IRQFD, fd, gsi, flags, resample or 0)

    def deassign_irqfd(self, fd: int, gsi: int) -> None:
        """KVM_IRQFD with KVM_IRQFD_FLAG_DEASSIGN; of one that is not assigned it does nothing.

        Raises:
            KvmError: EBADF, EINVAL for what is no eventfd.
        """
        self._packed(kvm.KVM_IRQFD, _IRQFD, fd, gsi, kvm.KVM_IRQFD_FLAG_DEASSIGN, 0)

    def set_gsi_routing(self, routes: Mapping[int, int | Msi]) -> None:
        """KVM_SET_GSI_ROUTING: what the GSIs of irqfds stand for, instead of what they did.

        Args:
            routes: by GSI, an input of the GIC (INTID - 32), or a message.

        Raises:
            KvmError: EINVAL for a GSI or an input that is out of range.

        Source: kvm_set_irq_routing(), virt/kvm/irqchip.c, Linux 6.1. The GIC's init() replaces the
        routes that were set before it.
        """
        table = bytearray(struct.pack("<II", len(routes), 0))
        for gsi, route in routes.items():
            if isinstance(route, Msi):
                table += struct.pack(_ROUTE, gsi, kvm.KVM_IRQ_ROUTING_MSI, route.flags, 0)
                table += struct.pack(_MESSAGE, *route.words, route.devid or 0)
            else:
                table += struct.pack(_ROUTE, gsi, kvm.KVM_IRQ_ROUTING_IRQCHIP, 0, 0)
                table += struct.pack(_PIN, 0, route)
        self.ioctl(kvm.KVM_SET_GSI_ROUTING, table)

    def signal_msi(self, msi: Msi) -> bool:
        """KVM_SIGNAL_MSI.

        Returns:
            Whether the guest took it; else it has it masked.

        Raises:
            KvmError: EINVAL without a GIC in the kernel, ENODEV without an ITS at this address.
        """
        arguments = (*msi.words, msi.flags, msi.devid or 0)
        return self.ioctl(kvm.KVM_SIGNAL_MSI, bytearray(struct.pack(_MSI, *arguments))) > 0

    # ---- out of the VM ----

    def assign_ioeventfd(
        self, fd: int, address: int, size: int = 0, value: int | None = None
    ) -> None:
        """KVM_IOEVENTFD: a store of the guest signals an eventfd, instead of an exit.

        Args:
            fd: the eventfd.
            address: of the store, in guest physical memory.
            size: bytes of the store: 1, 2, 4 or 8; 0 for any.
            value: what is stored; None for anything.

        Raises:
            KvmError: EEXIST for a store that signals already, EINVAL for a size that cannot be,
                EBADF, ENOSPC while 1,000 frames and coalesced zones are on the bus.

        Source: kvm_assign_ioeventfd(), virt/kvm/eventfd.c, Linux 6.1.
        """
        self._ioeventfd(fd, address, size, value, 0)

    def deassign_ioeventfd(
        self, fd: int, address: int, size: int = 0, value: int | None = None
    ) -> None:
        """KVM_IOEVENTFD with KVM_IOEVENTFD_FLAG_DEASSIGN; arguments as they were assigned.

        Raises:
            KvmError: ENOENT if there is none like it.
        """
        self._ioeventfd(fd, address, size, value, kvm.KVM_IOEVENTFD_FLAG_DEASSIGN)

    def _ioeventfd(self, fd: int, address: int, size: int, value: int | None, flags: int) -> None:
        if value is not None:
            flags |= kvm.KVM_IOEVENTFD_FLAG_DATAMATCH
        self._packed(kvm.KVM_IOEVENTFD, _IOEVENTFD, value or 0, address, size, fd, flags)
