# SPDX-License-Identifier: MIT
"""The demonstration's workload: interrupts before, during and after a move."""

from __future__ import annotations

import pytest

from kvmemu import demo_guest


@pytest.mark.parametrize(
    "host", ["gicv3-max", "gicv3-neoverse-n1", "gicv2-cortex-a72", "gicv3-gicv2-compat"]
)
def test_no_interrupt_is_lost_by_the_move(host: str) -> None:
    workload = demo_guest.run(host)
    assert workload.right
    assert dict(workload.raised) == dict.fromkeys(demo_guest.DEVICES.values(), 200)
    assert len(workload.late) == workload.taken[demo_guest.VTIMER] == 200 * 1000 // 5000
    # It moved in the middle: one interrupt active, another one waiting.
    assert workload.active
    assert workload.pending
    assert 400 < workload.moved_after + workload.taken[40] < 700


def test_what_is_lost_or_comes_twice_is_seen() -> None:
    workload = demo_guest.run()
    workload.taken[40] -= 1
    assert (workload.lost, workload.twice, workload.right) == (1, 0, False)
    workload.taken[40] += 2
    assert (workload.lost, workload.twice, workload.right) == (0, 1, False)
