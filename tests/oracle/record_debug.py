# SPDX-License-Identifier: MIT
"""Records what user space sees of a guest that is stepped: tests/unit/guest_debug/HOST.txt.

Part of the tests; `python -m oracle.record_debug` in tests/.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from oracle.image import COMPILE
from oracle.linux import Linux

HERE = Path(__file__).resolve().parent
RECORDED = HERE.parent / "unit" / "guest_debug"
HOSTS = ("gicv3-max", "gicv3-neoverse-n1")  # with VHE and without it


def main() -> None:
    """Ask, and write the files."""
    RECORDED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "guest_debug"
        subprocess.run([*COMPILE, "-o", program, HERE / "guest_debug.c"], check=True)
        for host in HOSTS:
            with Linux(host) as linux:
                (RECORDED / f"{host}.txt").write_text(linux.run_program(program).output)


if __name__ == "__main__":
    main()
