/* SPDX-License-Identifier: MIT */
/*
 * List registers as a guest drives them: pending, active, ended. Layer: machine.
 * Source: Arm IHI 0069, chapter 6 and its pseudocode; Arm IHI 0048, chapter 5.
 */
#include "virt_cpuif.h"

#include <errno.h>
#include <string.h>

#include "host.h"
#include "host_gic.h"
#include "pcpu.h"

#define GICV2_PRI_BITS 5	/* GICH_LR and GICH_VMCR have room for no more */
#define GICV2_PMR_BITS 0xf8u
#define ICC_CTLR_ID_BITS_SHIFT 11
#define ICC_CTLR_SEIS (1u << 14)
#define ICC_CTLR_A3V (1u << 15)

#define IDLE_PRIORITY 0xffu

void virt_cpuif_init(struct virt_cpuif *vif, const struct kvmemu_host *host, struct pcpu *cpu)
{
	bool v2 = host->gic.version == 2;
	uint32_t bits = v2 ? GICV2_PRI_BITS : host->gic.priority_bits;

	memset(vif, 0, sizeof(*vif));
	vif->v2 = v2;
	vif->cpu = cpu;
	vif->nr_lr = (uint8_t)host->gic.list_registers;
	vif->pri_bits = (uint8_t)bits;
	vif->nr_apr = (uint8_t)(1u << (bits - 5));
	vif->vtr = (vif->nr_lr - 1u) | (bits - 1) << ICH_VTR_PRE_BITS_SHIFT | (bits - 1) << ICH_VTR_PRI_BITS_SHIFT;
	vif->hcr_mask = 0xff | ICH_HCR_EOICOUNT_MASK;
	vif->vmcr_mask = ICH_VMCR_ENG0 | ICH_VMCR_ENG1 | ICH_VMCR_ACKCTL | ICH_VMCR_FIQEN | ICH_VMCR_CBPR |
			 ICH_VMCR_EOIM | (v2 ? GICV2_PMR_BITS : 0xffu) << ICH_VMCR_PMR_SHIFT;
	vif->least_bpr0 = (7 - bits) << ICH_VMCR_BPR0_SHIFT;
	vif->least_bpr1 = (8 - bits) << ICH_VMCR_BPR1_SHIFT;
	if (!v2) {
		vif->vtr |= (host->gic.icc_ctlr >> ICC_CTLR_ID_BITS_SHIFT & 7) << ICH_VTR_ID_BITS_SHIFT | ICH_VTR_TDS;
		vif->vtr |= host->gic.icc_ctlr & ICC_CTLR_SEIS ? ICH_VTR_SEIS : 0;
		vif->vtr |= host->gic.icc_ctlr & ICC_CTLR_A3V ? ICH_VTR_A3V : 0;
		vif->vtr |= host->gic.v4_1 ? 0 : ICH_VTR_NV4;
		vif->hcr_mask |= ICH_HCR_TC | ICH_HCR_TALL0 | ICH_HCR_TALL1 | ICH_HCR_TSEI | ICH_HCR_TDIR;
		vif->sre_mask = ICC_SRE_SRE;
		vif->sre_ones = ICC_SRE_DFB | ICC_SRE_DIB | (host->gic.v2_compat ? 0 : ICC_SRE_SRE);
		virt_cpuif_write_sre_el1(vif, ICC_SRE_SRE);
		virt_cpuif_write_sre_el2(vif, ICC_SRE_EL2_ENABLE);
	}
	virt_cpuif_write_vmcr(vif, 0);
	virt_cpuif_isb(vif);
}

uint32_t virt_cpuif_misr_asked(const struct virt_cpuif *vif, uint32_t empty)
{
	uint32_t valid = ~empty & ((1u << vif->nr_lr) - 1), hcr = vif->hcr, misr = 0, enables;

	if (!(valid & (valid - 1)))	/* one or none */
		misr |= hcr & ICH_HCR_UIE;
	if (hcr & ICH_HCR_EOICOUNT_MASK)
		misr |= hcr & ICH_HCR_LRENPIE;
	if (hcr & ICH_HCR_NPIE && !virt_cpuif_pending(vif))
		misr |= ICH_MISR_NP;
	/* The group enables, each moved to the bit of its interrupt for being enabled; the one for disabled is above. */
	enables = (vif->vmcr & ICH_VMCR_ENG0) * (ICH_HCR_VGRP0EIE / ICH_VMCR_ENG0) |
		  (vif->vmcr & ICH_VMCR_ENG1) * (ICH_HCR_VGRP1EIE / ICH_VMCR_ENG1);
	misr |= hcr & enables;
	misr |= hcr & ~enables << 1 & (ICH_HCR_VGRP0DIE | ICH_HCR_VGRP1DIE);
	return misr;
}

bool lr_is_legal(const struct virt_cpuif *vif, uint64_t lr)
{
	uint32_t vintid = lr_vintid(vif, lr);

	if (!lr_pending(vif, lr) && !lr_active(vif, lr))
		return true;
	if (intid_is_special(vintid))
		return false;
	if (vintid & ~virt_cpuif_intid_mask(vif))
		return false;
	if (!lr_hw(vif, lr))
		return true;
	if (lr_pending(vif, lr) && lr_active(vif, lr))
		return false;
	return lr_pintid(vif, lr) >= 16 && lr_pintid(vif, lr) < INTID_FIRST_SPECIAL;
}

/* Whether two list registers, neither empty, name one interrupt. */
static bool lrs_collide(const struct virt_cpuif *vif, uint64_t a, uint64_t b)
{
	if (lr_vintid(vif, a) == lr_vintid(vif, b))
		return true;
	return lr_hw(vif, a) && lr_hw(vif, b) && lr_pintid(vif, a) == lr_pintid(vif, b);
}

int virt_cpuif_check(const struct virt_cpuif *vif)
{
	uint32_t empty = virt_cpuif_empty(vif);

	for (unsigned int n = 0; n < VIRT_CPUIF_MAX_LRS; n++) {
		if (n >= vif->nr_lr ? vif->lr[n] != 0 : !lr_is_legal(vif, vif->lr[n]))
			return -EINVAL;
		for (unsigned int other = 0; other < n && n < vif->nr_lr; other++)
			if (!(empty >> n & 1) && !(empty >> other & 1) && lrs_collide(vif, vif->lr[n], vif->lr[other]))
				return -EEXIST;
	}
	return 0;
}

/* A GICv3 whose guest has the GICV frame: active priorities of both groups are in AP1R. */
static bool is_legacy(const struct virt_cpuif *vif)
{
	return !vif->v2 && !(vif->sre & ICC_SRE_SRE);
}

static uint32_t *active_priorities(struct virt_cpuif *vif, bool group1)
{
	if (vif->v2)
		return vif->ap0r;
	return group1 || is_legacy(vif) ? vif->ap1r : vif->ap0r;
}

/* The highest active priority as a bit's number, counted over all registers of both groups; -1: none. */
static int highest_active(const struct virt_cpuif *vif)
{
	bool use0 = !is_legacy(vif), use1 = !vif->v2;

	for (unsigned int i = 0; i < vif->nr_apr; i++) {
		uint32_t active = (use0 ? vif->ap0r[i] : 0) | (use1 ? vif->ap1r[i] : 0);

		if (active)
			return (int)(32 * i) + __builtin_ctz(active);
	}
	return -1;
}

uint32_t virt_cpuif_running_priority(const struct virt_cpuif *vif)
{
	int bit = highest_active(vif);

	return bit < 0 ? IDLE_PRIORITY : (uint32_t)bit << (8 - vif->pri_bits);
}

/* The bits of a priority that decide over preemption: all above the binary point. */
static uint32_t group_priority_mask(const struct virt_cpuif *vif, bool group1)
{
	uint32_t shift;

	if (group1 && !(vif->vmcr & ICH_VMCR_CBPR))
		shift = vif->vmcr >> ICH_VMCR_BPR1_SHIFT & 7;
	else
		shift = (vif->vmcr >> ICH_VMCR_BPR0_SHIFT & 7) + 1;
	return 0xff & ~0u << shift;
}

static bool group_enabled(const struct virt_cpuif *vif, uint64_t lr)
{
	return vif->vmcr & (lr_group1(vif, lr) ? ICH_VMCR_ENG1 : ICH_VMCR_ENG0);
}

int virt_cpuif_highest_pending(const struct virt_cpuif *vif)
{
	uint32_t best = IDLE_PRIORITY;	/* an interrupt of the idle priority is never signalled */
	int found = -1;

	for (uint32_t left = virt_cpuif_pending(vif); left; left &= left - 1) {
		int n = __builtin_ctz(left);
		uint64_t lr = vif->lr[n];
		uint32_t priority = lr_priority(vif, lr);

		if (priority >= best || (!vif->v2 && !group_enabled(vif, lr)))
			continue;
		best = priority;
		found = n;
	}
	return found;
}

bool virt_cpuif_passes_mask(const struct virt_cpuif *vif, int n)
{
	return group_enabled(vif, vif->lr[n]) && lr_priority(vif, vif->lr[n]) < vif->vmcr >> ICH_VMCR_PMR_SHIFT;
}

bool virt_cpuif_can_signal(const struct virt_cpuif *vif, int n)
{
	uint32_t mask;

	if (n < 0 || !(vif->hcr & ICH_HCR_EN) || !virt_cpuif_passes_mask(vif, n))
		return false;
	if (highest_active(vif) < 0)
		return true;
	mask = group_priority_mask(vif, lr_group1(vif, vif->lr[n]));
	return (lr_priority(vif, vif->lr[n]) & mask) < (virt_cpuif_running_priority(vif) & mask);
}

static bool signals_fiq(const struct virt_cpuif *vif, int n)
{
	return !lr_group1(vif, vif->lr[n]) && vif->vmcr & ICH_VMCR_FIQEN;
}

bool virt_irq(const struct virt_cpuif *vif)
{
	int n = virt_cpuif_highest_pending(vif);

	return virt_cpuif_can_signal(vif, n) && !signals_fiq(vif, n);
}

bool virt_fiq(const struct virt_cpuif *vif)
{
	int n = virt_cpuif_highest_pending(vif);

	return virt_cpuif_can_signal(vif, n) && signals_fiq(vif, n);
}

uint32_t virt_cpuif_acknowledge(struct virt_cpuif *vif, int n)
{
	uint64_t lr = vif->lr[n], pending = vif->v2 ? GICH_LR_PENDING : ICH_LR_PENDING;
	uint32_t intid = lr_vintid(vif, lr);
	bool group1 = lr_group1(vif, lr);
	uint32_t bit = (lr_priority(vif, lr) & group_priority_mask(vif, group1)) >> (8 - vif->pri_bits);

	/* A special INTID cannot become active: no write could end it. Whoever put it there broke the rules. */
	if (intid_is_special(intid)) {
		vif->lr[n] = lr & ~pending;
		return intid;
	}
	vif->lr[n] = (lr & ~pending) | (vif->v2 ? GICH_LR_ACTIVE : ICH_LR_ACTIVE);
	active_priorities(vif, group1)[bit / 32] |= 1u << bit % 32;
	return intid;
}

/* Clears the highest active priority, of group 0 where both have it. Returns it; -1: there was none. */
static int drop_priority(struct virt_cpuif *vif)
{
	int bit = highest_active(vif);
	uint32_t *apr;

	if (bit < 0)
		return -1;
	apr = active_priorities(vif, false);
	if (!(apr[bit / 32] >> bit % 32 & 1))
		apr = active_priorities(vif, true);
	apr[bit / 32] &= ~(1u << bit % 32);
	return bit << (8 - vif->pri_bits);
}

static int find_active(const struct virt_cpuif *vif, uint32_t intid)
{
	for (int n = 0; n < vif->nr_lr; n++)
		if (lr_active(vif, vif->lr[n]) && lr_vintid(vif, vif->lr[n]) == intid)
			return n;
	return -1;
}

/* Active ends; what is also pending stays so. A hardware interrupt ends at the host's distributor, too. */
static void deactivate_lr(struct virt_cpuif *vif, int n)
{
	uint64_t lr = vif->lr[n];

	vif->lr[n] = lr & ~(vif->v2 ? (uint64_t)GICH_LR_ACTIVE : ICH_LR_ACTIVE);
	if (lr_hw(vif, lr) && vif->cpu)
		host_irq_deactivate(vif->cpu, lr_pintid(vif, lr));
}

/* The hypervisor is told how many interrupts ended that it keeps outside the list registers. */
static void count_eoi(struct virt_cpuif *vif)
{
	uint32_t count = (vif->hcr + (1u << ICH_HCR_EOICOUNT_SHIFT)) & ICH_HCR_EOICOUNT_MASK;

	vif->hcr = (vif->hcr & ~ICH_HCR_EOICOUNT_MASK) | count;
}

/* LPIs have no deactivation of their own, and no hypervisor waits to hear of one: they end with their priority. */
static bool is_lpi(uint32_t intid)
{
	return intid >= INTID_FIRST_LPI;
}

void virt_cpuif_end(struct virt_cpuif *vif, uint32_t intid, unsigned int groups)
{
	bool split = vif->vmcr & ICH_VMCR_EOIM, group1;
	int dropped, n;

	if (intid_is_special(intid))
		return;
	dropped = drop_priority(vif);
	if (dropped < 0)	/* nothing was active: no EOIcount either */
		return;
	n = find_active(vif, intid);
	if (n < 0) {
		if (!split && !is_lpi(intid))
			count_eoi(vif);
		return;
	}
	group1 = lr_group1(vif, vif->lr[n]);
	if (!(groups & (group1 ? VIRT_GROUP1 : VIRT_GROUP0)))
		return;
	/* Not the one that was running, so that it stays active. Out of order is UNPREDICTABLE; a GICv2 looks at no priority. */
	if (!vif->v2 &&
	    (lr_priority(vif, vif->lr[n]) & group_priority_mask(vif, group1)) != (uint32_t)dropped)
		return;
	if (!split || is_lpi(intid))
		deactivate_lr(vif, n);
}

void virt_cpuif_deactivate(struct virt_cpuif *vif, uint32_t intid)
{
	int n;

	if (!(vif->vmcr & ICH_VMCR_EOIM) || intid_is_special(intid))
		return;
	n = find_active(vif, intid);
	if (n >= 0)
		deactivate_lr(vif, n);
	else if (!is_lpi(intid))
		count_eoi(vif);
}
