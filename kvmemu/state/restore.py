# SPDX-License-Identifier: MIT
"""Restoring a VM. Layer: state, a client of the ioctl interface."""

from __future__ import annotations

from collections.abc import Iterable

from kvmemu import constants as kvm
from kvmemu.errors import KvmError
from kvmemu.registers import name_of, reg_bytes
from kvmemu.state.model import VcpuState, VmState
from kvmemu.vcpu import Vcpu
from kvmemu.vm import Vm


class RestoreError(Exception):
    """A state that does not fit the VM, in a sentence. The VM may be partly restored: drop it."""


# The virtual counter is the VM's: it is written once, after everything else.
COUNTERS = frozenset((kvm.KVM_REG_ARM_TIMER_CNT, kvm.KVM_REG_ARM32_TIMER_CNT))


def _init(vcpu: Vcpu, state: VcpuState) -> None:
    """Initialise a vCPU as the saved one was; vector lengths before SVE is finalized."""
    vcpu.init(state.features, state.target)
    if kvm.KVM_ARM_VCPU_SVE not in state.features:
        return
    vls = state.registers.get(kvm.KVM_REG_ARM64_SVE_VLS)
    if vls is not None:
        vcpu.set_one_reg(kvm.KVM_REG_ARM64_SVE_VLS, vls)
    vcpu.finalize(kvm.KVM_ARM_VCPU_SVE)


def _without(state: VcpuState, left_out: Iterable[int]) -> tuple[list[int], bytearray]:
    """Ids and values of a vCPU, but for some registers."""
    unwanted = frozenset(left_out)
    ids, values, at = [], bytearray(), 0
    for register_id in state.ids:
        size = reg_bytes(register_id)
        if register_id not in unwanted:
            ids.append(register_id)
            values += state.values[at : at + size]
        at += size
    return ids, values


def _explain(vcpu: Vcpu, state: VcpuState, error: KvmError) -> RestoreError:
    """Why a vCPU's registers could not be written, naming the first that fails."""
    for register_id, value in state.registers.items():
        if register_id in COUNTERS or register_id == kvm.KVM_REG_ARM64_SVE_VLS:
            continue
        try:
            vcpu.set_one_reg(register_id, value)
        except KvmError as refused:
            try:
                here = f"it is {vcpu.get_one_reg(register_id):#x} here"
            except KvmError:
                here = "this vCPU does not have it"
            return RestoreError(
                f"{vcpu}: {name_of(register_id)} cannot be set to {value:#x}; {here}"
                f" ({refused.strerror})"
            )
    return RestoreError(str(error))


def restore_vcpu(vcpu: Vcpu, state: VcpuState) -> None:
    """Write one vCPU, except for the counter."""
    left_out = {*COUNTERS, kvm.KVM_REG_ARM64_SVE_VLS}
    ids, values = _without(state, left_out)
    try:
        vcpu.set_regs(ids, values)
    except KvmError as error:
        raise _explain(vcpu, state, error) from error
    vcpu.events = state.events
    vcpu.mp_state = state.mp_state


def restore(state: VmState, vm: Vm) -> None:
    """Restore a saved VM into one that has no vCPUs yet.

    The virtual counter is written last and once, from the first vCPU: it belongs to the VM, and
    each write moves it for all vCPUs. So no vCPU may run before this returns.

    Args:
        state: as save() or load() gave it.
        vm: new, with as many IPA bits, on a host that can have such vCPUs.

    Raises:
        RestoreError: the state does not fit.
    """
    if vm.vcpus:
        raise RestoreError(f"the VM has {len(vm.vcpus)} vCPUs already; it must be new")
    if vm.ipa_bits != state.ipa_bits:
        raise RestoreError(
            f"the VM has {vm.ipa_bits} bits of IPA space, the saved one {state.ipa_bits}"
        )
    try:
        for vcpu_state in state.vcpus:
            vm.create_vcpu(vcpu_state.id)
        for vcpu, vcpu_state in zip(vm.vcpus, state.vcpus, strict=True):
            _init(vcpu, vcpu_state)
        for vcpu, vcpu_state in zip(vm.vcpus, state.vcpus, strict=True):
            restore_vcpu(vcpu, vcpu_state)
        _restore_counter(vm, state)
    except KvmError as error:
        raise RestoreError(str(error)) from error


def _restore_counter(vm: Vm, state: VmState) -> None:
    for register_id in COUNTERS:
        if state.vcpus and register_id in state.vcpus[0].registers:
            vm.vcpus[0].set_one_reg(register_id, state.vcpus[0].registers[register_id])
