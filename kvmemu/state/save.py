# SPDX-License-Identifier: MIT
"""Saving a VM. Layer: state, a client of the ioctl interface."""

from __future__ import annotations

import errno
import functools
import struct

from kvmemu import constants as kvm
from kvmemu.gic import affinity_attr
from kvmemu.registers import RegisterIds, find
from kvmemu.state.gic import save_gic
from kvmemu.state.memory import snapshot
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

_U64 = struct.Struct("<Q").unpack_from


@functools.lru_cache(maxsize=64)
def _places(ids: RegisterIds) -> tuple[int | None, ...]:
    """Where the values of PSCI_VERSION and PSTATE are, if they are among these registers."""
    return tuple(ids.places.get(register) for register in (_PSCI_VERSION, _PSTATE))


def features_of(vcpu: Vcpu, ids: RegisterIds, values: bytes) -> tuple[int, ...]:
    """The features a vCPU was initialised with, which KVM does not tell: found by what it has.

    KVM_ARM_VCPU_POWER_OFF is left out; the vCPU's mp_state says more.
    """
    psci_at, pstate_at = _places(ids)
    psci_0_2 = psci_at is not None and _U64(values, psci_at)[0] != _PSCI_0_1
    pstate = _U64(values, pstate_at)[0] if pstate_at is not None else 0
    el1_32bit = pstate & 0x10 != 0 and _el1_is_32bit(vcpu, pstate)
    return _features(ids, psci_0_2, el1_32bit)


@functools.lru_cache(maxsize=64)
def _features(ids: RegisterIds, psci_0_2: bool, el1_32bit: bool) -> tuple[int, ...]:
    found = {feature for feature, register in _SHOWN_BY.items() if register in ids.places}
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


_ABSENT = frozenset((-errno.ENXIO, -errno.EINVAL, -errno.ENODEV))
_make_devices = functools.lru_cache(maxsize=1024)(VcpuDevices)  # most vCPUs have the same


def _attr(vcpu: Vcpu, group: int, attr: int) -> int | None:
    """An attribute; None if there is none, or none without an interrupt controller."""
    result, value = vcpu.try_device_attr(kvm.KVM_GET_DEVICE_ATTR, group, attr, 0)
    if result in _ABSENT:
        return None
    return value if result == 0 else vcpu.get_device_attr(group, attr)  # which raises


def _pmu_is_ready(vcpu: Vcpu) -> bool:
    """KVM does not tell; but once KVM_ARM_VCPU_PMU_V3_INIT was made, all writes are refused as
    that, and before the value is looked at.
    """
    group, attr = kvm.KVM_ARM_VCPU_PMU_V3_CTRL, kvm.KVM_ARM_VCPU_PMU_V3_IRQ
    return vcpu.try_device_attr(kvm.KVM_SET_DEVICE_ATTR, group, attr)[0] == -errno.EBUSY


def devices_of(vcpu: Vcpu, features: tuple[int, ...], has_gic: bool) -> VcpuDevices:
    """What the vCPU's device attributes say."""
    pmu_intid = vtimer = ptimer = None
    pmu = kvm.KVM_ARM_VCPU_PMU_V3 in features
    pvtime = _attr(vcpu, kvm.KVM_ARM_VCPU_PVTIME_CTRL, kvm.KVM_ARM_VCPU_PVTIME_IPA)
    if has_gic:
        if pmu:
            pmu_intid = _attr(vcpu, kvm.KVM_ARM_VCPU_PMU_V3_CTRL, kvm.KVM_ARM_VCPU_PMU_V3_IRQ)
        timers = kvm.KVM_ARM_VCPU_TIMER_CTRL
        vtimer = _attr(vcpu, timers, kvm.KVM_ARM_VCPU_TIMER_IRQ_VTIMER)
        ptimer = _attr(vcpu, timers, kvm.KVM_ARM_VCPU_TIMER_IRQ_PTIMER)
    pvtime = None if pvtime == _NOWHERE else pvtime
    return _make_devices(pmu_intid, pmu and _pmu_is_ready(vcpu), vtimer, ptimer, pvtime)


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
    if vm.gic.version == 2:
        return save_gic(vm.gic)
    affinities = []
    for vcpu in vcpus:
        assert isinstance(vcpu.ids, RegisterIds)
        affinities.append(affinity_attr(_U64(vcpu.values, vcpu.ids.places[_MPIDR])[0]))
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
        contents = snapshot(slot.view())
        digest = contents.sha256()
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
