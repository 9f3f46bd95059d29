/* SPDX-License-Identifier: MIT */
/* Looking into a VM where KVM's interface does not: for people and tests. Layer: ioctl. */
#include <errno.h>
#include <string.h>

#include "../vgic/vgic.h"
#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "file.h"

static void describe_irq(const struct vgic_irq *irq, struct kvmemu_gic_irq *out)
{
	*out = (struct kvmemu_gic_irq){
		.intid = irq->intid,
		.enabled = irq->enabled,
		.latch = irq->latch,
		.line = irq->line,
		.pending = vgic_irq_is_pending(irq),
		.active = irq->active,
		.edge = irq->edge,
		.group = irq->group1,
		.hw = irq->hw,
		.owned = irq->owner != NULL,
		.priority = irq->priority,
		.targets = irq->targets,
		.sources = irq->source,
		.active_source = irq->active_source,
		.mpidr = irq->mpidr,
		.target = irq->target ? (int32_t)irq->target->id : -1,
		.queued = irq->vcpu ? (int32_t)irq->vcpu->id : -1,
	};
}

int kvmemu_gic_irq(struct kvmemu_file *file, uint32_t vcpu_id, uint32_t intid, struct kvmemu_gic_irq *out)
{
	struct vcpu *vcpu = NULL;
	struct vgic_irq *irq;
	struct vm *vm;

	if (file->kind == FILE_SYSTEM || file->kind == FILE_STATS)
		return -EINVAL;
	vm = file->vm;
	if (!vm_is_usable(vm))
		return -EIO;
	if (!vm->vgic.initialized)
		return -ENXIO;
	if (intid < VGIC_NR_PRIVATE_IRQS) {
		vcpu = vm_find_vcpu(vm, vcpu_id);
		if (!vcpu)
			return -ENOENT;
	}
	irq = vgic_get_irq(vm, vcpu, intid);
	if (!irq)
		return -ENOENT;
	irqfds_sync(vm);
	pthread_mutex_lock(&vm->vgic.lock);
	describe_irq(irq, out);
	pthread_mutex_unlock(&vm->vgic.lock);
	return 0;
}

int kvmemu_gic_reg_from(int version, int frame, uint32_t offset, struct kvmemu_gic_reg *out)
{
	enum vgic_model model = version == 2 ? VGIC_V2 : VGIC_V3;
	struct vgic_reg_info info;
	bool found = false;

	if (version != 2 && version != 3)
		return -EINVAL;
	switch (frame) {
	case KVMEMU_GICD:
		found = vgic_reg_from(model, VGIC_FRAME_DIST, offset, &info);
		break;
	case KVMEMU_GICR:
		found = vgic_reg_from(model, VGIC_FRAME_REDIST, offset, &info);
		break;
	case KVMEMU_GICC:
		found = vgic_reg_from(model, VGIC_FRAME_CPU, offset, &info);
		break;
	case KVMEMU_ICC:
		found = version == 3 && offset <= UINT16_MAX && vgic_icc_from((uint16_t)offset, &info);
		break;
	default:
		return -EINVAL;
	}
	if (!found)
		return -ENOENT;
	*out = (struct kvmemu_gic_reg){
		.offset = info.offset,
		.bytes = info.bytes,
		.bits_per_intid = info.bits_per_intid,
		.intid = info.intid,
		.restore = info.restore,
		.cleared_by = info.cleared_by,
	};
	memcpy(out->name, info.name, sizeof(info.name));
	return 0;
}
