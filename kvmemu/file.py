# SPDX-License-Identifier: MIT
"""What System, Vm and Vcpu have in common: a file of the core, its calls, its end."""

from __future__ import annotations

import struct
from types import TracebackType
from typing import Any, TypeVar

from kvmemu._core import ffi, lib
from kvmemu.constants import (
    KVM_GET_DEVICE_ATTR,
    KVM_HAS_DEVICE_ATTR,
    KVM_SET_DEVICE_ATTR,
    request_name,
)
from kvmemu.errors import KvmError, check, kvm_error

F = TypeVar("F", bound="File")

# Types of memory, looked up once; and memory that the core fills, so that it need not be zeroed.
BYTES, COUNT, WORDS = (ffi.typeof(name) for name in ("char[]", "size_t *", "uint64_t[]"))
_CREATED = ffi.typeof("struct kvmemu_file **")
new_filled = ffi.new_allocator(should_clear_after_alloc=False)


class File:
    """An open file of the core. A context manager; closed when it is left or collected."""

    def __init__(self, handle: Any) -> None:
        self._handle = ffi.gc(handle, lib.kvmemu_close)

    def __str__(self) -> str:
        return type(self).__name__

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._handle is None

    def handle(self) -> Any:
        """The core's file.

        Raises:
            ValueError: it is closed.
        """
        if self._handle is None:
            raise ValueError(f"{self} is closed")
        return self._handle

    def close(self) -> None:
        """Give the file back; what it stands for lives on while others refer to it. May be called
        again.
        """
        if self._handle is not None:
            ffi.release(self._handle)
            self._handle = None

    def __enter__(self: F) -> F:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """A real descriptor for this file, for mmap, poll, or kvmemu.ioctl(); made on first use,
        and to be closed with kvmemu.close().

        Raises:
            KvmError: EMFILE, ENOMEM.
        """
        return int(check(lib.kvmemu_fd_publish(self.handle()), f"descriptor of {self}"))

    def ioctl(self, request: int, arg: Any = 0) -> int:
        """One call.

        Args:
            request: KVM's request number.
            arg: a number, or a cffi or bytearray buffer that the call reads and writes.

        Returns:
            The result, >= 0.

        Raises:
            KvmError: with Linux's errno.
        """
        if not isinstance(arg, int):
            buffer = ffi.from_buffer(arg) if isinstance(arg, bytearray) else arg
            arg = int(ffi.cast("unsigned long", buffer))
        result: int = lib.kvmemu_ioctl(self.handle(), request, arg & 0xFFFFFFFFFFFFFFFF, ffi.NULL)
        if result < 0:
            raise kvm_error(-result, f"{request_name(request)} on {self}")
        return result

    def _create(self, request: int, arg: int) -> Any:
        """The core's file that a request creates."""
        created = new_filled(_CREATED)
        result = lib.kvmemu_ioctl(self.handle(), request, arg & 0xFFFFFFFFFFFFFFFF, created)
        if result < 0:
            raise kvm_error(-result, f"{request_name(request)} on {self}")
        return created[0]

    def _packed(self, request: int, layout: str, *values: int) -> tuple[Any, ...]:
        """A call with a structure: packs the values, and unpacks what the call left."""
        data = bytearray(struct.pack(layout, *values))
        self.ioctl(request, data)
        return struct.unpack(layout, data)

    # ---- device attributes: vCPUs and devices have them ----

    def try_device_attr(
        self, request: int, group: int, attr: int, value: int | None = None
    ) -> tuple[int, int]:
        """A call with an attribute, without an exception.

        Args:
            request: KVM_GET_DEVICE_ATTR, KVM_SET_DEVICE_ATTR or KVM_HAS_DEVICE_ATTR.
            value: what is set, or what stands where the answer goes; None passes no address.

        Returns:
            0 or a negative errno, and the value after the call, of up to 8 bytes.
        """
        # struct kvm_device_attr, and the value behind it.
        data = ffi.new("uint64_t[4]", (group << 32, attr, 0, value or 0))
        address = int(ffi.cast("unsigned long", data))
        if value is not None:
            data[2] = address + 24
        result = lib.kvmemu_ioctl(self._handle or self.handle(), request, address, ffi.NULL)
        return result, data[3]

    def _attr_name(self, group: int, attr: int) -> str:
        return f"attribute {attr:#x} of group {group}"

    def _attr_error(
        self, result: int, request: int, group: int, attr: int, value: int | None = None
    ) -> KvmError:
        to = "" if value is None else f" to {value:#x}"
        name = self._attr_name(group, attr)
        return kvm_error(-result, f"{request_name(request)} of {name}{to} on {self}")

    def has_device_attr(self, group: int, attr: int) -> bool:
        """KVM_HAS_DEVICE_ATTR: whether there is such an attribute."""
        return self.try_device_attr(KVM_HAS_DEVICE_ATTR, group, attr)[0] == 0

    def get_device_attr(self, group: int, attr: int, size: int = 8, value: int = 0) -> int:
        """KVM_GET_DEVICE_ATTR of an attribute of `size` bytes, 8 at most, as an unsigned number.

        Args:
            value: what stands where the answer goes, for attributes that ask for it.
        """
        result, found = self.try_device_attr(KVM_GET_DEVICE_ATTR, group, attr, value)
        if result < 0:
            raise self._attr_error(result, KVM_GET_DEVICE_ATTR, group, attr)
        return found & (1 << 8 * size) - 1

    def set_device_attr(
        self, group: int, attr: int, value: int | None = None, size: int = 8
    ) -> None:
        """KVM_SET_DEVICE_ATTR of up to 8 bytes; None for attributes without a value.

        Raises:
            OverflowError: the value is negative or wider than `size` bytes.
        """
        if value is not None and not 0 <= value < 1 << 8 * size:
            raise OverflowError(f"{value:#x} does not fit in {size} bytes")
        result, _ = self.try_device_attr(KVM_SET_DEVICE_ATTR, group, attr, value)
        if result < 0:
            raise self._attr_error(result, KVM_SET_DEVICE_ATTR, group, attr, value)
