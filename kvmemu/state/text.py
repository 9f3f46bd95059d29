# SPDX-License-Identifier: MIT
"""What the readers of state files have in common. Layer: state."""

from __future__ import annotations

from kvmemu.errors import StateFileError

__all__ = ["StateFileError", "number"]


def number(text: str, what: str) -> int:
    """A number of a state file, which are never negative."""
    try:
        value = int(text, 0)
    except ValueError:
        raise StateFileError(f"{what} is {text!r}: a number expected") from None
    if value < 0:
        raise StateFileError(f"{what} is negative")
    return value
