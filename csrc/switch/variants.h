/* SPDX-License-Identifier: MIT */
/*
 * List registers out and in, for each way of keeping them. Layer: switch; v2.c and v3.c, which are written once and made
 * for each way by the compiler. v2, storage: constants there.
 */
#ifndef KVMEMU_SWITCH_VARIANTS_H
#define KVMEMU_SWITCH_VARIANTS_H

#include "switch.h"

#define INLINE static inline __attribute__((always_inline))

/* GICH_LR<n> has 32 bits. */
INLINE uint64_t lr_bits(uint64_t lr, bool v2)
{
	return v2 ? (uint32_t)lr : lr;
}

#define SAVE_LR(n) cpu_if->lr[lr_slot(storage, n)] = lr_bits(hw->lr[n], v2)
#define RESTORE_LR(n) hw->lr[n] = lr_bits(cpu_if->lr[lr_slot(storage, n)], v2)
#define SAVE(n) SAVE_LR(n); __attribute__((fallthrough))
#define RESTORE(n) RESTORE_LR(n); __attribute__((fallthrough))

/* From the highest down, so that memory is written upwards where they are kept in reverse. */
INLINE void save_all_lrs(struct cpu_if *cpu_if, const struct virt_cpuif *hw, unsigned int max, enum lr_storage storage,
			 bool v2)
{
	switch (max) {
	case 15: SAVE(15);
	case 14: SAVE(14);
	case 13: SAVE(13);
	case 12: SAVE(12);
	case 11: SAVE(11);
	case 10: SAVE(10);
	case 9: SAVE(9);
	case 8: SAVE(8);
	case 7: SAVE(7);
	case 6: SAVE(6);
	case 5: SAVE(5);
	case 4: SAVE(4);
	case 3: SAVE(3);
	case 2: SAVE(2);
	case 1: SAVE(1);
	default: SAVE_LR(0);
	}
}

INLINE void restore_all_lrs(const struct cpu_if *cpu_if, struct virt_cpuif *hw, unsigned int max,
			    enum lr_storage storage, bool v2)
{
	switch (max) {
	case 15: RESTORE(15);
	case 14: RESTORE(14);
	case 13: RESTORE(13);
	case 12: RESTORE(12);
	case 11: RESTORE(11);
	case 10: RESTORE(10);
	case 9: RESTORE(9);
	case 8: RESTORE(8);
	case 7: RESTORE(7);
	case 6: RESTORE(6);
	case 5: RESTORE(5);
	case 4: RESTORE(4);
	case 3: RESTORE(3);
	case 2: RESTORE(2);
	case 1: RESTORE(1);
	default: RESTORE_LR(0);
	}
}

/*
 * Only those that were filled; the hardware says which of them are empty by now, so that they need not be read. They are
 * cleared on the way out, because the next entry may use fewer.
 */
INLINE void save_used_lrs(struct cpu_if *cpu_if, struct virt_cpuif *hw, bool v2)
{
	for (unsigned int n = 0; n < cpu_if->used_lrs; n++) {
		if (cpu_if->elrsr >> n & 1)
			cpu_if->lr[n] &= ~(v2 ? (uint64_t)GICH_LR_STATE : ICH_LR_STATE);
		else
			cpu_if->lr[n] = lr_bits(hw->lr[n], v2);
		hw->lr[n] = 0;
	}
}

/* max: the number of the last list register. cpu_if->elrsr is as of now. */
INLINE void save_lrs(struct cpu_if *cpu_if, struct virt_cpuif *hw, unsigned int max, enum lr_storage storage, bool v2)
{
	if (storage == LRS_USED)
		save_used_lrs(cpu_if, hw, v2);
	else
		save_all_lrs(cpu_if, hw, max, storage, v2);
}

INLINE void restore_lrs(const struct cpu_if *cpu_if, struct virt_cpuif *hw, unsigned int max, enum lr_storage storage,
			bool v2)
{
	if (storage != LRS_USED) {
		restore_all_lrs(cpu_if, hw, max, storage, v2);
		return;
	}
	for (unsigned int n = 0; n < cpu_if->used_lrs; n++)
		hw->lr[n] = lr_bits(cpu_if->lr[n], v2);
}

/* The functions of each way, from save() and restore() above it. */
#define WORLD_SWITCH(name, storage)									\
	static void save_##name(struct cpu_if *cpu_if, struct virt_cpuif *hw)				\
	{												\
		save(cpu_if, hw, storage);								\
	}												\
													\
	static void restore_##name(const struct cpu_if *cpu_if, struct virt_cpuif *hw)			\
	{												\
		restore(cpu_if, hw, storage);								\
	}

#define WORLD_SWITCHES(table)										\
	WORLD_SWITCH(reverse, LRS_REVERSE)								\
	WORLD_SWITCH(ascending, LRS_ASCENDING)								\
	WORLD_SWITCH(used, LRS_USED)									\
													\
	const struct world_switch table[NR_LR_STORAGES] = {						\
		[LRS_REVERSE] = { save_reverse, restore_reverse },					\
		[LRS_ASCENDING] = { save_ascending, restore_ascending },				\
		[LRS_USED] = { save_used, restore_used },						\
	};

#endif
