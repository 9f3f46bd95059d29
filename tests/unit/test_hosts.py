# SPDX-License-Identifier: MIT
"""Host profiles: built-in ones, files, and what is wrong with bad ones."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import kvmemu
from kvmemu import constants as kvm
from kvmemu import hosts
from kvmemu.make_stubs import stub

ROOT = Path(__file__).resolve().parents[2]


def test_built_in_hosts_are_the_profiles() -> None:
    names = kvmemu.host_names()
    assert names[0] == "gicv3-max"
    assert set(names) == {path.stem for path in hosts.profile_path("x").parent.glob("*.toml")}


@pytest.mark.skipif(not (ROOT / "csrc").is_dir(), reason="not in a checkout")
def test_generated_files_are_not_stale() -> None:
    sys.path.insert(0, str(ROOT / "csrc" / "machine"))
    try:
        make_builtin_hosts = importlib.import_module("make_builtin_hosts")
    finally:
        sys.path.pop(0)
    generated = ROOT / "csrc" / "machine" / "builtin_hosts.c"
    assert generated.read_text() == make_builtin_hosts.c_source(), "run `make hosts`"
    assert (ROOT / "kvmemu" / "constants.pyi").read_text() == stub(), "run `make stubs`"


@pytest.mark.parametrize("name", kvmemu.host_names())
def test_every_host_makes_vcpus(name: str) -> None:
    with kvmemu.System(name) as system, system.create_vm() as vm:
        vcpu = vm.create_vcpu()
        vcpu.init(())
        assert len(vcpu.reg_list()) > 40


def test_toml_file_is_a_host(tmp_path: Path) -> None:
    profile = hosts.profile_path("gicv3-max").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(profile.replace("KVM_CAP_MAX_VCPUS = 512", "KVM_CAP_MAX_VCPUS = 3"))
    with kvmemu.System(path) as system, system.create_vm() as vm:
        vm.create_vcpus(3)
        with pytest.raises(kvmemu.KvmError):
            vm.create_vcpu()


def test_compiled_description_is_the_same_host(tmp_path: Path) -> None:
    path = tmp_path / "mine.host"
    path.write_text(hosts.profile_text(hosts.profile_path("gicv3-max-sve")))
    with kvmemu.System(path) as system:
        assert system.check_extension(kvm.KVM_CAP_ARM_SVE) == 1


def test_environment_picks_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVMEMU_HOST", "gicv3-max-sve")
    with kvmemu.System() as system:
        assert system.check_extension(kvm.KVM_CAP_ARM_SVE) == 1


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        pytest.param("version = 3", "version = 5", "gic.version is 5: 2 to 3 expected", id="range"),
        pytest.param("hz = 62500000\n", "", "counter.hz is missing", id="missing"),
        pytest.param("its = true", "its = 7", "true or false expected", id="not-a-bool"),
        pytest.param("its = true", "v2_compat = 2", "v2_compat is \"2\": true or", id="compat-2"),
        pytest.param("version = 3", "version = 2", "gic.its is true, but gic.version is 2: only a "
                     "GICv3 has it", id="its-of-a-gicv2"),
        pytest.param("version = 3\n", "version = 2\nv2_compat = true\n", "gic.v2_compat is true, "
                     "but gic.version is 2", id="compatible-with-itself"),
        pytest.param("its = true", "itz = true", 'unknown key "gic.itz"', id="unknown-key"),
        pytest.param("KVM_CAP_IRQCHIP", "KVM_CAP_NOPE", "KVM_CAP_NOPE is not a cap", id="cap"),
        pytest.param("KVM_CAP_IRQCHIP = 1", "KVM_CAP_IRQCHIP = 0x1000000000",
                     r"bad\.toml: capability\.KVM_CAP_IRQCHIP: capability 0 is", id="cap-value"),
        pytest.param("KVM_CAP_IRQCHIP = 1", "99999 = 1",
                     'capability.99999: "99999" is not a capability', id="cap-number"),
        pytest.param("MIDR_EL1", "MIDR_EL7", 'no register "MIDR_EL7"', id="register"),
        pytest.param("MIDR_EL1", '"MIDR EL1"', "'register.MIDR EL1' is no key", id="two-words"),
        pytest.param("[gic]", '"" = 1\n[gic]', "'' is no key", id="no-word"),
        pytest.param("target = 5", "target = [5]", "cpu.target is", id="array"),
        pytest.param("[gic]", "[gic", "not TOML", id="syntax"),
    ],
)  # fmt: skip
def test_bad_profile_is_refused_in_words(tmp_path: Path, old: str, new: str, why: str) -> None:
    profile = hosts.profile_path("gicv3-max").read_text()
    assert old in profile
    path = tmp_path / "bad.toml"
    path.write_text(profile.replace(old, new))
    with pytest.raises(kvmemu.HostError, match=why) as caught:
        kvmemu.System(path)
    assert "bad.toml" in str(caught.value)
    assert ": line " not in str(caught.value)  # of a text that nobody has written


def test_descriptions_name_their_lines(tmp_path: Path) -> None:
    text = hosts.profile_text(hosts.profile_path("gicv3-max"))
    path = tmp_path / "bad.host"
    path.write_text(text.replace("gic.version 3", "gic.version 5"))
    with pytest.raises(kvmemu.HostError, match=r"bad\.host: line \d+: gic\.version is 5"):
        kvmemu.System(path)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/dev/zero", "too long for a host profile"),
        ("/dev/../dev/", "Is a directory"),
        ("/nonexistent/x.toml", "No such file"),
        ("\udcff", "there is no host"),
        ("gicv3-max\0", "there is no host"),
    ],
)
def test_what_is_no_host(name: str, why: str) -> None:
    with pytest.raises(kvmemu.HostError, match=why):
        kvmemu.System(name)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(kvmemu.HostError, match=r"gone\.toml"):
        kvmemu.System(tmp_path / "gone.toml")


@pytest.mark.parametrize(
    ("name", "v2", "v3"),
    [
        pytest.param("gicv2-cortex-a72", True, False, id="gicv2"),
        pytest.param("gicv3-max", False, True, id="gicv3"),
        pytest.param("gicv3-gicv2-compat", True, True, id="both"),
    ],
)
def test_profile_says_which_gic_a_vm_can_have(name: str, v2: bool, v3: bool) -> None:
    with kvmemu.System(name) as system, system.create_vm() as vm:
        assert vm.can_create_device(kvm.KVM_DEV_TYPE_ARM_VGIC_V2) is v2
        assert vm.can_create_device(kvm.KVM_DEV_TYPE_ARM_VGIC_V3) is v3
