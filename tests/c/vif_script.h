/* SPDX-License-Identifier: MIT */
/*
 * What is done to a virtual CPU interface, and a hash of all that is seen, a round: the same on kvmemu's
 * (test_vif_recorded.c) and on another one, in a program without an operating system (tests/oracle/vif/). Part of the
 * tests. Needs no library.
 *
 * The other one is QEMU's (7.2). Where it is known to differ from the manuals the script stays away:
 *   GICv3  priority 0xf8, whose active bit is the sign of a number; ICH_MISR.VGrp0D and VGrp1D; ICC_EOIR in EOImode 1 for
 *          what is in no list register, which is counted; LPIs.
 *   GICv2  the aliased registers, which are not there; binary points above the least, which do not matter for preemption;
 *          groups that are disabled; GICH_HCR.En 0, which should leave GICV_HPPIR alone; GICV_EOIR for what was not taken
 *          last, GICV_DIR for what is not active; GICV_IAR is 1022 whatever runs; GICV_HPPIR has no sender.
 */
#ifndef KVMEMU_TESTS_VIF_SCRIPT_H
#define KVMEMU_TESTS_VIF_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#define SCRIPT_LRS 4
#define SCRIPT_STEPS 60

enum script_reg {
	/* ICH_* or GICH_*; on a GICv2 AP0R is GICH_APR, and there is no AP1R. */
	R_LR, R_HCR = R_LR + SCRIPT_LRS, R_VTR, R_VMCR, R_MISR, R_EISR, R_ELRSR, R_AP0R, R_AP1R,
	R_ISR,	/* ISR_EL1: bit 7 virtual IRQ, bit 6 virtual FIQ */
	/* ICC_*, or GICV_*: IAR0 is GICV_IAR, BPR1 GICV_ABPR, and so on. */
	R_IAR0, R_IAR1, R_EOIR0, R_EOIR1, R_DIR, R_HPPIR0, R_HPPIR1, R_RPR, R_PMR, R_BPR0, R_BPR1, R_CTLR, R_IGRPEN0,
	R_IGRPEN1,
};

/* What the script runs on. */
uint64_t script_read(unsigned int reg);
void script_write(unsigned int reg, uint64_t value);

struct script {
	bool v2;
	uint64_t random, hash;
	uint32_t taken[SCRIPT_STEPS], nr_taken;
};

static uint32_t script_choose(struct script *s, uint32_t n)
{
	s->random = s->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(s->random >> 33) % n;
}

static void script_see(struct script *s, uint64_t value)
{
	s->hash = (s->hash ^ value) * 0x100000001b3u;
	s->hash ^= s->hash >> 29;
}

static uint32_t script_intid_of(const struct script *s, uint64_t lr)
{
	uint32_t intid = (uint32_t)lr & 0x3ff;

	return s->v2 && intid < 16 ? (uint32_t)lr & 0x1fff : (uint32_t)lr & (s->v2 ? 0x3ff : 0xffffff);
}

static uint32_t script_state_of(const struct script *s, uint64_t lr)
{
	return (uint32_t)(lr >> (s->v2 ? 28 : 62)) & 3;
}

/* Whether it is in a list register other than n, or was taken and not ended. */
static bool script_is_used(const struct script *s, uint32_t intid, uint32_t n)
{
	for (uint32_t i = 0; i < SCRIPT_LRS; i++) {
		uint64_t lr = script_read(R_LR + i);

		if (i != n && script_state_of(s, lr) && (script_intid_of(s, lr) & 0x3ff) == intid)
			return true;
	}
	for (uint32_t i = 0; s->v2 && i < s->nr_taken; i++)
		if ((s->taken[i] & 0x3ff) == intid)
			return true;
	return false;
}

static bool script_is_active(const struct script *s, uint32_t intid)
{
	for (uint32_t i = 0; i < SCRIPT_LRS; i++) {
		uint64_t lr = script_read(R_LR + i);

		if (script_state_of(s, lr) & 2 && script_intid_of(s, lr) == intid)
			return true;
	}
	return false;
}

static uint32_t script_some_intid(struct script *s)
{
	static const uint16_t intids[8] = { 3, 17, 27, 40, 41, 42, 43, 1019 };

	return intids[script_choose(s, 8)];
}

/* Any state on a GICv3, pending on a GICv2; not where the guest has an active one there, whose end would not be ours. */
static void script_set_lr(struct script *s)
{
	static const uint8_t states[8] = { 0, 1, 1, 1, 1, 1, 2, 3 };
	uint32_t n = script_choose(s, SCRIPT_LRS), intid, priority = script_choose(s, 31) << 3;
	uint64_t state = s->v2 ? 1 : states[script_choose(s, 8)], group1 = script_choose(s, 2), eoi = !script_choose(s, 4);

	if (s->v2 && script_state_of(s, script_read(R_LR + n)) & 2)
		return;
	do
		intid = script_some_intid(s);
	while (script_is_used(s, intid, n));
	if (s->v2)
		script_write(R_LR + n, state << 28 | group1 << 30 | (uint64_t)priority << 20 | eoi << 19 |
			     (intid < 16 ? script_choose(s, 8) << 10 : 0) | intid);
	else
		script_write(R_LR + n, state << 62 | group1 << 60 | (uint64_t)priority << 48 | eoi << 41 | intid);
}

static void script_take(struct script *s)
{
	uint32_t intid = (uint32_t)script_read(s->v2 || script_choose(s, 2) ? R_IAR0 : R_IAR1);

	if (intid == 1022 && s->nr_taken)
		intid = 1023;
	script_see(s, intid);
	if (intid < 1020 || intid > 1023)
		s->taken[s->nr_taken++] = intid;
}

/* On a GICv3 anything may be written; half of the time it is what was taken last. */
static void script_end(struct script *s)
{
	uint32_t intid, reg = !s->v2 && script_choose(s, 2) ? R_EOIR1 : R_EOIR0;

	if (s->nr_taken && (s->v2 || script_choose(s, 2)))
		intid = s->taken[--s->nr_taken];
	else if (!s->v2)
		intid = script_some_intid(s);
	else
		return;
	if (script_is_active(s, intid) || !(script_read(R_VMCR) >> 9 & 1))
		script_write(reg, intid);
}

static void script_deactivate(struct script *s)
{
	uint32_t intid = script_some_intid(s);

	if (!s->v2 || (!s->nr_taken && script_is_active(s, intid) && script_read(R_VMCR) >> 9 & 1))
		script_write(R_DIR, intid);
}

static void script_look(struct script *s)
{
	static const uint8_t v3[12] = {
		R_HPPIR0, R_HPPIR1, R_RPR, R_PMR, R_BPR0, R_BPR1, R_CTLR, R_IGRPEN0, R_IGRPEN1, R_HPPIR0, R_HPPIR1, R_RPR,
	};
	static const uint8_t v2[6] = { R_HPPIR0, R_RPR, R_PMR, R_BPR0, R_BPR1, R_CTLR };
	uint32_t reg = s->v2 ? v2[script_choose(s, 6)] : v3[script_choose(s, 12)];
	uint64_t value = script_read(reg);

	script_see(s, s->v2 && reg == R_HPPIR0 ? value & 0x3ff : value);
}

static void script_configure(struct script *s)
{
	static const uint8_t regs[8] = { R_PMR, R_PMR, R_BPR0, R_BPR1, R_CTLR, R_CTLR, R_IGRPEN0, R_IGRPEN1 };
	uint32_t reg = regs[script_choose(s, 8)], value = script_choose(s, 256);

	if (reg == R_PMR && script_choose(s, 3))
		value = 0xff;
	if (s->v2) {
		if (s->nr_taken || (reg != R_PMR && reg != R_CTLR))
			return;
		if (reg == R_CTLR)	/* both groups; AckCtl more often than not; FIQEn, CBPR, EOImode */
			value = 3 | (value & 3 ? 4u : 0) | (value & 0x18) | (value & 0x20) << 4;
	} else if (reg == R_IGRPEN0 || reg == R_IGRPEN1) {
		value = !!(value & 3);
	} else if (reg != R_PMR) {
		value &= reg == R_CTLR ? 3 : 7;
	}
	script_write(reg, value);
}

/* HCR's enables but VGrp0DIE and VGrp1DIE, EOIcount as it is; VMCR of any kind on a GICv3; active priorities. */
static void script_hypervise(struct script *s)
{
	uint32_t what = s->v2 ? 0 : script_choose(s, 4), bits = script_choose(s, 1u << 30);

	if (what < 2)
		script_write(R_HCR, (s->v2 || bits & 7 ? 1u : 0) | (bits >> 3 & 0x5e) | (script_read(R_HCR) & 0xf8000000u));
	else if (what == 2)
		script_write(R_VMCR, (bits & 3 ? 0xff000000u : bits << 2 & 0xff000000u) | (bits & 0xfc0210u) | 8 |
			     (bits & 4 ? 3u : bits >> 10 & 3));
	else
		script_write(bits & 1 ? R_AP0R : R_AP1R, bits & 2 ? 0 : 1u << (bits >> 8) % 31);
}

static void script_step(struct script *s)
{
	uint32_t what = script_choose(s, 20);

	if (what < 5)
		script_set_lr(s);
	else if (what < 10)
		script_take(s);
	else if (what < 14)
		script_end(s);
	else if (what < 15)
		script_deactivate(s);
	else if (what < 18)
		script_look(s);
	else if (what < 19)
		script_configure(s);
	else
		script_hypervise(s);
	for (unsigned int reg = R_LR; reg <= R_ISR; reg++)
		if (reg != R_VTR && !(s->v2 && reg == R_AP1R))
			script_see(s, script_read(reg));
}

/* From the same state each time; the hash of all that was seen. */
static uint64_t script_round(bool v2, uint32_t round)
{
	struct script s;	/* not initialised as a whole: that would be memset(), which is not everywhere */

	s.v2 = v2;
	s.random = 88172645463325252u + round * 7919u;
	s.hash = 0xcbf29ce484222325u;
	s.nr_taken = 0;
	for (unsigned int n = 0; n < SCRIPT_LRS; n++)
		script_write(R_LR + n, 0);
	script_write(R_AP0R, 0);
	if (!v2)
		script_write(R_AP1R, 0);
	script_write(R_HCR, 1);
	script_write(R_VMCR, 0xf8000000u | 2u << 21 | 3u << 18 | (v2 ? 4 : 8) | 3);
	for (unsigned int step = 0; step < SCRIPT_STEPS; step++)
		script_step(&s);
	return s.hash;
}

#endif
