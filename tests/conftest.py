# SPDX-License-Identifier: MIT
"""Fixtures that all tests share: systems, VMs and vCPUs on a stepped counter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kvmemu


@pytest.fixture
def system() -> Iterator[kvmemu.System]:
    """The default host, its counter standing still."""
    with kvmemu.System() as system:
        system.counter.ticks = 1_000_000
        yield system


@pytest.fixture
def vm(system: kvmemu.System) -> Iterator[kvmemu.Vm]:
    """A new VM."""
    with system.create_vm() as vm:
        yield vm


@pytest.fixture
def vcpu(vm: kvmemu.Vm) -> kvmemu.Vcpu:
    """An initialised vCPU."""
    return vm.create_vcpus(1, [kvmemu.constants.KVM_ARM_VCPU_PSCI_0_2])[0]
