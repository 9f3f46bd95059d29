# SPDX-License-Identifier: MIT
"""Comparing two states. Layer: state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from kvmemu.fields import decode_value
from kvmemu.gic_settings import in_words, meaning_of, settings, speaks_for_itself
from kvmemu.registers import name_of
from kvmemu.state.gic_text import Entry, entries
from kvmemu.state.model import GicState, VcpuDevices, VcpuState, VmState


@dataclass(frozen=True)
class Detail:
    """A part of a register that is not the same.

    Attributes:
        what: "INTID 33 enabled", or a bit field's name.
        before, after: numbers.
        meaning: what the number after says; empty if nothing is known of it.
    """

    what: str
    before: int
    after: int
    meaning: str = ""

    def __str__(self) -> str:
        meaning = f" ({self.meaning})" if self.meaning else ""
        return f"{self.what}: {self.before:#x} -> {self.after:#x}{meaning}"


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        where: "VM", "vCPU 3", "GIC", or "vCPU 3 GIC".
        what: a register's name, or "mp_state" and the like.
        register_id: if it is a vCPU's register.
        before, after: None where there is none.
        gic: if it is a register or line levels of the GIC.
    """

    where: str
    what: str
    register_id: int | None
    before: int | str | None
    after: int | str | None
    gic: Entry | None = None

    def __str__(self) -> str:
        def text(value: int | str | None) -> str:
            return "absent" if value is None else f"{value:#x}" if isinstance(value, int) else value

        return f"{self.where}: {self.what}: {text(self.before)} -> {text(self.after)}"

    @property
    def details(self) -> list[Detail]:
        """Which interrupts, or which bit fields; empty for what has neither."""
        if not isinstance(self.before, int) or not isinstance(self.after, int):
            return []
        if self.gic is not None:
            register = self.gic.register
            if meaning_of(register) is not None:
                return list(_changed_interrupts(self.gic, self.before, self.after))
            return _changed_fields(register.layout if register else "", self.before, self.after)
        if self.register_id is None:
            return []
        return _changed_fields(self.what, self.before, self.after)


def _changed_fields(name: str, before: int, after: int) -> list[Detail]:
    old, new = (
        {(field.name, field.low): (number, meaning) for field, number, meaning in decoded}
        for decoded in (decode_value(name, before), decode_value(name, after))
    )
    found = []
    for key in dict.fromkeys((*old, *new)):
        was, _ = old.get(key, (0, ""))
        number, meaning = new.get(key, (0, ""))
        if was != number:
            found.append(Detail(key[0], was, number, meaning))
    return found


def _changed_interrupts(entry: Entry, before: int, after: int) -> Iterator[Detail]:
    meaning = meaning_of(entry.register)
    if meaning is None:
        return
    old, new = (settings(entry.register, value, entry.intid) for value in (before, after))
    for (intid, was), (_, number) in zip(old, new, strict=True):
        if was != number:
            words = "" if speaks_for_itself(meaning) else in_words(meaning, number)
            yield Detail(f"INTID {intid} {meaning}", was, number, words)


# ---- the parts of a VM ----


def _compare_devices(where: str, before: VcpuDevices, after: VcpuDevices) -> Iterator[Difference]:
    for field in fields(VcpuDevices):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old != new:
            yield Difference(where, field.name, None, old, new)


def _compare_vcpu(before: VcpuState, after: VcpuState) -> Iterator[Difference]:
    where = f"vCPU {before.id}"
    for what in ("target", "features", "mp_state", "events"):
        was, now = getattr(before, what), getattr(after, what)
        if was != now:
            yield Difference(where, what, None, str(was), str(now))
    yield from _compare_devices(where, before.devices, after.devices)
    if before.ids == after.ids and before.values == after.values:
        return
    old_registers, new_registers = before.registers, after.registers
    for register_id in dict.fromkeys((*before.ids, *after.ids)):
        old, new = old_registers.get(register_id), new_registers.get(register_id)
        if old != new:
            yield Difference(where, name_of(register_id), register_id, old, new)


def _gic_entries(state: VmState) -> dict[tuple[str, int | None, int], Entry]:
    if state.gic is None:
        return {}
    return {
        (e.frame, e.vcpu, e.register.offset if e.register else e.intid): e
        for e in entries(state.gic, state.vcpus)
    }


def _compare_setup(before: GicState, after: GicState) -> Iterator[Difference]:
    for what in ("version", "nr_irqs", "dist", "cpu", "redist", "regions", "initialized"):
        old, new = getattr(before, what), getattr(after, what)
        if old != new and what == "regions":
            old, new = str(old), str(new)
        if old != new:
            yield Difference("GIC", what, None, old, new)


def _compare_gic(before: VmState, after: VmState) -> Iterator[Difference]:
    if before.gic is None or after.gic is None:
        was, now = (f"GICv{s.gic.version}" if s.gic else None for s in (before, after))
        yield Difference("VM", "GIC", None, was, now)
        return
    yield from _compare_setup(before.gic, after.gic)
    if before.gic.version != after.gic.version:
        return  # registers of the one are not those of the other
    old, new = _gic_entries(before), _gic_entries(after)
    for key in dict.fromkeys((*old, *new)):
        entry = old.get(key) or new[key]
        values = [found[key].value if key in found else None for found in (old, new)]
        if values[0] != values[1]:
            where = "GIC" if entry.vcpu is None else f"vCPU {entry.vcpu} GIC"
            name = entry.register.name if entry.register else f"line levels {entry.intid}"
            yield Difference(where, name, None, values[0], values[1], entry)


def _compare_slots(before: VmState, after: VmState) -> Iterator[Difference]:
    old = {slot.slot: slot for slot in before.slots}
    new = {slot.slot: slot for slot in after.slots}
    for number in dict.fromkeys((*old, *new)):
        where = f"memory slot {number}"
        if number not in old or number not in new:
            had, has = ("present" if number in slots else None for slots in (old, new))
            yield Difference("VM", where, None, had, has)
            continue
        for what in ("ipa", "size", "flags", "sha256"):
            was, now = getattr(old[number], what), getattr(new[number], what)
            if was != now:
                yield Difference(where, "contents" if what == "sha256" else what, None, was, now)


def compare(before: VmState, after: VmState) -> list[Difference]:
    """What differs, in the order of the states; where they were saved does not count."""
    found = []
    if before.ipa_bits != after.ipa_bits:
        found.append(Difference("VM", "IPA bits", None, before.ipa_bits, after.ipa_bits))
    found += _compare_slots(before, after)
    old = {vcpu.id: vcpu for vcpu in before.vcpus}
    new = {vcpu.id: vcpu for vcpu in after.vcpus}
    for vcpu_id in dict.fromkeys((*old, *new)):
        if vcpu_id not in new:
            found.append(Difference("VM", f"vCPU {vcpu_id}", None, "present", None))
        elif vcpu_id not in old:
            found.append(Difference("VM", f"vCPU {vcpu_id}", None, None, "present"))
        else:
            found += _compare_vcpu(old[vcpu_id], new[vcpu_id])
    if before.gic != after.gic:
        found += _compare_gic(before, after)
    return found
