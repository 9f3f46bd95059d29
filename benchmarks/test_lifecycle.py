# SPDX-License-Identifier: MIT
"""Creating and closing VMs and vCPUs."""

from __future__ import annotations

import os

import pytest
from kvmemu._core import lib
from pytest_benchmark.fixture import BenchmarkFixture

import kvmemu


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
