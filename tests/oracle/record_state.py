# SPDX-License-Identifier: MIT
"""Records the state of a VM with four vCPUs that have run on a real Linux. Part of the tests.

Run as `python -m oracle.record_state` from tests/, or `make record-state`. The result,
kvmemu/data/linux-6.1-4vcpu.state, is what `kvmemu demo` starts from.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import kvmemu
from kvmemu import constants as kvm
from kvmemu.gic_registers import gic_registers
from kvmemu.registers import find, reg_bytes
from kvmemu.state import (
    GicState,
    SlotState,
    VcpuDevices,
    VcpuState,
    VmState,
    save_gic,
    store,
)
from kvmemu.state.memory import snapshot
from kvmemu.trace.parse import parse
from kvmemu.trace.statements import Get, Ioctl, Number, Peek, Set
from oracle.linux import Linux
from oracle.record_host import ask_target, host_facts

HOST = "gicv3-max"
NR_VCPUS = 4
FEATURES = (kvm.KVM_ARM_VCPU_PSCI_0_2, kvm.KVM_ARM_VCPU_PMU_V3)
LOAD_IPA = 0x4000_0000
RAM_BYTES = 64 << 10
RUN_MS = 100
DIST, REDIST, NR_IRQS = 0x0800_0000, 0x080A_0000, 96
PMU_INTID = 23
OUTPUT = Path(kvmemu.__file__).parent / "data" / "linux-6.1-4vcpu.state"
GUEST = Path(__file__).parent / "guests" / "four_vcpus.S"


def assemble(source: Path) -> bytes:
    """The guest's code and data."""
    with tempfile.TemporaryDirectory() as folder:
        elf, flat = Path(folder) / "guest.elf", Path(folder) / "guest.bin"
        # No build id: the linker would put it 4 MiB away.
        link = ["-nostdlib", "-static", "-Wl,-Ttext=0,--build-id=none"]
        subprocess.run(["aarch64-linux-gnu-gcc", *link, "-o", elf, source], check=True)
        subprocess.run(["aarch64-linux-gnu-objcopy", "-O", "binary", elf, flat], check=True)
        return flat.read_bytes()


@dataclass(frozen=True)
class Layout:
    """What such a VM consists of: kvmemu has it from Linux, tests/conformance compares them."""

    ids: tuple[int, ...]
    gic: GicState


def layout() -> Layout:
    """Registers of each vCPU, and of the GIC."""
    with kvmemu.System(HOST) as system, system.create_vm() as vm:
        vcpus = vm.create_vcpus(NR_VCPUS, FEATURES)
        gic = vm.create_vgic_v3(DIST, REDIST, nr_irqs=NR_IRQS)
        return Layout(tuple(vcpus[0].reg_list()), save_gic(gic))


# ---- the script ----


def set_attr(fd: str, group: str, attr: str, value: str = "0") -> str:
    """KVM_SET_DEVICE_ATTR."""
    return f"ioctl {fd} KVM_SET_DEVICE_ATTR [ u32 0 {group} u64 {attr} {value} ]"


def set_register(frame: str, vcpu: int, name: str, value: int) -> str:
    """A register of the GIC; the vCPUs' affinities are their numbers."""
    register = gic_registers(3, frame)[name]
    group = {"gicd": "DIST_", "gicr": "REDIST_", "icc": "CPU_SYS"}[frame]
    block = f"[ u{64 if frame == 'icc' else 32} {value:#x} ]"
    attr = f"{vcpu << 32 | register.offset:#x}"
    return set_attr("gic", f"KVM_DEV_ARM_VGIC_GRP_{group}REGS", attr, block)


def gic_setup() -> Iterator[str]:
    """As a guest's driver would leave it: timers enabled, devices routed and enabled."""
    yield set_register("gicd", 0, "GICD_CTLR", 2)
    for intid in range(32, NR_IRQS, 4):
        # priorities 0xa0, 0x90, ... by device
        word = sum((0xA0 - 0x10 * (n % 4)) << 8 * n for n in range(4))
        yield set_register("gicd", 0, f"GICD_IPRIORITYR{intid // 4}", word)
    yield set_register("gicd", 0, "GICD_ICFGR2", 0x0000_00AA)  # 32 to 35 by edges, others by level
    for intid in range(32, NR_IRQS):
        yield set_attr(
            "gic", "KVM_DEV_ARM_VGIC_GRP_DIST_REGS", f"{0x6000 + 8 * intid:#x}",
            f"[ u32 {intid % NR_VCPUS} ]",
        )  # fmt: skip
    yield set_register("gicd", 0, "GICD_ISENABLER1", 0x00FF_0F3F)
    for n in range(NR_VCPUS):
        yield set_register("gicr", n, "GICR_IPRIORITYR6", 0x8080_8080)  # the timers, 27 and 30
        yield set_register("gicr", n, "GICR_IPRIORITYR7", 0x8080_8080)
        yield set_register("gicr", n, "GICR_IPRIORITYR5", 0x9090_9090)
        yield set_register("gicr", n, "GICR_ISENABLER0", 1 << 27 | 1 << 30 | 1 << 23 | 0xFF)
        yield set_register("icc", n, "ICC_PMR_EL1", 0xF0)
        yield set_register("icc", n, "ICC_IGRPEN1_EL1", 1)
        yield set_register("icc", n, "ICC_BPR1_EL1", 2 + n)


def gic_events() -> Iterator[str]:
    """Something of everything: edges, levels, latches, active interrupts, SGIs."""
    spi = kvm.KVM_ARM_IRQ_TYPE_SPI << kvm.KVM_ARM_IRQ_TYPE_SHIFT
    for intid in (33, 40, 41, 60):
        yield f"ioctl vm KVM_IRQ_LINE [ u32 {spi | intid:#x} 1 ]"
    yield set_register("gicd", 0, "GICD_ISPENDR1", 1 << 1 | 1 << 12 | 1 << 20)
    yield set_register("gicd", 0, "GICD_ISACTIVER1", 1 << 2 | 1 << 17)
    yield set_register("gicr", 1, "GICR_ISPENDR0", 1 << 3)  # an SGI
    yield set_register("gicr", 2, "GICR_ISACTIVER0", 1 << 5 | 1 << 20)
    yield set_register("icc", 2, "ICC_AP1R0_EL1", 1 << 18)


def script(target: int, counter_hz: int, what: Layout) -> str:
    """Create, run for a while, read everything."""
    code = assemble(GUEST)
    words = " ".join(
        f"{int.from_bytes(code[i : i + 8], 'little'):#x}" for i in range(0, len(code), 8)
    )
    pc, x0, x1 = (find(name) for name in ("PC", "X0", "X1"))
    assert pc is not None
    assert x0 is not None
    assert x1 is not None
    features = sum(1 << feature for feature in FEATURES)
    pmu, addr = "KVM_ARM_VCPU_PMU_V3_CTRL", "KVM_DEV_ARM_VGIC_GRP_ADDR"
    lines = [
        "kvmemu-trace 1",
        f"host {HOST}",
        "open kvm",
        "ioctl kvm KVM_CREATE_VM 0 -> vm",
        f"buffer ram {RAM_BYTES}",
        f"poke ram+0 [ u64 {words} ]",
        f"ioctl vm KVM_SET_USER_MEMORY_REGION [ u32 0 0 u64 {LOAD_IPA:#x} {RAM_BYTES} &ram+0 ]",
    ]
    for n in range(NR_VCPUS):
        lines += [
            f"ioctl vm KVM_CREATE_VCPU {n} -> vcpu{n}",
            f"ioctl vcpu{n} KVM_ARM_VCPU_INIT [ u32 {target} {features} 6*0 ]",
        ]
    lines += [
        "ioctl vm KVM_CREATE_DEVICE [ u32 KVM_DEV_TYPE_ARM_VGIC_V3 0 0 ] -> gic",
        set_attr("gic", "KVM_DEV_ARM_VGIC_GRP_NR_IRQS", "0", f"[ u32 {NR_IRQS} ]"),
        set_attr("gic", addr, "KVM_VGIC_V3_ADDR_TYPE_DIST", f"[ u64 {DIST:#x} ]"),
        set_attr("gic", addr, "KVM_VGIC_V3_ADDR_TYPE_REDIST", f"[ u64 {REDIST:#x} ]"),
        set_attr("gic", "KVM_DEV_ARM_VGIC_GRP_CTRL", "KVM_DEV_ARM_VGIC_CTRL_INIT"),
    ]
    for n in range(NR_VCPUS):
        lines += [
            set_attr(f"vcpu{n}", pmu, "KVM_ARM_VCPU_PMU_V3_IRQ", f"[ u32 {PMU_INTID} ]"),
            set_attr(f"vcpu{n}", pmu, "KVM_ARM_VCPU_PMU_V3_INIT"),
            f"set vcpu{n} {pc.id:#x} {LOAD_IPA:#x}",
            f"set vcpu{n} {x0.id:#x} {n:#x}",
            f"set vcpu{n} {x1.id:#x} {counter_hz:#x}",
        ]
    lines += gic_setup()
    for n in range(NR_VCPUS):
        lines += [f"alarm {RUN_MS}", f"ioctl vcpu{n} KVM_RUN 0"]
    lines += gic_events()
    for n in range(NR_VCPUS):
        lines += [f"get vcpu{n} {register:#x}" for register in what.ids]
    lines += read_gic(what.gic)
    lines.append(f"peek ram+0 [ u64 {RAM_BYTES // 8}*0 ]")
    return "\n".join(lines) + "\n"


def read_gic(gic: GicState) -> Iterator[str]:
    """Every attribute into a buffer, 8 bytes each, and all of them from there."""
    attrs = [(block.group, attr) for block in gic.blocks for attr, _ in block.items()]
    yield f"buffer values {(len(attrs) * 8 + 4095) // 4096 * 4096}"
    for n, (group, attr) in enumerate(attrs):
        yield f"ioctl gic KVM_GET_DEVICE_ATTR [ u32 0 {group} u64 {attr:#x} &values+{8 * n} ]"
    yield f"peek values+0 [ u64 {len(attrs)}*0 ]"


# ---- what Linux answered ----


def peeked(statement: Peek) -> list[int]:
    """The numbers that a peek found."""
    answer = statement.answer
    assert answer is not None
    block = answer.block or statement.block
    found: list[int] = []
    for item in block.items:
        assert isinstance(item.value, Number)
        found += [item.value.bits(8)] * item.count
    return found


def recorded_gic(what: GicState, values: list[int]) -> GicState:
    """The GIC with the values that Linux had."""
    blocks, at = [], 0
    for block in what.blocks:
        mine = values[at : at + len(block)]
        at += len(block)
        packed = struct.pack(f"={len(block)}{'I' if block.size == 4 else 'Q'}", *mine)
        blocks.append(replace(block, values=packed))
    assert at == len(values)
    return replace(what, blocks=tuple(blocks))


def main() -> int:
    """Record, and write the files."""
    what = layout()
    with Linux(HOST) as linux:
        facts = host_facts(linux)
        target = ask_target(linux)
        trace = linux.run(script(target, int(facts["counter.hz"]), what))
    statements = parse(trace, kvm.ALL).statements
    for statement in statements:
        if isinstance(statement, (Ioctl, Set)):
            ran = isinstance(statement, Ioctl) and statement.request == Number(kvm.KVM_RUN)
            refused = statement.answer and str(statement.answer.result).startswith("-")
            assert ran or not refused, f"line {statement.first_line}: {statement}"
    values = [s.answer.value for s in statements if isinstance(s, Get) and s.answer is not None]
    assert len(values) == NR_VCPUS * len(what.ids)
    assert None not in values, "a register could not be read"
    vcpus = []
    devices = VcpuDevices(PMU_INTID, True, 27, 30)
    for n in range(NR_VCPUS):
        mine = values[n * len(what.ids) : (n + 1) * len(what.ids)]
        packed = b"".join(
            (value or 0).to_bytes(reg_bytes(register), "little")
            for register, value in zip(what.ids, mine, strict=True)
        )
        events = kvmemu.VcpuEvents(False, 0)
        state = kvm.KVM_MP_STATE_RUNNABLE
        vcpus.append(VcpuState(n, target, FEATURES, state, events, what.ids, packed, devices))
    gic_values, ram_words = (peeked(s) for s in statements if isinstance(s, Peek))
    ram = snapshot(memoryview(struct.pack(f"={len(ram_words)}Q", *ram_words)))
    state_of_vm = VmState(
        40,
        tuple(vcpus),
        f"Linux {facts['kernel']} on {HOST}",
        recorded_gic(what.gic, gic_values),
        (SlotState(0, LOAD_IPA, ram.size, 0, ram.sha256()),),
        {0: ram},
    )
    OUTPUT.parent.mkdir(exist_ok=True)
    store(state_of_vm, OUTPUT)
    print(f"recorded {OUTPUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
