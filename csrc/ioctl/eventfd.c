/* SPDX-License-Identifier: MIT */
/* Stores of the guest that user space hears of without an exit. Layer: ioctl. Source: kvm_vm_ioctl(), Linux 6.1. */
#include "eventfd.h"

#include "../vm/vm.h"
#include "file.h"
#include "kvmemu/uapi.h"
#include "user.h"

long ioeventfd_call(struct call *call)
{
	struct kvm_ioeventfd args;
	int err = user_read(&args, call->arg, sizeof(args));

	return err ? err : ioeventfd_set(call->vm, &args);
}

long coalesced_mmio_call(struct call *call)
{
	struct kvm_coalesced_mmio_zone zone;
	int err = user_read(&zone, call->arg, sizeof(zone));

	if (err)
		return err;
	if (call->request == KVM_REGISTER_COALESCED_MMIO)
		return coalesced_add(call->vm, &zone);
	return coalesced_remove(call->vm, &zone);
}
