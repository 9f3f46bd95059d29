/* SPDX-License-Identifier: MIT */
/* Interrupts of a VM. Layer: ioctl. Source: kvm_vm_ioctl(), kvm_send_userspace_msi() of virt/kvm, Linux 6.1. */
#include "irq.h"

#include <errno.h>
#include <stdlib.h>

#include "../vm/vm.h"
#include "file.h"
#include "kvmemu/uapi.h"
#include "user.h"

long gsi_routing_set(struct call *call)
{
	struct kvm_irq_routing_entry *entries;
	struct kvm_irq_routing head;
	size_t bytes;
	int err;

	if (user_read(&head, call->arg, sizeof(head)))
		return -EFAULT;
	if (head.nr > ROUTING_MAX_GSIS || head.flags)
		return -EINVAL;
	bytes = head.nr * sizeof(*entries);
	entries = malloc(bytes ? bytes : 1);
	if (!entries)
		return -ENOMEM;
	err = user_read(entries, call->arg + sizeof(head), bytes);
	if (!err)
		err = routing_set(call->vm, entries, head.nr);
	free(entries);
	return err;
}

long irqfd_call(struct call *call)
{
	struct kvm_irqfd args;
	int err = user_read(&args, call->arg, sizeof(args));

	return err ? err : irqfd_set(call->vm, &args);
}

long msi_signal(struct call *call)
{
	struct kvm_msi msi;

	if (user_read(&msi, call->arg, sizeof(msi)))
		return -EFAULT;
	if (!vgic_in_kernel(&call->vm->vgic) || msi.flags & ~KVM_MSI_VALID_DEVID)
		return -EINVAL;
	return msi_inject(call->vm, &msi);
}

long kvmemu_irq_line(struct kvmemu_file *vm, uint32_t irq, uint32_t level)
{
	const struct kvm_irq_level line = { .irq = irq, .level = level };

	return kvmemu_ioctl(vm, KVM_IRQ_LINE, (uintptr_t)&line, NULL);
}
