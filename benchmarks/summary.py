#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Several runs of the world switch, as the tables of docs/world-switch.md.

    for i in 1 2 3; do kvmemu bench world-switch --rounds 60 --json > run$i.json; done
    benchmarks/summary.py run?.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kvmemu.bench_switch import CASES, COLD_CASES, ENTRY_EXITS, PREFIX, STORAGES

# A run: figures by name, as --json has them.
Run = dict[str, dict[str, Any]]
GICS = ("v3", "v2")
PARTS = ("", ".save", ".restore")
GUESTS = (
    *(f"entry_exit.{n}" for n in ENTRY_EXITS),
    "roundtrip.1vcpu", "roundtrip.2vcpu", "ping_pong.2vcpu",
)  # fmt: skip


def load(path: Path) -> Run:
    """A run.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not what --json writes.
    """
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {row["name"]: row for row in rows}


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _span(values: Iterable[float], layout: Callable[[float], str] = _number) -> str:
    """From the least to the greatest; one figure where they are the same."""
    ordered = sorted(values)
    least, greatest = layout(ordered[0]), layout(ordered[-1])
    return least if least == greatest else f"{least}-{greatest}"


def _each(runs: Sequence[Run], name: str, which: str) -> list[float]:
    """One figure of each run's distribution; runs that have none are left out."""
    found = (run[name]["distribution"] for run in runs)
    return [distribution[which] for distribution in found if distribution is not None]


def _fastest(runs: Sequence[Run], name: str) -> float:
    """Of all runs."""
    return min(_each(runs, name, "min"))


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _switches(runs: Sequence[Run], gic: str) -> Iterator[list[str]]:
    for case in CASES:
        row = [f"`{gic}.{case}`"]
        for storage in STORAGES:
            name = f"{PREFIX}.{gic}.{case}.{storage}"
            row.append(f"{_number(_fastest(runs, name))} ({_span(_each(runs, name, 'median'))})")
        yield row


def _parts(runs: Sequence[Run], gic: str) -> Iterator[list[str]]:
    for case in CASES:
        row = [f"`{gic}.{case}`"]
        names = [f"{PREFIX}.{gic}.{case}.{storage}" for storage in STORAGES]
        copies = [runs[0][f"{name}.save"]["same_bytes"].removesuffix(".save") for name in names]
        for name in (*names, copies[0]):
            row.append(" + ".join(_number(_fastest(runs, name + part)) for part in PARTS[1:]))
        yield row


def _ratios(runs: Sequence[Run]) -> Iterator[list[str]]:
    for gic in GICS:
        for case, aim in (("lr0", "2"), ("lr16", "5")):
            names = [f"{PREFIX}.{gic}.{case}.{storage}" for storage in STORAGES]
            spans = (_span((run[name]["ratio"] for run in runs), _ratio) for name in names)
            yield [f"`{gic}.{case}`", *spans, aim]


def _orders(runs: Sequence[Run]) -> Iterator[list[str]]:
    """Reverse over ascending: of the fastest batches, and of single ones in no cache."""

    def over(cases: Iterable[str], suffix: str, which: str) -> str:
        pairs = (
            (run[f"{PREFIX}.{case}.reverse{suffix}"], run[f"{PREFIX}.{case}.ascending{suffix}"])
            for run in runs
            for case in cases
        )
        ratios = [one["distribution"][which] / other["distribution"][which] for one, other in pairs]
        return _span(ratios, _ratio)

    warm = [f"{gic}.{case}" for gic in GICS for case in CASES]
    for part in PARTS:
        label = f"in cache, {part.removeprefix('.') or 'both'}"
        yield [label, over(warm, part, "min"), over(warm, part, "median")]
    cold = [f"v3.{case}" for case in COLD_CASES]
    for part in PARTS[1:]:
        suffix = f"{part}.cold"
        yield [f"in no cache, {part[1:]}", over(cold, suffix, "min"), over(cold, suffix, "median")]


def _cold(runs: Sequence[Run]) -> Iterator[list[str]]:
    for case in COLD_CASES:
        for part in PARTS[1:]:
            names = [f"{PREFIX}.v3.{case}.{storage}{part}.cold" for storage in STORAGES]
            copy = runs[0][names[0]]["same_bytes"]
            medians = (_span(_each(runs, name, "median")) for name in (*names, copy))
            yield [f"`{case}`, {part[1:]}", *medians]


def _guests(runs: Sequence[Run]) -> Iterator[list[str]]:
    for short in GUESTS:
        name = f"{PREFIX}.{short}"
        if not _each(runs, name, "median"):
            continue
        spans = [_span(_each(runs, name, which)) for which in ("min", "median", "p99")]
        ratios = _span((run[name]["ratio"] for run in runs), _ratio)
        rates = [run[name]["per_second"] for run in runs if run[name]["per_second"]]
        millions = _span((rate / 1e6 for rate in rates), _ratio) if rates else ""
        yield [f"`{short}`", *spans, ratios, millions]


def tables(runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
    """Title and Markdown of each.

    Raises:
        KeyError: a figure is missing.
    """
    first = runs[0][f"{PREFIX}.v3.lr16.reverse"]["cycles"]
    cycles = [run[f"{PREFIX}.v3.lr16.reverse"]["cycles"] for run in runs]
    core = [one["core"] / one["median"] * one["hz"] / 1e9 for one in cycles]
    clock = [[first["clock"], f"{first['hz'] / 1e9:.3f}", _span(core, _ratio)]]
    yield "Clock", _table(("clock", "GHz", "core, GHz at most"), clock)
    both = ("", *STORAGES)
    for gic in GICS:
        yield f"GIC{gic}: save and restore, ns", _table(both, _switches(runs, gic))
    for gic in GICS:
        title = f"GIC{gic}: save + restore by themselves, the fastest, ns"
        yield title, _table((*both, "memcpy"), _parts(runs, gic))
    yield "Ratio to a memcpy of 128 bytes", _table((*both, "at most"), _ratios(runs))
    yield "Reverse over ascending", _table(("", "fastest", "median"), _orders(runs))
    yield "In no cache: median, ns", _table((*both, "memcpy"), _cold(runs))
    headings = ("", "fastest, ns", "median, ns", "p99, ns", "/ system call", "million a second")
    yield "Guests", _table(headings, _guests(runs))


def main(args: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="what --json printed")
    try:
        for title, table in tables([load(path) for path in parser.parse_args(args).runs]):
            print(f"### {title}\n\n{table}\n")
    except (OSError, ValueError, TypeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"{error} was not measured in each run", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
