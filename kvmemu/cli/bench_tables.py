# SPDX-License-Identifier: MIT
"""Tables of what was measured in batches: world switches, exits and entries, interrupts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rich.console import Console, RenderableType
from rich.table import Table

from kvmemu.bench_result import Result, clock
from kvmemu.bench_switch import CASES, COLD_PARTS, KNOWN_BYTES, PARTS, PREFIX, STORAGES

# Of the ratio to 128 bytes out and back. lr0of16 has none: whoever moves all list registers moves
# 16 there, as in lr16, whether they are in use or not.
TARGETS = {"lr0": 2.0, "lr16": 5.0}
_MANY = 1000  # from here on a tenth says nothing
_WIDE = 100_000
_UNLIMITED = 1000  # columns, more than any table has

# A world switch's figures: of restore and save together (""), and of each by itself.
Parts = Mapping[str, Result | None]


def parts(results: Iterable[Result], console: Console) -> Iterator[RenderableType]:
    """What to print, in order; nothing if nothing was measured in batches."""
    found = {result.name: result for result in results if in_tables(result)}
    if not found:
        return
    yield _about_clock()
    for table in (*_switches(found, console), _cold(found), _copies(found), _guests(found)):
        if table.row_count:
            yield table


def in_tables(result: Result) -> bool:
    """Whether it stands in one of these. Two vCPUs that were never at work at once do, too."""
    return result.distribution is not None or result.name.startswith(f"{PREFIX}.")


def _about_clock() -> str:
    own = clock()
    return (
        f"Clock: {own.name}, {own.hz / 1e9:.3f} GHz in steps of {own.step:.0f}; cycles are the "
        f"core's at {own.core_hz / 1e9:.2f} GHz, its fastest: {own.core_hz / own.hz:.2f} a tick. "
        "A sample is the mean of a batch."
    )


def _make(title: str, left: Iterable[str], right: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in left:
        table.add_column(heading, no_wrap=True)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _ns(result: Result | None, which: str = "median") -> str:
    if result is None or result.distribution is None:
        return ""
    value: float = getattr(result.distribution, which)
    if value >= _WIDE:
        return f"{value / 1e6:.2f} ms"
    return f"{value:,.1f}" if value < _MANY else f"{value:,.0f}"


def _cycles(result: Result | None) -> str:
    return "" if result is None or result.cycles is None else f"{result.cycles.core:.1f}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _same_bytes(result: Result | None) -> str:
    return "" if result is None else _ratio(result.same_bytes_ratio)


def _of_known(result: Result | None) -> str:
    return "" if result is None else _ratio(result.ratio)


# Columns that belong together: stand in one table, or in one each where there is no room for that.
_GROUPS: Sequence[tuple[str, Sequence[tuple[str, Callable[[Parts], str]]]]] = (
    (
        "median ns by themselves; distribution of both, one after the other",
        (
            ("save\nns", lambda of: _ns(of[".save"])),
            ("restore\nns", lambda of: _ns(of[".restore"])),
            ("fastest\nboth", lambda of: _ns(of[""], "min")),
            ("median\nboth", lambda of: _ns(of[""])),
            ("p90\nboth", lambda of: _ns(of[""], "p90")),
            ("p99\nboth", lambda of: _ns(of[""], "p99")),
        ),
    ),
    (
        "cycles of the core (median)",
        (
            ("save\ncycles", lambda of: _cycles(of[".save"])),
            ("restore\ncycles", lambda of: _cycles(of[".restore"])),
            ("both\ncycles", lambda of: _cycles(of[""])),
        ),
    ),
    (
        f"times a memcpy of as many bytes, and one of {KNOWN_BYTES}",
        (
            ("save\n/ copy", lambda of: _same_bytes(of[".save"])),
            ("restore\n/ copy", lambda of: _same_bytes(of[".restore"])),
            ("both\n/ copy", lambda of: _same_bytes(of[""])),
            (f"both\n/ {KNOWN_BYTES} B", lambda of: _of_known(of[""])),
        ),
    ),
)


def _switch_rows(found: Mapping[str, Result]) -> Iterator[tuple[str, str, Parts]]:
    """Of each world switch that was measured: its name, what it has to reach, its figures."""
    for gic in ("v3", "v2"):
        for case in CASES:
            for storage in STORAGES:
                name = f"{gic}.{case}.{storage}"
                of = {part: found.get(f"{PREFIX}.{name}{part}") for part in PARTS}
                if any(of.values()):
                    yield name, f"<= {TARGETS[case]:.0f}" if case in TARGETS else "", of


def _switches(found: Mapping[str, Result], console: Console) -> list[Table]:
    rows = list(_switch_rows(found))

    def table(groups: Sequence[int]) -> Table:
        columns = [column for group in groups for column in _GROUPS[group][1]]
        headings = [heading for heading, _ in columns]
        has_aim = len(_GROUPS) - 1 in groups
        made = _make(
            "World switch: " + "; ".join(_GROUPS[group][0] for group in groups),
            ("name",), (*headings, *(["aim"] if has_aim else [])),
        )  # fmt: skip
        for name, aim, of in rows:
            cells = [cell(of) for _, cell in columns]
            made.add_row(name, *cells, *([aim] if has_aim else []))
        return made

    whole = table(range(len(_GROUPS)))
    unlimited = console.options.update(max_width=_UNLIMITED)
    if console.measure(whole, options=unlimited).maximum <= console.width:
        return [whole]
    return [table([group]) for group in range(len(_GROUPS))]


def _cold(found: Mapping[str, Result]) -> Table:
    table = _make(
        "GICv3: single ones, the vCPU's part in no cache, ns",
        ("name",),
        ("fastest", "p10", "median", "p90", "p99", "/ copy"),
    )
    for case in CASES:
        for part in COLD_PARTS:
            for storage in STORAGES:
                name = f"{case}.{storage}{part}"
                one = found.get(f"{PREFIX}.v3.{name}")
                if one is not None:
                    columns = [_ns(one, which) for which in ("min", "p10", "median", "p90", "p99")]
                    short = name.removesuffix(".cold")
                    table.add_row(short, *columns, _ratio(one.same_bytes_ratio))
    return table


def _copies(found: Mapping[str, Result]) -> Table:
    table = _make("memcpy, ns (median)", ("bytes",), ("one way", "back", "out and back", "cold"))
    names = [name.split(".") for name in found if name.startswith(f"{PREFIX}.memcpy.")]
    for nr_bytes in sorted({int(words[2]) for words in names}):
        name = f"{PREFIX}.memcpy.{nr_bytes}"
        table.add_row(
            str(nr_bytes),
            *(_ns(found.get(name + part)) for part in (".restore", ".save", "", ".restore.cold")),
        )
    return table


def _guests(found: Mapping[str, Result]) -> Table:
    table = _make(
        "Guests: ns; times the cheapest real ioctl system call; interrupts a second of all vCPUs",
        ("name",),
        ("fastest", "median", "p90", "p99", "/ ioctl", "a second"),
    )
    for name, one in found.items():
        short = name.removeprefix(f"{PREFIX}.")
        if short.startswith(("entry_exit.", "roundtrip.", "ping_pong.")):
            columns = [_ns(one, which) for which in ("min", "median", "p90", "p99")]
            rate = "" if one.per_second is None else f"{one.per_second / 1e6:.2f} M"
            if one.distribution is None:
                table.caption = "2vcpu: the two were never at work at once; this is one alone."
                columns[0] = f"{one.value:,.1f}"
            table.add_row(short, *columns, _ratio(one.ratio), rate)
    return table
