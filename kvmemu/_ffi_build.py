# SPDX-License-Identifier: MIT
"""How the compiled core is built: declarations only, read from the C headers themselves.

The Python front end and the C headers cannot disagree, because cffi is given the headers' own
declarations: the preprocessor lines and the comments are taken out, nothing is written twice.
"""

import re
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
HEADERS = (
    "include/kvmemu.h",
    "csrc/ioctl/constants.h",
    "csrc/ioctl/guest.h",
    "csrc/reg/names.h",
    "csrc/bench/bench.h",
    "csrc/bench/world_switch.h",
)
# The preload library replaces libc functions: not in a process that imports us.
SOURCE_DIRS = ("ioctl", "vm", "reg", "timer", "vgic", "switch", "machine", "bench")


def declarations(header: str) -> str:
    """The C declarations of one header, as cffi reads them."""
    text = (ROOT / header).read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = text.replace("\\\n", " ")
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r'^extern "C" \{\s*$(.*)^\}\s*$', r"\1", text, flags=re.MULTILINE | re.DOTALL)
    return text.replace("KVMEMU_API ", "")


def sources() -> list[str]:
    """Every C file of the core, relative to the checkout."""
    return sorted(
        str(path.relative_to(ROOT))
        for name in SOURCE_DIRS
        for path in (ROOT / "csrc" / name).glob("*.c")
    )


ffi = FFI()
ffi.cdef("\n".join(declarations(header) for header in HEADERS))
# What runs a guest that is written in Python (guest.py).
ffi.cdef('extern "Python" void kvmemu_python_guest(struct kvmemu_cpu *cpu, void *context);')
ffi.set_source(
    "kvmemu._core",
    "\n".join(f'#include "{header}"' for header in HEADERS),
    sources=sources(),
    include_dirs=["include", "."],
    extra_compile_args=["-std=gnu11", "-O2", "-g", "-fvisibility=hidden", "-pthread"],
    extra_link_args=["-pthread"],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffi.compile(verbose=True)
