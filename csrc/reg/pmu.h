/* SPDX-License-Identifier: MIT */
/* The PMU's registers as a guest accesses them: the accessors of their rows in sys_rows.c. Layer: reg. */
#ifndef KVMEMU_REG_PMU_H
#define KVMEMU_REG_PMU_H

#include "../vm/vcpu.h"

#define PMU_CYCLE_COUNTER 31
#define PMCR_N_SHIFT 11
#define PMCR_N_MASK 0x1full
#define PMCR_P 0x2ull	/* event counters to zero */
#define PMCR_C 0x4ull	/* cycle counter to zero */

/* How many event counters there are by a PMCR_EL0. */
static inline unsigned int pmu_event_counters(uint64_t pmcr)
{
	return pmcr >> PMCR_N_SHIFT & PMCR_N_MASK;
}

/* A bit for each of them, and for the cycle counter. */
static inline uint64_t pmu_counters(uint64_t pmcr)
{
	return 1ull << PMU_CYCLE_COUNTER | ((1ull << pmu_event_counters(pmcr)) - 1);
}

/* PMEVCNTRn_EL0, PMEVTYPERn_EL0: the host's PMU has counter n. Where it has not, nothing traps. */
bool pmu_has_counter(const struct vcpu *vcpu, enum sysreg reg);

/* PMMIR_EL1: the host's PMU is one that has it. */
bool pmu_has_mmir(const struct vcpu *vcpu, enum sysreg reg);

/* User space's. */
int pmu_evcntr_rd(struct vcpu *vcpu, enum sysreg reg, uint64_t *value);

/* A guest's. Each returns 0, or -ENOENT where the access is UNDEFINED: of a counter that this vCPU's PMCR_EL0 denies. */
int pmu_counter_rd(struct vcpu *vcpu, enum sysreg reg, uint64_t *value);
int pmu_counter_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value);
int pmu_selected_rd(struct vcpu *vcpu, enum sysreg reg, uint64_t *value);
int pmu_selected_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value);
int pmu_ceid_rd(struct vcpu *vcpu, enum sysreg reg, uint64_t *value);
int pmu_pmcr_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value);
int pmu_userenr_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value);
int pmu_set_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value);
int pmu_clr_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value);
int pmu_swinc_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t value);

#endif
