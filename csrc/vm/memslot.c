/* SPDX-License-Identifier: MIT */
/* Memory slots. Layer: vm. */
#include "memslot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../machine/host.h"
#include "kvmemu/uapi.h"
#include "vm.h"

#define PAGE_BYTES (1ull << MEMSLOT_PAGE_SHIFT)

#define MAX_SLOT_PAGES ((1ull << 31) - 1)	/* KVM_MEM_MAX_NR_PAGES */
#define TASK_BYTES (1ull << 48)		/* user addresses of a 48-bit kernel */

static struct memslot *find_id(struct memslots *slots, uint16_t id)
{
	if (!(slots->used[id / 64] >> id % 64 & 1))
		return NULL;
	for (size_t i = 0; i < slots->nr; i++)
		if (slots->slot[i].id == id)
			return &slots->slot[i];
	return NULL;
}

/* Index of the first slot that ends after this page. */
static size_t lower_bound(const struct memslots *slots, uint64_t page)
{
	size_t low = 0, high = slots->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (slots->slot[mid].first_page + slots->slot[mid].nr_pages <= page)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool overlaps(const struct memslots *slots, uint16_t id, uint64_t first, uint64_t nr)
{
	for (size_t i = lower_bound(slots, first); i < slots->nr && slots->slot[i].first_page < first + nr; i++)
		if (slots->slot[i].id != id)
			return true;
	return false;
}

static void remove_slot(struct memslots *slots, struct memslot *slot)
{
	size_t at = (size_t)(slot - slots->slot);

	slots->used[slot->id / 64] &= ~(1ull << slot->id % 64);
	memmove(slot, slot + 1, (slots->nr - at - 1) * sizeof(*slot));
	slots->nr--;
}

static int make_room(struct memslots *slots)
{
	size_t room = slots->room ? slots->room * 2 : 8;
	struct memslot *grown;

	if (slots->nr < slots->room)
		return 0;
	grown = realloc(slots->slot, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	slots->slot = grown;
	slots->room = room;
	return 0;
}

static void insert_slot(struct memslots *slots, const struct memslot *slot)
{
	size_t at = lower_bound(slots, slot->first_page);

	memmove(&slots->slot[at + 1], &slots->slot[at], (slots->nr - at) * sizeof(*slot));
	slots->slot[at] = *slot;
	slots->used[slot->id / 64] |= 1ull << slot->id % 64;
	slots->nr++;
}

/* Slot numbers end here: 32 on 32-bit hosts. */
static unsigned int nr_slots(const struct vm *vm)
{
	int announced = host_cap(vm->host, KVM_CAP_NR_MEMSLOTS);

	return announced < MEMSLOT_USER_SLOTS ? (unsigned int)announced : MEMSLOT_USER_SLOTS;
}

/* The checks of __kvm_set_memory_region() that need no slot, in its order. */
static int check_region(const struct vm *vm, const struct kvm_userspace_memory_region *r)
{
	const uint32_t known = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY;
	uint64_t mask = PAGE_BYTES - 1;

	if ((uint16_t)r->slot >= nr_slots(vm))
		return -EINVAL;
	if (r->flags & ~known)
		return -EINVAL;
	if (r->memory_size & mask || r->guest_phys_addr & mask || r->userspace_addr & mask)
		return -EINVAL;
	if (r->memory_size > TASK_BYTES || r->userspace_addr > TASK_BYTES - r->memory_size)
		return -EINVAL;
	if (r->slot >> 16)		/* one address space on arm64 */
		return -EINVAL;
	if (r->guest_phys_addr + r->memory_size < r->guest_phys_addr)
		return -EINVAL;
	if (r->memory_size >> MEMSLOT_PAGE_SHIFT > MAX_SLOT_PAGES)
		return -EINVAL;
	return 0;
}

/*
 * The log of the slot as it will be: kept, dropped, or new. A new one starts all set where the VM asked for
 * KVM_DIRTY_LOG_INITIALLY_SET.
 */
static int prepare_log(struct vm *vm, const struct memslot *old, struct memslot *new)
{
	uint64_t full = new->nr_pages / 64, rest = new->nr_pages % 64;

	if (!(new->flags & KVM_MEM_LOG_DIRTY_PAGES)) {
		new->dirty = NULL;
		return 0;
	}
	if (old && old->dirty) {
		new->dirty = old->dirty;
		return 0;
	}
	new->dirty = calloc(1, memslot_dirty_bytes(new));
	if (!new->dirty)
		return -ENOMEM;
	if (vm->manual_dirty_log & KVM_DIRTY_LOG_INITIALLY_SET) {
		memset(new->dirty, 0xff, full * 8);
		if (rest)
			new->dirty[full] = (1ull << rest) - 1;
	}
	return 0;
}

/* Replaces old (or adds, if NULL) by new, which is known to be valid. */
static int commit(struct vm *vm, struct memslot *old, struct memslot *new)
{
	uint64_t ipa_pages = 1ull << (vm->ipa_bits - MEMSLOT_PAGE_SHIFT);
	uint64_t *old_log = old ? old->dirty : NULL;
	int err = old ? 0 : make_room(&vm->slots);

	if (!err)
		err = prepare_log(vm, old, new);
	if (err)
		return err;
	if (new->first_page + new->nr_pages > ipa_pages) {
		if (new->dirty != old_log)
			free(new->dirty);
		return -EFAULT;
	}
	if (old) {
		if (old_log && !new->dirty)
			free(old_log);
		remove_slot(&vm->slots, old);
	}
	insert_slot(&vm->slots, new);
	return 0;
}

int memslot_set(struct vm *vm, const struct kvm_userspace_memory_region *r)
{
	struct memslot new = {
		.id = (uint16_t)r->slot,
		.flags = r->flags,
		.first_page = r->guest_phys_addr >> MEMSLOT_PAGE_SHIFT,
		.nr_pages = r->memory_size >> MEMSLOT_PAGE_SHIFT,
		.user_addr = r->userspace_addr,
	};
	struct memslot *old;
	int err = check_region(vm, r);

	if (err)
		return err;
	old = find_id(&vm->slots, new.id);
	if (!new.nr_pages) {
		if (!old)
			return -EINVAL;
		free(old->dirty);
		remove_slot(&vm->slots, old);
		return 0;
	}
	if (old) {
		if (new.user_addr != old->user_addr || new.nr_pages != old->nr_pages ||
		    (new.flags ^ old->flags) & KVM_MEM_READONLY)
			return -EINVAL;
		if (new.first_page == old->first_page && new.flags == old->flags)
			return 0;
	}
	if ((!old || new.first_page != old->first_page) && overlaps(&vm->slots, new.id, new.first_page, new.nr_pages))
		return -EEXIST;
	return commit(vm, old, &new);
}

void memslots_free(struct memslots *slots)
{
	for (size_t i = 0; i < slots->nr; i++)
		free(slots->slot[i].dirty);
	free(slots->slot);
}

struct memslot *memslot_of_page(struct vm *vm, uint64_t page)
{
	size_t at = lower_bound(&vm->slots, page);

	if (at == vm->slots.nr || vm->slots.slot[at].first_page > page)
		return NULL;
	return &vm->slots.slot[at];
}

struct memslot *memslot_writable(struct vm *vm, uint64_t ipa)
{
	struct memslot *slot = memslot_of_page(vm, ipa >> MEMSLOT_PAGE_SHIFT);

	return slot && !(slot->flags & KVM_MEM_READONLY) ? slot : NULL;
}

int memslot_dirty_log(struct vm *vm, uint32_t slot, struct memslot **out)
{
	if (slot >> 16 || (uint16_t)slot >= nr_slots(vm))
		return -EINVAL;
	*out = find_id(&vm->slots, (uint16_t)slot);
	return *out && (*out)->dirty ? 0 : -ENOENT;
}

void memslot_mark_dirty(struct memslot *slot, uint64_t page)
{
	uint64_t bit = page - slot->first_page;

	if (slot->dirty)
		slot->dirty[bit / 64] |= 1ull << bit % 64;
}
