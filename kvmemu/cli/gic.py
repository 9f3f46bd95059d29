# SPDX-License-Identifier: MIT
"""`kvmemu gic`: the interrupts of a saved VM, and the GIC's registers. Layer: cli."""

from __future__ import annotations

from dataclasses import asdict

import click

from kvmemu.cli import output
from kvmemu.cli.gic_encode import encode
from kvmemu.cli.gic_list import list_command
from kvmemu.cli.gic_regs import decode
from kvmemu.gic_settings import vcpus_in
from kvmemu.state import SavedIrq, interrupts, load

_LAST_INTID = 1019
_HEADER = ("INTID", "kind", "vCPU", "enabled", "pending", "line", "active", "priority", "trigger",
           "group", "goes to")  # fmt: skip


@click.group("gic")
def gic() -> None:
    """The interrupts of a saved VM, and what the GIC's registers are called.

    \b
    Examples:
      kvmemu gic show vm.state
      kvmemu gic show vm.state --intid 27
      kvmemu gic decode gicd:0x104=0x30
      kvmemu gic encode GICR_ISPENDR0 --vcpu 3
      kvmemu gic list --frame gicr --values
    """


def _target(irq: SavedIrq) -> str:
    if irq.kind == "SGI" and irq.senders:
        return f"from {vcpus_in(irq.senders)}"
    if irq.vcpu is not None:
        return f"vCPU {irq.vcpu}"
    return "nobody" if irq.target is None else f"vCPU {irq.target}"


def _yes(value: bool | None) -> str:
    return "-" if value is None else "yes" if value else "no"


def _cells(irq: SavedIrq) -> tuple[str, ...]:
    return (
        str(irq.intid),
        irq.kind,
        "-" if irq.vcpu is None else str(irq.vcpu),
        _yes(irq.enabled),
        _yes(irq.pending),
        "-" if irq.line is None else "high" if irq.line else "low",
        _yes(irq.active),
        f"{irq.priority:#04x}",
        "edge" if irq.edge else "level",
        str(irq.group),
        _target(irq),
    )


def _matters(irq: SavedIrq) -> bool:
    """Somebody uses it. KVM's SGIs are always enabled."""
    return irq.pending or irq.active or bool(irq.line) or (irq.enabled and irq.kind != "SGI")


@gic.command("show")
@click.argument("file", metavar="STATE")
@click.option("--all", "every", is_flag=True, help="Also those that nobody uses.")
@click.option(
    "--intid", "intids", type=click.IntRange(0, _LAST_INTID), multiple=True,
    help="Only this one. May be repeated.",
)  # fmt: skip
@click.option(
    "--vcpu", "vcpus", type=click.IntRange(0), multiple=True,
    help="Only those private to the vCPU of this id. May be repeated.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def show(
    file: str, every: bool, intids: tuple[int, ...], vcpus: tuple[int, ...], as_json: bool
) -> int:
    """A table of the interrupts of a saved VM.

    Without an option: those that are enabled (SGIs, which KVM always enables, only if something has
    happened to them), pending, active, or whose input is high.

    \b
    Examples:
      kvmemu gic show vm.state
      kvmemu gic show vm.state --intid 27 --intid 33
      kvmemu gic show vm.state --vcpu 0 --all --json

    Exit code 1 if there is none.
    """
    found = [
        irq
        for irq in interrupts(load(file))
        if (every or intids or _matters(irq))
        and (not intids or irq.intid in intids)
        and (not vcpus or irq.vcpu in vcpus)
    ]
    if as_json:
        output.print_json([asdict(irq) for irq in found])
    elif found:
        output.print_table(_HEADER, [_cells(irq) for irq in found])
    else:
        click.echo(f"kvmemu: {file}: no such interrupt", err=True)
    return int(not found)


gic.add_command(decode)
gic.add_command(encode)
gic.add_command(list_command)
