# SPDX-License-Identifier: MIT
"""What is in a VM's memory: snapshots without the zeros. Layer: state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

CHUNK = 1 << 16
PAGE = 4096
_ZEROS = bytes(CHUNK)


@dataclass(frozen=True)
class Contents:
    """The contents of a memory slot.

    Attributes:
        size: bytes.
        extents: what is not zero: offset and bytes, ascending.
    """

    size: int
    extents: tuple[tuple[int, bytes], ...] = ()

    def copy_to(self, memory: memoryview) -> None:
        """Write them to memory that is all zeros."""
        for offset, data in self.extents:
            memory[offset : offset + len(data)] = data

    def sha256(self) -> str:
        """Of all of them, the zeros included, in hexadecimal."""
        digest, at = hashlib.sha256(), 0
        for offset, data in (*self.extents, (self.size, b"")):
            while at < offset:
                length = min(offset - at, CHUNK)
                digest.update(_ZEROS[:length])
                at += length
            digest.update(data)
            at += len(data)
        return digest.hexdigest()


def _pages(offset: int, chunk: bytes) -> Iterator[tuple[int, bytes]]:
    """Runs of pages that are not zero."""
    first = None
    for at in range(0, len(chunk) + PAGE, PAGE):
        page = chunk[at : at + PAGE]
        if page and page != _ZEROS[: len(page)]:
            first = at if first is None else first
        elif first is not None:
            yield offset + first, chunk[first:at]
            first = None


def chunks(offset: int, data: memoryview) -> Iterator[tuple[int, bytes]]:
    """The parts of some memory that are not zero."""
    for at in range(0, len(data), CHUNK):
        chunk = bytes(data[at : at + CHUNK])
        if chunk != _ZEROS[: len(chunk)]:
            yield from _pages(offset + at, chunk)


def snapshot(memory: memoryview) -> Contents:
    """A copy of some memory as it is now."""
    return Contents(len(memory), tuple(chunks(0, memory)))
