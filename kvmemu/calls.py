# SPDX-License-Identifier: MIT
"""Calls that are made on one vCPU after another: laid out once, one crossing each."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from kvmemu._core import ffi, lib
from kvmemu.errors import kvm_error
from kvmemu.file import File

_ROW = struct.Struct("=QQq")  # struct kvmemu_call
_ATTR = struct.Struct("=IIQQ")  # struct kvm_device_attr
ATTR_BYTES = _ATTR.size  # where the value of an attribute begins
_WORD = 8
_ARG = 8  # of struct kvmemu_call


@dataclass(frozen=True)
class Call:
    """A call whose argument is memory.

    Attributes:
        request: KVM's request number.
        data: the memory before the call, whole words of 8 bytes.
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


class Plan:
    """Several calls laid out in memory: rows of struct kvmemu_call, then each call's own.

    Attributes:
        words: all of it, with addresses counted from its beginning.
        addresses: which words are addresses.
        places: where each call's memory begins, in bytes.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        rows, memory = bytearray(), bytearray()
        self.addresses: list[int] = []
        self.places: list[int] = []
        self.count = len(calls)
        begin = _ROW.size * len(calls)
        for n, call in enumerate(calls):
            at = begin + len(memory)
            own = bytearray(call.data)
            if call.address_at is not None:
                struct.pack_into("=Q", own, call.address_at, at + len(own) - _WORD)
                self.addresses.append((at + call.address_at) // _WORD)
            rows += _ROW.pack(call.request, at, 0)
            self.addresses.append((n * _ROW.size + _ARG) // _WORD)
            self.places.append(at)
            memory += own
        self.words = array("Q", bytes(rows + memory))


class Calls:
    """Calls as planned, with memory to make them in. For one thread."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._words = array("Q", plan.words)
        base, _ = self._words.buffer_info()
        for at in plan.addresses:
            self._words[at] += base
        self._rows = ffi.cast("struct kvmemu_call *", base)
        self._expected: bytes | None = None

    def make(self, file: File) -> bytes:
        """Make them. What comes back has the results and the memory: see result() and number()."""
        result = lib.kvmemu_ioctls(file.handle(), self._rows, self._plan.count)
        if result < 0:
            raise kvm_error(-result, f"calls on {file}")
        return self._words.tobytes()

    def make_as_before(self, file: File) -> bytes | None:
        """The same; but None if all is to the last bit as it was when expect() was told so."""
        after = self.make(file)
        return None if after == self._expected else after

    def expect(self, after: bytes) -> None:
        """What came back was right, and tells nothing if it comes back again."""
        self._expected = after

    def first_error(self, after: bytes) -> tuple[int, int] | None:
        """Which call failed first, and its negative errno."""
        for n in range(self._plan.count):
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
        return int(struct.unpack_from("=Q", after, self._plan.places[n] + offset)[0])


