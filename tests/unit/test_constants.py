# SPDX-License-Identifier: MIT
"""csrc/ioctl/constants.c: constants by name, requests by number. Layer: ioctl.

That the values are Linux's is test_uapi.py's matter; those of 32-bit arm stand here as numbers,
because no package has that header any more.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "csrc" / "ioctl" / "constants_list.h"
ROWS = re.findall(r"^(KVMEMU_\w+)\((\w+)\)$", LIST.read_text(), re.M)
REQUESTS = [name for kind, name in ROWS if kind.startswith("KVMEMU_REQUEST")]


class Constant(ctypes.Structure):
    """struct kvmemu_constant"""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("value", ctypes.c_uint64),
        ("negative", ctypes.c_bool),
    )


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    cc = os.environ.get("CC", "cc")
    if not shutil.which(cc):
        pytest.skip("needs a C compiler")
    out = tmp_path_factory.mktemp("constants") / "constants.so"
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]
    command = [
        cc,
        *flags,
        f"-I{ROOT / 'include'}",
        "-o",
        str(out),
        str(LIST.parent / "constants.c"),
    ]
    subprocess.run(command, check=True)
    lib = ctypes.CDLL(str(out))
    lib.kvmemu_constants.restype = ctypes.POINTER(Constant)
    lib.kvmemu_constants.argtypes = [ctypes.POINTER(ctypes.c_size_t)]
    lib.kvmemu_constant_find.restype = ctypes.POINTER(Constant)
    lib.kvmemu_constant_find.argtypes = [ctypes.c_char_p]
    lib.kvmemu_request_name.restype = ctypes.c_char_p
    lib.kvmemu_request_name.argtypes = [ctypes.c_ulong]
    return lib


@pytest.fixture(scope="session")
def constants(library: ctypes.CDLL) -> dict[str, int]:
    n = ctypes.c_size_t()
    first = library.kvmemu_constants(ctypes.byref(n))
    entries = [first[i] for i in range(n.value)]
    return {e.name.decode(): e.value - (e.negative << 64) for e in entries}


def test_table_has_every_row_in_order(constants: dict[str, int]) -> None:
    assert list(constants) == [name for _, name in ROWS]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("KVM_REG_ARM_TIMER_CNT", 0x603000000013DF1A, id="swapped-timer-id"),
        pytest.param("KVM_REG_ARM_TIMER_CVAL", 0x603000000013DF02, id="other-swapped-timer-id"),
        pytest.param("KVM_REG_RISCV", 1 << 63, id="top-bit-is-not-a-sign"),
        pytest.param("PSCI_RET_INVALID_ADDRESS", -9, id="negative"),
        pytest.param("PSCI_RET_SUCCESS", 0, id="zero"),
        pytest.param("KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL", 0xFFFFFFFF, id="unsigned-minus-one"),
        pytest.param("KVM_CAP_DIRTY_LOG_RING_ACQ_REL", 223, id="last-capability-of-6.1"),
    ],
)
def test_value_by_name(constants: dict[str, int], name: str, value: int) -> None:
    assert constants[name] == value


def test_find_finds_every_name_and_nothing_else(
    library: ctypes.CDLL, constants: dict[str, int]
) -> None:
    for name in constants:
        assert library.kvmemu_constant_find(name.encode()).contents.name == name.encode()
        for other in (name + "_", name[:-1]):
            assert other in constants or not library.kvmemu_constant_find(other.encode())
    for other in ("", " ", "~", "kvm_run", "KVM_"):
        assert not library.kvmemu_constant_find(other.encode())


def test_every_request_number_gives_its_name(
    library: ctypes.CDLL, constants: dict[str, int]
) -> None:
    assert len(REQUESTS) > 150
    for name in REQUESTS:
        number = constants[name]
        assert library.kvmemu_request_name(number) == name.encode()
        assert library.kvmemu_request_name(number | 0xFFFFFFFF << 32) == name.encode()


@pytest.mark.parametrize(
    ("request_number", "name"),
    [
        pytest.param(0x4010AEAB, b"KVM_GET_ONE_REG", id="shared-with-arm-set-device-addr"),
        pytest.param(0x4010AE67, b"KVM_REGISTER_COALESCED_MMIO", id="number-shared-size-differs"),
        pytest.param(0xC008AE67, b"KVM_IRQ_LINE_STATUS", id="the-other-of-0x67"),
        pytest.param(0x4008AEB2, b"KVM_SET_PMU_EVENT_FILTER", id="arm64-size"),
        pytest.param(0xAEFF, None, id="unknown-number"),
        pytest.param(0x5401, None, id="not-kvm"),
        pytest.param(0, None, id="zero"),
    ],
)
def test_request_name(library: ctypes.CDLL, request_number: int, name: bytes | None) -> None:
    assert library.kvmemu_request_name(request_number) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KVM_REG_ARM32_TIMER_CTL", 0x40200000000F7181),
        ("KVM_REG_ARM32_TIMER_CNT", 0x40300000000F0708),
        ("KVM_REG_ARM32_TIMER_CVAL", 0x40300000000F0718),
        ("KVM_REG_ARM32_PTIMER_CTL", 0x40200000000F7101),
        ("KVM_REG_ARM32_PTIMER_CNT", 0x40300000000F0700),
        ("KVM_REG_ARM32_PTIMER_CVAL", 0x40300000000F0710),
        ("KVM_REG_ARM_VFP", 0x120000),
        ("KVM_REG_ARM32_PSCI_VERSION", 0x4030000000140000),
        ("KVM_ARM32_VCPU_PSCI_0_2", 1),
    ],
)
def test_arm32_value(name: str, value: int, constants: dict[str, int]) -> None:
    assert constants[name] == value
