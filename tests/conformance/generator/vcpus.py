# SPDX-License-Identifier: MIT
"""Random calls about vCPUs: creation, state, attributes, runs.

Part of the tests.
"""

from __future__ import annotations

from conformance.generator.writer import ALARM_MS, WORD, Vcpu, Writer

FEATURE_BITS = 7
RUN_LEVEL = 304  # offsets in struct kvm_run: s.regs.device_irq_level,
RUN_EXIT = 8  # and exit_reason


def create_vcpu(w: Writer) -> None:
    vm, name = w.vm(), w.new_name("v")
    number = w.pick((0, 1, 2, 3, 7, 8, 16, 511, 512, 1 << 32))
    w.add(f"ioctl {vm} KVM_CREATE_VCPU {number:#x} -> {name}")
    w.vcpus.append(Vcpu(name, vm, number & 0xFFFFFFFF))
    if w.gics and not w.one_in(4):
        begin_vcpu(w, w.vcpus[-1], w.vcpus[0].features)


def init(w: Writer, vcpu: Vcpu | None = None) -> None:
    name = (vcpu or w.vcpu()).name
    target = w.pick((*["KVM_ARM_TARGET_GENERIC_V8"] * 12, "KVM_ARM_TARGET_CORTEX_A57", "-1"))
    bits = w.pick((0, 4, 4, 4, 1, 2, 8, 0xC, 0x14, 0x1C, 0x64, 0x7C, 0x24, 0x10, 0x84))
    if w.one_in(4):
        bits = w.number(0, (1 << FEATURE_BITS + 1) - 1)
    w.add(f"ioctl {name} KVM_ARM_VCPU_INIT [ u32 {target} {bits:#x} 6*0 ]")


FEATURES = (4, 0, 8, 0xC, 0x14, 0x1C, 0x64, 0x7C, 2, 0xA)


def begin_vcpu(w: Writer, vcpu: Vcpu, features: int | None = None) -> None:
    """What most vCPUs go through before anything else.

    Args:
        features: that it is to have; its PMU waits for an interrupt then.
    """
    bits = w.pick(FEATURES) if features is None else features
    w.add(f"ioctl {vcpu.name} KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 {bits:#x} 6*0 ]")
    vcpu.features = bits
    if bits & 0x10 and not w.one_in(3):
        w.add(f"ioctl {vcpu.name} KVM_ARM_VCPU_FINALIZE [ u32 4 ]")
    if features is None and not w.one_in(3):
        begin_pmu(w, vcpu)


def begin_pmu(w: Writer, vcpu: Vcpu, intid: int = 0) -> None:
    """Its PMU, if it has one; with an interrupt where there is a controller for it."""
    if not vcpu.features & 8:
        return
    if intid:
        w.add(f"ioctl {vcpu.name} KVM_SET_DEVICE_ATTR [ u32 0 0 u64 0 [ u32 {intid} ] ]")
    w.add(f"ioctl {vcpu.name} KVM_SET_DEVICE_ATTR [ u32 0 0 u64 1 0 ]")


def finalize(w: Writer) -> None:
    feature = w.pick((4, 4, 4, 0, 5))
    w.add(f"ioctl {w.vcpu().name} KVM_ARM_VCPU_FINALIZE [ u32 {feature} ]")


# ---- state ----


def mp_state(w: Writer) -> None:
    if w.coin():
        w.add(f"ioctl {w.vcpu().name} KVM_GET_MP_STATE [ u32 0x55 ]")
    else:
        state = w.pick((0, 5, 10, 0, 5, 10, 1, 9, 0xFFFFFFFF))
        w.add(f"ioctl {w.vcpu().name} KVM_SET_MP_STATE [ u32 {state} ]")


def events(w: Writer) -> None:
    if w.coin():
        w.add(f"ioctl {w.vcpu().name} KVM_GET_VCPU_EVENTS [ u8 8*0x55 u64 7*0x55 ]")
        return
    pending, has_esr, abort = (w.number(0, 1) for _ in range(3))
    pad = w.pick((0, 0, 0, 0, 0, 1))
    esr = w.pick((0, 1, 0x1FFFFFF, 0x2000000, WORD))
    rest = w.pick((0, 0, 0, 0, 0, 1))
    w.add(
        f"ioctl {w.vcpu().name} KVM_SET_VCPU_EVENTS "
        f"[ u8 {pending} {has_esr} {abort} 4*0 {pad} u64 {esr:#x} 5*0 {rest} ]"
    )


def attribute(w: Writer) -> None:
    request = w.pick(("HAS", "GET", "SET", "SET", "SET"))
    group, attr = w.pick((0, 0, 0, 1, 2, 2, 3)), w.pick((0, 0, 1, 2, 3, 4))
    filters = f"u16 {w.number(0, 1024)} {w.number(0, 1024)} u8 {w.number(0, 2)} 3*0"
    intids = [f"u32 {intid} 0" for intid in (w.number(0, 40), w.number(16, 31))]
    value = w.pick(("0x0", "0x10000", "0x10040", "0x10001", "u32 8 0", *intids, filters))
    if group == 2 and request == "SET" and w.coin():
        attr, value = 0, "0x10040"
    address = w.pick((f"[ {value} ]", f"[ {value} ]", f"[ {value} ]", "bad", "0"))
    what = f"u32 0 {group} u64 {attr} {address}"
    w.add(f"ioctl {w.vcpu().name} KVM_{request}_DEVICE_ATTR [ {what} ]")


def pmu(w: Writer) -> None:
    """The PMU is initialised, which a run needs."""
    w.add(f"ioctl {w.vcpu().name} KVM_SET_DEVICE_ATTR [ u32 0 0 u64 1 0 ]")


def guest_debug(w: Writer) -> None:
    control = w.pick((0, 1, 3, 0x10001, 0x20001, 2, 4, 0x30003))
    w.add(f"ioctl {w.vcpu().name} KVM_SET_GUEST_DEBUG [ u32 {control:#x} 0 u64 64*0 ]")


# ---- running ----


def _peek_run(w: Writer, vcpu: Vcpu) -> None:
    w.add(f"peek {vcpu.run}+{RUN_EXIT} [ u32 0 u8 2*0 u16 0 ]")
    w.add(f"peek {vcpu.run}+{RUN_LEVEL} [ 0 ]")


def run_at_once(w: Writer) -> None:
    vcpu = w.mapped()
    w.add(f"poke {vcpu.run}+1 [ u8 {w.pick((1, 1, 1, 0xFF))} ]")
    w.add(f"ioctl {vcpu.name} KVM_RUN {w.pick((0, 0, 0, 0, 0, 1))}")
    if w.coin():
        _peek_run(w, vcpu)


def run_asleep(w: Writer) -> None:
    vcpu = w.mapped()
    state = w.pick(("KVM_MP_STATE_STOPPED", "KVM_MP_STATE_SUSPENDED"))
    w.add(f"ioctl {vcpu.name} KVM_SET_MP_STATE [ u32 {state} ]")
    w.add(f"poke {vcpu.run}+1 [ u8 0 ]")
    if w.one_in(3):
        level = w.pick((0, 1, 2, 3, 4, 7, 8, WORD))
        w.add(f"poke {vcpu.run}+{RUN_LEVEL} [ {level:#x} ]")
    w.add(f"alarm {ALARM_MS}")
    w.add(f"ioctl {vcpu.name} KVM_RUN 0")
    _peek_run(w, vcpu)


def run_meanwhile(w: Writer) -> None:
    """One vCPU runs from here on, or does not any more."""
    started = [vcpu for vcpu in w.vcpus if vcpu.is_started]
    if started:
        w.stop(w.pick(started))
    else:
        w.start(w.vcpu())
