# SPDX-License-Identifier: MIT
"""The C interface: builds and runs the C test programs, and the fuzzer for a while.

As the compiler makes them in every test run; under sanitizers, and with clang, in the conformance
run. Belongs to no layer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FUZZ = HERE.parent / "fuzz"
PROGRAMS = sorted(path.stem for path in HERE.glob("test_*.c"))
VARIANTS = [
    pytest.param("cc", "address,undefined", id="cc-address-undefined"),
    pytest.param("cc", "thread", id="cc-thread"),
    pytest.param("clang", "", id="clang"),
    pytest.param("clang", "address,undefined", id="clang-address-undefined"),
    pytest.param("clang", "thread", id="clang-thread"),
]
CALLS = 200_000
LIBFUZZER_SECONDS = 20


def make(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs make there, not as part of a make that runs this test."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    return subprocess.run(
        ["make", "-s", "-C", str(directory), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        errors="replace",
    )


def must_make(directory: Path, *arguments: str) -> str:
    done = make(directory, *arguments)
    assert done.returncode == 0, f"\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def needs(compiler: str, sanitizers: str, tmp_path: Path) -> None:
    """Skips the test where the compiler, or the library its sanitizers need, is missing."""
    if not shutil.which("make") or not shutil.which(compiler):
        pytest.skip(f"{compiler} and make are needed.")
    source, program = tmp_path / "empty.c", tmp_path / "empty"
    fuzz_target = "int LLVMFuzzerTestOneInput(const char *p, long n) { return !p + !n; }\n"
    source.write_text(fuzz_target if "fuzzer" in sanitizers else "int main(void) { return 0; }\n")
    flags = [f"-fsanitize={sanitizers}"] if sanitizers else []
    if subprocess.run(
        [compiler, *flags, "-o", program, source], capture_output=True, check=False
    ).returncode:
        pytest.skip(f"{compiler} has no runtime for -fsanitize={sanitizers}.")


@pytest.fixture(scope="session")
def native() -> None:
    if not shutil.which("make") or not shutil.which("cc"):
        pytest.skip("cc and make are needed.")
    must_make(HERE, "CC=cc", "SAN=", "build")


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("program", PROGRAMS)
def test_program(program: str) -> None:
    must_make(HERE, "CC=cc", "SAN=", f"run-{program}")


@pytest.mark.conformance
@pytest.mark.parametrize(("compiler", "sanitizers"), VARIANTS)
def test_all_programs_in_variant(compiler: str, sanitizers: str, tmp_path: Path) -> None:
    needs(compiler, sanitizers, tmp_path)
    must_make(HERE, f"CC={compiler}", f"SAN={sanitizers}", "check")


@pytest.mark.usefixtures("native")
def test_fuzz_without_sanitizers() -> None:
    must_make(FUZZ, "CC=cc", "SAN=", "CFLAGS=-O1 -g", f"CALLS={CALLS // 4}", "fuzz")


@pytest.mark.conformance
@pytest.mark.parametrize(("compiler", "sanitizers"), [VARIANTS[0], VARIANTS[1], VARIANTS[3]])
def test_fuzz_in_variant(compiler: str, sanitizers: str, tmp_path: Path) -> None:
    needs(compiler, sanitizers, tmp_path)
    must_make(FUZZ, f"CC={compiler}", f"SAN={sanitizers}", f"CALLS={CALLS}", "fuzz")


@pytest.mark.conformance
def test_fuzz_where_coverage_leads(tmp_path: Path) -> None:
    needs("clang", "fuzzer,address,undefined", tmp_path)
    must_make(FUZZ, f"SECONDS={LIBFUZZER_SECONDS}", "libfuzzer")
