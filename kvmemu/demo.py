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
from kvmemu.state import Difference, VmState, compare, load, restore, save
from kvmemu.system import System

RECORDED = Path(__file__).parent / "data" / "linux-6.1-4vcpu.state"
PASSING_S = 25
ROUNDS = 15
ISTATUS = 4
U64 = (1 << 64) - 1


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration found.

    Attributes:
        recorded: the state from Linux.
        saved: the state of the emulated VM, PASSING_S seconds of virtual time after the restore.
        moved: registers that differ as they must, because time passed.
        wrong: everything else that differs.
        restored_per_s, saved_per_s: registers a second, the whole VM each time (median).
    """

    recorded: VmState
    saved: VmState
    moved: list[Difference]
    wrong: list[Difference]
    restored_per_s: float
    saved_per_s: float

    @property
    def same(self) -> int:
        """Registers that are what they were."""
        return self.recorded.nr_registers - len(self.moved) - len(self.wrong)


def expected_after(recorded: VmState, ticks: int) -> dict[tuple[str, int], int]:
    """What the timers must read once the VM's counter has moved on.

    All vCPUs have one counter, restored from the first; a timer whose compare value the counter has
    reached shows ISTATUS.
    """
    count = recorded.vcpus[0].registers[kvm.KVM_REG_ARM_TIMER_CNT] + ticks & U64
    expected = {}
    for vcpu in recorded.vcpus:
        where = f"vCPU {vcpu.id}"
        ctl = vcpu.registers[kvm.KVM_REG_ARM_TIMER_CTL] & ~ISTATUS
        reached = vcpu.registers[kvm.KVM_REG_ARM_TIMER_CVAL] <= count
        expected[where, kvm.KVM_REG_ARM_TIMER_CNT] = count
        expected[where, kvm.KVM_REG_ARM_TIMER_CTL] = ctl | (ISTATUS if reached else 0)
    return expected


def _median_rate(registers: int, seconds: list[float]) -> float:
    return registers / statistics.median(seconds)


def run(path: Path = RECORDED, host: str | None = None) -> DemoResult:
    """Do it.

    Raises:
        StateFileError, RestoreError: the file, or the host, is not fit for it.
    """
    recorded = load(path)
    restore_s, save_s = [], []
    with System(host) as system:
        system.counter.ticks = 1_000_000  # time stands still unless told to move
        for _ in range(ROUNDS):
            with system.create_vm(recorded.ipa_bits) as vm:
                begin = time.perf_counter()
                restore(recorded, vm)
                restored = time.perf_counter()
                saved = save(vm)
                save_s.append(time.perf_counter() - restored)
                restore_s.append(restored - begin)
        with system.create_vm(recorded.ipa_bits) as vm:
            restore(recorded, vm)
            ticks = PASSING_S * system.counter.hz
            system.counter.step(ticks)
            saved = save(vm, f"kvmemu, {PASSING_S} s later")
    expected = expected_after(recorded, ticks)
    moved, wrong = [], []
    for difference in compare(recorded, saved):
        key = (difference.where, difference.register_id or 0)
        as_expected = key in expected and expected.pop(key) == difference.after
        (moved if as_expected else wrong).append(difference)
    # What should have moved and did not is wrong too.
    before = {f"vCPU {vcpu.id}": vcpu.registers for vcpu in recorded.vcpus}
    for (where, register_id), value in expected.items():
        if before[where][register_id] != value:
            stayed = before[where][register_id]
            wrong.append(Difference(where, name_of(register_id), register_id, value, stayed))
    return DemoResult(
        recorded,
        saved,
        moved,
        wrong,
        _median_rate(recorded.nr_registers, restore_s),
        _median_rate(recorded.nr_registers, save_s),
    )


def in_words(difference: Difference, hz: int) -> str:
    """What a difference means."""
    before, after = difference.before, difference.after
    if not isinstance(before, int) or not isinstance(after, int):
        return ""
    if difference.register_id == kvm.KVM_REG_ARM_TIMER_CNT:
        return f"{(after - before) / hz:+.3f} s of virtual time"
    if difference.register_id == kvm.KVM_REG_ARM_TIMER_CTL and after & ISTATUS:
        return "expired: ISTATUS is set"
    return ""
