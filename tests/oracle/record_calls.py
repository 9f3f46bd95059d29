# SPDX-License-Identifier: MIT
"""Records what a guest's HVC and SMC calls give on a real Linux: tests/unit/hypercalls/*.txt.

Part of the tests; `python -m oracle.record_calls [NAME...]` in tests/. NAME.txt is what the first
host answers, and all that have no NAME.HOST.txt: what differs from host to host is seen at once.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from oracle.call_scripts import SCRIPTS, scripts_of
from oracle.hosts import HOSTS
from oracle.image import COMPILE
from oracle.linux import Linux

HERE = Path(__file__).resolve().parent
RECORDED = HERE.parent / "unit" / "hypercalls"
LIMIT_S = 60.0


def record(linux: Linux, program: Path, name: str) -> str:
    """One script with Linux's answers."""
    result = linux.run_program(program, ["\n".join(SCRIPTS[name]()) + "\n"], LIMIT_S)
    if result.ended != "exit" or result.exit:
        tail = result.output[-1000:]
        raise SystemExit(f"{name} on {linux.host}: {result.ended} {result.exit}\n{tail}")
    return result.output


def keep(host: str, name: str, text: str) -> None:
    """Write what a host answered, if it is not what the first one did."""
    common, own = RECORDED / f"{name}.txt", RECORDED / f"{name}.{host}.txt"
    if host == next(iter(HOSTS)):
        common.write_text(text)
    elif text != common.read_text():
        own.write_text(text)
    else:
        own.unlink(missing_ok=True)


def main() -> None:
    """Ask, and write the files."""
    sources = [HERE / name for name in ("guest_calls.c", "guest_calls_run.c", "guest_calls_vm.c")]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "guest_calls"
        subprocess.run([*COMPILE, "-pthread", "-o", program, *sources], check=True)
        for host in HOSTS:
            with Linux(host) as linux:
                for name in scripts_of(host):
                    if not sys.argv[1:] or name in sys.argv[1:]:
                        keep(host, name, record(linux, program, name))


if __name__ == "__main__":
    main()
