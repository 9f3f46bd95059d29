# SPDX-License-Identifier: MIT
"""A GICv3 machine with GICv2 compatibility, which QEMU does not model. Part of the tests.

KVM offers GICv2 guests on a GICv3 machine under two conditions (vgic_v3_probe(), Linux 6.1):

1. The device tree says where the virtual CPU interface of a GICv2 guest is (GICV). Its entry is
   added to the tree that QEMU makes, with those of GICC and GICH that come before it.
2. The CPU can leave its system registers for those frames: ICC_SRE_EL1.SRE, written as zero, reads
   as zero (__vgic_v3_get_gic_config()). In QEMU it stays one. In a copy of the kernel's image the
   instruction that reads it back is replaced by one that loads zero; it stands there twice, for EL2
   with and without VHE. All else of the kernel is Debian's.

Behind GICV there is nothing. What user space sees of KVM does not depend on it, but for the bits of
GICC_CTLR that a run takes through the hardware (docs/conformance.md).
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

# What QEMU's machine has at these addresses with a GICv2, and nothing with a GICv3.
GICC = (0x08010000, 0x10000)
GICH = (0x08030000, 0x10000)
GICV = (0x08040000, 0x10000)

# AArch64 instructions (DDI 0487, C6.2). ICC_SRE_EL1 is S3_0_C12_C12_5.
MSR_ICC_SRE_XZR = 0xD518CCBF
ISB = 0xD5033FDF
MRS_ICC_SRE = 0xD538CCA0  # into X0; the register is in bits 4:0
MOVZ_0 = 0xD2800000  # MOV X0, #0
RT = 0x1F
COPIES = 2

# Device tree, flattened (devicetree.org, chapter 5).
FDT_MAGIC = 0xD00DFEED
FDT_BEGIN_NODE, FDT_END_NODE, FDT_PROP, FDT_NOP, FDT_END = 1, 2, 3, 4, 9
HEADER_BYTES = 40


class CompatError(Exception):
    """The kernel or the device tree is not what is expected here; the message says how."""


def with_clear_sre(image: bytes) -> bytes:
    """A kernel image that finds ICC_SRE_EL1.SRE clear after having cleared it.

    Raises:
        CompatError: the place is not in it exactly twice.
    """
    before = struct.pack("<2I", MSR_ICC_SRE_XZR, ISB)
    patched = bytearray(image)
    found = 0
    at = image.find(before)
    while at >= 0:
        place = at + len(before)
        word = int.from_bytes(image[place : place + 4], "little")
        if at % 4 == 0 and word & ~RT == MRS_ICC_SRE:
            patched[place : place + 4] = (MOVZ_0 | word & RT).to_bytes(4, "little")
            found += 1
        at = image.find(before, at + 4)
    if found != COPIES:
        raise CompatError(
            f"The kernel reads ICC_SRE_EL1 back after clearing it in {found} places, not {COPIES}."
        )
    return bytes(patched)


def _aligned(at: int) -> int:
    return -(-at // 4) * 4


def _properties(tree: bytes, strings: int, at: int) -> Iterator[tuple[str, str, int]]:
    """(node, property, offset of its token) of each property, in order."""
    path: list[str] = []
    while True:
        (token,) = struct.unpack_from(">I", tree, at)
        if token == FDT_BEGIN_NODE:
            end = tree.index(b"\0", at + 4)
            path.append(tree[at + 4 : end].decode())
            at = _aligned(end + 1)
        elif token == FDT_PROP:
            size, name = struct.unpack_from(">2I", tree, at + 4)
            end = tree.index(b"\0", strings + name)
            yield "/".join(path), tree[strings + name : end].decode(), at
            at = _aligned(at + 12 + size)
        elif token in (FDT_END_NODE, FDT_NOP):
            if token == FDT_END_NODE:
                path.pop()
            at += 4
        elif token == FDT_END:
            return
        else:
            raise CompatError(f"The device tree has token {token} at offset {at}.")


def with_gicv(tree: bytes) -> bytes:
    """A device tree whose GICv3 has the frames of a GICv2 for guests.

    The binding (arm,gic-v3) wants them behind those of distributor and redistributors.

    Raises:
        CompatError: it is no such tree, or its GIC has other frames than those two.
    """
    magic, _, at, strings, reserved = struct.unpack_from(">5I", tree)
    strings_bytes, struct_bytes = struct.unpack_from(">2I", tree, 32)
    if magic != FDT_MAGIC:
        raise CompatError("QEMU's device tree does not begin as one.")
    regs = [
        prop
        for node, name, prop in _properties(tree, strings, at)
        if node.startswith("/intc@") and node.count("/") == 1 and name == "reg"
    ]
    more = b"".join(struct.pack(">2Q", *frame) for frame in (GICC, GICH, GICV))
    sizes = [struct.unpack_from(">I", tree, prop + 4)[0] for prop in regs]
    if sizes != [2 * 16]:
        raise CompatError(f"The GIC's frames take {sizes} bytes of the device tree, not [32].")
    end = regs[0] + 12 + sizes[0]
    blocks = (
        tree[reserved : tree.index(bytes(16), reserved) + 16],
        tree[at : regs[0] + 4]
        + struct.pack(">I", sizes[0] + len(more))
        + tree[regs[0] + 8 : end]
        + more
        + tree[end : at + struct_bytes],
        tree[strings : strings + strings_bytes],
    )
    header = bytearray(tree[:HEADER_BYTES])
    places = [HEADER_BYTES]
    for block in blocks:
        places.append(places[-1] + len(block))
    struct.pack_into(">4I", header, 4, places[3], places[1], places[2], places[0])
    struct.pack_into(">I", header, 36, len(blocks[1]))
    return bytes(header) + b"".join(blocks)


def boot_files(kernel: Path, machine: Sequence[str], folder: Path) -> tuple[Path, Path]:
    """What to boot this host with: the kernel's image and the device tree, both changed as above.

    Args:
        kernel: Debian's image.
        machine: how QEMU is started for the machine, without what it boots.
        folder: where to write both.

    Raises:
        CompatError: one of them is not as expected.
        subprocess.CalledProcessError: QEMU does not take the command.
    """
    image, tree = folder / "kernel", folder / "tree.dtb"
    image.write_bytes(with_clear_sre(kernel.read_bytes()))
    subprocess.run([*machine, "-machine", f"dumpdtb={tree}"], check=True, capture_output=True)
    tree.write_bytes(with_gicv(tree.read_bytes()))
    return image, tree
