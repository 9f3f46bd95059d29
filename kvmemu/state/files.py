# SPDX-License-Identifier: MIT
"""States in files: one text format, with register names beside ids. Layer: state.

docs/state-format.md describes it. A file that is cut off, altered, or of a newer version is refused
before any of it is used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kvmemu.registers import describe, name_of, reg_bytes
from kvmemu.state.model import VcpuState, VmState
from kvmemu.vcpu import VcpuEvents

FORMAT = "kvmemu-state"
VERSION = 1
CHECKSUM = "sha256 "


class StateFileError(ValueError):
    """A state file that cannot be used, in a sentence."""


# ---- writing ----


def _vcpu_lines(vcpu: VcpuState) -> Iterator[str]:
    yield ""
    yield f"vcpu {vcpu.id}"
    yield f"target {vcpu.target}"
    yield " ".join(["features", *map(str, vcpu.features)])
    yield f"mp_state {vcpu.mp_state}"
    if vcpu.events.serror_pending:
        esr = vcpu.events.serror_esr
        yield "serror" if esr is None else f"serror {esr:#x}"
    elif vcpu.events.serror_esr is not None:
        yield "serror_has_esr"
    for register_id, value in vcpu.registers.items():
        digits = 2 * reg_bytes(register_id)
        yield f"reg {register_id:#018x} {name_of(register_id)} {value:#0{digits + 2}x}"


def dumps(state: VmState) -> str:
    """A state as text."""
    lines = [f"{FORMAT} {VERSION}"]
    if state.origin:
        lines.append(f"origin {state.origin}")
    lines += [f"ipa_bits {state.ipa_bits}", f"vcpus {len(state.vcpus)}"]
    for vcpu in state.vcpus:
        lines += _vcpu_lines(vcpu)
    body = "\n".join([*lines, ""])
    return f"{body}{CHECKSUM}{hashlib.sha256(body.encode()).hexdigest()}\n"


def store(state: VmState, path: str | os.PathLike[str]) -> None:
    """Write a state to a file, which is replaced as a whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(path)
    new = path.with_name(path.name + ".new")
    new.write_text(dumps(state), encoding="utf-8")
    new.replace(path)


# ---- reading ----


@dataclass
class _Vcpu:
    """A vCPU while its lines are read."""

    id: int
    line: int
    target: int | None = None
    features: tuple[int, ...] = ()
    mp_state: int | None = None
    events: VcpuEvents = field(default_factory=VcpuEvents)
    registers: dict[int, int] = field(default_factory=dict)

    def state(self) -> VcpuState:
        for what in ("target", "mp_state"):
            if getattr(self, what) is None:
                raise StateFileError(f"line {self.line}: vCPU {self.id} has no {what}")
        values = b"".join(
            value.to_bytes(reg_bytes(register_id), "little")
            for register_id, value in self.registers.items()
        )
        assert self.target is not None
        assert self.mp_state is not None
        return VcpuState(
            self.id, self.target, self.features, self.mp_state, self.events,
            tuple(self.registers), values,
        )  # fmt: skip


def _verified_lines(text: str) -> list[str]:
    """The lines of a file whose version and checksum are right."""
    first, _, _ = text.partition("\n")
    name, _, version = first.partition(" ")
    if name != FORMAT:
        raise StateFileError(f"it does not begin with `{FORMAT}`: not a saved VM")
    if not version.isdecimal() or int(version) > VERSION:
        raise StateFileError(f"it is of version {version}; this kvmemu reads up to {VERSION}")
    body, found, checksum = text.rpartition(CHECKSUM)
    if not found or not body.endswith("\n"):
        raise StateFileError("it is cut off: the checksum at its end is missing")
    if checksum.strip() != hashlib.sha256(body.encode()).hexdigest():
        raise StateFileError("it was altered: the checksum at its end does not match")
    return body.splitlines()


class _Reader:
    """Reads the lines after the first, one at a time."""

    def __init__(self) -> None:
        self.origin = ""
        self.ipa_bits: int | None = None
        self.expected: int | None = None
        self.vcpus: list[_Vcpu] = []

    def _number(self, text: str, what: str) -> int:
        try:
            value = int(text, 0)
        except ValueError:
            raise StateFileError(f"{what} is {text!r}: a number expected") from None
        if value < 0:
            raise StateFileError(f"{what} is negative")
        return value

    def _vcpu(self) -> _Vcpu:
        if not self.vcpus:
            raise StateFileError("it belongs to a vCPU, and none has begun")
        return self.vcpus[-1]

    def read(self, number: int, key: str, rest: str) -> None:
        """One line: its first word, and the rest."""
        match key:
            case "origin":
                self.origin = rest
            case "ipa_bits":
                self.ipa_bits = self._number(rest, key)
            case "vcpus":
                self.expected = self._number(rest, key)
            case "vcpu":
                self._begin(number, self._number(rest, "the vCPU's id"))
            case "target" | "mp_state":
                setattr(self._vcpu(), key, self._number(rest, key))
            case "features":
                words = rest.split()
                self._vcpu().features = tuple(self._number(word, "a feature") for word in words)
            case "serror":
                esr = self._number(rest, key) if rest else None
                self._vcpu().events = VcpuEvents(True, esr)
            case "serror_has_esr":
                self._vcpu().events = VcpuEvents(False, 0)
            case "reg":
                self._register(rest)
            case _:
                raise StateFileError(f"`{key}` means nothing in version {VERSION}")

    def _begin(self, number: int, vcpu_id: int) -> None:
        if any(vcpu.id == vcpu_id for vcpu in self.vcpus):
            raise StateFileError(f"vCPU {vcpu_id} stands twice")
        self.vcpus.append(_Vcpu(vcpu_id, number))

    def _register(self, rest: str) -> None:
        words = rest.split()
        if len(words) != 3:
            raise StateFileError("a register is an id, a name and a value")
        register_id = self._number(words[0], "the register's id")
        value = self._number(words[2], "the register's value")
        register = describe(register_id)
        if register is not None and register.name != words[1]:
            raise StateFileError(f"{words[0]} is {register.name}, not {words[1]}")
        if register_id >> 64 or value >> 8 * reg_bytes(register_id):
            raise StateFileError(f"{words[1]} does not fit in its {reg_bytes(register_id)} bytes")
        if register_id in self._vcpu().registers:
            raise StateFileError(f"{words[1]} stands twice")
        self._vcpu().registers[register_id] = value

    def state(self) -> VmState:
        """The whole, once all lines are read."""
        if self.ipa_bits is None:
            raise StateFileError("ipa_bits is missing")
        if self.expected != len(self.vcpus):
            raise StateFileError(f"it has {len(self.vcpus)} vCPUs and announces {self.expected}")
        return VmState(self.ipa_bits, tuple(vcpu.state() for vcpu in self.vcpus), self.origin)


def loads(text: str) -> VmState:
    """A state from text.

    Raises:
        StateFileError: the text is not a whole, unaltered state of a version known here.
    """
    reader = _Reader()
    for number, line in enumerate(_verified_lines(text), 1):
        if number == 1 or not line or line.startswith("#"):
            continue
        key, _, rest = line.partition(" ")
        try:
            reader.read(number, key, rest)
        except StateFileError as error:
            raise StateFileError(f"line {number}: {error}") from None
    return reader.state()


def load(path: str | os.PathLike[str]) -> VmState:
    """A state from a file.

    Raises:
        StateFileError: as loads(), naming the file.
        OSError: the file cannot be read.
    """
    try:
        return loads(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise StateFileError(f"{path}: it is not text: not a saved VM") from None
    except StateFileError as error:
        raise StateFileError(f"{path}: {error}") from None
