# SPDX-License-Identifier: MIT
"""Creating and closing VMs and vCPUs; saving and restoring whole VMs."""

from __future__ import annotations

import os

import pytest
from kvmemu._core import lib
from pytest_benchmark.fixture import BenchmarkFixture

import kvmemu
from kvmemu import state


def _open_and_close() -> None:
    os.close(os.open("/dev/null", os.O_RDONLY))


@pytest.mark.benchmark(group="creation")
def test_baseline_open_and_close_a_file(benchmark: BenchmarkFixture) -> None:
    benchmark(_open_and_close)


@pytest.mark.benchmark(group="creation")
@pytest.mark.parametrize("vcpus", [0, 1, 64])
def test_create_vm(benchmark: BenchmarkFixture, vcpus: int) -> None:
    with kvmemu.System("gicv3-max") as system:
        assert benchmark(lib.kvmemu_bench_create_vm, system.handle(), vcpus, 1) > 0


@pytest.mark.benchmark(group="whole VM, 8 vCPUs")
def test_baseline_batches_of_8_vcpus(benchmark: BenchmarkFixture) -> None:
    with kvmemu.System("gicv3-max") as system, system.create_vm() as vm:
        ids = [(vcpu, vcpu.reg_list()) for vcpu in vm.create_vcpus(8)]
        benchmark(lambda: [vcpu.get_regs(own) for vcpu, own in ids])


@pytest.mark.benchmark(group="whole VM, 8 vCPUs")
def test_save_8vcpu(benchmark: BenchmarkFixture) -> None:
    with kvmemu.System("gicv3-max") as system, system.create_vm() as vm:
        vm.create_vcpus(8)
        assert len(benchmark(state.save, vm).vcpus) == 8


@pytest.mark.benchmark(group="whole VM, 8 vCPUs")
def test_restore_8vcpu(benchmark: BenchmarkFixture) -> None:
    with kvmemu.System("gicv3-max") as system, system.create_vm() as vm:
        vm.create_vcpus(8)
        saved = state.save(vm)

        def once() -> None:
            with system.create_vm() as target:
                state.restore(saved, target)

        benchmark(once)
