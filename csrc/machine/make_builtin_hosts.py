# SPDX-License-Identifier: MIT
"""Writes builtin_hosts.c, the built-in host profiles as the core reads them.

Run by `make hosts` after a profile was changed; a test says when the file is stale. The file is
kept in the repository so that building the C libraries takes a C compiler and nothing else.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "kvmemu" / "profiles"))
from host_text import host_text  # noqa: E402 - found by the path above, without the package

# The default first, then by name.
DEFAULT = "gicv3-max"


def capabilities() -> dict[str, int]:
    """KVM_CAP_* by name, read from the header, which is there before anything is compiled."""
    text = (ROOT / "include" / "kvmemu" / "uapi" / "caps.h").read_text(encoding="utf-8")
    found = re.findall(r"^#define (KVM_CAP_\w+)\s+(\d+)", text, re.MULTILINE)
    return {name: int(value) for name, value in found}


def c_source() -> str:
    """The whole file."""
    paths = sorted(
        (ROOT / "kvmemu" / "profiles").glob("*.toml"),
        key=lambda path: (path.stem != DEFAULT, path.stem),
    )
    caps = capabilities()
    out = [
        "/* SPDX-License-Identifier: MIT */",
        "/*",
        " * The built-in hosts. Layer: machine.",
        " * Made from kvmemu/profiles/ by make_builtin_hosts.py: change those, run `make hosts`.",
        " */",
        '#include "host.h"',
        "",
        "const struct builtin_host builtin_hosts[] = {",
    ]
    for path in paths:
        text = host_text(tomllib.loads(path.read_text(encoding="utf-8")), caps)
        out.append(f'\t{{ .name = "{path.stem}", .text =')
        out += [f"\t\t{json.dumps(line + chr(10))}" for line in text.splitlines()]
        out[-1] += " },"
    out += [
        "};",
        "",
        "const size_t nr_builtin_hosts = sizeof(builtin_hosts) / sizeof(builtin_hosts[0]);",
        "",
    ]
    return "\n".join(out)


if __name__ == "__main__":
    (Path(__file__).parent / "builtin_hosts.c").write_text(c_source(), encoding="utf-8")
