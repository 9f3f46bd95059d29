# SPDX-License-Identifier: MIT
"""Numbers, addresses and blocks in the text of a script. Layer: trace."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kvmemu.trace import statements as st
from kvmemu.trace.tokens import Token, string_bytes

_WIDTHS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
_RESERVED = {"bad", "fd", "any", *_WIDTHS}
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ValueParser:
    """Reads the tokens of one statement at a time, from left to right."""

    def __init__(self, constants: Mapping[str, int]) -> None:
        self._constants = constants
        self._tokens: Sequence[Token] = ()
        self._at = 0
        self._first_line = 0

    def known(self, name: str, kind: str) -> str:
        """The name, if it is bound to something of that kind."""
        raise NotImplementedError

    # ---- tokens ----

    def begin(self, tokens: Sequence[Token], line: int = 0) -> None:
        """Go on with these tokens, on the given line if there are none."""
        self._tokens = tokens
        self._at = 0
        self._first_line = line or tokens[0].line

    @property
    def line(self) -> int:
        """The line of the token read last."""
        return self._tokens[self._at - 1].line if self._at else self._first_line

    def error(self, why: str) -> st.TraceError:
        """An error at the token read last."""
        return st.TraceError(self.line, why)

    def at_end(self) -> bool:
        """Whether no token is left."""
        return self._at == len(self._tokens)

    def peek_kind(self) -> str:
        """The kind of the next token; there must be one."""
        return self._tokens[self._at].kind

    def _next(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def word(self, what: str) -> str:
        """The next token, which must be a word."""
        if self.at_end() or self.peek_kind() != "word":
            raise self.error(f"{what} is missing")
        return self._next().text

    def accept(self, word: str) -> bool:
        """Whether the next token is this word; if so it is read."""
        if self.at_end() or self._tokens[self._at][:2] != ("word", word):
            return False
        self._at += 1
        return True

    @staticmethod
    def is_name(word: str) -> bool:
        """Whether a statement may bind this name."""
        return _NAME.fullmatch(word) is not None and word not in _RESERVED

    def not_a_name(self, word: str) -> st.TraceError:
        """The error of a name that is none."""
        return self.error(
            f"{word} is not a name: letters, digits and _, no digit first, "
            "and no word with a meaning"
        )

    # ---- numbers ----

    def _term(self, word: str) -> int:
        if word[:1] in set("0123456789"):
            if not _NUMBER.fullmatch(word):
                raise self.error(f"{word} is not a number")
            value = int(word, 16 if word[:2] in ("0x", "0X") else 10)
            if value >> 64:
                raise self.error(f"{word} is more than 64 bits")
            return value
        if word not in self._constants:
            raise self.error(f"{word} is neither a number nor a known constant")
        return self._constants[word] & ((1 << 64) - 1)

    def _number_of(self, word: str) -> st.Number:
        if word.startswith("-"):
            if not word[1:2].isdigit():
                raise self.error(f"{word} is not a number")
            value = -self._term(word[1:])
            if value < -(1 << 63):
                raise self.error(f"{word} is more than 64 bits")
            return st.Number(value, word)
        value = 0
        for term in word.split("|"):
            value |= self._term(term)
        return st.Number(value, word)

    def number(self, what: str) -> st.Number:
        """The next token as a number of up to 64 bits."""
        return self._number_of(self.word(what))

    def long_number(self, what: str) -> st.Number:
        """The next token as a number; hexadecimal ones have no limit."""
        word = self.word(what)
        if word[:2] == "0x" and _NUMBER.fullmatch(word):
            return st.Number(int(word, 16), word)
        return self._number_of(word)

    @staticmethod
    def fits(number: st.Number, width: int) -> bool:
        """Whether memory of that many bytes holds the number, signed or unsigned."""
        bits = 8 * width
        return -(1 << (bits - 1)) <= number.value < 1 << bits

    # ---- values ----

    def place(self, word: str) -> st.Address:
        """NAME+OFF, or NAME alone."""
        name, plus, offset = word.partition("+")
        self.known(name, "buffer")
        return st.Address(name, self._number_of(offset).bits(8) if plus else 0, word)

    def scalar(self, word: str) -> st.Scalar:
        """The value that one word stands for."""
        if word == "bad":
            return st.Bad()
        if word.startswith("&"):
            return self.place(word[1:])
        if word.startswith("fd:"):
            return st.Descriptor(self.known(word[3:], "descriptor"))
        return self._number_of(word)

    def value(self, what: str) -> st.Value:
        """The next value: a word's, or a block's address."""
        if self.at_end():
            raise self.error(f"{what} is missing")
        if self.peek_kind() == "[":
            return self.block(what, may_nest=True)
        if self.peek_kind() == "string":
            raise self.error("a string stands only inside a block")
        return self.scalar(self.word(what))

    # ---- blocks ----

    def plain_block(self) -> st.Block:
        """A block that holds no block."""
        return self.block("`[`", may_nest=False)

    def block(self, what: str, *, may_nest: bool, depth: int = 1) -> st.Block:
        """The next block."""
        if self.at_end() or self.peek_kind() != "[":
            raise self.error(f"{what} is missing")
        if depth > st.BLOCK_DEPTH_MAX:
            raise self.error(f"blocks nest at most {st.BLOCK_DEPTH_MAX} deep")
        self._next()
        items: list[st.Item] = []
        width, size = 8, 0
        while self.peek_kind() != "]":
            if self.peek_kind() == "[":
                if not may_nest:
                    raise self.error("no block stands inside this one")
                item = st.Item(self.block(what, may_nest=True, depth=depth + 1))
            else:
                token = self._next()
                if token.text in _WIDTHS:
                    width = _WIDTHS[token.text]
                    continue
                item = self._item(token, width)
            items.append(item)
            size += item.size
            if size > st.BLOCK_BYTES_MAX:
                raise self.error(f"a block has at most {st.BLOCK_BYTES_MAX} bytes")
        self._next()
        return st.Block(tuple(items))

    def _item(self, token: Token, width: int) -> st.Item:
        """[N*]VALUE[?], a lone `?` (a volatile 0), or a string."""
        if token.kind == "string":
            data = string_bytes(token)
            return st.Item(st.Text(data), len(data))
        times, star, word = token.text.rpartition("*")
        count = self._number_of(times).bits(8) if star else 1
        if count == 0:
            raise self.error("a value is repeated at least once")
        volatile = word.endswith("?")
        value = self.scalar((word[:-1] or "0") if volatile else word)
        self._check_item(word, value, width)
        return st.Item(value, width, count, volatile)

    def _check_item(self, word: str, value: st.Scalar, width: int) -> None:
        if isinstance(value, st.Number):
            if not self.fits(value, width):
                raise self.error(f"{word} does not fit u{8 * width}")
        elif isinstance(value, st.Descriptor):
            if width < 4:
                raise self.error(f"{word} needs u32 or u64")
        elif width != 8:
            raise self.error(f"{word} is an address and needs u64")
