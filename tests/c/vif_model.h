/* SPDX-License-Identifier: MIT */
/*
 * The virtual CPU interface written a second time, as the manuals tell it to a reader: interrupts with states, a set of
 * priorities that run, named settings; no register formats and no masks. Slow and plain. test_vif_random.c holds the
 * real one against it. Part of the tests.
 */
#ifndef KVMEMU_TESTS_VIF_MODEL_H
#define KVMEMU_TESTS_VIF_MODEL_H

#include "vif.h"

struct model_irq {
	bool there;		/* false: the list register is empty, but for what it was asked to tell */
	bool pending, active;
	bool tell_eoi, hw, group1;
	uint32_t intid, pintid, priority;
};

struct model {
	enum kind kind;
	unsigned int nr_lr, bits;
	struct model_irq irq[16];
	bool running[2][128];	/* by group (legacy: all in the first) and level of preemption, 0 the highest */
	bool enabled[2], on, eoimode, cbpr, ackctl, fiqen;
	uint32_t pmr, bpr0, bpr1;
	bool want_u, want_lrenp, want_np;
	unsigned int eoicount;
	bool host_active[1020];
};

static inline uint32_t model_step(const struct model *m)
{
	return 1u << (8 - m->bits);
}

/* Which interrupts preempt is decided by the priority without its lowest bits, as many as the binary point says. */
static inline uint32_t model_group_priority(const struct model *m, bool group1, uint32_t priority)
{
	uint32_t bits = group1 && !m->cbpr ? m->bpr1 : m->bpr0 + 1;

	return bits >= 8 ? 0 : priority >> bits << bits;
}

/* 0x100: nothing runs. */
static inline uint32_t model_running(const struct model *m)
{
	for (uint32_t level = 0; level < 1u << m->bits; level++)
		if (m->running[0][level] || m->running[1][level])
			return level * model_step(m);
	return 0x100;
}

/* The interrupt that would be next; -1: none. */
static inline int model_first(const struct model *m)
{
	int first = -1;

	for (unsigned int n = 0; n < m->nr_lr; n++) {
		const struct model_irq *irq = &m->irq[n];

		if (!irq->there || !irq->pending || irq->active || irq->priority == 0xff)
			continue;
		if (m->kind != V2 && !m->enabled[irq->group1])
			continue;
		if (first < 0 || irq->priority < m->irq[first].priority)
			first = (int)n;
	}
	return first;
}

static inline bool model_passes_mask(const struct model *m, int n)
{
	return n >= 0 && m->enabled[m->irq[n].group1] && m->irq[n].priority < m->pmr;
}

static inline bool model_signals(const struct model *m)
{
	int n = model_first(m);
	uint32_t running = model_running(m);

	if (!m->on || !model_passes_mask(m, n))
		return false;
	if (running == 0x100)
		return true;
	return model_group_priority(m, m->irq[n].group1, m->irq[n].priority) <
	       model_group_priority(m, m->irq[n].group1, running);
}

/* 0: neither; 1: IRQ; 2: FIQ. */
static inline unsigned int model_lines(const struct model *m)
{
	if (!model_signals(m))
		return 0;
	return !m->irq[model_first(m)].group1 && (m->kind == V3 || m->fiqen) ? 2 : 1;
}

static inline uint32_t model_take(struct model *m)
{
	struct model_irq *irq = &m->irq[model_first(m)];
	uint32_t level = model_group_priority(m, irq->group1, irq->priority) / model_step(m);

	irq->pending = false;
	irq->active = true;
	m->running[m->kind == V3 && irq->group1][level] = true;
	return irq->intid;
}

/* ICC_IAR<group>. */
static inline uint32_t model_iar(struct model *m, bool group1)
{
	return model_signals(m) && m->irq[model_first(m)].group1 == group1 ? model_take(m) : 1023;
}

/* GICV_IAR, and GICV_AIAR if it is the alias; GICV_HPPIR and its alias if it is not to be taken. */
static inline uint32_t model_gicv_first(struct model *m, bool alias, bool take)
{
	int n = model_first(m);

	if (take ? !model_signals(m) : !model_passes_mask(m, n))
		return 1023;
	if (alias && !m->irq[n].group1)
		return 1023;
	if (!alias && m->irq[n].group1 && !m->ackctl)
		return 1022;
	return take ? model_take(m) : m->irq[n].intid;
}

static inline uint32_t model_hppir(const struct model *m, bool group1)
{
	int n = model_first(m);

	return n >= 0 && m->irq[n].group1 == group1 ? m->irq[n].intid : 1023;
}

static inline struct model_irq *model_find_active(struct model *m, uint32_t intid)
{
	for (unsigned int n = 0; n < m->nr_lr; n++)
		if (m->irq[n].there && m->irq[n].active && m->irq[n].intid == intid)
			return &m->irq[n];
	return NULL;
}

static inline void model_deactivate(struct model *m, struct model_irq *irq)
{
	irq->active = false;
	irq->there = irq->pending;
	if (irq->hw)
		m->host_active[irq->pintid] = false;
}

/* either: GICV's two registers end interrupts of either group. */
static inline void model_eoir(struct model *m, uint32_t intid, bool group1, bool either)
{
	uint32_t running = model_running(m), level = running / model_step(m);
	bool lpi = intid >= 8192;
	struct model_irq *irq;

	if ((intid >= 1020 && intid < 1024) || running == 0x100)
		return;
	m->running[!m->running[0][level]][level] = false;
	irq = model_find_active(m, intid);
	if (!irq) {
		if (!m->eoimode && !lpi)
			m->eoicount = (m->eoicount + 1) % 32;
		return;
	}
	if (!either && irq->group1 != group1)
		return;
	if (m->kind != V2 && model_group_priority(m, irq->group1, irq->priority) != running)
		return;
	if (!m->eoimode || lpi)
		model_deactivate(m, irq);
}

static inline void model_dir(struct model *m, uint32_t intid)
{
	struct model_irq *irq = model_find_active(m, intid);

	if (!m->eoimode || (intid >= 1020 && intid < 1024))
		return;
	if (irq)
		model_deactivate(m, irq);
	else if (intid < 8192)
		m->eoicount = (m->eoicount + 1) % 32;
}

static inline uint32_t model_eisr(const struct model *m)
{
	uint32_t eisr = 0;

	for (unsigned int n = 0; n < m->nr_lr; n++)
		if (!m->irq[n].there && m->irq[n].tell_eoi && !m->irq[n].hw)
			eisr |= 1u << n;
	return eisr;
}

static inline uint32_t model_elrsr(const struct model *m)
{
	uint32_t elrsr = 0;

	for (unsigned int n = 0; n < m->nr_lr; n++)
		if (!m->irq[n].there && (!m->irq[n].tell_eoi || m->irq[n].hw))
			elrsr |= 1u << n;
	return elrsr;
}

static inline uint32_t model_misr(const struct model *m)
{
	unsigned int valid = 0, pending = 0;

	for (unsigned int n = 0; n < m->nr_lr; n++) {
		valid += m->irq[n].there;
		pending += m->irq[n].there && m->irq[n].pending && !m->irq[n].active;
	}
	return (model_eisr(m) ? ICH_MISR_EOI : 0) | (m->want_u && valid < 2 ? ICH_MISR_U : 0) |
	       (m->want_lrenp && m->eoicount ? ICH_MISR_LRENP : 0) | (m->want_np && !pending ? ICH_MISR_NP : 0);
}

#endif
