# SPDX-License-Identifier: MIT
"""Register ids and names, and registers of a vCPU as a mapping."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kvmemu._core import ffi, lib
from kvmemu.constants import KVM_REG_ARM64, KVM_REG_ARM64_SYSREG, KVM_REG_SIZE_U64
from kvmemu.errors import KvmError
from kvmemu.suggest import did_you_mean

if TYPE_CHECKING:
    from kvmemu.vcpu import Vcpu

_SYSREG = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG
_FIRST_ENCODING = 2 << 14  # op0 is 2 or 3: the others are instructions

KINDS = ("core", "SVE", "firmware", "timer", "system", "demultiplexed", "CP15", "VFP")


def reg_bytes(register_id: int) -> int:
    """The size of a register in bytes, which is part of its id (bits 55:52, a power of two)."""
    return 1 << (register_id >> 52 & 0xF)


@dataclass(frozen=True)
class Register:
    """A register that KVM_GET_ONE_REG can name.

    Attributes:
        id: as KVM has it.
        name: as the Arm manual has it. The timer's CNT and CVAL have each other's encodings on
            arm64, and are named by what they hold.
        bytes: its size.
        kind: one of KINDS.
        arch: "arm64" or "arm".
    """

    id: int
    name: str
    bytes: int
    kind: str
    arch: str


def _register(info: object) -> Register:
    data = info[0]  # type: ignore[index]
    return Register(
        id=data.id,
        name=ffi.string(data.name).decode(),
        bytes=data.bytes,
        kind=KINDS[data.kind],
        arch="arm" if data.arch == 32 else "arm64",
    )


@functools.lru_cache(maxsize=4096)
def describe(register_id: int) -> Register | None:
    """What an id stands for, or None if no register has it."""
    info = ffi.new("struct kvmemu_reg_info *")
    if not 0 <= register_id < 1 << 64 or lib.kvmemu_reg_describe(register_id, info):
        return None
    return _register(info)


@functools.lru_cache(maxsize=4096)
def find(name: str, arch: str = "arm64") -> Register | None:
    """The register of this name, or None. Case does not matter."""
    info = ffi.new("struct kvmemu_reg_info *")
    if not name.isascii() or lib.kvmemu_reg_find(name.encode(), 32 if arch == "arm" else 64, info):
        return None
    return _register(info)


@functools.lru_cache(maxsize=4096)
def sysreg_encoding(name: str) -> int | None:
    """The encoding of a system register in MRS and MSR, op0:op1:CRn:CRm:op2 in 16 bits, or None.

    A name such as S3_0_C12_C12_0 stands for any encoding. Case does not matter in other names.
    """
    encoding = lib.kvmemu_sysreg_encoding(name.encode()) if name.isascii() else -1
    return encoding if encoding >= 0 else None


@functools.cache
def sysreg_names() -> tuple[str, ...]:
    """Of all system registers that have a name, whether KVM knows them or not."""
    info = ffi.new("struct kvmemu_reg_info *")
    ids = range(_SYSREG + _FIRST_ENCODING, _SYSREG + 0x10000)
    known = (info for register_id in ids if not lib.kvmemu_reg_describe(register_id, info))
    return tuple(ffi.string(found.name).decode() for found in known)


def name_of(register_id: int) -> str:
    """A register's name, or its id in hexadecimal if it has none."""
    register = describe(register_id)
    return register.name if register else f"{register_id:#018x}"


class RegisterIds(tuple[int, ...]):
    """Register ids in order, with what batches need of them worked out once."""

    @staticmethod
    @functools.lru_cache(maxsize=64)
    def unpack(packed: bytes) -> RegisterIds:
        """From uint64 of the machine's byte order; equal lists are one object."""
        ids = RegisterIds(array("Q", packed))
        ids.__dict__["packed"] = packed
        return ids

    @functools.cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def packed(self) -> bytes:
        """One after another: uint64 of the machine's byte order."""
        return array("Q", self).tobytes()

    @functools.cached_property
    def pointer(self) -> Any:
        """The same, as the core takes it."""
        return ffi.from_buffer("uint64_t[]", self.packed)

    @functools.cached_property
    def nr_bytes(self) -> int:
        """Of all their values."""
        return sum(map(reg_bytes, self))

    @functools.cached_property
    def places(self) -> dict[int, int]:
        """Where each register's value begins."""
        places, at = {}, 0
        for register_id in self:
            places[register_id] = at
            at += reg_bytes(register_id)
        return places


class Registers(MutableMapping[str | int, int]):
    """The registers of a vCPU, by name or id; iterates over names in Linux's order.

    Values are integers of the register's size (up to 2048 bits). Reading one that the vCPU does
    not have, or writing one that may not be written so, raises KvmError with Linux's errno; a name
    that no register has raises KeyError.
    """

    def __init__(self, vcpu: Vcpu) -> None:
        self._vcpu = vcpu

    def id_of(self, key: str | int) -> int:
        """The id that a key stands for.

        Raises:
            KeyError: no register has this name.
        """
        if isinstance(key, int):
            return key
        register = find(key, self._vcpu.arch)
        if register is None:
            raise KeyError(f"no register is called {key!r}{self._hint(key)}")
        return register.id

    def _hint(self, name: str) -> str:
        try:
            return did_you_mean(name, map(name_of, self._vcpu.reg_list()))
        except KvmError:  # not initialised: it has no list yet
            return ""

    def __getitem__(self, key: str | int) -> int:
        return self._vcpu.get_one_reg(self.id_of(key))

    def __setitem__(self, key: str | int, value: int) -> None:
        self._vcpu.set_one_reg(self.id_of(key), value)

    def __delitem__(self, key: str | int) -> None:
        raise TypeError("a register cannot be deleted")

    def __iter__(self) -> Iterator[str | int]:
        return (name_of(register_id) for register_id in self._vcpu.reg_list())

    def __len__(self) -> int:
        return len(self._vcpu.reg_list())

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, (str, int)):
            return False
        try:
            return self.id_of(key) in self._vcpu.reg_list()
        except KeyError:
            return False
