# SPDX-License-Identifier: MIT
"""What takes a guest's stores before user space does: eventfds, and the ring of coalesced ones."""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kvmemu._core import lib

import kvmemu
from kvmemu import constants as kvm

RECORDED = Path(__file__).parent / "guest_stores.txt"
PAGE = 0x1000
RING_HEAD, ENTRY = 8, 24
DATAMATCH = kvm.KVM_IOEVENTFD_FLAG_DATAMATCH
DEASSIGN = kvm.KVM_IOEVENTFD_FLAG_DEASSIGN


@pytest.fixture
def event() -> Iterator[int]:
    """An eventfd."""
    fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    yield fd
    with contextlib.suppress(OSError):
        os.close(fd)


def store(vm: kvmemu.Vm, ipa: int, size: int, value: int) -> bool:
    result = lib.kvmemu_guest_store(vm.handle(), ipa, size, value)
    assert result in (0, 1)
    return bool(result)


def count_of(fd: int) -> int:
    """The count, which is taken."""
    try:
        return os.eventfd_read(fd)
    except BlockingIOError:
        return 0


def ioeventfd(
    vm: kvmemu.Vm, fd: int, addr: int, size: int, flags: int = 0, *, value: int = 0
) -> int:
    args = struct.pack("<QQIiI36x", value, addr, size, fd, flags)
    return _result(vm, kvm.KVM_IOEVENTFD, args)


def zone(vm: kvmemu.Vm, addr: int, size: int, pio: int = 0) -> int:
    return _result(vm, kvm.KVM_REGISTER_COALESCED_MMIO, struct.pack("<QII", addr, size, pio))


def no_zone(vm: kvmemu.Vm, addr: int, size: int, pio: int = 0) -> int:
    return _result(vm, kvm.KVM_UNREGISTER_COALESCED_MMIO, struct.pack("<QII", addr, size, pio))


def _result(vm: kvmemu.Vm, request: int, args: bytes) -> int:
    try:
        return vm.ioctl(request, bytearray(args))
    except kvmemu.KvmError as error:
        return -(error.errno or 0)


def first_and_last(page: memoryview) -> tuple[int, int]:
    first, last = struct.unpack_from("<II", page)
    return first, last


# ---- as recorded from Linux ----


class _Replay:
    """One VM of the recording: does a line again, and says what came of it."""

    def __init__(self, vm: kvmemu.Vm) -> None:
        self.vm = vm
        self.ring = vm.create_vcpu().kvm_run[PAGE:]
        self.events: list[tuple[int, int, int, int, int]] = []

    def close(self) -> None:
        for fd, *_ in self.events:
            os.close(fd)
        self.vm.close()

    def event(self, _number: str, addr: str, size: str, value: str, flags: str) -> str:
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.events.append((fd, int(addr, 16), int(size), int(flags), int(value, 16)))
        *args, datamatch = self.events[-1]
        return str(ioeventfd(self.vm, *args, value=datamatch))

    def no_event(self, number: str) -> str:
        fd, addr, size, flags, value = self.events[int(number)]
        return str(ioeventfd(self.vm, fd, addr, size, flags | DEASSIGN, value=value))

    def zone(self, addr: str, size: str, pio: str) -> str:
        return str(zone(self.vm, int(addr, 16), int(size, 16), int(pio)))

    def no_zone(self, addr: str, size: str) -> str:
        return str(no_zone(self.vm, int(addr, 16), int(size, 16)))

    def set_ring(self, first: str, last: str) -> str:
        struct.pack_into("<II", self.ring, 0, int(first, 16), int(last, 16))
        return ""

    def store(self, addr: str, size: str, value: str) -> str:
        _, before = first_and_last(self.ring)
        words = [str(int(store(self.vm, int(addr, 16), int(size), int(value, 16))))]
        words += [f"event {n}" for n, (fd, *_) in enumerate(self.events) if count_of(fd)]
        _, last = first_and_last(self.ring)
        if last != before:
            at = RING_HEAD + ENTRY * before
            ipa, length, pio = struct.unpack_from("<QII", self.ring, at)
            data = bytes(self.ring[at + 16 : at + 24]).hex()
            words.append(f"ring {last:x} {ipa:x} {length} {pio} {data}")
        return " ".join(words)

    def line(self, line: str) -> str:
        """What came of it: the part of the line behind the arrow."""
        name, *words = line.partition(" -> ")[0].split()
        steps: dict[str, Callable[..., str]] = {
            "event": self.event, "no-event": self.no_event, "zone": self.zone,
            "no-zone": self.no_zone, "ring": self.set_ring, "store": self.store,
        }  # fmt: skip
        return steps[name](*words)


def test_every_store_goes_where_it_went_on_linux(system: kvmemu.System) -> None:
    replay: _Replay | None = None
    wrong = []
    lines = RECORDED.read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        if line == "vm":
            if replay:
                replay.close()
            replay = _Replay(system.create_vm())
            continue
        assert replay is not None
        got = replay.line(line)
        if got != line.partition(" -> ")[2]:
            wrong.append(f"line {number}: {line}: {got}")
    assert replay is not None
    replay.close()
    assert not wrong
    assert sum(line.startswith("store") for line in lines) > 1000


# ---- eventfds ----


def test_a_store_signals_its_eventfd(vm: kvmemu.Vm, event: int) -> None:
    assert ioeventfd(vm, event, 0x100, 4, DATAMATCH, value=7) == 0
    assert not store(vm, 0x100, 4, 8)
    assert not store(vm, 0x100, 8, 7)
    assert not store(vm, 0x104, 4, 7)
    assert count_of(event) == 0
    assert store(vm, 0x100, 4, 7)
    assert store(vm, 0x100, 4, 0xFFFF_FFFF_0000_0007)  # a register's upper half is not stored
    assert count_of(event) == 2


def test_it_is_kept_when_its_number_is_closed(vm: kvmemu.Vm, event: int) -> None:
    again = os.dup(event)
    assert ioeventfd(vm, event, 0x100, 4) == 0
    os.close(event)
    other = os.eventfd(0, os.EFD_NONBLOCK)
    assert store(vm, 0x100, 4, 0)
    assert (count_of(again), count_of(other)) == (1, 0)
    assert ioeventfd(vm, again, 0x100, 4, DEASSIGN) == 0
    assert not store(vm, 0x100, 4, 0)
    os.close(again)
    os.close(other)


def test_a_full_eventfd_does_not_stop_the_guest(vm: kvmemu.Vm, event: int) -> None:
    os.set_blocking(event, True)
    os.eventfd_write(event, 2**64 - 2)
    assert ioeventfd(vm, event, 0x100, 4) == 0
    assert store(vm, 0x100, 4, 0)
    assert count_of(event) == 2**64 - 2


def test_other_buses_are_not_the_guests(vm: kvmemu.Vm, event: int) -> None:
    assert ioeventfd(vm, event, 0x100, 4, kvm.KVM_IOEVENTFD_FLAG_PIO) == 0
    assert ioeventfd(vm, event, 0x100, 4, kvm.KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY) == 0
    assert zone(vm, 0x100, 4, pio=1) == 0
    assert not store(vm, 0x100, 4, 0)


def test_a_store_may_be_an_interrupt(vm: kvmemu.Vm, event: int) -> None:
    vm.create_vcpus(1)
    gic = vm.create_vgic_v3(nr_irqs=64)
    vm.ioctl(kvm.KVM_IRQFD, bytearray(struct.pack("<4I16x", event, 3, 0, 0)))
    assert ioeventfd(vm, event, 0x100, 0) == 0
    assert store(vm, 0x100, 2, 1)
    assert gic.irq(35).latch
    assert count_of(event) == 0


# ---- the ring ----


def test_all_vcpus_show_one_ring(vm: kvmemu.Vm) -> None:
    vcpus = [vm.create_vcpu() for _ in range(3)]
    rings = [vcpu.kvm_run[PAGE:] for vcpu in vcpus]
    assert zone(vm, 0x1000, 0x100) == 0
    assert store(vm, 0x1010, 4, 0x11223344)
    assert [first_and_last(ring) for ring in rings] == [(0, 1)] * 3
    struct.pack_into("<I", rings[2], 0, 1)
    assert [first_and_last(ring) for ring in rings] == [(1, 1)] * 3
    rings.append(vm.create_vcpu().kvm_run[PAGE:])
    assert first_and_last(rings[3]) == (1, 1)
    # kvm_run itself is each vCPU's own.
    vcpus[0].immediate_exit = True
    assert not vcpus[1].immediate_exit


def test_the_first_vcpus_descriptor_shows_it(vm: kvmemu.Vm) -> None:
    vcpus = [vm.create_vcpu() for _ in range(2)]
    vcpus[0].immediate_exit = True
    assert zone(vm, 0x1000, 0x100) == 0
    assert store(vm, 0x1000, 1, 5)
    fds = [vcpu.fileno() for vcpu in vcpus]
    with mmap.mmap(fds[0], 2 * PAGE) as pages:
        assert pages[1] == 1
        assert struct.unpack_from("<II", pages, PAGE) == (0, 1)
        assert store(vm, 0x1001, 1, 6)
        assert struct.unpack_from("<II", pages, PAGE) == (0, 2)
        struct.pack_into("<I", pages, PAGE, 2)
        assert first_and_last(vcpus[1].kvm_run[PAGE:]) == (2, 2)
        pages[1] = 0
        assert not vcpus[0].immediate_exit
    for fd in fds:
        kvmemu.close(fd)


def test_a_refused_vcpu_leaves_nothing_in_the_first_ones_pages(vm: kvmemu.Vm) -> None:
    number = vm.fileno()
    with pytest.raises(kvmemu.KvmError):
        kvmemu.ioctl(number, kvm.KVM_CREATE_VCPU, 600)
    first = kvmemu.ioctl(number, kvm.KVM_CREATE_VCPU, 0)
    with mmap.mmap(first, 2 * PAGE) as pages:
        assert pages[:] == bytes(2 * PAGE)
    kvmemu.close(first)
    kvmemu.close(number)


def test_a_full_ring_lets_stores_out(vm: kvmemu.Vm) -> None:
    """Linux takes a difference of 32 bits modulo 170: nothing read, it finds 85 places, not 169."""
    ring = vm.create_vcpu().kvm_run[PAGE:]
    assert zone(vm, 0x1000, 0x100) == 0
    for first, places, last in ((0, 85, 85), (3, 3, 88), (84, 81, 169)):
        struct.pack_into("<I", ring, 0, first)
        taken = [store(vm, 0x1000, 8, n) for n in range(places + 10)]
        assert taken == [True] * places + [False] * 10
        assert first_and_last(ring) == (first, last)
    values = [struct.unpack_from("<Q", ring, RING_HEAD + ENTRY * n + 16)[0] for n in range(5)]
    assert values == list(range(5))


def test_a_vm_without_vcpus_has_its_ring_too(vm: kvmemu.Vm) -> None:
    assert zone(vm, 0x1000, 0x100) == 0
    assert store(vm, 0x1000, 1, 5)
    assert first_and_last(vm.create_vcpu().kvm_run[PAGE:]) == (0, 1)
