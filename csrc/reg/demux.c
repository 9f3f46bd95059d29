/* SPDX-License-Identifier: MIT */
/*
 * Demultiplexed registers: CCSIDR_EL1 once for each cache that CSSELR_EL1 can select. Layer: reg.
 * Source: demux_c15_get(), is_valid_cache(), arch/arm64/kvm/sys_regs.c, Linux 6.1; of 32-bit hosts arch/arm/kvm/coproc.c,
 * Linux 5.6.
 */
#include <errno.h>
#include <string.h>

#include "../machine/host.h"
#include "arm32.h"

enum cache_type { NO_CACHE, INSTRUCTION_ONLY, DATA_ONLY, SEPARATE, UNIFIED };

static uint64_t clidr_of(const struct vcpu *vcpu)
{
	return vcpu->arm32 ? vcpu->arm32->cp15[CP15_CLIDR] : vcpu->vm->host->reg[SR_CLIDR_EL1];
}

static uint32_t nr_caches(const struct vcpu *vcpu)
{
	return vcpu->arm32 ? ARM32_NR_CSSELR : HOST_NR_CACHES;
}

/* CLIDR_EL1.Ctype of a level (from 0); levels beyond the first empty one do not exist, whatever their field says. */
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

	if (csselr >= nr_caches(vcpu))
		return false;
	switch (cache_type(clidr_of(vcpu), csselr >> 1)) {
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

int demux_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	uint32_t ccsidr;

	if (find(vcpu, id, &ccsidr))
		return -ENOENT;
	*bytes = sizeof(ccsidr);
	memcpy(value, &ccsidr, sizeof(ccsidr));
	return 0;
}

int demux_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
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

void demux_reg_list(const struct vcpu *vcpu, struct reg_list *list)
{
	const uint64_t arch = vcpu->arm32 ? KVM_REG_ARM : KVM_REG_ARM64;
	const uint64_t base = arch | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | KVM_REG_ARM_DEMUX_ID_CCSIDR;

	for (uint32_t i = 0; i < nr_caches(vcpu); i++)
		if (cache_exists(vcpu, i))
			reg_list_add(list, base | i << KVM_REG_ARM_DEMUX_VAL_SHIFT);
}
