# SPDX-License-Identifier: MIT
"""Guests that are generators of instructions, and scripts whose guests act, on kvmemu."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Generator, Iterator

import pytest

import kvmemu
from kvmemu import constants as kvm
from kvmemu.guest_steps import ABORTED, UNDEFINED, Instruction, Result, Steps
from kvmemu.trace import statements as st
from kvmemu.trace.backends import KvmemuBackend, LinuxBackend
from kvmemu.trace.format import format_answer
from kvmemu.trace.memory import map_descriptor
from kvmemu.trace.parse import parse
from kvmemu.trace.replay import replay
from kvmemu.trace.run_guest import RUN_BYTES

HOST = "gicv3-max"
MPIDR, CNTVCT, ICC_PMR = 0xC005, 0xDF02, 0xC230
VOID, END = 0x5000_0000, 0x6000_0000
Program = Generator[Instruction, Result, None]


@pytest.fixture
def vcpu() -> Iterator[int]:
    """The descriptor of a vCPU that can run."""
    system = kvmemu.open(HOST)
    vm = kvmemu.ioctl(system, kvm.KVM_CREATE_VM, 0)
    fd = kvmemu.ioctl(vm, kvm.KVM_CREATE_VCPU, 0)
    init = bytearray(32)
    init[:8] = kvm.KVM_ARM_TARGET_GENERIC_V8.to_bytes(4, "little") + (4).to_bytes(4, "little")
    kvmemu.ioctl(fd, kvm.KVM_ARM_VCPU_INIT, init)
    yield fd
    for each in (fd, vm, system):
        kvmemu.close(each)


def run(fd: int) -> None:
    kvmemu.ioctl(fd, kvm.KVM_RUN, 0)


def test_results_are_sent_to_the_program(vcpu: int) -> None:
    seen: list[Result] = []

    def program() -> Program:
        seen.append((yield ("read", MPIDR)))
        seen.append((yield ("read", ICC_PMR)))  # there is no GIC
        seen.append((yield ("write", CNTVCT, 1)))
        seen.append((yield ("load", 0x1002, 4)))
        seen.append((yield ("hvc", 0x8400_0000, 0, 7, 0)))  # PSCI_VERSION
        seen.append((yield ("x", 0)))
        yield ("store", END, 4, 0)

    steps = Steps(vcpu)
    steps.begin(program)
    run(vcpu)
    assert seen == [0x8000_0000, UNDEFINED, UNDEFINED, ABORTED, (0x10001, 0, 0, 0), 0x10001]


def test_program_goes_on_where_it_left(vcpu: int) -> None:
    seen: list[Result] = []

    def program() -> Program:
        seen.append((yield ("load", VOID, 4)))
        seen.append((yield ("read", MPIDR)))
        yield ("store", END, 4, 0)

    steps = Steps(vcpu)
    steps.begin(program)
    run(vcpu)
    assert seen == []
    run(vcpu)
    assert seen == [0, 0x8000_0000]


def test_what_an_earlier_program_had_yet_to_do_is_forgotten(vcpu: int) -> None:
    seen: list[str] = []

    def first() -> Program:
        yield ("store", VOID, 4, 1)
        seen.append("first")

    def second() -> Program:
        seen.append("second")
        yield ("store", END, 4, 2)

    steps = Steps(vcpu)
    steps.begin(first)
    run(vcpu)
    steps.begin(second)
    run(vcpu)
    assert seen == ["second"]
    address = map_descriptor(vcpu, RUN_BYTES, 0)
    assert ctypes.c_uint64.from_address(address + 32).value == END


def test_what_an_earlier_program_had_not_begun_is_not_done() -> None:
    """A kick comes before its WFI, which is never executed then: the guest is elsewhere."""
    seen: list[str] = []
    with kvmemu.System(HOST) as system, system.create_vm() as vm:
        vcpu = vm.create_vcpu()
        vcpu.init([kvm.KVM_ARM_VCPU_PSCI_0_2])
        line = bytearray(8)

        def move(level: int) -> None:
            line[4] = level
            kvmemu.ioctl(vm.fileno(), kvm.KVM_IRQ_LINE, line)

        def first() -> Program:
            vcpu.immediate_exit = True
            move(1)
            yield ("wfi",)
            seen.append("first")

        def second() -> Program:
            seen.append("second")
            yield ("store", END, 4, 0)

        steps = Steps(vcpu.fileno())
        steps.begin(first)
        with pytest.raises(kvmemu.KvmError) as caught:
            vcpu.run()
        assert caught.value.errno == errno.EINTR
        vcpu.immediate_exit = False
        move(0)
        steps.begin(second)
        vcpu.run()
    assert seen == ["second"]


def test_only_a_vcpu_has_a_guest() -> None:
    with pytest.raises(kvmemu.KvmError) as caught:
        Steps(12345)
    assert caught.value.errno == errno.EBADF
    system = kvmemu.open(HOST)
    with pytest.raises(kvmemu.KvmError) as caught:
        Steps(system)
    assert caught.value.errno == errno.EINVAL
    kvmemu.close(system)


# ---- scripts ----

SETUP = """kvmemu-trace 1
open kvm
ioctl kvm KVM_CREATE_VM 0 -> vm
ioctl vm KVM_CREATE_VCPU 0 -> v
ioctl v KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 4 6*0 ]
ioctl vm KVM_CREATE_VCPU 1 -> w
ioctl w KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 4 6*0 ]
buffer ram 0x1000
ioctl vm KVM_SET_USER_MEMORY_REGION [ u32 0 0 u64 0x40000000 0x1000 &ram ]
"""
SETUP_ANSWERS = 7


def answers_of(body: str) -> list[str]:
    script = parse(SETUP + body, kvm.ALL)
    answers = replay(script, KvmemuBackend(kvmemu, HOST))
    return [format_answer(answer) for _, answer in answers if answer][SETUP_ANSWERS:]


def test_operations_see_each_others_results() -> None:
    body = (
        "guest v [ load 0x50000000 8 <- 0x1122334455667788 -> a; store 0x40000008 8 $a+1; "
        "load 0x40000008 1; read MPIDR_EL1 -> a; wait 0x40000008 4 0x55667789; "
        "repeat 3 [ load 0x40000010 4 -> n; until $n 2; store 0x40000010 4 $n+1 ]; "
        "store 0x50000000 2 $a; read CNTVCT_EL0 ? ]"
    )
    assert answers_of(body) == [
        "= 0 [ mmio:0x1122334455667788 . 0x89 0x80000000 . 0x0 . 0x1 . 0x2 mmio:0x0 ? ]"
    ]


def test_a_list_goes_on_and_ends() -> None:
    body = (
        "alarm 20\nguest v [ lines; wfi; lines ]\nioctl vm KVM_IRQ_LINE [ u32 0 1 ]\nguest v\n"
        "dup v -> x\nguest x [ lines ]\nguest v [ hvc 0x84000008; lines ]"
    )
    assert answers_of(body) == [
        "= -EINTR [ none ]", "= 0", "= 0 [ . I ]", "= fd", "= 0 [ I ]",
        "= KVM_EXIT_SYSTEM_EVENT [ ]",
    ]  # fmt: skip


def test_two_at_once_meet_in_memory() -> None:
    body = (
        "guest v [ store 0x40000000 4 1; wait 0x40000000 4 2; lines ] "
        "w [ wait 0x40000000 4 1; store 0x40000000 4 2 ]"
    )
    assert answers_of(body) == ["= 0 [ . . none ] 0 [ . . ]"]


def test_an_alarm_ends_all() -> None:
    assert answers_of("alarm 20\nguest v [ wfi ] w [ lines; wfi ]") == [
        "= -EINTR [ ] -EINTR [ none ]"
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param("guest v", "this vCPU has no list to go on with", id="nothing-to-go-on"),
        pytest.param(
            "guest v [ lines ]\nguest v", "this vCPU has no list to go on with", id="at-its-end"
        ),
        pytest.param("guest vm [ lines ]", "only a vCPU that was created has a guest", id="vm"),
    ],
)
def test_error_says_why(body: str, why: str) -> None:
    with pytest.raises(st.TraceError) as caught:
        answers_of(body)
    assert caught.value.why == why


def test_linux_itself_needs_machine_code() -> None:
    with pytest.raises(OSError, match=r"replay\.c") as caught:
        LinuxBackend().guest(0)
    assert caught.value.errno == errno.ENOSYS
