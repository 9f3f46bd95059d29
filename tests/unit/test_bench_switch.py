# SPDX-License-Identifier: MIT
"""The world switch's figures: which there are, that they are whole, and charts. None is judged."""

from __future__ import annotations

import errno
import importlib.util
import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kvmemu._core import lib
from rich.console import Console

import kvmemu
from kvmemu import bench, bench_chart, bench_switch, cli
from kvmemu.bench_result import Result as Figure
from kvmemu.bench_result import clock
from kvmemu.cli import bench_tables
from kvmemu.errors import ChartError

QUICK = {"rounds": 1, "calls": 1000}
CASES = ["lr0", "lr1", "lr4", "lr16", "lr0of16", "lr1of16", "lr4of16"]
STORAGES = ["reverse", "ascending", "used"]
SWITCHES = {
    f"world_switch.{gic}.{case}.{storage}{part}"
    for gic in ("v2", "v3")
    for case in CASES
    for storage in STORAGES
    for part in ("", ".save", ".restore")
}
COLD = {
    f"world_switch.v3.{case}.{storage}.{part}.cold"
    for case in ("lr4", "lr16")
    for storage in STORAGES
    for part in ("save", "restore")
}
ENTRY_EXITS = {f"world_switch.entry_exit.{spis}" for spis in (0, 1, 4, 16)}
IRQS = {
    "world_switch.roundtrip.1vcpu",
    "world_switch.roundtrip.2vcpu",
    "world_switch.ping_pong.2vcpu",
}


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    """All of them, quickly."""
    results = bench.measure(**QUICK, names=["world-switch"])
    found = {result.name: result for result in results}
    assert len(found) == len(results)
    return found


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.program, ["bench", *args], prog_name="kvmemu")


def test_names_are_these(figures: dict[str, Figure]) -> None:
    copies = {name for name in figures if name.startswith("world_switch.memcpy.")}
    assert set(figures) == SWITCHES | COLD | ENTRY_EXITS | IRQS | copies | {"ioctl.floor"}


def test_switches_have_their_baselines(figures: dict[str, Figure]) -> None:
    for name in SWITCHES | COLD:
        figure = figures[name]
        part = name.removeprefix("world_switch.").split(".", 3)[3:]
        assert figure.baseline == ".".join(["world_switch.memcpy.128", *part])
        assert figure.baseline in figures
        assert figure.same_bytes in figures
        assert figure.ratio is not None
        assert figure.ratio > 0
        assert figure.same_bytes_ratio is not None
        assert figure.same_bytes_ratio > 0


def test_distributions_are_in_order(figures: dict[str, Figure]) -> None:
    alone = 0
    for figure in figures.values():
        of = figure.distribution
        assert figure.value > 0
        if of is None or figure.cycles is None:
            alone += figure.name in {"ioctl.floor", "world_switch.roundtrip.2vcpu"}
            continue
        assert 0 < of.min <= of.p10 <= of.median <= of.p90 <= of.p99 <= of.max
        assert of.samples >= 5
        assert figure.value == of.median
        assert figure.cycles.median == pytest.approx(of.median * 1e-9 * figure.cycles.hz)
        assert figure.cycles.clock == clock().name
    assert 1 <= alone <= 2  # two vCPUs may never be at work at once


def test_interrupts_a_second(figures: dict[str, Figure]) -> None:
    one, two = figures["world_switch.roundtrip.1vcpu"], figures["world_switch.roundtrip.2vcpu"]
    assert one.per_second == pytest.approx(1e9 / one.value)
    if two.distribution is not None:
        assert two.per_second == pytest.approx(2e9 / two.value)


def test_the_same_bytes_are_what_is_moved(figures: dict[str, Figure]) -> None:
    # HCR, VMCR, MISR, EISR, ELRSR and AP0R; on a GICv3 AP1R; the list registers.
    assert figures["world_switch.v2.lr16.reverse"].same_bytes == "world_switch.memcpy.160"
    assert figures["world_switch.v3.lr16.reverse"].same_bytes == "world_switch.memcpy.164"
    assert figures["world_switch.v3.lr4.reverse"].same_bytes == "world_switch.memcpy.68"
    assert figures["world_switch.v3.lr4of16.used"].same_bytes == "world_switch.memcpy.68"
    assert figures["world_switch.v3.lr0of16.used"].same_bytes == "world_switch.memcpy.36"


def test_hyphen_or_underscore() -> None:
    names = [
        {result.name for result in bench.measure(**QUICK, names=[f"world{sep}switch.v3.lr16.used"])}
        for sep in "-_"
    ]
    assert names[0] == names[1]
    assert "world_switch.v3.lr16.used.save.cold" in names[0]
    assert "world_switch.v3.lr16.reverse" not in names[0]


def test_the_clock_is_one() -> None:
    own = clock()
    assert own.name in {"TSC", "CNTVCT_EL0", "CLOCK_MONOTONIC"}
    assert own.hz >= 1e6
    assert own.step >= 1
    assert own.core_hz > 1e8


@pytest.mark.parametrize(
    ("field", "value"),
    [("gic", 1), ("gic", 4), ("list_registers", 0), ("list_registers", 17), ("in_use", 5),
     ("storage", 3), ("part", 5)],
)  # fmt: skip
def test_a_switch_that_there_is_not(field: str, value: int) -> None:
    which = bench_switch.which_switch(3, "lr4", "reverse")
    setattr(which, field, value)
    ticks = kvmemu._core.ffi.new("double[]", 1)
    assert lib.kvmemu_bench_world_switch(which, ticks, 1) == -errno.EINVAL


def test_exits_with_other_interrupts_than_said_are_told() -> None:
    machine = bench_switch.running(1, 2)
    machine.vm.spi(bench_switch.FIRST_SPI, True)
    ticks = kvmemu._core.ffi.new("double[]", 1)
    handle = machine.vm.vcpus[0].handle()
    assert lib.kvmemu_bench_entry_exit(handle, 2, ticks, 1) == -errno.ENODATA
    assert lib.kvmemu_bench_entry_exit(handle, 1, ticks, 1) == 0


@pytest.mark.parametrize("vcpus", [1, 2])
def test_interrupts_that_do_not_come_are_told(vcpus: int) -> None:
    machine = bench_switch.running(vcpus, vcpus)
    assert machine.vm.gic is not None
    machine.vm.gic.dist["GICD_ICENABLER1"] = 1  # the first SPI
    with pytest.raises(kvmemu.KvmError) as error:
        bench_switch.roundtrip_samples(machine, 5)
    assert error.value.errno == errno.EIO


def test_json_is_a_list_of_figures() -> None:
    result = run("--json", "--rounds", "1", "world-switch.v3.lr16")
    assert result.exit_code == 0
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    by_name = {row["name"]: row for row in rows}
    row = by_name["world_switch.v3.lr16.reverse"]
    assert row["baseline"] == "world_switch.memcpy.128"
    assert row["unit"] == "ns/switch"
    assert set(row["distribution"]) == {"samples", "min", "p10", "median", "p90", "p99", "max"}
    assert set(row["cycles"]) == {"clock", "hz", "median", "min", "core"}
    assert "world_switch.v3.lr16.used.save" in by_name
    assert "world_switch.v3.lr16.ascending.restore" in by_name


def test_tables() -> None:
    result = run("--rounds", "1", "world-switch")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    both = [name for name in SWITCHES if name.endswith(tuple(STORAGES))]
    names = [name.removeprefix("world_switch.") for name in both]
    assert len(names) == 2 * len(CASES) * len(STORAGES)
    for name in names:
        (row,) = (row for row in rows if row[0] == name)
        # One that was interrupted may have thousands, or be in ms.
        figures = [float(cell.removesuffix(" ms").replace(",", "")) for cell in row[1:14]]
        assert len(figures) == 6 + 3 + 4  # ns, cycles, ratios
        assert min(figures) > 0
        assert row[14] == {"lr0": "<= 2", "lr16": "<= 5"}.get(name.split(".")[1], "")
    assert clock().name in result.stdout
    assert any("entry_exit.16" in line for line in lines)
    assert any("roundtrip.1vcpu" in line for line in lines)


def test_tables_fit_a_narrow_terminal(figures: dict[str, Figure]) -> None:
    printed = {}
    for width in (80, 200):
        console = Console(width=width, highlight=False, file=io.StringIO())
        for part in bench_tables.parts(figures.values(), console):
            console.print(part)
        assert isinstance(console.file, io.StringIO)
        printed[width] = console.file.getvalue()
        assert "…" not in printed[width]
    times = {width: text.count("v3.lr16.reverse ") for width, text in printed.items()}
    assert times == {80: 3, 200: 1}  # a table of times, of cycles, of ratios; all in one


def test_two_vcpus_that_were_never_at_work_at_once(figures: dict[str, Figure]) -> None:
    name = "world_switch.roundtrip.2vcpu"
    alone = replace(figures[name], value=250.0, distribution=None, cycles=None, per_second=None)
    console = Console(width=100, highlight=False, file=io.StringIO())
    for part in bench_tables.parts([alone], console):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "250.0" in text
    assert "never at work at once" in text


def test_columns_without_anything_are_left_out() -> None:
    heading = run("--rounds", "1", "vcpu.memory").stdout.splitlines()[1]
    assert "figure" in heading
    assert "target" in heading
    assert "registers/s" not in heading


@pytest.fixture(scope="module")
def _matplotlib() -> None:
    pytest.importorskip("matplotlib")


@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize("name", ["a.svg", "a.png", "a.pdf", "A.SVG"])
def test_chart(figures: dict[str, Figure], tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    bench_chart.check(path)
    assert not path.exists()
    bench_chart.draw(list(figures.values()), path)
    beginning = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}[path.suffix.lower()]
    assert path.read_bytes().startswith(beginning)


@pytest.mark.usefixtures("_matplotlib")
def test_chart_of_a_part(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run("--rounds", "1", "--chart", str(path), "world-switch.v3.lr16.used")
    assert result.exit_code == 0
    text = path.read_text()
    assert "save, used" in text
    assert "save, reverse" not in text
    assert "GICv2" not in text


@pytest.mark.usefixtures("_matplotlib")
def test_chart_is_the_same_each_time(figures: dict[str, Figure], tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.svg", "b.svg")]
    for path in paths:
        bench_chart.draw(list(figures.values()), path)
    one, other = (path.read_bytes() for path in paths)
    assert one == other
    for title in (b"GICv3: all", b"GICv2: all", b"some in", b"in cache", b"no cache", b"exit and"):
        assert title in one


@pytest.mark.usefixtures("_matplotlib")
def test_chart_that_cannot_be_written_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "measure", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / "a.svg").symlink_to(tmp_path / "none" / "a.svg")
    result = run("--chart", str(tmp_path / "a.svg"), "world-switch")
    assert result.exit_code == 2
    assert "a.svg: No such file or directory" in result.output


def test_chart_without_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    result = run("--chart", str(tmp_path / "a.svg"))
    assert result.exit_code == 2
    assert "pip install 'kvmemu[plot]'" in result.output


@pytest.mark.parametrize(
    ("path", "names", "why"),
    [
        ("a.gif", [], "drawn as .svg"),
        ("a", [], "drawn as .svg"),
        ("none/a.svg", [], "no such directory"),
        ("a.svg", ["one_reg"], "name that, too"),
    ],
)
def test_charts_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str, names: Sequence[str], why: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    with pytest.raises(ChartError, match=why):
        bench_chart.check(tmp_path / path, names)
    assert run("--chart", str(tmp_path / path), *names).exit_code == 2


def test_chart_of_nothing(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(ChartError, match="nothing to draw"):
        bench_chart.draw([], tmp_path / "a.svg")
    result = run("--rounds", "1", "--chart", str(tmp_path / "a.svg"), "world-switch.memcpy")
    assert result.exit_code == 2
    assert "nothing to draw" in result.output
    assert not (tmp_path / "a.svg").exists()
