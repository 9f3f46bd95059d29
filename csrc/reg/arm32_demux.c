/* SPDX-License-Identifier: MIT */
/*
 * CCSIDR of 32-bit ARM hosts, once for each cache that CSSELR can select. Layer: reg.
 * Source: demux_c15_get(), is_valid_cache(), arch/arm/kvm/coproc.c, Linux 5.6.
 */
#include <errno.h>
#include <string.h>

#include "../machine/host.h"
#include "arm32.h"

enum cache_type { NO_CACHE, INSTRUCTION_ONLY, DATA_ONLY, SEPARATE, UNIFIED };

/* CLIDR.Ctype of a level (from 0); levels beyond the first empty one do not exist, whatever their field says. */
static unsigned int cache_type(uint64_t clidr, unsigned int level)
{
	for (unsigned int i = 0; i < level; i++)
		if (!(clidr >> i * 3 & 7))
			return NO_CACHE;
	return clidr >> level * 3 & 7;
}

static bool cache_exists(const struct vcpu *vcpu, uint32_t csselr)
{
	bool instruction = csselr & 1;

	if (csselr >= ARM32_NR_CSSELR)
		return false;
	switch (cache_type(vcpu->arm32->cp15[CP15_CLIDR], csselr >> 1)) {
	case INSTRUCTION_ONLY:
		return instruction;
	case DATA_ONLY:
	case UNIFIED:
		return !instruction;
	case SEPARATE:
		return true;
	default:
		return false;
	}
}

static int find(const struct vcpu *vcpu, uint64_t id, uint32_t *ccsidr)
{
	const uint64_t known = KVM_REG_ARCH_MASK | KVM_REG_SIZE_MASK | KVM_REG_ARM_COPROC_MASK |
			       KVM_REG_ARM_DEMUX_ID_MASK | KVM_REG_ARM_DEMUX_VAL_MASK;
	uint32_t csselr = (id & KVM_REG_ARM_DEMUX_VAL_MASK) >> KVM_REG_ARM_DEMUX_VAL_SHIFT;

	if (id & ~known || (id & KVM_REG_ARM_DEMUX_ID_MASK) != KVM_REG_ARM_DEMUX_ID_CCSIDR)
		return -ENOENT;
	if ((id & KVM_REG_SIZE_MASK) != KVM_REG_SIZE_U32 || !cache_exists(vcpu, csselr))
		return -ENOENT;
	*ccsidr = vcpu->vm->host->ccsidr[csselr];
	return 0;
}

int arm32_demux_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	uint32_t ccsidr;

	if (find(vcpu, id, &ccsidr))
		return -ENOENT;
	*bytes = sizeof(ccsidr);
	memcpy(value, &ccsidr, sizeof(ccsidr));
	return 0;
}

int arm32_demux_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	uint32_t ccsidr, val;
	int err;

	if (find(vcpu, id, &ccsidr))
		return -ENOENT;
	err = input->fetch(input, &val, sizeof(val));
	if (err)
		return err;
	return val == ccsidr ? 0 : -EINVAL;
}

void arm32_demux_list(const struct vcpu *vcpu, struct reg_list *list)
{
	const uint64_t base = KVM_REG_ARM | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | KVM_REG_ARM_DEMUX_ID_CCSIDR;

	for (uint32_t i = 0; i < ARM32_NR_CSSELR; i++)
		if (cache_exists(vcpu, i))
			reg_list_add(list, base | i << KVM_REG_ARM_DEMUX_VAL_SHIFT);
}
