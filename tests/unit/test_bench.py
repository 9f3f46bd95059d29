# SPDX-License-Identifier: MIT
"""`kvmemu bench`: figures are there, as ratios of what was measured; none is judged."""

from __future__ import annotations

import math

import pytest

from kvmemu import bench


def test_figures_and_their_baselines() -> None:
    results = {result.name: result for result in bench.measure(rounds=2, calls=2000)}
    assert {
        "ioctl.floor",
        "one_reg.get.c",
        "one_reg.get.python",
        "one_reg.get.batch",
        "one_reg.set.c",
        "vm.create",
        "vcpu.create",
        "irq.line.c",
        "irq.line.python",
        "vcpu.memory",
    } <= set(results)
    for size in ("1", "8", "64", "512", "1.960spi", "8.960spi", "64.960spi", "512.960spi"):
        for word in ("save", "restore"):
            whole = results[f"vm.{word}.{size}"]
            assert whole.baseline == f"vm.{word}.{size}.c"
            assert whole.registers_per_second is not None
            assert whole.registers_per_second > 0
            assert whole.state_bytes_per_vcpu is not None
            assert whole.state_bytes_per_vcpu > 242 * 8
    for result in results.values():
        assert result.value > 0
        assert math.isfinite(result.value)
        if result.baseline is None:
            assert result.ratio is None
        else:
            assert result.baseline in results
            assert result.ratio is not None
            assert result.ratio > 0


def test_only_what_is_named_and_its_baselines_are_measured() -> None:
    results = bench.measure(rounds=1, calls=1000, names=["one_reg.get.p"])
    assert {result.name for result in results} == {"one_reg.get.python", "fcntl.ioctl.pipe"}


def test_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no measurement is called 'nosuch'; there are ioctl.fl"):
        bench.measure(names=["nosuch"])
