# SPDX-License-Identifier: MIT
"""From the text of a script to tokens, statement by statement. Layer: trace."""

from __future__ import annotations

import re
from typing import NamedTuple

from kvmemu.trace.statements import TraceError

_PATTERN = re.compile(
    r"""
    (?P<space>[ \t\r]+|\#[^\n]*)
    | (?P<newline>\n)
    | (?P<open>\[)
    | (?P<close>\])
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<word>;|[^ \t\r\n\#\[\];"]+)
    | (?P<stray>")
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b'"': b'"', b"\\": b"\\"}


class Token(NamedTuple):
    """A token: kind is `word` (`;` is one), `string` (text with its quotes), `[` or `]`."""

    kind: str
    text: str
    line: int


def split_statements(text: str) -> list[list[Token]]:
    """The tokens of each statement and answer: a line end ends one unless a `[` is open.

    Raises:
        TraceError: brackets or quotes do not match.
    """
    parts: list[list[Token]] = []
    current: list[Token] = []
    line, depth = 1, 0
    for match in _PATTERN.finditer(text):
        kind = match.lastgroup
        if kind == "space":
            continue
        if kind == "newline":
            line += 1
            if depth == 0 and current:
                parts.append(current)
                current = []
        elif kind == "stray":
            raise TraceError(line, "the string does not end on its line")
        elif kind in ("open", "close"):
            depth += 1 if kind == "open" else -1
            if depth < 0:
                raise TraceError(line, "`]` without `[`")
            current.append(Token(match[0], match[0], line))
        else:
            current.append(Token(str(kind), match[0], line))
    if depth:
        raise TraceError(line, "a `[` is not closed")
    if current:
        parts.append(current)
    return parts


def string_bytes(token: Token) -> bytes:
    """The bytes that a string token stands for."""

    def unescape(match: re.Match[bytes]) -> bytes:
        escape = match[1]
        if escape[:1] == b"x" and len(escape) == 3:
            return bytes([int(escape[1:], 16)])
        if escape not in _ESCAPES:
            raise TraceError(token.line, 'a string knows \\n, \\", \\\\ and \\xHH')
        return _ESCAPES[escape]

    return _ESCAPE.sub(unescape, token.text[1:-1].encode("utf-8", "surrogateescape"))
