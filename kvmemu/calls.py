# SPDX-License-Identifier: MIT
"""Calls that are made on one vCPU after another: laid out once, one crossing each."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from kvmemu._core import ffi, lib
from kvmemu.errors import kvm_error
from kvmemu.file import File

_ROW = struct.Struct("=QQq")  # struct kvmemu_call
_ATTR = struct.Struct("=IIQQ")  # struct kvm_device_attr
ATTR_BYTES = _ATTR.size  # where the value of an attribute begins


@dataclass(frozen=True)
class Call:
    """A call whose argument is memory.

    Attributes:
        request: KVM's request number.
        data: the memory before the call.
        address_at: where in it the address of its own last 8 bytes is to stand; None for nowhere.
    """

    request: int
    data: bytes
    address_at: int | None = None

    @staticmethod
    def of_attr(request: int, group: int, attr: int, value: int | None = 0) -> Call:
        """KVM_GET_DEVICE_ATTR or KVM_SET_DEVICE_ATTR of up to 8 bytes; None passes no address."""
        data = _ATTR.pack(0, group, attr, 0) + struct.pack("=Q", value or 0)
        return Call(request, data, None if value is None else _ATTR.size - 8)


class Calls:
    """Several calls with their memory. For one thread."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._count = len(calls)
        self._data = ffi.new("char[]", sum(_ROW.size + len(call.data) for call in calls) or 1)
        self._rows = ffi.cast("struct kvmemu_call *", self._data)
        base = int(ffi.cast("uintptr_t", self._data))
        view = ffi.buffer(self._data)
        at = _ROW.size * len(calls)
        self.places: list[int] = []
        for n, call in enumerate(calls):
            size = len(call.data)
            view[at : at + size] = call.data
            if call.address_at is not None:
                where = struct.pack("=Q", base + at + size - 8)
                view[at + call.address_at : at + call.address_at + 8] = where
            _ROW.pack_into(view, n * _ROW.size, call.request, base + at, 0)
            self.places.append(at)
            at += size
        self._view = view

    def make(self, file: File) -> bytes:
        """Make them. What comes back has the results and the memory: see result() and places."""
        result = lib.kvmemu_ioctls(file.handle(), self._rows, self._count)
        if result < 0:
            raise kvm_error(-result, f"calls on {file}")
        after: bytes = self._view[:]
        return after

    def first_error(self, after: bytes) -> tuple[int, int] | None:
        """Which call failed first, and its negative errno."""
        for n in range(self._count):
            result = self.result(after, n)
            if result < 0:
                return n, result
        return None

    @staticmethod
    def result(after: bytes, n: int) -> int:
        """What the nth call gave."""
        return int(_ROW.unpack_from(after, n * _ROW.size)[2])

    def number(self, after: bytes, n: int, offset: int = 0) -> int:
        """8 bytes of the nth call's memory."""
        return int(struct.unpack_from("=Q", after, self.places[n] + offset)[0])


