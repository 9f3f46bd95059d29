# SPDX-License-Identifier: MIT
"""Host profiles: which machine is modelled. Built-in ones by name, others from TOML files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from kvmemu import constants
from kvmemu._core import ffi, lib
from kvmemu.errors import HostError
from kvmemu.profiles.host_text import ProfileError, host_text

WHY_BYTES = 256


def host_names() -> list[str]:
    """The built-in hosts; the first is the default."""
    return [ffi.string(lib.kvmemu_host_name(i)).decode() for i in range(lib.kvmemu_host_count())]


def profile_path(name: str) -> Path:
    """Where the TOML file of a built-in host is."""
    return Path(__file__).parent / "profiles" / f"{name}.toml"


def read_profile(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A profile as TOML has it.

    Raises:
        HostError: the file cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HostError(f"{path} is not TOML: {error}") from error


def profile_text(path: str | os.PathLike[str]) -> str:
    """The host description that the core reads, made from a TOML profile.

    C programs and the preload library take it as a file (KVMEMU_HOST=./my.host).

    Raises:
        HostError: the file cannot be read, or says something impossible.
    """
    try:
        return host_text(read_profile(path), constants.ALL)
    except ProfileError as error:
        raise HostError(f"{path}: {error}") from error


def _parse(text: str, source: str) -> Any:
    data = text.encode()
    host = ffi.new("struct kvmemu_host **")
    why = ffi.new("char[]", WHY_BYTES)
    if lib.kvmemu_host_parse(data, len(data), host, why, WHY_BYTES):
        raise HostError(f"{source}: {ffi.string(why).decode(errors='replace')}")
    return ffi.gc(host[0], lib.kvmemu_host_put)


def load_host(name: str | os.PathLike[str] | None = None) -> Any:
    """The core's host.

    Args:
        name: a built-in host, or a file: TOML, or a host description (anything not ending in
            .toml). None: the environment's KVMEMU_HOST, or else the default.

    Raises:
        HostError: there is no such host, or its profile cannot be used.
    """
    name = os.fspath(name) if name is not None else os.environ.get("KVMEMU_HOST", "")
    if not name:
        name = host_names()[0]
    if name.endswith(".toml"):
        return _parse(profile_text(name), name)
    if os.sep in name:
        try:
            return _parse(Path(name).read_text(encoding="utf-8"), name)
        except (OSError, UnicodeDecodeError) as error:
            raise HostError(f"{name}: {error}") from error
    host = ffi.new("struct kvmemu_host **")
    if lib.kvmemu_host_get(name.encode(), host):
        raise HostError(f"there is no host {name!r}; there are {', '.join(host_names())}")
    return ffi.gc(host[0], lib.kvmemu_host_put)
