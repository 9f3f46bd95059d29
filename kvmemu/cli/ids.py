# SPDX-License-Identifier: MIT
"""What the bits of a register id say, and what is wrong with an id that no register has.

Layer: cli; prints nothing. The names come from the core; this file spells out the rest: Linux's
Documentation/virt/kvm/api.rst 4.68 has the patterns.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from kvmemu import constants as c
from kvmemu.registers import Register, describe, find, reg_bytes

_SIZE_CODE_MAX = 8
_RESERVED = 0x000F_FFFF_F000_0000  # bits 51:28
_LOW = 0xFFFF

_ARCHITECTURES = {
    c.KVM_REG_GENERIC: "no architecture",
    c.KVM_REG_PPC: "PowerPC",
    c.KVM_REG_X86: "x86",
    c.KVM_REG_IA64: "Itanium",
    c.KVM_REG_ARM: "arm",
    c.KVM_REG_S390: "s390",
    c.KVM_REG_ARM64: "arm64",
    c.KVM_REG_MIPS: "MIPS",
    c.KVM_REG_RISCV: "RISC-V",
}
_MODELLED = {c.KVM_REG_ARM64: "arm64", c.KVM_REG_ARM: "arm"}

# struct kvm_regs, in order: member, how many, bytes of each. Members are aligned to their size.
_CORE = {
    "arm64": (
        ("regs.regs", 31, 8), ("regs.sp", 1, 8), ("regs.pc", 1, 8), ("regs.pstate", 1, 8),
        ("sp_el1", 1, 8), ("elr_el1", 1, 8), ("spsr", 5, 8), ("fp_regs.vregs", 32, 16),
        ("fp_regs.fpsr", 1, 4), ("fp_regs.fpcr", 1, 4), ("fp_regs.__reserved", 2, 4),
    ),
    "arm": (
        ("usr_regs.uregs", 18, 4), ("svc_regs", 3, 4), ("abt_regs", 3, 4), ("und_regs", 3, 4),
        ("irq_regs", 3, 4), ("fiq_regs", 8, 4),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A register's place in struct kvm_regs; word counts in 32-bit units, as ids do."""

    path: str
    word: int
    bytes: int


@dataclass
class Dissection:
    """An id, taken apart.

    Attributes:
        register: None if no register has this id; then problem says why not.
        size_code: bits 55:52.
        parts: what the fields of the id are, in order: name and words.
        details: the same for programs.
        notes: what to know about this register.
    """

    id: int
    register: Register | None
    size_code: int
    parts: list[tuple[str, str]] = field(default_factory=list)
    details: dict[str, int | str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problem: str = ""


@functools.cache
def core_members(arch: str) -> tuple[Member, ...]:
    """Every member of struct kvm_regs that has an id of its own, in order."""
    members = []
    offset = 0
    for path, count, size in _CORE[arch]:
        offset = -(-offset // size) * size
        for n in range(count):
            name = path if count == 1 else f"{path}[{n}]"
            members.append(Member(name, offset // 4, size))
            offset += size
    return tuple(members)


@functools.cache
def _constants() -> dict[int, str]:
    """Linux's names of whole ids."""
    names = ((value, name) for name, value in c.ALL.items() if name.startswith("KVM_REG_ARM"))
    return {value: name for value, name in names if value & c.KVM_REG_SIZE_MASK and arch_of(value)}


def arch_of(register_id: int) -> str | None:
    """ "arm64", "arm", or None for the ids of others."""
    return _MODELLED.get(register_id & c.KVM_REG_ARCH_MASK)


def _with_size(register_id: int, code: int) -> Register | None:
    return describe(register_id & ~c.KVM_REG_SIZE_MASK | code << c.KVM_REG_SIZE_SHIFT)


def _other_size(register_id: int) -> str:
    """Which register this would be if it had another size; empty if none."""
    for code in range(_SIZE_CODE_MAX + 1):
        register = _with_size(register_id, code)
        if register is not None:
            return (
                f"{register.name} has {register.bytes} bytes, and so the id {register.id:#018x}; "
                f"this one says {reg_bytes(register_id)}"
            )
    return ""


# ---- one function a coprocessor number: adds parts and details, and finds what is wrong ----


def _core(d: Dissection, arch: str) -> str:
    word = d.id & _LOW
    members = core_members(arch)
    member = next((m for m in members if m.word <= word < m.word + m.bytes // 4), None)
    d.parts.append(("offset", f"word {word} of struct kvm_regs, byte {4 * word}"))
    d.details |= {"word": word, "offset": 4 * word}
    if member is None:
        end = members[-1].word + members[-1].bytes // 4
        if word >= end:
            return f"struct kvm_regs has {end} words, so there is none at {word}"
        return f"word {word} of struct kvm_regs is padding"
    inside = "" if word == member.word else f", {4 * (word - member.word)} bytes in"
    d.parts.append(("member", member.path + inside))
    d.details["member"] = member.path
    if inside:
        return f"{member.path} begins at word {member.word}, and is read as a whole"
    return _other_size(d.id) or f"{member.path} is no register of KVM's"


def _system(d: Dissection, _arch: str) -> str:
    low = d.id & _LOW
    names = ("op0", "op1", "CRn", "CRm", "op2")
    op0, op1, crn, crm, op2 = low >> 14, low >> 11 & 7, low >> 7 & 15, low >> 3 & 15, low & 7
    form = f"S{op0}_{op1}_C{crn}_C{crm}_{op2}"
    numbers = dict(zip(names, (op0, op1, crn, crm, op2), strict=True))
    d.parts.append(("encoding", ", ".join(f"{name} {n}" for name, n in numbers.items())))
    d.parts.append(("MRS, MSR", form))
    d.details |= numbers | {"encoding": form}
    if op0 < 2:
        return f"op0 {op0} is an instruction's, not a register's (2 and 3 are)"
    return _other_size(d.id) or f"the architecture has no register {form}"


def _sve(d: Dissection, _arch: str) -> str:
    low = d.id & _LOW
    number, piece = low >> 5 & 0x1F, low & 0x1F
    if low == c.KVM_REG_ARM64_SVE_VLS & _LOW:
        d.parts.append(("SVE", "the set of vector lengths, a bit for each multiple of 128 bits"))
    elif low < c.KVM_REG_ARM64_SVE_FFR_BASE + 0x20:
        base = max(b for b in (
            c.KVM_REG_ARM64_SVE_ZREG_BASE, c.KVM_REG_ARM64_SVE_PREG_BASE,
            c.KVM_REG_ARM64_SVE_FFR_BASE) if b <= low)  # fmt: skip
        width = 2048 if base == c.KVM_REG_ARM64_SVE_ZREG_BASE else 256
        letter = {c.KVM_REG_ARM64_SVE_ZREG_BASE: "Z", c.KVM_REG_ARM64_SVE_PREG_BASE: "P"}.get(base)
        name = f"{letter}{number}" if letter else "FFR"
        bits = f"{width * piece + width - 1}:{width * piece}"
        d.parts.append(("SVE", f"{name}, slice {piece}, which is its bits {bits}"))
        d.details |= {"number": number if letter else 0, "slice": piece}
        if piece:
            return f"slice {piece}: vectors end at 2048 bits, so slice 0 is the only one"
    return _other_size(d.id) or f"SVE has no register {low:#x}"


def _demux(d: Dissection, arch: str) -> str:
    what = (d.id & c.KVM_REG_ARM_DEMUX_ID_MASK) >> c.KVM_REG_ARM_DEMUX_ID_SHIFT
    csselr = (d.id & c.KVM_REG_ARM_DEMUX_VAL_MASK) >> c.KVM_REG_ARM_DEMUX_VAL_SHIFT
    if what:
        return f"CCSIDR (0) is the only register that is demultiplexed, and bits 15:8 are {what}"
    suffix = "_EL1" if arch == "arm64" else ""
    level, kind = csselr // 2 + 1, "instruction" if csselr & 1 else "data or unified"
    where = f"CCSIDR{suffix} where CSSELR{suffix} is {csselr}"
    d.parts.append(("cache", f"level {level}, {kind}: {where}"))
    d.details |= {"csselr": csselr, "level": level, "cache": kind}
    return _other_size(d.id) or f"no CSSELR{suffix} of {csselr}: there are 7 levels, 0 to 13"


def _indexed(d: Dissection, _arch: str) -> str:
    index = d.id & _LOW
    d.parts.append(("index", str(index)))
    d.details["index"] = index
    return _other_size(d.id) or f"KVM has no such register {index}"


def _vfp(d: Dissection, _arch: str) -> str:
    number = d.id & _LOW
    kind = "control register" if number & c.KVM_REG_ARM_VFP_FPSID else "D register"
    d.parts.append(("VFP", f"{kind} {number & 0xFFF}"))
    d.details["number"] = number
    return _other_size(d.id) or f"VFP has no {kind} {number & 0xFFF}"


def _cp15(d: Dissection, _arch: str) -> str:
    low = d.id & _LOW
    opc1, opc2, crm, crn = low >> 3 & 15, low & 7, low >> 7 & 15, low >> 11 & 15
    if reg_bytes(d.id) == 8:
        d.parts.append(("encoding", f"opc1 {opc1}, CRm {crm}"))
        d.parts.append(("MRRC", f"p15, {opc1}, Rt, Rt2, c{crm}"))
        d.details |= {"opc1": opc1, "CRm": crm}
        if crn or opc2:
            return "the ids of 64-bit CP15 registers have no CRn and opc2 (bits 14:11 and 2:0)"
    else:
        d.parts.append(("encoding", f"CRn {crn}, opc1 {opc1}, CRm {crm}, opc2 {opc2}"))
        d.parts.append(("MRC", f"p15, {opc1}, Rt, c{crn}, c{crm}, {opc2}"))
        d.details |= {"CRn": crn, "opc1": opc1, "CRm": crm, "opc2": opc2}
    return _other_size(d.id) or "KVM has no CP15 register of this encoding"


_COPROCESSORS = {
    "arm64": {
        0x10: ("core register", _core),
        0x11: ("demultiplexed register", _demux),
        0x13: ("system register", _system),
        0x14: ("firmware register", _indexed),
        0x15: ("SVE register", _sve),
        0x16: ("bitmap of firmware services", _indexed),
    },
    "arm": {
        0x0F: ("CP15", _cp15),
        0x10: ("core register", _core),
        0x11: ("demultiplexed register", _demux),
        0x12: ("VFP", _vfp),
        0x14: ("firmware register", _indexed),
    },
}


def _notes(register: Register, kind: str) -> list[str]:
    notes = []
    if register.id in (c.KVM_REG_ARM_TIMER_CNT, c.KVM_REG_ARM_TIMER_CVAL):
        other = "CNTV_CVAL_EL0" if register.id == c.KVM_REG_ARM_TIMER_CNT else "CNTVCT_EL0"
        notes.append(
            f"The encoding is {other}'s, the value is {register.name}'s: when Linux numbered the "
            "two, they were swapped, and as this is ABI they stay so "
            "(Documentation/virt/kvm/api.rst 4.68)."
        )
    named = find(register.name, register.arch)
    if named is not None and named.id != register.id:
        notes.append(f"KVM keeps {register.name} in the {named.kind} register {named.id:#018x}.")
    if kind == "core register" and register.bytes == 16:
        notes.append(f"A vCPU with SVE has Z{register.name[1:]} instead.")
    if kind == "SVE register" and register.id != c.KVM_REG_ARM64_SVE_VLS:
        notes.append("Reading and writing it needs KVM_ARM_VCPU_FINALIZE before.")
    return notes


def _find_problem(d: Dissection) -> tuple[str, str]:
    """(what kind of register the id names, why no register has it): empty where unknown."""
    id_arch = d.id & c.KVM_REG_ARCH_MASK
    name = _ARCHITECTURES.get(id_arch, "unknown")
    d.parts.append(("architecture", f"{name} ({id_arch >> 56:#x} in bits 63:56)"))
    if id_arch not in _MODELLED:
        who = f"is {name}'s" if id_arch in _ARCHITECTURES else "no architecture has"
        return "", f"{id_arch >> 56:#x} in bits 63:56 {who}; arm64's is 0x60, arm's 0x40"
    if d.size_code > _SIZE_CODE_MAX:
        return "", f"bits 55:52, the size code, are {d.size_code}; the last is 8 (256 bytes)"
    arch = _MODELLED[id_arch]
    number = (d.id & c.KVM_REG_ARM_COPROC_MASK) >> c.KVM_REG_ARM_COPROC_SHIFT
    kind, explain = _COPROCESSORS[arch].get(number, ("unknown", None))
    d.parts.append(("coprocessor", f"{number:#x}, {kind}"))
    d.details["coprocessor"] = number
    if d.id & _RESERVED:
        right = describe(d.id & ~_RESERVED)
        then = f"; without them it is {right.name}" if right else ""
        return kind, f"bits 51:28 must be zero, and are {(d.id & _RESERVED) >> 28:#x}{then}"
    if explain is None:
        known = ", ".join(f"{n:#x}" for n in _COPROCESSORS[arch])
        return kind, f"there is no coprocessor {number:#x} in bits 27:16; {arch} has {known}"
    return kind, explain(d, arch)


def dissect(register_id: int) -> Dissection:
    """Take an id apart.

    Args:
        register_id: any number of 64 bits.
    """
    code = (register_id & c.KVM_REG_SIZE_MASK) >> c.KVM_REG_SIZE_SHIFT
    d = Dissection(register_id, describe(register_id), code)
    kind, problem = _find_problem(d)
    if d.register is None:
        d.problem = problem
    else:
        d.notes = _notes(d.register, kind)
        if register_id in _constants():
            d.parts.append(("constant", _constants()[register_id]))
            d.details["constant"] = _constants()[register_id]
    return d
