# SPDX-License-Identifier: MIT
"""Guests that act: what an instruction does, and what KVM_RUN does about it."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

import kvmemu
from kvmemu import constants as kvm
from kvmemu.cpu import Cpu, ExternalAbort, UndefinedInstruction
from kvmemu.gic import Gic
from kvmemu.system import System
from kvmemu.vcpu import Vcpu, VcpuEvents
from kvmemu.vm import Vm

DOORBELL = 0x1000_0000  # where nothing is: user space sees the access
RAM = 0x4000_0000


class Machine:
    """A VM with a GICv3 and two vCPUs, and SPIs on for a guest that asks for it."""

    def __init__(self, host: str, gic: int) -> None:
        self.system = System(host)
        self.vm: Vm = self.system.create_vm()
        self.vcpus = self.vm.create_vcpus(2, [kvm.KVM_ARM_VCPU_PSCI_0_2])
        self.gic: Gic = self.vm.create_vgic_v3() if gic == 3 else self.vm.create_vgic_v2()

    @property
    def vcpu(self) -> Vcpu:
        return self.vcpus[0]

    def run(self, guest: Callable[[Cpu], object]) -> int:
        """The value that the guest stores to the doorbell."""
        self.vcpu.set_guest(guest)
        return self.resume()

    def resume(self, vcpu: Vcpu | None = None) -> int:
        vcpu = vcpu or self.vcpu
        vcpu.run()
        assert vcpu.exit_reason == kvm.KVM_EXIT_MMIO
        address, data, size, write = struct.unpack_from("<Q8sIB", vcpu.kvm_run, 32)
        assert (address, write) == (DOORBELL, 1)
        return int.from_bytes(data[:size], "little")

    def edge(self, *intids: int) -> None:
        for intid in intids:
            name = f"GICD_ICFGR{intid // 16}"
            self.gic.dist[name] |= 2 << intid % 16 * 2


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine("gicv3-max", 3)
    yield made
    for vcpu in made.vcpus:
        vcpu.set_guest(None)


def switch_on(cpu: Cpu) -> None:
    """All SPIs of the first words, and the CPU interface."""
    cpu.write("GICD_CTLR", 2)
    for word in (1, 2, 3):
        cpu.write(f"GICD_ISENABLER{word}", 0xFFFF_FFFF)
    cpu.write("ICC_PMR_EL1", 0xFF)
    cpu.write("ICC_IGRPEN1_EL1", 1)


def tell(cpu: Cpu, value: int) -> None:
    cpu.mmio_write(DOORBELL, value, 8)


def test_edges_beyond_the_list_registers_all_come(machine: Machine) -> None:
    order = []

    def guest(cpu: Cpu) -> None:
        switch_on(cpu)
        for intid in range(32, 52):
            cpu.store(0x0800_0400 + intid, 8 * (60 - intid), 1)
        tell(cpu, 0)
        for intid in cpu.acknowledge():
            order.append(intid)
            cpu.write("ICC_EOIR1_EL1", intid)
        tell(cpu, len(order))

    machine.run(guest)
    machine.edge(*range(32, 52))
    for intid in range(32, 52):
        machine.vm.spi(intid, True)
    assert machine.resume() == 20
    assert order == list(range(51, 31, -1))


def test_level_interrupt_comes_again_while_its_line_is_high(machine: Machine) -> None:
    def guest(cpu: Cpu) -> None:
        switch_on(cpu)
        tell(cpu, 0)
        while True:
            while not cpu.irq:
                cpu.wfi()
            intid = cpu.read("ICC_IAR1_EL1")
            cpu.write("ICC_EOIR1_EL1", intid)
            tell(cpu, intid)

    machine.run(guest)
    # Level-triggered from the start of the VM is an edge: GICD_ICFGR reads so too.
    machine.gic.dist["GICD_ICFGR2"] = 0
    machine.vm.spi(40, True)
    assert [machine.resume() for _ in range(3)] == [40, 40, 40]
    machine.vm.spi(40, False)
    machine.vcpu.immediate_exit = True
    with pytest.raises(InterruptedError):
        machine.vcpu.run()
    assert not machine.gic.irq(40).pending


def test_deactivation_may_come_after_the_priority_drop(machine: Machine) -> None:
    def guest(cpu: Cpu) -> None:
        switch_on(cpu)
        cpu.write("ICC_CTLR_EL1", 2)  # EOImode
        tell(cpu, 0)
        first = cpu.read("ICC_IAR1_EL1")
        cpu.write("ICC_EOIR1_EL1", first)
        tell(cpu, cpu.read("ICC_RPR_EL1"))
        cpu.write("ICC_DIR_EL1", first)
        tell(cpu, first)

    machine.run(guest)
    machine.edge(40)
    machine.vm.spi(40, True)
    assert machine.resume() == 0xFF
    assert machine.gic.irq(40).active
    assert machine.resume() == 40
    assert not machine.gic.irq(40).active


def test_sgi_reaches_the_other_vcpu(machine: Machine) -> None:
    def sender(cpu: Cpu) -> None:
        switch_on(cpu)
        cpu.write("ICC_SGI1R_EL1", 5 << 24 | 1 << 1)
        tell(cpu, 1)

    def receiver(cpu: Cpu) -> None:
        cpu.write("ICC_PMR_EL1", 0xFF)
        cpu.write("ICC_IGRPEN1_EL1", 1)
        while not cpu.irq:
            cpu.wfi()
        intid = cpu.read("ICC_IAR1_EL1")
        cpu.write("ICC_EOIR1_EL1", intid)
        tell(cpu, intid)

    machine.vcpus[1].set_guest(receiver)
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(machine.resume(machine.vcpus[1])))
    thread.start()
    assert machine.run(sender) == 1
    thread.join(10)
    assert got == [5]


def test_timer_comes_at_its_tick(machine: Machine) -> None:
    machine.system.counter.ticks = 1000

    def guest(cpu: Cpu) -> None:
        cpu.write("GICD_CTLR", 2)
        cpu.write("GICR_ISENABLER0", 1 << 27)
        cpu.write("ICC_PMR_EL1", 0xFF)
        cpu.write("ICC_IGRPEN1_EL1", 1)
        now = cpu.read("CNTVCT_EL0")
        cpu.write("CNTV_CVAL_EL0", now + 100)
        cpu.write("CNTV_CTL_EL0", 1)
        tell(cpu, cpu.irq)
        while not cpu.irq:
            cpu.wfi()
        intid = cpu.read("ICC_IAR1_EL1")
        tell(cpu, cpu.read("CNTVCT_EL0") - now)
        cpu.write("CNTV_CTL_EL0", 0)
        cpu.write("ICC_EOIR1_EL1", intid)
        tell(cpu, intid)

    assert machine.run(guest) == 0
    machine.system.counter.step(99)
    stepper = threading.Timer(0.05, machine.system.counter.step, [1])
    stepper.start()
    assert machine.resume() == 100
    assert machine.gic.irq(27, machine.vcpu).active
    assert machine.resume() == 27
    irq = machine.gic.irq(27, machine.vcpu)
    assert not irq.active
    assert not irq.pending


def test_memory_is_the_vms(machine: Machine) -> None:
    memory = mmap.mmap(-1, 8192)
    machine.vm.set_user_memory_region(0, RAM, memory, flags=kvm.KVM_MEM_LOG_DIRTY_PAGES)
    memory[0:8] = (0x1122_3344_5566_7788).to_bytes(8, "little")

    def guest(cpu: Cpu) -> None:
        cpu.store(RAM + 4096, cpu.load(RAM, 8) + 1, 8)
        tell(cpu, cpu.load(RAM + 4, 2))

    assert machine.run(guest) == 0x3344
    assert int.from_bytes(memory[4096:4104], "little") == 0x1122_3344_5566_7789
    assert machine.vm.get_dirty_log(0, 2)[0] == 2


def test_load_is_answered_by_user_space(machine: Machine) -> None:
    machine.vcpu.set_guest(lambda cpu: tell(cpu, cpu.load(DOORBELL + 8, 4) + 1))
    machine.vcpu.run()
    assert struct.unpack_from("<Q8xIB", machine.vcpu.kvm_run, 32) == (DOORBELL + 8, 4, 0)
    struct.pack_into("<Q", machine.vcpu.kvm_run, 40, 0xFFFF_FFFF_0000_0041)
    assert machine.resume() == 0x42


def test_load_may_be_answered_by_an_abort(machine: Machine) -> None:
    def guest(cpu: Cpu) -> None:
        with pytest.raises(ExternalAbort):
            cpu.load(DOORBELL + 8)
        tell(cpu, 7)

    machine.vcpu.set_guest(guest)
    machine.vcpu.run()
    machine.vcpu.events = VcpuEvents(ext_dabt_pending=True)
    assert machine.resume() == 7


def test_unknown_registers_are_undefined(machine: Machine) -> None:
    def guest(cpu: Cpu) -> None:
        for encoding in (0xC000 | 15 << 7, 0x8000):
            with pytest.raises(UndefinedInstruction):
                cpu.read(encoding)
        with pytest.raises(UndefinedInstruction):
            cpu.write("CNTVCT_EL0", 1)
        with pytest.raises(KeyError, match="NOSUCH_EL1"):
            cpu.read("NOSUCH_EL1")
        with pytest.raises(ValueError, match="1, 2, 4 or 8"):
            cpu.load(DOORBELL + 1, 4)
        tell(cpu, 1)

    assert machine.run(guest) == 1


def test_an_exception_of_the_guest_comes_out_of_run(machine: Machine) -> None:
    def guest(cpu: Cpu) -> None:
        cpu.write("ICC_PMR_EL1", 0xFF)
        raise ZeroDivisionError("the guest's own")

    machine.vcpu.set_guest(guest)
    with pytest.raises(ZeroDivisionError, match="own"):
        machine.vcpu.run()
    assert machine.vcpu.exit_reason == kvm.KVM_EXIT_INTERNAL_ERROR


def test_a_signal_ends_a_run_whose_guest_is_busy_elsewhere(machine: Machine) -> None:
    go_on = threading.Event()
    old = signal.signal(signal.SIGALRM, lambda *_: None)
    try:

        def guest(cpu: Cpu) -> None:
            cpu.read("ICC_PMR_EL1")
            go_on.wait()
            tell(cpu, 9)

        machine.vcpu.set_guest(guest)
        for _ in range(2):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(InterruptedError):
                machine.vcpu.run()
    finally:
        signal.signal(signal.SIGALRM, old)
    go_on.set()
    assert machine.resume() == 9


def test_a_signal_ends_a_guest_that_never_waits(machine: Machine) -> None:
    caught = []
    old = signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
    try:

        def guest(cpu: Cpu) -> None:
            while True:
                cpu.read("ICC_PMR_EL1")

        machine.vcpu.set_guest(guest)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(InterruptedError):
            machine.vcpu.run()
    finally:
        signal.signal(signal.SIGALRM, old)
    assert caught == [1]
    assert machine.vcpu.exit_reason == kvm.KVM_EXIT_INTR


def test_registers_of_the_guest_are_the_vcpus(machine: Machine) -> None:
    def guest(cpu: Cpu) -> None:
        cpu.x[3] = 33
        cpu.pc += 4
        tell(cpu, cpu.x[4])

    machine.vcpu.regs["X4"] = 44
    machine.vcpu.regs["PC"] = 0x8000
    assert machine.run(guest) == 44
    assert machine.vcpu.regs["X3"] == 33
    assert machine.vcpu.regs["PC"] == 0x8004


# KVM's PPIs are level-triggered.
@pytest.mark.parametrize(
    ("intid", "edge"), [(20, False), (45, False), (45, True)], ids=["ppi", "spi", "edge-spi"]
)
def test_a_forwarded_interrupt_is_the_hosts_until_the_guest_ends_it(
    machine: Machine, intid: int, edge: bool
) -> None:
    system, vcpu, host_intid = machine.system, machine.vcpu, 100
    machine.gic.dist["GICD_ICFGR2"] = 0xAAAA_AAAA if edge else 0

    def guest(cpu: Cpu) -> None:
        switch_on(cpu)
        cpu.write("GICR_ISENABLER0", 1 << 20)
        tell(cpu, 0)
        while True:
            while not cpu.irq:
                cpu.wfi()
            taken = cpu.read("ICC_IAR1_EL1")
            tell(cpu, taken)
            cpu.write("ICC_EOIR1_EL1", taken)
            tell(cpu, 0)

    vcpu.map_irq(intid, host_intid)
    with pytest.raises(kvmemu.KvmError) as raised:
        vcpu.map_irq(intid, 101)
    assert raised.value.errno == errno.EEXIST
    machine.run(guest)
    assert not system.host_irq_active(host_intid)
    for _ in range(2):
        system.host_irq_line(host_intid, True)
        if edge:
            system.host_irq_line(host_intid, False)
        assert system.host_irq_active(host_intid)
        assert machine.resume() == intid
        irq = machine.gic.irq(intid, vcpu)
        assert irq.active
        assert not irq.pending
        assert system.host_irq_active(host_intid)
        with pytest.raises(kvmemu.KvmError) as raised:
            vcpu.unmap_irq(intid)
        assert raised.value.errno == errno.EBUSY
        system.host_irq_line(host_intid, False)
        assert machine.resume() == 0
        assert not machine.gic.irq(intid, vcpu).active
        assert not system.host_irq_active(host_intid)
    # A line that is still up after the guest's end of it comes again.
    system.host_irq_line(host_intid, True)
    assert machine.resume() == intid
    assert machine.resume() == 0
    assert system.host_irq_active(host_intid) == (not edge)
    system.host_irq_line(host_intid, False)
    vcpu.immediate_exit = True
    with pytest.raises(InterruptedError):
        vcpu.run()


def test_only_what_is_idle_can_be_mapped(machine: Machine) -> None:
    vcpu = machine.vcpu
    for intid, host_intid, wanted in (
        (5, 100, errno.EINVAL),
        (1020, 100, errno.EINVAL),
        (40, 31, errno.EINVAL),
        (40, 1020, errno.EINVAL),
    ):
        with pytest.raises(kvmemu.KvmError) as raised:
            vcpu.map_irq(intid, host_intid)
        assert raised.value.errno == wanted
    machine.vm.spi(41, True)
    with pytest.raises(kvmemu.KvmError) as raised:
        vcpu.map_irq(41, 100)
    assert raised.value.errno == errno.EBUSY
    vcpu.map_irq(42, 100)
    with pytest.raises(kvmemu.KvmError) as raised:
        machine.vcpus[1].map_irq(43, 100)
    assert raised.value.errno == errno.EBUSY
    vcpu.unmap_irq(42)
    with pytest.raises(kvmemu.KvmError) as raised:
        vcpu.unmap_irq(42)
    assert raised.value.errno == errno.ENOENT


def test_an_asserted_interrupt_is_seen_however_often_one_looks(machine: Machine) -> None:
    def guest(cpu: Cpu) -> None:
        switch_on(cpu)
        tell(cpu, 1)
        tell(cpu, sum(cpu.irq for _ in range(2000)))
        tell(cpu, sum(bool(cpu.read("ISR_EL1")) for _ in range(2000)))

    assert machine.run(guest) == 1
    machine.vm.spi(40, True)
    assert machine.resume() == 2000
    assert machine.resume() == 2000


# ---- guests whose VM is closed ----


def guest_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "kvmemu guest"]


def test_a_guest_that_stands_ends_with_its_vm() -> None:
    unwound = []

    def guest(cpu: Cpu) -> None:
        try:
            cpu.mmio_write(DOORBELL, 1)
            cpu.wfi()
        finally:
            unwound.append(cpu.vcpu.id)

    before = guest_threads()
    with System("gicv3-max") as system, system.create_vm() as vm:
        for vcpu in vm.create_vcpus(3):
            vcpu.set_guest(guest)
            vcpu.run()
        assert len(guest_threads()) == len(before) + 3
    assert guest_threads() == before
    assert unwound == [0, 1, 2]


def test_a_vm_is_closed_while_its_guest_is_busy_elsewhere() -> None:
    go_on, over = threading.Event(), threading.Event()

    def guest(cpu: Cpu) -> None:
        try:
            threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1]).start()
            go_on.wait()
            cpu.wfi()
        finally:
            over.set()

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with System("gicv3-max") as system, system.create_vm() as vm:
            vcpu = vm.create_vcpu()
            vcpu.init()
            vcpu.set_guest(guest)
            with pytest.raises(kvmemu.KvmError, match="EINTR"):
                vcpu.run()
        go_on.set()
        assert over.wait(10)
    finally:
        signal.signal(signal.SIGUSR1, before)


# ---- mistakes ----


def generator(cpu: Cpu) -> Iterator[int]:
    yield cpu.read("MIDR_EL1")


async def coroutine(cpu: Cpu) -> None:
    cpu.wfi()


@pytest.mark.parametrize(
    ("guest", "why"),
    [
        (generator, r"generator\(\) only makes a generator .* no yield"),
        (coroutine, r"coroutine\(\) only makes"),
        (5, "a guest is a function of its CPU, not 5"),
    ],
)
def test_what_cannot_be_a_guest_is_refused(machine: Machine, guest: object, why: str) -> None:
    before = machine.vcpu.set_guest(Cpu.wfi)
    with pytest.raises(TypeError, match=why):
        machine.vcpu.set_guest(guest)  # type: ignore[arg-type]
    assert machine.vcpu.guest is before


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ICC_IARR1_EL1", "no system register 'ICC_IARR1_EL1'; did you mean ICC_IAR1_EL1"),
        ("GICD_CTRL", "no register 'GICD_CTRL' in memory; did you mean GICD_CTLR"),
        ("GIC\N{LATIN CAPITAL LETTER E WITH ACUTE}", "no system register"),
        ("", "no system register ''"),
    ],
)
def test_an_unknown_register_says_what_was_meant(machine: Machine, name: str, why: str) -> None:
    machine.vcpu.set_guest(lambda cpu: cpu.read(name))
    with pytest.raises(KeyError, match=why):
        machine.vcpu.run()
