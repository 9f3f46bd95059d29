# SPDX-License-Identifier: MIT
"""Tables of what was measured in batches: world switches, exits and entries, interrupts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table

from kvmemu.bench_result import Result, clock
from kvmemu.bench_switch import CASES, COLD_PARTS, PARTS, PREFIX, STORAGES

# Of the ratio to 128 bytes out and back. lr0of16 has none: whoever moves all list registers moves
# 16 there, as in lr16, whether they are in use or not.
TARGETS = {"lr0": 2.0, "lr16": 5.0}


def parts(results: Iterable[Result]) -> Iterator[RenderableType]:
    """What to print, in order; nothing if nothing was measured in batches."""
    found = {result.name: result for result in results if result.distribution is not None}
    if not found:
        return
    yield _about_clock()
    for make in (_switches, _cold, _copies, _guests):
        table = make(found)
        if table.row_count:
            yield table


def _about_clock() -> str:
    own = clock()
    return (
        f"Clock: {own.name}, {own.hz / 1e9:.3f} GHz in steps of {own.step:.0f}; the core's cycles, "
        f"at {own.core_hz / 1e9:.2f} GHz at most, are {own.core_hz / own.hz:.2f} a tick. "
        "A sample is the mean of a batch."
    )


def _make(title: str, left: Iterable[str], right: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in left:
        table.add_column(heading)
    for heading in right:
        table.add_column(heading, justify="right")
    return table


def _ns(result: Result | None, which: str = "median") -> str:
    if result is None or result.distribution is None:
        return ""
    return f"{getattr(result.distribution, which):,.1f}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _switch_rows() -> Iterator[tuple[str, str, str]]:
    for gic in ("v3", "v2"):
        for case in CASES:
            for storage in STORAGES:
                yield gic, case, storage


def _switches(found: dict[str, Result]) -> Table:
    table = _make(
        "World switch: ns; save and restore by themselves (median), and one after the other",
        ("GIC", "name", "used", "kept"),
        ("save", "restore", "fastest", "median", "p90", "p99", "ticks", "/ 128 B", "", "/ same B"),
    )
    for gic, case, storage in _switch_rows():
        of = {part: found.get(f"{PREFIX}.{gic}.{case}.{storage}{part}") for part in PARTS}
        both = of[""]
        if both is None or both.cycles is None:
            continue
        there, in_use = CASES[case]
        table.add_row(
            gic, case, f"{in_use}/{there}", storage,
            _ns(of[".save"]), _ns(of[".restore"]), _ns(both, "min"), _ns(both),
            _ns(both, "p90"), _ns(both, "p99"), f"{both.cycles.median:.1f}", _ratio(both.ratio),
            f"<= {TARGETS[case]:.0f}" if case in TARGETS else "", _ratio(both.same_bytes_ratio),
        )  # fmt: skip
    return table


def _cold(found: dict[str, Result]) -> Table:
    table = _make(
        "Single ones, the vCPU's part in no cache, ns",
        ("GIC", "list registers", "kept", ""),
        ("fastest", "p10", "median", "p90", "p99", "/ same B"),
    )
    for gic, case, storage in _switch_rows():
        for part in COLD_PARTS:
            one = found.get(f"{PREFIX}.{gic}.{case}.{storage}{part}")
            if one is not None:
                columns = [_ns(one, which) for which in ("min", "p10", "median", "p90", "p99")]
                table.add_row(
                    gic, case, storage, part.split(".")[1], *columns, _ratio(one.same_bytes_ratio)
                )
    return table


def _copies(found: dict[str, Result]) -> Table:
    table = _make("memcpy, ns (median)", ("bytes",), ("one way", "back", "out and back", "cold"))
    names = [name.split(".") for name in found if name.startswith(f"{PREFIX}.memcpy.")]
    for nr_bytes in sorted({int(words[2]) for words in names}):
        name = f"{PREFIX}.memcpy.{nr_bytes}"
        table.add_row(
            str(nr_bytes),
            *(_ns(found.get(name + part)) for part in (".restore", ".save", "", ".restore.cold")),
        )
    return table


def _guests(found: dict[str, Result]) -> Table:
    table = _make(
        "Guests: ns; a system call is the cheapest real ioctl",
        ("name", "of"),
        ("fastest", "median", "p90", "p99", "/ system call", "interrupts/s"),
    )
    for name, one in found.items():
        if name.startswith(f"{PREFIX}.entry_exit") or name.startswith("irq."):
            columns = [_ns(one, which) for which in ("min", "median", "p90", "p99")]
            rate = "" if one.per_second is None else f"{one.per_second:,.0f}"
            short, of = name.removeprefix(f"{PREFIX}."), one.unit.removeprefix("ns/")
            table.add_row(short, of, *columns, _ratio(one.ratio), rate)
    return table
