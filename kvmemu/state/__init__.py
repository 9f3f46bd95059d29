# SPDX-License-Identifier: MIT
"""The state of a whole VM: saved, restored, compared, kept in files.

A client of the ioctl interface alone, so that it would work over a real /dev/kvm too.
"""

from kvmemu.errors import RestoreError, StateFileError
from kvmemu.state.diff import Difference, compare
from kvmemu.state.files import dumps, load, loads, store
from kvmemu.state.gic import restore_gic, save_gic
from kvmemu.state.interrupts import SavedIrq, interrupts
from kvmemu.state.memory import Contents
from kvmemu.state.model import AttrBlock, GicState, SlotState, VcpuDevices, VcpuState, VmState
from kvmemu.state.restore import restore
from kvmemu.state.save import save

__all__ = [
    "AttrBlock",
    "Contents",
    "Difference",
    "GicState",
    "RestoreError",
    "SavedIrq",
    "SlotState",
    "StateFileError",
    "VcpuDevices",
    "VcpuState",
    "VmState",
    "compare",
    "dumps",
    "interrupts",
    "load",
    "loads",
    "restore",
    "restore_gic",
    "save",
    "save_gic",
    "store",
]
