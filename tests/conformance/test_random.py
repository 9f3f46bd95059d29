# SPDX-License-Identifier: MIT
"""Random sequences of calls are answered as a real Linux KVM/arm64 answers them, on each host.

Needs the oracle (tests/oracle/fetch.py). KVMEMU_RANDOM is how many sequences a host is asked, 300
if not set; KVMEMU_SEED is the first one's seed, else it is a new one each time. A sequence that is
answered otherwise is made shorter, statement by statement, and kept as found/HOST-HASH.trace with
Linux's answers; from then on test_conformance.py replays it.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Sequence

import pytest

from conformance import generator, recordings
from conformance.backend import Backend
from conformance.generator.writer import ALARM_MS, STOP_MS
from kvmemu import constants
from kvmemu.trace.parse import parse
from kvmemu.trace.replay import differences
from oracle.hosts import HOSTS
from oracle.linux import Linux, OracleError, is_available

HEAD_LINES = 2  # the format's version, and the host
UNANSWERED_MAX = 3  # sequences that Linux may not answer, as when a signal comes too early
PARSED = 20  # sequences that are looked at without Linux
PATIENCE = (1, 4, 16)  # a difference has to be seen with alarms that are so many times later
ALARM = re.compile(rf"(?m)^alarm {ALARM_MS}$")
STOP = re.compile(rf"(?m)^(stop \w+) {STOP_MS}$")
EXAMPLES = int(os.environ.get("KVMEMU_RANDOM", "300"))
FIRST_SEED = int(os.environ.get("KVMEMU_SEED") or time.time_ns() // 1_000_000)


class Mismatch(AssertionError):
    """Linux and kvmemu answered a sequence differently."""


class Machine:
    """A Linux that is booted again where a sequence has brought it down."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.linux = Linux(host)

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.linux.close()

    def boot_again(self) -> None:
        """Begin anew."""
        self.linux.close()
        self.linux = Linux(self._host)


def keep(host: str, trace: str) -> str:
    """Write a trace to found/, named after its host and what it says."""
    recordings.FOUND.mkdir(exist_ok=True)
    name = f"{host}-{hashlib.sha256(trace.encode()).hexdigest()[:12]}.trace"
    (recordings.FOUND / name).write_text(trace)
    return name


def shorten(linux: Linux, text: str) -> str:
    """Leave out what a mismatch does not need, in ever smaller pieces.

    Returns:
        The trace of the shortest script found, with Linux's answers.
    """
    lines = text.splitlines()
    trace = ""
    piece = len(lines)
    while piece:
        at = HEAD_LINES
        while at < len(lines):
            fewer = lines[:at] + lines[at + piece :]
            try:
                compare(linux, "\n".join(fewer) + "\n", PATIENCE[1:2])
            except Mismatch as mismatch:
                lines, trace = fewer, mismatch.args[1]
                continue
            except OracleError:  # a name that nothing binds any more, as a rule
                pass
            at += piece
        piece //= 2
    return trace


def compare(linux: Linux, text: str, patience: Sequence[int] = PATIENCE) -> str:
    """Have Linux answer a script, then kvmemu; and again where they differ.

    A difference that does not come again is one of time: on a busy machine an alarm may come before
    what it was to come after. So it comes later each time.

    Returns:
        The trace that Linux answered.

    Raises:
        Mismatch: kvmemu answered otherwise; its arguments are the differences and the trace.
    """
    for times in patience:
        slower = ALARM.sub(f"alarm {ALARM_MS * times}", text)
        trace = linux.run(STOP.sub(rf"\1 {STOP_MS * times}", slower))
        script = parse(trace, constants.ALL)
        found = list(differences(script, Backend(linux.host)))
        if not found:
            return trace
    raise Mismatch("\n".join(map(str, found)), trace)


@pytest.mark.parametrize("host", list(HOSTS))
def test_sequences_are_scripts_and_the_same_for_the_same_seed(host: str) -> None:
    ids = generator.listed(host)
    for seed in range(PARSED):
        text = generator.script(host, ids, seed)
        assert parse(text, constants.ALL).statements
        assert text == generator.script(host, ids, seed)


@pytest.mark.conformance
@pytest.mark.skipif(not is_available(), reason="the oracle's packages are not installed")
@pytest.mark.parametrize("host", list(HOSTS))
def test_random_sequences(host: str) -> None:
    ids = generator.listed(host)
    unanswered: list[str] = []
    with Machine(host) as machine:
        for seed in range(FIRST_SEED, FIRST_SEED + EXAMPLES):
            text = generator.script(host, ids, seed)
            try:
                compare(machine.linux, text)
            except Mismatch as mismatch:
                kept = keep(host, shorten(machine.linux, text) or mismatch.args[1])
                pytest.fail(f"seed {seed}, kept as {kept}\n{mismatch.args[0]}")
            except OracleError as error:
                unanswered.append(f"seed {seed}: {error}\n{text}")
                assert len(unanswered) <= UNANSWERED_MAX, unanswered
                machine.boot_again()
