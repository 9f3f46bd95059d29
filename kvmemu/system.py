# SPDX-License-Identifier: MIT
"""The system: what open("/dev/kvm") gives."""

from __future__ import annotations

import os

from kvmemu._core import ffi, lib
from kvmemu.constants import KVM_CHECK_EXTENSION, KVM_CREATE_VM, KVM_GET_API_VERSION
from kvmemu.errors import check
from kvmemu.file import File
from kvmemu.hosts import load_host
from kvmemu.vm import Vm

DEFAULT_IPA_BITS = 40


class Counter:
    """The machine's counter (CNTPCT_EL0), in ticks. It follows the host's clock until it is set or
    stepped for the first time; then it stands still between calls.
    """

    def __init__(self, file: File) -> None:
        self._file = file

    @property
    def hz(self) -> int:
        """Ticks a second: CNTFRQ_EL0."""
        return int(lib.kvmemu_counter_hz(self._file.handle()))

    @property
    def ticks(self) -> int:
        """What the counter reads."""
        return int(lib.kvmemu_counter_read(self._file.handle()))

    @ticks.setter
    def ticks(self, ticks: int) -> None:
        lib.kvmemu_counter_set(self._file.handle(), ticks & 0xFFFFFFFFFFFFFFFF)

    def step(self, ticks: int) -> None:
        """Move the counter on; vCPUs that wait for a timer look again."""
        lib.kvmemu_counter_step(self._file.handle(), ticks & 0xFFFFFFFFFFFFFFFF)

    def follow_clock(self) -> None:
        """Let the counter run again, from where it stands."""
        lib.kvmemu_counter_follow_clock(self._file.handle())


class System(File):
    """/dev/kvm on one host.

    Attributes:
        host: the host's name as it was given.
        counter: the machine's counter.
    """

    def __init__(self, host: str | os.PathLike[str] | None = None) -> None:
        """Open the system.

        Args:
            host: as for kvmemu.open().

        Raises:
            HostError: there is no such host.
        """
        created = ffi.new("struct kvmemu_file **")
        check(lib.kvmemu_open(load_host(host), created), "open /dev/kvm")
        super().__init__(created[0])
        self.host = os.fspath(host) if host is not None else None
        self.counter = Counter(self)

    def api_version(self) -> int:
        """KVM_GET_API_VERSION: 12."""
        return self.ioctl(KVM_GET_API_VERSION)

    def check_extension(self, cap: int) -> int:
        """KVM_CHECK_EXTENSION on the system.

        Raises:
            KvmError: EINVAL for the capabilities that only a VM can answer.
        """
        return self.ioctl(KVM_CHECK_EXTENSION, cap)

    def host_irq_line(self, host_intid: int, level: bool) -> None:
        """Drive the line of one of the host's SPIs, as a device of the host does.

        Raises:
            KvmError: EINVAL for a number that is no SPI.
        """
        result = lib.kvmemu_host_irq_line(self.handle(), host_intid, level)
        check(result, f"line of the host's interrupt {host_intid}")

    def host_irq_active(self, host_intid: int) -> bool:
        """Whether one of the host's SPIs is active in the host's distributor.

        Raises:
            KvmError: EINVAL for a number that is no SPI.
        """
        result = lib.kvmemu_host_irq_active(self.handle(), host_intid)
        return bool(check(result, f"state of the host's interrupt {host_intid}"))

    def create_vm(self, ipa_bits: int = 0) -> Vm:
        """KVM_CREATE_VM.

        Args:
            ipa_bits: size of the guest's physical address space; 0 is 40 bits.

        Raises:
            KvmError: EINVAL for a size the host cannot have.
        """
        return Vm(self._create(KVM_CREATE_VM, ipa_bits), ipa_bits or DEFAULT_IPA_BITS)
