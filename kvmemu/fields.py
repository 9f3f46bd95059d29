# SPDX-License-Identifier: MIT
"""The bit fields of registers: names, places, and what their values mean.

    >>> for field, number, meaning in decode_value("CNTV_CTL_EL0", 5):
    ...     print(field.name, number, meaning)
    ISTATUS 1 condition met
    IMASK 0 interrupt not masked
    ENABLE 1 on

The layouts are in fields.toml, those of the GIC in fields_gic.toml. A client of names only: nothing
here needs a vCPU.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

UNNAMED = "(unnamed)"  # the name of bits that are set although no field has them

# What a number stands for where it is not one of a list: n in the register, a count or an address
# in the world.
_FORMULAS: dict[str, Callable[[int], int | str]] = {
    "n": lambda n: n,
    "n+1": lambda n: n + 1,
    "64-n": lambda n: 64 - n,
    "4<<n": lambda n: 4 << n,
    "16<<n": lambda n: 16 << n,
    "32(n+1)": lambda n: 32 * (n + 1),
    "128(n+1)": lambda n: 128 * (n + 1),
    "n<<3": lambda n: f"{n << 3:#x}",
    "n<<12": lambda n: f"{n << 12:#x}",
    "n<<16": lambda n: f"{n << 16:#x}",
}
_FILE, _GIC_FILE = "fields.toml", "fields_gic.toml"
_OF_GIC = ("GICD_", "GICR_", "GICC_", "ICC_", "REDIST_")  # how the names in the second file begin


@dataclass(frozen=True)
class Field:
    """Bits of a register with a name of their own.

    Attributes:
        name: as the Arm manual has it.
        high, low: its first and last bit, both inclusive.
        values: what some or all of its values mean.
        rule: how the other values are read: words, one of them a formula; empty if the number
            speaks for itself.
    """

    name: str
    high: int
    low: int
    values: Mapping[int, str] = field(default_factory=dict)
    rule: str = ""

    @property
    def bits(self) -> str:
        """`HIGH:LOW`, or `BIT`."""
        return f"{self.high}:{self.low}" if self.high != self.low else str(self.low)

    @property
    def mask(self) -> int:
        """The field's bits in the register."""
        return (1 << self.high + 1) - (1 << self.low)

    def of(self, value: int) -> int:
        """The field's number in a register's value."""
        return (value & self.mask) >> self.low

    def meaning(self, number: int) -> str:
        """What a number in this field means; empty if nothing is known of it."""
        if number in self.values:
            return self.values[number]
        words = self.rule.split()
        return " ".join(str(_FORMULAS[w](number)) if w in _FORMULAS else w for w in words)


@dataclass(frozen=True)
class _Layouts:
    fields: Mapping[str, tuple[Field, ...]]
    same: Mapping[str, str]
    variants: Mapping[str, tuple[int, str]]


def _parse_field(name: str, text: str, meanings: Mapping[str, str]) -> Field:
    bits, *parts = (part.strip() for part in text.split(","))
    shared = [part for part in parts if part in meanings]
    for key in shared:
        at = parts.index(key)
        parts[at : at + 1] = [part.strip() for part in meanings[key].split(",")]
    high, _, low = bits.partition(":")
    values: dict[int, str] = {}
    rule = ""
    for part in parts:
        if part.startswith("="):
            rule = part[1:]
        else:
            number, _, meaning = part.partition(" ")
            values[int(number, 0)] = meaning
    return Field(name, int(high), int(low or high), values, rule)


@functools.cache
def _layouts(file: str) -> _Layouts:
    text = Path(__file__).with_name(file).read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    meanings = tables.pop("meanings")
    same = tables.pop("same")
    variants = {
        name: (int(bit), layout)
        for name, (bit, layout) in ((n, text.split()) for n, text in tables.pop("variants").items())
    }
    fields = {
        name: tuple(_parse_field(field_name, text, meanings) for field_name, text in rows.items())
        for name, rows in tables.items()
    }
    return _Layouts(fields, same, variants)


def _layouts_for(name: str) -> _Layouts:
    """Those of the file that a register would be in."""
    return _layouts(_GIC_FILE if name.startswith(_OF_GIC) else _FILE)


def layout_names() -> list[str]:
    """Every register that has fields here, as the tables name them: <n> stands for a number."""
    both = (_layouts(_FILE), _layouts(_GIC_FILE))
    return [name for layouts in both for name in (*layouts.fields, *layouts.same)]


def _layout_of(name: str) -> str | None:
    layouts = _layouts_for(name)
    plain = re.sub(r"_v[23]$", "", name)
    numbered = re.sub(r"\d+(?=_EL|$)", "<n>", plain, count=1)
    for spelling in (name, plain, numbered):
        layout = layouts.same.get(spelling, spelling)
        if layout in layouts.fields:
            return layout
    return None


def fields_of(name: str) -> list[Field]:
    """The fields of a register, highest first; none if nothing is known of it.

    Args:
        name: as kvmemu.describe() spells it, or GicRegister.layout. A register with more than one
            layout (PSTATE, PAR_EL1) gives the usual one; decode_value() picks by the value.
    """
    layout = _layout_of(name)
    return list(_layouts_for(name).fields[layout]) if layout is not None else []


def _unnamed(value: int) -> list[Field]:
    """A field for each run of ones."""
    runs = []
    while value:
        low = (value & -value).bit_length() - 1
        length = (~(value >> low) & (value >> low) + 1).bit_length() - 1
        runs.append(Field(UNNAMED, low + length - 1, low))
        value &= ~runs[-1].mask
    return runs


def decode_value(name: str, value: int) -> list[tuple[Field, int, str]]:
    """What the bits of a register say.

    Args:
        name: as fields_of() takes it.
        value: the register's.

    Returns:
        Each field, highest first, with its number and what that means (empty if unknown). Bits that
        are set but belong to no field come as fields of the name UNNAMED. Nothing at all for a
        register whose fields are not known.
    """
    layout = _layout_of(name)
    if layout is None:
        return []
    layouts = _layouts_for(name)
    bit, other = layouts.variants.get(layout, (0, layout))
    if value >> bit & 1:
        layout = other
    fields = list(layouts.fields[layout])
    rest = value & ~sum(f.mask for f in fields)
    fields = sorted(fields + _unnamed(rest), key=lambda f: -f.low)
    return [(f, f.of(value), f.meaning(f.of(value))) for f in fields]
