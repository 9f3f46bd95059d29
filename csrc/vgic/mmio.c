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

/* A row with an interrupt that exists at this offset, or one without interrupts. */
static const struct vgic_reg *find_in_use(const struct vm *vm, enum vgic_frame frame, uint32_t offset)
{
	const struct vgic_reg *row = find(vm->vgic.model, frame, offset);

	if (row && row->bits_per_intid &&
	    first_intid(row, offset) >= vm->vgic.nr_spis + VGIC_NR_PRIVATE_IRQS)
		return NULL;
	return row;
}

static const struct vgic_reg *find_for_user(const struct vm *vm, enum vgic_frame frame, uint32_t offset)
{
	return offset & 3 ? NULL : find_in_use(vm, frame, offset);
}

/* Guests have rows of their own sizes, at addresses that are multiples of the size. */
static const struct vgic_reg *find_for_guest(const struct vm *vm, enum vgic_frame frame, uint32_t offset, uint32_t bytes)
{
	const struct vgic_reg *row = offset % bytes ? NULL : find_in_use(vm, frame, offset);

	return row && row->sizes & bytes ? row : NULL;
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

static struct vgic_access access_to(struct vcpu *vcpu, const struct vgic_reg *row, uint32_t offset, uint32_t bytes)
{
	return (struct vgic_access){
		.vm = vcpu->vm,
		.vcpu = vcpu,
		.intid = first_intid(row, offset),
		.at = offset - row->off,
		.bytes = bytes,
	};
}

static struct vgic_access user_access_to(struct vcpu *vcpu, const struct vgic_reg *row, uint32_t offset)
{
	struct vgic_access a = access_to(vcpu, row, offset, sizeof(uint32_t));

	a.user = true;
	return a;
}

uint32_t vgic_user_read(struct vcpu *vcpu, enum vgic_frame frame, uint32_t offset)
{
	const struct vgic_reg *row = find_for_user(vcpu->vm, frame, offset);
	struct vgic_access a;

	if (!row)
		return 0;
	a = user_access_to(vcpu, row, offset);
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
	a = user_access_to(vcpu, row, offset);
	if (is_reserved(&a, row))
		return 0;
	if (row->user_wr)
		return row->user_wr(&a, value);
	row->wr(&a, value);
	return 0;
}

uint64_t vgic_guest_read(struct vcpu *requester, const struct vgic_place *place, uint32_t bytes)
{
	const struct vgic_reg *row = find_for_guest(requester->vm, place->frame, place->offset, bytes);
	struct vgic_access a;

	if (!row)
		return 0;
	a = access_to(place->vcpu, row, place->offset, bytes);
	a.requester = requester;
	return is_reserved(&a, row) ? 0 : row->rd(&a);
}

void vgic_guest_write(struct vcpu *requester, const struct vgic_place *place, uint32_t bytes, uint64_t value)
{
	const struct vgic_reg *row = find_for_guest(requester->vm, place->frame, place->offset, bytes);
	struct vgic_access a;

	if (!row)
		return;
	a = access_to(place->vcpu, row, place->offset, bytes);
	a.requester = requester;
	if (!is_reserved(&a, row))
		row->wr(&a, value);
}

bool vgic_touches_active(const struct vm *vm, const struct vgic_place *place)
{
	const struct vgic_reg *row = find_in_use(vm, place->frame, place->offset);

	return row && row->rd == vgic_active_rd &&
	       (vm->vgic.model == VGIC_V3 || first_intid(row, place->offset) >= VGIC_NR_PRIVATE_IRQS);
}
