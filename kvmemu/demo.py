# SPDX-License-Identifier: MIT
"""The main job on real input: a VM recorded from Linux is restored, time passes, it is saved.

Layer: a client of the ioctl interface; cli/demo.py prints what this finds.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kvmemu import constants as kvm
from kvmemu.errors import StateFileError
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
TIMER_REGISTERS = (
    kvm.KVM_REG_ARM_TIMER_CNT, kvm.KVM_REG_ARM_TIMER_CTL, kvm.KVM_REG_ARM_TIMER_CVAL,
)  # fmt: skip

Place = tuple[str, str]  # where and what of a Difference


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
        settled: those of them that entering a vCPU changes, without any time.
        wrong: everything else that differs.
        firings: the timers whose time came, in that order.
        restored_per_s, saved_per_s: registers a second, the whole VM each time (median).
    """

    recorded: VmState
    saved: VmState
    moved: list[Difference]
    settled: frozenset[Place]
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


def is_armed(vcpu: VcpuState) -> bool:
    """The virtual timer is enabled, and not masked."""
    return vcpu.registers[kvm.KVM_REG_ARM_TIMER_CTL] & (ENABLE | IMASK) == ENABLE


def _timer_fires(vcpu: VcpuState, count: int) -> bool:
    """The virtual timer's output is high when the counter shows this."""
    return is_armed(vcpu) and vcpu.registers[kvm.KVM_REG_ARM_TIMER_CVAL] <= count


def _inputs(recorded: VmState) -> dict[int, tuple[str, int]]:
    """What shows the inputs of each vCPU's private interrupts, and their recorded values: line
    levels, or on a GICv2, which has lines and latches as one, what is pending.
    """
    if recorded.gic is None:
        return {}
    found = {}
    for entry in entries(recorded.gic, recorded.vcpus):
        name = entry.register.name if entry.register else "line levels 0"
        shows = entry.register is None or (recorded.gic.version == 2 and name == "GICD_ISPENDR0")
        if shows and entry.vcpu is not None:
            found[entry.vcpu] = (name, entry.value)
    return found


def expected_after(recorded: VmState, ticks: int) -> dict[Place, int]:
    """What the timers must read once the VM's counter has moved on, and their interrupts' inputs.

    All vCPUs have one counter, restored from the first; a timer whose compare value the counter has
    reached shows ISTATUS, and raises its line if it is enabled and not masked.
    """
    count = recorded.vcpus[0].registers[kvm.KVM_REG_ARM_TIMER_CNT] + ticks & U64
    inputs = _inputs(recorded)
    expected = {}
    for vcpu in recorded.vcpus:
        where = f"vCPU {vcpu.id}"
        ctl = vcpu.registers[kvm.KVM_REG_ARM_TIMER_CTL] & ~ISTATUS
        reached = vcpu.registers[kvm.KVM_REG_ARM_TIMER_CVAL] <= count
        expected[where, name_of(kvm.KVM_REG_ARM_TIMER_CNT)] = count
        expected[where, name_of(kvm.KVM_REG_ARM_TIMER_CTL)] = ctl | (ISTATUS if reached else 0)
        intid = vcpu.devices.vtimer_intid
        if vcpu.id in inputs and intid is not None and _timer_fires(vcpu, count):
            name, value = inputs[vcpu.id]
            expected[f"{where} GIC", name] = value | 1 << intid
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
    due.sort(key=lambda each: each[0])
    for after, group in itertools.groupby(due, key=lambda each: each[0]):
        timers = [(vcpu, intid) for _, vcpu, intid in group]
        system.counter.step(after - 1 - now)
        early = [_is_pending(vm, *timer)[0] for timer in timers]
        system.counter.step(1)
        now = after
        for timer, was in zip(timers, early, strict=True):
            vcpu, intid = timer
            firings.append(Firing(vcpu.id, intid, after, was, *_is_pending(vm, *timer)))
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


def _check(recorded: VmState, path: Path) -> None:
    if not recorded.vcpus:
        raise StateFileError(f"{path}: it has no vCPUs: nothing to demonstrate")
    for vcpu in recorded.vcpus:
        for register in TIMER_REGISTERS:
            if register not in vcpu.registers:
                raise StateFileError(f"{path}: vCPU {vcpu.id} has no {name_of(register)}")


def settle(vm: Vm) -> dict[Place, int]:
    """What a first entry makes of vCPUs that have not run yet: some registers have fewer bits in
    the hardware than KVM keeps of what user space writes.
    """
    if vm.gic is None:
        return {}
    before = save(vm, memory=False)
    for vcpu in vm.vcpus:
        sample(vcpu)
    found = compare(before, save(vm, memory=False))
    return {(d.where, d.what): d.after for d in found if isinstance(d.after, int)}


def run(path: Path = RECORDED, host: str | None = None) -> DemoResult:
    """Do it.

    Raises:
        StateFileError, RestoreError: the file, or the host, is not fit for it.
    """
    recorded = load(path)
    _check(recorded, path)
    with System(host) as system:
        system.counter.ticks = 1_000_000  # time stands still unless told to move
        rates = _measure(system, recorded)
        with system.create_vm(recorded.ipa_bits) as vm:
            restore(recorded, vm)
            settled = settle(vm)
            ticks = PASSING_S * system.counter.hz
            firings = pass_time(system, vm, recorded, ticks)
            saved = save(vm, f"kvmemu, {PASSING_S} s later")
    timed = expected_after(recorded, ticks)
    moved, wrong = judge(recorded, saved, {**settled, **timed})
    by_entry = frozenset(settled.keys() - timed.keys())
    return DemoResult(recorded, saved, moved, by_entry, wrong, firings, *rates)


def judge(
    recorded: VmState, saved: VmState, expected: Mapping[Place, int]
) -> tuple[list[Difference], list[Difference]]:
    """What differs as it must, and what differs, or does not, as it must not.

    Args:
        expected: what is to be other than it was recorded, or may be.
    """
    before = {(d.where, d.what): d for d in compare(recorded, saved)}
    moved: list[Difference] = []
    wrong: list[Difference] = []
    for key, difference in before.items():
        as_expected = key in expected and expected[key] == difference.after
        (moved if as_expected else wrong).append(difference)
    # What should have moved and did not is wrong too.
    values = {
        (f"vCPU {vcpu.id}", name_of(register)): value
        for vcpu in recorded.vcpus
        for register, value in vcpu.registers.items()
    }
    for vcpu_id, (name, value) in _inputs(recorded).items():
        values[f"vCPU {vcpu_id} GIC", name] = value
    for key, value in expected.items():
        if key not in before and values.get(key, value) != value:
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
