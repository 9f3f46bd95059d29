# SPDX-License-Identifier: MIT
"""Records the state of a VM with four vCPUs that have run on a real Linux. Part of the tests.

Run as `python -m oracle.record_state` from tests/, or `make record-state`. The result,
kvmemu/data/linux-6.1-4vcpu.state, is what `kvmemu demo` starts from.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import kvmemu
from kvmemu import constants as kvm
from kvmemu.registers import find, reg_bytes
from kvmemu.state import VcpuState, VmState, store
from kvmemu.trace.parse import parse
from kvmemu.trace.statements import Get
from oracle.linux import Linux
from oracle.record_host import ask_target, host_facts

HOST = "gicv3-max"
NR_VCPUS = 4
FEATURES = (kvm.KVM_ARM_VCPU_PSCI_0_2, kvm.KVM_ARM_VCPU_PMU_V3)
LOAD_IPA = 0x4000_0000
RUN_MS = 100
OUTPUT = Path(kvmemu.__file__).parent / "data" / "linux-6.1-4vcpu.state"
GUEST = Path(__file__).parent / "guests" / "four_vcpus.S"


def assemble(source: Path) -> bytes:
    """The guest's code and data."""
    with tempfile.TemporaryDirectory() as folder:
        elf, flat = Path(folder) / "guest.elf", Path(folder) / "guest.bin"
        subprocess.run(
            ["aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-Wl,-Ttext=0", "-o", elf, source],
            check=True,
        )
        subprocess.run(["aarch64-linux-gnu-objcopy", "-O", "binary", elf, flat], check=True)
        return flat.read_bytes()


def registers_of_such_a_vcpu() -> list[int]:
    """The register list, which kvmemu has from Linux: tests/conformance compares them."""
    with kvmemu.System(HOST) as system, system.create_vm() as vm:
        vcpu = vm.create_vcpu()
        vcpu.init(FEATURES)
        return vcpu.reg_list()


def script(target: int, counter_hz: int) -> str:
    """Create, run for a while, read everything."""
    code = assemble(GUEST)
    size = (len(code) + 4095) // 4096 * 4096
    words = " ".join(
        f"{int.from_bytes(code[i : i + 8], 'little'):#x}" for i in range(0, len(code), 8)
    )
    pc, x0, x1 = (find(name) for name in ("PC", "X0", "X1"))
    assert pc is not None
    assert x0 is not None
    assert x1 is not None
    features = sum(1 << feature for feature in FEATURES)
    lines = [
        "kvmemu-trace 1",
        f"host {HOST}",
        "open kvm",
        "ioctl kvm KVM_CREATE_VM 0 -> vm",
        f"buffer ram {size}",
        f"poke ram+0 [ u64 {words} ]",
        f"ioctl vm KVM_SET_USER_MEMORY_REGION [ u32 0 0 u64 {LOAD_IPA:#x} {size} &ram+0 ]",
    ]
    for n in range(NR_VCPUS):
        lines += [
            f"ioctl vm KVM_CREATE_VCPU {n} -> vcpu{n}",
            f"ioctl vcpu{n} KVM_ARM_VCPU_INIT [ u32 {target} {features} 6*0 ]",
            f"ioctl vcpu{n} KVM_SET_DEVICE_ATTR"
            " [ u32 0 KVM_ARM_VCPU_PMU_V3_CTRL u64 KVM_ARM_VCPU_PMU_V3_INIT 0 ]",
            f"set vcpu{n} {pc.id:#x} {LOAD_IPA:#x}",
            f"set vcpu{n} {x0.id:#x} {n:#x}",
            f"set vcpu{n} {x1.id:#x} {counter_hz:#x}",
        ]
    for n in range(NR_VCPUS):
        lines += [f"alarm {RUN_MS}", f"ioctl vcpu{n} KVM_RUN 0"]
    ids = registers_of_such_a_vcpu()
    for n in range(NR_VCPUS):
        lines += [f"get vcpu{n} {register:#x}" for register in ids]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Record, and write the file."""
    ids = tuple(registers_of_such_a_vcpu())
    with Linux(HOST) as linux:
        facts = host_facts(linux)
        target = ask_target(linux)
        trace = linux.run(script(target, int(facts["counter.hz"])))
    answers = [
        statement.answer
        for statement in parse(trace, kvm.ALL).statements
        if isinstance(statement, Get)
    ]
    values = [answer.value for answer in answers if answer is not None]
    assert len(values) == NR_VCPUS * len(ids)
    assert None not in values, "a register could not be read"
    vcpus = []
    for n in range(NR_VCPUS):
        mine = values[n * len(ids) : (n + 1) * len(ids)]
        packed = b"".join(
            (value or 0).to_bytes(reg_bytes(register), "little")
            for register, value in zip(ids, mine, strict=True)
        )
        events = kvmemu.VcpuEvents(False, 0)
        vcpus.append(VcpuState(n, target, FEATURES, kvm.KVM_MP_STATE_RUNNABLE, events, ids, packed))
    OUTPUT.parent.mkdir(exist_ok=True)
    store(VmState(40, tuple(vcpus), f"Linux {facts['kernel']} on {HOST}"), OUTPUT)
    print(f"recorded {OUTPUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
