# SPDX-License-Identifier: MIT
"""Interrupts by eventfd: real eventfds, written, closed, duplicated and reused.

What a GIC is to look like afterwards was asked of Linux 6.1 with the same calls; what needs no
write to an eventfd is in the conformance scripts irqfd and gsi-routing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from kvmemu._core import lib

import kvmemu
from kvmemu import constants as kvm
from kvmemu.gic import VgicV3

ISPENDR1 = 0x204  # latches of INTIDs 32 to 63; user space sets them all at once
EDGE_GSI, LEVEL_GSI = 3, 20  # INTIDs 35 and 52
EDGE, LEVEL = 1 << EDGE_GSI, 1 << LEVEL_GSI
LEVEL_INTID = 32 + LEVEL_GSI
DEASSIGN = kvm.KVM_IRQFD_FLAG_DEASSIGN
RESAMPLE = kvm.KVM_IRQFD_FLAG_RESAMPLE
PATIENCE_S = 10.0


@pytest.fixture
def gic(vm: kvmemu.Vm) -> VgicV3:
    """A GICv3 of one vCPU: INTIDs 32 to 47 edge, 48 to 63 level."""
    vm.create_vcpus(1)
    gic = vm.create_vgic_v3(nr_irqs=96)
    gic.dist[0xC08] = 0xAAAAAAAA
    gic.dist[0xC0C] = 0
    return gic


@pytest.fixture
def close() -> Iterator[contextlib.ExitStack]:
    """Closes at the end what a test opened."""
    with contextlib.ExitStack() as stack:
        yield stack


def _close(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)


@pytest.fixture
def event(close: contextlib.ExitStack) -> int:
    """An eventfd."""
    return new_event(close)


def new_event(close: contextlib.ExitStack, count: int = 0, flags: int = 0) -> int:
    fd = os.eventfd(count, os.EFD_NONBLOCK | os.EFD_CLOEXEC | flags)
    close.callback(_close, fd)
    return fd


def count_of(fd: int) -> int:
    """The count, which is taken."""
    try:
        return os.eventfd_read(fd)
    except BlockingIOError:
        return 0


def irqfd(vm: kvmemu.Vm, fd: int, gsi: int, flags: int = 0, resample: int = 0) -> None:
    vm.ioctl(kvm.KVM_IRQFD, bytearray(struct.pack("<4I16x", fd, gsi, flags, resample)))


def route(vm: kvmemu.Vm, *pairs: tuple[int, int]) -> None:
    """GSI routing to pins."""
    table = struct.pack("<II", len(pairs), 0)
    for gsi, pin in pairs:
        table += struct.pack("<6I24x", gsi, kvm.KVM_IRQ_ROUTING_IRQCHIP, 0, 0, 0, pin)
    vm.ioctl(kvm.KVM_SET_GSI_ROUTING, bytearray(table))


def latches(gic: VgicV3) -> int:
    return gic.dist[ISPENDR1]


def lines(gic: VgicV3) -> int:
    return gic.line_levels(32)


def eoi(vm: kvmemu.Vm, intid: int) -> None:
    assert lib.kvmemu_guest_eoi(vm.handle(), intid) == 0


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


# ---- injection ----


def test_a_write_has_its_effect_before_the_next_call(
    vm: kvmemu.Vm, gic: VgicV3, event: int
) -> None:
    irqfd(vm, event, EDGE_GSI)
    for _ in range(200):
        os.eventfd_write(event, 5)
        assert latches(gic) == EDGE
        assert count_of(event) == 0
        gic.dist[ISPENDR1] = 0


def test_a_level_interrupt_is_raised_and_not_lowered(
    vm: kvmemu.Vm, gic: VgicV3, event: int
) -> None:
    irqfd(vm, event, LEVEL_GSI)
    os.eventfd_write(event, 1)
    assert (latches(gic), lines(gic)) == (0, LEVEL)
    irqfd(vm, event, LEVEL_GSI, DEASSIGN)
    assert lines(gic) == LEVEL


def test_what_was_pending_pulses_once_and_stays_in_the_eventfd(
    vm: kvmemu.Vm, gic: VgicV3, close: contextlib.ExitStack
) -> None:
    edge, level = new_event(close, 4), new_event(close, 4)
    irqfd(vm, edge, EDGE_GSI)
    irqfd(vm, level, LEVEL_GSI)
    assert (latches(gic), lines(gic)) == (EDGE, 0)
    assert (count_of(edge), count_of(level)) == (4, 4)
    os.eventfd_write(level, 1)
    assert lines(gic) == LEVEL
    assert count_of(level) == 0


def test_a_semaphore_gives_one_of_its_count(
    vm: kvmemu.Vm, gic: VgicV3, close: contextlib.ExitStack
) -> None:
    event = new_event(close, 0, os.EFD_SEMAPHORE)
    irqfd(vm, event, EDGE_GSI)
    os.eventfd_write(event, 3)
    assert latches(gic) == EDGE
    assert [count_of(event) for _ in range(3)] == [1, 1, 0]


def test_an_eventfd_that_blocks_does_not_block_the_vm(vm: kvmemu.Vm, gic: VgicV3) -> None:
    event = os.eventfd(0)
    irqfd(vm, event, EDGE_GSI)
    os.eventfd_write(event, 1)
    assert latches(gic) == EDGE
    os.set_blocking(event, False)
    assert count_of(event) == 0
    os.close(event)


def test_no_call_is_needed(vm: kvmemu.Vm, gic: VgicV3, event: int) -> None:
    """A suspended vCPU wakes up for an interrupt that nobody but the thread can have injected."""
    vcpu = vm.vcpus[0]
    gic.dist["GICD_CTLR"] = 2
    gic.dist[0x104] = EDGE  # GICD_ISENABLER1
    gic.icc(vcpu)["ICC_PMR_EL1"] = 0xF0
    vcpu.mp_state = kvm.KVM_MP_STATE_SUSPENDED
    irqfd(vm, event, EDGE_GSI)
    runner = threading.Thread(target=vcpu.run)
    runner.start()
    time.sleep(0.05)
    assert runner.is_alive()
    os.eventfd_write(event, 1)
    runner.join(PATIENCE_S)
    assert not runner.is_alive()
    assert vcpu.exit_reason == kvm.KVM_EXIT_SYSTEM_EVENT


def test_the_batch_and_the_inspection_see_it_too(vm: kvmemu.Vm, gic: VgicV3, event: int) -> None:
    irqfd(vm, event, EDGE_GSI)
    os.eventfd_write(event, 1)
    assert gic.irq(35).latch
    gic.dist[ISPENDR1] = 0
    os.eventfd_write(event, 1)
    attrs = struct.pack("<Q", ISPENDR1)
    assert gic.get_attrs(kvm.KVM_DEV_ARM_VGIC_GRP_DIST_REGS, attrs, 4) == struct.pack("<I", EDGE)


def test_routes_are_those_of_the_moment(vm: kvmemu.Vm, gic: VgicV3, event: int) -> None:
    irqfd(vm, event, EDGE_GSI)
    route(vm, (EDGE_GSI, 7))
    os.eventfd_write(event, 1)
    assert latches(gic) == 1 << 7
    route(vm, (9, 7))
    os.eventfd_write(event, 1)
    assert latches(gic) == 1 << 7
    assert count_of(event) == 0
    route(vm, (EDGE_GSI, 9))
    assert latches(gic) == 1 << 7
    # What was written before the table changes goes by the old one.
    os.eventfd_write(event, 1)
    route(vm)
    assert latches(gic) == 1 << 7 | 1 << 9


def test_many(vm: kvmemu.Vm, close: contextlib.ExitStack) -> None:
    vm.create_vcpus(1)
    gic = vm.create_vgic_v3(nr_irqs=992)
    before = threads()
    events = [new_event(close) for _ in range(960)]
    for gsi, event in enumerate(events):
        irqfd(vm, event, gsi)
    assert threads() == before + 1
    for event in events:
        os.eventfd_write(event, 1)
    assert [gic.dist[0x204 + 4 * word] for word in range(30)] == [0xFFFFFFFF] * 30
    for gsi, event in enumerate(events):
        irqfd(vm, event, gsi, DEASSIGN)


def test_a_32_bit_host_pulses_and_leaves_the_count(close: contextlib.ExitStack) -> None:
    """Linux 5.6: neither the injection without a worker nor the taking of the count was there."""
    edge, level = new_event(close), new_event(close)
    with kvmemu.System("arm32-cortex-a15") as system, system.create_vm() as vm:
        vm.create_vcpus(1)
        gic = vm.create_vgic_v2(nr_irqs=64)
        gic.dist[0xC08] = 0xAAAAAAAA
        gic.dist[0xC0C] = 0
        irqfd(vm, edge, EDGE_GSI)
        irqfd(vm, level, LEVEL_GSI)
        os.eventfd_write(edge, 1)
        os.eventfd_write(level, 1)
        assert gic.irq(32 + EDGE_GSI).latch
        assert not gic.irq(LEVEL_INTID).pending
        assert (count_of(edge), count_of(level)) == (1, 1)
        os.eventfd_write(edge, 3)
        irqfd(vm, edge, EDGE_GSI, DEASSIGN)
        assert count_of(edge) == 0


# ---- resampling ----


def test_a_resampling_line_falls_with_the_guests_eoi(
    vm: kvmemu.Vm, gic: VgicV3, close: contextlib.ExitStack
) -> None:
    sources = [new_event(close), new_event(close)]
    resample = [new_event(close), new_event(close)]
    for source, back in zip(sources, resample, strict=True):
        irqfd(vm, source, LEVEL_GSI, RESAMPLE, back)
    os.eventfd_write(sources[0], 1)
    assert lines(gic) == LEVEL
    eoi(vm, LEVEL_INTID + 1)
    assert lines(gic) == LEVEL
    assert [count_of(back) for back in resample] == [0, 0]
    eoi(vm, LEVEL_INTID)
    assert lines(gic) == 0
    assert [count_of(back) for back in resample] == [1, 1]
    os.eventfd_write(sources[1], 1)
    assert lines(gic) == LEVEL
    irqfd(vm, sources[0], LEVEL_GSI, DEASSIGN)
    assert lines(gic) == LEVEL
    eoi(vm, LEVEL_INTID)
    assert [count_of(back) for back in resample] == [0, 1]


def test_an_eoi_goes_the_way_the_interrupt_came(
    vm: kvmemu.Vm, gic: VgicV3, close: contextlib.ExitStack
) -> None:
    source, back = new_event(close), new_event(close)
    route(vm, (100, LEVEL_GSI))
    irqfd(vm, source, 100, RESAMPLE, back)
    os.eventfd_write(source, 1)
    assert lines(gic) == LEVEL
    eoi(vm, LEVEL_INTID)
    assert (lines(gic), count_of(back)) == (0, 1)


def test_a_source_that_resamples_itself(vm: kvmemu.Vm, gic: VgicV3, event: int) -> None:
    irqfd(vm, event, LEVEL_GSI, RESAMPLE, event)
    os.eventfd_write(event, 1)
    assert lines(gic) == LEVEL
    eoi(vm, LEVEL_INTID)
    # The signal is an interrupt again.
    assert lines(gic) == LEVEL


def test_a_full_resamplefd_is_left_alone(
    vm: kvmemu.Vm, gic: VgicV3, close: contextlib.ExitStack
) -> None:
    source, back = new_event(close), new_event(close)
    os.set_blocking(back, True)
    os.eventfd_write(back, 2**64 - 2)
    irqfd(vm, source, LEVEL_GSI, RESAMPLE, back)
    os.eventfd_write(source, 1)
    eoi(vm, LEVEL_INTID)
    assert lines(gic) == 0


# ---- numbers, and what they stand for ----


def test_a_duplicate_is_the_same_eventfd(
    vm: kvmemu.Vm, gic: VgicV3, event: int, close: contextlib.ExitStack
) -> None:
    again = os.dup(event)
    close.callback(_close, again)
    irqfd(vm, event, EDGE_GSI)
    with pytest.raises(OSError, match="KVM_IRQFD") as caught:
        irqfd(vm, again, EDGE_GSI)
    assert caught.value.errno == errno.EBUSY
    os.close(event)
    os.eventfd_write(again, 1)
    assert latches(gic) == EDGE
    assert count_of(again) == 0
    irqfd(vm, again, EDGE_GSI, DEASSIGN)
    gic.dist[ISPENDR1] = 0
    os.eventfd_write(again, 1)
    assert latches(gic) == 0
    assert count_of(again) == 1


def test_deassigning_takes_the_count(
    vm: kvmemu.Vm, gic: VgicV3, close: contextlib.ExitStack
) -> None:
    event = new_event(close, 4)
    irqfd(vm, event, EDGE_GSI)
    irqfd(vm, event, EDGE_GSI + 1, DEASSIGN)
    irqfd(vm, event, EDGE_GSI, DEASSIGN)
    assert count_of(event) == 0
    assert latches(gic) == EDGE


def test_a_reused_number_is_not_the_eventfd(
    vm: kvmemu.Vm, gic: VgicV3, event: int, close: contextlib.ExitStack
) -> None:
    again = os.dup(event)
    close.callback(_close, again)
    irqfd(vm, event, EDGE_GSI)
    other = new_event(close, 7)
    os.dup2(other, event)
    os.eventfd_write(again, 1)
    assert latches(gic) == EDGE
    assert (count_of(again), count_of(event)) == (0, 7)
    # The number says nothing of what is assigned; and both may be watched under it.
    irqfd(vm, event, EDGE_GSI + 1)
    irqfd(vm, again, EDGE_GSI, DEASSIGN)
    gic.dist[ISPENDR1] = 0
    os.eventfd_write(again, 1)
    os.eventfd_write(event, 1)
    assert latches(gic) == EDGE << 1
    # Watched a second time, from a number that it was watched from before.
    os.dup2(again, event)
    irqfd(vm, event, EDGE_GSI + 2)
    os.eventfd_write(again, 1)
    assert latches(gic) == EDGE << 1 | EDGE << 2


def test_a_closed_eventfd_is_deassigned(
    vm: kvmemu.Vm, gic: VgicV3, close: contextlib.ExitStack
) -> None:
    source, back = new_event(close), new_event(close)
    irqfd(vm, source, LEVEL_GSI, RESAMPLE, back)
    os.eventfd_write(source, 1)
    os.close(back)
    assert lines(gic) == LEVEL
    os.close(source)
    assert lines(gic) == 0


def test_a_closed_eventfd_that_resamples_itself_is_deassigned(
    vm: kvmemu.Vm, gic: VgicV3, event: int
) -> None:
    irqfd(vm, event, LEVEL_GSI, RESAMPLE, event)
    os.eventfd_write(event, 1)
    assert lines(gic) == LEVEL
    os.close(event)
    assert lines(gic) == 0


def test_a_new_eventfd_with_the_id_of_a_closed_one_is_free(vm: kvmemu.Vm, gic: VgicV3) -> None:
    for _ in range(50):
        event = os.eventfd(0, os.EFD_NONBLOCK)
        irqfd(vm, event, EDGE_GSI)
        os.eventfd_write(event, 1)
        assert latches(gic) == EDGE
        gic.dist[ISPENDR1] = 0
        os.close(event)


# ---- lives ----


def test_no_thread_before_the_first_and_none_after_the_last(close: contextlib.ExitStack) -> None:
    event = new_event(close)
    before, open_before = threads(), len(os.listdir("/proc/self/fd"))
    with kvmemu.System() as system:
        vm = system.create_vm()
        vm.create_vcpus(1)
        gic = vm.create_vgic_v3(nr_irqs=64)
        with pytest.raises(OSError, match="KVM_IRQFD"):
            irqfd(vm, -1 & 0xFFFFFFFF, 0)
        assert threads() == before
        irqfd(vm, event, 0)
        assert threads() == before + 1
        irqfd(vm, event, 0, DEASSIGN)
        irqfd(vm, event, 0)
        assert threads() == before + 1
        vm.close()
        # The device keeps the VM, but the VM's descriptor kept its irqfds.
        assert threads() == before
        os.eventfd_write(event, 1)
        assert latches(gic) == 0
        assert count_of(event) == 1
        gic.close()
        for vcpu in vm.vcpus:
            vcpu.close()
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_closing_the_vm_takes_counts_and_lowers_lines(
    close: contextlib.ExitStack, vm: kvmemu.Vm, gic: VgicV3
) -> None:
    source, pending = new_event(close), new_event(close, 3)
    irqfd(vm, source, LEVEL_GSI, RESAMPLE, source)
    irqfd(vm, pending, EDGE_GSI)
    os.eventfd_write(source, 1)
    assert lines(gic) == LEVEL
    vm.close()
    assert lines(gic) == 0
    assert count_of(pending) == 0


def test_through_descriptors(close: contextlib.ExitStack) -> None:
    """The VM's number closed, and its duplicate: only then are the irqfds gone."""
    event = new_event(close)
    before = threads()
    with kvmemu.System() as system:
        vm = system.create_vm()
        vm.create_vcpus(1)
        gic = vm.create_vgic_v3(nr_irqs=64)
        number = vm.fileno()
        again = kvmemu.dup(number)
        vm.close()
        args = bytearray(struct.pack("<4I16x", event, EDGE_GSI, 0, 0))
        kvmemu.ioctl(number, kvm.KVM_IRQFD, args)
        kvmemu.close(number)
        os.eventfd_write(event, 1)
        assert latches(gic) == EDGE
        kvmemu.close(again)
        assert threads() == before


def test_a_fork_leaves_the_parent_its_interrupts(vm: kvmemu.Vm, gic: VgicV3, event: int) -> None:
    irqfd(vm, event, EDGE_GSI)
    child = os.fork()
    if not child:
        status = 1
        with contextlib.suppress(BaseException):
            os.eventfd_write(event, 1)
            with contextlib.suppress(OSError):
                irqfd(vm, event, EDGE_GSI, DEASSIGN)
                os._exit(2)
            if threads() != 1:
                os._exit(3)
            for vcpu in vm.vcpus:
                vcpu.close()
            gic.close()
            vm.close()
            status = 0
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert latches(gic) == EDGE
    gic.dist[ISPENDR1] = 0
    os.eventfd_write(event, 1)
    assert latches(gic) == EDGE


def test_a_fork_amid_traffic(vm: kvmemu.Vm, gic: VgicV3, event: int) -> None:
    irqfd(vm, event, EDGE_GSI)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            os.eventfd_write(event, 1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            child = os.fork()
            if not child:
                vm.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        writer.join()
    gic.dist[ISPENDR1] = 0
    os.eventfd_write(event, 1)
    assert latches(gic) == EDGE


def test_writers_and_assigners_at_once(vm: kvmemu.Vm, gic: VgicV3) -> None:
    """Eventfds that are written, assigned, deassigned, duplicated and closed by many threads."""
    end = time.monotonic() + 1.0
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        dice = random.Random(seed)
        try:
            while time.monotonic() < end:
                event = os.eventfd(dice.randrange(2), os.EFD_NONBLOCK)
                numbers = [event, os.dup(event)]
                resample = dice.randrange(2) * RESAMPLE
                irqfd(vm, event, LEVEL_GSI + seed, resample, event)
                for _ in range(dice.randrange(8)):
                    os.eventfd_write(dice.choice(numbers), 1)
                    eoi(vm, LEVEL_INTID + seed)
                if dice.randrange(2):
                    os.close(numbers.pop(0))
                if dice.randrange(2):
                    irqfd(vm, numbers[0], LEVEL_GSI + seed, DEASSIGN)
                if not dice.randrange(8):
                    route(vm, *((gsi, gsi) for gsi in range(64)))
                for number in numbers:
                    os.close(number)
        except BaseException as failure:
            failures.append(failure)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    # None is left that could disturb this one.
    event = os.eventfd(0, os.EFD_NONBLOCK)
    irqfd(vm, event, EDGE_GSI)
    os.eventfd_write(event, 1)
    assert latches(gic) & EDGE
    assert count_of(event) == 0
    os.close(event)
