# SPDX-License-Identifier: MIT
"""`kvmemu state`, `kvmemu gic show`, `kvmemu demo`: what they print, and their exit codes."""

from __future__ import annotations

import json
import shutil
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import kvmemu
from kvmemu import cli, demo, state

# Before click 8.2 the two streams are one unless it is said.
SEPARATE: dict[str, Any] = (
    {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
)


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner(**SEPARATE).invoke(cli.program, [str(a) for a in args], prog_name="kvmemu")
    assert result.exit_code == code, result.output
    return result


def answer(*args: object, code: int = 0) -> Any:
    return json.loads(run(*args, "--json", code=code).stdout)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A saved VM, and the same with a few things changed."""
    before, after = tmp_path / "before.state", tmp_path / "after.state"
    with kvmemu.System() as system, system.create_vm() as vm:
        system.counter.ticks = 1000
        vm.create_vcpus(2)
        gic = vm.create_vgic_v3(nr_irqs=64)
        gic.dist["GICD_CTLR"] = 2
        gic.dist["GICD_ISENABLER1"] = 1 << 3
        state.store(state.save(vm, "a test"), before)
        vm.vcpus[1].regs["X5"] = 0x55
        vm.vcpus[0].regs["CNTV_CTL_EL0"] = 3
        gic.dist["GICD_ISPENDR1"] = 1 << 3 | 1 << 4
        gic.dist["GICD_CTLR"] = 0
        gic.dist["GICD_IROUTER40"] = 1
        gic.icc(vm.vcpus[1])["ICC_CTLR_EL1"] |= 1
        state.store(state.save(vm, "a test"), after)
    return before, after


def test_show_says_what_is_in_it(files: tuple[Path, Path]) -> None:
    text = run("state", "show", files[0]).stdout
    assert "a test" in text
    assert "GICv3, 64 interrupts" in text
    assert "vCPU 1" in text
    facts = answer("state", "show", files[0])
    assert facts["gic"] == {"version": 3, "nr_irqs": 64}
    assert [vcpu["mp_state"] for vcpu in facts["vcpus"]] == ["runnable", "runnable"]


def test_show_finds_registers_of_vcpus_and_gic(files: tuple[Path, Path]) -> None:
    rows = [line.split("  ") for line in run("state", "show", files[1], "--filter", "x5")
            .stdout.splitlines()]  # fmt: skip
    assert ["vCPU 1", "X5", "0x0000000000000055"] in rows
    found = answer("state", "show", files[1], "--filter", "GICD_ISPENDR*")
    assert found == [{"where": "GIC", "name": "GICD_ISPENDR1", "value": "0x18"}]
    assert run("state", "show", files[1], "--filter", "nothing", code=1).stdout == ""
    assert len(answer("state", "show", files[1], "--registers")) > 500


def test_diff_names_registers_fields_and_interrupts(files: tuple[Path, Path]) -> None:
    lines = run("state", "diff", *files, code=1).stdout.splitlines()
    assert "vCPU 1: X5: 0x0 -> 0x55" in lines
    at = lines.index("GIC: GICD_ISPENDR1: 0x0 -> 0x18")
    assert lines[at + 1 : at + 3] == [
        "    INTID 35 pending latch: 0x0 -> 0x1",
        "    INTID 36 pending latch: 0x0 -> 0x1",
    ]
    at = lines.index("GIC: GICD_CTLR: 0x52 -> 0x50")
    assert lines[at + 1] == "    EnableGrp1: 0x1 -> 0x0 (group 1 off)"
    at = lines.index("GIC: GICD_IROUTER40: 0x0 -> 0x1")
    assert lines[at + 1] == "    INTID 40 affinity: 0x0 -> 0x1 (to affinity 0.0.0.1)"
    at = lines.index("vCPU 1 GIC: ICC_CTLR_EL1: 0x8c00 -> 0x8c01")
    assert lines[at + 1] == "    CBPR: 0x0 -> 0x1 (BPR0 for both groups)"
    found = {d["what"]: d for d in answer("state", "diff", *files, code=1)}
    assert [d["what"] for d in found["CNTV_CTL_EL0"]["details"]] == ["IMASK", "ENABLE"]
    assert run("state", "diff", files[0], files[0]).stdout == ""
    assert answer("state", "diff", files[0], files[0]) == []


def test_verify_restores_too(files: tuple[Path, Path]) -> None:
    assert "whole: 2 vCPUs" in run("state", "verify", *files).stdout
    result = run("state", "verify", demo.RECORDED, "--host", "gicv3-max")
    assert "comes back on gicv3-max" in result.stdout
    refused = run("state", "verify", files[0], "--host", "gicv2-cortex-a72", code=1)
    assert "GICv3, which this host cannot have" in refused.stderr
    assert "no host" in run("state", "verify", files[0], "--host", "nonsense", code=2).stderr


def test_verify_tells_bad_from_unreadable(files: tuple[Path, Path], tmp_path: Path) -> None:
    text = files[0].read_text(encoding="utf-8")
    files[0].write_text(text[: len(text) // 2], encoding="utf-8")
    result = run("state", "verify", *files, code=1)
    assert "before.state: it is cut off" in result.stderr
    assert "after.state: whole" in result.stdout
    assert "No such file" in run("state", "verify", tmp_path / "none", files[0], code=2).stderr
    shutil.copy(demo.RECORDED, tmp_path / "alone.state")
    missing = run("state", "verify", tmp_path / "alone.state", code=1)
    assert "memory is missing" in missing.stderr


@pytest.mark.parametrize("command", [("state", "show"), ("gic", "show")])
def test_bad_files_are_a_sentence(tmp_path: Path, command: tuple[str, str]) -> None:
    path = tmp_path / "x.state"
    path.write_text("hello\n", encoding="utf-8")
    result = run(*command, path, code=2)
    assert result.stderr == (
        f"kvmemu: {path}: it does not begin with `kvmemu-state`: not a saved VM\n"
    )


def test_gic_show_has_a_row_an_interrupt(files: tuple[Path, Path]) -> None:
    rows = [line.split() for line in run("gic", "show", files[1]).stdout.splitlines()]
    assert [row[:5] for row in rows] == [
        ["35", "SPI", "-", "yes", "yes"],
        ["36", "SPI", "-", "no", "yes"],
    ]
    assert len(answer("gic", "show", files[1], "--all")) == 2 * 32 + 32
    (private,) = answer("gic", "show", files[1], "--intid", 27, "--vcpu", 1)
    assert (private["kind"], private["vcpu"], private["edge"]) == ("PPI", 1, False)
    assert "no such interrupt" in run("gic", "show", files[1], "--intid", 999, code=1).stderr


def test_demo_shows_interrupts_and_their_ticks() -> None:
    text = run("demo").stdout
    assert "PPI 27" in text
    assert "not pending before, pending at tick" in text
    assert "2 timer interrupts" in " ".join(text.split())
