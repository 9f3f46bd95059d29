# SPDX-License-Identifier: MIT
"""Saving and restoring whole VMs, beside plain batches in C of the same registers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import kvmemu
from kvmemu import bench_vm
from kvmemu.bench_vm import WholeVm
from kvmemu.gic_irq import NR_PRIVATE_IRQS

SIZES = [
    pytest.param((vcpus, spis), id=f"{vcpus}vcpu_{spis}spi")
    for spis in bench_vm.SPIS
    for vcpus in bench_vm.VCPUS
]


@pytest.fixture
def system() -> Iterator[kvmemu.System]:
    """The default host."""
    with kvmemu.System("gicv3-max") as system:
        yield system


@pytest.fixture
def whole(request: pytest.FixtureRequest, system: kvmemu.System) -> WholeVm:
    """A VM of the size that the test is about, with a GICv3."""
    nr_vcpus, nr_spis = request.param
    whole = bench_vm.make(system, nr_vcpus, nr_spis)
    assert whole.state.gic is not None
    assert whole.state.gic.nr_irqs == NR_PRIVATE_IRQS + nr_spis
    return whole


@pytest.mark.parametrize("whole", SIZES, indirect=True)
def test_baseline_batches_read_in_c(benchmark: BenchmarkFixture, whole: WholeVm) -> None:
    benchmark.group = f"save {whole.name}"
    assert benchmark(whole.c_batches, False) > 0


@pytest.mark.parametrize("whole", SIZES, indirect=True)
def test_save(benchmark: BenchmarkFixture, whole: WholeVm) -> None:
    benchmark.group = f"save {whole.name}"
    assert benchmark(whole.save) > 0


@pytest.mark.parametrize("whole", SIZES, indirect=True)
def test_baseline_batches_written_in_c(benchmark: BenchmarkFixture, whole: WholeVm) -> None:
    benchmark.group = f"restore {whole.name}"
    assert benchmark(whole.c_batches, True) > 0


@pytest.mark.parametrize("whole", SIZES, indirect=True)
def test_restore(benchmark: BenchmarkFixture, whole: WholeVm) -> None:
    benchmark.group = f"restore {whole.name}"
    assert benchmark(whole.restore) > 0
