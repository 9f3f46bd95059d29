# SPDX-License-Identifier: MIT
"""Scripts that go through registers and ids: what they hold, what may be written, which there are.

Part of the tests; see make_scripts.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import kvmemu
from conformance.sweep import (
    ALL_HOSTS,
    FEATURE_SETS,
    SYSREG,
    TIMERS,
    VOLATILE,
    get,
    head,
    listed,
    name,
    vcpu,
)
from kvmemu import constants as c

PATTERN = 0x0123456789ABCDEF
DEMUX = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U32 | c.KVM_REG_ARM_DEMUX

# ---- every listed register ----


def reads(feature_set: str) -> list[str]:
    """The list of a vCPU's registers, and each of them after its initialisation."""
    hosts, features = FEATURE_SETS[feature_set]
    ids = listed(hosts, features)
    return [
        *head(
            hosts,
            f"What a new vCPU's registers hold, and which there are: features of `{feature_set}`.",
        ),
        *vcpu(features),
        "ioctl vcpu KVM_GET_REG_LIST [ 0 ]",
        f"ioctl vcpu KVM_GET_REG_LIST [ {len(ids) + 8} {len(ids) + 8}*0 ]",
        *(get(register_id, name(register_id)) for register_id in ids),
    ]


def _write_one(register_id: int) -> Iterator[str]:
    """A register's own value back, all ones, zero, and a pattern, each read again."""
    size = kvmemu.registers.reg_bytes(register_id)
    pattern = int.from_bytes((PATTERN.to_bytes(8, "little") * (size // 8 + 1))[:size], "little")
    yield get(register_id, name(register_id))
    yield f"ioctl vcpu KVM_GET_ONE_REG [ {register_id:#018x} &value ]"
    yield f"ioctl vcpu KVM_SET_ONE_REG [ {register_id:#018x} &value ]"
    for value in ((1 << 8 * size) - 1, 0, pattern):
        yield f"set vcpu {register_id:#018x} {value:#x}"
        yield get(register_id)


def writes(feature_set: str, what: str, choose: Callable[[int], bool]) -> list[str]:
    """Which values each register takes, and what it keeps of them."""
    hosts, features = FEATURE_SETS[feature_set]
    ids = [i for i in listed(hosts, features) if i not in TIMERS and choose(i)]
    return [
        *head(
            hosts,
            f"What may be written to {what}, and what is kept of it: its own value, all ones, "
            f"zero, and a pattern. Features of `{feature_set}`.",
        ),
        *vcpu(features),
        "buffer value 0x1000",
        *(line for register_id in ids for line in _write_one(register_id)),
    ]


def is_kind(*kinds: str) -> Callable[[int], bool]:
    def chosen(register_id: int) -> bool:
        register = kvmemu.describe(register_id)
        return register is not None and register.kind in kinds

    return chosen


def sysreg(chosen: Callable[[int, str], bool]) -> Callable[[int], bool]:
    """System registers by encoding and name."""

    def matches(register_id: int) -> bool:
        return is_kind("system")(register_id) and chosen(register_id & 0xFFFF, name(register_id))

    return matches


def is_pmu(_: int, name: str) -> bool:
    return name.startswith("PM")


def is_id(encoding: int, _: str) -> bool:
    """op0 3, CRn 0: identification, read-only to the guest."""
    return encoding >> 14 == 3 and encoding >> 7 & 15 == 0


def is_debug(encoding: int, _: str) -> bool:
    return encoding >> 14 == 2


def is_other(encoding: int, name: str) -> bool:
    return not (is_pmu(encoding, name) or is_id(encoding, name) or is_debug(encoding, name))


# ---- ids that are not listed ----


def core_offsets() -> list[str]:
    """Every offset into struct kvm_regs and a bit beyond, in three sizes; some in every size."""
    base = c.KVM_REG_ARM64 | c.KVM_REG_ARM_CORE
    lines = [
        *head(
            ALL_HOSTS,
            "Core registers are offsets into struct kvm_regs, in units of 32 bits: which of them, "
            "with which size, name a register, and which error the others give.",
        ),
        *vcpu(()),
    ]
    for offset in range(220):
        for size in (c.KVM_REG_SIZE_U32, c.KVM_REG_SIZE_U64, c.KVM_REG_SIZE_U128):
            lines.append(get(base | size | offset))
    lines += ["", "# all sizes there are codes for"]
    for offset in (0, 0x40, 0x54, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0x100, 0x800):
        for size in range(16):
            register_id = base | size << 52 | offset
            lines.append(get(register_id))
            if size < 13:
                lines.append(f"set vcpu {register_id:#018x} 0x10")
    return lines


def encodings() -> list[str]:
    """System register ids: fields of which not all combinations are registers."""
    lines = [
        *head(
            ALL_HOSTS,
            "System register ids that may or may not be registers: op0, op1, CRn, CRm, op2 "
            "swept one field at a time from registers that are there.",
        ),
        *vcpu((c.KVM_ARM_VCPU_PSCI_0_2, c.KVM_ARM_VCPU_PMU_V3)),
    ]
    starts = [(3, 0, 1, 0, 0), (3, 0, 0, 0, 0), (2, 0, 0, 4, 5), (3, 3, 14, 8, 0), (3, 4, 5, 0, 1)]
    limits = (4, 8, 16, 16, 8)
    ids: dict[int, None] = {}
    for start in starts:
        for field, limit in enumerate(limits):
            for value in range(limit):
                op0, op1, crn, crm, op2 = (
                    value if at == field else part for at, part in enumerate(start)
                )
                ids[SYSREG | op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2] = None
    # the space of ID registers, all of it, and a coarse grid over the rest
    for crm in range(16):
        for op2 in range(8):
            ids[SYSREG | 3 << 14 | crm << 3 | op2] = None
    for encoding in range(0, 1 << 16, 97):
        ids[SYSREG | encoding] = None
    lines += [get(register_id) for register_id in sorted(ids)]
    return lines


def id_bits() -> list[str]:
    """Bits of an id that say what it is: architecture, size, coprocessor, reserved ones."""
    hosts, features = FEATURE_SETS["pmu"]
    examples = {
        "PC": c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | c.KVM_REG_ARM_CORE | 0x40,
        "TPIDR_EL1": SYSREG | 0xC684,
        "MIDR_EL1, the same on all vCPUs": SYSREG | 0xC000,
        "CNTV_CTL_EL0": c.KVM_REG_ARM_TIMER_CTL,
        "a cache's CCSIDR_EL1": DEMUX,
        "PSCI version": c.KVM_REG_ARM_PSCI_VERSION,
        "hypercalls": c.KVM_REG_ARM_STD_BMAP,
        "Z0": c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U2048 | c.KVM_REG_ARM64_SVE,
    }
    lines = [
        *head(
            hosts,
            "One bit of a register's id changed: which of the checks finds it first. "
            "And a write of zero with each coprocessor number.",
        ),
        *vcpu(features),
    ]
    for what, register_id in examples.items():
        lines += ["", f"# {what}", get(register_id)]
        for bit in range(64):
            other = register_id ^ 1 << bit
            if other in VOLATILE or register_id ^ other == 0:
                continue
            lines.append(get(other))
            if bit >= 16 and bit not in (54, 55):
                lines.append(f"set vcpu {other:#018x} 0x0")
    lines += ["", "# coprocessor numbers"]
    for coprocessor in range(0x20):
        register_id = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | coprocessor << 16
        lines.append(get(register_id))
        lines.append(f"set vcpu {register_id:#018x} 0x0")
    return lines


def demux() -> list[str]:
    """Demultiplexed registers: all selectors, some in the wrong size or with other bits."""
    lines = [
        *head(
            ALL_HOSTS,
            "CCSIDR_EL1 by cache selector: every one of the 256, other sizes, other demux ids, "
            "and what may be written.",
        ),
        *vcpu(()),
        "buffer value 0x1000",
    ]
    lines += [get(DEMUX | selector) for selector in range(256)]
    for selector in (0, 1, 2, 14, 255):
        register_id = DEMUX | selector
        for size in (c.KVM_REG_SIZE_U8, c.KVM_REG_SIZE_U64, c.KVM_REG_SIZE_U128):
            lines.append(get(register_id & ~c.KVM_REG_SIZE_MASK | size))
            lines.append(f"set vcpu {register_id & ~c.KVM_REG_SIZE_MASK | size:#018x} 0x0")
        for demux_id in (0x100, 0x200, 0x8000, 0xFF00):
            lines.append(get(register_id | demux_id))
            lines.append(f"set vcpu {register_id | demux_id:#018x} 0x0")
        lines += [f"set vcpu {register_id:#018x} {value:#x}" for value in (0, 1, 0xFFFFFFFF)]
        lines.append(f"ioctl vcpu KVM_GET_ONE_REG [ {register_id:#018x} &value ]")
        lines.append(f"ioctl vcpu KVM_SET_ONE_REG [ {register_id:#018x} &value ]")
        for request in ("KVM_GET_ONE_REG", "KVM_SET_ONE_REG"):
            lines.append(f"ioctl vcpu {request} [ {register_id:#018x} bad ]")
    return lines


# ---- firmware ----


def firmware() -> list[str]:
    """All small values of the firmware registers, and single bits above."""
    registers = {
        "workaround 1": c.KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1,
        "workaround 2": c.KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2,
        "workaround 3": c.KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3,
        "standard hypercalls": c.KVM_REG_ARM_STD_BMAP,
        "standard hypervisor hypercalls": c.KVM_REG_ARM_STD_HYP_BMAP,
        "KVM's own hypercalls": c.KVM_REG_ARM_VENDOR_HYP_BMAP,
    }
    lines = [
        *head(
            ALL_HOSTS,
            "Firmware registers: workarounds take any level that the host's covers and keep none; "
            "bitmaps take any subset of their bits. Every value up to 255, and each higher bit.",
        ),
        *vcpu((c.KVM_ARM_VCPU_PSCI_0_2,)),
    ]
    for what, register_id in registers.items():
        lines += ["", f"# {what}", get(register_id)]
        values = [*range(256 if "workaround" in what else 16), *(1 << bit for bit in range(8, 64))]
        lines += [f"set vcpu {register_id:#018x} {value:#x}" for value in values]
        lines.append(get(register_id))
    lines += ["", "# registers with these numbers, and those that are not"]
    for number in range(0x20):
        for base in (c.KVM_REG_ARM_FW, c.KVM_REG_ARM_FW_FEAT_BMAP):
            register_id = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | base | number
            lines.append(get(register_id))
            lines.append(f"set vcpu {register_id:#018x} 0xffffffffffffffff")
    return lines
