# SPDX-License-Identifier: MIT
"""What a guest does in a script, and what became of it: plain data, and its text. Layer: trace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kvmemu.trace.statements import Number, Statement

OPERATIONS_MAX = 512  # of a list, with its repetitions written out
BINDINGS_MAX = 64
CALL_VALUES = 4  # x0 to x3, in and out of a call
WIDTHS = (1, 2, 4, 8)

# A VM whose guests act has its memory here, of which each vCPU has a part by its id.
GUEST_IPA = 0xFC00_0000
GUEST_VCPU_BYTES = 0x2_0000
# A store to it ends a list.
DOORBELL = GUEST_IPA - 0x1000

LINES = ("none", "I", "F", "IF")  # by IRQ in bit 0, FIQ in bit 1


@dataclass(frozen=True)
class Operand:
    """A number, to which the result of an earlier operation is added if there is a name."""

    number: Number
    name: str | None = None


@dataclass(frozen=True)
class Operation:
    """One thing that a guest does.

    Attributes:
        word: what: `read`, `write`, `load`, ...
        register: of `read` and `write`; its encoding is op0:op1:CRn:CRm:op2 in 16 bits.
        bytes: of `load`, `store` and `wait`.
        mmio: what a `load` reads that leaves the guest; None: it says nothing, and 0 is read.
        binds: the name that stands for its result from then on.
        volatile: its result is not compared.
    """

    word: str
    operands: tuple[Operand, ...] = ()
    register: str = ""
    encoding: int = 0
    bytes: int = 0
    mmio: Number | None = None
    binds: str | None = None
    volatile: bool = False


@dataclass(frozen=True)
class Repeat:
    """Operations that are done so often, or until one of their `until` says so."""

    times: int
    operations: tuple[Operation | Repeat, ...]


@dataclass(frozen=True)
class GuestList:
    """What the guest of one vCPU is to do. None: to go on with its last list."""

    fd: str
    operations: tuple[Operation | Repeat, ...] | None


@dataclass(frozen=True)
class Guest(Statement):
    """Has guests do something, all of them at the same time."""

    lists: tuple[GuestList, ...]


# ---- answers ----


@dataclass(frozen=True)
class Outcome:
    """What became of an operation.

    Attributes:
        kind: `.` (done), `?` (done, any result), `value`, `values` (of a call), `mmio` (it left
            the guest), `undefined`, `abort`, or one of LINES.
        values: the numbers that belong to it.
    """

    kind: str
    values: tuple[int, ...] = ()

    def is_same(self, other: Outcome) -> bool:
        """Whether they are the same; `?` is any success that has a result."""
        for one, two in ((self, other), (other, self)):
            if one.kind == "?":
                return two.kind not in (".", "undefined", "abort")
        return self == other


@dataclass(frozen=True)
class GuestEnd:
    """How a list ended.

    Attributes:
        result: 0: it was done to its end; a negative errno of KVM_RUN; or an exit's name.
        outcomes: of the operations that ended, in their order.
    """

    result: int | str
    outcomes: tuple[Outcome, ...]


def same_ends(expected: GuestEnd, got: GuestEnd) -> bool:
    """Whether two lists ended alike."""
    return (
        expected.result == got.result
        and len(expected.outcomes) == len(got.outcomes)
        and all(a.is_same(b) for a, b in zip(expected.outcomes, got.outcomes, strict=True))
    )


_HEX = re.compile(r"0x[0-9a-f]{1,16}")


def parse_outcome(word: str) -> Outcome | None:
    """The outcome that one word says, or None."""
    if word in (".", "?", "undefined", "abort", *LINES):
        return Outcome(word)
    kind = "value"
    if word.startswith("mmio:"):
        kind, word = "mmio", word[5:]
    return Outcome(kind, (int(word, 16),)) if _HEX.fullmatch(word) else None


def outcome_words(outcome: Outcome) -> Iterator[str]:
    """An outcome's words."""
    if outcome.kind == "values":
        yield from ("[", *(f"{value:#x}" for value in outcome.values), "]")
    elif outcome.kind == "value":
        yield f"{outcome.values[0]:#x}"
    elif outcome.kind == "mmio":
        yield f"mmio:{outcome.values[0]:#x}"
    else:
        yield outcome.kind


# ---- text ----


def _operand_word(operand: Operand) -> str:
    if operand.name is None:
        return operand.number.text or str(operand.number.value)
    offset = (operand.number.text or str(operand.number.value)) if operand.number.value else ""
    return f"${operand.name}+{offset}" if offset else f"${operand.name}"


def _operation_words(operation: Operation) -> Iterator[str]:
    operands = [_operand_word(operand) for operand in operation.operands]
    yield operation.word
    if operation.register:
        yield operation.register
    if operation.bytes:
        yield operands.pop(0)
        yield str(operation.bytes)
    yield from operands
    if operation.mmio is not None:
        yield from ("<-", operation.mmio.text or str(operation.mmio.value))
    if operation.binds:
        yield from ("->", operation.binds)
    if operation.volatile:
        yield "?"


def list_words(operations: tuple[Operation | Repeat, ...]) -> Iterator[str]:
    """The words of a list, with its brackets."""
    yield "["
    for index, operation in enumerate(operations):
        if isinstance(operation, Repeat):
            words = ["repeat", str(operation.times), *list_words(operation.operations)]
        else:
            words = list(_operation_words(operation))
        if index + 1 < len(operations):
            words[-1] += ";"
        yield from words
    yield "]"
