# SPDX-License-Identifier: MIT
"""kvmemu as the conformance tests replay against it. Part of the tests."""

from __future__ import annotations

import errno
import os
import signal

import kvmemu
from kvmemu.constants import KVM_RUN
from kvmemu.trace.backends import KvmemuBackend

ALARM_AGAIN_S = 0.1


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
        return super().ioctl(fd, request, arg)
