/* SPDX-License-Identifier: MIT */
/*
 * The host's side of interrupts that are mapped to its own. Layer: vgic.
 * Source: vgic_get_phys_line_level(), vgic_irq_set_phys_active(), vgic_irq_set_phys_pending(), Linux 6.1.
 */
#include "../machine/pcpu.h"
#include "../timer/timer.h"
#include "../vm/vcpu.h"

/* A timer is asked, others have their line at the host's distributor. Linux asks the vCPU that runs, whoever's it is. */
bool vgic_phys_line(const struct vcpu *vcpu, const struct vgic_irq *irq)
{
	struct pcpu *cpu = vcpu->pcpu;

	if (!cpu)
		return false;
	if (irq->intid < VGIC_NR_PRIVATE_IRQS && timer_hw_level(vcpu, irq->intid))
		return true;
	return host_irq_is_pending(cpu->machine, cpu, irq->hwintid) > 0;
}

void vgic_set_phys_active(struct vcpu *on, const struct vgic_irq *irq, bool active)
{
	if (on->pcpu)
		host_irq_set_active(on->pcpu->machine, on->pcpu, irq->hwintid, active);
}

void vgic_clear_phys_pending(struct vcpu *on, const struct vgic_irq *irq)
{
	if (on->pcpu)
		host_irq_set_pending(on->pcpu->machine, on->pcpu, irq->hwintid, false);
}
