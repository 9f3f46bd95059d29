# SPDX-License-Identifier: MIT
"""Random calls about VMs and their memory.

Part of the tests.
"""

from __future__ import annotations

from conformance.generator.writer import Writer

SLOT_PAGES = (1, 2, 16, 64, 65, 130)
BUFFER_BYTES = 0x100000


def create_vm(w: Writer) -> None:
    kind = w.pick((0, 0, 0, 0, 32, 36, 40, 44, 48, 31, 53, 0x100))
    name = w.new_name("vm")
    w.add(f"ioctl kvm KVM_CREATE_VM {kind} -> {name}")
    w.vms.append(name)




def slot(w: Writer) -> None:
    number = w.pick((0, 0, 1, 1, 2, 32766, 32767, 0x10000))
    flags = w.pick((1, 1, 1, 0, 0, 2, 3, 4))
    guest = w.pick((0x10000, 0x10000, 0, 0x11000, 0x40000, 0xFFFFFF000, 0x10000000000, 0x800))
    size = 0x1000 * w.pick((*SLOT_PAGES, *SLOT_PAGES, 0, 0))
    user = w.pick((*["&mem"] * 10, "&mem+0x1000", "&mem+0x800", "bad", "0"))
    w.add(
        f"ioctl {w.vm()} KVM_SET_USER_MEMORY_REGION "
        f"[ u32 {number} {flags} u64 {guest:#x} {size:#x} {user} ]"
    )


def dirty_log(w: Writer) -> None:
    number = w.pick((0, 0, 0, 1, 1, 2, 32767))
    bitmap = w.pick(("[ 4*0x55 ]", "[ 4*0x55 ]", "[ 4*0x55 ]", "[ -1 ]", "bad"))
    if w.coin():
        w.add(f"ioctl {w.vm()} KVM_GET_DIRTY_LOG [ u32 {number} 0 u64 {bitmap} ]")
        return
    pages, first = w.pick((0, 1, 2, 64, 65, 130)), w.pick((0, 0, 0, 64, 128, 1))
    w.add(f"ioctl {w.vm()} KVM_CLEAR_DIRTY_LOG [ u32 {number} {pages} u64 {first} {bitmap} ]")


def enable_cap(w: Writer) -> None:
    cap = w.pick((
        "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2", "KVM_CAP_ARM_NISV_TO_USER", "KVM_CAP_ARM_MTE",
        "KVM_CAP_ARM_SYSTEM_SUSPEND", "KVM_CAP_HALT_POLL", "KVM_CAP_ONE_REG",
    ))  # fmt: skip
    flags, arg = w.pick((0, 0, 0, 1)), w.pick((0, 1, 2, 3, 3, 4, 1 << 32))
    w.add(f"ioctl {w.vm()} KVM_ENABLE_CAP [ u32 {cap} {flags} u64 {arg} 3*0 64*0 ]")


def close(w: Writer) -> None:
    name = w.pick([*w.vms, *(vcpu.name for vcpu in w.vcpus), *(gic.name for gic in w.gics)])
    w.add(f"close {name}")
