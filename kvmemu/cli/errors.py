# SPDX-License-Identifier: MIT
"""Errors as sentences for the user. Layer: cli."""

from __future__ import annotations

from kvmemu.errors import ChartError, HostError, KvmError, RestoreError, StateFileError
from kvmemu.trace.statements import TraceError


def sentence_of(error: Exception) -> str | None:
    """What to tell the user.

    Returns:
        One sentence; empty if there is nobody to tell (a broken pipe); None for what is no error of
        the user's or the machine's, but a bug.
    """
    if isinstance(error, (ChartError, HostError, RestoreError, StateFileError, TraceError)):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return "the input is not text in UTF-8"
    if isinstance(error, KvmError):
        return str(error.strerror)
    if isinstance(error, BrokenPipeError):
        return ""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return None
