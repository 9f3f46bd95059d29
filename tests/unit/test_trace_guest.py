# SPDX-License-Identifier: MIT
"""Statements of the trace format whose guests act: parsing, formatting, comparing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as hs

from kvmemu.trace import guest as g
from kvmemu.trace import statements as st
from kvmemu.trace.format import format_answer, format_script
from kvmemu.trace.parse import parse
from kvmemu.trace.replay import same_answers

CONSTANTS = {"KVM_A": 0x10}


def script(body: str) -> st.Script:
    return parse(f"kvmemu-trace 1\nopen v\nopen w\n{body}", CONSTANTS)


def guest(body: str) -> g.Guest:
    statement = script(f"guest {body}").statements[2]
    assert isinstance(statement, g.Guest)
    return statement


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param("x [ ]", "no statement above binds the name x", id="unknown-vcpu"),
        pytest.param("v [ fly ]", "no operation is called fly", id="unknown-operation"),
        pytest.param("v [ wfi wfi ]", "`;` or `]` is missing", id="no-separator"),
        pytest.param("v [ ; wfi ]", "no operation is called ;", id="empty-operation"),
        pytest.param("v [ [ ] ]", "an operation begins with a word", id="block"),
        pytest.param("v [ read ICC_NO_EL1 ]", "no system register is called ICC_NO_EL1", id="reg"),
        pytest.param("v [ read S1_0_C1_C0_0 ]", "no system register is", id="generic-no-register"),
        pytest.param("v [ read S3_0_C16_C0_0 ]", "no system register is", id="generic-too-large"),
        pytest.param("v [ load 8 3 ]", "a guest loads and stores 1, 2, 4 or 8", id="bytes"),
        pytest.param("v [ load 2 4 ]", "the address is not a multiple of 4", id="unaligned"),
        pytest.param("v [ store 4 4 0x100000000 ]", "0x100000000 does not fit u32", id="too-wide"),
        pytest.param("v [ load 4 1 <- 256 ]", "256 does not fit u8", id="mmio-too-wide"),
        pytest.param("v [ write ICC_PMR_EL1 $a ]", "no operation above binds $a", id="unbound"),
        pytest.param("v [ lines -> 1 ]", "1 is not a name: ", id="name"),
        pytest.param("v [ until 1 1 ]", "`until` stands inside a repeat", id="until"),
        pytest.param("v [ repeat 0 [ wfi ] ]", "a repeat is of 1 to 512 times", id="never"),
        pytest.param("v [ repeat 2 wfi ]", "`[` is missing", id="repeat-what"),
        pytest.param(
            "v [ repeat 1 [ lines -> a ]; wait 0 4 $a ]", "no operation above binds $a", id="scope"
        ),
        pytest.param(
            "v [ repeat 64 [ repeat 9 [ wfi ] ] ]", "a list has at most 512", id="too-many"
        ),
        pytest.param("v [ hvc 1 2 3 4 5 ]", "`;` or `]` is missing", id="five-arguments"),
        pytest.param("v [ wfi ] v [ wfi ]", "a vCPU does one list at a time", id="twice"),
        pytest.param("v [ wfi ]\n= 0", "`[` is missing", id="answer-without-outcomes"),
        pytest.param("v [ wfi ]\n= 0 [ up ]", "up is not an outcome", id="outcome"),
        pytest.param("v [ wfi ] w\n= 0 [ . ]", "the result is missing", id="one-answer-of-two"),
    ],
)
def test_error_says_why(body: str, why: str) -> None:
    with pytest.raises(st.TraceError) as caught:
        guest(body)
    assert caught.value.why.startswith(why)


def test_parts_of_operations() -> None:
    operations = (
        guest(
            "v [ read icc_iar1_el1 -> irq ?; load $irq+0x10 4 <- 7 -> x; hvc 1 $x -2; "
            "read S3_0_C12_C12_0; repeat 2 [ until $x 1; wfi; ] ]"
        )
        .lists[0]
        .operations
    )
    number = st.Number
    assert operations == (
        g.Operation("read", (), "icc_iar1_el1", 0xC660, binds="irq", volatile=True),
        g.Operation("load", (g.Operand(number(16), "irq"),), bytes=4, mmio=number(7), binds="x"),
        g.Operation(
            "hvc", (g.Operand(number(1)), g.Operand(number(0), "x"), g.Operand(number(-2)))
        ),
        g.Operation("read", (), "S3_0_C12_C12_0", 0xC660),
        g.Repeat(
            2,
            (
                g.Operation("until", (g.Operand(number(0), "x"), g.Operand(number(1)))),
                g.Operation("wfi"),
            ),
        ),
    )


EVERYTHING = """kvmemu-trace 1
open v
open w
guest v [ read ICC_IAR1_EL1 -> irq; write ICC_EOIR1_EL1 $irq+1; load 0x8 4 <- 0x7 -> x; store $x 2
  KVM_A; wfi; hvc 1 2 -> y ?; smc 1; lines -> l; context; wait 0x8 1 2 ]
= 0 [ 0x21 . mmio:0x7 mmio:0x10 . ? [ 0x1 0x0 0x0 0xffffffffffffffff ] IF 0x0 . ]
guest v [ repeat 3 [ read CNTVCT_EL0 -> t ?; until $t 0; repeat 2 [ lines ] ]; read ICH_HCR_EL2 ] w
= -EINTR [ ? none none ] KVM_EXIT_SYSTEM_EVENT [ undefined abort ]
guest w [ ]
= 0 [ ]
"""


def test_formatting_gives_the_parsed_text_back() -> None:
    assert format_script(parse(EVERYTHING, CONSTANTS).statements) == EVERYTHING


NAMES = hs.sampled_from(["irq", "x"])
NUMBERS = hs.integers(-(1 << 63), (1 << 64) - 1).map(st.Number)
ADDRESSES = hs.integers(0, (1 << 60) - 1).map(lambda n: g.Operand(st.Number(8 * n)))
OPERANDS = hs.one_of(
    NUMBERS.map(g.Operand),
    hs.builds(g.Operand, hs.integers(0, 99).map(st.Number), NAMES),
)
BINDS = hs.one_of(hs.none(), NAMES)
OPERATIONS = hs.one_of(
    hs.builds(
        lambda binds, volatile: g.Operation(
            "read", (), "ICC_IAR1_EL1", 0xC660, binds=binds, volatile=volatile
        ),
        BINDS,
        hs.booleans(),
    ),
    hs.builds(lambda v: g.Operation("write", (v,), "ICC_EOIR1_EL1", 0xC661), OPERANDS),
    hs.builds(lambda a, v: g.Operation("store", (a, v), bytes=8), ADDRESSES, OPERANDS),
    hs.builds(
        lambda a, m, b: g.Operation("load", (a,), bytes=8, mmio=m, binds=b),
        ADDRESSES,
        hs.one_of(hs.none(), NUMBERS),
        BINDS,
    ),
    hs.lists(OPERANDS, min_size=1, max_size=4).map(lambda v: g.Operation("hvc", tuple(v))),
    hs.just(g.Operation("wfi")),
)
LISTS = hs.recursive(
    hs.lists(OPERATIONS, max_size=4),
    lambda inner: hs.lists(
        hs.one_of(OPERATIONS, hs.builds(g.Repeat, hs.integers(1, 2), inner.map(tuple))),
        max_size=4,
    ),
    max_leaves=3,
)


@given(body=LISTS)
def test_any_list_survives_formatting_and_parsing(
    body: list[g.Operation | g.Repeat],
) -> None:
    bound = tuple(
        g.Operation("context", binds=name) for name in ("irq", "x")
    )  # what operands may refer to
    before = [st.Open("v"), g.Guest((g.GuestList("v", (*bound, *body)),))]
    assert list(parse(format_script(before), {}).statements) == before


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        pytest.param("= 0 [ 0x1 . ]", "= 0 [ 0x01 . ]", True, id="notation"),
        pytest.param("= 0 [ 0x1 ]", "= 0 [ 0x2 ]", False, id="value"),
        pytest.param("= 0 [ 0x1 ]", "= 0 [ 0x1 . ]", False, id="count"),
        pytest.param("= 0 [ 0x1 ]", "= 0 [ mmio:0x1 ]", False, id="left-the-guest"),
        pytest.param("= 0 [ ? ]", "= 0 [ 0x7 ]", True, id="volatile"),
        pytest.param("= 0 [ ? ]", "= 0 [ undefined ]", False, id="volatile-is-no-exception"),
        pytest.param("= 0 [ ? ]", "= 0 [ . ]", False, id="volatile-is-a-value"),
        pytest.param("= 0 [ [ 1 2 3 4 ] ]", "= 0 [ [ 1 2 3 0x4 ] ]", True, id="call"),
        pytest.param("= 0 [ I ]", "= 0 [ IF ]", False, id="lines"),
        pytest.param("= 0 [ ]", "= -EINTR [ ]", False, id="result"),
        pytest.param("= KVM_EXIT_MMIO [ ]", "= KVM_EXIT_DEBUG [ ]", False, id="exit"),
    ],
)
def test_same_answers(expected: str, got: str, same: bool) -> None:
    def answer(line: str) -> st.Answer:
        found = guest(f"v [ wfi ]\n{line}").answer
        assert found is not None
        return found

    assert same_answers(answer(expected), answer(got)) is same
    assert guest(f"v [ wfi ]\n{format_answer(answer(got))}").answer == answer(got)
