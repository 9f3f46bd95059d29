/* SPDX-License-Identifier: MIT */
/* What a guest does, done by hand. Layer: ioctl. */
#include "guest.h"

#include <errno.h>

#include "../vm/vm.h"
#include "file.h"
#include "kvmemu/uapi.h"

/* What KVM_RUN would do before the guest runs. */
static int enter(const struct kvmemu_file *file)
{
	if (file->kind != FILE_VM && file->kind != FILE_VCPU)
		return -EINVAL;
	if (!vm_is_usable(file->vm))
		return -EIO;
	irqfds_sync(file->vm);
	return 0;
}

int kvmemu_guest_store(struct kvmemu_file *file, uint64_t ipa, uint32_t bytes, uint64_t value)
{
	int err = enter(file);

	if (err)
		return err;
	if (!bytes || bytes > sizeof(value) || bytes & (bytes - 1))
		return -EINVAL;
	return bus_write(file->vm, ipa, bytes, value);
}

int kvmemu_guest_eoi(struct kvmemu_file *file, uint32_t intid)
{
	int err = enter(file);

	if (err)
		return err;
	if (!vgic_in_kernel(&file->vm->vgic) || intid < VGIC_NR_PRIVATE_IRQS ||
	    intid - VGIC_NR_PRIVATE_IRQS >= file->vm->vgic.nr_spis)
		return -EINVAL;
	irqfd_acked(file->vm, intid);
	return 0;
}

void kvmemu_guest_calls(struct kvmemu_cpu *cpu, void *context)
{
	if (!(context ? kvmemu_cpu_smc(cpu) : kvmemu_cpu_hvc(cpu)))
		kvmemu_cpu_exit(cpu, KVM_EXIT_HYPERCALL);
}

void kvmemu_guest_waits(struct kvmemu_cpu *cpu, void *context)
{
	(void)context;
	if (kvmemu_cpu_resets(cpu) || !kvmemu_cpu_wfi(cpu))
		kvmemu_cpu_exit(cpu, KVM_EXIT_HYPERCALL);
}
