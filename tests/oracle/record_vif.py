# SPDX-License-Identifier: MIT
"""Records what QEMU's virtual CPU interface does: tests/c/recorded/vif-gicv2.txt and -gicv3.txt.

Part of the tests. Run as `python -m oracle.record_vif` from tests/. Unlike the rest of the oracle
this asks no Linux: vif/vif.c runs in EL2 without an operating system, and does to list registers
and ICC_* or GICV_* what tests/c/vif_script.h says.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from oracle.hosts import GICV2, GICV3

HERE = Path(__file__).resolve().parent
RECORDED = HERE.parent / "c" / "recorded"
MACHINES = {2: ("-M", GICV2, "-cpu", "cortex-a72"), 3: ("-M", GICV3, "-cpu", "max")}
COMPILE = (
    *("aarch64-linux-gnu-gcc", "-O1", "-Wall", "-Wextra", "-Werror"),
    *("-ffreestanding", "-nostdlib", "-static", "-fno-pic", "-fno-stack-protector"),
    *("-mgeneral-regs-only", "-mstrict-align", "-Wl,-Ttext=0x40080000", "-Wl,--build-id=none"),
)
LIMIT_S = 100.0


def record(gic: int) -> str:
    """What the program prints on a machine with this GIC: VTR, and a hash a round.

    Raises:
        subprocess.SubprocessError: it cannot be built or run, or does not end.
        ValueError: it met with an exception.
    """
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / "vif"
        sources = (HERE / "vif" / "start.S", HERE / "vif" / "vif.c")
        subprocess.run([*COMPILE, f"-DGIC={gic}", "-o", program, *sources], check=True)
        machine = ("-nographic", "-nic", "none", "-kernel", program)
        done = subprocess.run(
            ["qemu-system-aarch64", *MACHINES[gic], *machine],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=LIMIT_S,
        )
    text = done.stdout.decode().replace("\r", "")
    if "!" in text:
        raise ValueError(text)
    return text


def main() -> int:
    """Write both."""
    RECORDED.mkdir(exist_ok=True)
    for gic in MACHINES:
        (RECORDED / f"vif-gicv{gic}.txt").write_text(record(gic), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
