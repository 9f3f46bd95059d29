# SPDX-License-Identifier: MIT
"""`kvmemu hosts`: the machines that can be modelled. Layer: cli."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kvmemu.cli import output
from kvmemu.cli.host_facts import HostFacts, host_facts
from kvmemu.cli.regs_list import feature_names, make_vcpu
from kvmemu.errors import HostError, KvmError
from kvmemu.hosts import host_names, load_host, profile_text
from kvmemu.system import System


class _Hosts(click.Group):
    """A group whose first word may be a host's name: that is `show`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = [*self.commands, *ctx.help_option_names]
        if not args or args[0] not in known:
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[NAME|FILE] [--json] | COMMAND [ARGS]...")


@click.group("hosts", cls=_Hosts)
def hosts() -> None:
    """The machines kvmemu can model.

    A host profile is what Linux's KVM answered on one machine: GIC, capabilities, ID registers.
    Some are built in; others are TOML files (docs/host-profiles.md). Without a NAME this lists the
    built-in ones, with one it shows that host, or that FILE.

    \b
    Examples:
      kvmemu hosts
      kvmemu hosts gicv3-max
      kvmemu hosts ./mine.toml --json
      kvmemu hosts check mine.toml
      kvmemu hosts compile mine.toml -o mine.host
    """


def _summary(facts: HostFacts) -> dict[str, Any]:
    return {
        "name": facts.name,
        "default": facts.default,
        "description": facts.values.get("description", ""),
        "kernel": facts.values.get("kernel", ""),
        "arch": facts.arch,
        "gic": facts.gic,
        "features": facts.features,
    }


def _details(facts: HostFacts) -> dict[str, Any]:
    return _summary(facts) | {
        "list_registers": facts.number("gic.list_registers"),
        "priority_bits": facts.number("gic.priority_bits"),
        "counter_hz": facts.number("counter.hz"),
        "page_bytes": facts.number("cpu.page_bytes"),
        "ipa_bits": facts.capabilities.get("KVM_CAP_ARM_VM_IPA_SIZE") or 40,
        "max_vcpus": facts.capabilities.get("KVM_CAP_MAX_VCPUS", 0),
        "capabilities": facts.capabilities,
        "registers": {name: f"{value:#x}" for name, value in facts.table("register").items()},
    }


def _columns(facts: HostFacts) -> list[str]:
    values = facts.values
    features = ", ".join(facts.features) or "none"
    kernel, description = values.get("kernel", ""), values.get("description", "")
    return [facts.name, facts.arch, facts.gic, kernel, features, description]


def _print_title(facts: HostFacts, name: str) -> None:
    click.echo(output.styled(name, bold=True) + (" (the default)" if facts.default else ""))


def _print_details(facts: HostFacts) -> None:
    details = _details(facts)
    _print_title(facts, facts.name)
    output.print_pairs([
        ("description", details["description"]),
        ("kernel", details["kernel"]),
        ("architecture", details["arch"]),
        ("GIC", f"{details['gic']}; {details['list_registers']} list registers, "
                f"{details['priority_bits']} bits of priority"),
        ("features", ", ".join(details["features"]) or "none"),
        ("counter", f"{details['counter_hz'] / 1e6:g} MHz"),
        ("memory", f"{details['page_bytes'] // 1024} KiB pages, "
                   f"guests up to {details['ipa_bits']} bits of address"),
        ("vCPUs", f"up to {details['max_vcpus']} a VM"),
    ])  # fmt: skip
    for title, table in (
        ("capabilities", {name: str(n) for name, n in details["capabilities"].items()}),
        ("registers", details["registers"]),
    ):
        click.echo(f"  {title}")
        for line in output.columns(list(table.items()), indent=" " * 4):
            click.echo(line)


@hosts.command("show", short_help="One host, or all: the same as without `show`.")
@click.argument("name", metavar="[NAME|FILE]", required=False)
@click.option("--json", "as_json", is_flag=True, help="An object for a NAME, a list without.")
def show(name: str | None, as_json: bool) -> None:
    """Show one host in detail, or list the built-in ones.

    \b
    Examples:
      kvmemu hosts show gicv3-max
      kvmemu hosts show ./mine.toml --json
    """
    if name is not None:
        facts = host_facts(name)
        if as_json:
            output.print_json(_details(facts))
        else:
            _print_details(facts)
        return
    every = [host_facts(built_in) for built_in in host_names()]
    if as_json:
        output.print_json([_summary(facts) for facts in every])
        return
    if not output.is_terminal():
        output.print_table([], [_columns(facts) for facts in every])
        return
    for facts in every:
        name, arch, gic, kernel, features, description = _columns(facts)
        _print_title(facts, name)
        machine = f"{arch}, {gic}, Linux {kernel}"
        output.print_pairs(
            [("description", description), ("machine", machine), ("features", features)]
        )


@hosts.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def check(files: tuple[str, ...]) -> int:
    """Check host profiles: whether kvmemu can model what they say.

    \b
    Examples:
      kvmemu hosts check mine.toml
      kvmemu hosts check *.toml

    Exit code 1 if one is invalid, 2 if one cannot be read.
    """
    code = 0
    for file in files:
        # A plain name is a file here, not a built-in host.
        path = file if "/" in file or file.endswith(".toml") else f"./{file}"
        try:
            facts = host_facts(path)
            with System(path) as system, system.create_vm() as vm:
                make_vcpu(vm, feature_names("all", vm)).reg_list()
        except HostError as error:
            click.echo(f"kvmemu: {error}", err=True)
            code = max(code, 2 if isinstance(error.__cause__, OSError) else 1)
        except KvmError as error:
            click.echo(f"kvmemu: {file}: no vCPU on this host: {error.strerror}", err=True)
            code = max(code, 1)
        else:
            click.echo(f"{file}: {facts.name}, {facts.arch}, {facts.gic}: valid")
    return code


@hosts.command("compile")
@click.argument("file", metavar="FILE.toml")
@click.option("-o", "--output", "out", metavar="OUT", help="Where to; standard output without it.")
def compile_profile(file: str, out: str | None) -> None:
    """Make the host description that C programs read.

    The C interface (kvmemu_host_get) and the preload library read no TOML; they take such a file by
    its path.

    \b
    Examples:
      kvmemu hosts compile mine.toml
      kvmemu hosts compile mine.toml -o mine.host
      KVMEMU_HOST=./mine.host LD_PRELOAD=libkvmemu-preload.so my-vmm
    """
    if not file.endswith(".toml"):
        raise click.UsageError(f"{file}: a profile is a .toml file")
    text = profile_text(file)
    load_host(file)  # which says what is impossible in it
    if out is None:
        click.echo(text, nl=False)
    else:
        Path(out).write_text(text, encoding="utf-8")
