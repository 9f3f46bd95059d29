# SPDX-License-Identifier: MIT
"""`fcntl`'s way in: descriptors as numbers, ioctl with a request and an argument.

The numbers are real descriptors of this process: mmap.mmap() of a vCPU gives its kvm_run, os.read()
of a statistics descriptor its values, and poll works.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Protocol, overload

from kvmemu._core import ffi, lib
from kvmemu.constants import request_name
from kvmemu.errors import check, kvm_error
from kvmemu.hosts import load_host

if TYPE_CHECKING:
    from typing_extensions import Buffer


class HasFileno(Protocol):
    """An object with a descriptor: a number from open(), or a System, Vm or Vcpu."""

    def fileno(self) -> int:
        """The descriptor."""


def open(host: str | os.PathLike[str] | None = None) -> int:
    """Stands for os.open("/dev/kvm", os.O_RDWR).

    Args:
        host: the machine to model: a built-in host's name or a profile's path. None: KVMEMU_HOST
            from the environment, or the default.

    Returns:
        A descriptor, to be closed with close().

    Raises:
        HostError: there is no such host.
        KvmError: EMFILE, ENOMEM.
    """
    return int(check(lib.kvmemu_fd_open(load_host(host)), "open /dev/kvm"))


def _number(fd: int | HasFileno) -> int:
    return fd if isinstance(fd, int) else fd.fileno()


def _call(fd: int, request: int, arg: object) -> int:
    result: int = lib.kvmemu_fd_ioctl(fd, request, arg)
    if result < 0:
        raise kvm_error(-result, f"{request_name(request)} on descriptor {fd}")
    return result


@overload
def ioctl(fd: int | HasFileno, request: int, arg: int = 0, mutate_flag: bool = True, /) -> int: ...
@overload
def ioctl(
    fd: int | HasFileno, request: int, arg: bytes | str, mutate_flag: bool = True, /
) -> bytes: ...
@overload
def ioctl(
    fd: int | HasFileno, request: int, arg: Buffer, mutate_flag: bool = True, /
) -> int | bytes: ...


def ioctl(
    fd: int | HasFileno,
    request: int,
    arg: int | str | Buffer = 0,
    mutate_flag: bool = True,
    /,
) -> int | bytes:
    """Stands for fcntl.ioctl(), with its argument forms and results.

    Args:
        fd: a descriptor from open() or from a request that creates one.
        request: KVM's request number (kvmemu.constants).
        arg: an integer (a number or an address), bytes or str (copied; the copy as the call left
            it is the result), or a writable buffer (the call reads and writes it in place).
        mutate_flag: False treats a writable buffer as bytes.

    Returns:
        The call's result; for bytes, str and mutate_flag=False the bytes after the call.

    Raises:
        KvmError: with Linux's errno. EBADF if fd is not one of kvmemu's.
    """
    number = _number(fd)
    if isinstance(arg, int):
        return _call(number, request, arg & 0xFFFFFFFFFFFFFFFF)
    if isinstance(arg, str):
        arg = arg.encode()
    view = memoryview(arg)
    if mutate_flag and not view.readonly:
        buffer = ffi.from_buffer(view)
        return _call(number, request, ffi.cast("unsigned long", buffer))
    copy = ffi.new("char[]", view.tobytes())
    _call(number, request, ffi.cast("unsigned long", copy))
    return bytes(ffi.buffer(copy, view.nbytes))


def close(fd: int | HasFileno) -> None:
    """Stands for os.close(). What the descriptor stood for goes when its last descriptor does.

    Raises:
        KvmError: EBADF if fd is not one of kvmemu's.
    """
    check(lib.kvmemu_fd_close(_number(fd)), f"close of descriptor {fd}")


def dup(fd: int | HasFileno) -> int:
    """Stands for os.dup().

    Raises:
        KvmError: EBADF if fd is not one of kvmemu's; EMFILE.
    """
    number = _number(fd)
    try:
        copy = os.dup(number)
    except OSError as error:
        raise kvm_error(error.errno or errno.EBADF, f"dup of descriptor {fd}") from error
    result = lib.kvmemu_fd_dup(number, copy)
    if result < 0:
        os.close(copy)
        raise kvm_error(-result, f"dup of descriptor {fd}")
    return copy


def pread(fd: int | HasFileno, count: int, offset: int) -> bytes:
    """Stands for os.pread() of a statistics descriptor.

    Raises:
        KvmError: EINVAL for a negative offset or a system's descriptor, ESPIPE for a VM's, a vCPU's
            or a device's, EBADF for one that is not kvmemu's.
    """
    what = f"read of descriptor {fd}"
    file = lib.kvmemu_fd_file(_number(fd))
    if not file:
        raise kvm_error(errno.EBADF, what)
    file = ffi.gc(file, lib.kvmemu_close)
    buffer = ffi.new("char[]", count)
    got = check(lib.kvmemu_read(file, buffer, count, offset), what)
    return bytes(ffi.buffer(buffer, got))
