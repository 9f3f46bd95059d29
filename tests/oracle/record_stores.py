# SPDX-License-Identifier: MIT
"""Records what becomes of a guest's stores on a real Linux: tests/unit/guest_stores.txt.

Part of the tests; `python -m oracle.record_stores` in tests/.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from oracle.image import COMPILE
from oracle.linux import Linux

HERE = Path(__file__).resolve().parent
RECORDED = HERE.parent / "unit" / "guest_stores.txt"
HOST = "gicv3-max"


def main() -> None:
    """Ask, and write the file."""
    with tempfile.TemporaryDirectory() as folder, Linux(HOST) as linux:
        program = Path(folder) / "guest_stores"
        subprocess.run([*COMPILE, "-o", program, HERE / "guest_stores.c"], check=True)
        RECORDED.write_text(linux.run_program(program).output)


if __name__ == "__main__":
    main()
