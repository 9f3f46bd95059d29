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
from kvmemu.errors import check, kvm_error

F = TypeVar("F", bound="File")


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
        created = ffi.new("struct kvmemu_file **")
        result = lib.kvmemu_ioctl(self.handle(), request, arg & 0xFFFFFFFFFFFFFFFF, created)
        check(result, f"{request_name(request)} on {self}")
        return created[0]

    def _packed(self, request: int, layout: str, *values: int) -> tuple[Any, ...]:
        """A call with a structure: packs the values, and unpacks what the call left."""
        data = bytearray(struct.pack(layout, *values))
        self.ioctl(request, data)
        return struct.unpack(layout, data)

    # ---- device attributes: vCPUs and devices have them ----

    def has_device_attr(self, group: int, attr: int) -> bool:
        """KVM_HAS_DEVICE_ATTR: whether there is such an attribute."""
        data = bytearray(struct.pack("<IIQQ", 0, group, attr, 0))
        buffer = ffi.cast("unsigned long", ffi.from_buffer(data))
        return int(lib.kvmemu_ioctl(self.handle(), KVM_HAS_DEVICE_ATTR, buffer, ffi.NULL)) == 0

    def _device_attr(self, request: int, group: int, attr: int, value: bytearray | None) -> None:
        buffer = ffi.from_buffer(value) if value is not None else ffi.NULL
        address = int(ffi.cast("unsigned long", buffer))
        data = bytearray(struct.pack("<IIQQ", 0, group, attr, address))
        result = lib.kvmemu_ioctl(
            self.handle(), request, ffi.cast("unsigned long", ffi.from_buffer(data)), ffi.NULL
        )
        check(result, f"{request_name(request)} on {self}, group {group}, attribute {attr:#x}")

    def get_device_attr(self, group: int, attr: int, size: int = 8) -> int:
        """KVM_GET_DEVICE_ATTR of an attribute of `size` bytes, as an unsigned number."""
        value = bytearray(size)
        self._device_attr(KVM_GET_DEVICE_ATTR, group, attr, value)
        return int.from_bytes(value, "little")

    def set_device_attr(
        self, group: int, attr: int, value: int | None = None, size: int = 8
    ) -> None:
        """KVM_SET_DEVICE_ATTR; None for attributes without a value."""
        data = None if value is None else bytearray(value.to_bytes(size, "little"))
        self._device_attr(KVM_SET_DEVICE_ATTR, group, attr, data)
