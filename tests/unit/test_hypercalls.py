# SPDX-License-Identifier: MIT
"""Guests' HVC and SMC calls, as Linux answered them: tests/unit/hypercalls."""

from __future__ import annotations

import contextlib
import errno
import functools
import mmap
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from kvmemu._core import ffi, lib

import kvmemu
from kvmemu import constants as kvm
from kvmemu.errors import check

RECORDED = Path(__file__).parent / "hypercalls"
HOSTS = [
    "gicv3-max", "gicv3-max-sve", "gicv3-neoverse-n1", "gicv2-cortex-a72", "gicv3-gicv2-compat",
]  # fmt: skip
NAMES = sorted(path.stem for path in RECORDED.glob("*.txt") if "." not in path.stem)

RAM, RAM_BYTES = 0x10000, 0x4000
X0_X3 = [kvm.KVM_REG_ARM64 | kvm.KVM_REG_SIZE_U64 | kvm.KVM_REG_ARM_CORE | 2 * n for n in range(4)]
TIMER_CNT = kvm.KVM_REG_ARM_TIMER_CNT
DBGVCR32_EL2 = 0x603000000013A038  # not recorded: QEMU does not have it
RND_CALLS = 200
ALARM_S = 0.002
SETTLE_S = 0.05
MINUS_1 = 0xFFFFFFFFFFFFFFFF
CALLS = ffi.addressof(lib, "kvmemu_guest_calls")
WAITS = ffi.addressof(lib, "kvmemu_guest_waits")
MAY_WAIT = (0x84000001, 0xC4000001, 0x84000002, 0x95C1BA5F)  # CPU_SUSPEND, CPU_OFF
UNKNOWN = ("on: ffffffffffffffff 0 0 0", "on: ffffffff 0 0 0")


def recording(host: str, name: str) -> list[str]:
    own = RECORDED / f"{name}.{host}.txt"
    return (own if own.exists() else RECORDED / f"{name}.txt").read_text().splitlines()


def result_of(call: Callable[[], object]) -> str:
    try:
        call()
    except kvmemu.KvmError as error:
        return str(-(error.errno or 0))
    return "0"


class Run(threading.Thread):
    """KVM_RUN on a thread.

    Attributes:
        result: 0 or a negative errno, once it has ended.
    """

    def __init__(self, vcpu: kvmemu.Vcpu) -> None:
        super().__init__()
        self.vcpu = vcpu
        self.result = ""
        self.start()

    def run(self) -> None:
        self.result = result_of(self.vcpu.run)


class Replay:
    """Does the lines of a recording again."""

    def __init__(self, host: str) -> None:
        self.system = kvmemu.System(host)
        self.vm = self.system.create_vm()
        self.ram = mmap.mmap(-1, RAM_BYTES)
        self.vcpus: list[kvmemu.Vcpu] = []
        self.marked: dict[int, dict[int, int]] = {}
        self.runs: dict[int, Run] = {}

    def close(self) -> None:
        self.vm.close()
        self.system.close()

    # ---- VMs and what user space does ----

    def new_vm(self, count: int) -> None:
        self.vm.close()
        self.vm = self.system.create_vm()
        self.ram = mmap.mmap(-1, RAM_BYTES)
        self.vm.set_user_memory_region(0, RAM, self.ram, flags=kvm.KVM_MEM_LOG_DIRTY_PAGES)
        self.vcpus = [self.vm.create_vcpu() for _ in range(count)]

    def init(self, vcpu: kvmemu.Vcpu, features: int) -> str:
        return result_of(lambda: vcpu.init([n for n in range(7) if features >> n & 1]))

    def set_events(self, vcpu: kvmemu.Vcpu, serror: int, abort: int) -> None:
        vcpu.events = kvmemu.VcpuEvents(bool(serror), ext_dabt_pending=bool(abort))

    def line(self, vcpu: kvmemu.Vcpu, level: int) -> None:
        self.vm.irq_line(vcpu.index << kvm.KVM_ARM_IRQ_VCPU_SHIFT, bool(level))

    def set_stolen_time(self, vcpu: kvmemu.Vcpu, ipa: int) -> None:
        vcpu.set_device_attr(kvm.KVM_ARM_VCPU_PVTIME_CTRL, kvm.KVM_ARM_VCPU_PVTIME_IPA, ipa, 8)

    def fill(self, _: kvmemu.Vcpu, ipa: int, count: int, value: int) -> None:
        self.ram[ipa - RAM : ipa - RAM + count] = bytes([value]) * count

    # ---- what it sees ----

    def registers(self, vcpu: kvmemu.Vcpu) -> dict[int, int]:
        return {name: value_of(vcpu, name) for name in vcpu.reg_list()}

    def diff(self, vcpu: kvmemu.Vcpu) -> list[str]:
        before, now = self.marked[vcpu.id], self.registers(vcpu)
        return [
            f"  {name:x} {before[name]:x} -> {value:x}"
            for name, value in now.items()
            if value != before[name] and name not in (TIMER_CNT, DBGVCR32_EL2)
        ]

    def dirty(self) -> str:
        log = self.vm.get_dirty_log(0, RAM_BYTES // 4096)
        return f"0 {int.from_bytes(log, 'little'):x}"

    def read(self, _: kvmemu.Vcpu, ipa: int, count: int) -> str:
        return self.ram[ipa - RAM : ipa - RAM + count].hex(" ")

    # ---- running ----

    def run(self, vcpu: kvmemu.Vcpu) -> str:
        vcpu.set_guest(None)
        with alarm():
            return self.ended(vcpu, result_of(vcpu.run))

    def start_wfi(self, vcpu: kvmemu.Vcpu) -> None:
        check(lib.kvmemu_set_guest(vcpu.handle(), WAITS, ffi.NULL), "the guest")
        self.runs[vcpu.id] = Run(vcpu)

    def waits(self, vcpu: kvmemu.Vcpu) -> str:
        self.runs[vcpu.id].join(SETTLE_S)
        return str(int(self.runs[vcpu.id].is_alive()))

    def join(self, vcpu: kvmemu.Vcpu) -> str:
        run = self.runs.pop(vcpu.id)
        while run.is_alive():
            assert run.ident is not None
            with alarm():
                signal.pthread_kill(run.ident, signal.SIGALRM)
                run.join(SETTLE_S)
        if vcpu.exit_reason == kvm.KVM_EXIT_HYPERCALL:
            return "0 on"
        return self.ended(vcpu, run.result)

    def ended(self, vcpu: kvmemu.Vcpu, result: str) -> str:
        text = f"{result} exit {vcpu.exit_reason}"
        if vcpu.exit_reason == kvm.KVM_EXIT_SYSTEM_EVENT:
            text += f" event {struct.unpack_from('<I', vcpu.kvm_run, 32)[0]:x}"
        return text

    def poke(self, vcpu: kvmemu.Vcpu) -> str:
        vcpu.immediate_exit = True
        result = result_of(vcpu.run)
        vcpu.immediate_exit = False
        return result

    def call(self, vcpu: kvmemu.Vcpu, x: Sequence[int], smc: bool = False) -> None:
        """A guest begins, and calls. What came of it is in exit_reason, and in x0 to x3."""
        context = ffi.cast("void *", int(smc))
        check(lib.kvmemu_set_guest(vcpu.handle(), CALLS, context), "the guest")
        vcpu.set_regs(X0_X3, struct.pack("<4Q", *x))
        with alarm() if x[0] & 0xFFFFFFFF in MAY_WAIT else contextlib.nullcontext():
            result = result_of(vcpu.run)
            # The alarm may have come before the call, or behind one that did not wait.
            while result == str(-errno.EINTR) and x0_to_x3(vcpu)[0] in (x[0], MINUS_1):
                result = result_of(vcpu.run)
        assert result in ("0", str(-errno.EINTR))

    def outcome(self, vcpu: kvmemu.Vcpu, x: Sequence[int], smc: bool = False) -> str:
        self.call(vcpu, x, smc)
        text = "on:"
        if vcpu.exit_reason == kvm.KVM_EXIT_SYSTEM_EVENT:
            kind, ndata, flags = struct.unpack_from("<IIQ", vcpu.kvm_run, 32)
            text = f"event {kind:x} ndata {ndata:x} flags {flags:x}:"
        elif vcpu.exit_reason != kvm.KVM_EXIT_HYPERCALL:
            assert vcpu.exit_reason == kvm.KVM_EXIT_INTR
            text = "waits:"
        return " ".join([text, *(f"{value:x}" for value in x0_to_x3(vcpu))])

    def many(self, vcpu: kvmemu.Vcpu, calls: Iterator[tuple[int, Sequence[int]]]) -> list[str]:
        lines = []
        for name, x in calls:
            text = self.outcome(vcpu, x)
            if not text.startswith("on"):
                for each in self.vcpus:
                    if each.mp_state == kvm.KVM_MP_STATE_STOPPED:
                        each.mp_state = kvm.KVM_MP_STATE_RUNNABLE
            if text not in UNKNOWN:
                lines.append(f"  {name:x} -> {text}")
        return lines

    def sweep(self, vcpu: kvmemu.Vcpu, first: int, last: int, *x: int) -> list[str]:
        return self.many(vcpu, ((fn, (fn, *x)) for fn in range(first, last + 1)))

    def arguments(self, vcpu: kvmemu.Vcpu, fn: int, first: int, last: int, *x: int) -> list[str]:
        return self.many(vcpu, ((arg, (fn, arg, *x)) for arg in range(first, last + 1)))

    def flips(self, vcpu: kvmemu.Vcpu, fn: int, *x: int) -> list[str]:
        return self.many(vcpu, ((fn ^ 1 << bit, (fn ^ 1 << bit, *x)) for bit in range(64)))

    def rnd(self, vcpu: kvmemu.Vcpu, fn: int, bits: int) -> str:
        ever = [0] * 4
        for _ in range(RND_CALLS):
            self.call(vcpu, (fn, bits, 0, 0))
            ever = [a | b for a, b in zip(ever, x0_to_x3(vcpu), strict=True)]
        return " ".join(f"{value:x}" for value in ever)

    def ptp(self, vcpu: kvmemu.Vcpu, counter: int) -> str:
        def clocks() -> tuple[int, int, int]:
            return time.time_ns(), vcpu.get_one_reg(TIMER_CNT), self.system.counter.ticks

        before = clocks()
        self.call(vcpu, (0x86000001, counter, 0, 0))
        after = clocks()
        x = x0_to_x3(vcpu)
        if x[0] == MINUS_1:
            return " ".join(f"{value:x}" for value in x)
        got = (x[0] << 32 | x[1], x[2] << 32 | x[3], x[2] << 32 | x[3])
        within = (int(a <= b <= c) for a, b, c in zip(before, got, after, strict=True))
        return "clock {} virtual {} physical {}".format(*within)

    # ---- lines ----

    def statement(self, word: str, words: list[str]) -> str | list[str] | None:
        """What the line answers: behind its arrow, on lines of its own, or nothing."""
        if word == "vm":
            self.new_vm(int(words[0], 16))
            return None
        vcpu = self.vcpus[int(words[0], 16)]
        if word == "stat":
            return str(vcpu.stats()[words[1]])
        n = [int(number, 16) for number in words[1:]]
        answers: dict[str, Callable[..., str | list[str]]] = {
            "init": self.init, "run": self.run, "poke": self.poke, "read": self.read,
            "hvc": lambda v, *x: self.outcome(v, x), "hvc1234": lambda v, *x: self.outcome(v, x),
            "smc": lambda v, *x: self.outcome(v, x, smc=True), "sweep": self.sweep,
            "arguments": self.arguments, "flips": self.flips, "rnd": self.rnd, "ptp": self.ptp,
            "diff": self.diff, "dirty": lambda _: self.dirty(),
            "waits": self.waits, "join": self.join,
            "serror": lambda v: str(int(v.events.serror_pending)),
            "get": lambda v, name: f"{value_of(v, name):x}", "mp": lambda v: f"{v.mp_state:x}",
        }  # fmt: skip
        if word in answers:
            return answers[word](vcpu, *n)
        if word == "mark":
            self.marked[vcpu.id] = self.registers(vcpu)
            return None
        if word == "wfi":
            self.start_wfi(vcpu)
            return None
        if word == "fill":
            self.fill(vcpu, *n)
            return None
        requests: dict[str, Callable[..., object]] = {
            "cap": lambda _, cap: self.vm.enable_cap(cap), "line": self.line,
            "set": lambda v, name, value: v.set_one_reg(name, value),
            "set-mp": lambda v, state: setattr(v, "mp_state", state),
            "events": self.set_events, "stolen-time": self.set_stolen_time,
        }  # fmt: skip
        return result_of(functools.partial(requests[word], vcpu, *n))

    def again(self, line: str) -> list[str]:
        """A line with our answer, and the lines below it."""
        if line.startswith("#"):
            return [line]
        asked = line.partition(" -> ")[0]
        word, *words = asked.split()
        answer = self.statement(word, words)
        if isinstance(answer, str):
            return [f"{asked} -> {answer}"]
        return [asked, *(answer or [])]


def x0_to_x3(vcpu: kvmemu.Vcpu) -> tuple[int, ...]:
    return struct.unpack("<4Q", vcpu.get_regs(X0_X3))


def value_of(vcpu: kvmemu.Vcpu, name: int) -> int:
    """A register, of those that are longer the lowest 64 bits."""
    return vcpu.get_one_reg(name) & 0xFFFFFFFFFFFFFFFF


@contextlib.contextmanager
def alarm() -> Iterator[None]:
    """A signal that comes, and comes again lest it was early."""
    previous = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, ALARM_S, ALARM_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("host", HOSTS)
def test_calls_answer_as_on_linux(host: str, name: str) -> None:
    want = recording(host, name)
    replay = Replay(host)
    if name == "aarch32" and not replay.system.check_extension(kvm.KVM_CAP_ARM_EL1_32BIT):
        pytest.skip("this CPU has no AArch32 at EL1")
    got: list[str] = []
    for line in want:
        if not line.startswith("  "):
            got += replay.again(line)
    replay.close()
    assert got == want
    assert len(want) > 50
