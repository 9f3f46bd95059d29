/* SPDX-License-Identifier: MIT */
/*
 * List registers back into interrupts. Layer: switch. Source: vgic_v2_fold_lr_state(), vgic_v3_fold_lr_state(),
 * vgic_irq_handle_resampling(), vgic_prune_ap_list(), Linux 6.1.
 */
#include "switch.h"

#include "../machine/host.h"
#include "../vm/vcpu.h"
#include "../vm/vm.h"

/* The guest is done with an interrupt whose end is to be told. */
static bool signals_eoi(const struct lr *lr)
{
	return !lr->pending && !lr->active && lr->eoi;
}

/*
 * A mapped level interrupt was lowered when it was put into its list register. If it is pending still, or was deactivated
 * and has been raised since, its input is looked at; and where that is down, the host's interrupt may come again.
 */
static void resample(struct vcpu *vcpu, struct vgic_irq *irq, bool deactivated, bool pending)
{
	if (!irq->hw || irq->edge)
		return;
	if (!pending && !(deactivated && irq->line))
		return;
	irq->line = vgic_phys_line(vcpu, irq);
	if (!irq->line)
		vgic_set_phys_active(vcpu, irq, false);
}

static void fold(struct vcpu *vcpu, const struct lr *lr)
{
	struct vgic_irq *irq = vgic_get_irq(vcpu->vm, vcpu, lr->vintid);
	bool is_v2_sgi = lr->vintid < VGIC_NR_SGIS && vcpu->vm->vgic.model == VGIC_V2, deactivated;

	if (!irq)
		return;
	deactivated = irq->active && !lr->active;
	irq->active = lr->active;
	if (irq->active && is_v2_sgi)
		irq->active_source = lr->source;
	/* What of a level interrupt is pending its line says. */
	if (irq->edge && lr->pending) {
		irq->latch = true;
		if (is_v2_sgi)
			irq->source |= (uint8_t)(1u << lr->source);
	}
	/* Made pending by a register, and taken by now. */
	if (!irq->edge && !lr->pending && !lr->active)
		irq->latch = false;
	resample(vcpu, irq, deactivated, lr->pending);
}

/* Interrupts that are neither pending nor active go off the list, and those for another vCPU to that one's. */
static void prune(struct vcpu *vcpu)
{
	struct vgic_irq **link = &vcpu->vgic.ap_list, *irq;

	while ((irq = *link)) {
		struct vcpu *target = vgic_target_of(vcpu->vm, irq);

		if (target == vcpu) {
			link = &irq->next;
			continue;
		}
		*link = irq->next;
		irq->next = NULL;
		irq->vcpu = NULL;
		if (target)
			vgic_append(target, irq);
	}
}

/* Level SPIs that ended in this run, for irqfds that sample their source again: they are told without the lock. */
struct ended {
	uint32_t intid[MAX_LRS];
	unsigned int nr;
};

static void fold_lrs(struct vcpu *vcpu, struct ended *ended)
{
	enum lr_layout layout = switch_lr_layout(vcpu);
	struct cpu_if *cpu_if = &vcpu->vgic.cpu_if;

	cpu_if->hcr &= ~ICH_HCR_UIE;
	for (unsigned int n = 0; n < cpu_if->used_lrs; n++) {
		struct lr lr = lr_decode(layout, *cpu_if_lr(cpu_if, n));

		if (signals_eoi(&lr) && lr.vintid >= VGIC_NR_PRIVATE_IRQS && vgic_get_irq(vcpu->vm, vcpu, lr.vintid))
			ended->intid[ended->nr++] = lr.vintid;
		fold(vcpu, &lr);
		/* The next flush does nothing if there is nothing on the list, and must not leave this one behind. */
		*cpu_if_lr(cpu_if, n) = 0;
	}
	cpu_if->used_lrs = 0;
}

void switch_sync(struct vcpu *vcpu)
{
	struct vgic *vgic = &vcpu->vm->vgic;
	struct ended ended = { .nr = 0 };

	pthread_mutex_lock(&vgic->lock);
	fold_lrs(vcpu, &ended);
	prune(vcpu);
	pthread_mutex_unlock(&vgic->lock);
	for (unsigned int i = 0; i < ended.nr; i++)
		irqfd_acked(vcpu->vm, ended.intid[i]);
}
