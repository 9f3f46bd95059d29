# SPDX-License-Identifier: MIT
"""What calls cost, as ratios to something measured in the same run.

Times drift with the machine, ratios much less: each round measures a subject and its baseline one
right after the other, and the median over the rounds is reported. Time is the thread's CPU time, so
that what other programs take of the machine does not count. benchmarks/ has the same subjects for
pytest-benchmark, and more.
"""

from __future__ import annotations

import fcntl
import os
import statistics
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kvmemu import bench_vm
from kvmemu import constants as kvm
from kvmemu._core import ffi, lib
from kvmemu.errors import kvm_error
from kvmemu.registers import find
from kvmemu.system import System
from kvmemu.vcpu import Vcpu

ROUNDS = 15
FLOOR = "ioctl.floor"
FCNTL = "fcntl.ioctl.pipe"
NR_VCPUS = 16
SAMPLE_REGISTER = "SCTLR_EL1"


@dataclass(frozen=True)
class Result:
    """One figure.

    Attributes:
        name: what was measured.
        value: nanoseconds, or bytes.
        unit: what for: "ns/call", "ns/register", "ns/VM", "bytes/vCPU".
        baseline: the name of the figure it is compared with; None for a baseline.
        ratio: value over the baseline's, median of the rounds.
        registers_per_second: of whole VMs: registers and device attributes; None else.
        state_bytes_per_vcpu: of whole VMs: bytes of values in the state; None else.
    """

    name: str
    value: float
    unit: str
    baseline: str | None
    ratio: float | None
    registers_per_second: float | None = None
    state_bytes_per_vcpu: float | None = None


@dataclass(frozen=True)
class Subject:
    """Something to measure. once() returns nanoseconds for each unit of work.

    Attributes:
        registers, state_bytes: what a unit of work is about: a vCPU's registers, bytes of values.
    """

    name: str
    unit: str
    baseline: str | None
    once: Callable[[], float]
    registers: float | None = None
    state_bytes: float | None = None


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
    for name in names:
        if not any(subject.name.startswith(name) for subject in all_subjects):
            known = ", ".join(subject.name for subject in all_subjects)
            raise ValueError(f"no measurement is called {name!r}; there are {known}")
    chosen = {s.name for s in all_subjects if not names or s.name.startswith(tuple(names))}
    chosen |= {s.baseline for s in all_subjects if s.name in chosen and s.baseline}
    return [subject for subject in all_subjects if subject.name in chosen]


def measure(
    rounds: int = ROUNDS, calls: int = 20_000, names: Sequence[str] = ()
) -> list[Result]:
    """Measure.

    Args:
        rounds: how often; the median is taken.
        calls: calls in C a round and subject; a tenth of them from Python.
        names: beginnings of the names of what to measure; none stands for everything. Baselines
            of what is measured are measured too.

    Raises:
        ValueError: there is nothing of such a name.
    """
    reader, writer = os.pipe()
    try:
        with System("gicv3-max") as system, system.create_vm() as vm:
            vcpu = vm.create_vcpu()
            vcpu.init()
            all_subjects = _chosen(list(subjects(system, vcpu, reader, calls)), names)
            times: dict[str, list[float]] = {subject.name: [] for subject in all_subjects}
            for _ in range(rounds):
                for subject in all_subjects:
                    times[subject.name].append(subject.once())
    finally:
        os.close(reader)
        os.close(writer)
    return [_result(subject, times) for subject in all_subjects]


def _result(subject: Subject, times: dict[str, list[float]]) -> Result:
    mine = times[subject.name]
    ratio = None
    if subject.baseline is not None:
        pairs = zip(mine, times[subject.baseline], strict=True)
        ratio = statistics.median(value / base for value, base in pairs)
    value = statistics.median(mine)
    rate = None if subject.registers is None else subject.registers * 1e9 / value
    return Result(
        subject.name, value, subject.unit, subject.baseline, ratio, rate, subject.state_bytes
    )
