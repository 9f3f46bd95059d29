#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs that know nothing of kvmemu, served by the preload library. Part of the tests.

    preload.py record       asks the oracle: preload/*.txt, and whether the other programs pass

The programs are preload_*.c. What they expect is what Linux does: linked statically, they run on
the oracle's machine as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Run as a program, this file is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oracle.linux import Linux

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GOLDEN = HERE / "preload"
ORACLE_HOST = "gicv3-max"

# What preload_files.c prints about, a golden file each.
SUBJECTS = ("system", "vm", "vcpu", "device", "vm-stats", "vcpu-stats", "open", "path")
# Programs that check by themselves.
CHECKERS = (
    "preload_life", "preload_fork", "preload_signals", "preload_masks", "preload_threads",
)  # fmt: skip

CFLAGS = ("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread")
LIMIT_S = 120.0
CROSS = "aarch64-linux-gnu-"
SYSROOT = "/usr/aarch64-linux-gnu"


@dataclass(frozen=True)
class Target:
    """A kind of machine to run programs on, and how.

    Attributes:
        cross_compile: prefix of the compiler, as CROSS_COMPILE of the Makefile.
        library: where `make preload` leaves the library.
        emulator: what runs a program, before its name; options for its environment are added.
    """

    cross_compile: str
    library: Path
    emulator: tuple[str, ...] = ()

    @property
    def compiler(self) -> str:
        """The C compiler."""
        return f"{self.cross_compile}gcc" if self.cross_compile else "cc"

    def missing(self) -> list[str]:
        """The commands this target needs that are not there."""
        needed = (self.compiler, "make", *self.emulator[:1])
        return [command for command in needed if not shutil.which(command)]

    def make_library(self) -> None:
        """Bring the library up to date.

        Raises:
            subprocess.CalledProcessError: it does not build.
        """
        subprocess.run(
            ["make", "-s", "-C", str(ROOT), "preload", f"CROSS_COMPILE={self.cross_compile}"],
            check=True,
            capture_output=True,
            text=True,
        )

    def run(
        self, program: Path, *args: str, preload: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program with the library, or without.

        Args:
            program: built with compile().
            args: its arguments.
            preload: whether to load the library.
            environment: variables for the program; KVMEMU_HOST is unset unless it is given.
        """
        variables = {"LD_PRELOAD": str(self.library)} if preload else {}
        variables |= environment
        command = [str(program), *args]
        inherited = {k: v for k, v in os.environ.items() if k != "KVMEMU_HOST"}
        if self.emulator:
            options = [word for k, v in variables.items() for word in ("-E", f"{k}={v}")]
            command = [*self.emulator, *options, *command]
        else:
            inherited |= variables
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            env=inherited,
            check=False,
        )


NATIVE = Target("", ROOT / "build/native/libkvmemu-preload.so")
AARCH64 = Target(
    CROSS,
    ROOT / "build/aarch64-linux-gnu/libkvmemu-preload.so",
    ("qemu-aarch64-static", "-L", SYSROOT),
)


def compile_program(compiler: str, name: str, folder: Path, *flags: str) -> Path:
    """Build NAME.c in a folder and return the program.

    Raises:
        subprocess.CalledProcessError: it does not build.
    """
    program = folder / name
    subprocess.run(
        [
            compiler, *CFLAGS, f"-I{ROOT / 'include'}", *flags,
            "-o", str(program), str(HERE / f"{name}.c"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )  # fmt: skip
    return program


def golden(subject: str) -> str:
    """What Linux says about a subject."""
    return (GOLDEN / f"{subject}.txt").read_text()


def ask_linux(linux: Linux, folder: Path) -> dict[str, str]:
    """What the oracle says about each subject.

    Raises:
        RuntimeError: the program failed.
    """
    program = compile_program(f"{CROSS}gcc", "preload_files", folder, "-static")
    answers: dict[str, str] = {}
    for subject in SUBJECTS:
        result = linux.run_program(program, [subject])
        if result.exit or result.ended != "exit":
            raise RuntimeError(f"preload_files {subject}: {result}")
        answers[subject] = result.output
    return answers


def check_on_linux(linux: Linux, folder: Path) -> dict[str, str]:
    """What the checking programs complain of on the oracle: those that do, and their output."""
    wrong: dict[str, str] = {}
    for name in CHECKERS:
        result = linux.run_program(compile_program(f"{CROSS}gcc", name, folder, "-static"))
        if result.exit or result.ended != "exit" or result.output:
            wrong[name] = f"{result.ended} {result.exit}: {result.output}"
    return wrong


def main(args: Sequence[str]) -> int:
    """The command line."""
    if list(args) != ["record"]:
        print(__doc__)
        return 2
    folder = ROOT / "build/preload-programs"
    folder.mkdir(parents=True, exist_ok=True)
    GOLDEN.mkdir(exist_ok=True)
    with Linux(ORACLE_HOST) as linux:
        for subject, answer in ask_linux(linux, folder).items():
            (GOLDEN / f"{subject}.txt").write_text(answer)
        wrong = check_on_linux(linux, folder)
    for name, output in wrong.items():
        print(f"{name}: {output}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
