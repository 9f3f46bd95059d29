# SPDX-License-Identifier: MIT
"""Errors: an errno as Linux gives it, and a sentence that says what was refused."""

from __future__ import annotations

import errno
import os


class KvmError(OSError):
    """A call that KVM refused.

    It is also the class that Python has for its errno (FileExistsError, PermissionError,
    InterruptedError and so on), so that code written for `fcntl` catches what it caught.

    Attributes:
        errno: as Linux 6.1 gives it.
        call: what was called, in words.
    """

    def __init__(self, code: int, call: str) -> None:
        super().__init__(code, f"{call}: {os.strerror(code)} ({errno.errorcode.get(code, code)})")
        self.call = call


class ChartError(Exception):
    """A chart that cannot be drawn, in a sentence."""


class HostError(ValueError):
    """A host profile that does not exist or cannot be used, in a sentence."""


class StateFileError(ValueError):
    """A state file that cannot be used, in a sentence."""


class RestoreError(Exception):
    """A state that does not fit the VM, in a sentence. The VM may be partly restored: drop it."""


def _twin(code: int) -> type[KvmError]:
    """KvmError, or it and the class OSError would have been for this errno."""
    builtin = type(OSError(code, ""))
    if builtin is OSError:
        return KvmError
    return type(KvmError.__name__, (KvmError, builtin), {"__module__": __name__})


_CLASSES = {code: _twin(code) for code in errno.errorcode}


def kvm_error(code: int, call: str) -> KvmError:
    """The exception for an errno (positive) that a call gave."""
    return _CLASSES.get(code, KvmError)(code, call)


def check(result: int, call: str) -> int:
    """Passes on a result >= 0; raises KvmError for a negative errno."""
    if result < 0:
        raise kvm_error(-result, call)
    return result
