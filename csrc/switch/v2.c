/* SPDX-License-Identifier: MIT */
/*
 * The world switch of a GICv2: GICH_*. Layer: switch.
 * Source: __vgic_v2_save_state() and __vgic_v2_restore_state(), arch/arm64/kvm/hyp/vgic-v2-sr.c, Linux 4.5.
 */
#include "switch.h"

#define INLINE static inline __attribute__((always_inline))
#define LRS_A_WORD 32	/* GICH_EISR and GICH_ELRSR have a bit a list register, in words of 32 */

INLINE unsigned int slot(enum lr_storage storage, unsigned int n)
{
	return storage == LRS_REVERSE ? MAX_LRS - 1 - n : n;
}

/* GICH_EISR0 and 1, or GICH_ELRSR0 and 1: the second word is there only where the first has no room. */
INLINE uint64_t two_words(uint32_t first, uint32_t second, unsigned int nr_lr)
{
	return nr_lr > LRS_A_WORD ? first | (uint64_t)second << 32 : first;
}

INLINE void save(struct cpu_if *cpu_if, struct virt_cpuif *hw, enum lr_storage storage)
{
	struct virt_cpuif_status status = virt_cpuif_status(hw);
	unsigned int nr_lr = (hw->vtr & ICH_VTR_LIST_REGS_MASK) + 1;

	cpu_if->vmcr = hw->vmcr;
	cpu_if->misr = status.misr;
	cpu_if->eisr = two_words(status.eisr, 0, nr_lr);
	cpu_if->elrsr = two_words(status.elrsr, 0, nr_lr);
	cpu_if->ap0r[0] = hw->ap0r[0];
	virt_cpuif_write_hcr(hw, 0);

	if (storage != LRS_USED) {
		for (unsigned int n = 0; n < nr_lr; n++)
			cpu_if->lr[slot(storage, n)] = (uint32_t)hw->lr[n];
		return;
	}
	for (unsigned int n = 0; n < cpu_if->used_lrs; n++) {
		if (cpu_if->elrsr >> n & 1)
			cpu_if->lr[n] &= ~(uint64_t)GICH_LR_STATE;
		else
			cpu_if->lr[n] = (uint32_t)hw->lr[n];
		hw->lr[n] = 0;
	}
}

INLINE void restore(const struct cpu_if *cpu_if, struct virt_cpuif *hw, enum lr_storage storage)
{
	unsigned int nr_lr = storage == LRS_USED ? cpu_if->used_lrs : (hw->vtr & ICH_VTR_LIST_REGS_MASK) + 1;

	virt_cpuif_write_hcr(hw, cpu_if->hcr);
	virt_cpuif_write_vmcr(hw, cpu_if->vmcr);
	hw->ap0r[0] = cpu_if->ap0r[0];
	for (unsigned int n = 0; n < nr_lr; n++)
		hw->lr[n] = (uint32_t)cpu_if->lr[slot(storage, n)];
}

void switch_v2_save(struct cpu_if *cpu_if, struct virt_cpuif *hw, enum lr_storage storage)
{
	if (storage == LRS_REVERSE)
		save(cpu_if, hw, LRS_REVERSE);
	else if (storage == LRS_ASCENDING)
		save(cpu_if, hw, LRS_ASCENDING);
	else
		save(cpu_if, hw, LRS_USED);
}

void switch_v2_restore(const struct cpu_if *cpu_if, struct virt_cpuif *hw, enum lr_storage storage)
{
	if (storage == LRS_REVERSE)
		restore(cpu_if, hw, LRS_REVERSE);
	else if (storage == LRS_ASCENDING)
		restore(cpu_if, hw, LRS_ASCENDING);
	else
		restore(cpu_if, hw, LRS_USED);
}
