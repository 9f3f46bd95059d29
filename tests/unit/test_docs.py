# SPDX-License-Identifier: MIT
"""The Python examples of README.md and docs/: they run, and print or raise what stands below them.

An example finds `system`, `vm` and `vcpu` as a reader would: a VM of one initialised vCPU.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path

import pytest

import kvmemu
from kvmemu import constants, state

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("README.md"), *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
ELSEWHERE = {"trace-format.md"}  # its example is of the tests' oracle, which boots a Linux
OUTPUT = re.compile(r"^ *print\(.*\)\n((?:# .*\n)+)", re.M)  # comments at the margin, below a print
ERROR = re.compile(r"^ *# (\w+Error): (.*)$", re.M)


def examples() -> list[object]:
    return [
        pytest.param(code, id=f"{page.name}-{number}")
        for page in PAGES
        if page.name not in ELSEWHERE
        for number, code in enumerate(BLOCK.findall(page.read_text()))
    ]


@pytest.mark.parametrize("code", examples())
def test_example(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ast.parse(code)
    printed = io.StringIO()
    with kvmemu.System("gicv3-max") as system, system.create_vm() as vm:
        vcpu = vm.create_vcpu()
        vcpu.init()
        names: dict[str, object] = {"kvmemu": kvmemu, "kvm": constants, "state": state}
        names |= {"system": system, "vm": vm, "vcpu": vcpu}
        error = ERROR.search(code)
        expected = (
            pytest.raises(kvmemu.KvmError, match=re.escape(error.group(2)))
            if error
            else contextlib.nullcontext()
        )
        with contextlib.redirect_stdout(printed), expected:
            exec(compile(code, "example", "exec"), names)
    for block in OUTPUT.findall(code):
        assert block.replace("# ", "") in printed.getvalue()
