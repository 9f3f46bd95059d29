# SPDX-License-Identifier: MIT
"""Runs a script against a backend and compares its answers with the recorded ones.

Layer: trace, a client of the ioctl interface. The same in C, on Linux: tests/oracle/run.c.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kvmemu.trace import statements as st
from kvmemu.trace.backends import Backend
from kvmemu.trace.background import Background
from kvmemu.trace.blocks import answer_block, hex_number, place, same_blocks
from kvmemu.trace.format import format_answer, format_statement, with_answers
from kvmemu.trace.guest import Guest, same_ends
from kvmemu.trace.memory import Memory, libc_ioctl
from kvmemu.trace.parse import CREATING_REQUESTS
from kvmemu.trace.run_guest import RUN_BYTES, VcpuGuest, do_lists

_U64 = (1 << 64) - 1


@dataclass(frozen=True)
class Difference:
    """A statement that answered otherwise than recorded.

    Attributes:
        line: the statement's first line.
        expected, got: answers as the format writes them.
    """

    line: int
    statement: str
    expected: str
    got: str

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.statement}\n  expected {self.expected}\n  got      {self.got}"
        )


@dataclass
class _Mapping:
    address: int
    size: int
    present: bool = True


def _signed(number: st.Number) -> int:
    value = number.bits(8)
    return value - (1 << 64) if value >> 63 else value


@contextlib.contextmanager
def _alarm(ms: int, line: int) -> Iterator[None]:
    """SIGALRM after so many milliseconds, with a handler that only interrupts."""
    if threading.current_thread() is not threading.main_thread():
        raise st.TraceError(line, "an alarm works in the main thread only")
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    # On a busy machine it may come before the call it is to end: then it comes again.
    signal.setitimer(signal.ITIMER_REAL, ms / 1000, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Run:
    """One run of a script: what its names stand for, and its memory."""

    def __init__(self, script: st.Script, backend: Backend, memory: Memory) -> None:
        self._backend = backend
        self._memory = memory
        self._constants = script.constants
        self._fds: dict[str, int] = {}
        self._mappings: dict[str, _Mapping] = {}
        self._open: list[int] = []
        self._eventfds: set[int] = set()  # which no backend knows
        self._guests: list[VcpuGuest] = []  # they live as long as their vCPUs
        self._vcpus: dict[int, VcpuGuest] = {}  # by the numbers of their descriptors
        self._started: dict[str, Background] = {}
        self._creating = {
            script.constants[name] for name in CREATING_REQUESTS if name in script.constants
        }
        self._handlers: dict[type[st.Statement], Callable[..., st.Answer | None]] = {
            st.Host: lambda _: None, st.Open: self._run_open, st.Ioctl: self._run_ioctl,
            st.Get: self._run_get, st.Set: self._run_set, st.Close: self._run_close,
            st.Dup: self._run_dup, st.Buffer: self._run_buffer, st.Unmap: self._run_unmap,
            st.Mmap: self._run_mmap, st.Poke: self._run_poke, st.Peek: self._run_peek,
            st.Read: self._run_read, st.Eventfd: self._run_eventfd,
            st.Alarm: lambda _: None, Guest: self._run_guest,
            st.Start: self._run_start, st.Stop: self._run_stop,
        }  # fmt: skip

    def statement(self, statement: st.Statement) -> st.Answer | None:
        """Run one statement; its answer, if it has one."""
        self._memory.reset_blocks()
        return self._handlers[type(statement)](statement)

    def close(self) -> None:
        """Close what the script left open, newest first, and what stands for names no more."""
        for background in self._started.values():
            background.stop(0)
        for fd in reversed(self._open):
            with contextlib.suppress(OSError):
                self._close_fd(fd)

    # ---- values ----

    def _constant(self, name: str) -> int:
        if name not in self._constants:
            raise KeyError(f"the constants lack {name}")
        return self._constants[name]

    def _resolve(self, value: st.Scalar) -> int:
        if isinstance(value, st.Number):
            return value.value & _U64
        if isinstance(value, st.Descriptor):
            return self._fd(value.name) & _U64
        if isinstance(value, st.Address) and value.name in self._mappings:
            return (self._mappings[value.name].address + value.offset) & _U64
        return self._memory.bad

    # ---- descriptors ----

    def _fd(self, name: str) -> int:
        return self._fds.get(name, -1)

    def _bind(self, name: str | None, fd: int) -> None:
        self._open.append(fd)
        if name is not None:
            self._fds[name] = fd

    def _call(self, call: Callable[[], int]) -> int:
        """The result of a system call, or its negative errno."""
        try:
            return call()
        except OSError as error:
            return -(error.errno or errno.EIO)

    def _close_fd(self, fd: int) -> int:
        if fd in self._eventfds:
            self._eventfds.remove(fd)
            os.close(fd)
        else:
            self._backend.close(fd)
        return 0

    def _created(self, name: str, call: Callable[[], int]) -> st.Answer:
        result = self._call(call)
        if result < 0:
            return st.Answer(result)
        self._bind(name, result)
        return st.Answer("fd")

    def _run_open(self, statement: st.Open) -> st.Answer:
        return self._created(statement.created, self._backend.open)

    def _run_dup(self, statement: st.Dup) -> st.Answer:
        fd = self._fd(statement.fd)
        if fd not in self._eventfds:
            answer = self._created(statement.created, lambda: self._backend.dup(fd))
            if fd in self._vcpus:
                self._vcpus[self._fd(statement.created)] = self._vcpus[fd]
            return answer
        answer = self._created(statement.created, lambda: os.dup(fd))
        self._eventfds.add(self._fd(statement.created))
        return answer

    def _run_close(self, statement: st.Close) -> st.Answer:
        fd = self._fds.pop(statement.fd, -1)
        self._vcpus.pop(fd, None)
        if fd in self._open:
            self._open.remove(fd)
        return st.Answer(self._call(lambda: self._close_fd(fd)))

    def _run_eventfd(self, statement: st.Eventfd) -> None:
        fd = os.eventfd(statement.initial.value, statement.flags.value)
        self._eventfds.add(fd)
        self._bind(statement.created, fd)

    # ---- calls ----

    def _ioctl(self, name: str, request: int, arg: int) -> int:
        fd = self._fd(name)
        ioctl = libc_ioctl if fd in self._eventfds else self._backend.ioctl
        return self._call(lambda: ioctl(fd, request, arg))

    def _created_device(self, statement: st.Ioctl, arg: int) -> st.Item | None:
        """Bind what a KVM_CREATE_DEVICE created: what stands for its number in the answer."""
        stored = self._memory.load(arg, 12)
        fd, flags = (int.from_bytes(stored[at : at + 4], "little") for at in (4, 8))
        if flags & self._constant("KVM_CREATE_DEVICE_TEST"):
            return None
        self._bind(statement.created, fd)
        if statement.created is None:
            return st.Item(st.Number(0), 4, volatile=True)
        return st.Item(st.Descriptor(statement.created), 4)

    def _run_ioctl(self, statement: st.Ioctl) -> st.Answer:
        placed = None
        if isinstance(statement.arg, st.Block):
            placed = place(statement.arg, self._memory, self._resolve)
            arg = placed.address
        else:
            arg = self._resolve(statement.arg)
        request = self._resolve(statement.request)
        result = self._ioctl(statement.fd, request, arg)
        answer: int | str = "?" if statement.volatile and result >= 0 else result
        device = None
        if request == self._constants.get("KVM_CREATE_DEVICE"):
            device = self._created_device(statement, arg) if result == 0 else None
        elif request in self._creating and result >= 0:
            self._bind(statement.created, result)
            answer = "fd"
        # how much was copied before a bad address was met is nobody's promise
        if placed is None or result == -errno.EFAULT:
            return st.Answer(answer)
        if device is None and not placed.changed(self._memory):
            return st.Answer(answer)
        return st.Answer(answer, block=answer_block(placed, self._memory, device))

    def _one_reg(self, request: str, statement: st.Get | st.Set, data: bytes) -> tuple[int, int]:
        """(result, address of the value)."""
        address = self._memory.block(len(data))
        self._memory.store(address, data)
        one_reg = self._memory.block(16)
        register_id = statement.id.bits(8)
        self._memory.store(
            one_reg, register_id.to_bytes(8, "little") + address.to_bytes(8, "little")
        )
        return self._ioctl(statement.fd, self._constant(request), one_reg), address

    def _run_get(self, statement: st.Get) -> st.Answer:
        size = st.reg_bytes(statement.id.bits(8))
        result, address = self._one_reg("KVM_GET_ONE_REG", statement, bytes(size))
        if statement.volatile and result >= 0:
            return st.Answer("?")
        if result:
            return st.Answer(result)
        return st.Answer(0, value=hex_number(self._memory.load(address, size)).value)

    def _run_set(self, statement: st.Set) -> st.Answer:
        size = st.reg_bytes(statement.id.bits(8))
        data = statement.value.bits(size).to_bytes(size, "little")
        return st.Answer(self._one_reg("KVM_SET_ONE_REG", statement, data)[0])

    def _run_read(self, statement: st.Read) -> st.Answer:
        try:
            data = self._backend.read(
                self._fd(statement.fd), statement.size.value, _signed(statement.offset)
            )
        except OSError as error:
            return st.Answer(-(error.errno or errno.EIO))
        if statement.volatile:
            return st.Answer("?")
        layout = statement.block
        if layout is None and not data:
            return st.Answer(0)
        if layout is None:
            layout = st.Block((st.Item(st.Number(0, "0x0"), 1, len(data)),))
        placed = place(layout, self._memory, self._resolve)
        self._memory.store(placed.address, data)
        if statement.block is not None and not placed.changed(self._memory):
            return st.Answer(len(data))
        return st.Answer(len(data), block=answer_block(placed, self._memory))

    # ---- guests ----

    def _guest_of(self, name: str, line: int) -> VcpuGuest:
        """The guest of a vCPU, by any of its descriptors' names."""
        fd = self._fd(name)
        guest = self._vcpus.get(fd)
        if guest is None:
            try:
                steps = self._backend.guest(fd)
                run = self._backend.mmap(fd, RUN_BYTES, 0)
            except OSError as error:
                why = "only a vCPU that was created has a guest"
                raise st.TraceError(line, why) from error
            self._memory.adopt(run, RUN_BYTES)
            guest = VcpuGuest(steps, run, self._memory, self._constants)
            self._vcpus[fd] = guest
            self._guests.append(guest)
        return guest

    def _run_guest(self, statement: Guest) -> st.Answer:
        guests = []
        for each in statement.lists:
            guest = self._guest_of(each.fd, statement.first_line)
            if each.operations is not None:
                guest.begin(each.operations)
            elif not guest.has_list:
                why = "this vCPU has no list to go on with"
                raise st.TraceError(statement.first_line, why)
            guests.append(guest)
        kvm_run = self._constant("KVM_RUN")
        calls = [
            functools.partial(self._ioctl, each.fd, kvm_run, 0) for each in statement.lists
        ]
        return do_lists(guests, calls)

    # ---- vCPUs that run while the script goes on ----

    def _run_start(self, statement: st.Start) -> None:
        if statement.fd not in self._started:
            run = self._constant("KVM_RUN")
            background = Background(self._backend, self._fd(statement.fd), run)
            self._started[statement.fd] = background

    def _run_stop(self, statement: st.Stop) -> st.Answer:
        background = self._started.pop(statement.fd, None)
        return st.Answer(background.stop(statement.ms.value) if background else -errno.ESRCH)

    # ---- buffers ----

    def _run_buffer(self, statement: st.Buffer) -> None:
        size = statement.size.value
        self._mappings[statement.created] = _Mapping(self._memory.guarded(size), size)

    def _run_unmap(self, statement: st.Unmap) -> None:
        mapping = self._mappings.get(statement.buffer)
        if mapping is not None:
            self._memory.take_away(mapping.address, mapping.size)
            mapping.present = False

    def _run_mmap(self, statement: st.Mmap) -> st.Answer:
        size = statement.size.value
        try:
            address = self._backend.mmap(self._fd(statement.fd), size, _signed(statement.offset))
        except OSError as error:
            return st.Answer(-(error.errno or errno.EIO))
        self._memory.adopt(address, size)
        self._mappings[statement.created] = _Mapping(address, size)
        return st.Answer(0)

    def _run_poke(self, statement: st.Poke) -> None:
        mapping = self._mappings.get(statement.place.name)
        if mapping is not None and mapping.present:
            placed = place(statement.block, self._memory, self._resolve)
            self._memory.try_store(mapping.address + statement.place.offset, placed.written)

    def _run_peek(self, statement: st.Peek) -> st.Answer:
        mapping = self._mappings.get(statement.place.name)
        data = None
        if mapping is not None and mapping.present:
            data = self._memory.try_load(
                mapping.address + statement.place.offset, statement.block.size
            )
        if data is None:
            return st.Answer(-errno.EFAULT)
        placed = place(statement.block, self._memory, self._resolve)
        self._memory.store(placed.address, data)
        return st.Answer(0, block=answer_block(placed, self._memory))


def replay(script: st.Script, backend: Backend) -> Iterator[tuple[st.Statement, st.Answer | None]]:
    """Run a script: each statement with its answer, or None if it has none.

    What the script opened is closed when the iterator ends or is closed.

    Raises:
        TraceError: a statement cannot be run here.
    """
    with Memory() as memory:
        run = _Run(script, backend, memory)
        alarm_ms = 0
        try:
            for statement in script.statements:
                with contextlib.ExitStack() as stack:
                    if alarm_ms:
                        stack.enter_context(_alarm(alarm_ms, statement.first_line))
                    answer = run.statement(statement)
                alarm_ms = statement.ms.value if isinstance(statement, st.Alarm) else 0
                yield statement, answer
        finally:
            run.close()


def same_answers(expected: st.Answer, got: st.Answer) -> bool:
    """Whether an answer is what was recorded; `?` stands for any success."""
    if expected.result == "?":
        if isinstance(got.result, int) and got.result < 0:
            return False
    elif expected.result != got.result:
        return False
    if expected.value != got.value or len(expected.guests) != len(got.guests):
        return False
    if not all(map(same_ends, expected.guests, got.guests)):
        return False
    if expected.block is None or got.block is None:
        return expected.block is got.block
    return same_blocks(expected.block, got.block)


def differences(script: st.Script, backend: Backend) -> Iterator[Difference]:
    """Run a trace and yield every statement that does not answer as recorded.

    Statements without a recorded answer are run, and answer as they like.
    """
    for statement, answer in replay(script, backend):
        if statement.answer is None or answer is None:
            continue
        if not same_answers(statement.answer, answer):
            yield Difference(
                statement.first_line,
                format_statement(statement),
                format_answer(statement.answer),
                format_answer(answer),
            )


def record(script: st.Script, backend: Backend) -> str:
    """Run a script and return its text with the answers of this backend."""
    answers = {
        statement.last_line: answer
        for statement, answer in replay(script, backend)
        if answer is not None
    }
    return with_answers(script, answers)
