/* SPDX-License-Identifier: MIT */
/* Statistics files. Layer: ioctl. Source: kvm_vm_ioctl_get_stats_fd(), kvm_vcpu_ioctl_get_stats_fd(), Linux 6.1. */
#include "stats.h"

#include <errno.h>
#include <stdio.h>

#include "../vm/vcpu.h"
#include "../vm/vm.h"

static int share_vm_stats(struct vm *vm)
{
	char name[STATS_NAME_BYTES];
	int err;

	if (vm->stats_page)
		return 0;
	snprintf(name, sizeof(name), "kvm-%d", vm->pid);
	err = stats_page_create(&vm_stats_layout, name, &vm->stats_page);
	if (err)
		return err;
	vm->stats = (struct vm_stats *)(vm->stats_page->image + stats_data_offset(&vm_stats_layout));
	*vm->stats = vm->own_stats;
	return 0;
}

static int share_vcpu_stats(struct vcpu *vcpu)
{
	char name[STATS_NAME_BYTES];
	struct vcpu_stats *values;
	int err;

	if (vcpu->stats_page)
		return 0;
	snprintf(name, sizeof(name), "kvm-%d/vcpu-%u", vcpu->vm->pid, vcpu->id);
	err = stats_page_create(&vcpu_stats_layout, name, &vcpu->stats_page);
	if (err)
		return err;
	values = (struct vcpu_stats *)(vcpu->stats_page->image + stats_data_offset(&vcpu_stats_layout));
	vcpu->counts = &values->counts;
	*vcpu->counts = vcpu->own_counts;
	return 0;
}

long stats_open(struct call *call)
{
	struct kvmemu_file *file;
	int err;

	if (!call_can_create(call))
		return -EMFILE;
	if (call->vcpu) {
		err = share_vcpu_stats(call->vcpu);
	} else {
		pthread_mutex_lock(&call->vm->lock);
		err = share_vm_stats(call->vm);
		pthread_mutex_unlock(&call->vm->lock);
	}
	file = err ? NULL : file_alloc(FILE_STATS);
	if (!file)
		return err ? err : -ENOMEM;
	file->vm = vm_get(call->vm);
	file->vcpu = call->vcpu;
	return call_publish(call, file);
}
