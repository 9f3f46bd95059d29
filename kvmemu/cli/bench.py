# SPDX-License-Identifier: MIT
"""`kvmemu bench`."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from kvmemu import bench as benchmark
from kvmemu import bench_chart
from kvmemu.bench_result import Result
from kvmemu.cli import bench_tables

# docs/benchmarks.md says where these come from.
TARGETS = {
    "one_reg.get.c": 0.15,
    "one_reg.get.python": 1.0,
    "one_reg.get.batch": 0.1,
    "vm.save.512": 3.0,
    "vm.save.512.960spi": 3.0,
    "vm.restore.512": 3.0,
    "vm.restore.512.960spi": 3.0,
}
# Of values, not of ratios.
LIMITS = {"vcpu.memory": 16 << 10}
PIPE_COLUMNS = 152
HEADINGS = ("what", "figure", "", "baseline", "ratio", "target", "registers/s", "state bytes")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for programs.")
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=benchmark.ROUNDS,
    show_default=True,
    help="Rounds to take.",
)
@click.option(
    "--chart",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also draw the world switch: FILE.svg, .png or .pdf. Needs kvmemu[plot].",
)
@click.argument("names", nargs=-1)
def bench(as_json: bool, rounds: int, chart: Path | None, names: tuple[str, ...]) -> None:
    """Measure what calls cost, beside baselines of the same run.

    NAMES (beginnings of names, such as one_reg) choose what is measured. Times differ from machine
    to machine and from minute to minute; the ratios are what to look at. What the names
    mean is told in docs/benchmarks.md and docs/world-switch.md.

    \b
    Examples:
      kvmemu bench
      kvmemu bench --json one_reg
      kvmemu bench world-switch --chart world-switch.svg
    """
    if chart is not None:
        bench_chart.check(chart, names)
    try:
        results = benchmark.measure(rounds, names=names)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if chart is not None:
        bench_chart.draw(results, chart)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(result) for result in results], indent=2))
        return
    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False)
    plain = [result for result in results if not bench_tables.in_tables(result)]
    if plain:
        console.print(_table(plain))
    for part in bench_tables.parts(results, console):
        console.print(part)


def _table(results: list[Result]) -> Table:
    """Of what has no distribution. Columns in which nothing would stand are left out."""
    rows = [_row(result) for result in results]
    shown = [i for i in range(len(HEADINGS)) if any(row[i] for row in rows)]
    table = Table(*(HEADINGS[i] for i in shown))
    for column, i in zip(table.columns, shown, strict=True):
        column.no_wrap = i in {0, 3}
        column.justify = "left" if i in {0, 2, 3} else "right"
    for row in rows:
        table.add_row(*(row[i] for i in shown))
    return table


def _row(result: Result) -> tuple[str, ...]:
    target = TARGETS.get(result.name) or LIMITS.get(result.name)
    return (
        result.name,
        f"{result.value:,.1f}",
        result.unit,
        result.baseline or "",
        _number(result.ratio, ".3f"),
        f"<= {target:,}" if target else "",
        _number(result.registers_per_second, ",.0f"),
        _number(result.state_bytes_per_vcpu, ",.0f"),
    )


def _number(value: float | None, layout: str) -> str:
    return "" if value is None else format(value, layout)
