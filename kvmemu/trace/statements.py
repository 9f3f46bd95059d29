# SPDX-License-Identifier: MIT
"""What a script in the trace format consists of: values, blocks, statements, answers.

Layer: trace, a client of the ioctl interface. Everything here is plain data; parse.py makes it from
text, format.py makes text of it, replay.py runs it.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from kvmemu.trace.guest import GuestEnd

BLOCK_BYTES_MAX = 16 << 20
BLOCK_DEPTH_MAX = 8

# Names that differ from errno.errorcode where one number has two.
_ERRNO_NAMES = {
    **{number: name for number, name in errno.errorcode.items() if number < 134},
    errno.EAGAIN: "EAGAIN",
    errno.EDEADLK: "EDEADLK",
    errno.EOPNOTSUPP: "EOPNOTSUPP",
}


class TraceError(ValueError):
    """A script cannot be parsed or run.

    Attributes:
        line: the line of the script, counted from 1.
        why: a sentence.
    """

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


def errno_name(number: int) -> str | None:
    """The name of an error on Linux/arm64, or None if it has none in the format."""
    return _ERRNO_NAMES.get(number)


def reg_bytes(register_id: int) -> int:
    """The size of a register, which is part of its id (bits 52 to 55: a power of two)."""
    return int(1 << (register_id >> 52 & 0xF))


# ---- values ----


@dataclass(frozen=True)
class Number:
    """A number, negative ones included.

    Attributes:
        text: as written in the script, or empty: then it is written in decimal.
    """

    value: int
    text: str = field(default="", compare=False)

    def bits(self, width_bytes: int) -> int:
        """The number as memory of that width holds it."""
        return self.value & ((1 << 8 * width_bytes) - 1)


@dataclass(frozen=True)
class Bad:
    """An address where nothing is ever mapped."""


@dataclass(frozen=True)
class Address:
    """An address in a buffer.

    Attributes:
        text: as written in the script, without the `&`, or empty.
    """

    name: str
    offset: int = 0
    text: str = field(default="", compare=False)


@dataclass(frozen=True)
class Descriptor:
    """The number of a descriptor."""

    name: str


@dataclass(frozen=True)
class Text:
    """Bytes, written as a string."""

    data: bytes


@dataclass(frozen=True)
class Block:
    """Memory: its items lie one behind the other. As a value, its address."""

    items: tuple[Item, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(item.size for item in self.items)


Scalar = Number | Bad | Address | Descriptor
Value = Scalar | Block


@dataclass(frozen=True)
class Item:
    """Part of a block: a value, repeated.

    Attributes:
        width: bytes of one element; a Text has its own length, a Block 8.
        volatile: not compared.
    """

    value: Value | Text
    width: int = 8
    count: int = 1
    volatile: bool = False

    @property
    def size(self) -> int:
        """Bytes."""
        return self.width * self.count


# ---- answers ----


@dataclass(frozen=True)
class Answer:
    """What a statement answered.

    Attributes:
        result: a number >= 0, a negative errno, `fd` (a descriptor was created), or `?` (any
            success).
        value: the register that `get` read.
        block: the memory after the call, if the call changed it.
        guests: how each list of a `guest` statement ended; result is the first one's.
    """

    result: int | str
    value: int | None = None
    block: Block | None = None
    guests: tuple[GuestEnd, ...] = ()


# ---- statements ----


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a script.

    Attributes:
        first_line, last_line: where it stands; 0 if it was not parsed from text.
        answer: the recorded one.
    """

    HAS_ANSWER: ClassVar[bool] = True

    first_line: int = field(default=0, compare=False)
    last_line: int = field(default=0, compare=False)
    answer: Answer | None = None


@dataclass(frozen=True)
class Host(Statement):
    """Which hosts the script is for, or the answers come from."""

    HAS_ANSWER: ClassVar[bool] = False
    names: tuple[str, ...]


@dataclass(frozen=True)
class Open(Statement):
    """Opens /dev/kvm."""

    created: str


@dataclass(frozen=True)
class Ioctl(Statement):
    """Calls ioctl(fd, request, arg)."""

    fd: str
    request: Scalar
    arg: Value
    created: str | None = None
    volatile: bool = False


@dataclass(frozen=True)
class Get(Statement):
    """Reads a register with KVM_GET_ONE_REG."""

    fd: str
    id: Number
    volatile: bool = False


@dataclass(frozen=True)
class Set(Statement):
    """Writes a register with KVM_SET_ONE_REG."""

    fd: str
    id: Number
    value: Number


@dataclass(frozen=True)
class Close(Statement):
    """Closes a descriptor."""

    fd: str


@dataclass(frozen=True)
class Dup(Statement):
    """Duplicates a descriptor."""

    fd: str
    created: str


@dataclass(frozen=True)
class Buffer(Statement):
    """Maps anonymous memory."""

    HAS_ANSWER: ClassVar[bool] = False
    created: str
    size: Number


@dataclass(frozen=True)
class Unmap(Statement):
    """Takes a buffer's or a mapping's memory away."""

    HAS_ANSWER: ClassVar[bool] = False
    buffer: str


@dataclass(frozen=True)
class Mmap(Statement):
    """Maps a descriptor."""

    fd: str
    size: Number
    offset: Number
    created: str


@dataclass(frozen=True)
class Poke(Statement):
    """Stores a block in a buffer."""

    HAS_ANSWER: ClassVar[bool] = False
    place: Address
    block: Block


@dataclass(frozen=True)
class Peek(Statement):
    """Loads from a buffer what the block lays out."""

    place: Address
    block: Block


@dataclass(frozen=True)
class Read(Statement):
    """Calls pread(fd, ..., size, offset)."""

    fd: str
    size: Number
    offset: Number
    block: Block | None = None
    volatile: bool = False


@dataclass(frozen=True)
class Eventfd(Statement):
    """Creates an eventfd."""

    HAS_ANSWER: ClassVar[bool] = False
    created: str
    initial: Number
    flags: Number


@dataclass(frozen=True)
class Alarm(Statement):
    """Has SIGALRM interrupt the next statement."""

    HAS_ANSWER: ClassVar[bool] = False
    ms: Number


@dataclass(frozen=True)
class Start(Statement):
    """Calls KVM_RUN on a thread of its own, and goes on when it is under way."""

    HAS_ANSWER: ClassVar[bool] = False
    fd: str


@dataclass(frozen=True)
class Stop(Statement):
    """Waits for a started KVM_RUN; after ms milliseconds a signal ends it."""

    fd: str
    ms: Number


@dataclass(frozen=True)
class Script:
    """A parsed script or trace.

    Attributes:
        lines: the text it was parsed from.
        answer_lines: numbers of the lines that hold answers.
        constants: what its names of constants stand for.
    """

    statements: tuple[Statement, ...]
    constants: Mapping[str, int]
    lines: tuple[str, ...] = ()
    answer_lines: frozenset[int] = frozenset()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts it names; empty for `host any`, or none."""
        for statement in self.statements:
            if isinstance(statement, Host):
                return () if statement.names == ("any",) else statement.names
        return ()
