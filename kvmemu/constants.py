# SPDX-License-Identifier: MIT
"""KVM's numbers by Linux's names: `kvmemu.constants.KVM_CREATE_VM` and so on.

All of them come from the compiled core, which has them from include/kvmemu/uapi.h. constants.pyi,
for type checkers and editors, is made from the same table (`make stubs`).
"""

from __future__ import annotations

from kvmemu._core import ffi, lib


def _table() -> dict[str, int]:
    n = ffi.new("size_t *")
    rows = lib.kvmemu_constants(n)
    return {
        ffi.string(rows[i].name).decode(): rows[i].value - (1 << 64 if rows[i].negative else 0)
        for i in range(n[0])
    }


ALL: dict[str, int] = _table()
globals().update(ALL)


def request_name(request: int) -> str:
    """The name of an ioctl request, or the number in hexadecimal if KVM has no such request."""
    name = lib.kvmemu_request_name(request & 0xFFFFFFFF)
    return ffi.string(name).decode() if name else f"{request:#x}"
