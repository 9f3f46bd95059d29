/* SPDX-License-Identifier: MIT */
/* Which kind of register an id names, the timers among them, and the list of all. Layer: reg. */
#include <errno.h>
#include <string.h>

#include "../timer/timer.h"
#include "reg.h"

/* Architecture and reserved bits: all of the upper half but the size must be KVM_REG_ARM64's. */
static bool is_arm64(uint64_t id)
{
	return (id & ~KVM_REG_SIZE_MASK) >> 32 == KVM_REG_ARM64 >> 32;
}

/*
 * The virtual timer. KVM_REG_ARM_TIMER_CNT has the encoding of CNTV_CVAL_EL0 and KVM_REG_ARM_TIMER_CVAL that of
 * CNTVCT_EL0: they were swapped when arm64 got them, and the ABI keeps it (Documentation/virt/kvm/api.rst 4.68).
 */
static bool is_timer(uint64_t id)
{
	return id == KVM_REG_ARM_TIMER_CTL || id == KVM_REG_ARM_TIMER_CNT || id == KVM_REG_ARM_TIMER_CVAL;
}

static int timer_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	uint64_t val;

	if (id == KVM_REG_ARM_TIMER_CTL)
		val = timer_ctl(vcpu, TIMER_VIRTUAL);
	else if (id == KVM_REG_ARM_TIMER_CNT)
		val = timer_count(vcpu, TIMER_VIRTUAL);
	else
		val = vcpu->timer[TIMER_VIRTUAL].cval;
	*bytes = sizeof(val);
	memcpy(value, &val, sizeof(val));
	return 0;
}

static int timer_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	uint64_t val;
	int err = input->fetch(input, &val, sizeof(val));

	if (err)
		return err;
	if (id == KVM_REG_ARM_TIMER_CTL)
		timer_set_ctl(vcpu, TIMER_VIRTUAL, val);
	else if (id == KVM_REG_ARM_TIMER_CNT)
		timer_set_virtual_count(vcpu, val);
	else
		vcpu->timer[TIMER_VIRTUAL].cval = val;
	return 0;
}

int one_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	if (vcpu->arm32)
		return arm32_reg_get(vcpu, id, value, bytes);
	if (!is_arm64(id))
		return -EINVAL;
	switch (id & KVM_REG_ARM_COPROC_MASK) {
	case KVM_REG_ARM_CORE:
		return core_reg_get(vcpu, id, value, bytes);
	case KVM_REG_ARM_FW:
	case KVM_REG_ARM_FW_FEAT_BMAP:
		return fw_reg_get(vcpu, id, value, bytes);
	case KVM_REG_ARM64_SVE:
		return sve_reg_get(vcpu, id, value, bytes);
	case KVM_REG_ARM_DEMUX:
		return demux_reg_get(vcpu, id, value, bytes);
	default:
		return is_timer(id) ? timer_get(vcpu, id, value, bytes) : sys_reg_get(vcpu, id, value, bytes);
	}
}

int one_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	if (vcpu->arm32)
		return arm32_reg_set(vcpu, id, input);
	if (!is_arm64(id))
		return -EINVAL;
	switch (id & KVM_REG_ARM_COPROC_MASK) {
	case KVM_REG_ARM_CORE:
		return core_reg_set(vcpu, id, input);
	case KVM_REG_ARM_FW:
	case KVM_REG_ARM_FW_FEAT_BMAP:
		return fw_reg_set(vcpu, id, input);
	case KVM_REG_ARM64_SVE:
		return sve_reg_set(vcpu, id, input);
	case KVM_REG_ARM_DEMUX:
		return demux_reg_set(vcpu, id, input);
	default:
		return is_timer(id) ? timer_set(vcpu, id, input) : sys_reg_set(vcpu, id, input);
	}
}

size_t one_reg_list(const struct vcpu *vcpu, uint64_t *ids, size_t room)
{
	struct reg_list list = { .ids = ids, .room = room };

	if (vcpu->arm32) {
		arm32_reg_list(vcpu, &list);
		return list.n;
	}
	core_reg_list(vcpu, &list);
	sve_reg_list(vcpu, &list);
	fw_reg_list(&list);
	reg_list_add(&list, KVM_REG_ARM_TIMER_CTL);
	reg_list_add(&list, KVM_REG_ARM_TIMER_CNT);
	reg_list_add(&list, KVM_REG_ARM_TIMER_CVAL);
	sys_reg_list(vcpu, &list);
	demux_reg_list(vcpu, &list);
	return list.n;
}
