# SPDX-License-Identifier: MIT
"""GET_ONE_REG and SET_ONE_REG: from C, from Python, in batches, beside real system calls."""

from __future__ import annotations

import fcntl
import termios

import pytest
from kvmemu._core import ffi, lib
from pytest_benchmark.fixture import BenchmarkFixture

import kvmemu
from kvmemu import constants as kvm

CALLS = 10_000
SCTLR_EL1 = 0x603000000013C080


@pytest.mark.benchmark(group="one register, from C (10,000 calls)")
@pytest.mark.parametrize("kind", ["set-a-flag", "unknown-request", "no-such-descriptor"])
def test_baseline_ioctl_system_call(benchmark: BenchmarkFixture, kind: str) -> None:
    kinds = ["set-a-flag", "unknown-request", "no-such-descriptor"]
    benchmark(lib.kvmemu_bench_ioctl, kinds.index(kind), CALLS)


@pytest.mark.benchmark(group="one register, from C (10,000 calls)")
def test_get_one_reg_in_c(benchmark: BenchmarkFixture, vcpu: kvmemu.Vcpu) -> None:
    assert benchmark(lib.kvmemu_bench_get_one_reg, vcpu.handle(), SCTLR_EL1, CALLS) > 0


@pytest.mark.benchmark(group="one register, from C (10,000 calls)")
def test_set_one_reg_in_c(benchmark: BenchmarkFixture, vcpu: kvmemu.Vcpu) -> None:
    assert benchmark(lib.kvmemu_bench_set_one_reg, vcpu.handle(), SCTLR_EL1, CALLS) > 0


@pytest.mark.benchmark(group="one register, from Python")
def test_baseline_fcntl_ioctl_on_a_pipe(benchmark: BenchmarkFixture, pipe: int) -> None:
    benchmark(fcntl.ioctl, pipe, termios.FIONREAD, bytearray(4))


@pytest.mark.benchmark(group="one register, from Python")
def test_get_one_reg_in_python(benchmark: BenchmarkFixture, vcpu: kvmemu.Vcpu) -> None:
    assert benchmark(vcpu.get_one_reg, SCTLR_EL1) == 0xC50078


@pytest.mark.benchmark(group="one register, from Python")
def test_register_by_name(benchmark: BenchmarkFixture, vcpu: kvmemu.Vcpu) -> None:
    assert benchmark(vcpu.regs.__getitem__, "SCTLR_EL1") == 0xC50078


@pytest.mark.benchmark(group="one register, from Python")
def test_ioctl_with_a_descriptor(benchmark: BenchmarkFixture, vcpu: kvmemu.Vcpu) -> None:
    value = ffi.new("uint64_t *")
    request = ffi.new("uint64_t[2]", [SCTLR_EL1, int(ffi.cast("uintptr_t", value))])
    fd, address = vcpu.fileno(), int(ffi.cast("uintptr_t", request))
    benchmark(kvmemu.ioctl, fd, kvm.KVM_GET_ONE_REG, address)
    assert value[0] == 0xC50078
    kvmemu.close(fd)


@pytest.mark.benchmark(group="all registers of a vCPU")
def test_baseline_memcpy_of_all_registers(benchmark: BenchmarkFixture, vcpu: kvmemu.Vcpu) -> None:
    benchmark(lib.kvmemu_bench_memcpy, len(vcpu.get_regs(vcpu.reg_list())), 1)


@pytest.mark.benchmark(group="all registers of a vCPU")
def test_get_regs_242(benchmark: BenchmarkFixture, vcpu: kvmemu.Vcpu) -> None:
    ids = vcpu.reg_list()
    packed = ffi.new("uint64_t[]", ids)
    assert benchmark(lib.kvmemu_bench_get_regs, vcpu.handle(), packed, len(ids), 1) > 0


@pytest.mark.benchmark(group="all registers of a vCPU")
def test_get_regs_242_in_python(benchmark: BenchmarkFixture, vcpu: kvmemu.Vcpu) -> None:
    ids = vcpu.reg_list()
    assert len(benchmark(vcpu.get_regs, ids)) > 242 * 4
