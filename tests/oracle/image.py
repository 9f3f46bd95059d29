# SPDX-License-Identifier: MIT
"""The oracle's initial RAM disk: the replayer as /init, and modules. Part of the tests."""

from __future__ import annotations

import hashlib
import lzma
import os
import stat
import subprocess
from pathlib import Path

from oracle.fetch import Kernel, cache_dir

HERE = Path(__file__).parent
SOURCES = [
    HERE / name
    for name in (
        "replay.c", "guest.c", "run.c", "blocks.c", "parse.c", "parse_guest.c", "values.c",
        "names.c", "guest_code.c", "guest_run.c", "background.c",
    )
]  # fmt: skip
HEADERS = [
    HERE / "script.h", HERE / "parse.h", HERE.parents[1] / "csrc/ioctl/constants_list.h",
    HERE.parents[1] / "csrc/machine/sysreg_list.h",
]  # fmt: skip
DISKS_KEPT = 4
COMPILE = ("aarch64-linux-gnu-gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static")


def _archive_entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    """One file of a cpio archive in the `newc` form: thirteen fields of eight hex digits."""
    name_bytes = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name_bytes), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name_bytes
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)


def archive(files: dict[str, tuple[int, bytes]]) -> bytes:
    """A cpio archive of name -> (mode, content), in the given order."""
    entries = [
        _archive_entry(number, name, mode, data)
        for number, (name, (mode, data)) in enumerate(files.items(), start=1)
    ]
    return b"".join(entries) + _archive_entry(0, "TRAILER!!!", 0, b"")


def build_replayer(to: Path) -> None:
    """Compile the replayer for arm64.

    Raises:
        subprocess.CalledProcessError: the compiler refused it, and said why.
    """
    subprocess.run([*COMPILE, "-o", str(to), *map(str, SOURCES)], check=True)


def _module_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def initrd(kernel: Kernel) -> Path:
    """The RAM disk to boot this kernel with, built again only when a source of it changed."""
    digest = hashlib.sha256(kernel.release.encode())
    for source in (*SOURCES, *HEADERS, Path(__file__)):
        digest.update(source.read_bytes())
    built = cache_dir() / f"initrd-{digest.hexdigest()[:16]}"
    if built.exists():
        return built

    program = built.with_suffix(f".{os.getpid()}.replay")
    build_replayer(program)
    directory = stat.S_IFDIR | 0o755
    files = {
        "dev": (directory, b""),
        "modules": (directory, b""),
        "init": (stat.S_IFREG | 0o755, program.read_bytes()),
    }
    for module in kernel.modules:
        name = module.name.split(".")[0]
        files[f"modules/{name}.ko"] = (stat.S_IFREG | 0o644, _module_bytes(module))
    program.write_bytes(archive(files))
    program.rename(built)
    disks = sorted(cache_dir().glob("initrd-*"), key=lambda disk: disk.stat().st_mtime)
    for old in disks[:-DISKS_KEPT]:
        old.unlink(missing_ok=True)
    return built
