# SPDX-License-Identifier: MIT
"""System, Vm and Vcpu: what the objects add to the calls."""

from __future__ import annotations

import errno
import mmap
import signal
import struct
import threading
import time

import pytest

import kvmemu
from kvmemu import constants as kvm


def test_registers_by_name_and_id(vcpu: kvmemu.Vcpu) -> None:
    vcpu.regs["X7"] = 0x1234
    assert vcpu.regs[0x603000000010000E] == 0x1234
    assert vcpu.regs["pstate"] == 0x3C5
    assert vcpu.regs["SCTLR_EL1"] == 0xC50078


def test_wide_registers_are_integers(vcpu: kvmemu.Vcpu) -> None:
    value = 0x0123456789ABCDEF_FEDCBA9876543210
    vcpu.regs["V31"] = value
    assert vcpu.regs["V31"] == value
    with pytest.raises(OverflowError):
        vcpu.regs["FPSR"] = 1 << 32


def test_mapping_iterates_in_linux_order(vcpu: kvmemu.Vcpu) -> None:
    names = list(vcpu.regs)
    assert len(names) == len(vcpu.regs) == len(vcpu.reg_list())
    assert names[:3] == ["X0", "X1", "X2"]
    assert names.index("CNTV_CTL_EL0") < names.index("MIDR_EL1") < names.index("MPIDR_EL1")
    assert "PMCR_EL0" not in vcpu.regs
    assert "no such register" not in vcpu.regs


def test_unknown_name_is_a_key_error(vcpu: kvmemu.Vcpu) -> None:
    with pytest.raises(KeyError, match="NOT_A_REGISTER"):
        _ = vcpu.regs["NOT_A_REGISTER"]


def test_error_names_register_and_vcpu(vcpu: kvmemu.Vcpu) -> None:
    with pytest.raises(kvmemu.KvmError, match=r"MIDR_EL1 to 0x1 on vCPU 0") as caught:
        vcpu.regs["MIDR_EL1"] = 1
    assert caught.value.errno == errno.EINVAL


def test_batches_equal_single_accesses(vcpu: kvmemu.Vcpu) -> None:
    ids = vcpu.reg_list()
    packed = vcpu.get_regs(ids)
    at = 0
    for register_id in ids:
        size = 1 << (register_id >> 52 & 0xF)
        if register_id != kvm.KVM_REG_ARM_TIMER_CNT:
            assert int.from_bytes(packed[at : at + size], "little") == vcpu.get_one_reg(register_id)
        at += size
    assert at == len(packed)


def test_batch_stops_at_the_first_error(vcpu: kvmemu.Vcpu) -> None:
    x0, x1, midr = (vcpu.regs.id_of(name) for name in ("X0", "X1", "MIDR_EL1"))
    with pytest.raises(kvmemu.KvmError, match="MIDR_EL1"):
        vcpu.set_regs([x0, midr, x1], struct.pack("<3Q", 7, 1, 8))
    assert (vcpu.regs["X0"], vcpu.regs["X1"]) == (7, 0)


def test_closed_objects_say_so(vm: kvmemu.Vm) -> None:
    vcpu = vm.create_vcpu()
    vcpu.close()
    vcpu.close()
    assert vcpu.closed
    with pytest.raises(ValueError, match="vCPU 0 is closed"):
        vcpu.reg_list()


def test_events_round_trip(vcpu: kvmemu.Vcpu) -> None:
    vcpu.events = kvmemu.VcpuEvents(serror_pending=True, serror_esr=0x1234)
    assert vcpu.events == kvmemu.VcpuEvents(True, 0x1234)
    with pytest.raises(kvmemu.KvmError):
        vcpu.events = kvmemu.VcpuEvents(serror_pending=True, serror_esr=1 << 25)


def test_memory_slot_and_dirty_log(vm: kvmemu.Vm) -> None:
    with mmap.mmap(-1, 16 * 4096) as memory:
        vm.set_user_memory_region(0, 0x40000000, memory, flags=kvm.KVM_MEM_LOG_DIRTY_PAGES)
        assert vm.get_dirty_log(0, 16) == bytearray(8)
        with pytest.raises(FileExistsError):
            vm.set_user_memory_region(1, 0x40001000, memory)
        vm.set_user_memory_region(0, 0, None)
        with pytest.raises(FileNotFoundError):
            vm.get_dirty_log(0, 16)


def test_manual_protect_starts_all_set_where_asked(vm: kvmemu.Vm) -> None:
    vm.enable_cap(kvm.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3)
    with mmap.mmap(-1, 70 * 4096) as memory:
        vm.set_user_memory_region(0, 0, memory, flags=kvm.KVM_MEM_LOG_DIRTY_PAGES)
        assert int.from_bytes(vm.get_dirty_log(0, 70), "little") == (1 << 70) - 1
        vm.clear_dirty_log(0, 0, 64, bytearray(b"\x0f" + bytes(7)))
        assert int.from_bytes(vm.get_dirty_log(0, 70), "little") == (1 << 70) - 1 & ~0xF


def test_statistics_count_signals(vcpu: kvmemu.Vcpu) -> None:
    previous = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(InterruptedError):
            vcpu.run()
    finally:
        signal.signal(signal.SIGALRM, previous)
    stats = vcpu.stats()
    assert stats["signal_exits"] == 1
    assert stats["blocking"] == 0
    assert len(stats["halt_wait_hist"]) == 32  # type: ignore[arg-type]


def test_timer_reaches_user_space_when_the_counter_is_stepped(
    system: kvmemu.System, vcpu: kvmemu.Vcpu
) -> None:
    second = system.counter.hz
    vcpu.regs["CNTVCT_EL0"] = 0
    vcpu.regs["CNTV_CVAL_EL0"] = 5 * second
    vcpu.regs["CNTV_CTL_EL0"] = 1
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(_errno_of_run(vcpu)))
    thread.start()
    time.sleep(0.05)
    system.counter.step(5 * second - 1)
    time.sleep(0.05)
    assert thread.is_alive()
    system.counter.step(1)
    thread.join(5)
    assert results == [errno.EINTR]
    assert vcpu.exit_reason == kvm.KVM_EXIT_INTR
    # kvm_run.s.regs.device_irq_level
    level = struct.unpack_from("<Q", vcpu.kvm_run, 304)[0]
    assert level == kvm.KVM_ARM_DEV_EL1_VTIMER


def _errno_of_run(vcpu: kvmemu.Vcpu) -> int:
    try:
        vcpu.run()
    except kvmemu.KvmError as error:
        return error.errno or -1
    return 0


def test_suspended_vcpu_wakes_for_an_interrupt(vm: kvmemu.Vm, vcpu: kvmemu.Vcpu) -> None:
    vcpu.mp_state = kvm.KVM_MP_STATE_SUSPENDED
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(_errno_of_run(vcpu)))
    thread.start()
    time.sleep(0.05)
    assert thread.is_alive()
    vm.irq_line(0, True)
    thread.join(5)
    assert results == [0]
    assert vcpu.exit_reason == kvm.KVM_EXIT_SYSTEM_EVENT
