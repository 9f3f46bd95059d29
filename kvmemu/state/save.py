# SPDX-License-Identifier: MIT
"""Saving a VM. Layer: state, a client of the ioctl interface."""

from __future__ import annotations

from kvmemu import constants as kvm
from kvmemu.registers import find
from kvmemu.state.model import VcpuState, VmState
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
_PSCI_VERSION = _id("PSCI_VERSION")
_PSCI_0_1 = 1


def features_of(vcpu: Vcpu, ids: frozenset[int]) -> tuple[int, ...]:
    """The features a vCPU was initialised with, which KVM does not tell: found by what it has.

    KVM_ARM_VCPU_POWER_OFF is left out; the vCPU's mp_state says more.
    """
    found = {feature for feature, register in _SHOWN_BY.items() if register in ids}
    if _PSCI_VERSION in ids and vcpu.get_one_reg(_PSCI_VERSION) != _PSCI_0_1:
        found.add(kvm.KVM_ARM_VCPU_PSCI_0_2)
    if _PSTATE in ids and vcpu.get_one_reg(_PSTATE) & 0x10 and _el1_is_32bit(vcpu):
        found.add(kvm.KVM_ARM_VCPU_EL1_32BIT)
    return tuple(sorted(found))


def _el1_is_32bit(vcpu: Vcpu) -> bool:
    """Whether the vCPU may be in EL1's AArch32 modes, rather than in AArch32 at EL0 only."""
    pstate = vcpu.get_one_reg(_PSTATE)
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


def save_vcpu(vcpu: Vcpu, target: int) -> VcpuState:
    """Everything of one vCPU."""
    ids = vcpu.reg_list()
    return VcpuState(
        id=vcpu.id,
        target=target,
        features=features_of(vcpu, frozenset(ids)),
        mp_state=vcpu.mp_state,
        events=vcpu.events,
        ids=tuple(ids),
        values=vcpu.get_regs(ids),
    )


def save(vm: Vm, origin: str = "") -> VmState:
    """Save a whole VM. Its vCPUs must not be running.

    Args:
        vm: with all its vCPUs initialised, and finalized where they have SVE.
        origin: where it is saved, in words, for whoever reads the file.

    Raises:
        KvmError: ENOEXEC, EPERM for a vCPU that is not ready.
    """
    target = vm.preferred_target()
    return VmState(
        ipa_bits=vm.ipa_bits,
        vcpus=tuple(save_vcpu(vcpu, target) for vcpu in vm.vcpus),
        origin=origin,
    )
