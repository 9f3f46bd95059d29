# SPDX-License-Identifier: MIT
"""Random scripts: sequences of calls that may be valid, for Linux and kvmemu to answer alike.

Part of the tests. What legitimately differs is not compared: what the running counter reads, and
a register QEMU does not have (`?`). What a guest would do is not asked: KVM_RUN either returns at
once (immediate_exit) or is of a vCPU that is stopped or suspended, with a signal on its way.
Compare values of a timer are far from where the counter can be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import strategies as st

import kvmemu
from kvmemu import constants as c
from kvmemu.registers import reg_bytes

T = TypeVar("T")

STEPS_MAX = 50
FEATURE_BITS = 7
ALARM_MS = 25  # time enough for the call that it interrupts to begin
SLOT_PAGES = (1, 2, 16, 64, 65, 130)
BUFFER_BYTES = 0x100000
RUN_LEVEL = 304  # offsets in struct kvm_run: s.regs.device_irq_level,
RUN_EXIT = 8  # and exit_reason

# QEMU's timer never rests once a CVAL is further off than its 64-bit counter: not all ones
CVALS = (0, 1 << 40, 1 << 60, 1 << 63, 0xFF << 56)
COUNTS = (0, 1 << 40, 1 << 50, 1 << 61, 1 << 63 | 5)

WORD = (1 << 64) - 1
CORE = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | c.KVM_REG_ARM_CORE
PSTATE = CORE | 0x42
SYSREG = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | c.KVM_REG_ARM64_SYSREG
FIRMWARE = (
    c.KVM_REG_ARM_PSCI_VERSION,
    c.KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1,
    c.KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2,
    c.KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3,
    c.KVM_REG_ARM_STD_BMAP,
    c.KVM_REG_ARM_STD_HYP_BMAP,
    c.KVM_REG_ARM_VENDOR_HYP_BMAP,
)
# DBGVCR32_EL2 goes through the hardware in the runs of AArch32 guests, and QEMU has none: what the
# kernel then stores is what its MRS left in place, the value of IFSR32_EL2
DBGVCR32 = c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | c.KVM_REG_ARM64_SYSREG | 0xA038
VOLATILE = (c.KVM_REG_ARM_TIMER_CNT, DBGVCR32)
TIMER = (c.KVM_REG_ARM_TIMER_CTL, c.KVM_REG_ARM_TIMER_CNT, c.KVM_REG_ARM_TIMER_CVAL)
# where a run, an abort or a reset shows
SPECIAL = (
    CORE | 0x40, PSTATE, CORE | 0x44, CORE | 0x46, CORE | 0x48, CORE | 0x28, CORE | 0x4A, CORE,
    *(SYSREG | n for n in (0xC080, 0xC005, 0xC102, 0xC290, 0xC300, 0xC600, 0xD000, 0xC020)),
)  # fmt: skip
PMU = tuple(
    SYSREG | n for n in (0xDCE0, 0xDCE1, 0xDCE3, 0xDCE8, 0xDCF3, 0xC4F1, 0xC4F2, 0xDF40, 0xDF41)
)
SVE = (
    c.KVM_REG_ARM64_SVE_VLS,
    c.KVM_REG_ARM64 | c.KVM_REG_ARM64_SVE | c.KVM_REG_SIZE_U2048,
    c.KVM_REG_ARM64 | c.KVM_REG_ARM64_SVE | c.KVM_REG_SIZE_U256 | 0x400,
)


def listed(host: str) -> tuple[int, ...]:
    """Every register that some vCPU on a host has."""
    ids: dict[int, None] = {}
    with kvmemu.System(host) as system:
        for bits in (0x04, 0x0C, 0x64, 0x14, 0x02):
            features = [n for n in range(FEATURE_BITS) if bits >> n & 1]
            with system.create_vm() as vm:
                vcpu = vm.create_vcpu()
                try:
                    vcpu.init(features)
                except kvmemu.KvmError:
                    continue
                if c.KVM_ARM_VCPU_SVE in features:
                    vcpu.finalize(c.KVM_ARM_VCPU_SVE)
                ids.update(dict.fromkeys(vcpu.reg_list()))
    return tuple(ids)


@dataclass
class _Vcpu:
    name: str
    vm: str
    run: str = ""


@dataclass
class _Writer:
    """A script being made: what there is so far, and where the choices come from."""

    draw: st.DrawFn
    ids: tuple[int, ...]
    lines: list[str] = field(default_factory=list)
    vms: list[str] = field(default_factory=list)
    vcpus: list[_Vcpu] = field(default_factory=list)
    names: int = 0

    # ---- choices ----

    def pick(self, choices: Sequence[T]) -> T:
        return self.draw(st.sampled_from(choices))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def one_in(self, n: int) -> bool:
        """True for one in n, and what shrinks goes away from it."""
        return self.draw(st.integers(0, n - 1)) == n - 1

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

    def vcpu(self) -> _Vcpu:
        return self.pick(self.vcpus)

    def add(self, line: str) -> None:
        self.lines.append(line)

    # ---- creation ----

    def create_vm(self) -> None:
        kind = self.pick((0, 0, 0, 0, 32, 36, 40, 44, 48, 31, 53, 0x100))
        name = self.new_name("vm")
        self.add(f"ioctl kvm KVM_CREATE_VM {kind} -> {name}")
        self.vms.append(name)

    def create_vcpu(self) -> None:
        vm, name = self.vm(), self.new_name("v")
        number = self.pick((0, 1, 2, 3, 7, 8, 511, 512, 1 << 32))
        self.add(f"ioctl {vm} KVM_CREATE_VCPU {number:#x} -> {name}")
        self.vcpus.append(_Vcpu(name, vm))

    def init(self, vcpu: _Vcpu | None = None) -> None:
        name = (vcpu or self.vcpu()).name
        target = self.pick((*["KVM_ARM_TARGET_GENERIC_V8"] * 12, "KVM_ARM_TARGET_CORTEX_A57", "-1"))
        bits = self.pick((0, 4, 4, 4, 1, 2, 8, 0xC, 0x14, 0x1C, 0x64, 0x7C, 0x24, 0x10, 0x84))
        if self.one_in(4):
            bits = self.number(0, (1 << FEATURE_BITS + 1) - 1)
        self.add(f"ioctl {name} KVM_ARM_VCPU_INIT [ u32 {target} {bits:#x} 6*0 ]")

    def begin_vcpu(self, vcpu: _Vcpu) -> None:
        """What most vCPUs go through before anything else."""
        bits = self.pick((4, 0, 8, 0xC, 0x14, 0x1C, 0x64, 0x7C, 2, 0xA))
        self.add(
            f"ioctl {vcpu.name} KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 {bits:#x} 6*0 ]"
        )
        if bits & 0x10 and not self.one_in(3):
            self.add(f"ioctl {vcpu.name} KVM_ARM_VCPU_FINALIZE [ u32 4 ]")
        if bits & 8 and not self.one_in(3):
            self.add(f"ioctl {vcpu.name} KVM_SET_DEVICE_ATTR [ u32 0 0 u64 1 0 ]")

    def finalize(self) -> None:
        feature = self.pick((4, 4, 4, 0, 5))
        self.add(f"ioctl {self.vcpu().name} KVM_ARM_VCPU_FINALIZE [ u32 {feature} ]")

    # ---- registers ----

    def register(self) -> int:
        kind = self.pick(
            ("listed", "listed", "special", "special", "firmware", "timer", "pmu", "sve", "odd")
        )
        if kind == "odd":
            return self.odd_register()
        among = {
            "listed": self.ids, "special": SPECIAL, "firmware": FIRMWARE, "timer": TIMER,
            "pmu": PMU, "sve": SVE,
        }[kind]  # fmt: skip
        return self.pick(among)

    def odd_register(self) -> int:
        """An id that probably is none."""
        kind = self.pick(("bit", "encoding", "core", "coprocessor"))
        if kind == "encoding":
            return SYSREG | self.number(0, 0xFFFF)
        if kind == "core":
            size = self.pick((c.KVM_REG_SIZE_U32, c.KVM_REG_SIZE_U64, c.KVM_REG_SIZE_U128))
            return c.KVM_REG_ARM64 | c.KVM_REG_ARM_CORE | size | self.number(0, 0xE0)
        if kind == "coprocessor":
            return c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | self.number(0, 0x20) << 16
        return self.pick(self.ids) ^ 1 << self.number(0, 63)

    def get(self) -> None:
        register_id = self.register()
        mark = " ?" if register_id in VOLATILE else ""
        self.add(f"get {self.vcpu().name} {register_id:#018x}{mark}")

    def value_for(self, register_id: int) -> int:
        if register_id == c.KVM_REG_ARM_TIMER_CVAL:
            return self.pick(CVALS)
        if register_id == c.KVM_REG_ARM_TIMER_CNT:
            return self.pick(COUNTS)
        if register_id == PSTATE and not self.one_in(8):
            return self.pick((0x3C0, 0, 0xF0000000, 0x20)) | self.number(0, 0x1F)
        if register_id in FIRMWARE and not self.one_in(8):
            return self.pick((0, 1, 2, 3, 0x10, 0x12, 0x10000, 0x10001))
        if register_id == c.KVM_REG_ARM64_SVE_VLS:
            return self.pick((1, 3, 7, 0xF, 0xFFFF, 0, 1 << 64))
        size = reg_bytes(register_id)
        word = self.word().to_bytes(8, "little")
        return int.from_bytes((word * (size // 8 + 1))[:size], "little")

    def set(self) -> None:
        register_id = self.register()
        self.add(f"set {self.vcpu().name} {register_id:#018x} {self.value_for(register_id):#x}")

    def set_and_get(self) -> None:
        vcpu, register_id = self.vcpu().name, self.register()
        self.add(f"set {vcpu} {register_id:#018x} {self.value_for(register_id):#x}")
        mark = " ?" if register_id in VOLATILE else ""
        self.add(f"get {vcpu} {register_id:#018x}{mark}")

    def copy_register(self) -> None:
        """Read on one vCPU, written on another."""
        register_id = self.register()
        if register_id in (*TIMER, *VOLATILE):  # the copy would be a value that is not compared
            return
        self.add(f"ioctl {self.vcpu().name} KVM_GET_ONE_REG [ {register_id:#x} &value ]")
        self.add(f"ioctl {self.vcpu().name} KVM_SET_ONE_REG [ {register_id:#x} &value ]")

    def bad_pointer(self) -> None:
        request = self.pick(
            (
                "KVM_GET_ONE_REG", "KVM_SET_ONE_REG", "KVM_GET_REG_LIST", "KVM_SET_MP_STATE",
                "KVM_GET_VCPU_EVENTS", "KVM_SET_VCPU_EVENTS", "KVM_ARM_VCPU_INIT",
                "KVM_ARM_VCPU_FINALIZE", "KVM_GET_DEVICE_ATTR", "KVM_SET_DEVICE_ATTR",
            )
        )  # fmt: skip
        if request.endswith("ONE_REG") and self.draw(st.booleans()):
            self.add(f"ioctl {self.vcpu().name} {request} [ {self.register():#x} bad ]")
        else:
            self.add(f"ioctl {self.vcpu().name} {request} bad")

    def reg_list(self) -> None:
        count = self.pick((0, 1, 200, 400, 1 << 32))
        block = f"[ {count} 400*0 ]"
        self.add(f"ioctl {self.vcpu().name} KVM_GET_REG_LIST {block}")

    # ---- state of a vCPU ----

    def mp_state(self) -> None:
        if self.draw(st.booleans()):
            self.add(f"ioctl {self.vcpu().name} KVM_GET_MP_STATE [ u32 0x55 ]")
        else:
            state = self.pick((0, 5, 10, 0, 5, 10, 1, 9, 0xFFFFFFFF))
            self.add(f"ioctl {self.vcpu().name} KVM_SET_MP_STATE [ u32 {state} ]")

    def events(self) -> None:
        if self.draw(st.booleans()):
            self.add(f"ioctl {self.vcpu().name} KVM_GET_VCPU_EVENTS [ u8 8*0x55 u64 7*0x55 ]")
            return
        pending, has_esr, abort = (self.number(0, 1) for _ in range(3))
        pad = self.pick((0, 0, 0, 0, 0, 1))
        esr = self.pick((0, 1, 0x1FFFFFF, 0x2000000, WORD))
        rest = self.pick((0, 0, 0, 0, 0, 1))
        self.add(
            f"ioctl {self.vcpu().name} KVM_SET_VCPU_EVENTS "
            f"[ u8 {pending} {has_esr} {abort} 4*0 {pad} u64 {esr:#x} 5*0 {rest} ]"
        )

    def attribute(self) -> None:
        request = self.pick(("HAS", "GET", "SET", "SET", "SET"))
        group, attr = self.pick((0, 0, 0, 1, 2, 2, 3)), self.pick((0, 0, 1, 2, 3, 4))
        filters = f"u16 {self.number(0, 1024)} {self.number(0, 1024)} u8 {self.number(0, 2)} 3*0"
        value = self.pick(("0x0", "0x10000", "0x10040", "0x10001", "u32 8 0", "u32 27 0", filters))
        if group == 2 and request == "SET" and self.draw(st.booleans()):
            attr, value = 0, "0x10040"
        address = self.pick((f"[ {value} ]", f"[ {value} ]", f"[ {value} ]", "bad", "0"))
        what = f"u32 0 {group} u64 {attr} {address}"
        self.add(f"ioctl {self.vcpu().name} KVM_{request}_DEVICE_ATTR [ {what} ]")

    def pmu(self) -> None:
        """The PMU is initialised, which a run needs."""
        self.add(f"ioctl {self.vcpu().name} KVM_SET_DEVICE_ATTR [ u32 0 0 u64 1 0 ]")

    def guest_debug(self) -> None:
        control = self.pick((0, 1, 3, 0x10001, 0x20001, 2, 4, 0x30003))
        self.add(f"ioctl {self.vcpu().name} KVM_SET_GUEST_DEBUG [ u32 {control:#x} 0 u64 64*0 ]")

    # ---- running ----

    def _mapped(self) -> _Vcpu:
        vcpu = self.vcpu()
        if not vcpu.run:
            vcpu.run = self.new_name("run")
            self.add(f"mmap {vcpu.name} 0x1000 0 -> {vcpu.run}")
        return vcpu

    def _peek_run(self, vcpu: _Vcpu) -> None:
        self.add(f"peek {vcpu.run}+{RUN_EXIT} [ u32 0 u8 2*0 u16 0 ]")
        self.add(f"peek {vcpu.run}+{RUN_LEVEL} [ 0 ]")

    def run_at_once(self) -> None:
        vcpu = self._mapped()
        self.add(f"poke {vcpu.run}+1 [ u8 {self.pick((1, 1, 1, 0xFF))} ]")
        self.add(f"ioctl {vcpu.name} KVM_RUN {self.pick((0, 0, 0, 0, 0, 1))}")
        if self.draw(st.booleans()):
            self._peek_run(vcpu)

    def run_asleep(self) -> None:
        vcpu = self._mapped()
        state = self.pick(("KVM_MP_STATE_STOPPED", "KVM_MP_STATE_SUSPENDED"))
        self.add(f"ioctl {vcpu.name} KVM_SET_MP_STATE [ u32 {state} ]")
        self.add(f"poke {vcpu.run}+1 [ u8 0 ]")
        if self.one_in(3):
            level = self.pick((0, 1, 2, 3, 4, 7, 8, WORD))
            self.add(f"poke {vcpu.run}+{RUN_LEVEL} [ {level:#x} ]")
        self.add(f"alarm {ALARM_MS}")
        self.add(f"ioctl {vcpu.name} KVM_RUN 0")
        self._peek_run(vcpu)

    def irq_line(self) -> None:
        irq = self.number(0, 2) | self.number(0, 2) << 16
        if self.one_in(6):
            irq |= self.pick((1 << 24, 2 << 24, 3 << 24, 1 << 28))
        self.add(f"ioctl {self.vm()} KVM_IRQ_LINE [ u32 {irq:#x} {self.number(0, 1)} ]")

    # ---- VMs ----

    def slot(self) -> None:
        number = self.pick((0, 0, 1, 1, 2, 32766, 32767, 0x10000))
        flags = self.pick((1, 1, 1, 0, 0, 2, 3, 4))
        guest = self.pick(
            (0x10000, 0x10000, 0, 0x11000, 0x40000, 0xFFFFFF000, 0x10000000000, 0x800)
        )
        size = 0x1000 * self.pick((*SLOT_PAGES, *SLOT_PAGES, 0, 0))
        user = self.pick((*["&mem"] * 10, "&mem+0x1000", "&mem+0x800", "bad", "0"))
        self.add(
            f"ioctl {self.vm()} KVM_SET_USER_MEMORY_REGION "
            f"[ u32 {number} {flags} u64 {guest:#x} {size:#x} {user} ]"
        )

    def dirty_log(self) -> None:
        number = self.pick((0, 0, 0, 1, 1, 2, 32767))
        bitmap = self.pick(("[ 4*0x55 ]", "[ 4*0x55 ]", "[ 4*0x55 ]", "[ -1 ]", "bad"))
        if self.draw(st.booleans()):
            self.add(f"ioctl {self.vm()} KVM_GET_DIRTY_LOG [ u32 {number} 0 u64 {bitmap} ]")
            return
        pages, first = self.pick((0, 1, 2, 64, 65, 130)), self.pick((0, 0, 0, 64, 128, 1))
        self.add(
            f"ioctl {self.vm()} KVM_CLEAR_DIRTY_LOG [ u32 {number} {pages} u64 {first} {bitmap} ]"
        )

    def enable_cap(self) -> None:
        cap = self.pick((
            "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2", "KVM_CAP_ARM_NISV_TO_USER", "KVM_CAP_ARM_MTE",
            "KVM_CAP_ARM_SYSTEM_SUSPEND", "KVM_CAP_HALT_POLL", "KVM_CAP_ONE_REG",
        ))  # fmt: skip
        flags, arg = self.pick((0, 0, 0, 1)), self.pick((0, 1, 2, 3, 3, 4, 1 << 32))
        self.add(f"ioctl {self.vm()} KVM_ENABLE_CAP [ u32 {cap} {flags} u64 {arg} 3*0 64*0 ]")

    def close(self) -> None:
        name = self.pick([*self.vms, *(vcpu.name for vcpu in self.vcpus)])
        self.add(f"close {name}")


_STEPS: dict[Callable[[_Writer], None], int] = {
    _Writer.set_and_get: 16, _Writer.get: 10, _Writer.set: 12, _Writer.copy_register: 3,
    _Writer.init: 8, _Writer.finalize: 3, _Writer.run_at_once: 8, _Writer.run_asleep: 1,
    _Writer.events: 5, _Writer.mp_state: 4, _Writer.attribute: 7, _Writer.pmu: 3,
    _Writer.slot: 7, _Writer.dirty_log: 7, _Writer.enable_cap: 2, _Writer.irq_line: 3,
    _Writer.reg_list: 2, _Writer.bad_pointer: 3, _Writer.guest_debug: 1, _Writer.create_vcpu: 3,
    _Writer.create_vm: 1, _Writer.close: 1,
}  # fmt: skip
_WEIGHTED = [step for step, weight in _STEPS.items() for _ in range(weight)]


@st.composite
def scripts(draw: st.DrawFn, host: str, ids: tuple[int, ...]) -> str:
    """A script for a host; ids are those of `listed`."""
    writer = _Writer(draw, ids)
    writer.add("open kvm")
    writer.add(f"buffer mem {BUFFER_BYTES:#x}")
    writer.add("buffer value 0x1000")
    writer.add("ioctl kvm KVM_CREATE_VM 0 -> vm")
    writer.vms.append("vm")
    if draw(st.booleans()):
        writer.enable_cap()
        writer.add("ioctl vm KVM_SET_USER_MEMORY_REGION [ u32 0 1 u64 0x10000 0x82000 &mem ]")
    for number in range(draw(st.integers(1, 2))):
        writer.add(f"ioctl vm KVM_CREATE_VCPU {number} -> w{number}")
        writer.vcpus.append(_Vcpu(f"w{number}", "vm"))
        if not writer.one_in(6):
            writer.begin_vcpu(writer.vcpus[-1])
    for _ in range(draw(st.integers(4, STEPS_MAX))):
        draw(st.sampled_from(_WEIGHTED))(writer)
    return "\n".join(["kvmemu-trace 1", f"host {host}", *writer.lines]) + "\n"
