# SPDX-License-Identifier: MIT
"""`kvmemu state`: saved VMs. Layer: cli."""

from __future__ import annotations

from typing import Any

import click

from kvmemu import constants as c
from kvmemu.cli import output
from kvmemu.cli.names import matches
from kvmemu.errors import KvmError, RestoreError, StateFileError
from kvmemu.registers import describe, name_of
from kvmemu.state import Difference, VcpuState, VmState, compare, load, restore, save
from kvmemu.state.gic_text import entries
from kvmemu.system import System
from kvmemu.vm import Vm

_MP_STATES = {
    c.KVM_MP_STATE_RUNNABLE: "runnable",
    c.KVM_MP_STATE_STOPPED: "stopped",
    c.KVM_MP_STATE_SUSPENDED: "suspended",
}


@click.group("state")
def state() -> None:
    """Saved VMs: what is in them, what differs, whether they are whole.

    A saved VM is a text file, vm.state, and beside it its memory, vm.ram (docs/state-format.md).

    \b
    Examples:
      kvmemu state show vm.state
      kvmemu state diff before.state after.state
      kvmemu state verify *.state --host gicv3-max
    """


# ---- show ----


def _words(value: int | None) -> str:
    return "nowhere" if value is None else f"{value:#x}"


def _gic_facts(saved: VmState) -> list[tuple[str, str]]:
    gic = saved.gic
    if gic is None:
        return [("GIC", "none in the kernel")]
    count = sum(1 for _ in entries(gic, saved.vcpus))
    ready = f"{gic.nr_irqs} interrupts, {count} registers" if gic.initialized else "not initialised"
    frames = [("distributor", _words(gic.dist))]
    if gic.version == 2:
        frames.append(("CPU interface", _words(gic.cpu)))
    elif gic.regions:
        runs = ", ".join(f"{count} at {base:#x}" for base, count in gic.regions)
        frames.append(("redistributors", runs))
    else:
        frames.append(("redistributors", _words(gic.redist)))
    return [("GIC", f"GICv{gic.version}, {ready}"), *frames]


def _vcpu_facts(vcpu: VcpuState) -> str:
    features = ", ".join(map(str, vcpu.features)) or "none"
    parts = [
        _MP_STATES.get(vcpu.mp_state, f"mp_state {vcpu.mp_state}"),
        f"{len(vcpu.ids)} registers",
        f"features {features}",
    ]
    if vcpu.events.serror_pending:
        parts.append("an SError is pending")
    return ", ".join(parts)


def _show_facts(saved: VmState) -> None:
    output.print_pairs([
        ("saved on", saved.origin or "unknown"),
        ("memory", f"{saved.ipa_bits} bits of address"),
        *((f"  slot {s.slot}", f"{s.size:#x} bytes at {s.ipa:#x}") for s in saved.slots),
        *_gic_facts(saved),
        *((f"vCPU {vcpu.id}", _vcpu_facts(vcpu)) for vcpu in saved.vcpus),
    ])  # fmt: skip


def _registers(saved: VmState) -> list[tuple[str, str, int, int]]:
    """Where, name, value and bytes of each register."""
    rows = []
    for vcpu in saved.vcpus:
        for register_id, value in vcpu.registers.items():
            register = describe(register_id)
            size = register.bytes if register else 8
            rows.append((f"vCPU {vcpu.id}", name_of(register_id), value, size))
    for entry in entries(saved.gic, saved.vcpus) if saved.gic else ():
        where = "GIC" if entry.vcpu is None else f"vCPU {entry.vcpu} GIC"
        name = entry.register.name if entry.register else f"line levels {entry.intid}"
        rows.append((where, name, entry.value, entry.register.bytes if entry.register else 4))
    return rows


def _facts_json(saved: VmState) -> dict[str, Any]:
    gic = saved.gic
    return {
        "origin": saved.origin,
        "ipa_bits": saved.ipa_bits,
        "slots": [
            {"slot": s.slot, "ipa": f"{s.ipa:#x}", "bytes": s.size, "sha256": s.sha256}
            for s in saved.slots
        ],
        "gic": {"version": gic.version, "nr_irqs": gic.nr_irqs} if gic else None,
        "vcpus": [
            {
                "id": v.id,
                "mp_state": _MP_STATES.get(v.mp_state, str(v.mp_state)),
                "features": list(v.features),
                "registers": len(v.ids),
            }
            for v in saved.vcpus
        ],
    }


@state.command("show")
@click.argument("file", metavar="FILE")
@click.option("--registers", "with_registers", is_flag=True, help="Every register instead.")
@click.option(
    "--filter", "patterns", metavar="TEXT", multiple=True,
    help="Only registers with this in their name; *, ? and [] match as in a shell.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="An object; a list with --registers.")
def show(file: str, with_registers: bool, patterns: tuple[str, ...], as_json: bool) -> int:
    """Say what is in a saved VM.

    \b
    Examples:
      kvmemu state show vm.state
      kvmemu state show vm.state --filter 'CNT*'
      kvmemu state show vm.state --registers --json

    Exit code 1 if --filter finds no register.
    """
    saved = load(file)
    if not with_registers and not patterns:
        if as_json:
            output.print_json(_facts_json(saved))
        else:
            _show_facts(saved)
        return 0
    rows = [row for row in _registers(saved) if matches((row[1],), patterns)]
    if as_json:
        output.print_json([
            {"where": where, "name": name, "value": f"{value:#x}"} for where, name, value, _ in rows
        ])  # fmt: skip
    elif rows:
        output.print_table(
            ["where", "register", "value"],
            [(where, name, f"{value:#0{2 * size + 2}x}") for where, name, value, size in rows],
        )
    else:
        click.echo(f"kvmemu: {file}: no register matches", err=True)
    return int(not rows)


# ---- diff ----


def _text(value: int | str | None) -> str:
    return "absent" if value is None else f"{value:#x}" if isinstance(value, int) else value


def _difference_json(difference: Difference) -> dict[str, Any]:
    return {
        "where": difference.where,
        "what": difference.what,
        "before": None if difference.before is None else _text(difference.before),
        "after": None if difference.after is None else _text(difference.after),
        "details": [
            {"what": d.what, "before": d.before, "after": d.after, "meaning": d.meaning}
            for d in difference.details
        ],
    }


def print_differences(differences: list[Difference]) -> None:
    """A line a difference; below it which interrupts, or which bit fields."""
    for difference in differences:
        click.echo(str(difference))
        for detail in difference.details:
            click.echo(f"    {detail}")


@state.command("diff")
@click.argument("before", metavar="FILE")
@click.argument("after", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def diff(before: str, after: str, as_json: bool) -> int:
    """Say what differs between two saved VMs: registers, bit fields, interrupts, memory.

    Where they were saved does not count.

    \b
    Examples:
      kvmemu state diff before.state after.state
      kvmemu state diff before.state after.state --json

    Exit code 1 if anything differs.
    """
    differences = compare(load(before), load(after))
    if as_json:
        output.print_json([_difference_json(difference) for difference in differences])
    else:
        print_differences(differences)
    return int(bool(differences))


# ---- verify ----


def _count(saved: VmState) -> str:
    gic = f"GICv{saved.gic.version}" if saved.gic else "no GIC"
    ram = sum(slot.size for slot in saved.slots)
    memory = f"{ram:#x} bytes of memory" if ram else "no memory"
    return f"{len(saved.vcpus)} vCPUs, {saved.nr_registers} registers, {gic}, {memory}"


def _create_vm(system: System, saved: VmState) -> Vm:
    try:
        return system.create_vm(saved.ipa_bits)
    except KvmError as error:
        raise RestoreError(f"a VM of {saved.ipa_bits} bits of address: {error.strerror}") from error


def _round_trip(saved: VmState, host: str) -> list[Difference]:
    """What is not as it was, once it is restored and saved again."""
    with System(host) as system:
        system.counter.ticks = 0  # time stands still
        with _create_vm(system, saved) as vm:
            restore(saved, vm)
            found = compare(saved, save(vm))
    # A VM has one counter: only the first vCPU's can come back.
    first = f"vCPU {saved.vcpus[0].id}" if saved.vcpus else ""
    timers = {name_of(c.KVM_REG_ARM_TIMER_CNT), name_of(c.KVM_REG_ARM_TIMER_CTL)}
    return [d for d in found if d.where == first or d.what not in timers]


@state.command("verify")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--host", metavar="NAME|FILE",
    help="Restore it on this machine too, and compare what comes back.",
)  # fmt: skip
def verify(files: tuple[str, ...], host: str | None) -> int:
    """Check that saved VMs are whole and unaltered, and that their memory is theirs.

    \b
    Examples:
      kvmemu state verify vm.state
      kvmemu state verify vm.state --host gicv3-max

    Exit code 1 if one is not, 2 if one cannot be read.
    """
    code = 0
    for file in files:
        try:
            saved = load(file)
            differences = _round_trip(saved, host) if host else []
        except OSError as error:
            click.echo(f"kvmemu: {file}: {error.strerror}", err=True)
            code = 2
        except StateFileError as error:
            click.echo(f"kvmemu: {error}", err=True)
            code = max(code, 1)
        except RestoreError as error:
            click.echo(f"kvmemu: {file}: not on {host}: {error}", err=True)
            code = max(code, 1)
        else:
            where = f", and comes back on {host}" if host and not differences else ""
            click.echo(f"{file}: whole: {_count(saved)}{where}")
            print_differences(differences)
            code = max(code, int(bool(differences)))
    return code
