/* SPDX-License-Identifier: MIT */
/* Into a guest and out of it. Layer: vm. Source: kvm_arch_vcpu_ioctl_run(), vgic_access_active_prepare(), Linux 6.1. */
#include "../machine/host.h"
#include "../machine/pcpu.h"
#include "../switch/switch.h"
#include "cpu.h"
#include "irqfd.h"
#include "vcpu.h"

static const struct world_switch *world_switch_of(const struct vcpu *vcpu)
{
	return vcpu->vm->host->gic.version == 2 ? &world_switch_v2[LRS_REVERSE] : &world_switch_v3[LRS_REVERSE];
}

static void restore(struct vcpu *vcpu)
{
	switch_flush(vcpu);
	world_switch_of(vcpu)->restore(&vcpu->vgic.cpu_if, &vcpu->pcpu->vif);
}

static void save(struct vcpu *vcpu)
{
	world_switch_of(vcpu)->save(&vcpu->vgic.cpu_if, &vcpu->pcpu->vif);
	switch_sync(vcpu);
}

void cpu_enter(struct vcpu *vcpu)
{
	irqfds_sync(vcpu->vm);
	lock_take(&vcpu->guest_lock);
	if (vcpu->vm->vgic.initialized)
		restore(vcpu);
	vcpu->in_guest = true;
	lock_release(&vcpu->guest_lock);
}

void cpu_exit(struct vcpu *vcpu)
{
	lock_take(&vcpu->guest_lock);
	vcpu->in_guest = false;
	vcpu->cpu.op_trapped = true;
	if (vcpu->vm->vgic.initialized)
		save(vcpu);
	lock_release(&vcpu->guest_lock);
	vcpu->counts->exits++;
}

/*
 * Where a host would interrupt another vCPU's physical CPU and wait until its guest is left, the one who wants it does
 * that itself: the other's thread may be anywhere between two instructions, and stays there until it is resumed.
 */
void cpu_halt_others(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *other = vm->vcpus[i];

		if (other == vcpu)
			continue;
		lock_take(&other->guest_lock);
		if (other->in_guest)
			save(other);
	}
}

void cpu_resume_others(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *other = vm->vcpus[i];

		if (other == vcpu)
			continue;
		if (other->in_guest)
			restore(other);
		lock_release(&other->guest_lock);
	}
}
