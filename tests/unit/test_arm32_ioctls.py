# SPDX-License-Identifier: MIT
"""What a 32-bit ARM host answers differently beside registers: requests, attributes, events, slots.

Source: virt/kvm/arm/arm.c and arch/arm/kvm/guest.c, Linux 5.5 and 5.6.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterator

import pytest

import kvmemu
from kvmemu import constants as c
from kvmemu.errors import KvmError

HOST = "arm32-cortex-a15"
PC, CPSR = 0x402000000010000F, 0x4020000000100010
SP_ABT, LR_ABT, SPSR_ABT = 0x4020000000100015, 0x4020000000100016, 0x4020000000100017
SCTLR, VBAR, TTBCR = 0x40200000000F0800, 0x40200000000F6000, 0x40200000000F1002
DFSR, DFAR = 0x40200000000F2800, 0x40200000000F3000
EVENTS = "<BBB5xQ48x"


@pytest.fixture
def vm() -> Iterator[kvmemu.Vm]:
    with kvmemu.System(HOST) as system, system.create_vm() as vm:
        yield vm


@pytest.fixture
def vcpu(vm: kvmemu.Vm) -> kvmemu.Vcpu:
    vcpu = vm.create_vcpu()
    vcpu.init([c.KVM_ARM32_VCPU_PSCI_0_2])
    return vcpu


def errno_of(file: kvmemu.Vm | kvmemu.Vcpu, request: int, arg: int | bytearray = 0) -> int:
    try:
        file.ioctl(request, arg)
    except KvmError as error:
        return error.errno or -1
    return 0


@pytest.mark.parametrize(
    "request_name",
    ["KVM_SET_GUEST_DEBUG", "KVM_GET_STATS_FD", "KVM_SET_REGS", "KVM_GET_REGS"],
)
def test_vcpu_requests_that_32_bit_kernels_do_not_know(
    vcpu: kvmemu.Vcpu, request_name: str
) -> None:
    assert errno_of(vcpu, c.ALL[request_name]) == errno.EINVAL


@pytest.mark.parametrize("request_name", ["KVM_GET_STATS_FD", "KVM_ARM_MTE_COPY_TAGS"])
def test_vm_requests_that_32_bit_kernels_do_not_know(vm: kvmemu.Vm, request_name: str) -> None:
    assert errno_of(vm, c.ALL[request_name]) == errno.EINVAL


def test_arm64_still_knows_them() -> None:
    with kvmemu.System() as system, system.create_vm() as vm:
        vcpu = vm.create_vcpu()
        assert errno_of(vcpu, c.KVM_SET_GUEST_DEBUG) == errno.EFAULT
        assert errno_of(vm, c.KVM_ARM_MTE_COPY_TAGS) == errno.EFAULT


@pytest.mark.parametrize(
    ("request_name", "group", "want"),
    [
        pytest.param("KVM_HAS_DEVICE_ATTR", c.KVM_ARM_VCPU_TIMER_CTRL, 0, id="has-timer"),
        pytest.param("KVM_GET_DEVICE_ATTR", c.KVM_ARM_VCPU_TIMER_CTRL, 0, id="get-timer"),
        pytest.param(
            "KVM_SET_DEVICE_ATTR",
            c.KVM_ARM_VCPU_TIMER_CTRL,
            errno.EINVAL,
            id="set-timer-without-gic",
        ),
        *(
            pytest.param(name, group, errno.ENXIO, id=f"{name[4:7].lower()}-{what}")
            for name in ("KVM_HAS_DEVICE_ATTR", "KVM_GET_DEVICE_ATTR", "KVM_SET_DEVICE_ATTR")
            for what, group in (
                ("pmu", c.KVM_ARM_VCPU_PMU_V3_CTRL),
                ("pvtime", c.KVM_ARM_VCPU_PVTIME_CTRL),
            )
        ),
    ],
)
def test_vcpu_attributes_are_the_timers(
    vcpu: kvmemu.Vcpu, request_name: str, group: int, want: int
) -> None:
    value = ctypes.c_int()
    attr = bytearray(struct.pack("<IIQQ", 0, group, 0, ctypes.addressof(value)))
    assert errno_of(vcpu, c.ALL[request_name], attr) == want


@pytest.mark.parametrize(
    ("state", "want"),
    [
        pytest.param(c.KVM_MP_STATE_RUNNABLE, 0, id="runnable"),
        pytest.param(c.KVM_MP_STATE_STOPPED, 0, id="stopped"),
        pytest.param(c.KVM_MP_STATE_SUSPENDED, errno.EINVAL, id="suspended-came-later"),
    ],
)
def test_mp_states(vcpu: kvmemu.Vcpu, state: int, want: int) -> None:
    assert errno_of(vcpu, c.KVM_SET_MP_STATE, bytearray(struct.pack("<I", state))) == want


# ---- events ----


def events(serror: int = 0, has_esr: int = 0, dabt: int = 0, esr: int = 0) -> bytearray:
    return bytearray(struct.pack(EVENTS, serror, has_esr, dabt, esr))


def test_events_do_not_wait_for_init(vm: kvmemu.Vm) -> None:
    vcpu = vm.create_vcpu()
    assert errno_of(vcpu, c.KVM_SET_VCPU_EVENTS, events(serror=1)) == 0
    answer = bytearray(64)
    vcpu.ioctl(c.KVM_GET_VCPU_EVENTS, answer)
    assert answer == events(serror=1)
    vcpu.init([])
    vcpu.ioctl(c.KVM_GET_VCPU_EVENTS, answer)
    assert answer == events()


def test_serror_has_no_syndrome(vcpu: kvmemu.Vcpu) -> None:
    assert errno_of(vcpu, c.KVM_SET_VCPU_EVENTS, events(1, 1)) == errno.EINVAL
    assert errno_of(vcpu, c.KVM_SET_VCPU_EVENTS, events(0, 1)) == 0


@pytest.mark.parametrize(
    ("ttbcr", "want"),
    [pytest.param(0, 0x008, id="short"), pytest.param(1 << 31, 0x210, id="long")],
)
def test_data_abort_is_taken_at_once(vcpu: kvmemu.Vcpu, ttbcr: int, want: int) -> None:
    regs = vcpu.regs
    regs[PC], regs[CPSR], regs[VBAR], regs[TTBCR] = 0x8000, 0xF80F0030, 0x4000, ttbcr
    vcpu.ioctl(c.KVM_SET_VCPU_EVENTS, events(dabt=1))
    assert (regs[PC], regs[LR_ABT], regs[SPSR_ABT]) == (0x4010, 0x8008, 0xF80F0030)
    assert regs[CPSR] == 0xF80F0197
    assert (regs[DFSR], regs[DFAR]) == (want, 0)


@pytest.mark.parametrize(
    ("sctlr", "pc", "cpsr"),
    [
        pytest.param(0x00C50078 | 1 << 13, 0xFFFF0010, 0x1D7, id="high-vectors"),
        pytest.param(0x00C50078 | 1 << 30, 0x10, 0x1F7, id="thumb"),
        pytest.param(0x00C50078 | 1 << 25, 0x10, 0x3D7, id="big-endian"),
    ],
)
def test_handler_state_comes_from_sctlr(vcpu: kvmemu.Vcpu, sctlr: int, pc: int, cpsr: int) -> None:
    vcpu.regs[SCTLR] = sctlr
    vcpu.ioctl(c.KVM_SET_VCPU_EVENTS, events(dabt=1))
    assert (vcpu.regs[PC], vcpu.regs[CPSR]) == (pc, cpsr)


# ---- limits ----


def test_gicv2_leaves_room_for_eight_vcpus(vm: kvmemu.Vm) -> None:
    assert vm.check_extension(c.KVM_CAP_MAX_VCPUS) == 512
    vm.create_vcpu(7)
    with pytest.raises(KvmError) as refused:
        vm.create_vcpu(8)
    assert refused.value.errno == errno.EINVAL


@pytest.mark.parametrize(
    ("slot", "want"), [pytest.param(31, 0, id="last"), pytest.param(32, errno.EINVAL, id="past")]
)
def test_32_memory_slots(vm: kvmemu.Vm, slot: int, want: int) -> None:
    region = bytearray(struct.pack("<IIQQQ", slot, 0, 0, 0x1000, 0x10000))
    assert errno_of(vm, c.KVM_SET_USER_MEMORY_REGION, region) == want


@pytest.mark.parametrize(
    ("options", "want"),
    [
        pytest.param(0, 0, id="off"),
        pytest.param(1, 0, id="manual"),
        pytest.param(3, errno.EINVAL, id="initially-set-came-later"),
    ],
)
def test_manual_dirty_log_has_one_option(vm: kvmemu.Vm, options: int, want: int) -> None:
    cap = bytearray(
        struct.pack("<II4Q64x", c.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, options, 0, 0, 0)
    )
    assert errno_of(vm, c.KVM_ENABLE_CAP, cap) == want
