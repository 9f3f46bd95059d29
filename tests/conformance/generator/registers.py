# SPDX-License-Identifier: MIT
"""Random calls about registers.

Part of the tests.
"""

from __future__ import annotations

from conformance.generator.writer import Writer
from kvmemu import constants as c
from kvmemu.registers import reg_bytes

# QEMU's timer never rests once a CVAL is further off than its 64-bit counter: not all ones
CVALS = (0, 1 << 40, 1 << 60, 1 << 63, 0xFF << 56)
COUNTS = (0, 1 << 40, 1 << 50, 1 << 61, 1 << 63 | 5)

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


def register(w: Writer) -> int:
    kind = w.pick(
        ("listed", "listed", "special", "special", "firmware", "timer", "pmu", "sve", "odd")
    )
    if kind == "odd":
        return odd_register(w)
    among = {
        "listed": w.ids, "special": SPECIAL, "firmware": FIRMWARE, "timer": TIMER,
        "pmu": PMU, "sve": SVE,
    }[kind]  # fmt: skip
    return w.pick(among)


def odd_register(w: Writer) -> int:
    """An id that probably is none."""
    kind = w.pick(("bit", "encoding", "core", "coprocessor"))
    if kind == "encoding":
        return SYSREG | w.number(0, 0xFFFF)
    if kind == "core":
        size = w.pick((c.KVM_REG_SIZE_U32, c.KVM_REG_SIZE_U64, c.KVM_REG_SIZE_U128))
        return c.KVM_REG_ARM64 | c.KVM_REG_ARM_CORE | size | w.number(0, 0xE0)
    if kind == "coprocessor":
        return c.KVM_REG_ARM64 | c.KVM_REG_SIZE_U64 | w.number(0, 0x20) << 16
    return w.pick(w.ids) ^ 1 << w.number(0, 63)


def get(w: Writer) -> None:
    register_id = register(w)
    mark = " ?" if register_id in VOLATILE else ""
    w.add(f"get {w.vcpu().name} {register_id:#018x}{mark}")


def value_for(w: Writer, register_id: int) -> int:
    if register_id == c.KVM_REG_ARM_TIMER_CVAL:
        return w.pick(CVALS)
    if register_id == c.KVM_REG_ARM_TIMER_CNT:
        return w.pick(COUNTS)
    if register_id == PSTATE and not w.one_in(8):
        return w.pick((0x3C0, 0, 0xF0000000, 0x20)) | w.number(0, 0x1F)
    if register_id in FIRMWARE and not w.one_in(8):
        return w.pick((0, 1, 2, 3, 0x10, 0x12, 0x10000, 0x10001))
    if register_id == c.KVM_REG_ARM64_SVE_VLS:
        return w.pick((1, 3, 7, 0xF, 0xFFFF, 0, 1 << 64))
    size = reg_bytes(register_id)
    word = w.word().to_bytes(8, "little")
    return int.from_bytes((word * (size // 8 + 1))[:size], "little")


def set(w: Writer) -> None:
    register_id = register(w)
    w.add(f"set {w.vcpu().name} {register_id:#018x} {value_for(w, register_id):#x}")


def set_and_get(w: Writer) -> None:
    vcpu, register_id = w.vcpu().name, register(w)
    w.add(f"set {vcpu} {register_id:#018x} {value_for(w, register_id):#x}")
    mark = " ?" if register_id in VOLATILE else ""
    w.add(f"get {vcpu} {register_id:#018x}{mark}")


def copy_register(w: Writer) -> None:
    """Read on one vCPU, written on another."""
    register_id = register(w)
    if register_id in (*TIMER, *VOLATILE):  # the copy would be a value that is not compared
        return
    w.add(f"ioctl {w.vcpu().name} KVM_GET_ONE_REG [ {register_id:#x} &value ]")
    w.add(f"ioctl {w.vcpu().name} KVM_SET_ONE_REG [ {register_id:#x} &value ]")


def bad_pointer(w: Writer) -> None:
    request = w.pick(
        (
            "KVM_GET_ONE_REG", "KVM_SET_ONE_REG", "KVM_GET_REG_LIST", "KVM_SET_MP_STATE",
            "KVM_GET_VCPU_EVENTS", "KVM_SET_VCPU_EVENTS", "KVM_ARM_VCPU_INIT",
            "KVM_ARM_VCPU_FINALIZE", "KVM_GET_DEVICE_ATTR", "KVM_SET_DEVICE_ATTR",
        )
    )  # fmt: skip
    if request.endswith("ONE_REG") and w.coin():
        w.add(f"ioctl {w.vcpu().name} {request} [ {register(w):#x} bad ]")
    else:
        w.add(f"ioctl {w.vcpu().name} {request} bad")


def reg_list(w: Writer) -> None:
    count = w.pick((0, 1, 200, 400, 1 << 32))
    block = f"[ {count} 400*0 ]"
    w.add(f"ioctl {w.vcpu().name} KVM_GET_REG_LIST {block}")
