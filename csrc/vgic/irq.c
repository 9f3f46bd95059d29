/* SPDX-License-Identifier: MIT */
/* Interrupts: their state, the ap_lists, injection. Layer: vgic. Source: arch/arm64/kvm/vgic/vgic.c, Linux 6.1. */
#include <errno.h>

#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "vgic.h"

struct vgic_irq *vgic_get_irq(struct vm *vm, struct vcpu *vcpu, uint32_t intid)
{
	if (intid < VGIC_NR_PRIVATE_IRQS)
		return &vcpu->vgic.private_irqs[intid];
	if (intid - VGIC_NR_PRIVATE_IRQS < vm->vgic.nr_spis)
		return &vm->vgic.spis[intid - VGIC_NR_PRIVATE_IRQS];
	return NULL;
}

struct vcpu *vgic_target_of(const struct vm *vm, const struct vgic_irq *irq)
{
	if (irq->active)
		return irq->vcpu ? irq->vcpu : irq->target;
	if (!irq->enabled || !vgic_irq_is_pending(irq) || !vm->vgic.enabled)
		return NULL;
	return irq->target;
}

void vgic_append(struct vcpu *vcpu, struct vgic_irq *irq)
{
	struct vgic_irq **end = &vcpu->vgic.ap_list;

	while (*end)
		end = &(*end)->next;
	irq->next = NULL;
	irq->vcpu = vcpu;
	*end = irq;
	vcpu_kick(vcpu);
}

void vgic_queue_irq(struct vm *vm, struct vgic_irq *irq)
{
	struct vcpu *vcpu = vgic_target_of(vm, irq);

	if (!vcpu)
		return;
	if (!irq->vcpu)
		vgic_append(vcpu, irq);
	else
		vcpu_kick(vcpu);	/* it may have dealt with what was queued before */
}

bool vgic_has_pending_irq(struct vcpu *vcpu)
{
	struct vgic_vmcr vmcr;

	if (!vcpu->vm->vgic.enabled)
		return false;
	vgic_get_vmcr(vcpu, &vmcr);
	for (const struct vgic_irq *irq = vcpu->vgic.ap_list; irq; irq = irq->next)
		if (irq->enabled && !irq->active && irq->priority < vmcr.pmr && vgic_irq_is_pending(irq))
			return true;
	return false;
}

void vgic_kick_vcpus(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vgic_has_pending_irq(vm->vcpus[i]))
			vcpu_kick(vm->vcpus[i]);
}

/* A level interrupt takes changes only, an edge rising ones only, and either from its owner only. */
static bool is_news(const struct vgic_irq *irq, bool level, const void *owner)
{
	if (irq->owner != owner)
		return false;
	return irq->edge ? level : irq->line != level;
}

int vgic_inject(struct vm *vm, struct vcpu *vcpu, uint32_t intid, bool level, const void *owner)
{
	struct vgic_irq *irq;
	int err = vgic_lazy_init(vm);

	if (err)
		return err;
	if (!vcpu && intid < VGIC_NR_PRIVATE_IRQS)
		return -EINVAL;
	irq = vgic_get_irq(vm, vcpu, intid);
	if (!irq)
		return -EINVAL;
	pthread_mutex_lock(&vm->vgic.lock);
	if (is_news(irq, level, owner)) {
		if (irq->edge)
			irq->latch = true;
		else
			irq->line = level;
		vgic_queue_irq(vm, irq);
	}
	pthread_mutex_unlock(&vm->vgic.lock);
	return 0;
}

int vgic_inject_at(struct vm *vm, uint32_t index, uint32_t intid, bool level, const void *owner)
{
	return vgic_inject(vm, index < vm->nr_vcpus ? vm->vcpus[index] : NULL, intid, level, owner);
}

void vgic_map_irq(struct vcpu *vcpu, uint32_t intid, uint32_t hwintid)
{
	struct vgic_irq *irq = vgic_get_irq(vcpu->vm, vcpu, intid);

	pthread_mutex_lock(&vcpu->vm->vgic.lock);
	irq->hw = true;
	irq->hwintid = (uint16_t)hwintid;
	pthread_mutex_unlock(&vcpu->vm->vgic.lock);
}

void vgic_reset_mapped_irq(struct vcpu *vcpu, uint32_t intid)
{
	struct vgic_irq *irq = vgic_get_irq(vcpu->vm, vcpu, intid);

	pthread_mutex_lock(&vcpu->vm->vgic.lock);
	if (irq->hw)
		irq->active = irq->latch = irq->line = false;
	pthread_mutex_unlock(&vcpu->vm->vgic.lock);
}

int vgic_set_owner(struct vcpu *vcpu, uint32_t intid, const void *owner)
{
	struct vm *vm = vcpu->vm;
	struct vgic_irq *irq;
	int err = 0;

	if (!vm->vgic.initialized)
		return -EAGAIN;
	irq = intid < VGIC_NR_SGIS ? NULL : vgic_get_irq(vm, vcpu, intid);
	if (!irq)
		return -EINVAL;
	pthread_mutex_lock(&vm->vgic.lock);
	if (irq->owner && irq->owner != owner)
		err = -EEXIST;
	else
		irq->owner = owner;
	pthread_mutex_unlock(&vm->vgic.lock);
	return err;
}

/*
 * ICC_SGI1R_EL1 (IHI 0069, 12.2.19). Its target list is of 16 with one Aff3.Aff2.Aff1; KVM takes each vCPU's Aff0 from
 * it once. Everybody but the sender, where the routing mode says so: Linux compares the sender's id with an index.
 */
#define SGI_INTID(val) ((val) >> 24 & 0xf)
#define SGI_TARGETS(val) ((val) & 0xffff)
#define SGI_TO_OTHERS (1ull << 40)
#define SGI_AFFINITY(val) (((val) >> 48 & 0xff) << 32 | ((val) >> 32 & 0xff) << 16 | ((val) >> 16 & 0xff) << 8)

static bool is_target(const struct vcpu *vcpu, uint64_t affinity, uint32_t *targets)
{
	uint64_t mpidr = vcpu->sys[SR_MPIDR_EL1] & MPIDR_AFFINITY, aff0 = mpidr & 0xff;

	if ((mpidr & ~0xffull) != affinity || aff0 > 15 || !(*targets >> aff0 & 1))
		return false;
	*targets &= ~(1u << aff0);
	return true;
}

void vgic_send_sgi(struct vcpu *sender, uint64_t value, bool group1)
{
	struct vm *vm = sender->vm;
	bool to_others = value & SGI_TO_OTHERS;
	uint32_t targets = SGI_TARGETS(value);

	for (unsigned int i = 0; i < vm->nr_vcpus && (to_others || targets); i++) {
		struct vgic_irq *irq = &vm->vcpus[i]->vgic.private_irqs[SGI_INTID(value)];

		if (to_others ? i == sender->id : !is_target(vm->vcpus[i], SGI_AFFINITY(value), &targets))
			continue;
		if (irq->group1 && !group1)
			continue;
		irq->latch = true;
		vgic_queue_irq(vm, irq);
	}
}

uint32_t vgic_line_levels(struct vcpu *vcpu, uint32_t intid)
{
	uint32_t levels = 0;

	for (unsigned int i = 0; i < 32; i++) {
		const struct vgic_irq *irq = intid + i < VGIC_NR_SGIS ? NULL : vgic_get_irq(vcpu->vm, vcpu, intid + i);

		if (irq && !irq->edge && irq->line)
			levels |= 1u << i;
	}
	return levels;
}

/* Whatever the interrupt's configuration, so that levels may be restored before it. */
void vgic_set_line_levels(struct vcpu *vcpu, uint32_t intid, uint32_t levels)
{
	for (unsigned int i = 0; i < 32; i++) {
		struct vgic_irq *irq = intid + i < VGIC_NR_SGIS ? NULL : vgic_get_irq(vcpu->vm, vcpu, intid + i);

		if (!irq)
			continue;
		irq->line = levels >> i & 1;
		if (irq->line)
			vgic_queue_irq(vcpu->vm, irq);
	}
}
