/* SPDX-License-Identifier: MIT */
/*
 * Registers of the vGIC as device attributes: the frames, ICC system registers, line levels. Layer: ioctl.
 * Source: vgic-kvm-device.c, Linux 6.1. A batch does for each attribute what a single call does, under one hold of the
 * locks.
 */
#include "attr_vgic.h"

#include <errno.h>

#include "../vgic/vgic.h"
#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "kvmemu/uapi.h"
#include "user.h"

/* A group: its values, and the access itself, with begin()'s locks. */
struct reg_group {
	uint32_t group;
	uint32_t bytes;		/* of a value */
	bool late_value;	/* Linux fetches it only once the device is known to be ready */
	int (*read)(struct vcpu *vcpu, const struct kvm_device_attr *attr, uint64_t *val);
	int (*write)(struct vcpu *vcpu, const struct kvm_device_attr *attr, uint64_t val);
};

static enum vgic_frame frame_of(uint32_t group)
{
	return group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS	 ? VGIC_FRAME_DIST :
	       group == KVM_DEV_ARM_VGIC_GRP_REDIST_REGS ? VGIC_FRAME_REDIST :
							   VGIC_FRAME_CPU;
}

static uint32_t offset_of(const struct kvm_device_attr *attr)
{
	return attr->attr & KVM_DEV_ARM_VGIC_OFFSET_MASK;
}

static int frame_read(struct vcpu *vcpu, const struct kvm_device_attr *attr, uint64_t *val)
{
	*val = vgic_user_read(vcpu, frame_of(attr->group), offset_of(attr));
	return 0;
}

static int frame_write(struct vcpu *vcpu, const struct kvm_device_attr *attr, uint64_t val)
{
	return vgic_user_write(vcpu, frame_of(attr->group), offset_of(attr), (uint32_t)val);
}

static int icc_read(struct vcpu *vcpu, const struct kvm_device_attr *attr, uint64_t *val)
{
	return vgic_icc_read(vcpu, (uint16_t)attr->attr, val);
}

static int icc_write(struct vcpu *vcpu, const struct kvm_device_attr *attr, uint64_t val)
{
	return vgic_icc_write(vcpu, (uint16_t)attr->attr, val);
}

static bool is_line_level(const struct kvm_device_attr *attr)
{
	return (attr->attr & KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_MASK) >> KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT ==
	       VGIC_LEVEL_INFO_LINE_LEVEL;
}

/* The first of 32 interrupts; false if the attribute is no such thing. */
static bool levels_of(const struct kvm_device_attr *attr, uint32_t *intid)
{
	*intid = attr->attr & KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK;
	return is_line_level(attr) && *intid % 32 == 0;
}

static int levels_read(struct vcpu *vcpu, const struct kvm_device_attr *attr, uint64_t *val)
{
	uint32_t intid;

	if (!levels_of(attr, &intid))
		return -EINVAL;
	*val = vgic_line_levels(vcpu, intid);
	return 0;
}

static int levels_write(struct vcpu *vcpu, const struct kvm_device_attr *attr, uint64_t val)
{
	uint32_t intid;

	if (!levels_of(attr, &intid))
		return -EINVAL;
	vgic_set_line_levels(vcpu, intid, (uint32_t)val);
	return 0;
}

static const struct reg_group groups[] = {
	{ .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS, .bytes = 4, .read = frame_read, .write = frame_write },
	{ .group = KVM_DEV_ARM_VGIC_GRP_CPU_REGS, .bytes = 4, .read = frame_read, .write = frame_write },
	{ .group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, .bytes = 4, .read = frame_read, .write = frame_write },
	{ .group = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, .bytes = 8, .late_value = true, .read = icc_read,
	  .write = icc_write },
	{ .group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, .bytes = 4, .read = levels_read, .write = levels_write },
};

static const struct reg_group *find(uint32_t group)
{
	const struct reg_group *regs = groups;

	while (regs->group != group)
		regs++;
	return regs;
}

/* Whose registers an attribute is about: by id on a GICv2, by affinity on a GICv3, whose distributor is nobody's. */
static struct vcpu *vcpu_of(struct vm *vm, const struct kvm_device_attr *attr)
{
	uint64_t affinity = attr->attr >> KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;

	if (vm->vgic.model == VGIC_V2)
		return vm_find_vcpu(vm, (attr->attr & KVM_DEV_ARM_VGIC_CPUID_MASK) >> KVM_DEV_ARM_VGIC_CPUID_SHIFT);
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS)
		return vm->nr_vcpus ? vm->vcpus[0] : NULL;
	return vm_vcpu_of_affinity(vm, (affinity & 0xffffff) | (affinity >> 24 & 0xff) << 32);
}

int vgic_regs_has(struct vm *vm, const struct kvm_device_attr *attr)
{
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO)
		return is_line_level(attr) ? 0 : -ENXIO;
	if (!vcpu_of(vm, attr))
		return -EINVAL;
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS)
		return vgic_has_icc((uint16_t)attr->attr) ? 0 : -ENXIO;
	return vgic_has_reg(vm, frame_of(attr->group), offset_of(attr)) ? 0 : -ENXIO;
}

/* Every access needs all vCPUs at rest. A GICv2 is initialised by the first one. */
static int begin(struct vm *vm)
{
	int err;

	pthread_mutex_lock(&vm->lock);
	if (!vm_try_lock_vcpus(vm)) {
		pthread_mutex_unlock(&vm->lock);
		return -EBUSY;
	}
	err = vm->vgic.model == VGIC_V2 ? vgic_init(vm) : vm->vgic.initialized ? 0 : -EBUSY;
	if (!err) {
		pthread_mutex_lock(&vm->vgic.lock);
		return 0;
	}
	vm_unlock_vcpus(vm);
	pthread_mutex_unlock(&vm->lock);
	return err;
}

static void end(struct vm *vm)
{
	pthread_mutex_unlock(&vm->vgic.lock);
	vm_unlock_vcpus(vm);
	pthread_mutex_unlock(&vm->lock);
}

/* One access, on its way. */
struct access {
	const struct reg_group *regs;
	struct kvm_device_attr attr;
	struct vcpu *vcpu;	/* of attr; in a batch, of the attribute before it */
	uint64_t whose;		/* the part of the attribute that vcpu was found by */
	uint64_t val;
	int bad_pointer;
	bool set;
};

/* What comes before the device is looked at: whose register it is, and the value to set. */
static int prepare(struct vm *vm, struct access *a)
{
	uint64_t whose = a->attr.attr >> KVM_DEV_ARM_VGIC_CPUID_SHIFT;

	if (!a->vcpu || a->whose != whose)
		a->vcpu = vcpu_of(vm, &a->attr);
	a->whose = whose;
	if (!a->vcpu)
		return -EINVAL;
	a->val = 0;
	a->bad_pointer = a->set ? user_read(&a->val, a->attr.addr, a->regs->bytes) : 0;
	return a->regs->late_value ? 0 : a->bad_pointer;
}

static int perform(struct access *a)
{
	if (!a->set)
		return a->regs->read(a->vcpu, &a->attr, &a->val);
	return a->bad_pointer ? a->bad_pointer : a->regs->write(a->vcpu, &a->attr, a->val);
}

static int deliver(const struct access *a)
{
	return a->set ? 0 : user_write(a->attr.addr, &a->val, a->regs->bytes);
}

static int one(struct vm *vm, const struct kvm_device_attr *attr, bool set)
{
	struct access a = { .regs = find(attr->group), .attr = *attr, .set = set };
	int err = prepare(vm, &a);

	if (err)
		return err;
	err = begin(vm);
	if (err)
		return err;
	err = perform(&a);
	end(vm);
	return err ? err : deliver(&a);
}

int vgic_regs_get(struct vm *vm, const struct kvm_device_attr *attr)
{
	return one(vm, attr, false);
}

int vgic_regs_set(struct vm *vm, const struct kvm_device_attr *attr)
{
	return one(vm, attr, true);
}

/* The nth attribute of a batch, and where its value is. */
static int fetch(const struct attr_batch *batch, size_t n, struct access *a)
{
	if (user_read(&a->attr.attr, batch->attrs + n * sizeof(a->attr.attr), sizeof(a->attr.attr)))
		return -EFAULT;
	if (batch->values_bytes / a->regs->bytes <= n)
		return -E2BIG;
	a->attr.addr = batch->values + n * a->regs->bytes;
	return 0;
}

int vgic_regs_many(struct vm *vm, const struct attr_batch *batch)
{
	struct access a = { .regs = find(batch->group), .attr.group = batch->group, .set = batch->set };
	bool locked = false;
	int err = 0;

	for (; *batch->done < batch->n; ++*batch->done) {
		err = fetch(batch, *batch->done, &a);
		if (!err)
			err = prepare(vm, &a);
		if (!err && !locked) {
			err = begin(vm);
			locked = !err;
		}
		if (!err)
			err = perform(&a);
		if (!err)
			err = deliver(&a);
		if (err)
			break;
	}
	if (locked)
		end(vm);
	return err;
}
