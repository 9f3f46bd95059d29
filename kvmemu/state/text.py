# SPDX-License-Identifier: MIT
"""What the readers of state files have in common. Layer: state."""

from __future__ import annotations

import re

from kvmemu.errors import StateFileError

__all__ = ["StateFileError", "number", "once"]

_NUMBER = re.compile(r"-?(0x[0-9a-fA-F]+|0|[1-9][0-9]*)")
_LONGEST = 4096  # digits: a register has 2048 bits at most


def number(text: str, what: str, bits: int | None = None) -> int:
    """A number of a state file, which are never negative.

    Args:
        text: decimal, or hexadecimal with 0x in front.
        what: what it is, for the sentence.
        bits: how wide it may be; None if that is seen to elsewhere.

    Raises:
        StateFileError: it is none, or too wide.
    """
    if not _NUMBER.fullmatch(text) or len(text) > _LONGEST:
        shown = text if len(text) <= 32 else f"{text[:32]}..."
        raise StateFileError(f"{what} is {shown!r}: a number expected")
    value = int(text, 0)
    if value < 0:
        raise StateFileError(f"{what} is negative")
    if bits is not None and value >> bits:
        raise StateFileError(f"{what} is {value:#x}: more than {bits} bits")
    return value


def once(seen: set[str], key: str) -> None:
    """Notes that a line of this kind was there.

    Raises:
        StateFileError: there was one before.
    """
    if key in seen:
        raise StateFileError(f"`{key}` stands twice")
    seen.add(key)
