# SPDX-License-Identifier: MIT
"""`kvmemu regs list`: the registers of a vCPU. Layer: cli."""

from __future__ import annotations

import errno
from dataclasses import dataclass

import click

from kvmemu import constants as c
from kvmemu.cli import gic_list, output
from kvmemu.cli.names import matches
from kvmemu.errors import KvmError
from kvmemu.gic_registers import FRAMES
from kvmemu.registers import KINDS, Register, describe
from kvmemu.system import System
from kvmemu.vcpu import Vcpu
from kvmemu.vm import Vm

# KVM_ARM_VCPU_* bits by the names --features has, and the capability that says the host has each.
FEATURES = {
    "power-off": (c.KVM_ARM_VCPU_POWER_OFF, None),
    "el1-32bit": (c.KVM_ARM_VCPU_EL1_32BIT, c.KVM_CAP_ARM_EL1_32BIT),
    "psci-0.2": (c.KVM_ARM_VCPU_PSCI_0_2, c.KVM_CAP_ARM_PSCI_0_2),
    "pmu-v3": (c.KVM_ARM_VCPU_PMU_V3, c.KVM_CAP_ARM_PMU_V3),
    "sve": (c.KVM_ARM_VCPU_SVE, c.KVM_CAP_ARM_SVE),
    "ptrauth-address": (c.KVM_ARM_VCPU_PTRAUTH_ADDRESS, c.KVM_CAP_ARM_PTRAUTH_ADDRESS),
    "ptrauth-generic": (c.KVM_ARM_VCPU_PTRAUTH_GENERIC, c.KVM_CAP_ARM_PTRAUTH_GENERIC),
}
_SHORT = {
    "pmu": ["pmu-v3"],
    "psci": ["psci-0.2"],
    "ptrauth": ["ptrauth-address", "ptrauth-generic"],
}
_ALL = ("psci-0.2", "pmu-v3", "sve", "ptrauth-address", "ptrauth-generic")

# 32-bit hosts have fewer, and other numbers.
_ARM32_FEATURES = {
    "power-off": c.KVM_ARM32_VCPU_POWER_OFF,
    "psci-0.2": c.KVM_ARM32_VCPU_PSCI_0_2,
}


@dataclass(frozen=True)
class _Row:
    register: Register
    value: int | None = None
    error: str | None = None


def feature_names(text: str, vm: Vm) -> list[str]:
    """The features that an option's value asks for.

    Raises:
        click.UsageError: there is no such feature.
    """
    wanted: list[str] = []
    for word in text.split(","):
        name = word.strip().lower()
        if name == "all":
            wanted += [n for n in _ALL if (cap := FEATURES[n][1]) and vm.check_extension(cap)]
        elif name in _SHORT:
            wanted += _SHORT[name]
        elif name in FEATURES:
            wanted.append(name)
        elif name not in ("", "none"):
            known = ", ".join(FEATURES)
            raise click.UsageError(f"no feature is called {word!r}; there are {known}, all, none")
    return wanted


def make_vcpu(vm: Vm, features: list[str]) -> Vcpu:
    """A vCPU of a new VM, ready to have its registers read.

    Raises:
        click.UsageError: the host's architecture has no such feature.
    """
    vcpu = vm.create_vcpu()
    numbers = {name: number for name, (number, _) in FEATURES.items()}
    if vcpu.arch == "arm":
        numbers = _ARM32_FEATURES
    missing = [name for name in features if name not in numbers]
    if missing:
        raise click.UsageError(f"a 32-bit host has no feature {missing[0]}")
    vcpu.init(numbers[name] for name in features)
    if "sve" in features:
        vcpu.finalize(c.KVM_ARM_VCPU_SVE)
    return vcpu


def _matches(register: Register, patterns: tuple[str, ...], kinds: tuple[str, ...]) -> bool:
    if kinds and register.kind.lower() not in kinds:
        return False
    return matches((register.name, f"{register.id:#018x}"), patterns)


def _read(vcpu: Vcpu, register: Register) -> _Row:
    try:
        return _Row(register, value=vcpu.get_one_reg(register.id))
    except KvmError as error:
        return _Row(register, error=errno.errorcode.get(error.errno or 0, str(error.errno)))


def _json(row: _Row, values: bool) -> dict[str, object]:
    r = row.register
    result: dict[str, object] = {
        "id": f"{r.id:#018x}", "name": r.name, "bytes": r.bytes, "kind": r.kind,
    }  # fmt: skip
    if values:
        result["value"] = f"{row.value:#x}" if row.value is not None else None
        if row.error:
            result["error"] = row.error
    return result


def _cells(row: _Row, values: bool) -> list[str]:
    r = row.register
    cells = [f"{r.id:#018x}", r.name, r.kind, str(r.bytes)]
    if values:
        cells.append(f"{row.value:#x}" if row.value is not None else f"-{row.error}")
    return cells


@click.command("list")
@click.option("--host", metavar="NAME|FILE", help="The machine. See `kvmemu hosts`.")
@click.option(
    "--features",
    metavar="F,...",
    default="psci-0.2",
    show_default=True,
    help=f"What KVM_ARM_VCPU_INIT asks for: {', '.join(FEATURES)}; pmu, psci, ptrauth; "
    "all that the host has; none.",
)
@click.option(
    "--filter",
    "patterns",
    metavar="TEXT",
    multiple=True,
    help="Only names, or ids, with this in them; *, ? and [] match as in a shell. May be repeated.",
)
@click.option(
    "--kind",
    "kinds",
    type=click.Choice([*(kind.lower() for kind in KINDS), *FRAMES], case_sensitive=False),
    multiple=True,
    help="Only registers of this kind; gicd, gicr, gicc and icc are the GIC's, as `kvmemu gic list`"
    " has them. May be repeated.",
)
@click.option("--values", is_flag=True, help="Read each register too: the values after a reset.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def list_command(  # noqa: PLR0917 - click passes them by name
    host: str | None,
    features: str,
    patterns: tuple[str, ...],
    kinds: tuple[str, ...],
    values: bool,
    as_json: bool,
) -> int:
    """List the registers of a vCPU, in the order of KVM_GET_REG_LIST.

    That is the order in which a VMM saves and restores them. Ids and values in JSON are strings, as
    many readers of JSON lose the last bits of such numbers.

    \b
    Examples:
      kvmemu regs list
      kvmemu regs list --host gicv3-max-sve --features all --kind sve
      kvmemu regs list --filter 'ID_AA64*' --values
      kvmemu regs list --filter cnt --values --json
      kvmemu regs list --kind gicr --values

    Exit code 1 if there is none.
    """
    frames = [kind for kind in kinds if kind in FRAMES]
    if frames:
        if len(frames) < len(kinds):
            raise click.UsageError("registers of the GIC and of vCPUs are two lists: ask for each")
        rows_of_gic = gic_list.rows_of(
            host, None, None, frames=frames, patterns=patterns, values=values
        )
        return gic_list.print_rows(rows_of_gic, values, as_json)
    with System(host) as system, system.create_vm() as vm:
        vcpu = make_vcpu(vm, feature_names(features, vm))
        registers = [
            r for r in map(describe, vcpu.reg_list()) if r and _matches(r, patterns, kinds)
        ]
        rows = [_read(vcpu, register) if values else _Row(register) for register in registers]
    if as_json:
        output.print_json([_json(row, values) for row in rows])
    elif rows:
        header = ["id", "name", "kind", "bytes", *(["value"] if values else [])]
        output.print_table(header, [_cells(row, values) for row in rows])
    else:
        click.echo("kvmemu: no register matches", err=True)
    return 0 if rows else 1
