# SPDX-License-Identifier: MIT
"""kvmemu.open(), ioctl(), close() and dup(): fcntl's argument forms, results and errors."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import gc
import mmap
import os
import select
import struct
from collections.abc import Iterator

import pytest

import kvmemu
from kvmemu import constants as kvm

PSTATE = 0x6030000000100042
STOPPED = struct.pack("<I", kvm.KVM_MP_STATE_STOPPED)


@pytest.fixture
def kvm_fd() -> Iterator[int]:
    fd = kvmemu.open()
    yield fd
    kvmemu.close(fd)


@pytest.fixture
def vcpu_fd(kvm_fd: int) -> Iterator[int]:
    vm = kvmemu.ioctl(kvm_fd, kvm.KVM_CREATE_VM)
    vcpu = kvmemu.ioctl(vm, kvm.KVM_CREATE_VCPU, 0)
    init = bytearray(32)
    kvmemu.ioctl(vm, kvm.KVM_ARM_PREFERRED_TARGET, init)
    kvmemu.ioctl(vcpu, kvm.KVM_ARM_VCPU_INIT, init)
    yield vcpu
    kvmemu.close(vcpu)
    kvmemu.close(vm)


def one_reg(register_id: int, value: ctypes.c_uint64) -> bytearray:
    return bytearray(struct.pack("<QQ", register_id, ctypes.addressof(value)))


def test_argument_defaults_to_zero(kvm_fd: int) -> None:
    assert kvmemu.ioctl(kvm_fd, kvm.KVM_GET_API_VERSION) == 12


def test_writable_buffer_is_changed_in_place(kvm_fd: int) -> None:
    vm = kvmemu.ioctl(kvm_fd, kvm.KVM_CREATE_VM, 0)
    init = bytearray(b"\xff" * 32)
    assert kvmemu.ioctl(vm, kvm.KVM_ARM_PREFERRED_TARGET, init) == 0
    assert init == struct.pack("<8I", kvm.KVM_ARM_TARGET_GENERIC_V8, *[0] * 7)
    kvmemu.close(vm)


@pytest.mark.parametrize(
    ("arg", "mutate_flag"),
    [
        pytest.param(b"\xff" * 32, True, id="bytes"),
        pytest.param(bytearray(b"\xff" * 32), False, id="bytearray-not-to-be-changed"),
        pytest.param(memoryview(b"\xff" * 32), True, id="read-only-view"),
    ],
)
def test_other_buffers_are_copied_and_returned(
    kvm_fd: int, arg: bytes, mutate_flag: bool
) -> None:
    vm = kvmemu.ioctl(kvm_fd, kvm.KVM_CREATE_VM, 0)
    result = kvmemu.ioctl(vm, kvm.KVM_ARM_PREFERRED_TARGET, arg, mutate_flag)
    assert result == struct.pack("<8I", kvm.KVM_ARM_TARGET_GENERIC_V8, *[0] * 7)
    assert bytes(arg) == b"\xff" * 32
    kvmemu.close(vm)


def test_address_as_argument(vcpu_fd: int) -> None:
    value = ctypes.c_uint64(0)
    request = one_reg(PSTATE, value)
    address = ctypes.addressof((ctypes.c_char * 16).from_buffer(request))
    assert kvmemu.ioctl(vcpu_fd, kvm.KVM_GET_ONE_REG, address) == 0
    assert value.value == 0x3C5


@pytest.mark.parametrize("address", [0, 8, 1 << 47, (1 << 64) - 8, 0xFFFF800000000000])
def test_bad_pointer_is_efault(vcpu_fd: int, address: int) -> None:
    for request in (kvm.KVM_GET_ONE_REG, kvm.KVM_SET_ONE_REG, kvm.KVM_GET_MP_STATE):
        with pytest.raises(kvmemu.KvmError) as caught:
            kvmemu.ioctl(vcpu_fd, request, address)
        assert caught.value.errno == errno.EFAULT
    inner = bytearray(struct.pack("<QQ", PSTATE, address))
    with pytest.raises(kvmemu.KvmError) as caught:
        kvmemu.ioctl(vcpu_fd, kvm.KVM_GET_ONE_REG, inner)
    assert caught.value.errno == errno.EFAULT


def test_errors_are_what_fcntl_would_raise(kvm_fd: int) -> None:
    vm = kvmemu.ioctl(kvm_fd, kvm.KVM_CREATE_VM, 0)
    vcpu = kvmemu.ioctl(vm, kvm.KVM_CREATE_VCPU, 0)
    with pytest.raises(FileExistsError, match=r"KVM_CREATE_VCPU.*EEXIST"):
        kvmemu.ioctl(vm, kvm.KVM_CREATE_VCPU, 0)
    with pytest.raises(OSError, match="KVM_RUN") as caught:
        kvmemu.ioctl(vcpu, kvm.KVM_RUN, 0)
    assert caught.value.errno == errno.ENOEXEC
    assert isinstance(caught.value, kvmemu.KvmError)
    kvmemu.close(vcpu)
    kvmemu.close(vm)


def test_descriptor_that_is_not_ours() -> None:
    reader, writer = os.pipe()
    for call in (
        lambda: kvmemu.ioctl(reader, kvm.KVM_GET_API_VERSION, 0),
        lambda: kvmemu.close(reader),
        lambda: kvmemu.dup(reader),
        lambda: kvmemu.pread(reader, 1, 0),
        lambda: kvmemu.ioctl(-1, kvm.KVM_RUN, 0),
        lambda: kvmemu.ioctl(1 << 30, kvm.KVM_RUN, 0),
    ):
        with pytest.raises(kvmemu.KvmError) as caught:
            call()
        assert caught.value.errno == errno.EBADF
    os.close(reader)
    os.close(writer)


def test_number_reused_by_another_file_after_a_foreign_close(kvm_fd: int) -> None:
    stale = kvmemu.ioctl(kvm_fd, kvm.KVM_CREATE_VM, 0)
    os.close(stale)
    again = kvmemu.ioctl(kvm_fd, kvm.KVM_CREATE_VM, 0)
    assert again == stale
    assert kvmemu.ioctl(again, kvm.KVM_CHECK_EXTENSION, kvm.KVM_CAP_ONE_REG) == 1
    kvmemu.close(again)


def test_mmap_of_a_vcpu_is_its_kvm_run(kvm_fd: int, vcpu_fd: int) -> None:
    size = kvmemu.ioctl(kvm_fd, kvm.KVM_GET_VCPU_MMAP_SIZE)
    with mmap.mmap(vcpu_fd, size) as run:
        run[1] = 1  # immediate_exit
        with pytest.raises(InterruptedError):
            kvmemu.ioctl(vcpu_fd, kvm.KVM_RUN, 0)


def test_vm_outlives_its_descriptor(kvm_fd: int) -> None:
    vm = kvmemu.ioctl(kvm_fd, kvm.KVM_CREATE_VM, 0)
    vcpu = kvmemu.ioctl(vm, kvm.KVM_CREATE_VCPU, 0)
    kvmemu.close(vm)
    state = bytearray(4)
    assert kvmemu.ioctl(vcpu, kvm.KVM_GET_MP_STATE, state) == 0
    kvmemu.close(vcpu)


def test_dup_shares_the_file(vcpu_fd: int) -> None:
    copy = kvmemu.dup(vcpu_fd)
    assert copy != vcpu_fd
    kvmemu.ioctl(copy, kvm.KVM_SET_MP_STATE, bytearray(STOPPED))
    state = bytearray(4)
    kvmemu.ioctl(vcpu_fd, kvm.KVM_GET_MP_STATE, state)
    assert state == STOPPED
    kvmemu.close(copy)


def test_descriptors_are_always_ready(kvm_fd: int, vcpu_fd: int) -> None:
    for fd in (kvm_fd, vcpu_fd):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        assert poll.poll(0) == [(fd, select.POLLIN)]


def test_descriptors_of_vms_are_closed_on_exec(kvm_fd: int, vcpu_fd: int) -> None:
    for fd in (kvm_fd, vcpu_fd):
        assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC


def test_child_process_gets_eio(vcpu_fd: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            kvmemu.ioctl(vcpu_fd, kvm.KVM_GET_MP_STATE, bytearray(4))
        except OSError as error:
            os._exit(0 if error.errno == errno.EIO else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kvmemu.ioctl(vcpu_fd, kvm.KVM_GET_MP_STATE, bytearray(4)) == 0


def test_objects_have_descriptors() -> None:
    with kvmemu.System() as system, system.create_vm() as vm:
        vcpu = vm.create_vcpu()
        assert kvmemu.ioctl(system, kvm.KVM_GET_API_VERSION) == 12
        number = vcpu.fileno()
        assert vcpu.fileno() == number
        vcpu.immediate_exit = True
        vcpu.init()
        with pytest.raises(InterruptedError):
            kvmemu.ioctl(vcpu, kvm.KVM_RUN)
        for file in (vcpu, system):
            kvmemu.close(file.fileno())


def test_collected_objects_release_their_vm() -> None:
    with kvmemu.System() as system:
        for _ in range(50):
            system.create_vm().create_vcpus(8)
            gc.collect()


def test_unknown_host_is_named() -> None:
    with pytest.raises(kvmemu.HostError, match=r"no-such-host.*gicv3-max"):
        kvmemu.open("no-such-host")
