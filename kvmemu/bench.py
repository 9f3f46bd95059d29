# SPDX-License-Identifier: MIT
"""What calls cost, as ratios to something measured in the same run.

Times drift with the machine, ratios much less: each round measures a subject and its baseline one
right after the other, and the median over the rounds is reported. Time is the thread's CPU time, so
that what other programs take of the machine does not count; where a batch is so short that it is
hardly ever interrupted, it is the finest clock's. benchmarks/ has the same subjects for
pytest-benchmark, and more.
"""

from __future__ import annotations

import fcntl
import os
import termios
import time
from collections.abc import Callable, Iterator, Sequence

from kvmemu import bench_switch, bench_vm
from kvmemu import constants as kvm
from kvmemu._core import ffi, lib
from kvmemu.bench_result import Result, Samples, Subject, result
from kvmemu.errors import kvm_error
from kvmemu.registers import find
from kvmemu.system import System
from kvmemu.vcpu import Vcpu

ROUNDS = 15
FLOOR = "ioctl.floor"
FCNTL = "fcntl.ioctl.pipe"
NR_VCPUS = 16
SAMPLE_REGISTER = "SCTLR_EL1"


def _each(total_ns: float, count: int) -> float:
    if total_ns < 0:
        raise kvm_error(int(-total_ns), "a measured call")
    return total_ns / count


def _python(call: Callable[[], object], count: int) -> float:
    begin = time.thread_time_ns()
    for _ in range(count):
        call()
    return (time.thread_time_ns() - begin) / count


def _register_id(name: str) -> int:
    register = find(name)
    assert register is not None
    return register.id


def _one_reg_subjects(vcpu: Vcpu, n: int) -> Iterator[Subject]:
    handle, sample = vcpu.handle(), _register_id(SAMPLE_REGISTER)
    ids = vcpu.reg_list()
    packed, count = ffi.new("uint64_t[]", ids), len(ids)
    # The counter is left out of what is set: writing it moves the VM's time.
    settable = [i for i in ids if i != kvm.KVM_REG_ARM_TIMER_CNT]
    packed_set, count_set = ffi.new("uint64_t[]", settable), len(settable)
    value = vcpu.get_one_reg(sample)
    rounds = max(1, n // count)

    yield Subject(
        "one_reg.get.c", "ns/call", FLOOR,
        lambda: _each(lib.kvmemu_bench_get_one_reg(handle, sample, n), n),
    )  # fmt: skip
    yield Subject(
        "one_reg.set.c", "ns/call", FLOOR,
        lambda: _each(lib.kvmemu_bench_set_one_reg(handle, sample, n), n),
    )  # fmt: skip
    yield Subject(
        "one_reg.get.batch", "ns/register", FLOOR,
        lambda: _each(
            lib.kvmemu_bench_get_regs(handle, packed, count, rounds), rounds * count
        ),
    )  # fmt: skip
    yield Subject(
        "one_reg.set.batch", "ns/register", FLOOR,
        lambda: _each(
            lib.kvmemu_bench_set_regs(handle, packed_set, count_set, rounds), rounds * count_set
        ),
    )  # fmt: skip
    yield Subject(
        "one_reg.get.python", "ns/call", FCNTL,
        lambda: _python(lambda: vcpu.get_one_reg(sample), n // 10),
    )  # fmt: skip
    yield Subject(
        "one_reg.set.python", "ns/call", FCNTL,
        lambda: _python(lambda: vcpu.set_one_reg(sample, value), n // 10),
    )  # fmt: skip


def subjects(system: System, vcpu: Vcpu, pipe: int, n: int) -> Iterator[Subject]:
    """Everything that is measured; baselines first."""
    buffer = bytearray(4)
    handle = system.handle()
    yield Subject(
        FLOOR, "ns/call", None,
        lambda: min(_each(lib.kvmemu_bench_ioctl(kind, n), n) for kind in range(3)),
    )  # fmt: skip
    yield Subject(
        FCNTL, "ns/call", None,
        lambda: _python(lambda: fcntl.ioctl(pipe, termios.FIONREAD, buffer), n // 10),
    )  # fmt: skip
    yield from _one_reg_subjects(vcpu, n)
    few = max(1, n // 100)
    yield Subject(
        "vm.create", "ns/VM", FLOOR,
        lambda: _each(lib.kvmemu_bench_create_vm(handle, 0, few), few),
    )  # fmt: skip
    yield Subject(
        "vcpu.create", "ns/vCPU", FLOOR,
        lambda: _each(lib.kvmemu_bench_create_vm(handle, NR_VCPUS, few), few * NR_VCPUS),
    )  # fmt: skip
    yield from _irq_subjects(system, n)
    yield Subject(
        "vcpu.memory", "bytes/vCPU", None, lambda: bench_vm.vcpu_bytes(system, NR_VCPUS)
    )
    for one in bench_vm.measured(system):
        yield Subject(
            one.name, "ns/vCPU", one.baseline, one.once, one.registers, one.state_bytes
        )
    yield from bench_switch.subjects(max(5, n // 200), FLOOR)


def _irq_subjects(system: System, n: int) -> Iterator[Subject]:
    vm = system.create_vm()
    vm.create_vcpus(1)
    vm.create_vgic_v3().dist["GICD_CTLR"] = 2
    handle, spi = vm.handle(), kvm.KVM_ARM_IRQ_TYPE_SPI << kvm.KVM_ARM_IRQ_TYPE_SHIFT | 40
    yield Subject(
        "irq.line.c", "ns/call", FLOOR,
        lambda: _each(lib.kvmemu_bench_irq_line(handle, spi, n), n),
    )  # fmt: skip

    def up_and_down() -> None:
        vm.spi(40, True)
        vm.spi(40, False)

    yield Subject(
        "irq.line.python", "ns/call", FCNTL, lambda: _python(up_and_down, n // 20) / 2
    )


def _chosen(all_subjects: list[Subject], names: Sequence[str]) -> list[Subject]:
    """Those whose names begin with one of the names, and the baselines that they need."""
    beginnings = tuple(name.replace("-", "_") for name in names)
    for name, beginning in zip(names, beginnings, strict=True):
        if not any(subject.name.startswith(beginning) for subject in all_subjects):
            known = dict.fromkeys(".".join(s.name.split(".")[:2]) for s in all_subjects)
            raise ValueError(f"no measurement is called {name!r}; there are {', '.join(known)}")
    chosen = {s.name for s in all_subjects if not names or s.name.startswith(beginnings)}
    needed = [(s.baseline, s.same_bytes) for s in all_subjects if s.name in chosen]
    chosen |= {name for pair in needed for name in pair if name}
    return [subject for subject in all_subjects if subject.name in chosen]


def measure(
    rounds: int = ROUNDS, calls: int = 20_000, names: Sequence[str] = ()
) -> list[Result]:
    """Measure.

    Args:
        rounds: how often; the median is taken.
        calls: calls in C a round and subject; a tenth of them from Python.
        names: beginnings of the names of what to measure, where "-" is as good as "_"; none
            stands for everything. Baselines of what is measured are measured too.

    Raises:
        ValueError: there is nothing of such a name.
    """
    reader, writer = os.pipe()
    try:
        with System("gicv3-max") as system, system.create_vm() as vm:
            vcpu = vm.create_vcpu()
            vcpu.init()
            all_subjects = _chosen(list(subjects(system, vcpu, reader, calls)), names)
            times: dict[str, list[Samples]] = {subject.name: [] for subject in all_subjects}
            for _ in range(rounds):
                for subject in all_subjects:
                    times[subject.name].append(subject.once())
    finally:
        os.close(reader)
        os.close(writer)
    return [result(subject, times) for subject in all_subjects]
