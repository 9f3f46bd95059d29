# SPDX-License-Identifier: MIT
"""Saving and restoring the GIC. Layer: state, a client of the ioctl interface.

What is saved, and in which order it is restored, comes from the core's register tables:
GICD_IIDR first, because it chooses the behaviour of the rest; GICD_CTLR, because what is pending
is queued only while the distributor is on; the tables of LPIs; the distributor and the
redistributors, with the routing of interrupts before their state; line levels; CPU interfaces.
"""

from __future__ import annotations

import errno
import functools
import itertools
import struct
import sys
from array import array
from collections.abc import Iterable, Sequence

from kvmemu import constants as kvm
from kvmemu._core import lib
from kvmemu.errors import KvmError
from kvmemu.gic import Gic, VgicV2, VgicV3
from kvmemu.gic_attrs import CPU, DIST, FRAME_OF_GROUP, ICC, LEVELS, REDIST, affinity_attr
from kvmemu.gic_irq import NR_PRIVATE_IRQS
from kvmemu.gic_registers import GicRegister, gic_registers
from kvmemu.registers import find
from kvmemu.state.model import AttrBlock, GicState
from kvmemu.vcpu import Vcpu
from kvmemu.vm import Vm

LINE_LEVEL = kvm.VGIC_LEVEL_INFO_LINE_LEVEL << kvm.KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT

_CONTROL: int = lib.KVMEMU_RESTORE_CONTROL
_TABLES: int = lib.KVMEMU_RESTORE_TABLES
_SGI_SOURCES: int = lib.KVMEMU_RESTORE_SGI_SOURCES
_PRI_BITS_SHIFT = 8  # ICC_CTLR_EL1.PRIbits
_NR_APR = {7: 4, 6: 2}  # active priority registers of a group, by bits of priority; else 1
_ALL_ONES = 0xFFFFFFFF


def _pack(attrs: Iterable[int]) -> bytes:
    return array("Q", attrs).tobytes()


class _Offsets:
    """Offsets of registers that each of several vCPUs has."""

    def __init__(self, offsets: Iterable[int]) -> None:
        # As one long number: adding the same to all of them is then one addition.
        packed = _pack(offsets)
        self._bytes = len(packed)
        self._number = int.from_bytes(packed, sys.byteorder)
        self._ones = int.from_bytes(_pack([1] * (len(packed) // 8)), sys.byteorder)

    def of(self, whose: int) -> bytes:
        """One vCPU's attributes, packed; whose has the bits that name it."""
        return (self._number + whose * self._ones).to_bytes(self._bytes, sys.byteorder)

    def of_all(self, whose: Iterable[int]) -> bytes:
        """Those of several vCPUs, one after another."""
        return b"".join(map(self.of, whose))


def _offsets(register: GicRegister) -> Iterable[int]:
    """Of the accesses that a register takes."""
    if register.bytes == 8 and register.frame != "icc":
        return (register.offset, register.offset + 4)
    return (register.offset,)


def _in_order(registers: Iterable[GicRegister]) -> list[GicRegister]:
    return sorted((r for r in registers if r.restore), key=lambda r: (r.restore, r.offset))


def _exists(register: GicRegister, nr_irqs: int) -> bool:
    return not register.fields or register.intid < nr_irqs


def _is_shared(register: GicRegister) -> bool:
    return not register.fields or register.intid >= NR_PRIVATE_IRQS


def _is_banked(register: GicRegister) -> bool:
    """Of a GICv2's distributor: a copy for each vCPU."""
    return not _is_shared(register) or "SPENDSGIR" in register.name


@functools.cache
def _frame(version: int, frame: str, nr_irqs: int, part: str) -> _Offsets:
    """Which accesses save a part of a frame, in the order in which they are restored.

    Args:
        part: "control", "shared", "banked" of a distributor; "tables", "others" of redistributors;
            "all".
    """
    wanted: list[int] = []
    for register in _in_order(gic_registers(version, frame).values()):
        control = register.restore <= _CONTROL
        banked = version == 2 and _is_banked(register)
        mine = {
            "control": control,
            "shared": not control and not banked and _is_shared(register),
            "banked": banked,
            "tables": register.restore == _TABLES,
            "others": register.restore != _TABLES,
            "all": True,
        }[part]
        if mine and _exists(register, nr_irqs):
            wanted += _offsets(register)
    return _Offsets(wanted)


@functools.cache
def _clearers(version: int, frame: str) -> dict[int, int]:
    """By a register's offset, the one that clears the fields it only sets."""
    registers = gic_registers(version, frame).values()
    return {r.offset: r.cleared_by for r in registers if r.restore and r.cleared_by}


@functools.cache
def _icc(pri_bits: int) -> _Offsets:
    nr_apr = _NR_APR.get(pri_bits, 1)
    unneeded = {f"ICC_AP{group}R{n}_EL1" for group in (0, 1) for n in range(nr_apr, 4)}
    registers = _in_order(gic_registers(3, "icc").values())
    return _Offsets(r.offset for r in registers if r.name not in unneeded)


@functools.cache
def _icc_ctlr() -> int:
    return gic_registers(3, "icc")["ICC_CTLR_EL1"].offset


# ---- which registers there are to save ----


@functools.lru_cache(maxsize=64)
def _v3_attrs(nr_irqs: int, whose: tuple[int, ...]) -> tuple[tuple[int, bytes, int], ...]:
    """Group, attributes and size of each block but the CPU interfaces'.

    Args:
        whose: the vCPUs' affinities.
    """
    shared = range(NR_PRIVATE_IRQS, nr_irqs, 32)
    levels = [who | LINE_LEVEL for who in whose]
    levels += [who | LINE_LEVEL | intid for who in whose[:1] for intid in shared]
    return (
        (DIST, _frame(3, "gicd", nr_irqs, "control").of(0), 4),
        (REDIST, _frame(3, "gicr", nr_irqs, "tables").of_all(whose), 4),
        (DIST, _frame(3, "gicd", nr_irqs, "shared").of(0), 4),
        (REDIST, _frame(3, "gicr", nr_irqs, "others").of_all(whose), 4),
        (LEVELS, _pack(levels), 4),
    )


@functools.lru_cache(maxsize=64)
def _ctlr_attrs(whose: tuple[int, ...]) -> bytes:
    return _pack(who | _icc_ctlr() for who in whose)


@functools.lru_cache(maxsize=64)
def _cpu_attrs(ctlr: bytes, whose: tuple[int, ...]) -> bytes:
    """How many active priority registers a vCPU has depends on its bits of priority."""
    values = struct.unpack(f"={len(whose)}Q", ctlr)
    pri_bits = [(value >> _PRI_BITS_SHIFT & 7) + 1 for value in values]
    return b"".join([_icc(bits).of(who) for bits, who in zip(pri_bits, whose, strict=True)])


def _v2_attrs(nr_irqs: int, whose: Sequence[int]) -> Iterable[tuple[int, bytes, int]]:
    control = _frame(2, "gicd", nr_irqs, "control").of(0)
    banked = _frame(2, "gicd", nr_irqs, "banked").of_all(whose)
    yield DIST, control + banked + _frame(2, "gicd", nr_irqs, "shared").of(0), 4
    yield CPU, _frame(2, "gicc", nr_irqs, "all").of_all(whose), 4


def _affinities(vcpus: Sequence[Vcpu]) -> list[int]:
    register = find("MPIDR_EL1")
    assert register is not None
    return [affinity_attr(vcpu.get_one_reg(register.id)) for vcpu in vcpus]


def save_gic(gic: Gic, affinities: Sequence[int] | None = None) -> GicState:
    """Save a GIC. Saving a GICv2 initialises it, as every access to its registers does.

    Args:
        gic: of a VM none of whose vCPUs is running.
        affinities: of its vCPUs as affinity_attr() has them; None reads them.

    Raises:
        KvmError: EBUSY while a vCPU is running.
        ValueError: two vCPUs of a GICv3 have the same affinity.
    """
    if isinstance(gic, VgicV2):
        return _save_v2(gic)
    assert isinstance(gic, VgicV3)
    return _save_v3(gic, affinities)


def _save_v2(gic: VgicV2) -> GicState:
    whose = [vcpu.id << kvm.KVM_DEV_ARM_VGIC_CPUID_SHIFT for vcpu in gic.vm.vcpus]
    blocks: tuple[AttrBlock, ...] = ()
    if whose:
        gic.get_attrs(DIST, _pack(whose[:1]), 4)  # after this NR_IRQS is settled
        nr_irqs = gic.nr_irqs
        blocks = tuple(
            AttrBlock(group, attrs, gic.get_attrs(group, attrs, size), size)
            for group, attrs, size in _v2_attrs(nr_irqs, whose)
        )
    return GicState(
        version=2,
        nr_irqs=gic.nr_irqs,
        dist=gic.address(kvm.KVM_VGIC_V2_ADDR_TYPE_DIST),
        cpu=gic.address(kvm.KVM_VGIC_V2_ADDR_TYPE_CPU),
        initialized=bool(whose),
        blocks=blocks,
    )


def _control(gic: VgicV3, whose: tuple[int, ...]) -> bytes | None:
    """Each vCPU's ICC_CTLR_EL1. None for a GIC that is not initialised: only then has it registers;
    else, and while a vCPU is running, EBUSY.
    """
    if not whose:
        return None
    try:
        return gic.get_attrs(ICC, _ctlr_attrs(whose), 8)
    except KvmError as error:
        if error.errno != errno.EBUSY:
            raise
        return None


def _save_v3(gic: VgicV3, affinities: Sequence[int] | None) -> GicState:
    regions = gic.regions()
    unbounded = bool(regions) and regions[0][1] == 0
    nr_irqs = gic.nr_irqs
    whose = tuple(_affinities(gic.vm.vcpus) if affinities is None else affinities)
    ctlr = _control(gic, whose)
    blocks: tuple[AttrBlock, ...] = ()
    if ctlr is not None:
        if len(set(whose)) < len(whose):
            raise ValueError(
                "two vCPUs have the same affinity in MPIDR_EL1, by which KVM's attributes name"
                " redistributors: theirs cannot be told apart"
            )
        cpus = ICC, _cpu_attrs(ctlr, whose), 8
        blocks = tuple(
            AttrBlock(group, attrs, gic.get_attrs(group, attrs, size), size)
            for group, attrs, size in (*_v3_attrs(nr_irqs, whose), cpus)
        )
    return GicState(
        version=3,
        nr_irqs=nr_irqs,
        dist=gic.address(kvm.KVM_VGIC_V3_ADDR_TYPE_DIST),
        redist=regions[0][0] if unbounded else None,
        regions=() if unbounded else tuple(regions),
        initialized=ctlr is not None,
        blocks=blocks,
    )


# ---- restoring ----


def create_gic(vm: Vm, state: GicState) -> Gic:
    """A GIC as the saved one was set up, initialised if that was; all vCPUs are there already."""
    nr_irqs = state.nr_irqs if state.nr_irqs > NR_PRIVATE_IRQS else None
    if state.version == 2:
        return vm.create_vgic_v2(state.dist, state.cpu, nr_irqs, init=state.initialized)
    regions = state.regions or None
    return vm.create_vgic_v3(state.dist, state.redist, regions, nr_irqs, init=state.initialized)


@functools.lru_cache(maxsize=256)
def _segments(version: int, group: int, attrs: bytes) -> tuple[tuple[int, int, bytes], ...]:
    """A block in parts: first and last attribute of each, and what is to be cleared before it.

    Clearing comes after the distributor's control registers, and for the sources of a GICv2's SGIs
    after the pending state, which names the receiver as a source.
    """
    frame = FRAME_OF_GROUP.get(group)
    numbers = struct.unpack(f"={len(attrs) // 8}Q", attrs)
    if frame is None:
        return ((0, len(numbers), b""),)
    clearers = _clearers(version, frame)
    if frame != "gicd":
        clearing = [
            attr & ~_ALL_ONES | clearers[offset]
            for attr in numbers
            if (offset := attr & _ALL_ONES) in clearers
        ]
        return ((0, len(numbers), _pack(clearing)),)
    return tuple(_dist_segments(version, numbers))


def _dist_segments(version: int, numbers: Sequence[int]) -> Iterable[tuple[int, int, bytes]]:
    clearers = _clearers(version, "gicd")
    ranks = {r.offset: r.restore for r in gic_registers(version, "gicd").values()}

    def part_of(at: int) -> int:
        rank = ranks.get(numbers[at] & _ALL_ONES, 0)
        return rank if rank in {_CONTROL, _SGI_SOURCES} else 0

    for _, group in itertools.groupby(range(len(numbers)), part_of):
        places = list(group)
        clearing = [
            numbers[at] & ~_ALL_ONES | clearers[numbers[at] & _ALL_ONES]
            for at in places
            if numbers[at] & _ALL_ONES in clearers
        ]
        yield places[0], places[-1] + 1, _pack(clearing)


@functools.lru_cache(maxsize=256)
def _is_of_tables(version: int, group: int, attrs: bytes) -> bool:
    if group != REDIST:
        return False
    registers = gic_registers(version, "gicr").values()
    tables = {offset for r in registers if r.restore == _TABLES for offset in _offsets(r)}
    return all(attr & _ALL_ONES in tables for attr in struct.unpack(f"={len(attrs) // 8}Q", attrs))


def restore_gic(gic: Gic, state: GicState) -> None:
    """Write the registers and line levels of a saved GIC, whatever they are now.

    Args:
        gic: initialised, of a VM with the same vCPUs, and as many interrupts.
        state: of a GIC of the same version.

    Raises:
        KvmError: EINVAL for a value that this host's GIC cannot have.
    """
    for block in state.blocks:
        # KVM corrects a table's address when it is written: the zero of one that nobody has set yet
        # would become something else.
        if _is_of_tables(state.version, block.group, block.attrs):
            now = gic.get_attrs(block.group, block.attrs, block.size)
            if now == block.values:
                continue
        for first, end, clearing in _segments(state.version, block.group, block.attrs):
            if clearing:
                gic.set_attrs(block.group, clearing, b"\xff" * (len(clearing) // 2))
            gic.set_attrs(
                block.group,
                block.attrs[8 * first : 8 * end],
                block.values[block.size * first : block.size * end],
            )
