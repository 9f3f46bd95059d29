# SPDX-License-Identifier: MIT
"""States in files: one text format, with register names beside ids. Layer: state.

docs/state-format.md describes it. A file that is cut off, altered, or of a newer version is refused
before any of it is used.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from kvmemu.registers import RegisterIds, describe, name_of, reg_bytes
from kvmemu.state import ram_file
from kvmemu.state.gic_text import KEYS as GIC_KEYS
from kvmemu.state.gic_text import GicReader, gic_lines
from kvmemu.state.memory import PAGE
from kvmemu.state.model import SlotState, VcpuDevices, VcpuState, VmState
from kvmemu.state.text import StateFileError, number, once
from kvmemu.vcpu import VcpuEvents

FORMAT = "kvmemu-state"
VERSION = 1
CHECKSUM = "sha256 "
_DIGEST = re.compile("[0-9a-f]{64}")

# Their widths in bits.
_DEVICE_NUMBERS = {"pmu_intid": 32, "vtimer_intid": 32, "ptimer_intid": 32, "pvtime_ipa": 64}
_MAX_BYTES = 256  # of a register
_NR_FEATURES = 7 * 32  # bits of struct kvm_vcpu_init.features


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
    for key in _DEVICE_NUMBERS:
        value = getattr(vcpu.devices, key)
        if value is not None:
            yield f"{key} {value:#x}" if key == "pvtime_ipa" else f"{key} {value}"
    if vcpu.devices.pmu_ready:
        yield "pmu_ready"
    for register_id, value in vcpu.registers.items():
        digits = 2 * reg_bytes(register_id)
        yield f"reg {register_id:#018x} {name_of(register_id)} {value:#0{digits + 2}x}"


def dumps(state: VmState) -> str:
    """A state as text."""
    lines = [f"{FORMAT} {VERSION}"]
    if state.origin:
        lines.append(f"origin {' '.join(state.origin.splitlines())}")
    lines += [f"ipa_bits {state.ipa_bits}", f"vcpus {len(state.vcpus)}"]
    for slot in state.slots:
        where = f"{slot.ipa:#x} {slot.size:#x} {slot.flags:#x}"
        lines.append(f"slot {slot.slot} {where} {slot.sha256}")
    for vcpu in state.vcpus:
        lines += _vcpu_lines(vcpu)
    if state.gic is not None:
        lines += gic_lines(state.gic, state.vcpus)
    body = "\n".join([*lines, ""])
    return f"{body}{CHECKSUM}{hashlib.sha256(body.encode()).hexdigest()}\n"


def store(state: VmState, path: str | os.PathLike[str]) -> None:
    """Write a state to a file, and what was in its memory slots to the file beside it.

    Each is replaced as a whole or not at all; load() refuses two that do not belong together.

    Args:
        state: with the contents of all its slots, or without slots.
        path: vm.state, say; memory then goes to vm.ram.

    Raises:
        OSError: the file cannot be written.
        ValueError: the contents of a slot are not there.
    """
    path = Path(path)
    beside = ram_file.path_beside(path)
    text = path.with_name(path.name + ".new")
    ram = beside.with_name(beside.name + ".new")
    if any(slot.slot not in state.ram for slot in state.slots):
        raise ValueError("the state has memory slots, but not what was in them")
    if state.slots and beside == path:
        raise ValueError(f"{path}: a state with memory needs a name that does not end in .ram")
    try:
        if state.slots:
            ram_file.store_memory(state, ram)
        text.write_bytes(dumps(state).encode())
        if state.slots:
            ram.replace(beside)
        text.replace(path)
    finally:
        text.unlink(missing_ok=True)
        ram.unlink(missing_ok=True)


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
    devices: dict[str, int | bool] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
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
            RegisterIds(self.registers), values, _devices(self.devices),
        )  # fmt: skip


def _devices(found: dict[str, int | bool]) -> VcpuDevices:
    numbers = {key: value for key, value in found.items() if key in _DEVICE_NUMBERS}
    return VcpuDevices(pmu_ready=bool(found.get("pmu_ready")), **numbers)


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
    return body.split("\n")


def _feature(word: str) -> int:
    """A feature's number."""
    feature = number(word, "a feature")
    if feature >= _NR_FEATURES:
        raise StateFileError(f"there is no feature {feature}: {_NR_FEATURES - 1} is the last")
    return feature


class _Reader:
    """Reads the lines after the first, one at a time."""

    def __init__(self) -> None:
        self.origin = ""
        self.ipa_bits: int | None = None
        self.expected: int | None = None
        self.vcpus: list[_Vcpu] = []
        self.slots: dict[int, SlotState] = {}
        self.gic: GicReader | None = None
        self.seen: set[str] = set()

    def _vcpu(self) -> _Vcpu:
        if not self.vcpus:
            raise StateFileError("it belongs to a vCPU, and none has begun")
        return self.vcpus[-1]

    def read(self, line: int, key: str, rest: str) -> None:
        """One line: its first word, and the rest."""
        match key:
            case "origin" | "ipa_bits" | "vcpus":
                once(self.seen, key)
                self._read_of_vm(key, rest)
            case "slot":
                self._slot(rest.split())
            case "vcpu":
                self._begin(line, number(rest, "the vCPU's id", 32))
            case "gic":
                if self.gic is not None:
                    raise StateFileError("the GIC stands twice")
                self.gic = GicReader(number(rest, "the GIC's version"))
            case _ if key in GIC_KEYS:
                if self.gic is None:
                    raise StateFileError("it belongs to a GIC, and none has begun")
                self.gic.read(key, rest)
            case "reg":
                self._register(rest)
            case _:
                self._read_of_vcpu(key, rest)

    def _read_of_vm(self, key: str, rest: str) -> None:
        match key:
            case "origin":
                self.origin = rest
            case "ipa_bits":
                self.ipa_bits = number(rest, key, 32)
            case _:
                self.expected = number(rest, "the number of vCPUs", 32)

    def _read_of_vcpu(self, key: str, rest: str) -> None:
        match key:
            case "target" | "mp_state":
                setattr(self._vcpu(), key, number(rest, key, 32))
            case "features":
                self._vcpu().features = tuple(map(_feature, rest.split()))
            case "serror":
                esr = number(rest, key, 64) if rest else None
                self._vcpu().events = VcpuEvents(True, esr)
            case "serror_has_esr":
                self._vcpu().events = VcpuEvents(False, 0)
            case _ if key in _DEVICE_NUMBERS:
                self._vcpu().devices[key] = number(rest, key, _DEVICE_NUMBERS[key])
            case "pmu_ready":
                self._vcpu().devices[key] = True
            case _:
                raise StateFileError(f"`{key}` means nothing in version {VERSION}")
        once(self._vcpu().seen, "serror" if key == "serror_has_esr" else key)

    def _begin(self, line: int, vcpu_id: int) -> None:
        if any(vcpu.id == vcpu_id for vcpu in self.vcpus):
            raise StateFileError(f"vCPU {vcpu_id} stands twice")
        self.vcpus.append(_Vcpu(vcpu_id, line))

    def _slot(self, words: list[str]) -> None:
        if len(words) != 5 or not _DIGEST.fullmatch(words[4]):
            raise StateFileError("a memory slot is a number, address, size, flags and SHA-256")
        slot = number(words[0], "a memory slot's number", 32)
        ipa, size = (number(word, f"memory slot {slot}", 64) for word in words[1:3])
        flags = number(words[3], f"the flags of memory slot {slot}", 32)
        if slot in self.slots:
            raise StateFileError(f"memory slot {slot} stands twice")
        if size % PAGE or not size:
            raise StateFileError(f"memory slot {slot} is not of whole pages")
        self.slots[slot] = SlotState(slot, ipa, size, flags, words[4])

    def _register(self, rest: str) -> None:
        words = rest.split()
        if len(words) != 3:
            raise StateFileError("a register is an id, a name and a value")
        register_id = number(words[0], "the register's id", 64)
        if reg_bytes(register_id) > _MAX_BYTES:
            raise StateFileError(f"{words[0]} is no register's id: {reg_bytes(register_id)} bytes")
        value = number(words[2], f"the value of {words[1]}")
        register = describe(register_id)
        if register is not None and register.name != words[1]:
            raise StateFileError(f"{words[0]} is {register.name}, not {words[1]}")
        if value >> 8 * reg_bytes(register_id):
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
        vcpus = tuple(vcpu.state() for vcpu in self.vcpus)
        gic = self.gic.state(vcpus) if self.gic is not None else None
        slots = tuple(self.slots.values())
        return VmState(self.ipa_bits, vcpus, self.origin, gic, slots)


def loads(text: str) -> VmState:
    """A state from text, without what was in its memory slots.

    Raises:
        StateFileError: the text is not a whole, unaltered state of a version known here.
    """
    reader = _Reader()
    for at, line in enumerate(_verified_lines(text), 1):
        if at == 1 or not line or line.startswith("#"):
            continue
        key, _, rest = line.partition(" ")
        try:
            reader.read(at, key, rest)
        except StateFileError as error:
            raise StateFileError(f"line {at}: {error}") from None
    return reader.state()


def _read(path: Path) -> str:
    """The text of a file; no more than its beginning of one that is something else."""
    with path.open("rb") as file:
        content = file.read(len(FORMAT))
        if content == FORMAT.encode():
            content += file.read()
        return content.decode()


def load(path: str | os.PathLike[str]) -> VmState:
    """A state from a file, with the contents of its memory slots from the file beside it.

    Raises:
        StateFileError: as loads(), naming the file; also if the memory is missing or another's.
        OSError: the file cannot be read.
    """
    path = Path(path)
    try:
        state = loads(_read(path))
        if state.slots:
            state = replace(state, ram=ram_file.load_memory(state, ram_file.path_beside(path)))
    except UnicodeDecodeError:
        raise StateFileError(f"{path}: it is not text: not a saved VM") from None
    except StateFileError as error:
        raise StateFileError(f"{path}: {error}") from None
    return state
