# SPDX-License-Identifier: MIT
"""Replaying a script in the trace format against a backend made for the test."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kvmemu.trace import statements as st
from kvmemu.trace.backends import KvmemuBackend
from kvmemu.trace.format import format_answer
from kvmemu.trace.memory import map_descriptor
from kvmemu.trace.parse import parse
from kvmemu.trace.replay import differences, record, replay, same_answers
from kvmemu.trace.run_guest import Steps

CONSTANTS = {
    "KVM_CREATE_VM": 0xAE01,
    "KVM_CREATE_VCPU": 0xAE41,
    "KVM_CREATE_DEVICE": 0xC00CAEE0,
    "KVM_CREATE_DEVICE_TEST": 1,
    "KVM_GET_ONE_REG": 0x4010AEAB,
    "KVM_SET_ONE_REG": 0x4010AEAC,
    "KVM_RUN": 0xAE80,
    "KVM_A": 0x10,
    "KVM_B": 0x300000000,
}
U64, U128 = 0x6030000000000001, 0x6040000000000001


class FakeBackend:
    """A /dev/kvm of memory files: ioctl requests are rows of `answers`, registers are a dict."""

    def __init__(self) -> None:
        self.registers: dict[int, bytes] = {}
        self.calls: list[tuple[int, int]] = []
        self.open_fds: set[int] = set()
        self.answers: dict[int, Callable[[int], int]] = {
            0xAE01: lambda _: self.open(),
            0xAE41: lambda _: self.open(),
            0xC00CAEE0: self._create_device,
            0x4010AEAB: self._get,
            0x4010AEAC: self._set,
        }

    def open(self) -> int:
        fd = os.memfd_create("fake")
        os.ftruncate(fd, mmap.PAGESIZE)
        self.open_fds.add(fd)
        return fd

    def ioctl(self, fd: int, request: int, arg: int) -> int:
        self.calls.append((request, arg))
        if fd not in self.open_fds:
            raise OSError(errno.EBADF, "")
        if request not in self.answers:
            raise OSError(errno.ENOTTY, "")
        return self.answers[request](arg)

    def close(self, fd: int) -> None:
        os.close(fd)
        self.open_fds.remove(fd)

    def dup(self, fd: int) -> int:
        new = os.dup(fd)
        self.open_fds.add(new)
        return new

    def mmap(self, fd: int, size: int, offset: int) -> int:
        raise OSError(errno.ENODEV, f"{size} bytes at {offset} of {fd}")

    def read(self, fd: int, size: int, offset: int) -> bytes:
        if fd not in self.open_fds:
            raise OSError(errno.EBADF, "")
        return bytes(range(1, 9))[offset : offset + size]

    def guest(self, fd: int) -> Steps:
        raise OSError(errno.EINVAL, f"{fd} is no vCPU")

    def _create_device(self, arg: int) -> int:
        if not ctypes.c_uint32.from_address(arg + 8).value & 1:
            ctypes.c_uint32.from_address(arg + 4).value = self.open()
        return 0

    @staticmethod
    def _one_reg(arg: int) -> tuple[int, int]:
        register_id, address = (ctypes.c_uint64.from_address(arg + at).value for at in (0, 8))
        return register_id, address

    def _get(self, arg: int) -> int:
        register_id, address = self._one_reg(arg)
        if register_id not in self.registers:
            raise OSError(errno.ENOENT, "")
        data = self.registers[register_id]
        ctypes.memmove(address, data, len(data))
        return 0

    def _set(self, arg: int) -> int:
        register_id, address = self._one_reg(arg)
        self.registers[register_id] = ctypes.string_at(address, st.reg_bytes(register_id))
        return 0


def write_u32(value: int, result: int = 0) -> Callable[[int], int]:
    """A call that stores a u32 at its argument."""

    def answer(arg: int) -> int:
        ctypes.c_uint32.from_address(arg).value = value
        return result

    return answer


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


def script(body: str) -> st.Script:
    return parse("kvmemu-trace 1\n" + body, CONSTANTS)


def answers_of(body: str, backend: FakeBackend) -> list[str]:
    """The answer lines of a script, as text."""
    return [format_answer(answer) for _, answer in replay(script(body), backend) if answer]


# ---- replaying ----


def test_names_stand_for_descriptors(backend: FakeBackend) -> None:
    body = (
        "open kvm\nioctl kvm KVM_CREATE_VM 0 -> vm\nclose kvm\nioctl kvm 1 0\nclose kvm\n"
        "ioctl vm 1 0\nioctl vm KVM_CREATE_VM 0"
    )
    assert answers_of(body, backend) == [
        "= fd", "= fd", "= 0", "= -EBADF", "= -EBADF", "= -ENOTTY", "= fd",
    ]  # fmt: skip


def test_everything_is_closed_at_the_end(backend: FakeBackend) -> None:
    body = (
        "open kvm\nioctl kvm KVM_CREATE_VM 0\nioctl kvm KVM_CREATE_DEVICE [ u32 7 0 0 ]\n"
        "dup kvm -> k\neventfd e 0 0\ndup e -> f"
    )
    before = len(list(Path("/proc/self/fd").iterdir()))
    answers_of(body, backend)
    assert backend.open_fds == set()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_created_device_is_named_and_not_a_number(backend: FakeBackend) -> None:
    body = (
        "open kvm\nioctl kvm KVM_CREATE_DEVICE [ u32 7 0 0 ] -> gic\n"
        "ioctl kvm KVM_CREATE_DEVICE [ u32 7 0 0 ]\n"
        "ioctl kvm KVM_CREATE_DEVICE [ u32 7 0 KVM_CREATE_DEVICE_TEST ] -> none\n"
        "ioctl gic 1 0\nioctl none 1 0"
    )
    assert answers_of(body, backend)[1:] == [
        "= 0 [ u32 7 fd:gic 0 ]", "= 0 [ u32 7 ? 0 ]", "= 0", "= -ENOTTY", "= -EBADF",
    ]  # fmt: skip


def test_registers_of_any_size(backend: FakeBackend) -> None:
    body = (
        f"open a\nget a {U64:#x}\nset a {U64:#x} -1\nget a {U64:#x}\nget a {U64:#x} ?\n"
        f"set a {U128:#x} 0x112233445566778899aabbccddeeff00\nget a {U128:#x}"
    )
    assert answers_of(body, backend)[1:] == [
        "= -ENOENT", "= 0", "= 0 0xffffffffffffffff", "= ?", "= 0",
        "= 0 0x112233445566778899aabbccddeeff00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("block", "want"),
    [
        pytest.param("[ u32 KVM_A 7 ]", "= 3", id="unchanged"),
        pytest.param("[ u32 5 7 ]", "= 3 [ u32 0x10 7 ]", id="changed"),
        pytest.param("[ u32 5? 7 ]", "= 3", id="volatile"),
        pytest.param("[ u16 4*1 ]", "= 3 [ u16 0x10 0x0 2*1 ]", id="run-partly-changed"),
        pytest.param("[ u8 5*9 -1 ]", "= 3 [ u8 0x10 3*0x0 9 -1 ]", id="equal-neighbours"),
        pytest.param('[ "abcde" ]', '= 3 [ "\\x10\\x00\\x00\\x00e" ]', id="string"),
    ],
)
def test_block_is_an_answer_if_the_call_changed_it(
    backend: FakeBackend, block: str, want: str
) -> None:
    backend.answers[1] = write_u32(0x10, result=3)
    assert answers_of(f"open a\nioctl a 1 {block}", backend)[1] == want


def test_nested_block_shows_its_change(backend: FakeBackend) -> None:
    def answer(arg: int) -> int:
        ctypes.c_uint8.from_address(ctypes.c_uint64.from_address(arg + 8).value).value = 0xFE
        return 0

    backend.answers[1] = answer
    body = "open a\nioctl a 1 [ u32 1 2 [ u8 7 8 ] u16 3 ]"
    assert answers_of(body, backend)[1] == "= 0 [ u32 1 2 [ u8 0xfe 8 ] u16 3 ]"


def test_block_after_efault_is_no_answer(backend: FakeBackend) -> None:
    def answer(arg: int) -> int:
        write_u32(1)(arg)
        raise OSError(errno.EFAULT, "")

    backend.answers[1] = answer
    assert answers_of("open a\nioctl a 1 [ 0 ]", backend)[1] == "= -EFAULT"


def test_block_ends_where_memory_ends_and_bad_is_never_there(backend: FakeBackend) -> None:
    body = "open a\nioctl a 1 [ u8 1 2 3 ]\nioctl a 1 bad\nioctl a 1 [ u8 70000*1 ]"
    list(replay(script(body), backend))  # the addresses are gone now
    inside, bad, large = (arg for request, arg in backend.calls if request == 1)
    assert (
        (inside + 3) % mmap.PAGESIZE == bad % mmap.PAGESIZE == (large + 70000) % mmap.PAGESIZE == 0
    )

    addressable: list[bool] = []
    pipe = os.pipe()

    def probe(arg: int) -> int:
        written = ctypes.CDLL(None).write(pipe[1], ctypes.c_void_p(arg + 3), ctypes.c_size_t(1))
        addressable.append(written == 1)
        return 0

    backend.answers[1] = probe
    list(
        replay(
            script("open a\nioctl a 1 [ u8 1 2 3 ]\nioctl a 1 [ u8 1 2 3 4 ]\nioctl a 1 bad"),
            backend,
        )
    )
    assert addressable == [False, True, False]
    os.close(pipe[0])
    os.close(pipe[1])


def test_buffers(backend: FakeBackend) -> None:
    body = (
        'open a\nbuffer ram 100\npoke ram+8 [ u8 1 2 "ab" ]\npeek ram+8 [ u8 1 0 "xy" 0? 0 ]\n'
        "ioctl a 1 &ram+8\npeek ram+8 [ u32 0 ]\nunmap ram\npeek ram [ 0 ]\npoke ram [ 0 ]\n"
        "mmap a 8 0 -> none\npeek none [ 0 ]\nioctl a 1 &none"
    )
    backend.answers[1] = lambda arg: write_u32(5)(arg) if arg % mmap.PAGESIZE == 8 else 9
    assert answers_of(body, backend)[1:] == [
        '= 0 [ u8 1 0x2 "ab" ? 0 ]', "= 0", "= 0 [ u32 0x5 ]", "= -EFAULT", "= -ENODEV",
        "= -EFAULT", "= 9",
    ]  # fmt: skip


def test_mapping_beyond_its_file_is_efault_and_no_signal() -> None:
    class Mapping(FakeBackend):
        def mmap(self, fd: int, size: int, offset: int) -> int:
            return KvmemuBackend(self, "any").mmap(fd, size, offset)  # type: ignore[arg-type]

    page = mmap.PAGESIZE
    body = f"open a\nmmap a {2 * page} 0 -> m\npoke m+8 [ 7 ]\npeek m+8 [ 7 ]\npeek m+{page} [ 0 ]"
    assert answers_of(body, Mapping())[1:] == ["= 0", "= 0 [ 7 ]", "= -EFAULT"]


def test_read(backend: FakeBackend) -> None:
    body = (
        "open a\nread a 4 0\nread a 4 8\nread a 4 6 [ u16 0x0807 5 ]\nread a 8 0 [ u32 ? 0 ]\n"
        "read a 4 0 ?"
    )
    assert answers_of(body, backend)[1:] == [
        "= 4 [ u8 0x1 0x2 0x3 0x4 ]", "= 0", "= 2", "= 8 [ u32 ? 0x8070605 ]", "= ?",
    ]  # fmt: skip


def test_eventfd_has_a_number(backend: FakeBackend) -> None:
    backend.answers[1] = lambda arg: int(ctypes.c_int.from_address(arg).value > 2)
    body = (
        "open a\neventfd e 0 0\nioctl a 1 [ u32 fd:e ]\nioctl e 1 0\ndup e -> f\nclose e\nclose e"
    )
    assert answers_of(body, backend)[1:] == ["= 1", "= -ENOTTY", "= fd", "= 0", "= -EBADF"]


def test_alarm_interrupts_the_next_statement_only(backend: FakeBackend) -> None:
    interrupted: list[bool] = []

    def wait(_: int) -> int:
        start = time.monotonic()
        libc = ctypes.CDLL(None)
        libc.usleep(200000)
        interrupted.append(time.monotonic() - start < 0.15)
        return 0

    backend.answers[0xAE80] = wait
    answers_of("open a\nalarm 20\nioctl a KVM_RUN 0\nioctl a KVM_RUN 0", backend)
    assert interrupted == [True, False]


class RunningBackend(FakeBackend):
    """Its KVM_RUN begins as KVM's does, and sleeps for seconds, or until a signal."""

    seconds = 0.0
    begins = True

    def mmap(self, fd: int, size: int, offset: int) -> int:
        return map_descriptor(fd, size, offset)

    def ioctl(self, fd: int, request: int, arg: int) -> int:
        if request != CONSTANTS["KVM_RUN"]:
            return super().ioctl(fd, request, arg)
        if not self.begins:
            raise OSError(errno.ENOEXEC, "")
        os.pwrite(fd, bytes(4), 8)  # exit_reason
        if ctypes.CDLL(None).usleep(int(self.seconds * 1e6)):
            raise OSError(errno.EINTR, "")
        return 0


def test_started_run_goes_on_until_a_signal_stops_it() -> None:
    backend = RunningBackend()
    backend.seconds = 30
    backend.answers[1] = lambda _: 7
    start = time.monotonic()
    answers = answers_of("open a\nstart a\nstart a\nioctl a 1 0\nstop a 20\nstop a 0", backend)
    assert answers == ["= fd", "= 7", "= -EINTR", "= -ESRCH"]
    assert time.monotonic() - start < 10


def test_started_run_may_end_by_itself() -> None:
    backend = RunningBackend()
    backend.seconds = 0.02
    assert answers_of("open a\nstart a\nstop a 10000", backend) == ["= fd", "= 0"]


def test_started_run_may_fail_at_once() -> None:
    backend = RunningBackend()
    backend.begins = False
    assert answers_of("open a\nstart a\nstop a 0", backend) == ["= fd", "= -ENOEXEC"]


def test_started_run_is_over_when_the_script_is() -> None:
    backend = RunningBackend()
    backend.seconds = 30
    before = set(threading.enumerate())  # guests of other tests may have theirs yet
    answers_of("open a\nstart a", backend)
    assert set(threading.enumerate()) <= before
    assert not backend.open_fds


def test_alarm_needs_the_main_thread(backend: FakeBackend) -> None:
    errors: list[st.TraceError] = []

    def run() -> None:
        try:
            answers_of("open a\nalarm 20\nioctl a KVM_RUN 0", backend)
        except st.TraceError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [error.line for error in errors] == [4]


# ---- comparing ----


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        pytest.param("= 1", "= 1", True, id="result"),
        pytest.param("= 1", "= 2", False, id="other-result"),
        pytest.param("= ?", "= 7", True, id="any-result"),
        pytest.param("= ?", "= fd", True, id="any-result-fd"),
        pytest.param("= ?", "= -EINVAL", False, id="any-result-is-no-error"),
        pytest.param("= 0", "= fd", False, id="fd"),
        pytest.param("= -11", "= -EAGAIN", True, id="errno-by-number"),
        pytest.param("= 0", "= 0 [ 1 ]", False, id="block-appeared"),
        pytest.param("= 0 [ 1 ]", "= 0", False, id="block-missing"),
        pytest.param("= 0 [ u8 -1 KVM_A ]", "= 0 [ u8 0xff 16 ]", True, id="notation"),
        pytest.param("= 0 [ u8 3*0 ]", "= 0 [ u8 0 2*0 ]", True, id="runs"),
        pytest.param("= 0 [ u8 4*0 ]", "= 0 [ u8 0 2*0 ]", False, id="length"),
        pytest.param("= 0 [ u8 0 0 ]", "= 0 [ u16 0 ]", False, id="layout"),
        pytest.param("= 0 [ 3*? 1 ]", "= 0 [ 1 2 3 1 ]", True, id="volatile-item"),
        pytest.param("= 0 [ [ 1 ] ]", "= 0 [ [ 2 ] ]", False, id="nested"),
        pytest.param("= 0 [ [ 1 ] 2 ]", "= 0 [ [ 1 2 ] ]", False, id="nesting"),
        pytest.param("= 0 [ u32 fd:a ]", "= 0 [ u32 3 ]", False, id="descriptor-by-number"),
        pytest.param('= 0 [ "ab" ]', '= 0 [ "ac" ]', False, id="string"),
    ],
)
def test_same_answers(expected: str, got: str, same: bool) -> None:
    def answer(line: str) -> st.Answer:
        found = script(f"open a\nioctl a 1 0\n{line}").statements[1].answer
        assert found is not None
        return found

    assert same_answers(answer(expected), answer(got)) is same


def test_difference_names_the_statement(backend: FakeBackend) -> None:
    trace = script(f"open a\n= fd\nget a {U64:#x}\n= 0 0x1\nclose a\n= 0\nclose a")
    assert [str(difference) for difference in differences(trace, backend)] == [
        f"line 4: get a {U64:#x}\n  expected = 0 0x1\n  got      = -ENOENT"
    ]


def test_recording_keeps_comments_and_replaces_answers(backend: FakeBackend) -> None:
    text = (
        "# first\nkvmemu-trace 1\n\nopen   a # tail\n= -ENOENT [\n 1 ]\n# between\n"
        "ioctl a 1 [ u32   # open\n  1 ]\nclose a"
    )
    assert record(parse(text, CONSTANTS), backend) == (
        "# first\nkvmemu-trace 1\n\nopen   a # tail\n= fd\n# between\n"
        "ioctl a 1 [ u32   # open\n  1 ]\n= -ENOTTY\nclose a\n= 0\n"
    )
    recorded = record(parse(text, CONSTANTS), backend)
    assert record(parse(recorded, CONSTANTS), backend) == recorded


def test_kvmemu_backend_names_its_host(backend: FakeBackend) -> None:
    hosts: list[str] = []

    class Module:
        def open(self, host: str) -> int:
            hosts.append(host)
            return backend.open()

        ioctl, close, dup, pread = backend.ioctl, backend.close, backend.dup, backend.read
        Steps = backend.guest

    parsed = script("open a\nioctl a 1 0")
    answers = [answer for _, answer in replay(parsed, KvmemuBackend(Module(), "gicv2-cortex-a72"))]
    assert hosts == ["gicv2-cortex-a72"]
    assert answers[1] == st.Answer(-errno.ENOTTY)
