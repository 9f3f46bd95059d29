/* SPDX-License-Identifier: MIT */
/*
 * Firmware registers of 32-bit ARM hosts: the PSCI version and two workarounds, as in Linux 5.2 to 5.6. Layer: reg.
 * Source: kvm_arm_get_fw_reg(), kvm_arm_set_fw_reg(), virt/kvm/arm/psci.c.
 */
#include <errno.h>
#include <string.h>

#include "../machine/host.h"
#include "arm32.h"

#define LEVEL_MASK 0xfull	/* KVM_REG_FEATURE_LEVEL_MASK */

void arm32_fw_list(struct reg_list *list)
{
	reg_list_add(list, KVM_REG_ARM32_PSCI_VERSION);
	reg_list_add(list, KVM_REG_ARM32_SMCCC_ARCH_WORKAROUND_1);
	reg_list_add(list, KVM_REG_ARM32_SMCCC_ARCH_WORKAROUND_2);
}

static bool has_psci_0_2(const struct vcpu *vcpu)
{
	return vcpu_has_feature(vcpu, KVM_ARM32_VCPU_PSCI_0_2);
}

static uint64_t psci_version(const struct vcpu *vcpu)
{
	if (!has_psci_0_2(vcpu))
		return PSCI_VERSION(0, 1);
	return vcpu->vm->psci_version ? vcpu->vm->psci_version : PSCI_VERSION(1, 0);
}

int arm32_fw_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	uint64_t val;

	switch (id) {
	case KVM_REG_ARM32_PSCI_VERSION:
		val = psci_version(vcpu);
		break;
	case KVM_REG_ARM32_SMCCC_ARCH_WORKAROUND_1:
		val = vcpu->vm->host->workaround[0];
		break;
	case KVM_REG_ARM32_SMCCC_ARCH_WORKAROUND_2:
		val = vcpu->vm->host->workaround[1];
		break;
	default:
		return -ENOENT;
	}
	*bytes = sizeof(val);
	memcpy(value, &val, sizeof(val));
	return 0;
}

/* Levels are compared as they are: folding them into two, as Linux 6.1 does, came later. */
static int check_workaround_2(uint64_t val, uint64_t host_level)
{
	const uint64_t enabled = KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_ENABLED;
	uint64_t level = val & LEVEL_MASK;

	if (val & enabled && level != KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_AVAIL)
		return -EINVAL;
	return fw_check_workaround(val & ~enabled, host_level);
}

int arm32_fw_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	const struct kvmemu_host *host = vcpu->vm->host;
	size_t bytes = arm32_id_bytes(id);
	uint64_t val = 0;
	int err;

	/* Copied before the id is looked at; copy_from_user() refuses what is larger than its 64-bit destination. */
	err = bytes > sizeof(val) ? -EFAULT : input->fetch(input, &val, bytes);
	if (err)
		return err;
	switch (id) {
	case KVM_REG_ARM32_PSCI_VERSION:
		return fw_set_psci_version(vcpu, val, has_psci_0_2(vcpu), PSCI_VERSION(1, 0));
	case KVM_REG_ARM32_SMCCC_ARCH_WORKAROUND_1:
		return fw_check_workaround(val, host->workaround[0]);
	case KVM_REG_ARM32_SMCCC_ARCH_WORKAROUND_2:
		return check_workaround_2(val, host->workaround[1]);
	default:
		return -ENOENT;
	}
}
