# SPDX-License-Identifier: MIT
"""kvmemu/fields.py: the tables of bit fields, and values taken apart."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmemu
from kvmemu import gic_registers as gic
from kvmemu.fields import UNNAMED, Field, decode_value, fields_of, layout_names

# Layouts that a value chooses, not a name.
VARIANTS = {"PSTATE_AArch32": 8, "PAR_EL1_fault": 8, "DFSR_LPAE": 4, "IFSR_LPAE": 4}
NAMES = [name.replace("<n>", "1") for name in layout_names()]

# What people look at when a restore differs: all of these have fields.
WANTED = [
    "CNTV_CTL_EL0",
    "CNTKCTL_EL1",
    "PSTATE",
    "SPSR_EL1",
    "SPSR_abt",
    "FPCR",
    "FPSR",
    "SCTLR_EL1",
    "TCR_EL1",
    "TTBR0_EL1",
    "TTBR1_EL1",
    "MAIR_EL1",
    "CPACR_EL1",
    "ZCR_EL1",
    "ESR_EL1",
    "PAR_EL1",
    "CONTEXTIDR_EL1",
    "MPIDR_EL1",
    "MIDR_EL1",
    "CTR_EL0",
    "CLIDR_EL1",
    "CCSIDR_EL1.0",
    "CCSIDR_EL1.13",
    "CSSELR_EL1",
    "MDSCR_EL1",
    "OSLSR_EL1",
    "DBGBCR0_EL1",
    "DBGWCR15_EL1",
    "PMCR_EL0",
    "PMUSERENR_EL0",
    "PMCNTENSET_EL0",
    "PMEVTYPER30_EL0",
    "PMCCFILTR_EL0",
    "PSCI_VERSION",
    "SMCCC_ARCH_WORKAROUND_1",
    "SMCCC_ARCH_WORKAROUND_2",
    "SMCCC_ARCH_WORKAROUND_3",
    "STD_BMAP",
    "STD_HYP_BMAP",
    "VENDOR_HYP_BMAP",
    "SVE_VLS",
    "ID_AA64PFR0_EL1",
    "ID_AA64PFR1_EL1",
    "ID_AA64ZFR0_EL1",
    "ID_AA64SMFR0_EL1",
    "ID_AA64DFR0_EL1",
    "ID_AA64AFR0_EL1",
    "ID_AA64ISAR0_EL1",
    "ID_AA64ISAR1_EL1",
    "ID_AA64ISAR2_EL1",
    "ID_AA64MMFR0_EL1",
    "ID_AA64MMFR1_EL1",
    "ID_AA64MMFR2_EL1",
    "ID_PFR0_EL1",
    "ID_PFR1_EL1",
    "ID_PFR2_EL1",
    "ID_DFR0_EL1",
    "ID_DFR1_EL1",
    "ID_AFR0_EL1",
    "ID_MMFR0_EL1",
    "ID_MMFR1_EL1",
    "ID_MMFR2_EL1",
    "ID_MMFR3_EL1",
    "ID_MMFR4_EL1",
    "ID_MMFR5_EL1",
    "ID_ISAR0_EL1",
    "ID_ISAR1_EL1",
    "ID_ISAR2_EL1",
    "ID_ISAR3_EL1",
    "ID_ISAR4_EL1",
    "ID_ISAR5_EL1",
    "ID_ISAR6_EL1",
    "MVFR0_EL1",
    "MVFR1_EL1",
    "MVFR2_EL1",
    "ICC_CTLR_EL1",
    "ICC_PMR_EL1",
    "ICC_AP1R0_EL1",
    "ICC_SRE_EL1",
]

# The GIC's, of a guest's version each. REDIST_REGION is the value of an attribute.
GIC_REGISTERS = [
    register
    for version, frames in gic.FRAMES_OF_VERSION.items()
    for frame in frames
    for register in gic.gic_registers(version, frame).values()
]
GIC_SIZES = {
    spelling: register.bytes
    for register in GIC_REGISTERS
    for spelling in (register.name, register.layout)
}
GIC_SIZES |= {"REDIST_REGION": 8, "GICD_CTLR_DS": 4, "GICR_STATUSR": 4}  # KVM has no GICR_STATUSR


def size_of(name: str) -> int | None:
    register = kvmemu.find(name) or kvmemu.find(name, "arm")
    return register.bytes if register else VARIANTS.get(name) or GIC_SIZES.get(name)


@pytest.mark.parametrize("name", WANTED)
def test_has_fields(name: str) -> None:
    assert kvmemu.find(name)
    assert fields_of(name)


def test_every_gic_register_has_fields_or_interrupts() -> None:
    reserved = ("PIDR5", "PIDR6", "PIDR7")
    assert [
        register.layout
        for register in GIC_REGISTERS
        if not register.fields
        and not fields_of(register.layout)
        and not register.name.endswith(reserved)
    ] == []


@pytest.mark.parametrize("name", NAMES)
def test_layout_is_of_a_register(name: str) -> None:
    assert size_of(name) is not None


@pytest.mark.parametrize("name", NAMES)
def test_layout_is_sorted_and_disjoint(name: str) -> None:
    fields = fields_of(name)
    assert all(field.high >= field.low >= 0 for field in fields)
    assert all(above.low > below.high for above, below in itertools.pairwise(fields))


@pytest.mark.parametrize("name", NAMES)
def test_layout_is_inside_the_register(name: str) -> None:
    bits = 8 * (size_of(name) or 8)
    assert all(field.high < bits for field in fields_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_names_are_unique(name: str) -> None:
    names = [field.name for field in fields_of(name)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", NAMES)
def test_meanings_fit_their_fields(name: str) -> None:
    for field in fields_of(name):
        largest = (1 << field.high - field.low + 1) - 1
        assert all(0 <= number <= largest and text for number, text in field.values.items())
        assert isinstance(field.meaning(largest), str)  # its rule, if it has one, is known


@pytest.mark.parametrize(
    ("name", "value", "want"),
    [
        pytest.param(
            "CNTV_CTL_EL0",
            0b101,
            [
                ("ISTATUS", 1, "condition met"),
                ("IMASK", 0, "interrupt not masked"),
                ("ENABLE", 1, "on"),
            ],
            id="timer",
        ),
        pytest.param(
            "MPIDR_EL1",
            0x80000103,
            [
                ("Aff3", 0, ""),
                ("RES1", 1, ""),
                ("U", 0, "multiprocessor"),
                ("MT", 0, "Aff0 is a core"),
                ("Aff2", 0, ""),
                ("Aff1", 1, ""),
                ("Aff0", 3, ""),
            ],
            id="affinity",
        ),
        pytest.param("PSCI_VERSION", 0x10001, [("major", 1, ""), ("minor", 1, "")], id="firmware"),
        pytest.param(
            "VENDOR_HYP_BMAP", 0b11, [("PTP", 1, "on"), ("FUNC_FEAT", 1, "on")], id="bitmap"
        ),
        pytest.param(
            "SMCCC_ARCH_WORKAROUND_2",
            0x12,
            [("enabled", 1, "yes"), ("level", 2, "available")],
            id="workaround",
        ),
        pytest.param(
            "CCSIDR_EL1.2",
            0x70FFE07A,
            [
                ("WT", 0, ""),
                ("WB", 1, ""),
                ("RA", 1, ""),
                ("WA", 1, ""),
                ("NumSets", 0x7FF, "2048 sets"),
                ("Associativity", 15, "16 ways"),
                ("LineSize", 2, "64 bytes"),
            ],
            id="cache-of-a-number",
        ),
        pytest.param("TPIDR_EL0", 7, [], id="no-fields"),
        pytest.param("nonsense", 7, [], id="no-register"),
    ],
)
def test_decode_value(name: str, value: int, want: list[tuple[str, int, str]]) -> None:
    got = [(field.name, number, meaning) for field, number, meaning in decode_value(name, value)]
    assert got == want


def meaning_of(name: str, value: int, field_name: str) -> str:
    return next(text for field, _, text in decode_value(name, value) if field.name == field_name)


@pytest.mark.parametrize(
    ("name", "value", "field", "want"),
    [
        pytest.param("TCR_EL1", 25, "T0SZ", "39 bits of address", id="size-offset"),
        pytest.param("CTR_EL0", 4 << 16, "DminLine", "64 bytes", id="line-in-words"),
        pytest.param("CTR_EL0", 0, "CWG", "not said", id="exception-to-the-rule"),
        pytest.param("ZCR_EL1", 3, "LEN", "512 bits at most", id="vector-length"),
        pytest.param("ID_AA64DFR0_EL1", 5 << 12, "BRPs", "6 breakpoints", id="one-less"),
        pytest.param("PMCR_EL0", 6 << 11, "N", "6 event counters", id="as-it-is"),
        pytest.param("GICD_TYPER", 7, "ITLinesNumber", "INTIDs below 256", id="words-before"),
        pytest.param("GICC_PMR", 0x1E, "Priority[7:3]", "mask 0xf0", id="shifted"),
        pytest.param("REDIST_REGION", 0x810 << 16, "base", "at 0x8100000", id="address"),
    ],
)
def test_rules(name: str, value: int, field: str, want: str) -> None:
    assert meaning_of(name, value, field) == want


@pytest.mark.parametrize(
    ("name", "value", "field", "want"),
    [
        pytest.param("PSTATE", 0x3C5, "M", "EL1h", id="aarch64"),
        pytest.param("PSTATE", 0x1D3, "M", "Supervisor", id="aarch32"),
        pytest.param("SPSR_EL1", 0x10, "M", "User", id="saved-aarch32"),
        pytest.param("PAR_EL1", 1, "FST", "", id="fault"),
        pytest.param("PAR_EL1", 0, "SH", "non-shareable", id="translated"),
        pytest.param("GICD_CTLR", 0x52, "EnableGrp1", "group 1 on", id="one-security-state"),
        pytest.param("GICD_CTLR", 0x12, "EnableGrp1A", "group 1 on", id="non-secure-view"),
        pytest.param("GICD_CTLR_v2", 0x1, "EnableGrp0", "group 0 on", id="gicv2"),
    ],
)
def test_a_bit_chooses_the_layout(name: str, value: int, field: str, want: str) -> None:
    assert meaning_of(name, value, field) == want


def test_bits_without_a_name_are_shown() -> None:
    found = [(f.bits, n) for f, n, _ in decode_value("CNTV_CTL_EL0", 0xF1) if f.name == UNNAMED]
    assert found == [("7:4", 15)]


@given(st.sampled_from(NAMES), st.integers(min_value=0, max_value=(1 << 64) - 1))
def test_fields_add_up_to_the_value(name: str, value: int) -> None:
    if fields_of(name):
        value &= (1 << 8 * (size_of(name) or 8)) - 1
        assert sum(number << field.low for field, number, _ in decode_value(name, value)) == value


def test_field_bits() -> None:
    field = Field("EC", 31, 26)
    assert (field.bits, field.mask, field.of(0x9600_0000)) == ("31:26", 0xFC00_0000, 0x25)
    assert Field("M", 0, 0).bits == "0"


def test_id_registers_of_hosts_have_no_unnamed_bits() -> None:
    for host in kvmemu.host_names():
        with kvmemu.System(host) as system, system.create_vm() as vm:
            vcpu = vm.create_vcpus(1)[0]
            if vcpu.arch != "arm64":
                continue
            for name in filter(
                lambda n: str(n).startswith(("ID_", "MVFR", "CTR", "CLIDR")), vcpu.regs
            ):
                decoded = decode_value(str(name), vcpu.regs[name])
                assert not [f.bits for f, _, _ in decoded if f.name == UNNAMED], (host, name)
