# SPDX-License-Identifier: MIT
"""`kvmemu regs`: ids to names and back, values to bit fields, a vCPU's registers. Layer: cli."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from kvmemu.cli import gic_ids, gic_regs, names, output
from kvmemu.cli.gic_encode import VCPU_OPTION, Encoded
from kvmemu.cli.ids import Dissection, dissect
from kvmemu.cli.regs_list import list_command
from kvmemu.fields import decode_value
from kvmemu.registers import describe

ARCH_OPTION = click.option(
    "--arch",
    type=click.Choice(names.ARCHES),
    default="arm64",
    help="Whose names: those of arm64 (the default), or of 32-bit arm.",
)


@click.group("regs")
def regs() -> None:
    """Register ids, names, values and bit fields.

    KVM_GET_ONE_REG and KVM_SET_ONE_REG name a register by a number of 64 bits. These commands say
    what such a number stands for, find the number of a register, and list the registers that a vCPU
    has.

    \b
    Examples:
      kvmemu regs decode 0x603000000013df19=0x5
      kvmemu regs encode CNTV_CTL_EL0
      kvmemu regs list --filter 'ID_AA64*' --values
    """


# ---- decode ----


@dataclass
class _Answer:
    """What is to be said about one argument."""

    text: str
    dissection: Dissection | None
    value: int | None
    problem: str


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _value_of(text: str, what: str, size: int | None) -> int:
    value = _number(text)
    if value is None:
        raise click.UsageError(f"the value of {what or 'nothing'} is not a number: {text!r}")
    if size is None:
        return value
    if not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
        raise click.UsageError(f"the value of {what}, {text}, has more than its {size} bytes")
    return value & (1 << 8 * size) - 1


def _problem_of_number(register_id: int, text: str, problem: str) -> str:
    meant = describe(int(text, 16)) if text.isdecimal() else None
    if meant is not None:
        return f"{problem}. With 0x in front it is the id of {meant.name}"
    if not 0 <= register_id < 1 << 64:
        return "an id is a number of 64 bits"
    return problem


def _answer(argument: str, value_text: str | None, arch: str) -> _Answer:
    text, has_value, own_value = argument.partition("=")
    value_text = own_value if has_value else value_text
    number = _number(text)
    problem, dissection = "", None
    if number is None:
        register = names.find_register(text, arch)
        if register is None:
            problem = names.unknown_name(text, arch)
        else:
            dissection = dissect(register.id)
    else:
        if 0 <= number < 1 << 64:
            dissection = dissect(number)
        problem = dissection.problem if dissection else "x"
        if problem:
            problem = _problem_of_number(number, text, problem)
    register = dissection.register if dissection else None
    value = None
    if value_text is not None:
        value = _value_of(value_text, text, register.bytes if register else None)
    return _Answer(text, dissection, value, problem)


def _arguments(given: tuple[str, ...]) -> Iterator[str]:
    for argument in given:
        if argument != "-":
            yield argument
            continue
        for line in sys.stdin:
            words = line.partition("#")[0].split()
            if words:
                yield words[0]


def _field_rows(name: str, value: int) -> list[tuple[str, str, str, str]]:
    return [
        (field.name, field.bits, f"{number:#x}" if number > 9 else str(number), meaning)
        for field, number, meaning in decode_value(name, value)
    ]


def _print_answer(answer: _Answer) -> None:
    d = answer.dissection
    register = d.register if d else None
    title = f"{d.id:#018x}" if d else answer.text
    name = register.name if register else "no register"
    click.echo(f"{title}  {output.styled(name, bold=True, fg=None if register else 'red')}")
    if answer.problem:
        output.print_pairs([("why", answer.problem)])
    if register is not None:
        output.print_pairs([("kind", register.kind)])
    if d is not None:
        size = f"{1 << d.size_code} bytes, {8 << d.size_code} bits (size code {d.size_code})"
        output.print_pairs([("size", size), *d.parts, *(("note", note) for note in d.notes)])
    if answer.value is None:
        return
    decimal = f" ({answer.value})" if 9 < answer.value < 1 << 64 else ""
    output.print_pairs([("value", f"{answer.value:#x}{decimal}")])
    if register is not None:
        rows = _field_rows(register.name, answer.value)
        lines = output.columns(rows, indent=" " * 4)
        click.echo("\n".join(lines or ["    no named fields"]))


def _json(answer: _Answer) -> dict[str, Any]:
    d = answer.dissection
    register = d.register if d else None
    result: dict[str, Any] = {
        "input": answer.text,
        "id": f"{d.id:#018x}" if d else None,
        "name": register.name if register else None,
        "kind": register.kind if register else None,
        "arch": register.arch if register else None,
        "bytes": register.bytes if register else None,
        "problem": answer.problem or None,
        "id_fields": d.details if d else {},
        "notes": d.notes if d else [],
    }
    if answer.value is not None:
        decoded = decode_value(register.name, answer.value) if register else []
        result["value"] = f"{answer.value:#x}"
        result["bit_fields"] = [
            {"name": f.name, "high": f.high, "low": f.low, "value": f"{n:#x}", "meaning": meaning}
            for f, n, meaning in decoded
        ]
    return result


@regs.command("decode")
@click.argument("ids", metavar="ID[=VALUE]...", nargs=-1, required=True)
@click.option("--value", metavar="VALUE", help="The value of the one register that is given.")
@ARCH_OPTION
@gic_regs.GIC_OPTION
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def decode(
    ids: tuple[str, ...], value: str | None, arch: str, version: int | None, as_json: bool
) -> int:
    """Say which register an ID stands for, and what its value means.

    An ID is hexadecimal (0x...) or decimal; a register's name will do as well. `-` reads ids from
    standard input: the first word of each line. Registers of the GIC and its device attributes are
    understood as `kvmemu gic decode` has them. With a VALUE, the register's bit fields are named.
    For a number that is no register's id, the answer says what is wrong with it.

    \b
    Examples:
      kvmemu regs decode 0x603000000013df1a
      kvmemu regs decode 0x603000000013df19=0x5
      kvmemu regs decode PSTATE --value 0x3c5
      kvmemu regs decode gicd:0x104=0x30
      kvmemu regs list | kvmemu regs decode - --json

    Exit code 1 if one of them is no register.
    """
    arguments = list(_arguments(ids))
    if value is not None and len(arguments) != 1:
        raise click.UsageError("--value is for one register; for several, write ID=VALUE")
    answers = [_any_answer(argument, value, arch, version) for argument in arguments]
    if as_json:
        output.print_json([
            gic_regs.json_of(answer) if isinstance(answer, gic_ids.Answer) else _json(answer)
            for answer in answers
        ])  # fmt: skip
    else:
        for n, answer in enumerate(answers):
            if n:
                click.echo()
            if isinstance(answer, gic_ids.Answer):
                gic_regs.print_answer(answer)
            else:
                _print_answer(answer)
    return int(any(answer.problem for answer in answers))


def _any_answer(
    argument: str, value: str | None, arch: str, version: int | None
) -> _Answer | gic_ids.Answer:
    """About a vCPU's register, or one of the GIC."""
    if not gic_ids.is_gic(argument):
        return _answer(argument, value, arch)
    given = argument if value is None or "=" in argument else f"{argument}={value}"
    return gic_regs.answer_of(given, version)


# ---- encode ----


def _encode_vcpu(name: str, arch: str) -> tuple[dict[str, Any], str, str]:
    """The id of a vCPU's register: for programs, for people, and what is wrong."""
    register = names.find_register(name, arch)
    text = f"{register.id:#018x}" if register else ""
    result = {"input": name, "id": text or None, "name": register.name if register else None}
    return result, text, "" if register else names.unknown_name(name, arch)


@regs.command("encode")
@click.argument("register_names", metavar="NAME...", nargs=-1, required=True)
@ARCH_OPTION
@gic_regs.GIC_OPTION
@VCPU_OPTION
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def encode(
    register_names: tuple[str, ...],
    arch: str,
    version: int | None,
    vcpu: str | None,
    as_json: bool,
) -> int:
    """Print the id of each register NAME, one a line; of the GIC's, the device attribute.

    Names are the Arm manual's: PC, X0, V31, SP_EL1, CNTV_CVAL_EL0, CCSIDR_EL1.2 (the third cache),
    Z0, PSCI_VERSION, GICD_CTLR. The assembler's S3_3_C14_C3_1 and Linux's KVM_REG_ARM_TIMER_CNT are
    understood too. Case does not matter. `gic:ICC_PMR_EL1` is the attribute, ICC_PMR_EL1 the id.

    \b
    Examples:
      kvmemu regs encode PC
      kvmemu regs encode CNTV_CTL_EL0 CNTV_CVAL_EL0 CNTVCT_EL0 --json
      kvmemu regs encode --arch arm CNTVCT
      kvmemu regs encode GICR_ISPENDR0 --vcpu 3

    Exit code 1 if there is no such register.
    """
    found = []
    for name in register_names:
        if gic_ids.is_gic(name):
            encoded = Encoded(name, version, vcpu)
            found.append((encoded.json, encoded.line, encoded.answer.problem))
        else:
            found.append(_encode_vcpu(name, arch))
    if as_json:
        output.print_json([result for result, _, _ in found])
    for _, line, problem in found:
        if problem:
            click.echo(f"kvmemu: {problem}", err=True)
        elif not as_json:
            click.echo(line)
    return int(any(problem for _, _, problem in found))


regs.add_command(list_command)
