/* SPDX-License-Identifier: MIT */
/*
 * Registers with a field an interrupt: enabled, pending, active, priority, configuration, group. Layer: vgic.
 * The distributor, of either version, and the redistributor share them. Source: vgic-mmio.c, Linux 6.1.
 */
#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "mmio.h"

uint64_t vgic_raz(const struct vgic_access *a)
{
	(void)a;
	return 0;
}

uint64_t vgic_rao(const struct vgic_access *a)
{
	(void)a;
	return UINT64_MAX;
}

void vgic_wi(const struct vgic_access *a, uint64_t val)
{
	(void)a;
	(void)val;
}

int vgic_user_wi(const struct vgic_access *a, uint64_t val)
{
	(void)a;
	(void)val;
	return 0;
}

/* The nth interrupt of an access; NULL past the last one. */
static struct vgic_irq *nth(const struct vgic_access *a, unsigned int n)
{
	return vgic_get_irq(a->vm, a->vcpu, a->intid + n);
}

/* Bit n of the result is what test says of the nth interrupt. */
static uint64_t collect(const struct vgic_access *a, bool (*test)(const struct vgic_irq *irq))
{
	uint64_t val = 0;

	for (unsigned int n = 0; n < a->bytes * 8; n++) {
		const struct vgic_irq *irq = nth(a, n);

		if (irq && test(irq))
			val |= 1ull << n;
	}
	return val;
}

static bool is_group1(const struct vgic_irq *irq)
{
	return irq->group1;
}

static bool is_enabled(const struct vgic_irq *irq)
{
	return irq->enabled;
}

static bool is_pending(const struct vgic_irq *irq)
{
	return vgic_irq_is_pending(irq);
}

static bool is_latched(const struct vgic_irq *irq)
{
	return irq->latch;
}

static bool is_active(const struct vgic_irq *irq)
{
	return irq->active;
}

/* Calls change for each interrupt whose bit is set. */
static void for_each_set(const struct vgic_access *a, uint64_t val,
			 void (*change)(const struct vgic_access *a, struct vgic_irq *irq))
{
	for (unsigned int n = 0; n < a->bytes * 8; n++)
		if (val >> n & 1 && nth(a, n))
			change(a, nth(a, n));
}

uint64_t vgic_group_rd(const struct vgic_access *a)
{
	return collect(a, is_group1);
}

void vgic_group_wr(const struct vgic_access *a, uint64_t val)
{
	for (unsigned int n = 0; n < a->bytes * 8; n++) {
		struct vgic_irq *irq = nth(a, n);

		if (!irq)
			return;
		irq->group1 = val >> n & 1;
		vgic_queue_irq(a->vm, irq);
	}
}

uint64_t vgic_enable_rd(const struct vgic_access *a)
{
	return collect(a, is_enabled);
}

static void enable(const struct vgic_access *a, struct vgic_irq *irq)
{
	irq->enabled = true;
	vgic_queue_irq(a->vm, irq);
}

static void disable(const struct vgic_access *a, struct vgic_irq *irq)
{
	(void)a;
	irq->enabled = false;
}

void vgic_enable_set(const struct vgic_access *a, uint64_t val)
{
	for_each_set(a, val, enable);
}

void vgic_enable_clear(const struct vgic_access *a, uint64_t val)
{
	for_each_set(a, val, disable);
}

static bool is_v2_sgi(const struct vgic_access *a, const struct vgic_irq *irq)
{
	return irq->intid < VGIC_NR_SGIS && a->vm->vgic.model == VGIC_V2;
}

uint64_t vgic_pending_rd(const struct vgic_access *a)
{
	return collect(a, is_pending);
}

/* GICv2's SGIs are WI here to the guest: they have senders, and registers of their own. */
static void pend(const struct vgic_access *a, struct vgic_irq *irq)
{
	if (is_v2_sgi(a, irq))
		return;
	irq->latch = true;
	vgic_queue_irq(a->vm, irq);
}

static void unpend(const struct vgic_access *a, struct vgic_irq *irq)
{
	if (!is_v2_sgi(a, irq))
		irq->latch = false;
}

void vgic_pending_set(const struct vgic_access *a, uint64_t val)
{
	for_each_set(a, val, pend);
}

void vgic_pending_clear(const struct vgic_access *a, uint64_t val)
{
	for_each_set(a, val, unpend);
}

/* Who sent a restored SGI is not known here: itself, says Linux. */
static void restore_pending(const struct vgic_access *a, struct vgic_irq *irq)
{
	irq->latch = true;
	if (is_v2_sgi(a, irq))
		irq->source |= (uint8_t)(1u << a->vcpu->id);
	vgic_queue_irq(a->vm, irq);
}

static void discard_pending(const struct vgic_access *a, struct vgic_irq *irq)
{
	if (is_v2_sgi(a, irq))
		irq->source = 0;
	irq->latch = false;
}

int vgic_v2_pending_restore(const struct vgic_access *a, uint64_t val)
{
	for_each_set(a, val, restore_pending);
	return 0;
}

int vgic_v2_pending_discard(const struct vgic_access *a, uint64_t val)
{
	for_each_set(a, val, discard_pending);
	return 0;
}

uint64_t vgic_latch_rd(const struct vgic_access *a)
{
	return collect(a, is_latched);
}

int vgic_latch_restore(const struct vgic_access *a, uint64_t val)
{
	for (unsigned int n = 0; n < a->bytes * 8; n++) {
		struct vgic_irq *irq = nth(a, n);

		if (!irq)
			break;
		irq->latch = val >> n & 1;
		if (irq->latch)
			vgic_queue_irq(a->vm, irq);
	}
	return 0;
}

uint64_t vgic_active_rd(const struct vgic_access *a)
{
	return collect(a, is_active);
}

/*
 * The active state of an interrupt that is mapped to the host's is the host's to change: user space's writes are
 * ignored. Source: vgic_hw_irq_change_active().
 */
static bool may_change_active(const struct vgic_access *a, const struct vgic_irq *irq)
{
	return !a->user || !irq->hw;
}

static void activate(const struct vgic_access *a, struct vgic_irq *irq)
{
	if (may_change_active(a, irq)) {
		irq->active = true;
		if (is_v2_sgi(a, irq))
			irq->active_source = a->user ? 0 : (uint8_t)a->vcpu->id;
	}
	if (irq->active)
		vgic_queue_irq(a->vm, irq);
}

static void deactivate(const struct vgic_access *a, struct vgic_irq *irq)
{
	if (may_change_active(a, irq))
		irq->active = false;
	if (irq->active)
		vgic_queue_irq(a->vm, irq);
}

void vgic_active_set(const struct vgic_access *a, uint64_t val)
{
	for_each_set(a, val, activate);
}

void vgic_active_clear(const struct vgic_access *a, uint64_t val)
{
	for_each_set(a, val, deactivate);
}

uint64_t vgic_priority_rd(const struct vgic_access *a)
{
	uint64_t val = 0;

	for (unsigned int n = 0; n < a->bytes; n++) {
		const struct vgic_irq *irq = nth(a, n);

		val |= (uint64_t)(irq ? irq->priority : 0) << n * 8;
	}
	return val;
}

void vgic_priority_wr(const struct vgic_access *a, uint64_t val)
{
	for (unsigned int n = 0; n < a->bytes; n++) {
		struct vgic_irq *irq = nth(a, n);

		if (irq)
			irq->priority = val >> n * 8 & VGIC_PRIORITY_MASK;
	}
}

uint64_t vgic_config_rd(const struct vgic_access *a)
{
	uint64_t val = 0;

	for (unsigned int n = 0; n < a->bytes * 4; n++) {
		const struct vgic_irq *irq = nth(a, n);

		if (irq && irq->edge)
			val |= 2ull << n * 2;
	}
	return val;
}

/* SGIs are always edge-triggered; KVM keeps PPIs as they are too, because its timers are level-triggered. */
void vgic_config_wr(const struct vgic_access *a, uint64_t val)
{
	for (unsigned int n = 0; n < a->bytes * 4; n++) {
		struct vgic_irq *irq = nth(a, n);

		if (irq && irq->intid >= VGIC_NR_PRIVATE_IRQS)
			irq->edge = val >> (n * 2 + 1) & 1;
	}
}
