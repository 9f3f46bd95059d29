# SPDX-License-Identifier: MIT
"""Memory in files: all slots one after another, with holes where they are zero. Layer: state."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from kvmemu.state.memory import CHUNK, Contents, chunks
from kvmemu.state.model import VmState
from kvmemu.state.text import StateFileError


def path_beside(path: Path) -> Path:
    """Where the memory of a state file is: vm.ram beside vm.state."""
    return path.with_suffix(".ram")


def _write(fd: int, offset: int, contents: Contents) -> None:
    """Write contents into a file that has holes there."""
    for at, data in contents.extents:
        done = 0
        while done < len(data):
            done += os.pwrite(fd, memoryview(data)[done:], offset + at + done)


def _data_ranges(fd: int, offset: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the file has data, as far as the file system tells."""
    at = offset
    while at < end:
        try:
            first = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                yield at, end
            return
        if first >= end:
            return
        at = min(os.lseek(fd, first, os.SEEK_HOLE), end)
        yield first, at


def _read(fd: int, offset: int, size: int) -> Contents:
    """Contents from a file.

    Raises:
        EOFError: the file ends before they do.
    """
    found: list[tuple[int, bytes]] = []
    for first, end in _data_ranges(fd, offset, offset + size):
        for at in range(first, end, CHUNK):
            length = min(CHUNK, end - at)
            data = os.pread(fd, length, at)
            if len(data) != length:
                raise EOFError
            found += chunks(at - offset, memoryview(data))
    return Contents(size, tuple(found))


def store_memory(state: VmState, path: Path) -> None:
    """The slots one after another, in a file with holes where they are zero."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        os.truncate(fd, sum(slot.size for slot in state.slots))
        at = 0
        for slot in state.slots:
            _write(fd, at, state.ram[slot.slot])
            at += slot.size
    finally:
        os.close(fd)


def load_memory(state: VmState, path: Path) -> dict[int, Contents]:
    """What was in the memory slots.

    Raises:
        StateFileError: there is no such file, or it is not the memory of this VM.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise StateFileError(f"the VM's memory is missing: there is no {path}") from None
    ram, at = {}, 0
    try:
        size = os.fstat(fd).st_size
        expected = sum(slot.size for slot in state.slots)
        if size != expected:
            raise StateFileError(f"{path} has {size} bytes; the VM's memory has {expected}")
        for slot in state.slots:
            contents = _read(fd, at, slot.size)
            if contents.sha256() != slot.sha256:
                raise StateFileError(
                    f"{path} is not the memory of this VM, or was altered: the checksum of slot"
                    f" {slot.slot} does not match"
                )
            ram[slot.slot] = contents
            at += slot.size
    except EOFError:
        raise StateFileError(f"{path} is cut off") from None
    finally:
        os.close(fd)
    return ram
