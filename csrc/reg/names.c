/* SPDX-License-Identifier: MIT */
/* Names of registers. Layer: reg. */
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../machine/sysreg.h"
#include "kvmemu/uapi.h"
#include "reg.h"

#define CORE(size, word) (KVM_REG_ARM64 | KVM_REG_SIZE_##size | KVM_REG_ARM_CORE | (word))
#define WORD(member) (offsetof(struct kvm_regs, member) / sizeof(uint32_t))

/* A register, or a run of numbered ones whose ids are step apart. */
struct name_row {
	const char *name;
	uint64_t id;
	uint32_t count;
	uint32_t step;
	enum kvmemu_reg_kind kind;
};

static const struct name_row rows[] = {
	{ "X", CORE(U64, WORD(regs.regs)), 31, 2, KVMEMU_REG_CORE },
	{ "SP", CORE(U64, WORD(regs.sp)), 1, 0, KVMEMU_REG_CORE },
	{ "PC", CORE(U64, WORD(regs.pc)), 1, 0, KVMEMU_REG_CORE },
	{ "PSTATE", CORE(U64, WORD(regs.pstate)), 1, 0, KVMEMU_REG_CORE },
	{ "SP_EL1", CORE(U64, WORD(sp_el1)), 1, 0, KVMEMU_REG_CORE },
	{ "ELR_EL1", CORE(U64, WORD(elr_el1)), 1, 0, KVMEMU_REG_CORE },
	{ "SPSR_EL1", CORE(U64, WORD(spsr[0])), 1, 0, KVMEMU_REG_CORE },
	{ "SPSR_abt", CORE(U64, WORD(spsr[1])), 1, 0, KVMEMU_REG_CORE },
	{ "SPSR_und", CORE(U64, WORD(spsr[2])), 1, 0, KVMEMU_REG_CORE },
	{ "SPSR_irq", CORE(U64, WORD(spsr[3])), 1, 0, KVMEMU_REG_CORE },
	{ "SPSR_fiq", CORE(U64, WORD(spsr[4])), 1, 0, KVMEMU_REG_CORE },
	{ "V", CORE(U128, WORD(fp_regs.vregs)), 32, 4, KVMEMU_REG_CORE },
	{ "FPSR", CORE(U32, WORD(fp_regs.fpsr)), 1, 0, KVMEMU_REG_CORE },
	{ "FPCR", CORE(U32, WORD(fp_regs.fpcr)), 1, 0, KVMEMU_REG_CORE },
	{ "Z", KVM_REG_ARM64_SVE_ZREG(0, 0), 32, 32, KVMEMU_REG_SVE },
	{ "P", KVM_REG_ARM64_SVE_PREG(0, 0), 16, 32, KVMEMU_REG_SVE },
	{ "FFR", KVM_REG_ARM64_SVE_FFR(0), 1, 0, KVMEMU_REG_SVE },
	{ "SVE_VLS", KVM_REG_ARM64_SVE_VLS, 1, 0, KVMEMU_REG_SVE },
	{ "PSCI_VERSION", KVM_REG_ARM_PSCI_VERSION, 1, 0, KVMEMU_REG_FIRMWARE },
	{ "SMCCC_ARCH_WORKAROUND_1", KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1, 1, 0, KVMEMU_REG_FIRMWARE },
	{ "SMCCC_ARCH_WORKAROUND_2", KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2, 1, 0, KVMEMU_REG_FIRMWARE },
	{ "SMCCC_ARCH_WORKAROUND_3", KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3, 1, 0, KVMEMU_REG_FIRMWARE },
	{ "STD_BMAP", KVM_REG_ARM_STD_BMAP, 1, 0, KVMEMU_REG_FIRMWARE },
	{ "STD_HYP_BMAP", KVM_REG_ARM_STD_HYP_BMAP, 1, 0, KVMEMU_REG_FIRMWARE },
	{ "VENDOR_HYP_BMAP", KVM_REG_ARM_VENDOR_HYP_BMAP, 1, 0, KVMEMU_REG_FIRMWARE },
	{ "CNTV_CTL_EL0", KVM_REG_ARM_TIMER_CTL, 1, 0, KVMEMU_REG_TIMER },
	{ "CNTVCT_EL0", KVM_REG_ARM_TIMER_CNT, 1, 0, KVMEMU_REG_TIMER },
	{ "CNTV_CVAL_EL0", KVM_REG_ARM_TIMER_CVAL, 1, 0, KVMEMU_REG_TIMER },
	{ "CCSIDR_EL1.", KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | KVM_REG_ARM_DEMUX_ID_CCSIDR, 14, 1,
	  KVMEMU_REG_DEMUX },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))
#define SYSREG_BASE (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG)

static int fill(struct kvmemu_reg_info *info, uint64_t id, enum kvmemu_reg_kind kind)
{
	info->id = id;
	info->bytes = 1u << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
	info->kind = kind;
	info->arch = (id & KVM_REG_ARCH_MASK) == KVM_REG_ARM ? 32 : 64;
	return 0;
}

static int describe_row(const struct name_row *row, uint64_t id, struct kvmemu_reg_info *info)
{
	uint64_t n = row->step ? (id - row->id) / row->step : 0;

	if (id < row->id || n >= row->count || id != row->id + n * row->step)
		return -ENOENT;
	if (row->count == 1)
		snprintf(info->name, sizeof(info->name), "%s", row->name);
	else
		snprintf(info->name, sizeof(info->name), "%s%u", row->name, (unsigned int)n);
	return fill(info, id, row->kind);
}

int kvmemu_reg_describe(uint64_t id, struct kvmemu_reg_info *info)
{
	enum sysreg reg;

	if ((id & KVM_REG_ARCH_MASK) == KVM_REG_ARM) {
		if (arm32_reg_describe(id, info))
			return -ENOENT;
		return fill(info, id, info->kind);
	}
	for (size_t i = 0; i < NR_ROWS; i++)
		if (!describe_row(&rows[i], id, info))
			return 0;
	if ((id & ~0xffffull) != SYSREG_BASE)
		return -ENOENT;
	reg = sysreg_find(id & 0xffff);
	if (reg == SR_NONE)
		return -ENOENT;
	snprintf(info->name, sizeof(info->name), "%s", sysreg_names[reg].name);
	return fill(info, id, KVMEMU_REG_SYSTEM);
}

/* The id of a row's register by its whole name; a numbered one has its number without leading zeroes. */
static int find_in_row(const struct name_row *row, const char *name, struct kvmemu_reg_info *info)
{
	size_t len = strlen(row->name);
	unsigned long n = 0;
	char *end;

	if (strncasecmp(name, row->name, len))
		return -ENOENT;
	if (row->count > 1) {
		if (name[len] < '0' || name[len] > '9')
			return -ENOENT;
		n = strtoul(name + len, &end, 10);
		if (*end || n >= row->count || (name[len] == '0' && name[len + 1]))
			return -ENOENT;
	} else if (name[len]) {
		return -ENOENT;
	}
	return describe_row(row, row->id + n * row->step, info);
}

int kvmemu_reg_find(const char *name, int arch, struct kvmemu_reg_info *info)
{
	enum sysreg reg;
	int err;

	if (arch == 32) {
		err = arm32_reg_find(name, info);
		return err ? err : fill(info, info->id, info->kind);
	}
	for (size_t i = 0; i < NR_ROWS; i++)
		if (!find_in_row(&rows[i], name, info))
			return 0;
	reg = sysreg_find_name(name, strlen(name));
	return reg == SR_NONE ? -ENOENT : kvmemu_reg_describe(SYSREG_BASE | sysreg_names[reg].encoding, info);
}

/* S<op0>_<op1>_C<CRn>_C<CRm>_<op2>, whether a register has that encoding or not. */
static int generic_encoding(const char *name)
{
	unsigned int op0, op1, crn, crm, op2;
	int end = 0;

	if (sscanf(name, "S%1u_%1u_C%2u_C%2u_%1u%n", &op0, &op1, &crn, &crm, &op2, &end) != 5 || name[end])
		return -ENOENT;
	if (op0 < 2 || op0 > 3 || op1 > 7 || crn > 15 || crm > 15 || op2 > 7)
		return -ENOENT;
	return SYSREG_ENCODING(op0, op1, crn, crm, op2);
}

int kvmemu_sysreg_encoding(const char *name)
{
	enum sysreg reg = sysreg_find_name(name, strlen(name));

	return reg == SR_NONE ? generic_encoding(name) : sysreg_names[reg].encoding;
}
