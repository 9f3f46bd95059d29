# SPDX-License-Identifier: MIT
"""What the scripts made by make_scripts.py have in common: hosts, features, first and other lines.

Part of the tests.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import kvmemu
from kvmemu import constants as c

SVE_HOSTS = ("gicv3-max-sve",)
PTRAUTH_HOSTS = ("gicv3-max", "gicv3-max-sve")
AARCH32_HOSTS = (*PTRAUTH_HOSTS, "gicv2-cortex-a72")
# The last has AArch32 guests too, on the CPU of gicv2-cortex-a72: sweeps would find the same.
ALL_HOSTS = (*AARCH32_HOSTS, "gicv3-neoverse-n1", "gicv3-gicv2-compat")

PTRAUTH = (c.KVM_ARM_VCPU_PTRAUTH_ADDRESS, c.KVM_ARM_VCPU_PTRAUTH_GENERIC)
# name of a set of features: the hosts that have it, and the features
FEATURE_SETS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "plain": (ALL_HOSTS, ()),
    "pmu": (ALL_HOSTS, (c.KVM_ARM_VCPU_PSCI_0_2, c.KVM_ARM_VCPU_PMU_V3)),
    "aarch32": (AARCH32_HOSTS, (c.KVM_ARM_VCPU_EL1_32BIT,)),
    "ptrauth": (PTRAUTH_HOSTS, (c.KVM_ARM_VCPU_PSCI_0_2, *PTRAUTH)),
    "sve": (SVE_HOSTS, (c.KVM_ARM_VCPU_PSCI_0_2, c.KVM_ARM_VCPU_SVE)),
    "all": (
        SVE_HOSTS,
        (c.KVM_ARM_VCPU_PSCI_0_2, c.KVM_ARM_VCPU_PMU_V3, *PTRAUTH, c.KVM_ARM_VCPU_SVE),
    ),
}
VOLATILE = {c.KVM_REG_ARM_TIMER_CNT}
TIMERS = {c.KVM_REG_ARM_TIMER_CTL, c.KVM_REG_ARM_TIMER_CNT, c.KVM_REG_ARM_TIMER_CVAL}
SYSREG = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | c.KVM_REG_ARM64_SYSREG


def _names(hosts: Iterable[str]) -> str:
    return "any" if set(hosts) == set(ALL_HOSTS) else " ".join(hosts)


def head(hosts: Iterable[str], comment: str) -> list[str]:
    return [
        "kvmemu-trace 1",
        f"host {_names(hosts)}",
        *textwrap.wrap(comment, 98, initial_indent="# ", subsequent_indent="# "),
        "# Made by make_scripts.py.",
        "",
    ]


def init(features: Iterable[int]) -> str:
    bits = sum(1 << feature for feature in features)
    return f"ioctl vcpu KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 {bits:#x} 6*0 ]"


def vcpu(features: tuple[int, ...]) -> list[str]:
    lines = ["open kvm", "ioctl kvm KVM_CREATE_VM 0 -> vm", "ioctl vm KVM_CREATE_VCPU 0 -> vcpu"]
    lines.append(init(features))
    if c.KVM_ARM_VCPU_SVE in features:
        lines.append("ioctl vcpu KVM_ARM_VCPU_FINALIZE [ u32 KVM_ARM_VCPU_SVE ]")
    return lines


def listed(hosts: Iterable[str], features: tuple[int, ...]) -> list[int]:
    """Every register that a vCPU with these features has on any of these hosts, in order."""
    ids: dict[int, None] = {}
    for host in hosts:
        with kvmemu.System(host) as system, system.create_vm() as vm:
            vcpu = vm.create_vcpu()
            vcpu.init(features)
            if c.KVM_ARM_VCPU_SVE in features:
                vcpu.finalize(c.KVM_ARM_VCPU_SVE)
            ids.update(dict.fromkeys(vcpu.reg_list()))
    return list(ids)


def name(register_id: int) -> str:
    register = kvmemu.describe(register_id)
    if register is None:
        return "?"
    return register.name


def get(register_id: int, comment: str = "") -> str:
    mark = " ?" if register_id in VOLATILE else ""
    return f"get vcpu {register_id:#018x}{mark}" + (f"  # {comment}" if comment else "")
