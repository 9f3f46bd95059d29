# SPDX-License-Identifier: MIT
"""Ids, names, ids in words: csrc/reg/names.c, kvmemu/registers.py, kvmemu/cli/{ids,names}.py."""

from __future__ import annotations

import re

import pytest

import kvmemu
from kvmemu import constants as kvm
from kvmemu.cli import names
from kvmemu.cli.ids import core_members, dissect
from kvmemu.cli.regs_list import feature_names, make_vcpu
from kvmemu.registers import KINDS, reg_bytes

# Put together by hand from the macros of Linux's arch/arm64/include/uapi/asm/kvm.h.
ARM64 = {
    "X0": 0x6030_0000_0010_0000,
    "X30": 0x6030_0000_0010_003C,
    "SP": 0x6030_0000_0010_003E,
    "PC": 0x6030_0000_0010_0040,
    "PSTATE": 0x6030_0000_0010_0042,
    "SP_EL1": 0x6030_0000_0010_0044,
    "ELR_EL1": 0x6030_0000_0010_0046,
    "SPSR_EL1": 0x6030_0000_0010_0048,
    "SPSR_fiq": 0x6030_0000_0010_0050,
    "V0": 0x6040_0000_0010_0054,
    "V31": 0x6040_0000_0010_00D0,
    "FPSR": 0x6020_0000_0010_00D4,
    "FPCR": 0x6020_0000_0010_00D5,
    "CCSIDR_EL1.0": 0x6020_0000_0011_0000,
    "CCSIDR_EL1.13": 0x6020_0000_0011_000D,
    "DBGBVR15_EL1": 0x6030_0000_0013_807C,
    "MPIDR_EL1": 0x6030_0000_0013_C005,
    "SCTLR_EL1": 0x6030_0000_0013_C080,
    "TCR_EL1": 0x6030_0000_0013_C102,
    "CNTKCTL_EL1": 0x6030_0000_0013_C708,
    "CLIDR_EL1": 0x6030_0000_0013_C801,
    "PMCR_EL0": 0x6030_0000_0013_DCE0,
    "CNTV_CTL_EL0": 0x6030_0000_0013_DF19,
    "PSCI_VERSION": 0x6030_0000_0014_0000,
    "SMCCC_ARCH_WORKAROUND_3": 0x6030_0000_0014_0003,
    "Z0": 0x6080_0000_0015_0000,
    "Z31": 0x6080_0000_0015_03E0,
    "P15": 0x6050_0000_0015_05E0,
    "FFR": 0x6050_0000_0015_0600,
    "SVE_VLS": 0x6060_0000_0015_FFFF,
    "STD_BMAP": 0x6030_0000_0016_0000,
    "VENDOR_HYP_BMAP": 0x6030_0000_0016_0002,
    # These two have each other's encodings.
    "CNTVCT_EL0": 0x6030_0000_0013_DF1A,
    "CNTV_CVAL_EL0": 0x6030_0000_0013_DF02,
}

# And from arch/arm/include/uapi/asm/kvm.h of Linux 5.6, where the timer is not swapped.
ARM = {
    "R0": 0x4020_0000_0010_0000,
    "PC": 0x4020_0000_0010_000F,
    "CPSR": 0x4020_0000_0010_0010,
    "SPSR_fiq": 0x4020_0000_0010_0025,
    "SCTLR": 0x4020_0000_000F_0800,
    "CNTV_CTL": 0x4020_0000_000F_7181,
    "CNTVCT": 0x4030_0000_000F_0708,
    "CNTV_CVAL": 0x4030_0000_000F_0718,
    "D31": 0x4030_0000_0012_001F,
    "FPSCR": 0x4020_0000_0012_1001,
    "CCSIDR.2": 0x4020_0000_0011_0002,
    "PSCI_VERSION": 0x4030_0000_0014_0000,
}
KNOWN = [("arm64", *item) for item in ARM64.items()] + [("arm", *item) for item in ARM.items()]

# No register of KVM's has one of these, and what is said about that.
WRONG = [
    pytest.param(0x2030_0000_0000_0000, "x86's", id="other-architecture"),
    pytest.param(0x3330_0000_0000_0000, "no architecture", id="no-architecture"),
    pytest.param(0x60F0_0000_0010_0042, "size code, are 15", id="impossible-size"),
    pytest.param(0x6020_0000_0010_0042, "PSTATE has 8 bytes", id="size-of-another"),
    pytest.param(0x6020_0000_0013_DF19, "0x603000000013df19", id="system-register-of-32-bits"),
    pytest.param(0x6030_0001_0013_DF19, "must be zero.*CNTV_CTL_EL0", id="reserved-bits"),
    pytest.param(0x6030_0000_0099_0000, "no coprocessor 0x99", id="coprocessor"),
    pytest.param(0x6030_0000_0012_0000, "no coprocessor 0x12", id="coprocessor-of-arm"),
    pytest.param(0x6030_0000_0010_0043, "regs.pstate begins at word 66", id="inside-a-register"),
    pytest.param(0x6030_0000_0010_0052, "padding", id="padding"),
    pytest.param(0x6020_0000_0010_00D6, "no register", id="reserved-member"),
    pytest.param(0x6030_0000_0010_00D8, "has 216 words", id="behind-the-end"),
    pytest.param(0x6030_0000_0013_3FFF, "instruction", id="op0-of-an-instruction"),
    pytest.param(0x6030_0000_0013_FFFF, "S3_7_C15_C15_7", id="no-such-encoding"),
    pytest.param(0x6080_0000_0015_0021, "slice 0 is the only one", id="slice"),
    pytest.param(0x6050_0000_0015_0700, "no register 0x700", id="behind-ffr"),
    pytest.param(0x6030_0000_0014_0009, "no such register 9", id="firmware"),
    pytest.param(0x6020_0000_0011_000E, "0 to 13", id="cache"),
    pytest.param(0x6020_0000_0011_0100, "only register that is demultiplexed", id="demultiplexed"),
    pytest.param(0x4030_0000_000F_0701, "no CRn and opc2", id="cp15-of-64-bits"),
    pytest.param(0x4020_0000_000F_7777, "no CP15 register", id="cp15"),
    pytest.param(0x4030_0000_0012_0020, "no D register 32", id="vfp"),
    pytest.param(0x4030_0000_0013_DF19, "no coprocessor 0x13", id="coprocessor-of-arm64"),
    pytest.param(0, "no architecture's", id="zero"),
    pytest.param((1 << 64) - 1, "0xff in bits 63:56", id="all-ones"),
]


@pytest.mark.parametrize(("arch", "name", "register_id"), KNOWN)
def test_known_pairs(arch: str, name: str, register_id: int) -> None:
    register = kvmemu.describe(register_id)
    assert register is not None
    assert (register.name, register.arch, register.id) == (name, arch, register_id)
    assert kvmemu.find(name, arch) == register


@pytest.mark.parametrize("host", kvmemu.host_names())
def test_every_register_of_a_host_has_a_name(host: str) -> None:
    with kvmemu.System(host) as system, system.create_vm() as vm:
        vcpu = make_vcpu(vm, feature_names("all", vm))
        ids = vcpu.reg_list()
        registers = [kvmemu.describe(register_id) for register_id in ids]
        assert len({register.name for register in registers if register}) == len(ids)
        for register_id, register in zip(ids, registers, strict=True):
            assert register is not None, hex(register_id)
            assert register.bytes == reg_bytes(register_id)
            assert register.arch == vcpu.arch
            assert register.kind in KINDS
            assert kvmemu.find(register.name, vcpu.arch) == register
            assert not dissect(register_id).problem


@pytest.mark.parametrize(("register_id", "why"), WRONG)
def test_wrong_ids_have_no_name_but_a_reason(register_id: int, why: str) -> None:
    assert kvmemu.describe(register_id) is None
    assert re.search(why, dissect(register_id).problem)


@pytest.mark.parametrize("number", [-1, 1 << 64])
def test_describe_takes_any_number(number: int) -> None:
    assert kvmemu.describe(number) is None


def test_timer_is_named_by_what_it_holds(vcpu: kvmemu.Vcpu) -> None:
    vcpu.set_one_reg(kvm.KVM_REG_ARM_TIMER_CVAL, 0x1234_5678)
    assert vcpu.regs["CNTV_CVAL_EL0"] == 0x1234_5678
    assert vcpu.regs["CNTVCT_EL0"] == vcpu.get_one_reg(kvm.KVM_REG_ARM_TIMER_CNT)
    # The encoding of each is the other's in MRS and MSR.
    assert kvm.KVM_REG_ARM_TIMER_CVAL & 0xFFFF == 3 << 14 | 3 << 11 | 14 << 7 | 0 << 3 | 2


@pytest.mark.parametrize(
    ("name", "swapped"),
    [
        pytest.param("CNTVCT_EL0", True, id="count"),
        pytest.param("CNTV_CVAL_EL0", True, id="compare"),
        pytest.param("CNTV_CTL_EL0", False, id="control"),
    ],
)
def test_swapped_timer_ids_have_a_note(name: str, swapped: bool) -> None:
    assert any("swapped" in note for note in dissect(ARM64[name]).notes) == swapped


def test_arm_timer_ids_are_not_swapped() -> None:
    assert not dissect(ARM["CNTVCT"]).notes


@pytest.mark.parametrize(("arch", "count"), [("arm64", 31 + 3 + 2 + 5 + 32 + 2), ("arm", 38)])
def test_core_members_are_the_registers(arch: str, count: int) -> None:
    sizes = {4: kvm.KVM_REG_SIZE_U32, 8: kvm.KVM_REG_SIZE_U64, 16: kvm.KVM_REG_SIZE_U128}
    base = kvm.KVM_REG_ARM_CORE | (kvm.KVM_REG_ARM64 if arch == "arm64" else kvm.KVM_REG_ARM)
    members = [m for m in core_members(arch) if "reserved" not in m.path]
    found = [kvmemu.describe(base | sizes[m.bytes] | m.word) for m in members]
    assert all(register and register.kind == "core" for register in found)
    assert len(found) == count


@pytest.mark.parametrize(
    ("register_id", "part"),
    [
        pytest.param(ARM64["PSTATE"], ("member", "regs.pstate"), id="core"),
        pytest.param(ARM64["CNTV_CTL_EL0"], ("MRS, MSR", "S3_3_C14_C3_1"), id="system"),
        pytest.param(ARM64["CNTV_CTL_EL0"], ("constant", "KVM_REG_ARM_TIMER_CTL"), id="constant"),
        pytest.param(ARM64["Z31"], ("SVE", "Z31, slice 0, which is its bits 2047:0"), id="z"),
        pytest.param(ARM64["P15"], ("SVE", "P15, slice 0, which is its bits 255:0"), id="p"),
        pytest.param(ARM64["SMCCC_ARCH_WORKAROUND_3"], ("index", "3"), id="firmware"),
        pytest.param(
            ARM64["CCSIDR_EL1.13"],
            ("cache", "level 7, instruction: CCSIDR_EL1 where CSSELR_EL1 is 13"),
            id="cache",
        ),
        pytest.param(ARM["CNTVCT"], ("MRRC", "p15, 1, Rt, Rt2, c14"), id="cp15-64"),
        pytest.param(ARM["CNTV_CTL"], ("MRC", "p15, 0, Rt, c14, c3, 1"), id="cp15-32"),
    ],
)
def test_ids_are_spelled_out(register_id: int, part: tuple[str, str]) -> None:
    assert part in dissect(register_id).parts


@pytest.mark.parametrize(
    ("text", "arch", "want"),
    [
        pytest.param("pstate", "arm64", ARM64["PSTATE"], id="lower-case"),
        pytest.param("SPSR_FIQ", "arm64", ARM64["SPSR_fiq"], id="mixed-case"),
        pytest.param("S3_3_C14_C3_1", "arm64", ARM64["CNTV_CTL_EL0"], id="assembler"),
        pytest.param("S3_3_C14_C0_2", "arm64", ARM64["CNTV_CVAL_EL0"], id="assembler-of-swapped"),
        pytest.param("KVM_REG_ARM_TIMER_CNT", "arm64", ARM64["CNTVCT_EL0"], id="constant"),
        pytest.param("KVM_REG_ARM32_TIMER_CNT", "arm", ARM["CNTVCT"], id="constant-of-arm"),
        pytest.param("cntvct", "arm", ARM["CNTVCT"], id="arm"),
        pytest.param("S3_3_C16_C3_1", "arm64", None, id="assembler-out-of-range"),
        pytest.param("KVM_REG_ARM_CORE", "arm64", None, id="constant-of-no-register"),
        pytest.param("X31", "arm64", None, id="none"),
        pytest.param("Ä", "arm64", None, id="not-ascii"),
        pytest.param("", "arm64", None, id="empty"),
    ],
)
def test_find_register(text: str, arch: str, want: int | None) -> None:
    register = names.find_register(text, arch)
    assert (register.id if register else None) == want


@pytest.mark.parametrize("arch", names.ARCHES)
def test_every_name_is_known_to_the_suggestions(arch: str) -> None:
    known = ARM64 if arch == "arm64" else ARM
    assert set(known) <= set(names.all_names(arch).values())
    for upper, name in names.all_names(arch).items():
        found = kvmemu.find(name, arch)
        assert found
        assert found.name.upper() == upper
