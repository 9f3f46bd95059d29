/* SPDX-License-Identifier: MIT */
/* Requests of a VM. Layer: ioctl. Source: kvm_vm_ioctl(), kvm_arch_vm_ioctl(), Linux 6.1. */
#include "../vm/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../machine/host.h"
#include "../vm/vcpu.h"
#include "device.h"
#include "eventfd.h"
#include "file.h"
#include "irq.h"
#include "kvmemu/uapi.h"
#include "stats.h"
#include "user.h"

static long hand_over_vcpu(struct call *call, struct vcpu *vcpu)
{
	struct kvmemu_file *file;
	long ret = vcpu_prepare_join(vcpu);

	if (ret)
		return ret;
	file = file_alloc(FILE_VCPU);
	if (!file)
		return -ENOMEM;
	file->vm = vm_get(call->vm);
	file->vcpu = vcpu;
	ret = call_publish(call, file);
	if (ret >= 0)
		vcpu_join(vcpu);
	return ret;
}

static long create_vcpu(struct call *call)
{
	struct vcpu *vcpu;
	long ret;

	if (!call_can_create(call))
		return -EMFILE;
	ret = vcpu_create(call->vm, call->arg, &vcpu);
	if (ret)
		return ret;
	pthread_mutex_lock(&call->vm->lock);
	ret = hand_over_vcpu(call, vcpu);
	pthread_mutex_unlock(&call->vm->lock);
	if (ret < 0)
		vcpu_discard(vcpu);
	return ret;
}

static long check_extension(struct call *call)
{
	return vm_check_extension(call->vm->host, call->vm, call->arg);
}

static long enable_cap(struct call *call)
{
	struct kvm_enable_cap cap;
	uint64_t args[4];
	int err = user_read(&cap, call->arg, sizeof(cap));

	if (err)
		return err;
	memcpy(args, cap.args, sizeof(args));
	return vm_enable_cap(call->vm, cap.cap, cap.flags, args);
}

static long preferred_target(struct call *call)
{
	struct kvm_vcpu_init init = { .target = call->vm->host->target };

	return user_write(call->arg, &init, sizeof(init));
}

static long set_user_memory_region(struct call *call)
{
	struct kvm_userspace_memory_region region;
	int err = user_read(&region, call->arg, sizeof(region));

	if (err)
		return err;
	pthread_mutex_lock(&call->vm->slots_lock);
	err = memslot_set(call->vm, &region);
	pthread_mutex_unlock(&call->vm->slots_lock);
	return err;
}

/* With manual protection the log stays; else it is read and cleared at once, even if the caller's bitmap is bad. */
static int read_dirty_log(struct vm *vm, const struct kvm_dirty_log *log)
{
	struct memslot *slot;
	int err = memslot_dirty_log(vm, log->slot, &slot);

	if (err)
		return err;
	err = user_write((uintptr_t)log->dirty_bitmap, slot->dirty, memslot_dirty_bytes(slot));
	if (!vm->manual_dirty_log)
		memset(slot->dirty, 0, memslot_dirty_bytes(slot));
	return err;
}

static long get_dirty_log(struct call *call)
{
	struct kvm_dirty_log log;
	int err = user_read(&log, call->arg, sizeof(log));

	if (err)
		return err;
	pthread_mutex_lock(&call->vm->slots_lock);
	err = read_dirty_log(call->vm, &log);
	pthread_mutex_unlock(&call->vm->slots_lock);
	return err;
}

/* Source: kvm_clear_dirty_log_protect(), Linux 6.1. */
static int clear_dirty_pages(struct vm *vm, const struct kvm_clear_dirty_log *log)
{
	uint64_t words = (log->num_pages + 63ull) / 64, *bits;
	struct memslot *slot;
	int err;

	if (log->first_page & 63)
		return -EINVAL;
	err = memslot_dirty_log(vm, log->slot, &slot);
	if (err)
		return err;
	if (log->first_page > slot->nr_pages || log->num_pages > slot->nr_pages - log->first_page ||
	    (log->num_pages < slot->nr_pages - log->first_page && log->num_pages & 63))
		return -EINVAL;
	bits = malloc(words ? words * 8 : 1);
	if (!bits)
		return -ENOMEM;
	err = user_read(bits, (uintptr_t)log->dirty_bitmap, words * 8);
	for (uint64_t i = 0; !err && i < words; i++)
		slot->dirty[log->first_page / 64 + i] &= ~bits[i];
	free(bits);
	return err;
}

static long clear_dirty_log(struct call *call)
{
	struct kvm_clear_dirty_log log;
	int err = user_read(&log, call->arg, sizeof(log));

	if (err)
		return err;
	pthread_mutex_lock(&call->vm->slots_lock);
	err = clear_dirty_pages(call->vm, &log);
	pthread_mutex_unlock(&call->vm->slots_lock);
	return err;
}

/* A vCPU's own IRQ or FIQ line, which a controller in user space drives. Source: vcpu_interrupt_line(), Linux 6.1. */
static void set_cpu_line(struct vcpu *vcpu, unsigned int line, bool level)
{
	if (level)
		atomic_fetch_or(&vcpu->irq_lines, 1u << line);
	else
		atomic_fetch_and(&vcpu->irq_lines, ~(1u << line));
	vcpu_kick(vcpu);
}

/* Source: kvm_vm_ioctl_irq_line(), Linux 6.1. */
static int set_irq_line(struct vm *vm, const struct kvm_irq_level *irq)
{
	unsigned int type = irq->irq >> KVM_ARM_IRQ_TYPE_SHIFT & KVM_ARM_IRQ_TYPE_MASK;
	unsigned int index = irq->irq >> KVM_ARM_IRQ_VCPU_SHIFT & KVM_ARM_IRQ_VCPU_MASK;
	unsigned int number = irq->irq & KVM_ARM_IRQ_NUM_MASK;
	bool for_vcpu = type == KVM_ARM_IRQ_TYPE_CPU || type == KVM_ARM_IRQ_TYPE_PPI;

	index += (irq->irq >> KVM_ARM_IRQ_VCPU2_SHIFT & KVM_ARM_IRQ_VCPU2_MASK) * (KVM_ARM_IRQ_VCPU_MASK + 1);
	if (!for_vcpu && type != KVM_ARM_IRQ_TYPE_SPI)
		return -EINVAL;
	if ((type == KVM_ARM_IRQ_TYPE_CPU) == vgic_in_kernel(&vm->vgic))
		return -ENXIO;
	if (for_vcpu && index >= atomic_load(&vm->nr_vcpus))
		return -EINVAL;
	if (type == KVM_ARM_IRQ_TYPE_CPU) {
		if (number > KVM_ARM_IRQ_CPU_FIQ)
			return -EINVAL;
		set_cpu_line(vm->vcpus[index], number, irq->level);
		return 0;
	}
	if (type == KVM_ARM_IRQ_TYPE_SPI)
		return number < VGIC_NR_PRIVATE_IRQS ? -EINVAL : vgic_inject_at(vm, 0, number, irq->level, NULL);
	if (number < VGIC_NR_SGIS || number >= VGIC_NR_PRIVATE_IRQS)
		return -EINVAL;
	return vgic_inject_at(vm, vm->vcpus[index]->id, number, irq->level, NULL);
}

static long irq_line(struct call *call)
{
	struct kvm_irq_level irq;
	int err = user_read(&irq, call->arg, sizeof(irq));

	if (!err)
		err = set_irq_line(call->vm, &irq);
	if (!err && call->request == KVM_IRQ_LINE_STATUS)
		err = user_write(call->arg, &irq, sizeof(irq));
	return err;
}

/* No host here has tags to copy: the VM cannot have KVM_CAP_ARM_MTE enabled. */
static long mte_copy_tags(struct call *call)
{
	struct kvm_arm_copy_mte_tags tags;
	int err = user_read(&tags, call->arg, sizeof(tags));

	return err ? err : -EINVAL;
}

static const struct ioctl_row rows[] = {
	{ .request = KVM_IRQ_LINE, .handle = irq_line },
	{ .request = KVM_IRQ_LINE_STATUS, .handle = irq_line },
	{ .request = KVM_SET_GSI_ROUTING, .handle = gsi_routing_set },
	{ .request = KVM_SIGNAL_MSI, .handle = msi_signal },
	{ .request = KVM_IRQFD, .handle = irqfd_call },
	{ .request = KVM_IOEVENTFD, .handle = ioeventfd_call },
	{ .request = KVM_REGISTER_COALESCED_MMIO, .handle = coalesced_mmio_call },
	{ .request = KVM_UNREGISTER_COALESCED_MMIO, .handle = coalesced_mmio_call },
	{ .request = KVM_SET_USER_MEMORY_REGION, .handle = set_user_memory_region },
	{ .request = KVM_GET_DIRTY_LOG, .handle = get_dirty_log },
	{ .request = KVM_CLEAR_DIRTY_LOG, .handle = clear_dirty_log },
	{ .request = KVM_CREATE_VCPU, .handle = create_vcpu },
	{ .request = KVM_CREATE_DEVICE, .handle = device_create },
	{ .request = KVM_CREATE_IRQCHIP, .handle = irqchip_create },
	{ .request = KVM_ARM_SET_DEVICE_ADDR, .handle = device_set_addr },
	{ .request = KVM_CHECK_EXTENSION, .handle = check_extension },
	{ .request = KVM_ENABLE_CAP, .handle = enable_cap },
	{ .request = KVM_ARM_PREFERRED_TARGET, .handle = preferred_target },
	{ .request = KVM_GET_STATS_FD, .arm64_only = true, .handle = stats_open },
	{ .request = KVM_ARM_MTE_COPY_TAGS, .arm64_only = true, .handle = mte_copy_tags },
};

const struct ioctl_table vm_ioctls = { .rows = rows, .n = sizeof(rows) / sizeof(rows[0]), .unknown = -EINVAL };
