# SPDX-License-Identifier: MIT
"""The scripts of this folder and their recordings, and how many calls they are.

    recordings.py            prints the calls by subject and host
    recordings.py --write    puts them into docs/conformance.md

Part of the tests. scripts/NAME.trace are the scripts, HOST/NAME.trace what Linux answered, and
found/*.trace sequences that the random generator once found a difference with.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

# Run as a program, this file is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oracle.hosts import HOSTS
from oracle.record import script_hosts

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"
FOUND = HERE / "found"
DOCUMENT = HERE.parents[1] / "docs" / "conformance.md"

# what a script's name begins with: its subject. The first match counts.
SUBJECTS = {
    "Descriptors, capabilities, requests": (
        "closing", "enable-cap", "extensions", "system", "stats", "unknown-requests",
        "vfs-requests",
    ),
    "VMs and memory slots": ("vm-", "ipa-sizes", "memory-slots", "dirty-log"),
    "vCPUs: creation, initialisation": (
        "vcpu-create", "vcpu-ids", "vcpu-init", "many-vcpus", "features", "init-", "finalize",
        "mp-state", "guest-debug", "signal-mask",
    ),
    "Registers: lists, values, ids": ("reg-list", "registers-", "ids-", "bad-pointers"),
    "Registers: writes": ("writes-", "hardware", "pstate", "firmware-", "psci-"),
    "Timers": ("timers", "attr-timer", "run-timer"),
    "Events and exceptions": ("vcpu-events", "aborts"),
    "Attributes, PMU": ("attr-", "pmu-"),
    "KVM_RUN, interrupt lines": ("run-", "irq-line"),
    "Events, routing, MMIO in the kernel": (
        "bus-", "coalesced", "gsi-", "ioeventfd", "irqfd", "signal-msi",
    ),
    "Interrupt controllers: registers": (
        "gicv2-dist", "gicv2-cpu", "gicv3-dist", "gicv3-redist", "gicv3-tables", "gicv3-icc",
        "gicv2-save", "gicv3-save",
    ),
    "Interrupt controllers: calls, injection": ("gicv2-", "gicv3-"),
    "Other devices": ("device-",),
    "Guests that act": ("guest-",),
}  # fmt: skip
FOUND_SUBJECT = "Sequences found at random"
OTHER = "Other"


def scripts() -> list[Path]:
    """All scripts."""
    return sorted(SCRIPTS.glob("*.trace"))


def recordings() -> list[Path]:
    """All recordings: of scripts on each of their hosts, then found sequences."""
    traces = [path for host in HOSTS for path in sorted((HERE / host).glob("*.trace"))]
    return traces + sorted(FOUND.glob("*.trace"))


def host_of(recording: Path) -> str:
    """The host that a recording was made on."""
    hosts = script_hosts(recording, recording.read_text())
    assert len(hosts) == 1, recording
    return hosts[0]


def expected() -> list[Path]:
    """The recordings that there should be: each script on each of its hosts."""
    return [
        HERE / host / path.name
        for path in scripts()
        for host in script_hosts(path, path.read_text())
    ]


def calls(recording: Path) -> int:
    """The number of answers in a recording."""
    return sum(line.startswith("= ") for line in recording.read_text().splitlines())


def subject_of(recording: Path) -> str:
    """What a recording is about: one of SUBJECTS, or found sequences."""
    if recording.parent == FOUND:
        return FOUND_SUBJECT
    for subject, beginnings in SUBJECTS.items():
        if recording.name.startswith(beginnings):
            return subject
    return OTHER


def _row(name: str, numbers: list[int]) -> str:
    return f"| {name} | {' | '.join(f'{number:,}' for number in numbers)} |"


def table() -> str:
    """Calls by subject and host, in Markdown."""
    counts: Counter[tuple[str, str]] = Counter()
    for recording in recordings():
        counts[subject_of(recording), host_of(recording)] += calls(recording)
    lines = [f"| Calls about | {' | '.join(HOSTS)} |", "|---|" + "---:|" * len(HOSTS)]
    for subject in (*SUBJECTS, FOUND_SUBJECT, OTHER):
        numbers = [counts[subject, host] for host in HOSTS]
        if any(numbers):
            lines.append(_row(subject, numbers))
    lines.append(
        _row("Together", [sum(n for (_, at), n in counts.items() if at == host) for host in HOSTS])
    )
    return "\n".join(lines)


def write_table() -> None:
    """Replace the table in the document."""
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(re.sub(r"(?m)^\| Calls about (.*\n\|)*.*$", lambda _: table(), text))


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write_table()
    print(table())
    print(f"\n{len(scripts())} scripts, {sum(map(calls, recordings())):,} calls")
