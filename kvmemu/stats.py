# SPDX-License-Identifier: MIT
"""Statistics of a VM or a vCPU, read through the descriptor that KVM_GET_STATS_FD gives."""

from __future__ import annotations

import struct

from kvmemu._core import ffi, lib
from kvmemu.constants import KVM_GET_STATS_FD
from kvmemu.errors import check
from kvmemu.file import File

Statistics = dict[str, int | tuple[int, ...]]

_HEADER = struct.Struct("<6I")  # flags, name_size, num_desc, id_offset, desc_offset, data_offset
_DESCRIPTOR = struct.Struct("<IhHII")  # flags, exponent, size, offset, bucket_size; then a name


def _read_all(file: File, chunk: int = 1 << 16) -> bytes:
    buffer = ffi.new("char[]", chunk)
    data = b""
    while True:
        got = check(lib.kvmemu_read(file.handle(), buffer, chunk, len(data)), "read of statistics")
        if not got:
            return data
        data += bytes(ffi.buffer(buffer, got))


def parse_statistics(data: bytes) -> Statistics:
    """The values by name; a histogram is a tuple of its buckets.

    Source: Documentation/virt/kvm/api.rst 4.133, Linux 6.1.
    """
    _, name_bytes, count, _, descriptors_at, data_at = _HEADER.unpack_from(data)
    values: Statistics = {}
    for n in range(count):
        at = descriptors_at + n * (_DESCRIPTOR.size + name_bytes)
        _, _, size, offset, _ = _DESCRIPTOR.unpack_from(data, at)
        name = data[at + _DESCRIPTOR.size :][:name_bytes].split(b"\0")[0].decode()
        found = struct.unpack_from(f"<{size}Q", data, data_at + offset)
        values[name] = found if size > 1 else found[0]
    return values


def read_statistics(file: File) -> Statistics:
    """The statistics of a VM or vCPU."""
    with File(file._create(KVM_GET_STATS_FD, 0)) as stats:
        return parse_statistics(_read_all(stats))
