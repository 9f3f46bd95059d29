/* SPDX-License-Identifier: MIT */
/* The architected timers and the VM's counter offset. Layer: timer. */
#include "timer.h"

#include <errno.h>

#include "../machine/host.h"
#include "../machine/machine.h"
#include "kvmemu/uapi.h"

void timers_init(struct vcpu *vcpu)
{
	vcpu->timer[TIMER_VIRTUAL].intid = TIMER_DEFAULT_VIRTUAL_INTID;
	vcpu->timer[TIMER_PHYSICAL].intid = TIMER_DEFAULT_PHYSICAL_INTID;
	timer_set_virtual_count(vcpu, 0);
}

/*
 * The physical timer is a host interrupt of its own only on hosts with VHE; elsewhere KVM emulates it.
 * Source: get_timer_map(), Linux 6.1.
 */
bool timer_is_mapped(const struct vcpu *vcpu, enum timer_index index)
{
	return index == TIMER_VIRTUAL || vm_on_vhe(vcpu->vm);
}

void timer_set_line(struct vcpu *vcpu, enum timer_index index, bool level)
{
	vcpu->timer[index].level = level;
	vgic_inject_at(vcpu->vm, vcpu->id, vcpu->timer[index].intid, level, &vcpu->timer[index]);
}

void timer_update_line(struct vcpu *vcpu, enum timer_index index)
{
	bool level = timer_line(vcpu, index);

	/* Of an emulated timer changes alone are told: what user space made of the line before stays. */
	if (timer_is_mapped(vcpu, index) || level != vcpu->timer[index].level)
		timer_set_line(vcpu, index, level);
}

void timers_reset(struct vcpu *vcpu)
{
	for (enum timer_index i = 0; i < NR_TIMERS; i++) {
		vcpu->timer[i].ctl = 0;
		if (!vcpu->timers_enabled || !vgic_in_kernel(&vcpu->vm->vgic))
			continue;
		timer_set_line(vcpu, i, false);
		if (timer_is_mapped(vcpu, i))
			vgic_reset_mapped_irq(vcpu, vcpu->timer[i].intid);
	}
}

static bool same_intids(const struct vcpu *one, const struct vcpu *other)
{
	return one->timer[TIMER_VIRTUAL].intid == other->timer[TIMER_VIRTUAL].intid &&
	       one->timer[TIMER_PHYSICAL].intid == other->timer[TIMER_PHYSICAL].intid;
}

int timers_enable(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	if (vcpu->timers_enabled)
		return 0;
	if (vgic_in_kernel(&vm->vgic)) {
		for (enum timer_index i = 0; i < NR_TIMERS; i++)
			if (vgic_set_owner(vcpu, vcpu->timer[i].intid, &vcpu->timer[i]))
				return -EINVAL;
		for (unsigned int i = 0; i < vm->nr_vcpus; i++)
			if (!same_intids(vcpu, vm->vcpus[i]))
				return -EINVAL;
		for (enum timer_index i = 0; i < NR_TIMERS; i++)
			if (timer_is_mapped(vcpu, i))
				vgic_map_irq(vcpu, vcpu->timer[i].intid, timer_host_intid(i));
	}
	vcpu->timers_enabled = true;
	return 0;
}

void timers_update_lines(struct vcpu *vcpu)
{
	if (!vcpu->timers_enabled || !vgic_in_kernel(&vcpu->vm->vgic))
		return;
	for (enum timer_index i = 0; i < NR_TIMERS; i++)
		timer_update_line(vcpu, i);
}

static uint64_t offset(const struct vcpu *vcpu, enum timer_index index)
{
	return index == TIMER_VIRTUAL ? atomic_load_explicit(&vcpu->vm->cntvoff, memory_order_relaxed) : 0;
}

uint64_t timer_count(const struct vcpu *vcpu, enum timer_index index)
{
	return machine_counter(vcpu->vm->machine) - offset(vcpu, index);
}

void timer_set_virtual_count(struct vcpu *vcpu, uint64_t ticks)
{
	atomic_store_explicit(&vcpu->vm->cntvoff, machine_counter(vcpu->vm->machine) - ticks, memory_order_relaxed);
}

uint64_t timer_ctl(const struct vcpu *vcpu, enum timer_index index)
{
	const struct timer *timer = &vcpu->timer[index];

	return timer->ctl | (timer->cval <= timer_count(vcpu, index) ? TIMER_CTL_ISTATUS : 0);
}

void timer_set_ctl(struct vcpu *vcpu, enum timer_index index, uint64_t ctl)
{
	vcpu->timer[index].ctl = (uint32_t)ctl & ~TIMER_CTL_ISTATUS;
}

static bool may_fire(const struct timer *timer)
{
	return (timer->ctl & (TIMER_CTL_ENABLE | TIMER_CTL_IMASK)) == TIMER_CTL_ENABLE;
}

bool timer_line(const struct vcpu *vcpu, enum timer_index index)
{
	const struct timer *timer = &vcpu->timer[index];

	if (vcpu->timers_loaded && timer_is_mapped(vcpu, index))
		return timer_hw_output(vcpu, index);
	return may_fire(timer) && timer->cval <= timer_count(vcpu, index);
}

uint64_t timer_ns_until_line(const struct vcpu *vcpu, enum timer_index index)
{
	const struct timer *timer = &vcpu->timer[index];
	uint64_t at = timer->cval + offset(vcpu, index);

	if (!may_fire(timer))
		return UINT64_MAX;
	if (timer->cval <= timer_count(vcpu, index))
		return 0;
	/* A CVAL so late that the physical counter wraps before it. */
	if (at < timer->cval && offset(vcpu, index) < machine_counter(vcpu->vm->machine))
		return UINT64_MAX;
	return machine_counter_ns_until(vcpu->vm->machine, at);
}

static int index_of_attr(uint64_t attr, enum timer_index *index)
{
	if (attr != KVM_ARM_VCPU_TIMER_IRQ_VTIMER && attr != KVM_ARM_VCPU_TIMER_IRQ_PTIMER)
		return -ENXIO;
	*index = attr == KVM_ARM_VCPU_TIMER_IRQ_VTIMER ? TIMER_VIRTUAL : TIMER_PHYSICAL;
	return 0;
}

int timer_set_intid(struct vcpu *vcpu, uint64_t attr, uint32_t intid)
{
	struct vm *vm = vcpu->vm;
	enum timer_index index;
	int err = index_of_attr(attr, &index);

	if (err)
		return err;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		/* set_timer_irqs() writes both: the other timer's INTID spreads from this vCPU as well. */
		vm->vcpus[i]->timer[!index].intid = vcpu->timer[!index].intid;
		vm->vcpus[i]->timer[index].intid = intid;
	}
	return 0;
}

int timer_get_intid(const struct vcpu *vcpu, uint64_t attr, uint32_t *intid)
{
	enum timer_index index;
	int err = index_of_attr(attr, &index);

	if (!err)
		*intid = vcpu->timer[index].intid;
	return err;
}
