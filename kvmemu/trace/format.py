# SPDX-License-Identifier: MIT
"""From statements and answers to text. Layer: trace, a client of the ioctl interface."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from kvmemu.trace import statements as st
from kvmemu.trace.guest import Guest, GuestEnd, GuestList, list_words, outcome_words

LINE_COLUMNS = 100
HEADER = "kvmemu-trace 1"

_PLAIN = re.compile(r"[ !#-\[\]-~]")  # printable ASCII but `"` and `\`


def format_number(number: st.Number) -> str:
    """As it was written, or in decimal."""
    return number.text or str(number.value)


def format_text(data: bytes) -> str:
    """A string with its quotes."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
    text = "".join(
        c if _PLAIN.fullmatch(c) else escapes.get(c, f"\\x{ord(c):02x}")
        for c in data.decode("latin-1")
    )
    return f'"{text}"'


def format_scalar(value: st.Scalar) -> str:
    """A value that is one word."""
    if isinstance(value, st.Number):
        return format_number(value)
    if isinstance(value, st.Address):
        return f"&{value.text or f'{value.name}+{value.offset:#x}'}"
    if isinstance(value, st.Descriptor):
        return f"fd:{value.name}"
    return "bad"


def _block_words(block: st.Block) -> list[str]:
    words = ["["]
    width = 8
    for item in block.items:
        if isinstance(item.value, st.Block):
            words += _block_words(item.value)
            continue
        if isinstance(item.value, st.Text):
            words.append(format_text(item.value.data))
            continue
        if item.width != width:
            width = item.width
            words.append(f"u{8 * width}")
        word = format_scalar(item.value)
        if item.volatile:
            word = "?" if item.value == st.Number(0) else f"{word}?"
        words.append(word if item.count == 1 else f"{item.count}*{word}")
    return [*words, "]"]


def _wrap(words: Iterable[str]) -> str:
    """Words on lines of at most 100 columns: a line ends only where a `[` is open."""
    lines = [""]
    depth = 0
    for word in words:
        line = lines[-1]
        if line and depth and len(line) + 1 + len(word) > LINE_COLUMNS:
            lines.append(f"  {word}")
        else:
            lines[-1] = f"{line} {word}" if line else word
        depth += {"[": 1, "]": -1}.get(word.rstrip(";"), 0)
    return "\n".join(lines)


def _value_words(value: st.Value) -> list[str]:
    return _block_words(value) if isinstance(value, st.Block) else [format_scalar(value)]


def _call_words(statement: st.Statement) -> list[str]:
    """The words of a statement on a descriptor."""
    number = format_number
    match statement:
        case st.Open(created=name):
            return ["open", name]
        case st.Ioctl(fd=fd, request=request, arg=arg, created=created, volatile=volatile):
            words = ["ioctl", fd, format_scalar(request), *_value_words(arg)]
            return words + (["->", created] if created else []) + ["?"] * volatile
        case st.Get(fd=fd, id=register_id, volatile=volatile):
            return ["get", fd, number(register_id)] + ["?"] * volatile
        case st.Set(fd=fd, id=register_id, value=value):
            return ["set", fd, number(register_id), value.text or f"{value.value:#x}"]
        case st.Close(fd=fd):
            return ["close", fd]
        case st.Dup(fd=fd, created=name):
            return ["dup", fd, "->", name]
        case st.Mmap(fd=fd, size=size, offset=offset, created=name):
            return ["mmap", fd, number(size), number(offset), "->", name]
        case st.Read(fd=fd, size=size, offset=offset, block=block, volatile=volatile):
            words = ["read", fd, number(size), number(offset)]
            return words + (_block_words(block) if block else []) + ["?"] * volatile
    raise TypeError(f"{type(statement).__name__} is not a statement of the format")


def _lists_words(lists: Iterable[GuestList]) -> Iterator[str]:
    for each in lists:
        yield each.fd
        if each.operations is not None:
            yield from list_words(each.operations)


def _statement_words(statement: st.Statement) -> list[str]:
    number = format_number
    match statement:
        case st.Host(names=names):
            return ["host", *names]
        case st.Buffer(created=name, size=size):
            return ["buffer", name, number(size)]
        case st.Unmap(buffer=name):
            return ["unmap", name]
        case st.Poke(place=place, block=block):
            return ["poke", format_scalar(place)[1:], *_block_words(block)]
        case st.Peek(place=place, block=block):
            return ["peek", format_scalar(place)[1:], *_block_words(block)]
        case st.Eventfd(created=name, initial=initial, flags=flags):
            return ["eventfd", name, number(initial), number(flags)]
        case st.Alarm(ms=ms):
            return ["alarm", number(ms)]
        case st.Start(fd=fd):
            return ["start", fd]
        case st.Stop(fd=fd, ms=ms):
            return ["stop", fd, number(ms)]
        case Guest(lists=lists):
            return ["guest", *_lists_words(lists)]
    return _call_words(statement)


def format_statement(statement: st.Statement) -> str:
    """A statement, without its answer."""
    return _wrap(_statement_words(statement))


def format_result(result: int | str) -> str:
    """A result: a number, `-ENAME`, `fd` or `?`."""
    name = st.errno_name(-result) if isinstance(result, int) and result < 0 else None
    return f"-{name}" if name else str(result)


def _end_words(ends: Iterable[GuestEnd]) -> Iterator[str]:
    for end in ends:
        yield format_result(end.result)
        yield "["
        for outcome in end.outcomes:
            yield from outcome_words(outcome)
        yield "]"


def format_answer(answer: st.Answer) -> str:
    """An answer, with its `=`."""
    if answer.guests:
        return _wrap(["=", *_end_words(answer.guests)])
    words = ["=", format_result(answer.result)]
    if answer.value is not None:
        words.append(f"{answer.value:#x}")
    if answer.block is not None:
        words += _block_words(answer.block)
    return _wrap(words)


def format_script(statements: Iterable[st.Statement]) -> str:
    """A whole script of these statements, with the answers they have."""
    lines = [HEADER]
    for statement in statements:
        lines.append(format_statement(statement))
        if statement.answer is not None:
            lines.append(format_answer(statement.answer))
    return "\n".join(lines) + "\n"


def with_answers(script: st.Script, answers: Mapping[int, st.Answer]) -> str:
    """The text a script was parsed from, with these answers instead of the ones it had.

    Args:
        script: what `parse` returned.
        answers: by the line on which their statement ends.
    """
    lines = []
    for number, line in enumerate(script.lines, start=1):
        if number not in script.answer_lines:
            lines.append(line)
        if number in answers:
            lines.append(format_answer(answers[number]))
    return "\n".join(lines) + "\n"
