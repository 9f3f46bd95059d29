# SPDX-License-Identifier: MIT
"""Nonsense to every command: an exit code and a sentence, never a traceback. And every help."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from kvmemu import cli, demo

# Before click 8.2 the two streams are one unless it is said.
SEPARATE: dict[str, Any] = (
    {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
)
FILES = {
    "empty": b"",
    "zeros": bytes(100),
    "bytes": bytes(range(256)),
    "bad.toml": b"x = [1,",
    "empty.toml": b"",
    "long.trace": b"kvmemu-trace 1\nioctl kvm 1 2 3\n",
}
ARGUMENTS = [
    "", "-", "--", "x", "-1", "0x", "1e9", "=", "a=b", "=1", "PC=", "PC=0x", "PC==1", "PC=1",
    "gic:", "gic::", "gicd:", "gicd:-1", "GICD_CTLR=1", "1:", ":1", "0:5=",
    "1:99999999999999999999", "99999999999999999999:1", "directory", "none", "good.state",
    "alone.state", "/dev/null",
    "\u2028", "PC" * 1000, "0x" + "f" * 100, "9" * 5000, "*", "[", "%s", "--json", "--host",
    *FILES,
]  # fmt: skip
OPTIONS = {
    "--host": ["", "x", "directory", "bad.toml", "empty", "none.toml", "arm32-cortex-a15"],
    "--features": ["", "x", "all", ","],
    "--filter": ["", "[", "*", "nothing"],
    "--kind": ["x", "gicc", "cp15"],
    "--value": ["", "x", "-1", "0x" + "f" * 99],
    "--gic": ["1", "2", "x"],
    "--vcpu": ["x", "-1", "0.0.0.0", "999", "1.2.3.4.5", "0..0.0"],
    "--intid": ["-1", "x", "99999"],
    "--arch": ["arm", "x"],
    "--rounds": ["0", "-1", "x"],
    "--chart": ["", "x", "x.gif", "directory", "none/x.svg"],
    "--frame": ["x", "gicc"],
    "--nr-irqs": ["-1", "0", "64", "99999999999", "1024"],
}


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All commands, groups too, by the words that call them."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


COMMANDS = list(commands(cli.program))
LEAVES = [path for path in COMMANDS if path and sum(c[: len(path)] == path for c in COMMANDS) == 1]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files are."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "directory").mkdir()
    for suffix in (".state", ".ram"):
        shutil.copy(demo.RECORDED.with_suffix(suffix), tmp_path / f"good{suffix}")
    shutil.copy(demo.RECORDED, tmp_path / "alone.state")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str, text: str = "") -> Result:
    """A call that may succeed or not, and says why."""
    runner = CliRunner(**SEPARATE)
    result = runner.invoke(cli.program, args, input=text, prog_name="kvmemu")
    assert result.exception is None or isinstance(result.exception, SystemExit), args
    assert result.exit_code in {0, 1, 2}, args
    assert "Traceback" not in result.output
    if result.exit_code == 2 and "--json" not in args:  # which has errors in it
        assert result.stderr.startswith(("Usage:", "kvmemu: ", "Error: ")), args
        assert len(result.stderr) < 12_000
    return result


@pytest.mark.parametrize("command", [c for c in LEAVES if c != ("bench",)], ids=" ".join)
def test_arguments(directory: Path, command: tuple[str, ...]) -> None:
    for argument in ARGUMENTS:
        run(*command, argument)
        if command != ("demo",):
            run(*command, argument, "good.state")


@pytest.mark.parametrize("command", LEAVES, ids=" ".join)
def test_options(directory: Path, command: tuple[str, ...]) -> None:
    help_text = run(*command, "--help").stdout
    first = ["GICR_CTLR"] if command[-1] in {"decode", "encode"} else ["good.state"]
    for option, values in OPTIONS.items():
        if option in help_text:
            for value in values:
                run(*command, option, value, *([] if command[-1] in {"list", "bench"} else first))


@pytest.mark.parametrize("text", ["", "x\n", "PC\n" * 3, "#\n", "\0", "=\n", "0x1 # one\n"])
def test_standard_input(text: str) -> None:
    run("regs", "decode", "-", text=text)
    run("replay", "-", text=text)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_has_examples(command: tuple[str, ...]) -> None:
    assert "Examples:\n" in run(*command, "--help").stdout


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("gic", "decode", ""), "a name is missing"),
        (("gic", "decode", "PC"), "PC is a register of vCPUs: see `kvmemu regs`"),
        (("gic", "decode", "0x603000000013df1a"), "FRAME:OFFSET or GROUP:ATTR expected"),
        (("gic", "decode", "gicd:"), "an offset in GICD is a number"),
        (("gic", "encode", "GICD_CTLR=1"), "a name without a value expected: GICD_CTLR"),
        (("regs", "encode", "PC=1"), "a name without a value expected: PC"),
        (("regs", "encode", ""), "a name is missing"),
        (("regs", "decode", "="), "the value of nothing is not a number"),
        (("gic", "list", "--nr-irqs", "63"), "KVM_DEV_ARM_VGIC_GRP_NR_IRQS to 0x3f on the GICv3"),
        (("state", "show", "good.state", "--filter", "nothing"), "no register matches"),
        (("hosts", "check", "directory"), "kvmemu: ./directory: Is a directory\n"),
        (("state", "verify", "good.state", "directory"), "kvmemu: directory: Is a directory\n"),
    ],
)
def test_what_is_said(directory: Path, args: tuple[str, ...], why: str) -> None:
    result = run(*args)
    assert result.exit_code > 0
    assert why in result.stdout + result.stderr
