# SPDX-License-Identifier: MIT
"""The registers of a guest's GIC: names, offsets, what belongs to a saved VM.

The compiled core has the tables; nothing here is written twice, and nothing needs a VM.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from kvmemu._core import ffi, lib

FRAMES = ("gicd", "gicr", "gicc", "icc")
FRAMES_OF_VERSION = {2: ("gicd", "gicc"), 3: ("gicd", "gicr", "icc")}


@dataclass(frozen=True)
class GicRegister:
    """A register of a frame, or a system register of the CPU interface.

    Attributes:
        version: of the guest's GIC, 2 or 3.
        name: as the Arm manual has it: GICD_ISENABLER1, ICC_PMR_EL1.
        frame: one of FRAMES.
        offset: in the frame; of a system register its encoding, as device attributes have it.
        bytes: 4 or 8. A frame's attributes are of 4: a register of 8 is two of them.
        bits_per_intid: of its field for each interrupt; 0 if it has no such fields.
        intid: the interrupt its first field is for.
        restore: 0 if it has no state of its own, else when to restore it: small numbers first.
        cleared_by: the offset of the register to write ones to before that; 0 for none.
    """

    version: int
    name: str
    frame: str
    offset: int
    bytes: int
    bits_per_intid: int
    intid: int
    restore: int
    cleared_by: int

    @property
    def fields(self) -> int:
        """For how many interrupts it has a field; 0 if that is not what it is made of."""
        return self.bytes * 8 // self.bits_per_intid if self.bits_per_intid else 0

    @property
    def reserved(self) -> bool:
        """Whether it is there and does nothing: a GICv3's distributor has no SGIs and PPIs."""
        return self.version == 3 and self.frame == "gicd" and self.fields > 0 and self.intid < 32

    @property
    def layout(self) -> str:
        """What kvmemu.fields knows its bit fields by: its name, and of which GIC."""
        return f"{self.name}_v{self.version}"


@functools.cache
def gic_registers(version: int, frame: str) -> Mapping[str, GicRegister]:
    """All registers of a frame by name, ascending by offset; those of interrupts up to 1023.

    Args:
        version: of the guest's GIC, 2 or 3.
        frame: one of FRAMES.
    """
    found = {}
    info = ffi.new("struct kvmemu_gic_reg *")
    offset = 0
    while not lib.kvmemu_gic_reg_from(version, FRAMES.index(frame), offset, info):
        data = info[0]
        register = GicRegister(
            version, ffi.string(data.name).decode(), frame, data.offset, data.bytes,
            data.bits_per_intid, data.intid, data.restore, data.cleared_by,
        )  # fmt: skip
        found[register.name] = register
        offset = register.offset + (1 if frame == "icc" else register.bytes)
    return found


@functools.cache
def _by_offset(version: int, frame: str) -> Mapping[int, GicRegister]:
    return {register.offset: register for register in gic_registers(version, frame).values()}


def find_gic_register(version: int, name: str) -> GicRegister | None:
    """The register of this name, or None. Case does not matter."""
    name = name.upper()
    for frame in FRAMES_OF_VERSION[version]:
        if name.startswith(frame.upper()):
            return gic_registers(version, frame).get(name)
    return None


def gic_register_at(version: int, frame: str, offset: int) -> GicRegister | None:
    """The register that begins at an offset, or whose upper half does; None if there is none."""
    registers = _by_offset(version, frame)
    if offset in registers:
        return registers[offset]
    below = registers.get(offset - 4)
    return below if below is not None and below.bytes == 8 and frame != "icc" else None
