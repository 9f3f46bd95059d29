# SPDX-License-Identifier: MIT
"""Restoring a VM. Layer: state, a client of the ioctl interface."""

from __future__ import annotations

import functools
import mmap

from kvmemu import constants as kvm
from kvmemu.errors import KvmError, RestoreError
from kvmemu.registers import RegisterIds, name_of, reg_bytes
from kvmemu.state.gic import create_gic, restore_gic
from kvmemu.state.model import VcpuDevices, VcpuState, VmState
from kvmemu.vcpu import Vcpu
from kvmemu.vm import Vm


# The virtual counter is the VM's: it is written once, after everything else.
COUNTERS = frozenset((kvm.KVM_REG_ARM_TIMER_CNT, kvm.KVM_REG_ARM32_TIMER_CNT))
_LEFT_OUT = frozenset({*COUNTERS, kvm.KVM_REG_ARM64_SVE_VLS})
_PMU = kvm.KVM_ARM_VCPU_PMU_V3_CTRL
_TIMERS = kvm.KVM_ARM_VCPU_TIMER_CTRL


def _init(vcpu: Vcpu, state: VcpuState) -> None:
    """Initialise a vCPU as the saved one was; vector lengths before SVE is finalized."""
    vcpu.init(state.features, state.target)
    if kvm.KVM_ARM_VCPU_SVE not in state.features:
        return
    vls = state.registers.get(kvm.KVM_REG_ARM64_SVE_VLS)
    if vls is not None:
        vcpu.set_one_reg(kvm.KVM_REG_ARM64_SVE_VLS, vls)
    vcpu.finalize(kvm.KVM_ARM_VCPU_SVE)


@functools.lru_cache(maxsize=64)
def _plan(ids: tuple[int, ...]) -> tuple[RegisterIds, tuple[slice, ...]]:
    """Which registers to write, and where their values are among all."""
    wanted: list[int] = []
    parts: list[slice] = []
    at = begin = 0
    for register_id in ids:
        size = reg_bytes(register_id)
        if register_id in _LEFT_OUT:
            parts.append(slice(begin, at))
            begin = at + size
        else:
            wanted.append(register_id)
        at += size
    parts.append(slice(begin, at))
    return RegisterIds(wanted), tuple(parts)


def _explain(vcpu: Vcpu, state: VcpuState, error: KvmError) -> RestoreError:
    """Why a vCPU's registers could not be written, naming the first that fails."""
    for register_id, value in state.registers.items():
        if register_id in _LEFT_OUT:
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
    ids, parts = _plan(state.ids)
    values = b"".join([state.values[part] for part in parts])
    try:
        vcpu.set_regs(ids, values)
    except KvmError as error:
        raise _explain(vcpu, state, error) from error
    # A new vCPU has no SError, and is runnable.
    if state.events.serror_pending:
        vcpu.events = state.events
    if state.mp_state != kvm.KVM_MP_STATE_RUNNABLE:
        vcpu.mp_state = state.mp_state


def _restore_devices(vcpu: Vcpu, state: VcpuDevices) -> None:
    """The interrupts of a vCPU's PMU and timers: after the GIC is initialised."""
    if state.pmu_intid is not None:
        vcpu.set_device_attr(_PMU, kvm.KVM_ARM_VCPU_PMU_V3_IRQ, state.pmu_intid, 4)
    if state.pmu_ready:
        vcpu.set_device_attr(_PMU, kvm.KVM_ARM_VCPU_PMU_V3_INIT)
    if state.vtimer_intid is not None:
        vcpu.set_device_attr(_TIMERS, kvm.KVM_ARM_VCPU_TIMER_IRQ_VTIMER, state.vtimer_intid, 4)
    if state.ptimer_intid is not None:
        vcpu.set_device_attr(_TIMERS, kvm.KVM_ARM_VCPU_TIMER_IRQ_PTIMER, state.ptimer_intid, 4)
    if state.pvtime_ipa is not None:
        group, attr = kvm.KVM_ARM_VCPU_PVTIME_CTRL, kvm.KVM_ARM_VCPU_PVTIME_IPA
        vcpu.set_device_attr(group, attr, state.pvtime_ipa)


def _check(state: VmState, vm: Vm) -> None:
    """What can be seen to be wrong before anything is done."""
    if vm.vcpus:
        raise RestoreError(f"the VM has {len(vm.vcpus)} vCPUs already; it must be new")
    if vm.gic is not None or vm.memory_slots:
        raise RestoreError("the VM has a GIC or memory already; it must be new")
    if vm.ipa_bits != state.ipa_bits:
        raise RestoreError(
            f"the VM has {vm.ipa_bits} bits of IPA space, the saved one {state.ipa_bits}"
        )
    for slot in state.slots:
        if slot.slot not in state.ram:
            raise RestoreError(
                f"what was in memory slot {slot.slot} is not there: load the state from its file"
            )
    if state.gic is not None:
        version = state.gic.version
        kind = kvm.KVM_DEV_TYPE_ARM_VGIC_V2 if version == 2 else kvm.KVM_DEV_TYPE_ARM_VGIC_V3
        if not vm.can_create_device(kind):
            raise RestoreError(f"the saved VM has a GICv{version}, which this host cannot have")


def _restore_memory(state: VmState, vm: Vm) -> None:
    for slot in state.slots:
        memory = mmap.mmap(-1, slot.size)
        with memoryview(memory) as view:
            state.ram[slot.slot].copy_to(view)
        vm.set_user_memory_region(slot.slot, slot.ipa, memory, flags=slot.flags)


def restore(state: VmState, vm: Vm) -> None:
    """Restore a saved VM into one that has nothing yet.

    Memory comes first, then the vCPUs and the GIC are made, then registers are written: the vCPUs',
    by whose affinity the GIC's redistributors are named, and the GIC's. The virtual counter is
    written last and once, from the first vCPU: it belongs to the VM, and each write moves it for
    all vCPUs. So no vCPU may run before this returns.

    Args:
        state: as save() or load() gave it.
        vm: new, with as many IPA bits, on a host that can have such vCPUs.

    Raises:
        RestoreError: the state does not fit.
    """
    _check(state, vm)
    try:
        _restore_memory(state, vm)
        for vcpu_state in state.vcpus:
            vm.create_vcpu(vcpu_state.id)
        for vcpu, vcpu_state in zip(vm.vcpus, state.vcpus, strict=True):
            _init(vcpu, vcpu_state)
        gic = create_gic(vm, state.gic) if state.gic is not None else None
        for vcpu, vcpu_state in zip(vm.vcpus, state.vcpus, strict=True):
            restore_vcpu(vcpu, vcpu_state)
            if vcpu_state.devices != _NO_DEVICES:
                _restore_devices(vcpu, vcpu_state.devices)
        if gic is not None and state.gic is not None:
            restore_gic(gic, state.gic)
        _restore_counter(vm, state)
    except KvmError as error:
        raise RestoreError(str(error)) from error


_NO_DEVICES = VcpuDevices()


def _restore_counter(vm: Vm, state: VmState) -> None:
    if not state.vcpus:
        return
    first = state.vcpus[0]
    for register_id in COUNTERS.intersection(first.ids):
        vm.vcpus[0].set_one_reg(register_id, first.registers[register_id])
