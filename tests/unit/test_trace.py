# SPDX-License-Identifier: MIT
"""The trace format: parsing and formatting."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as hs

from kvmemu.trace import statements as st
from kvmemu.trace.format import format_script, format_statement, format_text
from kvmemu.trace.parse import parse

CONSTANTS = {
    "KVM_CREATE_VM": 0xAE01,
    "KVM_CREATE_VCPU": 0xAE41,
    "KVM_CREATE_DEVICE": 0xC00CAEE0,
    "KVM_CREATE_DEVICE_TEST": 1,
    "KVM_GET_ONE_REG": 0x4010AEAB,
    "KVM_SET_ONE_REG": 0x4010AEAC,
    "KVM_RUN": 0xAE80,
    "KVM_A": 0x10,
    "KVM_B": 0x300000000,
}
U64 = 0x6030000000000001


def script(body: str) -> st.Script:
    return parse("kvmemu-trace 1\n" + body, CONSTANTS)


# ---- parsing ----


@pytest.mark.parametrize(
    ("body", "line", "why"),
    [
        pytest.param("foo", 2, "no statement is called foo", id="unknown-statement"),
        pytest.param("[ ]", 2, "a statement begins with a word", id="block-first"),
        pytest.param("open a\nopen a", 3, "the name a is taken since line 2", id="name-taken"),
        pytest.param("close a", 2, "no statement above binds the name a", id="name-unknown"),
        pytest.param("buffer a 1\nclose a", 3, "a is not a descriptor", id="buffer-as-fd"),
        pytest.param("open a\nunmap a", 3, "a is not a buffer", id="fd-as-buffer"),
        pytest.param("open fd", 2, "fd is not a name: ", id="reserved-name"),
        pytest.param("open a b", 2, "the statement should end here", id="too-many-words"),
        pytest.param("open", 2, "a name is missing", id="too-few-words"),
        pytest.param("open a\nioctl a KVM_X 0", 3, "KVM_X is neither", id="constant-unknown"),
        pytest.param("open a\nioctl a 0x1g 0", 3, "0x1g is not a number", id="number-malformed"),
        pytest.param(
            "open a\nioctl a 0x10000000000000000 0", 3, "0x10000000000000000 is more", id="65-bits"
        ),
        pytest.param("open a\nioctl a 1 [ u8 256 ]", 3, "256 does not fit u8", id="item-too-wide"),
        pytest.param("open a\nioctl a 1 [ u8 -129 ]", 3, "-129 does not fit u8", id="negative"),
        pytest.param("open a\nioctl a 1 [ u32 bad ]", 3, "bad is an address", id="bad-in-u32"),
        pytest.param("open a\nioctl a 1 [ u16 fd:a ]", 3, "fd:a needs u32", id="fd-in-u16"),
        pytest.param("open a\nioctl a 1 [ [ 1 ]", 3, "a `[` is not closed", id="bracket-open"),
        pytest.param("open a ]", 2, "`]` without `[`", id="bracket-close"),
        pytest.param('open a\nioctl a 1 [ "x ]', 3, "the string does not end", id="string-open"),
        pytest.param('open a\nioctl a 1 [ "\\q" ]', 3, "a string knows", id="string-escape"),
        pytest.param("open a\nioctl a 1 2 -> b", 3, "`->`: this request creates", id="no-creation"),
        pytest.param(f"open a\nset a {U64} 0x{'1' * 17}", 3, "the value has more", id="set-wide"),
        pytest.param("buffer a 8\npeek a+1 [ 0 ]", 3, "a ends at byte 8", id="peek-beyond"),
        pytest.param("buffer a 8\npoke a [ [ 0 ] ]", 3, "no block stands", id="poke-nested"),
        pytest.param("open a\nread a 8 0 [ u8 0 ]", 3, "the items are 1 bytes", id="read-layout"),
        pytest.param("alarm 0", 2, "an alarm is 1 to 10000 ms away", id="alarm-now"),
        pytest.param("open a\nstop a 10001", 3, "a run is given 0 to", id="stop-late"),
        pytest.param("open a\nstart a\n= 0", 4, "an answer without", id="answer-to-start"),
        pytest.param("host any\n= 0", 3, "an answer without a statement", id="answer-to-host"),
        pytest.param("open a\n= fd\n= fd", 4, "a second answer", id="two-answers"),
        pytest.param("open a\n= -EWHAT", 3, "-EWHAT is not a result", id="errno-unknown"),
    ],
)
def test_error_names_line_and_reason(body: str, line: int, why: str) -> None:
    with pytest.raises(st.TraceError) as caught:
        script(body)
    assert caught.value.line == line
    assert caught.value.why.startswith(why)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("# only a comment\n", id="comment"),
        pytest.param("open a\n", id="no-version"),
        pytest.param("kvmemu-trace 2\n", id="other-version"),
    ],
)
def test_version_comes_first(text: str) -> None:
    with pytest.raises(st.TraceError):
        parse(text, CONSTANTS)


def test_statement_goes_on_while_bracket_is_open() -> None:
    parsed = script(
        "open a # one\nioctl a KVM_A|0x1 [ u32 1 # two\n\n  2*-1? ]\n= -E2BIG [ u32\n1 ? ? ]"
    )
    ioctl = parsed.statements[1]
    assert isinstance(ioctl, st.Ioctl)
    assert ioctl.request == st.Number(0x11)
    assert ioctl.arg == st.Block(
        (st.Item(st.Number(1), 4), st.Item(st.Number(-1), 4, 2, volatile=True))
    )
    assert (ioctl.first_line, ioctl.last_line) == (3, 5)
    assert ioctl.answer is not None
    assert ioctl.answer.result == -errno.E2BIG
    assert parsed.answer_lines == {6, 7}


def test_hosts_of_a_script() -> None:
    assert script("host any").hosts == ()
    assert script("host one two # three").hosts == ("one", "two")


# ---- formatting ----

EVERYTHING = f"""kvmemu-trace 1
host gicv3-max
open kvm
= fd
ioctl kvm KVM_CREATE_VM 0 -> vm
= fd
ioctl vm KVM_CREATE_DEVICE [ u32 7 0 0 ] -> gic
= 0 [ u32 7 fd:gic 0 ]
buffer ram 0x1000
ioctl vm 0xae00 [ &ram+0x10 bad u32 fd:vm KVM_A 3*-1 "a\\"\\x00" [ u8 1 ? 4*? ] ] ?
= ?
ioctl vm KVM_A bad
= -ENOTTY
get vm {U64:#x}
= 0 0x1234
get vm KVM_A|KVM_B ?
= ?
set vm {U64:#x} 0xffff
= 0
poke ram+0x8 [ u16 1 ]
peek ram [ u16 1 ]
= 0 [ u16 1 ]
read vm 4 0
= 4 [ u8 4*0x0 ]
read vm 4 0 [ u32 0 ]
= 0
mmap vm 0x1000 0 -> run
= -ENODEV
dup vm -> vm2
= fd
close vm
= 0
unmap ram
eventfd event 0 0
alarm 20
ioctl vm2 KVM_RUN 0
= -EINTR
start vm2
stop vm2 20
= 0
"""


def test_formatting_gives_the_parsed_text_back() -> None:
    assert format_script(parse(EVERYTHING, CONSTANTS).statements) == EVERYTHING


def test_long_blocks_end_lines_only_inside_brackets() -> None:
    numbers = " ".join(str(n) for n in range(1000, 1100))
    statement = script(f"open a\nioctl a 1 [ {numbers} ] ?").statements[1]
    lines = format_statement(statement).splitlines()
    assert max(map(len, lines)) <= 100
    assert all(line.startswith("  1") for line in lines[1:])
    text = "kvmemu-trace 1\nopen a\n" + "\n".join(lines)
    assert parse(text, CONSTANTS).statements[1] == statement


def _numbers(width: int) -> hs.SearchStrategy[st.Number]:
    bits = 8 * width
    return hs.integers(-(1 << (bits - 1)), (1 << bits) - 1).map(st.Number)


def _items(inner: hs.SearchStrategy[st.Block]) -> hs.SearchStrategy[st.Item]:
    numbers = hs.sampled_from([1, 2, 4, 8]).flatmap(
        lambda width: hs.builds(
            st.Item, _numbers(width), hs.just(width), hs.integers(2, 5), hs.booleans()
        )
    )
    words: hs.SearchStrategy[st.Scalar] = hs.sampled_from(
        [st.Bad(), st.Address("ram"), st.Address("ram", 16), st.Descriptor("a")]
    )
    return hs.one_of(
        numbers,
        hs.builds(st.Item, words),
        hs.binary(max_size=8).map(lambda data: st.Item(st.Text(data), len(data))),
        hs.builds(st.Item, inner),
    )


BLOCKS: hs.SearchStrategy[st.Block] = hs.recursive(
    hs.just(st.Block(())),
    lambda inner: hs.lists(_items(inner), max_size=5).map(lambda items: st.Block(tuple(items))),
    max_leaves=4,
)


@given(block=BLOCKS, request_number=_numbers(8))
def test_any_call_survives_formatting_and_parsing(
    block: st.Block, request_number: st.Number
) -> None:
    before = [
        st.Open("a"),
        st.Buffer("ram", st.Number(32)),
        st.Ioctl("a", request_number, block),
    ]
    assert list(parse(format_script(before), CONSTANTS).statements) == before


@given(hs.binary())
def test_any_bytes_survive_as_a_string(data: bytes) -> None:
    statement = script(f"open a\nioctl a 1 [ {format_text(data)} ]").statements[1]
    assert isinstance(statement, st.Ioctl)
    assert statement.arg == st.Block((st.Item(st.Text(data), len(data)),))


@given(hs.text(alphabet='abk =[]"\\*?&:-+|0x1u8 \n#>', max_size=80))
def test_any_text_parses_or_is_refused(text: str) -> None:
    line = 2
    try:
        script(text)
    except st.TraceError as error:
        line = error.line
    assert 2 <= line <= text.count("\n") + 2
