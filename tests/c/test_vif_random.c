/* SPDX-License-Identifier: MIT */
/*
 * A guest and a hypervisor that do anything, on every kind of host: the virtual CPU interface does what vif_model.h says,
 * and whatever they do these hold (check_invariants()):
 *   - each interrupt that was made pending is acknowledged once, or still pending: none is lost, none comes twice;
 *   - a list register with HW is never pending and active;
 *   - the running priority is the highest active priority, and there are no other bits;
 *   - the host's interrupt is active for as long as the guest has not ended it.
 * Part of the tests.
 */
#include "vif_model.h"

#ifndef ROUNDS
#define ROUNDS 3000
#endif
#define STEPS 200
#define FIRST_SPI 32

static uint64_t random_state;

static uint32_t choose(uint32_t n)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 33) % n;
}

struct world {
	struct machine *machine;
	struct pcpu *cpu;
	struct virt_cpuif *vif;
	struct model m;
	uint32_t taken[STEPS];	/* by the guest, and not ended; the last one first */
	unsigned int nr_taken;
	unsigned int made_pending, acknowledged;
};

static const uint32_t intids[] = { 0, 5, 15, 16, 27, 31, 32, 33, 34, 35, 100, 1019, 8192, 20000 };
#define NR_INTIDS (sizeof(intids) / sizeof(intids[0]))

static uint32_t some_intid(const struct world *w)
{
	uint32_t intid = intids[choose(w->m.kind == V3 ? NR_INTIDS : NR_INTIDS - 2)];

	return w->m.kind != V3 && intid < 16 ? intid | choose(8) << 10 : intid;
}

static bool is_in_use(const struct world *w, uint32_t intid)
{
	for (unsigned int n = 0; n < w->m.nr_lr; n++)
		if (w->m.irq[n].there && w->m.irq[n].intid == intid)
			return true;
	return false;
}

/*
 * The hypervisor.
 */

static uint64_t format(const struct world *w, const struct model_irq *irq)
{
	unsigned int state = (irq->pending ? PENDING : 0) | (irq->active ? ACTIVE : 0);
	uint64_t lr;

	if (irq->hw)
		return make_hw_lr(w->vif, state, irq->group1, irq->priority, irq->intid, irq->pintid);
	lr = make_lr(w->vif, state, irq->group1, irq->priority, irq->intid);
	return irq->tell_eoi ? lr | (w->vif->v2 ? GICH_LR_EOI : ICH_LR_EOI) : lr;
}

/* Into an empty list register, or one whose EOI is told and now heard. A hardware interrupt comes active at the host. */
static void inject(struct world *w)
{
	struct model_irq irq = {
		.there = true, .pending = true, .intid = some_intid(w), .group1 = choose(2),
		.priority = choose(1u << w->m.bits) * model_step(&w->m), .tell_eoi = !choose(3),
	};
	unsigned int n = choose(w->m.nr_lr);

	if (w->m.irq[n].there || is_in_use(w, irq.intid))
		return;
	if (irq.intid >= 16 && irq.intid < 1020 && choose(2)) {
		irq.hw = true;
		irq.tell_eoi = false;
		irq.pintid = irq.intid < FIRST_SPI ? irq.intid : 1051 - irq.intid;
		must(host_irq_set_active(w->machine, w->cpu, irq.pintid, true));
		w->m.host_active[irq.pintid] = true;
	}
	w->m.irq[n] = irq;
	w->vif->lr[n] = format(w, &irq);
	ok(lr_is_legal(w->vif, w->vif->lr[n]));
	w->made_pending++;
}

/* Its device, or its sender, wants it again while it is active. */
static void pend_again(struct world *w)
{
	struct model_irq *irq = &w->m.irq[choose(w->m.nr_lr)];

	if (!irq->there || irq->hw || irq->pending)
		return;
	irq->pending = true;
	w->vif->lr[irq - w->m.irq] = format(w, irq);
	w->made_pending++;
}

/* There were more than fit: an active one is kept in memory, and its end is only counted. */
static void evict(struct world *w)
{
	struct model_irq *irq = &w->m.irq[choose(w->m.nr_lr)];

	if (!irq->there || irq->hw || irq->pending)
		return;
	*irq = (struct model_irq){ 0 };
	w->vif->lr[irq - w->m.irq] = 0;
}

static void ask_for_maintenance(struct world *w)
{
	uint32_t bits = choose(8), count = w->vif->hcr & ICH_HCR_EOICOUNT_MASK;

	w->m.on = choose(8);
	w->m.want_u = bits & 1;
	w->m.want_lrenp = bits & 2;
	w->m.want_np = bits & 4;
	if (!choose(4))
		w->m.eoicount = 0, count = 0;
	virt_cpuif_write_hcr(w->vif, (w->m.on ? ICH_HCR_EN : 0) | bits << 1 | count);
}

/* To another physical CPU, as a world switch would. PPIs stay behind with the old one, so that they are brought along. */
static void move(struct world *w)
{
	struct pcpu *to = machine_take_cpu(w->machine);
	struct virt_cpuif *vif = &to->vif;

	for (uint32_t ppi = 16; ppi < 32; ppi++) {
		must(host_irq_set_active(w->machine, to, ppi, host_irq_is_active(w->machine, w->cpu, ppi) == 1));
		must(host_irq_set_active(w->machine, w->cpu, ppi, false));
	}
	virt_cpuif_dsb(w->vif);
	virt_cpuif_write_sre_el1(vif, virt_cpuif_read_sre_el1(w->vif));
	virt_cpuif_isb(vif);
	virt_cpuif_write_vmcr(vif, w->vif->vmcr);
	virt_cpuif_write_hcr(vif, w->vif->hcr);
	memcpy(vif->lr, w->vif->lr, sizeof(vif->lr));
	memcpy(vif->ap0r, w->vif->ap0r, sizeof(vif->ap0r));
	memcpy(vif->ap1r, w->vif->ap1r, sizeof(vif->ap1r));
	memset(w->vif->lr, 0xff, sizeof(vif->lr));
	machine_give_cpu(w->cpu);
	w->cpu = to;
	w->vif = vif;
}

/*
 * The guest.
 */

static void acknowledge(struct world *w)
{
	bool second = choose(2);
	uint32_t got, want;

	if (w->m.kind == V3) {
		got = (uint32_t)icc(w->vif, second ? SR_ICC_IAR1_EL1 : SR_ICC_IAR0_EL1);
		want = model_iar(&w->m, second);
	} else {
		got = gicv_read(w->vif, second ? GICV_AIAR : GICV_IAR);
		want = model_gicv_first(&w->m, second, true);
	}
	equal(got, want);
	if (intid_is_special(got))
		return;
	w->acknowledged++;
	if (w->nr_taken < STEPS)
		w->taken[w->nr_taken++] = got;
}

/* Mostly what it took last; else anything. */
static void end(struct world *w)
{
	bool second = choose(2);
	uint32_t intid = choose(8) ? some_intid(w) : 1020 + choose(4);

	if (w->nr_taken && choose(6))
		intid = w->taken[--w->nr_taken];
	if (w->m.kind == V3) {
		set_icc(w->vif, second ? SR_ICC_EOIR1_EL1 : SR_ICC_EOIR0_EL1, intid);
		model_eoir(&w->m, intid, second, false);
	} else {
		gicv_write(w->vif, second ? GICV_AEOIR : GICV_EOIR, intid);
		model_eoir(&w->m, intid, second, true);
	}
}

static void deactivate(struct world *w)
{
	const struct model_irq *irq = &w->m.irq[choose(w->m.nr_lr)];
	uint32_t intid = irq->active && choose(4) ? irq->intid : some_intid(w);

	if (w->m.kind == V3)
		set_icc(w->vif, SR_ICC_DIR_EL1, intid);
	else
		gicv_write(w->vif, GICV_DIR, intid);
	model_dir(&w->m, intid);
}

static void look(struct world *w)
{
	uint32_t running = model_running(&w->m);

	running = running == 0x100 ? 0xff : running;
	if (w->m.kind == V3) {
		equal(icc(w->vif, SR_ICC_HPPIR0_EL1), model_hppir(&w->m, false));
		equal(icc(w->vif, SR_ICC_HPPIR1_EL1), model_hppir(&w->m, true));
		equal(icc(w->vif, SR_ICC_RPR_EL1), running);
	} else {
		equal(gicv_read(w->vif, GICV_HPPIR), model_gicv_first(&w->m, false, false));
		equal(gicv_read(w->vif, GICV_AHPPIR), model_gicv_first(&w->m, true, false));
		equal(gicv_read(w->vif, GICV_RPR), running);
	}
}

static uint32_t at_least(uint32_t value, uint32_t least)
{
	return value < least ? least : value;
}

static void set_priorities(struct world *w)
{
	uint32_t pmr = choose(2) ? 0xff : choose(256), bpr0 = choose(8), bpr1 = choose(8);

	if (w->m.kind == V3) {
		set_icc(w->vif, SR_ICC_PMR_EL1, pmr);
		set_icc(w->vif, SR_ICC_BPR0_EL1, bpr0);
		set_icc(w->vif, SR_ICC_BPR1_EL1, bpr1);
	} else {
		gicv_write(w->vif, GICV_PMR, pmr);
		gicv_write(w->vif, GICV_BPR, bpr0);
		gicv_write(w->vif, GICV_ABPR, bpr1);
	}
	w->m.pmr = pmr - pmr % model_step(&w->m);
	w->m.bpr0 = at_least(bpr0, 7 - w->m.bits);
	if (w->m.kind != V3 || !w->m.cbpr)
		w->m.bpr1 = at_least(bpr1, 8 - w->m.bits);
}

static void set_control(struct world *w)
{
	struct model *m = &w->m;

	m->enabled[0] = choose(4);
	m->enabled[1] = choose(4);
	m->eoimode = choose(2);
	m->cbpr = choose(2);
	m->ackctl = m->kind != V3 && choose(2);
	m->fiqen = m->kind == V3 || choose(2);
	if (m->kind == V3) {
		set_icc(w->vif, SR_ICC_IGRPEN0_EL1, m->enabled[0]);
		set_icc(w->vif, SR_ICC_IGRPEN1_EL1, m->enabled[1]);
		set_icc(w->vif, SR_ICC_CTLR_EL1, (uint64_t)m->cbpr | (uint64_t)m->eoimode << 1);
		return;
	}
	gicv_write(w->vif, GICV_CTLR, (uint32_t)m->enabled[0] | (uint32_t)m->enabled[1] << 1 |
		   (uint32_t)m->ackctl << 2 | (uint32_t)m->fiqen << 3 | (uint32_t)m->cbpr << 4 |
		   (uint32_t)m->eoimode << 9);
}

/*
 * What holds.
 */

static void compare(const struct world *w)
{
	const struct virt_cpuif *vif = w->vif;
	struct virt_cpuif_status status = virt_cpuif_status(vif);

	for (unsigned int n = 0; n < w->m.nr_lr; n++)
		equal(vif->lr[n], format(w, &w->m.irq[n]));
	equal(status.eisr, model_eisr(&w->m));
	equal(status.elrsr, model_elrsr(&w->m));
	equal(status.misr, model_misr(&w->m));
	equal(vif->hcr >> ICH_HCR_EOICOUNT_SHIFT, w->m.eoicount);
	equal((virt_irq(vif) ? 1 : 0) | (virt_fiq(vif) ? 2 : 0), model_lines(&w->m));
	for (uint32_t level = 0; level < 1u << w->m.bits; level++) {
		const uint32_t *first = w->m.kind == V3_COMPAT ? vif->ap1r : vif->ap0r;

		equal(first[level / 32] >> level % 32 & 1, w->m.running[0][level]);
		if (w->m.kind == V3)
			equal(vif->ap1r[level / 32] >> level % 32 & 1, w->m.running[1][level]);
	}
}

static void check_invariants(const struct world *w)
{
	unsigned int pending = 0;

	for (unsigned int n = 0; n < w->m.nr_lr; n++) {
		uint64_t lr = w->vif->lr[n];

		pending += lr_pending(w->vif, lr);
		ok(!(lr_hw(w->vif, lr) && lr_pending(w->vif, lr) && lr_active(w->vif, lr)));
		if (lr_hw(w->vif, lr) && lr_state(w->vif, n) != INVALID)
			equal(host_irq_is_active(w->machine, w->cpu, lr_pintid(w->vif, lr)), 1);
	}
	equal(w->made_pending, w->acknowledged + pending);
	for (uint32_t intid = 16; intid < 1020; intid += intid < 40 ? 1 : 61)
		equal(host_irq_is_active(w->machine, w->cpu, intid), w->m.host_active[intid]);
	equal(virt_cpuif_check(w->vif), 0);
}

static void set_up(struct world *w, uint32_t round)
{
	static const uint32_t vmcr = ICH_VMCR_ENG0 | ICH_VMCR_ENG1 | 0xf8u << ICH_VMCR_PMR_SHIFT;
	enum kind kind = round % 3;
	struct kvmemu_host *host = malloc(sizeof(*host));

	random_state = round * 7919ull + 88172645463325252ull;
	memset(w, 0, sizeof(*w));
	w->m = (struct model){
		.kind = kind, .nr_lr = 1 + choose(16), .bits = kind == V2 ? 5 : 5 + choose(3),
		.enabled = { true, true }, .on = true, .fiqen = kind == V3, .pmr = 0xf8,
	};
	w->m.bpr0 = 7 - w->m.bits;
	w->m.bpr1 = 8 - w->m.bits;
	*host = test_host(kind, w->m.nr_lr, w->m.bits);
	atomic_init(&host->refs, 1);
	must(machine_create(host, &w->machine));
	kvmemu_host_put(host);
	w->cpu = machine_take_cpu(w->machine);
	w->vif = &w->cpu->vif;
	if (kind == V3_COMPAT) {
		virt_cpuif_write_sre_el1(w->vif, 0);
		virt_cpuif_isb(w->vif);
	}
	virt_cpuif_write_hcr(w->vif, ICH_HCR_EN);
	virt_cpuif_write_vmcr(w->vif, vmcr);
}

static void one_round(uint32_t round)
{
	static const struct {
		void (*act)(struct world *);
		uint32_t weight;
	} acts[] = {
		{ inject, 30 }, { pend_again, 6 }, { evict, 3 }, { ask_for_maintenance, 3 }, { move, 2 },
		{ acknowledge, 30 }, { end, 28 }, { deactivate, 10 }, { look, 10 }, { set_priorities, 3 },
		{ set_control, 3 },
	};
	struct world w;

	set_up(&w, round);
	for (unsigned int step = 0; step < STEPS; step++) {
		uint32_t at = choose(128), i = 0;

		for (; at >= acts[i].weight; i++)
			at -= acts[i].weight;
		acts[i].act(&w);
		compare(&w);
		check_invariants(&w);
		if (atomic_load(&check_failed)) {
			printf("# round %u, step %u, act %u\n", round, step, i);
			break;
		}
	}
	machine_give_cpu(w.cpu);
	machine_put(w.machine);
}

static void anything_goes_as_the_model_says(void)
{
	for (uint32_t round = 0; round < ROUNDS && !atomic_load(&check_failed); round++)
		one_round(round);
}

int main(void)
{
	run(anything_goes_as_the_model_says);
	return check_done();
}
