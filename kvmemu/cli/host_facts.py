# SPDX-License-Identifier: MIT
"""What a host profile says, in words. Layer: cli; prints nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kvmemu import constants as c
from kvmemu.errors import HostError
from kvmemu.hosts import host_names, load_host, profile_path, profile_text

# A capability that a VM answers with more than 0, and what that means for a VMM.
_FEATURES = (
    (c.KVM_CAP_ARM_EL1_32BIT, "32-bit guests"),
    (c.KVM_CAP_ARM_PMU_V3, "PMU"),
    (c.KVM_CAP_ARM_PTRAUTH_ADDRESS, "pointer authentication"),
    (c.KVM_CAP_ARM_MTE, "memory tagging"),
    (c.KVM_CAP_STEAL_TIME, "stolen time"),
)


@dataclass(frozen=True)
class HostFacts:
    """A host description, one value a key (`gic.version`, `capability.1`, `register.MIDR_EL1`).

    Attributes:
        default: whether kvmemu takes this host when none is named.
    """

    values: dict[str, str]
    default: bool = False

    def number(self, key: str) -> int:
        """A number; 0 if the description does not have it."""
        return int(self.values.get(key, "0"), 0)

    def flag(self, key: str) -> bool:
        """A truth value; false if the description does not have it."""
        return self.values.get(key) == "true"

    def capability(self, cap: int) -> int:
        """What KVM_CHECK_EXTENSION answers on a VM."""
        return self.number(f"capability.{cap}")

    def table(self, prefix: str) -> dict[str, int]:
        """The numbers of the keys that begin so, by the rest of the key."""
        start = f"{prefix}."
        keys = [key for key in self.values if key.startswith(start)]
        return {key.removeprefix(start): self.number(key) for key in keys}

    @property
    def name(self) -> str:
        """The host's name."""
        return self.values.get("name", "")

    @property
    def arch(self) -> str:
        """`arm64` or `arm`."""
        return "arm" if self.values.get("architecture") == "arm32" else "arm64"

    @property
    def gic(self) -> str:
        """The interrupt controller: `GICv3, ITS`."""
        text = f"GICv{self.values.get('gic.version')}"
        parts = [text + (".1" if self.flag("gic.v4_1") else "")]
        if self.flag("gic.v2_compat"):
            parts.append("GICv2 guests")
        if self.flag("gic.its"):
            parts.append("ITS")
        return ", ".join(parts)

    @property
    def features(self) -> list[str]:
        """What the host offers guests, in words."""
        words = [word for cap, word in _FEATURES if self.capability(cap) > 0]
        vqs = self.number("cpu.sve_vqs")
        if vqs:
            words.insert(0, f"SVE to {128 * vqs.bit_length()} bits")
        return words

    @property
    def capabilities(self) -> dict[str, int]:
        """The capabilities by name."""
        names = {c.ALL[name]: name for name in c.ALL if name.startswith("KVM_CAP_")}
        table = self.table("capability")
        return {names.get(int(number), number): value for number, value in table.items()}


def _description(text: str) -> dict[str, str]:
    """The keys and values of a host description (csrc/machine/host.c reads the same)."""
    lines = (line for line in text.split("\n")[1:] if line and not line.startswith("#"))
    return dict(line.split(" ", 1) for line in lines)


def host_facts(name: str | os.PathLike[str]) -> HostFacts:
    """The facts of a built-in host, or of a file.

    Raises:
        HostError: there is no such host, or its profile cannot be used.
    """
    name = os.fspath(name) or host_names()[0]
    load_host(name)
    if name in host_names():
        return HostFacts(_description(profile_text(profile_path(name))), name == host_names()[0])
    if name.endswith(".toml"):
        return HostFacts(_description(profile_text(name)))
    try:
        return HostFacts(_description(Path(name).read_text(encoding="utf-8")))
    except OSError as error:
        raise HostError(f"{name}: {error.strerror}") from error
