/* SPDX-License-Identifier: MIT */
/* Requests of /dev/kvm. Layer: ioctl. Source: kvm_dev_ioctl(), virt/kvm/kvm_main.c, Linux 6.1. */
#include <errno.h>

#include "../machine/host.h"
#include "../machine/machine.h"
#include "../vm/vm.h"
#include "file.h"
#include "kvmemu/uapi.h"

static long get_api_version(struct call *call)
{
	return call->arg ? -EINVAL : KVM_API_VERSION;
}

static long create_vm(struct call *call)
{
	struct kvmemu_file *file;
	struct vm *vm;
	int err;

	if (!call_can_create(call))
		return -EMFILE;
	err = vm_create(call->file->machine, call->arg, &vm);
	if (err)
		return err;
	file = file_alloc(FILE_VM);
	if (!file) {
		vm_put(vm);
		return -ENOMEM;
	}
	file->vm = vm;
	return call_publish(call, file);
}

static long check_extension(struct call *call)
{
	return vm_check_extension(call->file->machine->host, NULL, call->arg);
}

static long get_vcpu_mmap_size(struct call *call)
{
	return call->arg ? -EINVAL : (long)(2 * call->file->machine->host->page_bytes);
}

/* Removed long ago, but still told apart from requests that never were. */
static long trace_request(struct call *call)
{
	(void)call;
	return -EOPNOTSUPP;
}

static const struct ioctl_row rows[] = {
	{ .request = KVM_GET_API_VERSION, .handle = get_api_version },
	{ .request = KVM_CREATE_VM, .handle = create_vm },
	{ .request = KVM_CHECK_EXTENSION, .handle = check_extension },
	{ .request = KVM_GET_VCPU_MMAP_SIZE, .handle = get_vcpu_mmap_size },
	{ .request = KVM_TRACE_ENABLE, .handle = trace_request },
	{ .request = KVM_TRACE_PAUSE, .handle = trace_request },
	{ .request = KVM_TRACE_DISABLE, .handle = trace_request },
};

const struct ioctl_table system_ioctls = { .rows = rows, .n = sizeof(rows) / sizeof(rows[0]), .unknown = -EINVAL };
