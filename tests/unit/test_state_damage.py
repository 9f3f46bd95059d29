# SPDX-License-Identifier: MIT
"""Damaged and forged state files: refused in a sentence, or as good as they were. Never anything
else."""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kvmemu
from kvmemu import state
from kvmemu.errors import RestoreError, StateFileError

HOSTS = {2: "gicv2-cortex-a72", 3: "gicv3-max"}
PAGE = 4096
SLOW = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def save(version: int) -> state.VmState:
    """A small VM with everything that a state can have."""
    with kvmemu.System(HOSTS[version]) as system, system.create_vm() as vm:
        system.counter.ticks = 1000
        vm.create_vcpus(2, [2, 3])
        vm.set_user_memory_region(0, 0x4000_0000, mmap.mmap(-1, 2 * PAGE))
        vm.memory_slots[0].view()[:4] = b"abcd"
        if version == 2:
            vm.create_vgic_v2(nr_irqs=64)
        else:
            vm.create_vgic_v3(nr_irqs=64)
        return state.save(vm, "a test")


STATES = {version: save(version) for version in HOSTS}


# ---- any byte of the files ----


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """A file in which something happened to some bytes."""
    at = data.draw(st.integers(0, len(content) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "insert", "remove", "zero", "repeat"]))
    length = data.draw(st.integers(1, 64))
    match how:
        case "flip":
            bit = 1 << data.draw(st.integers(0, 7))
            return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
        case "cut":
            return content[:at]
        case "insert":
            return content[:at] + data.draw(st.binary(min_size=1, max_size=64)) + content[at:]
        case "remove":
            return content[:at] + content[at + length :]
        case "zero":
            rest = content[at + length :]
            return content[:at] + bytes(min(length, len(content) - at)) + rest
        case _:
            return content[: at + length] + content[at:]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A state in files."""
    path = tmp_path / "vm.state"
    state.store(STATES[3], path)
    return path


def loaded_or_why(path: Path) -> tuple[state.VmState | None, str]:
    """A state, or the sentence with which it is refused."""
    try:
        return state.load(path), ""
    except StateFileError as error:
        return None, str(error)


@SLOW
@given(st.data())
@pytest.mark.parametrize("suffix", [".state", ".ram"])
def test_damage_is_refused_or_does_not_matter(
    stored: Path, suffix: str, data: st.DataObject
) -> None:
    path = stored.with_suffix(suffix)
    whole = path.read_bytes()
    path.write_bytes(damaged(data, whole))
    loaded, why = loaded_or_why(stored)
    path.write_bytes(whole)
    if loaded is None:
        assert str(stored) in why
    else:
        assert loaded == STATES[3]
        assert loaded.ram == STATES[3].ram


def test_every_cut_is_refused(stored: Path) -> None:
    whole = stored.read_bytes()
    for length in range(0, len(whole) - 1, 97):  # all but the last newline
        stored.write_bytes(whole[:length])
        with pytest.raises(StateFileError):
            state.load(stored)


# ---- files whose checksums are right, and what they say is not ----

NUMBERS = [
    "0", "1", "-1", "2", "31", "33", "64", "1000", "0xfff", "0x1000", "0x7fffffff", "0xffffffff",
    "0x100000000", "0x8000000", "0xffffffffffffffff", "0x10000000000000000", "9" * 5000, "x", "",
    "0x", "1_0", "-0x1", "\uff10",
]  # fmt: skip
LINES = [
    "gic 3", "gic 2", "gic 4", "nr_irqs 0xffffffff", "nr_irqs 33", "vcpu 7", "vcpu 0", "vcpu -1",
    "slot 3 0 0x1000 0 " + "0" * 64, "slot 0 0 0x1000 0 " + "0" * 64, "region 0x8000000 1",
    "region 0x8000001 1", "region 0 0x1000", "uninitialized", "level 0 0", "level 64 0x1",
    "serror", "serror 0x1ffffffffffffffffff", "serror_has_esr", "pmu_ready",
    "pmu_intid 999999999999", "vtimer_intid 0", "features 300", "features -1", "features 2 3",
    "cpu 0x1000", "redist 0x1000", "dist 0x10000000000000000", "pvtime_ipa 0x10000000000000000",
    "target 0x100000000", "mp_state 0x100000000", "gicd 0x4 GICD_TYPER 0x0", "ipa_bits 1000",
    "gicd 0x184 GICD_ICENABLER1 0xffffffff", "gicd 0x108 GICD_ISENABLER2 0x1", "nonsense 1",
    "reg 0x603000000013c005 MPIDR_EL1 0x80000000", "reg 0xffffffffffffffff what 0x1", "reg",
    "icc 0 0xc230 ICC_PMR_EL1 0x1", "gicc 0 0x0004 GICC_PMR 0x1", "origin \u2028 x",
]  # fmt: skip


@st.composite
def forged(draw: st.DrawFn) -> tuple[int, str]:
    """A GIC version, and a state of such a VM with some of its lines changed."""
    version = draw(st.sampled_from([2, 3]))
    lines = state.dumps(STATES[version]).splitlines()[:-1]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(1, len(lines) - 1))
        how = draw(st.sampled_from(["number", "remove", "repeat", "swap", "line", "word", "cut"]))
        words = lines[at].split(" ")
        n = draw(st.integers(0, len(words) - 1))
        if how == "number":
            lines[at] = " ".join([*words[:n], draw(st.sampled_from(NUMBERS)), *words[n + 1 :]])
        elif how == "remove":
            del lines[at]
        elif how == "repeat":
            lines.insert(at, lines[at])
        elif how == "swap":
            other = draw(st.integers(1, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif how == "line":
            lines.insert(at, draw(st.sampled_from(LINES)))
        elif how == "word":
            lines[at] = " ".join([*words[:n], *words[n + 1 :]])
        else:
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
    return version, sealed("\n".join([*lines, ""]))


def sealed(body: str) -> str:
    """A body with its checksum."""
    return f"{body}sha256 {hashlib.sha256(body.encode()).hexdigest()}\n"


@SLOW
@given(forged())
def test_forged_states_are_refused_or_can_be_used(made: tuple[int, str]) -> None:
    version, text = made
    try:
        loaded = state.loads(text)
    except StateFileError:
        return
    assert state.loads(state.dumps(loaded)) == loaded
    state.interrupts(loaded)
    state.compare(STATES[version], loaded)
    with kvmemu.System(HOSTS[version]) as system:
        try:
            vm = system.create_vm(loaded.ipa_bits)
        except kvmemu.KvmError:
            return
        with vm:
            try:
                state.restore(loaded, vm)
            except RestoreError:
                return
            state.save(vm)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("features 2 3", "features 224", "there is no feature 224: 223 is the last"),
        ("target 5", "target 0x100000000", "target is 0x100000000: more than 32 bits"),
        ("mp_state 0", "mp_state 0x100000000", "more than 32 bits"),
        ("mp_state 0", "mp_state 0\nmp_state 0", "`mp_state` stands twice"),
        ("ipa_bits 40", "ipa_bits 40\nipa_bits 40", "`ipa_bits` stands twice"),
        ("ipa_bits 40", "ipa_bits 4_0", "is '4_0': a number expected"),
        ("ipa_bits 40", "ipa_bits " + "9" * 5000, r"is '9{32}\.\.\.': a number expected"),
        ("vcpu 1", "vcpu 0x100000000", "the vCPU's id is 0x100000000: more than 32 bits"),
        ("nr_irqs 64", "nr_irqs 65", "nr_irqs is 65: 32 to 1024 in steps of 32 expected"),
        ("nr_irqs 64", "nr_irqs 0xffffffe0", "nr_irqs is 4294967264"),
        ("nr_irqs 64", "nr_irqs 32", "GICD_IGROUPR1: the GIC has 32 interrupts"),
        ("nr_irqs 64", "nr_irqs 64\ncpu 0", "a GICv3 has no `cpu`"),
        ("nr_irqs 64", "nr_irqs 64\nuninitialized", "has registers, and yet is uninitialized"),
        ("nr_irqs 64", "nr_irqs 64\nregion 0x10000 1", "in one run, and in regions as well"),
        ("redist 0x80a0000", "region 0x80a0001 2", "can be 2 at 0x80a0001"),
        ("redist 0x80a0000", "region 0x80a0000 4096", "a region's count is 0x1000"),
        ("gicd 0x0000", "gicd 0x0004 GICD_TYPER 0x1\ngicd 0x0000", "no state of its own"),
        ("gicd 0x0000", "gicd 0x0100 GICD_ISENABLER0 0x1\ngicd 0x0000", "no state of its own"),
        ("MPIDR_EL1 0x0000000080000001", "MPIDR_EL1 0x0000000080000000", "the same affinity"),
        ("reg 0x6030000000100000 X0", "reg 0x60f0000000100000 X0", "no register's id"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, why: str) -> None:
    body = state.dumps(STATES[3]).rpartition("sha256 ")[0]
    assert old in body
    with pytest.raises(StateFileError, match=why):
        state.loads(sealed(body.replace(old, new, 1)))


def test_origin_may_be_any_text(tmp_path: Path) -> None:
    with kvmemu.System() as system, system.create_vm() as vm:
        vm.create_vcpus(1)
        saved = state.save(vm, "line\nvcpus 7\r\u2028\x85 end")
    state.store(saved, tmp_path / "vm.state")
    assert state.load(tmp_path / "vm.state").origin == "line vcpus 7    end"


def test_redistributors_that_have_one_name_are_not_saved_as_one() -> None:
    with kvmemu.System() as system, system.create_vm() as vm:
        first, second = vm.create_vcpus(2)
        vm.create_vgic_v3()
        second.regs["MPIDR_EL1"] = first.regs["MPIDR_EL1"]
        with pytest.raises(ValueError, match="cannot be told apart"):
            state.save(vm)
