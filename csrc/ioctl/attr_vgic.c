/* SPDX-License-Identifier: MIT */
/*
 * Device attributes of the vGIC, GICv2 and GICv3. Layer: ioctl. Source: vgic-kvm-device.c, Linux 6.1;
 * Documentation/virt/kvm/devices/arm-vgic.rst, arm-vgic-v3.rst. The order of checks is Linux's, and differs from group
 * to group.
 */
#include "attr_vgic.h"

#include <errno.h>

#include "../vgic/vgic.h"
#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "kvmemu/uapi.h"
#include "user.h"

#define V2_ALIGNMENT 0x1000ull
#define V3_ALIGNMENT 0x10000ull
#define MAX_IRQS 1023		/* VGIC_MAX_RESERVED */

/*
 * KVM_DEV_ARM_VGIC_GRP_ADDR
 */

/* A frame with one address: where it is kept, and what it must keep to. NULL if the guest's GIC has no such frame. */
static uint64_t *single_frame(struct vm *vm, uint64_t type, uint64_t *alignment, uint64_t *bytes)
{
	struct vgic *vgic = &vm->vgic;
	enum vgic_model model = vgic->model;

	*alignment = model == VGIC_V2 ? V2_ALIGNMENT : V3_ALIGNMENT;
	if (type == KVM_VGIC_V2_ADDR_TYPE_DIST && model == VGIC_V2) {
		*bytes = VGIC_V2_DIST_BYTES;
		return &vgic->dist_base;
	}
	if (type == KVM_VGIC_V2_ADDR_TYPE_CPU && model == VGIC_V2) {
		*bytes = VGIC_V2_CPU_BYTES;
		return &vgic->cpu_base;
	}
	if (type == KVM_VGIC_V3_ADDR_TYPE_DIST && model == VGIC_V3) {
		*bytes = VGIC_V3_DIST_BYTES;
		return &vgic->dist_base;
	}
	return NULL;
}

/*
 * KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION packs a region into 64 bits: count 63:52, base 51:16, flags 15:12, index 11:0, of
 * which Linux keeps 8 bits.
 */
#define REGION_COUNT_SHIFT 52
#define REGION_BASE_MASK 0x000fffffffff0000ull
#define REGION_FLAGS_MASK 0xf000ull

static uint8_t region_index(uint64_t packed)
{
	return (uint8_t)packed;
}

static int set_region(struct vm *vm, uint64_t packed)
{
	uint32_t count = packed >> REGION_COUNT_SHIFT;

	if (!count || packed & REGION_FLAGS_MASK)
		return -EINVAL;
	return vgic_set_redist_base(vm, region_index(packed), packed & REGION_BASE_MASK, count);
}

static int set_addr_locked(struct vm *vm, uint64_t type, uint64_t addr)
{
	uint64_t alignment, bytes, *frame = single_frame(vm, type, &alignment, &bytes);
	int err;

	if (vm->vgic.model == VGIC_V3 && type == KVM_VGIC_V3_ADDR_TYPE_REDIST)
		return vgic_set_redist_base(vm, 0, addr, 0);
	if (vm->vgic.model == VGIC_V3 && type == KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION)
		return set_region(vm, addr);
	if (!frame)
		return -ENXIO;
	err = vgic_check_range(vm, *frame, addr, alignment, bytes);
	if (!err)
		*frame = addr;
	return err;
}

static int addr_set(struct vm *vm, const struct kvm_device_attr *attr)
{
	uint64_t addr;
	int err;

	if (user_read(&addr, attr->addr, sizeof(addr)))
		return -EFAULT;
	pthread_mutex_lock(&vm->lock);
	err = set_addr_locked(vm, attr->attr, addr);
	pthread_mutex_unlock(&vm->lock);
	return err;
}

static int get_addr_locked(struct vm *vm, uint64_t type, uint64_t *addr)
{
	uint64_t alignment, bytes, *frame = single_frame(vm, type, &alignment, &bytes);
	const struct redist_region *region;

	if (vm->vgic.model == VGIC_V3 && type == KVM_VGIC_V3_ADDR_TYPE_REDIST) {
		*addr = vm->vgic.regions ? vm->vgic.regions->base : VGIC_UNDEFINED;
		return 0;
	}
	if (vm->vgic.model == VGIC_V3 && type == KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION) {
		region = vgic_redist_region(&vm->vgic, region_index(*addr));
		if (!region)
			return -ENOENT;
		*addr = region->index | region->base | (uint64_t)region->count << REGION_COUNT_SHIFT;
		return 0;
	}
	if (!frame)
		return -ENXIO;
	*addr = *frame;
	return 0;
}

static int addr_get(struct vm *vm, const struct kvm_device_attr *attr)
{
	uint64_t addr = 0;
	int err;

	/* Which region is asked for stands where the answer goes. */
	if (attr->attr == KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION && user_read(&addr, attr->addr, sizeof(addr)))
		return -EFAULT;
	pthread_mutex_lock(&vm->lock);
	err = get_addr_locked(vm, attr->attr, &addr);
	pthread_mutex_unlock(&vm->lock);
	return err ? err : user_write(attr->addr, &addr, sizeof(addr));
}

int vgic_set_legacy_addr(struct vm *vm, uint64_t type, uint64_t addr)
{
	int err;

	if (type != KVM_VGIC_V2_ADDR_TYPE_DIST && type != KVM_VGIC_V2_ADDR_TYPE_CPU)
		return -ENODEV;
	err = set_addr_locked(vm, type, addr);
	return err == -ENXIO ? -ENODEV : err;
}

/*
 * KVM_DEV_ARM_VGIC_GRP_NR_IRQS. The document says up to 1024; the check refuses it.
 */

static int nr_irqs_set(struct vm *vm, const struct kvm_device_attr *attr)
{
	uint32_t n;
	int err = 0;

	if (user_read(&n, attr->addr, sizeof(n)))
		return -EFAULT;
	if (n < VGIC_NR_PRIVATE_IRQS + 32 || n > MAX_IRQS || n % 32)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	if (vm->vgic.ready || vm->vgic.nr_spis)
		err = -EBUSY;
	else
		vm->vgic.nr_spis = n - VGIC_NR_PRIVATE_IRQS;
	pthread_mutex_unlock(&vm->lock);
	return err;
}

static int nr_irqs_get(struct vm *vm, const struct kvm_device_attr *attr)
{
	uint32_t n = vm->vgic.nr_spis + VGIC_NR_PRIVATE_IRQS;

	return user_write(attr->addr, &n, sizeof(n));
}

/*
 * KVM_DEV_ARM_VGIC_GRP_CTRL
 */

/* Without an ITS there are no LPIs, and their pending tables need no saving. */
static int save_pending_tables(struct vm *vm)
{
	if (!vm_try_lock_vcpus(vm))
		return -EBUSY;
	vm_unlock_vcpus(vm);
	return vm->vgic.initialized ? 0 : -ENXIO;
}

static int ctrl_set(struct vm *vm, const struct kvm_device_attr *attr)
{
	int err = -ENXIO;

	pthread_mutex_lock(&vm->lock);
	if (attr->attr == KVM_DEV_ARM_VGIC_CTRL_INIT)
		err = vgic_init(vm);
	else if (attr->attr == KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES && vm->vgic.model == VGIC_V3)
		err = save_pending_tables(vm);
	pthread_mutex_unlock(&vm->lock);
	return err;
}

/*
 * The two devices: groups as rows.
 */

#define ON_V2 1u
#define ON_V3 2u

struct attr_group {
	uint32_t group;
	unsigned int models;
	int (*has)(struct vm *vm, const struct kvm_device_attr *attr);
	int (*get)(struct vm *vm, const struct kvm_device_attr *attr);
	int (*set)(struct vm *vm, const struct kvm_device_attr *attr);
	int (*many)(struct vm *vm, const struct attr_batch *batch);	/* NULL: one at a time only */
};

static int addr_has(struct vm *vm, const struct kvm_device_attr *attr)
{
	switch (attr->attr) {
	case KVM_VGIC_V2_ADDR_TYPE_DIST:
	case KVM_VGIC_V2_ADDR_TYPE_CPU:
		return vm->vgic.model == VGIC_V2 ? 0 : -ENXIO;
	case KVM_VGIC_V3_ADDR_TYPE_DIST:
	case KVM_VGIC_V3_ADDR_TYPE_REDIST:
	case KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION:
		return vm->vgic.model == VGIC_V3 ? 0 : -ENXIO;
	default:
		return -ENXIO;
	}
}

static int nr_irqs_has(struct vm *vm, const struct kvm_device_attr *attr)
{
	(void)vm;
	(void)attr;
	return 0;
}

static int ctrl_has(struct vm *vm, const struct kvm_device_attr *attr)
{
	if (attr->attr == KVM_DEV_ARM_VGIC_CTRL_INIT)
		return 0;
	return attr->attr == KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES && vm->vgic.model == VGIC_V3 ? 0 : -ENXIO;
}

static int not_there(struct vm *vm, const struct kvm_device_attr *attr)
{
	(void)vm;
	(void)attr;
	return -ENXIO;
}

#define REGISTERS .has = vgic_regs_has, .get = vgic_regs_get, .set = vgic_regs_set, .many = vgic_regs_many

static const struct attr_group groups[] = {
	{ .group = KVM_DEV_ARM_VGIC_GRP_ADDR, .models = ON_V2 | ON_V3, .has = addr_has, .get = addr_get, .set = addr_set },
	{ .group = KVM_DEV_ARM_VGIC_GRP_NR_IRQS, .models = ON_V2 | ON_V3, .has = nr_irqs_has, .get = nr_irqs_get,
	  .set = nr_irqs_set },
	{ .group = KVM_DEV_ARM_VGIC_GRP_CTRL, .models = ON_V2 | ON_V3, .has = ctrl_has, .get = not_there,
	  .set = ctrl_set },
	{ .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS, .models = ON_V2 | ON_V3, REGISTERS },
	{ .group = KVM_DEV_ARM_VGIC_GRP_CPU_REGS, .models = ON_V2, REGISTERS },
	{ .group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, .models = ON_V3, REGISTERS },
	{ .group = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, .models = ON_V3, REGISTERS },
	{ .group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, .models = ON_V3, REGISTERS },
};

static const struct attr_group *find(const struct vm *vm, uint32_t group)
{
	unsigned int model = vm->vgic.model == VGIC_V2 ? ON_V2 : ON_V3;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (groups[i].group == group && groups[i].models & model)
			return &groups[i];
	return NULL;
}

static int has(struct vm *vm, const struct kvm_device_attr *attr)
{
	const struct attr_group *group = find(vm, attr->group);

	return group ? group->has(vm, attr) : -ENXIO;
}

static int get(struct vm *vm, const struct kvm_device_attr *attr)
{
	const struct attr_group *group = find(vm, attr->group);

	return group ? group->get(vm, attr) : -ENXIO;
}

static int set(struct vm *vm, const struct kvm_device_attr *attr)
{
	const struct attr_group *group = find(vm, attr->group);

	return group ? group->set(vm, attr) : -ENXIO;
}

static int many(struct vm *vm, const struct attr_batch *batch)
{
	const struct attr_group *group = find(vm, batch->group);

	if (!group)
		return -ENXIO;
	return group->many ? group->many(vm, batch) : -EINVAL;
}

static bool v2_on_host(const struct vm *vm)
{
	return vgic_host_has(vm, VGIC_V2);
}

static bool v3_on_host(const struct vm *vm)
{
	return vgic_host_has(vm, VGIC_V3);
}

static int v2_create(struct vm *vm)
{
	return vgic_create(vm, VGIC_V2);
}

static int v3_create(struct vm *vm)
{
	return vgic_create(vm, VGIC_V3);
}

const struct device_ops vgic_v2_ops = {
	.type = KVM_DEV_TYPE_ARM_VGIC_V2,
	.on_host = v2_on_host,
	.create = v2_create,
	.has = has,
	.get = get,
	.set = set,
	.many = many,
};

const struct device_ops vgic_v3_ops = {
	.type = KVM_DEV_TYPE_ARM_VGIC_V3,
	.on_host = v3_on_host,
	.create = v3_create,
	.has = has,
	.get = get,
	.set = set,
	.many = many,
};
