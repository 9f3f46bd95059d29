/* SPDX-License-Identifier: MIT */
/*
 * The world switch of a GICv3: ICH_*_EL2 and ICC_SRE. Layer: switch.
 * Source: __vgic_v3_save_state() and __vgic_v3_restore_state(), arch/arm64/kvm/hyp/vgic-v3-sr.c, Linux 4.5.
 *
 * The two functions are written once, and made for each way of storing list registers by the compiler.
 */
#include "switch.h"

#define INLINE static inline __attribute__((always_inline))

INLINE unsigned int max_lr_idx(uint32_t vtr)
{
	return vtr & ICH_VTR_LIST_REGS_MASK;
}

INLINE unsigned int nr_pri_bits(uint32_t vtr)
{
	return (vtr >> ICH_VTR_PRI_BITS_SHIFT) + 1;
}

/* Which slot a list register is kept in. */
INLINE unsigned int slot(enum lr_storage storage, unsigned int n)
{
	return storage == LRS_REVERSE ? MAX_LRS - 1 - n : n;
}

#define SAVE(n) cpu_if->lr[slot(storage, n)] = hw->lr[n]; __attribute__((fallthrough))
#define RESTORE(n) hw->lr[n] = cpu_if->lr[slot(storage, n)]; __attribute__((fallthrough))

/* From the highest down, so that memory is written upwards where they are kept in reverse. */
INLINE void save_lrs(struct cpu_if *cpu_if, const struct virt_cpuif *hw, unsigned int max,
		     enum lr_storage storage)
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
	default: cpu_if->lr[slot(storage, 0)] = hw->lr[0];
	}
}

INLINE void restore_lrs(const struct cpu_if *cpu_if, struct virt_cpuif *hw, unsigned int max,
			enum lr_storage storage)
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
	default: hw->lr[0] = cpu_if->lr[slot(storage, 0)];
	}
}

/*
 * Only those that were filled; the hardware says which of them are empty by now, so that they need not be read. They are
 * cleared on the way out, because the next entry may use fewer.
 */
INLINE void save_used_lrs(struct cpu_if *cpu_if, struct virt_cpuif *hw)
{
	for (unsigned int n = 0; n < cpu_if->used_lrs; n++) {
		if (cpu_if->elrsr >> n & 1)
			cpu_if->lr[n] &= ~ICH_LR_STATE;
		else
			cpu_if->lr[n] = hw->lr[n];
		hw->lr[n] = 0;
	}
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

	cpu_if->vmcr = hw->vmcr;
	status = virt_cpuif_status(hw);
	cpu_if->misr = status.misr;
	cpu_if->eisr = status.eisr;
	cpu_if->elrsr = status.elrsr;
	virt_cpuif_write_hcr(hw, 0);

	vtr = hw->vtr;
	if (storage == LRS_USED)
		save_used_lrs(cpu_if, hw);
	else
		save_lrs(cpu_if, hw, max_lr_idx(vtr), storage);
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
	if (storage == LRS_USED) {
		for (unsigned int n = 0; n < cpu_if->used_lrs; n++)
			hw->lr[n] = cpu_if->lr[n];
	} else {
		restore_lrs(cpu_if, hw, max_lr_idx(vtr), storage);
	}

	/* All of that must have reached the interface in memory before a guest uses it. */
	if (!cpu_if->sre) {
		virt_cpuif_isb(hw);
		virt_cpuif_dsb(hw);
	}
	/* The guest's EL1 keeps the SRE it was given. */
	virt_cpuif_write_sre_el2(hw, virt_cpuif_read_sre_el2(hw) & ~ICC_SRE_EL2_ENABLE);
}

void switch_v3_save(struct cpu_if *cpu_if, struct virt_cpuif *hw, enum lr_storage storage)
{
	if (storage == LRS_REVERSE)
		save(cpu_if, hw, LRS_REVERSE);
	else if (storage == LRS_ASCENDING)
		save(cpu_if, hw, LRS_ASCENDING);
	else
		save(cpu_if, hw, LRS_USED);
}

void switch_v3_restore(const struct cpu_if *cpu_if, struct virt_cpuif *hw, enum lr_storage storage)
{
	if (storage == LRS_REVERSE)
		restore(cpu_if, hw, LRS_REVERSE);
	else if (storage == LRS_ASCENDING)
		restore(cpu_if, hw, LRS_ASCENDING);
	else
		restore(cpu_if, hw, LRS_USED);
}
