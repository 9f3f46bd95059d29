# SPDX-License-Identifier: MIT
"""Makes the conformance scripts that go through many registers or ids in the same way.

    make_scripts.py            writes them to tests/conformance/scripts
    make_scripts.py --check    writes nothing; exit 1 if a script is not as this would write it

Part of the tests. The scripts that ask about order and state are written by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import kvmemu
from kvmemu import constants as c

SCRIPTS = Path(__file__).parent / "scripts"

SVE_HOSTS = ("gicv3-max-sve",)
PTRAUTH_HOSTS = ("gicv3-max", "gicv3-max-sve")
ALL_HOSTS = (*PTRAUTH_HOSTS, "gicv3-neoverse-n1", "gicv2-cortex-a72")
AARCH32_HOSTS = tuple(host for host in ALL_HOSTS if host != "gicv3-neoverse-n1")

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
PATTERN = 0x0123456789ABCDEF
SYSREG = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | c.KVM_REG_ARM64_SYSREG
DEMUX = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U32 | c.KVM_REG_ARM_DEMUX


def _names(hosts: Iterable[str]) -> str:
    return "any" if set(hosts) == set(ALL_HOSTS) else " ".join(hosts)


def _head(hosts: Iterable[str], *comment: str) -> list[str]:
    return [
        "kvmemu-trace 1",
        f"host {_names(hosts)}",
        *(f"# {line}" for line in comment),
        "# Made by make_scripts.py.",
        "",
    ]


def _init(features: Iterable[int]) -> str:
    bits = sum(1 << feature for feature in features)
    return f"ioctl vcpu KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 {bits:#x} 6*0 ]"


def _vcpu(features: tuple[int, ...]) -> list[str]:
    lines = ["open kvm", "ioctl kvm KVM_CREATE_VM 0 -> vm", "ioctl vm KVM_CREATE_VCPU 0 -> vcpu"]
    lines.append(_init(features))
    if c.KVM_ARM_VCPU_SVE in features:
        lines.append("ioctl vcpu KVM_ARM_VCPU_FINALIZE [ u32 KVM_ARM_VCPU_SVE ]")
    return lines


def _listed(hosts: Iterable[str], features: tuple[int, ...]) -> list[int]:
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


def _name(register_id: int) -> str:
    register = kvmemu.describe(register_id)
    if register is None:
        return "?"
    return register.name


def _get(register_id: int, comment: str = "") -> str:
    mark = " ?" if register_id in VOLATILE else ""
    return f"get vcpu {register_id:#018x}{mark}" + (f"  # {comment}" if comment else "")


# ---- every listed register ----


def reads(feature_set: str) -> list[str]:
    """The list of a vCPU's registers, and each of them after its initialisation."""
    hosts, features = FEATURE_SETS[feature_set]
    ids = _listed(hosts, features)
    return [
        *_head(
            hosts,
            f"What a new vCPU's registers hold, and which there are: features of `{feature_set}`.",
        ),
        *_vcpu(features),
        "ioctl vcpu KVM_GET_REG_LIST [ 0 ]",
        f"ioctl vcpu KVM_GET_REG_LIST [ {len(ids) + 8} {len(ids) + 8}*0 ]",
        *(_get(register_id, _name(register_id)) for register_id in ids),
    ]


def _write_one(register_id: int) -> Iterator[str]:
    """A register's own value back, all ones, zero, and a pattern, each read again."""
    size = kvmemu.registers.reg_bytes(register_id)
    pattern = int.from_bytes((PATTERN.to_bytes(8, "little") * (size // 8 + 1))[:size], "little")
    yield _get(register_id, _name(register_id))
    yield f"ioctl vcpu KVM_GET_ONE_REG [ {register_id:#018x} &value ]"
    yield f"ioctl vcpu KVM_SET_ONE_REG [ {register_id:#018x} &value ]"
    for value in ((1 << 8 * size) - 1, 0, pattern):
        yield f"set vcpu {register_id:#018x} {value:#x}"
        yield _get(register_id)


def writes(feature_set: str, what: str, choose: Callable[[int], bool]) -> list[str]:
    """Which values each register takes, and what it keeps of them."""
    hosts, features = FEATURE_SETS[feature_set]
    ids = [i for i in _listed(hosts, features) if i not in TIMERS and choose(i)]
    return [
        *_head(
            hosts,
            f"What may be written to {what}, and what is kept of it: its own value, all ones,",
            f"zero, and a pattern. Features of `{feature_set}`.",
        ),
        *_vcpu(features),
        "buffer value 0x1000",
        *(line for register_id in ids for line in _write_one(register_id)),
    ]


def _is_kind(*kinds: str) -> Callable[[int], bool]:
    def chosen(register_id: int) -> bool:
        register = kvmemu.describe(register_id)
        return register is not None and register.kind in kinds

    return chosen


def _sysreg(chosen: Callable[[int, str], bool]) -> Callable[[int], bool]:
    """System registers by encoding and name."""

    def matches(register_id: int) -> bool:
        return _is_kind("system")(register_id) and chosen(register_id & 0xFFFF, _name(register_id))

    return matches


def _is_pmu(_: int, name: str) -> bool:
    return name.startswith("PM")


def _is_id(encoding: int, _: str) -> bool:
    """op0 3, CRn 0: identification, read-only to the guest."""
    return encoding >> 14 == 3 and encoding >> 7 & 15 == 0


def _is_debug(encoding: int, _: str) -> bool:
    return encoding >> 14 == 2


def _is_other(encoding: int, name: str) -> bool:
    return not (_is_pmu(encoding, name) or _is_id(encoding, name) or _is_debug(encoding, name))


# ---- ids that are not listed ----


def core_offsets() -> list[str]:
    """Every offset into struct kvm_regs and a bit beyond, in three sizes; some in every size."""
    base = c.KVM_REG_ARM64 | c.KVM_REG_ARM_CORE
    lines = [
        *_head(
            ALL_HOSTS,
            "Core registers are offsets into struct kvm_regs, in units of 32 bits: which of them,",
            "with which size, name a register, and which error the others give.",
        ),
        *_vcpu(()),
    ]
    for offset in range(220):
        for size in (c.KVM_REG_SIZE_U32, c.KVM_REG_SIZE_U64, c.KVM_REG_SIZE_U128):
            lines.append(_get(base | size | offset))
    lines += ["", "# all sizes there are codes for"]
    for offset in (0, 0x40, 0x54, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0x100, 0x800):
        for size in range(16):
            register_id = base | size << 52 | offset
            lines.append(_get(register_id))
            if size < 13:
                lines.append(f"set vcpu {register_id:#018x} 0x10")
    return lines


def encodings() -> list[str]:
    """System register ids: fields of which not all combinations are registers."""
    lines = [
        *_head(
            ALL_HOSTS,
            "System register ids that may or may not be registers: op0, op1, CRn, CRm, op2",
            "swept one field at a time from registers that are there.",
        ),
        *_vcpu((c.KVM_ARM_VCPU_PSCI_0_2, c.KVM_ARM_VCPU_PMU_V3)),
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
    lines += [_get(register_id) for register_id in sorted(ids)]
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
        *_head(
            hosts,
            "One bit of a register's id changed: which of the checks finds it first.",
            "And a write of zero with each coprocessor number.",
        ),
        *_vcpu(features),
    ]
    for name, register_id in examples.items():
        lines += ["", f"# {name}", _get(register_id)]
        for bit in range(64):
            other = register_id ^ 1 << bit
            if other in VOLATILE or register_id ^ other == 0:
                continue
            lines.append(_get(other))
            if bit >= 16 and bit not in (54, 55):
                lines.append(f"set vcpu {other:#018x} 0x0")
    lines += ["", "# coprocessor numbers"]
    for coprocessor in range(0x20):
        register_id = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | coprocessor << 16
        lines.append(_get(register_id))
        lines.append(f"set vcpu {register_id:#018x} 0x0")
    return lines


def demux() -> list[str]:
    """Demultiplexed registers: all selectors, some in the wrong size or with other bits."""
    lines = [
        *_head(
            ALL_HOSTS,
            "CCSIDR_EL1 by cache selector: every one of the 256, other sizes, other demux ids,",
            "and what may be written.",
        ),
        *_vcpu(()),
        "buffer value 0x1000",
    ]
    lines += [_get(DEMUX | selector) for selector in range(256)]
    for selector in (0, 1, 2, 14, 255):
        register_id = DEMUX | selector
        for size in (c.KVM_REG_SIZE_U8, c.KVM_REG_SIZE_U64, c.KVM_REG_SIZE_U128):
            lines.append(_get(register_id & ~c.KVM_REG_SIZE_MASK | size))
            lines.append(f"set vcpu {register_id & ~c.KVM_REG_SIZE_MASK | size:#018x} 0x0")
        for demux_id in (0x100, 0x200, 0x8000, 0xFF00):
            lines.append(_get(register_id | demux_id))
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
        *_head(
            ALL_HOSTS,
            "Firmware registers: workarounds take any level that the host's covers and keep none;",
            "bitmaps take any subset of their bits. Every value up to 255, and each higher bit.",
        ),
        *_vcpu((c.KVM_ARM_VCPU_PSCI_0_2,)),
    ]
    for name, register_id in registers.items():
        lines += ["", f"# {name}", _get(register_id)]
        values = [*range(256 if "workaround" in name else 16), *(1 << bit for bit in range(8, 64))]
        lines += [f"set vcpu {register_id:#018x} {value:#x}" for value in values]
        lines.append(_get(register_id))
    lines += ["", "# registers with these numbers, and those that are not"]
    for number in range(0x20):
        for base in (c.KVM_REG_ARM_FW, c.KVM_REG_ARM_FW_FEAT_BMAP):
            register_id = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | base | number
            lines.append(_get(register_id))
            lines.append(f"set vcpu {register_id:#018x} 0xffffffffffffffff")
    return lines


# ---- capabilities ----


def extensions() -> list[str]:
    """KVM_CHECK_EXTENSION of numbers that nobody gave a meaning, and of all that one may enable."""
    lines = [
        *_head(
            ALL_HOSTS,
            "KVM_CHECK_EXTENSION beyond the capabilities that there are, and KVM_ENABLE_CAP of",
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
        *_head(
            ALL_HOSTS,
            "Every combination of the seven features, and what it leads to: power off (1), AArch32",
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
        *_head(
            ALL_HOSTS,
            "A VM has as many vCPUs as its interrupt controller could serve: 8 with GICv2, else 512.",
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
        lines.append(
            f"ioctl v{number} KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 0 6*0 ]"
        )
        lines.append(f"get v{number} 0x603000000013c005  # MPIDR_EL1")
    return lines


def ipa_sizes() -> list[str]:
    """All sizes of an IPA space, and its last page."""
    lines = [
        *_head(
            ALL_HOSTS,
            "The type of a VM is the size of its IPA space: every number up to 64, other bits, and",
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
        *_head(
            ALL_HOSTS,
            "KVM_SET_VCPU_EVENTS with ext_dabt_pending: ESR_EL1 and FAR_EL1 change at once, PC, PSTATE,",
            "ELR_EL1 and SPSR_EL1 at the next KVM_RUN, even if that returns at once. Each mode, the",
            "bits of SCTLR_EL1 that say what the handler's PSTATE is (SPAN 23, DSSBS 44), all flags.",
        ),
        *_vcpu(()),
        "mmap vcpu 0x1000 0 -> run",
        "poke run+1 [ u8 1 ]",
    ]
    seen = (PC, PSTATE, ELR, SPSR, ESR, FAR)
    for name, mode in MODES.items():
        lines += ["", f"# {name}"]
        for flags in (0, 0x3C0, 0xF0000000, 0xFFFFFFE0, 0xFFFFFFFFFFFFFFE0 | mode & 0x10):
            for sctlr in (0xC50078, 0x450078, 0x100000C50078):
                written = {VBAR: 0x80000, PC: 0x1234, FAR: 0x5555, SCTLR: sctlr}
                lines += _abort(flags & ~0x1F | mode, written, seen)
    lines += ["", "# twice before a run, and initialised in between"]
    lines += [f"set vcpu {PSTATE:#x} 0x0", f"set vcpu {PC:#x} 0x4000"]
    event = "ioctl vcpu KVM_SET_VCPU_EVENTS [ u8 0 0 1 5*0 u64 7*0 ]"
    lines += [event, event, "ioctl vcpu KVM_RUN 0", f"get vcpu {PC:#x}", f"get vcpu {ELR:#x}"]
    lines += ["ioctl vcpu KVM_RUN 0", f"get vcpu {PC:#x}", event, _init(())]
    lines += [f"get vcpu {ESR:#x}", "ioctl vcpu KVM_RUN 0", f"get vcpu {PC:#x}"]
    return lines


def aborts32() -> list[str]:
    """External aborts in every mode of an AArch32 guest."""
    hosts, chosen = FEATURE_SETS["aarch32"]
    lines = [
        *_head(
            hosts,
            "External aborts of an AArch32 guest: DFSR is in ESR_EL1, DFAR in FAR_EL1; LR_abt, SPSR_abt,",
            "PC and CPSR change at the next KVM_RUN. Bits of SCTLR: V 13, SPAN 23, EE 25, TE 30, DSSBS",
            "31; TTBCR.EAE (bit 31) chooses the format of DFSR.",
        ),
        *_vcpu(chosen),
        "mmap vcpu 0x1000 0 -> run",
        "poke run+1 [ u8 1 ]",
    ]
    seen = (PC, PSTATE, LR_ABT, SPSR_ABT, ESR, FAR)
    for name, mode in MODES32.items():
        lines += ["", f"# {name}"]
        for flags in (0, 0x20, 0xFFFFFFE0, 0xF80F01C0):
            for sctlr in (0xC50078, 0x450078, 0xC52078, 0x2C50078, 0x40C50078, 0x80C50078):
                written = {VBAR: 0x80000, PC: 0x1234, FAR: 0x5555555577777777, SCTLR: sctlr}
                written[TCR] = 0x80000000 if sctlr & 1 << 13 else 0
                lines += _abort(flags & ~0x1F | mode, written, seen)
    return lines


def hardware(feature_set: str) -> list[str]:
    """Registers before and after a run that returns at once."""
    hosts, chosen = FEATURE_SETS[feature_set]
    ids = [i for i in _listed(hosts, chosen) if i not in TIMERS]
    lines = [
        *_head(
            hosts,
            "On hosts with VHE a KVM_RUN, even one that returns at once, takes the EL1 registers through",
            f"the hardware, which keeps fewer bits of some. Features of `{feature_set}`.",
        ),
        *_vcpu(chosen),
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
        lines += [_get(register_id, _name(register_id)) for register_id in ids]
    return lines


def all_scripts() -> dict[str, str]:
    """Name and text of every script made here."""
    scripts = {f"registers-{name}": reads(name) for name in FEATURE_SETS}
    scripts |= {
        "writes-core": writes("plain", "core registers", _is_kind("core")),
        "writes-core-aarch32": writes(
            "aarch32", "core registers of an AArch32 guest", _is_kind("core")
        ),
        "writes-core-sve": writes("sve", "core and SVE registers", _is_kind("core", "SVE")),
        "writes-id": writes("all", "ID registers where all features are on", _sysreg(_is_id)),
        "writes-id-plain": writes("plain", "ID registers", _sysreg(_is_id)),
        "writes-debug": writes("plain", "debug registers", _sysreg(_is_debug)),
        "writes-system": writes("plain", "other system registers", _sysreg(_is_other)),
        "writes-system-aarch32": writes(
            "aarch32", "system registers of an AArch32 guest", _sysreg(_is_other)
        ),
        "writes-pmu": writes("pmu", "PMU registers", _sysreg(_is_pmu)),
        "writes-ptrauth": writes(
            "ptrauth",
            "pointer authentication keys",
            _sysreg(lambda _, name: name.startswith("AP")),
        ),
        "ids-core": core_offsets(),
        "ids-system": encodings(),
        "ids-bits": id_bits(),
        "ids-demux": demux(),
        "firmware-values": firmware(),
        "extensions": extensions(),
        "features": features(),
        "many-vcpus": many_vcpus(),
        "ipa-sizes": ipa_sizes(),
        "aborts": aborts64(),
        "aborts-aarch32": aborts32(),
        "hardware": hardware("pmu"),
        "hardware-aarch32": hardware("aarch32"),
        "hardware-sve": hardware("all"),
    }
    return {name: "\n".join(lines) + "\n" for name, lines in scripts.items()}


def stale() -> list[str]:
    """Names of scripts that are not as this program would write them."""
    return [
        name
        for name, text in all_scripts().items()
        if not (SCRIPTS / f"{name}.trace").exists()
        or (SCRIPTS / f"{name}.trace").read_text() != text
    ]


def main() -> int:
    """Write the scripts, or check them."""
    parser = argparse.ArgumentParser(description="Make the sweeping conformance scripts.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if any differs")
    if parser.parse_args().check:
        for name in stale():
            print(f"{name} is not as make_scripts.py writes it")
        return 1 if stale() else 0
    for name, text in all_scripts().items():
        (SCRIPTS / f"{name}.trace").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
