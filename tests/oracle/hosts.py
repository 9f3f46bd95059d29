# SPDX-License-Identifier: MIT
"""The hosts the oracle can be: what QEMU models for each host profile. Part of the tests."""

from __future__ import annotations

from dataclasses import dataclass

GICV3 = "virt,virtualization=on,gic-version=3,its=on"
GICV2 = "virt,virtualization=on,gic-version=2"

# What all hosts share. kvmemu's profiles of the same names were recorded on these.
COMMON = ("-smp", "2", "-m", "3G")

HOSTS: dict[str, tuple[str, ...]] = {
    "gicv3-max": ("-M", GICV3, "-cpu", "max,sve=off,pauth-impdef=on"),
    "gicv3-max-sve": ("-M", GICV3, "-cpu", "max,pauth-impdef=on"),
    "gicv3-neoverse-n1": ("-M", GICV3, "-cpu", "neoverse-n1"),
    "gicv2-cortex-a72": ("-M", GICV2, "-cpu", "cortex-a72"),
    "gicv3-gicv2-compat": ("-M", GICV3, "-cpu", "cortex-a72"),
}


@dataclass(frozen=True)
class Model:
    """What QEMU's machine has that neither KVM nor the kernel tells user space.

    List registers and priority bits: hw/intc/arm_gicv3_cpuif.c and arm_gic.c of QEMU.
    """

    description: str
    list_registers: int = 4
    priority_bits: int = 5
    v2_compat: bool = False  # booted as compat.py says


MODELS: dict[str, Model] = {
    "gicv3-max": Model("GICv3 with ITS, every feature QEMU has but SVE"),
    "gicv3-max-sve": Model("GICv3 with ITS, every feature QEMU has"),
    "gicv3-neoverse-n1": Model("GICv3 with ITS, Arm Neoverse N1"),
    "gicv2-cortex-a72": Model("GICv2, Arm Cortex-A72"),
    "gicv3-gicv2-compat": Model(
        "GICv3 with ITS and GICv2 compatibility, Arm Cortex-A72", v2_compat=True
    ),
}
