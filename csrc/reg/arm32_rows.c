/* SPDX-License-Identifier: MIT */
/*
 * The table of CP15 registers of 32-bit ARM hosts. Layer: reg.
 * Source: cp15_regs[] and invariant_cp15[] in arch/arm/kvm/coproc.c, coproc_a15.c, coproc_a7.c, Linux 4.19 to 5.6.
 * Names and encodings: Arm DDI 0406C, B3.17.
 */
#include "../machine/host.h"
#include "arm32.h"

/* What Linux fills registers with whose reset value the architecture leaves UNKNOWN; low word first. */
#define UNKNOWN_LOW 0xdecafbadull
#define UNKNOWN_HIGH 0xd0c0ffeeull

/* MMU and caches off, low vectors, little-endian, ARM state. Branch prediction (Z) cannot be off on the Cortex-A7. */
#define SCTLR_A15 0x00c50078u
#define SCTLR_A7 0x00c50878u

#define MPIDR_FORMAT_AND_U 0xc0000000u
#define ACTLR_SMP (1u << 6)
#define L2CTLR_NR_CPUS_SHIFT 24
#define L2CTLR_NR_CPUS_MAX 3u
#define CPUS_A_CLUSTER 4

static uint64_t value(const struct vcpu *vcpu, const struct cp15_row *row)
{
	(void)vcpu;
	return row->reset_value;
}

static uint64_t unknown(const struct vcpu *vcpu, const struct cp15_row *row)
{
	(void)vcpu;
	return row->is_64bit ? UNKNOWN_HIGH << 32 | UNKNOWN_LOW : UNKNOWN_LOW;
}

static uint64_t host(const struct vcpu *vcpu, const struct cp15_row *row)
{
	return arm32_host_value(vcpu->vm->host, cp15_id((enum cp15_reg)(row - cp15_rows)));
}

static uint64_t sctlr(const struct vcpu *vcpu, const struct cp15_row *row)
{
	(void)row;
	return vcpu->vm->host->target == KVM_ARM32_TARGET_CORTEX_A7 ? SCTLR_A7 : SCTLR_A15;
}

/* Clusters of four, made up from the vCPU's id; format and U bit are the host's. */
static uint64_t mpidr(const struct vcpu *vcpu, const struct cp15_row *row)
{
	return (host(vcpu, row) & MPIDR_FORMAT_AND_U) | vcpu->id / CPUS_A_CLUSTER << 8 | vcpu->id % CPUS_A_CLUSTER;
}

/* The SMP bit says whether the VM has more than one vCPU now: a VMM is to create all before it initialises any. */
static uint64_t actlr(const struct vcpu *vcpu, const struct cp15_row *row)
{
	bool smp = atomic_load(&vcpu->vm->nr_vcpus) > 1;

	return (host(vcpu, row) & ~(uint64_t)ACTLR_SMP) | (smp ? ACTLR_SMP : 0);
}

/* The other CPUs of this vCPU's cluster and those after it, of which a cluster can say three. */
static uint64_t l2ctlr(const struct vcpu *vcpu, const struct cp15_row *row)
{
	uint32_t others = atomic_load(&vcpu->vm->nr_vcpus) - 1u - vcpu->id / CPUS_A_CLUSTER * CPUS_A_CLUSTER;

	/* Where ids have gaps this wraps below zero, and is three again. */
	if (others > L2CTLR_NR_CPUS_MAX)
		others = L2CTLR_NR_CPUS_MAX;
	return (host(vcpu, row) & ~((uint64_t)L2CTLR_NR_CPUS_MAX << L2CTLR_NR_CPUS_SHIFT)) |
	       (uint64_t)others << L2CTLR_NR_CPUS_SHIFT;
}

#define INVARIANT .kind = CP15_INVARIANT, .reset = host
#define GUEST_ONLY .kind = CP15_GUEST_ONLY

const struct cp15_row cp15_rows[NR_CP15] = {
	[CP15_MIDR] = { .name = "MIDR", INVARIANT },
	[CP15_CTR] = { .name = "CTR", .opc2 = 1, INVARIANT },
	[CP15_TCMTR] = { .name = "TCMTR", .opc2 = 2, INVARIANT },
	[CP15_TLBTR] = { .name = "TLBTR", .opc2 = 3, INVARIANT },
	[CP15_MPIDR] = { .name = "MPIDR", .opc2 = 5, .reset = mpidr },
	[CP15_REVIDR] = { .name = "REVIDR", .opc2 = 6, INVARIANT },
	[CP15_CLIDR] = { .name = "CLIDR", .opc1 = 1, .opc2 = 1, INVARIANT },
	[CP15_AIDR] = { .name = "AIDR", .opc1 = 1, .opc2 = 7, INVARIANT },
	[CP15_CSSELR] = { .name = "CSSELR", .opc1 = 2, .reset = unknown },
	[CP15_ID_PFR0] = { .name = "ID_PFR0", .crm = 1, INVARIANT },
	[CP15_ID_PFR1] = { .name = "ID_PFR1", .crm = 1, .opc2 = 1, INVARIANT },
	[CP15_ID_DFR0] = { .name = "ID_DFR0", .crm = 1, .opc2 = 2, INVARIANT },
	[CP15_ID_AFR0] = { .name = "ID_AFR0", .crm = 1, .opc2 = 3, INVARIANT },
	[CP15_ID_MMFR0] = { .name = "ID_MMFR0", .crm = 1, .opc2 = 4, INVARIANT },
	[CP15_ID_MMFR1] = { .name = "ID_MMFR1", .crm = 1, .opc2 = 5, INVARIANT },
	[CP15_ID_MMFR2] = { .name = "ID_MMFR2", .crm = 1, .opc2 = 6, INVARIANT },
	[CP15_ID_MMFR3] = { .name = "ID_MMFR3", .crm = 1, .opc2 = 7, INVARIANT },
	[CP15_ID_ISAR0] = { .name = "ID_ISAR0", .crm = 2, INVARIANT },
	[CP15_ID_ISAR1] = { .name = "ID_ISAR1", .crm = 2, .opc2 = 1, INVARIANT },
	[CP15_ID_ISAR2] = { .name = "ID_ISAR2", .crm = 2, .opc2 = 2, INVARIANT },
	[CP15_ID_ISAR3] = { .name = "ID_ISAR3", .crm = 2, .opc2 = 3, INVARIANT },
	[CP15_ID_ISAR4] = { .name = "ID_ISAR4", .crm = 2, .opc2 = 4, INVARIANT },
	[CP15_ID_ISAR5] = { .name = "ID_ISAR5", .crm = 2, .opc2 = 5, INVARIANT },

	[CP15_SCTLR] = { .name = "SCTLR", .crn = 1, .reset = sctlr },
	[CP15_ACTLR] = { .name = "ACTLR", .crn = 1, .opc2 = 1, .reset = actlr },
	[CP15_CPACR] = { .name = "CPACR", .crn = 1, .opc2 = 2, .reset = value },

	[CP15_TTBR0] = { .name = "TTBR0", .crm = 2, .is_64bit = true, .reset = unknown },
	[CP15_TTBR0_32] = { .name = "TTBR0.32", .crn = 2, .low_half_of = CP15_TTBR0 },
	[CP15_TTBR1_32] = { .name = "TTBR1.32", .crn = 2, .opc2 = 1, .low_half_of = CP15_TTBR1 },
	[CP15_TTBCR] = { .name = "TTBCR", .crn = 2, .opc2 = 2, .reset = value },
	[CP15_TTBR1] = { .name = "TTBR1", .crm = 2, .opc1 = 1, .is_64bit = true, .reset = unknown },
	[CP15_DACR] = { .name = "DACR", .crn = 3, .reset = unknown },

	[CP15_DFSR] = { .name = "DFSR", .crn = 5, .reset = unknown },
	[CP15_IFSR] = { .name = "IFSR", .crn = 5, .opc2 = 1, .reset = unknown },
	[CP15_ADFSR] = { .name = "ADFSR", .crn = 5, .crm = 1, .reset = unknown },
	[CP15_AIFSR] = { .name = "AIFSR", .crn = 5, .crm = 1, .opc2 = 1, .reset = unknown },
	[CP15_DFAR] = { .name = "DFAR", .crn = 6, .reset = unknown },
	[CP15_IFAR] = { .name = "IFAR", .crn = 6, .opc2 = 2, .reset = unknown },
	[CP15_PAR] = { .name = "PAR", .crm = 7, .is_64bit = true, .reset = unknown },

	/* Cortex-A15 and Cortex-A7: size of the L2 cache and number of CPUs. */
	[CP15_L2CTLR] = { .name = "L2CTLR", .crn = 9, .opc1 = 1, .opc2 = 2, .reset = l2ctlr },
	[CP15_L2ECTLR] = { .name = "L2ECTLR", .crn = 9, .opc1 = 1, .opc2 = 3, GUEST_ONLY },

	/* The guest's PMU has no counters and reads as zero. */
	[CP15_PMCR] = { .name = "PMCR", .crn = 9, .crm = 12, GUEST_ONLY },
	[CP15_PMCNTENSET] = { .name = "PMCNTENSET", .crn = 9, .crm = 12, .opc2 = 1, GUEST_ONLY },
	[CP15_PMCNTENCLR] = { .name = "PMCNTENCLR", .crn = 9, .crm = 12, .opc2 = 2, GUEST_ONLY },
	[CP15_PMOVSR] = { .name = "PMOVSR", .crn = 9, .crm = 12, .opc2 = 3, GUEST_ONLY },
	[CP15_PMSELR] = { .name = "PMSELR", .crn = 9, .crm = 12, .opc2 = 5, GUEST_ONLY },
	[CP15_PMCEID0] = { .name = "PMCEID0", .crn = 9, .crm = 12, .opc2 = 6, GUEST_ONLY },
	[CP15_PMCEID1] = { .name = "PMCEID1", .crn = 9, .crm = 12, .opc2 = 7, GUEST_ONLY },
	[CP15_PMCCNTR] = { .name = "PMCCNTR", .crn = 9, .crm = 13, GUEST_ONLY },
	[CP15_PMXEVTYPER] = { .name = "PMXEVTYPER", .crn = 9, .crm = 13, .opc2 = 1, GUEST_ONLY },
	[CP15_PMXEVCNTR] = { .name = "PMXEVCNTR", .crn = 9, .crm = 13, .opc2 = 2, GUEST_ONLY },
	[CP15_PMUSERENR] = { .name = "PMUSERENR", .crn = 9, .crm = 14, GUEST_ONLY },
	[CP15_PMINTENSET] = { .name = "PMINTENSET", .crn = 9, .crm = 14, .opc2 = 1, GUEST_ONLY },
	[CP15_PMINTENCLR] = { .name = "PMINTENCLR", .crn = 9, .crm = 14, .opc2 = 2, GUEST_ONLY },

	/* With the long-descriptor format: MAIR0 and MAIR1. */
	[CP15_PRRR] = { .name = "PRRR", .crn = 10, .crm = 2, .reset = unknown },
	[CP15_NMRR] = { .name = "NMRR", .crn = 10, .crm = 2, .opc2 = 1, .reset = unknown },
	[CP15_AMAIR0] = { .name = "AMAIR0", .crn = 10, .crm = 3, .reset = unknown },
	[CP15_AMAIR1] = { .name = "AMAIR1", .crn = 10, .crm = 3, .opc2 = 1, .reset = unknown },
	[CP15_VBAR] = { .name = "VBAR", .crn = 12, .reset = value },
	[CP15_ICC_SRE] = { .name = "ICC_SRE", .crn = 12, .crm = 12, .opc2 = 5, GUEST_ONLY },

	[CP15_CONTEXTIDR] = { .name = "CONTEXTIDR", .crn = 13, .opc2 = 1, .reset = value },
	[CP15_TPIDRURW] = { .name = "TPIDRURW", .crn = 13, .opc2 = 2, .reset = unknown },
	[CP15_TPIDRURO] = { .name = "TPIDRURO", .crn = 13, .opc2 = 3, .reset = unknown },
	[CP15_TPIDRPRW] = { .name = "TPIDRPRW", .crn = 13, .opc2 = 4, .reset = unknown },

	[CP15_CNTPCT] = { .name = "CNTPCT", .crm = 14, .is_64bit = true, GUEST_ONLY },
	[CP15_CNTVCT] = { .name = "CNTVCT", .crm = 14, .opc1 = 1, .is_64bit = true, .kind = CP15_TIMER },
	[CP15_CNTP_CVAL] = { .name = "CNTP_CVAL", .crm = 14, .opc1 = 2, .is_64bit = true, GUEST_ONLY },
	[CP15_CNTV_CVAL] = { .name = "CNTV_CVAL", .crm = 14, .opc1 = 3, .is_64bit = true, .kind = CP15_TIMER },
	[CP15_CNTKCTL] = { .name = "CNTKCTL", .crn = 14, .crm = 1, .reset = value },
	[CP15_CNTP_TVAL] = { .name = "CNTP_TVAL", .crn = 14, .crm = 2, GUEST_ONLY },
	[CP15_CNTP_CTL] = { .name = "CNTP_CTL", .crn = 14, .crm = 2, .opc2 = 1, GUEST_ONLY },
	[CP15_CNTV_CTL] = { .name = "CNTV_CTL", .crn = 14, .crm = 3, .opc2 = 1, .kind = CP15_TIMER },
	[CP15_CBAR] = { .name = "CBAR", .crn = 15, .opc1 = 4, GUEST_ONLY },
};
