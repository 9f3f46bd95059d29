# SPDX-License-Identifier: MIT
"""Requests that Linux answers before KVM sees them. Part of the tests; used by make_scripts.py.

The numbers are those of include/uapi/asm-generic/ioctls.h and linux/fs.h, Linux 6.1. FIFREEZE and
FITHAW are not here, because privileges decide on their answers: see tests/c/test_descriptors.c.
"""

from __future__ import annotations

FIOCLEX, FIONCLEX, FIONBIO, FIOASYNC, FIOQSIZE = 0x5451, 0x5450, 0x5421, 0x5452, 0x5460
FIBMAP, FIGETBSZ, FIONREAD = 0x1, 0x2, 0x541B
FIEMAP = 0xC020660B
FICLONE, FICLONERANGE, FIDEDUPERANGE = 0x40049409, 0x4020940D, 0xC0189436
GETFLAGS, SETFLAGS, GETXATTR, SETXATTR = 0x80086601, 0x40086602, 0x801C581F, 0x401C5820

SET_UP = """\
kvmemu-trace 1
host any
# Requests that Linux's file systems answer before KVM sees them, to each kind of descriptor.
open kvm
open other
ioctl kvm KVM_CREATE_VM 0 -> vm
ioctl vm KVM_CREATE_VCPU 0 -> vcpu
ioctl vm KVM_CREATE_DEVICE [ u32 KVM_DEV_TYPE_VFIO 0 0 ] -> device
ioctl vm KVM_GET_STATS_FD 0 -> stats
eventfd event 0 0"""

FILES = ("kvm", "vm", "vcpu", "device", "stats")


def _clone(file: str, source: str) -> list[str]:
    return [
        f"ioctl {file} {FICLONE:#x} {source}",
        f"ioctl {file} {FICLONERANGE:#x} [ {source} 0 0 0 ]",
    ]


def _lines(file: str) -> list[str]:
    lines = [f"# {file}"]
    for request in (FIOCLEX, FIONCLEX):
        lines.append(f"ioctl {file} {request:#x} 0")
    for request in (FIONBIO, FIOASYNC):
        lines += [f"ioctl {file} {request:#x} {arg}" for arg in ("[ u32 1 ]", "[ u32 0 ]", "bad")]
    for request in (FIBMAP, FIGETBSZ, FIONREAD, SETFLAGS, GETFLAGS):
        lines += [f"ioctl {file} {request:#x} {arg}" for arg in ("[ u32 0 ]", "bad")]
    for request in (FIOQSIZE, SETFLAGS, GETFLAGS):
        lines += [f"ioctl {file} {request:#x} {arg}" for arg in ("[ 0 ]", "bad")]
    lines += [f"ioctl {file} {FIEMAP:#x} {arg}" for arg in ("[ 0 -1 u32 0 0 1 0 24*0 ]", "bad")]
    for request in (GETXATTR, SETXATTR):
        lines += [f"ioctl {file} {request:#x} {arg}" for arg in ("[ u32 7*0 ]", "bad")]
    lines.append(f"ioctl {file} {SETXATTR:#x} [ u32 0x80000000 6*0 ]")
    for source in (f"fd:{file}", "fd:other", "fd:vm", "fd:event", "-1", "9999"):
        lines += _clone(file, source)
    lines.append(f"ioctl {file} {FICLONERANGE:#x} bad")
    lines += [
        f"ioctl {file} {FIDEDUPERANGE:#x} {arg}"
        for arg in (
            "bad",
            "[ 0 0 u16 0 0 u32 0 ]",
            "[ 0 0 u16 0 1 u32 0 ]",
            "[ 0 0 u16 0 0 u32 1 ]",
            "[ 0 0 u16 1 0 u32 0 ]",
            "[ 0 0 u16 200 0 u32 0 ]",
            "[ 0 0 u16 1 0 u32 0 u64 -1 0 0 u32 0 0 ]",
        )
    ]
    return lines


def vfs_requests() -> list[str]:
    """All of them."""
    return [*SET_UP.splitlines(), *(line for file in FILES for line in _lines(file))]
