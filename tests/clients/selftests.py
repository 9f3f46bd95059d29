#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Linux's own KVM selftests as clients of the preload library. Part of the tests.

    selftests.py build                unpacks and builds them for arm64, in build/selftests
    selftests.py record [CASE...]     runs them on the oracle: selftests/HOST/CASE.txt
    selftests.py check [CASE...]      runs them on kvmemu and compares; exit 1 if anything differs
    selftests.py list                 what there is to run

The programs are those of Debian's package linux-source-6.1, unmodified.
"""

from __future__ import annotations

import argparse
import difflib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Run as a program, this file is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clients.selftests_cases import CASES, Case, normalised
from oracle.fetch import MissingError
from oracle.hosts import HOSTS
from oracle.linux import Linux, OracleError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/selftests"
GOLDEN = HERE / "selftests"
LIBRARY = ROOT / "build/aarch64-linux-gnu/libkvmemu-preload.so"

TARBALL = Path("/usr/src/linux-source-6.1.tar.xz")
KVM_DIR = "tools/testing/selftests/kvm"
# The kernel's headers_install and the selftests' Makefiles need these, and nothing else.
MEMBERS = (
    "Kbuild", "Kconfig", "Makefile", "arch/arm64", "include", "lib/rbtree.c", "scripts",
    "tools/arch", "tools/build", "tools/include", "tools/lib", "tools/scripts",
    "tools/testing/selftests/kselftest.h", "tools/testing/selftests/kselftest_harness.h",
    KVM_DIR, "tools/testing/selftests/lib.mk", "tools/testing/selftests/rseq",
)  # fmt: skip
ARM64 = ("ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-")
# vgic_init.c wants the kernel's linux/bitfield.h, which no path of its Makefile leads to.
# dirty_log_test.c in Debian's 6.1.192 uses a macro by the name that later kernels give it.
EXTRA_CFLAGS = "-DTEST_ASSERT_EQ=ASSERT_EQ -idirafter {source}/include"
KINDS = {"static": "-static", "dynamic": ""}

SYSROOT = "/usr/aarch64-linux-gnu"
# get-reg-list puts names together in memory that it takes to be zero; so it is with this.
TUNABLES = "GLIBC_TUNABLES=glibc.malloc.perturb=255:glibc.malloc.tcache_count=0"
LINUX_LIMIT_S = 400.0  # rseq_test takes the oracle two to four minutes
KVMEMU_LIMIT_S = 60.0

# command or file that shows a package is there -> the package
PACKAGES = {
    str(TARBALL): "linux-source-6.1",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    f"{SYSROOT}/lib/libc.a": "libc6-dev-arm64-cross",
    "qemu-aarch64-static": "qemu-user-static",
    "gcc": "gcc",
    "make": "make",
    "rsync": "rsync",
    "xz": "xz-utils",
}


class UsageError(Exception):
    """The command line names something that there is not; the message says what."""


class BuildError(Exception):
    """The selftests could not be built; the message holds what make said last."""


# ---- building ----


def require() -> None:
    """See that building and running them is possible.

    Raises:
        MissingError: packages are missing; the message names them.
    """

    def is_there(evidence: str) -> bool:
        return Path(evidence).exists() if "/" in evidence else shutil.which(evidence) is not None

    missing = [package for evidence, package in PACKAGES.items() if not is_there(evidence)]
    if missing:
        raise MissingError(
            f"Linux's KVM selftests need Debian's {', '.join(missing)} "
            f"(apt-get install --no-install-recommends {' '.join(missing)})."
        )


def _run(*command: str, may_fail: bool = False) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode and not may_fail:
        last = "\n".join(done.stdout.splitlines()[-15:])
        raise BuildError(f"{' '.join(command[:6])} ... failed:\n{last}")
    return done.stdout


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from building in the same folder at the same time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack(source: Path) -> None:
    source.mkdir(parents=True)
    top = TARBALL.name.removesuffix(".tar.xz")
    members = [f"{top}/{member}" for member in MEMBERS]
    _run(
        "tar", "-xJf", str(TARBALL), "-C", str(source), "--strip-components=1",
        "--exclude=*/arch/arm64/boot/dts", *members,
    )  # fmt: skip
    _run("make", "-s", "-C", str(source), *ARM64, "headers_install")


def build(folder: Path = BUILD) -> Path:
    """Build the selftests for arm64, unless these ones are there already.

    Returns:
        The folder: `dynamic/` for the preload library, `static/` for the oracle, and `source/`.

    Raises:
        MissingError: a package is not installed.
        BuildError: tar or make failed, or a program that a case needs was not built.
    """
    require()
    state = TARBALL.stat()
    recipe = f"{state.st_size} {state.st_mtime_ns} {MEMBERS} {EXTRA_CFLAGS} {KINDS}\n"
    stamp, source = folder / "built", folder / "source"
    with _alone(folder):
        if stamp.exists() and stamp.read_text() == recipe:
            return folder
        if folder.exists():
            shutil.rmtree(folder)
        _unpack(source)
        said = ""
        for kind, flags in KINDS.items():
            cflags = f"{EXTRA_CFLAGS.format(source=source)} {flags}"
            (folder / kind).mkdir()
            # A later package may break a program; that matters if a case runs it.
            said += _run(
                "make", "-k", "-j2", "-C", str(source / KVM_DIR), *ARM64,
                f"OUTPUT={folder / kind}", f"EXTRA_CFLAGS={cflags}", may_fail=True,
            )  # fmt: skip
        wanted = {folder / kind / case.program for kind in KINDS for case in CASES}
        if lost := sorted(str(path) for path in wanted if not path.exists()):
            errors = [line for line in said.splitlines() if "rror" in line]
            raise BuildError("\n".join([f"Not built: {', '.join(lost)}", *errors[:15]]))
        stamp.write_text(recipe)
    return folder


def programs_in_makefile(folder: Path = BUILD) -> list[str]:
    """The programs that the selftests' Makefile lists for arm64."""
    makefile = (folder / "source" / KVM_DIR / "Makefile").read_text()
    return re.findall(r"^TEST_GEN_PROGS_aarch64 \+?= *(\S+)$", makefile, re.MULTILINE)


# ---- running ----


def not_built(library: Path) -> str:
    """The sentence for a preload library that is not there; without it, programs meet real KVM."""
    return f"{library} is not built: `make preload CROSS_COMPILE=aarch64-linux-gnu-` does that."


@dataclass(frozen=True)
class Run:
    """How a case ended: its golden file's text, and how long it took."""

    text: str
    seconds: float


def _as_text(case: Case, output: str, end: str) -> str:
    """A golden file: the command, the normalised output, and how it ended."""
    output = normalised(case, output)
    if output and not output.endswith("\n"):
        output += "\n"
    return f"$ {' '.join([f'./{Path(case.program).name}', *case.args])}\n{output}{end}\n"


def _compile_carrier(to: Path) -> bytes:
    source = str(HERE / "run_here.c")
    _run("aarch64-linux-gnu-gcc", "-std=gnu11", "-O2", "-Wall", "-static", "-o", str(to), source)
    return to.read_bytes()


def run_on_linux(
    host: str, cases: Sequence[Case], folder: Path = BUILD
) -> Iterator[tuple[Case, Run]]:
    """Run cases on the real Linux, one boot for all as long as it stays well.

    Raises:
        MissingError: what the oracle needs is not installed.
        OracleError: the machine died.
    """
    with tempfile.TemporaryDirectory() as work:
        carrier = _compile_carrier(Path(work) / "run_here")
        carried = Path(work) / "carried"
        linux = Linux(host)
        try:
            for case in cases:
                program = (folder / "static" / case.program).read_bytes()
                carried.write_bytes(carrier + program + len(program).to_bytes(8, "little"))
                name = Path(case.program).name
                start = time.monotonic()
                result = linux.run_program(carried, (name, TUNABLES, *case.args), LINUX_LIMIT_S)
                seconds = time.monotonic() - start
                end = "hang" if result.ended == "hang" else f"{result.ended} {result.exit}"
                yield case, Run(_as_text(case, result.output, end), seconds)
        finally:
            linux.close()


def run_on_kvmemu(host: str, case: Case, library: Path = LIBRARY, folder: Path = BUILD) -> Run:
    """Run a case under the preload library, in qemu-user."""
    program = folder / "dynamic" / case.program
    command = [
        "qemu-aarch64-static", "-L", SYSROOT, "-E", f"LD_PRELOAD={library.resolve()}",
        "-E", f"KVMEMU_HOST={host}", "-E", TUNABLES, f"./{program.name}", *case.args,
    ]  # fmt: skip
    start = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=program.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as running:
        try:
            output, _ = running.communicate(timeout=KVMEMU_LIMIT_S)
            code = running.returncode
            end = f"exit {code}" if code >= 0 else f"signal {-code}"
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            output, _ = running.communicate()
            end = "hang"
    return Run(_as_text(case, output.decode(errors="replace"), end), time.monotonic() - start)


# ---- golden files ----


def golden_path(host: str, case: Case) -> Path:
    """Where the real Linux's answer is kept."""
    return GOLDEN / host / f"{case.name}.txt"


def difference(host: str, case: Case, run: Run, who: str) -> str:
    """What differs from the golden file, as a unified diff; empty if nothing does."""
    path = golden_path(host, case)
    before = path.read_text() if path.exists() else ""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        run.text.splitlines(keepends=True),
        f"{path.relative_to(ROOT)} (Linux)",
        f"{case.name} on {host} ({who})",
    )
    return "".join(lines)


def _record(host: str, cases: Sequence[Case], only_check: bool) -> bool:
    good = True
    for case, run in run_on_linux(host, cases):
        path = golden_path(host, case)
        diff = difference(host, case, run, "Linux now")
        word = "differs" if diff and only_check else "changed" if diff else "same"
        end = run.text.splitlines()[-1]
        print(f"{host} {case.name}: {end}, {word}, {run.seconds:.1f} s", flush=True)
        if diff and only_check:
            print(diff)
            good = False
        elif diff:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(run.text)
    return good


def _check(host: str, cases: Sequence[Case], library: Path, with_guests: bool) -> bool:
    good = True
    for case in cases:
        if case.needs_guest(host) and not with_guests:
            print(f"{host} {case.name}: left out, executes guest code")
            continue
        run = run_on_kvmemu(host, case, library)
        diff = difference(host, case, run, "kvmemu")
        word = "different" if diff else "same"
        print(f"{host} {case.name}: {word}, {run.seconds:.1f} s", flush=True)
        if diff:
            print(diff)
            good = False
    return good


# ---- the command line ----


def _list() -> None:
    for case in CASES:
        where = "" if set(case.executes_guest) >= set(HOSTS) else " on some hosts"
        note = f"  (executes guest code{where})" if case.executes_guest else ""
        print(f"{case.name}: {' '.join([case.program, *case.args])}{note}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Linux's KVM selftests as clients of kvmemu.")
    jobs = parser.add_subparsers(dest="job", required=True)
    jobs.add_parser("list", help="print the cases")
    jobs.add_parser("build", help="build the programs")
    record = jobs.add_parser("record", help="write golden files from the real Linux")
    record.add_argument("--check", action="store_true", help="write nothing, print what differs")
    check = jobs.add_parser("check", help="compare kvmemu with the golden files")
    check.add_argument("--lib", type=Path, default=LIBRARY, help="the arm64 preload library")
    check.add_argument("--guests", action="store_true", help="also cases that execute guest code")
    for job in (record, check):
        job.add_argument("--host", action="append", choices=list(HOSTS), help="only this host")
        job.add_argument("cases", nargs="*", metavar="CASE")
    return parser.parse_args()


def _chosen(names: Sequence[str], host: str) -> list[Case]:
    """The cases of these names (all if none are given) that have a golden file on a host."""
    return [c for c in CASES if (not names or c.name in names) and host in c.hosts]


def _do(args: argparse.Namespace) -> bool:
    if args.job == "list":
        _list()
        return True
    build()
    if args.job == "build":
        return True
    if unknown := set(args.cases) - {case.name for case in CASES}:
        raise UsageError(f"No case is called {', '.join(sorted(unknown))}; see `list`.")
    if args.job == "check" and not args.lib.exists():
        raise MissingError(not_built(args.lib))
    good = True
    for host in args.host or HOSTS:
        cases = _chosen(args.cases, host)
        if args.job == "record":
            good &= _record(host, cases, args.check)
        else:
            good &= _check(host, cases, args.lib, args.guests)
    return good


def main() -> int:
    """Do what the command line names."""
    try:
        return 0 if _do(_arguments()) else 1
    except (UsageError, MissingError, BuildError, OracleError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
