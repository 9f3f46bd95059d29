# SPDX-License-Identifier: MIT
"""What the oracle needs from Debian: finds it, says what is missing, or installs it.

    python3 tests/oracle/fetch.py             one sentence about what is missing, or nothing
    python3 tests/oracle/fetch.py --install   installs it (as root)

Part of the tests. The kernel is the distribution's package, unmodified: its KVM is what every
answer comes from.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# command or file that shows a package is there -> the package
PACKAGES = {
    "qemu-system-aarch64": "qemu-system-arm",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "/usr/aarch64-linux-gnu/lib/libc.a": "libc6-dev-arm64-cross",
    "/usr/aarch64-linux-gnu/include/linux/kvm.h": "linux-libc-dev-arm64-cross",
}
KERNEL_PACKAGE = "linux-image-arm64"
# Debian builds these as modules; the oracle's port needs them.
MODULES = ("virtio_mmio", "virtio_console")


class MissingError(Exception):
    """Something the oracle needs is not installed; the message says what, in one sentence."""


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    image: Path
    modules: tuple[Path, ...]

    @property
    def release(self) -> str:
        """The kernel's version, as uname -r prints it."""
        return self.image.name.removeprefix("vmlinuz-")


def cache_dir() -> Path:
    """The folder of everything the oracle keeps: $KVMEMU_ORACLE, or one in the user's cache."""
    if configured := os.environ.get("KVMEMU_ORACLE"):
        return Path(configured)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "kvmemu-oracle"


def missing_packages(packages: Mapping[str, str] = PACKAGES) -> list[str]:
    """The packages that must be installed, by what they would bring.

    Args:
        packages: a command, or a pattern of files, that shows that a package is there -> the
            package.
    """

    def is_there(evidence: str) -> bool:
        if "/" not in evidence:
            return shutil.which(evidence) is not None
        return any(Path("/").glob(evidence[1:]))

    return [package for evidence, package in packages.items() if not is_there(evidence)]


def find_kernel() -> Kernel | None:
    """The newest unpacked kernel whose modules are there too."""
    root = cache_dir() / "root"
    for image in sorted((root / "boot").glob("vmlinuz-*"), reverse=True):
        release = image.name.removeprefix("vmlinuz-")
        for tree in (root / "lib/modules" / release, root / "usr/lib/modules" / release):
            found = [next(tree.rglob(f"{name}.ko*"), None) for name in MODULES]
            modules = tuple(module for module in found if module is not None)
            if len(modules) == len(MODULES):
                return Kernel(image, modules)
    return None


def require() -> Kernel:
    """The kernel to boot.

    Raises:
        MissingError: a package or the kernel is not there.
    """
    missing = missing_packages()
    kernel = find_kernel()
    if kernel is None:
        missing.append(f"{KERNEL_PACKAGE} for arm64, unpacked in {cache_dir() / 'root'}")
    if missing or kernel is None:
        raise MissingError(
            f"The oracle needs Debian's {', '.join(missing)}: as root, "
            "`python3 tests/oracle/fetch.py --install` brings all of it."
        )
    return kernel


def _run(*command: str, cwd: Path | None = None) -> str:
    # A package that asks questions would wait for ever for the answers.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, cwd=cwd, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _fetch_kernel() -> None:
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    _run("dpkg", "--add-architecture", "arm64")
    _run("apt-get", "update", "-qq")
    depends = _run("apt-cache", "depends", f"{KERNEL_PACKAGE}:arm64").splitlines()
    package = next(line.split()[-1] for line in depends if "Depends: linux-image" in line)
    _run("apt-get", "download", "-qq", f"{package.removesuffix(':arm64')}:arm64", cwd=cache)
    archive = max(cache.glob("linux-image-*_arm64.deb"), key=lambda path: path.stat().st_mtime)
    _run("dpkg", "-x", str(archive), str(cache / "root"))


def install(packages: Mapping[str, str] = PACKAGES) -> None:
    """Install the missing ones of these packages and unpack the kernel.

    Raises:
        MissingError: not root.
        subprocess.CalledProcessError: a package tool failed, and said why.
    """
    missing = missing_packages(packages)
    if (missing or find_kernel() is None) and os.geteuid() != 0:
        raise MissingError("Installing Debian packages needs root.")
    if missing:
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)
    if find_kernel() is None:
        _fetch_kernel()


def main() -> int:
    """Print what is missing, or install it."""
    parser = argparse.ArgumentParser(description="Find or install what the oracle needs.")
    parser.add_argument("--install", action="store_true", help="install it (as root)")
    try:
        if parser.parse_args().install:
            install()
        require()
    except MissingError as missing:
        print(missing, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        print(f"{failed.cmd[0]} failed.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
