/* SPDX-License-Identifier: MIT */
/*
 * The world switch of a GICv2: GICH_*. Layer: switch.
 * Source: __vgic_v2_save_state() and __vgic_v2_restore_state(), arch/arm64/kvm/hyp/vgic-v2-sr.c, Linux 4.5.
 */
#include "variants.h"

#define LRS_A_WORD 32	/* GICH_EISR and GICH_ELRSR have a bit a list register, in words of 32 */

/* GICH_EISR0 and 1, or GICH_ELRSR0 and 1: the second word is there only where the first has no room. */
INLINE uint64_t two_words(uint32_t first, uint32_t second, unsigned int nr_lr)
{
	return nr_lr > LRS_A_WORD ? first | (uint64_t)second << 32 : first;
}

INLINE void save(struct cpu_if *cpu_if, struct virt_cpuif *hw, enum lr_storage storage)
{
	struct virt_cpuif_status status = virt_cpuif_status_of(hw, true);
	unsigned int nr_lr = (hw->vtr & ICH_VTR_LIST_REGS_MASK) + 1;

	cpu_if_set_vmcr(cpu_if, hw->vmcr);
	cpu_if->misr = status.misr;
	cpu_if->eisr = two_words(status.eisr, 0, nr_lr);
	cpu_if->elrsr = two_words(status.elrsr, 0, nr_lr);
	cpu_if->ap0r[0] = hw->ap0r[0];
	virt_cpuif_write_hcr(hw, 0);

	save_lrs(cpu_if, hw, nr_lr - 1, storage, true);
}

INLINE void restore(const struct cpu_if *cpu_if, struct virt_cpuif *hw, enum lr_storage storage)
{
	virt_cpuif_write_hcr(hw, cpu_if->hcr);
	virt_cpuif_write_vmcr(hw, cpu_if->vmcr);
	hw->ap0r[0] = cpu_if->ap0r[0];
	restore_lrs(cpu_if, hw, hw->vtr & ICH_VTR_LIST_REGS_MASK, storage, true);
}

WORLD_SWITCHES(world_switch_v2)
