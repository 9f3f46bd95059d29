# SPDX-License-Identifier: MIT
"""Scripts: timers, and what leaves the guest.

Part of the tests.
"""

from __future__ import annotations

from conformance.guests import (
    DIST,
    ICACTIVER,
    ICENABLER,
    ICPENDR,
    ISACTIVER,
    ISENABLER,
    ISPENDR,
    SPURIOUS,
    Machine,
)
from conformance.sweep import head

ALL_HOSTS = ("gicv3-max", "gicv3-neoverse-n1", "gicv3-gicv2-compat", "gicv2-cortex-a72")
VTIMER, PTIMER = 27, 30
# QEMU's timer never rests once a CVAL is further off than its 64-bit counter: not all ones.
FAR = 1 << 60
CTL, CVAL, CNT = "KVM_REG_ARM_TIMER_CTL", "KVM_REG_ARM_TIMER_CVAL", "KVM_REG_ARM_TIMER_CNT"
RAM = 0x4000_0000
VOID = 0x5000_0000


def _timer(m: Machine, name: str, intid: int, see: list[str]) -> list[str]:
    """What a timer does when its time has come."""
    c, lines = m.cpuif, []
    state = [*m.load_bits(ISPENDR, 27, 27), *m.load_bits(ISACTIVER, 27, 27)]
    ctl, cval, tval = (f"{name}_{what}_EL0" for what in ("CTL", "CVAL", "TVAL"))
    look = [f"read {ctl}", "lines", c.highest(), *state]
    # when the hardware's interrupt comes is its own affair: the guest waits for it
    due = [f"write {cval} 0", f"write {ctl} 1", "wfi"]
    lines.append(f"# {name}: what its registers keep")
    for value in (1 << 63 | 0x1234567, 0x0, FAR | 2):
        ops = [f"write {cval} {FAR:#x}", f"write {ctl} {value:#x}", f"read {ctl}"]
        ops += [f"write {ctl} -1", f"read {ctl}", f"write {ctl} 2", f"write {cval} {value:#x}"]
        lines.append(m.guest(*ops, f"read {cval}"))
    lines.append(m.guest(f"write {cval} {FAR:#x}", f"write {ctl} 1", *look))
    lines.append(f"# {name}: its time has come")
    lines += [m.guest(*due, *look, c.ack("a"), *look), *see, m.guest(*look), *see]
    lines.append(f"# {name}: ended while it is still so: again; masked while active: not again")
    lines += [m.guest(c.eoi(intid), "wfi", *look), *see]
    lines += [m.guest("wfi", c.ack("a"), c.eoi("$a"), "wfi", c.ack("b"), *look), *see]
    lines += [m.guest(f"write {ctl} 3", *look, c.eoi(intid), *look, c.ack()), *see]
    lines.append(f"# {name}: unmasked; moved away before it is taken; disabled before")
    lines += [m.guest(f"write {ctl} 1", "wfi", *look, f"write {cval} {FAR:#x}", *state), *see]
    lines += [m.guest(*look, c.ack()), *see, m.guest(*due, *look, f"write {ctl} 0", *state)]
    lines += [*see, m.guest(*look, c.ack()), *see]
    lines.append(f"# {name}: moved away while active, and back")
    lines += [m.guest(*due, c.ack("a"), f"write {cval} {FAR:#x}", *look), *see]
    lines += [m.guest(*look, f"write {cval} 0", *look, c.eoi(intid), "wfi", *look), *see]
    lines += [m.guest(f"write {ctl} 0", *state, c.ack()), *see]
    lines.append(f"# {name}: the guest waits for it: by CVAL, by TVAL")
    now = "CNTVCT_EL0" if name == "CNTV" else "CNTPCT_EL0"
    ops = [f"read {now} -> now ?", f"write {cval} $now+100000", f"write {ctl} 1", "wfi"]
    lines += [m.guest(*ops, c.ack("a"), f"write {ctl} 0", c.eoi("$a"), "lines"), *see]
    ops = [f"write {tval} 100000", f"write {ctl} 1", "wfi", f"read {tval} ?"]
    lines += [m.guest(*ops, c.ack("a"), f"write {ctl} 0", c.eoi("$a"), "lines"), *see]
    ops = [f"write {tval} -1", f"write {ctl} 1", "wfi", *look, f"write {ctl} 0", *state]
    lines += [m.guest(*ops), *see]
    lines.append(f"# {name}: ten ticks")
    tick = [f"read {now} -> now ?", f"write {cval} $now+20000", "wfi", c.ack("a"), c.running()]
    tick += [f"write {cval} {FAR:#x}", c.eoi("$a")]
    lines += [m.guest(f"write {ctl} 1", f"repeat 10 [ {'; '.join(tick)} ]", f"write {ctl} 0")]
    lines += see
    return lines


def _timer_in_the_distributor(m: Machine, name: str, intid: int, see: list[str]) -> list[str]:
    """What the guest writes about the interrupt of a timer, and EOImode 1."""
    c, lines = m.cpuif, []
    ctl, cval = f"{name}_CTL_EL0", f"{name}_CVAL_EL0"
    state = [*m.load_bits(ISPENDR, 27, 27), *m.load_bits(ISACTIVER, 27, 27)]
    look = [f"read {ctl}", "lines", c.highest(), *state]
    due = [f"write {cval} 0", f"write {ctl} 1", "wfi"]
    irqs = (VTIMER, PTIMER)
    lines.append(f"# {name}: made inactive, active, pending, not pending in the distributor")
    for offset in (ICACTIVER, ISACTIVER, ISPENDR, ICPENDR):
        ops = [*due, c.ack("a"), f"write {ctl} 3", *look, *m.set_bits(offset, [intid]), *look]
        lines += [m.guest(*ops), *see, m.guest(*look, c.eoi(intid), *look, c.ack()), *see]
        lines += [*m.clear(irqs), m.guest(f"write {ctl} 0", *look), *see]
    lines.append(f"# {name}: EOImode 1: not again until it is deactivated")
    ops = [*c.control(eoi_mode=True), *due, c.ack("a"), c.eoi("$a"), *look]
    lines += [m.guest(*ops), *see, m.guest(*look, c.deactivate(intid), "wfi", *look), *see]
    lines += [m.guest("wfi", c.ack("b"), f"write {ctl} 0", c.eoi("$b"), c.deactivate("$b"))]
    lines += [*see, m.guest(*c.control(), *look), *see]
    lines.append(f"# {name}: not enabled in the distributor, and then it is")
    lines += [m.guest(*m.set_bits(ICENABLER, [intid]), f"write {cval} 0", f"write {ctl} 1")]
    lines += [m.guest(*look), *see, m.guest(*m.set_bits(ISENABLER, [intid]), "wfi", c.ack())]
    lines += [*see, m.guest(f"write {ctl} 0", c.eoi(intid), *look), *see]
    return lines


def timers(version: int) -> list[str]:
    """The virtual and the physical timer, whose interrupts are the hardware's."""
    m = Machine(version)
    c = m.cpuif
    irqs = (VTIMER, PTIMER)
    lines = m.head(
        "Timers: one whose time has come raises its PPI until the guest moves or masks it; while "
        "the interrupt is active it does not come again. What user space sees of it."
    )
    groups = m.set_bits(0x80, irqs) if version == 3 else []
    lines.append(m.guest(*m.start(), *groups, *m.set_bits(ISENABLER, irqs)))
    see = [*m.see_state((VTIMER,)), f"get v0 {CTL}"]
    for name, intid in (("CNTV", VTIMER), ("CNTP", PTIMER)):
        lines += _timer(m, name, intid, see)
        lines += _timer_in_the_distributor(m, name, intid, see)
    lines.append("# armed by user space; seen by it when the guest has armed it")
    lines += [f"set v0 {CVAL} 0", f"set v0 {CTL} 1", m.guest("wfi", c.ack())]
    lines += [*see, f"set v0 {CTL} 0", *see, m.guest("read CNTV_CTL_EL0", c.eoi(VTIMER), "lines")]
    lines += [*see, m.guest("write CNTV_CVAL_EL0 0x1234", "write CNTV_CTL_EL0 3"), f"get v0 {CTL}"]
    lines += [f"get v0 {CVAL}", m.guest("write CNTV_CTL_EL0 0"), f"set v0 {CNT} 0x4000000000000000"]
    lines.append(m.guest("read CNTVCT_EL0 -> a ?", "write CNTV_CVAL_EL0 0x3fffffffffffffff",
                         "write CNTV_CTL_EL0 1", "read CNTV_CTL_EL0", "wfi"))  # fmt: skip
    lines += [m.guest("write CNTV_CVAL_EL0 0x4fffffffffffffff", "read CNTV_CTL_EL0"), *see]
    return lines


def timers_without() -> list[str]:
    """Timers of a VM without a GIC in the kernel: user space is told."""
    m = Machine(3)
    lines = head(
        ALL_HOSTS,
        "Timers without a GIC in the kernel: KVM_RUN returns when an output moves, and "
        "device_irq_level (at 304 of kvm_run) says where it is. Lines of a GIC in user space.",
    )
    lines += ["open kvm", "ioctl kvm KVM_CREATE_VM 0 -> vm", "ioctl vm KVM_CREATE_VCPU 0 -> v0"]
    lines.append("ioctl v0 KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 4 6*0 ]")
    lines += ["mmap v0 0x1000 0 -> run", m.guest("lines", "read CNTV_CTL_EL0", "read CNTP_CTL_EL0")]
    for name, now in (("CNTV", "CNTVCT_EL0"), ("CNTP", "CNTPCT_EL0")):
        ctl, cval = f"{name}_CTL_EL0", f"{name}_CVAL_EL0"
        # the guest waits: where it is when the hardware's interrupt comes is its own affair
        due = [f"read {now} -> now ?", f"write {cval} $now+5000000", f"write {ctl} 1", "wfi"]
        lines += [f"# {name}", m.guest(*due), "peek run+304 [ 0 ]"]
        lines += [m.guest(f"read {ctl}", "lines", f"write {ctl} 3", f"read {ctl}")]
        lines += ["peek run+304 [ 0 ]", m.guest(*due), "peek run+304 [ 0 ]"]
        lines += [m.guest(f"write {ctl} 0", f"read {ctl}"), "peek run+304 [ 0 ]"]
        lines += [m.guest(*due), "peek run+304 [ 0 ]", "poke run+304 [ 0 ]", m.guest("wfi")]
        lines += ["peek run+304 [ 0 ]", m.guest(f"write {ctl} 0"), "peek run+304 [ 0 ]"]
    lines.append("# lines")
    for irq, level in ((0, 1), (1, 1), (0, 0), (1, 0)):
        lines.append(f"ioctl vm KVM_IRQ_LINE [ u32 {irq:#x} {level} ]")
        lines.append(m.guest("lines"))
    lines += ["alarm 100", m.guest("wfi", "lines"), "ioctl vm KVM_IRQ_LINE [ u32 1 1 ]", "guest v0"]
    return lines


def vcpus(features: tuple[str, ...]) -> list[str]:
    """A VM without a GIC: vCPUs with these features, and the first one's kvm_run."""
    lines = ["open kvm", "ioctl kvm KVM_CREATE_VM 0 -> vm"]
    for number, bits in enumerate(features):
        lines.append(f"ioctl vm KVM_CREATE_VCPU {number} -> v{number}")
        lines.append(
            f"ioctl v{number} KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 {bits} 6*0 ]"
        )
    return [*lines, "mmap v0 0x1000 0 -> run0"]


def leaving() -> list[str]:
    """Loads and stores that user space answers; ends of a run."""
    m = Machine(3)
    lines = head(
        ALL_HOSTS,
        "What leaves the guest: loads and stores where nothing is, by all widths, and how kvm_run "
        "says it; read-only memory; a run that ends before the guest is done, and goes on.",
    )
    lines += vcpus(("4",))
    lines += ["buffer ram 0x2000"]
    slot = "ioctl vm KVM_SET_USER_MEMORY_REGION [ u32 {} {} u64 {:#x} 0x1000 &ram+{:#x} ]"
    lines += [slot.format(0, 0, RAM, 0), slot.format(1, 2, RAM + 0x10000, 0x1000)]
    lines.append("poke ram+0x1000 [ u64 0x1122334455667788 ]")
    value = 0xFEDCBA9876543210
    for width in (1, 2, 4, 8):
        bits = (1 << 8 * width) - 1
        ops = [f"load {VOID:#x} {width} <- {value & bits:#x} -> a", f"store {RAM:#x} 8 $a"]
        ops += [f"load {VOID + width:#x} {width}", f"store {VOID:#x} {width} {value & bits:#x}"]
        ops += [f"store {RAM + 8:#x} {width} {value & bits:#x}", f"load {RAM + 8:#x} {width}"]
        ops += [f"load {RAM + 0x10000:#x} {width}", f"store {RAM + 0x10000:#x} {width} 0x55"]
        lines += [m.guest(*ops), "peek ram+0 [ 2*0 ]", "peek ram+0x1000 [ 0 ]"]
    lines.append("# kvm_run when the guest is done: a store to the end's address")
    lines += ["poke run0+8 [ u32 0x77 ]", m.guest("lines"), "peek run0+8 [ u32 0 ]"]
    lines.append("peek run0+32 [ u64 0 0 u32 0 u8 0 ]")
    lines.append("# immediate_exit; a signal while the guest waits; and on it goes")
    lines += ["poke run0+1 [ u8 1 ]", m.guest("lines", "lines"), "poke run0+1 [ u8 0 ]", "guest v0"]
    ops = ["lines", "wfi", f"load {VOID:#x} 4 <- 1"]
    lines += ["alarm 50", m.guest(*ops), "ioctl vm KVM_IRQ_LINE [ u32 0 1 ]", "guest v0"]
    lines += ["ioctl vm KVM_IRQ_LINE [ u32 0 0 ]", "alarm 50", m.guest("wfi")]
    lines += ["# a list that was not done to its end is forgotten", m.guest("lines")]
    lines.append("# dirty pages")
    lines.append(slot.format(0, 1, RAM, 0))
    log = "ioctl vm KVM_GET_DIRTY_LOG [ u32 0 0 u64 [ 0 ] ]"
    lines += [
        log,
        m.guest(f"load {RAM:#x} 8"),
        log,
        m.guest(f"store {RAM + 0x10:#x} 1 1"),
        log,
        log,
    ]
    lines.append("# an address beyond the VM's; a vCPU that is not there yet, and a stopped one")
    lines.append(m.guest("load 0x7ffff00000 4 <- 9"))
    lines += ["ioctl vm KVM_CREATE_VCPU 1 -> v1", m.guest("lines", vcpu=1)]
    lines.append("ioctl v1 KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 5 6*0 ]")
    lines += ["alarm 50", m.guest("lines", vcpu=1)]
    lines.append("ioctl v1 KVM_SET_MP_STATE [ u32 KVM_MP_STATE_RUNNABLE ]")
    lines += ["guest v1", "# initialised again, it begins again"]
    lines.append("ioctl v1 KVM_ARM_VCPU_INIT [ u32 KVM_ARM_TARGET_GENERIC_V8 4 6*0 ]")
    lines += [m.guest("lines", "context", vcpu=1)]
    lines.append("# no id of the CPU is hidden")
    lines.append(m.guest("read MPIDR_EL1", "read ISR_EL1", "read CNTFRQ_EL0", "read TPIDR_EL0"))
    return lines


def in_kernel(version: int) -> list[str]:
    """What an access that user space has no part in leaves in kvm_run."""
    m = Machine(version)
    lines = m.head(
        "Loads and stores that the kernel answers, and what they leave in kvm_run's mmio: each is "
        "followed by WFI, which a signal ends.",
    )
    lines += ["mmap v0 0x1000 0 -> run0", "eventfd e 0 0"]
    lines.append(f"ioctl vm KVM_IOEVENTFD [ 0x99 {VOID:#x} u32 4 fd:e 1 9*0 ]")
    ops = [f"load {DIST + 4:#x} 4", f"store {DIST:#x} 4 {version - 1}", f"load {DIST + 0x400:#x} 1"]
    ops += [f"store {DIST + 0x421:#x} 1 0xa0", f"load {DIST + 0x10:#x} 4", f"load {DIST + 4:#x} 2"]
    if version == 3:
        ops += [f"load {DIST + 0x6100:#x} 8", f"store {DIST + 0x6100:#x} 8 0"]
    ops.append(f"store {VOID:#x} 4 0x99")
    lines.append(m.guest("lines"))
    for op in ops:
        lines += ["poke run0+32 [ u64 0x11 0x2233445566778899 u32 0x55 u8 0x66 ]", "alarm 100"]
        lines += [m.guest(op, "wfi"), "peek run0+32 [ u64 0 0 u32 0 u8 0 ]"]
        lines.append("peek run0+8 [ u32 0 ]")
    return lines


def many(version: int) -> list[str]:
    """A storm."""
    m = Machine(version, nr_irqs=256)
    c = m.cpuif
    irqs = range(32, 160)
    lines = m.head("128 interrupts at once, in list registers of which there are a few.")
    lines.append(m.guest(*m.start(irqs), *m.set_bits(ISENABLER, irqs)))
    priority = {irq: (irq * 37 & 0x1F) << 3 for irq in irqs}
    del priority[max(irqs)]
    lines.append(m.guest(*m.priorities(priority)))
    take = "; ".join([c.ack("a"), f"until $a {SPURIOUS}", c.eoi("$a")])
    lines.append(m.guest(*m.set_bits(ISPENDR, irqs), f"repeat 132 [ {take} ]", "lines"))
    return [*lines, m.guest(f"load {DIST + 0x204:#x} 4", f"load {DIST + 0x304:#x} 4")]
