# SPDX-License-Identifier: MIT
"""Records scripts on a real Linux KVM/arm64: the answers become part of the files.

    record.py TRACE...                         in place: each names its one host
    record.py -o tests/conformance SCRIPT...   to tests/conformance/HOST/NAME.trace
    record.py --check ...                   compares instead of writing; exit 1 if anything differs

Part of the tests. A script says `host any`, or which hosts it is for. `--host` picks among them.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError

# Run as a program, this file is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oracle.fetch import MissingError
from oracle.hosts import HOSTS
from oracle.linux import SCRIPT_LIMIT_S, Linux, OracleError

HOST_LINE = re.compile(r"^[ \t]*host[ \t]+([^#\n]*[^#\s])", re.MULTILINE)


class UsageError(Exception):
    """The scripts cannot be recorded as asked; the message says why."""


@dataclass(frozen=True)
class Job:
    """One script to record on one host."""

    source: Path
    target: Path
    host: str
    text: str


def script_hosts(path: Path, text: str) -> list[str]:
    """The hosts that a script's `host` line names.

    Raises:
        UsageError: no such line, or a host that hosts.py does not know.
    """
    line = HOST_LINE.search(text)
    if line is None:
        raise UsageError(f"{path}: a `host` line is missing")
    names = line[1].split()
    if names == ["any"]:
        return list(HOSTS)
    for name in names:
        if name not in HOSTS:
            raise UsageError(f"{path}: no host is called {name}; known: {', '.join(HOSTS)}")
    return names


def with_host(text: str, host: str) -> str:
    """The script with its `host` line naming one host."""
    return HOST_LINE.sub(f"host {host}", text, count=1)


def plan(scripts: list[Path], chosen: list[str], out_dir: Path | None) -> list[Job]:
    """What to record: every script on each of its hosts that was chosen.

    Raises:
        UsageError: a script has no such host, or has several and no folder to write to.
    """
    jobs = []
    for path in scripts:
        text = path.read_text()
        names = [name for name in script_hosts(path, text) if not chosen or name in chosen]
        if not names:
            raise UsageError(f"{path}: is not for {', '.join(chosen)}")
        if out_dir is None and (len(script_hosts(path, text)) > 1):
            raise UsageError(f"{path}: is for several hosts: say where to write with -o")
        for name in names:
            target = out_dir / name / f"{path.stem}.trace" if out_dir else path
            jobs.append(Job(path, target, name, with_host(text, name)))
    return jobs


def _finish(job: Job, trace: str, check: bool) -> bool:
    """Write a trace, or compare it with the one that is there. False: it differs."""
    before = job.target.read_text() if job.target.exists() else ""
    if before == trace:
        return True
    if check:
        sys.stdout.writelines(
            difflib.unified_diff(
                before.splitlines(keepends=True),
                trace.splitlines(keepends=True),
                f"{job.target} (recorded)",
                f"{job.target} (Linux now)",
            )
        )
        return False
    job.target.parent.mkdir(parents=True, exist_ok=True)
    job.target.write_text(trace)
    print(f"{job.target}: recorded", flush=True)
    return True


def record(jobs: list[Job], check: bool, limit_s: float) -> bool:
    """Record all jobs, one boot a host. False: something differs or was not answered."""
    good = True
    for host in dict.fromkeys(job.host for job in jobs):
        linux = Linux(host)
        for job in (job for job in jobs if job.host == host):
            try:
                trace = linux.run(job.text, str(job.source).replace("\n", " "), limit_s)
            except OracleError as error:
                good = False
                print(f"{error} (on {host})", file=sys.stderr)
                if error.status in ("dead", "hang"):
                    linux.close()
                    linux = Linux(host)
            else:
                good &= _finish(job, trace, check)
        linux.close()
    return good


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Record scripts in the trace format on a real Linux KVM/arm64 in QEMU."
    )
    parser.add_argument("scripts", nargs="+", type=Path, metavar="SCRIPT")
    parser.add_argument(
        "--host", action="append", default=[], choices=list(HOSTS), help="only on this host"
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="DIR", help="write DIR/HOST/NAME.trace, not in place"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; print what differs and exit 1"
    )
    parser.add_argument(
        "--limit", type=float, default=SCRIPT_LIMIT_S, metavar="S", help="seconds for one script"
    )
    return parser.parse_args()


def main() -> int:
    """Record what the command line names."""
    args = _arguments()
    try:
        jobs = plan(args.scripts, args.host, args.out)
        return 0 if record(jobs, args.check, args.limit) else 1
    except (UsageError, MissingError, OracleError, OSError, CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
