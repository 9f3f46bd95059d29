# SPDX-License-Identifier: MIT
"""`kvmemu gic list`: the registers that a guest's GIC has. Layer: cli.

`kvmemu regs list --kind gicd` and the like come here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from kvmemu import constants as c
from kvmemu.cli import output
from kvmemu.cli.names import matches
from kvmemu.gic import Gic, VgicV2, VgicV3
from kvmemu.gic_frames import FrameRegisters
from kvmemu.gic_registers import FRAMES, FRAMES_OF_VERSION, GicRegister
from kvmemu.gic_settings import meaning_of
from kvmemu.system import System
from kvmemu.vm import Vm


@dataclass(frozen=True)
class Row:
    """A register that the GIC has; its value after a reset, if that was asked for."""

    register: GicRegister
    value: int | None = None

    @property
    def about(self) -> str:
        """What it is about, in a few words."""
        register = self.register
        if not register.fields:
            return ""
        first, last = register.intid, register.intid + register.fields - 1
        intids = f"INTID {first}" if first == last else f"INTID {first} to {last}"
        return f"{meaning_of(register) or 'reserved'}, {intids}"


def _create(vm: Vm, version: int | None, nr_irqs: int | None) -> Gic:
    """A GIC of a version; a GICv3 if it is not said and the host can have one."""
    vm.create_vcpus(1)
    if version == 3 or (version is None and vm.can_create_device(c.KVM_DEV_TYPE_ARM_VGIC_V3)):
        return vm.create_vgic_v3(nr_irqs=nr_irqs)
    return vm.create_vgic_v2(nr_irqs=nr_irqs)


def _frames(gic: Gic) -> Iterator[FrameRegisters]:
    vcpu = gic.vm.vcpus[0]
    yield gic.dist
    if isinstance(gic, VgicV2):
        yield gic.cpu(vcpu)
    if isinstance(gic, VgicV3):
        yield gic.redist(vcpu)
        yield gic.icc(vcpu)


def rows_of(
    host: str | None,
    version: int | None,
    nr_irqs: int | None,
    *,
    frames: Sequence[str] = (),
    patterns: Sequence[str] = (),
    values: bool = False,
) -> list[Row]:
    """The registers of a new GIC, of a VM with one vCPU.

    Raises:
        click.UsageError: a GIC of this version has no such frame.
        KvmError: the host cannot have such a GIC.
    """
    if version is None and frames:
        fitting = [v for v in (3, 2) if set(frames) <= set(FRAMES_OF_VERSION[v])]
        version = fitting[0] if len(fitting) == 1 else None
    missing = set(frames) - set(FRAMES_OF_VERSION[version or 3])
    if missing:
        raise click.UsageError(f"a GICv{version or 3} has no {min(missing).upper()}")
    with System(host) as system, system.create_vm() as vm:
        found = []
        for frame in _frames(_create(vm, version, nr_irqs)):
            for name in frame:
                register = frame.register(name)
                if frames and register.frame not in frames:
                    break
                if matches((register.name,), patterns):
                    found.append(Row(register, frame[name] if values else None))
        return found


def print_rows(rows: Sequence[Row], values: bool, as_json: bool) -> int:
    """The exit code, once they are printed."""
    if as_json:
        output.print_json([_json(row, values) for row in rows])
    elif rows:
        header = ["frame", "offset", "name", "bytes", *(["value"] if values else []), "about"]
        output.print_table(header, [_cells(row, values) for row in rows])
    else:
        click.echo("kvmemu: no register matches", err=True)
    return 0 if rows else 1


def _cells(row: Row, values: bool) -> list[str]:
    r = row.register
    value = [f"{row.value:#0{2 * r.bytes + 2}x}"] if values else []
    return [r.frame, f"{r.offset:#06x}", r.name, str(r.bytes), *value, row.about]


def _json(row: Row, values: bool) -> dict[str, object]:
    r = row.register
    result: dict[str, object] = {
        "name": r.name, "gic": r.version, "frame": r.frame, "offset": f"{r.offset:#x}",
        "bytes": r.bytes, "intid": r.intid if r.fields else None,
        "saved": bool(r.restore) and not r.reserved,
    }  # fmt: skip
    if values:
        result["value"] = f"{row.value:#x}"
    return result


@click.command("list")
@click.option("--host", metavar="NAME|FILE", help="The machine. See `kvmemu hosts`.")
@click.option(
    "--gic", "version", type=click.IntRange(2, 3),
    help="The guest's GIC. If it is not said, a GICv3 if the host can have one.",
)  # fmt: skip
@click.option(
    "--frame", "frames", type=click.Choice(FRAMES, case_sensitive=False), multiple=True,
    help="Only registers of this frame. May be repeated.",
)  # fmt: skip
@click.option(
    "--nr-irqs", type=click.IntRange(0, 0xFFFFFFFF), metavar="COUNT",
    help="SGIs, PPIs and SPIs: 64 to 992 in steps of 32; 256 if it is not said.",
)  # fmt: skip
@click.option(
    "--filter", "patterns", metavar="TEXT", multiple=True,
    help="Only names with this in them; *, ? and [] match as in a shell. May be repeated.",
)  # fmt: skip
@click.option("--values", is_flag=True, help="Read each register too: the values after a reset.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def list_command(  # noqa: PLR0917 - click passes them by name
    host: str | None,
    version: int | None,
    frames: tuple[str, ...],
    nr_irqs: int | None,
    patterns: tuple[str, ...],
    values: bool,
    as_json: bool,
) -> int:
    """List the registers of a GIC that KVM has attributes for: those of vCPU 0 of a new VM.

    \b
    Examples:
      kvmemu gic list
      kvmemu gic list --frame gicr --values
      kvmemu gic list --host gicv2-cortex-a72 --filter 'GICC_*' --json

    Exit code 1 if there is none.
    """
    rows = rows_of(host, version, nr_irqs, frames=frames, patterns=patterns, values=values)
    return print_rows(rows, values, as_json)
