# SPDX-License-Identifier: MIT
"""The state of a whole VM: saved, restored, compared, kept in files.

A client of the ioctl interface alone, so that it would work over a real /dev/kvm too.
"""

from kvmemu.state.diff import Difference, compare
from kvmemu.state.files import StateFileError, dumps, load, loads, store
from kvmemu.state.model import VcpuState, VmState
from kvmemu.state.restore import RestoreError, restore
from kvmemu.state.save import save

__all__ = [
    "Difference",
    "RestoreError",
    "StateFileError",
    "VcpuState",
    "VmState",
    "compare",
    "dumps",
    "load",
    "loads",
    "restore",
    "save",
    "store",
]
