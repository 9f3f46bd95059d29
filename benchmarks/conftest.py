# SPDX-License-Identifier: MIT
"""Fixtures of the benchmarks. Run them with `make bench`; each prints beside its baseline."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import kvmemu


@pytest.fixture
def vcpu() -> Iterator[kvmemu.Vcpu]:
    """An initialised vCPU of the default host."""
    with kvmemu.System("gicv3-max") as system, system.create_vm() as vm:
        vcpu = vm.create_vcpu()
        vcpu.init()
        yield vcpu


@pytest.fixture
def pipe() -> Iterator[int]:
    """The reading end of a pipe."""
    reader, writer = os.pipe()
    yield reader
    os.close(reader)
    os.close(writer)
