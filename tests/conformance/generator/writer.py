# SPDX-License-Identifier: MIT
"""A random script while it is being made: what there is in it, and where choices come from.

Part of the tests.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

WORD = (1 << 64) - 1
ALARM_MS = 25  # time enough for the call that it interrupts to begin
STOP_MS = 5  # the same, for one that has begun and is to go to sleep


@dataclass
class Vcpu:
    """A vCPU that may have come to be.

    Attributes:
        number: its id.
        run: the name of its mapped kvm_run, or nothing.
        is_started: it runs on a thread of its own, and other calls would wait for it.
        features: those it was first initialised with, as bits.
    """

    name: str
    vm: str
    number: int
    run: str = ""
    is_started: bool = False
    features: int = 0


@dataclass(frozen=True)
class Gic:
    """An interrupt controller that may have come to be."""

    name: str
    vm: str
    version: int


@dataclass
class Writer:
    """A script being made.

    Attributes:
        ids: registers that vCPUs of the host have.
        versions: of the GIC that its VMs may have.
    """

    choose: random.Random
    ids: tuple[int, ...]
    versions: tuple[int, ...]
    lines: list[str] = field(default_factory=list)
    vms: list[str] = field(default_factory=list)
    vcpus: list[Vcpu] = field(default_factory=list)
    gics: list[Gic] = field(default_factory=list)
    eventfds: list[str] = field(default_factory=list)
    idle: str = ""  # a vCPU of another VM, whose runs let time pass
    names: int = 0

    # ---- choices ----

    def pick(self, choices: Sequence[T]) -> T:
        return self.choose.choice(choices)

    def number(self, low: int, high: int) -> int:
        return self.choose.randint(low, high)

    def coin(self) -> bool:
        return bool(self.choose.getrandbits(1))

    def one_in(self, n: int) -> bool:
        return self.choose.randrange(n) == 0

    def new_name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def word(self) -> int:
        """64 bits, more often with few of them."""
        kind = self.pick(("zero", "ones", "bit", "low", "pattern", "any"))
        if kind == "bit":
            return 1 << self.number(0, 63)
        if kind == "low":
            return self.number(0, 0xFF)
        if kind == "any":
            return self.number(0, WORD)
        return {"zero": 0, "ones": WORD, "pattern": 0x0123456789ABCDEF}[kind]

    def vm(self) -> str:
        """A VM, more often the first."""
        return self.pick([self.vms[0], self.vms[0], *self.vms])

    def vcpu(self) -> Vcpu:
        """A vCPU that no other thread runs."""
        resting = [vcpu for vcpu in self.vcpus if not vcpu.is_started]
        if not resting:
            self.stop(self.vcpus[0])
            resting = self.vcpus[:1]
        return self.pick(resting)

    def gic(self) -> Gic:
        """A controller, more often the first."""
        return self.pick([*self.gics[:1] * 5, *self.gics])

    # ---- lines ----

    def add(self, line: str) -> None:
        self.lines.append(line)

    def mapped(self, vcpu: Vcpu | None = None) -> Vcpu:
        """A vCPU, this or some one, whose kvm_run is mapped."""
        vcpu = vcpu or self.vcpu()
        if not vcpu.run:
            vcpu.run = self.new_name("run")
            self.add(f"mmap {vcpu.name} 0x1000 0 -> {vcpu.run}")
        return vcpu

    def start(self, vcpu: Vcpu) -> None:
        """Have it run, stopped, so that nothing but a signal ends it."""
        self.add(f"ioctl {vcpu.name} KVM_SET_MP_STATE [ u32 KVM_MP_STATE_STOPPED ]")
        self.add(f"poke {self.mapped(vcpu).run}+1 [ u8 0 ]")
        self.add(f"start {vcpu.name}")
        vcpu.is_started = True

    def stop(self, vcpu: Vcpu) -> None:
        self.add(f"stop {vcpu.name} {STOP_MS}")
        vcpu.is_started = False

    def settle(self) -> None:
        """Let what Linux does on other threads be done."""
        if not self.idle:
            self.idle = self.new_name("idle")
            self.add(f"ioctl kvm KVM_CREATE_VM 0 -> {self.idle}_vm")
            self.add(f"ioctl {self.idle}_vm KVM_CREATE_VCPU 0 -> {self.idle}")
            self.add(
                f"ioctl {self.idle} KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 1 6*0 ]"
            )
        self.add(f"alarm {ALARM_MS}")
        self.add(f"ioctl {self.idle} KVM_RUN 0")
