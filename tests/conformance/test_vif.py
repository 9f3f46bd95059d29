# SPDX-License-Identifier: MIT
"""The virtual CPU interface beside QEMU's: that what was recorded is what QEMU does.

tests/c/test_vif_recorded.c compares kvmemu with the recording.
"""

from __future__ import annotations

import pytest

from oracle import fetch
from oracle.record_vif import MACHINES, RECORDED, record


@pytest.mark.conformance
@pytest.mark.parametrize("gic", MACHINES)
def test_the_recording_is_what_qemu_does(gic: int) -> None:
    fetch.require()
    assert record(gic) == (RECORDED / f"vif-gicv{gic}.txt").read_text()
