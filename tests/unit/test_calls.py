# SPDX-License-Identifier: MIT
"""Several calls in one crossing: each as if it were made alone."""

from __future__ import annotations

import errno

from kvmemu._core import ffi, lib

import kvmemu
from kvmemu import constants as kvm
from kvmemu.calls import ATTR_BYTES, Call, Calls, Plan

TIMERS = kvm.KVM_ARM_VCPU_TIMER_CTRL
VTIMER = kvm.KVM_ARM_VCPU_TIMER_IRQ_VTIMER


def test_each_has_its_own_result_and_memory(vcpu: kvmemu.Vcpu) -> None:
    vcpu.mp_state = kvm.KVM_MP_STATE_STOPPED
    calls = Calls(Plan([
        Call(kvm.KVM_GET_MP_STATE, bytes(8)),
        Call(0xAE7F, bytes(8)),  # no request
        Call.of_attr(kvm.KVM_GET_DEVICE_ATTR, TIMERS, VTIMER),
        Call.of_attr(kvm.KVM_GET_DEVICE_ATTR, TIMERS, VTIMER, None),
    ]))  # fmt: skip
    after = calls.make(vcpu)
    assert [calls.result(after, n) for n in (0, 2)] == [0, 0]
    assert calls.number(after, 0) == kvm.KVM_MP_STATE_STOPPED
    assert calls.number(after, 2, ATTR_BYTES) == 27
    assert calls.result(after, 1) == -errno.EINVAL
    assert calls.result(after, 3) == -errno.EFAULT
    assert calls.first_error(after) == (1, -errno.EINVAL)


def test_the_same_calls_serve_one_vcpu_after_another(vm: kvmemu.Vm) -> None:
    vcpus = vm.create_vcpus(3)
    vcpus[1].mp_state = kvm.KVM_MP_STATE_STOPPED
    calls = Calls(Plan([Call(kvm.KVM_GET_MP_STATE, bytes(8))]))
    assert [calls.number(calls.make(vcpu), 0) for vcpu in vcpus] == [
        kvm.KVM_MP_STATE_RUNNABLE, kvm.KVM_MP_STATE_STOPPED, kvm.KVM_MP_STATE_RUNNABLE,
    ]  # fmt: skip


def test_what_came_back_before_is_told_apart(vm: kvmemu.Vm) -> None:
    vcpus = vm.create_vcpus(3)
    vcpus[2].mp_state = kvm.KVM_MP_STATE_STOPPED
    calls = Calls(Plan([Call(kvm.KVM_GET_MP_STATE, bytes(8))]))
    after = calls.make_as_before(vcpus[0])
    assert after is not None
    calls.expect(after)
    assert calls.make_as_before(vcpus[1]) is None
    after = calls.make_as_before(vcpus[2])
    assert after is not None
    assert calls.number(after, 0) == kvm.KVM_MP_STATE_STOPPED


def test_calls_of_one_plan_have_memory_of_their_own(vcpu: kvmemu.Vcpu) -> None:
    plan = Plan([Call(kvm.KVM_GET_MP_STATE, bytes(8))])
    first, second = Calls(plan), Calls(plan)
    running = first.make(vcpu)
    vcpu.mp_state = kvm.KVM_MP_STATE_STOPPED
    stopped = second.make(vcpu)
    assert first.number(running, 0) == kvm.KVM_MP_STATE_RUNNABLE
    assert second.number(stopped, 0) == kvm.KVM_MP_STATE_STOPPED
    assert first.make_as_before(vcpu) != running


def test_bad_rows_are_faults_and_nothing_is_created(vm: kvmemu.Vm) -> None:
    bad = ffi.cast("struct kvmemu_call *", 8)
    assert lib.kvmemu_ioctls(vm.handle(), bad, 1) == -errno.EFAULT
    assert lib.kvmemu_ioctls(vm.handle(), ffi.NULL, 0) == 0
    row = ffi.new("struct kvmemu_call *", {"request": kvm.KVM_CREATE_VCPU, "arg": 0})
    assert lib.kvmemu_ioctls(vm.handle(), row, 1) == 0
    assert row.result == -errno.EMFILE
