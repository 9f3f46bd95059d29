/* SPDX-License-Identifier: MIT */
/* Access to system registers, their reset and their list. Layer: reg. */
#include "sys.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "../machine/host.h"
#include "reg.h"

#define ENCODING_MASK 0xffffull
#define OP1(encoding) ((encoding) >> 11 & 7)
#define OP1_EL2 4
#define KNOWN_ID_BITS (KVM_REG_ARCH_MASK | KVM_REG_SIZE_MASK | KVM_REG_ARM_COPROC_MASK | ENCODING_MASK)

uint64_t sys_reg_id(enum sysreg reg)
{
	return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | sysreg_names[reg].encoding;
}

/* SR_NONE for an id of another size or with bits no register has; the coprocessor field is the caller's to check. */
static enum sysreg reg_of_id(uint64_t id)
{
	if ((id & KVM_REG_SIZE_MASK) != KVM_REG_SIZE_U64 || id & ~KNOWN_ID_BITS)
		return SR_NONE;
	return sysreg_find(id & ENCODING_MASK);
}

static unsigned int visibility(const struct vcpu *vcpu, const struct sys_row *row)
{
	return row->visibility ? row->visibility(vcpu) : 0;
}

static uint64_t field(unsigned int shift)
{
	return 0xfull << shift;
}

static uint64_t with_field(uint64_t reg, unsigned int shift, uint64_t val)
{
	return (reg & ~field(shift)) | val << shift;
}

/* A PMU version field as seen without a PMU: none, unless it says "implementation defined". */
static uint64_t without_pmu(uint64_t reg, unsigned int shift)
{
	return (reg & field(shift)) == field(shift) ? reg : reg & ~field(shift);
}

/*
 * The host's value is what a vCPU with every feature sees; this takes away what this one lacks.
 * Source: read_id_reg(), Linux 6.1.
 */
uint64_t sys_id_value(const struct vcpu *vcpu, enum sysreg reg)
{
	uint64_t val = vcpu->vm->host->reg[reg];

	if (visibility(vcpu, &sys_rows[reg]) & SYS_AS_RAZ)
		return 0;
	switch (reg) {
	case SR_ID_AA64PFR0_EL1:
		val = with_field(val, 56, atomic_load_explicit(&vcpu->vm->csv2, memory_order_relaxed));
		val = with_field(val, 60, atomic_load_explicit(&vcpu->vm->csv3, memory_order_relaxed));
		return vcpu->has_sve ? val : val & ~field(32);
	case SR_ID_AA64PFR1_EL1:
		return vcpu->vm->mte ? val : val & ~field(8);
	case SR_ID_AA64ISAR1_EL1:	/* APA, API, GPA, GPI */
		return vcpu->has_ptrauth ? val : val & ~(field(4) | field(8) | field(24) | field(28));
	case SR_ID_AA64ISAR2_EL1:	/* GPA3, APA3 */
		return vcpu->has_ptrauth ? val : val & ~(field(8) | field(12));
	case SR_ID_AA64DFR0_EL1:
		return vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3) ? val : without_pmu(val, 8);
	case SR_ID_DFR0_EL1:
		return vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3) ? val : without_pmu(val, 24);
	default:
		return val;
	}
}

static enum sysreg home(const struct sys_row *row, enum sysreg reg)
{
	return row->alias ? row->alias : reg;
}

static inline int read_row(struct vcpu *vcpu, enum sysreg reg, uint64_t *val)
{
	const struct sys_row *row = &sys_rows[reg];

	if (row->user_rd)
		return row->user_rd(vcpu, reg, val);
	switch (row->kind) {
	case SYS_STORED:
		*val = vcpu->sys[home(row, reg)];
		return 0;
	case SYS_ID:
		*val = sys_id_value(vcpu, reg);
		return 0;
	default:
		*val = 0;
		return 0;
	}
}

/* MPIDR_EL1 is read for other vCPUs without the lock: a store that cannot be torn, at no cost. */
static void store(struct vcpu *vcpu, enum sysreg home, uint64_t val)
{
	__atomic_store_n(&vcpu->sys[home], val, __ATOMIC_RELAXED);
}

static int write_row(struct vcpu *vcpu, enum sysreg reg, uint64_t val)
{
	const struct sys_row *row = &sys_rows[reg];

	if (row->user_wr)
		return row->user_wr(vcpu, reg, val);
	switch (row->kind) {
	case SYS_STORED:
		store(vcpu, home(row, reg), val);
		return 0;
	case SYS_ID:
		return val == sys_id_value(vcpu, reg) ? 0 : -EINVAL;
	case SYS_RAZ:
		return val ? -EINVAL : 0;
	default:
		return 0;
	}
}

/* A register that user space may reach by this id. Invariant ones are found under any coprocessor number. */
static inline enum sysreg find(const struct vcpu *vcpu, uint64_t id)
{
	enum sysreg reg = reg_of_id(id);

	if (reg == SR_NONE || sys_rows[reg].kind == SYS_INVARIANT)
		return reg;
	if ((id & KVM_REG_ARM_COPROC_MASK) != KVM_REG_ARM64_SYSREG || sys_rows[reg].kind == SYS_ABSENT)
		return SR_NONE;
	return visibility(vcpu, &sys_rows[reg]) & SYS_HIDDEN ? SR_NONE : reg;
}

int sys_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	enum sysreg reg = find(vcpu, id);
	uint64_t val;
	int err = 0;

	if (reg == SR_NONE)
		return -ENOENT;
	if (sys_rows[reg].kind == SYS_INVARIANT)
		val = vcpu->vm->host->reg[reg];
	else
		err = read_row(vcpu, reg, &val);
	if (err)
		return err;
	*bytes = sizeof(val);
	memcpy(value, &val, sizeof(val));
	return 0;
}

int sys_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	enum sysreg reg = find(vcpu, id);
	uint64_t val;
	/* Fetched before the register is known to exist: a bad pointer wins over ENOENT. */
	int err = input->fetch(input, &val, sizeof(val));

	if (err)
		return err;
	if (reg == SR_NONE)
		return -ENOENT;
	if (sys_rows[reg].kind == SYS_INVARIANT)
		return val == vcpu->vm->host->reg[reg] ? 0 : -EINVAL;
	if (visibility(vcpu, &sys_rows[reg]) & SYS_USER_WI)
		return 0;
	return write_row(vcpu, reg, val);
}

/* EL2's registers are there for user space only: in them are what a guest in AArch32 has. */
static bool guest_has(const struct vcpu *vcpu, enum sysreg reg)
{
	const struct sys_row *row = &sys_rows[reg];

	return OP1(sysreg_names[reg].encoding) != OP1_EL2 && !(visibility(vcpu, row) & SYS_HIDDEN) &&
	       (!row->guest_has || row->guest_has(vcpu, reg));
}

int sys_guest_read(struct vcpu *vcpu, enum sysreg reg, uint64_t *value)
{
	const struct sys_row *row = &sys_rows[reg];
	int err;

	if (!guest_has(vcpu, reg))
		return -ENOENT;
	if (row->guest_rd)
		return row->guest_rd(vcpu, reg, value);
	switch (row->kind) {
	case SYS_ABSENT:
	case SYS_RAZ_WI:	/* which is to be written only */
		return -ENOENT;
	case SYS_INVARIANT:
		*value = vcpu->vm->host->reg[reg];
		return 0;
	default:
		err = read_row(vcpu, reg, value);
		if (row->bits)
			*value &= row->bits;
		return err;
	}
}

int sys_guest_write(struct vcpu *vcpu, enum sysreg reg, uint64_t value)
{
	const struct sys_row *row = &sys_rows[reg];

	if (!guest_has(vcpu, reg) || row->guest_ro)
		return -ENOENT;
	if (row->guest_wr)
		return row->guest_wr(vcpu, reg, value);
	if (row->kind != SYS_STORED)
		return -ENOENT;
	store(vcpu, home(row, reg), value);
	return 0;
}

#define SCTLR_CACHES_ON 0x5u
#define MMFR2_FWB_SHIFT 40

/* HCR_EL2.TVM: writes of the guest's translation, for as long as its caches are off, on hosts that need to know. */
static bool is_translation(enum sysreg reg)
{
	switch (reg) {
	case SR_SCTLR_EL1:
	case SR_TTBR0_EL1:
	case SR_TTBR1_EL1:
	case SR_TCR_EL1:
	case SR_AFSR0_EL1:
	case SR_AFSR1_EL1:
	case SR_ESR_EL1:
	case SR_FAR_EL1:
	case SR_MAIR_EL1:
	case SR_AMAIR_EL1:
	case SR_CONTEXTIDR_EL1:
		return true;
	default:
		return false;
	}
}

bool sys_guest_traps(const struct vcpu *vcpu, enum sysreg reg, bool write)
{
	uint16_t encoding;

	if (reg == SR_NONE)
		return true;
	encoding = sysreg_names[reg].encoding;
	if (encoding >> 14 == 2 || reg == SR_ACTLR_EL1)	/* debug registers, of which a debugger has need */
		return true;
	/* HCR_EL2.TID3: ID registers but those of the machine. */
	if (encoding >= SYSREG_ENCODING(3, 0, 0, 1, 0) && encoding <= SYSREG_ENCODING(3, 0, 0, 7, 7))
		return true;
	if (sys_rows[reg].traps)
		return true;
	return write && is_translation(reg) && !(vcpu->vm->host->reg[SR_ID_AA64MMFR2_EL1] >> MMFR2_FWB_SHIFT & 0xf) &&
	       (vcpu->sys[SR_SCTLR_EL1] & SCTLR_CACHES_ON) != SCTLR_CACHES_ON;
}

/* The registers that a reset sets: a third of all. Every new vCPU is reset, so that the others are left out once. */
static uint16_t resettable[SR_COUNT];
static unsigned int nr_resettable;

static void find_resettable(void)
{
	for (unsigned int i = 0; i < SR_COUNT; i++)
		if (sys_rows[i].reset)
			resettable[nr_resettable++] = (uint16_t)i;
}

void sysregs_reset(struct vcpu *vcpu)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, find_resettable);
	for (unsigned int i = 0; i < nr_resettable; i++) {
		const struct sys_row *row = &sys_rows[resettable[i]];

		store(vcpu, home(row, (enum sysreg)resettable[i]), row->reset(vcpu, row));
	}
}

void sysregs_pass_hardware(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < SR_COUNT; i++)
		if (sys_rows[i].lost)
			vcpu->sys[i] &= ~sys_rows[i].lost;
}

void sys_reg_list(const struct vcpu *vcpu, struct reg_list *list)
{
	for (unsigned int i = 0; i < SR_COUNT; i++)
		if (sys_rows[i].kind == SYS_INVARIANT)
			reg_list_add(list, sys_reg_id((enum sysreg)i));
	for (unsigned int i = 0; i < SR_COUNT; i++) {
		if (sys_rows[i].kind == SYS_ABSENT || sys_rows[i].kind == SYS_INVARIANT)
			continue;
		if (!(visibility(vcpu, &sys_rows[i]) & SYS_HIDDEN))
			reg_list_add(list, sys_reg_id((enum sysreg)i));
	}
}
