# SPDX-License-Identifier: MIT
"""`kvmemu demo`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from kvmemu import demo as demonstration
from kvmemu.registers import KINDS, describe
from kvmemu.state import Difference
from kvmemu.system import System


def _kind(register_id: int) -> str:
    register = describe(register_id)
    return register.kind if register else "unknown"


def _summary(result: demonstration.DemoResult) -> Table:
    """A row a kind of register: how many there are, and what became of them."""
    table = Table("registers", "restored", "same", "moved with time", "wrong", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"

    def count(differences: list[Difference], kind: str) -> int:
        return sum(_kind(difference.register_id or 0) == kind for difference in differences)

    for kind in KINDS:
        total = sum(_kind(i) == kind for vcpu in result.recorded.vcpus for i in vcpu.ids)
        if total:
            moved, wrong = count(result.moved, kind), count(result.wrong, kind)
            cells = (total, total - moved - wrong, moved, wrong)
            table.add_row(kind, *map(str, cells))
    return table


def _details(differences: list[Difference], hz: int) -> Table:
    table = Table("vCPU", "register", "id", "recorded by Linux", "saved by kvmemu", "which means")
    for difference in differences:
        table.add_row(
            difference.where.removeprefix("vCPU "),
            difference.what,
            f"{difference.register_id:#x}" if difference.register_id else "",
            *(f"{v:#x}" if isinstance(v, int) else str(v) for v in (difference.before, difference.after)),
            demonstration.in_words(difference, hz),
        )
    return table


@click.command()
@click.argument(
    "state", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--host", metavar="NAME", help="The machine to restore on (see `kvmemu hosts`).")
def demo(state: Path | None, host: str | None) -> None:
    """Restore a VM that was recorded from a real Linux KVM, let 25 seconds of virtual time pass,
    save it, and compare register by register.

    Without STATE it takes the 4-vCPU VM that comes with kvmemu. Ends with 0 if every register is
    what it must be, with 1 if not.
    """
    result = demonstration.run(state or demonstration.RECORDED, host)
    with System(host) as system:
        hz, name = system.counter.hz, host or "the default host"
    console = Console(width=None if sys.stdout.isatty() else 120)
    recorded = result.recorded
    console.print(
        f"{len(recorded.vcpus)} vCPUs, {recorded.nr_registers} registers, recorded from"
        f" {recorded.origin}.\nRestored on {name}, {demonstration.PASSING_S} s of virtual time"
        " later saved again:\n"
    )
    console.print(_summary(result))
    if result.moved:
        console.print("\nWhat moved, because time did:")
        console.print(_details(result.moved, hz))
    if result.wrong:
        console.print("\nWhat is not as it must be:")
        console.print(_details(result.wrong, hz))
    console.print(
        f"\nRestored {result.restored_per_s:,.0f} and saved {result.saved_per_s:,.0f} registers a"
        " second (whole VM, with the creation of its vCPUs)."
    )
    if result.wrong:
        console.print(f"WRONG: {len(result.wrong)} of {recorded.nr_registers} registers.")
        sys.exit(1)
    console.print(
        f"OK: {result.same} of {recorded.nr_registers} registers are as Linux had them,"
        f" {len(result.moved)} moved as they must, none is wrong."
    )
