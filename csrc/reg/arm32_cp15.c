/* SPDX-License-Identifier: MIT */
/*
 * CP15 registers of 32-bit ARM hosts: look-up, access, reset, list. The rows are in arm32_rows.c. Layer: reg.
 * Source: arch/arm/kvm/coproc.c, Linux 4.19 to 5.6.
 */
#include <errno.h>
#include <string.h>

#include "../machine/host.h"
#include "arm32.h"

#define CP15 (15ull << KVM_REG_ARM_COPROC_SHIFT)
#define ANY_ID (KVM_REG_ARCH_MASK | KVM_REG_SIZE_MASK | KVM_REG_ARM_COPROC_MASK)
#define ID_BITS_64 (ANY_ID | KVM_REG_ARM_CRM_MASK | KVM_REG_ARM_OPC1_MASK)
#define ID_BITS_32 (ID_BITS_64 | KVM_REG_ARM_32_CRN_MASK | KVM_REG_ARM_32_OPC2_MASK)
#define NO_KEY UINT32_MAX

/*
 * What Linux sorts and compares by (reg_to_match_value()). MRRC's CRm takes the place of CRn, so that a register's two
 * views are neighbours, the 64-bit one first.
 */
static uint32_t key(uint32_t crn, uint32_t crm, uint32_t opc1, uint32_t opc2, bool is_64bit)
{
	return is_64bit ? crm << 11 | opc1 << 4 : crn << 11 | crm << 7 | opc1 << 4 | opc2 << 1 | 1;
}

static uint32_t key_of_row(const struct cp15_row *row)
{
	return key(row->crn, row->crm, row->opc1, row->opc2, row->is_64bit);
}

#define FIELD(id, name) ((uint32_t)(((id) & KVM_REG_ARM_##name##_MASK) >> KVM_REG_ARM_##name##_SHIFT))

/*
 * NO_KEY for an id of another size or with bits no register has. An id has four bits for opc1, an instruction three: as
 * in Linux, the fourth is or-ed into crm, and such an id finds that register.
 */
static uint32_t key_of_id(uint64_t id)
{
	switch (id & KVM_REG_SIZE_MASK) {
	case KVM_REG_SIZE_U32:
		if (id & ~ID_BITS_32)
			return NO_KEY;
		return key(FIELD(id, 32_CRN), FIELD(id, CRM), FIELD(id, OPC1), FIELD(id, 32_OPC2), false);
	case KVM_REG_SIZE_U64:
		return id & ~ID_BITS_64 ? NO_KEY : key(0, FIELD(id, CRM), FIELD(id, OPC1), 0, true);
	default:
		return NO_KEY;
	}
}

static enum cp15_reg search(uint32_t wanted)
{
	unsigned int low = 0, high = NR_CP15;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (key_of_row(&cp15_rows[middle]) < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low < NR_CP15 && key_of_row(&cp15_rows[low]) == wanted ? (enum cp15_reg)low : NR_CP15;
}

uint64_t cp15_id(enum cp15_reg reg)
{
	const struct cp15_row *row = &cp15_rows[reg];

	if (row->is_64bit)
		return ARM_CP15_REG64(row->opc1, row->crm);
	return ARM_CP15_REG32(row->opc1, row->crn, row->crm, row->opc2);
}

/* A register that user space may reach by this id. Invariant ones are found under any coprocessor number. */
static enum cp15_reg find(uint64_t id)
{
	enum cp15_reg reg = search(key_of_id(id));

	if (reg == NR_CP15 || cp15_rows[reg].kind == CP15_INVARIANT)
		return reg;
	if ((id & KVM_REG_ARM_COPROC_MASK) != CP15 || cp15_rows[reg].kind != CP15_STORED)
		return NR_CP15;
	return reg;
}

static enum cp15_reg home(enum cp15_reg reg)
{
	return cp15_rows[reg].low_half_of ? cp15_rows[reg].low_half_of : reg;
}

static size_t row_bytes(const struct cp15_row *row)
{
	return row->is_64bit ? sizeof(uint64_t) : sizeof(uint32_t);
}

int cp15_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	enum cp15_reg reg = find(id);

	if (reg == NR_CP15)
		return -ENOENT;
	*bytes = row_bytes(&cp15_rows[reg]);
	memcpy(value, &vcpu->arm32->cp15[home(reg)], *bytes);
	return 0;
}

static int check_invariant(struct vcpu *vcpu, enum cp15_reg reg, const struct reg_input *input)
{
	uint32_t val;
	int err = input->fetch(input, &val, sizeof(val));

	if (err)
		return err;
	return val == vcpu->arm32->cp15[reg] ? 0 : -EINVAL;
}

int cp15_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	enum cp15_reg reg = find(id);
	uint64_t val;
	int err;

	if (reg == NR_CP15)
		return -ENOENT;
	if (cp15_rows[reg].kind == CP15_INVARIANT)
		return check_invariant(vcpu, reg, input);
	if (!cp15_rows[reg].is_64bit)
		return arm32_fetch_in_place(input, &vcpu->arm32->cp15[home(reg)], sizeof(uint32_t));
	err = input->fetch(input, &val, sizeof(val));
	if (!err)
		vcpu->arm32->cp15[reg] = val;
	return err;
}

void cp15_reset(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < NR_CP15; i++)
		if (cp15_rows[i].reset)
			vcpu->arm32->cp15[i] = cp15_rows[i].reset(vcpu, &cp15_rows[i]);
}

static void list_kind(enum cp15_kind kind, struct reg_list *list)
{
	for (unsigned int i = 0; i < NR_CP15; i++)
		if (cp15_rows[i].kind == kind)
			reg_list_add(list, cp15_id((enum cp15_reg)i));
}

void cp15_list(struct reg_list *list)
{
	list_kind(CP15_INVARIANT, list);
	list_kind(CP15_STORED, list);
}
