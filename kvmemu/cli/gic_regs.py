# SPDX-License-Identifier: MIT
"""`kvmemu gic decode`: registers of the GIC by offset, name, or device attribute. Layer: cli.

`kvmemu regs decode` passes on what looks like one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import click

from kvmemu import constants as c
from kvmemu.cli import output
from kvmemu.fields import decode_value
from kvmemu.gic_registers import GicRegister, find_gic_register, gic_register_at
from kvmemu.state.gic import FRAME_OF_GROUP, LEVELS
from kvmemu.state.gic_text import Entry
from kvmemu.state.interrupts import interrupt_fields, meaning_of

_FRAMES = {"dist": "gicd", "redist": "gicr", "cpu": "gicc"}
_GIVEN = re.compile(r"(?:gic:)?([a-z]+|\d+):(0x[0-9a-f]+|\d+)", re.IGNORECASE)
_WHOSE_SHIFT = 32
_LOW = 0xFFFFFFFF


@dataclass
class Answer:
    """What is to be said about one argument.

    Attributes:
        attr: the attribute it was given as, with a vCPU in its upper half; None for an offset.
    """

    text: str
    version: int
    register: GicRegister | None = None
    attr: int | None = None
    intid: int | None = None
    value: int | None = None
    problem: str = ""


def is_gic(text: str) -> bool:
    """Whether an argument is about the GIC: gicd:0x104, gic:1:0x104, GICD_CTLR."""
    name = text.partition("=")[0]
    if name.upper().startswith(("GICD_", "GICR_", "GICC_")):
        return True
    match = _GIVEN.fullmatch(name)
    if match is None:
        return False
    where = match[1].lower()
    return name.lower().startswith("gic:") or where in {*_FRAMES.values(), "icc"}


def _frame_of(where: str) -> str | None:
    """A frame by its name, or by the number of its attributes' group."""
    if where.isdecimal():
        return FRAME_OF_GROUP.get(int(where))
    where = _FRAMES.get(where, where)
    return where if where in {"gicd", "gicr", "gicc", "icc"} else None


def _by_offset(answer: Answer, where: str, number: int) -> None:
    if where.isdecimal() and int(where) == LEVELS:
        answer.attr, answer.intid = number, number & c.KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK
        if answer.intid % 32:
            answer.problem = "line levels are read for 32 interrupts, from a multiple of 32"
        return
    frame = _frame_of(where)
    if frame is None:
        answer.problem = f"no frame or group of registers is called {where}"
        return
    if number >> _WHOSE_SHIFT or where.isdecimal():
        answer.attr = number
    offset = number & _LOW
    answer.register = gic_register_at(answer.version, frame, offset)
    if answer.register is None:
        answer.problem = f"a GICv{answer.version} has no {frame.upper()} register at {offset:#x}"


def answer_of(text: str, version: int) -> Answer:
    """What an argument stands for."""
    name, has_value, value = text.partition("=")
    answer = Answer(name, version)
    match = _GIVEN.fullmatch(name)
    if match is not None:
        _by_offset(answer, match[1].lower(), int(match[2], 0))
    else:
        answer.register = find_gic_register(version, name)
        if answer.register is None:
            other = find_gic_register(5 - version, name)
            hint = f"; a GICv{5 - version} has (--gic {5 - version})" if other else ""
            answer.problem = f"a GICv{version} has no register {name}{hint}"
    if has_value:
        try:
            answer.value = int(value, 0)
        except ValueError:
            raise click.UsageError(f"the value of {name} is not a number: {value!r}") from None
        size = answer.register.bytes if answer.register else 4
        if not 0 <= answer.value < 1 << 8 * size:
            raise click.UsageError(f"the value of {name} has more than its {size} bytes")
    return answer


def _parts(answer: Answer) -> list[tuple[str, str]]:
    register, parts = answer.register, []
    if register is not None:
        parts.append(("frame", register.frame.upper()))
        what = "encoding" if register.frame == "icc" else "offset"
        parts += [(what, f"{register.offset:#x}"), ("size", f"{register.bytes} bytes")]
        if register.fields:
            last = register.intid + register.fields - 1
            of = f"INTID {register.intid} to {last}" if last > register.intid else f"INTID {last}"
            parts.append(("fields", f"{meaning_of(register) or 'reserved'}, {of}"))
        saved = "yes" if register.restore else "no: a constant, or another view of what is"
        parts.append(("saved", saved))
    elif answer.intid is not None and not answer.problem:
        parts.append(("fields", f"line, INTID {answer.intid} to {answer.intid + 31}"))
    if answer.attr is not None:
        whose = answer.attr >> _WHOSE_SHIFT
        vcpu = f"id {whose & 0xFF}" if answer.version == 2 else f"affinity {_affinity(whose)}"
        parts.append(("vCPU", vcpu))
    return parts


def _affinity(whose: int) -> str:
    return ".".join(str(whose >> shift & 0xFF) for shift in (24, 16, 8, 0))


def _fields(answer: Answer) -> list[tuple[str, str, str]]:
    """What, number and meaning of each field of a value."""
    value, register = answer.value, answer.register
    assert value is not None
    if register is None or meaning_of(register):
        intid = answer.intid or 0 if register is None else register.intid
        entry = Entry("", None, register, intid, value)
        what = meaning_of(register) or ""
        return [
            (f"INTID {intid}", f"{number:#x}", what)
            for intid, number in interrupt_fields(entry, value)
            if number
        ]
    return [
        (field.name, f"{number:#x}", meaning)
        for field, number, meaning in decode_value(register.name, value)
    ]


def print_answer(answer: Answer) -> None:
    """For people."""
    name = answer.register.name if answer.register else "line levels"
    good = not answer.problem
    shown = output.styled(name if good else "no register", bold=True, fg=None if good else "red")
    click.echo(f"{answer.text}  {shown}")
    if answer.problem:
        output.print_pairs([("why", answer.problem)])
        return
    output.print_pairs(_parts(answer))
    if answer.value is not None:
        output.print_pairs([("value", f"{answer.value:#x}")])
        rows = _fields(answer)
        for line in output.columns(rows, indent=" " * 4) if rows else ["    no field is set"]:
            click.echo(line)


def json_of(answer: Answer) -> dict[str, Any]:
    """For programs."""
    register = answer.register
    result: dict[str, Any] = {
        "input": answer.text,
        "name": register.name if register else None,
        "gic": answer.version,
        "frame": register.frame if register else None,
        "offset": f"{register.offset:#x}" if register else None,
        "bytes": register.bytes if register else None,
        "intid": register.intid if register and register.fields else answer.intid,
        "problem": answer.problem or None,
    }
    if answer.attr is not None:
        result["attr"] = f"{answer.attr:#x}"
    if answer.value is not None and not answer.problem:
        result["value"] = f"{answer.value:#x}"
        result["fields"] = [
            {"what": what, "value": number, "meaning": meaning}
            for what, number, meaning in _fields(answer)
        ]
    return result


@click.command("decode")
@click.argument("given", metavar="REGISTER[=VALUE]...", nargs=-1, required=True)
@click.option(
    "--gic", "version", type=click.IntRange(2, 3), default=3, show_default=True,
    help="The guest's GIC.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def decode(given: tuple[str, ...], version: int, as_json: bool) -> int:
    """Say which register of the GIC an offset, a name or a device attribute stands for.

    A REGISTER is FRAME:OFFSET with a frame of gicd, gicr, gicc or icc (whose offsets are
    encodings); GROUP:ATTR with the numbers of struct kvm_device_attr; or a name. With a VALUE, its
    fields are named: by interrupt where it has one for each.

    \b
    Examples:
      kvmemu gic decode gicd:0x104=0x30
      kvmemu gic decode 5:0x100010200 GICR_TYPER
      kvmemu gic decode --gic 2 gicc:0x4

    Exit code 1 if one of them is no register.
    """
    answers = [answer_of(text, version) for text in given]
    if as_json:
        output.print_json([json_of(answer) for answer in answers])
    else:
        for n, answer in enumerate(answers):
            if n:
                click.echo()
            print_answer(answer)
    return int(any(answer.problem for answer in answers))
