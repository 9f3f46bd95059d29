# SPDX-License-Identifier: MIT
"""GICv2 VMs of a GICv3 host with GICv2 compatibility, where their CPU interface is a GICv3's.

Linux answers most of this in tests/conformance. Here is what QEMU has no machine for: VHE, other
numbers of priority bits, a CPU interface without system registers.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import kvmemu
from kvmemu import constants as kvm
from kvmemu import hosts
from kvmemu.gic import VgicV2

HOST = "gicv3-gicv2-compat"
ALARM_S = 0.02


def profile(folder: Path, host: str, old: str, new: str) -> Path:
    """A file with a built-in host's profile, changed."""
    text = hosts.profile_path(host).read_text()
    assert old in text
    path = folder / "mine.toml"
    path.write_text(text.replace(old, new))
    return path


def v2_vm(system: kvmemu.System) -> tuple[VgicV2, kvmemu.Vcpu]:
    vm = system.create_vm()
    vcpu = vm.create_vcpu()
    vcpu.init(())
    return vm.create_vgic_v2(), vcpu


def run_at_once(vcpu: kvmemu.Vcpu) -> None:
    """KVM_RUN that only puts the vCPU on a physical CPU."""
    vcpu.immediate_exit = True
    with pytest.raises(InterruptedError):
        vcpu.run()
    vcpu.immediate_exit = False


def enter_guest(vcpu: kvmemu.Vcpu) -> None:
    """KVM_RUN until a signal comes."""
    previous = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, ALARM_S, ALARM_S)
        with pytest.raises(InterruptedError):
            vcpu.run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_a_vm_has_one_of_both() -> None:
    with kvmemu.System(HOST) as system:
        for first in (kvmemu.Vm.create_vgic_v2, kvmemu.Vm.create_vgic_v3):
            with system.create_vm() as vm:
                assert vm.check_extension(kvm.KVM_CAP_MAX_VCPUS) == 512
                vm.create_vcpus(2)
                first(vm)
                for second in (kvmemu.Vm.create_vgic_v2, kvmemu.Vm.create_vgic_v3):
                    with pytest.raises(FileExistsError):
                        second(vm)
                limit = 8 if first is kvmemu.Vm.create_vgic_v2 else 512
                assert vm.check_extension(kvm.KVM_CAP_MAX_VCPUS) == limit


@pytest.mark.parametrize(
    ("bits", "registers"), [pytest.param(5, 1), pytest.param(6, 2), pytest.param(7, 4)]
)
def test_active_priorities_take_as_many_registers_as_the_host_has_bits(
    tmp_path: Path, bits: int, registers: int
) -> None:
    """vgic_v3_max_apr_idx(), vgic_mmio_read_apr(), Linux 6.1."""
    path = profile(tmp_path, HOST, "priority_bits = 5", f"priority_bits = {bits}")
    with kvmemu.System(path) as system:
        gic, vcpu = v2_vm(system)
        for n in range(4):
            gic.cpu(vcpu)[f"GICC_APR{n}"] = 0x80000001 + n
        values = [gic.cpu(vcpu)[f"GICC_APR{n}"] for n in range(4)]
        assert values == [0x80000001 + n if n < registers else 0 for n in range(4)]


@pytest.mark.parametrize(
    ("host", "run", "is_loaded"),
    [
        pytest.param("gicv2-cortex-a72", run_at_once, True, id="gicv2"),
        pytest.param(HOST, run_at_once, False, id="not-entered"),
        pytest.param(HOST, enter_guest, True, id="entered"),
        pytest.param("gicv3-max", run_at_once, True, id="vhe"),
    ],
)
def test_binary_points_have_their_least_value_once_loaded(
    tmp_path: Path, host: str, run: Callable[[kvmemu.Vcpu], None], is_loaded: bool
) -> None:
    """vgic_v2_load(), vgic_v3_load(), __vgic_v3_activate_traps() on VHE or not, Linux 6.1."""
    path: Path | str = host
    if host == "gicv3-max":
        path = profile(tmp_path, host, "version = 3\n", "version = 3\nv2_compat = true\n")
    with kvmemu.System(path) as system:
        gic, vcpu = v2_vm(system)
        cpu = gic.cpu(vcpu)
        assert (cpu["GICC_BPR"], cpu["GICC_ABPR"]) == (0, 0)
        run(vcpu)
        assert (cpu["GICC_BPR"], cpu["GICC_ABPR"]) == ((2, 3) if is_loaded else (0, 0))


@pytest.mark.parametrize("control", [0x0, 0x4, 0x7, 0x9, 0x21F])
def test_control_bits_without_system_registers_survive_a_run(control: int) -> None:
    """AckCtl (bit 2) and FIQEn (bit 3) are fixed only where ICC_SRE_EL1.SRE is set (IHI 0069)."""
    with kvmemu.System(HOST) as system:
        gic, vcpu = v2_vm(system)
        gic.cpu(vcpu)["GICC_CTLR"] = control
        enter_guest(vcpu)
        assert gic.cpu(vcpu)["GICC_CTLR"] == control
