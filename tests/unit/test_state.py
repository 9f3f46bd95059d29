# SPDX-License-Identifier: MIT
"""Saving, restoring, comparing, and state files."""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path

import pytest

import kvmemu
from kvmemu import constants as kvm
from kvmemu import demo, state

ALL_FEATURES = {
    "gicv3-max": (2, 3, 5, 6),
    "gicv3-max-sve": (2, 3, 4, 5, 6),
    "gicv3-neoverse-n1": (2, 3),
    "gicv2-cortex-a72": (2, 3),
}


def scramble(vcpu: kvmemu.Vcpu, seed: int) -> None:
    """Give every register that takes one another value than it has."""
    rng = random.Random(seed)
    for register_id in vcpu.reg_list():
        size = 1 << (register_id >> 52 & 0xF)
        value = rng.getrandbits(8 * size)
        if register_id == vcpu.regs.id_of("PSTATE"):
            value = value & ~0x1F | 0x5
        try:
            vcpu.set_one_reg(register_id, value)
        except kvmemu.KvmError:
            continue


def make_vm(system: kvmemu.System, features: tuple[int, ...], count: int = 3) -> kvmemu.Vm:
    vm = system.create_vm()
    for vcpu in vm.create_vcpus(count, features):
        if kvm.KVM_ARM_VCPU_SVE in features:
            vcpu.finalize(kvm.KVM_ARM_VCPU_SVE)
    return vm


@pytest.mark.parametrize("host", ALL_FEATURES)
def test_restored_vm_equals_the_saved_one(host: str) -> None:
    with kvmemu.System(host) as here, kvmemu.System(host) as there:
        for system in (here, there):
            system.counter.ticks = 12345
        source = make_vm(here, ALL_FEATURES[host])
        for vcpu in source.vcpus:
            scramble(vcpu, vcpu.id)
        source.vcpus[1].mp_state = kvm.KVM_MP_STATE_STOPPED
        saved = state.save(source)
        with there.create_vm() as target:
            state.restore(saved, target)
            assert state.compare(saved, state.save(target)) == []
        # The scrambling did something: a new VM differs in every vCPU.
        with make_vm(there, ALL_FEATURES[host]) as fresh:
            differing = {d.where for d in state.compare(saved, state.save(fresh))}
            assert differing == {"vCPU 0", "vCPU 1", "vCPU 2"}


def test_features_are_found_by_what_a_vcpu_has() -> None:
    with kvmemu.System("gicv3-max-sve") as system:
        for features in [(), (2,), (1,), (1, 2), (3,), (2, 3, 4), (5, 6), (2, 3, 4, 5, 6)]:
            with make_vm(system, features, 1) as vm:
                assert state.save(vm).vcpus[0].features == features


def test_aarch32_user_mode_does_not_hide_the_width(vm: kvmemu.Vm) -> None:
    vcpu = vm.create_vcpus(1, [kvm.KVM_ARM_VCPU_EL1_32BIT])[0]
    vcpu.regs["PSTATE"] = 0x10
    assert state.save(vm).vcpus[0].features == (kvm.KVM_ARM_VCPU_EL1_32BIT,)
    assert vcpu.regs["PSTATE"] == 0x10


def test_file_round_trip(tmp_path: Path, vm: kvmemu.Vm) -> None:
    vm.create_vcpus(2)
    vm.vcpus[1].events = kvmemu.VcpuEvents(True, 0x77)
    saved = state.save(vm, "a test")
    state.store(saved, tmp_path / "vm.state")
    loaded = state.load(tmp_path / "vm.state")
    assert loaded == saved
    assert [path.name for path in tmp_path.iterdir()] == ["vm.state"]


def resealed(body: str) -> str:
    """A body with a checksum that fits it."""
    return f"{body}sha256 {hashlib.sha256(body.encode()).hexdigest()}\n"


RECORDED = demo.RECORDED.read_text(encoding="utf-8")
BODY = RECORDED[: RECORDED.rindex("sha256 ")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "not a saved VM", id="empty"),
        pytest.param("hello\n", "not a saved VM", id="something-else"),
        pytest.param(RECORDED[: len(RECORDED) // 2], "cut off", id="truncated"),
        pytest.param(RECORDED.replace(" X0 0x1", " X0 0x2", 1), "altered", id="altered"),
        pytest.param(RECORDED.replace("state 1", "state 2", 1), "version 2", id="newer"),
        pytest.param(resealed(BODY.replace(" X1 ", " X2 ", 1)), "is X1, not X2", id="wrong-name"),
        pytest.param(resealed(BODY.replace("vcpus 4", "vcpus 5", 1)), "announces 5", id="count"),
        pytest.param(resealed(BODY.replace("vcpu 3", "vcpu 2", 1)), "stands twice", id="twice"),
        pytest.param(resealed(BODY.replace("target 5\n", "", 1)), "no target", id="no-target"),
        pytest.param(resealed(BODY + "what is this\n"), "means nothing", id="unknown-line"),
        pytest.param(resealed(BODY + "reg 1 2\n"), "an id, a name and a value", id="short-line"),
        pytest.param(resealed(BODY + "target -1\n"), "negative", id="negative"),
        pytest.param(resealed(BODY + "target x\n"), "a number expected", id="not-a-number"),
        pytest.param(resealed("kvmemu-state 1\ntarget 5\n"), "none has begun", id="no-vcpu"),
    ],
)
def test_bad_file_is_refused_in_words(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "bad.state"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(state.StateFileError, match=why) as caught:
        state.load(path)
    assert str(path) in str(caught.value)


def test_binary_file_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "bad.state"
    for content in (bytes(range(256)), b"kvmemu-state 1\n\xff\n", b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(state.StateFileError, match="not a saved VM"):
            state.load(path)


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(state.StateFileError, match="not a saved VM"):
        state.load("/dev/zero")


def test_state_of_another_machine_names_the_register() -> None:
    recorded = state.load(demo.RECORDED)
    why = "vCPU 0: MIDR_EL1 cannot be set to 0xf0510"
    with (
        kvmemu.System("gicv3-neoverse-n1") as system,
        system.create_vm() as vm,
        pytest.raises(state.RestoreError, match=why),
    ):
        state.restore(recorded, vm)


def test_vm_that_is_not_new_is_refused(vm: kvmemu.Vm) -> None:
    recorded = state.load(demo.RECORDED)
    vm.create_vcpu()
    with pytest.raises(state.RestoreError, match="1 vCPUs already"):
        state.restore(recorded, vm)


def test_demo_finds_only_what_time_moved() -> None:
    result = demo.run()
    assert result.recorded.origin.startswith("Linux 6.1")
    assert len(result.recorded.vcpus) == 4
    assert result.wrong == []
    # Four counters, and the two timers whose time came with the inputs of their interrupts.
    assert len(result.moved) == 8
    assert result.same == result.nr_registers - 8
    assert result.right


def test_demo_has_timer_interrupts_at_their_tick_and_not_before() -> None:
    firings = demo.run().firings
    assert [(f.vcpu, f.intid) for f in firings] == [(0, 27), (1, 27)]
    assert all(f.pending and f.queued and not f.early for f in firings)


def armed_vm(host: str, version: int) -> state.VmState:
    """Two vCPUs that have never run, their timers due at the same tick."""
    with kvmemu.System(host) as system, system.create_vm() as vm:
        system.counter.ticks = 0
        vm.create_vcpus(2)
        if version == 3:
            v3 = vm.create_vgic_v3()
            v3.dist["GICD_CTLR"] = 2
            for vcpu in vm.vcpus:
                v3.redist(vcpu)["GICR_ISENABLER0"] = 1 << 27
        elif version == 2:
            v2 = vm.create_vgic_v2()
            v2.dist["GICD_CTLR"] = 1
            for vcpu in vm.vcpus:
                v2.banked_dist(vcpu)["GICD_ISENABLER0"] = 1 << 27
        for vcpu in vm.vcpus:
            vcpu.regs["CNTV_CVAL_EL0"] = 1_000_000
            vcpu.regs["CNTV_CTL_EL0"] = demo.ENABLE
        return state.save(vm, "a test")


@pytest.mark.parametrize(
    ("host", "version", "firings"),
    [("gicv3-max", 3, 2), ("gicv2-cortex-a72", 2, 2), ("gicv3-gicv2-compat", 2, 2),
     ("gicv3-max", 0, 0)],
)  # fmt: skip
def test_demo_is_for_any_vm(tmp_path: Path, host: str, version: int, firings: int) -> None:
    path = tmp_path / "vm.state"
    state.store(armed_vm(host, version), path)
    result = demo.run(path, host)
    assert result.wrong == []
    assert result.right
    assert [f.tick for f in result.firings] == [1_000_000] * firings


def test_demo_tells_what_a_first_run_changes(tmp_path: Path) -> None:
    assert demo.run().settled == frozenset()  # its vCPUs have run
    state.store(armed_vm("gicv3-max", 3), tmp_path / "vm.state")
    result = demo.run(tmp_path / "vm.state")
    assert ("vCPU 0 GIC", "ICC_BPR0_EL1") in result.settled
    assert {(d.where, d.what) for d in result.moved} > result.settled


def test_demo_needs_vcpus(tmp_path: Path) -> None:
    with kvmemu.System() as system, system.create_vm() as vm:
        state.store(state.save(vm), tmp_path / "vm.state")
    with pytest.raises(state.StateFileError, match="it has no vCPUs"):
        demo.run(tmp_path / "vm.state")


def test_demo_notices_a_register_that_is_not_restored(tmp_path: Path) -> None:
    """The state of a vCPU that counts on something the host does not keep."""
    recorded = state.load(demo.RECORDED)
    body = state.dumps(recorded).rpartition("sha256 ")[0]
    # PMSWINC_EL0 reads as zero whatever is written.
    altered = body.replace("PMSWINC_EL0 0x0000000000000000", "PMSWINC_EL0 0x0000000000000001", 1)
    assert altered != body
    path = tmp_path / "vm.state"
    path.write_text(resealed(altered), encoding="utf-8")
    shutil.copy(demo.RECORDED.with_suffix(".ram"), tmp_path / "vm.ram")
    result = demo.run(path)
    assert [d.what for d in result.wrong] == ["PMSWINC_EL0"]
    assert not result.right


def test_differences_name_bit_fields() -> None:
    with kvmemu.System() as system, system.create_vm() as vm:
        system.counter.ticks = 100
        vm.create_vcpus(1)
        vm.vcpus[0].regs["CNTV_CVAL_EL0"] = 1 << 40
        before = state.save(vm)
        vm.vcpus[0].regs["CNTV_CTL_EL0"] = 3
        (difference,) = state.compare(before, state.save(vm))
        assert (difference.where, difference.what) == ("vCPU 0", "CNTV_CTL_EL0")
        assert [(d.what, d.before, d.after) for d in difference.details] == [
            ("IMASK", 0, 1), ("ENABLE", 0, 1),
        ]  # fmt: skip


def test_32_bit_host_comes_back() -> None:
    with kvmemu.System("arm32-cortex-a15") as system:
        system.counter.ticks = 5
        vm = system.create_vm()
        for _ in range(2):
            vm.create_vcpu().init()
        vm.create_vgic_v2()
        saved = state.loads(state.dumps(state.save(vm)))
        with system.create_vm() as other:
            state.restore(saved, other)
            assert state.compare(saved, state.save(other)) == []
