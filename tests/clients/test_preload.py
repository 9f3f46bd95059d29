# SPDX-License-Identifier: MIT
"""The preload library: programs that know nothing of kvmemu find a /dev/kvm. Part of the tests.

A test is a program, preload_*.c, that runs with the library; what it expects is what Linux does.
"""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from clients import preload
from clients.preload import AARCH64, NATIVE, SUBJECTS, Target
from oracle import linux

NOT_THERE = 77  # preload_files: this kind of descriptor cannot be made

TARGETS = [
    pytest.param(NATIVE, id="native"),
    pytest.param(AARCH64, id="aarch64", marks=pytest.mark.conformance),
]


class Programs:
    """The test programs for one target, built as they are asked for."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self._folder = folder
        self._built: dict[str, Path] = {}

    def __getitem__(self, name: str) -> Path:
        if name not in self._built:
            self._built[name] = preload.compile_program(self.target.compiler, name, self._folder)
        return self._built[name]

    def run(
        self, name: str, *args: str, preload: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of them; arguments as of Target.run()."""
        return self.target.run(self[name], *args, preload=preload, **environment)


@pytest.fixture(scope="module", params=TARGETS)
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    target: Target = request.param
    if missing := target.missing():
        pytest.skip(f"{', '.join(missing)} not installed")
    target.make_library()
    return Programs(target, tmp_path_factory.mktemp("programs"))


def check(programs: Programs, name: str, *args: str) -> None:
    done = programs.run(name, *args)
    assert (done.stdout, done.returncode) == ("", 0)


def test_descriptors_live_and_share_as_on_linux(programs: Programs) -> None:
    check(programs, "preload_life")


def test_children_find_what_linux_leaves_them(programs: Programs) -> None:
    # qemu-user hands a program that it is to become to the kernel, which is of another machine.
    check(programs, "preload_fork", *(["no-exec"] if programs.target.emulator else []))


def test_handlers_of_the_program_stay_its_own(programs: Programs) -> None:
    check(programs, "preload_signals")


def test_signals_are_handled_or_left_as_on_linux(programs: Programs) -> None:
    check(programs, "preload_masks")


def test_threads_do_not_meet_in_each_others_numbers(programs: Programs) -> None:
    check(programs, "preload_threads")


@pytest.mark.parametrize(
    ("name", "args"),
    [("preload_life", []), ("preload_files", ["open"]), ("preload_files", ["vcpu"])],
)
def test_other_names_of_the_same_functions(
    programs: Programs, tmp_path: Path, name: str, args: list[str]
) -> None:
    """open64 and its like, and __open_2 and its like."""
    flags = ("-O2", "-D_FILE_OFFSET_BITS=64", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2")
    program = preload.compile_program(programs.target.compiler, name, tmp_path, *flags)
    done = programs.target.run(program, *args)
    assert done.stdout == "".join(preload.golden(subject) for subject in args)
    assert done.returncode == 0


@pytest.mark.parametrize("subject", SUBJECTS)
def test_files_answer_as_on_linux(programs: Programs, subject: str) -> None:
    done = programs.run("preload_files", subject)
    if done.returncode == NOT_THERE:
        pytest.skip(f"no {subject} yet")
    assert done.stdout.splitlines() == preload.golden(subject).splitlines()
    assert done.returncode == 0


@pytest.mark.parametrize("host", ["", "no-such-host"], ids=["default-host", "wrong-host"])
def test_program_without_kvm_is_left_alone(programs: Programs, tmp_path: Path, host: str) -> None:
    outputs = []
    for with_library in (True, False):
        folder = tmp_path / str(with_library)
        folder.mkdir()
        done = programs.run("preload_plain", str(folder), preload=with_library, KVMEMU_HOST=host)
        assert done.returncode == 0, done.stdout
        outputs.append((done.stdout.splitlines(), done.stderr))
    assert outputs[0] == outputs[1]


def open_error(programs: Programs, host: str) -> str | None:
    """The errno's name that open("/dev/kvm") fails with on this host, None if it succeeds."""
    done = programs.run("preload_host", KVMEMU_HOST=host)
    assert done.stderr == ""
    number = int(done.stdout)
    return errno.errorcode[number] if number else None


@pytest.mark.parametrize(
    ("host", "want"),
    [
        pytest.param("", None, id="empty-is-default"),
        pytest.param("gicv3-max", None, id="by-name"),
        pytest.param("no-such-host", "ENOENT", id="unknown-name"),
        pytest.param("/no/such/file", "ENOENT", id="missing-file"),
        pytest.param("/", "EISDIR", id="folder"),
        pytest.param("/dev/null", "EINVAL", id="not-a-host"),
        pytest.param("/dev/null/x", "ENOTDIR", id="impossible-path"),
    ],
)
def test_host_comes_from_the_environment(programs: Programs, host: str, want: str | None) -> None:
    assert open_error(programs, host) == want


def test_host_file_is_read_at_every_open(programs: Programs, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.write_text("kvmemu-host 2\n")
    assert open_error(programs, str(host)) == "EINVAL"


@pytest.fixture(scope="module")
def preloaded() -> dict[str, str]:
    """The environment of a program of this machine that is to find /dev/kvm."""
    if missing := NATIVE.missing():
        pytest.skip(f"{', '.join(missing)} not installed")
    NATIVE.make_library()
    return os.environ | {"LD_PRELOAD": str(NATIVE.library)}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["sh", "-c", "echo one two | cat | (read a b; echo $b $a)"], id="sh"),
        pytest.param(["ls", "-l", "/usr"], id="ls"),
        pytest.param(["python3", "-c", "import os; print(os.listdir('/'))"], id="python"),
    ],
)
def test_other_programs_work(preloaded: dict[str, str], command: list[str]) -> None:
    with_library = subprocess.run(command, capture_output=True, env=preloaded, check=True)
    without = subprocess.run(command, capture_output=True, check=True)
    assert with_library.stdout == without.stdout
    assert with_library.stderr == without.stderr == b""


def test_shell_finds_a_readable_and_writable_device(preloaded: dict[str, str]) -> None:
    script = "test -c /dev/kvm && test -r /dev/kvm && test -w /dev/kvm && test ! -x /dev/kvm"
    subprocess.run(["sh", "-c", script], env=preloaded, check=True)


def test_descriptors_of_a_parent_survive_the_children_it_starts(preloaded: dict[str, str]) -> None:
    """Python closes everything from 3 up in a child of vfork, which runs in its memory."""
    script = """
import fcntl, os, subprocess
KVM_GET_API_VERSION, KVM_CREATE_VM, KVM_CHECK_EXTENSION = 0xAE00, 0xAE01, 0xAE03
kvm = os.open("/dev/kvm", os.O_RDWR)
vm = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
subprocess.run(["true"], close_fds=True, check=True)
print(fcntl.ioctl(kvm, KVM_GET_API_VERSION, 0), fcntl.ioctl(vm, KVM_CHECK_EXTENSION, 70))
"""
    done = subprocess.run(
        ["python3", "-c", script], capture_output=True, text=True, env=preloaded, check=False
    )
    assert (done.stdout, done.stderr) == ("12 1\n", "")


@pytest.mark.conformance
@pytest.mark.skipif(not linux.is_available(), reason="the oracle's packages are not installed")
def test_linux_itself_agrees(tmp_path: Path) -> None:
    with linux.Linux(preload.ORACLE_HOST) as oracle:
        answers = preload.ask_linux(oracle, tmp_path)
        wrong = preload.check_on_linux(oracle, tmp_path)
    assert answers == {subject: preload.golden(subject) for subject in SUBJECTS}
    assert wrong == {}
