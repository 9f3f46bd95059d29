# SPDX-License-Identifier: MIT
"""Random scripts: sequences of calls that may be valid, for Linux and kvmemu to answer alike.

Part of the tests. What legitimately differs is not compared: what the running counter reads, and
a register QEMU does not have (`?`). A third of the scripts have guests that act (guests.py). In the
others KVM_RUN either returns at once (immediate_exit) or is of a vCPU that is stopped or suspended,
with a signal on its way. Compare values of a timer are far from where the counter can be.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import kvmemu
from conformance.generator import events, gics, guests, registers, vcpus, vms
from conformance.generator.writer import Vcpu, Writer
from conformance.gic_lines import HOSTS_OF
from kvmemu import constants as c

STEPS_MAX = 70

_STEPS: dict[Callable[[Writer], None], int] = {
    registers.set_and_get: 16, registers.get: 10, registers.set: 12, registers.copy_register: 3,
    registers.reg_list: 2, registers.bad_pointer: 3,
    vcpus.init: 8, vcpus.finalize: 3, vcpus.run_at_once: 8, vcpus.run_asleep: 1,
    vcpus.run_meanwhile: 2, vcpus.events: 5, vcpus.mp_state: 4, vcpus.attribute: 7, vcpus.pmu: 3,
    vcpus.guest_debug: 1, vcpus.create_vcpu: 3,
    vms.slot: 7, vms.dirty_log: 7, vms.enable_cap: 2, vms.create_vm: 1, vms.close: 1,
    gics.irq_line: 3, gics.create: 2,
}  # fmt: skip
_GIC_STEPS: dict[Callable[[Writer], None], int] = {
    gics.register: 30, gics.irq_line: 16, gics.show: 6, gics.copy: 3, gics.create: 3,
    gics.address: 3, gics.legacy_address: 1, gics.count: 1, gics.control: 2,
    gics.odd_attribute: 2,
    events.irqfd: 2, events.routing: 2, events.msi: 1, events.ioeventfd: 2, events.coalesced: 1,
    events.close_eventfd: 1,
    vcpus.run_at_once: 6, vcpus.run_asleep: 8, vcpus.run_meanwhile: 3, vcpus.init: 2,
    vcpus.create_vcpu: 2, vcpus.attribute: 3, vcpus.mp_state: 1, registers.set_and_get: 2,
    registers.set: 3, vms.create_vm: 1, vms.close: 1,
}  # fmt: skip


def _weighted(
    steps: dict[Callable[[Writer], None], int],
) -> list[Callable[[Writer], None]]:
    return [step for step, weight in steps.items() for _ in range(weight)]


_PLAIN, _WITH_GIC = _weighted(_STEPS), _weighted(_GIC_STEPS)


def listed(host: str) -> tuple[int, ...]:
    """Every register that some vCPU on a host has."""
    ids: dict[int, None] = {}
    with kvmemu.System(host) as system:
        for bits in (0x04, 0x0C, 0x64, 0x14, 0x02):
            features = [n for n in range(vcpus.FEATURE_BITS) if bits >> n & 1]
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


def _begin(w: Writer, has_gic: bool) -> None:
    """What nearly all scripts begin with."""
    w.add("open kvm")
    w.add(f"buffer mem {vms.BUFFER_BYTES:#x}")
    w.add("buffer value 0x1000")
    w.add("ioctl kvm KVM_CREATE_VM 0 -> vm")
    w.vms.append("vm")
    if w.coin():
        vms.enable_cap(w)
        w.add("ioctl vm KVM_SET_USER_MEMORY_REGION [ u32 0 1 u64 0x10000 0x82000 &mem ]")
    features = w.pick((4, 4, 0, 0xC, 2, *vcpus.FEATURES)) if has_gic else None
    for place in range(w.number(1, 3 if has_gic else 2)):
        number = place if not w.one_in(8) else w.pick((3, 7, 16))
        w.add(f"ioctl vm KVM_CREATE_VCPU {number} -> w{place}")
        w.vcpus.append(Vcpu(f"w{place}", "vm", number))
        if not w.one_in(12 if has_gic else 6):
            vcpus.begin_vcpu(w, w.vcpus[-1], features)
    if has_gic and not w.one_in(6):
        gics.begin(w)


def script(host: str, ids: tuple[int, ...], seed: int) -> str:
    """A script for a host, the same for the same seed.

    Args:
        ids: those of `listed`.
    """
    versions = tuple(version for version, hosts in HOSTS_OF.items() if host in hosts)
    w = Writer(random.Random(seed), ids, versions)
    if w.one_in(3):
        guests.script(w, host)
    else:
        _calls(w)
    return "\n".join(["kvmemu-trace 1", f"host {host}", *w.lines]) + "\n"


def _calls(w: Writer) -> None:
    """The lines of a script whose guests wait for ever."""
    has_gic = w.coin()
    _begin(w, has_gic)
    for _ in range(w.number(4, STEPS_MAX)):
        w.pick(_WITH_GIC if has_gic else _PLAIN)(w)
    for vcpu in w.vcpus:
        if vcpu.is_started:
            w.stop(vcpu)
    if has_gic:
        gics.show(w)
