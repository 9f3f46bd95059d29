# SPDX-License-Identifier: MIT
"""Registers by what people call them, and what they may have meant. Layer: cli; prints nothing."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable, Iterator

from kvmemu import constants as c
from kvmemu.cli.ids import arch_of, core_members
from kvmemu.registers import Register, describe, find
from kvmemu.suggest import did_you_mean

ARCHES = ("arm64", "arm")

_ENCODING = re.compile(r"S([0-3])_([0-7])_C(\d+)_C(\d+)_([0-7])", re.IGNORECASE)
_SIZES = {4: c.KVM_REG_SIZE_U32, 8: c.KVM_REG_SIZE_U64, 16: c.KVM_REG_SIZE_U128}


def _ids(arch: str) -> Iterator[int]:
    """Every id that could be a register's."""
    base = c.KVM_REG_ARM64 if arch == "arm64" else c.KVM_REG_ARM
    u32, u64 = base | c.KVM_REG_SIZE_U32, base | c.KVM_REG_SIZE_U64
    for member in core_members(arch):
        yield base | _SIZES[member.bytes] | c.KVM_REG_ARM_CORE | member.word
    for n in range(16):
        yield u32 | c.KVM_REG_ARM_DEMUX | n
        yield u64 | c.KVM_REG_ARM_FW | n
        yield u64 | c.KVM_REG_ARM_FW_FEAT_BMAP | n
    if arch == "arm64":
        sve = c.KVM_REG_ARM64 | c.KVM_REG_ARM64_SVE
        for n in range(0, 0x400, 0x20):
            yield sve | c.KVM_REG_SIZE_U2048 | c.KVM_REG_ARM64_SVE_ZREG_BASE | n
            yield sve | c.KVM_REG_SIZE_U256 | c.KVM_REG_ARM64_SVE_PREG_BASE | n
        yield sve | c.KVM_REG_SIZE_U256 | c.KVM_REG_ARM64_SVE_FFR_BASE
        yield c.KVM_REG_ARM64_SVE_VLS
        for encoding in range(0x8000, 0x10000):
            yield u64 | c.KVM_REG_ARM64_SYSREG | encoding
        return
    for n in range(16):
        yield u64 | c.KVM_REG_ARM_VFP | n
        yield u64 | c.KVM_REG_ARM_VFP | n + 16
        yield u32 | c.KVM_REG_ARM_VFP | c.KVM_REG_ARM_VFP_FPSID + n
    for encoding in range(0x8000):
        yield u32 | 15 << c.KVM_REG_ARM_COPROC_SHIFT | encoding
        yield u64 | 15 << c.KVM_REG_ARM_COPROC_SHIFT | encoding


@functools.cache
def all_names(arch: str) -> dict[str, str]:
    """Every register's name by its upper case. It takes a moment: for names that are not found."""
    look_up = describe.__wrapped__  # past the cache, which has better things to keep
    registers = (look_up(register_id) for register_id in _ids(arch))
    return {register.name.upper(): register.name for register in registers if register is not None}


def find_register(name: str, arch: str = "arm64") -> Register | None:
    """The register of this name.

    Args:
        name: as the Arm manual has it, upper or lower case; the assembler's S3_3_C14_C3_1; or
            the name of a constant of Linux's, KVM_REG_ARM_TIMER_CNT.
        arch: "arm64" or "arm".
    """
    if name in c.ALL:
        register = describe(c.ALL[name])
        return register if register and arch_of(register.id) == arch else None
    encoding = _ENCODING.fullmatch(name)
    if encoding and arch == "arm64":
        op0, op1, crn, crm, op2 = map(int, encoding.groups())
        if crn < 16 and crm < 16:
            low = op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
            return describe(c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | c.KVM_REG_ARM64_SYSREG | low)
    register = find(name, arch)
    if register is None and (spelling := all_names(arch).get(name.upper())):
        register = find(spelling, arch)
    return register


def unknown_name(name: str, arch: str = "arm64") -> str:
    """A sentence for a name that no register has, with what may have been meant."""
    plain, has_value, _ = name.partition("=")
    if not plain:
        return "a name is missing"
    if has_value and find_register(plain, arch):
        return f"{name}: a name without a value expected: {plain}"
    names = all_names(arch)
    hint = did_you_mean(name, names.values())
    others = [other for other in ARCHES if other != arch and find(name, other)]
    if others:
        return f"no register of {arch} is called {name!r} ({others[0]} has one){hint}"
    return f"no register is called {name!r}{hint}"


def matches(names: Iterable[str], patterns: Iterable[str]) -> bool:
    """Whether one of the names has one of the texts in it, or matches it if it has *, ? or [] as in
    a shell. Without patterns everything matches; case does not matter.
    """
    globs = [p if any(ch in p for ch in "*?[") else f"*{p}*" for p in map(str.lower, patterns)]
    lowered = [name.lower() for name in names]
    return not globs or any(fnmatch.fnmatchcase(name, glob) for name in lowered for glob in globs)
