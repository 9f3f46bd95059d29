# SPDX-License-Identifier: MIT
"""kvmemu/injection.py: what its methods pass on.

test_irqfd.py and test_bus.py see to what KVM makes of it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest
from kvmemu._core import lib

import kvmemu
from kvmemu.gic import VgicV3

LEVEL_INTID, EDGE_INTID = 52, 35


@pytest.fixture
def gic(vm: kvmemu.Vm) -> VgicV3:
    """A GICv3 of two vCPUs: INTIDs 32 to 47 edge, 48 to 63 level, all enabled."""
    vm.create_vcpus(2)
    gic = vm.create_vgic_v3(nr_irqs=96)
    gic.dist["GICD_CTLR"] = 2
    gic.dist["GICD_ICFGR2"] = 0xAAAAAAAA
    gic.dist["GICD_ICFGR3"] = 0
    gic.dist["GICD_ISENABLER1"] = 0xFFFFFFFF
    return gic


@pytest.fixture
def events() -> Iterator[tuple[int, int]]:
    """Two eventfds."""
    fds = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(2)]
    yield fds[0], fds[1]
    for fd in fds:
        os.close(fd)


def store(vm: kvmemu.Vm, address: int, value: int, size: int) -> bool:
    """A guest's store: whether KVM dealt with it."""
    return bool(lib.kvmemu_guest_store(vm.handle(), address, size, value))


def test_lines(vm: kvmemu.Vm, gic: VgicV3) -> None:
    vm.spi(LEVEL_INTID, True)
    vm.spi(EDGE_INTID, True)
    vm.vcpus[1].ppi(20, True)
    assert gic.irq(LEVEL_INTID).line
    assert gic.irq(EDGE_INTID).latch
    assert gic.irq(20, vm.vcpus[1]).line
    assert not gic.irq(20, vm.vcpus[0]).line
    vm.spi(LEVEL_INTID, False)
    assert not gic.irq(LEVEL_INTID).pending


def test_an_irqfd_comes_and_goes(vm: kvmemu.Vm, gic: VgicV3, events: tuple[int, int]) -> None:
    vm.assign_irqfd(events[0], EDGE_INTID - 32)
    with pytest.raises(OSError, match="KVM_IRQFD on the VM") as caught:
        vm.assign_irqfd(events[0], LEVEL_INTID - 32)
    assert caught.value.errno == errno.EBUSY
    os.eventfd_write(events[0], 1)
    assert gic.irq(EDGE_INTID).pending
    gic.dist["GICD_ISPENDR1"] = 0
    vm.deassign_irqfd(events[0], EDGE_INTID - 32)
    os.eventfd_write(events[0], 1)
    assert not gic.irq(EDGE_INTID).pending


def test_a_resampled_irqfd_hears_of_the_end(
    vm: kvmemu.Vm, gic: VgicV3, events: tuple[int, int]
) -> None:
    vm.assign_irqfd(events[0], LEVEL_INTID - 32, resample=events[1])
    os.eventfd_write(events[0], 1)
    assert gic.irq(LEVEL_INTID).line
    assert lib.kvmemu_guest_eoi(vm.handle(), LEVEL_INTID) == 0
    assert not gic.irq(LEVEL_INTID).line
    assert os.eventfd_read(events[1]) == 1


def test_routes_replace_each_other(vm: kvmemu.Vm, gic: VgicV3, events: tuple[int, int]) -> None:
    message = kvmemu.Msi(0x0808_0040, 7, devid=3)
    vm.set_gsi_routing({5: EDGE_INTID - 32, 6: message, 7: kvmemu.Msi(1 << 40, 0)})
    vm.assign_irqfd(events[0], 5)
    vm.assign_irqfd(events[1], EDGE_INTID - 32)  # which stands for nothing now
    os.eventfd_write(events[1], 1)
    assert not gic.irq(EDGE_INTID).pending
    os.eventfd_write(events[0], 1)
    assert gic.irq(EDGE_INTID).pending
    with pytest.raises(OSError, match="KVM_SET_GSI_ROUTING") as caught:
        vm.set_gsi_routing({5: 988})
    assert caught.value.errno == errno.EINVAL


def test_messages_need_an_its(vm: kvmemu.Vm, gic: VgicV3) -> None:
    for message in (kvmemu.Msi(0x0808_0040, 7), kvmemu.Msi(0x0808_0040, 7, devid=3)):
        with pytest.raises(OSError, match="KVM_SIGNAL_MSI") as caught:
            vm.signal_msi(message)
        assert caught.value.errno == errno.ENODEV


def test_an_ioeventfd_hears_of_its_store(vm: kvmemu.Vm, events: tuple[int, int]) -> None:
    vm.assign_ioeventfd(events[0], 0x0A00_0050, 4, 1)
    vm.assign_ioeventfd(events[1], 0x0A00_0060)
    assert store(vm, 0x0A00_0050, 1, 4)
    assert not store(vm, 0x0A00_0050, 2, 4)
    assert store(vm, 0x0A00_0060, 0x1234, 2)
    assert (os.eventfd_read(events[0]), os.eventfd_read(events[1])) == (1, 1)
    with pytest.raises(OSError, match="KVM_IOEVENTFD") as caught:
        vm.deassign_ioeventfd(events[0], 0x0A00_0050, 4)
    assert caught.value.errno == errno.ENOENT
    vm.deassign_ioeventfd(events[0], 0x0A00_0050, 4, 1)
    assert not store(vm, 0x0A00_0050, 1, 4)
