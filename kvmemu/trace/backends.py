# SPDX-License-Identifier: MIT
"""What a script can be run against: kvmemu, or Linux's own /dev/kvm. Layer: trace."""

from __future__ import annotations

import errno
import os
from typing import Protocol

from kvmemu.trace.memory import libc_ioctl, map_descriptor
from kvmemu.trace.run_guest import Steps


class Backend(Protocol):
    """The system calls that a script makes. Each raises OSError where the call would fail."""

    def open(self) -> int:
        """A new descriptor of /dev/kvm."""

    def ioctl(self, fd: int, request: int, arg: int) -> int:
        """The result of ioctl(2); request and arg are unsigned 64-bit numbers."""

    def close(self, fd: int) -> None:
        """Close a descriptor."""

    def dup(self, fd: int) -> int:
        """A second descriptor of the same file."""

    def mmap(self, fd: int, size: int, offset: int) -> int:
        """The address of a shared mapping for reading and writing."""

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """The bytes that pread(2) finds."""

    def guest(self, fd: int) -> Steps:
        """What the guest of a vCPU executes. Raises OSError if it cannot be told."""


class KvmemuModule(Protocol):
    """The functions of the kvmemu package that KvmemuBackend calls."""

    def open(self, host: str, /) -> int:
        """A descriptor of a model of /dev/kvm on that host."""

    def ioctl(self, fd: int, request: int, address: int, /) -> int:
        """ioctl(2) on a descriptor of kvmemu."""

    def close(self, fd: int, /) -> None:
        """close(2) on a descriptor of kvmemu."""

    def dup(self, fd: int, /) -> int:
        """dup(2) on a descriptor of kvmemu."""

    def pread(self, fd: int, count: int, offset: int, /) -> bytes:
        """pread(2) on a descriptor of kvmemu."""

    def Steps(self, fd: int, /) -> Steps:
        """The guest of a vCPU of kvmemu."""


class LinuxBackend:
    """The kernel's KVM, through /dev/kvm."""

    def open(self) -> int:
        return os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)

    def ioctl(self, fd: int, request: int, arg: int) -> int:
        return libc_ioctl(fd, request, arg)

    def close(self, fd: int) -> None:
        os.close(fd)

    def dup(self, fd: int) -> int:
        return os.dup(fd)

    def mmap(self, fd: int, size: int, offset: int) -> int:
        return map_descriptor(fd, size, offset)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        return os.pread(fd, size, offset)

    def guest(self, fd: int) -> Steps:  # noqa: ARG002 - as the protocol has it
        """Its guests are machine code, which the replayer in tests/oracle assembles."""
        raise OSError(errno.ENOSYS, "use tests/oracle/replay.c for scripts whose guests act")


class KvmemuBackend:
    """kvmemu, modelling one host."""

    def __init__(self, module: KvmemuModule, host: str) -> None:
        """Run scripts on kvmemu.

        Args:
            module: the package `kvmemu`.
            host: a host profile.
        """
        self._module = module
        self._host = host

    def open(self) -> int:
        return self._module.open(self._host)

    def ioctl(self, fd: int, request: int, arg: int) -> int:
        return self._module.ioctl(fd, request, arg)

    def close(self, fd: int) -> None:
        self._module.close(fd)

    def dup(self, fd: int) -> int:
        return self._module.dup(fd)

    def mmap(self, fd: int, size: int, offset: int) -> int:
        # A descriptor of kvmemu's is a real one.
        return map_descriptor(fd, size, offset)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        return self._module.pread(fd, size, offset)

    def guest(self, fd: int) -> Steps:
        return self._module.Steps(fd)
