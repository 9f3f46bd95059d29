/* SPDX-License-Identifier: MIT */
/*
 * The exception that KVM puts into a 32-bit vCPU when user space asks for it. Layer: reg.
 * Source: inject_abt32(), prepare_fault32() and get_except32_cpsr() in virt/kvm/arm/aarch32.c, Linux 5.6;
 * Arm DDI 0406C, B1.8.
 */
#include "arm32.h"

#define CPSR 16		/* in usr_regs.uregs */
#define PC 15

#define CPSR_MODE_ABT 0x17u
#define CPSR_T (1u << 5)
#define CPSR_F (1u << 6)
#define CPSR_I (1u << 7)
#define CPSR_A (1u << 8)
#define CPSR_E (1u << 9)
#define CPSR_GE (0xfu << 16)
#define CPSR_DIT (1u << 21)
#define CPSR_PAN (1u << 22)
#define CPSR_SSBS (1u << 23)
#define CPSR_NZCVQ (0x1fu << 27)

#define SCTLR_V (1u << 13)
#define SCTLR_SPAN (1u << 23)	/* ARMv8.1; ARMv7 reads it as 1 */
#define SCTLR_EE (1u << 25)
#define SCTLR_TE (1u << 30)
#define SCTLR_DSSBS (1u << 31)
#define TTBCR_EAE (1u << 31)

#define VECTOR_DATA_ABORT 0x10u
#define RETURN_OFFSET 8u	/* of LR_abt, in either instruction set */
#define DFSR_EXTERNAL_LONG 0x210u
#define DFSR_EXTERNAL_SHORT 0x008u

/* IT, J and the endianness go; the flags stay. */
static uint32_t cpsr_in_handler(uint32_t old, uint32_t sctlr)
{
	uint32_t new = (old & (CPSR_NZCVQ | CPSR_DIT | CPSR_PAN | CPSR_GE | CPSR_F)) | CPSR_A | CPSR_I | CPSR_MODE_ABT;

	if (sctlr & SCTLR_DSSBS)
		new |= CPSR_SSBS;
	if (!(sctlr & SCTLR_SPAN))
		new |= CPSR_PAN;
	if (sctlr & SCTLR_EE)
		new |= CPSR_E;
	if (sctlr & SCTLR_TE)
		new |= CPSR_T;
	return new;
}

void arm32_inject_dabt(struct vcpu *vcpu)
{
	struct arm32_state *state = vcpu->arm32;
	uint32_t *uregs = state->core.usr_regs.uregs, old = uregs[CPSR];
	uint32_t sctlr = (uint32_t)state->cp15[CP15_SCTLR];
	uint32_t base = sctlr & SCTLR_V ? 0xffff0000u : (uint32_t)state->cp15[CP15_VBAR];

	uregs[CPSR] = cpsr_in_handler(old, sctlr);
	state->core.KVM_ARM_ABT_spsr = old;
	state->core.KVM_ARM_ABT_lr = uregs[PC] + RETURN_OFFSET;
	uregs[PC] = base + VECTOR_DATA_ABORT;
	state->cp15[CP15_DFAR] = 0;
	state->cp15[CP15_DFSR] = state->cp15[CP15_TTBCR] & TTBCR_EAE ? DFSR_EXTERNAL_LONG : DFSR_EXTERNAL_SHORT;
}
