/* SPDX-License-Identifier: MIT */
/*
 * What a KVM_RUN makes of the PMU's registers. Nothing counts: there is no guest. Layer: reg.
 * Source: arch/arm64/kvm/pmu-emul.c, Linux 6.1.
 */
#include "reg.h"

#define PMCR_E 0x1ull	/* enable */
#define PMCR_P 0x2ull	/* event counters to zero */
#define PMCR_C 0x4ull	/* cycle counter to zero */
#define PMCR_N_SHIFT 11
#define PMCR_N_MASK 0x1full

/*
 * User space may have set PMCR_EL0's write-only bits as well: they take effect once, on as many counters as the value
 * says there are. Event counters are 32 bits of a wider field, and only those are zeroed. Source: kvm_pmu_handle_pmcr().
 */
void pmu_apply_pmcr(struct vcpu *vcpu)
{
	uint64_t pmcr = vcpu->sys[SR_PMCR_EL0];
	unsigned int counters = pmcr >> PMCR_N_SHIFT & PMCR_N_MASK;

	vcpu->sys[SR_PMCR_EL0] = pmcr & ~(PMCR_C | PMCR_P);
	if (pmcr & PMCR_C)
		vcpu->sys[SR_PMCCNTR_EL0] = 0;
	if (pmcr & PMCR_P)
		for (unsigned int i = 0; i < counters; i++)
			vcpu->sys[SR_PMEVCNTR0_EL0 + i] &= ~0xffffffffull;
}

/* Source: kvm_pmu_overflow_status(). */
bool pmu_overflowed(const struct vcpu *vcpu)
{
	return vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3) && vcpu->sys[SR_PMCR_EL0] & PMCR_E &&
	       vcpu->sys[SR_PMOVSSET_EL0] & vcpu->sys[SR_PMINTENSET_EL1];
}
