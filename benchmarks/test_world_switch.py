# SPDX-License-Identifier: MIT
"""The world switch beside memcpy, exits and entries, interrupts on their way.

A round is a thousand batches of 64 world switches. `kvmemu bench world-switch` measures each batch,
and tells their distribution.
"""

from __future__ import annotations

import pytest
from kvmemu._core import ffi
from pytest_benchmark.fixture import BenchmarkFixture

from kvmemu import bench_switch
from kvmemu.bench_switch import CASES, ENTRY_EXITS, KNOWN_BYTES, STORAGES

BATCHES = 1000
FEW = 50


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("gic", [3, 2])
def test_baseline_memcpy_of_128_bytes(benchmark: BenchmarkFixture, gic: int, case: str) -> None:
    benchmark.group = f"world switch, GICv{gic}, {case}"
    ticks = ffi.new("double[]", BATCHES)
    assert benchmark(bench_switch.copies(KNOWN_BYTES), ticks, BATCHES) == 0


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("gic", [3, 2])
def test_world_switch(benchmark: BenchmarkFixture, gic: int, case: str, storage: str) -> None:
    benchmark.group = f"world switch, GICv{gic}, {case}"
    ticks = ffi.new("double[]", BATCHES)
    assert benchmark(bench_switch.switches(gic, case, storage), ticks, BATCHES) == 0


@pytest.mark.benchmark(group="exit and entry (50 batches of 64)")
@pytest.mark.parametrize("spis", ENTRY_EXITS)
def test_exit_and_entry(benchmark: BenchmarkFixture, spis: int) -> None:
    machine = bench_switch.running(1, spis)
    assert len(benchmark(bench_switch.entry_exit_samples, machine, FEW)) == FEW


# On two vCPUs a round would last until both have a CPU at once: `kvmemu bench` has that.
@pytest.mark.benchmark(group="interrupts: sent, acknowledged, ended (50 batches of 64)")
def test_roundtrip(benchmark: BenchmarkFixture) -> None:
    machine = bench_switch.running(1, 1)
    assert benchmark(bench_switch.roundtrip_samples, machine, FEW)


@pytest.mark.benchmark(group="SGIs between two vCPUs on two threads (50 there and back)")
def test_ping_pong(benchmark: BenchmarkFixture) -> None:
    machine = bench_switch.running(2, 0)
    assert len(benchmark(bench_switch.ping_pong_samples, machine, FEW)) == FEW
