# SPDX-License-Identifier: MIT
"""What scripts whose guests act have in common: VMs with a GIC, and a guest's operations by name.

Part of the tests. guests_*.py make scripts of it, for make_scripts.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from conformance.sweep import head

# With VHE and without it. gicv3-max-sve is gicv3-max but for SVE; on gicv3-gicv2-compat is no GICV.
V3_HOSTS = ("gicv3-max", "gicv3-neoverse-n1", "gicv3-gicv2-compat")
V2_HOSTS = ("gicv2-cortex-a72",)

DIST = 0x0800_0000
CPU = 0x0801_0000  # GICv2
REDIST = 0x080A_0000  # GICv3: 0x20000 for each vCPU
REDIST_BYTES = 0x2_0000
SGI_FRAME = 0x1_0000

SPURIOUS = 1023
ACK_MAX = 24
LINE_COLUMNS = 98

# of the distributor, and where GICv3 has the same registers for its SGIs and PPIs
IGROUPR, ISENABLER, ICENABLER, ISPENDR, ICPENDR = 0x80, 0x100, 0x180, 0x200, 0x280
ISACTIVER, ICACTIVER, IPRIORITYR, ITARGETSR, ICFGR = 0x300, 0x380, 0x400, 0x800, 0xC00
GICD_SGIR, IROUTER = 0xF00, 0x6000

# of the CPU interface, as device attributes have them
V2_CPUIF = {"CTLR": 0x00, "PMR": 0x04, "BPR0": 0x08, "BPR1": 0x1C, "APR": 0xD0}
V3_CPUIF = {
    "PMR": 0xC230, "BPR0": 0xC643, "AP0R0": 0xC644, "AP1R0": 0xC648, "BPR1": 0xC663,
    "CTLR": 0xC664, "SRE": 0xC665, "IGRPEN0": 0xC666, "IGRPEN1": 0xC667,
}  # fmt: skip


def attr(fd: str, what: str, group: str, number: int | str, value: str = "0") -> str:
    """A line that gets or sets a device attribute. value: a block, or 0."""
    number = number if isinstance(number, str) else f"{number:#x}"
    where = f"u32 0 KVM_DEV_ARM_VGIC_GRP_{group} u64 {number}"
    return f"ioctl {fd} KVM_{what}_DEVICE_ATTR [ {where} {value} ]"


def act(*lists: tuple[str, Iterable[str]]) -> str:
    """A statement: vCPUs and what their guests do, over as many lines as it takes."""
    text = "guest"
    for fd, ops in lists:
        text += f" {fd} [ {'; '.join(ops)} ]"
    return "\n".join(
        textwrap.wrap(text, LINE_COLUMNS, subsequent_indent="  ", break_long_words=False)
    )


@dataclass(frozen=True)
class Cpuif:
    """Operations on the CPU interface of a GIC.

    A GICv2's guest has its interrupts in group 0, as a Linux guest has, and acknowledges them by
    IAR. AIAR and its like, which QEMU does not have, are not used.
    """

    version: int

    def _read(self, v3: str, v2: int) -> str:
        return f"read ICC_{v3}_EL1" if self.version == 3 else f"load {CPU + v2:#x} 4"

    def _write(self, v3: str, v2: int, value: int | str) -> str:
        text = value if isinstance(value, str) else f"{value:#x}"
        if self.version == 3:
            return f"write ICC_{v3}_EL1 {text}"
        return f"store {CPU + v2:#x} 4 {text}"

    def ack(self, name: str = "", group: int = 1) -> str:
        op = self._read(f"IAR{group}", 0x0C)
        return f"{op} -> {name}" if name else op

    def eoi(self, value: int | str, group: int = 1) -> str:
        return self._write(f"EOIR{group}", 0x10, value)

    def deactivate(self, value: int | str) -> str:
        return self._write("DIR", 0x1000, value)

    def end_if_running(self, intid: int) -> str:
        """End of interrupt; on a GICv2, which leaves open what becomes of it else, if one runs."""
        if self.version == 3:
            return self.eoi(intid)
        return f"repeat 1 [ {self._read('', 0xD0)} -> r; until $r 0; {self.eoi(intid)} ]"

    def running(self) -> str:
        return self._read("RPR", 0x14)

    def highest(self, group: int = 1) -> str:
        return self._read(f"HPPIR{group}", 0x18)

    def mask(self, value: int) -> str:
        return self._write("PMR", 0x04, value)

    def binary_point(self, value: int, group: int = 1) -> str:
        """GICv2: of group 0, which holds for group 1 too where CBPR is set; else ABPR."""
        return self._write(f"BPR{group}", 0x1C if group else 0x08, value)

    def binary_points(self) -> list[str]:
        """Of group 0, of group 1."""
        return [self._read("BPR0", 0x08), self._read("BPR1", 0x1C)]

    def read_mask(self) -> str:
        return self._read("PMR", 0x04)

    def active_priorities(self) -> list[str]:
        if self.version == 2:
            return [self._read("", 0xD0)]
        return [self._read("AP0R0", 0), self._read("AP1R0", 0)]

    def control(self, *, eoi_mode: bool = False, cbpr: bool = False, v2: int = 1) -> list[str]:
        """Groups on. v2: for a GICv2, from bit 0 on EnableGrp0, EnableGrp1, AckCtl, FIQEn."""
        if self.version == 2:
            return [self._write("", 0x00, v2 | cbpr << 4 | eoi_mode << 9)]
        return [
            self._write("CTLR", 0, int(cbpr) | eoi_mode << 1),
            self._write("IGRPEN0", 0, 1),
            self._write("IGRPEN1", 0, 1),
        ]

    def ack_all(
        self, *, eoi: bool = True, group: int = 1, times: int = ACK_MAX, leave: bool = False
    ) -> str:
        """Acknowledges until there is nothing; what runs shows each time.

        leave: the hypervisor gets its turn after each end, which a maintenance interrupt gives it
        only some time later.
        """
        body = [self.ack("irq", group), f"until $irq {SPURIOUS}", self.running()]
        if eoi:
            body.append(self.eoi("$irq", group))
        if leave:
            body.append(f"load {DIST + 8:#x} 4")
        return f"repeat {times} [ {'; '.join(body)} ]"


@dataclass
class Machine:
    """A VM with a GIC, and lines about it.

    Attributes:
        mark: stands behind the names of descriptors, for a second VM in the same script.
    """

    version: int = 3
    vcpus: int = 1
    nr_irqs: int = 96
    mark: str = ""

    @property
    def cpuif(self) -> Cpuif:
        return Cpuif(self.version)

    @property
    def hosts(self) -> tuple[str, ...]:
        return V3_HOSTS if self.version == 3 else V2_HOSTS

    def head(self, comment: str) -> list[str]:
        return [*head(self.hosts, comment), "open kvm", *self.create()]

    def vcpu(self, number: int = 0) -> str:
        return f"v{number}{self.mark}"

    def create(self) -> Iterator[str]:
        """Up to the point where the guest can run."""
        vm, gic = f"vm{self.mark}", f"gic{self.mark}"
        yield f"ioctl kvm KVM_CREATE_VM 0 -> {vm}"
        for number in range(self.vcpus):
            vcpu = self.vcpu(number)
            yield f"ioctl {vm} KVM_CREATE_VCPU {number} -> {vcpu}"
            yield f"ioctl {vcpu} KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 4 6*0 ]"
        kind = f"KVM_DEV_TYPE_ARM_VGIC_V{self.version}"
        yield f"ioctl {vm} KVM_CREATE_DEVICE [ u32 {kind} 0 0 ] -> {gic}"
        yield attr(gic, "SET", "NR_IRQS", 0, f"[ u32 {self.nr_irqs} ]")
        other = ("REDIST", REDIST) if self.version == 3 else ("CPU", CPU)
        for name, address in (("DIST", DIST), other):
            which = f"KVM_VGIC_V{self.version}_ADDR_TYPE_{name}"
            yield attr(gic, "SET", "ADDR", which, f"[ {address:#x} ]")
        yield attr(gic, "SET", "CTRL", "KVM_DEV_ARM_VGIC_CTRL_INIT")

    # ---- what guests do ----

    def guest(self, *ops: str, vcpu: int = 0) -> str:
        return act((self.vcpu(vcpu), ops))

    def guests(self, *lists: Iterable[str]) -> str:
        """vCPUs 0, 1, ... at the same time."""
        return act(*((self.vcpu(number), ops) for number, ops in enumerate(lists)))

    def frame(self, offset: int, intid: int, vcpu: int = 0, bits: int = 1) -> tuple[int, int]:
        """The address of an interrupt's 32-bit register, and its field's lowest bit in there."""
        base = DIST
        if self.version == 3 and intid < 32:
            base = REDIST + vcpu * REDIST_BYTES + SGI_FRAME
        return base + offset + intid * bits // 32 * 4, intid * bits % 32

    def set_bits(self, offset: int, intids: Iterable[int], vcpu: int = 0) -> list[str]:
        """Ones to a register of a bit an interrupt: one store a word."""
        words: dict[int, int] = {}
        for intid in intids:
            address, shift = self.frame(offset, intid, vcpu)
            words[address] = words.get(address, 0) | 1 << shift
        return [f"store {address:#x} 4 {word:#x}" for address, word in words.items()]

    def priorities(self, values: dict[int, int], vcpu: int = 0) -> list[str]:
        """One byte each."""
        ops = []
        for intid, value in values.items():
            address, shift = self.frame(IPRIORITYR, intid, vcpu, bits=8)
            ops.append(f"store {address + shift // 8:#x} 1 {value:#x}")
        return ops

    def load_bits(self, offset: int, first: int, last: int, vcpu: int = 0) -> list[str]:
        """The words of a register of a bit an interrupt, for these interrupts."""
        addresses = {self.frame(offset, intid, vcpu)[0]: None for intid in range(first, last + 1)}
        return [f"load {address:#x} 4" for address in addresses]

    def start(self, intids: Iterable[int] = ()) -> list[str]:
        """Distributor and CPU interface on; all priorities let through; GICv3: in group 1."""
        on = 3 if self.version == 2 else 0x13
        groups = self.set_bits(IGROUPR, intids) if self.version == 3 else []
        return [f"store {DIST:#x} 4 {on:#x}", self.cpuif.mask(0xFF), *self.cpuif.control(), *groups]

    def clear(self, intids: Iterable[int]) -> list[str]:
        """Nothing pending, nothing active, no active priorities: lines."""
        intids = list(intids)
        names = ("AP0R0", "AP1R0") if self.version == 3 else ("APR",)
        ops = [*self.set_bits(ICPENDR, intids), *self.set_bits(ICACTIVER, intids)]
        return [self.guest(*ops), *(self.set_cpuif(name, 0) for name in names)]

    # ---- what user space sees ----

    def put(self, offset: int, intid: int, value: int, vcpu: int = 0) -> str:
        """A distributor's or redistributor's word, written by user space."""
        group, number = self._word(offset, intid, vcpu)
        return attr(f"gic{self.mark}", "SET", group, number, f"[ u32 {value:#x} ]")

    def _word(self, offset: int, intid: int, vcpu: int) -> tuple[str, int]:
        """Group and number of a device attribute."""
        if self.version == 3 and intid < 32:
            return "REDIST_REGS", vcpu << 32 | SGI_FRAME + offset
        return "DIST_REGS", vcpu << 32 | offset + intid // 32 * 4

    def see(self, offset: int, intid: int = 32, vcpu: int = 0) -> str:
        """A distributor's or redistributor's word, read by user space."""
        group, number = self._word(offset, intid, vcpu)
        return attr(f"gic{self.mark}", "GET", group, number, "[ u32 0 ]")

    def _cpuif(self, name: str, vcpu: int) -> tuple[str, int]:
        """Group and number of a CPU interface register's device attribute."""
        if self.version == 2:
            return "CPU_REGS", vcpu << 32 | V2_CPUIF[name]
        return "CPU_SYSREGS", vcpu << 32 | V3_CPUIF[name]

    def see_cpuif(self, name: str, vcpu: int = 0) -> str:
        """A CPU interface's register, read by user space."""
        block = "[ u32 0 ]" if self.version == 2 else "[ 0 ]"
        return attr(f"gic{self.mark}", "GET", *self._cpuif(name, vcpu), block)

    def set_cpuif(self, name: str, value: int, vcpu: int = 0) -> str:
        """And written."""
        block = f"[ {'u32 ' if self.version == 2 else ''}{value:#x} ]"
        return attr(f"gic{self.mark}", "SET", *self._cpuif(name, vcpu), block)

    def see_state(self, intids: Iterable[int], vcpu: int = 0) -> list[str]:
        """Pending and active bits of these interrupts' words, and the active priorities."""
        words = dict.fromkeys(intid // 32 * 32 for intid in intids)
        lines = [self.see(offset, word, vcpu) for word in words for offset in (ISPENDR, ISACTIVER)]
        names = ("APR",) if self.version == 2 else ("AP0R0", "AP1R0")
        return [*lines, *(self.see_cpuif(name, vcpu) for name in names)]
