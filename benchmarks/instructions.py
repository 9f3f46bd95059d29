#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many instructions a save and a restore are, for each way of keeping list registers.

Valgrind's callgrind counts them: the same each time, whatever else the machine does. It says
nothing of how long they take. Instructions are this machine's, as this compiler made them.

    benchmarks/instructions.py [CASE...]       # lr0, lr4, ...; all if none is named
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from kvmemu.bench_switch import CASES, STORAGES

BATCHES = 10
MEASURES = "kvmemu_bench_world_switch"
# One call of MEASURES each, in order.
PROGRAM = """
from kvmemu._core import ffi
from kvmemu.bench_switch import switches
ticks = ffi.new("double[]", {batches})
for which in {all_of_them}:
    assert switches(*which)(ticks, {batches}) == 0
"""
_FUNCTION = re.compile(r"c?fn=\((\d+)\)(?: (.*))?")
_MOVED = re.compile(r"(save|restore)_(reverse|ascending|used)(?:'\d+)?$")


class Broken(Exception):
    """Callgrind is missing, or what it wrote is not understood."""


def counts(lines: Iterable[str]) -> dict[str, float]:
    """Instructions a call, of each save and restore in what callgrind wrote.

    Args:
        lines: of a callgrind.out file, with positions by line, without jumps.

    Returns:
        By "save" and "restore". What they call is part of them.
    """
    names: dict[str, str] = {}
    spent: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    current, callee, is_call = "", "", False
    for line in lines:
        if (function := _FUNCTION.match(line)) is not None:
            number, name = function.groups()
            name = names.setdefault(number, name or "")
            if line.startswith("c"):
                callee = name
            else:
                current = name
        elif line.startswith("calls="):
            calls[callee] += int(line.removeprefix("calls=").split()[0])
            is_call = True
        elif re.match(r"[+\-*\d]", line):
            # The line behind a call says what was spent in it.
            cost = int(line.split()[1])
            if not is_call or _MOVED.match(current):
                spent[current] += cost
            is_call = False
    return {
        moved[1]: spent[name] / calls[name]
        for name in names.values()
        if (moved := _MOVED.match(name)) is not None and calls[name]
    }


def measure(all_of_them: Sequence[tuple[int, str, str]]) -> list[dict[str, float]]:
    """Instructions of a save and of a restore, of each.

    Args:
        all_of_them: GIC, case and storage, as kvmemu.bench_switch has them.

    Raises:
        Broken: there is no valgrind, or it failed.
    """
    program = PROGRAM.format(batches=BATCHES, all_of_them=repr(all_of_them))
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out"
        try:
            subprocess.run(
                ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                 f"--toggle-collect={MEASURES}", f"--dump-after={MEASURES}",
                 sys.executable, "-c", program],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
        except FileNotFoundError:
            raise Broken("valgrind is not there: Debian has it in the package valgrind") from None
        except subprocess.CalledProcessError as error:
            raise Broken(f"valgrind failed: {error.stderr}") from None
        dumps = [out.with_name(f"out.{number}") for number in range(1, len(all_of_them) + 1)]
        found = [counts(dump.read_text().splitlines()) for dump in dumps]
    if any(set(one) != {"save", "restore"} for one in found):
        raise Broken("what callgrind wrote is not understood")
    return found


def main(args: Sequence[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    cases = parser.parse_args(args).cases or list(CASES)
    if unknown := [case for case in cases if case not in CASES]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(CASES)}")
    columns = [(gic, storage) for gic in (3, 2) for storage in STORAGES]
    try:
        found = measure([(gic, case, storage) for case in cases for gic, storage in columns])
    except Broken as broken:
        print(broken, file=sys.stderr)
        return 1
    cells = iter(f"{one['save']:.0f} + {one['restore']:.0f}" for one in found)
    print("| save + restore |", " | ".join(f"v{gic}, {kept}" for gic, kept in columns), "|")
    print("|---|" + "---:|" * len(columns))
    for case in cases:
        print(f"| `{case}` |", " | ".join(next(cells) for _ in columns), "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
