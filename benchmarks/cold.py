#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Single world switches whose memory is in no cache, more finely than the clock's steps.

Reverse, ascending and used ones by turns, many times; of each the mean of those between the 5th
percentile and the median. Several times over, so that it can be seen how sure that is.

    benchmarks/cold.py [--turns N] [--times N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence

from kvmemu.bench_switch import COLD_PARTS, STORAGES, samples, switches

CASES = ("lr1", "lr4", "lr16")
A_TURN = 300


def faster_half(measured: Sequence[float]) -> float:
    """The mean of those from the 5th percentile to the median."""
    ordered = sorted(measured)
    return statistics.mean(ordered[len(ordered) // 20 : len(ordered) // 2])


def by_turns(case: str, part: str, turns: int) -> list[float]:
    """Nanoseconds of one, for each way of keeping list registers of a GICv3."""
    measured: dict[str, list[float]] = {storage: [] for storage in STORAGES}
    for _ in range(turns):
        for storage in STORAGES:
            measured[storage] += samples(switches(3, case, storage, part), A_TURN)
    return [faster_half(found) for found in measured.values()]


def main(args: Sequence[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=100, help=f"of {A_TURN} each (100)")
    parser.add_argument("--times", type=int, default=3, help="the same again (3)")
    options = parser.parse_args(args)
    print("| in no cache, ns |", " | ".join(STORAGES), "|")
    print("|---|" + "---:|" * len(STORAGES))
    for case in CASES:
        for part in COLD_PARTS:
            times = [by_turns(case, part, options.turns) for _ in range(options.times)]
            cells = [", ".join(f"{time:.1f}" for time in kept) for kept in zip(*times, strict=True)]
            print(f"| `{case}`, {part.split('.')[1]} |", " | ".join(cells), "|", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
