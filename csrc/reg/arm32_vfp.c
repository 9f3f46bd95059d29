/* SPDX-License-Identifier: MIT */
/*
 * VFP and Advanced SIMD registers of 32-bit ARM hosts: KVM_REG_ARM_VFP. Layer: reg.
 * Source: vfp_get_reg(), vfp_set_reg(), copy_vfp_regids(), arch/arm/kvm/coproc.c with CONFIG_VFPv3, Linux 5.6.
 */
#include <errno.h>
#include <string.h>

#include "../machine/host.h"
#include "arm32.h"

#define MVFR0_A_SIMD_MASK 0xfu
#define MVFR0_A_SIMD_32_REGS 2u

struct vfp_row {
	const char *name;
	uint32_t number;	/* in an id */
	bool invariant;		/* the host's; only that same value may be written */
};

static const struct vfp_row rows[NR_VFP] = {
	[VFP_FPEXC] = { .name = "FPEXC", .number = KVM_REG_ARM_VFP_FPEXC },
	[VFP_FPSCR] = { .name = "FPSCR", .number = KVM_REG_ARM_VFP_FPSCR },
	[VFP_FPINST] = { .name = "FPINST", .number = KVM_REG_ARM_VFP_FPINST },
	[VFP_FPINST2] = { .name = "FPINST2", .number = KVM_REG_ARM_VFP_FPINST2 },
	[VFP_MVFR0] = { .name = "MVFR0", .number = KVM_REG_ARM_VFP_MVFR0, .invariant = true },
	[VFP_MVFR1] = { .name = "MVFR1", .number = KVM_REG_ARM_VFP_MVFR1, .invariant = true },
	[VFP_FPSID] = { .name = "FPSID", .number = KVM_REG_ARM_VFP_FPSID, .invariant = true },
};

uint64_t vfp_id(enum vfp_reg reg)
{
	return KVM_REG_ARM | KVM_REG_SIZE_U32 | KVM_REG_ARM_VFP | rows[reg].number;
}

const char *vfp_name(enum vfp_reg reg)
{
	return rows[reg].name;
}

static uint32_t nr_d(const struct vcpu *vcpu)
{
	bool all = (vcpu->arm32->vfp[VFP_MVFR0] & MVFR0_A_SIMD_MASK) == MVFR0_A_SIMD_32_REGS;

	return all ? ARM32_NR_D : ARM32_NR_D / 2;
}

void vfp_reset(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < NR_VFP; i++)
		if (rows[i].invariant)
			vcpu->arm32->vfp[i] = (uint32_t)arm32_host_value(vcpu->vm->host, vfp_id((enum vfp_reg)i));
}

/* Where a register is kept, and whether only what is there may be written; NULL if no register has this id. */
static void *find(struct vcpu *vcpu, uint64_t id, bool *invariant)
{
	uint32_t number = id & KVM_REG_ARM_VFP_MASK;

	*invariant = false;
	if (id & ~(KVM_REG_ARCH_MASK | KVM_REG_SIZE_MASK | KVM_REG_ARM_COPROC_MASK | KVM_REG_ARM_VFP_MASK))
		return NULL;
	if (number < nr_d(vcpu))
		return arm32_id_bytes(id) == sizeof(uint64_t) ? &vcpu->arm32->d[number] : NULL;
	if (arm32_id_bytes(id) != sizeof(uint32_t))
		return NULL;
	for (unsigned int i = 0; i < NR_VFP; i++)
		if (rows[i].number == number) {
			*invariant = rows[i].invariant;
			return &vcpu->arm32->vfp[i];
		}
	return NULL;
}

int vfp_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	bool invariant;
	const void *field = find(vcpu, id, &invariant);

	if (!field)
		return -ENOENT;
	*bytes = arm32_id_bytes(id);
	memcpy(value, field, *bytes);
	return 0;
}

int vfp_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	bool invariant;
	void *field = find(vcpu, id, &invariant);
	uint32_t val;
	int err;

	if (!field)
		return -ENOENT;
	if (!invariant)
		return arm32_fetch_in_place(input, field, arm32_id_bytes(id));
	err = input->fetch(input, &val, sizeof(val));
	if (err)
		return err;
	return memcmp(field, &val, sizeof(val)) ? -EINVAL : 0;
}

void vfp_list(const struct vcpu *vcpu, struct reg_list *list)
{
	for (uint32_t i = 0; i < nr_d(vcpu); i++)
		reg_list_add(list, KVM_REG_ARM | KVM_REG_SIZE_U64 | KVM_REG_ARM_VFP | (KVM_REG_ARM_VFP_BASE_REG + i));
	for (unsigned int i = 0; i < NR_VFP; i++)
		reg_list_add(list, vfp_id((enum vfp_reg)i));
}
