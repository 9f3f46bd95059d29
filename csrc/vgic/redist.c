/* SPDX-License-Identifier: MIT */
/* The redistributor's two frames, RD_base and SGI_base. Layer: vgic. Source: vgic-mmio-v3.c, Linux 6.1. */
#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "mmio.h"

#define SGI_BASE 0x10000u
#define CTLR_CES (1u << 1)
#define CTLR_IR (1u << 2)
#define TYPER_LAST (1ull << 4)
#define PENDBASER_PTZ (1ull << 62)
#define PIDR2 (0xffe8u - 0xffd0u)

/* Fields of GICR_PROPBASER and GICR_PENDBASER that KVM corrects, and their reserved bits. */
#define SHAREABILITY_SHIFT 10
#define INNER_SHIFT 7
#define OUTER_SHIFT 56
#define OUTER_SHAREABLE 2ull
#define INNER_SHAREABLE 1ull
#define CACHE_DEVICE 0ull
#define CACHE_NON_CACHEABLE 1ull
#define CACHE_READ_ALLOCATE_WRITE_BACK 3ull
#define CACHE_SAME_AS_INNER 0ull
#define BITS(high, low) ((~0ull >> (63 - (high))) & (~0ull << (low)))
#define PROPBASER_RESERVED (BITS(63, 59) | BITS(55, 52) | BITS(6, 5))
#define PENDBASER_RESERVED (BITS(63, 63) | BITS(61, 59) | BITS(55, 52) | BITS(15, 12) | BITS(6, 0))

static uint64_t ctlr_rd(const struct vgic_access *a)
{
	uint32_t can = a->vm->vgic.revision >= 3 ? CTLR_IR | CTLR_CES : 0;

	return a->vcpu->vgic.redist_ctlr | can;
}

static uint64_t iidr_rd(const struct vgic_access *a)
{
	(void)a;
	return 0x4bull << 24 | 0x43b;	/* product KVM, implementer Arm */
}

/*
 * The last redistributor in a run: the last one given out of its region, unless its region is full and another one
 * in use begins where it ends.
 */
static bool is_last(const struct vcpu *vcpu)
{
	const struct redist_region *region = vcpu->vgic.region;
	uint64_t end;

	if (!region || vcpu->vgic.region_index + 1 < region->free_index)
		return false;
	if (!region->count || vcpu->vgic.region_index != region->count - 1)
		return true;
	end = region->base + region->count * VGIC_V3_REDIST_BYTES;
	for (const struct redist_region *r = vcpu->vm->vgic.regions; r; r = r->next)
		if (r->base == end && r->free_index)
			return false;
	return true;
}

static uint64_t typer_rd(const struct vgic_access *a)
{
	uint64_t val = (vcpu_affinity(a->vcpu) & 0xffffff) << 32 | (a->vcpu->id & 0xffffull) << 8;

	if (is_last(a->vcpu))
		val |= TYPER_LAST;
	return val >> (a->at & 7) * 8;
}

static uint64_t corrected(uint64_t reg)
{
	uint64_t shareability = reg >> SHAREABILITY_SHIFT & 3;
	uint64_t inner = reg >> INNER_SHIFT & 7, outer = reg >> OUTER_SHIFT & 7;

	if (shareability == OUTER_SHAREABLE)
		shareability = INNER_SHAREABLE;
	if (inner == CACHE_DEVICE || inner == CACHE_NON_CACHEABLE)
		inner = CACHE_READ_ALLOCATE_WRITE_BACK;
	if (outer != CACHE_NON_CACHEABLE)
		outer = CACHE_SAME_AS_INNER;
	reg &= ~(3ull << SHAREABILITY_SHIFT | 7ull << INNER_SHIFT | 7ull << OUTER_SHIFT);
	return reg | shareability << SHAREABILITY_SHIFT | inner << INNER_SHIFT | outer << OUTER_SHIFT;
}

/* Replaces the half, or the whole, that an access is of. */
static uint64_t merged(uint64_t reg, const struct vgic_access *a, uint64_t val)
{
	uint64_t mask = a->bytes == 8 ? UINT64_MAX : 0xffffffffull << (a->at & 4) * 8;

	return (reg & ~mask) | (val << (a->at & 4) * 8 & mask);
}

static uint64_t propbaser_rd(const struct vgic_access *a)
{
	return a->vm->vgic.propbaser >> (a->at & 7) * 8;
}

static void propbaser_wr(const struct vgic_access *a, uint64_t val)
{
	uint64_t *reg = &a->vm->vgic.propbaser;

	*reg = corrected(merged(*reg, a, val)) & ~PROPBASER_RESERVED;
}

static uint64_t pendbaser_rd(const struct vgic_access *a)
{
	return (a->vcpu->vgic.pendbaser & ~PENDBASER_PTZ) >> (a->at & 7) * 8;
}

static void pendbaser_wr(const struct vgic_access *a, uint64_t val)
{
	uint64_t *reg = &a->vcpu->vgic.pendbaser;

	*reg = corrected(merged(*reg, a, val)) & ~PENDBASER_RESERVED;
}

static uint64_t idregs_rd(const struct vgic_access *a)
{
	return a->at == PIDR2 ? 0x3b : 0;
}

#define ROW(reg, offset, size) .name = (reg), .off = (offset), .bytes = (size), .models = ON_V3, .sizes = ACC_32
#define ROW64(reg, offset) .name = (reg), .off = (offset), .bytes = 8, .models = ON_V3, .sizes = ACC_32 | ACC_64
#define SGI_ROW(reg, offset, bits) ROW(reg, SGI_BASE + (offset), (bits) * 4), .bits_per_intid = (bits)

/* No GICR_STATUSR: Linux has a row for it out of order, which its binary search does not find. */
static const struct vgic_reg rows[] = {
	{ ROW("GICR_CTLR", 0x0000, 4), .rd = ctlr_rd, .wr = vgic_wi,
	  .restore = KVMEMU_RESTORE_STATE },	/* no LPIs without an ITS */
	{ ROW("GICR_IIDR", 0x0004, 4), .rd = iidr_rd, .wr = vgic_wi },
	{ ROW64("GICR_TYPER", 0x0008), .rd = typer_rd, .wr = vgic_wi },
	{ ROW("GICR_WAKER", 0x0014, 4), .rd = vgic_raz, .wr = vgic_wi },
	{ ROW64("GICR_PROPBASER", 0x0070), .rd = propbaser_rd, .wr = propbaser_wr, .restore = KVMEMU_RESTORE_TABLES },
	{ ROW64("GICR_PENDBASER", 0x0078), .rd = pendbaser_rd, .wr = pendbaser_wr, .restore = KVMEMU_RESTORE_TABLES },
	{ ROW64("GICR_INVLPIR", 0x00a0), .rd = vgic_raz, .wr = vgic_wi },
	{ ROW64("GICR_INVALLR", 0x00b0), .rd = vgic_raz, .wr = vgic_wi },
	{ ROW("GICR_SYNCR", 0x00c0, 4), .rd = vgic_raz, .wr = vgic_wi },
	{ ROW("GICR_IDREGS", 0xffd0, 48), .rd = idregs_rd, .wr = vgic_wi },
	{ SGI_ROW("GICR_IGROUPR0", 0x0080, 1), .rd = vgic_group_rd, .wr = vgic_group_wr,
	  .restore = KVMEMU_RESTORE_CONFIG },
	{ SGI_ROW("GICR_ISENABLER0", 0x0100, 1), .rd = vgic_enable_rd, .wr = vgic_enable_set,
	  .restore = KVMEMU_RESTORE_STATE, .cleared_by = SGI_BASE + 0x0180 },
	{ SGI_ROW("GICR_ICENABLER0", 0x0180, 1), .rd = vgic_enable_rd, .wr = vgic_enable_clear },
	{ SGI_ROW("GICR_ISPENDR0", 0x0200, 1), .rd = vgic_pending_rd, .wr = vgic_pending_set,
	  .user_rd = vgic_latch_rd, .user_wr = vgic_latch_restore, .restore = KVMEMU_RESTORE_STATE },
	{ SGI_ROW("GICR_ICPENDR0", 0x0280, 1), .rd = vgic_pending_rd, .wr = vgic_pending_clear, .user_rd = vgic_raz,
	  .user_wr = vgic_user_wi },
	{ SGI_ROW("GICR_ISACTIVER0", 0x0300, 1), .rd = vgic_active_rd, .wr = vgic_active_set,
	  .restore = KVMEMU_RESTORE_STATE, .cleared_by = SGI_BASE + 0x0380 },
	{ SGI_ROW("GICR_ICACTIVER0", 0x0380, 1), .rd = vgic_active_rd, .wr = vgic_active_clear },
	{ .name = "GICR_IPRIORITYR", .off = SGI_BASE + 0x0400, .bytes = 32, .bits_per_intid = 8, .models = ON_V3,
	  .sizes = ACC_32 | ACC_8, .rd = vgic_priority_rd, .wr = vgic_priority_wr, .restore = KVMEMU_RESTORE_CONFIG },
	{ SGI_ROW("GICR_ICFGR", 0x0c00, 2), .rd = vgic_config_rd, .wr = vgic_config_wr,
	  .restore = KVMEMU_RESTORE_CONFIG },
	{ SGI_ROW("GICR_IGRPMODR0", 0x0d00, 1), .rd = vgic_raz, .wr = vgic_wi },
	{ ROW("GICR_NSACR", SGI_BASE + 0x0e00, 4), .bits_per_intid = 2, .rd = vgic_raz, .wr = vgic_wi },
};

const struct vgic_table vgic_redist_table = { .rows = rows, .nr = sizeof(rows) / sizeof(rows[0]) };
