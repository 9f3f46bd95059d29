# SPDX-License-Identifier: MIT
"""Saving a VM. Layer: state, a client of the ioctl interface."""

from __future__ import annotations

import errno
import functools
import hashlib
import struct

from kvmemu import constants as kvm
from kvmemu.errors import KvmError
from kvmemu.gic import affinity_attr
from kvmemu.registers import RegisterIds, find
from kvmemu.state.gic import save_gic
from kvmemu.state.model import GicState, SlotState, VcpuDevices, VcpuState, VmState
from kvmemu.vcpu import Vcpu
from kvmemu.vm import Vm


def _id(name: str) -> int:
    register = find(name)
    assert register is not None, name
    return register.id


# A feature shows in a register that only vCPUs with it have.
_SHOWN_BY = {
    kvm.KVM_ARM_VCPU_PMU_V3: _id("PMCR_EL0"),
    kvm.KVM_ARM_VCPU_SVE: _id("ZCR_EL1"),
    kvm.KVM_ARM_VCPU_PTRAUTH_ADDRESS: _id("APIAKEYLO_EL1"),
    kvm.KVM_ARM_VCPU_PTRAUTH_GENERIC: _id("APGAKEYLO_EL1"),
}
_PSTATE = _id("PSTATE")
_MPIDR = _id("MPIDR_EL1")
_PSCI_VERSION = _id("PSCI_VERSION")
_PSCI_0_1 = 1
_NOWHERE = (1 << 64) - 1  # KVM_ARM_VCPU_PVTIME_IPA of a vCPU without


# ---- features ----


@functools.lru_cache(maxsize=64)
def _features_shown_by(ids: RegisterIds) -> frozenset[int]:
    return frozenset(feature for feature, register in _SHOWN_BY.items() if register in ids.places)


def _value(ids: RegisterIds, values: bytes, register_id: int) -> int | None:
    """A register of 8 bytes among those that were read."""
    at = ids.places.get(register_id)
    return None if at is None else int(struct.unpack_from("<Q", values, at)[0])


def features_of(vcpu: Vcpu, ids: RegisterIds, values: bytes) -> tuple[int, ...]:
    """The features a vCPU was initialised with, which KVM does not tell: found by what it has.

    KVM_ARM_VCPU_POWER_OFF is left out; the vCPU's mp_state says more.
    """
    psci_version = _value(ids, values, _PSCI_VERSION)
    pstate = _value(ids, values, _PSTATE)
    psci_0_2 = psci_version is not None and psci_version != _PSCI_0_1
    el1_32bit = pstate is not None and pstate & 0x10 != 0 and _el1_is_32bit(vcpu, pstate)
    return _features(ids, psci_0_2, el1_32bit)


@functools.lru_cache(maxsize=64)
def _features(ids: RegisterIds, psci_0_2: bool, el1_32bit: bool) -> tuple[int, ...]:
    found = set(_features_shown_by(ids))
    if psci_0_2:
        found.add(kvm.KVM_ARM_VCPU_PSCI_0_2)
    if el1_32bit:
        found.add(kvm.KVM_ARM_VCPU_EL1_32BIT)
    return tuple(sorted(found))


def _el1_is_32bit(vcpu: Vcpu, pstate: int) -> bool:
    """Whether the vCPU may be in EL1's AArch32 modes, rather than in AArch32 at EL0 only."""
    if pstate & 0xF:
        return True
    # User mode tells nothing. Only a VM with AArch64 at EL1 takes EL1h; either way PSTATE ends as
    # it was.
    try:
        vcpu.set_one_reg(_PSTATE, pstate & ~0x1F | 0x5)
    except OSError:
        return True
    vcpu.set_one_reg(_PSTATE, pstate)
    return False


# ---- device attributes ----


def _attr(vcpu: Vcpu, group: int, attr: int, size: int) -> int | None:
    try:
        return vcpu.get_device_attr(group, attr, size)
    except KvmError as error:
        # There is none, or none without an interrupt controller.
        if error.errno in {errno.ENXIO, errno.EINVAL, errno.ENODEV}:
            return None
        raise


def _pmu_is_ready(vcpu: Vcpu) -> bool:
    """KVM does not tell; but once KVM_ARM_VCPU_PMU_V3_INIT was made, all writes are refused as that,
    and before the value is looked at.
    """
    try:
        vcpu.set_device_attr(kvm.KVM_ARM_VCPU_PMU_V3_CTRL, kvm.KVM_ARM_VCPU_PMU_V3_IRQ)
    except KvmError as error:
        return error.errno == errno.EBUSY
    return False


def devices_of(vcpu: Vcpu, features: tuple[int, ...], has_gic: bool) -> VcpuDevices:
    """What the vCPU's device attributes say."""
    pmu = kvm.KVM_ARM_VCPU_PMU_V3 in features
    timers = kvm.KVM_ARM_VCPU_TIMER_CTRL
    stolen = _attr(vcpu, kvm.KVM_ARM_VCPU_PVTIME_CTRL, kvm.KVM_ARM_VCPU_PVTIME_IPA, 8)
    intid = (
        _attr(vcpu, kvm.KVM_ARM_VCPU_PMU_V3_CTRL, kvm.KVM_ARM_VCPU_PMU_V3_IRQ, 4)
        if pmu and has_gic
        else None
    )
    return VcpuDevices(
        pmu_intid=intid,
        pmu_ready=pmu and _pmu_is_ready(vcpu),
        vtimer_intid=_attr(vcpu, timers, kvm.KVM_ARM_VCPU_TIMER_IRQ_VTIMER, 4) if has_gic else None,
        ptimer_intid=_attr(vcpu, timers, kvm.KVM_ARM_VCPU_TIMER_IRQ_PTIMER, 4) if has_gic else None,
        pvtime_ipa=None if stolen in {None, _NOWHERE} else stolen,
    )


# ---- the whole ----


def save_vcpu(vcpu: Vcpu, target: int, has_gic: bool = False) -> VcpuState:
    """Everything of one vCPU."""
    ids = vcpu.register_ids()
    values = vcpu.get_regs(ids)
    features = features_of(vcpu, ids, values)
    return VcpuState(
        id=vcpu.id,
        target=target,
        features=features,
        mp_state=vcpu.mp_state,
        events=vcpu.events,
        ids=ids,
        values=values,
        devices=devices_of(vcpu, features, has_gic),
    )


def _save_gic(vm: Vm, vcpus: tuple[VcpuState, ...]) -> GicState | None:
    if vm.gic is None:
        return None
    affinities = [
        affinity_attr(_value(vcpu.ids, vcpu.values, _MPIDR) or 0)
        for vcpu in vcpus
        if isinstance(vcpu.ids, RegisterIds)
    ]
    return save_gic(vm.gic, affinities)


def save(vm: Vm, origin: str = "", *, memory: bool = True) -> VmState:
    """Save a whole VM. Its vCPUs must not be running.

    Args:
        vm: with all its vCPUs initialised, and finalized where they have SVE.
        origin: where it is saved, in words, for whoever reads the file.
        memory: save what is in its memory slots too.

    Raises:
        KvmError: ENOEXEC, EPERM for a vCPU that is not ready; EBUSY for one that is running.
    """
    target = vm.preferred_target()
    vcpus = tuple(save_vcpu(vcpu, target, vm.gic is not None) for vcpu in vm.vcpus)
    slots, ram = [], {}
    for slot in vm.memory_slots if memory else ():
        contents = slot.view()
        digest = hashlib.sha256(contents).hexdigest()
        slots.append(SlotState(slot.slot, slot.ipa, slot.size, slot.flags, digest))
        ram[slot.slot] = contents
    return VmState(
        ipa_bits=vm.ipa_bits,
        vcpus=vcpus,
        origin=origin,
        gic=_save_gic(vm, vcpus),
        slots=tuple(slots),
        ram=ram,
    )
