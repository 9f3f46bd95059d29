# SPDX-License-Identifier: MIT
"""Has guests do what a script says. Layer: trace. The same on Linux: tests/oracle/guest_run.c."""

from __future__ import annotations

import contextlib
import errno
import signal
import struct
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Protocol

from kvmemu.trace import guest as g
from kvmemu.trace.memory import Memory
from kvmemu.trace.statements import Answer

_MASK = (1 << 64) - 1
RUN_BYTES = 0x1000
EXIT_REASON = 8  # in struct kvm_run, and what is there after a KVM_EXIT_MMIO:
MMIO = 32
_MMIO = struct.Struct("<Q8sIB")
ISR_EL1 = 0xC608
ISR_I, ISR_F = 1 << 7, 1 << 6
EXITS = (
    "KVM_EXIT_UNKNOWN", "KVM_EXIT_DEBUG", "KVM_EXIT_MMIO", "KVM_EXIT_SHUTDOWN",
    "KVM_EXIT_FAIL_ENTRY", "KVM_EXIT_INTR", "KVM_EXIT_INTERNAL_ERROR", "KVM_EXIT_SYSTEM_EVENT",
    "KVM_EXIT_ARM_NISV", "KVM_EXIT_DIRTY_RING_FULL",
)  # fmt: skip

Instruction = tuple[object, ...]
Outcomes = Generator[Instruction, object, None]


class Steps(Protocol):
    """A vCPU's guest, which executes what a generator yields: kvmemu.guest_steps."""

    def begin(self, program: Callable[[], Outcomes]) -> None:
        """Give it a program."""


class ListRun:
    """One list being done by a guest.

    Attributes:
        outcomes: what has come of its operations and was not yet told.
        current: the operation that the guest is at.
        is_done: the guest is at the store that ends the list.
    """

    def __init__(self, operations: tuple[g.Operation | g.Repeat, ...]) -> None:
        self._operations = operations
        self._names: dict[str, int] = {}
        self._context = 0
        self.outcomes: list[g.Outcome] = []
        self.current: g.Operation | None = None
        self.mmio: int | None = None
        self.is_done = False

    def program(self) -> Outcomes:
        """What the guest executes. From the beginning again, if its vCPU is reset."""
        self._names.clear()
        self.is_done = False
        context = yield ("x", 0)
        assert isinstance(context, int)
        self._context = context
        yield from self._list(self._operations)
        self.current = None
        self.is_done = True
        yield ("store", g.DOORBELL, 4, 0)

    def _list(
        self, operations: tuple[g.Operation | g.Repeat, ...]
    ) -> Generator[Instruction, object, bool]:
        """True: an `until` ended it."""
        for operation in operations:
            if isinstance(operation, g.Repeat):
                for _ in range(operation.times):
                    if (yield from self._list(operation.operations)):
                        break
            elif operation.word == "until":
                first, second = map(self._value, operation.operands)
                if first == second:
                    return True
            else:
                yield from self._operation(operation)
        return False

    def _value(self, operand: g.Operand) -> int:
        base = self._names[operand.name] if operand.name is not None else 0
        return (base + operand.number.value) & _MASK

    def _operation(self, operation: g.Operation) -> Outcomes:
        self.current, self.mmio = operation, None
        result = yield from self._execute(operation)
        if isinstance(result, int) and operation.binds:
            self._names[operation.binds] = result
        if isinstance(result, tuple) and operation.binds:
            self._names[operation.binds] = result[0]
        self.outcomes.append(self._outcome(operation, result))

    def _execute(self, operation: g.Operation) -> Generator[Instruction, object, object]:
        values = [self._value(operand) for operand in operation.operands]
        match operation.word:
            case "read":
                return (yield ("read", operation.encoding))
            case "write":
                return (yield ("write", operation.encoding, *values))
            case "load":
                return (yield ("load", values[0], operation.bytes))
            case "store":
                return (yield ("store", values[0], operation.bytes, values[1]))
            case "lines":
                return (yield ("read", ISR_EL1))
            case "context":
                return self._context
            case "hvc" | "smc":
                values += [0] * (g.CALL_VALUES - len(values))
                return (yield (operation.word, *values))
        if operation.word == "wfi":
            result = yield ("wfi",)
            while (yield ("read", ISR_EL1)) == 0:
                result = yield ("wfi",)
            return result
        wanted = values[1] & ((1 << 8 * operation.bytes) - 1)
        while (result := (yield ("load", values[0], operation.bytes))) != wanted:
            if not isinstance(result, int):
                break
        return result

    def _outcome(self, operation: g.Operation, result: object) -> g.Outcome:
        if isinstance(result, tuple):
            return g.Outcome("?") if operation.volatile else g.Outcome("values", result)
        if not isinstance(result, int):
            return g.Outcome(str(getattr(result, "value", result)))
        if self.mmio is not None:
            return g.Outcome("mmio", (self.mmio,))
        if operation.volatile:
            return g.Outcome("?")
        if operation.word == "lines":
            return g.Outcome(g.LINES[bool(result & ISR_I) | bool(result & ISR_F) << 1])
        if operation.word in ("read", "load", "context"):
            return g.Outcome("value", (result,))
        return g.Outcome(".")

    def taken(self) -> tuple[g.Outcome, ...]:
        """The outcomes since the last time."""
        outcomes = tuple(self.outcomes)
        self.outcomes.clear()
        return outcomes


class VcpuGuest:
    """A vCPU whose guest acts."""

    def __init__(
        self, steps: Steps, run: int, memory: Memory, constants: Mapping[str, int]
    ) -> None:
        """Take what belongs to it.

        Args:
            steps: its guest.
            run: where its struct kvm_run is.
        """
        self._steps = steps
        self._run = run
        self._memory = memory
        self._exits = {constants[name]: name for name in EXITS if name in constants}
        self._list: ListRun | None = None

    def begin(self, operations: tuple[g.Operation | g.Repeat, ...]) -> None:
        """Give it a list, instead of the one it has."""
        self._list = ListRun(operations)
        self._steps.begin(self._list.program)

    @property
    def has_list(self) -> bool:
        """Whether there is something to go on with."""
        return self._list is not None

    def do_list(self, kvm_run: Callable[[], int]) -> g.GuestEnd:
        """Run the vCPU until the list is done, or KVM_RUN ends otherwise.

        Args:
            kvm_run: calls KVM_RUN; its result, or a negative errno.
        """
        todo = self._list
        assert todo is not None
        while True:
            result: int | str = kvm_run()
            if result != 0:
                break
            reason = self._exits.get(self._u32(EXIT_REASON), str(self._u32(EXIT_REASON)))
            if reason == "KVM_EXIT_MMIO":
                address, data, length, is_write = _MMIO.unpack(
                    self._memory.load(self._run + MMIO, _MMIO.size)
                )
                if address == g.DOORBELL and todo.is_done:
                    self._list = None
                    break
                # the end of a list before, once more
                if address == g.DOORBELL or self._answer(todo, data, length, bool(is_write)):
                    continue
            result = reason
            break
        return g.GuestEnd(result, todo.taken())

    def _u32(self, offset: int) -> int:
        return int.from_bytes(self._memory.load(self._run + offset, 4), "little")

    def _answer(self, todo: ListRun, data: bytes, length: int, is_write: bool) -> bool:
        """Whether the exit is that of a load or store of the list, which is answered now."""
        operation = todo.current
        if (
            operation is None
            or todo.mmio is not None
            or operation.bytes != length
            or operation.word != ("store" if is_write else "load")
        ):
            return False
        if not is_write:
            value = operation.mmio.bits(length) if operation.mmio is not None else 0
            data = value.to_bytes(8, "little")
            self._memory.store(self._run + MMIO + 8, data)
        todo.mmio = int.from_bytes(data[:length], "little")
        return True


@contextlib.contextmanager
def _passing_alarms_on(threads: list[threading.Thread]) -> Iterator[None]:
    """SIGALRM, where a handler waits for it, interrupts these threads instead."""
    if not callable(signal.getsignal(signal.SIGALRM)):
        yield
        return

    def kick(*_: object) -> None:
        for thread in threads:
            if thread.ident is not None and thread.is_alive():
                signal.pthread_kill(thread.ident, signal.SIGUSR1)

    before = [
        (number, signal.signal(number, handler))
        for number, handler in ((signal.SIGALRM, kick), (signal.SIGUSR1, lambda *_: None))
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def do_lists(guests: Sequence[VcpuGuest], kvm_runs: Sequence[Callable[[], int]]) -> Answer:
    """Have guests do their lists: one here, several on threads of their own."""
    if len(guests) == 1:
        end = guests[0].do_list(kvm_runs[0])
        return Answer(end.result, guests=(end,))
    ends: dict[int, g.GuestEnd] = {}

    def run(index: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        ends[index] = guests[index].do_list(kvm_runs[index])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(guests))]
    with _passing_alarms_on(threads):
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.05)  # in between handlers of signals run
    if len(ends) != len(guests):
        raise OSError(errno.EIO, "a guest's thread failed")
    return Answer(ends[0].result, guests=tuple(ends[index] for index in range(len(guests))))
