# SPDX-License-Identifier: MIT
"""The GIC in state files: a line a register, with its name beside its offset. Layer: state."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kvmemu import constants as kvm
from kvmemu.gic_attrs import FRAME_OF_GROUP, GROUP_OF_FRAME, LEVELS, WHOSE_SHIFT, affinity_attr
from kvmemu.gic_irq import NR_PRIVATE_IRQS
from kvmemu.gic_registers import GicRegister, gic_register_at
from kvmemu.registers import find
from kvmemu.state.gic import LINE_LEVEL
from kvmemu.state.model import AttrBlock, GicState, VcpuState
from kvmemu.state.text import StateFileError, number, once

_LOW = 0xFFFFFFFF
_SETUP = ("nr_irqs", "dist", "cpu", "redist", "region", "uninitialized")
_OF_VERSION = {"cpu": 2, "redist": 3, "region": 3, "level": 3}
KEYS = frozenset((*_SETUP, "level", *GROUP_OF_FRAME))
_MOST_IRQS = 1024
_REGION_COUNT_BITS = 12
_REGION_BASE = 0x000F_FFFF_FFFF_0000


def whose_by_id(version: int, vcpus: tuple[VcpuState, ...]) -> dict[int, int]:
    """The part of an attribute that names each vCPU, shifted down, by its id."""
    if version == 2:
        return {vcpu.id: vcpu.id for vcpu in vcpus}
    mpidr = find("MPIDR_EL1")
    assert mpidr is not None
    return {v.id: affinity_attr(v.registers.get(mpidr.id, 0)) >> WHOSE_SHIFT for v in vcpus}


@dataclass(frozen=True)
class Entry:
    """A register of the GIC, or 32 line levels, with its value.

    Attributes:
        frame: "gicd", "gicr", "gicc", "icc"; "level" for line levels.
        vcpu: the id of the vCPU whose it is; None if it is nobody's.
        register: None for line levels.
        intid: the first interrupt of line levels.
        value: as one number, also where it takes two accesses.
    """

    frame: str
    vcpu: int | None
    register: GicRegister | None
    intid: int
    value: int


def is_private(version: int, register: GicRegister) -> bool:
    """Whether each vCPU has one of its own."""
    if register.frame != "gicd":
        return True
    if version == 3:
        return False
    return register.fields > 0 and register.intid < NR_PRIVATE_IRQS


def entries(gic: GicState, vcpus: tuple[VcpuState, ...]) -> Iterator[Entry]:
    """What a saved GIC consists of, in the order in which it is restored."""
    ids = {whose: vcpu_id for vcpu_id, whose in whose_by_id(gic.version, vcpus).items()}
    for block in gic.blocks:
        frame = FRAME_OF_GROUP.get(block.group)
        items = block.items()
        for attr, value in items:
            vcpu = ids.get(attr >> WHOSE_SHIFT)
            offset = attr & _LOW
            if frame is None:
                intid = offset & kvm.KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK
                yield Entry("level", None if intid else vcpu, None, intid, value)
                continue
            register = gic_register_at(gic.version, frame, offset)
            assert register is not None
            split = register.bytes == 8 and block.size == 4
            whole = next(items)[1] << 32 | value if split else value
            whose = vcpu if is_private(gic.version, register) else None
            yield Entry(frame, whose, register, register.intid, whole)


# ---- writing ----


def gic_lines(gic: GicState, vcpus: tuple[VcpuState, ...]) -> Iterator[str]:
    """A saved GIC as lines."""
    yield ""
    yield f"gic {gic.version}"
    yield f"nr_irqs {gic.nr_irqs}"
    for key in ("dist", "cpu", "redist"):
        address = getattr(gic, key)
        if address is not None:
            yield f"{key} {address:#x}"
    for base, count in gic.regions:
        yield f"region {base:#x} {count}"
    if not gic.initialized:
        yield "uninitialized"
    for entry in entries(gic, vcpus):
        whose = "" if entry.vcpu is None else f"{entry.vcpu} "
        if entry.register is None:
            yield f"level {whose}{entry.intid} {entry.value:#010x}"
        else:
            register = entry.register
            digits = 2 * register.bytes + 2
            value = f"{entry.value:#0{digits}x}"
            yield f"{entry.frame} {whose}{register.offset:#06x} {register.name} {value}"


# ---- reading ----


@dataclass
class GicReader:
    """Reads the lines of a GIC, one at a time."""

    version: int
    nr_irqs: int | None = None
    dist: int | None = None
    cpu: int | None = None
    redist: int | None = None
    regions: list[tuple[int, int]] = field(default_factory=list)
    initialized: bool = True
    entries: list[Entry] = field(default_factory=list)
    seen: set[tuple[str, int | None, int]] = field(default_factory=set)
    seen_keys: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.version not in {2, 3}:
            raise StateFileError(f"there is no GICv{self.version} here")

    def read(self, key: str, rest: str) -> None:
        """One line: its first word, and the rest."""
        if _OF_VERSION.get(key, self.version) != self.version:
            raise StateFileError(f"a GICv{self.version} has no `{key}`")
        match key:
            case "dist" | "cpu" | "redist":
                once(self.seen_keys, key)
                setattr(self, key, number(rest, key, 64))
            case "nr_irqs":
                once(self.seen_keys, key)
                self.nr_irqs = _nr_irqs(rest)
            case "region":
                self.regions.append(_region(rest.split()))
            case "uninitialized":
                self.initialized = False
            case "level":
                self._level(rest.split())
            case _:
                self._register(key, rest.split())

    def _add(self, entry: Entry, name: str) -> None:
        offset = entry.register.offset if entry.register else entry.intid
        place = (entry.frame, entry.vcpu, offset)
        if place in self.seen:
            raise StateFileError(f"{name} stands twice")
        self.seen.add(place)
        self.entries.append(entry)

    def _level(self, words: list[str]) -> None:
        if len(words) not in {2, 3}:
            raise StateFileError("line levels are a vCPU for private ones, an INTID and a value")
        vcpu = number(words[0], "the vCPU's id") if len(words) == 3 else None
        intid, value = number(words[-2], "the INTID"), number(words[-1], "the levels")
        if value >> 32 or intid % 32 or (intid == 0) != (vcpu is not None):
            raise StateFileError("line levels are of 32 interrupts, the first 32 those of a vCPU")
        self._add(Entry("level", vcpu, None, intid, value), f"INTID {intid}")

    def _register(self, frame: str, words: list[str]) -> None:
        if len(words) not in {3, 4}:
            raise StateFileError("a register is its vCPU, an offset, a name and a value")
        offset = number(words[-3], "the register's offset")
        register = gic_register_at(self.version, frame, offset)
        if register is None or register.offset != offset:
            raise StateFileError(f"a GICv{self.version} has no register at {frame} {words[-3]}")
        if register.name != words[-2]:
            raise StateFileError(f"{frame} {words[-3]} is {register.name}, not {words[-2]}")
        if not register.restore or register.reserved:
            raise StateFileError(f"{register.name} has no state of its own")
        value = number(words[-1], "the register's value")
        if value >> 8 * register.bytes:
            raise StateFileError(f"{register.name} does not fit in its {register.bytes} bytes")
        private = is_private(self.version, register)
        if private != (len(words) == 4):
            raise StateFileError(
                f"{register.name} {'needs' if private else 'has no'} vCPU before its offset"
            )
        vcpu = number(words[0], "the vCPU's id") if private else None
        self._add(Entry(frame, vcpu, register, register.intid, value), register.name)

    def state(self, vcpus: tuple[VcpuState, ...]) -> GicState:
        """The whole, once all lines are read."""
        if self.nr_irqs is None:
            raise StateFileError("nr_irqs of the GIC is missing")
        if self.redist is not None and self.regions:
            raise StateFileError("the GIC has redistributors in one run, and in regions as well")
        if self.entries and not self.initialized:
            raise StateFileError("the GIC has registers, and yet is uninitialized")
        for entry in self.entries:
            if (entry.register is None or entry.register.fields) and entry.intid >= self.nr_irqs:
                name = entry.register.name if entry.register else f"line levels {entry.intid}"
                raise StateFileError(f"{name}: the GIC has {self.nr_irqs} interrupts")
        if self.entries:
            _check_affinities(self.version, vcpus)
        return GicState(
            self.version, self.nr_irqs, self.dist, self.cpu, self.redist, tuple(self.regions),
            self.initialized, tuple(self._blocks(whose_by_id(self.version, vcpus))),
        )  # fmt: skip

    def _blocks(self, whose: Mapping[int, int]) -> Iterator[AttrBlock]:
        """Entries of one group, as long as they follow each other, are a block."""
        first_vcpu = next(iter(whose.values()), 0)  # by whom shared line levels are named
        block: list[tuple[int, int]] = []
        group = size = 0
        for entry in self.entries:
            if entry.vcpu is not None and entry.vcpu not in whose:
                raise StateFileError(f"the GIC has a vCPU {entry.vcpu}, which is not there")
            mine = LEVELS if entry.register is None else GROUP_OF_FRAME[entry.frame]
            if mine != group and block:
                yield _block(group, size, block)
                block = []
            group, size = mine, 8 if entry.frame == "icc" else 4
            who = whose[entry.vcpu] if entry.vcpu is not None else 0
            if entry.register is None:
                who = who if entry.vcpu is not None else first_vcpu
                block.append((who << WHOSE_SHIFT | LINE_LEVEL | entry.intid, entry.value))
            elif entry.register.bytes == 8 and size == 4:
                attr = who << WHOSE_SHIFT | entry.register.offset
                block += [(attr, entry.value & _LOW), (attr + 4, entry.value >> 32)]
            else:
                block.append((who << WHOSE_SHIFT | entry.register.offset, entry.value))
        if block:
            yield _block(group, size, block)


def _nr_irqs(text: str) -> int:
    count = number(text, "nr_irqs")
    if count % 32 or not 0 < count <= _MOST_IRQS:
        raise StateFileError(f"nr_irqs is {count}: 32 to {_MOST_IRQS} in steps of 32 expected")
    return count


def _region(words: list[str]) -> tuple[int, int]:
    if len(words) != 2:
        raise StateFileError("a region is a base and a count")
    base = number(words[0], "a region's base", 64)
    count = number(words[1], "a region's count", _REGION_COUNT_BITS)
    if base & ~_REGION_BASE or not count:
        raise StateFileError(f"no region of redistributors can be {count} at {base:#x}")
    return base, count


def _check_affinities(version: int, vcpus: tuple[VcpuState, ...]) -> None:
    """By which the redistributors of a GICv3 are told apart."""
    mine: dict[int, int] = {}
    for vcpu_id, whose in whose_by_id(version, vcpus).items():
        other = mine.setdefault(whose, vcpu_id)
        if other != vcpu_id:
            raise StateFileError(
                f"vCPUs {other} and {vcpu_id} have the same affinity in MPIDR_EL1: their"
                " redistributors cannot be told apart"
            )


def _block(group: int, size: int, items: list[tuple[int, int]]) -> AttrBlock:
    attrs, values = zip(*items, strict=True)
    letter = "I" if size == 4 else "Q"
    count = len(items)
    packed_attrs = struct.pack(f"={count}Q", *attrs)
    return AttrBlock(group, packed_attrs, struct.pack(f"={count}{letter}", *values), size)
