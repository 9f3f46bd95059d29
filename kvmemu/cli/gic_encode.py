# SPDX-License-Identifier: MIT
"""`kvmemu gic encode`: from the name of a register to its device attribute. Layer: cli.

`kvmemu regs encode` passes on what is about the GIC.
"""

from __future__ import annotations

import re
from typing import Any

import click

from kvmemu.cli import output
from kvmemu.cli.gic_ids import Answer, attrs_of, identify, number_of
from kvmemu.cli.gic_regs import GIC_OPTION
from kvmemu.gic_attrs import GROUPS, default_affinity

_AFFINITY = re.compile(r"(\d+)\.(\d+)\.(\d+)\.(\d+)")
_NR_IDS = {2: 256, 3: 512}  # a byte of the attribute; as many as KVM allows

VCPU_OPTION = click.option(
    "--vcpu", metavar="ID|A.B.C.D",
    help="Whose register: a vCPU's id, or, of a GICv3, its affinity, Aff3 first. vCPU 0 if it is "
    "not said.",
)  # fmt: skip


def _whose(text: str | None, version: int) -> int:
    """The part of an attribute that names a vCPU.

    Raises:
        click.UsageError: it names none.
    """
    if text is None:
        return 0
    match = _AFFINITY.fullmatch(text)
    if match is not None:
        if version == 2:
            raise click.UsageError("the vCPUs of a GICv2 are named by their ids, not by affinities")
        levels = [int(level) for level in match.groups()]
        if max(levels) < 256:
            return int.from_bytes(levels, "big")
    number = number_of(text)
    if number is None or not 0 <= number < _NR_IDS[version]:
        raise click.UsageError(f"{text!r} is no vCPU: an id, or an affinity such as 0.0.0.1")
    return default_affinity(number) if version == 3 else number


class Encoded:
    """A name, and the attributes that it stands for."""

    def __init__(self, text: str, version: int | None, vcpu: str | None) -> None:
        self.answer: Answer = identify(text, version)
        name = text.partition("=")[0]
        if self.answer.problem and not identify(name, version).problem:
            self.answer.problem = f"{text}: a name without a value expected: {name}"
        self.group: int | None = None
        self.attrs: list[int] = []
        if not self.answer.problem:
            self.group, self.attrs = attrs_of(self.answer, _whose(vcpu, self.answer.version))

    @property
    def line(self) -> str:
        """For people, and for `kvmemu gic decode`."""
        return " ".join(f"{self.group}:{attr:#x}" for attr in self.attrs)

    @property
    def json(self) -> dict[str, Any]:
        """For programs."""
        answer = self.answer
        return {
            "input": answer.text,
            "name": answer.name if not answer.problem else None,
            "gic": answer.version,
            "group": self.group,
            "group_name": GROUPS[self.group] if self.group is not None else None,
            "attrs": [f"{attr:#x}" for attr in self.attrs],
        }


@click.command("encode")
@click.argument("names", metavar="REGISTER...", nargs=-1, required=True)
@GIC_OPTION
@VCPU_OPTION
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def encode(
    names: tuple[str, ...], version: int | None, vcpu: str | None, as_json: bool
) -> int:
    """Print the device attribute of each register, GROUP:ATTR, one register a line.

    A REGISTER is what `kvmemu gic decode` takes. One of 64 bits in a frame is read and written as
    two words, and has two attributes. The distributor of a GICv3 is nobody's: --vcpu does not
    change it.

    \b
    Examples:
      kvmemu gic encode GICD_ISENABLER1
      kvmemu gic encode GICR_ISPENDR0 ICC_PMR_EL1 --vcpu 0.0.0.3
      kvmemu gic encode --gic 2 GICD_SPENDSGIR0 --vcpu 1 --json
      kvmemu gic encode KVM_DEV_ARM_VGIC_CTRL_INIT

    Exit code 1 if one of them is no register.
    """
    found = [Encoded(name, version, vcpu) for name in names]
    if as_json:
        output.print_json([each.json for each in found])
    for each in found:
        if each.answer.problem:
            click.echo(f"kvmemu: {each.answer.problem}", err=True)
        elif not as_json:
            click.echo(each.line)
    return int(any(each.answer.problem for each in found))
