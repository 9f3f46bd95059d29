# SPDX-License-Identifier: MIT
"""From a host profile in TOML to the text the core reads.

The TOML tables become `table.key value` lines; capabilities are named in TOML and numbered in the
text. csrc/machine/host.c says which keys there are and checks them; docs/host-profiles.md explains
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FIRST_LINE = "kvmemu-host 1"
CAPABILITY_TABLES = ("capability", "system_capability")


class ProfileError(ValueError):
    """A host profile that says something impossible, in a sentence."""


def _value(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return hex(value) if value > 4096 else str(value)
    if isinstance(value, str) and "\n" not in value:
        return value
    raise ProfileError(f"{key} is {value!r}: a number, true, false or one line of text expected")


def _table(
    table: str, entries: Mapping[str, Any], constants: Mapping[str, int]
) -> Iterator[tuple[str, str, object]]:
    """Of each entry: its name in TOML, its name in the text, its value."""
    for name, value in entries.items():
        key = name
        if table in CAPABILITY_TABLES and not name.isdecimal():
            if name not in constants:
                raise ProfileError(f"{table}.{name} is not a capability KVM has")
            key = str(constants[name])
        yield f"{table}.{name}", f"{table}.{key}", value


def host_lines(
    profile: Mapping[str, Any], constants: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    """The lines of the host description of a profile, each with the key that it comes from.

    Args:
        profile: the TOML file as tomllib reads it.
        constants: KVM's constants by name, for the capabilities.

    Raises:
        ProfileError: a key, a value or a capability's name that has no meaning.
    """
    yield "", FIRST_LINE
    for name, value in profile.items():
        is_table = isinstance(value, Mapping)
        for origin, key, entry in (
            _table(name, value, constants) if is_table else [(name, name, value)]
        ):
            if not key or key.split() != [key]:
                raise ProfileError(f"{key!r} is no key: a word expected")
            yield origin, f"{key} {_value(origin, entry)}"


def host_text(profile: Mapping[str, Any], constants: Mapping[str, int]) -> str:
    """The host description of a profile: the text kvmemu_host_parse() reads.

    Args, Raises: as host_lines().
    """
    return "".join(f"{line}\n" for _, line in host_lines(profile, constants))
