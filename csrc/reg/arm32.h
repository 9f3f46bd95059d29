/* SPDX-License-Identifier: MIT */
/*
 * Registers of a vCPU on a 32-bit ARM host, as arch/arm/kvm had them until Linux 5.6. Layer: reg.
 * Only arm32*.c and the exceptions of 32-bit vCPUs look inside; everyone else goes through reg.h.
 */
#ifndef KVMEMU_REG_ARM32_H
#define KVMEMU_REG_ARM32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../vm/vcpu.h"
#include "reg.h"

/* KVM_ARM_VCPU_INIT knows features 0 and 1 only (KVM_VCPU_MAX_FEATURES of arm, Linux 5.6). */
#define ARM32_NR_FEATURES 2

#define ARM32_NR_D 32		/* D0..D31: Advanced SIMD. Without it there are 16 */
#define ARM32_NR_CSSELR 12	/* CSSELR values that KVM knows: CSSELR_MAX. arm64 has two more */

/*
 * CP15 registers that have a row, ascending by key() in arm32_cp15.c: as they stand in Linux's tables and in its list.
 * _32 is the MRC and MCR view of a register that is otherwise accessed with MRRC and MCRR: its lower half.
 */
enum cp15_reg {
	CP15_MIDR, CP15_CTR, CP15_TCMTR, CP15_TLBTR, CP15_MPIDR, CP15_REVIDR, CP15_CLIDR, CP15_AIDR, CP15_CSSELR,
	CP15_ID_PFR0, CP15_ID_PFR1, CP15_ID_DFR0, CP15_ID_AFR0, CP15_ID_MMFR0, CP15_ID_MMFR1, CP15_ID_MMFR2,
	CP15_ID_MMFR3, CP15_ID_ISAR0, CP15_ID_ISAR1, CP15_ID_ISAR2, CP15_ID_ISAR3, CP15_ID_ISAR4, CP15_ID_ISAR5,
	CP15_SCTLR, CP15_ACTLR, CP15_CPACR,
	CP15_TTBR0, CP15_TTBR0_32, CP15_TTBR1_32, CP15_TTBCR, CP15_TTBR1, CP15_DACR,
	CP15_DFSR, CP15_IFSR, CP15_ADFSR, CP15_AIFSR, CP15_DFAR, CP15_IFAR, CP15_PAR,
	CP15_L2CTLR, CP15_L2ECTLR, CP15_PMCR, CP15_PMCNTENSET, CP15_PMCNTENCLR, CP15_PMOVSR, CP15_PMSELR,
	CP15_PMCEID0, CP15_PMCEID1, CP15_PMCCNTR, CP15_PMXEVTYPER, CP15_PMXEVCNTR, CP15_PMUSERENR, CP15_PMINTENSET,
	CP15_PMINTENCLR, CP15_PRRR, CP15_NMRR, CP15_AMAIR0, CP15_AMAIR1, CP15_VBAR, CP15_ICC_SRE,
	CP15_CONTEXTIDR, CP15_TPIDRURW, CP15_TPIDRURO, CP15_TPIDRPRW,
	CP15_CNTPCT, CP15_CNTVCT, CP15_CNTP_CVAL, CP15_CNTV_CVAL, CP15_CNTKCTL, CP15_CNTP_TVAL, CP15_CNTP_CTL,
	CP15_CNTV_CTL, CP15_CBAR,
	NR_CP15,
};

enum cp15_kind {
	CP15_STORED,		/* a value of the vCPU's own */
	CP15_INVARIANT,		/* the host's value; only that same value may be written. Listed before all stored ones */
	CP15_GUEST_ONLY,	/* guests have it, KVM_GET_ONE_REG does not: ENOENT. Here for its name */
	CP15_TIMER,		/* as GUEST_ONLY, but is reached by its exact id before the table is searched */
};

struct cp15_row {
	const char *name;
	uint8_t crn, crm, opc1, opc2;	/* as in MRC; in MRRC, crm and opc1 only */
	bool is_64bit;			/* MRRC and MCRR */
	enum cp15_kind kind;
	enum cp15_reg low_half_of;	/* where the value is kept, if not under its own index */
	uint64_t (*reset)(const struct vcpu *vcpu, const struct cp15_row *row);	/* NULL: reset leaves it alone */
	uint64_t reset_value;
};

extern const struct cp15_row cp15_rows[NR_CP15];

/* VFP and Advanced SIMD registers beside D0..D31, in the order in which Linux lists them. */
enum vfp_reg { VFP_FPEXC, VFP_FPSCR, VFP_FPINST, VFP_FPINST2, VFP_MVFR0, VFP_MVFR1, VFP_FPSID, NR_VFP };

struct arm32_state {
	struct kvm_arm32_regs core;
	uint32_t vfp[NR_VFP];	/* MVFR0, MVFR1 and FPSID are the host's, copied at reset */
	uint64_t d[ARM32_NR_D];
	uint64_t cp15[NR_CP15];	/* invariant ones too, copied at reset */
};

/* What the host has in a register, by KVM's id; 0 where the profile does not say. */
uint64_t arm32_host_value(const struct kvmemu_host *host, uint64_t id);

/* Bytes of a register, as its id has them: a power of two. */
static inline size_t arm32_id_bytes(uint64_t id)
{
	return 1ul << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

/*
 * Registers that KVM copies straight from the caller to where they are kept. What copy_from_user() cannot fill it sets
 * to zero, so that a bad pointer costs the register its value as well (include/linux/uaccess.h, Linux 5.6).
 */
int arm32_fetch_in_place(const struct reg_input *input, void *field, size_t bytes);

/* CP15: arm32_cp15.c. Set and get answer ENOENT for ids that are none of theirs. */
uint64_t cp15_id(enum cp15_reg reg);
void cp15_reset(struct vcpu *vcpu);
int cp15_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes);
int cp15_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input);
void cp15_list(struct reg_list *list);

/* VFP: arm32_vfp.c. */
uint64_t vfp_id(enum vfp_reg reg);
const char *vfp_name(enum vfp_reg reg);
void vfp_reset(struct vcpu *vcpu);
int vfp_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes);
int vfp_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input);
void vfp_list(const struct vcpu *vcpu, struct reg_list *list);

/* Firmware registers: arm32_fw.c. */
int arm32_fw_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes);
int arm32_fw_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input);
void arm32_fw_list(struct reg_list *list);

/*
 * The guest takes an external data abort, at once: PC, CPSR and the abort mode's registers change. DFAR becomes the
 * address of the last fault (HDFAR), of which there has been none. Source: kvm_inject_dabt(), Linux 5.6.
 */
void arm32_inject_dabt(struct vcpu *vcpu);

#endif
