# SPDX-License-Identifier: MIT
"""The interrupt controllers as Python objects: registers by name, batches, interrupts, lines."""

from __future__ import annotations

import errno
import itertools
import struct
from collections.abc import Iterator

import pytest
from kvmemu._core import ffi, lib

import kvmemu
from kvmemu import constants as kvm
from kvmemu.gic import VgicV2, VgicV3
from kvmemu.gic_attrs import affinity_attr
from kvmemu.gic_registers import FRAMES_OF_VERSION, find_gic_register, gic_registers

DIST = kvm.KVM_DEV_ARM_VGIC_GRP_DIST_REGS
REDIST = kvm.KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
ICC = kvm.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS
ADDR = kvm.KVM_DEV_ARM_VGIC_GRP_ADDR
CPU = kvm.KVM_DEV_ARM_VGIC_GRP_CPU_REGS
LEVELS = kvm.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO


@pytest.fixture
def v3(vm: kvmemu.Vm) -> VgicV3:
    """A GICv3 of three vCPUs, 96 interrupts, the distributor on."""
    vm.create_vcpus(3)
    gic = vm.create_vgic_v3(nr_irqs=96)
    gic.dist["GICD_CTLR"] = 2
    return gic


@pytest.fixture(params=["gicv2-cortex-a72", "gicv3-gicv2-compat"])
def v2(request: pytest.FixtureRequest) -> Iterator[VgicV2]:
    """A GICv2 of three vCPUs, 96 interrupts, the distributor on."""
    with kvmemu.System(request.param) as system, system.create_vm() as vm:
        vm.create_vcpus(3)
        gic = vm.create_vgic_v2(nr_irqs=96)
        gic.dist["GICD_CTLR"] = 1
        yield gic


# ---- creation ----


def test_creation_sets_everything_up(v3: VgicV3) -> None:
    assert v3.vm.gic is v3
    assert v3.nr_irqs == 96
    assert v3.address(kvm.KVM_VGIC_V3_ADDR_TYPE_DIST) == 0x800_0000
    assert v3.regions() == [(0x80A_0000, 0)]


def test_regions_are_what_was_asked_for(vm: kvmemu.Vm) -> None:
    vm.create_vcpus(3)
    regions = [(0x1000_0000, 1), (0x2000_0000, 4)]
    gic = vm.create_vgic_v3(dist=None, regions=regions)
    assert gic.regions() == regions
    assert gic.address(kvm.KVM_VGIC_V3_ADDR_TYPE_DIST) is None


def test_a_second_one_is_refused(v3: VgicV3) -> None:
    with pytest.raises(FileExistsError):
        v3.vm.create_vgic_v3()


def test_a_host_without_it_says_so() -> None:
    with kvmemu.System("gicv2-cortex-a72") as system, system.create_vm() as vm:
        assert not vm.can_create_device(kvm.KVM_DEV_TYPE_ARM_VGIC_V3)
        assert vm.can_create_device(kvm.KVM_DEV_TYPE_ARM_VGIC_V2)
        with pytest.raises(kvmemu.KvmError) as caught:
            vm.create_vgic_v3()
        assert caught.value.errno == errno.ENODEV
        assert vm.gic is None


def test_registers_are_busy_before_init(vm: kvmemu.Vm) -> None:
    vm.create_vcpus(1)
    gic = vm.create_vgic_v3(init=False)
    with pytest.raises(kvmemu.KvmError) as caught:
        gic.dist["GICD_CTLR"]
    assert caught.value.errno == errno.EBUSY
    with pytest.raises(kvmemu.KvmError) as caught:
        gic.irq(40)
    assert caught.value.errno == errno.ENXIO


# ---- names ----


@pytest.mark.parametrize("version", [2, 3])
def test_tables_have_no_overlap_and_unique_names(version: int) -> None:
    for frame in FRAMES_OF_VERSION[version]:
        registers = list(gic_registers(version, frame).values())
        for before, after in itertools.pairwise(registers):
            assert before.offset + (before.bytes if frame != "icc" else 1) <= after.offset
        assert all(r.name.lower().startswith(frame) for r in registers)
        for register in registers:
            assert find_gic_register(version, register.name.lower()) is register


@pytest.mark.parametrize(
    ("version", "name", "offset", "size", "intid"),
    [
        (3, "GICD_CTLR", 0, 4, 0),
        (3, "GICD_ISENABLER1", 0x104, 4, 32),
        (3, "GICD_IPRIORITYR8", 0x420, 4, 32),
        (3, "GICD_ICFGR2", 0xC08, 4, 32),
        (3, "GICD_IROUTER33", 0x6108, 8, 33),
        (3, "GICD_PIDR2", 0xFFE8, 4, 0),
        (3, "GICR_TYPER", 8, 8, 0),
        (3, "GICR_ICFGR1", 0x10C04, 4, 16),
        (3, "ICC_PMR_EL1", 0xC230, 8, 0),
        (2, "GICD_ITARGETSR9", 0x824, 4, 36),
        (2, "GICD_SPENDSGIR3", 0xF2C, 4, 12),
        (2, "GICC_APR2", 0xD8, 4, 0),
    ],
)
def test_names_stand_for_offsets(
    version: int, name: str, offset: int, size: int, intid: int
) -> None:
    register = find_gic_register(version, name)
    assert register is not None
    assert (register.offset, register.bytes, register.intid) == (offset, size, intid)


def test_frames_list_the_registers_this_vm_has(v3: VgicV3) -> None:
    names = list(v3.dist)
    assert "GICD_ISENABLER2" in names
    assert "GICD_ISENABLER3" not in names  # 96 interrupts
    assert "GICD_ISENABLER3" not in v3.dist
    assert "GICD_NOTHING" not in v3.dist
    assert len(v3.dist) == len(names)
    assert "ICC_AP1R0_EL1" in v3.icc(v3.vm.vcpus[0])
    assert "ICC_AP1R1_EL1" not in v3.icc(v3.vm.vcpus[0])  # 5 bits of priority need one
    for vcpu in v3.vm.vcpus:
        assert all(v3.redist(vcpu)[name] >= 0 for name in v3.redist(vcpu))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("GICD_ISENABLR1", "did you mean GICD_ISENABLER1"),
        ("GICR_CTLR", r"redist\(vcpu\) has it"),
        ("ICC_PMR_EL1", r"icc\(vcpu\) has it"),
        ("GICC_PMR", "a GICv2 has it"),
    ],
)
def test_unknown_names_come_with_what_was_meant(v3: VgicV3, name: str, why: str) -> None:
    with pytest.raises(KeyError, match=why):
        v3.dist[name]


def test_errors_name_the_attribute(v3: VgicV3) -> None:
    vcpu = v3.vm.vcpus[1]
    why = r"KVM_SET_DEVICE_ATTR of ICC_SRE_EL1 of affinity 0\.0\.0\.1 to 0x0 on the GICv3"
    with pytest.raises(kvmemu.KvmError, match=why):
        v3.icc(vcpu)["ICC_SRE_EL1"] = 0
    with pytest.raises(kvmemu.KvmError, match="KVM_DEV_ARM_VGIC_GRP_NR_IRQS to 0x60"):
        v3.nr_irqs = 96
    with pytest.raises(kvmemu.KvmError, match="KVM_VGIC_V3_ADDR_TYPE_DIST to 0x10000"):
        v3.set_address(kvm.KVM_VGIC_V3_ADDR_TYPE_DIST, 0x10000)
    with pytest.raises(kvmemu.KvmError, match=r"line levels 33 of affinity 0\.0\.0\.0"):
        v3.line_levels(33)
    with pytest.raises(kvmemu.KvmError, match="attribute 0x5 of group 99"):
        v3.get_device_attr(99, 5)


def test_regions_that_no_attribute_can_say(v3: VgicV3) -> None:
    for index, base, count in [(0, 1, 1), (0, 1 << 52, 1), (0, 0, 4096), (4096, 0, 1), (-1, 0, 1)]:
        with pytest.raises(ValueError, match="no attribute says"):
            v3.add_region(index, base, count)


def test_interrupts_in_words(v3: VgicV3) -> None:
    v3.dist["GICD_ISENABLER1"] = 2
    v3.dist["GICD_IPRIORITYR8"] = 0xA000
    v3.vm.spi(33, True)
    assert str(v3.irq(33)) == (
        "SPI 33: enabled, pending (latch), edge, group 1, priority 0xa0, to vCPU 0,"
        " queued on vCPU 0"
    )
    v3.vm.vcpus[2].ppi(20, True)
    assert str(v3.irq(20, v3.vm.vcpus[2])) == (
        "PPI 20 of vCPU 2: disabled, pending (line), level, group 1, priority 0x00, to vCPU 2"
    )


def test_unknown_names_and_wide_values(v3: VgicV3) -> None:
    with pytest.raises(KeyError, match="GICv3 has no register 'GICD_NOTHING'"):
        v3.dist["GICD_NOTHING"]
    with pytest.raises(KeyError, match="0x14"):
        v3.dist[0x14]
    with pytest.raises(OverflowError):
        v3.dist["GICD_CTLR"] = 1 << 32
    with pytest.raises(TypeError):
        del v3.dist["GICD_CTLR"]


def test_64_bit_registers_are_one_number(v3: VgicV3) -> None:
    vcpus = v3.vm.vcpus
    assert [v3.redist(v)["GICR_TYPER"] for v in vcpus] == [0, 0x1_0000_0100, 0x2_0000_0210]
    v3.dist["GICD_IROUTER33"] = 2
    assert v3.dist["GICD_IROUTER33"] == 2
    v3.redist(vcpus[1])["GICR_PENDBASER"] = 0x12_3456_0000
    assert v3.redist(vcpus[1])["GICR_PENDBASER"] & 0xFF_FFFF_0000 == 0x12_3456_0000


def test_banked_registers_of_a_gicv2(v2: VgicV2) -> None:
    first, second, _ = v2.vm.vcpus
    v2.banked_dist(first)["GICD_ISENABLER0"] = 1 << 20
    assert v2.dist["GICD_ISENABLER0"] >> 20 & 1 == 1
    assert v2.banked_dist(second)["GICD_ISENABLER0"] >> 20 & 1 == 0
    v2.cpu(second)["GICC_PMR"] = 0x1F
    assert v2.cpu(second)["gicc_pmr"] == 0x1F
    assert v2.cpu(first)["GICC_PMR"] != 0x1F


# ---- interrupts ----


def test_lines_and_latches_of_spis(v3: VgicV3) -> None:
    vm = v3.vm
    v3.dist["GICD_ICFGR2"] = 0xAA  # 32 to 35 edge
    v3.dist["GICD_ISENABLER1"] = 0xFFFF_FFFF
    v3.dist["GICD_IROUTER40"] = 1
    vm.spi(33, True)
    vm.spi(40, True)
    edge, level = v3.irq(33), v3.irq(40)
    assert (edge.edge, edge.latch, edge.line, edge.pending, edge.queued) == (
        True, True, False, True, 0,
    )  # fmt: skip
    assert (level.edge, level.latch, level.line, level.pending, level.queued) == (
        False, False, True, True, 1,
    )  # fmt: skip
    assert v3.line_levels(32) == 1 << 8
    assert v3.dist["GICD_ISPENDR1"] == 1 << 1
    vm.spi(40, False)
    assert not v3.irq(40).pending


def test_ppis_belong_to_a_vcpu(v3: VgicV3) -> None:
    vm = v3.vm
    vm.vcpus[1].ppi(20, True)
    assert [v3.line_levels(0, vcpu) for vcpu in vm.vcpus] == [0, 1 << 20, 0]
    assert [v3.irq(20, vcpu).line for vcpu in vm.vcpus] == [False, True, False]
    assert v3.irq(20, vm.vcpus[1]).kind == "PPI"
    v3.set_line_levels(0, 0, vm.vcpus[1])
    assert not v3.irq(20, vm.vcpus[1]).line


def test_every_interrupt_is_listed(v3: VgicV3) -> None:
    irqs = list(v3.irqs())
    assert len(irqs) == 3 * 32 + 64
    assert [irq.kind for irq in irqs if irq.vcpu in {None, 0}] == (
        ["SGI"] * 16 + ["PPI"] * 16 + ["SPI"] * 64
    )
    assert sum(irq.enabled for irq in irqs) == 3 * 16  # SGIs
    assert len(list(v3.irqs([v3.vm.vcpus[0]]))) == 32 + 64


def test_senders_of_a_gicv2_sgi(v2: VgicV2) -> None:
    target = v2.vm.vcpus[2]
    v2.banked_dist(target)["GICD_SPENDSGIR0"] = 0x03_00_00_00
    irq = v2.irq(3, target)
    assert (irq.sources, irq.pending, irq.queued) == (3, True, 2)
    assert irq.targets == 1 << 2


@pytest.mark.parametrize(("intid", "code"), [(96, errno.ENOENT), (1 << 31, errno.ENOENT)])
def test_no_such_interrupt(v3: VgicV3, intid: int, code: int) -> None:
    with pytest.raises(kvmemu.KvmError) as caught:
        v3.irq(intid)
    assert caught.value.errno == code


# ---- batches ----


def packed(*attrs: int) -> bytes:
    return struct.pack(f"={len(attrs)}Q", *attrs)


def test_batches_equal_single_accesses(v3: VgicV3) -> None:
    attrs = packed(0x104, 0x6108, 0x610C, 0x420)
    v3.set_attrs(DIST, attrs, struct.pack("=4I", 0x0F, 2, 0, 0xA0B0C0D0))
    assert v3.dist["GICD_ISENABLER1"] == 0x0F
    assert v3.dist["GICD_IROUTER33"] == 2
    assert v3.dist["GICD_IPRIORITYR8"] == 0xA0B0C0D0
    assert struct.unpack("=4I", v3.get_attrs(DIST, attrs, 4)) == (0x0F, 2, 0, 0xA0B0C0D0)
    whose = [affinity_attr(vcpu.regs["MPIDR_EL1"]) for vcpu in v3.vm.vcpus]
    pmr = packed(*(who | 0xC230 for who in whose))
    v3.set_attrs(ICC, pmr, struct.pack("=3Q", 0x10, 0x20, 0x30))
    assert [v3.icc(vcpu)["ICC_PMR_EL1"] for vcpu in v3.vm.vcpus] == [0x10, 0x20, 0x30]
    assert v3.get_attrs(DIST, b"", 4) == b""


def batch(gic: VgicV3, group: int, attrs: bytes, room: int) -> tuple[int, int]:
    """The result of kvmemu_get_attrs() and how many were done."""
    done, values = ffi.new("size_t *"), ffi.new("char[]", room + 8)
    count = len(attrs) // 8
    buffer = ffi.from_buffer("uint64_t[]", attrs)
    result = lib.kvmemu_get_attrs(gic.handle(), group, buffer, count, values, room, done)
    return result, done[0]


@pytest.mark.parametrize(
    ("group", "attrs", "room", "want"),
    [
        pytest.param(DIST, (0x104, 0x108), 7, (-errno.E2BIG, 1), id="values-end-early"),
        pytest.param(REDIST, (0, 7 << 32), 64, (-errno.EINVAL, 1), id="no-such-vcpu"),
        pytest.param(ICC, (0xC230, 0xC000), 64, (-errno.ENOENT, 1), id="no-such-register"),
        pytest.param(LEVELS, (0, 33), 64, (-errno.EINVAL, 1), id="intid-not-a-multiple"),
        pytest.param(CPU, (4,), 64, (-errno.ENXIO, 0), id="group-of-v2"),
        pytest.param(ADDR, (2,), 64, (-errno.EINVAL, 0), id="no-registers"),
        pytest.param(99, (0,), 64, (-errno.ENXIO, 0), id="no-such-group"),
    ],
)
def test_a_batch_stops_at_the_first_error(
    v3: VgicV3, group: int, attrs: tuple[int, ...], room: int, want: tuple[int, int]
) -> None:
    assert batch(v3, group, packed(*attrs), room) == want


def test_a_batch_before_init_is_busy_unless_its_attribute_is_wrong(vm: kvmemu.Vm) -> None:
    vm.create_vcpus(1)
    gic = vm.create_vgic_v3(init=False)
    assert batch(gic, DIST, packed(0), 8) == (-errno.EBUSY, 0)
    assert batch(gic, REDIST, packed(5 << 32), 8) == (-errno.EINVAL, 0)
    with pytest.raises(kvmemu.KvmError, match="reading GICD_CTLR on the GICv3"):
        gic.get_attrs(DIST, packed(0), 4)


def test_batches_are_for_devices(vm: kvmemu.Vm) -> None:
    done = ffi.new("size_t *")
    args = (DIST, ffi.NULL, 0, ffi.NULL, 0, done)
    assert lib.kvmemu_get_attrs(vm.handle(), *args) == -errno.EINVAL
    assert lib.kvmemu_set_attrs(vm.handle(), *args) == -errno.EINVAL


def test_bad_pointers_are_faults(v3: VgicV3) -> None:
    done, bad = ffi.new("size_t *"), ffi.cast("uint64_t *", 8)
    attrs, values = ffi.new("uint64_t[]", [0x104]), ffi.new("uint32_t[]", 1)
    gic = v3.handle()
    assert lib.kvmemu_get_attrs(gic, DIST, bad, 1, values, 4, done) == -errno.EFAULT
    assert lib.kvmemu_get_attrs(gic, DIST, attrs, 1, bad, 4, done) == -errno.EFAULT
    assert lib.kvmemu_set_attrs(gic, DIST, attrs, 1, bad, 4, done) == -errno.EFAULT
    assert done[0] == 0
    assert v3.dist["GICD_CTLR"] & 2  # no lock is left behind
