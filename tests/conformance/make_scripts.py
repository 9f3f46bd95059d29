# SPDX-License-Identifier: MIT
"""Makes the conformance scripts that go through many registers or ids in the same way.

    make_scripts.py            writes them to tests/conformance/scripts
    make_scripts.py --check    writes nothing; exit 1 if a script is not as this would write it

Part of the tests. The scripts that ask about order and state are written by hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# Run as a program, this file is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conformance import sweep_gic, sweep_gic_addr, sweep_gic_devices, sweep_vfs
from conformance import sweep_gic_busy as busy
from conformance import sweep_gic_inject as inject
from conformance import sweep_gic_orders as orders
from conformance import sweep_registers as regs
from conformance import sweep_states as states
from conformance.guests_all import guest_scripts
from conformance.sweep import FEATURE_SETS

SCRIPTS = Path(__file__).parent / "scripts"


def _gic_scripts() -> dict[str, list[str]]:
    """Those about the interrupt controllers."""
    scripts = {
        "gicv3-dist": sweep_gic.v3_dist(),
        "gicv3-redist": sweep_gic.v3_redist(),
        "gicv3-tables": sweep_gic.v3_tables(),
        "gicv3-icc": sweep_gic.v3_icc(),
        "gicv3-addr": sweep_gic_addr.v3(),
        "gicv3-regions": sweep_gic_addr.v3_regions(),
        "gicv2-dist": sweep_gic.v2_dist(),
        "gicv2-cpu": sweep_gic.v2_cpu(),
        "gicv2-addr": sweep_gic_addr.v2(),
    }
    for version in (2, 3):
        scripts |= {
            f"gicv{version}-inject": inject.inject(version),
            f"gicv{version}-wake": inject.wake(version),
            f"gicv{version}-busy": busy.busy(version),
            f"gicv{version}-woken": busy.woken(version),
            f"gicv{version}-timers": sweep_gic_devices.timers(version),
            f"gicv{version}-pmu": sweep_gic_devices.pmu(version),
            f"gicv{version}-orders": orders.orders(version),
            f"gicv{version}-save-restore": orders.save_restore(version),
        }
    return scripts


def all_scripts() -> dict[str, str]:
    """Name and text of every script made here."""
    scripts = {f"registers-{name}": regs.reads(name) for name in FEATURE_SETS}
    scripts |= {
        "writes-core": regs.writes("plain", "core registers", regs.is_kind("core")),
        "writes-core-aarch32": regs.writes(
            "aarch32", "core registers of an AArch32 guest", regs.is_kind("core")
        ),
        "writes-core-sve": regs.writes(
            "sve", "core and SVE registers", regs.is_kind("core", "SVE")
        ),
        "writes-id": regs.writes(
            "all", "ID registers where all features are on", regs.sysreg(regs.is_id)
        ),
        "writes-id-plain": regs.writes("plain", "ID registers", regs.sysreg(regs.is_id)),
        "writes-debug": regs.writes("plain", "debug registers", regs.sysreg(regs.is_debug)),
        "writes-system": regs.writes("plain", "other system registers", regs.sysreg(regs.is_other)),
        "writes-system-aarch32": regs.writes(
            "aarch32", "system registers of an AArch32 guest", regs.sysreg(regs.is_other)
        ),
        "writes-pmu": regs.writes("pmu", "PMU registers", regs.sysreg(regs.is_pmu)),
        "writes-ptrauth": regs.writes(
            "ptrauth",
            "pointer authentication keys",
            regs.sysreg(lambda _, name: name.startswith("AP")),
        ),
        "ids-core": regs.core_offsets(),
        "ids-system": regs.encodings(),
        "ids-bits": regs.id_bits(),
        "ids-demux": regs.demux(),
        "firmware-values": regs.firmware(),
        "extensions": states.extensions(),
        "features": states.features(),
        "many-vcpus": states.many_vcpus(),
        "ipa-sizes": states.ipa_sizes(),
        "aborts": states.aborts64(),
        "aborts-aarch32": states.aborts32(),
        "hardware": states.hardware("pmu"),
        "hardware-aarch32": states.hardware("aarch32"),
        "hardware-sve": states.hardware("all"),
        "vfs-requests": sweep_vfs.vfs_requests(),
    }
    scripts |= _gic_scripts()
    scripts |= guest_scripts()
    return {name: "\n".join(lines) + "\n" for name, lines in scripts.items()}


def stale() -> list[str]:
    """Names of scripts that are not as this program would write them."""
    return [
        name
        for name, text in all_scripts().items()
        if not (SCRIPTS / f"{name}.trace").exists()
        or (SCRIPTS / f"{name}.trace").read_text() != text
    ]


def main() -> int:
    """Write the scripts, or check them."""
    parser = argparse.ArgumentParser(description="Make the sweeping conformance scripts.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if any differs")
    if parser.parse_args().check:
        for name in stale():
            print(f"{name} is not as make_scripts.py writes it")
        return 1 if stale() else 0
    for name, text in all_scripts().items():
        (SCRIPTS / f"{name}.trace").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
