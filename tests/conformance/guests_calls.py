# SPDX-License-Identifier: MIT
"""Scripts: calls of the hypervisor: PSCI, and what else the SMC Calling Convention has.

Part of the tests.
"""

from __future__ import annotations

from conformance.guests import Machine
from conformance.guests_run import ALL_HOSTS, RAM, vcpus
from conformance.sweep import head
from kvmemu.trace.guest import GUEST_IPA, GUEST_VCPU_BYTES

PSTATE = "0x6030000000100042"
PSCI = {
    "PSCI_VERSION": 0x84000000, "CPU_SUSPEND": 0xC4000001, "CPU_OFF": 0x84000002,
    "CPU_ON": 0xC4000003, "AFFINITY_INFO": 0xC4000004, "MIGRATE": 0xC4000005,
    "MIGRATE_INFO_TYPE": 0x84000006, "MIGRATE_INFO_UP_CPU": 0xC4000007, "SYSTEM_OFF": 0x84000008,
    "SYSTEM_RESET": 0x84000009, "PSCI_FEATURES": 0x8400000A, "SYSTEM_SUSPEND": 0xC400000E,
    "SYSTEM_RESET2": 0xC4000012,
}  # fmt: skip
SMCCC = {
    "SMCCC_VERSION": 0x80000000, "ARCH_FEATURES": 0x80000001, "ARCH_SOC_ID": 0x80000002,
    "WORKAROUND_1": 0x80008000, "WORKAROUND_2": 0x80007FFF, "WORKAROUND_3": 0x80003FFF,
    "TRNG_VERSION": 0x84000050, "TRNG_FEATURES": 0x84000051, "TRNG_GET_UUID": 0x84000052,
    "TRNG_RND32": 0x84000053, "TRNG_RND64": 0xC4000053, "PV_TIME_FEATURES": 0xC5000020,
    "PV_TIME_ST": 0xC5000021, "VENDOR_UID": 0x8600FF01, "VENDOR_FEATURES": 0x86000000,
    "VENDOR_PTP": 0x86000001,
}  # fmt: skip


def psci() -> list[str]:
    """Power state, by the guest."""
    m = Machine(3, vcpus=3)
    lines = head(
        ALL_HOSTS,
        "PSCI: what is there, in which function ids; a vCPU that is turned on, and how it begins; "
        "vCPUs that turn themselves off; the system's end, which user space is told of.",
    )
    lines += vcpus(("4", "5", "5"))
    entry = [GUEST_IPA + GUEST_VCPU_BYTES * number for number in range(3)]
    every = [*PSCI.values(), 0x84000001, 0x84000003, 0x84000004, 0x8400000E, 0x84000012, 0x84000010]
    every += [0x8400000B, 0x8400000C, 0x8400000D, 0x8400000F, 0x84000011, 0xC4000000, 0x80000000]
    lines.append(m.guest(f"hvc {PSCI['PSCI_VERSION']:#x}", f"smc {PSCI['PSCI_VERSION']:#x}"))
    lines.append(m.guest(*(f"hvc {PSCI['PSCI_FEATURES']:#x} {function:#x}" for function in every)))
    for name in ("MIGRATE", "MIGRATE_INFO_TYPE", "MIGRATE_INFO_UP_CPU"):
        lines.append(m.guest(f"hvc {PSCI[name]:#x}"))
    lines.append(m.guest("hvc 0x84000013", "hvc 0x84000014", "hvc 0x8400001f", "hvc 0xc4000000"))
    info, on = PSCI["AFFINITY_INFO"], PSCI["CPU_ON"]
    lines.append("# who is on: levels 0 to 3, others")
    targets = ((0, 0), (1, 0), (2, 0), (3, 0), (0x100, 0), (1, 1), (1, 2), (1, 3), (1, 4), (0, -1))
    asks = [f"hvc {info:#x} {mpidr:#x} {level}" for mpidr, level in targets]
    lines.append(m.guest(*asks, "hvc 0x84000004 1 0"))
    lines.append("# turned on: itself, nobody, one that is off, twice")
    for mpidr in (0, 3, 0x101, 0x80000001, 1, 1):
        lines.append(m.guest(f"hvc {on:#x} {mpidr:#x} {entry[1]:#x} 0x1234", *asks[:3]))
    lines.append("ioctl v1 KVM_GET_MP_STATE [ u32 0x55 ]")
    first = ["context", "read MPIDR_EL1", "read SCTLR_EL1", "lines"]
    lines += [m.guest(*first, vcpu=1), f"get v1 {PSTATE}"]
    lines.append("# by the 32-bit function, whose arguments have 32 bits")
    lines.append(
        m.guest(f"hvc 0x84000003 0x100000002 {entry[2] | 0xF << 36:#x} 0xfffffffff", *asks)
    )
    lines.append(m.guest("context", "read MPIDR_EL1", vcpu=2))
    lines.append("# off by itself: KVM_RUN sleeps; then on again, elsewhere")
    off = f"hvc {PSCI['CPU_OFF']:#x}"
    lines += ["alarm 100", m.guest("lines", off, "lines", vcpu=1), m.guest(*asks[:3])]
    lines.append("ioctl v1 KVM_GET_MP_STATE [ u32 0x55 ]")
    lines += ["alarm 100", "ioctl v1 KVM_RUN 0"]
    lines.append(m.guest(f"hvc {on:#x} 1 {entry[1]:#x} 0x5678", *asks[:3]))
    lines += [m.guest("context", "lines", vcpu=1), m.guest(f"hvc {on:#x} 1 {entry[1]:#x} 9")]
    lines.append("# two at once: one turns the other on and waits for it")
    lines += ["alarm 100", m.guest(off, vcpu=1)]
    lines += ["buffer ram 0x1000"]
    lines.append(f"ioctl vm KVM_SET_USER_MEMORY_REGION [ u32 0 0 u64 {RAM:#x} 0x1000 &ram ]")
    word = f"{RAM:#x} 4"
    starter = [f"hvc {on:#x} 1 {entry[1]:#x} 0x77", f"wait {word} 0x77", asks[1]]
    lines.append(m.guests(starter, ["context -> c", f"store {word} $c"]))
    lines.append("# CPU_SUSPEND is WFI")
    lines += ["alarm 100", m.guest(f"hvc {PSCI['CPU_SUSPEND']:#x}", "lines")]
    return [*lines, *_system_ends(m, entry[0])]


def _system_ends(m: Machine, entry: int) -> list[str]:
    """Off, reset, asleep: user space is told."""
    lines = ["# the system's end: system_event is at 32 of kvm_run: type, ndata, data"]
    event = "peek run0+32 [ u32 0 0 u64 0 0 ]"
    mp = [f"ioctl v{number} KVM_GET_MP_STATE [ u32 0x55 ]" for number in range(3)]
    calls = [
        ("SYSTEM_OFF", "0x84000008"), ("SYSTEM_RESET", "0x84000009"),
        ("SYSTEM_RESET2, architectural", "0xc4000012 0 5"),
        ("SYSTEM_RESET2, vendor's", "0xc4000012 0x80000001 7"),
        ("SYSTEM_RESET2, reserved", "0xc4000012 1 7"),
        ("SYSTEM_RESET2 of 32 bits", "0x84000012 0x80000000 7"),
        ("SYSTEM_SUSPEND, not enabled", f"0xc400000e {entry:#x} 3"),
    ]  # fmt: skip
    running = [f"ioctl v{number} KVM_SET_MP_STATE [ u32 0 ]" for number in range(3)]
    for name, call in calls:
        lines += [f"# {name}", m.guest("lines", f"hvc {call}", "lines"), event, *mp, *running]
        lines += ["guest v0" if "reserved" not in name and "not" not in name else m.guest("lines")]
    lines.append("# SYSTEM_SUSPEND, enabled; refused while others are on")
    lines.append("ioctl vm KVM_ENABLE_CAP [ u32 KVM_CAP_ARM_SYSTEM_SUSPEND 0 u64 4*0 64*0 ]")
    suspend = f"hvc 0xc400000e {entry:#x} 0x99"
    lines += [m.guest(f"hvc {PSCI['PSCI_FEATURES']:#x} 0xc400000e", suspend), event]
    stopped = [
        f"ioctl v{number} KVM_SET_MP_STATE [ u32 KVM_MP_STATE_STOPPED ]" for number in (1, 2)
    ]
    lines += [*stopped, m.guest(suspend, "lines"), event, *mp, "# user space says no: it returns"]
    lines += ["guest v0", "# and yes: it goes on at the entry point"]
    lines += [m.guest(suspend, "lines"), "ioctl v0 KVM_SET_MP_STATE [ u32 KVM_MP_STATE_RUNNABLE ]"]
    lines += [m.guest("context"), *mp]
    return lines


def psci_versions() -> list[str]:
    """Other versions of PSCI, and the old one."""
    m = Machine(3)
    lines = head(ALL_HOSTS, "PSCI of version 0.1, 0.2 and 1.0: what user space has chosen.")
    lines += ["open kvm"]
    old = (0x95C1BA5E, 0x95C1BA5F, 0x95C1BA60, 0x95C1BA61, 0x95C1BA62)
    calls = [f"hvc {f:#x}" for f in (*old[:1], *old[3:], 0x84000000, 0x80000000, 0x8600FF01)]
    for number, (features, version) in enumerate(((0, None), (4, 2), (4, 0x10000), (4, 0x10001))):
        lines += [f"ioctl kvm KVM_CREATE_VM 0 -> vm{number}"]
        lines.append(f"ioctl vm{number} KVM_CREATE_VCPU 0 -> v{number}")
        init = f"[ u32 KVM_ARM_TARGET_GENERIC_V8 {features} 6*0 ]"
        lines.append(f"ioctl v{number} KVM_ARM_VCPU_INIT {init}")
        if version is not None:
            lines.append(f"set v{number} KVM_REG_ARM_PSCI_VERSION {version:#x}")
        ask = [f"hvc 0x8400000a {f:#x}" for f in (*PSCI.values(), 0x80000000)]
        lines.append(m.guest(*calls, *ask, f"hvc {PSCI['MIGRATE_INFO_TYPE']:#x}", vcpu=number))
        lines.append(m.guest("hvc 0xc4000012 0 0", "lines", vcpu=number))
    return lines


def smccc() -> list[str]:
    """Architecture, TRNG, stolen time and vendor calls."""
    m = Machine(3)
    lines = head(
        ALL_HOSTS,
        "Calls that are not PSCI: the architecture's, random numbers, stolen time, the vendor's; "
        "with services that user space has turned off; numbers that nobody has.",
    )
    lines += vcpus(("4",))
    asks = [f"hvc 0x80000001 {function:#x}" for function in (*SMCCC.values(), *PSCI.values(), 0)]
    lines += [
        m.guest("hvc 0x80000000", *asks),
        m.guest("smc 0x80000000", "smc 0x80000001 0x80008000"),
    ]
    for name in ("WORKAROUND_1", "WORKAROUND_2", "WORKAROUND_3", "ARCH_SOC_ID"):
        lines.append(m.guest(f"hvc {SMCCC[name]:#x}", f"hvc {SMCCC[name]:#x} 1"))
    features = [f"hvc 0x84000051 {function:#x}" for function in (*SMCCC.values(), 0x84000054)]
    uuid = [f"hvc {SMCCC['TRNG_GET_UUID']:#x}", f"hvc {SMCCC['TRNG_VERSION']:#x}"]
    lines += ["# TRNG", m.guest(*uuid, *features)]
    for function, sizes in ((0x84000053, (0, 1, 32, 96, 97, 128)), (0xC4000053, (0, 64, 192, 193))):
        refused = {0, 97, 193}
        refused |= {128} if function == 0x84000053 else set()
        ops = [f"hvc {function:#x} {size}{'' if size in refused else ' ?'}" for size in sizes]
        lines.append(m.guest(*ops))
    stolen = [f"hvc 0xc5000020 {function:#x}" for function in (0xC5000020, 0xC5000021, 0xC5000022)]
    lines += ["# stolen time, which has no place; then it has", m.guest(*stolen, "hvc 0xc5000021")]
    lines += ["buffer ram 0x10000"]
    lines.append(f"ioctl vm KVM_SET_USER_MEMORY_REGION [ u32 0 0 u64 {RAM:#x} 0x10000 &ram ]")
    place = f"[ u32 0 KVM_ARM_VCPU_PVTIME_CTRL u64 KVM_ARM_VCPU_PVTIME_IPA [ {RAM:#x} ] ]"
    lines.append(f"ioctl v0 KVM_SET_DEVICE_ATTR {place}")
    lines.append(m.guest(*stolen, "hvc 0xc5000021", f"load {RAM:#x} 8", f"load {RAM + 8:#x} 8 ?"))
    ptp = [f"hvc 0x86000001 {counter} ?" for counter in (0, 1)]
    lines += ["# vendor", m.guest("hvc 0x8600ff01", "hvc 0x86000000", *ptp, "hvc 0x86000001 2 ?")]
    other = (0x8600FF00, 0x8600FF03, 0xC600FF01, 0x86000002, 0xC6000000, 0x82000000, 0x83000000)
    lines += ["# nobody's", m.guest(*(f"hvc {f:#x}" for f in (*other, 0, 1, 0xFFFFFFFF)))]
    lines.append(m.guest("hvc 0x84000000ffffffff", "hvc 0x100000000", "hvc 0x1084000000"))
    for register in ("STD_BMAP", "STD_HYP_BMAP", "VENDOR_HYP_BMAP"):
        number = ("STD_BMAP", "STD_HYP_BMAP", "VENDOR_HYP_BMAP").index(register)
        lines += [f"# {register} off", *(
            f"ioctl kvm KVM_CREATE_VM 0 -> vm_{number}",
            f"ioctl vm_{number} KVM_CREATE_VCPU 0 -> v{number + 1}",
            f"ioctl v{number + 1} KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 4 6*0 ]",
            f"set v{number + 1} KVM_REG_ARM_{register} 0",
        )]  # fmt: skip
        lines.append(m.guest(*asks, *uuid, *stolen, "hvc 0x8600ff01", vcpu=number + 1))
        lines.append(f"set v{number + 1} KVM_REG_ARM_{register} 1")
    return lines
