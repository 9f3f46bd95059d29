# SPDX-License-Identifier: MIT
"""Guests written in Python: what a vCPU executes in KVM_RUN.

A guest is a function of a Cpu that calls its methods as a program executes instructions. It is
straight-line code: where an instruction leaves the guest (an access that user space has to answer,
WFI, a PSCI call, a signal), the function stands still until KVM_RUN is called again, and goes on
behind that instruction. For that it has a thread of its own, which runs only while the thread in
KVM_RUN waits for it: the two are never active at once.
"""

from __future__ import annotations

import inspect
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kvmemu import constants as kvm
from kvmemu._core import ffi, lib
from kvmemu.cpu import Cpu

if TYPE_CHECKING:
    from kvmemu.vcpu import Vcpu

GuestFunction = Callable[[Cpu], object]

_LOOK_SECONDS = 0.05


class _Stopped(BaseException):
    """Unwinds a guest that was taken away from its vCPU."""


def check_function(function: object) -> None:
    """Raises:
    TypeError: it cannot be a guest: a call of it does not execute what it says.
    """
    if not callable(function):
        raise TypeError(f"a guest is a function of its CPU, not {function!r}")
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name}() only makes a generator or a coroutine: a guest has no yield")


class Guest:
    """A guest function on its way: its thread, and how it hands over.

    Attributes:
        function: what it runs.
        error: what ended it, if it was an exception.
        finished: it has returned, and its vCPU waits for ever.
    """

    def __init__(self, vcpu: Vcpu, function: GuestFunction) -> None:
        self.function = function
        self.error: BaseException | None = None
        self.finished = False
        self._cpu = Cpu(vcpu, self._to_host, self._wait_for_turn)
        self._resets = 0
        self._thread: threading.Thread | None = None
        self._to_guest_turn = threading.Semaphore(0)
        self._to_host_turn = threading.Semaphore(0)
        self._handing_over = threading.Lock()
        self._in_cpu = threading.Lock()
        self._overdue = False  # it had no turn, and went on
        self._stopping = False
        self.handle = ffi.new_handle(self)

    @property
    def vcpu(self) -> Vcpu:
        """The vCPU it is the guest of."""
        return self._cpu.vcpu

    @vcpu.setter
    def vcpu(self, vcpu: Vcpu) -> None:
        self._cpu.vcpu = vcpu

    def stop(self) -> None:
        """Unwinds the function, if it is under way."""
        self._stopping = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._to_guest_turn.release()
            self._thread.join()
        self._thread = None
        self._to_guest_turn = threading.Semaphore(0)
        self._to_host_turn = threading.Semaphore(0)

    def end(self) -> None:
        """It ends where it stands, and its vCPU waits for ever; unless it is on its CPU now.

        One that is busy elsewhere is not waited for, and ends when it executes an instruction.
        """
        if not self._in_cpu.acquire(blocking=False):
            return
        try:
            self.finished = True
            if self._overdue:
                self._stopping = True
                self._to_guest_turn.release()
            else:
                self.stop()
        finally:
            self._in_cpu.release()

    def run(self, pointer: Any) -> None:
        """On the thread in KVM_RUN: the function runs until it has to leave its CPU."""
        with self._in_cpu:
            self._run(pointer)

    def _run(self, pointer: Any) -> None:
        if self.finished:
            lib.kvmemu_cpu_idle(pointer)
            return
        if (resets := lib.kvmemu_cpu_resets(pointer)) != self._resets:
            self.stop()
            self._resets = resets
            self._stopping = False
        self._cpu.enter(pointer)
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="kvmemu guest", daemon=True)
            self._thread.start()
        else:
            self._to_guest_turn.release()
        self._wait_for_guest()
        if self.error is not None:
            lib.kvmemu_cpu_exit(pointer, kvm.KVM_EXIT_INTERNAL_ERROR)

    def _wait_for_guest(self) -> None:
        """Until the guest hands over; or, if it is busy elsewhere, until a signal is there.

        KVM_RUN blocks signals and lets them in when it is back: it cannot be if the guest waits for
        something that has nothing to do with its CPU. It then has its turn again when it next
        executes an instruction.
        """
        while not self._to_host_turn.acquire(timeout=_LOOK_SECONDS):
            if not signal.sigpending():
                continue
            with self._handing_over:
                if self._to_host_turn.acquire(blocking=False):
                    break
                if self._cpu.leave():
                    self._overdue = True
                    # It may not have begun the turn that it was just given.
                    self._to_guest_turn.acquire(blocking=False)
                    return
        self._cpu.leave()

    def _main(self) -> None:
        try:
            self.function(self._cpu)
            self.finished = not self._stopping
        except _Stopped:
            pass
        except BaseException as error:  # raised again by Vcpu.run()
            self.error = error
        self._end_turn()

    def _end_turn(self) -> None:
        with self._handing_over:
            if not self._overdue:  # else nobody waits for it
                self._to_host_turn.release()

    def _to_host(self) -> None:
        self._end_turn()
        self._begin_turn()

    def _wait_for_turn(self) -> None:
        """The guest's next instruction, when the thread in KVM_RUN has not waited for it."""
        if threading.current_thread() is not self._thread:
            raise RuntimeError(f"{self._cpu.vcpu} is not running")
        self._begin_turn()

    def _begin_turn(self) -> None:
        self._to_guest_turn.acquire()
        self._overdue = False
        if self._stopping:
            raise _Stopped


@ffi.def_extern()  # type: ignore[untyped-decorator]
def kvmemu_python_guest(pointer: Any, context: Any) -> None:
    """What the core calls with the vCPU in its guest."""
    ffi.from_handle(context).run(pointer)
