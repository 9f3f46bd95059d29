# SPDX-License-Identifier: MIT
"""Restoring a VM. Layer: state, a client of the ioctl interface."""

from __future__ import annotations

import functools
import mmap
from collections.abc import Iterable, Sequence

from kvmemu import constants as kvm
from kvmemu.calls import ATTR_BYTES, Call, Calls, Plan
from kvmemu.errors import KvmError, RestoreError, kvm_error
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


class _Initialiser:
    """Initialises vCPUs as saved ones with the same target and features were. For one thread."""

    def __init__(self, like: VcpuState) -> None:
        data = Vcpu.init_data(like.features, like.target)
        self._like = like.target, like.features
        self._calls = Calls(Plan([Call(kvm.KVM_ARM_VCPU_INIT, data)]))
        self._has_sve = kvm.KVM_ARM_VCPU_SVE in like.features

    def suits(self, state: VcpuState) -> bool:
        """Whether it initialises vCPUs of this kind."""
        return self._like == (state.target, state.features)

    def do(self, vcpu: Vcpu, state: VcpuState) -> None:
        """KVM_ARM_VCPU_INIT; vector lengths before SVE is finalized."""
        after = self._calls.make_as_before(vcpu)
        if after is not None:
            result = self._calls.result(after, 0)
            if result < 0:
                raise kvm_error(-result, f"KVM_ARM_VCPU_INIT on {vcpu}")
            self._calls.expect(after)
        if self._has_sve:
            vls = state.registers.get(kvm.KVM_REG_ARM64_SVE_VLS)
            if vls is not None:
                vcpu.set_one_reg(kvm.KVM_REG_ARM64_SVE_VLS, vls)
            vcpu.finalize(kvm.KVM_ARM_VCPU_SVE)


def _create_vcpus(vm: Vm, states: Iterable[VcpuState]) -> None:
    initialiser = None
    for state in states:
        if initialiser is None or not initialiser.suits(state):
            initialiser = _Initialiser(state)
        initialiser.do(vm.create_vcpu(state.id), state)


class _Registers:
    """Writes the registers of vCPUs that have the same: all but those that are left out."""

    def __init__(self, ids: Sequence[int]) -> None:
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
        self._ids, self._parts = RegisterIds(wanted), parts

    def write(self, vcpu: Vcpu, state: VcpuState) -> None:
        values = b"".join([state.values[part] for part in self._parts])
        try:
            vcpu.set_regs(self._ids, values)
        except KvmError as error:
            raise _explain(vcpu, state, error) from error


_registers = functools.lru_cache(maxsize=64)(_Registers)


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


class _Devices:
    """Restores the interrupts of vCPUs' PMUs and timers: once the GIC is initialised. For one
    thread.
    """

    def __init__(self, like: VcpuDevices) -> None:
        self._timers = _timers(like)
        self._calls = Calls(_devices_plan(like))

    def do(self, vcpu: Vcpu) -> None:
        after = self._calls.make_as_before(vcpu)
        if after is None:
            return
        failed = self._calls.first_error(after)
        if failed is not None:
            raise kvm_error(-failed[1], f"device attributes of {vcpu}")
        # The first calls have read the timers' interrupts. Writing one writes those of all vCPUs.
        different = False
        for n, (attr, intid) in enumerate(self._timers):
            if self._calls.number(after, n, ATTR_BYTES) != intid:
                vcpu.set_device_attr(_TIMERS, attr, intid, 4)
                different = True
        if not different:
            self._calls.expect(after)


@functools.lru_cache(maxsize=64)
def _devices_plan(state: VcpuDevices) -> Plan:
    write = functools.partial(Call.of_attr, kvm.KVM_SET_DEVICE_ATTR)
    calls = [Call.of_attr(kvm.KVM_GET_DEVICE_ATTR, _TIMERS, attr) for attr, _ in _timers(state)]
    if state.pmu_intid is not None:
        calls.append(write(_PMU, kvm.KVM_ARM_VCPU_PMU_V3_IRQ, state.pmu_intid))
    if state.pmu_ready:
        calls.append(write(_PMU, kvm.KVM_ARM_VCPU_PMU_V3_INIT, None))
    if state.pvtime_ipa is not None:
        group, attr = kvm.KVM_ARM_VCPU_PVTIME_CTRL, kvm.KVM_ARM_VCPU_PVTIME_IPA
        calls.append(write(group, attr, state.pvtime_ipa))
    return Plan(calls)


def _timers(state: VcpuDevices) -> list[tuple[int, int]]:
    """Attributes and values of the timers whose interrupts are known."""
    both = (
        (kvm.KVM_ARM_VCPU_TIMER_IRQ_VTIMER, state.vtimer_intid),
        (kvm.KVM_ARM_VCPU_TIMER_IRQ_PTIMER, state.ptimer_intid),
    )
    return [(attr, intid) for attr, intid in both if intid is not None]


class _VcpuRestorer:
    """Restores vCPUs, except for the counter, one after another. Neighbours mostly are alike."""

    def __init__(self) -> None:
        self._like: VcpuDevices | None = None
        self._ids: Sequence[int] | None = None

    def restore(self, vcpu: Vcpu, state: VcpuState) -> None:
        if state.devices is not self._like and state.devices != self._like:
            self._like, self._devices = state.devices, _Devices(state.devices)
        self._devices.do(vcpu)
        if state.ids is not self._ids:
            self._ids, self._registers = state.ids, _registers(state.ids)
        self._registers.write(vcpu, state)
        # A new vCPU has no SError, and is runnable.
        if state.events.serror_pending:
            vcpu.events = state.events
        if state.mp_state != kvm.KVM_MP_STATE_RUNNABLE:
            vcpu.mp_state = state.mp_state


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
        _create_vcpus(vm, state.vcpus)
        gic = create_gic(vm, state.gic) if state.gic is not None else None
        restorer = _VcpuRestorer()
        for vcpu, vcpu_state in zip(vm.vcpus, state.vcpus, strict=True):
            restorer.restore(vcpu, vcpu_state)
        if gic is not None and state.gic is not None:
            restore_gic(gic, state.gic)
        _restore_counter(vm, state)
    except (OSError, OverflowError) as error:
        raise RestoreError(str(error)) from error


def _restore_counter(vm: Vm, state: VmState) -> None:
    if not state.vcpus:
        return
    first = state.vcpus[0]
    ids = first.ids if isinstance(first.ids, RegisterIds) else RegisterIds(first.ids)
    for register_id in COUNTERS:
        at = ids.places.get(register_id)
        if at is not None:
            value = first.values[at : at + reg_bytes(register_id)]
            vm.vcpus[0].set_one_reg(register_id, int.from_bytes(value, "little"))
