# SPDX-License-Identifier: MIT
"""`kvmemu bench`."""

from __future__ import annotations

import dataclasses
import json
import sys

import click
from rich.console import Console
from rich.table import Table

from kvmemu import bench as benchmark

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


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for programs.")
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=benchmark.ROUNDS,
    show_default=True,
    help="Rounds to take.",
)
@click.argument("names", nargs=-1)
def bench(as_json: bool, rounds: int, names: tuple[str, ...]) -> None:
    """Measure what calls cost, beside baselines of the same run.

    NAMES (beginnings of names, such as one_reg) choose what is measured. Times differ from machine
    to machine and from minute to minute; the ratios are what to look at.

    \b
    Examples:
      kvmemu bench
      kvmemu bench --json one_reg
    """
    try:
        results = benchmark.measure(rounds, names=names)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(result) for result in results], indent=2))
        return
    Console(width=None if sys.stdout.isatty() else 136).print(_table(results))


def _table(results: list[benchmark.Result]) -> Table:
    table = Table("what", "figure", "", "baseline", "ratio", "target", "registers/s", "state bytes")
    for column in (1, 4, 5, 6, 7):
        table.columns[column].justify = "right"
    for column in (0, 3):
        table.columns[column].no_wrap = True
    for result in results:
        target = TARGETS.get(result.name) or LIMITS.get(result.name)
        table.add_row(
            result.name,
            f"{result.value:,.1f}",
            result.unit,
            result.baseline or "",
            _number(result.ratio, ".3f"),
            f"<= {target:,}" if target else "",
            _number(result.registers_per_second, ",.0f"),
            _number(result.state_bytes_per_vcpu, ",.0f"),
        )
    return table


def _number(value: float | None, layout: str) -> str:
    return "" if value is None else format(value, layout)
