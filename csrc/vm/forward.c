/* SPDX-License-Identifier: MIT */
/* Interrupts of the host that a guest deactivates itself. Layer: vm. */
#include "forward.h"

#include <errno.h>
#include <stdlib.h>

#include "../machine/host_gic.h"
#include "../machine/machine.h"
#include "vcpu.h"
#include "vm.h"

struct forward {
	struct forward *next;	/* of vm->forwards */
	struct vcpu *vcpu;
	atomic_bool fired;	/* and is yet to be injected */
	uint32_t intid;
	uint32_t host_intid;
};

/*
 * The host's interrupt fired, and is active. That may be in the middle of the vGIC's work, where a host has its interrupts
 * masked: so it is noted, and taken at the next look.
 */
static enum host_irq_return forward(struct pcpu *cpu, uint32_t host_intid, void *data)
{
	struct forward *f = data;
	struct vm *vm = f->vcpu->vm;

	(void)cpu;
	(void)host_intid;
	atomic_store(&f->fired, true);
	atomic_store(&vm->forwards_fired, true);
	/* Whichever vCPU it goes to: one that waits has to look. */
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(vm->vcpus[i]);
	return HOST_IRQ_FORWARDED;
}

void forwards_sync(struct vm *vm)
{
	if (!atomic_load_explicit(&vm->forwards_fired, memory_order_relaxed))
		return;
	lock_take(&vm->forwards_lock);
	atomic_store(&vm->forwards_fired, false);
	for (struct forward *f = vm->forwards; f; f = f->next)
		if (atomic_exchange(&f->fired, false))
			vgic_inject(vm, f->vcpu, f->intid, true, f);
	lock_release(&vm->forwards_lock);
}

static bool is_spi(uint32_t intid)
{
	return intid >= VGIC_NR_PRIVATE_IRQS;
}

static struct forward **find(struct vm *vm, const struct vcpu *vcpu, uint32_t intid)
{
	struct forward **link = &vm->forwards;

	while (*link && ((*link)->intid != intid || (!is_spi(intid) && (*link)->vcpu != vcpu)))
		link = &(*link)->next;
	return link;
}

/* The guest's interrupt becomes this one's. */
static int attach(struct vm *vm, struct vgic_irq *irq, const struct forward *f)
{
	int err = 0;

	pthread_mutex_lock(&vm->vgic.lock);
	if (irq->hw || irq->owner)
		err = -EEXIST;
	else if (irq->active || irq->latch || irq->line || irq->vcpu)
		err = -EBUSY;
	if (!err) {
		irq->hw = true;
		irq->hwintid = (uint16_t)f->host_intid;
		irq->owner = f;
	}
	pthread_mutex_unlock(&vm->vgic.lock);
	return err;
}

static void detach(struct vm *vm, struct vgic_irq *irq)
{
	pthread_mutex_lock(&vm->vgic.lock);
	irq->hw = false;
	irq->hwintid = 0;
	irq->owner = NULL;
	irq->line = irq->latch = false;
	pthread_mutex_unlock(&vm->vgic.lock);
}

static int map(struct vcpu *vcpu, struct vgic_irq *irq, uint32_t host_intid)
{
	struct vm *vm = vcpu->vm;
	struct forward *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->next = vm->forwards;
	f->vcpu = vcpu;
	f->intid = irq->intid;
	f->host_intid = host_intid;
	err = attach(vm, irq, f);
	if (!err) {
		host_irq_set_edge(vm->machine, NULL, host_intid, irq->edge);
		err = host_irq_claim(vm->machine, host_intid, forward, f);
		if (err)
			detach(vm, irq);
	}
	if (err) {
		free(f);
		return err;
	}
	vm->forwards = f;
	return 0;
}

int forward_map(struct vcpu *vcpu, uint32_t intid, uint32_t host_intid)
{
	struct vm *vm = vcpu->vm;
	struct vgic_irq *irq;
	int err;

	if (!vm->vgic.initialized)
		return -EAGAIN;
	irq = intid < VGIC_NR_SGIS ? NULL : vgic_get_irq(vm, vcpu, intid);
	if (!irq || host_intid < HOST_FIRST_SPI || host_intid > HOST_LAST_SPI)
		return -EINVAL;
	lock_take(&vm->forwards_lock);
	err = map(vcpu, irq, host_intid);
	lock_release(&vm->forwards_lock);
	return err;
}

static bool is_in_use(struct vm *vm, const struct vgic_irq *irq)
{
	bool in_use;

	pthread_mutex_lock(&vm->vgic.lock);
	in_use = irq->active || irq->vcpu;
	pthread_mutex_unlock(&vm->vgic.lock);
	return in_use;
}

int forward_unmap(struct vcpu *vcpu, uint32_t intid)
{
	struct vm *vm = vcpu->vm;
	struct forward **link, *f;
	int err = 0;

	lock_take(&vm->forwards_lock);
	link = find(vm, vcpu, intid);
	f = *link;
	if (!f)
		err = -ENOENT;
	else if (is_in_use(vm, vgic_get_irq(vm, f->vcpu, intid)))
		err = -EBUSY;
	if (!err) {
		*link = f->next;
		host_irq_release(vm->machine, f->host_intid);
		detach(vm, vgic_get_irq(vm, f->vcpu, intid));
		free(f);
	}
	lock_release(&vm->forwards_lock);
	return err;
}

void forwards_free(struct vm *vm)
{
	struct forward *f, *next;

	for (f = vm->forwards; f; f = next) {
		next = f->next;
		host_irq_release(vm->machine, f->host_intid);
		free(f);
	}
}
