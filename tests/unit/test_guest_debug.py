# SPDX-License-Identifier: MIT
"""A guest that KVM_SET_GUEST_DEBUG has stepped: what user space sees, as Linux recorded it.

The recordings are those of tests/oracle/guest_debug.c, whose steps are made again here.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Generator
from pathlib import Path

import pytest

import kvmemu
from kvmemu import constants as kvm
from kvmemu.cpu import Cpu
from kvmemu.guest_steps import Instruction, Result, Steps
from kvmemu.registers import sysreg_encoding

RECORDED = Path(__file__).parent / "guest_debug"
RAM, DIST, VOID = 0x8000, 0x800_0000, 0x500_0000
SPI = 40
PLACES = {"RAM": RAM, "DIST": DIST, "VOID": VOID}
VALUES = {"ICC_PMR_EL1": 0xF0, "SCTLR_EL1": 0x30D0_0800}
CALLS = {"PSCI_VERSION": 0x8400_0000, "SYSTEM_OFF": 0x8400_0008}
ENABLE, STEP = kvm.KVM_GUESTDBG_ENABLE, kvm.KVM_GUESTDBG_SINGLESTEP
FLAGS, EXIT = 12 + 2, 32  # in struct kvm_run
PSTATE = 0x6030_0000_0010_0042
HOSTS = sorted(path.stem for path in RECORDED.iterdir())


def instruction(name: str) -> Instruction:
    """What the oracle's program has under this name."""
    word, _, what = name.partition(" ")
    if word == "read":
        return "read", sysreg_encoding(what)
    if word == "write":
        return "write", sysreg_encoding(what), VALUES.get(what, 0)
    if word == "load":
        return "load", PLACES[what], 4
    if word == "store":
        return "store", PLACES[what], 4, 0
    return (word,) if word == "wfi" else (word, CALLS[what], 0, 0, 0)


class Stepped:
    """A VM as that program makes it, and the lines that it prints."""

    def __init__(self, system: kvmemu.System) -> None:
        vm = system.create_vm()
        self._vcpu = vm.create_vcpu()
        self._vcpu.init([kvm.KVM_ARM_VCPU_PSCI_0_2])
        self._memory = mmap.mmap(-1, 0x10000)
        vm.set_user_memory_region(0, 0, self._memory)
        vm.create_vgic_v3(dist=DIST)
        self._steps = Steps(self._vcpu.fileno())
        self._begin(
            ("store", DIST, 4, 2), ("store", DIST + 0x84, 4, 0xFFFFFFFF),
            ("store", DIST + 0x104, 4, 1 << SPI - 32),
            ("write", sysreg_encoding("ICC_PMR_EL1"), 0xF0),
            ("write", sysreg_encoding("ICC_IGRPEN1_EL1"), 1),
        )  # fmt: skip
        self._vcpu.run()
        vm.spi(SPI, True)

    def _begin(self, *instructions: Instruction) -> None:
        """The guest executes these, and then stores to where nothing is."""

        def program() -> Generator[Instruction, Result, None]:
            nowhere = ("store", VOID + 0x1000, 4, 0)
            yield from (each for each in (*instructions, nowhere, nowhere))

        if self._vcpu.exit_reason == kvm.KVM_EXIT_MMIO:
            self._once(at_once=True)
        self._steps.begin(program)

    def _once(self, *, at_once: bool = False) -> str:
        """One KVM_RUN, in the words of the recording."""
        run = self._vcpu.kvm_run
        self._vcpu.immediate_exit = at_once
        try:
            self._vcpu.run()
        except InterruptedError:
            return " failed"
        finally:
            self._vcpu.immediate_exit = False
        text = f" {self._vcpu.exit_reason}"
        if self._vcpu.exit_reason == kvm.KVM_EXIT_DEBUG:
            hsr, high = struct.unpack_from("<II", run, EXIT)
            flags = struct.unpack_from("<H", run, FLAGS)[0]
            text += f" hsr {hsr:x} {high:x} flags {flags:x}"
        if self._vcpu.exit_reason == kvm.KVM_EXIT_MMIO:
            address, is_write = struct.unpack_from("<Q12xB", run, EXIT)
            text += f" mmio {address:x} {is_write}"
        return text + f" ss {self._vcpu.get_one_reg(PSTATE) >> 21 & 1}"

    def answer(self, line: str) -> str:
        """What comes of a line's steps, which it names; the line itself is the recorded answer."""
        name, _, recorded = line.partition(":")
        if name.startswith("debug "):
            self._vcpu.set_guest_debug(int(name.split()[1], 16))
            return f"{' '.join(name.split()[:2])} -> 0"
        if name != "then":
            self._begin(instruction(name))
        if recorded.startswith(" failed"):
            return f"{name}:{self._once(at_once=True)}{self._once()}"
        texts = []
        for _ in recorded.split(";"):
            texts.append(self._once())
            self._vcpu.mp_state = kvm.KVM_MP_STATE_RUNNABLE
        return f"{name}:" + ";".join(texts)


@pytest.mark.parametrize("host", HOSTS)
def test_steps_are_seen_as_on_linux(host: str) -> None:
    recorded = (RECORDED / f"{host}.txt").read_text().splitlines()
    with kvmemu.System(host) as system:
        stepped = Stepped(system)
        assert [stepped.answer(line) for line in recorded] == recorded


def test_straight_line_guest_is_stepped() -> None:
    seen: list[int] = []

    def guest(cpu: Cpu) -> None:
        for value in range(3):
            cpu.store(RAM, value, 4)
            seen.append(value)
        cpu.mmio_write(VOID, 1)

    with kvmemu.System(HOSTS[0]) as system, system.create_vm() as vm:
        vcpu = vm.create_vcpu()
        vcpu.init([kvm.KVM_ARM_VCPU_PSCI_0_2])
        memory = mmap.mmap(-1, 0x10000)
        vm.set_user_memory_region(0, 0, memory)
        vcpu.set_guest(guest)
        vcpu.set_guest_debug(ENABLE | STEP)
        for count in (1, 2, 3):
            vcpu.run()
            assert vcpu.exit_reason == kvm.KVM_EXIT_DEBUG
            assert seen == list(range(count))
        vcpu.run()
        assert vcpu.exit_reason == kvm.KVM_EXIT_MMIO
        vcpu.set_guest(None)
