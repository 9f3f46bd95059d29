/* SPDX-License-Identifier: MIT */
/*
 * The PMU: what its registers do when a guest accesses them, and when a KVM_RUN begins. Software increments are counted,
 * cycles and other events are not. Layer: reg. Source: arch/arm64/kvm/pmu-emul.c, sys_regs.c, Linux 6.1.
 */
#include "pmu.h"

#include <errno.h>

#include "../machine/host.h"
#include "reg.h"
#include "sys.h"

#define PMCR_E 0x1ull		/* enable */
#define PMCR_LC 0x40ull		/* the cycle counter overflows at 64 bits: as ever, without AArch32 */
#define PMCR_WRITABLE 0xffull	/* E, P, C, D, X, DP, LC, LP */

#define DFR0_PMUVER_SHIFT 8
#define PMUVER_3_0 1		/* PMUv3 for Armv8.0, which has 10 bits of event number */
#define PMUVER_3_4 5		/* has PMMIR_EL1 */
#define PMUVER_OTHER 0xf	/* not Arm's */

#define EVENT_SW_INCR 0x00
#define EVENT_CHAIN 0x1e	/* the counter below overflowed */
#define FIRST_EXTENDED_EVENT 0x4000	/* of the upper half of PMCEID0_EL0 */

static unsigned int pmu_version(const struct kvmemu_host *host)
{
	return host->reg[SR_ID_AA64DFR0_EL1] >> DFR0_PMUVER_SHIFT & 0xf;
}

unsigned int pmu_nr_events(const struct kvmemu_host *host)
{
	return pmu_version(host) == PMUVER_3_0 ? 1u << 10 : 1u << 16;
}

bool pmu_has_mmir(const struct vcpu *vcpu, enum sysreg reg)
{
	unsigned int version = pmu_version(vcpu->vm->host);

	(void)reg;
	return version >= PMUVER_3_4 && version != PMUVER_OTHER;
}

/*
 * PMCR_EL0's write-only bits take effect, on as many counters as the value says there are, and are not kept.
 * Source: kvm_pmu_handle_pmcr().
 */
static void take_pmcr(struct vcpu *vcpu, uint64_t pmcr)
{
	vcpu->sys[SR_PMCR_EL0] = pmcr & ~(PMCR_C | PMCR_P);
	if (pmcr & PMCR_C)
		vcpu->sys[SR_PMCCNTR_EL0] = 0;
	if (pmcr & PMCR_P)
		for (unsigned int i = 0; i < pmu_event_counters(pmcr); i++)
			vcpu->sys[SR_PMEVCNTR0_EL0 + i] = 0;
}

void pmu_apply_pmcr(struct vcpu *vcpu)
{
	take_pmcr(vcpu, vcpu->sys[SR_PMCR_EL0]);
}

/* Source: kvm_pmu_overflow_status(). */
bool pmu_overflowed(const struct vcpu *vcpu)
{
	return vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3) && vcpu->sys[SR_PMCR_EL0] & PMCR_E &&
	       vcpu->sys[SR_PMOVSSET_EL0] & vcpu->sys[SR_PMINTENSET_EL1];
}

/*
 * Counters one by one.
 */

/* Of PMEVCNTRn_EL0 or PMEVTYPERn_EL0; the cycle counter has the one after the last. */
static unsigned int number(enum sysreg reg)
{
	if (reg == SR_PMCCNTR_EL0)
		return PMU_CYCLE_COUNTER;
	return reg - (reg < SR_PMEVTYPER0_EL0 ? SR_PMEVCNTR0_EL0 : SR_PMEVTYPER0_EL0);
}

bool pmu_has_counter(const struct vcpu *vcpu, enum sysreg reg)
{
	return number(reg) < pmu_event_counters(vcpu->vm->host->reg[SR_PMCR_EL0]);
}

/* Event counters hold 32 bits to the reader, whatever was written. */
int pmu_evcntr_rd(struct vcpu *vcpu, enum sysreg reg, uint64_t *value)
{
	*value = (uint32_t)vcpu->sys[reg];
	return 0;
}

/* Source: pmu_counter_idx_valid(). */
static bool is_valid(const struct vcpu *vcpu, enum sysreg reg)
{
	return pmu_counters(vcpu->sys[SR_PMCR_EL0]) >> number(reg) & 1;
}

int pmu_counter_rd(struct vcpu *vcpu, enum sysreg reg, uint64_t *value)
{
	if (!is_valid(vcpu, reg))
		return -ENOENT;
	*value = vcpu->sys[reg] & sys_rows[reg].bits;
	return 0;
}

int pmu_counter_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value)
{
	if (!is_valid(vcpu, reg))
		return -ENOENT;
	vcpu->sys[reg] = value & sys_rows[reg].bits;
	return 0;
}

/* What PMXEVTYPER_EL0 and PMXEVCNTR_EL0 stand for. PMCCFILTR_EL0 follows PMEVTYPER30_EL0. */
static enum sysreg selected(const struct vcpu *vcpu, enum sysreg reg)
{
	unsigned int n = vcpu->sys[SR_PMSELR_EL0] & sys_rows[SR_PMSELR_EL0].bits;

	if (reg == SR_PMXEVTYPER_EL0)
		return SR_PMEVTYPER0_EL0 + n;
	return n == PMU_CYCLE_COUNTER ? SR_PMCCNTR_EL0 : SR_PMEVCNTR0_EL0 + n;
}

int pmu_selected_rd(struct vcpu *vcpu, enum sysreg reg, uint64_t *value)
{
	return pmu_counter_rd(vcpu, selected(vcpu, reg), value);
}

int pmu_selected_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value)
{
	return pmu_counter_wr(vcpu, selected(vcpu, reg), value);
}

/*
 * All of them.
 */

/* Source: access_pmcr(). */
int pmu_pmcr_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value)
{
	uint64_t pmcr = (vcpu->sys[reg] & ~PMCR_WRITABLE) | (value & PMCR_WRITABLE);

	take_pmcr(vcpu, vcpu->vm->host->aarch32_el0 ? pmcr : pmcr | PMCR_LC);
	return 0;
}

int pmu_userenr_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value)
{
	vcpu->sys[reg] = value & sys_rows[reg].bits;
	return 0;
}

/* Pairs that set and clear bits of one register. Source: access_pmcnten(), access_pminten(), access_pmovs(). */
int pmu_set_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value)
{
	vcpu->sys[reg] |= value & pmu_counters(vcpu->sys[SR_PMCR_EL0]);
	return 0;
}

int pmu_clr_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value)
{
	vcpu->sys[sys_rows[reg].alias] &= ~(value & pmu_counters(vcpu->sys[SR_PMCR_EL0]));
	return 0;
}

/*
 * One more of an event, on those of these counters that are enabled and count it. An odd counter may count the overflows
 * of the one below. Source: kvm_pmu_counter_increment().
 */
static void increment(struct vcpu *vcpu, uint64_t counters, uint64_t event)
{
	uint64_t type = pmu_nr_events(vcpu->vm->host) - 1;

	if (!(vcpu->sys[SR_PMCR_EL0] & PMCR_E))
		return;
	counters &= vcpu->sys[SR_PMCNTENSET_EL0];
	for (unsigned int i = 0; i < PMU_CYCLE_COUNTER; i++) {
		uint64_t *counter = &vcpu->sys[SR_PMEVCNTR0_EL0 + i];

		if (!(counters >> i & 1) || (vcpu->sys[SR_PMEVTYPER0_EL0 + i] & type) != event)
			continue;
		*counter = (uint32_t)(*counter + 1);
		if (*counter)
			continue;
		vcpu->sys[SR_PMOVSSET_EL0] |= 1ull << i;
		if (i % 2 == 0 && i + 1 < PMU_CYCLE_COUNTER)
			increment(vcpu, 1ull << (i + 1), EVENT_CHAIN);
	}
}

int pmu_swinc_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value)
{
	(void)reg;
	increment(vcpu, value & pmu_counters(vcpu->sys[SR_PMCR_EL0]), EVENT_SW_INCR);
	return 0;
}

/*
 * Which events there are.
 */

/* Of 32 events those that the VM's filter allows; it has none beyond the last. */
static uint64_t allowed(const struct vm *vm, unsigned int first)
{
	if (!vm->pmu_filter)
		return UINT32_MAX;
	if (first + 32 > pmu_nr_events(vm->host))
		return 0;
	return vm->pmu_filter[first / 64] >> first % 64 & UINT32_MAX;
}

/* Source: kvm_pmu_get_pmceid(). */
int pmu_ceid_rd(struct vcpu *vcpu, enum sysreg reg, uint64_t *value)
{
	const struct vm *vm = vcpu->vm;
	unsigned int first = reg == SR_PMCEID1_EL0 ? 32 : 0;

	*value = vm->host->reg[reg] & (allowed(vm, FIRST_EXTENDED_EVENT + first) << 32 | allowed(vm, first));
	return 0;
}
