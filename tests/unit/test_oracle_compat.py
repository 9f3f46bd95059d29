# SPDX-License-Identifier: MIT
"""What the oracle changes for a GICv3 machine with GICv2 compatibility; see oracle/compat.py."""

from __future__ import annotations

import struct

import pytest

from oracle.compat import GICC, GICH, GICV, CompatError, with_clear_sre, with_gicv

NOP = 0xD503201F
CLEAR_SRE, ISB, READ_SRE_X0, READ_SRE_X3 = 0xD518CCBF, 0xD5033FDF, 0xD538CCA0, 0xD538CCA3
ZERO_X0, ZERO_X3 = 0xD2800000, 0xD2800003


def code(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


def test_sre_reads_as_zero_where_it_was_just_cleared() -> None:
    before = (READ_SRE_X0, NOP, CLEAR_SRE, ISB, NOP)  # a read before, and a clearing nobody checks
    image = code(*before, CLEAR_SRE, ISB, READ_SRE_X0, NOP, CLEAR_SRE, ISB, READ_SRE_X3)
    want = code(*before, CLEAR_SRE, ISB, ZERO_X0, NOP, CLEAR_SRE, ISB, ZERO_X3)
    assert with_clear_sre(image) == want


@pytest.mark.parametrize("times", [0, 1, 3])
def test_another_kernel_is_refused(times: int) -> None:
    with pytest.raises(CompatError, match=f"in {times} places, not 2"):
        with_clear_sre(code(NOP, *(CLEAR_SRE, ISB, READ_SRE_X0) * times, NOP))


STRINGS = b"reg\0model\0"
REG, MODEL = 0, 4
FRAMES = struct.pack(">4Q", 0x8000000, 0x10000, 0x80A0000, 0xF60000)


def begin(name: bytes) -> bytes:
    return struct.pack(">I", 1) + name + bytes(4 - len(name) % 4)


def prop(name: int, value: bytes) -> bytes:
    return struct.pack(">3I", 3, len(value), name) + value + bytes(-len(value) % 4)


def tree(gic_frames: bytes, magic: int = 0xD00DFEED) -> bytes:
    """A device tree of a GIC with an ITS below it, and a UART; room for more behind."""
    end = struct.pack(">I", 2)
    nodes = (
        begin(b"") + prop(MODEL, b"virt\0")
        + begin(b"intc@8000000") + prop(REG, gic_frames)
        + begin(b"its@8080000") + prop(REG, bytes(16)) + end + prop(MODEL, b"gic\0") + end
        + struct.pack(">I", 4)
        + begin(b"pl011@9000000") + prop(REG, bytes(16)) + end + end
        + struct.pack(">I", 9)
    )  # fmt: skip
    reserved = 40
    at = reserved + 16
    strings = at + len(nodes)
    size = strings + len(STRINGS)
    header = (magic, size + 100, at, strings, reserved, 17, 16, 0, len(STRINGS), len(nodes))
    return struct.pack(">10I", *header) + bytes(16) + nodes + STRINGS + bytes(100)


def test_the_gic_gets_the_frames_of_a_gicv2() -> None:
    more = struct.pack(">6Q", *GICC, *GICH, *GICV)
    want = tree(FRAMES + more)
    got = with_gicv(tree(FRAMES))
    assert struct.unpack_from(">I", got, 4) == (len(got),)
    assert got[8:] == want[8:-100]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        pytest.param(tree(FRAMES, 0xDEADBEEF), "does not begin as one", id="magic"),
        pytest.param(tree(FRAMES * 2), r"take \[64\] bytes", id="other-frames"),
        pytest.param(tree(FRAMES).replace(b"intc", b"gicc"), r"take \[\] bytes", id="no-gic"),
    ],
)
def test_another_device_tree_is_refused(bad: bytes, why: str) -> None:
    with pytest.raises(CompatError, match=why):
        with_gicv(bad)
