# SPDX-License-Identifier: MIT
"""Registers of the GIC's frames by name, as device attributes."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING

from kvmemu.errors import KvmError
from kvmemu.gic_registers import (
    GicRegister,
    find_gic_register,
    gic_register_at,
    gic_registers,
)
from kvmemu.suggest import did_you_mean

if TYPE_CHECKING:
    from kvmemu.gic import Gic

_WORD = 4
# What of a Gic object has the registers of a frame.
_OWNERS = {
    (2, "gicd"): "dist",
    (2, "gicc"): "cpu(vcpu)",
    (3, "gicd"): "dist",
    (3, "gicr"): "redist(vcpu)",
    (3, "icc"): "icc(vcpu)",
}


class FrameRegisters(MutableMapping[str | int, int]):
    """Registers of one frame, or of one vCPU's CPU interface, by name or offset.

    Iterates over the names of those that this VM has, ascending by offset. A register of 64 bits in
    a frame is read and written as two words, as KVM asks for. A name that no register has raises
    KeyError; what KVM refuses raises KvmError.
    """

    def __init__(self, gic: Gic, frame: str, group: int, whose: int = 0) -> None:
        self._gic = gic
        self._frame = frame
        self._group = group
        self._whose = whose

    def register(self, key: str | int) -> GicRegister:
        """What a name or an offset stands for.

        Raises:
            KeyError: nothing; it says what may have been meant.
        """
        version = self._gic.version
        if isinstance(key, int):
            register = gic_register_at(version, self._frame, key)
        else:
            register = gic_registers(version, self._frame).get(key.upper())
        if register is None:
            what = f"{key:#x}" if isinstance(key, int) else f"{key!r}{self._hint(key)}"
            raise KeyError(f"the {self._frame.upper()} of a GICv{version} has no register {what}")
        return register

    def _hint(self, name: str) -> str:
        version = self._gic.version
        elsewhere = find_gic_register(version, name)
        if elsewhere is not None:
            return f"; {_OWNERS[version, elsewhere.frame]} has it"
        if find_gic_register(5 - version, name) is not None:
            return f"; a GICv{5 - version} has it"
        return did_you_mean(name, gic_registers(version, self._frame))

    def _words(self, register: GicRegister) -> Sequence[tuple[int, int, int]]:
        """Attribute, bytes and shift of each access that a register takes."""
        attr = self._whose | register.offset
        if self._frame == "icc" or register.bytes == _WORD:
            return [(attr, register.bytes, 0)]
        return [(attr, _WORD, 0), (attr + _WORD, _WORD, 32)]

    def __getitem__(self, key: str | int) -> int:
        return sum(
            self._gic.get_device_attr(self._group, attr, size) << shift
            for attr, size, shift in self._words(self.register(key))
        )

    def __setitem__(self, key: str | int, value: int) -> None:
        register = self.register(key)
        if value < 0 or value >> 8 * register.bytes:
            raise OverflowError(f"{value:#x} does not fit in {register.name}")
        for attr, size, shift in self._words(register):
            word = value >> shift & (1 << 8 * size) - 1
            self._gic.set_device_attr(self._group, attr, word, size)

    def __delitem__(self, key: str | int) -> None:
        raise TypeError("a register cannot be deleted")

    def _has(self, register: GicRegister) -> bool:
        attr = self._whose | register.offset
        if not self._gic.has_device_attr(self._group, attr):
            return False
        if self._frame != "icc":
            return True
        # KVM has attributes for active priorities that this vCPU's priorities do not need.
        try:
            self._gic.get_device_attr(self._group, attr)
        except KvmError:
            return False
        return True

    def __iter__(self) -> Iterator[str | int]:
        registers = gic_registers(self._gic.version, self._frame).values()
        return (register.name for register in registers if self._has(register))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, (str, int)):
            return False
        try:
            return self._has(self.register(key))
        except KeyError:
            return False
