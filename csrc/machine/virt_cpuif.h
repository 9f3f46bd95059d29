/* SPDX-License-Identifier: MIT */
/*
 * The virtual CPU interface of a physical CPU: what a hypervisor fills and reads (ICH_*_EL2 or GICH_*), and what a guest
 * acknowledges and ends interrupts with (ICC_* or GICV_*). Layer: machine. Knows no VM and no vCPU.
 * Source: Arm IHI 0069 (GICv3), chapters 6, 11, 12; Arm IHI 0048 (GICv2), chapter 5.
 *
 * Only the thread that has taken the physical CPU (pcpu.h) may touch it. Nothing here locks, waits or allocates.
 */
#ifndef KVMEMU_MACHINE_VIRT_CPUIF_H
#define KVMEMU_MACHINE_VIRT_CPUIF_H

#include <stdbool.h>
#include <stdint.h>

#include "lr_scan.h"
#include "sysreg.h"

struct kvmemu_host;
struct pcpu;

#define VIRT_CPUIF_MAX_LRS LR_SCAN_NR
#define VIRT_CPUIF_MAX_APRS 4

/* INTIDs that are answers, and the first of the LPIs. */
#define INTID_GROUP1 1022u	/* GICV_IAR: there is one, but of group 1, and AckCtl is 0 */
#define INTID_SPURIOUS 1023u
#define INTID_FIRST_SPECIAL 1020u
#define INTID_FIRST_LPI 8192u

/* ICH_LR<n>_EL2. */
#define ICH_LR_PENDING (1ull << 62)
#define ICH_LR_ACTIVE (1ull << 63)
#define ICH_LR_STATE (ICH_LR_PENDING | ICH_LR_ACTIVE)
#define ICH_LR_HW (1ull << 61)
#define ICH_LR_GROUP1 (1ull << 60)
#define ICH_LR_PRIORITY_SHIFT 48
#define ICH_LR_EOI (1ull << 41)		/* where HW is 0; else part of the physical INTID */
#define ICH_LR_PINTID_SHIFT 32
#define ICH_LR_PINTID_MASK 0x1fffull
#define ICH_LR_VINTID_MASK 0xffffffffull

/* GICH_LR<n>. */
#define GICH_LR_HW (1u << 31)
#define GICH_LR_GROUP1 (1u << 30)
#define GICH_LR_ACTIVE (1u << 29)
#define GICH_LR_PENDING (1u << 28)
#define GICH_LR_STATE (GICH_LR_PENDING | GICH_LR_ACTIVE)
#define GICH_LR_PRIORITY_SHIFT 23	/* the upper five bits of it */
#define GICH_LR_EOI (1u << 19)		/* where HW is 0 */
#define GICH_LR_PINTID_SHIFT 10
#define GICH_LR_CPUID_SHIFT 10		/* where HW is 0: the sender of an SGI */
#define GICH_LR_VINTID_MASK 0x3ffu

/* ICH_HCR_EL2 and GICH_HCR: the lower byte and EOIcount are the same. */
#define ICH_HCR_EN (1u << 0)
#define ICH_HCR_UIE (1u << 1)
#define ICH_HCR_LRENPIE (1u << 2)
#define ICH_HCR_NPIE (1u << 3)
#define ICH_HCR_VGRP0EIE (1u << 4)
#define ICH_HCR_VGRP0DIE (1u << 5)
#define ICH_HCR_VGRP1EIE (1u << 6)
#define ICH_HCR_VGRP1DIE (1u << 7)
#define ICH_HCR_MAINTENANCE 0xfeu	/* all that ask for maintenance interrupts */
#define ICH_HCR_TC (1u << 10)		/* trap: registers of both groups; from here on ICH only */
#define ICH_HCR_TALL0 (1u << 11)
#define ICH_HCR_TALL1 (1u << 12)
#define ICH_HCR_TSEI (1u << 13)
#define ICH_HCR_TDIR (1u << 14)
#define ICH_HCR_EOICOUNT_SHIFT 27
#define ICH_HCR_EOICOUNT_MASK (0x1fu << ICH_HCR_EOICOUNT_SHIFT)

/* ICH_VMCR_EL2 and GICH_VMCR: the same but for PMR, of which GICv2 has five bits, at the same end. */
#define ICH_VMCR_ENG0 (1u << 0)
#define ICH_VMCR_ENG1 (1u << 1)
#define ICH_VMCR_ACKCTL (1u << 2)
#define ICH_VMCR_FIQEN (1u << 3)
#define ICH_VMCR_CBPR (1u << 4)
#define ICH_VMCR_EOIM (1u << 9)
#define ICH_VMCR_BPR1_SHIFT 18
#define ICH_VMCR_BPR1_MASK (7u << ICH_VMCR_BPR1_SHIFT)
#define ICH_VMCR_BPR0_SHIFT 21
#define ICH_VMCR_BPR0_MASK (7u << ICH_VMCR_BPR0_SHIFT)
#define ICH_VMCR_PMR_SHIFT 24

/* ICH_MISR_EL2 and GICH_MISR. */
#define ICH_MISR_EOI (1u << 0)
#define ICH_MISR_U (1u << 1)
#define ICH_MISR_LRENP (1u << 2)
#define ICH_MISR_NP (1u << 3)
#define ICH_MISR_VGRP0E (1u << 4)
#define ICH_MISR_VGRP0D (1u << 5)
#define ICH_MISR_VGRP1E (1u << 6)
#define ICH_MISR_VGRP1D (1u << 7)

/* ICH_VTR_EL2 and GICH_VTR. */
#define ICH_VTR_LIST_REGS_MASK 0x1fu	/* less one */
#define ICH_VTR_TDS (1u << 19)
#define ICH_VTR_NV4 (1u << 20)
#define ICH_VTR_A3V (1u << 21)
#define ICH_VTR_SEIS (1u << 22)
#define ICH_VTR_ID_BITS_SHIFT 23
#define ICH_VTR_PRE_BITS_SHIFT 26	/* less one */
#define ICH_VTR_PRI_BITS_SHIFT 29	/* less one */

/* ICC_SRE_EL1 and ICC_SRE_EL2. */
#define ICC_SRE_SRE (1u << 0)
#define ICC_SRE_DFB (1u << 1)
#define ICC_SRE_DIB (1u << 2)
#define ICC_SRE_EL2_ENABLE (1u << 3)	/* ICC_SRE_EL1 is the guest's; else it traps */

struct virt_cpuif {
	/*
	 * ICH_LR<n>_EL2 is lr[n]; on a GICv2, GICH_LR<n> is the lower half of lr[n]. Ascending: this is the hardware.
	 * How a hypervisor stores them in memory is its own affair. Those from nr_lr on are always 0.
	 */
	uint64_t lr[VIRT_CPUIF_MAX_LRS];
	uint32_t hcr;			/* written through virt_cpuif_write_hcr() */
	uint32_t vmcr;			/* written through virt_cpuif_write_vmcr() */

	/* A bit a priority. GICv2: GICH_APR is ap0r[0], of both groups. GICv3 with ICC_SRE_EL1.SRE 0: both are in ap1r. */
	uint32_t ap0r[VIRT_CPUIF_MAX_APRS];
	uint32_t ap1r[VIRT_CPUIF_MAX_APRS];

	/* What this machine is: never changes. */
	uint32_t vtr;
	uint32_t hcr_mask, vmcr_mask;	/* bits that exist; of VMCR, other than binary points */
	uint32_t least_bpr0, least_bpr1;	/* where they are in VMCR */
	uint8_t nr_lr;			/* 1..16 */
	uint8_t pri_bits;		/* 5..7, of priority and of preemption alike */
	uint8_t nr_apr;			/* 1, 2 or 4 of each group */
	bool v2;			/* a GICv2: GICH_* and GICV_*, no system registers */

	/*
	 * Bits of ICC_SRE_EL1 that can be written, and that are always one; 0 on a GICv2. Where SRE can be 0 (GICv2
	 * compatibility) the guest then has a GICV frame.
	 */
	uint8_t sre_mask, sre_ones;

	/* ICC_SRE_EL1 and ICC_SRE_EL2: what a read returns, and what is in effect since the last isb. */
	uint8_t sre_written, sre;
	uint8_t sre_el2_written, sre_el2;

	/* The guest has stored to the GICV frame since the last dsb: ICH_* reads need not see it yet. */
	bool gicv_stores;

	struct pcpu *cpu;		/* whose host interrupts a list register with HW deactivates; may be NULL in tests */
};

/* What MISR, EISR and ELRSR (GICv2: GICH_EISR0 and GICH_ELRSR0) read as. */
struct virt_cpuif_status {
	uint32_t misr, eisr, elrsr;
};

/* As after the host's kernel has started: nothing in the list registers, system registers on, traps off. */
void virt_cpuif_init(struct virt_cpuif *vif, const struct kvmemu_host *host, struct pcpu *cpu);

/*
 * The hypervisor's side. List registers and active priorities are stored to directly.
 */

static inline void virt_cpuif_write_hcr(struct virt_cpuif *vif, uint32_t hcr)
{
	vif->hcr = hcr & vif->hcr_mask;
}

/*
 * Bits that do not exist stay 0. A binary point less than the least becomes it: 7 - bits, and one more for group 1. With
 * system registers FIQEn is one and AckCtl zero, and so they stay when a hypervisor turns system registers off later:
 * that is why it does so before it writes VMCR for a GICv2 guest.
 */
static inline void virt_cpuif_write_vmcr(struct virt_cpuif *vif, uint32_t vmcr)
{
	uint32_t bpr0 = vmcr & ICH_VMCR_BPR0_MASK, bpr1 = vmcr & ICH_VMCR_BPR1_MASK;

	bpr0 = bpr0 < vif->least_bpr0 ? vif->least_bpr0 : bpr0;
	bpr1 = bpr1 < vif->least_bpr1 ? vif->least_bpr1 : bpr1;
	vmcr = (vmcr & vif->vmcr_mask) | bpr0 | bpr1;
	if (vif->sre & ICC_SRE_SRE)
		vmcr = (vmcr | ICH_VMCR_FIQEN) & ~ICH_VMCR_ACKCTL;
	vif->vmcr = vmcr;
}

/* In effect from the next virt_cpuif_isb() on; a read returns the new value at once. Nothing of it exists on a GICv2. */
static inline void virt_cpuif_write_sre_el1(struct virt_cpuif *vif, uint32_t sre)
{
	vif->sre_written = (uint8_t)((sre & vif->sre_mask) | vif->sre_ones);
}

static inline uint32_t virt_cpuif_read_sre_el1(const struct virt_cpuif *vif)
{
	return vif->sre_written;
}

/* ICC_SRE_EL2: all but Enable is fixed, for the host uses system registers itself. */
static inline void virt_cpuif_write_sre_el2(struct virt_cpuif *vif, uint32_t sre)
{
	vif->sre_el2_written = (uint8_t)((sre & ICC_SRE_EL2_ENABLE) | ICC_SRE_SRE | ICC_SRE_DFB | ICC_SRE_DIB);
}

static inline uint32_t virt_cpuif_read_sre_el2(const struct virt_cpuif *vif)
{
	return vif->sre_el2_written;
}

/* What is written before it is in effect after it. Entering and leaving a guest are one too. */
static inline void virt_cpuif_isb(struct virt_cpuif *vif)
{
	vif->sre = vif->sre_written;
	vif->sre_el2 = vif->sre_el2_written;
	if (vif->sre & ICC_SRE_SRE)
		vif->vmcr = (vif->vmcr | ICH_VMCR_FIQEN) & ~ICH_VMCR_ACKCTL;
}

/* The guest's stores to the GICV frame are complete: ICH_* registers show them. */
static inline void virt_cpuif_dsb(struct virt_cpuif *vif)
{
	vif->gicv_stores = false;
}

/*
 * List registers by their state. v2: the format, vif->v2: a world switch knows it when it is compiled, and so what it does
 * not need is left out.
 */
static inline __attribute__((always_inline)) uint32_t virt_cpuif_scan(const struct virt_cpuif *vif, bool v2,
								      struct lr_pattern v3_pattern,
								      struct lr_pattern v2_pattern)
{
	const struct lr_pattern p = v2 ? v2_pattern : v3_pattern;
	uint32_t all = (1u << vif->nr_lr) - 1;

	return (vif->nr_lr <= 4 ? lr_scan_four(vif->lr, !v2, p) : lr_scan_all(vif->lr, !v2, p)) & all;
}

/* List registers that are empty, whether or not they ask for EOI maintenance. */
static inline __attribute__((always_inline)) uint32_t virt_cpuif_empty_of(const struct virt_cpuif *vif, bool v2)
{
	return virt_cpuif_scan(vif, v2, (struct lr_pattern){ ICH_LR_STATE >> 32, 0 },
			       (struct lr_pattern){ GICH_LR_STATE, 0 });
}

/* Empty, not a hardware interrupt, and the hypervisor wants to know. */
static inline __attribute__((always_inline)) uint32_t virt_cpuif_eisr_of(const struct virt_cpuif *vif, bool v2)
{
	return virt_cpuif_scan(vif, v2,
			       (struct lr_pattern){ (ICH_LR_STATE | ICH_LR_HW | ICH_LR_EOI) >> 32, ICH_LR_EOI >> 32 },
			       (struct lr_pattern){ GICH_LR_STATE | GICH_LR_HW | GICH_LR_EOI, GICH_LR_EOI });
}

static inline uint32_t virt_cpuif_empty(const struct virt_cpuif *vif)
{
	return virt_cpuif_empty_of(vif, vif->v2);
}

static inline uint32_t virt_cpuif_eisr(const struct virt_cpuif *vif)
{
	return virt_cpuif_eisr_of(vif, vif->v2);
}

/* Pending, and not active too. */
static inline uint32_t virt_cpuif_pending(const struct virt_cpuif *vif)
{
	return virt_cpuif_scan(vif, vif->v2,
			       (struct lr_pattern){ ICH_LR_STATE >> 32, ICH_LR_PENDING >> 32 },
			       (struct lr_pattern){ GICH_LR_STATE, GICH_LR_PENDING });
}

/* Free to be used: empty, and not one that EISR tells of. */
static inline uint32_t virt_cpuif_elrsr(const struct virt_cpuif *vif)
{
	return virt_cpuif_empty(vif) & ~virt_cpuif_eisr(vif);
}

/* What of MISR has to be asked for: all but EOI. empty: virt_cpuif_empty(). */
uint32_t virt_cpuif_misr_asked(const struct virt_cpuif *vif, uint32_t empty);

/* MISR, from which list registers are empty and which ended with EOI maintenance. */
static inline __attribute__((always_inline)) uint32_t virt_cpuif_misr_of(const struct virt_cpuif *vif, uint32_t empty,
									 uint32_t eisr)
{
	uint32_t misr = eisr ? ICH_MISR_EOI : 0;

	if (__builtin_expect(vif->hcr & ICH_HCR_MAINTENANCE, 0))
		misr |= virt_cpuif_misr_asked(vif, empty);
	return misr;
}

static inline uint32_t virt_cpuif_misr(const struct virt_cpuif *vif)
{
	return virt_cpuif_misr_of(vif, virt_cpuif_empty(vif), virt_cpuif_eisr(vif));
}

/* The three together, for what is common to them is computed once. */
static inline __attribute__((always_inline)) struct virt_cpuif_status virt_cpuif_status_of(const struct virt_cpuif *vif,
											   bool v2)
{
	uint32_t empty = virt_cpuif_empty_of(vif, v2), eisr = virt_cpuif_eisr_of(vif, v2);

	return (struct virt_cpuif_status){
		.misr = virt_cpuif_misr_of(vif, empty, eisr), .eisr = eisr, .elrsr = empty & ~eisr,
	};
}

static inline struct virt_cpuif_status virt_cpuif_status(const struct virt_cpuif *vif)
{
	return virt_cpuif_status_of(vif, vif->v2);
}

/* The maintenance interrupt's line. */
static inline bool virt_cpuif_maintenance(const struct virt_cpuif *vif)
{
	return vif->hcr & ICH_HCR_EN && virt_cpuif_misr(vif);
}

/*
 * Fields of a list register, of either format.
 */

static inline bool lr_pending(const struct virt_cpuif *vif, uint64_t lr)
{
	return lr & (vif->v2 ? GICH_LR_PENDING : ICH_LR_PENDING);
}

static inline bool lr_active(const struct virt_cpuif *vif, uint64_t lr)
{
	return lr & (vif->v2 ? GICH_LR_ACTIVE : ICH_LR_ACTIVE);
}

static inline bool lr_group1(const struct virt_cpuif *vif, uint64_t lr)
{
	return lr & (vif->v2 ? GICH_LR_GROUP1 : ICH_LR_GROUP1);
}

static inline bool lr_hw(const struct virt_cpuif *vif, uint64_t lr)
{
	return lr & (vif->v2 ? GICH_LR_HW : ICH_LR_HW);
}

/* Eight bits, of which the lower 8 - pri_bits are zero. */
static inline uint32_t lr_priority(const struct virt_cpuif *vif, uint64_t lr)
{
	uint64_t priority = lr >> (vif->v2 ? GICH_LR_PRIORITY_SHIFT - 3 : ICH_LR_PRIORITY_SHIFT);

	return (uint32_t)priority & 0xff & ~0u << (8 - vif->pri_bits);
}

/* Only where lr_hw(). */
static inline uint32_t lr_pintid(const struct virt_cpuif *vif, uint64_t lr)
{
	return vif->v2 ? (uint32_t)lr >> GICH_LR_PINTID_SHIFT & 0x3ff :
			 (uint32_t)(lr >> ICH_LR_PINTID_SHIFT & ICH_LR_PINTID_MASK);
}

/* As the guest sees it: of a GICv2's SGI, and of one in a GICV frame of a GICv3, bits 12:10 are the sender. */
static inline uint32_t lr_vintid(const struct virt_cpuif *vif, uint64_t lr)
{
	uint32_t intid = (uint32_t)lr & GICH_LR_VINTID_MASK;

	if (!vif->v2)
		return (uint32_t)(lr & ICH_LR_VINTID_MASK);
	return intid < 16 && !(lr & GICH_LR_HW) ? intid | ((uint32_t)lr & 7u << GICH_LR_CPUID_SHIFT) : intid;
}

static inline bool intid_is_special(uint32_t intid)
{
	return intid >= INTID_FIRST_SPECIAL && intid <= INTID_SPURIOUS;
}

/* The bits that INTIDs of this interface have: 10 and the sender's 3, 16 or 24. */
static inline uint32_t virt_cpuif_intid_mask(const struct virt_cpuif *vif)
{
	if (vif->v2)
		return 0x1fff;
	return vif->vtr & 7u << ICH_VTR_ID_BITS_SHIFT ? 0xffffff : 0xffff;
}

/*
 * Whether a hypervisor may put this into a list register. The architecture leaves open what happens else: a hardware
 * interrupt that is pending and active; one whose physical INTID is no PPI or SPI; a virtual INTID that is special or
 * that no interrupt has. An empty list register is always legal.
 */
bool lr_is_legal(const struct virt_cpuif *vif, uint64_t lr);

/* All of them together: EINVAL if one is not legal, EEXIST if two have a virtual or a physical INTID in common. */
int virt_cpuif_check(const struct virt_cpuif *vif);

/*
 * The guest's side.
 */

/* Interrupts that are asserted to the CPU: acknowledging would return one. */
bool virt_irq(const struct virt_cpuif *vif);
bool virt_fiq(const struct virt_cpuif *vif);

/*
 * ICC_* registers (icv.c). ENOENT: not one of this interface, or not readable (writable), or there are no system
 * registers: the instruction is UNDEFINED. The SGI registers are not here, for they always trap.
 */
int icv_read(struct virt_cpuif *vif, enum sysreg reg, uint64_t *value);
int icv_write(struct virt_cpuif *vif, enum sysreg reg, uint64_t value);

/* Whether an access goes to the hypervisor instead: ICH_HCR_EL2's traps, ICC_SRE_EL1, the SGI registers. */
bool icv_traps(const struct virt_cpuif *vif, enum sysreg reg, bool write);

/* The GICV frame, 8 KiB, 32-bit accesses (gicv.c). Offsets without a register read as zero and ignore writes. */
uint32_t gicv_read(struct virt_cpuif *vif, uint32_t offset);
void gicv_write(struct virt_cpuif *vif, uint32_t offset, uint32_t value);

/*
 * What both have in common (virt_cpuif.c): the list register state machine.
 */

/* Groups to answer for, as a mask. */
#define VIRT_GROUP0 1u
#define VIRT_GROUP1 2u

/*
 * The list register with the pending interrupt of highest priority; -1: none. A GICv3 looks at the groups that are
 * enabled; on a GICv2 one of a disabled group comes first, too, and hides those below it. Source: the pseudocode of
 * UpdateExceptionState(), IHI 0048, and of HighestPriorityVirtualInterrupt(), IHI 0069.
 */
int virt_cpuif_highest_pending(const struct virt_cpuif *vif);

/* Its group is enabled, and its priority above the mask. */
bool virt_cpuif_passes_mask(const struct virt_cpuif *vif, int n);

/* Whether it would be signalled: that, and above what is running. */
bool virt_cpuif_can_signal(const struct virt_cpuif *vif, int n);

/* Priority of the running interrupt: the highest that is active; 0xff: none. */
uint32_t virt_cpuif_running_priority(const struct virt_cpuif *vif);

/* Acknowledges list register n: active, and its priority too. Returns its INTID. */
uint32_t virt_cpuif_acknowledge(struct virt_cpuif *vif, int n);

/* End of interrupt: priority drop and, where EOImode is 0, deactivation. groups: which the write is meant for. */
void virt_cpuif_end(struct virt_cpuif *vif, uint32_t intid, unsigned int groups);

/* Deactivation apart: nothing where EOImode is 0. */
void virt_cpuif_deactivate(struct virt_cpuif *vif, uint32_t intid);

#endif
