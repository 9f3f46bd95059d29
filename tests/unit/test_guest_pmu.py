# SPDX-License-Identifier: MIT
"""The PMU and CTR_EL0 as a guest has them, on hosts that no recording is of.

What the recorded hosts answer is in tests/conformance: guest-pmu-*.trace, guest-cpu.trace.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kvmemu import constants as kvm
from kvmemu import hosts
from kvmemu.cpu import Cpu, UndefinedInstruction
from kvmemu.system import System

DOORBELL = 0x1000_0000
PMCR_LC = 0x40
EVENTS = 0x0000_0007_0000_0003  # in a PMCEID: 0x4000, 0x4001, 0x4002, 0, 1 or 32 above them
ALLOW, DENY = kvm.KVM_PMU_EVENT_ALLOW, kvm.KVM_PMU_EVENT_DENY

MakeHost = Callable[..., Path]
Step = str | tuple[str, int]


@pytest.fixture
def host(tmp_path: Path) -> MakeHost:
    """Writes gicv3-max with other values; one that is None is left out."""

    def write(**changed: str | None) -> Path:
        text = hosts.profile_path("gicv3-max").read_text()
        for key, value in changed.items():
            line = "" if value is None else f"{key} = {value}\n"
            text, found = re.subn(rf"^{key} = .*\n", line, text, flags=re.MULTILINE)
            assert found == 1
        path = tmp_path / "host.toml"
        path.write_text(text)
        return path

    return write


def ask(
    host: Path, steps: list[Step], filters: list[tuple[int, int, int]] | None = None
) -> list[int | None]:
    """What a guest with a PMU reads; None where it is undefined.

    Args:
        steps: names to read, or names and values to write.
        filters: of events: the first, how many, and ALLOW or DENY.
    """
    got: list[int | None] = []

    def guest(cpu: Cpu) -> None:
        for step in steps:
            try:
                if isinstance(step, str):
                    got.append(cpu.read(step))
                else:
                    cpu.write(*step)
            except UndefinedInstruction:
                got.append(None)
        cpu.mmio_write(DOORBELL, 0)

    with System(host) as system, system.create_vm() as vm:
        [vcpu] = vm.create_vcpus(1, [kvm.KVM_ARM_VCPU_PMU_V3])
        group = kvm.KVM_ARM_VCPU_PMU_V3_CTRL
        for first, count, action in filters or []:
            events = first | count << 16 | action << 32
            vcpu.set_device_attr(group, kvm.KVM_ARM_VCPU_PMU_V3_FILTER, events)
        vcpu.set_device_attr(group, kvm.KVM_ARM_VCPU_PMU_V3_INIT)
        vcpu.set_guest(guest)
        vcpu.run()
        assert vcpu.exit_reason == kvm.KVM_EXIT_MMIO
        vcpu.set_guest(None)
    return got


@pytest.mark.parametrize(
    ("ctr", "want"),
    [
        pytest.param("0x8444c004", 0x8444C004, id="as-in-hardware"),
        pytest.param(None, 0x9444C004, id="not-said"),
    ],
)
def test_ctr_is_the_hardwares(host: MakeHost, ctr: str | None, want: int) -> None:
    assert ask(host(ctr=ctr), ["CTR_EL0"]) == [want]


def test_long_cycle_counter_stays_without_aarch32(host: MakeHost) -> None:
    """access_pmcr(): PMCR_EL0.LC is RES1 where there is no AArch32."""
    steps: list[Step] = [("PMCR_EL0", 0), "PMCR_EL0"]
    pmcr = 0x41013000
    assert ask(host(aarch32_el0="true"), steps) == [pmcr]
    assert ask(host(aarch32_el0="false"), steps) == [pmcr | PMCR_LC]


@pytest.mark.parametrize(
    ("filters", "low", "high"),
    [
        pytest.param([], EVENTS, EVENTS, id="none"),
        pytest.param([(0x4000, 2, ALLOW)], 3 << 32, 0, id="allows-extended"),
        pytest.param([(0x4021, 2, DENY)], EVENTS, EVENTS & ~(6 << 32), id="denies-extended"),
        pytest.param([(1, 32, ALLOW)], 2, 1, id="allows-across-both"),
    ],
)
def test_filter_hides_events(
    host: MakeHost, filters: list[tuple[int, int, int]], low: int, high: int
) -> None:
    made = host(PMCEID0_EL0=f"{EVENTS:#x}", PMCEID1_EL0=f"{EVENTS:#x}")
    assert ask(made, ["PMCEID0_EL0", "PMCEID1_EL0"], filters) == [low, high]


def test_filter_of_a_first_pmu_has_no_extended_events(host: MakeHost) -> None:
    """PMUv3 for Armv8.0 numbers events with 10 bits, so that its filter denies the others."""
    made = host(ID_AA64DFR0_EL1="0x10305106", PMCEID0_EL0=f"{EVENTS:#x}")
    assert ask(made, ["PMCEID0_EL0"]) == [EVENTS]
    assert ask(made, ["PMCEID0_EL0"], [(9, 1, DENY)]) == [EVENTS & 0xFFFF_FFFF]


@pytest.mark.parametrize(
    ("version", "want"),
    [
        pytest.param(1, None, id="armv8.0"),
        pytest.param(4, None, id="armv8.1"),
        pytest.param(5, 0, id="armv8.4"),
        pytest.param(15, None, id="not-arms"),
    ],
)
def test_pmmir_comes_with_armv8_4(host: MakeHost, version: int, want: int | None) -> None:
    made = host(ID_AA64DFR0_EL1=f"{0x10305006 | version << 8:#x}")
    assert ask(made, ["PMMIR_EL1"]) == [want]


def test_counters_are_the_hosts(host: MakeHost) -> None:
    """All 31, or none: then PMXEVTYPER_EL0 is the cycle counter's or undefined."""
    names: list[Step] = ["PMEVTYPER0_EL0", "PMEVCNTR30_EL0"]
    selected: list[Step] = [("PMSELR_EL0", 30), "PMXEVCNTR_EL0", ("PMSELR_EL0", 31)]
    steps = [*names, *selected, "PMXEVTYPER_EL0"]
    assert ask(host(PMCR_EL0="0x4101f8ac"), steps) == [0xC800C0DE, 0xDBADC0DE, 0xDBADC0DE, 0]
    assert ask(host(PMCR_EL0="0x410100ac"), steps) == [None, None, None, 0]


def test_last_counter_chains_to_none(host: MakeHost) -> None:
    """Counter 30 has an even number, and none behind it but the cycle counter."""
    steps: list[Step] = [
        ("PMINTENCLR_EL1", 0xFFFF_FFFF), ("PMOVSCLR_EL0", 0xFFFF_FFFF),
        ("PMEVTYPER30_EL0", 0), ("PMEVCNTR30_EL0", 0xFFFF_FFFF), ("PMCCFILTR_EL0", 0x1E),
        ("PMCCNTR_EL0", 5), ("PMCNTENSET_EL0", 0xFFFF_FFFF), ("PMCR_EL0", 1),
        ("PMSWINC_EL0", 0xFFFF_FFFF), "PMEVCNTR30_EL0", "PMOVSSET_EL0", "PMCCNTR_EL0",
    ]  # fmt: skip
    assert ask(host(PMCR_EL0="0x4101f8ac"), steps) == [0, 1 << 30, 5]
