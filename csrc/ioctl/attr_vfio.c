/* SPDX-License-Identifier: MIT */
/*
 * The VFIO device: a VM's list of VFIO groups. Layer: ioctl. Source: virt/kvm/vfio.c, Linux 6.1.
 * There is no VFIO here, so that no descriptor is a group's, and the list stays empty.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>

#include "../vm/vm.h"
#include "device.h"
#include "kvmemu/uapi.h"
#include "user.h"

static bool on_host(const struct vm *vm)
{
	(void)vm;
	return true;
}

static int create(struct vm *vm)
{
	if (vm->has_vfio)
		return -EBUSY;
	vm->has_vfio = true;
	return 0;
}

static void release(struct vm *vm)
{
	vm->has_vfio = false;
}

static int has(struct vm *vm, const struct kvm_device_attr *attr)
{
	(void)vm;
	if (attr->group != KVM_DEV_VFIO_GROUP)
		return -ENXIO;
	return attr->attr == KVM_DEV_VFIO_GROUP_ADD || attr->attr == KVM_DEV_VFIO_GROUP_DEL ? 0 : -ENXIO;
}

static int set(struct vm *vm, const struct kvm_device_attr *attr)
{
	int err = has(vm, attr), flags;
	int32_t fd;

	if (err)
		return err;
	if (user_read(&fd, attr->addr, sizeof(fd)))
		return -EFAULT;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	return attr->attr == KVM_DEV_VFIO_GROUP_ADD ? -EINVAL : -ENOENT;
}

const struct device_ops vfio_ops = {
	.type = KVM_DEV_TYPE_VFIO,
	.on_host = on_host,
	.create = create,
	.release = release,
	.has = has,
	.set = set,
};
