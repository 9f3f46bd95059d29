/* SPDX-License-Identifier: MIT */
/*
 * The world switch of a GICv3: ICH_*_EL2 and ICC_SRE. Layer: switch.
 * Source: __vgic_v3_save_state() and __vgic_v3_restore_state(), arch/arm64/kvm/hyp/vgic-v3-sr.c, Linux 4.5.
 */
#include "variants.h"

INLINE unsigned int max_lr_idx(uint32_t vtr)
{
	return vtr & ICH_VTR_LIST_REGS_MASK;
}

INLINE unsigned int nr_pri_bits(uint32_t vtr)
{
	return (vtr >> ICH_VTR_PRI_BITS_SHIFT) + 1;
}

/* One register a group with 5 bits of priority, two with 6, four with 7. */
INLINE void copy_aprs(uint32_t *to, const uint32_t *from, unsigned int bits)
{
	switch (bits) {
	case 7:
		to[3] = from[3];
		to[2] = from[2];
		__attribute__((fallthrough));
	case 6:
		to[1] = from[1];
		__attribute__((fallthrough));
	default:
		to[0] = from[0];
	}
}

INLINE void save(struct cpu_if *cpu_if, struct virt_cpuif *hw, enum lr_storage storage)
{
	struct virt_cpuif_status status;
	uint32_t vtr;

	/* A guest with a GICv2 stores to its interface in memory: that must be seen in the system registers now. */
	if (!cpu_if->sre)
		virt_cpuif_dsb(hw);

	cpu_if_set_vmcr(cpu_if, hw->vmcr);
	status = virt_cpuif_status_of(hw, false);
	cpu_if->misr = status.misr;
	cpu_if->eisr = status.eisr;
	cpu_if->elrsr = status.elrsr;
	virt_cpuif_write_hcr(hw, 0);

	vtr = hw->vtr;
	save_lrs(cpu_if, hw, max_lr_idx(vtr), storage, false);
	copy_aprs(cpu_if->ap0r, hw->ap0r, nr_pri_bits(vtr));
	copy_aprs(cpu_if->ap1r, hw->ap1r, nr_pri_bits(vtr));

	/* The host is to use the system registers again; EL1 may be switched to them only once EL2 lets it. */
	virt_cpuif_write_sre_el2(hw, virt_cpuif_read_sre_el2(hw) | ICC_SRE_EL2_ENABLE);
	if (!cpu_if->sre) {
		virt_cpuif_isb(hw);
		virt_cpuif_write_sre_el1(hw, ICC_SRE_SRE);
	}
}

INLINE void restore(const struct cpu_if *cpu_if, struct virt_cpuif *hw, enum lr_storage storage)
{
	uint32_t vtr = hw->vtr;

	/*
	 * VMCR.VFIQEn is stuck at one while ICC_SRE_EL1.SRE is, and a guest with a GICv2 would get its group 0 interrupts
	 * as FIQs: so SRE first, and VMCR only when that is in effect.
	 */
	virt_cpuif_write_sre_el1(hw, cpu_if->sre);
	virt_cpuif_isb(hw);
	virt_cpuif_write_vmcr(hw, cpu_if->vmcr);
	virt_cpuif_write_hcr(hw, cpu_if->hcr);

	copy_aprs(hw->ap0r, cpu_if->ap0r, nr_pri_bits(vtr));
	copy_aprs(hw->ap1r, cpu_if->ap1r, nr_pri_bits(vtr));
	restore_lrs(cpu_if, hw, max_lr_idx(vtr), storage, false);

	/* All of that must have reached the interface in memory before a guest uses it. */
	if (!cpu_if->sre) {
		virt_cpuif_isb(hw);
		virt_cpuif_dsb(hw);
	}
	/* The guest's EL1 keeps the SRE it was given. */
	virt_cpuif_write_sre_el2(hw, virt_cpuif_read_sre_el2(hw) & ~ICC_SRE_EL2_ENABLE);
}

WORLD_SWITCHES(world_switch_v3)
