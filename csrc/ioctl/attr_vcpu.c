/* SPDX-License-Identifier: MIT */
/*
 * Device attributes of a vCPU. Each group has its has, get and set side by side. Layer: ioctl.
 * Source: arch/arm64/kvm/guest.c, pmu-emul.c, arch_timer.c, pvtime.c, Linux 6.1. The order of checks is Linux's, and
 * differs from group to group.
 */
#include "attr_vcpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../machine/host.h"
#include "../reg/reg.h"
#include "../timer/timer.h"
#include "../vm/pvtime.h"
#include "../vm/vcpu.h"
#include "user.h"

#define FIRST_PPI 16
#define FIRST_SPI 32
#define LAST_SPI 1019

static bool is_ppi(int32_t intid)
{
	return intid >= FIRST_PPI && intid < FIRST_SPI;
}

static bool is_spi(int32_t intid)
{
	return intid >= FIRST_SPI && intid <= LAST_SPI;
}

static bool irqchip_in_kernel(const struct vm *vm)
{
	return vgic_in_kernel(&vm->vgic);
}

/*
 * KVM_ARM_VCPU_PMU_V3_CTRL
 */

static bool has_pmu(const struct vcpu *vcpu)
{
	return vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3);
}

static int pmu_has(const struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	switch (attr->attr) {
	case KVM_ARM_VCPU_PMU_V3_IRQ:
	case KVM_ARM_VCPU_PMU_V3_INIT:
	case KVM_ARM_VCPU_PMU_V3_FILTER:
	case KVM_ARM_VCPU_PMU_V3_SET_PMU:
		return has_pmu(vcpu) ? 0 : -ENXIO;
	default:
		return -ENXIO;
	}
}

static int pmu_get(const struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	int32_t intid = (int32_t)vcpu->pmu.intid;

	if (attr->attr != KVM_ARM_VCPU_PMU_V3_IRQ)
		return -ENXIO;
	if (!irqchip_in_kernel(vcpu->vm))
		return -EINVAL;
	if (!has_pmu(vcpu))
		return -ENODEV;
	return intid ? user_write(attr->addr, &intid, sizeof(intid)) : -ENXIO;
}

/* A PPI is the same for all vCPUs, an SPI different for each. */
static bool fits_other_vcpus(const struct vm *vm, uint32_t intid)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		uint32_t other = vm->vcpus[i]->pmu.intid;

		if (other && is_ppi((int32_t)intid) != (other == intid))
			return false;
	}
	return true;
}

static int pmu_set_intid(struct vcpu *vcpu, uint64_t addr)
{
	int32_t intid;

	if (!irqchip_in_kernel(vcpu->vm))
		return -EINVAL;
	if (user_read(&intid, addr, sizeof(intid)))
		return -EFAULT;
	if ((!is_ppi(intid) && !is_spi(intid)) || !fits_other_vcpus(vcpu->vm, (uint32_t)intid))
		return -EINVAL;
	if (vcpu->pmu.intid)
		return -EBUSY;
	vcpu->pmu.intid = (uint32_t)intid;
	return 0;
}

/* The first filter decides what events without one are: allowed if it denies, denied if it allows. */
static int add_filter(struct vm *vm, const struct kvm_pmu_event_filter *filter)
{
	bool allow = filter->action == KVM_PMU_EVENT_ALLOW;
	size_t bytes = pmu_nr_events(vm->host) / 8;

	if (!vm->pmu_filter) {
		vm->pmu_filter = malloc(bytes);
		if (!vm->pmu_filter)
			return -ENOMEM;
		memset(vm->pmu_filter, allow ? 0 : 0xff, bytes);
	}
	for (unsigned int n = filter->base_event; n < (unsigned int)filter->base_event + filter->nevents; n++) {
		uint64_t bit = 1ull << n % 64;

		if (allow)
			vm->pmu_filter[n / 64] |= bit;
		else
			vm->pmu_filter[n / 64] &= ~bit;
	}
	return 0;
}

static int pmu_set_filter(struct vm *vm, uint64_t addr)
{
	struct kvm_pmu_event_filter filter;

	if (user_read(&filter, addr, sizeof(filter)))
		return -EFAULT;
	if ((uint32_t)filter.base_event + filter.nevents > pmu_nr_events(vm->host) ||
	    (filter.action != KVM_PMU_EVENT_ALLOW && filter.action != KVM_PMU_EVENT_DENY))
		return -EINVAL;
	return atomic_load(&vm->ran_once) ? -EBUSY : add_filter(vm, &filter);
}

/* The host has one CPU PMU, which is the default as well. */
static int pmu_choose(struct vm *vm, uint64_t addr)
{
	int32_t type;

	if (user_read(&type, addr, sizeof(type)))
		return -EFAULT;
	if ((uint32_t)type != vm->host->pmu_type)
		return -ENXIO;
	return atomic_load(&vm->ran_once) ? -EBUSY : 0;
}

static int pmu_init(struct vcpu *vcpu)
{
	int err;

	if (irqchip_in_kernel(vcpu->vm)) {
		if (!vcpu->vm->vgic.initialized)
			return -ENODEV;
		if (!vcpu->pmu.intid)
			return -ENXIO;
		err = vgic_set_owner(vcpu, vcpu->pmu.intid, &vcpu->pmu);
		if (err)
			return err;
	}
	vcpu->pmu.created = true;
	return 0;
}

static int pmu_set_locked(struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	if (!has_pmu(vcpu))
		return -ENODEV;
	if (vcpu->pmu.created)
		return -EBUSY;
	switch (attr->attr) {
	case KVM_ARM_VCPU_PMU_V3_IRQ:
		return pmu_set_intid(vcpu, attr->addr);
	case KVM_ARM_VCPU_PMU_V3_FILTER:
		return pmu_set_filter(vcpu->vm, attr->addr);
	case KVM_ARM_VCPU_PMU_V3_SET_PMU:
		return pmu_choose(vcpu->vm, attr->addr);
	case KVM_ARM_VCPU_PMU_V3_INIT:
		return pmu_init(vcpu);
	default:
		return -ENXIO;
	}
}

static int pmu_set(struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	int err;

	pthread_mutex_lock(&vcpu->vm->lock);
	err = pmu_set_locked(vcpu, attr);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return err;
}

/*
 * KVM_ARM_VCPU_TIMER_CTRL
 */

static int timer_has(const struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	uint32_t intid;

	return timer_get_intid(vcpu, attr->attr, &intid);
}

static int timer_get(const struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	uint32_t intid;
	int err = timer_get_intid(vcpu, attr->attr, &intid);

	return err ? err : user_write(attr->addr, &intid, sizeof(intid));
}

static int timer_set(struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	int32_t intid;

	if (!irqchip_in_kernel(vcpu->vm))
		return -EINVAL;
	if (user_read(&intid, attr->addr, sizeof(intid)))
		return -EFAULT;
	if (!is_ppi(intid))
		return -EINVAL;
	if (vcpu->timers_enabled)
		return -EBUSY;
	return timer_set_intid(vcpu, attr->attr, (uint32_t)intid);
}

/*
 * KVM_ARM_VCPU_PVTIME_CTRL
 */

static int pvtime_has(const struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	bool supported = host_cap(vcpu->vm->host, KVM_CAP_STEAL_TIME);

	return supported && attr->attr == KVM_ARM_VCPU_PVTIME_IPA ? 0 : -ENXIO;
}

static int pvtime_get(const struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	int err = pvtime_has(vcpu, attr);

	return err ? err : user_write(attr->addr, &vcpu->steal_ipa, sizeof(vcpu->steal_ipa));
}

static int pvtime_set(struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	struct vm *vm = vcpu->vm;
	uint64_t ipa;
	int err = pvtime_has(vcpu, attr);

	if (err)
		return err;
	if (user_read(&ipa, attr->addr, sizeof(ipa)))
		return -EFAULT;
	if (ipa % 64)
		return -EINVAL;
	if (pvtime_is_set(vcpu))
		return -EEXIST;
	pthread_mutex_lock(&vm->slots_lock);
	err = memslot_writable(vm, ipa) ? 0 : -EINVAL;
	pthread_mutex_unlock(&vm->slots_lock);
	if (!err)
		vcpu->steal_ipa = ipa;
	return err;
}

/*
 * The groups, a row each.
 */

struct attr_group {
	uint32_t group;
	int (*has)(const struct vcpu *vcpu, const struct kvm_device_attr *attr);
	int (*get)(const struct vcpu *vcpu, const struct kvm_device_attr *attr);
	int (*set)(struct vcpu *vcpu, const struct kvm_device_attr *attr);
};

static const struct attr_group groups[] = {
	{ .group = KVM_ARM_VCPU_PMU_V3_CTRL, .has = pmu_has, .get = pmu_get, .set = pmu_set },
	{ .group = KVM_ARM_VCPU_TIMER_CTRL, .has = timer_has, .get = timer_get, .set = timer_set },
	{ .group = KVM_ARM_VCPU_PVTIME_CTRL, .has = pvtime_has, .get = pvtime_get, .set = pvtime_set },
};

/* A 32-bit host has the timers' only. */
static const struct attr_group *find_group(const struct vcpu *vcpu, uint32_t group)
{
	if (vcpu->arm32 && group != KVM_ARM_VCPU_TIMER_CTRL)
		return NULL;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (groups[i].group == group)
			return &groups[i];
	return NULL;
}

long attr_vcpu_has(struct call *call)
{
	const struct attr_group *group;
	struct kvm_device_attr attr;

	if (user_read(&attr, call->arg, sizeof(attr)))
		return -EFAULT;
	group = find_group(call->vcpu, attr.group);
	return group ? group->has(call->vcpu, &attr) : -ENXIO;
}

long attr_vcpu_get(struct call *call)
{
	const struct attr_group *group;
	struct kvm_device_attr attr;

	if (user_read(&attr, call->arg, sizeof(attr)))
		return -EFAULT;
	group = find_group(call->vcpu, attr.group);
	return group ? group->get(call->vcpu, &attr) : -ENXIO;
}

long attr_vcpu_set(struct call *call)
{
	const struct attr_group *group;
	struct kvm_device_attr attr;

	if (user_read(&attr, call->arg, sizeof(attr)))
		return -EFAULT;
	group = find_group(call->vcpu, attr.group);
	return group ? group->set(call->vcpu, &attr) : -ENXIO;
}
