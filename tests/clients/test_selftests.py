# SPDX-License-Identifier: MIT
"""Linux's KVM selftests end on kvmemu as they do on Linux. Part of the tests.

Builds them first, which takes half a minute and Debian's packages; see selftests.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from clients import selftests
from clients.selftests_cases import CASES, Case, normalised
from oracle.fetch import MissingError
from oracle.hosts import HOSTS

BY_NAME = {case.name: case for case in CASES}
WITHOUT_GUEST = [
    pytest.param(host, case.name, id=f"{host}-{case.name}")
    for host in HOSTS
    for case in CASES
    if host in case.hosts and not case.needs_guest(host)
]


@pytest.fixture(scope="session")
def programs() -> Path:
    try:
        return selftests.build()
    except MissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def library() -> Path:
    if not selftests.LIBRARY.exists():
        pytest.skip(selftests.not_built(selftests.LIBRARY))
    return selftests.LIBRARY


@pytest.mark.conformance
@pytest.mark.parametrize(("host", "name"), WITHOUT_GUEST)
def test_ends_as_on_linux(programs: Path, library: Path, host: str, name: str) -> None:
    case = BY_NAME[name]
    run = selftests.run_on_kvmemu(host, case, library, programs)
    difference = selftests.difference(host, case, run, "kvmemu")
    assert not difference, f"\n{difference}"


@pytest.mark.conformance
def test_every_program_has_a_case(programs: Path) -> None:
    listed = selftests.programs_in_makefile(programs)
    assert sorted(listed) == sorted({case.program for case in CASES})


@pytest.mark.parametrize("host", HOSTS)
def test_golden_files_are_those_of_the_cases(host: str) -> None:
    wanted = {selftests.golden_path(host, case) for case in CASES if host in case.hosts}
    assert set((selftests.GOLDEN / host).iterdir()) == wanted


def test_case_names_are_unique() -> None:
    assert len(BY_NAME) == len(CASES)


@pytest.mark.parametrize(
    ("output", "want"),
    [
        pytest.param("pid=12 tid=13 errno=5 - x\n", "pid=<id> tid=<id> errno=5 - x\n", id="pid"),
        pytest.param("     1\t0x40: ?? ??:0\n  Why\n", "  Why\n", id="stack-trace"),
        pytest.param("sh: 1: addr2line: not found\n  Why\n", "  Why\n", id="no-addr2line"),
        pytest.param("took 0.000397936s. (Avg 1.5s/x)", "took <time>. (Avg <time>/x)", id="times"),
        pytest.param("Testing vCPUs, with IDs 0...511.\n", "Testing vCPUs, with IDs 0...511.\n",
                     id="ids-stay"),
    ],
)  # fmt: skip
def test_normalised_leaves_what_two_runs_share(output: str, want: str) -> None:
    assert normalised(Case("any", "any"), output) == want


def test_normalised_keeps_only_lines_that_count() -> None:
    case = Case("any", "any", keep="PA-bits")
    assert normalised(case, "usage:\n 1: PA-bits:40\nhelp\n") == " 1: PA-bits:40\n"
