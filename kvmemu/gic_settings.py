# SPDX-License-Identifier: MIT
"""Registers of the GIC that have a field for each interrupt: what the fields say.

    >>> from kvmemu.gic_registers import find_gic_register
    >>> register = find_gic_register(3, "GICD_ICFGR2")
    >>> for intid, number in settings(register, 0x80000000):
    ...     if number:
    ...         print(intid, in_words(meaning_of(register), number))
    47 edge-triggered

Line levels, which are no register, are such fields too. Nothing here needs a VM.
"""

from __future__ import annotations

from collections.abc import Iterator

from kvmemu.gic_registers import GicRegister

_MEANINGS = {
    "IGROUPR": "group",
    "ISENABLER": "enabled",
    "ICENABLER": "enabled",
    "ISPENDR": "pending",
    "ICPENDR": "pending",
    "ISACTIVER": "active",
    "ICACTIVER": "active",
    "IPRIORITYR": "priority",
    "ITARGETSR": "targets",
    "ICFGR": "trigger",
    "IROUTER": "affinity",
    "SPENDSGIR": "senders",
    "CPENDSGIR": "senders",
    "IGRPMODR": "group modifier",
    "NSACR": "non-secure access",
}
_CLEARING = ("ICENABLER", "ICPENDR", "ICACTIVER", "CPENDSGIR")
_FLAGS = frozenset(("enabled", "pending", "pending latch", "active", "line", "group modifier"))
_PLAIN = _FLAGS | {"group", "priority"}
_ANY_VCPU = 1 << 31  # GICD_IROUTER.Interrupt_Routing_Mode


def _kind(register: GicRegister) -> str:
    return register.name.partition("_")[2].rstrip("0123456789")


def meaning_of(register: GicRegister | None) -> str | None:
    """What a register says of each interrupt; None if it is not about interrupts one by one.

    Args:
        register: None for line levels.
    """
    if register is None:
        return "line"
    meaning = _MEANINGS.get(_kind(register)) if register.bits_per_intid else None
    # User space sees the latch and the line of a GICv3 apart, those of a GICv2 as one.
    return "pending latch" if meaning == "pending" and register.version == 3 else meaning


def is_clearing(register: GicRegister) -> bool:
    """Whether the ones that are written to it clear what it says."""
    return _kind(register) in _CLEARING


def is_flag(meaning: str) -> bool:
    """Whether its fields say yes or no, so that zeros need no words."""
    return meaning in _FLAGS


def speaks_for_itself(meaning: str) -> bool:
    """Whether a number says as much as in_words()."""
    return meaning in _PLAIN


def settings(
    register: GicRegister | None, value: int, intid: int = 0
) -> Iterator[tuple[int, int]]:
    """INTID and field of each interrupt that a value is about.

    Args:
        register: one that meaning_of() knows; None for line levels.
        value: the register's.
        intid: the first interrupt of line levels.
    """
    first, bits, size = intid, 1, 32
    if register is not None:
        first, bits, size = register.intid, register.bits_per_intid, register.bytes * 8
    trigger = register is not None and meaning_of(register) == "trigger"
    for n in range(size // bits):
        number = value >> n * bits & (1 << bits) - 1
        # The upper bit of two says edge or level; the lower is reserved.
        yield first + n, number >> 1 if trigger else number


def vcpus_in(mask: int) -> str:
    """A mask of a GICv2's CPU interfaces in words: `vCPU 0, 3`, or `no vCPU`."""
    numbers = [str(n) for n in range(8) if mask >> n & 1]
    return f"vCPU {', '.join(numbers)}" if numbers else "no vCPU"


def affinity_text(affinity: int) -> str:
    """MPIDR_EL1 or GICD_IROUTER as `AFF3.AFF2.AFF1.AFF0`."""
    return ".".join(str(affinity >> shift & 0xFF) for shift in (32, 16, 8, 0))


def in_words(meaning: str | None, number: int) -> str:
    """What a field says."""
    match meaning:
        case None:
            return "reserved"
        case "trigger":
            return "edge-triggered" if number else "level-triggered"
        case "group":
            return f"group {number}"
        case "targets":
            return f"to {vcpus_in(number)}"
        case "senders":
            return f"from {vcpus_in(number)}"
        case "affinity":
            any_vcpu = " or any other, as the GIC likes" if number & _ANY_VCPU else ""
            return f"to affinity {affinity_text(number)}{any_vcpu}"
        case "line":
            return f"line {'high' if number else 'low'}"
        case "priority" | "non-secure access":
            return meaning
        case _:
            return meaning if number else f"not {meaning}"
