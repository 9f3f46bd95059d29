# SPDX-License-Identifier: MIT
"""What saving and restoring a whole VM costs, beside plain batches in C of the same registers."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kvmemu import constants as kvm
from kvmemu._core import ffi, lib
from kvmemu.errors import kvm_error
from kvmemu.gic_irq import NR_PRIVATE_IRQS
from kvmemu.registers import RegisterIds
from kvmemu.state import VmState, restore, save
from kvmemu.system import System
from kvmemu.vm import Vm

FEATURES = (kvm.KVM_ARM_VCPU_PSCI_0_2, kvm.KVM_ARM_VCPU_PMU_V3)
VCPUS = (1, 8, 64, 512)
AT_ONCE = 128  # vCPUs saved or restored in a round: small VMs several times
# KVM takes numbers of interrupts up to 992 in steps of 32: with 32 private ones that is 960 SPIs.
SPIS = (256, 960)


def _checked(ns: float) -> float:
    if ns < 0:
        raise kvm_error(int(-ns), "a measured batch")
    return ns


@dataclass
class Batch:
    """Registers of all vCPUs, and of the GIC, with memory for their values: what C needs.

    Attributes:
        ids: the vCPUs' registers.
        values: theirs, of one vCPU after another; filled.
        blocks: group, attributes and values, filled, of each part of the GIC's registers.
    """

    ids: RegisterIds
    values: Any
    blocks: list[tuple[int, Any, Any]]


def _batch(vm: Vm, ids: RegisterIds, state: VmState) -> Batch:
    assert state.gic is not None
    values = bytearray().join(vcpu.get_regs(ids) for vcpu in vm.vcpus)
    blocks = [
        (block.group, ffi.from_buffer("uint64_t[]", block.attrs),
         ffi.from_buffer(bytearray(block.values)))
        for block in state.gic.blocks
    ]  # fmt: skip
    return Batch(ids, ffi.from_buffer(values), blocks)


@dataclass
class WholeVm:
    """A VM with a GICv3, its saved state, and what plain batches need.

    Attributes:
        name: ends the subjects' names: vCPUs, and SPIs unless they are 256.
        state: the VM's, saved once.
        read, written: what is read and what is written of it.
        handles: of its vCPUs.
    """

    name: str
    system: System
    vm: Vm
    state: VmState
    read: Batch
    written: Batch
    handles: Any

    @property
    def registers(self) -> float:
        """Registers and attributes a vCPU, its share of the distributor's included."""
        assert self.state.gic is not None
        attrs = sum(map(len, self.state.gic.blocks))
        return (self.state.nr_registers + attrs) / len(self.vm.vcpus)

    @property
    def state_bytes(self) -> float:
        """Bytes of values a vCPU that the state consists of."""
        assert self.state.gic is not None
        values = [*(vcpu.values for vcpu in self.state.vcpus)]
        values += [block.values for block in self.state.gic.blocks]
        return sum(map(len, values)) / len(self.vm.vcpus)

    def c_batches(self, set_: bool) -> float:
        """Nanoseconds a vCPU for all registers, of vCPUs and GIC, read or written in C."""
        assert self.vm.gic is not None
        batch, gic = self.written if set_ else self.read, self.vm.gic.handle()
        count, size = len(self.vm.vcpus), batch.ids.nr_bytes
        total = _checked(
            lib.kvmemu_bench_vcpus(
                self.handles, count, batch.ids.pointer, len(batch.ids), batch.values, size, set_
            )
        )
        for group, attrs, values in batch.blocks:
            total += _checked(
                lib.kvmemu_bench_attrs(gic, group, attrs, len(attrs), values, len(values), set_)
            )
        return total / count

    def save(self) -> float:
        """Nanoseconds a vCPU."""
        begin = time.thread_time_ns()
        saved = save(self.vm)
        took = time.thread_time_ns() - begin
        return took / len(saved.vcpus)

    def restore(self) -> float:
        """Nanoseconds a vCPU; the vCPUs and the GIC are created too."""
        with self.system.create_vm(self.state.ipa_bits) as vm:
            begin = time.thread_time_ns()
            restore(self.state, vm)
            took = time.thread_time_ns() - begin
            for vcpu in vm.vcpus:
                vcpu.close()
            if vm.gic is not None:
                vm.gic.close()
        return took / len(self.vm.vcpus)


def make(system: System, nr_vcpus: int, nr_spis: int) -> WholeVm:
    """A VM to measure with; nr_spis a multiple of 32."""
    vm = system.create_vm()
    vm.create_vcpus(nr_vcpus, FEATURES)
    vm.create_vgic_v3(nr_irqs=NR_PRIVATE_IRQS + nr_spis)
    ids = vm.vcpus[0].register_ids()
    # The counter is left out of what is set: writing it moves the VM's time.
    settable = RegisterIds(i for i in ids if i != kvm.KVM_REG_ARM_TIMER_CNT)
    name = str(nr_vcpus) if nr_spis == SPIS[0] else f"{nr_vcpus}.{nr_spis}spi"
    state = save(vm)
    return WholeVm(
        name, system, vm, state, _batch(vm, ids, state), _batch(vm, settable, state),
        ffi.new("struct kvmemu_file *[]", [vcpu.handle() for vcpu in vm.vcpus]),
    )  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """A subject: its name, the name of its baseline, and what measures it, in ns a vCPU.

    Attributes:
        registers, state_bytes: a vCPU's; None for a baseline.
    """

    name: str
    baseline: str | None
    once: Callable[[], float]
    registers: float | None = None
    state_bytes: float | None = None


def measured(system: System) -> Iterator[Measured]:
    """All subjects, each after its baseline."""
    for nr_spis in SPIS:
        for nr_vcpus in VCPUS:
            whole = make(system, nr_vcpus, nr_spis)
            for word, set_, once in (("save", False, whole.save), ("restore", True, whole.restore)):
                name = f"vm.{word}.{whole.name}"
                batches = functools.partial(whole.c_batches, set_)
                yield Measured(f"{name}.c", None, _repeated(batches, nr_vcpus))
                yield Measured(
                    name, f"{name}.c", _repeated(once, nr_vcpus), whole.registers,
                    whole.state_bytes,
                )  # fmt: skip


def _repeated(once: Callable[[], float], nr_vcpus: int) -> Callable[[], float]:
    times = max(1, AT_ONCE // nr_vcpus)
    return lambda: sum(once() for _ in range(times)) / times


def _vm_bytes(system: System, nr_vcpus: int) -> float:
    before = _checked(lib.kvmemu_bench_allocated())
    with system.create_vm() as vm:
        vm.create_vcpus(nr_vcpus, FEATURES)
        vm.create_vgic_v3()
        return _checked(lib.kvmemu_bench_allocated()) - before


def vcpu_bytes(system: System, count: int) -> float:
    """Bytes of memory that the core keeps a vCPU: what a VM with a GICv3 takes more with vCPUs than
    without. The kvm_run page comes on top, once a vCPU runs.

    Raises:
        KvmError: the C library does not tell.
    """
    return (_vm_bytes(system, count) - _vm_bytes(system, 0)) / count
