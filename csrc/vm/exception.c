/* SPDX-License-Identifier: MIT */
/*
 * Exceptions that KVM puts into a guest, and what taking one does to its registers. Layer: vm.
 * Source: arch/arm64/kvm/inject_fault.c, hyp/exception.c, Linux 6.1; Arm DDI 0487, D1.10.2 and G1.12.
 */
#include "../reg/arm32.h"
#include "pstate.h"
#include "run.h"

/* PSTATE and SPSR bits, AArch64; the AArch32 ones of the same meaning are in the same places unless named. */
#define MODE_MASK 0x1full
#define MODE_EL0T 0x00ull
#define MODE_EL1T 0x04ull
#define MODE_EL1H 0x05ull
#define MODE32_ABT 0x17ull
#define MODE32_UND 0x1bull
#define NZCV (0xfull << 28)
#define DAIF (0xfull << 6)
#define SSBS (1ull << 12)
#define PAN (1ull << 22)
#define DIT (1ull << 24)
#define TCO (1ull << 25)
#define AA32_F (1ull << 6)
#define AA32_I (1ull << 7)
#define AA32_A (1ull << 8)
#define AA32_E (1ull << 9)
#define AA32_GE (0xfull << 16)
#define AA32_SSBS (1ull << 23)
#define AA32_Q (1ull << 27)

#define SCTLR_V (1ull << 13)
#define SCTLR_SPAN (1ull << 23)
#define SCTLR_TE (1ull << 30)
#define SCTLR_DSSBS32 (1ull << 31)
#define SCTLR_DSSBS (1ull << 44)
#define TTBCR_EAE (1ull << 31)

#define ESR_EC_SHIFT 26
#define ESR_EC_IABT_LOW 0x20ull
#define ESR_EC_IABT_CUR 0x21ull
#define ESR_EC_DABT_LOW 0x24ull
#define ESR_FSC_EXTABT 0x10ull
#define DFSR_EXTABT_LPAE 0x210ull	/* LPAE format, FS 0x10 */
#define DFSR_EXTABT_SHORT 0x8ull

/* KVM shifts the class as an int, and widens the result with its sign: the upper half of ESR_EL1 is all ones. */
static uint64_t class_as_int(uint64_t ec)
{
	return (uint64_t)(int64_t)(int32_t)(uint32_t)(ec << ESR_EC_SHIFT);
}

static void inject_dabt64(struct vcpu *vcpu)
{
	uint64_t mode = vcpu->pstate & MODE_MASK, ec;

	vcpu->pended = EXCEPTION_AA64_SYNC;
	vcpu->sys[SR_FAR_EL1] = 0;
	/*
	 * KVM composes the class by or-ing: "current EL" survives as bit 0. ESR_ELx.IL would come from the last trap's
	 * syndrome, and there has been none.
	 */
	ec = mode & PSTATE_MODE32 || (mode & 0xf) == MODE_EL0T ? ESR_EC_IABT_LOW : ESR_EC_IABT_CUR;
	ec |= ESR_EC_DABT_LOW;
	vcpu->sys[SR_ESR_EL1] = class_as_int(ec) | ESR_FSC_EXTABT;
}

static void inject_dabt32(struct vcpu *vcpu)
{
	vcpu->pended = EXCEPTION_AA32_DABT;
	vcpu->sys[SR_ESR_EL1] = vcpu->sys[SR_TCR_EL1] & TTBCR_EAE ? DFSR_EXTABT_LPAE : DFSR_EXTABT_SHORT;
	vcpu->sys[SR_FAR_EL1] &= ~0xffffffffull;
}

void vcpu_inject_dabt(struct vcpu *vcpu)
{
	if (vcpu->arm32)
		arm32_inject_dabt(vcpu);
	else if (vcpu_el1_is_32bit(vcpu))
		inject_dabt32(vcpu);
	else
		inject_dabt64(vcpu);
}

/* Vector offset of a synchronous exception to EL1h, by where it comes from (DDI 0487, table D1-6). */
static uint64_t vector64(uint64_t pstate)
{
	uint64_t mode = pstate & MODE_MASK;

	if (mode == MODE_EL1H)
		return 0x200;
	if (mode == MODE_EL1T)
		return 0x000;
	return mode & PSTATE_MODE32 ? 0x600 : 0x400;
}

static void enter64(struct vcpu *vcpu)
{
	uint64_t old = vcpu->pstate, sctlr = vcpu->sys[SR_SCTLR_EL1];
	uint64_t new = (old & (NZCV | DIT | PAN)) | DAIF | MODE_EL1H;

	if (vcpu->vm->mte)
		new |= TCO;
	if (!(sctlr & SCTLR_SPAN))
		new |= PAN;
	if (sctlr & SCTLR_DSSBS)
		new |= SSBS;
	vcpu->sys[SR_ELR_EL1] = vcpu->pc;
	vcpu->sys[SR_SPSR_EL1] = old;
	vcpu->pc = vcpu->sys[SR_VBAR_EL1] + vector64(old);
	vcpu->pstate = new;
}

static uint64_t cpsr_in_handler(const struct vcpu *vcpu, uint64_t mode)
{
	uint64_t old = vcpu->pstate, sctlr = vcpu->sys[SR_SCTLR_EL1];
	uint64_t new = (old & (NZCV | AA32_Q | DIT | PAN | AA32_GE | AA32_A | AA32_F)) | AA32_I | mode;

	if (sctlr & SCTLR_DSSBS32)
		new |= AA32_SSBS;
	if (!(sctlr & SCTLR_SPAN))
		new |= PAN;
	if (sctlr & SCTLR_EE)
		new |= AA32_E;
	if (mode != MODE32_UND)
		new |= AA32_A;
	if (sctlr & SCTLR_TE)
		new |= PSTATE_AA32_T;
	return new;
}

/* An AArch32 SPSR has DIT where SPSR_ELx has SS. */
static uint64_t spsr32(uint64_t pstate)
{
	const uint64_t spsr32_dit = 1ull << 21;

	return (pstate & ~(DIT | spsr32_dit)) | (pstate & DIT ? spsr32_dit : 0);
}

static void enter32(struct vcpu *vcpu, uint64_t mode, uint32_t vector, uint32_t return_offset)
{
	uint64_t old = vcpu->pstate;
	uint32_t base = vcpu->sys[SR_SCTLR_EL1] & SCTLR_V ? 0xffff0000 : (uint32_t)vcpu->sys[SR_VBAR_EL1];

	vcpu->pstate = cpsr_in_handler(vcpu, mode);
	if (mode == MODE32_ABT) {
		vcpu->spsr_abt = spsr32(old);
		vcpu->x[20] = (uint32_t)vcpu->pc + return_offset;	/* LR_abt */
	} else {
		vcpu->spsr_und = spsr32(old);
		vcpu->x[22] = (uint32_t)vcpu->pc + return_offset;	/* LR_und */
	}
	vcpu->pc = base + vector;
}

void vcpu_commit_exception(struct vcpu *vcpu)
{
	bool thumb = vcpu->pstate & PSTATE_AA32_T;

	switch (vcpu->pended) {
	case EXCEPTION_NONE:
		return;
	case EXCEPTION_AA64_SYNC:
		enter64(vcpu);
		break;
	case EXCEPTION_AA32_UND:
		enter32(vcpu, MODE32_UND, 4, thumb ? 2 : 4);
		break;
	case EXCEPTION_AA32_PABT:
		enter32(vcpu, MODE32_ABT, 12, 4);
		break;
	case EXCEPTION_AA32_DABT:
		enter32(vcpu, MODE32_ABT, 16, 8);
		break;
	}
	vcpu->pended = EXCEPTION_NONE;
}
