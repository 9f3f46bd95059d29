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

static bool is_mapped_level(const struct vgic_irq *irq)
{
	return irq->hw && !irq->edge;
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

/*
 * The guest may have changed the device while the interrupt was disabled, which nobody saw. Where the line has fallen the
 * host's interrupt may come again.
 */
static void look_at_line(const struct vgic_access *a, struct vgic_irq *irq)
{
	bool was_high = irq->line;

	irq->line = vgic_phys_line(a->vcpu, irq);
	if (!irq->active && was_high && !irq->line)
		vgic_set_phys_active(a->requester, irq, false);
}

static void enable(const struct vgic_access *a, struct vgic_irq *irq)
{
	if (!a->user && is_mapped_level(irq))
		look_at_line(a, irq);
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

/* Of an interrupt of the host's the guest sees the line as it is, not as it was at the last look. */
uint64_t vgic_pending_rd(const struct vgic_access *a)
{
	uint64_t val = collect(a, is_pending);

	for (unsigned int n = 0; !a->user && n < a->bytes * 8; n++) {
		const struct vgic_irq *irq = nth(a, n);

		if (irq && is_mapped_level(irq))
			val = (val & ~(1ull << n)) | (uint64_t)vgic_phys_line(a->vcpu, irq) << n;
	}
	return val;
}

/* GICv2's SGIs are WI here to the guest: they have senders, and registers of their own. */
static void pend(const struct vgic_access *a, struct vgic_irq *irq)
{
	if (is_v2_sgi(a, irq))
		return;
	irq->latch = true;
	if (irq->hw)
		vgic_set_phys_active(a->requester, irq, true);
	vgic_queue_irq(a->vm, irq);
}

/*
 * A host's interrupt that is not active for the guest becomes inactive, so that setting and clearing it here does not
 * mask it for good.
 */
static void unpend(const struct vgic_access *a, struct vgic_irq *irq)
{
	if (is_v2_sgi(a, irq))
		return;
	irq->latch = false;
	if (irq->hw) {
		vgic_clear_phys_pending(a->requester, irq);
		if (!irq->active)
			vgic_set_phys_active(a->requester, irq, false);
	}
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
static void change_active(const struct vgic_access *a, struct vgic_irq *irq, bool active)
{
	if (!irq->hw || !a->user) {
		irq->active = active;
		if (irq->hw)
			vgic_set_phys_active(a->requester, irq, active);
		else if (active && is_v2_sgi(a, irq))
			irq->active_source = a->user ? 0 : (uint8_t)a->requester->id;
	}
	if (irq->active)
		vgic_queue_irq(a->vm, irq);
}

static void activate(const struct vgic_access *a, struct vgic_irq *irq)
{
	change_active(a, irq, true);
}

static void deactivate(const struct vgic_access *a, struct vgic_irq *irq)
{
	change_active(a, irq, false);
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
