# SPDX-License-Identifier: MIT
"""Comparing two states. Layer: state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kvmemu.registers import name_of
from kvmemu.state.model import VcpuState, VmState


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        where: "VM" or "vCPU 3".
        what: a register's name, or "mp_state" and the like.
        register_id: if it is a register.
        before, after: None where there is none.
    """

    where: str
    what: str
    register_id: int | None
    before: int | str | None
    after: int | str | None

    def __str__(self) -> str:
        def text(value: int | str | None) -> str:
            return "absent" if value is None else f"{value:#x}" if isinstance(value, int) else value

        return f"{self.where}: {self.what}: {text(self.before)} -> {text(self.after)}"


def _compare_vcpu(before: VcpuState, after: VcpuState) -> Iterator[Difference]:
    where = f"vCPU {before.id}"
    for what in ("target", "features", "mp_state", "events"):
        old, new = getattr(before, what), getattr(after, what)
        if old != new:
            yield Difference(where, what, None, str(old), str(new))
    if before.ids == after.ids and before.values == after.values:
        return
    old_registers, new_registers = before.registers, after.registers
    for register_id in dict.fromkeys((*before.ids, *after.ids)):
        old, new = old_registers.get(register_id), new_registers.get(register_id)
        if old != new:
            yield Difference(where, name_of(register_id), register_id, old, new)


def compare(before: VmState, after: VmState) -> list[Difference]:
    """What differs, in the order of the states; where they were saved does not count."""
    found = []
    if before.ipa_bits != after.ipa_bits:
        found.append(Difference("VM", "IPA bits", None, before.ipa_bits, after.ipa_bits))
    old = {vcpu.id: vcpu for vcpu in before.vcpus}
    new = {vcpu.id: vcpu for vcpu in after.vcpus}
    for vcpu_id in dict.fromkeys((*old, *new)):
        if vcpu_id not in new:
            found.append(Difference("VM", f"vCPU {vcpu_id}", None, "present", None))
        elif vcpu_id not in old:
            found.append(Difference("VM", f"vCPU {vcpu_id}", None, None, "present"))
        else:
            found += _compare_vcpu(old[vcpu_id], new[vcpu_id])
    return found
