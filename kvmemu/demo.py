# SPDX-License-Identifier: MIT
"""The main job on real input: a VM recorded from Linux is restored, time passes, it is saved.

Layer: a client of the ioctl interface; cli/demo.py prints what this finds.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from kvmemu import constants as kvm
from kvmemu.registers import name_of
from kvmemu.state import Difference, VcpuState, VmState, compare, load, restore, save
from kvmemu.state.gic_text import entries
from kvmemu.system import System
from kvmemu.vcpu import Vcpu
from kvmemu.vm import Vm

RECORDED = Path(__file__).parent / "data" / "linux-6.1-4vcpu.state"
PASSING_S = 25
ROUNDS = 15
ENABLE, IMASK, ISTATUS = 1, 2, 4
U64 = (1 << 64) - 1
PRIVATE_LEVELS = "line levels 0"


@dataclass(frozen=True)
class Firing:
    """A virtual timer whose time came.

    Attributes:
        vcpu: the vCPU's id.
        intid: the timer's interrupt.
        tick: the tick at which it is due, counted from the restore.
        early: the interrupt was pending one tick before that.
        pending: it is pending at that tick.
        queued: it is then on its vCPU's list of interrupts to deliver.
    """

    vcpu: int
    intid: int
    tick: int
    early: bool
    pending: bool
    queued: bool

    @property
    def right(self) -> bool:
        """Whether it came at this tick, and not before."""
        return self.pending and not self.early


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration found.

    Attributes:
        recorded: the state from Linux.
        saved: the state of the emulated VM, PASSING_S seconds of virtual time after the restore.
        moved: registers that differ as they must, because time passed.
        wrong: everything else that differs.
        firings: the timers whose time came, in that order.
        restored_per_s, saved_per_s: registers a second, the whole VM each time (median).
    """

    recorded: VmState
    saved: VmState
    moved: list[Difference]
    wrong: list[Difference]
    firings: list[Firing]
    restored_per_s: float
    saved_per_s: float

    @property
    def nr_registers(self) -> int:
        """Those of vCPUs and of the GIC."""
        return nr_registers(self.recorded)

    @property
    def same(self) -> int:
        """Registers that are what they were."""
        return self.nr_registers - len(self.moved) - len(self.wrong)

    @property
    def right(self) -> bool:
        """Whether everything is as it must be."""
        return not self.wrong and all(firing.right for firing in self.firings)


def nr_registers(state: VmState) -> int:
    """Registers of vCPUs and of the GIC; 32 line levels count as one."""
    gic = sum(1 for _ in entries(state.gic, state.vcpus)) if state.gic is not None else 0
    return state.nr_registers + gic


def _timer_fires(vcpu: VcpuState, count: int) -> bool:
    """The virtual timer's output is high when the counter shows this."""
    ctl = vcpu.registers[kvm.KVM_REG_ARM_TIMER_CTL]
    armed = ctl & (ENABLE | IMASK) == ENABLE
    return armed and vcpu.registers[kvm.KVM_REG_ARM_TIMER_CVAL] <= count


def _levels(recorded: VmState) -> dict[int, int]:
    """The inputs of each vCPU's private interrupts."""
    if recorded.gic is None:
        return {}
    return {
        entry.vcpu: entry.value
        for entry in entries(recorded.gic, recorded.vcpus)
        if entry.register is None and entry.vcpu is not None
    }


def expected_after(recorded: VmState, ticks: int) -> dict[tuple[str, str], int]:
    """What the timers must read once the VM's counter has moved on, and their interrupts' inputs.

    All vCPUs have one counter, restored from the first; a timer whose compare value the counter has
    reached shows ISTATUS, and raises its line if it is enabled and not masked.
    """
    count = recorded.vcpus[0].registers[kvm.KVM_REG_ARM_TIMER_CNT] + ticks & U64
    levels = _levels(recorded)
    expected = {}
    for vcpu in recorded.vcpus:
        where = f"vCPU {vcpu.id}"
        ctl = vcpu.registers[kvm.KVM_REG_ARM_TIMER_CTL] & ~ISTATUS
        reached = vcpu.registers[kvm.KVM_REG_ARM_TIMER_CVAL] <= count
        expected[where, name_of(kvm.KVM_REG_ARM_TIMER_CNT)] = count
        expected[where, name_of(kvm.KVM_REG_ARM_TIMER_CTL)] = ctl | (ISTATUS if reached else 0)
        intid = vcpu.devices.vtimer_intid
        if vcpu.id in levels and intid is not None and _timer_fires(vcpu, count):
            expected[f"{where} GIC", PRIVATE_LEVELS] = levels[vcpu.id] | 1 << intid
    return expected


# ---- letting time pass ----


def sample(vcpu: Vcpu) -> None:
    """Have KVM look at a vCPU's timers, as it does whenever the vCPU is about to run."""
    vcpu.immediate_exit = True
    try:
        vcpu.run()
    except InterruptedError:
        pass
    finally:
        vcpu.immediate_exit = False


def _is_pending(vm: Vm, vcpu: Vcpu, intid: int) -> tuple[bool, bool]:
    """Whether an interrupt is pending, and whether it is queued, once the vCPU was entered."""
    sample(vcpu)
    assert vm.gic is not None
    irq = vm.gic.irq(intid, vcpu)
    return irq.pending, irq.queued == vcpu.id


def pass_time(system: System, vm: Vm, recorded: VmState, ticks: int) -> list[Firing]:
    """Step the counter, stopping one tick before and at each tick at which a timer is due."""
    begin = recorded.vcpus[0].registers[kvm.KVM_REG_ARM_TIMER_CNT]
    due = []
    for vcpu, state in zip(vm.vcpus, recorded.vcpus, strict=True):
        intid = state.devices.vtimer_intid
        after = state.registers[kvm.KVM_REG_ARM_TIMER_CVAL] - begin
        if vm.gic is None or intid is None or not 1 < after <= ticks:
            continue
        if _timer_fires(state, begin + after):
            due.append((after, vcpu, intid))
    now, firings = 0, []
    for after, vcpu, intid in sorted(due, key=lambda each: each[0]):
        system.counter.step(after - 1 - now)
        early, _ = _is_pending(vm, vcpu, intid)
        system.counter.step(1)
        now = after
        firings.append(Firing(vcpu.id, intid, after, early, *_is_pending(vm, vcpu, intid)))
    system.counter.step(ticks - now)
    if vm.gic is not None:
        for vcpu in vm.vcpus:
            sample(vcpu)
    return firings


def _measure(system: System, recorded: VmState) -> tuple[float, float]:
    """Registers restored and saved a second."""
    restore_s, save_s = [], []
    for _ in range(ROUNDS):
        with system.create_vm(recorded.ipa_bits) as vm:
            begin = time.perf_counter()
            restore(recorded, vm)
            restored = time.perf_counter()
            save(vm)
            save_s.append(time.perf_counter() - restored)
            restore_s.append(restored - begin)
    count = nr_registers(recorded)
    return count / statistics.median(restore_s), count / statistics.median(save_s)


def run(path: Path = RECORDED, host: str | None = None) -> DemoResult:
    """Do it.

    Raises:
        StateFileError, RestoreError: the file, or the host, is not fit for it.
    """
    recorded = load(path)
    with System(host) as system:
        system.counter.ticks = 1_000_000  # time stands still unless told to move
        rates = _measure(system, recorded)
        with system.create_vm(recorded.ipa_bits) as vm:
            restore(recorded, vm)
            ticks = PASSING_S * system.counter.hz
            firings = pass_time(system, vm, recorded, ticks)
            saved = save(vm, f"kvmemu, {PASSING_S} s later")
    moved, wrong = judge(recorded, saved, ticks)
    return DemoResult(recorded, saved, moved, wrong, firings, *rates)


def judge(
    recorded: VmState, saved: VmState, ticks: int
) -> tuple[list[Difference], list[Difference]]:
    """What differs as it must, and what differs, or does not, as it must not."""
    expected = expected_after(recorded, ticks)
    before = {(d.where, d.what): d for d in compare(recorded, saved)}
    moved: list[Difference] = []
    wrong: list[Difference] = []
    for key, difference in before.items():
        as_expected = key in expected and expected[key] == difference.after
        (moved if as_expected else wrong).append(difference)
    # What should have moved and did not is wrong too.
    values = {
        (f"vCPU {vcpu.id}", name_of(register)): vcpu.registers[register]
        for vcpu in recorded.vcpus
        for register in (kvm.KVM_REG_ARM_TIMER_CNT, kvm.KVM_REG_ARM_TIMER_CTL)
    }
    for vcpu_id, levels in _levels(recorded).items():
        values[f"vCPU {vcpu_id} GIC", PRIVATE_LEVELS] = levels
    for key, value in expected.items():
        if key not in before and values[key] != value:
            wrong.append(Difference(*key, None, value, values[key]))
    return moved, wrong


def in_words(difference: Difference, hz: int) -> str:
    """What a difference means."""
    before, after = difference.before, difference.after
    if not isinstance(before, int) or not isinstance(after, int):
        return ""
    if difference.register_id == kvm.KVM_REG_ARM_TIMER_CNT:
        return f"{(after - before) / hz:+.3f} s of virtual time"
    if difference.register_id == kvm.KVM_REG_ARM_TIMER_CTL and after & ISTATUS:
        return "expired: ISTATUS is set"
    return ", ".join(str(detail) for detail in difference.details)
