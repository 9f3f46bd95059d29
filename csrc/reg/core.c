/* SPDX-License-Identifier: MIT */
/*
 * Core registers: KVM_REG_ARM_CORE, whose ids are offsets into struct kvm_regs in 32-bit units. Layer: reg.
 * Source: arch/arm64/kvm/guest.c, Linux 6.1.
 */
#include <errno.h>
#include <string.h>

#include "../machine/host.h"
#include "reg.h"

#define NR_WORDS (sizeof(struct kvm_regs) / sizeof(uint32_t))

/* PSTATE.M as AArch64 and AArch32 have it (DDI 0487, C5.2.18 and G8.2.33). */
#define MODE_MASK 0x1f
#define MODE32 0x10
#define MODE_EL0T 0x00
#define MODE_EL1T 0x04
#define MODE_EL1H 0x05
#define MODE32_USR 0x10
#define MODE32_FIQ 0x11
#define MODE32_IRQ 0x12
#define MODE32_SVC 0x13
#define MODE32_ABT 0x17
#define MODE32_UND 0x1b
#define MODE32_SYS 0x1f

/* A run of like registers: where struct kvm_regs has them, and where the vCPU does. */
struct core_row {
	uint16_t first;		/* word in struct kvm_regs */
	uint16_t count;
	uint16_t bytes;		/* of each, in both places */
	uint32_t at;		/* offset in struct vcpu */
};

#define WORD(member) (offsetof(struct kvm_regs, member) / sizeof(uint32_t))
#define AT(member) offsetof(struct vcpu, member)

static const struct core_row rows[] = {
	{ .first = WORD(regs.regs), .count = 31, .bytes = 8, .at = AT(x) },
	{ .first = WORD(regs.sp), .count = 1, .bytes = 8, .at = AT(sp) },
	{ .first = WORD(regs.pc), .count = 1, .bytes = 8, .at = AT(pc) },
	{ .first = WORD(regs.pstate), .count = 1, .bytes = 8, .at = AT(pstate) },
	{ .first = WORD(sp_el1), .count = 1, .bytes = 8, .at = AT(sys[SR_SP_EL1]) },
	{ .first = WORD(elr_el1), .count = 1, .bytes = 8, .at = AT(sys[SR_ELR_EL1]) },
	{ .first = WORD(spsr[0]), .count = 1, .bytes = 8, .at = AT(sys[SR_SPSR_EL1]) },
	{ .first = WORD(spsr[1]), .count = 1, .bytes = 8, .at = AT(spsr_abt) },
	{ .first = WORD(spsr[2]), .count = 1, .bytes = 8, .at = AT(spsr_und) },
	{ .first = WORD(spsr[3]), .count = 1, .bytes = 8, .at = AT(spsr_irq) },
	{ .first = WORD(spsr[4]), .count = 1, .bytes = 8, .at = AT(spsr_fiq) },
	{ .first = WORD(fp_regs.vregs), .count = 32, .bytes = 16, .at = AT(v) },
	{ .first = WORD(fp_regs.fpsr), .count = 1, .bytes = 4, .at = AT(fpsr) },
	{ .first = WORD(fp_regs.fpcr), .count = 1, .bytes = 4, .at = AT(fpcr) },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static bool is_hidden(const struct vcpu *vcpu, const struct core_row *row)
{
	/* With SVE the V registers are the low quarter of the Z registers, and only there. */
	return vcpu->has_sve && row->bytes == 16;
}

/* Where a register is; NULL unless a register begins at this word and has this size. */
static void *find(struct vcpu *vcpu, uint32_t word, size_t bytes)
{
	for (size_t i = 0; i < NR_ROWS; i++) {
		const struct core_row *row = &rows[i];
		uint32_t offset = (word - row->first) * 4;

		if (word < row->first || offset >= (uint32_t)row->count * row->bytes)
			continue;
		if (offset % row->bytes || bytes != row->bytes || is_hidden(vcpu, row))
			return NULL;
		return (char *)vcpu + row->at + offset;
	}
	return NULL;
}

static size_t id_bytes(uint64_t id)
{
	return 1ul << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

/* The word an id names; ENOENT past the end, where a register that ends at the end counts as past it. */
static int word_of_id(uint64_t id, uint32_t *word)
{
	uint64_t at = id & ~(KVM_REG_ARCH_MASK | KVM_REG_SIZE_MASK | KVM_REG_ARM_CORE);

	if (at >= NR_WORDS || at + id_bytes(id) / sizeof(uint32_t) >= NR_WORDS)
		return -ENOENT;
	*word = (uint32_t)at;
	return 0;
}

int core_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	uint32_t word;
	void *field;

	if (word_of_id(id, &word))
		return -ENOENT;
	*bytes = id_bytes(id);
	field = find(vcpu, word, *bytes);
	if (!field)
		return -EINVAL;
	memcpy(value, field, *bytes);
	return 0;
}

static bool may_enter_mode(const struct vcpu *vcpu, uint64_t pstate)
{
	switch (pstate & MODE_MASK) {
	case MODE32_USR:
		return vcpu->vm->host->aarch32_el0;
	case MODE32_FIQ:
	case MODE32_IRQ:
	case MODE32_SVC:
	case MODE32_ABT:
	case MODE32_UND:
	case MODE32_SYS:
		return vcpu_el1_is_32bit(vcpu);
	case MODE_EL0T:
	case MODE_EL1T:
	case MODE_EL1H:
		return !vcpu_el1_is_32bit(vcpu);
	default:
		return false;
	}
}

/* In an AArch32 mode the registers it can see hold 32 bits; KVM narrows them whenever any core register is written. */
static void narrow(struct vcpu *vcpu)
{
	uint64_t mode = vcpu->pstate & MODE_MASK;
	unsigned int visible = mode == MODE32_USR || mode == MODE32_SYS ? 15 : 31;

	for (unsigned int i = 0; i < visible; i++)
		vcpu->x[i] = (uint32_t)vcpu->x[i];
	vcpu->pc = (uint32_t)vcpu->pc;
}

int core_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	size_t bytes = id_bytes(id);
	uint64_t value[2];
	uint32_t word;
	void *field;
	int err;

	if (word_of_id(id, &word))
		return -ENOENT;
	field = find(vcpu, word, bytes);
	if (!field)
		return -EINVAL;
	err = input->fetch(input, value, bytes);
	if (err)
		return err;
	if (field == &vcpu->pstate && !may_enter_mode(vcpu, value[0]))
		return -EINVAL;
	memcpy(field, value, bytes);
	if (vcpu->pstate & MODE32)
		narrow(vcpu);
	return 0;
}

static uint64_t size_bits(size_t bytes)
{
	return bytes == 4 ? KVM_REG_SIZE_U32 : bytes == 8 ? KVM_REG_SIZE_U64 : KVM_REG_SIZE_U128;
}

void core_reg_list(const struct vcpu *vcpu, struct reg_list *list)
{
	for (size_t i = 0; i < NR_ROWS; i++) {
		if (is_hidden(vcpu, &rows[i]))
			continue;
		for (uint32_t n = 0; n < rows[i].count; n++)
			reg_list_add(list, KVM_REG_ARM64 | size_bits(rows[i].bytes) | KVM_REG_ARM_CORE |
						   (rows[i].first + n * rows[i].bytes / 4));
	}
}
