# SPDX-License-Identifier: MIT
"""A workload that moves: a VM whose guests take interrupts is saved in the middle, and goes on.

Layer: a client of the ioctl interface and of guests; cli/demo.py prints what this finds.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field

from kvmemu import constants as kvm
from kvmemu.cpu import Cpu
from kvmemu.guest import GuestFunction
from kvmemu.guests import Interrupts
from kvmemu.state import dumps, loads, restore, save
from kvmemu.system import System
from kvmemu.vcpu import Vcpu
from kvmemu.vm import Vm

TAKEN, IDLE = 0x1000_0000, 0x1000_0008  # what the guests tell user space by
DEVICES = {0: 40, 1: 41}  # a vCPU's device: the SPI it raises
INTERRUPTS = 200  # that each device raises
PERIOD = 5000  # of the timer tick on vCPU 0, in counter ticks
STEP = 1000  # counter ticks a round
VTIMER = 27
_MMIO = 32  # of struct kvm_run


@dataclass
class Workload:
    """What the workload did.

    Attributes:
        raised: how often each device raised its interrupt, by INTID.
        taken: how often the guests took each, by INTID; the timer's as well.
        late: by how many counter ticks each timer tick came after it was due.
        moved_after: interrupts taken before the VM moved.
        active, pending: INTIDs as the VM was saved.
        state_bytes: of its state, as a file.
    """

    raised: Counter[int] = field(default_factory=Counter)
    taken: Counter[int] = field(default_factory=Counter)
    late: list[int] = field(default_factory=list)
    moved_after: int = 0
    active: list[int] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    state_bytes: int = 0

    @property
    def lost(self) -> int:
        """Interrupts that were raised and never taken."""
        return sum((self.raised - self._from_devices()).values())

    @property
    def twice(self) -> int:
        """Interrupts that were taken more often than raised."""
        return sum((self._from_devices() - self.raised).values())

    @property
    def right(self) -> bool:
        """Nothing is lost, nothing came twice, and the timer ticked when it had to."""
        return not self.lost and not self.twice and bool(self.late) and max(self.late) < STEP

    def _from_devices(self) -> Counter[int]:
        return Counter({intid: self.taken[intid] for intid in DEVICES.values()})


def _guest(workload: Workload, *, ticks: bool) -> GuestFunction:
    """Takes what comes, and tells user space of each while it is active."""

    def guest(cpu: Cpu) -> None:
        interrupts = Interrupts(cpu)
        interrupts.switch_on(range(32, 64))
        due = 0
        if ticks:
            interrupts.enable_private(1 << VTIMER)
            due = cpu.read("CNTVCT_EL0") + PERIOD
            cpu.write("CNTV_CVAL_EL0", due)
            cpu.write("CNTV_CTL_EL0", 1)
        while True:
            intid = interrupts.acknowledge()
            if intid is None:
                cpu.mmio_write(IDLE, 0)
                continue
            if intid == VTIMER:
                workload.late.append(cpu.read("CNTVCT_EL0") - due)
                due += PERIOD
                cpu.write("CNTV_CVAL_EL0", due)
            cpu.mmio_write(TAKEN, intid)
            interrupts.end(intid)

    return guest


class _Machine:
    """A VM, its devices, and the monitor that drives them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.workload = Workload()
        self.vm: Vm = system.create_vm()
        vcpus = self.vm.create_vcpus(len(DEVICES), [kvm.KVM_ARM_VCPU_PSCI_0_2])
        v3 = self.vm.can_create_device(kvm.KVM_DEV_TYPE_ARM_VGIC_V3)
        gic = self.vm.create_vgic_v3() if v3 else self.vm.create_vgic_v2()
        for index, intid in DEVICES.items():
            vcpus[index].set_guest(_guest(self.workload, ticks=index == 0))
            if v3:
                gic.dist[f"GICD_IROUTER{intid}"] = vcpus[index].regs["MPIDR_EL1"] & 0xFF_FFFF
            else:
                gic.dist[f"GICD_ITARGETSR{intid // 4}"] |= 1 << index << intid % 4 * 8
        for vcpu in vcpus:
            self.run_until_idle(vcpu)

    def run_until_idle(self, vcpu: Vcpu, taken: int | None = None) -> None:
        """Until the guest has nothing to take, or has taken so many."""
        while True:
            vcpu.run()
            address, value = struct.unpack_from("<QQ", vcpu.kvm_run, _MMIO)
            if address == IDLE:
                return
            self.workload.taken[value] += 1
            if taken is not None:
                taken -= 1
                if not taken:
                    return

    def raise_all(self) -> None:
        """Each device, whose last interrupt was taken, has another one."""
        for intid in DEVICES.values():
            self.vm.spi(intid, True)
            self.workload.raised[intid] += 1

    def round(self) -> None:
        """The devices raise their interrupts, time passes, and the guests take what there is."""
        self.raise_all()
        self.system.counter.step(STEP)
        for vcpu in self.vm.vcpus:
            self.run_until_idle(vcpu)

    def move(self) -> None:
        """In the middle of an interrupt, with others waiting, to another VM by way of a file."""
        before, workload = self.vm, self.workload
        self.raise_all()
        self.system.counter.step(STEP)
        self.run_until_idle(before.vcpus[0], taken=1)
        for vcpu in before.vcpus:  # what user space has seen is completed first, as monitors do
            vcpu.immediate_exit = True
            try:
                vcpu.run()
            except InterruptedError:
                vcpu.immediate_exit = False
        assert before.gic is not None
        irqs = list(before.gic.irqs())
        workload.active = [irq.intid for irq in irqs if irq.active]
        workload.pending = [irq.intid for irq in irqs if irq.pending and not irq.active]
        workload.moved_after = sum(workload.taken.values())
        text = dumps(save(before))
        workload.state_bytes = len(text)
        self.vm = self.system.create_vm()
        restore(loads(text), self.vm)
        for old, new in zip(before.vcpus, self.vm.vcpus, strict=True):
            new.set_guest(old.guest)
            old.close()
        before.close()
        for vcpu in self.vm.vcpus:
            self.run_until_idle(vcpu)


def run(host: str | None = None) -> Workload:
    """The workload on a host, from its beginning to its end."""
    with System(host) as system:
        system.counter.ticks = 0
        machine = _Machine(system)
        for number in range(INTERRUPTS):
            if number == INTERRUPTS // 2:
                machine.move()
            else:
                machine.round()
        for vcpu in machine.vm.vcpus:
            vcpu.close()
        machine.vm.close()
        return machine.workload
