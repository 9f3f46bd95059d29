# SPDX-License-Identifier: MIT
"""kvmemu/cli/: what the commands print, to whom, and their exit codes."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import kvmemu
from kvmemu import cli
from kvmemu.errors import kvm_error
from kvmemu.hosts import profile_path, profile_text

TRACE = """\
kvmemu-trace 1
host gicv3-max
open kvm
= fd
ioctl kvm KVM_GET_API_VERSION 0
= 12
"""
DIFFERENT = TRACE.replace("= 12", "= 13")
SCRIPT = TRACE.replace("= 12\n", "").replace("= fd\n", "")
PROGRAM = [sys.executable, "-c", "from kvmemu.cli import main; main()"]


# Before click 8.2 the two streams are one unless it is said.
SEPARATE: dict[str, Any] = (
    {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
)


def run(*args: str, stdin: str | None = None) -> Result:
    return CliRunner(**SEPARATE).invoke(cli.program, args, input=stdin, prog_name="kvmemu")


def lines(*args: str) -> list[list[str]]:
    """The words of each line of a command's output; it must succeed."""
    result = run(*args)
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.stdout.splitlines()]


def answer(*args: str, code: int = 0) -> Any:
    """A command's JSON."""
    result = run(*args, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


@pytest.fixture
def traces(tmp_path: Path) -> dict[str, str]:
    """Paths of a few traces: same, different, script, broken, binary, missing."""
    paths = {
        name: tmp_path / f"{name}.trace"
        for name in ("same", "different", "script", "broken", "binary")
    }
    paths["same"].write_text(TRACE)
    paths["different"].write_text(DIFFERENT)
    paths["script"].write_text(SCRIPT)
    paths["broken"].write_text("nonsense\n")
    paths["binary"].write_bytes(b"\xff\x00")
    return {name: str(path) for name, path in paths.items()} | {"missing": str(tmp_path / "no")}


# ---- the program ----


def test_version() -> None:
    assert run("--version").stdout == f"kvmemu {kvmemu.__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_loads(name: str) -> None:
    result = run(name, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: kvmemu {name} ")


@pytest.mark.parametrize(
    "args", [("regs",), ("regs", "decode"), ("regs", "encode"), ("regs", "list"), ("replay",),
             ("hosts",), ("hosts", "show"), ("hosts", "check"), ("hosts", "compile")],
)  # fmt: skip
def test_help_has_examples(args: tuple[str, ...]) -> None:
    assert f"  kvmemu {' '.join(args)} " in run(*args, "--help").stdout


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from kvmemu.cli import program;"
        "program.main(['--help'], standalone_mode=False);"
        "print([m for m in sys.modules if m in ('rich', 'kvmemu.cli.regs', 'kvmemu.fields')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(("nonsense",), id="no-such-command"),
        pytest.param(("regs", "nonsense"), id="no-such-subcommand"),
        pytest.param(("regs", "decode"), id="no-argument"),
        pytest.param(("regs", "list", "--features", "wings"), id="no-such-feature"),
        pytest.param(("regs", "list", "--kind", "wings"), id="no-such-kind"),
        pytest.param(("regs", "list", "--host", "toaster"), id="no-such-host"),
        pytest.param(
            ("regs", "list", "--host", "arm32-cortex-a15", "--features", "sve"), id="arm32"
        ),
        pytest.param(("regs", "list", "--host", "gicv2-cortex-a72", "--features", "sve"), id="sve"),
        pytest.param(("regs", "decode", "PC=many"), id="value-is-no-number"),
        pytest.param(("regs", "decode", "FPSR=0x100000000"), id="value-is-too-wide"),
        pytest.param(("regs", "decode", "PC", "SP", "--value", "1"), id="one-value-for-two"),
        pytest.param(("hosts", "toaster"), id="hosts-no-such-host"),
        pytest.param(("hosts", "./no.toml"), id="hosts-no-such-file"),
        pytest.param(("hosts", "check", "no.toml"), id="check-no-such-file"),
        pytest.param(("hosts", "compile", "no.toml"), id="compile-no-such-file"),
        pytest.param(("hosts", "compile", "gicv3-max"), id="compile-no-profile"),
        pytest.param(("replay", "no.trace"), id="replay-no-such-file"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_a_sentence(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert len(result.stderr.splitlines()) in (1, 4)  # the error, or click's usage lines too
    assert not result.stdout


@pytest.mark.parametrize(
    ("error", "want"),
    [
        pytest.param(
            kvm_error(errno.EINVAL, "KVM_RUN"), "KVM_RUN: Invalid argument (EINVAL)", id="kvm"
        ),
        pytest.param(FileNotFoundError(2, "No such file", "x"), "x: No such file", id="file"),
        pytest.param(OSError(28, "No space left"), "No space left", id="device"),
        pytest.param(kvmemu.HostError("no host"), "no host", id="host"),
        pytest.param(
            UnicodeDecodeError("utf-8", b"", 0, 1, ""), "the input is not text in UTF-8", id="text"
        ),
    ],
)
def test_errors_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, want: str
) -> None:
    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setattr(cli.Program, "get_command", lambda *_: broken)
    result = run("regs")
    assert (result.exit_code, result.stderr) == (2, f"kvmemu: {want}\n")


def test_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise KeyError("bug")

    monkeypatch.setattr(cli.Program, "get_command", lambda *_: broken)
    assert isinstance(run("regs").exception, KeyError)


# ---- regs decode ----


def test_decode_one() -> None:
    assert lines("regs", "decode", "0x603000000013df19=5") == [
        ["0x603000000013df19", "CNTV_CTL_EL0"],
        ["kind", "timer"],
        ["size", "8", "bytes,", "64", "bits", "(size", "code", "3)"],
        ["architecture", "arm64", "(0x60", "in", "bits", "63:56)"],
        ["coprocessor", "0x13,", "system", "register"],
        ["encoding", "op0", "3,", "op1", "3,", "CRn", "14,", "CRm", "3,", "op2", "1"],
        ["MRS,", "MSR", "S3_3_C14_C3_1"],
        ["constant", "KVM_REG_ARM_TIMER_CTL"],
        ["value", "0x5"],
        ["ISTATUS", "2", "1", "condition", "met"],
        ["IMASK", "1", "0", "interrupt", "not", "masked"],
        ["ENABLE", "0", "1", "on"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0x603000000013df1a", id="hexadecimal"),
        pytest.param(str(0x603000000013DF1A), id="decimal"),
        pytest.param("CNTVCT_EL0", id="name"),
        pytest.param("KVM_REG_ARM_TIMER_CNT", id="constant"),
    ],
)
def test_decode_takes(text: str) -> None:
    assert answer("regs", "decode", text)[0]["name"] == "CNTVCT_EL0"


def test_decode_goes_on_after_a_wrong_id() -> None:
    result = run("regs", "decode", "0x6030000000100041", "0x6030000000100040")
    assert result.exit_code == 1
    assert "no register" in result.stdout
    assert "PC" in result.stdout.split()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("6030000000100042", "With 0x in front", id="hexadecimal-without-0x"),
        pytest.param("PSTAT", "did you mean PSTATE", id="misspelt"),
        pytest.param("-1", "64 bits", id="negative"),
        pytest.param("0x16030000000100042", "64 bits", id="too-wide"),
        pytest.param("CNTVCT", "arm has one", id="of-the-other-architecture"),
    ],
)
def test_decode_says_what_is_wrong(text: str, why: str) -> None:
    result = run("regs", "decode", "--json", "--", text)
    assert result.exit_code == 1
    assert why in json.loads(result.stdout)[0]["problem"]


def test_decode_reads_standard_input() -> None:
    ids = "# comment\n\n0x6030000000100040 PC and more\n0x603000000013df19=1\n"
    result = run("regs", "decode", "-", "--json", stdin=ids)
    found = json.loads(result.stdout)
    assert [item["name"] for item in found] == ["PC", "CNTV_CTL_EL0"]
    assert found[1]["value"] == "0x1"


def test_decode_of_a_list() -> None:
    listed = run("regs", "list", "--features", "all")
    result = run("regs", "decode", "-", "--json", stdin=listed.stdout)
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == len(listed.stdout.splitlines())


def test_decode_json() -> None:
    assert answer("regs", "decode", "0x6030000000140000", "--value", "0x10001") == [
        {
            "input": "0x6030000000140000",
            "id": "0x6030000000140000",
            "name": "PSCI_VERSION",
            "kind": "firmware",
            "arch": "arm64",
            "bytes": 8,
            "problem": None,
            "id_fields": {"coprocessor": 20, "index": 0, "constant": "KVM_REG_ARM_PSCI_VERSION"},
            "notes": [],
            "value": "0x10001",
            "bit_fields": [
                {"name": "major", "high": 31, "low": 16, "value": "0x1", "meaning": ""},
                {"name": "minor", "high": 15, "low": 0, "value": "0x1", "meaning": ""},
            ],
        }
    ]


def test_decode_negative_value_is_extended() -> None:
    assert answer("regs", "decode", "FPSR=-1")[0]["value"] == "0xffffffff"


# ---- regs encode ----


def test_encode_prints_an_id_a_line() -> None:
    result = run("regs", "encode", "PC", "v31")
    assert (result.exit_code, result.stdout) == (0, "0x6030000000100040\n0x60400000001000d0\n")


def test_encode_arm() -> None:
    assert lines("regs", "encode", "--arch", "arm", "CNTVCT") == [["0x40300000000f0708"]]


def test_encode_unknown_is_suggested_and_exit_code_1() -> None:
    result = run("regs", "encode", "CNTV_CTL", "PC")
    assert (result.exit_code, result.stdout) == (1, "0x6030000000100040\n")
    assert "did you mean CNTV_CTL_EL0" in result.stderr


def test_encode_json() -> None:
    assert answer("regs", "encode", "pc", "nonsense", code=1) == [
        {"input": "pc", "id": "0x6030000000100040", "name": "PC"},
        {"input": "nonsense", "id": None, "name": None},
    ]


# ---- regs list ----


@pytest.mark.parametrize("host", kvmemu.host_names())
def test_list_is_the_reg_list(host: str) -> None:
    with kvmemu.System(host) as system, system.create_vm() as vm:
        vcpu = vm.create_vcpu()
        vcpu.init(())
        ids = vcpu.reg_list()
    listed = answer("regs", "list", "--host", host, "--features", "none")
    assert [int(item["id"], 16) for item in listed] == ids


def test_list_columns() -> None:
    assert lines("regs", "list", "--filter", "PSTATE", "--values") == [
        ["0x6030000000100042", "PSTATE", "core", "8", "0x3c5"]
    ]


def test_list_json() -> None:
    assert answer("regs", "list", "--filter", "0x6030000000100042", "--values") == [
        {"id": "0x6030000000100042", "name": "PSTATE", "bytes": 8, "kind": "core", "value": "0x3c5"}
    ]


@pytest.mark.parametrize(
    ("options", "want"),
    [
        pytest.param(
            ["--filter", "cntv"], {"CNTV_CTL_EL0", "CNTV_CVAL_EL0", "CNTVCT_EL0"}, id="part"
        ),
        pytest.param(["--filter", "SP_EL?"], {"SP_EL1"}, id="glob"),
        pytest.param(
            ["--filter", "MPIDR", "--filter", "MIDR"], {"MPIDR_EL1", "MIDR_EL1"}, id="two"
        ),
        pytest.param(["--kind", "timer", "--filter", "*CTL*"], {"CNTV_CTL_EL0"}, id="kind"),
    ],
)
def test_list_chooses(options: list[str], want: set[str]) -> None:
    assert {words[1] for words in lines("regs", "list", *options)} == want


def test_list_of_nothing_is_exit_code_1() -> None:
    result = run("regs", "list", "--filter", "no such name")
    assert (result.exit_code, result.stdout) == (1, "")


def test_list_all_features() -> None:
    every = answer("regs", "list", "--host", "gicv3-max-sve", "--features", "all", "--values")
    kinds = {item["kind"] for item in every}
    assert kinds == {"core", "SVE", "firmware", "timer", "system", "demultiplexed"}
    assert all(item["value"] is not None for item in every)
    assert "PMCR_EL0" in {item["name"] for item in every}


# ---- hosts ----


def test_hosts() -> None:
    assert [words[0] for words in lines("hosts")] == kvmemu.host_names()
    listed = answer("hosts")
    assert [item["name"] for item in listed] == kvmemu.host_names()
    assert [item["default"] for item in listed].index(True) == 0
    assert "SVE to 2048 bits" in next(i for i in listed if i["name"] == "gicv3-max-sve")["features"]


def test_host_in_detail(tmp_path: Path) -> None:
    details = answer("hosts", "gicv2-cortex-a72")
    assert details["gic"] == "GICv2"
    assert details["capabilities"]["KVM_CAP_ONE_REG"] == 1
    assert details["registers"]["MIDR_EL1"] == "0x410fd083"
    own = tmp_path / "own.toml"
    own.write_text(profile_path("gicv2-cortex-a72").read_text().replace("gicv2-cortex-a72", "own"))
    assert answer("hosts", str(own)) == details | {"name": "own"}
    assert ["MIDR_EL1", "0x410fd083"] in lines("hosts", "show", str(own))


def test_hosts_check(tmp_path: Path) -> None:
    good, bad = str(profile_path("gicv3-max")), tmp_path / "bad.toml"
    bad.write_text('name = "bad"\n')
    assert run("hosts", "check", good).exit_code == 0
    result = run("hosts", "check", str(bad), good)
    assert result.exit_code == 1
    assert "kernel is missing" in result.stderr
    assert "valid" in result.stdout
    assert run("hosts", "check", str(bad), str(tmp_path / "none.toml")).exit_code == 2


def test_hosts_compile(tmp_path: Path) -> None:
    toml, out = profile_path("gicv3-max"), tmp_path / "out.host"
    text = profile_text(toml)
    assert run("hosts", "compile", str(toml)).stdout == text
    assert run("hosts", "compile", str(toml), "-o", str(out)).exit_code == 0
    assert out.read_text() == text
    assert answer("hosts", str(out))["name"] == "gicv3-max"
    bad = tmp_path / "bad.toml"
    bad.write_text(toml.read_text().replace("version = 3", "version = 9"))
    assert run("hosts", "compile", str(bad)).exit_code == 2


# ---- replay ----


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param(["same"], 0, id="same"),
        pytest.param(["script"], 0, id="nothing-to-compare"),
        pytest.param(["same", "different"], 1, id="different"),
        pytest.param(["broken", "different", "same"], 2, id="not-a-trace"),
        pytest.param(["binary", "same"], 2, id="not-text"),
        pytest.param(["missing", "same"], 2, id="missing"),
    ],
)
def test_replay_exit_codes(traces: dict[str, str], given: list[str], code: int) -> None:
    files = [traces[name] for name in given]
    assert run("replay", *files).exit_code == code
    results = answer("replay", *files, code=code)
    assert [result["file"] for result in results] == files


def test_replay_reports_differences(traces: dict[str, str]) -> None:
    [result] = answer("replay", traces["different"], code=1)
    assert result["host"] == "gicv3-max"
    assert (result["verdict"], result["compared"]) == ("different", 2)
    assert result["differences"] == [
        {
            "line": 5,
            "statement": "ioctl kvm KVM_GET_API_VERSION 0",
            "expected": "= 13",
            "got": "= 12",
        }
    ]
    text = run("replay", traces["different"]).stdout
    assert "1 of 2 answers differ" in text
    assert "expected = 13" in text


def test_replay_names_the_line_that_is_wrong(traces: dict[str, str]) -> None:
    assert f"{traces['broken']}: line 1:" in run("replay", traces["broken"]).stderr


def test_replay_show(traces: dict[str, str]) -> None:
    assert run("replay", "--show", traces["script"]).stdout == TRACE
    assert run("replay", "--show", traces["different"]).stdout == TRACE
    assert run("replay", "--show", "-", stdin=SCRIPT).stdout == TRACE


def test_replay_host(traces: dict[str, str]) -> None:
    [result] = answer("replay", "--host", "gicv2-cortex-a72", traces["same"])
    assert result["host"] == "gicv2-cortex-a72"
    assert run("replay", "--host", "toaster", traces["same"]).exit_code == 2


def test_replay_takes_the_host_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "any.trace"
    trace.write_text(TRACE.replace("gicv3-max", "any"))
    assert answer("replay", str(trace))[0]["host"] == kvmemu.host_names()[0]
    monkeypatch.setenv("KVMEMU_HOST", "gicv2-cortex-a72")
    assert answer("replay", str(trace))[0]["host"] == "gicv2-cortex-a72"


def test_replay_runs_every_host_that_is_named(tmp_path: Path) -> None:
    trace = tmp_path / "two.trace"
    trace.write_text(TRACE.replace("gicv3-max", "gicv3-max gicv2-cortex-a72"))
    assert [r["host"] for r in answer("replay", str(trace))] == ["gicv3-max", "gicv2-cortex-a72"]
