# SPDX-License-Identifier: MIT
"""Timers: one counter offset for a VM, and what that means for restoring several vCPUs."""

from __future__ import annotations

import itertools
import random

import pytest

import kvmemu
from kvmemu import constants as kvm

ENABLE, IMASK, ISTATUS = 1, 2, 4


def counts(vm: kvmemu.Vm) -> set[int]:
    """What each vCPU's virtual counter reads; one number if they agree."""
    return {vcpu.regs["CNTVCT_EL0"] for vcpu in vm.vcpus}


def test_arm64_swaps_the_encodings_of_cnt_and_cval() -> None:
    """CNT has the encoding of CNTV_CVAL_EL0 (3,3,14,3,2), CVAL that of CNTVCT_EL0 (3,3,14,0,2)."""

    def sysreg(*fields: int) -> int:
        op0, op1, crn, crm, op2 = fields
        return 0x6030000000130000 | op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2

    assert sysreg(3, 3, 14, 3, 2) == kvm.KVM_REG_ARM_TIMER_CNT == 0x603000000013DF1A
    assert sysreg(3, 3, 14, 0, 2) == kvm.KVM_REG_ARM_TIMER_CVAL == 0x603000000013DF02
    assert sysreg(3, 3, 14, 3, 1) == kvm.KVM_REG_ARM_TIMER_CTL == 0x603000000013DF19


def test_counter_starts_at_zero_with_each_new_vcpu(
    system: kvmemu.System, vm: kvmemu.Vm
) -> None:
    first = vm.create_vcpus(1)[0]
    system.counter.step(1000)
    assert first.regs["CNTVCT_EL0"] == 1000
    vm.create_vcpu()
    assert first.regs["CNTVCT_EL0"] == 0


def test_even_a_refused_vcpu_resets_the_counter(system: kvmemu.System, vm: kvmemu.Vm) -> None:
    first = vm.create_vcpus(1)[0]
    system.counter.step(1000)
    with pytest.raises(FileExistsError):
        vm.create_vcpu(0)
    assert first.regs["CNTVCT_EL0"] == 0


def test_writing_the_counter_on_one_vcpu_moves_all(
    system: kvmemu.System, vm: kvmemu.Vm
) -> None:
    vm.create_vcpus(4)
    vm.vcpus[2].regs["CNTVCT_EL0"] = 123_456
    assert counts(vm) == {123_456}
    system.counter.step(44)
    assert counts(vm) == {123_500}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_any_order_of_restoring_leaves_one_time(
    system: kvmemu.System, vm: kvmemu.Vm, order: tuple[int, ...]
) -> None:
    vm.create_vcpus(4)
    rng = random.Random(repr(order))
    deadlines = {}
    for n in order:
        # Each vCPU was saved a little later than the one before; time also passes meanwhile.
        vm.vcpus[n].regs["CNTVCT_EL0"] = 1_000_000 + 10 * n
        deadlines[n] = vm.vcpus[n].regs["CNTV_CVAL_EL0"] = 2_000_000 + rng.randrange(1000)
        vm.vcpus[n].regs["CNTV_CTL_EL0"] = ENABLE
        system.counter.step(rng.randrange(100))
    assert len(counts(vm)) == 1
    now = counts(vm).pop()
    system.counter.step(2_000_500 - now)
    for n, vcpu in enumerate(vm.vcpus):
        expired = bool(vcpu.regs["CNTV_CTL_EL0"] & ISTATUS)
        assert expired == (deadlines[n] <= 2_000_500)


def test_vms_have_offsets_of_their_own(system: kvmemu.System) -> None:
    with system.create_vm() as one, system.create_vm() as other:
        one.create_vcpus(2)
        other.create_vcpus(2)
        one.vcpus[0].regs["CNTVCT_EL0"] = 5
        other.vcpus[0].regs["CNTVCT_EL0"] = 1 << 63
        assert (counts(one), counts(other)) == ({5}, {1 << 63})


@pytest.mark.parametrize(
    ("ctl", "cval", "want"),
    [
        pytest.param(0, 100, ISTATUS, id="expired-though-disabled"),
        pytest.param(ENABLE, 100, ENABLE | ISTATUS, id="expired-at-the-tick"),
        pytest.param(ENABLE, 101, ENABLE, id="one-tick-to-go"),
        pytest.param(ENABLE | IMASK, 0, ENABLE | IMASK | ISTATUS, id="masked"),
        pytest.param(0xFFFF_FFF8, 101, 0xFFFF_FFF8, id="unknown-bits-stay"),
        pytest.param(ISTATUS, 101, 0, id="istatus-is-not-kept"),
        pytest.param(1 << 32 | ENABLE, 101, ENABLE, id="upper-half-is-dropped"),
    ],
)
def test_istatus_is_computed(vcpu: kvmemu.Vcpu, ctl: int, cval: int, want: int) -> None:
    vcpu.regs["CNTVCT_EL0"] = 100
    vcpu.regs["CNTV_CVAL_EL0"] = cval
    vcpu.regs["CNTV_CTL_EL0"] = ctl
    assert vcpu.regs["CNTV_CTL_EL0"] == want


def test_counter_wraps(system: kvmemu.System, vcpu: kvmemu.Vcpu) -> None:
    vcpu.regs["CNTVCT_EL0"] = (1 << 64) - 1
    system.counter.step(2)
    assert vcpu.regs["CNTVCT_EL0"] == 1


def test_counter_follows_the_clock_until_it_is_stepped() -> None:
    with kvmemu.System() as system:
        before = system.counter.ticks
        while system.counter.ticks == before:
            pass
        system.counter.step(5)
        stopped = system.counter.ticks
        assert system.counter.ticks == stopped
        system.counter.follow_clock()
        while system.counter.ticks == stopped:
            pass
        assert system.counter.ticks > stopped
