# SPDX-License-Identifier: MIT
"""Device attributes of the GIC: their groups, what they are called, whose they are.

Nothing here needs a VM.
"""

from __future__ import annotations

from kvmemu import constants as kvm
from kvmemu.gic_registers import gic_register_at

GROUP_PREFIX = "KVM_DEV_ARM_VGIC_GRP_"
GROUPS = {value: name for name, value in kvm.ALL.items() if name.startswith(GROUP_PREFIX)}

ADDR, NR_IRQS = kvm.KVM_DEV_ARM_VGIC_GRP_ADDR, kvm.KVM_DEV_ARM_VGIC_GRP_NR_IRQS
CTRL, LEVELS = kvm.KVM_DEV_ARM_VGIC_GRP_CTRL, kvm.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO
DIST, REDIST = kvm.KVM_DEV_ARM_VGIC_GRP_DIST_REGS, kvm.KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
CPU, ICC = kvm.KVM_DEV_ARM_VGIC_GRP_CPU_REGS, kvm.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS

FRAME_OF_GROUP = {DIST: "gicd", REDIST: "gicr", CPU: "gicc", ICC: "icc"}
GROUP_OF_FRAME = {frame: group for group, frame in FRAME_OF_GROUP.items()}

# The attributes of groups that have no registers: names, and of which GIC (0: of both).
ADDR_ATTRS = {
    kvm.KVM_VGIC_V2_ADDR_TYPE_DIST: ("KVM_VGIC_V2_ADDR_TYPE_DIST", 2),
    kvm.KVM_VGIC_V2_ADDR_TYPE_CPU: ("KVM_VGIC_V2_ADDR_TYPE_CPU", 2),
    kvm.KVM_VGIC_V3_ADDR_TYPE_DIST: ("KVM_VGIC_V3_ADDR_TYPE_DIST", 3),
    kvm.KVM_VGIC_V3_ADDR_TYPE_REDIST: ("KVM_VGIC_V3_ADDR_TYPE_REDIST", 3),
    kvm.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION: ("KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION", 3),
}
CTRL_ATTRS = {
    kvm.KVM_DEV_ARM_VGIC_CTRL_INIT: ("KVM_DEV_ARM_VGIC_CTRL_INIT", 0),
    kvm.KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES: ("KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES", 3),
}

# KVM_DEV_ARM_VGIC_CPUID_SHIFT, and KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT
WHOSE_SHIFT = kvm.KVM_DEV_ARM_VGIC_CPUID_SHIFT
_LOW = 0xFFFFFFFF


def affinity_attr(mpidr: int) -> int:
    """The upper half of an attribute that names a vCPU by its MPIDR_EL1: Aff3 to Aff0."""
    return (mpidr >> 32 & 0xFF) << 56 | (mpidr & 0xFFFFFF) << 32


def default_affinity(vcpu_id: int) -> int:
    """The affinity of MPIDR_EL1 that KVM gives a vCPU, as four bytes, Aff3 to Aff0: 16 vCPUs a
    cluster, as the list of targets of an SGI has them.
    """
    return (vcpu_id >> 12 & 0xFF) << 16 | (vcpu_id >> 4 & 0xFF) << 8 | vcpu_id & 0xF


def offset_of(group: int, attr: int) -> int:
    """The offset of a register in its frame, or its encoding: KVM looks at no more of it."""
    return attr & (kvm.KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK if group == ICC else _LOW)


def whose_of(version: int, group: int, attr: int) -> int | None:
    """The vCPU that an attribute names: its id (GICv2), or its affinity as four bytes (GICv3); None
    if it names none.
    """
    if group not in FRAME_OF_GROUP and group != LEVELS:
        return None
    if version == 2:
        return (attr & kvm.KVM_DEV_ARM_VGIC_CPUID_MASK) >> WHOSE_SHIFT
    return None if group == DIST else attr >> WHOSE_SHIFT


def whose_text(version: int, whose: int) -> str:
    """A vCPU as an attribute names it, in words."""
    if version == 2:
        return f"vCPU {whose}"
    return "affinity " + ".".join(str(whose >> shift & 0xFF) for shift in (24, 16, 8, 0))


def attr_name(version: int, group: int, attr: int) -> str:
    """What an attribute is called, and whose it is; the numbers, if it is nothing."""
    name = ""
    if group in FRAME_OF_GROUP:
        register = gic_register_at(version, FRAME_OF_GROUP[group], offset_of(group, attr))
        name = register.name if register else ""
    elif group == LEVELS:
        name = f"line levels {attr & kvm.KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK}"
    elif group == NR_IRQS:
        name = GROUPS[group]
    elif group in {ADDR, CTRL}:
        name, _ = (ADDR_ATTRS if group == ADDR else CTRL_ATTRS).get(attr, ("", 0))
    if not name:
        return f"attribute {attr:#x} of {GROUPS.get(group, f'group {group}')}"
    whose = whose_of(version, group, attr)
    return name if whose is None else f"{name} of {whose_text(version, whose)}"
