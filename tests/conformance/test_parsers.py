# SPDX-License-Identifier: MIT
"""The format's two parsers, tests/oracle/parse*.c and kvmemu/trace/parse*.py, refuse the same.

Random words in the format's order and out of it. The replayer runs under qemu-user: no machine is
booted, and what parses fails to find a /dev/kvm.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kvmemu import constants
from kvmemu.trace.parse import parse
from kvmemu.trace.statements import TraceError
from oracle.image import build_replayer
from oracle.linux import is_available

EMULATOR = "qemu-aarch64-static"
SCRIPTS = 1000
WORDS = re.split(
    " ",
    "[ [ ] ] ; ; ; ? -> -> <- $a $a+4 $b 0 1 4 8 0x20 -1 0x1ff a b v bad &m fd:v 3*0 4*? "
    'u8 u32 \n # " KVM_RUN KVM_CREATE_VM read write load store wfi hvc smc lines context wait '
    "repeat until ICC_IAR1_EL1 S3_0_C12_C12_0 S3_9_C1_C1_0 guest ioctl get set peek poke alarm "
    "start stop",
)
GOOD = (
    "guest v [ read ICC_IAR1_EL1 -> a ; write ICC_EOIR1_EL1 $a ]",
    "guest v [ repeat 2 [ load 0x20 4 <- 1 -> a ; until $a 8 ] ] w",
    "guest v [ hvc 1 2 -> a ? ; store 8 4 $a+4 ; wait 8 1 1 ; lines ; context -> b ; wfi ; smc 1 ]",
    "ioctl v KVM_RUN [ u32 1 4*? [ &m ] ] ?",
    "poke m [ u8 1 ]",
    "get v 0x6030000000100000 ?",
    "stop v 20",
)


def _script(choose: random.Random) -> str:
    """A good statement with words changed, left out and put in."""
    words = choose.choice(GOOD).split(" ")
    for _ in range(choose.choice((0, 1, 1, 2, 3))):
        at = choose.randrange(1, len(words) + 1)
        words[at : at + choose.randrange(2)] = [choose.choice(WORDS)] * choose.randrange(2)
    return f"kvmemu-trace 1\nopen v\nopen w\nbuffer m 64\n{' '.join(words)}\n"


def _verdict(text: str) -> str | None:
    try:
        parse(text, constants.ALL)
    except TraceError as error:
        return error.why
    return None


def _agree(replayer: str | None, python: str | None) -> bool:
    """Both or neither, for the same reason, but that Python looks at brackets and quotes first."""
    if replayer is None or python is None:
        return replayer is python
    return replayer == python or re.search("`|string", python) is not None


@pytest.mark.conformance
@pytest.mark.skipif(
    not is_available() or shutil.which(EMULATOR) is None,
    reason="the oracle's packages are not installed",
)
def test_both_parsers_refuse_the_same(tmp_path: Path) -> None:
    choose = random.Random(1)
    texts = {f"{number}.trace": _script(choose) for number in range(SCRIPTS)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    build_replayer(tmp_path / "replay")
    done = subprocess.run(
        [EMULATOR, "./replay", *texts], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    refused = dict(re.findall(r"(?m)^@@@ begin (\S+)\n(?:(?!@@@).*\n)*@@@ end (\S+)", done.stdout))
    why = dict(re.findall(r"(?m)^(\S+?):\d+: (.*)$", done.stderr))
    assert len(refused) == SCRIPTS
    verdicts = {name: _verdict(text) for name, text in texts.items()}
    different = [
        f"{texts[name]}\nC: {why.get(name)}\nPython: {verdict}"
        for name, verdict in verdicts.items()
        if not _agree(why[name] if refused[name] == "parse" else None, verdict)
    ]
    assert not different, "\n".join(different)
    # neither all good nor all bad
    assert SCRIPTS // 5 < sum(verdict is None for verdict in verdicts.values()) < SCRIPTS * 4 // 5
