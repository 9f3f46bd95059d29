# SPDX-License-Identifier: MIT
"""`kvmemu gic decode`: registers of the GIC and device attributes, and what they say. Layer: cli.

`kvmemu regs decode` passes on what is about the GIC.
"""

from __future__ import annotations

from typing import Any

import click

from kvmemu import constants as c
from kvmemu.cli import output
from kvmemu.cli.gic_ids import Answer, attrs_of, identify, number_of
from kvmemu.fields import Field, decode_value
from kvmemu.gic_attrs import ADDR, GROUPS, NR_IRQS, whose_text
from kvmemu.gic_registers import GicRegister
from kvmemu.gic_settings import in_words, is_clearing, is_flag, meaning_of, settings

_REGION = c.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION

GIC_OPTION = click.option(
    "--gic", "version", type=click.IntRange(2, 3),
    help="The guest's GIC. If it is not said: the one that has such a register, a GICv3 if both.",
)  # fmt: skip


def answer_of(text: str, version: int | None = None) -> Answer:
    """What REGISTER[=VALUE] stands for.

    Raises:
        click.UsageError: the value is no number, or too wide.
    """
    name, has_value, value = text.partition("=")
    answer = identify(name, version)
    if not has_value:
        return answer
    answer.value = number_of(value)
    if answer.value is None:
        raise click.UsageError(f"the value of {name or 'nothing'} is not a number: {value!r}")
    if answer.bytes == 0 and not answer.problem:
        raise click.UsageError(f"{answer.name} takes no value")
    if not 0 <= answer.value < 1 << 8 * answer.bytes and not answer.problem:
        raise click.UsageError(f"the value of {name} is not one of {answer.bytes} bytes: {value}")
    return answer


# ---- what it is ----


def _intids(answer: Answer) -> str | None:
    """The interrupts that it is about."""
    register = answer.register
    if register is None:
        first, count = answer.intid, 32
    else:
        first, count = register.intid, register.fields
    if not count or first is None:
        return None
    return f"INTID {first}" if count == 1 else f"INTID {first} to {first + count - 1}"


def _parts(answer: Answer) -> list[tuple[str, str]]:
    register, parts = answer.register, []
    parts.append(("GIC", f"GICv{answer.version}"))
    if register is not None:
        parts.append(("frame", register.frame.upper()))
        where = ("offset", f"{register.offset:#x}")
        parts.append(("encoding", _encoding(register)) if register.frame == "icc" else where)
    group, attrs = attrs_of(answer)
    parts += [("group", f"{group}, {GROUPS[group]}"), ("attribute", ", ".join(map(hex, attrs)))]
    if answer.whose is not None:
        parts.append(("vCPU", whose_text(answer.version, answer.whose)))
    if answer.bytes:
        half = ", the upper half" if answer.shift else ""
        parts.append(("size", f"{answer.bytes} bytes{half}"))
    intids = _intids(answer)
    if intids is not None:
        meaning = meaning_of(register) or "reserved"
        clearing = register is not None and is_clearing(register)
        parts.append(("fields", f"{meaning}, {intids}{'; ones clear it' if clearing else ''}"))
    if register is not None:
        parts.append(("saved", _saved(register)))
    return parts


def _saved(register: GicRegister) -> str:
    if register.reserved:
        return "no: zero, and not to be written; the redistributors have SGIs and PPIs"
    return "yes" if register.restore else "no: a constant, or another view of what is"


def _encoding(register: GicRegister) -> str:
    low = register.offset
    op0, op1, crn, crm, op2 = low >> 14, low >> 11 & 7, low >> 7 & 15, low >> 3 & 15, low & 7
    return f"{low:#x}, S{op0}_{op1}_C{crn}_C{crm}_{op2}"


# ---- what its value says ----


Row = tuple[str, str, int, str]  # what, bits, number, meaning


def _setting_rows(answer: Answer, value: int) -> list[Row]:
    meaning = meaning_of(answer.register)
    assert meaning is not None
    return [
        (f"INTID {intid}", "", number, in_words(meaning, number))
        for intid, number in settings(answer.register, value, answer.intid or 0)
        if number or not is_flag(meaning)
    ]


def _field_rows(layout: str, answer: Answer, value: int) -> list[Row]:
    """Fields in the part of the register that is meant."""
    low, high = answer.shift, answer.shift + 8 * answer.bytes - 1
    return [
        (field.name, field.bits, number, meaning)
        for field, number, meaning in decode_value(layout, value)
        if _inside(field, low, high)
    ]


def _inside(field: Field, low: int, high: int) -> bool:
    return field.high >= low and field.low <= high


def _rows(answer: Answer) -> list[Row]:
    """What the value says, part by part."""
    assert answer.value is not None
    value = answer.value << answer.shift
    register = answer.register
    if register is not None and meaning_of(register) is None:
        return _field_rows(register.layout, answer, value)
    if register is not None or answer.intid is not None:
        return _setting_rows(answer, value)
    if answer.group == NR_IRQS:
        return [("INTIDs", "31:0", value, _nr_irqs_text(value))]
    if answer.group == ADDR and answer.attr == _REGION:
        return _field_rows("REDIST_REGION", answer, value)
    return [("address", "63:0", value, "nowhere" if value == (1 << 64) - 1 else "")]


def _nr_irqs_text(count: int) -> str:
    if 64 <= count <= 992 and count % 32 == 0:
        return f"SPIs 32 to {count - 1}"
    return "refused: 64 to 992 in steps of 32"


def print_answer(answer: Answer) -> None:
    """For people."""
    if answer.problem:
        click.echo(f"{answer.text}  {output.styled('no register', bold=True, fg='red')}")
        output.print_pairs([("why", answer.problem)])
        return
    group, attrs = attrs_of(answer)
    click.echo(f"{group}:{attrs[0]:#x}  {output.styled(answer.name, bold=True)}")
    output.print_pairs(_parts(answer))
    if answer.value is None:
        return
    output.print_pairs([("value", f"{answer.value:#x}")])
    rows = _rows(answer)
    cells = [(what, bits, _number(number), meaning) for what, bits, number, meaning in rows]
    if not any(bits for _, bits, _, _ in cells):
        cells = [(what, number, meaning, "") for what, _, number, meaning in cells]
    for line in output.columns(cells, indent=" " * 4) if cells else ["    no field is set"]:
        click.echo(line)


def _number(number: int) -> str:
    return f"{number:#x}" if number > 9 else str(number)


def json_of(answer: Answer) -> dict[str, Any]:
    """For programs."""
    register = answer.register
    group, attrs = (None, []) if answer.problem else attrs_of(answer)
    result: dict[str, Any] = {
        "input": answer.text,
        "name": answer.name if not answer.problem else None,
        "gic": answer.version,
        "frame": register.frame if register else None,
        "offset": f"{register.offset:#x}" if register else None,
        "bytes": answer.bytes if not answer.problem else None,
        "group": group,
        "attrs": [f"{attr:#x}" for attr in attrs],
        "intid": register.intid if register and register.fields else answer.intid,
        "problem": answer.problem or None,
    }
    if answer.value is not None and not answer.problem:
        result["value"] = f"{answer.value:#x}"
        result["fields"] = [
            {"what": what, "bits": bits or None, "value": f"{number:#x}", "meaning": meaning}
            for what, bits, number, meaning in _rows(answer)
        ]
    return result


@click.command("decode")
@click.argument("given", metavar="REGISTER[=VALUE]...", nargs=-1, required=True)
@GIC_OPTION
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def decode(given: tuple[str, ...], version: int | None, as_json: bool) -> int:
    """Say which register of the GIC an offset, a name or a device attribute stands for, and what
    its value says.

    A REGISTER is a name; FRAME:OFFSET with a frame of gicd, gicr, gicc or icc (whose offsets are
    encodings); or GROUP:ATTR, numbers or names, as in struct kvm_device_attr. A VALUE is taken
    apart by bit fields, or by interrupts where it has a field for each.

    \b
    Examples:
      kvmemu gic decode gicd:0x104=0x30
      kvmemu gic decode 5:0x100010200 GICR_TYPER
      kvmemu gic decode --gic 2 GICD_ITARGETSR8=0x01010302
      kvmemu gic decode ADDR:REDIST_REGION=0x0040000008100000

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
