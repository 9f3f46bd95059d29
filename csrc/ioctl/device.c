/* SPDX-License-Identifier: MIT */
/* Devices. Layer: ioctl. Source: kvm_ioctl_create_device(), kvm_device_ioctl(), virt/kvm/kvm_main.c, Linux 6.1. */
#include "device.h"

#include <errno.h>

#include "../machine/host.h"
#include "../vm/vm.h"
#include "kvmemu/uapi.h"
#include "user.h"

static bool its_on_host(const struct vm *vm)
{
	return vm->host->gic.version == 3 && vm->host->gic.its;
}

static int its_create(struct vm *vm)
{
	(void)vm;
	return -ENODEV;
}

/* There is one on the host, but none can be made yet. */
static const struct device_ops its_ops = {
	.type = KVM_DEV_TYPE_ARM_VGIC_ITS, .on_host = its_on_host, .create = its_create
};

static const struct device_ops *const kinds[] = { &vgic_v2_ops, &vgic_v3_ops, &vfio_ops, &its_ops };

static const struct device_ops *find(const struct vm *vm, uint32_t type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i]->type == type && kinds[i]->on_host(vm))
			return kinds[i];
	return NULL;
}

static int create_locked(struct vm *vm, const struct device_ops *ops)
{
	int err;

	pthread_mutex_lock(&vm->lock);
	err = ops->create(vm);
	pthread_mutex_unlock(&vm->lock);
	return err;
}

/* The child of a fork has the descriptor, but not the VM. */
static void release_locked(struct vm *vm, const struct device_ops *ops)
{
	if (!ops->release || vm->process != process_generation())
		return;
	pthread_mutex_lock(&vm->lock);
	ops->release(vm);
	pthread_mutex_unlock(&vm->lock);
}

void device_release(struct kvmemu_file *file)
{
	release_locked(file->vm, file->device);
}

/* Without descriptors the file is in call->created alone, and only if the call succeeds. */
static long hand_over(struct call *call, struct kvmemu_file *file, struct kvm_create_device *cd)
{
	long fd, err;

	if (call->with_descriptors) {
		fd = call_publish(call, file);
		if (fd < 0)
			return fd;
		cd->fd = (uint32_t)fd;
		/* If this fails the descriptor stays open, as on Linux, though nobody knows its number. */
		return user_write(call->arg, cd, sizeof(*cd));
	}
	cd->fd = UINT32_MAX;
	err = user_write(call->arg, cd, sizeof(*cd));
	if (err)
		file_put(file);
	else
		*call->created = file;
	return err;
}

long device_create(struct call *call)
{
	const struct device_ops *ops;
	struct kvm_create_device cd;
	struct kvmemu_file *file;
	long ret;

	if (user_read(&cd, call->arg, sizeof(cd)))
		return -EFAULT;
	ops = find(call->vm, cd.type);
	if (!ops)
		return -ENODEV;
	if (cd.flags & KVM_CREATE_DEVICE_TEST)
		return user_write(call->arg, &cd, sizeof(cd));
	if (!call_can_create(call))
		return -EMFILE;
	ret = create_locked(call->vm, ops);
	if (ret)
		return ret;
	file = file_alloc(FILE_DEVICE);
	if (!file) {
		release_locked(call->vm, ops);
		return -ENOMEM;
	}
	file->vm = vm_get(call->vm);
	file->device = ops;
	return hand_over(call, file, &cd);
}

long irqchip_create(struct call *call)
{
	return vgic_v2_ops.on_host(call->vm) ? create_locked(call->vm, &vgic_v2_ops) : -ENODEV;
}

long device_set_addr(struct call *call)
{
	struct kvm_arm_device_addr addr;
	int err;

	if (user_read(&addr, call->arg, sizeof(addr)))
		return -EFAULT;
	if ((addr.id & KVM_ARM_DEVICE_ID_MASK) >> KVM_ARM_DEVICE_ID_SHIFT != KVM_ARM_DEVICE_VGIC_V2)
		return -ENODEV;
	pthread_mutex_lock(&call->vm->lock);
	err = vgic_set_legacy_addr(call->vm, (addr.id & KVM_ARM_DEVICE_TYPE_MASK) >> KVM_ARM_DEVICE_TYPE_SHIFT, addr.addr);
	pthread_mutex_unlock(&call->vm->lock);
	return err;
}

static long attr_call(struct call *call, int (*handle)(struct vm *vm, const struct kvm_device_attr *attr))
{
	struct kvm_device_attr attr;

	if (!handle)
		return -EPERM;
	if (user_read(&attr, call->arg, sizeof(attr)))
		return -EFAULT;
	return handle(call->vm, &attr);
}

static long has_attr(struct call *call)
{
	return attr_call(call, call->file->device->has);
}

static long get_attr(struct call *call)
{
	return attr_call(call, call->file->device->get);
}

static long set_attr(struct call *call)
{
	return attr_call(call, call->file->device->set);
}

static const struct ioctl_row rows[] = {
	{ .request = KVM_GET_DEVICE_ATTR, .handle = get_attr },
	{ .request = KVM_SET_DEVICE_ATTR, .handle = set_attr },
	{ .request = KVM_HAS_DEVICE_ATTR, .handle = has_attr },
};

const struct ioctl_table device_ioctls = { .rows = rows, .n = sizeof(rows) / sizeof(rows[0]), .unknown = -ENOTTY };

/*
 * The C interface.
 */

static int access_many(struct kvmemu_file *file, const struct attr_batch *batch)
{
	*batch->done = 0;
	if (file->kind != FILE_DEVICE || !file->device->many)
		return -EINVAL;
	if (!vm_is_usable(file->vm))
		return -EIO;
	irqfds_sync(file->vm);
	return file->device->many(file->vm, batch);
}

int kvmemu_get_attrs(struct kvmemu_file *device, uint32_t group, const uint64_t *attrs, size_t n, void *values,
		     size_t values_bytes, size_t *done)
{
	return access_many(device, &(struct attr_batch){ .group = group, .attrs = (uintptr_t)attrs, .n = n,
							 .values = (uintptr_t)values, .values_bytes = values_bytes,
							 .done = done });
}

int kvmemu_set_attrs(struct kvmemu_file *device, uint32_t group, const uint64_t *attrs, size_t n, const void *values,
		     size_t values_bytes, size_t *done)
{
	return access_many(device, &(struct attr_batch){ .group = group, .set = true, .attrs = (uintptr_t)attrs, .n = n,
							 .values = (uintptr_t)values, .values_bytes = values_bytes,
							 .done = done });
}
