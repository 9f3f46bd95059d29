# SPDX-License-Identifier: MIT
"""Scripts that go through capabilities, features, sizes, modes: what they lead to.

Part of the tests; see make_scripts.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import kvmemu
from conformance.sweep import (
    ALL_HOSTS,
    FEATURE_SETS,
    SYSREG,
    TIMERS,
    get,
    head,
    init,
    listed,
    name,
    vcpu,
)
from kvmemu import constants as c

# ---- capabilities ----


def extensions() -> list[str]:
    """KVM_CHECK_EXTENSION of numbers that nobody gave a meaning, and of all that one may enable."""
    lines = [
        *head(
            ALL_HOSTS,
            "KVM_CHECK_EXTENSION beyond the capabilities that there are, and KVM_ENABLE_CAP of "
            "every number, on every kind of descriptor.",
        ),
        "open kvm",
        "ioctl kvm KVM_CREATE_VM 0 -> vm",
        "ioctl vm KVM_CREATE_VCPU 0 -> vcpu",
    ]
    numbers = [*range(261, 301), 511, 512, 1000, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
    numbers += [1 << 32, 1 << 32 | c.KVM_CAP_ONE_REG, 1 << 63]
    for fd in ("kvm", "vm"):
        lines += [f"ioctl {fd} KVM_CHECK_EXTENSION {number:#x}" for number in numbers]
    for number in range(301):
        lines.append(f"ioctl vm KVM_ENABLE_CAP [ u32 {number} 0 u64 4*0 64*0 ]")
    for fd in ("kvm", "vcpu"):
        for number in (0, 128, 165, 168, 203, 205):
            lines.append(f"ioctl {fd} KVM_ENABLE_CAP [ u32 {number} 0 u64 4*0 64*0 ]")
    return lines


# ---- initialisation ----


def features() -> list[str]:
    """Every set of features, each in a VM of its own."""
    lines = [
        *head(
            ALL_HOSTS,
            "Every combination of the seven features, and what it leads to: power off (1), AArch32 "
            "EL1 (2), PSCI 0.2 (4), PMU (8), SVE (0x10), pointer authentication (0x20, 0x40).",
        ),
        "open kvm",
    ]
    for bits in range(1 << 7):
        vm, vcpu = f"vm{bits:x}", f"v{bits:x}"
        lines += [
            f"ioctl kvm KVM_CREATE_VM 0 -> {vm}",
            f"ioctl {vm} KVM_CREATE_VCPU 0 -> {vcpu}",
            f"ioctl {vcpu} KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 {bits:#x} 6*0 ]",
            f"ioctl {vcpu} KVM_GET_MP_STATE [ u32 9 ]",
            f"ioctl {vcpu} KVM_GET_REG_LIST [ 0 ]",
            f"get {vcpu} 0x6030000000100042",
            f"get {vcpu} KVM_REG_ARM_PSCI_VERSION",
            f"close {vcpu}",
            f"close {vm}",
        ]
    return lines


def many_vcpus() -> list[str]:
    """As many vCPUs as a VM can have."""
    lines = [
        *head(
            ALL_HOSTS,
            "A VM has as many vCPUs as its interrupt controller could serve: 8 with GICv2, else "
            "512.",
        ),
        "open kvm",
        "ioctl kvm KVM_CREATE_VM 0 -> vm",
        "ioctl vm KVM_CHECK_EXTENSION KVM_CAP_MAX_VCPUS",
        "ioctl vm KVM_CHECK_EXTENSION KVM_CAP_MAX_VCPU_ID",
        *(f"ioctl vm KVM_CREATE_VCPU {n} -> v{n}" for n in range(7)),
        "ioctl vm KVM_CREATE_VCPU 8 -> beyond8",
        "ioctl vm KVM_CREATE_VCPU 5 -> taken",
        *(f"ioctl vm KVM_CREATE_VCPU {n} -> v{n}" for n in range(7, 513)),
        "ioctl vm KVM_CREATE_VCPU 5 -> taken_of_all",
    ]
    for number in (0, 7, 8, 15, 16, 511):
        lines.append(f"ioctl v{number} KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 0 6*0 ]")
        lines.append(f"get v{number} 0x603000000013c005  # MPIDR_EL1")
    return lines


def ipa_sizes() -> list[str]:
    """All sizes of an IPA space, and its last page."""
    lines = [
        *head(
            ALL_HOSTS,
            "The type of a VM is the size of its IPA space: every number up to 64, other bits, and "
            "for each VM a slot at the end of its space and one behind.",
        ),
        "open kvm",
        "buffer mem 0x2000",
    ]
    for bits in range(65):
        lines.append(f"ioctl kvm KVM_CREATE_VM {bits} -> vm{bits}")
        if 32 <= bits <= 52 or not bits:
            end = 1 << (bits or 40)
            for slot, start in enumerate((end, end - 0x1000, end - 0x2000)):
                lines.append(
                    f"ioctl vm{bits} KVM_SET_USER_MEMORY_REGION "
                    f"[ u32 {slot} 0 u64 {start:#x} 0x1000 &mem ]"
                )
        lines.append(f"close vm{bits}")
    for bit in range(8, 64):
        lines.append(f"ioctl kvm KVM_CREATE_VM {1 << bit | 40:#x} -> bit{bit}")
    return lines


# ---- aborts ----

MODES = {"EL0t": 0x0, "EL1t": 0x4, "EL1h": 0x5, "AArch32 usr": 0x10}
MODES32 = {
    "usr": 0x10,
    "fiq": 0x11,
    "irq": 0x12,
    "svc": 0x13,
    "abt": 0x17,
    "und": 0x1B,
    "sys": 0x1F,
}
PC, PSTATE, SPSR_ABT, LR_ABT = (
    c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | c.KVM_REG_ARM_CORE | offset
    for offset in (0x40, 0x42, 0x4A, 0x28)
)
ELR, SPSR = (c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | c.KVM_REG_ARM_CORE | n for n in (0x46, 0x48))
SCTLR, TCR, ESR, FAR, VBAR = (SYSREG | n for n in (0xC080, 0xC102, 0xC290, 0xC300, 0xC600))


def _abort(pstate: int, written: dict[int, int], seen: Iterable[int]) -> Iterator[str]:
    """An abort asked for, and the registers before and after it is taken."""
    yield f"set vcpu {PSTATE:#x} {pstate:#x}"
    for register_id, value in written.items():
        yield f"set vcpu {register_id:#x} {value:#x}"
    yield "ioctl vcpu KVM_SET_VCPU_EVENTS [ u8 0 0 1 5*0 u64 7*0 ]"
    yield f"get vcpu {PC:#x}"
    yield f"get vcpu {ESR:#x}"
    yield "ioctl vcpu KVM_GET_VCPU_EVENTS [ u8 8*0x55 u64 7*0x55 ]"
    yield "ioctl vcpu KVM_RUN 0"
    for register_id in seen:
        yield f"get vcpu {register_id:#x}"


def aborts64() -> list[str]:
    """External aborts in every mode of an AArch64 guest."""
    lines = [
        *head(
            ALL_HOSTS,
            "KVM_SET_VCPU_EVENTS with ext_dabt_pending: ESR_EL1 and FAR_EL1 change at once, PC, "
            "PSTATE, ELR_EL1 and SPSR_EL1 at the next KVM_RUN, even if that returns at once. Each "
            "mode, the bits of SCTLR_EL1 that say what the handler's PSTATE is (SPAN 23, DSSBS "
            "44), all flags.",
        ),
        *vcpu(()),
        "mmap vcpu 0x1000 0 -> run",
        "poke run+1 [ u8 1 ]",
    ]
    seen = (PC, PSTATE, ELR, SPSR, ESR, FAR)
    for mode_name, mode in MODES.items():
        lines += ["", f"# {mode_name}"]
        for flags in (0, 0x3C0, 0xF0000000, 0xFFFFFFE0, 0xFFFFFFFFFFFFFFE0 | mode & 0x10):
            for sctlr in (0xC50078, 0x450078, 0x100000C50078):
                written = {VBAR: 0x80000, PC: 0x1234, FAR: 0x5555, SCTLR: sctlr}
                lines += _abort(flags & ~0x1F | mode, written, seen)
    lines += ["", "# twice before a run, and initialised in between"]
    lines += [f"set vcpu {PSTATE:#x} 0x0", f"set vcpu {PC:#x} 0x4000"]
    event = "ioctl vcpu KVM_SET_VCPU_EVENTS [ u8 0 0 1 5*0 u64 7*0 ]"
    lines += [event, event, "ioctl vcpu KVM_RUN 0", f"get vcpu {PC:#x}", f"get vcpu {ELR:#x}"]
    lines += ["ioctl vcpu KVM_RUN 0", f"get vcpu {PC:#x}", event, init(())]
    lines += [f"get vcpu {ESR:#x}", "ioctl vcpu KVM_RUN 0", f"get vcpu {PC:#x}"]
    return lines


def aborts32() -> list[str]:
    """External aborts in every mode of an AArch32 guest."""
    hosts, chosen = FEATURE_SETS["aarch32"]
    lines = [
        *head(
            hosts,
            "External aborts of an AArch32 guest: DFSR is in ESR_EL1, DFAR in FAR_EL1; LR_abt, "
            "SPSR_abt, PC and CPSR change at the next KVM_RUN. Bits of SCTLR: V 13, SPAN 23, EE "
            "25, TE 30, DSSBS 31; TTBCR.EAE (bit 31) chooses the format of DFSR.",
        ),
        *vcpu(chosen),
        "mmap vcpu 0x1000 0 -> run",
        "poke run+1 [ u8 1 ]",
    ]
    seen = (PC, PSTATE, LR_ABT, SPSR_ABT, ESR, FAR)
    for mode_name, mode in MODES32.items():
        lines += ["", f"# {mode_name}"]
        for flags in (0, 0x20, 0xFFFFFFE0, 0xF80F01C0):
            for sctlr in (0xC50078, 0x450078, 0xC52078, 0x2C50078, 0x40C50078, 0x80C50078):
                written = {VBAR: 0x80000, PC: 0x1234, FAR: 0x5555555577777777, SCTLR: sctlr}
                written[TCR] = 0x80000000 if sctlr & 1 << 13 else 0
                lines += _abort(flags & ~0x1F | mode, written, seen)
    return lines


def hardware(feature_set: str) -> list[str]:
    """Registers before and after a run that returns at once."""
    hosts, chosen = FEATURE_SETS[feature_set]
    ids = [i for i in listed(hosts, chosen) if i not in TIMERS]
    lines = [
        *head(
            hosts,
            "On hosts with VHE a KVM_RUN, even one that returns at once, takes the EL1 registers "
            f"through the hardware, which keeps fewer bits of some. Features of `{feature_set}`.",
        ),
        *vcpu(chosen),
        "mmap vcpu 0x1000 0 -> run",
        "poke run+1 [ u8 1 ]",
    ]
    if c.KVM_ARM_VCPU_PMU_V3 in chosen:
        lines.append("ioctl vcpu KVM_SET_DEVICE_ATTR [ u32 0 0 u64 1 0 ]")
    for value in (-1, 0x5555555555555555):
        for register_id in ids:
            width = (1 << 8 * kvmemu.registers.reg_bytes(register_id)) - 1
            lines.append(f"set vcpu {register_id:#018x} {value & width:#x}")
        lines.append("ioctl vcpu KVM_RUN 0")
        lines += [get(register_id, name(register_id)) for register_id in ids]
    return lines
