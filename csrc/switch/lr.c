/* SPDX-License-Identifier: MIT */
/* List registers, encoded and decoded. Layer: switch. */
#include "lr.h"

#include "../machine/virt_cpuif.h"

#define V2_INTID_MASK 0x3ffu
#define V2_SOURCE 10
#define V2_SOURCE_MASK 7u

static uint64_t encode_gich(const struct lr *lr)
{
	uint32_t val = (lr->vintid & V2_INTID_MASK) | (uint32_t)(lr->priority >> 3) << GICH_LR_PRIORITY_SHIFT;

	val |= (lr->pending ? GICH_LR_PENDING : 0) | (lr->active ? GICH_LR_ACTIVE : 0) | (lr->group1 ? GICH_LR_GROUP1 : 0);
	if (lr->hw)
		return val | GICH_LR_HW | (lr->pintid & V2_INTID_MASK) << GICH_LR_PINTID_SHIFT;
	return val | (uint32_t)lr->source << V2_SOURCE | (lr->eoi ? GICH_LR_EOI : 0);
}

static struct lr decode_gich(uint32_t val)
{
	struct lr lr = {
		.vintid = val & V2_INTID_MASK,
		.priority = (uint8_t)(val >> GICH_LR_PRIORITY_SHIFT << 3),
		.pending = val & GICH_LR_PENDING,
		.active = val & GICH_LR_ACTIVE,
		.group1 = val & GICH_LR_GROUP1,
		.hw = val & GICH_LR_HW,
	};

	if (lr.hw) {
		lr.pintid = val >> GICH_LR_PINTID_SHIFT & V2_INTID_MASK;
	} else {
		lr.source = val >> V2_SOURCE & V2_SOURCE_MASK;
		lr.eoi = val & GICH_LR_EOI;
	}
	return lr;
}

uint64_t lr_encode(enum lr_layout layout, const struct lr *lr)
{
	uint64_t val;

	if (layout == LR_GICH)
		return encode_gich(lr);
	val = lr->vintid | (uint64_t)lr->priority << ICH_LR_PRIORITY_SHIFT;
	val |= (lr->pending ? ICH_LR_PENDING : 0) | (lr->active ? ICH_LR_ACTIVE : 0) | (lr->group1 ? ICH_LR_GROUP1 : 0);
	if (layout == LR_ICH_V2_GUEST)
		val |= (uint64_t)lr->source << V2_SOURCE;
	if (lr->hw)
		return val | ICH_LR_HW | (uint64_t)(lr->pintid & ICH_LR_PINTID_MASK) << ICH_LR_PINTID_SHIFT;
	return val | (lr->eoi ? ICH_LR_EOI : 0);
}

struct lr lr_decode(enum lr_layout layout, uint64_t val)
{
	struct lr lr;

	if (layout == LR_GICH)
		return decode_gich((uint32_t)val);
	lr = (struct lr){
		.vintid = (uint32_t)val,
		.priority = (uint8_t)(val >> ICH_LR_PRIORITY_SHIFT),
		.pending = val & ICH_LR_PENDING,
		.active = val & ICH_LR_ACTIVE,
		.group1 = val & ICH_LR_GROUP1,
		.hw = val & ICH_LR_HW,
	};
	if (layout == LR_ICH_V2_GUEST) {
		lr.vintid = (uint32_t)val & V2_INTID_MASK;
		lr.source = val >> V2_SOURCE & V2_SOURCE_MASK;
	}
	if (lr.hw)
		lr.pintid = val >> ICH_LR_PINTID_SHIFT & ICH_LR_PINTID_MASK;
	else
		lr.eoi = val & ICH_LR_EOI;
	return lr;
}
