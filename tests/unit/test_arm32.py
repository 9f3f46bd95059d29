# SPDX-License-Identifier: MIT
"""csrc/reg/arm32*.c: the registers of a vCPU on the host arm32-cortex-a15, through ioctl.

Ids stand here as numbers, put together by hand from the encodings in the Arm manual. No machine can
be asked: what is expected is what arch/arm/kvm of Linux 5.6 does by its source.
"""

from __future__ import annotations

import ctypes
import errno
import random
import struct
from collections.abc import Iterator

import pytest

import kvmemu
from kvmemu.constants import (
    KVM_ARM_PREFERRED_TARGET,
    KVM_ARM_VCPU_INIT,
    KVM_CHECK_EXTENSION,
    KVM_CREATE_VCPU,
    KVM_CREATE_VM,
    KVM_GET_MP_STATE,
    KVM_GET_ONE_REG,
    KVM_GET_REG_LIST,
    KVM_SET_ONE_REG,
)

HOST = "arm32-cortex-a15"
POWER_OFF, PSCI_0_2 = 1 << 0, 1 << 1

# As in the patch "ARM/KVM: save and restore generic timer registers" of 2013, for CP15 (0xf0000).
# CTL: crn 14 (0x7000), crm 3 (0x180), opc2 1, u32. CNT and CVAL: crm 14 (0x700), opc1 1 (0x8) and
# 3 (0x18), u64.
TIMER_CTL = 0x40200000000F7181
TIMER_CNT = 0x40300000000F0708
TIMER_CVAL = 0x40300000000F0718
PTIMER_CTL = 0x40200000000F7101
PTIMER_CNT = 0x40300000000F0700
PTIMER_CVAL = 0x40300000000F0710

CORE = 0x4020000000100000
PC, CPSR = CORE + 15, CORE + 16
FW = 0x4030000000140000
PSCI_VERSION, WORKAROUND_1, WORKAROUND_2 = FW, FW + 1, FW + 2
MIDR = 0x40200000000F0000
MPIDR = 0x40200000000F0005
SCTLR = 0x40200000000F0800
ACTLR = 0x40200000000F0801
TTBR0, TTBR0_32 = 0x40300000000F0100, 0x40200000000F1000
TTBR1, TTBR1_32 = 0x40300000000F0108, 0x40200000000F1001
DACR = 0x40200000000F1800
ADFSR = 0x40200000000F2880
L2CTLR = 0x40200000000F480A
PMCR = 0x40200000000F4E00
D0 = 0x4030000000120000
FPSCR, MVFR0, FPEXC = 0x4020000000121001, 0x4020000000121007, 0x4020000000121008
CCSIDR = 0x4020000000110000

NO_MEMORY = 0

# Descriptors to be closed after each test.
OPENED: list[int] = []


def errno_of(fd: int, request: int, arg: int | bytearray = 0) -> int:
    """0, or the errno of a call."""
    try:
        kvmemu.ioctl(fd, request, arg)
    except OSError as error:
        return error.errno or -1
    return 0


def create(fd: int, request: int, arg: int = 0) -> int:
    OPENED.append(kvmemu.ioctl(fd, request, arg))
    return OPENED[-1]


def create_vm(fd: int) -> int:
    return create(fd, KVM_CREATE_VM)


def init_argument(features: int = 0, target: int = 0) -> bytearray:
    return bytearray(struct.pack("<II24x", target, features))


class Vcpu:
    """A vCPU's descriptor, with registers as numbers."""

    def __init__(self, vm: int, number: int = 0, features: int | None = PSCI_0_2) -> None:
        self.fd = create(vm, KVM_CREATE_VCPU, number)
        if features is not None:
            self.init(features)

    def init(self, features: int = PSCI_0_2) -> None:
        kvmemu.ioctl(self.fd, KVM_ARM_VCPU_INIT, init_argument(features))

    def errno_of_get(self, register: int, address: int | None = None) -> int:
        value = (ctypes.c_uint8 * 256)()
        where = ctypes.addressof(value) if address is None else address
        return errno_of(self.fd, KVM_GET_ONE_REG, bytearray(struct.pack("<QQ", register, where)))

    def errno_of_set(self, register: int, value: int = 0, address: int | None = None) -> int:
        data = ctypes.create_string_buffer(value.to_bytes(256, "little"), 256)
        where = ctypes.addressof(data) if address is None else address
        return errno_of(self.fd, KVM_SET_ONE_REG, bytearray(struct.pack("<QQ", register, where)))

    def __getitem__(self, register: int) -> int:
        # Filled with ones: a register that is stored too wide shows.
        value = (ctypes.c_uint8 * 16)(*[0xFF] * 16)
        request = struct.pack("<QQ", register, ctypes.addressof(value))
        kvmemu.ioctl(self.fd, KVM_GET_ONE_REG, bytearray(request))
        size = 1 << (register >> 52 & 0xF)
        assert bytes(value[size:]) == b"\xff" * (16 - size)
        return int.from_bytes(bytes(value[:size]), "little")

    def __setitem__(self, register: int, value: int) -> None:
        assert self.errno_of_set(register, value) == 0

    def reg_list(self) -> list[int]:
        buffer = bytearray(8 * 257)
        struct.pack_into("<Q", buffer, 0, 256)
        kvmemu.ioctl(self.fd, KVM_GET_REG_LIST, buffer)
        (count,) = struct.unpack_from("<Q", buffer)
        return list(struct.unpack_from(f"<{count}Q", buffer, 8))

    def save(self) -> dict[int, int]:
        return {register: self[register] for register in self.reg_list()}


@pytest.fixture
def system() -> Iterator[kvmemu.System]:
    """The host with its counter standing still, so that what is saved does not run on."""
    with kvmemu.System(HOST) as system:
        system.counter.ticks = 1_000_000
        OPENED.append(system.fileno())
        yield system
        while OPENED:
            kvmemu.close(OPENED.pop())


@pytest.fixture
def vm(system: kvmemu.System) -> int:
    return create_vm(system.fileno())


@pytest.fixture
def vcpu(vm: int) -> Vcpu:
    return Vcpu(vm)


# ---- KVM_ARM_VCPU_INIT ----


def test_preferred_target_is_cortex_a15(vm: int) -> None:
    answer = bytearray(b"\xff" * 32)
    kvmemu.ioctl(vm, KVM_ARM_PREFERRED_TARGET, answer)
    assert answer == bytes(32)


@pytest.mark.parametrize(
    ("features", "target", "want"),
    [
        pytest.param(0, 0, 0, id="none"),
        pytest.param(POWER_OFF | PSCI_0_2, 0, 0, id="all"),
        pytest.param(1 << 2, 0, errno.ENOENT, id="psci-0.2-of-arm64"),
        pytest.param(1 << 3, 0, errno.ENOENT, id="pmu-of-arm64"),
        pytest.param(1 << 31, 0, errno.ENOENT, id="last-of-first-word"),
        pytest.param(0, 1, errno.EINVAL, id="cortex-a7"),
        pytest.param(0, 5, errno.EINVAL, id="generic-v8"),
    ],
)
def test_init_takes_two_features(vm: int, features: int, target: int, want: int) -> None:
    vcpu = Vcpu(vm, features=None)
    assert errno_of(vcpu.fd, KVM_ARM_VCPU_INIT, init_argument(features, target)) == want


def test_init_again_wants_the_same_features(vcpu: Vcpu) -> None:
    assert errno_of(vcpu.fd, KVM_ARM_VCPU_INIT, init_argument(0)) == errno.EINVAL
    assert errno_of(vcpu.fd, KVM_ARM_VCPU_INIT, init_argument(PSCI_0_2)) == 0


def test_power_off_starts_stopped(vm: int) -> None:
    state = bytearray(4)
    kvmemu.ioctl(Vcpu(vm, 0, POWER_OFF).fd, KVM_GET_MP_STATE, state)
    assert state == struct.pack("<I", 5)


def test_registers_need_init(vm: int) -> None:
    assert Vcpu(vm, features=None).errno_of_get(PC) == errno.ENOEXEC


def test_reset_values(vcpu: Vcpu) -> None:
    assert vcpu[CPSR] == 0x1D3
    assert vcpu[PC] == 0
    assert vcpu[SCTLR] == 0x00C50078
    assert vcpu[DACR] == 0xDECAFBAD
    assert vcpu[TTBR0] == 0xD0C0FFEE_DECAFBAD
    assert vcpu[MIDR] == 0x412FC0F1


def test_reset_leaves_vfp_and_cval_alone(vcpu: Vcpu) -> None:
    for register in (D0 + 31, FPSCR, TIMER_CVAL, TIMER_CTL, DACR, PC):
        vcpu[register] = 3
    vcpu.init()
    assert [vcpu[r] for r in (D0 + 31, FPSCR, TIMER_CVAL)] == [3, 3, 3]
    assert [vcpu[r] for r in (TIMER_CTL, DACR, PC)] == [0, 0xDECAFBAD, 0]


@pytest.mark.parametrize(
    ("number", "want"),
    [pytest.param(n, w, id=f"vcpu-{n}") for n, w in ((0, 0), (3, 3), (4, 0x100), (7, 0x103))],
)
def test_mpidr_makes_clusters_of_four(vm: int, number: int, want: int) -> None:
    assert Vcpu(vm, number)[MPIDR] == 0x80000000 | want


@pytest.mark.parametrize(
    ("count", "number", "want"),
    [
        pytest.param(1, 0, 0, id="one"),
        pytest.param(3, 2, 2, id="three"),
        pytest.param(6, 0, 3, id="six-first-cluster"),
        pytest.param(6, 5, 1, id="six-second-cluster"),
    ],
)
def test_l2ctlr_and_actlr_count_the_vcpus_there_are(
    vm: int, count: int, number: int, want: int
) -> None:
    vcpus = [Vcpu(vm, n, features=None) for n in range(count)]
    vcpus[number].init()
    assert vcpus[number][L2CTLR] == want << 24
    assert vcpus[number][ACTLR] == (0x40 if count > 1 else 0)


def test_l2ctlr_of_an_id_beyond_the_count_is_capped(vm: int) -> None:
    assert Vcpu(vm, 4)[L2CTLR] == 3 << 24


# ---- ids and errors ----


@pytest.mark.parametrize(
    ("register", "want"),
    [
        pytest.param(0x6030000000100042, errno.EINVAL, id="arm64-core"),
        pytest.param(CORE | 1 << 32, errno.EINVAL, id="bit-32"),
        pytest.param(CORE + 37, 0, id="last-core-word"),
        pytest.param(CORE + 38, errno.ENOENT, id="past-core"),
        pytest.param(CORE | 1 << 52 | 2, errno.ENOENT, id="core-u64"),
        pytest.param(CORE | 1 << 28, errno.ENOENT, id="core-secure-bit"),
        pytest.param(PTIMER_CTL, errno.ENOENT, id="ptimer-ctl"),
        pytest.param(PTIMER_CNT, errno.ENOENT, id="ptimer-cnt"),
        pytest.param(PTIMER_CVAL, errno.ENOENT, id="ptimer-cval"),
        pytest.param(TIMER_CTL | 1 << 52, errno.ENOENT, id="timer-ctl-as-u64"),
        pytest.param(TIMER_CNT ^ 1 << 52, errno.ENOENT, id="timer-cnt-as-u32"),
        pytest.param(PMCR, errno.ENOENT, id="trapped-not-saved"),
        pytest.param(DACR ^ 1 << 52, errno.ENOENT, id="cp15-u64-with-crn"),
        pytest.param(DACR ^ 0xF0000, errno.ENOENT, id="stored-in-coprocessor-0"),
        pytest.param(MIDR ^ 0xF0000, 0, id="invariant-in-coprocessor-0"),
        pytest.param(MIDR | 1 << 28, errno.ENOENT, id="secure-midr"),
        pytest.param(D0 + 31, 0, id="d31"),
        pytest.param(D0 + 32, errno.ENOENT, id="d32"),
        pytest.param(D0 ^ 1 << 52, errno.ENOENT, id="d0-u32"),
        pytest.param(FPSCR ^ 1 << 52, errno.ENOENT, id="fpscr-u64"),
        pytest.param(FW + 3, errno.ENOENT, id="workaround-3"),
        pytest.param(FW ^ 1 << 52, errno.ENOENT, id="psci-version-u32"),
        pytest.param(CCSIDR + 2, 0, id="l2"),
        pytest.param(CCSIDR + 3, errno.ENOENT, id="l2-instruction"),
        pytest.param(CCSIDR + 12, errno.ENOENT, id="csselr-max"),
        pytest.param(CCSIDR | 1 << 8, errno.ENOENT, id="other-demultiplexer"),
    ],
)
def test_get_finds(vcpu: Vcpu, register: int, want: int) -> None:
    assert vcpu.errno_of_get(register) == want


def test_fourth_bit_of_opc1_counts_as_crm(vcpu: Vcpu) -> None:
    vcpu[ADFSR] = 0x1234
    assert vcpu[ADFSR ^ 1 << 7 | 8 << 3] == 0x1234


@pytest.mark.parametrize(
    ("register", "value", "want"),
    [
        pytest.param(MIDR, 0x412FC0F1, 0, id="midr-same"),
        pytest.param(MIDR, 0x412FC0F2, errno.EINVAL, id="midr-other"),
        pytest.param(MVFR0, 0x10110222, 0, id="mvfr0-same"),
        pytest.param(MVFR0, 0, errno.EINVAL, id="mvfr0-other"),
        pytest.param(CCSIDR, 0x701FE00A, 0, id="ccsidr-same"),
        pytest.param(CCSIDR, 0, errno.EINVAL, id="ccsidr-other"),
        pytest.param(MPIDR, 0x80000F03, 0, id="mpidr-is-writable"),
        pytest.param(WORKAROUND_1, 1, 0, id="workaround-1-offered"),
        pytest.param(WORKAROUND_1, 2, errno.EINVAL, id="workaround-1-better-than-host"),
        pytest.param(WORKAROUND_1, 0x10, errno.EINVAL, id="workaround-1-unknown-bit"),
        pytest.param(WORKAROUND_2, 0, 0, id="workaround-2-none"),
        pytest.param(WORKAROUND_2, 1, 0, id="workaround-2-unknown"),
        pytest.param(WORKAROUND_2, 2, errno.EINVAL, id="workaround-2-better-than-host"),
        pytest.param(WORKAROUND_2, 0x11, errno.EINVAL, id="workaround-2-enabled-without-level"),
        pytest.param(PSCI_VERSION, 0x10000, 0, id="psci-1.0"),
        pytest.param(PSCI_VERSION, 0x00002, 0, id="psci-0.2"),
        pytest.param(PSCI_VERSION, 0x00001, errno.EINVAL, id="psci-0.1-but-0.2-asked-for"),
        pytest.param(PSCI_VERSION, 0x10001, errno.EINVAL, id="psci-1.1-came-later"),
    ],
)
def test_set_checks_the_value(vcpu: Vcpu, register: int, value: int, want: int) -> None:
    assert vcpu.errno_of_set(register, value) == want


@pytest.mark.parametrize(
    ("mode", "want"),
    [
        pytest.param(0x10, 0, id="usr"),
        pytest.param(0x11, 0, id="fiq"),
        pytest.param(0x12, 0, id="irq"),
        pytest.param(0x13, 0, id="svc"),
        pytest.param(0x16, errno.EINVAL, id="mon"),
        pytest.param(0x17, 0, id="abt"),
        pytest.param(0x1A, errno.EINVAL, id="hyp"),
        pytest.param(0x1B, 0, id="und"),
        pytest.param(0x1F, errno.EINVAL, id="sys-is-refused"),
        pytest.param(0x05, errno.EINVAL, id="el1h"),
    ],
)
def test_cpsr_takes_modes_of_pl0_and_pl1(vcpu: Vcpu, mode: int, want: int) -> None:
    assert vcpu.errno_of_set(CPSR, 0x600001C0 | mode) == want
    assert vcpu[CPSR] == (0x1D3 if want else 0x600001C0 | mode)


@pytest.mark.parametrize(
    ("register", "want"),
    [
        pytest.param(CORE + 38, errno.ENOENT, id="core"),
        pytest.param(PMCR, errno.ENOENT, id="cp15"),
        pytest.param(D0 + 32, errno.ENOENT, id="vfp"),
        pytest.param(CCSIDR + 3, errno.ENOENT, id="demux"),
        pytest.param(FW + 3, errno.EFAULT, id="firmware-copies-first"),
        pytest.param(MIDR, errno.EFAULT, id="invariant"),
        pytest.param(CPSR, errno.EFAULT, id="cpsr"),
        pytest.param(TIMER_CNT, errno.EFAULT, id="timer"),
    ],
)
def test_bad_pointer_against_unknown_register(vcpu: Vcpu, register: int, want: int) -> None:
    assert vcpu.errno_of_set(register, address=NO_MEMORY) == want


def test_firmware_value_wider_than_64_bits_is_a_fault(vcpu: Vcpu) -> None:
    assert vcpu.errno_of_set(FW & ~(0xF << 52) | 4 << 52) == errno.EFAULT


@pytest.mark.parametrize(
    ("register", "want"),
    [
        pytest.param(DACR, 0, id="cp15-u32"),
        pytest.param(TTBR0_32, 0, id="half-of-ttbr0"),
        pytest.param(D0, 0, id="d0"),
        pytest.param(FPEXC, 0, id="fpexc"),
        pytest.param(TTBR1, 0x55, id="cp15-u64"),
        pytest.param(CORE, 0x55, id="core"),
        pytest.param(TIMER_CVAL, 0x55, id="timer"),
    ],
)
def test_bad_pointer_zeroes_what_is_copied_in_place(vcpu: Vcpu, register: int, want: int) -> None:
    vcpu[register] = 0x55
    assert vcpu.errno_of_set(register, address=NO_MEMORY) == errno.EFAULT
    assert vcpu[register] == want


def test_psci_version_belongs_to_the_vm(vm: int) -> None:
    first, second = Vcpu(vm, 0), Vcpu(vm, 1)
    assert second[PSCI_VERSION] == 0x10000
    first[PSCI_VERSION] = 0x2
    assert second[PSCI_VERSION] == 0x2


def test_psci_0_1_without_the_feature(vm: int) -> None:
    vcpu = Vcpu(vm, 0, 0)
    assert vcpu[PSCI_VERSION] == 0x1
    assert vcpu.errno_of_set(PSCI_VERSION, 0x2) == errno.EINVAL
    assert vcpu.errno_of_set(PSCI_VERSION, 0x1) == 0


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [pytest.param(TTBR0, TTBR0_32, id="ttbr0"), pytest.param(TTBR1, TTBR1_32, id="ttbr1")],
)
def test_ttbr_has_a_32_bit_view_of_its_lower_half(vcpu: Vcpu, wide: int, narrow: int) -> None:
    vcpu[wide] = 0x01234567_89ABCDEF
    assert vcpu[narrow] == 0x89ABCDEF
    vcpu[narrow] = 0x76543210
    assert vcpu[wide] == 0x01234567_76543210


# ---- the list, names ----


def test_list_has_linux_order(vcpu: Vcpu) -> None:
    registers = vcpu.reg_list()
    assert len(registers) == len(set(registers)) == 136
    assert registers[:38] == [CORE + n for n in range(38)]
    assert registers[38:44] == [*range(FW, FW + 3), TIMER_CTL, TIMER_CNT, TIMER_CVAL]
    assert registers[44] == MIDR
    assert registers[65:67] == [MPIDR, 0x40200000000F0010]
    assert registers[70:74] == [TTBR0, TTBR0_32, TTBR1_32, 0x40200000000F1002]
    assert registers[94:126] == [D0 + n for n in range(32)]
    assert registers[126:128] == [FPEXC, FPSCR]
    assert registers[-3:] == [CCSIDR, CCSIDR + 1, CCSIDR + 2]


def test_list_without_room_says_how_many(vcpu: Vcpu) -> None:
    buffer = bytearray(struct.pack("<Q", 135))
    assert errno_of(vcpu.fd, KVM_GET_REG_LIST, buffer) == errno.E2BIG
    assert struct.unpack("<Q", buffer) == (136,)


def test_cp15_blocks_are_sorted_as_linux_sorts_them(vcpu: Vcpu) -> None:
    def key(register: int) -> tuple[int, ...]:
        opc1, crm = register >> 3 & 0xF, register >> 7 & 0xF
        if register >> 52 & 0xF == 3:
            return crm, 0, opc1, 0, 0
        return register >> 11 & 0xF, crm, opc1, register & 7, 1

    registers = vcpu.reg_list()
    for block in (registers[44:65], registers[65:94]):
        assert block == sorted(block, key=key)


def test_every_listed_register_has_a_name_of_its_own(vcpu: Vcpu) -> None:
    registers = [kvmemu.describe(number) for number in vcpu.reg_list()]
    names = [register.name for register in registers if register]
    assert len(set(names)) == len(registers)
    for register in registers:
        assert register
        assert kvmemu.find(register.name, "arm") == register


@pytest.mark.parametrize(
    ("register", "name"),
    [
        pytest.param(TIMER_CTL, "CNTV_CTL", id="timer-ctl"),
        pytest.param(TIMER_CNT, "CNTVCT", id="timer-cnt-not-swapped"),
        pytest.param(TIMER_CVAL, "CNTV_CVAL", id="timer-cval-not-swapped"),
        pytest.param(PTIMER_CVAL, "CNTP_CVAL", id="ptimer-cval"),
        pytest.param(CORE + 0x25, "SPSR_fiq", id="last-core-word"),
        pytest.param(PMCR, "PMCR", id="guest-only"),
        pytest.param(D0 + 31, "D31", id="d31"),
        pytest.param(CCSIDR + 2, "CCSIDR.2", id="ccsidr"),
        pytest.param(ADFSR ^ 1 << 7 | 8 << 3, None, id="alias"),
    ],
)
def test_names(register: int, name: str | None) -> None:
    found = kvmemu.describe(register)
    assert (found.name if found else None) == name


def test_timer_ids_are_the_constants() -> None:
    constants = kvmemu.constants.ALL
    assert constants["KVM_REG_ARM32_TIMER_CTL"] == TIMER_CTL
    assert constants["KVM_REG_ARM32_TIMER_CNT"] == TIMER_CNT
    assert constants["KVM_REG_ARM32_TIMER_CVAL"] == TIMER_CVAL


# ---- the timer ----


def test_counter_starts_at_zero_with_the_last_vcpu(system: kvmemu.System, vm: int) -> None:
    first = Vcpu(vm, 0)
    system.counter.step(500)
    assert first[TIMER_CNT] == 500
    Vcpu(vm, 1)
    assert first[TIMER_CNT] == 0


def test_one_cntvoff_for_all_vcpus(system: kvmemu.System, vm: int) -> None:
    vcpus = [Vcpu(vm, number) for number in range(3)]
    vcpus[1][TIMER_CNT] = 0x1_0000_0000
    assert [vcpu[TIMER_CNT] for vcpu in vcpus] == [0x1_0000_0000] * 3
    system.counter.step(7)
    assert [vcpu[TIMER_CNT] for vcpu in vcpus] == [0x1_0000_0007] * 3
    other = Vcpu(create_vm(system.fileno()))
    assert other[TIMER_CNT] == 0


def test_ctl_and_cval_are_a_vcpus_own(vm: int) -> None:
    first, second = Vcpu(vm, 0), Vcpu(vm, 1)
    first[TIMER_CVAL], first[TIMER_CTL] = 0x123456789, 1
    assert (first[TIMER_CVAL], first[TIMER_CTL]) == (0x123456789, 1)
    assert (second[TIMER_CVAL], second[TIMER_CTL]) == (0, 4)


def test_ctl_has_istatus_when_cval_is_reached(system: kvmemu.System, vcpu: Vcpu) -> None:
    vcpu[TIMER_CVAL], vcpu[TIMER_CTL] = 100, 7
    assert vcpu[TIMER_CTL] == 3
    system.counter.step(100)
    assert vcpu[TIMER_CTL] == 7


# ---- save, restore ----


def random_value(register: int, source: random.Random) -> int:
    """Something this register can be set to, if it can."""
    if register == CPSR:
        return source.getrandbits(32) & ~0x1F | source.choice((0x10, 0x13, 0x17))
    if register == TIMER_CTL:
        return source.getrandbits(2)
    if register == PSCI_VERSION:
        return source.choice((0x2, 0x10000))
    return source.getrandbits(8 << (register >> 52 & 0xF))


def scramble(vcpu: Vcpu, seed: int) -> None:
    """Change all that can be; registers that refuse are the host's."""
    source = random.Random(seed)
    for register in vcpu.reg_list():
        vcpu.errno_of_set(register, random_value(register, source))


def test_what_is_saved_comes_back_in_another_vm(system: kvmemu.System) -> None:
    old_vm, new_vm = (create_vm(system.fileno()) for _ in range(2))
    old = [Vcpu(old_vm, number) for number in range(2)]
    new = [Vcpu(new_vm, number) for number in range(2)]
    for number, vcpu in enumerate(old + new):
        scramble(vcpu, number)
    saved = [vcpu.save() for vcpu in old]
    for before, vcpu in zip(saved, new, strict=True):
        changed = {register for register, value in vcpu.save().items() if before[register] != value}
        assert len(changed) > 90
        assert {PC, TTBR0, D0, TIMER_CVAL, TIMER_CNT} <= changed
    for values, vcpu in zip(saved, new, strict=True):
        for register, value in values.items():
            vcpu[register] = value
    assert [vcpu.save() for vcpu in new] == saved


# ---- the host ----


@pytest.mark.parametrize(
    ("capability", "want"),
    [
        pytest.param("KVM_CAP_NR_MEMSLOTS", 32, id="memory-slots"),
        pytest.param("KVM_CAP_ONE_REG", 1, id="one-reg"),
        pytest.param("KVM_CAP_VCPU_EVENTS", 1, id="vcpu-events"),
        pytest.param("KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2", 1, id="no-initially-set-yet"),
        pytest.param("KVM_CAP_SET_GUEST_DEBUG", 0, id="no-guest-debug"),
        pytest.param("KVM_CAP_VCPU_ATTRIBUTES", 0, id="attributes-not-announced"),
        pytest.param("KVM_CAP_ARM_PMU_V3", 0, id="no-pmu"),
        pytest.param("KVM_CAP_ARM_VM_IPA_SIZE", 0, id="no-ipa-sizes"),
        pytest.param("KVM_CAP_BINARY_STATS_FD", 0, id="no-statistics-descriptors"),
    ],
)
def test_capabilities(system: kvmemu.System, capability: str, want: int) -> None:
    number = kvmemu.constants.ALL[capability]
    fd = system.fileno()
    assert kvmemu.ioctl(fd, KVM_CHECK_EXTENSION, number) == want
    assert kvmemu.ioctl(create_vm(fd), KVM_CHECK_EXTENSION, number) == want


def test_ipa_size_cannot_be_chosen() -> None:
    fd = kvmemu.open(HOST)
    try:
        assert errno_of(fd, KVM_CREATE_VM, 40) == errno.EINVAL
    finally:
        kvmemu.close(fd)
