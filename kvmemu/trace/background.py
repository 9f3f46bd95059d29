# SPDX-License-Identifier: MIT
"""A vCPU that runs while its script goes on. Layer: trace.

The same in C, on Linux: tests/oracle/background.c.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import signal
import threading
import time

from kvmemu.trace.backends import Backend
from kvmemu.trace.memory import unmap

RUN_BYTES = 0x1000
EXIT_REASON = 8  # its offset in struct kvm_run
NOT_YET = 0xFFFFFFFF  # no exit reason: KVM_RUN has not begun
LOOK_AGAIN_S = 0.0002
SIGNAL_AGAIN_S = 0.1


class Background:
    """KVM_RUN on a thread of its own, under way or over."""

    def __init__(self, backend: Backend, fd: int, request: int) -> None:
        """Start it.

        Args:
            backend: what fd is a vCPU of.
            request: KVM_RUN.
        """
        self._result = -errno.EINTR
        address = 0
        with contextlib.suppress(OSError):
            address = backend.mmap(fd, RUN_BYTES, 0)
        reason = ctypes.c_uint32.from_address(address + EXIT_REASON) if address else None
        if reason is not None:
            reason.value = NOT_YET
        self._thread = threading.Thread(target=self._run, args=(backend, fd, request))
        self._thread.start()
        while self._thread.is_alive() and (reason is None or reason.value == NOT_YET):
            time.sleep(LOOK_AGAIN_S)
        if address:
            unmap(address, RUN_BYTES)

    def _run(self, backend: Backend, fd: int, request: int) -> None:
        # the script's alarms are for its other statements
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        try:
            self._result = backend.ioctl(fd, request, 0)
        except OSError as error:
            self._result = -(error.errno or errno.EIO)

    def stop(self, ms: int) -> int:
        """Wait for it, and after so many milliseconds end it by a signal.

        Returns:
            Its result, or the negative errno.
        """
        self._thread.join(ms / 1000)
        if self._thread.is_alive():
            before = signal.signal(signal.SIGUSR1, lambda *_: None)
            while self._thread.is_alive():
                with contextlib.suppress(ProcessLookupError):
                    signal.pthread_kill(self._thread.ident or 0, signal.SIGUSR1)
                self._thread.join(SIGNAL_AGAIN_S)
            signal.signal(signal.SIGUSR1, before)
        return self._result
