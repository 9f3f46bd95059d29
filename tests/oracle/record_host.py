# SPDX-License-Identifier: MIT
"""Records a host profile from a real Linux: kvmemu/profiles/NAME.toml. Part of the tests.

Run as `python -m oracle.record_host NAME...` from tests/, or `make record-hosts`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from kvmemu.trace.parse import parse
from kvmemu.trace.statements import Get, Ioctl
from oracle.hosts import HOSTS, MODELS
from oracle.linux import Linux

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ROOT / "kvmemu" / "profiles"
UAPI = ROOT / "include" / "kvmemu" / "uapi"

NR_CAPS = 300
SYSREG_BASE = 0x6030000000130000
CCSIDR_BASE = 0x6020000000110000
NR_CACHES = 14
WORKAROUNDS = (0x6030000000140001, 0x6030000000140002, 0x6030000000140003)
# KVM_ARM_VCPU_* features by the capability that allows each.
FEATURES = {
    "KVM_CAP_ARM_PSCI_0_2": 1 << 2,
    "KVM_CAP_ARM_PMU_V3": 1 << 3,
    "KVM_CAP_ARM_SVE": 1 << 4,
    "KVM_CAP_ARM_PTRAUTH_ADDRESS": 1 << 5,
    "KVM_CAP_ARM_PTRAUTH_GENERIC": 1 << 6,
}
PMU = 1 << 3
SVE = 1 << 4
# Registers whose value is the machine's: the ID space, the invariant ones, three reset values.
MACHINE_REGISTERS = re.compile(
    r"(MIDR|REVIDR|CLIDR|AIDR|ACTLR|AMAIR)_EL1|CTR_EL0|PMCR_EL0"
    r"|ID_(?!AFR0|DFR1|AA64AFR|AA64SMFR0)\w+_EL1|MVFR[012]_EL1"
)
# Those that only a guest can read, or that it reads as they are in hardware.
GUEST_REGISTERS = ("CTR_EL0", "PMCEID0_EL0", "PMCEID1_EL0")


def constants() -> dict[str, int]:
    """The constants that the scripts below use; the compiled core may not be there yet."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(UAPI.glob("*.h")))
    return dict.fromkeys(re.findall(r"^#define (KVM_\w+)", text, re.MULTILINE), 0)


def capabilities() -> dict[str, int]:
    """KVM_CAP_* by name."""
    text = (UAPI / "caps.h").read_text(encoding="utf-8")
    found = re.findall(r"^#define (KVM_CAP_\w+)\s+(\d+)", text, re.MULTILINE)
    return {name: int(value) for name, value in found}


def system_registers() -> dict[str, int]:
    """The ONE_REG ids of the machine's registers, by name."""
    text = (ROOT / "csrc" / "machine" / "sysreg_list.h").read_text(encoding="utf-8")
    rows = re.findall(r"^SYSREG\((\w+), (\d+), (\d+), (\d+), (\d+), (\d+)\)", text, re.MULTILINE)
    return {
        name: SYSREG_BASE
        | int(op0) << 14 | int(op1) << 11 | int(crn) << 7 | int(crm) << 3 | int(op2)
        for name, op0, op1, crn, crm, op2 in rows
        if MACHINE_REGISTERS.fullmatch(name)
    }  # fmt: skip


def ask(linux: Linux, lines: Iterable[str]) -> Iterator[int | None]:
    """Runs statements and gives the result, or the value read, of each; None for an error."""
    trace = linux.run("\n".join(["kvmemu-trace 1", "host any", *lines]))
    for statement in parse(trace, constants()).statements:
        if isinstance(statement, (Ioctl, Get)):
            answer = statement.answer
            assert answer is not None
            if isinstance(statement, Get):
                yield answer.value
            else:
                yield answer.result if isinstance(answer.result, int) else 0


def ask_caps(linux: Linux) -> tuple[dict[int, int], dict[int, int]]:
    """What a VM, and what the system, answers for each capability; zero left out."""
    lines = ["open kvm", "ioctl kvm KVM_CREATE_VM 0 -> vm"]
    for fd in ("vm", "kvm"):
        lines += [f"ioctl {fd} KVM_CHECK_EXTENSION {cap}" for cap in range(NR_CAPS)]
    results = [result or 0 for result in ask(linux, lines)][1:]
    vm, system = results[:NR_CAPS], results[NR_CAPS:]
    return (
        {cap: value for cap, value in enumerate(vm) if value},
        {cap: value for cap, value in enumerate(system) if value},
    )


def ask_registers(linux: Linux, features: int, ids: Iterable[int]) -> dict[int, int]:
    """Registers of a new vCPU with these features; those it does not have are left out."""
    ids = list(ids)
    lines = [
        "open kvm",
        "ioctl kvm KVM_CREATE_VM 0 -> vm",
        "ioctl vm KVM_CREATE_VCPU 0 -> vcpu",
        f"ioctl vcpu KVM_ARM_VCPU_INIT [ u32 {ask_target(linux)} {features} 6*0 ]",
    ]
    if features & SVE:
        lines.append("ioctl vcpu KVM_ARM_VCPU_FINALIZE [ u32 4 ]")
    setup = len(lines) - 1
    values = list(ask(linux, [*lines, *(f"get vcpu {register:#x}" for register in ids)]))[setup:]
    return {
        register: value for register, value in zip(ids, values, strict=True) if value is not None
    }


def ask_target(linux: Linux) -> int:
    """What KVM_ARM_PREFERRED_TARGET names."""
    trace = linux.run(
        "kvmemu-trace 1\nhost any\nopen kvm\nioctl kvm KVM_CREATE_VM 0 -> vm\n"
        "ioctl vm KVM_ARM_PREFERRED_TARGET [ u32 0xffffffff 7*0 ]\n"
    )
    answer = parse(trace, constants()).statements[-1].answer
    assert answer is not None
    assert answer.block is not None
    target = answer.block.items[0].value
    return int(getattr(target, "value"))  # noqa: B009 - a Number, as the script wrote one there


def ask_devices(linux: Linux) -> set[str]:
    """The interrupt controllers that a VM can have: VGIC_V2, VGIC_V3, VGIC_ITS."""
    names = ("VGIC_V2", "VGIC_V3", "VGIC_ITS")
    lines = ["open kvm", "ioctl kvm KVM_CREATE_VM 0 -> vm"]
    lines += [
        f"ioctl vm KVM_CREATE_DEVICE [ u32 KVM_DEV_TYPE_ARM_{name} 0 KVM_CREATE_DEVICE_TEST ]"
        for name in names
    ]
    results = list(ask(linux, lines))[1:]
    return {name for name, result in zip(names, results, strict=True) if result == 0}


def ask_icc_ctlr(linux: Linux, target: int) -> int:
    """ICC_CTLR_EL1 of a new vCPU: what its CPU interface can do."""
    trace = linux.run(
        "\n".join(
            [
                "kvmemu-trace 1",
                "host any",
                "open kvm",
                "ioctl kvm KVM_CREATE_VM 0 -> vm",
                "ioctl vm KVM_CREATE_VCPU 0 -> vcpu",
                f"ioctl vcpu KVM_ARM_VCPU_INIT [ u32 {target} 7*0 ]",
                "ioctl vm KVM_CREATE_DEVICE [ u32 KVM_DEV_TYPE_ARM_VGIC_V3 0 0 ] -> gic",
                "ioctl gic KVM_SET_DEVICE_ATTR"
                " [ u32 0 KVM_DEV_ARM_VGIC_GRP_CTRL u64 KVM_DEV_ARM_VGIC_CTRL_INIT 0 ]",
                "buffer value 4096",
                "ioctl gic KVM_GET_DEVICE_ATTR"
                " [ u32 0 KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS u64 0xc664 &value+0 ]",
                "peek value+0 [ u64 0 ]",
            ]
        )
    )
    answer = parse(trace, constants()).statements[-1].answer
    assert answer is not None
    assert answer.block is not None
    return int(getattr(answer.block.items[0].value, "value"))  # noqa: B009 - a Number


def ask_guest(linux: Linux, target: int, features: int) -> dict[str, int]:
    """What a guest reads of GUEST_REGISTERS; those that it does not have are left out."""
    lines = [
        "kvmemu-trace 1",
        "host any",
        "open kvm",
        "ioctl kvm KVM_CREATE_VM 0 -> vm",
        "ioctl vm KVM_CREATE_VCPU 0 -> vcpu",
        f"ioctl vcpu KVM_ARM_VCPU_INIT [ u32 {target} {features & PMU} 6*0 ]",
    ]
    if features & PMU:
        lines.append("ioctl vcpu KVM_SET_DEVICE_ATTR [ u32 0 0 u64 1 0 ]")
    lines.append(f"guest vcpu [ {'; '.join(f'read {name}' for name in GUEST_REGISTERS)} ]")
    answer = parse(linux.run("\n".join(lines)), constants()).statements[-1].answer
    assert answer is not None
    outcomes = zip(GUEST_REGISTERS, answer.guests[0].outcomes, strict=True)
    return {name: outcome.values[0] for name, outcome in outcomes if outcome.kind == "value"}


def host_facts(linux: Linux) -> dict[str, str]:
    """What KVM does not tell: kernel, counter frequency, perf's number of the PMU."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "host_facts"
        source = Path(__file__).with_suffix("").parent / "host_facts.c"
        subprocess.run(
            ["aarch64-linux-gnu-gcc", "-static", "-O1", "-o", program, source], check=True
        )
        output = linux.run_program(program).output
    return dict(line.split(maxsplit=1) for line in output.splitlines())


def sve_vqs(linux: Linux, features: int) -> int:
    """The vector lengths, a bit for each multiple of 128 bits."""
    if not features & SVE:
        return 0
    vls = 0x606000000015FFFF
    return ask_registers(linux, features, [vls])[vls]


def profile(name: str) -> str:
    """The TOML text of a host's profile."""
    names = {value: name for name, value in capabilities().items()}
    model = MODELS[name]
    with Linux(name) as linux:
        caps, system_caps = ask_caps(linux)
        allowed = {names[cap] for cap in caps if cap in names}
        features = sum(bit for cap, bit in FEATURES.items() if cap in allowed)
        registers = system_registers()
        values = ask_registers(
            linux,
            features,
            [*registers.values(), *WORKAROUNDS, *(CCSIDR_BASE | i for i in range(NR_CACHES))],
        )
        facts = host_facts(linux)
        target = ask_target(linux)
        vqs = sve_vqs(linux, features)
        gics = ask_devices(linux)
        icc_ctlr = ask_icc_ctlr(linux, target) if "VGIC_V3" in gics else 0
        guest = ask_guest(linux, target, features)
        ctr = guest.pop("CTR_EL0")

    def rows(pairs: Iterable[tuple[str, int]]) -> list[str]:
        return [f"{key} = {value:{'#x' if value > 4096 else ''}}" for key, value in pairs]

    return "\n".join(
        [
            "# SPDX-License-Identifier: MIT",
            "# Recorded from Linux by tests/oracle/record_host.py.",
            f'name = "{name}"',
            f'kernel = "{facts["kernel"]}"',
            f'description = "{model.description}"',
            'architecture = "arm64"',
            "",
            "[gic]",
            f"version = {3 if 'VGIC_V3' in gics else 2}",
            *(["v2_compat = true"] if {"VGIC_V2", "VGIC_V3"} <= gics else []),
            f"list_registers = {model.list_registers}",
            f"priority_bits = {model.priority_bits}",
            *([f"icc_ctlr = {icc_ctlr:#x}"] if icc_ctlr else []),
            f"its = {str('VGIC_ITS' in gics).lower()}",
            "",
            "[counter]",
            f"hz = {facts['counter.hz']}",
            "",
            "[cpu]",
            f"target = {target}",
            f"aarch32_el0 = {str(values[registers['ID_AA64PFR0_EL1']] & 0xF == 2).lower()}",
            "page_bytes = 4096",
            *([f"sve_vqs = {vqs:#x}"] if vqs else []),
            f"ctr = {ctr:#x}",
            "",
            "[pmu]",
            f"type = {facts.get('pmu.type', 0)}",
            "",
            "[firmware]",
            *(f"workaround_{n + 1} = {values[id_]}" for n, id_ in enumerate(WORKAROUNDS)),
            "",
            "[capability]",
            *rows((names.get(cap, str(cap)), value) for cap, value in caps.items()),
            "",
            "[system_capability]",
            *rows((names.get(cap, str(cap)), value) for cap, value in system_caps.items()),
            "",
            "[register]",
            *rows((name, values[id_]) for name, id_ in registers.items() if id_ in values),
            *rows(guest.items()),
            "",
            "[ccsidr]",
            *rows(
                (str(i), values[CCSIDR_BASE | i])
                for i in range(NR_CACHES)
                if CCSIDR_BASE | i in values
            ),
            "",
        ]
    )


def main(argv: list[str]) -> int:
    """Record the hosts named, or all."""
    for name in argv or HOSTS:
        (PROFILES / f"{name}.toml").write_text(profile(name), encoding="utf-8")
        print(f"recorded {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
