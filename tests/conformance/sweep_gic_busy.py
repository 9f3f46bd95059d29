# SPDX-License-Identifier: MIT
"""Scripts about calls while a vCPU runs: what is refused, and what ends the run.

Part of the tests; see make_scripts.py.
"""

from __future__ import annotations

from conformance import gic_lines as gic
from conformance.gic_lines import ADDR, CTRL, DIST, INIT, IRQS, attr, get, has, irq_line, put
from conformance.sweep import head
from conformance.sweep_gic_inject import PPI, SPI, Sleepers, private, show, target
from conformance.sweep_gic_orders import REGISTERS, SAVE_TABLES

RUNNING, AT_REST = 1, 0  # ids of vCPUs
WOKEN_MS = 5000  # until a run that nothing wakes is stopped
QUIET_MS = 30
RUN_EXIT = 8


def _calls(version: int, tag: str = "") -> list[str]:
    """Everything that a device can be asked."""
    fd, vm = f"gic{tag}", f"vm{tag}"
    lines = []
    for group, offset in REGISTERS[version]:
        for vcpu_id in (AT_REST, RUNNING, 9):
            what = vcpu_id << 32 | offset
            lines += [has(group, what, fd), get(group, what, fd), put(group, what, 0, fd)]
        for what in (offset, offset + 1):
            lines += [attr(op, group, what, "bad", fd) for op in ("GET", "SET")]
    lines += [get(IRQS, 0, fd), put(IRQS, 0, 100, fd), put(IRQS, 0, 64, fd)]
    for kind in range(4):
        lines += [has(ADDR, kind, fd), get(ADDR, kind, fd), put(ADDR, kind, gic.DIST_BASE, fd)]
    lines += [attr("SET", CTRL, what, "0", fd) for what in (INIT, SAVE_TABLES, 9)]
    lines += [f"ioctl {vm} KVM_CREATE_VCPU 7", f"ioctl {vm} KVM_CREATE_IRQCHIP 0"]
    for test in (0, 1):
        lines.append(f"ioctl {vm} KVM_CREATE_DEVICE [ u32 {gic.TYPE[version]} 0 {test} ]")
    lines += [irq_line(SPI, 0, 40, level, vm) for level in (1, 0)]
    lines += [irq_line(PPI, place, 20, level, vm) for level in (1, 0) for place in (0, 1)]
    vcpu = f"v{AT_REST}{tag}"
    for number, what in ((0, 0), (0, 1), (1, 0)):
        lines.append(f"ioctl {vcpu} KVM_SET_DEVICE_ATTR [ u32 0 {number} u64 {what} [ u32 25 ] ]")
    return [*lines, gic.init_vcpu(vcpu)]


def _stopped(name: str) -> str:
    return f"ioctl {name} KVM_SET_MP_STATE [ u32 KVM_MP_STATE_STOPPED ]"


def _refused(version: int) -> list[str]:
    running = f"v{RUNNING}"
    lines = ["", "# a vCPU runs", *gic.vm_of((0, 1)), *gic.device(version, 64)]
    lines += [_stopped(running), f"start {running}", *_calls(version), f"stop {running} 0"]
    lines += ["", "# and not any more", *_calls(version), *show(version, (0, 1), (1,))]
    lines += ["", "# before there is a controller", *gic.vm_of((0, 1), "_none")]
    running = f"v{RUNNING}_none"
    lines += [_stopped(running), f"start {running}"]
    lines += [f"ioctl vm_none KVM_CREATE_DEVICE [ u32 {gic.TYPE[version]} 0 1 ]"]
    lines += [gic.create(version, "_none"), "ioctl vm_none KVM_CREATE_IRQCHIP 0"]
    lines += [f"stop {running} 0", gic.create(version, "_none").replace("-> gic", "-> after")]
    if version == 3:
        return lines
    lines += ["", "# a controller that is initialised by the run", *gic.vm_of((0, 1), "_raw")]
    running = f"v{RUNNING}_raw"
    lines += [gic.create(version, "_raw"), *gic.place(version, "_raw"), _stopped(running)]
    return [*lines, f"start {running}", *_calls(version, "_raw"), f"stop {running} 0"]


def woken(version: int) -> list[str]:
    """What wakes a suspended vCPU that sleeps already."""
    lines = [
        *head(
            gic.HOSTS_OF[version],
            f"What ends the KVM_RUN of a suspended vCPU with a GICv{version} while it sleeps.",
        ),
        *Sleepers(version).lines,
    ]
    enable = [put(DIST, 0x104, gic.ONES), put(DIST, 0xC08, 0xAAAAAAAA), put(DIST, 0xC0C, 0)]
    group, whose = private(version, 0)
    lines += [*enable, put(group, whose | 0x100, 1 << 20 | 1 << 27)]
    unpend = put(DIST, 0x204, 0) if version == 3 else put(DIST, 0x284, 0x10)
    for comment, before, steps, wakes in (
        ("an edge SPI", [], [irq_line(SPI, 0, 36, 1)], True),
        ("pending already", [], [], True),
        ("not any more", [unpend], [], False),
        ("a level SPI", [], [irq_line(SPI, 0, 52, 1)], True),
        ("low again", [irq_line(SPI, 0, 52, 0)], [], False),
        ("low while it is low", [], [irq_line(SPI, 0, 52, 0)], False),
        ("a PPI", [], [irq_line(PPI, 0, 20, 1)], True),
        ("a PPI of the other", [irq_line(PPI, 0, 20, 0)], [irq_line(PPI, 1, 20, 1)], False),
        ("another INTID", [], [irq_line(PPI, 0, 21, 1), irq_line(SPI, 0, 70, 1)], False),
        ("a refused one", [], [irq_line(PPI, 0, 5, 1), irq_line(SPI, 0, 96, 1)], False),
        ("nothing", [], [], False),
    ):
        lines += ["", f"# {comment}", *before, "start v0", *steps]
        lines += [f"stop v0 {WOKEN_MS if wakes else QUIET_MS}", f"peek run0+{RUN_EXIT} [ u32 0 ]"]
        lines += show(version, (0, 1), (1,))
    return lines + _timer(version) + _moved(version)


def _timer(version: int) -> list[str]:
    """The virtual timer, 10 ms of a counter of 62.5 MHz from now."""
    lines = ["", "# the virtual timer", "set v0 KVM_REG_ARM_TIMER_CNT 0"]
    lines += ["set v0 KVM_REG_ARM_TIMER_CVAL 625000", "set v0 KVM_REG_ARM_TIMER_CTL 1"]
    lines += ["start v0", f"stop v0 {WOKEN_MS}", *show(version, (0,), ())]
    return [*lines, "set v0 KVM_REG_ARM_TIMER_CTL 0", "start v0", f"stop v0 {QUIET_MS}"]


def _moved(version: int) -> list[str]:
    """An interrupt that is the other's by now goes there when the first's sleep is over."""
    lines = ["", "# sent to the other while the first is stopped", _stopped("v0")]
    lines += [irq_line(SPI, 0, 40, 1), target(version, 40, 1)]
    for steps in ([], ["start v0"], [irq_line(SPI, 0, 44, 1)], [f"stop v0 {QUIET_MS}"]):
        awake = bool(steps) and steps[0].startswith("stop")
        lines += [*steps, f"alarm {WOKEN_MS if awake else QUIET_MS}", "ioctl v1 KVM_RUN 0"]
    return [*lines, *show(version, (0, 1), (1,))]


def busy(version: int) -> list[str]:
    return [
        *head(
            gic.HOSTS_OF[version],
            f"A GICv{version} while a vCPU runs on another thread: registers are EBUSY, after bad "
            "pointers and before unknown registers; lines are not.",
        ),
        "open kvm",
        *_refused(version),
    ]
