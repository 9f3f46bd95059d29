# SPDX-License-Identifier: MIT
"""All scripts whose guests act, for make_scripts.py. Part of the tests."""

from __future__ import annotations

from conformance import guests_calls as calls
from conformance import guests_cpus as cpus
from conformance import guests_frames as frames
from conformance import guests_nested as nested
from conformance import guests_order as order
from conformance import guests_run as runs
from conformance import guests_state as state

# By names: functions of the GIC's version, and those of a single kind of machine.
GUESTS_OF_VERSION = {
    "order": order.order, "preemption": order.preemption, "masks": order.masks,
    "eoi-mode": order.eoi_mode, "ends": order.ends, "levels": state.levels,
    "writes": state.writes, "together": cpus.together, "moves": cpus.moves,
    "dist": frames.dist, "words": frames.words, "timers": runs.timers, "many": runs.many,
    "actives": nested.actives, "in-kernel": runs.in_kernel,
}  # fmt: skip
GUESTS = {
    "groups-v2": state.groups_v2, "groups-v3": state.groups_v3, "sgis-v2": cpus.sgis_v2,
    "sgis-v3": cpus.sgis_v3, "redist": frames.redist, "cpuif-v2": frames.cpuif_v2,
    "sysregs-v2": frames.sysregs_v2, "sysregs-v3": frames.sysregs,
    "timers-without": runs.timers_without, "psci": calls.psci,
    "psci-versions": calls.psci_versions, "smccc": calls.smccc, "leaving": runs.leaving,
    "mixed-v2": nested.mixed_v2, "mixed-v3": nested.mixed_v3,
    "preempting-v3": nested.preempting_v3,
}  # fmt: skip


def guest_scripts() -> dict[str, list[str]]:
    """Lines by name."""
    scripts = {
        f"guest-{name}-v{version}": make(version)
        for name, make in GUESTS_OF_VERSION.items()
        for version in (2, 3)
    }
    return scripts | {f"guest-{name}": make() for name, make in GUESTS.items()}
