/* SPDX-License-Identifier: MIT */
/* The table of system registers, and the accessors that only single rows have. Layer: reg. */
#include <errno.h>

#include "../machine/host.h"
#include "pmu.h"
#include "sys.h"

/* What Linux fills registers with whose reset value the architecture leaves UNKNOWN. */
#define UNKNOWN 0x1de7ec7edbadc0deull

#define OSLSR_OSLM 0x8		/* OS lock implemented */
#define OSLSR_OSLK 0x2
#define PMEVTYPER_BITS 0xc800ffff	/* P, U, NSH, evtCount */
#define SCTLR_MTE (0x7full << 37)	/* ITFSB, TCF0, TCF, ATA0, ATA: without MTE, which no host here gives to guests */
#define VBAR_RES0 0x1full
#define CSSELR_LEVEL_AND_TYPE 0xf
#define ALL_BITS UINT64_MAX
#define CSV2_SHIFT 56
#define CSV3_SHIFT 60

static uint64_t value(const struct vcpu *vcpu, const struct sys_row *row)
{
	(void)vcpu;
	return row->reset_value;
}

static uint64_t unknown(const struct vcpu *vcpu, const struct sys_row *row)
{
	(void)vcpu;
	(void)row;
	return UNKNOWN;
}

/* UNKNOWN, cut to the bits that the register has. */
static uint64_t unknown_masked(const struct vcpu *vcpu, const struct sys_row *row)
{
	(void)vcpu;
	return UNKNOWN & row->bits;
}

/* Registers with a bit a counter. The host's count of event counters says which exist, beside the cycle counter. */
static uint64_t unknown_counters(const struct vcpu *vcpu, const struct sys_row *row)
{
	const struct kvmemu_host *host = vcpu->vm->host;

	(void)row;
	if (!host_cap(host, KVM_CAP_ARM_PMU_V3))
		return 0;
	return UNKNOWN & pmu_counters(host->reg[SR_PMCR_EL0]);
}

static uint64_t pmcr(const struct vcpu *vcpu, const struct sys_row *row)
{
	const struct kvmemu_host *host = vcpu->vm->host;

	(void)row;
	return host_cap(host, KVM_CAP_ARM_PMU_V3) ? host->reg[SR_PMCR_EL0] : 0;
}

static uint64_t host_actlr(const struct vcpu *vcpu, const struct sys_row *row)
{
	(void)row;
	return vcpu->vm->host->reg[SR_ACTLR_EL1];
}

static uint64_t host_amair(const struct vcpu *vcpu, const struct sys_row *row)
{
	(void)row;
	return vcpu->vm->host->reg[SR_AMAIR_EL1];
}

/* Affinity from the vCPU's id: 16 to a level-0 group, so that ICC_SGI1R_EL1's target list reaches each of them. */
static uint64_t mpidr(const struct vcpu *vcpu, const struct sys_row *row)
{
	uint64_t id = vcpu->id;

	(void)row;
	return 1ull << 31 | (id & 0xf) | (id >> 4 & 0xff) << 8 | (id >> 12 & 0xff) << 16;
}

static unsigned int with_pmu(const struct vcpu *vcpu)
{
	return vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3) ? 0 : SYS_HIDDEN;
}

static unsigned int with_sve(const struct vcpu *vcpu)
{
	return vcpu->has_sve ? 0 : SYS_HIDDEN;
}

static unsigned int sve_else_raz(const struct vcpu *vcpu)
{
	return vcpu->has_sve ? 0 : SYS_AS_RAZ;
}

static unsigned int with_ptrauth(const struct vcpu *vcpu)
{
	return vcpu->has_ptrauth ? 0 : SYS_HIDDEN;
}

static unsigned int with_mte(const struct vcpu *vcpu)
{
	return vcpu->vm->mte ? 0 : SYS_HIDDEN;
}

/* Without AArch32 its ID registers are UNKNOWN; KVM has them read as zero and swallow whatever is restored. */
static unsigned int with_aarch32(const struct vcpu *vcpu)
{
	return vcpu->vm->host->aarch32_el0 ? 0 : SYS_AS_RAZ | SYS_USER_WI;
}

/* Only OSLK may differ from the reset value. */
static int oslsr_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t val)
{
	if ((val ^ OSLSR_OSLM) & ~(uint64_t)OSLSR_OSLK)
		return -EINVAL;
	vcpu->sys[reg] = val;
	return 0;
}

static int mpidr_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t val)
{
	if ((val ^ mpidr(vcpu, NULL)) & MPIDR_AFFINITY)
		atomic_store_explicit(&vcpu->vm->affinities_moved, true, memory_order_relaxed);
	__atomic_store_n(&vcpu->sys[reg], val, __ATOMIC_RELAXED);	/* others read it without the lock */
	return 0;
}

/* CSV2 and CSV3 may be lowered, or set where the host is not affected; they belong to the VM. All else is fixed. */
static int pfr0_wr(struct vcpu *vcpu, enum sysreg reg, uint64_t val)
{
	const uint64_t fields = 0xfull << CSV2_SHIFT | 0xfull << CSV3_SHIFT;
	uint64_t host = vcpu->vm->host->reg[SR_ID_AA64PFR0_EL1];
	uint8_t csv2 = val >> CSV2_SHIFT & 0xf, csv3 = val >> CSV3_SHIFT & 0xf;

	if (csv2 > 1 || csv2 > (host >> CSV2_SHIFT & 0xf) || csv3 > 1 || csv3 > (host >> CSV3_SHIFT & 0xf))
		return -EINVAL;
	if ((val ^ sys_id_value(vcpu, reg)) & ~fields)
		return -EINVAL;
	atomic_store(&vcpu->vm->csv2, csv2);
	atomic_store(&vcpu->vm->csv3, csv3);
	return 0;
}

/* Nothing traps it: a guest in AArch64 reads what the CPU has, without what KVM knows to follow from other registers. */
static int ctr_guest_rd(struct vcpu *vcpu, enum sysreg reg, uint64_t *val)
{
	const struct kvmemu_host *host = vcpu->vm->host;

	*val = host->ctr ? host->ctr : host->reg[reg];
	return 0;
}

static int zero_guest_rd(struct vcpu *vcpu, enum sysreg reg, uint64_t *val)
{
	(void)vcpu;
	(void)reg;
	*val = 0;
	return 0;
}

/* DISR_EL1, which user space has on every host. */
static bool guest_has_ras(const struct vcpu *vcpu, enum sysreg reg)
{
	(void)reg;
	return vm_has_ras(vcpu->vm);
}

#define STORED(reset_to) .kind = SYS_STORED, .reset = value, .reset_value = (reset_to)
#define STORED_UNKNOWN .kind = SYS_STORED, .reset = unknown
#define ID_AA32 { .kind = SYS_ID, .visibility = with_aarch32 }
#define ID { .kind = SYS_ID }
#define RAZ { .kind = SYS_RAZ }
#define PMU_TRAP .visibility = with_pmu, .traps = true
#define PMU .kind = SYS_STORED, PMU_TRAP
#define PMU_SET { PMU, .reset = unknown_counters, .guest_wr = pmu_set_wr }
#define PMU_CLR(of) { PMU, .alias = (of), .reset = unknown_counters, .guest_wr = pmu_clr_wr }
#define PMU_GUEST_COUNTER .guest_rd = pmu_counter_rd, .guest_wr = pmu_counter_wr
#define PMU_SELECTED { PMU_TRAP, .guest_rd = pmu_selected_rd, .guest_wr = pmu_selected_wr }
#define PTRAUTH_KEY { STORED_UNKNOWN, .visibility = with_ptrauth }
#define MTE { STORED_UNKNOWN, .visibility = with_mte }

#define DEBUG_PAIR(n)                                                                                              \
	[SR_DBGBVR##n##_EL1] = { STORED(0) }, [SR_DBGBCR##n##_EL1] = { STORED(0) }, [SR_DBGWVR##n##_EL1] = { STORED(0) }, \
	[SR_DBGWCR##n##_EL1] = { STORED(0) }
#define PMU_COUNTER(n)                                                                                             \
	[SR_PMEVCNTR##n##_EL0] = { PMU, .reset = unknown_masked, .bits = UINT32_MAX, .user_rd = pmu_evcntr_rd,      \
				   .guest_has = pmu_has_counter, PMU_GUEST_COUNTER },                               \
	[SR_PMEVTYPER##n##_EL0] = { PMU, .reset = unknown_masked, .bits = PMEVTYPER_BITS,                           \
				    .guest_has = pmu_has_counter, PMU_GUEST_COUNTER }

const struct sys_row sys_rows[SR_COUNT] = {
	[SR_MIDR_EL1] = { .kind = SYS_INVARIANT },
	[SR_REVIDR_EL1] = { .kind = SYS_INVARIANT },
	[SR_CLIDR_EL1] = { .kind = SYS_INVARIANT },
	[SR_AIDR_EL1] = { .kind = SYS_INVARIANT },
	[SR_CTR_EL0] = { .kind = SYS_INVARIANT, .guest_rd = ctr_guest_rd },

	DEBUG_PAIR(0), DEBUG_PAIR(1), DEBUG_PAIR(2), DEBUG_PAIR(3), DEBUG_PAIR(4), DEBUG_PAIR(5), DEBUG_PAIR(6),
	DEBUG_PAIR(7), DEBUG_PAIR(8), DEBUG_PAIR(9), DEBUG_PAIR(10), DEBUG_PAIR(11), DEBUG_PAIR(12), DEBUG_PAIR(13),
	DEBUG_PAIR(14), DEBUG_PAIR(15),
	[SR_MDCCINT_EL1] = { STORED(0) },
	[SR_MDSCR_EL1] = { STORED(0) },
	[SR_OSLSR_EL1] = { STORED(OSLSR_OSLM), .guest_ro = true, .user_wr = oslsr_wr },
	[SR_DBGVCR32_EL2] = { STORED(0) },

	[SR_MPIDR_EL1] = { .kind = SYS_STORED, .reset = mpidr, .guest_ro = true, .user_wr = mpidr_wr },

	[SR_ID_PFR0_EL1] = ID_AA32,
	[SR_ID_PFR1_EL1] = ID_AA32,
	[SR_ID_DFR0_EL1] = ID_AA32,
	[SR_ID_AFR0_EL1] = RAZ,
	[SR_ID_MMFR0_EL1] = ID_AA32,
	[SR_ID_MMFR1_EL1] = ID_AA32,
	[SR_ID_MMFR2_EL1] = ID_AA32,
	[SR_ID_MMFR3_EL1] = ID_AA32,
	[SR_ID_ISAR0_EL1] = ID_AA32,
	[SR_ID_ISAR1_EL1] = ID_AA32,
	[SR_ID_ISAR2_EL1] = ID_AA32,
	[SR_ID_ISAR3_EL1] = ID_AA32,
	[SR_ID_ISAR4_EL1] = ID_AA32,
	[SR_ID_ISAR5_EL1] = ID_AA32,
	[SR_ID_MMFR4_EL1] = ID_AA32,
	[SR_ID_ISAR6_EL1] = ID_AA32,
	[SR_MVFR0_EL1] = ID_AA32,
	[SR_MVFR1_EL1] = ID_AA32,
	[SR_MVFR2_EL1] = ID_AA32,
	[SR_S3_0_C0_C3_3] = RAZ,
	[SR_ID_PFR2_EL1] = ID_AA32,
	[SR_ID_DFR1_EL1] = RAZ,
	[SR_ID_MMFR5_EL1] = ID_AA32,
	[SR_S3_0_C0_C3_7] = RAZ,

	[SR_ID_AA64PFR0_EL1] = { .kind = SYS_ID, .user_wr = pfr0_wr },
	[SR_ID_AA64PFR1_EL1] = ID,
	[SR_S3_0_C0_C4_2] = RAZ,
	[SR_S3_0_C0_C4_3] = RAZ,
	[SR_ID_AA64ZFR0_EL1] = { .kind = SYS_ID, .visibility = sve_else_raz },
	[SR_ID_AA64SMFR0_EL1] = RAZ,
	[SR_S3_0_C0_C4_6] = RAZ,
	[SR_S3_0_C0_C4_7] = RAZ,
	[SR_ID_AA64DFR0_EL1] = ID,
	[SR_ID_AA64DFR1_EL1] = ID,
	[SR_S3_0_C0_C5_2] = RAZ,
	[SR_S3_0_C0_C5_3] = RAZ,
	[SR_ID_AA64AFR0_EL1] = RAZ,
	[SR_ID_AA64AFR1_EL1] = RAZ,
	[SR_S3_0_C0_C5_6] = RAZ,
	[SR_S3_0_C0_C5_7] = RAZ,
	[SR_ID_AA64ISAR0_EL1] = ID,
	[SR_ID_AA64ISAR1_EL1] = ID,
	[SR_ID_AA64ISAR2_EL1] = ID,
	[SR_S3_0_C0_C6_3] = RAZ,
	[SR_S3_0_C0_C6_4] = RAZ,
	[SR_S3_0_C0_C6_5] = RAZ,
	[SR_S3_0_C0_C6_6] = RAZ,
	[SR_S3_0_C0_C6_7] = RAZ,
	[SR_ID_AA64MMFR0_EL1] = ID,
	[SR_ID_AA64MMFR1_EL1] = ID,
	[SR_ID_AA64MMFR2_EL1] = ID,
	[SR_S3_0_C0_C7_3] = RAZ,
	[SR_S3_0_C0_C7_4] = RAZ,
	[SR_S3_0_C0_C7_5] = RAZ,
	[SR_S3_0_C0_C7_6] = RAZ,
	[SR_S3_0_C0_C7_7] = RAZ,

	[SR_SCTLR_EL1] = { STORED(0x00c50078), .lost = SCTLR_MTE },
	[SR_ACTLR_EL1] = { .kind = SYS_STORED, .reset = host_actlr },
	[SR_CPACR_EL1] = { STORED(0) },
	[SR_RGSR_EL1] = MTE,
	[SR_GCR_EL1] = MTE,
	[SR_ZCR_EL1] = { STORED(0), .visibility = with_sve },
	[SR_TTBR0_EL1] = { STORED_UNKNOWN },
	[SR_TTBR1_EL1] = { STORED_UNKNOWN },
	[SR_TCR_EL1] = { STORED(0) },
	[SR_APIAKEYLO_EL1] = PTRAUTH_KEY,
	[SR_APIAKEYHI_EL1] = PTRAUTH_KEY,
	[SR_APIBKEYLO_EL1] = PTRAUTH_KEY,
	[SR_APIBKEYHI_EL1] = PTRAUTH_KEY,
	[SR_APDAKEYLO_EL1] = PTRAUTH_KEY,
	[SR_APDAKEYHI_EL1] = PTRAUTH_KEY,
	[SR_APDBKEYLO_EL1] = PTRAUTH_KEY,
	[SR_APDBKEYHI_EL1] = PTRAUTH_KEY,
	[SR_APGAKEYLO_EL1] = PTRAUTH_KEY,
	[SR_APGAKEYHI_EL1] = PTRAUTH_KEY,
	[SR_AFSR0_EL1] = { STORED_UNKNOWN, .lost = ALL_BITS },
	[SR_AFSR1_EL1] = { STORED_UNKNOWN, .lost = ALL_BITS },
	[SR_ESR_EL1] = { STORED_UNKNOWN },
	[SR_TFSR_EL1] = MTE,
	[SR_TFSRE0_EL1] = MTE,
	[SR_FAR_EL1] = { STORED_UNKNOWN },
	[SR_PAR_EL1] = { STORED_UNKNOWN },
	[SR_PMINTENSET_EL1] = PMU_SET,
	[SR_PMINTENCLR_EL1] = PMU_CLR(SR_PMINTENSET_EL1),
	[SR_PMMIR_EL1] = { .traps = true, .guest_has = pmu_has_mmir, .guest_rd = zero_guest_rd },
	[SR_MAIR_EL1] = { STORED_UNKNOWN },
	[SR_AMAIR_EL1] = { .kind = SYS_STORED, .reset = host_amair, .lost = ALL_BITS },
	[SR_VBAR_EL1] = { STORED(0), .lost = VBAR_RES0 },
	[SR_DISR_EL1] = { STORED(0), .guest_has = guest_has_ras },
	[SR_CONTEXTIDR_EL1] = { STORED(0) },
	[SR_TPIDR_EL1] = { STORED_UNKNOWN },
	[SR_CNTKCTL_EL1] = { STORED(0) },
	[SR_CSSELR_EL1] = { STORED_UNKNOWN, .lost = ~(uint64_t)CSSELR_LEVEL_AND_TYPE },

	[SR_PMCR_EL0] = { PMU, .reset = pmcr, .bits = ~(PMCR_P | PMCR_C), .guest_wr = pmu_pmcr_wr },
	[SR_PMCNTENSET_EL0] = PMU_SET,
	[SR_PMCNTENCLR_EL0] = PMU_CLR(SR_PMCNTENSET_EL0),
	[SR_PMOVSCLR_EL0] = PMU_CLR(SR_PMOVSSET_EL0),
	[SR_PMSWINC_EL0] = { .kind = SYS_RAZ_WI, PMU_TRAP, .guest_wr = pmu_swinc_wr },
	[SR_PMSELR_EL0] = { PMU, .reset = unknown_masked, .bits = 0x1f },	/* a guest's write keeps all the same */
	[SR_PMCEID0_EL0] = { PMU_TRAP, .guest_rd = pmu_ceid_rd },
	[SR_PMCEID1_EL0] = { PMU_TRAP, .guest_rd = pmu_ceid_rd },
	[SR_PMCCNTR_EL0] = { PMU, .reset = unknown, .bits = ALL_BITS, PMU_GUEST_COUNTER },
	[SR_PMXEVTYPER_EL0] = PMU_SELECTED,
	[SR_PMXEVCNTR_EL0] = PMU_SELECTED,
	[SR_PMUSERENR_EL0] = { PMU, .reset = value, .bits = 0xf, .guest_wr = pmu_userenr_wr },
	[SR_PMOVSSET_EL0] = PMU_SET,
	[SR_TPIDR_EL0] = { STORED_UNKNOWN },
	[SR_TPIDRRO_EL0] = { STORED_UNKNOWN },

	PMU_COUNTER(0), PMU_COUNTER(1), PMU_COUNTER(2), PMU_COUNTER(3), PMU_COUNTER(4), PMU_COUNTER(5), PMU_COUNTER(6),
	PMU_COUNTER(7), PMU_COUNTER(8), PMU_COUNTER(9), PMU_COUNTER(10), PMU_COUNTER(11), PMU_COUNTER(12),
	PMU_COUNTER(13), PMU_COUNTER(14), PMU_COUNTER(15), PMU_COUNTER(16), PMU_COUNTER(17), PMU_COUNTER(18),
	PMU_COUNTER(19), PMU_COUNTER(20), PMU_COUNTER(21), PMU_COUNTER(22), PMU_COUNTER(23), PMU_COUNTER(24),
	PMU_COUNTER(25), PMU_COUNTER(26), PMU_COUNTER(27), PMU_COUNTER(28), PMU_COUNTER(29), PMU_COUNTER(30),
	[SR_PMCCFILTR_EL0] = { PMU, .reset = value, .bits = PMEVTYPER_BITS, PMU_GUEST_COUNTER },

	[SR_DACR32_EL2] = { STORED_UNKNOWN },
	[SR_IFSR32_EL2] = { STORED_UNKNOWN },
	[SR_FPEXC32_EL2] = { STORED(0x700) },
};
