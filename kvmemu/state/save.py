# SPDX-License-Identifier: MIT
"""Saving a VM. Layer: state, a client of the ioctl interface."""

from __future__ import annotations

import errno
import functools
import struct

from kvmemu import constants as kvm
from kvmemu.calls import ATTR_BYTES, Call, Calls, Plan
from kvmemu.errors import check
from kvmemu.gic_attrs import affinity_attr
from kvmemu.registers import RegisterIds, find
from kvmemu.state.gic import save_gic
from kvmemu.state.memory import snapshot
from kvmemu.state.model import GicState, SlotState, VcpuDevices, VcpuState, VmState
from kvmemu.vcpu import Vcpu, VcpuEvents
from kvmemu.vm import Vm


def _id(name: str, arch: str = "arm64") -> int:
    register = find(name, arch)
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
_PSCI_VERSION_ARM32 = _id("PSCI_VERSION", "arm")
_PSCI_0_1 = 1
_NOWHERE = (1 << 64) - 1  # KVM_ARM_VCPU_PVTIME_IPA of a vCPU without


# ---- features ----

_U64 = struct.Struct("=Q").unpack_from


class _Layout:
    """What a list of registers tells of the vCPUs that have it, worked out once for all of them."""

    def __init__(self, ids: RegisterIds) -> None:
        arm32 = _PSCI_VERSION_ARM32 in ids.places
        self._psci_at = ids.places.get(_PSCI_VERSION_ARM32 if arm32 else _PSCI_VERSION)
        self._pstate_at = ids.places.get(_PSTATE)
        shown = {feature for feature, register in _SHOWN_BY.items() if register in ids.places}
        psci = kvm.KVM_ARM32_VCPU_PSCI_0_2 if arm32 else kvm.KVM_ARM_VCPU_PSCI_0_2
        self._features = {
            (psci_0_2, el1_32bit): tuple(sorted(
                shown | ({psci} if psci_0_2 else set())
                | ({kvm.KVM_ARM_VCPU_EL1_32BIT} if el1_32bit else set())
            ))
            for psci_0_2 in (False, True) for el1_32bit in (False, True)
        }  # fmt: skip

    def features_of(self, vcpu: Vcpu, values: bytes) -> tuple[int, ...]:
        """The features a vCPU was initialised with, which KVM does not tell: found by what it has.

        KVM_ARM_VCPU_POWER_OFF is left out; the vCPU's mp_state says more.
        """
        psci_at, pstate_at = self._psci_at, self._pstate_at
        psci_0_2 = psci_at is not None and _U64(values, psci_at)[0] != _PSCI_0_1
        pstate = _U64(values, pstate_at)[0] if pstate_at is not None else 0
        el1_32bit = pstate & 0x10 != 0 and _el1_is_32bit(vcpu, pstate)
        return self._features[psci_0_2, el1_32bit]


_layout = functools.lru_cache(maxsize=64)(_Layout)


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


# ---- what is no register ----

_MP_STATE, _EVENTS, _PVTIME, _PMU_INTID, _PMU_READY, _VTIMER, _PTIMER = range(7)
_ABSENT = frozenset((-errno.ENXIO, -errno.EINVAL, -errno.ENODEV))


def _rest_plan() -> Plan:
    pmu, timers = kvm.KVM_ARM_VCPU_PMU_V3_CTRL, kvm.KVM_ARM_VCPU_TIMER_CTRL
    get = functools.partial(Call.of_attr, kvm.KVM_GET_DEVICE_ATTR)
    # KVM does not tell whether the PMU was initialised. But then all writes are refused for that,
    # before the value is looked at: this one, an SGI, is refused in any case.
    ready = Call.of_attr(kvm.KVM_SET_DEVICE_ATTR, pmu, kvm.KVM_ARM_VCPU_PMU_V3_IRQ, 0)
    return Plan([
        Call(kvm.KVM_GET_MP_STATE, bytes(8)),
        Call(kvm.KVM_GET_VCPU_EVENTS, bytes(64)),
        get(kvm.KVM_ARM_VCPU_PVTIME_CTRL, kvm.KVM_ARM_VCPU_PVTIME_IPA),
        get(pmu, kvm.KVM_ARM_VCPU_PMU_V3_IRQ),
        ready,
        get(timers, kvm.KVM_ARM_VCPU_TIMER_IRQ_VTIMER),
        get(timers, kvm.KVM_ARM_VCPU_TIMER_IRQ_PTIMER),
    ])  # fmt: skip


_REST = _rest_plan()


class _Rest:
    """Reads the rest of a vCPU, one crossing each. For one VM and thread."""

    def __init__(self, has_gic: bool) -> None:
        self._calls = Calls(_REST)
        self._has_gic = has_gic
        # Most vCPUs of a VM have the same.
        self._known: dict[bytes, tuple[int, VcpuEvents, VcpuDevices]] = {}

    def of(self, vcpu: Vcpu) -> tuple[int, VcpuEvents, VcpuDevices]:
        """mp_state, events and devices of a vCPU."""
        after = self._calls.make(vcpu)
        known = self._known.get(after)
        if known is None:
            known = self._known[after] = self._understood(after, vcpu)
        return known

    def _understood(self, after: bytes, vcpu: Vcpu) -> tuple[int, VcpuEvents, VcpuDevices]:
        calls = self._calls
        for n in (_MP_STATE, _EVENTS):
            check(calls.result(after, n), f"state of {vcpu}")

        def attr(n: int, needs_gic: bool = True) -> int | None:
            result = calls.result(after, n)
            if result in _ABSENT or (needs_gic and not self._has_gic):
                return None
            check(result, f"device attributes of {vcpu}")
            return calls.number(after, n, ATTR_BYTES)

        flags = calls.number(after, _EVENTS)  # serror_pending, serror_has_esr, ext_dabt_pending
        esr = calls.number(after, _EVENTS, 8) if flags >> 8 & 0xFF else None
        pvtime = attr(_PVTIME, needs_gic=False)
        devices = VcpuDevices(
            pmu_intid=attr(_PMU_INTID),
            pmu_ready=calls.result(after, _PMU_READY) == -errno.EBUSY,
            vtimer_intid=attr(_VTIMER),
            ptimer_intid=attr(_PTIMER),
            pvtime_ipa=None if pvtime == _NOWHERE else pvtime,
        )
        mp_state = calls.number(after, _MP_STATE) & 0xFFFFFFFF
        return mp_state, VcpuEvents(flags & 0xFF != 0, esr), devices


# ---- the whole ----


class _VcpuSaver:
    """Saves the vCPUs of one VM, one after another."""

    def __init__(self, vm: Vm) -> None:
        self._target = vm.preferred_target()
        self._rest = _Rest(vm.gic is not None)
        self._ids: RegisterIds | None = None

    def save(self, vcpu: Vcpu) -> VcpuState:
        ids = vcpu.register_ids()
        if ids is not self._ids:
            self._ids, self._layout = ids, _layout(ids)
        values = vcpu.get_regs(ids)
        mp_state, events, devices = self._rest.of(vcpu)
        features = self._layout.features_of(vcpu, values)
        return VcpuState(
            vcpu.id, self._target, features, mp_state, events, ids, values, devices
        )


def _save_gic(vm: Vm, vcpus: tuple[VcpuState, ...]) -> GicState | None:
    if vm.gic is None:
        return None
    if vm.gic.version == 2:
        return save_gic(vm.gic)
    affinities, ids, place = [], None, 0
    for vcpu in vcpus:
        if vcpu.ids is not ids:
            assert isinstance(vcpu.ids, RegisterIds)
            ids, place = vcpu.ids, vcpu.ids.places[_MPIDR]
        affinities.append(affinity_attr(_U64(vcpu.values, place)[0]))
    return save_gic(vm.gic, affinities)


def save(vm: Vm, origin: str = "", *, memory: bool = True) -> VmState:
    """Save a whole VM. Its vCPUs must not be running.

    Args:
        vm: with all its vCPUs initialised, and finalized where they have SVE.
        origin: where it is saved, in words, for whoever reads the file.
        memory: save what is in its memory slots too.

    Raises:
        KvmError: ENOEXEC, EPERM for a vCPU that is not ready; EBUSY for one that is running.
        ValueError: two vCPUs of a GICv3 have the same affinity: see save_gic().
    """
    vcpus = tuple(map(_VcpuSaver(vm).save, vm.vcpus))
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
