# SPDX-License-Identifier: MIT
"""What the world switch costs, by itself and on a guest's way out and in; and interrupts on theirs.

docs/world-switch.md says what the names mean and what came of it.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvmemu import constants as kvm
from kvmemu._core import ffi, lib
from kvmemu.bench_result import Samples, Subject, clock
from kvmemu.errors import kvm_error
from kvmemu.hosts import profile_path, profile_text
from kvmemu.system import System
from kvmemu.vm import Vm

PREFIX = "world_switch"
STORAGES = {
    "reverse": lib.KVMEMU_BENCH_REVERSE,
    "ascending": lib.KVMEMU_BENCH_ASCENDING,
    "used": lib.KVMEMU_BENCH_USED,
}
# What a name ends with.
PARTS = {
    "": lib.KVMEMU_BENCH_BOTH,
    ".save": lib.KVMEMU_BENCH_SAVE,
    ".restore": lib.KVMEMU_BENCH_RESTORE,
}
COLD_PARTS = {
    ".save.cold": lib.KVMEMU_BENCH_COLD_SAVE,
    ".restore.cold": lib.KVMEMU_BENCH_COLD_RESTORE,
}
# Name: list registers that there are, and that are in use. Machines have four as a rule.
CASES = {
    "lr0": (4, 0),
    "lr1": (1, 1),
    "lr4": (4, 4),
    "lr16": (16, 16),
    "lr0of16": (16, 0),
    "lr1of16": (16, 1),
    "lr4of16": (16, 4),
}
COLD_CASES = ("lr4", "lr16")
ENTRY_EXITS = (0, 1, 4, 16)
KNOWN_BYTES = 128  # of the memcpy that design figures are about
FIRST_SPI = 32
_EDGES = 0xAAAA_AAAA  # in GICD_ICFGR
_MASK = 0xFFFF_FFFF


# Fills an array of so many numbers with ticks; 0, or how many there are, or a negative errno.
Measure = Callable[[Any, int], int]


def _ticks(measure: Measure, count: int) -> tuple[list[float], int]:
    """Of so many batches: nanoseconds, and the measure's result."""
    ticks = ffi.new("double[]", count)
    found = measure(ticks, count)
    if found < 0:
        raise kvm_error(-found, "a measured world switch")
    ns = 1e9 / clock().hz
    return [tick * ns for tick in ffi.unpack(ticks, count)], found


def samples(measure: Measure, count: int) -> list[float]:
    """Nanoseconds of each of so many batches.

    Raises:
        KvmError: ENOTSUP for cold caches where a program cannot empty them.
    """
    return _ticks(measure, count)[0]


def which_switch(gic: int, case: str, storage: str, part: str = "") -> Any:
    """A world switch, for C.

    Args:
        gic: 2 or 3.
        case, storage, part: keys of CASES, STORAGES, and PARTS or COLD_PARTS.
    """
    list_registers, in_use = CASES[case]
    return ffi.new(
        "struct kvmemu_bench_switch *",
        {
            "gic": gic,
            "list_registers": list_registers,
            "in_use": in_use,
            "storage": STORAGES[storage],
            "part": (PARTS | COLD_PARTS)[part],
        },
    )


def switches(gic: int, case: str, storage: str, part: str = "") -> Measure:
    """What measures such world switches."""
    return functools.partial(
        lib.kvmemu_bench_world_switch, which_switch(gic, case, storage, part)
    )


def copies(nr_bytes: int, part: str = "") -> Measure:
    """What measures memcpy in its place: of 128 bytes, what the compiler makes of a number that it
    knows.
    """
    known = 0 if nr_bytes == KNOWN_BYTES else nr_bytes
    code = (PARTS | COLD_PARTS)[part]
    return lambda ticks, nr: int(lib.kvmemu_bench_copy(known, code, ticks, nr))


def _switch_subjects(count: int) -> Iterator[Subject]:
    for gic in (3, 2):
        for case in CASES:
            parts = PARTS | (COLD_PARTS if gic == 3 and case in COLD_CASES else {})
            for storage in STORAGES:
                for part in parts:
                    which = which_switch(gic, case, storage, part)
                    nr_bytes = lib.kvmemu_bench_switch_bytes(which)
                    yield Subject(
                        f"{PREFIX}.v{gic}.{case}.{storage}{part}", "ns/switch",
                        f"{PREFIX}.memcpy.{KNOWN_BYTES}{part}",
                        functools.partial(samples, switches(gic, case, storage, part), count),
                        same_bytes=f"{PREFIX}.memcpy.{nr_bytes}{part}",
                        same_always=part not in COLD_PARTS,
                    )  # fmt: skip


def _copy_subjects(names: set[str], count: int) -> Iterator[Subject]:
    for name in sorted(names, key=lambda name: (name.split(".")[3:], int(name.split(".")[2]))):
        _, _, nr_bytes, *rest = name.split(".")
        part = "".join(f".{word}" for word in rest)
        yield Subject(
            name, "ns/copy", None, functools.partial(samples, copies(int(nr_bytes), part), count)
        )


@dataclass
class Running:
    """A VM on a host with 16 list registers, with interrupts that its vCPUs can take.

    Attributes:
        system, vm: are kept until it goes.
        spis: how many SPIs there are to send: enabled, edge-triggered, to the vCPUs by turns.
    """

    system: System
    vm: Vm
    spis: int

    def irq(self, number: int) -> int:
        """An SPI as KVM_IRQ_LINE has it."""
        spi = kvm.KVM_ARM_IRQ_TYPE_SPI << kvm.KVM_ARM_IRQ_TYPE_SHIFT
        return int(spi | FIRST_SPI + number)

    @property
    def handles(self) -> Any:
        """The vCPUs, for C."""
        return ffi.new("struct kvmemu_file *[]", [vcpu.handle() for vcpu in self.vm.vcpus])


def running(nr_vcpus: int, spis: int) -> Running:
    """Such a VM; at most 32 SPIs."""
    text = profile_text(profile_path("gicv3-max")).replace(
        "gic.list_registers 4\n", "gic.list_registers 16\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".host") as file:
        file.write(text)
        file.flush()
        system = System(Path(file.name))
    vm = system.create_vm()
    vm.create_vcpus(nr_vcpus)
    gic = vm.create_vgic_v3()
    gic.dist["GICD_CTLR"] = 2
    gic.dist["GICD_ICFGR2"] = gic.dist["GICD_ICFGR3"] = _EDGES
    gic.dist["GICD_ISENABLER1"] = _MASK
    for number in range(spis):
        gic.dist[f"GICD_IROUTER{FIRST_SPI + number}"] = number % nr_vcpus
    for vcpu in vm.vcpus:
        gic.redist(vcpu)["GICR_ISENABLER0"] = _MASK
    return Running(system, vm, spis)


def entry_exit_samples(machine: Running, count: int) -> list[float]:
    """Nanoseconds of an exit and an entry with all of a machine's SPIs pending, of each batch."""
    for number in range(machine.spis):
        machine.vm.spi(FIRST_SPI + number, True)
    handle = machine.vm.vcpus[0].handle()
    return samples(
        lambda ticks, nr: lib.kvmemu_bench_entry_exit(handle, machine.spis, ticks, nr), count
    )


def roundtrip_samples(machine: Running, count: int) -> list[float] | float:
    """Nanoseconds from KVM_IRQ_LINE to the interrupt's end, a vCPU, of each batch in which all
    vCPUs were at work; if they never were, of the fastest of one alone.
    """
    nr_vcpus = len(machine.vm.vcpus)
    irqs = ffi.new("uint32_t[]", [machine.irq(i) for i in range(nr_vcpus)])
    vm, handles = machine.vm.handle(), machine.handles
    batches, found = _ticks(
        lambda ticks, nr: lib.kvmemu_bench_roundtrip(
            vm, handles, irqs, nr_vcpus, ticks, nr // nr_vcpus
        ),
        count * nr_vcpus,
    )
    return batches[:found] or batches[0]


def ping_pong_samples(machine: Running, count: int) -> list[float]:
    """Nanoseconds of an SGI to a vCPU that waits for it, and of one back."""
    return samples(functools.partial(lib.kvmemu_bench_ping_pong, machine.handles), count)


def _guest_subjects(count: int, floor: str) -> Iterator[Subject]:
    def lazily(
        once: Callable[[Running, int], Samples], nr_vcpus: int, spis: int
    ) -> Callable[[], Samples]:
        make = functools.cache(functools.partial(running, nr_vcpus, spis))
        return lambda: once(make(), count)

    for spis in ENTRY_EXITS:
        yield Subject(
            f"{PREFIX}.entry_exit.{spis}", "ns/exit and entry", floor,
            lazily(entry_exit_samples, 1, spis), same_always=True,
        )  # fmt: skip
    for nr_vcpus in (1, 2):
        yield Subject(
            f"{PREFIX}.roundtrip.{nr_vcpus}vcpu", "ns/interrupt", floor,
            lazily(roundtrip_samples, nr_vcpus, nr_vcpus), at_once=nr_vcpus,
            same_always=nr_vcpus == 1,
        )  # fmt: skip
    yield Subject(
        f"{PREFIX}.ping_pong.2vcpu", "ns/SGI and back", floor, lazily(ping_pong_samples, 2, 0)
    )


def subjects(count: int, floor: str) -> Iterator[Subject]:
    """All of them; baselines first.

    Args:
        count: batches a round.
        floor: the name of the cheapest real system call, which guests' exits are compared with.
    """
    switches = list(_switch_subjects(count))
    names = {name for s in switches for name in (s.baseline, s.same_bytes) if name is not None}
    yield from _copy_subjects(names, count)
    yield from switches
    yield from _guest_subjects(count, floor)
