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
    "vm.save.512.992": 3.0,
    "vm.restore.512": 3.0,
    "vm.restore.512.992": 3.0,
}


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
    table = Table("what", "time", "", "baseline", "ratio", "target")
    for column in (1, 4, 5):
        table.columns[column].justify = "right"
    for result in results:
        target = TARGETS.get(result.name)
        table.add_row(
            result.name,
            f"{result.value:,.1f}",
            result.unit,
            result.baseline or "",
            f"{result.ratio:.3f}" if result.ratio is not None else "",
            f"<= {target}" if target else "",
        )
    Console(width=None if sys.stdout.isatty() else 110).print(table)
