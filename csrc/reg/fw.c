/* SPDX-License-Identifier: MIT */
/*
 * Firmware registers: the PSCI version, workaround levels, and which hypercalls the guest may make. Layer: reg.
 * Source: arch/arm64/kvm/hypercalls.c, include/kvm/arm_psci.h, Linux 6.1; Documentation/virt/kvm/arm/hypercalls.rst.
 */
#include <errno.h>
#include <string.h>

#include "../machine/host.h"
#include "reg.h"

#define LEVEL_MASK 0xfull	/* KVM_REG_FEATURE_LEVEL_MASK */

static const uint64_t fw_ids[] = {
	KVM_REG_ARM_PSCI_VERSION,
	KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1,
	KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2,
	KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3,
	KVM_REG_ARM_STD_BMAP,
	KVM_REG_ARM_STD_HYP_BMAP,
	KVM_REG_ARM_VENDOR_HYP_BMAP,
};

void fw_reg_list(struct reg_list *list)
{
	for (size_t i = 0; i < sizeof(fw_ids) / sizeof(fw_ids[0]); i++)
		reg_list_add(list, fw_ids[i]);
}

/* A set of hypercalls: which bits there are, and where the VM keeps those it allows. NULL for other registers. */
static _Atomic uint64_t *bitmap_of(struct vm *vm, uint64_t id, uint64_t *known)
{
	switch (id) {
	case KVM_REG_ARM_STD_BMAP:
		*known = 1ull << KVM_REG_ARM_STD_BIT_TRNG_V1_0;
		return &vm->std_bmap;
	case KVM_REG_ARM_STD_HYP_BMAP:
		*known = 1ull << KVM_REG_ARM_STD_HYP_BIT_PV_TIME;
		return &vm->std_hyp_bmap;
	case KVM_REG_ARM_VENDOR_HYP_BMAP:
		*known = 1ull << KVM_REG_ARM_VENDOR_HYP_BIT_FUNC_FEAT | 1ull << KVM_REG_ARM_VENDOR_HYP_BIT_PTP;
		return &vm->vendor_hyp_bmap;
	default:
		return NULL;
	}
}

uint64_t fw_psci_version(const struct vcpu *vcpu)
{
	uint64_t version = atomic_load_explicit(&vcpu->vm->psci_version, memory_order_relaxed);

	if (!vcpu_has_feature(vcpu, KVM_ARM_VCPU_PSCI_0_2))
		return PSCI_VERSION(0, 1);
	return version ? version : PSCI_VERSION(1, 1);
}

int fw_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	const struct kvmemu_host *host = vcpu->vm->host;
	_Atomic uint64_t *bitmap;
	uint64_t val, known;

	switch (id) {
	case KVM_REG_ARM_PSCI_VERSION:
		val = fw_psci_version(vcpu);
		break;
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1:
		val = host->workaround[0];
		break;
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2:
		val = host->workaround[1];
		break;
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3:
		val = host->workaround[2];
		break;
	default:
		bitmap = bitmap_of(vcpu->vm, id, &known);
		if (!bitmap)
			return -ENOENT;
		val = atomic_load(bitmap);
	}
	*bytes = sizeof(val);
	memcpy(value, &val, sizeof(val));
	return 0;
}

int fw_set_psci_version(struct vcpu *vcpu, uint64_t version, bool wants_0_2, uint64_t latest)
{
	switch (version) {
	case PSCI_VERSION(0, 1):
		if (wants_0_2)
			return -EINVAL;
		break;
	case PSCI_VERSION(0, 2):
	case PSCI_VERSION(1, 0):
	case PSCI_VERSION(1, 1):
		if (!wants_0_2 || version > latest)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	vcpu->vm->psci_version = version;
	return 0;
}

/* The level is checked against what the host offers and not kept: guests always see the host's. */
int fw_check_workaround(uint64_t level, uint64_t host_level)
{
	return level & ~LEVEL_MASK || host_level < level ? -EINVAL : 0;
}

/*
 * WORKAROUND_2 has four levels and a bit for "switched on", which KVM folds into two: none, or not required. A host that
 * can do less than asked refuses.
 */
static int check_workaround_2(uint64_t val, uint64_t host_level)
{
	const uint64_t enabled = KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_ENABLED;
	uint64_t level = val & LEVEL_MASK;

	if (val & ~(LEVEL_MASK | enabled))
		return -EINVAL;
	if (val & enabled && level != KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_AVAIL)
		return -EINVAL;
	switch (level) {
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_NOT_AVAIL:
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_UNKNOWN:
		level = KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_NOT_AVAIL;
		break;
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_AVAIL:
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_NOT_REQUIRED:
		level = KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_NOT_REQUIRED;
		break;
	default:
		return -EINVAL;
	}
	return host_level < level ? -EINVAL : 0;
}

/* Frozen once a vCPU of the VM has run, except for writing what is there. */
static int set_bitmap(struct vm *vm, _Atomic uint64_t *bitmap, uint64_t known, uint64_t val)
{
	int err = 0;

	if (val & ~known)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	if (atomic_load(&vm->ran_once) && val != *bitmap)
		err = -EBUSY;
	else
		*bitmap = val;
	pthread_mutex_unlock(&vm->lock);
	return err;
}

int fw_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	const struct kvmemu_host *host = vcpu->vm->host;
	_Atomic uint64_t *bitmap;
	uint64_t val, known;
	int err;

	if ((id & KVM_REG_SIZE_MASK) != KVM_REG_SIZE_U64)
		return -ENOENT;
	err = input->fetch(input, &val, sizeof(val));
	if (err)
		return err;
	switch (id) {
	case KVM_REG_ARM_PSCI_VERSION:
		return fw_set_psci_version(vcpu, val, vcpu_has_feature(vcpu, KVM_ARM_VCPU_PSCI_0_2), PSCI_VERSION(1, 1));
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1:
		return fw_check_workaround(val, host->workaround[0]);
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2:
		return check_workaround_2(val, host->workaround[1]);
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3:
		return fw_check_workaround(val, host->workaround[2]);
	default:
		bitmap = bitmap_of(vcpu->vm, id, &known);
		return bitmap ? set_bitmap(vcpu->vm, bitmap, known, val) : -ENOENT;
	}
}
