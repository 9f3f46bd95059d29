# SPDX-License-Identifier: MIT
"""What is measured, and what comes of it: shared by bench.py and its parts."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kvmemu._core import ffi, lib

# Of a round: one figure, or one of each batch.
Samples = float | list[float]


@dataclass(frozen=True)
class Clock:
    """The finest clock of this machine. Its ticks are no cycles of the core.

    Attributes:
        name: "TSC", "CNTVCT_EL0", or "CLOCK_MONOTONIC" where there is neither.
        hz: ticks a second.
        step: ticks by which it moves at once.
        core_hz: cycles a second of the core at its fastest, by instructions of one cycle each.
    """

    name: str
    hz: float
    step: float
    core_hz: float


@functools.cache
def clock() -> Clock:
    """This machine's; measured once, which takes some 10 ms."""
    found = ffi.new("struct kvmemu_bench_clock *")
    lib.kvmemu_bench_clock(found)
    return Clock(ffi.string(found.name).decode(), found.hz, found.step, found.core_hz)


@dataclass(frozen=True)
class Distribution:
    """Of the samples of all rounds, in nanoseconds; a sample is a batch's mean.

    Attributes:
        samples: how many.
        min, p10, median, p90, p99, max: the fastest, so many per cent are not slower, the slowest.
    """

    samples: int
    min: float
    p10: float
    median: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True)
class Cycles:
    """The same in ticks of the clock.

    Attributes:
        clock: what was counted: "TSC" and so on.
        hz: ticks a second.
        median, min: of the samples.
        core: the median in cycles of the core, if it ran as fast as when that was measured.
    """

    clock: str
    hz: float
    median: float
    min: float
    core: float


@dataclass(frozen=True)
class Result:
    """One figure.

    Attributes:
        name: what was measured.
        value: nanoseconds, or bytes.
        unit: what for: "ns/call", "ns/register", "ns/VM", "ns/switch", "bytes/vCPU".
        baseline: the name of the figure it is compared with; None for a baseline.
        ratio: value over the baseline's, median of the rounds. Where the work is the same each
            time, the fastest batch over the baseline's fastest.
        registers_per_second: of whole VMs: registers and device attributes; None else.
        state_bytes_per_vcpu: of whole VMs: bytes of values in the state; None else.
        same_bytes: of the world switch: the name of a memcpy of as many bytes; None else.
        same_bytes_ratio: the same with that one.
        per_second: of interrupts on their way: how many on all vCPUs; None else, and where they
            were never at work at the same time: the value is of one alone then.
        distribution, cycles: where batches were timed one by one; None else.
    """

    name: str
    value: float
    unit: str
    baseline: str | None
    ratio: float | None
    registers_per_second: float | None = None
    state_bytes_per_vcpu: float | None = None
    same_bytes: str | None = None
    same_bytes_ratio: float | None = None
    per_second: float | None = None
    distribution: Distribution | None = None
    cycles: Cycles | None = None


@dataclass(frozen=True)
class Subject:
    """Something to measure.

    Attributes:
        once: returns nanoseconds for each unit of work, or of each batch. Where some rounds have
            batches, those that have not are left out.
        registers, state_bytes: what a unit of work is about: a vCPU's registers, bytes of values.
        same_bytes: another baseline: memcpy.
        at_once: how many units of work go on at the same time, where their rate is of interest.
        same_always: the work is the same each time, so that whatever else a machine does only adds
            to it: ratios are of the fastest batches.
    """

    name: str
    unit: str
    baseline: str | None
    once: Callable[[], Samples]
    registers: float | None = None
    state_bytes: float | None = None
    same_bytes: str | None = None
    at_once: int | None = None
    same_always: bool = False


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _distribution(rounds: Sequence[Samples]) -> Distribution | None:
    ordered = sorted(
        sample for samples in rounds if isinstance(samples, list) for sample in samples
    )
    if not ordered:
        return None
    p10, median, p90, p99 = (_percentile(ordered, percent) for percent in (10, 50, 90, 99))
    return Distribution(len(ordered), ordered[0], p10, median, p90, p99, ordered[-1])


def _cycles(distribution: Distribution | None) -> Cycles | None:
    if distribution is None:
        return None
    own, ns = clock(), 1e-9
    return Cycles(
        own.name, own.hz, distribution.median * ns * own.hz, distribution.min * ns * own.hz,
        distribution.median * ns * own.core_hz,
    )  # fmt: skip


def _typical(samples: Samples) -> float:
    return statistics.median(samples) if isinstance(samples, list) else samples


def _fastest(rounds: Sequence[Samples]) -> float:
    return min(min(samples) if isinstance(samples, list) else samples for samples in rounds)


def result(subject: Subject, rounds: Mapping[str, Sequence[Samples]]) -> Result:
    """What came of a subject.

    Args:
        rounds: of each subject's name, what its once() returned in each round.
    """
    mine = rounds[subject.name]
    in_batches = any(isinstance(samples, list) for samples in mine)
    used = [i for i, samples in enumerate(mine) if isinstance(samples, list) or not in_batches]
    value = statistics.median(_typical(mine[i]) for i in used)

    def over(name: str | None) -> float | None:
        if name is None:
            return None
        base = rounds[name]
        if subject.same_always:
            return _fastest(mine) / _fastest(base)
        return statistics.median(_typical(mine[i]) / _typical(base[i]) for i in used)

    distribution = _distribution(mine)
    if distribution is not None:
        value = distribution.median
    return Result(
        subject.name, value, subject.unit, subject.baseline, over(subject.baseline),
        registers_per_second=None if subject.registers is None else subject.registers * 1e9 / value,
        state_bytes_per_vcpu=subject.state_bytes,
        same_bytes=subject.same_bytes,
        same_bytes_ratio=over(subject.same_bytes),
        per_second=subject.at_once * 1e9 / value if subject.at_once and distribution else None,
        distribution=distribution,
        cycles=_cycles(distribution),
    )  # fmt: skip
