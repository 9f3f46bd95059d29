/* SPDX-License-Identifier: MIT */
/* Stolen time. Layer: vm. Source: arch/arm64/kvm/pvtime.c, Linux 6.1. */
#include "pvtime.h"

#include <stddef.h>

#include "memslot.h"

/* struct pvclock_vcpu_stolen_time; it never crosses a page, being aligned to its size. */
struct stolen_time {
	uint32_t revision;
	uint32_t attributes;
	uint64_t ns;
	uint8_t padding[48];
};

/* Where an IPA is in the caller's memory, and its slot; NULL if nobody may write there. With vm->slots_lock. */
static struct memslot *locate(struct vcpu *vcpu, uint64_t ipa, uint64_t *addr)
{
	struct memslot *slot = memslot_writable(vcpu->vm, ipa);

	if (slot)
		*addr = memslot_user_addr(slot, ipa);
	return slot;
}

void pvtime_start(struct vcpu *vcpu, const struct user_memory *memory)
{
	static const struct stolen_time initial;
	struct memslot *slot;
	uint64_t addr;

	pthread_mutex_lock(&vcpu->vm->slots_lock);
	slot = locate(vcpu, vcpu->steal_ipa, &addr);
	if (slot && !memory->write(addr, &initial, sizeof(initial)))
		memslot_mark_dirty(slot, vcpu->steal_ipa >> MEMSLOT_PAGE_SHIFT);
	pthread_mutex_unlock(&vcpu->vm->slots_lock);
}

void pvtime_update(struct vcpu *vcpu, const struct user_memory *memory)
{
	uint64_t ipa = vcpu->steal_ipa + offsetof(struct stolen_time, ns), addr, ns;
	struct memslot *slot;

	if (!vcpu->steal_owed)
		return;
	vcpu->steal_owed = false;
	pthread_mutex_lock(&vcpu->vm->slots_lock);
	slot = locate(vcpu, ipa, &addr);
	if (slot && !memory->read(&ns, addr, sizeof(ns)) && !memory->write(addr, &ns, sizeof(ns)))
		memslot_mark_dirty(slot, ipa >> MEMSLOT_PAGE_SHIFT);
	pthread_mutex_unlock(&vcpu->vm->slots_lock);
}
