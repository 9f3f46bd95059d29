/* SPDX-License-Identifier: MIT */
/*
 * The virtual CPU interface as ICC_* system registers of a guest (the architecture calls them ICV_*). Layer: machine.
 * Source: Arm IHI 0069, 12.3. Their state is that of ICH_VMCR_EL2, ICH_AP0R<n>_EL2 and ICH_AP1R<n>_EL2.
 */
#include <errno.h>

#include "virt_cpuif.h"

#define ICC_CTLR_CBPR (1u << 0)
#define ICC_CTLR_EOIMODE (1u << 1)
#define ICC_CTLR_PRI_BITS_SHIFT 8
#define ICC_CTLR_ID_BITS_SHIFT 11
#define ICC_CTLR_SEIS (1u << 14)
#define ICC_CTLR_A3V (1u << 15)

static void set_bits(struct virt_cpuif *vif, uint32_t mask, uint32_t value)
{
	virt_cpuif_write_vmcr(vif, (vif->vmcr & ~mask) | (value & mask));
}

static void set_enable(struct virt_cpuif *vif, uint32_t which, uint64_t value)
{
	set_bits(vif, which, value & 1 ? which : 0);
}

/* Acknowledges if the interrupt to be taken is one of this group. */
static uint32_t read_iar(struct virt_cpuif *vif, bool group1)
{
	int n = virt_cpuif_highest_pending(vif);

	if (!virt_cpuif_can_signal(vif, n) || lr_group1(vif, vif->lr[n]) != group1)
		return INTID_SPURIOUS;
	return virt_cpuif_acknowledge(vif, n);
}

static uint32_t read_hppir(const struct virt_cpuif *vif, bool group1)
{
	int n = virt_cpuif_highest_pending(vif);

	if (n < 0 || lr_group1(vif, vif->lr[n]) != group1)
		return INTID_SPURIOUS;
	return lr_vintid(vif, vif->lr[n]);
}

/* A guest's bits below those implemented are ignored; a hypervisor's, in VMCR, are not: so do the hosts recorded. */
static void write_pmr(struct virt_cpuif *vif, uint64_t value)
{
	uint32_t pmr = (uint32_t)value & 0xff & ~0u << (8 - vif->pri_bits);

	set_bits(vif, 0xffu << ICH_VMCR_PMR_SHIFT, pmr << ICH_VMCR_PMR_SHIFT);
}

static uint32_t read_bpr0(const struct virt_cpuif *vif)
{
	return vif->vmcr >> ICH_VMCR_BPR0_SHIFT & 7;
}

/* With CBPR, group 1's is that of group 0, seen one higher, and not to be written. */
static uint32_t read_bpr1(const struct virt_cpuif *vif)
{
	uint32_t bpr0 = read_bpr0(vif);

	if (vif->vmcr & ICH_VMCR_CBPR)
		return bpr0 < 7 ? bpr0 + 1 : 7;
	return vif->vmcr >> ICH_VMCR_BPR1_SHIFT & 7;
}

static void write_bpr1(struct virt_cpuif *vif, uint64_t value)
{
	if (!(vif->vmcr & ICH_VMCR_CBPR))
		set_bits(vif, 7u << ICH_VMCR_BPR1_SHIFT, (uint32_t)(value & 7) << ICH_VMCR_BPR1_SHIFT);
}

static uint32_t read_ctlr(const struct virt_cpuif *vif)
{
	uint32_t value = (vif->vtr >> ICH_VTR_PRI_BITS_SHIFT & 7) << ICC_CTLR_PRI_BITS_SHIFT |
			 (vif->vtr >> ICH_VTR_ID_BITS_SHIFT & 7) << ICC_CTLR_ID_BITS_SHIFT;

	value |= vif->vtr & ICH_VTR_SEIS ? ICC_CTLR_SEIS : 0;
	value |= vif->vtr & ICH_VTR_A3V ? ICC_CTLR_A3V : 0;
	value |= vif->vmcr & ICH_VMCR_CBPR ? ICC_CTLR_CBPR : 0;
	value |= vif->vmcr & ICH_VMCR_EOIM ? ICC_CTLR_EOIMODE : 0;
	return value;
}

static void write_ctlr(struct virt_cpuif *vif, uint64_t value)
{
	uint32_t vmcr = (value & ICC_CTLR_CBPR ? ICH_VMCR_CBPR : 0) | (value & ICC_CTLR_EOIMODE ? ICH_VMCR_EOIM : 0);

	set_bits(vif, ICH_VMCR_CBPR | ICH_VMCR_EOIM, vmcr);
}

/* The active priority register that this is, or NULL: of a group there are 1, 2 or 4, by the bits of priority. */
static uint32_t *find_apr(struct virt_cpuif *vif, enum sysreg reg)
{
	unsigned int of0 = (unsigned int)reg - SR_ICC_AP0R0_EL1, of1 = (unsigned int)reg - SR_ICC_AP1R0_EL1;

	if (of0 < vif->nr_apr)
		return &vif->ap0r[of0];
	return of1 < vif->nr_apr ? &vif->ap1r[of1] : NULL;
}

/* Without SRE there is nothing but the register that tells so. */
static bool has_sysregs(const struct virt_cpuif *vif, enum sysreg reg)
{
	return !vif->v2 && (vif->sre & ICC_SRE_SRE || reg == SR_ICC_SRE_EL1);
}

int icv_read(struct virt_cpuif *vif, enum sysreg reg, uint64_t *value)
{
	uint32_t *apr = find_apr(vif, reg);

	if (!has_sysregs(vif, reg))
		return -ENOENT;
	if (apr) {
		*value = *apr;
		return 0;
	}
	switch (reg) {
	case SR_ICC_PMR_EL1:
		*value = vif->vmcr >> ICH_VMCR_PMR_SHIFT;
		return 0;
	case SR_ICC_IAR0_EL1:
	case SR_ICC_IAR1_EL1:
		*value = read_iar(vif, reg == SR_ICC_IAR1_EL1);
		return 0;
	case SR_ICC_HPPIR0_EL1:
	case SR_ICC_HPPIR1_EL1:
		*value = read_hppir(vif, reg == SR_ICC_HPPIR1_EL1);
		return 0;
	case SR_ICC_BPR0_EL1:
		*value = read_bpr0(vif);
		return 0;
	case SR_ICC_BPR1_EL1:
		*value = read_bpr1(vif);
		return 0;
	case SR_ICC_RPR_EL1:
		*value = virt_cpuif_running_priority(vif);
		return 0;
	case SR_ICC_CTLR_EL1:
		*value = read_ctlr(vif);
		return 0;
	case SR_ICC_SRE_EL1:
		*value = virt_cpuif_read_sre_el1(vif);
		return 0;
	case SR_ICC_IGRPEN0_EL1:
		*value = !!(vif->vmcr & ICH_VMCR_ENG0);
		return 0;
	case SR_ICC_IGRPEN1_EL1:
		*value = !!(vif->vmcr & ICH_VMCR_ENG1);
		return 0;
	default:
		return -ENOENT;
	}
}

int icv_write(struct virt_cpuif *vif, enum sysreg reg, uint64_t value)
{
	uint32_t *apr = find_apr(vif, reg);

	if (!has_sysregs(vif, reg))
		return -ENOENT;
	if (apr) {
		*apr = (uint32_t)value;
		return 0;
	}
	switch (reg) {
	case SR_ICC_PMR_EL1:
		write_pmr(vif, value);
		return 0;
	case SR_ICC_EOIR0_EL1:
		virt_cpuif_end(vif, value & virt_cpuif_intid_mask(vif), VIRT_GROUP0);
		return 0;
	case SR_ICC_EOIR1_EL1:
		virt_cpuif_end(vif, value & virt_cpuif_intid_mask(vif), VIRT_GROUP1);
		return 0;
	case SR_ICC_DIR_EL1:
		virt_cpuif_deactivate(vif, value & virt_cpuif_intid_mask(vif));
		return 0;
	case SR_ICC_BPR0_EL1:
		set_bits(vif, 7u << ICH_VMCR_BPR0_SHIFT, (uint32_t)(value & 7) << ICH_VMCR_BPR0_SHIFT);
		return 0;
	case SR_ICC_BPR1_EL1:
		write_bpr1(vif, value);
		return 0;
	case SR_ICC_CTLR_EL1:
		write_ctlr(vif, value);
		return 0;
	case SR_ICC_SRE_EL1:
		virt_cpuif_write_sre_el1(vif, (uint32_t)value);
		return 0;
	case SR_ICC_IGRPEN0_EL1:
		set_enable(vif, ICH_VMCR_ENG0, value);
		return 0;
	case SR_ICC_IGRPEN1_EL1:
		set_enable(vif, ICH_VMCR_ENG1, value);
		return 0;
	default:
		return -ENOENT;
	}
}

/* The trap bits of ICH_HCR_EL2 that a register falls under. */
static uint32_t traps_of(enum sysreg reg)
{
	switch (reg) {
	case SR_ICC_PMR_EL1:
	case SR_ICC_RPR_EL1:
	case SR_ICC_CTLR_EL1:
		return ICH_HCR_TC;
	case SR_ICC_DIR_EL1:
		return ICH_HCR_TC | ICH_HCR_TDIR;
	case SR_ICC_IAR0_EL1:
	case SR_ICC_EOIR0_EL1:
	case SR_ICC_HPPIR0_EL1:
	case SR_ICC_BPR0_EL1:
	case SR_ICC_AP0R0_EL1:
	case SR_ICC_AP0R1_EL1:
	case SR_ICC_AP0R2_EL1:
	case SR_ICC_AP0R3_EL1:
	case SR_ICC_IGRPEN0_EL1:
		return ICH_HCR_TALL0;
	case SR_ICC_IAR1_EL1:
	case SR_ICC_EOIR1_EL1:
	case SR_ICC_HPPIR1_EL1:
	case SR_ICC_BPR1_EL1:
	case SR_ICC_AP1R0_EL1:
	case SR_ICC_AP1R1_EL1:
	case SR_ICC_AP1R2_EL1:
	case SR_ICC_AP1R3_EL1:
	case SR_ICC_IGRPEN1_EL1:
		return ICH_HCR_TALL1;
	default:
		return 0;
	}
}

bool icv_traps(const struct virt_cpuif *vif, enum sysreg reg, bool write)
{
	if (vif->v2)
		return false;
	if (reg == SR_ICC_SRE_EL1)
		return !(vif->sre_el2 & ICC_SRE_EL2_ENABLE);
	if (!(vif->sre & ICC_SRE_SRE))
		return false;	/* UNDEFINED comes first */
	if (reg == SR_ICC_SGI0R_EL1 || reg == SR_ICC_SGI1R_EL1 || reg == SR_ICC_ASGI1R_EL1)
		return write;
	return vif->hcr & traps_of(reg);
}
