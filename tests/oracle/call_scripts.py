# SPDX-License-Identifier: MIT
"""Scripts of guests' HVC and SMC calls, for guest_calls.c. Part of the tests.

What a line means is in tests/unit/hypercalls/README.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

# Registers.
PSCI_VERSION = 0x6030000000140000
BITMAPS = (0x6030000000160000, 0x6030000000160001, 0x6030000000160002)  # STD, STD_HYP, VENDOR_HYP
SP, PC, PSTATE = 0x603000000010003E, 0x6030000000100040, 0x6030000000100042
TIMER_CNT, TIMER_CVAL, TIMER_CTL = 0x603000000013DF1A, 0x603000000013DF02, 0x603000000013DF19
MPIDR, SCTLR, TPIDR, VBAR = (
    0x603000000013C005,
    0x603000000013C080,
    0x603000000013C684,
    0x603000000013C600,
)
EE = 1 << 25  # SCTLR_EL1

# KVM_ARM_VCPU_*
POWER_OFF, EL1_32BIT, PSCI_0_2 = 1, 2, 4
CAP_SYSTEM_SUSPEND = 216
RUNNABLE, STOPPED, SUSPENDED = 0, 5, 10

# What guest_calls.c puts into the guest's memory.
RAM, DATA = 0x10000, 0x11040
LOOP, LOOP_A32, LOOP_T32 = 0x10200, 0x10300, 0x10400
GO_ON = 0x10500

# Function ids.
PSCI, PSCI64 = 0x84000000, 0xC4000000
CPU_SUSPEND, CPU_OFF, CPU_ON, AFFINITY_INFO = (PSCI + n for n in (1, 2, 3, 4))
CPU_ON64, AFFINITY_INFO64 = PSCI64 + 3, PSCI64 + 4
SYSTEM_OFF, SYSTEM_RESET, FEATURES, SUSPEND = (PSCI + n for n in (8, 9, 10, 14))
RESET2 = PSCI + 18
PSCI_0_1 = 0x95C1BA5E
ARCH_FEATURES, WORKAROUNDS = 0x80000001, (0x80008000, 0x80007FFF, 0x80003FFF)
TRNG_FEATURES, RND32, RND64 = 0x84000051, 0x84000053, 0xC4000053
PV_FEATURES, PV_ST = 0xC5000020, 0xC5000021
UID = 0x8600FF01
ONES = 0xFFFFFFFFFFFFFFFF


def x(number: int) -> int:
    """The id of a general register."""
    return 0x6030000000100000 + 2 * number


def config(
    psci: int | None = None,
    bitmaps: tuple[int, int, int] = (1, 1, 3),
    features: int = PSCI_0_2,
    caps: tuple[int, ...] = (),
    vcpus: int = 2,
) -> Iterator[str]:
    """A VM whose first vCPU is on, the others off."""
    yield f"vm {vcpus}"
    yield from (f"cap 0 {cap:x}" for cap in caps)
    yield f"init 0 {features:x}"
    yield from (f"init {v} {features | POWER_OFF:x}" for v in range(1, vcpus))
    if psci is not None:
        yield f"set 0 {PSCI_VERSION:x} {psci:x}"
    for register, value in zip(BITMAPS, bitmaps, strict=True):
        yield f"set 0 {register:x} {value:x}"


# ---- which ids there are ----

# Around every id that means something, in SMCCC's 32- and 64-bit form; PSCI 0.1; no call at all.
# Without what is random.
RANGES = [
    (0, 1),
    (0x7FFFFFFF, 0x80000010), (0x80003FF8, 0x80004000), (0x80007FF8, 0x80008004),
    (0xC0000000, 0xC0000004), (0xC0008000, 0xC0008001),
    (0x84000000, 0x8400002F), (0x84000048, 0x84000052), (0x84000054, 0x8400005F),
    (0xC4000000, 0xC400002F), (0xC4000048, 0xC4000052), (0xC4000054, 0xC400005F),
    (0x85000018, 0x85000028), (0xC5000018, 0xC5000028),
    (0x86000000, 0x86000000), (0x86000002, 0x86000008), (0x8600007E, 0x86000080),
    (0x8600FF00, 0x8600FF04), (0xC6000000, 0xC6000003), (0xC600FF00, 0xC600FF03),
    (0x95C1BA58, 0x95C1BA66), (0xD5C1BA5E, 0xD5C1BA61),
    (0x81000000, 0x81000001), (0x83000000, 0x83000001), (0xBF00FF01, 0xBF00FF01),
    (0xFFFFFFFE, 0xFFFFFFFF), (ONES - 1, ONES - 1),
]  # fmt: skip

VERSIONS: dict[str, Callable[[], Iterable[str]]] = {
    "as it comes": config,
    "1.1": lambda: config(0x10001),
    "1.1, SYSTEM_SUSPEND": lambda: config(0x10001, caps=(CAP_SYSTEM_SUSPEND,)),
    "1.0": lambda: config(0x10000),
    "1.0, SYSTEM_SUSPEND": lambda: config(0x10000, caps=(CAP_SYSTEM_SUSPEND,)),
    "0.2": lambda: config(2),
    "0.2, SYSTEM_SUSPEND": lambda: config(2, caps=(CAP_SYSTEM_SUSPEND,)),
    "no feature, so 0.1": lambda: config(features=0),
    "no feature, and 0.1 set": lambda: config(1, features=0),
}
FILTERS: dict[str, Callable[[], Iterable[str]]] = {
    "no bitmaps": lambda: config(bitmaps=(0, 0, 0)),
    "only TRNG": lambda: config(bitmaps=(1, 0, 0)),
    "only PV time": lambda: config(bitmaps=(0, 1, 0)),
    "only vendor features": lambda: config(bitmaps=(0, 0, 1)),
    "only PTP": lambda: config(bitmaps=(0, 0, 2)),
}


def ids() -> Iterator[str]:
    """Every id, for every PSCI version and with every filter."""
    for what, setup in (VERSIONS | FILTERS).items():
        yield f"# {what}"
        yield from setup()
        for first, last in RANGES:
            yield f"sweep 0 {first:x} {last:x} 0 0 0"
        yield f"rnd 0 {RND32:x} 60"
        yield f"rnd 0 {RND64:x} c0"
        yield "ptp 0 0"
        yield from (f"stolen-time {v:x} {DATA:x}" for v in (0, 1))
        yield f"sweep 0 {PV_FEATURES:x} {PV_ST:x} {PV_ST:x} 0 0"


def flips() -> Iterator[str]:
    """Ids with a bit wrong: of the upper half nothing counts."""
    yield from config(caps=(CAP_SYSTEM_SUSPEND,))
    known = (0x80000000, ARCH_FEATURES, PSCI, CPU_ON, CPU_ON64, FEATURES, 0x84000050, PV_ST, UID)
    yield from (f"flips 0 {fn:x} 0 0 0" for fn in known)
    yield from config(features=0)
    yield f"flips 0 {PSCI_0_1 + 2:x} 1 0 0"


# ---- arguments and results ----

FEATURE_RANGES = [
    (0x80000000, 0x80000003), (0x84000000, 0x84000020), (0xC4000000, 0xC4000020),
    (0x84000050, 0x84000055), (0xC4000050, 0xC4000055), (0xC5000020, 0xC5000022),
    (0x85000020, 0x85000022), (0x86000000, 0x86000002), (0x8600FF01, 0x8600FF01),
    (0x80003FFF, 0x80003FFF), (0x80007FFF, 0x80008000), (PSCI_0_1, PSCI_0_1 + 3), (0, 1),
    (0x184000000, 0x184000000), (0x180008000, 0x180008000), (0x1C5000021, 0x1C5000021),
    (0x184000050, 0x184000050), (ONES - 1, ONES - 1),
]  # fmt: skip


def features() -> Iterator[str]:
    """What the functions that tell of others say."""
    for what, setup in (VERSIONS | FILTERS).items():
        yield f"# {what}"
        yield from setup()
        for fn in (FEATURES, TRNG_FEATURES, PV_FEATURES):
            for first, last in FEATURE_RANGES:
                yield f"arguments 0 {fn:x} {first:x} {last:x} 0 0"
        yield f"stolen-time 0 {DATA:x}"
        yield f"arguments 0 {PV_FEATURES:x} {PV_FEATURES:x} {PV_FEATURES + 3:x} 0 0"


def arch_features() -> Iterator[str]:
    """SMCCC_ARCH_FEATURES, whose answers are the host's."""
    for setup in (FILTERS["no bitmaps"], FILTERS["only PV time"], VERSIONS["no feature, so 0.1"]):
        yield from setup()
        for first, last in FEATURE_RANGES:
            yield f"arguments 0 {ARCH_FEATURES:x} {first:x} {last:x} 0 0"


def results() -> Iterator[str]:
    """Arguments that matter, registers that are kept, what is counted."""
    yield from config(caps=(CAP_SYSTEM_SUSPEND,))
    yield "# every result register is written, but not by what EL2 does without leaving the guest"
    for fn in (0x12345678, PSCI, CPU_ON, 0x80000000, *WORKAROUNDS):
        yield f"hvc 0 {fn:x} 1111111122222222 3333333344444444 5555555566666666"
        yield "stat 0 hvc_exit_stat"
    yield f"hvc 0 ffffffff{WORKAROUNDS[0]:x} 1 2 3"
    yield "# HVC's immediate says nothing; SMC is no call"
    yield f"hvc1234 0 {PSCI:x} 1 2 3"
    for fn in (PSCI, 0x80000000, WORKAROUNDS[0], SYSTEM_OFF, ONES):
        yield f"smc 0 {fn:x} 11 22 33"
        yield "stat 0 hvc_exit_stat"
    yield "# SYSTEM_RESET2"
    for fn in (RESET2, RESET2 | 0x40000000):
        for kind in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 32 | 1, ONES):
            yield f"hvc 0 {fn:x} {kind:x} 3333333344444444 5555555566666666"
            yield "mp 0"
            yield f"set-mp 0 {RUNNABLE:x}"
    yield "# SYSTEM_SUSPEND"
    for fn in (SUSPEND, SUSPEND | 0x40000000):
        yield f"hvc 0 {fn:x} 1111111122222222 3333333344444444 5555555566666666"
        yield "mp 0"
    yield "# CPU_SUSPEND with an interrupt and without"
    yield "line 0 1"
    for fn in (CPU_SUSPEND, CPU_SUSPEND | 0x40000000):
        yield f"hvc 0 {fn:x} 11 22 33"
    yield "line 0 0"
    yield f"hvc 0 {CPU_SUSPEND:x} 11 22 33"
    yield "mp 0"


def services() -> Iterator[str]:
    """Random numbers, the clock, stolen time."""
    yield from config()
    yield "# random numbers"
    widths = (0, 1, 31, 32, 33, 64, 65, 95, 96, 97, 128, 191, 192, 193)
    for fn in (RND32, RND64):
        for bits in (*widths, 1 << 32, 1 << 32 | 7):
            yield f"rnd 0 {fn:x} {bits:x}"
    yield "# the clock"
    for counter in (0, 1, 2, 0x7FFFFFFF, 1 << 32, 1 << 32 | 1, ONES):
        yield f"ptp 0 {counter:x}"
    yield f"set 0 {TIMER_CNT:x} 0"
    yield f"set-mp 1 {RUNNABLE:x}"
    yield "ptp 1 0"
    yield "ptp 1 1"
    yield "# stolen time"
    yield f"fill 0 {DATA:x} 50 aa"
    yield f"hvc 0 {PV_ST:x} 0 0 0"
    yield f"hvc 0 {PV_FEATURES:x} {PV_ST:x} 0 0"
    yield f"read 0 {DATA:x} 50"
    yield f"stolen-time 0 {DATA:x}"
    yield "dirty 0"
    yield "dirty 0"
    yield f"hvc 0 {PV_FEATURES:x} {PV_ST:x} 0 0"
    yield "dirty 0"
    yield f"hvc 0 {PV_ST:x} 1 2 3"
    yield "dirty 0"
    yield f"read 0 {DATA:x} 50"


# ---- power ----


def scribble(vcpu: int) -> Iterator[str]:
    """Values that a reset takes away, and some that it does not."""
    for register in range(0, 31, 5):
        yield f"set {vcpu:x} {x(register):x} {0x1111111111111111 * (register + 1) & ONES:x}"
    yield f"set {vcpu:x} {SP:x} 7000"
    yield f"set {vcpu:x} {PC:x} {LOOP:x}"
    yield f"set {vcpu:x} {TPIDR:x} 77"
    yield f"set {vcpu:x} {VBAR:x} 8000"
    yield f"set {vcpu:x} {TIMER_CVAL:x} 123456789ABCDEF0"
    yield f"set {vcpu:x} {TIMER_CTL:x} 3"


def switched_on(context: int = 0xC0FFEE0123456789) -> Iterator[str]:
    """Two vCPUs, the second full of values and switched on, but not run yet."""
    yield from config()
    yield "mark 1"
    yield from scribble(1)
    yield f"hvc 0 {CPU_ON64:x} 1 {LOOP:x} {context:x}"
    yield "mp 1"


def cpu_on() -> Iterator[str]:
    """CPU_ON, and what user space sees of it when."""
    yield "# the state changes at once; the reset comes before registers are looked at"
    yield from switched_on()
    yield "diff 1"
    yield "poke 1"
    yield "diff 1"
    yield "run 1"
    yield "diff 1"
    yield f"hvc 0 {CPU_ON64:x} 1 {LOOP:x} 1"
    yield "# the request is used up"
    yield f"set 1 {TPIDR:x} 99"
    yield "run 1"
    yield "diff 1"

    yield "# initialised before it runs: takes where to begin, and is reset once more, without"
    yield from switched_on()
    yield f"init 1 {PSCI_0_2 | POWER_OFF:x}"
    yield "mp 1"
    yield "diff 1"
    yield f"set-mp 1 {RUNNABLE:x}"
    yield f"set 1 {PC:x} {LOOP:x}"
    yield f"set 1 {TPIDR:x} 99"
    yield "poke 1"
    yield "diff 1"


def reset_and_stop() -> Iterator[str]:
    """What else can become of a vCPU between CPU_ON and its next run."""
    yield "# stopped before it runs: a signal that ends its sleep lets it be reset"
    yield from switched_on()
    yield f"set-mp 1 {STOPPED:x}"
    yield "run 1"
    yield "mp 1"
    yield "diff 1"
    yield f"set-mp 1 {RUNNABLE:x}"
    yield f"set 1 {TPIDR:x} 99"
    yield "run 1"
    yield "diff 1"

    yield "# suspended before it runs: reset, then it waits"
    yield from switched_on()
    yield f"set-mp 1 {SUSPENDED:x}"
    yield f"hvc 0 {AFFINITY_INFO:x} 1 0 0"
    yield f"hvc 0 {CPU_ON64:x} 1 {LOOP:x} 1"
    yield "line 1 1"
    yield "run 1"
    yield "mp 1"
    yield "diff 1"

    yield "# switched off again by SYSTEM_RESET before it runs"
    yield from switched_on()
    yield f"hvc 0 {SYSTEM_RESET:x} 1 2 3"
    yield "mp 0"
    yield "mp 1"
    yield f"set-mp 0 {RUNNABLE:x}"
    yield f"hvc 0 {CPU_ON:x} 1 {LOOP:x} 2"
    yield "run 1"
    yield "diff 1"

    yield "# a pended exception is dropped, an SError is not"
    yield from switched_on()
    yield "events 1 1 1"
    yield "run 1"
    yield "diff 1"
    yield "serror 1"


def cpu_on_targets() -> Iterator[str]:
    """Whom CPU_ON finds."""
    yield "# targets"
    yield from config(vcpus=4)
    yield f"set 2 {MPIDR:x} 80000100"
    yield f"set 3 {MPIDR:x} 81ff020304"
    yield from (f"get {v:x} {MPIDR:x}" for v in range(4))
    targets = (0, 1, 2, 3, 0x100, 0x101, 0x81FF020304, 0xFF020304, 0x20304, 0x80000001, 1 << 24)
    for target in (*targets, 1 << 32, 1 << 32 | 1, 1 << 40 | 1, 1 << 63 | 1, ONES):
        for fn in (CPU_ON, CPU_ON64):
            yield f"hvc 0 {fn:x} {target:x} {LOOP:x} 0"
            yield from (f"mp {v:x}" for v in range(1, 4))
            yield from (f"set-mp {v:x} {STOPPED:x}" for v in range(1, 4))
    yield f"set 3 {MPIDR:x} 8100020304"
    for fn in (CPU_ON, CPU_ON64):
        yield f"hvc 0 {fn:x} 8100020304 {LOOP:x} 0"
        yield "mp 3"
        yield f"hvc 0 {fn:x} 20304 {LOOP:x} 0"
    yield "# two of one affinity: the first in order of creation"
    yield f"set 3 {MPIDR:x} 80000100"
    yield f"hvc 0 {CPU_ON:x} 100 {LOOP:x} 0"
    yield f"hvc 0 {CPU_ON:x} 100 {LOOP:x} 0"
    yield from (f"mp {v:x}" for v in range(4))

    yield "# a vCPU that is not initialised has affinity 0, and runs"
    yield "vm 3"
    yield f"init 2 {PSCI_0_2:x}"
    for target in (0, 1, 2):
        yield f"hvc 2 {CPU_ON:x} {target:x} {LOOP:x} 0"
        yield f"hvc 2 {AFFINITY_INFO:x} {target:x} 0 0"
    yield f"set-mp 0 {STOPPED:x}"
    yield f"hvc 2 {AFFINITY_INFO:x} 0 0 0"
    yield f"set-mp 1 {STOPPED:x}"
    yield f"hvc 2 {AFFINITY_INFO:x} 0 0 0"
    yield f"hvc 2 {CPU_ON:x} 0 {LOOP:x} 55"
    yield "mp 0"
    yield "mp 1"
    yield f"init 0 {PSCI_0_2 | POWER_OFF:x}"
    yield "mp 0"
    yield f"get 0 {PC:x}"
    yield f"get 0 {x(0):x}"


def cpu_on_arguments() -> Iterator[str]:
    """What CPU_ON takes from its caller."""
    yield "# the 32-bit function's arguments are cut"
    for fn in (CPU_ON, CPU_ON64):
        yield from config()
        yield f"hvc 0 {fn:x} 1 {1 << 32 | LOOP:x} abcdef0123456789"
        yield f"get 1 {PC:x}"
        yield f"get 1 {x(0):x}"

    yield "# the caller's data are big-endian"
    yield from switched_on()
    yield f"set-mp 1 {STOPPED:x}"
    yield f"set 0 {SCTLR:x} 2c50078"
    yield f"hvc 0 {CPU_ON64:x} 1 {LOOP:x} 7"
    yield "run 1"
    yield "diff 1"

    yield "# PSCI 0.1"
    yield from config(features=0)
    for target in (1, 1, 0, 2):
        yield f"hvc 0 {PSCI_0_1 + 2:x} {target:x} {1 << 32 | LOOP:x} abcdef0123456789"
    yield f"get 1 {PC:x}"
    yield f"get 1 {x(0):x}"


def affinity() -> Iterator[str]:
    """AFFINITY_INFO."""
    yield from config(vcpus=4)
    yield f"set 2 {MPIDR:x} 80000100"
    yield f"set 3 {MPIDR:x} 8100020304"
    levels = (0, 1, 2, 3, 4, 5, 0x80000000, 1 << 32, 1 << 32 | 1, ONES)
    for target in (0, 1, 2, 0x100, 0x1FF, 0x20304, 0x8100020304, 0x81000000FF, 1 << 24, 1 << 40):
        for level in levels:
            for fn in (AFFINITY_INFO, AFFINITY_INFO64):
                yield f"hvc 0 {fn:x} {target:x} {level:x} 5555555566666666"


def off() -> Iterator[str]:
    """Switching off: oneself, and everybody."""
    yield from config(vcpus=3)
    yield f"set-mp 1 {RUNNABLE:x}"
    yield f"hvc 0 {CPU_OFF:x} 11 22 33"
    yield from (f"mp {v:x}" for v in range(3))
    yield f"hvc 1 {AFFINITY_INFO:x} 0 0 0"
    yield "run 0"
    yield f"set-mp 0 {RUNNABLE:x}"
    yield f"hvc 0 {PSCI:x} 11 22 33"
    for fn in (SYSTEM_OFF, SYSTEM_RESET, RESET2):
        yield "# all stop"
        yield f"set-mp 1 {SUSPENDED:x}"
        yield f"set-mp 2 {RUNNABLE:x}"
        yield f"hvc 0 {fn:x} 0 22 33"
        yield from (f"mp {v:x}" for v in range(3))
        yield "run 0"
        yield "run 1"
        yield f"set-mp 0 {RUNNABLE:x}"
        yield f"hvc 0 {PSCI:x} 11 22 33"
    yield "# PSCI 0.1"
    yield from config(features=0)
    yield f"hvc 0 {PSCI_0_1 + 1:x} 11 22 33"
    yield "mp 0"
    yield "mp 1"


def waiting() -> Iterator[str]:
    """vCPUs that are in KVM_RUN while others switch them off and on."""
    yield "# stopped: runs once it is switched on"
    yield from config()
    yield "wfi 1"
    yield "waits 1"
    yield f"hvc 0 {CPU_ON64:x} 1 {GO_ON:x} 7"
    yield "waits 1"
    yield "join 1"
    yield f"get 1 {x(0):x}"
    yield "# in WFI: an interrupt ends it, a signal ends the run"
    yield from config()
    yield f"set-mp 1 {RUNNABLE:x}"
    yield "wfi 1"
    yield "waits 1"
    yield "line 1 1"
    yield "waits 1"
    yield "join 1"
    yield "line 1 0"
    yield "wfi 1"
    yield "waits 1"
    yield "join 1"
    for state, interrupted in itertools.product((RUNNABLE, SUSPENDED), (False, True)):
        what = "suspended" if state == SUSPENDED else "in WFI"
        yield f"# {what}, then stopped and switched on: waits on until an interrupt or signal"
        yield from config()
        yield f"set-mp 1 {state:x}"
        yield "wfi 1"
        yield "waits 1"
        yield f"hvc 0 {SYSTEM_RESET:x} 0 0 0"
        yield f"set-mp 0 {RUNNABLE:x}"
        yield f"hvc 0 {AFFINITY_INFO:x} 1 0 0"
        yield f"hvc 0 {CPU_ON64:x} 1 {GO_ON:x} 7"
        yield f"hvc 0 {AFFINITY_INFO:x} 1 0 0"
        yield "waits 1"
        if interrupted:
            yield "line 1 1"
            yield "waits 1"
        yield "join 1"
        yield "mp 1"
        yield f"get 1 {x(0):x}"


def aarch32() -> Iterator[str]:
    """A guest in AArch32."""
    features = PSCI_0_2 | EL1_32BIT
    yield from config(features=features, caps=(CAP_SYSTEM_SUSPEND,))
    yield f"get 0 {PSTATE:x}"
    for first, last in RANGES:
        if first < 1 << 32:
            yield f"sweep 0 {first:x} {last:x} 0 0 0"
    for fn in (FEATURES, TRNG_FEATURES, PV_FEATURES):
        for first, last in FEATURE_RANGES:
            if first < 1 << 32:
                yield f"arguments 0 {fn:x} {first:x} {last:x} 0 0"
    for fn in WORKAROUNDS:
        yield f"hvc 0 {fn:x} 11 22 33"
    yield f"smc 0 {PSCI:x} 11 22 33"
    yield f"rnd 0 {RND32:x} 60"
    yield f"rnd 0 {RND64:x} c0"
    yield "ptp 0 0"
    yield "ptp 0 1"
    yield f"hvc 0 {SUSPEND:x} 11 22 33"
    yield f"hvc 0 {RESET2:x} 0 22 33"
    yield f"set-mp 0 {RUNNABLE:x}"
    for what, entry, pstate in (
        ("A32", LOOP_A32, 0x1D3),
        ("T32", LOOP_T32 | 1, 0x1D3),
        ("a big-endian caller", LOOP_A32, 0x3D3),
        ("a big-endian caller, T32", LOOP_T32 | 1, 0x3D3),
    ):
        yield f"# {what}"
        yield from config(features=features)
        yield "mark 1"
        yield from scribble(1)
        yield f"set 0 {PSTATE:x} {pstate:x}"
        yield f"hvc 0 {CPU_ON:x} 1 {entry:x} 89abcdef"
        yield "run 1"
        yield "diff 1"
    yield "# PSCI 0.1"
    yield from config(features=EL1_32BIT)
    yield f"sweep 0 {PSCI_0_1 - 2:x} {PSCI_0_1 + 6:x} 1 {LOOP_A32:x} 5"
    yield f"get 1 {PC:x}"
    yield f"get 1 {x(0):x}"


# Of the hosts, those whose CPUs have AArch32 at EL1.
AARCH32_HOSTS = ("gicv3-max", "gicv3-max-sve", "gicv2-cortex-a72", "gicv3-gicv2-compat")

SCRIPTS: dict[str, Callable[[], Iterator[str]]] = {
    "ids": ids,
    "flips": flips,
    "features": features,
    "arch-features": arch_features,
    "results": results,
    "services": services,
    "cpu-on": lambda: itertools.chain(cpu_on(), reset_and_stop()),
    "cpu-on-arguments": lambda: itertools.chain(cpu_on_targets(), cpu_on_arguments()),
    "affinity": affinity,
    "off": off,
    "waiting": waiting,
    "aarch32": aarch32,
}


def scripts_of(host: str) -> list[str]:
    """The names of the scripts that a host can answer."""
    return [name for name in SCRIPTS if name != "aarch32" or host in AARCH32_HOSTS]
