/* SPDX-License-Identifier: MIT */
/*
 * A guest's system registers: those of the CPU interface and the timers are the hardware's, others trap or are the vCPU's.
 * Layer: vm. Source: arch/arm64/kvm/sys_regs.c, Linux 6.1.
 */
#include <errno.h>

#include "../machine/host.h"
#include "../machine/pcpu.h"
#include "../reg/sys.h"
#include "../timer/timer.h"
#include "cpu_traps.h"
#include "vcpu.h"

bool trap_gic_access(struct vcpu *vcpu, uint64_t ipa, uint32_t bytes, bool write, uint64_t *value)
{
	struct vgic *vgic = &vcpu->vm->vgic;
	struct vgic_place place;
	bool halts;

	if (!vgic_find_place(vcpu, ipa, bytes, &place))
		return false;
	halts = vgic_touches_active(vcpu->vm, &place);
	if (halts)
		cpu_halt_others(vcpu);
	pthread_mutex_lock(&vgic->lock);
	if (write)
		vgic_guest_write(vcpu, &place, bytes, bytes == 8 ? *value : *value & ((1ull << bytes * 8) - 1));
	else
		*value = vgic_guest_read(vcpu, &place, bytes);
	pthread_mutex_unlock(&vgic->lock);
	if (halts)
		cpu_resume_others(vcpu);
	if (!write && bytes < 8)
		*value &= (1ull << bytes * 8) - 1;
	return true;
}

void trap_maintenance(struct vcpu *vcpu)
{
	if (virt_cpuif_maintenance(&vcpu->pcpu->vif))
		atomic_store(&vcpu->kicked, true);
}

static bool is_icc(enum sysreg reg)
{
	return reg == SR_ICC_PMR_EL1 || (reg >= SR_ICC_IAR0_EL1 && reg <= SR_ICC_IGRPEN1_EL1);
}

static bool is_sgi(enum sysreg reg)
{
	return reg == SR_ICC_SGI1R_EL1 || reg == SR_ICC_ASGI1R_EL1 || reg == SR_ICC_SGI0R_EL1;
}

/* Writes that make an SGI trap. */
static int send_sgi(struct kvmemu_cpu *cpu, enum sysreg reg, uint64_t value)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);

	cpu_exit(vcpu);
	pthread_mutex_lock(&vcpu->vm->vgic.lock);
	vgic_send_sgi(vcpu, value, reg == SR_ICC_SGI1R_EL1);
	pthread_mutex_unlock(&vcpu->vm->vgic.lock);
	return cpu_go_on(cpu, 0);
}

/*
 * ICC_SRE_EL1 traps while a guest has a GICv3, whatever the host could do without system registers: it reads as KVM's
 * vgic_sre, and keeps nothing. Source: access_gic_sre().
 */
static int access_sre(struct kvmemu_cpu *cpu, bool write, uint64_t *value)
{
	cpu_exit(cpu_vcpu(cpu));
	if (!write)
		*value = ICC_SRE_SRE | ICC_SRE_DFB | ICC_SRE_DIB;
	return cpu_go_on(cpu, *value);
}

static int access_icc(struct kvmemu_cpu *cpu, enum sysreg reg, bool write, uint64_t *value)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);
	int err;

	if (vcpu->vm->vgic.model != VGIC_V3)
		return -ENOENT;
	if (is_sgi(reg))
		return write ? send_sgi(cpu, reg, *value) : -ENOENT;
	if (reg == SR_ICC_SRE_EL1)
		return access_sre(cpu, write, value);
	lock_take(&vcpu->guest_lock);
	err = write ? icv_write(&vcpu->pcpu->vif, reg, *value) : icv_read(&vcpu->pcpu->vif, reg, value);
	if (!err)
		trap_maintenance(vcpu);
	lock_release(&vcpu->guest_lock);
	return err;
}

/* A timer that KVM emulates traps: on hosts without VHE the physical one. Its counter does not. */
static bool timer_traps(const struct vcpu *vcpu, enum sysreg reg)
{
	return reg >= SR_CNTP_TVAL_EL0 && reg <= SR_CNTP_CVAL_EL0 && !timer_is_mapped(vcpu, TIMER_PHYSICAL);
}

static int access_timer(struct kvmemu_cpu *cpu, enum sysreg reg, bool write, uint64_t *value)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);
	bool traps = timer_traps(vcpu, reg);
	int err;

	if (traps)
		cpu_exit(vcpu);
	err = write ? timer_guest_write(vcpu, reg, *value) : timer_guest_read(vcpu, reg, value);
	return traps ? cpu_go_on(cpu, *value) : err;
}

/* ISR_EL1: I and F. */
static uint64_t isr_of_lines(unsigned int lines)
{
	return (lines & CPU_LINE_IRQ ? 1u << 7 : 0) | (lines & CPU_LINE_FIQ ? 1u << 6 : 0);
}

/* A register that KVM emulates: out of the guest and, unless the access is UNDEFINED, on behind it. */
static int access_trapped(struct kvmemu_cpu *cpu, enum sysreg reg, bool write, uint64_t *value)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);
	int err;

	cpu_exit(vcpu);
	err = write ? sys_guest_write(vcpu, reg, *value) : sys_guest_read(vcpu, reg, value);
	if (!err)
		return cpu_go_on(cpu, *value);
	cpu_enter(vcpu);
	return err;
}

int cpu_read_sysreg(struct kvmemu_cpu *cpu, uint16_t encoding, uint64_t *value)
{
	enum sysreg reg = sysreg_find(encoding);
	struct vcpu *vcpu = cpu_vcpu(cpu);

	if (cpu_was_trapped(cpu)) {
		*value = cpu->data;
		return 0;
	}
	if (!cpu_begin(cpu))
		return CPU_LEAVE;
	if (is_icc(reg))
		return access_icc(cpu, reg, false, value);
	if (timer_guest_has(reg))
		return access_timer(cpu, reg, false, value);
	if (reg == SR_ISR_EL1) {
		*value = isr_of_lines(cpu_lines_of(vcpu));
		return 0;
	}
	if (reg != SR_NONE && sys_rows[reg].traps)
		return access_trapped(cpu, reg, false, value);
	cpu->op_trapped = cpu_is_stepped(cpu) && sys_guest_traps(vcpu, reg, false);
	return reg == SR_NONE ? -ENOENT : sys_guest_read(vcpu, reg, value);
}

int cpu_write_sysreg(struct kvmemu_cpu *cpu, uint16_t encoding, uint64_t value)
{
	enum sysreg reg = sysreg_find(encoding);
	struct vcpu *vcpu = cpu_vcpu(cpu);

	if (cpu_was_trapped(cpu))
		return 0;
	if (!cpu_begin(cpu))
		return CPU_LEAVE;
	if (is_icc(reg))
		return access_icc(cpu, reg, true, &value);
	if (timer_guest_has(reg))
		return access_timer(cpu, reg, true, &value);
	if (reg != SR_NONE && sys_rows[reg].traps)
		return access_trapped(cpu, reg, true, &value);
	cpu->op_trapped = cpu_is_stepped(cpu) && sys_guest_traps(vcpu, reg, true);
	return reg == SR_NONE ? -ENOENT : sys_guest_write(vcpu, reg, value);
}
