# SPDX-License-Identifier: MIT
"""`kvmemu demo`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from kvmemu import demo as demonstration
from kvmemu import demo_guest
from kvmemu.hosts import host_names
from kvmemu.registers import KINDS, describe
from kvmemu.state import Difference, SavedIrq, VmState, interrupts
from kvmemu.state.gic_text import entries
from kvmemu.system import System

_FRAMES = {
    "GIC distributor": "gicd",
    "GIC redistributors": "gicr",
    "GIC CPU interfaces": "icc",
    "GICv2 CPU interfaces": "gicc",
    "GIC line levels": "level",
}


_CAME = "the timer's time has come"


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
    for name, frame in _FRAMES.items():
        gic = result.recorded.gic
        recorded = entries(gic, result.recorded.vcpus) if gic is not None else ()
        total = sum(entry.frame == frame for entry in recorded)
        if total:
            moved, wrong = (_of_frame(d, frame) for d in (result.moved, result.wrong))
            cells = (total, total - moved - wrong, moved, wrong)
            table.add_row(name, *map(str, cells))
    return table


def _of_frame(differences: list[Difference], frame: str) -> int:
    return sum(d.gic is not None and d.gic.frame == frame for d in differences)


def _text(value: int | str | None) -> str:
    return f"{value:#x}" if isinstance(value, int) else str(value)


def _details(
    differences: list[Difference], hz: int, settled: frozenset[demonstration.Place] = frozenset()
) -> Table:
    table = Table("where", "register", "recorded", "saved by kvmemu", "which means")
    for d in differences:
        by_entry = (d.where, d.what) in settled
        means = "a vCPU that has run has it so" if by_entry else demonstration.in_words(d, hz)
        table.add_row(d.where, d.what, _text(d.before), _text(d.after), means)
    return table


def _interrupts(result: demonstration.DemoResult) -> Table:
    """The interrupts that matter, as recorded and as saved."""
    table = Table("INTID", "vCPU", "enabled", "recorded", "saved by kvmemu", "which means")
    pairs = zip(interrupts(result.recorded), interrupts(result.saved), strict=True)
    for before, after in pairs:
        words = [_in_words(irq) for irq in (before, after)]
        if any(words):
            due = (before.vcpu, before.intid) in {(f.vcpu, f.intid) for f in result.firings}
            same = "as it was" if words[0] == words[1] else _CAME if due else "NOT as it was"
            vcpu = "any" if before.vcpu is None else str(before.vcpu)
            shown = [word or "nothing" for word in words]
            enabled = "yes" if after.enabled else "no"
            table.add_row(f"{before.kind} {before.intid}", vcpu, enabled, *shown, same)
    return table


def _state_of_interrupts(recorded: VmState) -> str:
    """How many there are of each kind, in a sentence."""
    found = interrupts(recorded)
    if not found:
        return ""
    counts = [
        (sum(irq.enabled for irq in found), "enabled"),
        (sum(irq.pending for irq in found), "pending"),
        (sum(bool(irq.line) for irq in found), "with a high input"),
        (sum(irq.active for irq in found), "active"),
    ]
    armed = sum(demonstration.is_armed(vcpu) for vcpu in recorded.vcpus)
    words = ", ".join(f"{count} {what}" for count, what in counts)
    return f"{len(found)} interrupts: {words}; {armed} timers armed.\n"


def _in_words(irq: SavedIrq) -> str:
    parts = [("pending", irq.pending), ("line high", bool(irq.line)), ("active", irq.active)]
    return ", ".join(word for word, is_so in parts if is_so)


def _print_firings(console: Console, firings: list[demonstration.Firing], hz: int) -> None:
    console.print("\nThe timers whose time came:")
    for firing in firings:
        early = "was pending one tick before as well" if firing.early else "not pending before"
        late = "pending" if firing.pending else "NOT pending"
        queued = ", queued for its vCPU" if firing.queued else ""
        console.print(
            f"  vCPU {firing.vcpu}: INTID {firing.intid} {early}, {late} at tick {firing.tick:,}"
            f" ({firing.tick / hz:.6f} s){queued}"
        )


def _run_workload(console: Console, host: str | None) -> bool:
    """The VM that moves while its guests take interrupts; whether all went well."""
    workload = demo_guest.run(host)
    active, pending = (
        ", ".join(f"INTID {intid}" for intid in intids) or "nothing"
        for intids in (workload.active, workload.pending)
    )
    console.print(
        f"\nA VM with two vCPUs whose guests take interrupts was saved after"
        f" {workload.moved_after} of them,\nwith {active} active and {pending} pending"
        f" ({workload.state_bytes:,} bytes as a file), and went on as another VM:\n"
    )
    table = Table("INTID", "raised", "taken")
    for column in table.columns[1:]:
        column.justify = "right"
    for intid in demo_guest.DEVICES.values():
        table.add_row(f"SPI {intid}", f"{workload.raised[intid]}", f"{workload.taken[intid]}")
    ticks = workload.taken[demo_guest.VTIMER]
    table.add_row(
        f"PPI {demo_guest.VTIMER}, the virtual timer", f"{len(workload.late)}", f"{ticks}"
    )
    console.print(table)
    if not workload.right:
        console.print(
            f"WRONG: {workload.lost} interrupts were lost, {workload.twice} came too often, or the"
            " timer did not tick in time."
        )
        return False
    console.print("OK: no interrupt was lost by the move, and none came twice.")
    return True


@click.command()
@click.argument(
    "state", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--host", metavar="NAME", help="The machine to restore on (see `kvmemu hosts`).")
def demo(state: Path | None, host: str | None) -> None:
    """Restore a VM that was recorded from a real Linux KVM, let 25 seconds of virtual time pass,
    save it, and compare register by register and interrupt by interrupt.

    Without STATE it takes the 4-vCPU VM that comes with kvmemu, and then has the guests of a VM
    take interrupts while that is saved and goes on as another one. Ends with 0 if every register is
    what it must be and no interrupt is lost, with 1 if not.

    \b
    Examples:
      kvmemu demo
      kvmemu demo vm.state --host ./mine.toml
    """
    result = demonstration.run(state or demonstration.RECORDED, host)
    with System(host) as system:
        hz = system.counter.hz
    name = host or os.environ.get("KVMEMU_HOST") or host_names()[0]
    console = Console(width=None if sys.stdout.isatty() else 120)
    recorded = result.recorded
    console.print(
        f"{len(recorded.vcpus)} vCPUs, {result.nr_registers} registers, recorded from"
        f" {recorded.origin or 'somewhere'}.\n{_state_of_interrupts(recorded)}Restored on {name},"
        f" {demonstration.PASSING_S} s of virtual time later saved again:\n"
    )
    console.print(_summary(result))
    if result.moved:
        console.print("\nWhat moved, because time did:")
        console.print(_details(result.moved, hz, result.settled))
    if recorded.gic is not None:
        console.print("\nInterrupts that are pending, active, or whose input is high:")
        console.print(_interrupts(result))
    if result.firings:
        _print_firings(console, result.firings, hz)
    if result.wrong:
        console.print("\nWhat is not as it must be:")
        console.print(_details(result.wrong, hz))
    console.print(
        f"\nRestored {result.restored_per_s:,.0f} and saved {result.saved_per_s:,.0f} registers a"
        " second (whole VM, with the creation of its vCPUs)."
    )
    if not result.right:
        late = sum(not firing.right for firing in result.firings)
        console.print(
            f"WRONG: {len(result.wrong)} of {result.nr_registers} registers, {late} of"
            f" {len(result.firings)} timers."
        )
        sys.exit(1)
    console.print(
        f"OK: {result.same} of {result.nr_registers} registers are as they were recorded,"
        f" {len(result.moved)} moved as they must, none is wrong;\n{len(result.firings)} timer"
        " interrupts came at their tick and not before."
    )
    if state is None and not _run_workload(console, host):
        sys.exit(1)
