# SPDX-License-Identifier: MIT
"""A real Linux KVM/arm64 that answers scripts: boots in QEMU once, then takes one after another.

Part of the tests. The other end, inside the machine, is guest.c.
"""

from __future__ import annotations

import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from oracle import compat
from oracle.fetch import MissingError, require
from oracle.hosts import COMMON, HOSTS, MODELS
from oracle.image import initrd

BOOT_LIMIT_S = 120.0
SCRIPT_LIMIT_S = 10.0
PROGRAM_LIMIT_S = 100.0
GRACE_S = 15.0  # how much later than its own limit the machine's answer may come


class OracleError(Exception):
    """Linux did not answer a script: it could not be parsed or run, or it hung.

    Attributes:
        status: `parse`, `run`, `hang`, `crash` (of the replayer), or `dead` (the machine is).
        trace: what was recorded until then.
    """

    def __init__(self, status: str, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.trace = trace


@dataclass(frozen=True)
class ProgramResult:
    """What a program did: its output and error output as they came, and how it ended."""

    output: str
    exit: int
    ended: str  # "exit", "signal" (exit is the signal's number), or "hang"


class Linux:
    """A booted machine. A context manager; also usable from several tests, one after another."""

    def __init__(self, host: str) -> None:
        """Boot a machine.

        Args:
            host: a name in hosts.HOSTS.

        Raises:
            MissingError: a package is not installed.
            OracleError: it did not start.
        """
        kernel = require()
        disk = initrd(kernel)
        self.host = host
        self._received = bytearray()
        self._work = tempfile.TemporaryDirectory(prefix="kvmemu-oracle-")
        self._console = Path(self._work.name) / "console"
        self._socket, guest_end = socket.socketpair()
        with guest_end:
            self._qemu = subprocess.Popen(
                self._command(kernel.image, disk, guest_end.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=self._console.open("ab"),
                stderr=subprocess.STDOUT,
                pass_fds=[guest_end.fileno()],
            )
        try:
            self._answer(BOOT_LIMIT_S)
        except BaseException:
            self.close()
            raise

    def _command(self, image: Path, disk: Path, fd: int) -> list[str]:
        machine = [
            "qemu-system-aarch64", *HOSTS[self.host], *COMMON,
            "-nodefaults", "-nic", "none", "-display", "none", "-no-reboot",
        ]  # fmt: skip
        if MODELS[self.host].v2_compat:
            try:
                image, tree = compat.boot_files(image, machine, Path(self._work.name))
            except compat.CompatError as error:
                raise OracleError("dead", str(error)) from error
            machine += ["-dtb", str(tree)]
        return [
            *machine,
            "-serial", "stdio",
            "-device", "virtio-serial-device",
            "-chardev", f"socket,id=port,fd={fd}",
            "-device", "virtserialport,chardev=port,name=oracle",
            "-kernel", str(image), "-initrd", str(disk),
            "-append", "console=ttyAMA0 panic=-1 quiet loglevel=3 "
            "nohz_full=1 rcu_nocbs=1 isolcpus=domain,managed_irq,1 rcupdate.rcu_expedited=1",
        ]  # fmt: skip

    def __enter__(self) -> Linux:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Switch the machine off. Nothing it holds is worth an orderly end."""
        self._socket.close()
        self._qemu.kill()
        self._qemu.wait()
        self._work.cleanup()

    # ---- the port ----

    def _fail(self, why: str) -> OracleError:
        console = self._console.read_text(errors="replace").strip().splitlines()[-5:]
        return OracleError("dead", "\n".join([f"Linux on {self.host} {why}.", *console]))

    def _receive(self, count: int, end: float) -> bytes:
        while len(self._received) < count:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise self._fail("gives no answer")
            data = self._socket.recv(1 << 20)
            if not data:
                raise self._fail("stopped")
            self._received += data
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def _answer(self, limit_s: float) -> tuple[str, int, bytes, str]:
        """One answer of guest.c: (status, number, output, message)."""
        end = time.monotonic() + limit_s
        line = bytearray()
        while not line.endswith(b"\n"):
            line += self._receive(1, end)
        status, number, output_bytes, message_bytes = line.decode().split()
        output = self._receive(int(output_bytes), end)
        message = self._receive(int(message_bytes), end).decode(errors="replace")
        return status, int(number), output, message

    def _request(
        self, kind: str, limit_s: float, payload: bytes, last: str
    ) -> tuple[str, int, bytes, str]:
        line = f"{kind} {int(limit_s * 1000)} {len(payload)} {last}\n"
        try:
            self._socket.sendall(line.encode() + payload)
        except OSError as gone:
            raise self._fail("stopped") from gone
        return self._answer(limit_s + GRACE_S)

    # ---- what it answers ----

    def run(self, text: str, name: str = "script", limit_s: float = SCRIPT_LIMIT_S) -> str:
        """Run a script and return it with Linux's answers.

        Args:
            text: the script.
            name: what messages call it.
            limit_s: seconds after which it counts as hanging, and is killed.

        Raises:
            OracleError: it was not answered to its end.
        """
        status, _, output, message = self._request("script", limit_s, text.encode(), name)
        trace = output.decode(errors="replace")
        if status != "ok":
            raise OracleError(status, message, trace)
        return trace

    def run_program(
        self, path: Path, args: Sequence[str] = (), limit_s: float = PROGRAM_LIMIT_S
    ) -> ProgramResult:
        """Run a static arm64 program as root, with /proc, /sys, /dev and /tmp, and nothing else."""
        argv = [path.name, *args]
        payload = b"".join(arg.encode() + b"\0" for arg in argv) + path.read_bytes()
        ended, number, output, _ = self._request("program", limit_s, payload, str(len(argv)))
        return ProgramResult(output.decode(errors="replace"), number, ended)


def run_on_linux(host: str, scripts: Mapping[str, str]) -> dict[str, str]:
    """Boot once and run each script: name -> text becomes name -> trace.

    Raises:
        OracleError: from the first script that is not answered to its end.
    """
    with Linux(host) as linux:
        return {name: linux.run(text, name) for name, text in scripts.items()}


def run_programs(host: str, programs: Mapping[str, Path]) -> dict[str, tuple[str, int]]:
    """Boot once and run static arm64 programs: name -> path becomes name -> (output, exit code).

    The exit code of a program that a signal ended is minus the signal's number; of one that was
    killed for its time, minus 9.
    """
    results: dict[str, tuple[str, int]] = {}
    with Linux(host) as linux:
        for name, path in programs.items():
            result = linux.run_program(path)
            code = result.exit if result.ended == "exit" else -result.exit
            results[name] = (result.output, code)
    return results


def is_available() -> bool:
    """Whether the oracle can be used here, for tests that are skipped without it."""
    try:
        require()
    except MissingError:
        return False
    return True
