# SPDX-License-Identifier: MIT
"""From the text of a script or trace to its statements. Layer: trace.

The oracle's replayer (tests/oracle/parse.c) reads the same language; what one refuses, both refuse.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kvmemu.trace import statements as st
from kvmemu.trace.guest import Guest
from kvmemu.trace.parse_guest import GuestParser
from kvmemu.trace.tokens import Token, split_statements

ALARM_MS_MAX = 10000
CREATING_REQUESTS = ("KVM_CREATE_VM", "KVM_CREATE_VCPU", "KVM_CREATE_DEVICE", "KVM_GET_STATS_FD")


@dataclass(frozen=True)
class _Name:
    kind: str  # "descriptor" or "buffer"
    line: int
    size: int = 0


class _Parser(GuestParser):
    """Parses statement after statement; knows the names that the ones before have bound."""

    def __init__(self, constants: Mapping[str, int]) -> None:
        super().__init__(constants)
        self._names: dict[str, _Name] = {}
        self._creating = {constants[name] for name in CREATING_REQUESTS if name in constants}

    # ---- names ----

    def known(self, name: str, kind: str) -> str:
        """A name that a statement above has bound, to a descriptor or to a buffer."""
        found = self._names.get(name)
        if found is None:
            raise self.error(f"no statement above binds the name {name}")
        if found.kind != kind:
            raise self.error(f"{name} is not a {kind}")
        return name

    def _new_name(self, kind: str) -> str:
        name = self.word("a name")
        if not self.is_name(name):
            raise self.not_a_name(name)
        if name in self._names:
            raise self.error(f"the name {name} is taken since line {self._names[name].line}")
        self._names[name] = _Name(kind, self.line)
        return name

    def _fd(self) -> str:
        return self.known(self.word("a descriptor"), "descriptor")

    def _new_fd(self) -> str:
        return self._new_name("descriptor")

    def _new_buffer(self) -> str:
        return self._new_name("buffer")

    def _arrow(self) -> None:
        if not self.accept("->"):
            raise self.error("`-> NAME` is missing")

    def _size_of(self, name: str, size: st.Number) -> st.Number:
        if not 0 < size.bits(8) <= 1 << 40:
            raise self.error("a size is 1 byte to 1 TiB")
        self._names[name] = replace(self._names[name], size=size.value)
        return size

    # ---- statements, in the order of their parts ----

    def host(self) -> st.Host:
        names = []
        while not self.at_end():
            names.append(self.word("a host's name"))
        if not names:
            raise self.error("a host's name is missing")
        return st.Host(tuple(names))

    def open(self) -> st.Open:
        return st.Open(self._new_fd())

    def ioctl(self) -> st.Ioctl:
        fd = self._fd()
        if not self.at_end() and self.peek_kind() != "word":
            raise self.error("the request is a constant's name or a number")
        request = self.scalar(self.word("the request"))
        arg = self.value("the argument")
        created = None
        if self.accept("->"):
            if not isinstance(request, st.Number) or request.value not in self._creating:
                raise self.error("`->`: this request creates no descriptor")
            created = self._new_fd()
        return st.Ioctl(fd, request, arg, created, self.accept("?"))

    def get(self) -> st.Get:
        fd = self._fd()
        return st.Get(fd, self.number("the register's id"), self.accept("?"))

    def set(self) -> st.Set:
        fd, register_id = self._fd(), self.number("the register's id")
        size = st.reg_bytes(register_id.bits(8))
        value = self.long_number("the register's value")
        if not self.fits(value, size):
            raise self.error(f"the value has more than the register's {size} bytes")
        return st.Set(fd, register_id, value)

    def close(self) -> st.Close:
        return st.Close(self._fd())

    def dup(self) -> st.Dup:
        fd = self._fd()
        self._arrow()
        return st.Dup(fd, self._new_fd())

    def buffer(self) -> st.Buffer:
        name = self._new_buffer()
        return st.Buffer(name, self._size_of(name, self.number("a number")))

    def unmap(self) -> st.Unmap:
        return st.Unmap(self.known(self.word("a buffer"), "buffer"))

    def mmap(self) -> st.Mmap:
        fd, size, offset = self._fd(), self.number("a number"), self.number("a number")
        self._arrow()
        name = self._new_buffer()
        return st.Mmap(fd, self._size_of(name, size), offset, name)

    def _place_and_block(self) -> tuple[st.Address, st.Block]:
        place = self.place(self.word("NAME+OFF"))
        block = self.plain_block()
        size = self._names[place.name].size
        if place.offset + block.size > size:
            raise self.error(f"{place.name} ends at byte {size}")
        return place, block

    def poke(self) -> st.Poke:
        return st.Poke(*self._place_and_block())

    def peek(self) -> st.Peek:
        return st.Peek(*self._place_and_block())

    def read(self) -> st.Read:
        fd, size, offset = self._fd(), self.number("a number"), self.number("a number")
        if not 0 <= size.value <= st.BLOCK_BYTES_MAX:
            raise self.error(f"at most {st.BLOCK_BYTES_MAX} bytes at a time")
        block = None
        if not self.at_end() and self.peek_kind() == "[":
            block = self.plain_block()
            if block.size != size.value:
                raise self.error(f"the items are {block.size} bytes, not {size.value}")
        return st.Read(fd, size, offset, block, self.accept("?"))

    def eventfd(self) -> st.Eventfd:
        name = self._new_fd()
        initial, flags = self.number("a number"), self.number("a number")
        if not (0 <= initial.value < 1 << 32 and 0 <= flags.value < 1 << 31):
            raise self.error("an eventfd's numbers have 32 bits")
        return st.Eventfd(name, initial, flags)

    def alarm(self) -> st.Alarm:
        ms = self.number("a number")
        if not 0 < ms.value <= ALARM_MS_MAX:
            raise self.error(f"an alarm is 1 to {ALARM_MS_MAX} ms away")
        return st.Alarm(ms)

    def start(self) -> st.Start:
        return st.Start(self._fd())

    def stop(self) -> st.Stop:
        fd, ms = self._fd(), self.number("a number")
        if not 0 <= ms.value <= ALARM_MS_MAX:
            raise self.error(f"a run is given 0 to {ALARM_MS_MAX} ms")
        return st.Stop(fd, ms)

    # ---- answers ----

    def answer(self, statement: st.Statement) -> st.Answer:
        """The answer to a statement; the current tokens begin behind its `=`."""
        word = self.word("the result")
        if isinstance(statement, Guest):
            return self.guest_answer(statement, word)
        result = self.result(word)
        if isinstance(statement, st.Get):
            value = None if self.at_end() else self.long_number("a value").value
            answer = st.Answer(result, value=value)
        elif self.at_end():
            answer = st.Answer(result)
        else:
            answer = st.Answer(result, block=self.block("items", may_nest=True))
        return answer

    def result(self, word: str) -> int | str:
        if word in ("fd", "?"):
            return word
        if word[:2] == "-E" and (number := getattr(errno, word[1:], None)) is not None:
            return -int(number)
        try:
            return int(word, 0)
        except ValueError:
            raise self.error(f"{word} is not a result") from None

    def end(self) -> None:
        """Nothing may be left of the statement."""
        if not self.at_end():
            raise self.error("the statement should end here")


_STATEMENTS: dict[str, Callable[[_Parser], st.Statement]] = {
    "host": _Parser.host, "open": _Parser.open, "ioctl": _Parser.ioctl, "get": _Parser.get,
    "set": _Parser.set, "close": _Parser.close, "dup": _Parser.dup, "buffer": _Parser.buffer,
    "unmap": _Parser.unmap, "mmap": _Parser.mmap, "poke": _Parser.poke, "peek": _Parser.peek,
    "read": _Parser.read, "eventfd": _Parser.eventfd, "alarm": _Parser.alarm,
    "guest": _Parser.guest, "start": _Parser.start, "stop": _Parser.stop,
}  # fmt: skip


def _parse_version(parser: _Parser, tokens: list[Token]) -> None:
    parser.begin(tokens)
    if parser.peek_kind() != "word" or parser.word("a word") != "kvmemu-trace":
        raise parser.error("the first statement is `kvmemu-trace 1`")
    if parser.at_end() or parser.word("the version") != "1":
        raise parser.error("only version 1 of the format is known")
    parser.end()


def _parse_statement(parser: _Parser, tokens: list[Token]) -> st.Statement:
    parser.begin(tokens)
    if parser.peek_kind() != "word":
        raise parser.error("a statement begins with a word")
    word = parser.word("a statement")
    if word not in _STATEMENTS:
        raise parser.error(f"no statement is called {word}")
    statement = _STATEMENTS[word](parser)
    parser.end()
    return replace(statement, first_line=tokens[0].line, last_line=tokens[-1].line)


def _parse_answer(
    parser: _Parser, tokens: list[Token], statement: st.Statement | None
) -> st.Statement:
    parser.begin(tokens[1:], tokens[0].line)
    if statement is None or not statement.HAS_ANSWER:
        raise parser.error("an answer without a statement that has one")
    if statement.answer is not None:
        raise parser.error("a second answer to one statement")
    answer = parser.answer(statement)
    parser.end()
    return replace(statement, answer=answer)


def parse(text: str, constants: Mapping[str, int]) -> st.Script:
    """Parse a script or a trace.

    Args:
        text: the whole file.
        constants: the names that may stand for numbers.

    Raises:
        TraceError: the text is not in the format; it says where and why.
    """
    parser = _Parser(constants)
    parts = split_statements(text)
    if not parts:
        raise st.TraceError(text.count("\n") + 1, "`kvmemu-trace 1` is missing")
    _parse_version(parser, parts[0])
    statements: list[st.Statement] = []
    answer_lines: set[int] = set()
    for tokens in parts[1:]:
        if tokens[0].kind == "word" and tokens[0].text == "=":
            last = statements[-1] if statements else None
            answered = _parse_answer(parser, tokens, last)
            statements[-1] = answered
            answer_lines.update(range(tokens[0].line, tokens[-1].line + 1))
        else:
            statements.append(_parse_statement(parser, tokens))
    lines = tuple(text.removesuffix("\n").split("\n"))
    return st.Script(tuple(statements), constants, lines, frozenset(answer_lines))
