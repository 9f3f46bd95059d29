# SPDX-License-Identifier: MIT
"""Every call that was recorded on a real Linux KVM/arm64 has the same answer here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance import make_scripts, recordings
from conformance.backend import Backend
from kvmemu import constants
from kvmemu.trace.parse import parse
from kvmemu.trace.replay import differences
from kvmemu.trace.statements import TraceError
from oracle.hosts import HOSTS

# Scripts about what kvmemu does not have yet, by name.
NOT_YET = {
    "device-its": "the ITS device",
}
SHOWN = 5

RECORDINGS = [path for path in recordings.recordings() if path.stem not in NOT_YET]


def _id(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", RECORDINGS, ids=_id)
def test_answers_as_linux_did(path: Path) -> None:
    script = parse(path.read_text(), constants.ALL)
    found = list(differences(script, Backend(recordings.host_of(path))))
    shown = "\n".join(map(str, found[:SHOWN]))
    assert not found, f"{len(found)} differences in {path}\n{shown}"


@pytest.mark.parametrize("name", NOT_YET)
def test_what_is_not_yet_answered_is_still_answered_otherwise(name: str) -> None:
    """One that is answered as Linux did, on each of its hosts, is to be taken off NOT_YET."""

    def differs(path: Path) -> bool:
        script = parse(path.read_text(), constants.ALL)
        try:
            return any(differences(script, Backend(recordings.host_of(path))))
        except TraceError:
            return True

    assert any(differs(path) for path in recordings.recordings() if path.stem == name)


def test_every_script_is_recorded_on_each_of_its_hosts() -> None:
    missing = [_id(path) for path in recordings.expected() if not path.exists()]
    assert not missing


def test_no_recording_without_its_script() -> None:
    known = set(recordings.expected())
    kept = [path for path in recordings.recordings() if path.parent != recordings.FOUND]
    assert [_id(path) for path in kept if path not in known] == []


def _statements(text: str) -> str:
    """A script or recording without answers, comments and its host line."""
    text = re.sub(r"(?m)#.*$", "", text)
    text = re.sub(r"(?m)^host .*$", "", text)
    text = re.sub(r"(?ms)^= .*?(?=^\S|\Z)", "", text)
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("path", recordings.scripts(), ids=lambda path: path.stem)
def test_recordings_are_of_the_script_as_it_is(path: Path) -> None:
    script = _statements(path.read_text())
    stale = [
        _id(recorded)
        for recorded in recordings.expected()
        if recorded.name == path.name and _statements(recorded.read_text()) != script
    ]
    assert not stale


def test_made_scripts_are_as_their_maker_writes_them() -> None:
    assert make_scripts.stale() == []


def test_enough_is_recorded() -> None:
    assert sum(map(recordings.calls, recordings.recordings())) >= 2000
    assert (
        min(
            sum(recordings.calls(path) for path in (recordings.HERE / host).glob("*.trace"))
            for host in HOSTS
        )
        >= 2000
    )


def test_the_document_has_the_numbers() -> None:
    assert recordings.table() in recordings.DOCUMENT.read_text(), "run recordings.py --write"
