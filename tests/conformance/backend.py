# SPDX-License-Identifier: MIT
"""kvmemu as the conformance tests replay against it. Part of the tests."""

from __future__ import annotations

import errno
import os
import signal
import threading

import kvmemu
from kvmemu.constants import KVM_RUN
from kvmemu.trace.backends import KvmemuBackend

ALARM_AGAIN_S = 0.1
RUN_LIMIT_S = 10.0  # after which a KVM_RUN that no alarm is to end is interrupted all the same


class Backend(KvmemuBackend):
    """kvmemu on a host; what it takes from the machine below does not depend on that machine."""

    def __init__(self, host: str) -> None:
        super().__init__(kvmemu, host)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """Not pread(2), whose answer on what is behind kvmemu's descriptors differs by kernel."""
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return kvmemu.pread(fd, size, offset)

    def ioctl(self, fd: int, request: int, arg: int) -> int:
        """On a busy machine an alarm can come before the run it is to end: then it comes again."""
        if request == KVM_RUN and callable(signal.getsignal(signal.SIGALRM)):
            left, _ = signal.getitimer(signal.ITIMER_REAL)
            signal.setitimer(signal.ITIMER_REAL, left or ALARM_AGAIN_S, ALARM_AGAIN_S)
        elif request == KVM_RUN and threading.current_thread() is threading.main_thread():
            return self._limited_run(fd, arg)
        return super().ioctl(fd, request, arg)

    def _limited_run(self, fd: int, arg: int) -> int:
        before = signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, RUN_LIMIT_S, ALARM_AGAIN_S)
        try:
            return super().ioctl(fd, KVM_RUN, arg)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
