# SPDX-License-Identifier: MIT
"""Guests that are generators of instructions: no thread, for programs that make guests up.

A program yields what the guest executes next and is sent what came of it:

    def program():
        intid = yield ("read", 0xC660)              # ICC_IAR1_EL1
        yield ("write", 0xC661, intid)
        yield ("store", 0x0A00_0000, 4, intid)

    steps = Steps(vcpu_fd)
    steps.begin(program)

| Instruction | Sent back |
|---|---|
| `("read", encoding)`, `("write", encoding, value)` | the value; 0 |
| `("load", ipa, bytes)`, `("store", ipa, bytes, value)` | the value; 0 |
| `("wfi",)` | 0 |
| `("hvc", x0, x1, x2, x3)`, `("smc", ...)` | the tuple (x0, x1, x2, x3) |
| `("x", n)` | register xn |

UNDEFINED is sent for an instruction that the CPU does not have, ABORTED for an access that failed.
"""

from __future__ import annotations

import enum
import errno
from collections.abc import Callable, Generator
from typing import Any

from kvmemu._core import ffi, lib
from kvmemu.errors import check

_LEAVE = 1
_MASK = (1 << 64) - 1


class Failure(enum.Enum):
    """How an instruction failed, as the guest finds out by an exception."""

    UNDEFINED = "undefined"
    ABORTED = "abort"


UNDEFINED, ABORTED = Failure.UNDEFINED, Failure.ABORTED

Instruction = tuple[Any, ...]
Result = int | tuple[int, ...] | Failure
Program = Callable[[], Generator[Instruction, Result, None]]


class Steps:
    """The guest of one vCPU, given one program after another.

    A program begins again when PSCI CPU_ON resets its vCPU. One that has returned waits for ever.
    """

    def __init__(self, fd: int) -> None:
        """Take over the guest of a vCPU.

        Args:
            fd: the vCPU's descriptor.

        Raises:
            KvmError: EBADF or EINVAL if it is none. The object has to live as long as the vCPU.
        """
        self._program: Program | None = None
        self._under_way: Generator[Instruction, Result, None] | None = None
        self._doing: Instruction | None = None  # left the guest, to be executed again
        self._forgotten: Instruction | None = None  # the same, of an earlier program
        self._left = False  # what is executed next has been begun before
        self._resets = 0
        self._value = ffi.new("uint64_t *")
        self._handle = ffi.new_handle(self)
        file = lib.kvmemu_fd_file(fd)
        if not file:
            check(-errno.EBADF, f"guest of descriptor {fd}")
        result = lib.kvmemu_set_guest(file, lib.kvmemu_python_guest, self._handle)
        lib.kvmemu_close(file)
        check(result, f"guest of descriptor {fd}")

    def begin(self, program: Program) -> None:
        """From now on the guest executes this; what the last program had yet to do is forgotten."""
        self._program = program
        self._under_way = None
        self._forgotten = self._forgotten or self._doing
        self._doing = None

    def run(self, pointer: Any) -> None:
        """What KVM_RUN calls: instructions, until one leaves the guest."""
        if (resets := lib.kvmemu_cpu_resets(pointer)) != self._resets:
            self._resets = resets
            self._under_way = self._doing = self._forgotten = None
            self._left = False
        if self._forgotten is not None:
            # one that trapped has its end yet to come; one that was only to be executed is not
            begun = lib.kvmemu_cpu_is_begun(pointer)
            if begun and self._execute(pointer, self._forgotten) is None:
                return
            self._forgotten = None
            self._left = False
        if self._program is not None and self._under_way is None:
            self._under_way = self._program()
            self._doing = next(self._under_way, None)
        while self._doing is not None:
            result = self._execute(pointer, self._doing)
            if result is None:
                return
            assert self._under_way is not None
            try:
                self._doing = self._under_way.send(result)
            except StopIteration:
                self._doing = None
        lib.kvmemu_cpu_idle(pointer)

    def _execute(self, pointer: Any, instruction: Instruction) -> Result | None:
        """None: it left the guest, and is to be executed again."""
        result = self._instruction(pointer, instruction)
        self._left = result is None
        return result

    def _instruction(self, pointer: Any, instruction: Instruction) -> Result | None:
        word, *args = instruction
        value = self._value
        if word == "x":
            return int(lib.kvmemu_cpu_x(pointer)[args[0]])
        if word in ("hvc", "smc"):
            return self._call(pointer, word, args)
        value[0] = 0
        if word == "read":
            result = lib.kvmemu_cpu_read_sysreg(pointer, args[0], value)
        elif word == "write":
            result = lib.kvmemu_cpu_write_sysreg(pointer, args[0], args[1] & _MASK)
        elif word == "load":
            result = lib.kvmemu_cpu_load(pointer, args[0] & _MASK, args[1], value)
        elif word == "store":
            result = lib.kvmemu_cpu_store(pointer, args[0] & _MASK, args[1], args[2] & _MASK)
        else:
            result = lib.kvmemu_cpu_wfi(pointer)
        if result == _LEAVE:
            return None
        if result:
            return UNDEFINED if result == -errno.ENOENT else ABORTED
        return int(value[0])

    def _call(self, pointer: Any, word: str, args: list[int]) -> Result | None:
        x = lib.kvmemu_cpu_x(pointer)
        for index, value in enumerate(args if not self._left else ()):
            x[index] = value & _MASK
        operation = lib.kvmemu_cpu_hvc if word == "hvc" else lib.kvmemu_cpu_smc
        result = operation(pointer)
        if result == _LEAVE:
            return None
        return UNDEFINED if result else tuple(int(value) for value in x[0:4])
