# SPDX-License-Identifier: MIT
"""kvmemu: Linux's KVM/arm64 state interface in user space.

Two ways in, over one compiled core. As one would call `/dev/kvm` through `fcntl`:

    fd = kvmemu.open()
    vm = kvmemu.ioctl(fd, KVM_CREATE_VM, 0)

and as objects, one class per kind of descriptor:

    with kvmemu.System("gicv3-max") as system, system.create_vm() as vm:
        vcpu = vm.create_vcpu()
        vcpu.init()
        vcpu.regs["PC"] = 0x4000_0000
"""

from kvmemu import constants
from kvmemu.descriptors import close, dup, ioctl, open, pread
from kvmemu.errors import HostError, KvmError
from kvmemu.hosts import host_names
from kvmemu.registers import Register, describe, find
from kvmemu.system import System
from kvmemu.vcpu import Vcpu, VcpuEvents
from kvmemu.vm import Vm

__version__ = "0.1.0"

__all__ = [
    "HostError",
    "KvmError",
    "Register",
    "System",
    "Vcpu",
    "VcpuEvents",
    "Vm",
    "__version__",
    "close",
    "constants",
    "describe",
    "dup",
    "find",
    "host_names",
    "ioctl",
    "open",
    "pread",
]
