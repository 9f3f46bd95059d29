# SPDX-License-Identifier: MIT
"""Host profiles: which machine is modelled. Built-in ones by name, others from TOML files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from kvmemu import constants
from kvmemu._core import ffi, lib
from kvmemu.errors import HostError
from kvmemu.profiles.host_text import ProfileError, host_lines

WHY_BYTES = 256
MOST_BYTES = 1 << 20  # of a file, as in csrc/machine/host.c


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
        return tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise HostError(f"{path} is not TOML: {error}") from error


def _read(path: str | os.PathLike[str]) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES)
        if len(content) == MOST_BYTES:
            raise HostError(f"{path}: too long for a host profile")
        return content.decode()
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise HostError(f"{path} is not text") from error


def _profile_lines(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """The lines of a profile's description, each with the key that it comes from."""
    try:
        return list(host_lines(read_profile(path), constants.ALL))
    except ProfileError as error:
        raise HostError(f"{path}: {error}") from error


def profile_text(path: str | os.PathLike[str]) -> str:
    """The host description that the core reads, made from a TOML profile.

    C programs and the preload library take it as a file (KVMEMU_HOST=./my.host).

    Raises:
        HostError: the file cannot be read, or says something impossible.
    """
    return "".join(f"{line}\n" for _, line in _profile_lines(path))


def _parse(lines: str, source: str, keys: Sequence[str] = ()) -> Any:
    """The core's host of a description.

    Args:
        keys: of each line, if it was made of a profile. The core names a line of a text of which
            the profile's author knows nothing; it is the key that is named instead.
    """
    data = lines.encode()
    host = ffi.new("struct kvmemu_host **")
    why = ffi.new("char[]", WHY_BYTES)
    if not lib.kvmemu_host_parse(data, len(data), host, why, WHY_BYTES):
        return ffi.gc(host[0], lib.kvmemu_host_put)
    text = ffi.string(why).decode(errors="replace")
    at = re.match(r"line (\d+): ", text)
    if at is not None and keys:
        key, text = keys[int(at[1]) - 1], text[at.end() :]
        text = text if key in text else f"{key}: {text}"
    raise HostError(f"{source}: {text}")


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
        keys, lines = zip(*_profile_lines(name), strict=True)
        return _parse("\n".join([*lines, ""]), name, keys)
    if os.sep in name:
        return _parse(_read(name), name)
    host = ffi.new("struct kvmemu_host **")
    if "\0" in name or lib.kvmemu_host_get(os.fsencode(name), host):
        raise HostError(f"there is no host {name!r}; there are {', '.join(host_names())}")
    return ffi.gc(host[0], lib.kvmemu_host_put)
