/* SPDX-License-Identifier: MIT */
/*
 * SVE registers: Z, P and FFR in slices of 2048 and 256 bits, and the set of vector lengths. Layer: reg.
 * Source: arch/arm64/kvm/guest.c, reset.c, Linux 6.1; Documentation/virt/kvm/api.rst 4.68.
 */
#include <errno.h>
#include <string.h>

#include "../machine/host.h"
#include "reg.h"

#define NR_ZREGS 32
#define NR_PREGS 16		/* FFR follows the last of them, in ids and in memory */
#define ZREG_BYTES 256		/* of a slice in user space */
#define PREG_BYTES 32
#define VLS_WORDS 8		/* a bit a vector length: KVM_ARM64_SVE_VLS_WORDS */
#define MAX_VQ 512
#define SLICE_MASK 0x1f
#define REG_SHIFT 5

uint16_t sve_host_max_vq(const struct kvmemu_host *host)
{
	return host->sve_vqs ? (uint16_t)(64 - __builtin_clzll(host->sve_vqs)) : 0;
}

static size_t z_bytes(const struct vcpu *vcpu)
{
	return vcpu->sve_max_vq * 16u;
}

static size_t p_bytes(const struct vcpu *vcpu)
{
	return vcpu->sve_max_vq * 2u;
}

size_t sve_state_bytes(const struct vcpu *vcpu)
{
	return NR_ZREGS * z_bytes(vcpu) + (NR_PREGS + 1) * p_bytes(vcpu);
}

/* A register's slice: where it is in vcpu->sve, how much of it there is, and how much user space sees. */
struct slice {
	size_t offset;
	size_t bytes;
	size_t user_bytes;
};

static int find(const struct vcpu *vcpu, uint64_t id, struct slice *slice)
{
	unsigned int n = id >> REG_SHIFT & 0x1f;
	bool is_z = id >= KVM_REG_ARM64_SVE_ZREG(0, 0) && id <= KVM_REG_ARM64_SVE_ZREG(NR_ZREGS - 1, SLICE_MASK);
	bool is_p = id >= KVM_REG_ARM64_SVE_PREG(0, 0) && id <= KVM_REG_ARM64_SVE_FFR(SLICE_MASK);

	if (!is_z && !is_p)
		return -EINVAL;
	/* Vectors end at 2048 bits, so that only the first slice exists. */
	if (!vcpu->has_sve || id & SLICE_MASK)
		return -ENOENT;
	slice->bytes = is_z ? z_bytes(vcpu) : p_bytes(vcpu);
	slice->user_bytes = is_z ? ZREG_BYTES : PREG_BYTES;
	slice->offset = is_z ? n * slice->bytes : NR_ZREGS * z_bytes(vcpu) + (n & 0x1f) * slice->bytes;
	return vcpu->sve_finalized ? 0 : -EPERM;
}

static bool host_has_vq(const struct vcpu *vcpu, unsigned int vq)
{
	return vq <= 64 && vcpu->vm->host->sve_vqs >> (vq - 1) & 1;
}

static int get_vls(const struct vcpu *vcpu, uint64_t *vls)
{
	if (!vcpu->has_sve)
		return -ENOENT;
	memset(vls, 0, VLS_WORDS * sizeof(*vls));
	for (unsigned int vq = 1; vq <= vcpu->sve_max_vq; vq++)
		if (host_has_vq(vcpu, vq))
			vls[(vq - 1) / 64] |= 1ull << (vq - 1) % 64;
	return 0;
}

/* Lengths may only be cut off from the top: below the longest wanted, the host's set must be taken as it is. */
static int set_vls(struct vcpu *vcpu, const struct reg_input *input)
{
	uint64_t vls[VLS_WORDS];
	unsigned int max = 0;
	int err;

	if (!vcpu->has_sve)
		return -ENOENT;
	if (vcpu->sve_finalized)
		return -EPERM;
	err = input->fetch(input, vls, sizeof(vls));
	if (err)
		return err;
	for (unsigned int vq = 1; vq <= MAX_VQ; vq++)
		if (vls[(vq - 1) / 64] >> (vq - 1) % 64 & 1)
			max = vq;
	if (!max || max > sve_host_max_vq(vcpu->vm->host))
		return -EINVAL;
	for (unsigned int vq = 1; vq <= max; vq++)
		if ((vls[(vq - 1) / 64] >> (vq - 1) % 64 & 1) != host_has_vq(vcpu, vq))
			return -EINVAL;
	vcpu->sve_max_vq = (uint16_t)max;
	return 0;
}

int sve_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	struct slice slice;
	int err;

	if (id == KVM_REG_ARM64_SVE_VLS) {
		*bytes = VLS_WORDS * sizeof(uint64_t);
		return get_vls(vcpu, value);
	}
	err = find(vcpu, id, &slice);
	if (err)
		return err;
	memcpy(value, vcpu->sve + slice.offset, slice.bytes);
	memset((char *)value + slice.bytes, 0, slice.user_bytes - slice.bytes);
	*bytes = slice.user_bytes;
	return 0;
}

int sve_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	struct slice slice;
	int err;

	if (id == KVM_REG_ARM64_SVE_VLS)
		return set_vls(vcpu, input);
	err = find(vcpu, id, &slice);
	if (err)
		return err;
	/* What cannot be read of the new value is zero afterwards: copy_from_user() sees to that, and KVM lets it. */
	memset(vcpu->sve + slice.offset, 0, slice.bytes);
	return input->fetch(input, vcpu->sve + slice.offset, slice.bytes);
}

void sve_reg_list(const struct vcpu *vcpu, struct reg_list *list)
{
	if (!vcpu->has_sve)
		return;
	/* First, so that restoring in the list's order settles the vector lengths before anything else. */
	reg_list_add(list, KVM_REG_ARM64_SVE_VLS);
	for (unsigned int n = 0; n < NR_ZREGS; n++)
		reg_list_add(list, KVM_REG_ARM64_SVE_ZREG(n, 0));
	for (unsigned int n = 0; n < NR_PREGS; n++)
		reg_list_add(list, KVM_REG_ARM64_SVE_PREG(n, 0));
	reg_list_add(list, KVM_REG_ARM64_SVE_FFR(0));
}
