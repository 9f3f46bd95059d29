#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Debian packages that `make conformance` needs: says what is missing, or installs it.

Exit code 1 if something is missing, so that no check is left out unseen.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from clients import selftests
from oracle import fetch

# A command or file that shows that a package is there -> the package.
PACKAGES = {
    **fetch.PACKAGES,
    **selftests.PACKAGES,
    "clang": "clang",
    "/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a": "libclang-rt-14-dev",
}


def main() -> int:
    """Print what is missing, or install it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="install it (as root)")
    try:
        if parser.parse_args().install:
            fetch.install(PACKAGES)
        if missing := fetch.missing_packages(PACKAGES):
            raise fetch.MissingError(
                f"`make conformance` needs Debian's {', '.join(missing)}: as root,"
                " `make packages INSTALL=1` installs them."
            )
        fetch.require()
    except fetch.MissingError as missing_error:
        print(missing_error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        print(f"{failed.cmd[0]} failed.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
