/* SPDX-License-Identifier: MIT */
/*
 * Memory slots and their dirty logs. Layer: vm. All under vm->slots_lock.
 * Source: virt/kvm/kvm_main.c, arch/arm64/kvm/mmu.c, Linux 6.1.
 */
#ifndef KVMEMU_VM_MEMSLOT_H
#define KVMEMU_VM_MEMSLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;
struct kvm_userspace_memory_region;

#define MEMSLOT_PAGE_SHIFT 12
#define MEMSLOT_USER_SLOTS 32767		/* KVM_USER_MEM_SLOTS: SHRT_MAX, no internal slots on arm64 */

struct memslot {
	uint16_t id;
	uint32_t flags;
	uint64_t first_page;		/* guest page frame */
	uint64_t nr_pages;
	uint64_t user_addr;
	uint64_t *dirty;		/* a bit a page, in whole words; NULL while not logged */
};

/* Where an IPA of the slot is in the caller's memory. */
static inline uint64_t memslot_user_addr(const struct memslot *slot, uint64_t ipa)
{
	return slot->user_addr + (ipa - (slot->first_page << MEMSLOT_PAGE_SHIFT));
}

/*
 * Sorted by first_page: a VM has few, and looks them up by page far more often than by id. used has a bit an id, so
 * that adding the ten thousandth slot does not search the others.
 */
struct memslots {
	struct memslot *slot;
	size_t nr, room;
	uint64_t used[512];
};

int memslot_set(struct vm *vm, const struct kvm_userspace_memory_region *region);
void memslots_free(struct memslots *slots);

/* The slot that holds a guest page, or NULL. */
struct memslot *memslot_of_page(struct vm *vm, uint64_t page);

/* The slot that holds an IPA, if it can be written, or NULL. Source: gfn_to_hva(), Linux 6.1. */
struct memslot *memslot_writable(struct vm *vm, uint64_t ipa);

/*
 * The dirty log of a slot, by the slot number of an ioctl (address space in the upper half).
 * 0, EINVAL for a number out of range, ENOENT without such a slot or log.
 */
int memslot_dirty_log(struct vm *vm, uint32_t slot, struct memslot **out);

/* Bytes of a dirty bitmap as user space sees it: whole 64-bit words. */
static inline size_t memslot_dirty_bytes(const struct memslot *slot)
{
	return (size_t)((slot->nr_pages + 63) / 64 * 8);
}

/* Marks a page as written, where its slot is logged. */
void memslot_mark_dirty(struct memslot *slot, uint64_t page);

#endif
