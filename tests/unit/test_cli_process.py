# SPDX-License-Identifier: MIT
"""kvmemu/cli/ as a real process: pipes, terminals, signals, and the examples of the manuals."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kvmemu
from kvmemu import cli, demo, state
from kvmemu import constants as kvm
from kvmemu.hosts import profile_path

TRACE = """\
kvmemu-trace 1
open kvm
= fd
ioctl kvm KVM_GET_API_VERSION 0
= 12
"""
PROGRAM = [sys.executable, "-c", "from kvmemu.cli import main; main()"]


@pytest.fixture
def trace(tmp_path: Path) -> str:
    """The path of a trace."""
    path = tmp_path / "a.trace"
    path.write_text(TRACE)
    return str(path)


def program(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *args], capture_output=True, text=True, check=False, **options)


def on_terminal(*args: str) -> str:
    """What a command prints on a terminal of 80 columns."""
    master, slave = pty.openpty()
    env = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    with subprocess.Popen([*PROGRAM, *args], stdout=slave, stderr=slave, env=env) as process:
        os.close(slave)
        chunks = []
        try:
            while chunk := os.read(master, 65536):
                chunks.append(chunk)
        except OSError:  # EIO: the other side is closed
            pass
        process.wait()
    os.close(master)
    assert process.returncode == 0
    return b"".join(chunks).decode()


def test_entry_point() -> None:
    done = program("regs", "encode", "PC")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0x6030000000100040\n", "")
    assert program("regs", "encode", "nonsense").returncode == 1
    assert program("nonsense").returncode == 2


@pytest.mark.parametrize("args", [("regs", "decode"), ("hosts",), ("state", "show")])
def test_arguments_may_be_no_text(args: tuple[str, ...]) -> None:
    done = subprocess.run(
        [*map(os.fsencode, (*PROGRAM, *args)), b"\xff"], capture_output=True, check=False
    )
    assert done.returncode in {1, 2}
    assert b"Traceback" not in done.stderr
    assert b"\\udcff" in done.stdout + done.stderr


@pytest.mark.parametrize("args", [("regs", "list", "--values"), ("hosts",), ("hosts", "gicv3-max")])
def test_pipes_get_plain_text_of_any_width(args: tuple[str, ...]) -> None:
    wide, narrow = (
        program(*args, env={**os.environ, "COLUMNS": str(columns)}).stdout for columns in (300, 40)
    )
    assert narrow
    assert narrow.isascii()
    assert "\x1b" not in narrow
    assert [line.split()[:4] for line in narrow.splitlines()] == [
        line.split()[:4] for line in wide.splitlines()
    ]


def test_terminal_gets_headings_and_colour() -> None:
    text = on_terminal("regs", "list", "--filter", "PSTATE")
    assert "name" in text
    assert "\x1b[" in text
    assert "PSTATE" in text


def test_terminal_gets_a_progress_bar_and_every_line(trace: str) -> None:
    text = on_terminal("replay", *[trace] * 5)
    assert "replaying" in text
    assert text.count("2 answers, all the same") == 5


def test_broken_pipe_is_quiet() -> None:
    with subprocess.Popen(
        [*PROGRAM, "regs", "list", "--host", "gicv3-max-sve", "--features", "all", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == cli.BROKEN_PIPE


def test_interrupt_is_quiet(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # A shell starts what runs in the background with SIGINT ignored, and children inherit it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*PROGRAM, "replay", str(fifo)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        signal.signal(signal.SIGINT, before)
        with fifo.open("w"):  # which waits until the program reads from it
            time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err.strip()) == (cli.INTERRUPTED, b"", b"")


# ---- docs/cli.md, docs/vgic.md ----

ROOT = Path(__file__).resolve().parents[2]
MANUALS = [page for name in ("cli", "vgic") if (page := ROOT / "docs" / f"{name}.md").exists()]
BUG = """\
kvmemu-trace 1
host gicv3-max
# Said to give a VM of 49 bits.
open kvm
= fd
ioctl kvm KVM_CREATE_VM 49 -> vm
= fd
"""


def example_files(directory: Path) -> None:
    """The files that the manual's examples are about."""
    profile = profile_path("gicv3-neoverse-n1").read_text()
    (directory / "mine.toml").write_text(profile.replace('"gicv3-neoverse-n1"', '"mine"'))
    (directory / "broken.toml").write_text(profile.replace("list_registers = 4\n", ""))
    (directory / "bug.trace").write_text(BUG)
    for suffix in (".state", ".ram"):
        shutil.copy(demo.RECORDED.with_suffix(suffix), directory / f"vm{suffix}")
    recorded = state.load(demo.RECORDED)
    with kvmemu.System("gicv3-max") as system, system.create_vm() as vm:
        system.counter.ticks = 0
        state.restore(recorded, vm)
        assert vm.gic is not None
        vm.gic.dist["GICD_ISENABLER1"] = 1 << 30
        vm.spi(40, False)
        gic = state.save(vm).gic
    stopped = replace(recorded.vcpus[3], mp_state=kvm.KVM_MP_STATE_STOPPED)
    changed = replace(recorded, vcpus=(*recorded.vcpus[:3], stopped), gic=gic)
    state.store(changed, directory / "later.state")


def shell(command: str, directory: Path) -> str:
    """What a command of the manual prints, errors included."""
    function = f'kvmemu() {{ {shlex.join(PROGRAM)} "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", function + command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=directory,
        check=False,
    )
    return done.stdout


BLOCK = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.M | re.S)


def examples_of(block: str) -> list[tuple[str, str]]:
    """The commands of a block, each with the output that stands below it."""
    parts = [part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.M)[1:]]
    return [(command, output) for command, _, output in parts]


def examples() -> list[tuple[str, str]]:
    """All of the manuals'."""
    blocks = [block for page in MANUALS for block in BLOCK.findall(page.read_text())]
    return [example for block in blocks for example in examples_of(block)]


def update(page: Path) -> None:
    """Write a manual's examples anew, with what the commands print now."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        example_files(directory)

        def printed(block: re.Match[str]) -> str:
            commands = [command for command, _ in examples_of(block.group())]
            return "".join(f"$ {command}\n{shell(command, directory)}" for command in commands)

        page.write_text(BLOCK.sub(printed, page.read_text()))


@pytest.mark.parametrize(("command", "output"), examples())
def test_the_manual_shows_what_commands_print(command: str, output: str, tmp_path: Path) -> None:
    example_files(tmp_path)
    assert shell(command, tmp_path) == output


if __name__ == "__main__":
    for manual in MANUALS:
        update(manual)
