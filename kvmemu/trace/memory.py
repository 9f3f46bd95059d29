# SPDX-License-Identifier: MIT
"""Memory whose address a call gets: blocks, buffers, a page that is never there. Layer: trace."""

from __future__ import annotations

import ctypes
import mmap
import os
from types import TracebackType

PAGE_BYTES = mmap.PAGESIZE
SLOT_BYTES = 1 << 16

_PROT_NONE = 0
_PROT_RW = mmap.PROT_READ | mmap.PROT_WRITE
_MAP_FIXED = 0x10
_MAP_NORESERVE = 0x4000
_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
]  # fmt: skip
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong]
for _transfer in (_libc.pread, _libc.pwrite):
    _transfer.restype = ctypes.c_ssize_t
    _transfer.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]


def _os_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def libc_ioctl(fd: int, request: int, arg: int) -> int:
    """ioctl(2) with any 64-bit argument; raises OSError."""
    result = int(_libc.ioctl(fd, request, arg))
    if result < 0:
        raise _os_error()
    return result


def _map(
    size: int, prot: int, flags: int, *, address: int | None = None, fd: int = -1, offset: int = 0
) -> int:
    mapped = _libc.mmap(address, size, prot, flags, fd, offset)
    if mapped is None or mapped == _FAILED:
        raise _os_error()
    return int(mapped)


def map_descriptor(fd: int, size: int, offset: int) -> int:
    """The address of mmap(2), shared, for reading and writing; raises OSError."""
    return _map(size, _PROT_RW, mmap.MAP_SHARED, fd=fd, offset=offset)


def unmap(address: int, size: int) -> None:
    """Take a mapping away."""
    _libc.munmap(address, size)


def _whole_pages(size: int) -> int:
    return -(-size // PAGE_BYTES) * PAGE_BYTES


class Memory:
    """All memory of one run of a script; a context manager that gives it back.

    A block ends where accessible memory ends, so that a call that reaches beyond it fails with
    EFAULT instead of meeting whatever lies there.
    """

    def __init__(self) -> None:
        self._mappings: dict[int, int] = {}
        self._slots: list[int] = []
        self._slots_used = 0
        self._large: list[int] = []
        self._scratch = os.memfd_create("kvmemu-trace")
        self.bad = self.guarded(0)

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for address in list(self._mappings):
            self._give_back(address)
        os.close(self._scratch)

    def _give_back(self, address: int) -> None:
        _libc.munmap(address, self._mappings.pop(address))

    def guarded(self, size: int) -> int:
        """Zeroed pages with an inaccessible page behind; their address."""
        whole = _whole_pages(size)
        address = _map(whole + PAGE_BYTES, _PROT_NONE, _ANONYMOUS)
        self._mappings[address] = whole + PAGE_BYTES
        if whole and _libc.mprotect(address, whole, _PROT_RW):
            raise _os_error()
        return address

    def adopt(self, address: int, size: int) -> None:
        """Give this mapping back at the end as well."""
        self._mappings[address] = _whole_pages(size)

    def take_away(self, address: int, size: int) -> None:
        """Unmap, but keep the address: nothing else shall appear behind it."""
        _map(_whole_pages(size), _PROT_NONE, _ANONYMOUS | _MAP_FIXED, address=address)

    # ---- blocks ----

    def reset_blocks(self) -> None:
        """A new statement begins: its blocks may use the memory again."""
        self._slots_used = 0
        while self._large:
            self._give_back(self._large.pop())

    def block(self, size: int) -> int:
        """The address of memory for a block, with any content."""
        if size > SLOT_BYTES:
            self._large.append(self.guarded(size))
            return self._large[-1] + _whole_pages(size) - size
        if self._slots_used == len(self._slots):
            self._slots.append(self.guarded(SLOT_BYTES))
        self._slots_used += 1
        return self._slots[self._slots_used - 1] + SLOT_BYTES - size

    @staticmethod
    def load(address: int, size: int) -> bytes:
        """The bytes of a block."""
        return ctypes.string_at(address, size)

    @staticmethod
    def store(address: int, data: bytes) -> None:
        """Fill a block."""
        ctypes.memmove(address, data, len(data))

    # ---- memory that may not be there: copied by the kernel, so that it is no signal ----

    def try_load(self, address: int, size: int) -> bytes | None:
        """The bytes there, or None if not all of them can be read."""
        if _libc.pwrite(self._scratch, address, size, 0) != size:
            return None
        return os.pread(self._scratch, size, 0)

    def try_store(self, address: int, data: bytes) -> bool:
        """Store bytes there; False if not all of them could be."""
        os.pwrite(self._scratch, data, 0)
        return bool(_libc.pread(self._scratch, address, len(data), 0) == len(data))
