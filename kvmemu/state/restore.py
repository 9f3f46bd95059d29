# SPDX-License-Identifier: MIT
"""Restoring a VM. Layer: state, a client of the ioctl interface."""

from __future__ import annotations

import functools
import mmap
from collections.abc import Iterator

from kvmemu import constants as kvm
from kvmemu.calls import ATTR_BYTES, Call, Calls
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
_NO_DEVICES = VcpuDevices()


class _Initialiser:
    """Initialises vCPUs as the saved ones were. For one thread."""

    def __init__(self) -> None:
        self._calls: dict[tuple[int, tuple[int, ...]], Calls] = {}

    def do(self, vcpu: Vcpu, state: VcpuState) -> None:
        """KVM_ARM_VCPU_INIT; vector lengths before SVE is finalized."""
        key = state.target, state.features
        calls = self._calls.get(key)
        if calls is None:
            data = vcpu.init_data(state.features, state.target)
            calls = self._calls[key] = Calls([Call(kvm.KVM_ARM_VCPU_INIT, data)])
        result = calls.result(calls.make(vcpu), 0)
        if result < 0:
            raise kvm_error(-result, f"KVM_ARM_VCPU_INIT on {vcpu}")
        if kvm.KVM_ARM_VCPU_SVE not in state.features:
            return
        vls = state.registers.get(kvm.KVM_REG_ARM64_SVE_VLS)
        if vls is not None:
            vcpu.set_one_reg(kvm.KVM_REG_ARM64_SVE_VLS, vls)
        vcpu.finalize(kvm.KVM_ARM_VCPU_SVE)


@functools.lru_cache(maxsize=64)
def _plan(ids: RegisterIds) -> tuple[RegisterIds, tuple[slice, ...]]:
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
    ids, parts = _plan(
        state.ids if isinstance(state.ids, RegisterIds) else RegisterIds(state.ids)
    )
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


class _Devices:
    """Restores the interrupts of vCPUs' PMUs and timers: once the GIC is initialised. For one
    thread.
    """

    def __init__(self) -> None:
        self._calls: dict[VcpuDevices, Calls] = {}

    def do(self, vcpu: Vcpu, state: VcpuDevices) -> None:
        """Of one vCPU."""
        if state == _NO_DEVICES:
            return
        calls = self._calls.get(state)
        if calls is None:
            calls = self._calls[state] = Calls(list(self._plan(state)))
        after = calls.make(vcpu)
        failed = calls.first_error(after)
        if failed is not None:
            raise kvm_error(-failed[1], f"device attributes of {vcpu}")
        # The first calls have read the timers' interrupts. Writing one writes those of all vCPUs.
        for n, (attr, intid) in enumerate(_timers(state)):
            if calls.number(after, n, ATTR_BYTES) != intid:
                vcpu.set_device_attr(_TIMERS, attr, intid, 4)

    @staticmethod
    def _plan(state: VcpuDevices) -> Iterator[Call]:
        for attr, _ in _timers(state):
            yield Call.of_attr(kvm.KVM_GET_DEVICE_ATTR, _TIMERS, attr)
        write = functools.partial(Call.of_attr, kvm.KVM_SET_DEVICE_ATTR)
        if state.pmu_intid is not None:
            yield write(_PMU, kvm.KVM_ARM_VCPU_PMU_V3_IRQ, state.pmu_intid)
        if state.pmu_ready:
            yield write(_PMU, kvm.KVM_ARM_VCPU_PMU_V3_INIT, None)
        if state.pvtime_ipa is not None:
            group, attr = kvm.KVM_ARM_VCPU_PVTIME_CTRL, kvm.KVM_ARM_VCPU_PVTIME_IPA
            yield write(group, attr, state.pvtime_ipa)


def _timers(state: VcpuDevices) -> list[tuple[int, int]]:
    """Attributes and values of the timers whose interrupts are known."""
    both = (
        (kvm.KVM_ARM_VCPU_TIMER_IRQ_VTIMER, state.vtimer_intid),
        (kvm.KVM_ARM_VCPU_TIMER_IRQ_PTIMER, state.ptimer_intid),
    )
    return [(attr, intid) for attr, intid in both if intid is not None]


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
        initialiser, devices = _Initialiser(), _Devices()
        for vcpu_state in state.vcpus:
            initialiser.do(vm.create_vcpu(vcpu_state.id), vcpu_state)
        gic = create_gic(vm, state.gic) if state.gic is not None else None
        for vcpu, vcpu_state in zip(vm.vcpus, state.vcpus, strict=True):
            devices.do(vcpu, vcpu_state.devices)
            restore_vcpu(vcpu, vcpu_state)
        if gic is not None and state.gic is not None:
            restore_gic(gic, state.gic)
        _restore_counter(vm, state)
    except KvmError as error:
        raise RestoreError(str(error)) from error


def _restore_counter(vm: Vm, state: VmState) -> None:
    if not state.vcpus:
        return
    first = state.vcpus[0]
    for register_id in COUNTERS.intersection(first.ids):
        vm.vcpus[0].set_one_reg(register_id, first.registers[register_id])
