/* SPDX-License-Identifier: MIT */
/*
 * The virtual CPU interface as a frame in memory, GICV_*: of a GICv2, and of a GICv3 with GICv2 compatibility. Layer:
 * machine. Source: Arm IHI 0048, 5.5; Arm IHI 0069, 12.9. Their state is that of VMCR, of GICH_APR or of ICH_AP1R<n>_EL2.
 */
#include "virt_cpuif.h"

#define GICV_CTLR 0x0000
#define GICV_PMR 0x0004
#define GICV_BPR 0x0008
#define GICV_IAR 0x000c
#define GICV_EOIR 0x0010
#define GICV_RPR 0x0014
#define GICV_HPPIR 0x0018
#define GICV_ABPR 0x001c
#define GICV_AIAR 0x0020
#define GICV_AEOIR 0x0024
#define GICV_AHPPIR 0x0028
#define GICV_APR 0x00d0
#define GICV_IIDR 0x00fc
#define GICV_DIR 0x1000

/* CTLR is VMCR's lower bits. */
#define GICV_CTLR_BITS \
	(ICH_VMCR_ENG0 | ICH_VMCR_ENG1 | ICH_VMCR_ACKCTL | ICH_VMCR_FIQEN | ICH_VMCR_CBPR | ICH_VMCR_EOIM)

#define IIDR_ARM 0x43bu
#define IIDR_ARCHITECTURE_SHIFT 16

#define ANY_GROUP (VIRT_GROUP0 | VIRT_GROUP1)

static void set_bits(struct virt_cpuif *vif, uint32_t mask, uint32_t value)
{
	virt_cpuif_write_vmcr(vif, (vif->vmcr & ~mask) | (value & mask));
}

/* IAR and HPPIR answer for group 0, and with AckCtl for group 1 too; without, 1022 says that there is one. */
static uint32_t answer(const struct virt_cpuif *vif, int n, bool alias)
{
	bool group1 = lr_group1(vif, vif->lr[n]);

	if (alias)
		return group1 ? 0 : INTID_SPURIOUS;
	return group1 && !(vif->vmcr & ICH_VMCR_ACKCTL) ? INTID_GROUP1 : 0;
}

static uint32_t read_iar(struct virt_cpuif *vif, bool alias)
{
	int n = virt_cpuif_highest_pending(vif);
	uint32_t special;

	if (!virt_cpuif_can_signal(vif, n))
		return INTID_SPURIOUS;
	special = answer(vif, n, alias);
	return special ? special : virt_cpuif_acknowledge(vif, n);
}

/* Unlike ICC_HPPIR, it does not tell of what the mask keeps back. Source: GICV_AHPPIR in IHI 0069. */
static uint32_t read_hppir(const struct virt_cpuif *vif, bool alias)
{
	int n = virt_cpuif_highest_pending(vif);
	uint32_t special;

	if (n < 0 || !virt_cpuif_passes_mask(vif, n))
		return INTID_SPURIOUS;
	special = answer(vif, n, alias);
	return special ? special : lr_vintid(vif, vif->lr[n]);
}

/* INTID and, of an SGI, its sender; what else is written there should be zero. */
static uint32_t written_intid(uint32_t value)
{
	uint32_t intid = value & 0x3ff;

	return intid < 16 ? intid | (value & 7u << 10) : intid;
}

/* GICV_APR<n> is the active priorities of both groups. */
static uint32_t *find_apr(struct virt_cpuif *vif, uint32_t offset)
{
	uint32_t n = (offset - GICV_APR) / 4;

	if (offset < GICV_APR || offset % 4 || n >= vif->nr_apr)
		return NULL;
	return vif->v2 ? &vif->ap0r[n] : &vif->ap1r[n];
}

/* With system registers the frame is not there: zero, and writes are ignored. */
static bool is_off(const struct virt_cpuif *vif)
{
	return !vif->v2 && vif->sre & ICC_SRE_SRE;
}

uint32_t gicv_read(struct virt_cpuif *vif, uint32_t offset)
{
	uint32_t *apr = find_apr(vif, offset);

	if (is_off(vif))
		return 0;
	if (apr)
		return *apr;
	switch (offset) {
	case GICV_CTLR:
		return vif->vmcr & GICV_CTLR_BITS;
	case GICV_PMR:
		return vif->vmcr >> ICH_VMCR_PMR_SHIFT;
	case GICV_BPR:
		return vif->vmcr >> ICH_VMCR_BPR0_SHIFT & 7;
	case GICV_ABPR:
		return vif->vmcr >> ICH_VMCR_BPR1_SHIFT & 7;
	case GICV_IAR:
	case GICV_AIAR:
		vif->gicv_stores = true;	/* it changes list registers as a store would */
		return read_iar(vif, offset == GICV_AIAR);
	case GICV_RPR:
		return virt_cpuif_running_priority(vif);
	case GICV_HPPIR:
	case GICV_AHPPIR:
		return read_hppir(vif, offset == GICV_AHPPIR);
	case GICV_IIDR:
		return (vif->v2 ? 2u : 3u) << IIDR_ARCHITECTURE_SHIFT | IIDR_ARM;
	default:
		return 0;
	}
}

void gicv_write(struct virt_cpuif *vif, uint32_t offset, uint32_t value)
{
	uint32_t *apr = find_apr(vif, offset);

	if (is_off(vif))
		return;
	vif->gicv_stores = true;
	if (apr) {
		*apr = value;
		return;
	}
	switch (offset) {
	case GICV_CTLR:
		set_bits(vif, GICV_CTLR_BITS, value);
		break;
	case GICV_PMR:
		value &= 0xff & ~0u << (8 - vif->pri_bits);
		set_bits(vif, 0xffu << ICH_VMCR_PMR_SHIFT, value << ICH_VMCR_PMR_SHIFT);
		break;
	case GICV_BPR:
		set_bits(vif, 7u << ICH_VMCR_BPR0_SHIFT, (value & 7) << ICH_VMCR_BPR0_SHIFT);
		break;
	case GICV_ABPR:
		set_bits(vif, 7u << ICH_VMCR_BPR1_SHIFT, (value & 7) << ICH_VMCR_BPR1_SHIFT);
		break;
	/* What the one does with an interrupt of the other's group is left open: both end either. */
	case GICV_EOIR:
	case GICV_AEOIR:
		virt_cpuif_end(vif, written_intid(value), ANY_GROUP);
		break;
	case GICV_DIR:
		virt_cpuif_deactivate(vif, written_intid(value));
		break;
	default:
		break;
	}
}
