/* SPDX-License-Identifier: MIT */
/* A vCPU's ap_list into list registers. Layer: switch. Source: vgic_flush_lr_state() and what it calls, Linux 6.1. */
#include "switch.h"

#include "../machine/host.h"
#include "../vm/vcpu.h"
#include "../vm/vm.h"

#define LOWEST_PRIORITY 0xff

enum lr_layout switch_lr_layout(const struct vcpu *vcpu)
{
	if (vcpu->vm->host->gic.version == 2)
		return LR_GICH;
	return vcpu->vm->vgic.model == VGIC_V2 ? LR_ICH_V2_GUEST : LR_ICH;
}

/* How many list registers an interrupt asks for: an SGI with several senders is taken once from each. */
static unsigned int lr_count(const struct vgic_irq *irq)
{
	if (irq->intid < VGIC_NR_SGIS && irq->source)
		return (unsigned int)__builtin_popcount(irq->source) + irq->active;
	return vgic_irq_is_pending(irq) || irq->active;
}

/*
 * Active ones first: their deactivation would not be seen outside of a list register. Then those that can be taken, by
 * priority. Negative if a is before b.
 */
static int compare(const struct vgic_irq *a, const struct vgic_irq *b)
{
	bool a_taken, b_taken;

	if (a->active || b->active)
		return b->active - a->active;
	a_taken = a->enabled && vgic_irq_is_pending(a);
	b_taken = b->enabled && vgic_irq_is_pending(b);
	if (!a_taken || !b_taken)
		return b_taken - a_taken;
	return a->priority - b->priority;
}

/* Two sorted lists as one; equals keep their order, a's first. */
static struct vgic_irq *merge(struct vgic_irq *a, struct vgic_irq *b)
{
	struct vgic_irq *head = NULL, **end = &head;

	while (a && b) {
		struct vgic_irq **from = compare(a, b) <= 0 ? &a : &b;

		*end = *from;
		end = &(*end)->next;
		*from = *end;
	}
	*end = a ? a : b;
	return head;
}

/* A stable merge sort: runs of 1, 2, 4 ... interrupts wait in the slots until there are two of a size. */
static struct vgic_irq *sort(struct vgic_irq *list)
{
	struct vgic_irq *run[16] = { NULL }, *sorted = NULL;
	unsigned int i;

	while (list) {
		struct vgic_irq *one = list;

		list = list->next;
		one->next = NULL;
		for (i = 0; i < 15 && run[i]; i++) {
			one = merge(run[i], one);
			run[i] = NULL;
		}
		run[i] = merge(run[i], one);
	}
	for (i = 0; i < 16; i++)
		sorted = merge(run[i], sorted);
	return sorted;
}

/* An SGI of a GICv2 is taken from one sender at a time, the lowest first. */
static void take_from_sender(struct vgic_irq *irq, struct lr *lr)
{
	if (!irq->source) {
		/* Linux warns, and leaves the list register with what it has of it so far. */
		lr->pending = false;
		return;
	}
	lr->source = (uint8_t)__builtin_ctz(irq->source);
	irq->source &= (uint8_t)~(1u << lr->source);
	if (irq->source) {
		irq->latch = true;
		lr->eoi = true;
	}
}

/* The state that goes with it leaves the interrupt. Source: vgic_v2_populate_lr(), vgic_v3_populate_lr(). */
static struct lr populate(const struct vcpu *vcpu, struct vgic_irq *irq)
{
	bool is_v2_sgi = irq->intid < VGIC_NR_SGIS && vcpu->vm->vgic.model == VGIC_V2, may_pend = true;
	struct lr lr = {
		.vintid = irq->intid, .priority = irq->priority, .group1 = irq->group1, .active = irq->active,
	};

	if (irq->active) {
		if (is_v2_sgi)
			lr.source = irq->active_source;
		if (lr_count(irq) > 1) {
			may_pend = false;
			lr.eoi = true;
		}
	}
	if (irq->hw) {
		/* The architecture forbids pending and active here: what is pending stays in the host's distributor. */
		lr.hw = true;
		lr.pintid = irq->hwintid;
		may_pend = may_pend && !irq->active;
	} else if (!irq->edge) {
		lr.eoi = true;
		may_pend = may_pend && !irq->active;
	}
	if (may_pend && vgic_irq_is_pending(irq)) {
		lr.pending = true;
		if (irq->edge)
			irq->latch = false;
		if (is_v2_sgi)
			take_from_sender(irq, &lr);
	}
	/* Of a mapped level interrupt only the host's interrupt is seen, which is a rising edge. The fold looks again. */
	if (irq->hw && !irq->edge && lr.pending)
		irq->line = false;
	return lr;
}

/* True if it has more interrupts than list registers, in which case it is sorted; *multi for SGIs of several senders. */
static void sort_if_needed(struct vcpu *vcpu, unsigned int nr_lr, bool *multi)
{
	unsigned int count = 0;

	*multi = false;
	for (const struct vgic_irq *irq = vcpu->vgic.ap_list; irq; irq = irq->next) {
		unsigned int n = lr_count(irq);

		count += n;
		*multi |= n > 1;
	}
	if (*multi || count > nr_lr)
		vcpu->vgic.ap_list = sort(vcpu->vgic.ap_list);
}

static void fill(struct vcpu *vcpu, unsigned int nr_lr)
{
	enum lr_layout layout = switch_lr_layout(vcpu);
	struct cpu_if *cpu_if = &vcpu->vgic.cpu_if;
	unsigned int prio = LOWEST_PRIORITY, n = 0;
	bool multi;

	sort_if_needed(vcpu, nr_lr, &multi);
	for (struct vgic_irq *irq = vcpu->vgic.ap_list; irq; irq = irq->next) {
		/* All of an SGI's senders come before what is of lower priority, though it goes by one each time. */
		if (multi && irq->priority > prio)
			break;
		if (vgic_target_of(vcpu->vm, irq) == vcpu) {
			struct lr lr = populate(vcpu, irq);

			if (lr.hw)	/* until the guest deactivates it, the host's must not come again */
				vgic_set_phys_active(vcpu, irq, true);
			*cpu_if_lr(cpu_if, n++) = lr_encode(layout, &lr);
			if (irq->source)
				prio = irq->priority;
		}
		if (n == nr_lr) {
			if (irq->next)
				cpu_if->hcr |= ICH_HCR_UIE;	/* tell when there is room for the rest */
			break;
		}
	}
	for (unsigned int i = n; i < nr_lr; i++)
		*cpu_if_lr(cpu_if, i) = 0;
	cpu_if->used_lrs = n;
}

void switch_flush(struct vcpu *vcpu)
{
	struct vgic *vgic = &vcpu->vm->vgic;

	pthread_mutex_lock(&vgic->lock);
	if (vcpu->vgic.ap_list)
		fill(vcpu, vcpu->vm->host->gic.list_registers);
	pthread_mutex_unlock(&vgic->lock);
}
