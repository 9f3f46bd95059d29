# SPDX-License-Identifier: MIT
"""docs/world-switch.md: its commands work, its names and tables are what they print, its picture is
what the command draws. No figure is judged.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kvmemu import bench_switch

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "world-switch.md"
PICTURE = PAGE.with_suffix(".svg")
MAX_PICTURE = 60 << 10
FEWER = {
    "--rounds 60": "--rounds 1",
    "cold.py": "cold.py --turns 1 --times 1",
    "instructions.py": "instructions.py lr1",
}

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="not in a checkout")
TEXT = PAGE.read_text() if PAGE.exists() else ""
COMMANDS = re.findall(r"^\$ (.*)$", TEXT, re.M)
RUN, SUMMARY, COLD, INSTRUCTIONS, CHART = COMMANDS if len(COMMANDS) == 5 else [""] * 5
SAY = [sys.executable, "-c", "from kvmemu.cli import main; main()"]


def shell(command: str, directory: Path) -> str:
    """What a command of the page prints, with fewer rounds."""
    for what, by in FEWER.items():
        command = command.replace(what, by)
    assert "--rounds 60" not in command
    functions = (
        f'kvmemu() {{ {shlex.join(SAY)} "$@"; }}\n'
        f'python() {{ local script=$1; shift; {sys.executable} {ROOT}/"$script" "$@"; }}\n'
    )
    done = subprocess.run(
        ["bash", "-c", functions + command],
        capture_output=True, text=True, cwd=directory, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def tables(text: str) -> dict[tuple[str, ...], list[str]]:
    """Of each table in Markdown: its headings, and the first cells of its rows."""
    found: dict[tuple[str, ...], list[str]] = {}
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.M):
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()]
        found.setdefault(tuple(lines[0]), []).extend(row[0] for row in lines[2:])
    return found


def assert_the_page_has(printed: str) -> None:
    """The tables that a command printed: headings, and first cells in this order."""
    there = tables(TEXT)
    for headings, firsts in tables(printed).items():
        assert headings in there
        assert [first for first in there[headings] if first in firsts] == firsts


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which the first command ran."""
    directory = tmp_path_factory.mktemp("runs")
    shell(RUN, directory)
    return directory


def test_there_are_as_many_commands() -> None:
    assert len(COMMANDS) == 5


def test_summary_has_the_tables(runs: Path) -> None:
    assert sorted(path.name for path in runs.iterdir()) == ["run1.json", "run2.json", "run3.json"]
    printed = shell(SUMMARY, runs)
    # The clock is told in words, and single ones out of cache by cold.py.
    left_out = ("Clock", "In no cache")
    kept = [part for part in printed.split("### ")[1:] if not part.startswith(left_out)]
    assert len(kept) == 7
    assert_the_page_has("".join(kept))


def test_summary_tells_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    for file in ("a.json", "none.json", "summary.py"):
        (tmp_path / "summary.py").write_text("no JSON")
        done = subprocess.run(
            [sys.executable, ROOT / "benchmarks" / "summary.py", file],
            capture_output=True, text=True, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1


def test_cold_has_the_table(tmp_path: Path) -> None:
    assert_the_page_has(shell(COLD, tmp_path))


@pytest.mark.conformance
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
def test_instructions_has_the_table(tmp_path: Path) -> None:
    printed = shell(INSTRUCTIONS, tmp_path)
    assert_the_page_has(printed)
    (row,) = (line for line in printed.splitlines() if "`lr1`" in line)
    counts = [int(count) for count in re.findall(r"\b\d+\b", row.removeprefix("| `lr1`"))]
    assert len(counts) == 12
    assert min(counts) > 10
    assert counts[0:2] == counts[2:4]  # v3: reverse and ascending are made alike


def test_names_are_names(runs: Path) -> None:
    json = (runs / "run1.json").read_text()
    names = set(re.findall(r'"name": "([^"]*)"', json))
    said = set(re.findall(r"`(world_switch\.[\w.]+)`", TEXT))
    assert len(said) >= 8
    assert said <= names
    short = set(re.findall(r"`(v[23]\.lr\w+)`", TEXT))
    assert short == {f"v{gic}.{case}" for gic in (2, 3) for case in bench_switch.CASES}


def test_picture_is_what_the_command_draws(tmp_path: Path) -> None:
    assert PICTURE.stat().st_size <= MAX_PICTURE
    assert f"({PICTURE.name})" in TEXT
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("needs matplotlib")
    shell(CHART, tmp_path)
    titles = [
        re.findall(r">([^<]*(?:GICv|memcpy|list registers)[^<]*)</text>", path.read_text())
        for path in (PICTURE, tmp_path / PICTURE.name)
    ]
    assert len(titles[0]) > 10
    assert titles[0] == titles[1]
