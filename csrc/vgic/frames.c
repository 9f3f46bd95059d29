/* SPDX-License-Identifier: MIT */
/* Where the frames are in guest physical memory. Layer: vgic. Source: vgic-kvm-device.c, vgic-mmio-v3.c, Linux 6.1. */
#include <errno.h>
#include <stdlib.h>

#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "vgic.h"

#define V3_ALIGNMENT 0x10000ull

int vgic_check_range(const struct vm *vm, uint64_t now, uint64_t base, uint64_t alignment, uint64_t bytes)
{
	uint64_t ipa_end = 1ull << vm->ipa_bits;

	if (now != VGIC_UNDEFINED)
		return -EEXIST;
	if (base % alignment || bytes % alignment)
		return -EINVAL;
	if (base + bytes < base)
		return -EINVAL;
	return base >= ipa_end || base + bytes > ipa_end ? -E2BIG : 0;
}

static uint64_t region_bytes(const struct vm *vm, const struct redist_region *region)
{
	return (region->count ? region->count : vm->nr_vcpus) * VGIC_V3_REDIST_BYTES;
}

static bool overlaps_regions(const struct vm *vm, uint64_t base, uint64_t bytes)
{
	for (const struct redist_region *r = vm->vgic.regions; r; r = r->next)
		if (base + bytes > r->base && base < r->base + region_bytes(vm, r))
			return true;
	return false;
}

static bool overlaps_dist(const struct vgic *vgic, uint64_t base, uint64_t bytes)
{
	return vgic->dist_base + VGIC_V3_DIST_BYTES > base && vgic->dist_base < base + bytes;
}

bool vgic_v3_frames_fit(const struct vm *vm)
{
	const struct vgic *vgic = &vm->vgic;

	if (vgic->dist_base != VGIC_UNDEFINED && vgic->dist_base + VGIC_V3_DIST_BYTES < vgic->dist_base)
		return false;
	for (const struct redist_region *r = vgic->regions; r; r = r->next)
		if (vgic_check_range(vm, VGIC_UNDEFINED, r->base, V3_ALIGNMENT, region_bytes(vm, r)))
			return false;
	return vgic->dist_base == VGIC_UNDEFINED || !overlaps_regions(vm, vgic->dist_base, VGIC_V3_DIST_BYTES);
}

struct redist_region *vgic_redist_region(const struct vgic *vgic, uint32_t index)
{
	for (struct redist_region *r = vgic->regions; r; r = r->next)
		if (r->index == index)
			return r;
	return NULL;
}

static struct redist_region *region_with_room(const struct vgic *vgic)
{
	for (struct redist_region *r = vgic->regions; r; r = r->next)
		if (!r->count || r->free_index < r->count)
			return r;
	return NULL;
}

int vgic_register_redist(struct vcpu *vcpu)
{
	struct redist_region *region = region_with_room(&vcpu->vm->vgic);
	int err;

	/* Without a region yet, setting one registers all vCPUs there are. */
	if (vcpu->vgic.redist_base != VGIC_UNDEFINED || !region)
		return 0;
	if (!vgic_v3_frames_fit(vcpu->vm))
		return -EINVAL;
	vcpu->vgic.region = region;
	vcpu->vgic.region_index = region->free_index;
	vcpu->vgic.redist_base = region->base + region->free_index * VGIC_V3_REDIST_BYTES;
	err = bus_add_frame(vcpu->vm);
	if (err)
		return err;
	vcpu->vgic.redist_on_bus = true;
	region->free_index++;
	return 0;
}

void vgic_unregister_redist(struct vcpu *vcpu)
{
	if (vcpu->vgic.redist_on_bus)
		bus_remove_frame(vcpu->vm);
	vcpu->vgic.redist_on_bus = false;
}

static bool is_in(uint64_t ipa, uint32_t bytes, uint64_t base, uint64_t frame_bytes)
{
	return ipa >= base && ipa - base <= frame_bytes - bytes;
}

bool vgic_find_place(struct vcpu *requester, uint64_t ipa, uint32_t bytes, struct vgic_place *place)
{
	struct vm *vm = requester->vm;
	uint64_t dist_bytes = vm->vgic.model == VGIC_V2 ? VGIC_V2_DIST_BYTES : VGIC_V3_DIST_BYTES;

	if (!vm->vgic.ready)
		return false;
	*place = (struct vgic_place){ .frame = VGIC_FRAME_DIST, .vcpu = requester };
	if (is_in(ipa, bytes, vm->vgic.dist_base, dist_bytes)) {
		place->offset = (uint32_t)(ipa - vm->vgic.dist_base);
		return true;
	}
	place->frame = VGIC_FRAME_REDIST;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		if (!vcpu->vgic.redist_on_bus || !is_in(ipa, bytes, vcpu->vgic.redist_base, VGIC_V3_REDIST_BYTES))
			continue;
		place->offset = (uint32_t)(ipa - vcpu->vgic.redist_base);
		place->vcpu = vcpu;
		return true;
	}
	return false;
}

static int add_region(struct vm *vm, uint32_t index, uint64_t base, uint32_t count)
{
	struct redist_region **end = &vm->vgic.regions, *last = NULL, *region;
	uint64_t bytes = (count ? count : vm->nr_vcpus) * VGIC_V3_REDIST_BYTES;
	int err;

	if (base + bytes < base)
		return -EINVAL;
	while (*end) {
		last = *end;
		end = &last->next;
	}
	if (!last && index)
		return -EINVAL;
	if (last && !count)
		return last->count ? -EINVAL : -EEXIST;
	if (last && index != last->index + 1)
		return -EINVAL;
	if (!count && vm->vgic.dist_base != VGIC_UNDEFINED && overlaps_dist(&vm->vgic, base, bytes))
		return -EINVAL;
	if (overlaps_regions(vm, base, bytes))
		return -EINVAL;
	err = vgic_check_range(vm, VGIC_UNDEFINED, base, V3_ALIGNMENT, bytes);
	if (err)
		return err;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->base = base;
	region->count = count;
	region->index = index;
	*end = region;
	return 0;
}

static void remove_region(struct vm *vm, uint32_t index)
{
	struct redist_region **link = &vm->vgic.regions, *region;

	while ((*link)->index != index)
		link = &(*link)->next;
	region = *link;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->vgic.region == region)
			vm->vcpus[i]->vgic.region = NULL;
	*link = region->next;
	free(region);
}

int vgic_set_redist_base(struct vm *vm, uint32_t index, uint64_t base, uint32_t count)
{
	int err = add_region(vm, index, base, count);

	for (unsigned int i = 0; !err && i < vm->nr_vcpus; i++) {
		err = vgic_register_redist(vm->vcpus[i]);
		if (!err)
			continue;
		/* Those of other regions too, and all of them keep their address: as Linux leaves it. */
		while (i)
			vgic_unregister_redist(vm->vcpus[--i]);
		remove_region(vm, index);
	}
	return err;
}
