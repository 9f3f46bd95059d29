# SPDX-License-Identifier: MIT
"""What saving and restoring a whole VM costs, beside plain batches in C of the same registers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kvmemu import constants as kvm
from kvmemu._core import ffi, lib
from kvmemu.errors import kvm_error
from kvmemu.state import VmState, restore, save
from kvmemu.system import System
from kvmemu.vm import Vm

FEATURES = (kvm.KVM_ARM_VCPU_PSCI_0_2, kvm.KVM_ARM_VCPU_PMU_V3)
SIZES = ((1, 256), (8, 256), (64, 256), (512, 256), (512, 992))  # vCPUs, interrupts


def _checked(ns: float) -> float:
    if ns < 0:
        raise kvm_error(int(-ns), "a measured batch")
    return ns


@dataclass
class WholeVm:
    """A VM, its saved state, and what the plain batches need.

    Attributes:
        name: ends the subjects' names.
    """

    name: str
    system: System
    vm: Vm
    state: VmState
    handles: Any
    ids: Any
    settable: Any

    def c_batches(self, set_: bool) -> float:
        """Nanoseconds a vCPU for all registers, of vCPUs and GIC, read or written in C."""
        assert self.vm.gic is not None
        assert self.state.gic is not None
        ids = self.settable if set_ else self.ids
        count = len(self.vm.vcpus)
        total = _checked(lib.kvmemu_bench_vcpus(self.handles, count, ids, len(ids), set_))
        for block in self.state.gic.blocks:
            attrs = ffi.from_buffer("uint64_t[]", block.attrs)
            total += _checked(
                lib.kvmemu_bench_attrs(
                    self.vm.gic.handle(), block.group, attrs, len(block), block.size, set_
                )
            )
        return total / count

    def save(self) -> float:
        """Nanoseconds a vCPU."""
        begin = time.perf_counter_ns()
        saved = save(self.vm)
        took = time.perf_counter_ns() - begin
        return took / len(saved.vcpus)

    def restore(self) -> float:
        """Nanoseconds a vCPU; the vCPUs and the GIC are created too."""
        with self.system.create_vm(self.state.ipa_bits) as vm:
            begin = time.perf_counter_ns()
            restore(self.state, vm)
            took = time.perf_counter_ns() - begin
            for vcpu in vm.vcpus:
                vcpu.close()
            if vm.gic is not None:
                vm.gic.close()
        return took / len(self.vm.vcpus)


def _make(system: System, nr_vcpus: int, nr_irqs: int) -> WholeVm:
    vm = system.create_vm()
    vm.create_vcpus(nr_vcpus, FEATURES)
    vm.create_vgic_v3(nr_irqs=nr_irqs)
    ids = vm.vcpus[0].reg_list()
    # The counter is left out of what is set: writing it moves the VM's time.
    settable = [i for i in ids if i != kvm.KVM_REG_ARM_TIMER_CNT]
    name = str(nr_vcpus) if nr_irqs == 256 else f"{nr_vcpus}.{nr_irqs}"
    return WholeVm(
        name, system, vm, save(vm),
        ffi.new("struct kvmemu_file *[]", [vcpu.handle() for vcpu in vm.vcpus]),
        ffi.new("uint64_t[]", ids), ffi.new("uint64_t[]", settable),
    )  # fmt: skip


def measured(system: System) -> Iterator[tuple[str, str | None, Callable[[], float]]]:
    """Name, baseline and measurement of each subject; all are in nanoseconds a vCPU."""
    for nr_vcpus, nr_irqs in SIZES:
        whole = _make(system, nr_vcpus, nr_irqs)
        for word, set_, once in (("save", False, whole.save), ("restore", True, whole.restore)):
            baseline = f"vm.{word}.{whole.name}.c"
            yield baseline, None, _baseline(whole, set_)
            yield f"vm.{word}.{whole.name}", baseline, once


def _baseline(whole: WholeVm, set_: bool) -> Callable[[], float]:
    return lambda: whole.c_batches(set_)
