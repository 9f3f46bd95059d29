/* SPDX-License-Identifier: MIT */
/* Ids and names of the registers of 32-bit ARM hosts, for names.c. Layer: reg; needs no vCPU. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "arm32.h"
#include "names.h"

#define WORD_ID (KVM_REG_ARM | KVM_REG_SIZE_U32)
#define DOUBLE_ID (KVM_REG_ARM | KVM_REG_SIZE_U64)

/* The words of struct kvm_arm32_regs, the banked ones by the Arm manual's names. */
static const char *const core_names[] = {
	"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10", "R11", "R12", "SP", "LR", "PC", "CPSR",
	"ORIG_R0",	/* the last word of Linux's struct pt_regs: no register of the guest */
	"SP_svc", "LR_svc", "SPSR_svc",
	"SP_abt", "LR_abt", "SPSR_abt",
	"SP_und", "LR_und", "SPSR_und",
	"SP_irq", "LR_irq", "SPSR_irq",
	"R8_fiq", "R9_fiq", "R10_fiq", "R11_fiq", "R12_fiq", "SP_fiq", "LR_fiq", "SPSR_fiq",
};

_Static_assert(sizeof(core_names) / sizeof(core_names[0]) == sizeof(struct kvm_arm32_regs) / 4, "a name a word");

/* In the order of their numbers. */
static const char *const fw_names[] = { "PSCI_VERSION", "SMCCC_ARCH_WORKAROUND_1", "SMCCC_ARCH_WORKAROUND_2" };

static uint64_t core_id_of(size_t n)
{
	return WORD_ID | KVM_REG_ARM_CORE | n;
}

static uint64_t fw_id_of(size_t n)
{
	return KVM_REG_ARM32_FW_REG(n);
}

static uint64_t cp15_id_of(size_t n)
{
	return cp15_id((enum cp15_reg)n);
}

static uint64_t d_id_of(size_t n)
{
	return DOUBLE_ID | KVM_REG_ARM_VFP | (KVM_REG_ARM_VFP_BASE_REG + n);
}

static uint64_t vfp_id_of(size_t n)
{
	return vfp_id((enum vfp_reg)n);
}

static uint64_t ccsidr_id_of(size_t n)
{
	return WORD_ID | KVM_REG_ARM_DEMUX | KVM_REG_ARM_DEMUX_ID_CCSIDR | n << KVM_REG_ARM_DEMUX_VAL_SHIFT;
}

static const char *core_name_of(size_t n)
{
	return core_names[n];
}

static const char *fw_name_of(size_t n)
{
	return fw_names[n];
}

static const char *cp15_name_of(size_t n)
{
	return cp15_rows[n].name;
}

static const char *vfp_name_of(size_t n)
{
	return vfp_name((enum vfp_reg)n);
}

/* A run of registers: each has a name, or all have a prefix and their number. */
struct name_run {
	enum kvmemu_reg_kind kind;
	size_t count;
	uint64_t (*id)(size_t n);
	const char *(*name)(size_t n);
	const char *prefix;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct name_run runs[] = {
	{ .kind = KVMEMU_REG_CORE, .count = COUNT(core_names), .id = core_id_of, .name = core_name_of },
	{ .kind = KVMEMU_REG_FIRMWARE, .count = COUNT(fw_names), .id = fw_id_of, .name = fw_name_of },
	{ .kind = KVMEMU_REG_CP15, .count = NR_CP15, .id = cp15_id_of, .name = cp15_name_of },
	{ .kind = KVMEMU_REG_VFP, .count = ARM32_NR_D, .id = d_id_of, .prefix = "D" },
	{ .kind = KVMEMU_REG_VFP, .count = NR_VFP, .id = vfp_id_of, .name = vfp_name_of },
	{ .kind = KVMEMU_REG_DEMUX, .count = ARM32_NR_CSSELR, .id = ccsidr_id_of, .prefix = "CCSIDR." },
};

static void name_into(const struct name_run *run, size_t n, char *name, size_t room)
{
	if (run->name)
		snprintf(name, room, "%s", run->name(n));
	else
		snprintf(name, room, "%s%zu", run->prefix, n);
}

static int fill(const struct name_run *run, size_t n, struct kvmemu_reg_info *info)
{
	info->id = run->id(n);
	info->kind = run->kind;
	if (run->id == cp15_id_of && cp15_rows[n].kind == CP15_TIMER)
		info->kind = KVMEMU_REG_TIMER;
	name_into(run, n, info->name, sizeof(info->name));
	return 0;
}

int arm32_reg_describe(uint64_t id, struct kvmemu_reg_info *info)
{
	for (size_t i = 0; i < COUNT(runs); i++)
		for (size_t n = 0; n < runs[i].count; n++)
			if (runs[i].id(n) == id)
				return fill(&runs[i], n, info);
	return -ENOENT;
}

int arm32_reg_find(const char *name, struct kvmemu_reg_info *info)
{
	char candidate[KVMEMU_REG_NAME_BYTES];

	for (size_t i = 0; i < COUNT(runs); i++)
		for (size_t n = 0; n < runs[i].count; n++) {
			name_into(&runs[i], n, candidate, sizeof(candidate));
			if (!strcasecmp(candidate, name))
				return fill(&runs[i], n, info);
		}
	return -ENOENT;
}
