# SPDX-License-Identifier: MIT
"""KVM_IRQ_LINE: from C, from Python, beside real system calls."""

from __future__ import annotations

import fcntl
import termios
from collections.abc import Iterator

import pytest
from kvmemu._core import lib
from pytest_benchmark.fixture import BenchmarkFixture

import kvmemu
from kvmemu import constants as kvm

CALLS = 10_000
INTID = 40
SPI = kvm.KVM_ARM_IRQ_TYPE_SPI << kvm.KVM_ARM_IRQ_TYPE_SHIFT | INTID
PPI = kvm.KVM_ARM_IRQ_TYPE_PPI << kvm.KVM_ARM_IRQ_TYPE_SHIFT | 20


@pytest.fixture
def vm() -> Iterator[kvmemu.Vm]:
    """A VM with a GICv3 whose distributor is on."""
    with kvmemu.System("gicv3-max") as system, system.create_vm() as vm:
        vm.create_vcpus(4)
        gic = vm.create_vgic_v3()
        gic.dist["GICD_CTLR"] = 2
        gic.dist["GICD_ISENABLER1"] = 0xFFFFFFFF
        yield vm


@pytest.mark.benchmark(group="interrupt line, from C (10,000 calls)")
@pytest.mark.parametrize("kind", ["set-a-flag", "unknown-request", "no-such-descriptor"])
def test_baseline_ioctl_system_call(benchmark: BenchmarkFixture, kind: str) -> None:
    kinds = ["set-a-flag", "unknown-request", "no-such-descriptor"]
    benchmark(lib.kvmemu_bench_ioctl, kinds.index(kind), CALLS)


@pytest.mark.benchmark(group="interrupt line, from C (10,000 calls)")
@pytest.mark.parametrize("irq", [pytest.param(SPI, id="spi"), pytest.param(PPI, id="ppi")])
def test_irq_line_in_c(benchmark: BenchmarkFixture, vm: kvmemu.Vm, irq: int) -> None:
    assert benchmark(lib.kvmemu_bench_irq_line, vm.handle(), irq, CALLS) > 0


@pytest.mark.benchmark(group="interrupt line, from Python (up and down)")
def test_baseline_two_fcntl_ioctls_on_a_pipe(benchmark: BenchmarkFixture, pipe: int) -> None:
    buffer = bytearray(4)

    def twice() -> None:
        fcntl.ioctl(pipe, termios.FIONREAD, buffer)
        fcntl.ioctl(pipe, termios.FIONREAD, buffer)

    benchmark(twice)


@pytest.mark.benchmark(group="interrupt line, from Python (up and down)")
def test_irq_line_in_python(benchmark: BenchmarkFixture, vm: kvmemu.Vm) -> None:
    assert vm.gic is not None

    def up_and_down() -> None:
        vm.spi(INTID, True)
        vm.spi(INTID, False)

    assert not vm.gic.irq(INTID).pending
    benchmark(up_and_down)
    assert vm.gic.irq(INTID).pending  # by its edges
