# SPDX-License-Identifier: MIT
"""Saving and restoring the GIC: everything, in order, into a VM where it was something else."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

import kvmemu
from kvmemu import constants as kvm
from kvmemu import state
from kvmemu.gic import VgicV2, VgicV3
from kvmemu.gic_frames import FrameRegisters
from kvmemu.gic_irq import Irq

# The version of the GIC that VMs have here, by host.
HOSTS = {"gicv3-max": 3, "gicv2-cortex-a72": 2, "gicv3-gicv2-compat": 2}
FEATURES = (kvm.KVM_ARM_VCPU_PSCI_0_2, kvm.KVM_ARM_VCPU_PMU_V3)
PMU_INTID = 23
VTIMER_INTID = 19


def make_vm(system: kvmemu.System, version: int, nr_irqs: int = 96) -> kvmemu.Vm:
    vm = system.create_vm()
    vm.create_vcpus(3, FEATURES)
    if version == 3:
        vm.create_vgic_v3(regions=[(0x1000_0000, 2), (0x2000_0000, 8)], nr_irqs=nr_irqs)
    else:
        vm.create_vgic_v2(nr_irqs=nr_irqs)
    return vm


def frames(vm: kvmemu.Vm) -> Iterator[FrameRegisters]:
    gic = vm.gic
    assert gic is not None
    yield gic.dist
    for vcpu in vm.vcpus:
        if isinstance(gic, VgicV3):
            yield from (gic.redist(vcpu), gic.icc(vcpu))
        elif isinstance(gic, VgicV2):
            yield from (gic.banked_dist(vcpu), gic.cpu(vcpu))


def scramble(vm: kvmemu.Vm, seed: int) -> None:
    """Give every register of the GIC that takes one another value than it has."""
    rng = random.Random(seed)
    assert vm.gic is not None
    vm.gic.dist["GICD_CTLR"] = 3
    for frame in frames(vm):
        for name in frame:
            register = frame.register(name)
            if register.name in {"GICD_SGIR", "GICD_CTLR"}:
                continue
            value = rng.getrandbits(8 * register.bytes)
            if register.name == "ICC_CTLR_EL1":
                # Writing it may take bits of priority and INTIDs away, for good.
                value = frame[name] & ~3 | value & 3
            try:
                frame[name] = value
            except kvmemu.KvmError:
                continue
    if isinstance(vm.gic, VgicV3):
        for vcpu in vm.vcpus:
            vm.gic.set_line_levels(0, rng.getrandbits(32), vcpu)
        vm.gic.set_line_levels(64, rng.getrandbits(32))


def everything(vm: kvmemu.Vm) -> list[Irq]:
    """All interrupts, without where they were queued, which depends on what was there before, and
    without lines of edge-triggered ones, which Linux does not tell.
    """
    assert vm.gic is not None
    return [
        replace(irq, queued=None, line=irq.line and not irq.edge) for irq in vm.gic.irqs()
    ]


def seen(irq: Irq, version: int) -> Irq:
    """An interrupt as device attributes show it: a GICv2's lines are part of what is pending."""
    if version == 2 and irq.line and not irq.edge:
        return replace(irq, latch=True, line=False)
    return irq


@pytest.fixture(params=HOSTS)
def two_systems(request: pytest.FixtureRequest) -> Iterator[tuple[kvmemu.System, kvmemu.System]]:
    """Two machines of one host, their counters standing still at the same tick."""
    with kvmemu.System(request.param) as here, kvmemu.System(request.param) as there:
        for system in (here, there):
            system.counter.ticks = 4711
        yield here, there


Systems = tuple[kvmemu.System, kvmemu.System]


def version_of(system: kvmemu.System) -> int:
    assert system.host is not None
    return HOSTS[system.host]


@pytest.mark.parametrize("seed", range(5))
def test_restored_gic_equals_the_saved_one(two_systems: Systems, seed: int) -> None:
    here, there = two_systems
    version = version_of(here)
    source = make_vm(here, version)
    for vcpu in source.vcpus:
        group = kvm.KVM_ARM_VCPU_PMU_V3_CTRL
        vcpu.set_device_attr(group, kvm.KVM_ARM_VCPU_PMU_V3_IRQ, PMU_INTID, 4)
        vcpu.set_device_attr(group, kvm.KVM_ARM_VCPU_PMU_V3_INIT)
    timers, attr = kvm.KVM_ARM_VCPU_TIMER_CTRL, kvm.KVM_ARM_VCPU_TIMER_IRQ_VTIMER
    source.vcpus[0].set_device_attr(timers, attr, VTIMER_INTID, 4)
    scramble(source, seed)
    saved = state.save(source)
    with there.create_vm() as target:
        state.restore(saved, target)
        assert state.compare(saved, state.save(target)) == []
        assert state.save(target) == saved
        assert target.vcpus[2].get_device_attr(timers, attr, 4) == VTIMER_INTID
        for before, after in zip(everything(source), everything(target), strict=True):
            assert seen(before, version) == replace(after, owned=before.owned)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_was_there_is_replaced(two_systems: Systems, seed: int) -> None:
    here, there = two_systems
    version = version_of(here)
    source, target = make_vm(here, version), make_vm(there, version)
    scramble(source, seed)
    scramble(target, seed + 100)
    assert source.gic is not None
    assert target.gic is not None
    saved = state.save_gic(source.gic)
    assert state.save_gic(target.gic) != saved
    state.restore_gic(target.gic, saved)
    assert state.save_gic(target.gic) == saved
    assert state.compare(state.save(source), state.save(target)) == []
    if version == 3:
        assert everything(source) == everything(target)


def test_what_is_pending_is_queued_where_it_belongs(two_systems: Systems) -> None:
    here, there = two_systems
    version = version_of(here)
    source = make_vm(here, version)
    gic = source.gic
    assert gic is not None
    gic.dist["GICD_CTLR"] = 3
    if version == 3:
        gic.dist["GICD_IROUTER40"] = 2
    else:
        gic.dist["GICD_ITARGETSR10"] = 0x04
    gic.dist["GICD_ISENABLER1"] = 1 << 8
    gic.dist["GICD_ISPENDR1"] = 1 << 8
    with there.create_vm() as target:
        state.restore(state.save(source), target)
        assert target.gic is not None
        assert target.gic.irq(40).queued == 2
        assert target.gic.irq(41).queued is None


def test_a_gicv2_tells_no_lines(two_systems: Systems) -> None:
    """A level-triggered interrupt whose line is high comes back latched: Linux's interface has no
    more. A GICv3 has the two apart.
    """
    here, there = two_systems
    version = version_of(here)
    source = make_vm(here, version)
    assert source.gic is not None
    source.gic.dist["GICD_ICFGR2"] = 0
    source.spi(40, True)
    with there.create_vm() as target:
        state.restore(state.save(source), target)
        assert target.gic is not None
        irq = target.gic.irq(40)
        assert (irq.pending, irq.line, irq.latch) == (True, version == 3, version == 2)


@pytest.mark.parametrize("seed", range(3))
def test_text_keeps_all_of_it(two_systems: Systems, seed: int) -> None:
    here, _ = two_systems
    vm = make_vm(here, version_of(here), 160)
    scramble(vm, seed)
    saved = state.save(vm)
    assert state.loads(state.dumps(saved)) == saved


def test_a_gic_that_is_not_initialised_comes_back_so(vm: kvmemu.Vm, system: kvmemu.System) -> None:
    vm.create_vcpus(1)
    vm.create_vgic_v3(dist=None, nr_irqs=128, init=False)
    saved = state.loads(state.dumps(state.save(vm)))
    assert saved.gic is not None
    assert not saved.gic.initialized
    with system.create_vm() as other:
        state.restore(saved, other)
        assert state.save(other) == saved
        other.gic.init()  # type: ignore[union-attr]
        assert other.gic is not None
        assert other.gic.nr_irqs == 128


def test_the_wrong_version_is_refused_before_anything_is_done() -> None:
    with kvmemu.System("gicv3-max") as here, kvmemu.System("gicv2-cortex-a72") as there:
        saved = state.save(make_vm(here, 3))
        with there.create_vm() as vm:
            with pytest.raises(state.RestoreError, match="GICv3, which this host cannot have"):
                state.restore(saved, vm)
            assert vm.vcpus == []


def test_differences_name_interrupts(two_systems: Systems) -> None:
    here, _ = two_systems
    version = version_of(here)
    vm = make_vm(here, version)
    before = state.save(vm)
    assert vm.gic is not None
    vm.gic.dist["GICD_ISENABLER1"] = 0b101
    vm.gic.dist["GICD_IPRIORITYR9"] = 0xA0_0000
    found = {d.what: d for d in state.compare(before, state.save(vm))}
    assert set(found) == {"GICD_ISENABLER1", "GICD_IPRIORITYR9"}
    assert [str(d) for d in found["GICD_ISENABLER1"].details] == [
        "INTID 32 enabled: 0x0 -> 0x1",
        "INTID 34 enabled: 0x0 -> 0x1",
    ]
    assert [str(d) for d in found["GICD_IPRIORITYR9"].details] == ["INTID 38 priority: 0x0 -> 0xa0"]
    assert {d.where for d in found.values()} == {"GIC"}


def test_differences_name_the_vcpu_of_private_interrupts(two_systems: Systems) -> None:
    here, _ = two_systems
    vm = make_vm(here, version_of(here))
    before = state.save(vm)
    if isinstance(vm.gic, VgicV3):
        vm.gic.redist(vm.vcpus[1])["GICR_ISENABLER0"] = 1 << 20
        vm.gic.set_line_levels(0, 1 << 27, vm.vcpus[2])
        want = {
            ("vCPU 1 GIC", "INTID 20 enabled: 0x0 -> 0x1"),
            ("vCPU 2 GIC", "INTID 27 line: 0x0 -> 0x1"),
        }
    else:
        assert isinstance(vm.gic, VgicV2)
        vm.gic.banked_dist(vm.vcpus[1])["GICD_ISENABLER0"] = 1 << 20
        want = {("vCPU 1 GIC", "INTID 20 enabled: 0x0 -> 0x1")}
    found = state.compare(before, state.save(vm))
    assert {(d.where, str(d.details[0])) for d in found} == want


def test_saved_interrupts_are_those_of_the_gic(two_systems: Systems) -> None:
    here, _ = two_systems
    version = version_of(here)
    vm = make_vm(here, version)
    scramble(vm, 3)
    for irq, saved in zip(everything(vm), state.interrupts(state.save(vm)), strict=True):
        assert (irq.intid, irq.kind, irq.vcpu) == (saved.intid, saved.kind, saved.vcpu)
        for name in ("enabled", "active", "edge", "priority", "group"):
            assert getattr(irq, name) == getattr(saved, name), irq
        assert saved.pending == (irq.latch if version == 3 else irq.pending)
        assert saved.line == (irq.line if version == 3 else None)
        assert saved.senders == irq.sources
        if irq.kind == "SPI" and (version == 3 or irq.targets):
            assert saved.target == irq.target


# ---- files ----


def resealed(body: str) -> str:
    return f"{body}sha256 {hashlib.sha256(body.encode()).hexdigest()}\n"


def body_of(version: int) -> str:
    host = next(name for name, its in HOSTS.items() if its == version)
    with kvmemu.System(host) as system:
        text = state.dumps(state.save(make_vm(system, version)))
    return text[: text.rindex("sha256 ")]


@pytest.mark.parametrize(
    ("version", "old", "new", "why"),
    [
        (3, "GICD_CTLR", "GICD_IIDR", "gicd 0x0000 is GICD_CTLR, not GICD_IIDR"),
        (3, "gicd 0x0008", "gicd 0x0014", "has no register at gicd 0x0014"),
        (3, "gicr 1 0x10080", "gicr 9 0x10080", "the GIC has a vCPU 9, which is not there"),
        (3, "gicr 1 0x10080", "gicr 0x10080", "GICR_IGROUPR0 needs vCPU"),
        (3, "gicr 1 0x10080", "gicr 0 0x10080", "GICR_IGROUPR0 stands twice"),
        (3, "gicd 0x0000", "gicd 0 0x0000", "GICD_CTLR has no vCPU"),
        (3, "GICD_CTLR 0x0", "GICD_CTLR 0x10", "GICD_CTLR does not fit in its 4 bytes"),
        (3, "level 32 ", "level 33 ", "line levels are of 32 interrupts"),
        (3, "level 0 0 ", "level 0 ", "line levels are of 32 interrupts"),
        (3, "nr_irqs 96\n", "", "nr_irqs of the GIC is missing"),
        (3, "gic 3\n", "gic 4\n", "there is no GICv4 here"),
        (3, "gic 3\n", "gic 3\ngic 3\n", "the GIC stands twice"),
        (3, "gic 3\n", "", "and none has begun"),
        (3, "region 0x10000000 2", "region 0x10000000", "a region is a base and a count"),
        (2, "gicc 1 ", "gicr 1 ", "a GICv2 has no register at gicr"),
        (2, "gicd 0 0x0100", "gicd 0x0100", "GICD_ISENABLER0 needs vCPU"),
    ],
)
def test_bad_lines_are_refused_in_words(version: int, old: str, new: str, why: str) -> None:
    body = body_of(version)
    altered = body.replace(old, new, 1)
    assert altered != body
    with pytest.raises(state.StateFileError, match=why):
        state.loads(resealed(altered))
