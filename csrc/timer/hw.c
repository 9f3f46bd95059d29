/* SPDX-License-Identifier: MIT */
/*
 * The timers while their vCPU is on a physical CPU. Layer: timer.
 *
 * A mapped timer is the hardware's: its registers are the guest's own, and its interrupt is the host's. The host's
 * distributor has it active from then on until the guest deactivates its own, so that it does not come again meanwhile.
 * Source: arch/arm64/kvm/arch_timer.c, Linux 6.1; Arm DDI 0487, D11.2.
 */
#include <errno.h>

#include "../machine/host.h"
#include "../machine/machine.h"
#include "../machine/pcpu.h"
#include "timer.h"

static struct pcpu_timer *hw(const struct vcpu *vcpu, enum timer_index index)
{
	return index == TIMER_VIRTUAL ? &vcpu->pcpu->vtimer : &vcpu->pcpu->ptimer;
}

static uint64_t hw_count(const struct vcpu *vcpu, enum timer_index index)
{
	return machine_counter(vcpu->vm->machine) - (index == TIMER_VIRTUAL ? vcpu->pcpu->cntvoff : 0);
}

/* CNTx_CTL_EL0: a timer that is not enabled has no status. */
static uint32_t hw_ctl(const struct vcpu *vcpu, enum timer_index index)
{
	const struct pcpu_timer *timer = hw(vcpu, index);

	if (timer->ctl & TIMER_CTL_ENABLE && timer->cval <= hw_count(vcpu, index))
		return timer->ctl | TIMER_CTL_ISTATUS;
	return timer->ctl;
}

bool timer_hw_output(const struct vcpu *vcpu, enum timer_index index)
{
	return hw_ctl(vcpu, index) == (TIMER_CTL_ENABLE | TIMER_CTL_ISTATUS);
}

/* The line as it is likely to be; if the timer comes between here and its registers, its interrupt tells. */
static void load_irq(struct vcpu *vcpu, enum timer_index index)
{
	struct vgic *vgic = &vcpu->vm->vgic;
	bool level = timer_line(vcpu, index), active = level;

	timer_set_line(vcpu, index, level);
	pthread_mutex_lock(&vgic->lock);
	active |= vgic_get_irq(vcpu->vm, vcpu, vcpu->timer[index].intid)->active;
	pthread_mutex_unlock(&vgic->lock);
	host_irq_set_active(vcpu->pcpu->machine, vcpu->pcpu, timer_host_intid(index), active);
}

void timers_load(struct vcpu *vcpu)
{
	if (!vcpu->timers_enabled)
		return;
	vcpu->pcpu->cntvoff = atomic_load_explicit(&vcpu->vm->cntvoff, memory_order_relaxed);
	for (enum timer_index i = 0; i < NR_TIMERS; i++) {
		if (vgic_in_kernel(&vcpu->vm->vgic)) {
			if (timer_is_mapped(vcpu, i))
				load_irq(vcpu, i);
			else
				timer_update_line(vcpu, i);
		}
		if (!timer_is_mapped(vcpu, i))
			continue;
		hw(vcpu, i)->cval = vcpu->timer[i].cval;
		hw(vcpu, i)->ctl = vcpu->timer[i].ctl & (TIMER_CTL_ENABLE | TIMER_CTL_IMASK);
	}
	vcpu->timers_loaded = true;
}

void timers_put(struct vcpu *vcpu)
{
	if (!vcpu->timers_loaded)
		return;
	vcpu->timers_loaded = false;
	for (enum timer_index i = 0; i < NR_TIMERS; i++) {
		if (!timer_is_mapped(vcpu, i))
			continue;
		vcpu->timer[i].ctl = hw_ctl(vcpu, i);
		vcpu->timer[i].cval = hw(vcpu, i)->cval;
		hw(vcpu, i)->ctl = 0;
	}
	vcpu->pcpu->cntvoff = 0;
}

static void check_mapped(struct vcpu *vcpu, enum timer_index index)
{
	uint32_t ppi = timer_host_intid(index);

	if (!(hw(vcpu, index)->ctl & TIMER_CTL_ENABLE) || host_irq_is_active(vcpu->pcpu->machine, vcpu->pcpu, ppi) || !timer_hw_output(vcpu, index))
		return;
	host_irq_set_active(vcpu->pcpu->machine, vcpu->pcpu, ppi, true);
	if (vgic_in_kernel(&vcpu->vm->vgic))
		timer_set_line(vcpu, index, true);
	else
		vcpu_kick(vcpu);
}

void timers_check(struct vcpu *vcpu)
{
	if (!vcpu->timers_loaded)
		return;
	for (enum timer_index i = 0; i < NR_TIMERS; i++) {
		if (timer_is_mapped(vcpu, i))
			check_mapped(vcpu, i);
		else if (vcpu->timer[i].ctl & TIMER_CTL_ENABLE && vgic_in_kernel(&vcpu->vm->vgic))
			timer_update_line(vcpu, i);
	}
}

bool timer_hw_level(const struct vcpu *vcpu, uint32_t intid)
{
	for (enum timer_index i = 0; i < NR_TIMERS; i++)
		if (vcpu->timers_enabled && timer_is_mapped(vcpu, i) && vcpu->timer[i].intid == intid)
			return timer_line(vcpu, i);
	return false;
}

bool timer_guest_has(enum sysreg reg)
{
	switch (reg) {
	case SR_CNTFRQ_EL0:
	case SR_CNTPCT_EL0:
	case SR_CNTVCT_EL0:
	case SR_CNTP_TVAL_EL0 ... SR_CNTV_CVAL_EL0:
		return true;
	default:
		return false;
	}
}

static enum timer_index index_of(enum sysreg reg)
{
	return reg >= SR_CNTV_TVAL_EL0 ? TIMER_VIRTUAL : TIMER_PHYSICAL;
}

/* Where the registers are: in the hardware, or where KVM emulates them. */
static uint64_t cval_of(const struct vcpu *vcpu, enum timer_index index)
{
	return timer_is_mapped(vcpu, index) ? hw(vcpu, index)->cval : vcpu->timer[index].cval;
}

static void set_cval(struct vcpu *vcpu, enum timer_index index, uint64_t cval)
{
	if (timer_is_mapped(vcpu, index))
		hw(vcpu, index)->cval = cval;
	else
		vcpu->timer[index].cval = cval;
}

int timer_guest_read(struct vcpu *vcpu, enum sysreg reg, uint64_t *value)
{
	enum timer_index index = index_of(reg);

	switch (reg) {
	case SR_CNTFRQ_EL0:
		*value = vcpu->vm->host->counter_hz;
		return 0;
	case SR_CNTPCT_EL0:
		*value = hw_count(vcpu, TIMER_PHYSICAL);
		return 0;
	case SR_CNTVCT_EL0:
		*value = hw_count(vcpu, TIMER_VIRTUAL);
		return 0;
	case SR_CNTP_TVAL_EL0:
	case SR_CNTV_TVAL_EL0:
		*value = (uint32_t)(cval_of(vcpu, index) - hw_count(vcpu, index));
		return 0;
	case SR_CNTP_CVAL_EL0:
	case SR_CNTV_CVAL_EL0:
		*value = cval_of(vcpu, index);
		return 0;
	default:
		*value = timer_is_mapped(vcpu, index) ? hw_ctl(vcpu, index) : timer_ctl(vcpu, index);
		return 0;
	}
}

int timer_guest_write(struct vcpu *vcpu, enum sysreg reg, uint64_t value)
{
	enum timer_index index = index_of(reg);

	switch (reg) {
	case SR_CNTFRQ_EL0:
	case SR_CNTPCT_EL0:
	case SR_CNTVCT_EL0:
		return -ENOENT;
	case SR_CNTP_TVAL_EL0:
	case SR_CNTV_TVAL_EL0:
		set_cval(vcpu, index, hw_count(vcpu, index) + (uint64_t)(int64_t)(int32_t)value);
		break;
	case SR_CNTP_CVAL_EL0:
	case SR_CNTV_CVAL_EL0:
		set_cval(vcpu, index, value);
		break;
	default:
		if (timer_is_mapped(vcpu, index))
			hw(vcpu, index)->ctl = (uint32_t)value & (TIMER_CTL_ENABLE | TIMER_CTL_IMASK);
		else
			timer_set_ctl(vcpu, index, value);
	}
	/* An emulated timer is looked at again at once; a mapped one by its interrupt. */
	if (!timer_is_mapped(vcpu, index) && vcpu->timers_enabled && vgic_in_kernel(&vcpu->vm->vgic))
		timer_update_line(vcpu, index);
	return 0;
}
