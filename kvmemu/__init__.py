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
        gic = vm.create_vgic_v3()
        gic.dist["GICD_ISENABLER1"] = 1 << 1
        vm.spi(33, True)
        print(gic.irq(33))
"""

from kvmemu import constants
from kvmemu.descriptors import close, dup, ioctl, open, pread
from kvmemu.errors import HostError, KvmError
from kvmemu.gic import VgicV2, VgicV3
from kvmemu.gic_irq import Irq
from kvmemu.guest_steps import Steps
from kvmemu.hosts import host_names
from kvmemu.injection import Msi
from kvmemu.registers import Register, describe, find
from kvmemu.system import System
from kvmemu.vcpu import Vcpu, VcpuEvents
from kvmemu.vm import Vm

__version__ = "0.1.0"

__all__ = [
    "HostError",
    "Irq",
    "KvmError",
    "Msi",
    "Register",
    "Steps",
    "System",
    "Vcpu",
    "VcpuEvents",
    "VgicV2",
    "VgicV3",
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
