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
from kvmemu.bench_switch import (
    CASES,
    COLD_PARTS,
    ENTRY_EXITS,
    KNOWN_BYTES,
    PARTS,
    STORAGES,
)

BATCHES = 1000
FEW = 50


# As `kvmemu bench --json` calls them, without "world_switch." in front.
NAMES = [
    f"v{gic}.{case}.{storage}{part}"
    for gic in (3, 2)
    for case in CASES
    for part in (PARTS if case == "lr16" else [""])
    for storage in STORAGES
]
NAMES += [f"v3.lr16.{storage}{part}" for part in COLD_PARTS for storage in STORAGES]


def group_of(name: str) -> tuple[str, str, str]:
    """GIC, case and part: what is compared with each other."""
    gic, case, _, *rest = name.split(".")
    return gic, case, "".join(f".{word}" for word in rest)


GROUPS = list(dict.fromkeys(map(group_of, NAMES)))


@pytest.mark.parametrize("group", GROUPS, ids="{0[0]}.{0[1]}{0[2]}".format)
def test_baseline_memcpy_of_128_bytes(
    benchmark: BenchmarkFixture, group: tuple[str, str, str]
) -> None:
    gic, case, part = group
    benchmark.group = f"world switch: {gic}.{case}{part}"
    ticks = ffi.new("double[]", BATCHES)
    assert benchmark(bench_switch.copies(KNOWN_BYTES, part), ticks, BATCHES) == 0


@pytest.mark.parametrize("name", NAMES)
def test_world_switch(benchmark: BenchmarkFixture, name: str) -> None:
    gic, case, part = group_of(name)
    benchmark.group = f"world switch: {gic}.{case}{part}"
    ticks = ffi.new("double[]", BATCHES)
    measure = bench_switch.switches(int(gic[1:]), case, name.split(".")[2], part)
    assert benchmark(measure, ticks, BATCHES) == 0


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
