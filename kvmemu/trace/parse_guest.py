# SPDX-License-Identifier: MIT
"""What a guest is to do, from a script's text. Layer: trace.

The oracle's replayer (tests/oracle/parse_guest.c) reads the same language.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kvmemu.registers import sysreg_encoding
from kvmemu.trace import guest as g
from kvmemu.trace import statements as st
from kvmemu.trace.values import ValueParser

# What follows an operation's word, by letters: a register; an address and the number of bytes; a
# value; one to four of them; what a load that leaves the guest reads; a name; `?`.
_SHAPES = {
    "read": "r>?", "write": "rv", "load": "a<>?", "store": "av", "wfi": "", "hvc": "V>?",
    "smc": "V>?", "lines": ">", "context": ">", "wait": "av", "until": "vv",
}  # fmt: skip


@dataclass
class _List:
    """A list being read."""

    bindings: list[str] = field(default_factory=list)
    repeats: int = 0  # open
    times: int = 1  # how often what is read now is done
    count: int = 0  # operations, repetitions written out


class GuestParser(ValueParser):
    """Reads `guest` statements."""

    def guest(self) -> g.Guest:
        """The rest of a `guest` statement."""
        lists: list[g.GuestList] = []
        while not lists or not self.at_end():
            fd = self.known(self.word("a descriptor"), "descriptor")
            operations = None
            if not self.at_end() and self.peek_kind() == "[":
                self._next()
                operations = self._operations(_List())
            if any(other.fd == fd for other in lists):
                raise self.error("a vCPU does one list at a time")
            lists.append(g.GuestList(fd, operations))
        return g.Guest(tuple(lists))

    # ---- lists ----

    def _operations(self, within: _List) -> tuple[g.Operation | g.Repeat, ...]:
        """Up to the `]`: operations with `;` between them."""
        operations: list[g.Operation | g.Repeat] = []
        while self.peek_kind() != "]":
            if self.peek_kind() != "word":
                self._next()
                raise self.error("an operation begins with a word")
            word = self._next().text
            operations.append(
                self._repeat(within) if word == "repeat" else self._operation(word, within)
            )
            if self.peek_kind() != "]" and not self.accept(";"):
                raise self.error("`;` or `]` is missing")
        self._next()
        return tuple(operations)

    def _repeat(self, within: _List) -> g.Repeat:
        times = self.number("how often").bits(8)
        if not 0 < times <= g.OPERATIONS_MAX:
            raise self.error(f"a repeat is of 1 to {g.OPERATIONS_MAX} times")
        if self.peek_kind() != "[":
            raise self.error("`[` is missing")
        self._next()
        outside, known = within.times, len(within.bindings)
        within.times *= times
        within.repeats += 1
        operations = self._operations(within)
        within.repeats -= 1
        within.times = outside
        del within.bindings[known:]
        return g.Repeat(times, operations)

    def _operation(self, word: str, within: _List) -> g.Operation:
        if word not in _SHAPES:
            raise self.error(f"no operation is called {word}")
        if word == "until" and not within.repeats:
            raise self.error("`until` stands inside a repeat")
        parts: dict[str, Callable[[g.Operation, _List], g.Operation]] = {
            "r": self._register, "a": self._place, "v": self._value, "V": self._values,
            "<": self._mmio, ">": self._binding, "?": self._volatile,
        }  # fmt: skip
        operation = g.Operation(word)
        for letter in _SHAPES[word]:
            operation = parts[letter](operation, within)
        within.count += within.times
        if within.count > g.OPERATIONS_MAX:
            raise self.error(f"a list has at most {g.OPERATIONS_MAX} operations")
        return operation

    # ---- parts of an operation ----

    def _register(self, operation: g.Operation, _: _List) -> g.Operation:
        name = self.word("a system register")
        encoding = sysreg_encoding(name)
        if encoding is None:
            raise self.error(f"no system register is called {name}")
        return replace(operation, register=name, encoding=encoding)

    def _operand(self, width: int, within: _List) -> g.Operand:
        word = self.word("a value")
        if word.startswith("$"):
            name, plus, offset = word[1:].partition("+")
            if name not in within.bindings:
                raise self.error(f"no operation above binds ${name}")
            return g.Operand(self._number_of(offset) if plus else st.Number(0), name)
        return g.Operand(self._fitting(word, width))

    def _fitting(self, word: str, width: int) -> st.Number:
        number = self._number_of(word)
        if not self.fits(number, width):
            raise self.error(f"{word} does not fit u{8 * width}")
        return number

    def _place(self, operation: g.Operation, within: _List) -> g.Operation:
        address = self._operand(8, within)
        width = self.number("the number of bytes").bits(8)
        if width not in g.WIDTHS:
            raise self.error("a guest loads and stores 1, 2, 4 or 8 bytes")
        if address.name is None and address.number.bits(8) % width:
            raise self.error(f"the address is not a multiple of {width}")
        return replace(operation, operands=(address,), bytes=width)

    def _value(self, operation: g.Operation, within: _List) -> g.Operation:
        value = self._operand(operation.bytes or 8, within)
        return replace(operation, operands=(*operation.operands, value))

    def _values(self, operation: g.Operation, within: _List) -> g.Operation:
        values = [self._operand(8, within)]
        while len(values) < g.CALL_VALUES and self._value_follows():
            values.append(self._operand(8, within))
        return replace(operation, operands=tuple(values))

    def _value_follows(self) -> bool:
        token = self._tokens[self._at]
        return token.kind != "]" and token.text != ";" and not token.text.startswith(("->", "?"))

    def _mmio(self, operation: g.Operation, _: _List) -> g.Operation:
        if not self.accept("<-"):
            return operation
        return replace(operation, mmio=self._fitting(self.word("a value"), operation.bytes))

    def _binding(self, operation: g.Operation, within: _List) -> g.Operation:
        """The name stands for the result from the next operation on."""
        if not self.accept("->"):
            return operation
        name = self.word("a name")
        if not self.is_name(name):
            raise self.not_a_name(name)
        if len(within.bindings) == g.BINDINGS_MAX:
            raise self.error(f"a list has at most {g.BINDINGS_MAX} names")
        within.bindings.append(name)
        return replace(operation, binds=name)

    def _volatile(self, operation: g.Operation, _: _List) -> g.Operation:
        return replace(operation, volatile=self.accept("?"))

    # ---- answers ----

    def result(self, word: str) -> int | str:
        """How a call ended."""
        raise NotImplementedError

    def guest_answer(self, statement: g.Guest, first: str) -> st.Answer:
        """An answer whose first word has been read."""
        ends = []
        for index, _ in enumerate(statement.lists):
            word = self.word("the result") if index else first
            result = word if word.startswith("KVM_EXIT_") else self.result(word)
            if self.at_end() or self.peek_kind() != "[":
                raise self.error("`[` is missing")
            self._next()
            ends.append(g.GuestEnd(result, self._outcomes()))
        return st.Answer(ends[0].result, guests=tuple(ends))

    def _outcomes(self) -> tuple[g.Outcome, ...]:
        outcomes = []
        while self.peek_kind() != "]":
            if self.peek_kind() == "[":
                self._next()
                outcomes.append(self._call_values())
                continue
            word = self.word("an outcome")
            outcome = g.parse_outcome(word)
            if outcome is None:
                raise self.error(f"{word} is not an outcome")
            outcomes.append(outcome)
        self._next()
        return tuple(outcomes)

    def _call_values(self) -> g.Outcome:
        values = []
        while self.peek_kind() != "]":
            values.append(self.number("a number").bits(8))
        self._next()
        return g.Outcome("values", tuple(values))
