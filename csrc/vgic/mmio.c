/* SPDX-License-Identifier: MIT */
/* Finding the register at an offset, and user space's way to it. Layer: vgic. Source: vgic-mmio.c, Linux 6.1. */
#include "mmio.h"

#include <stddef.h>

#include "../vm/vcpu.h"
#include "../vm/vm.h"

const struct vgic_table *vgic_table_of(enum vgic_frame frame)
{
	static const struct vgic_table *const tables[] = {
		[VGIC_FRAME_DIST] = &vgic_dist_table,
		[VGIC_FRAME_REDIST] = &vgic_redist_table,
		[VGIC_FRAME_CPU] = &vgic_cpu_table,
	};

	return tables[frame];
}

unsigned int vgic_model_bit(enum vgic_model model)
{
	return model == VGIC_V2 ? ON_V2 : ON_V3;
}

static const struct vgic_reg *find(enum vgic_model model, enum vgic_frame frame, uint32_t offset)
{
	const struct vgic_table *table = vgic_table_of(frame);

	for (unsigned int i = 0; i < table->nr; i++) {
		const struct vgic_reg *row = &table->rows[i];

		if (offset - row->off < row->bytes && offset >= row->off && row->models & vgic_model_bit(model))
			return row;
	}
	return NULL;
}

static uint32_t first_intid(const struct vgic_reg *row, uint32_t offset)
{
	return row->bits_per_intid ? (offset - row->off) * 8 / row->bits_per_intid : 0;
}

/* A row that takes 32-bit accesses at this offset, for interrupts that exist. */
static const struct vgic_reg *find_for_user(const struct vm *vm, enum vgic_frame frame, uint32_t offset)
{
	const struct vgic_reg *row = offset & 3 ? NULL : find(vm->vgic.model, frame, offset);

	if (row && row->bits_per_intid &&
	    first_intid(row, offset) >= vm->vgic.nr_spis + VGIC_NR_PRIVATE_IRQS)
		return NULL;
	return row;
}

bool vgic_has_reg(const struct vm *vm, enum vgic_frame frame, uint32_t offset)
{
	return find_for_user(vm, frame, offset) != NULL;
}

/* On a GICv3 the distributor's fields of SGIs and PPIs are reserved. */
static bool is_reserved(const struct vgic_access *a, const struct vgic_reg *row)
{
	return row->shared_only && a->intid < VGIC_NR_PRIVATE_IRQS && a->vm->vgic.model == VGIC_V3;
}

static struct vgic_access access_to(struct vcpu *vcpu, const struct vgic_reg *row, uint32_t offset)
{
	return (struct vgic_access){
		.vm = vcpu->vm,
		.vcpu = vcpu,
		.intid = first_intid(row, offset),
		.at = offset - row->off,
		.bytes = sizeof(uint32_t),
		.user = true,
	};
}

uint32_t vgic_user_read(struct vcpu *vcpu, enum vgic_frame frame, uint32_t offset)
{
	const struct vgic_reg *row = find_for_user(vcpu->vm, frame, offset);
	struct vgic_access a;

	if (!row)
		return 0;
	a = access_to(vcpu, row, offset);
	if (is_reserved(&a, row))
		return 0;
	return (uint32_t)(row->user_rd ? row->user_rd(&a) : row->rd(&a));
}

int vgic_user_write(struct vcpu *vcpu, enum vgic_frame frame, uint32_t offset, uint32_t value)
{
	const struct vgic_reg *row = find_for_user(vcpu->vm, frame, offset);
	struct vgic_access a;

	if (!row)
		return 0;
	a = access_to(vcpu, row, offset);
	if (is_reserved(&a, row))
		return 0;
	if (row->user_wr)
		return row->user_wr(&a, value);
	row->wr(&a, value);
	return 0;
}
