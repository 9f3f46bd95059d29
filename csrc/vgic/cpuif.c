/* SPDX-License-Identifier: MIT */
/*
 * The CPU interface as user space saves and restores it: GICC registers of a GICv2, ICC system registers of a GICv3.
 * Layer: vgic. Source: vgic-mmio-v2.c, vgic-v2.c, vgic-v3.c, arch/arm64/kvm/vgic-sys-reg-v3.c, Linux 6.1.
 */
#include <errno.h>

#include "../machine/host.h"
#include "../machine/sysreg.h"
#include "../machine/virt_cpuif.h"
#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "mmio.h"

/* ICH_VMCR_EL2 (IHI 0069, 12.4.8) and GICH_VMCR (IHI 0048, 5.3.4): most fields are in the same places. */
#define VMCR_GRPEN0 0
#define VMCR_GRPEN1 1
#define VMCR_ACKCTL 2
#define VMCR_FIQEN 3
#define VMCR_CBPR 4
#define VMCR_EOIM 9
#define VMCR_BPR1 18
#define VMCR_BPR0 21
#define VMCR_PMR 24	/* GICH_VMCR has the upper five bits of it, in the same places */
#define GICV2_PMR_BITS 0xf8u

#define ICC_CTLR_CBPR (1u << 0)
#define ICC_CTLR_EOIMODE (1u << 1)
#define ICC_CTLR_PRI_BITS 8
#define ICC_CTLR_ID_BITS 11
#define ICC_CTLR_SEIS (1u << 14)
#define ICC_CTLR_A3V (1u << 15)
/* No GICv2 compatibility, no bypass. */
#define ICC_SRE_RESET (ICC_SRE_SRE | ICC_SRE_DFB | ICC_SRE_DIB)

#define PENDBASER_RESET (3ull << 7 | 1ull << 10)	/* read-allocate write-back, inner shareable */

static bool host_is_v2(const struct vcpu *vcpu)
{
	return vcpu->vm->host->gic.version == 2;
}

void vgic_get_vmcr(const struct vcpu *vcpu, struct vgic_vmcr *vmcr)
{
	uint32_t val = cpu_if_vmcr(&vcpu->vgic.cpu_if);
	bool v3_guest = vcpu->vm->vgic.model == VGIC_V3;

	*vmcr = (struct vgic_vmcr){
		.grpen0 = val >> VMCR_GRPEN0 & 1,
		.grpen1 = val >> VMCR_GRPEN1 & 1,
		/* With system registers FIQs are always on, and AckCtl is not there. */
		.ackctl = v3_guest ? 0 : val >> VMCR_ACKCTL & 1,
		.fiqen = v3_guest ? 1 : val >> VMCR_FIQEN & 1,
		.cbpr = val >> VMCR_CBPR & 1,
		.eoim = val >> VMCR_EOIM & 1,
		.abpr = val >> VMCR_BPR1 & 7,
		.bpr = val >> VMCR_BPR0 & 7,
		.pmr = val >> VMCR_PMR & (host_is_v2(vcpu) ? GICV2_PMR_BITS : 0xff),
	};
}

void vgic_set_vmcr(struct vcpu *vcpu, const struct vgic_vmcr *vmcr)
{
	bool v3_guest = vcpu->vm->vgic.model == VGIC_V3;
	uint32_t pmr = vmcr->pmr & (host_is_v2(vcpu) ? GICV2_PMR_BITS : 0xff);

	cpu_if_set_vmcr(&vcpu->vgic.cpu_if,
			(vmcr->grpen0 & 1) << VMCR_GRPEN0 | (vmcr->grpen1 & 1) << VMCR_GRPEN1 |
				(v3_guest ? 0 : vmcr->ackctl & 1) << VMCR_ACKCTL |
				(v3_guest ? 1 : vmcr->fiqen & 1) << VMCR_FIQEN | (vmcr->cbpr & 1) << VMCR_CBPR |
				(vmcr->eoim & 1) << VMCR_EOIM | (vmcr->abpr & 7) << VMCR_BPR1 |
				(vmcr->bpr & 7) << VMCR_BPR0 | pmr << VMCR_PMR);
}

void vgic_enable_cpu(struct vcpu *vcpu)
{
	const struct kvmemu_host *host = vcpu->vm->host;

	cpu_if_set_vmcr(&vcpu->vgic.cpu_if, 0);
	vcpu->vgic.cpu_if.hcr = ICH_HCR_EN;
	vcpu->vgic.pri_bits = (uint8_t)host->gic.priority_bits;
	vcpu->vgic.id_bits = host->gic.icc_ctlr >> ICC_CTLR_ID_BITS & 7;
	if (vcpu->vm->vgic.model == VGIC_V3) {
		vcpu->vgic.cpu_if.sre = ICC_SRE_RESET;
		vcpu->vgic.pendbaser = PENDBASER_RESET;
	}
}

/* Binary points split no more bits than there are: BPR0 from 7 - bits, BPR1 from 8 - bits (IHI 0069, 4.8.2). */
static void settle_vmcr(struct vcpu *vcpu)
{
	uint32_t bits = vcpu->vm->host->gic.priority_bits;
	struct vgic_vmcr v;

	vgic_get_vmcr(vcpu, &v);
	if (v.bpr < 7 - bits)
		v.bpr = 7 - bits;
	if (v.abpr < 8 - bits)
		v.abpr = 8 - bits;
	vgic_set_vmcr(vcpu, &v);
}

/*
 * The VMCR of a GICv2 guest on a GICv3 goes with ICC_SRE_EL1.SRE, which the host needs set for its own interrupts: without
 * VHE it is changed only where EL2 changes over. Source: vgic_v3_load(), __vgic_v3_activate_traps(), Linux 6.1.
 */
static bool is_loaded_late(const struct vcpu *vcpu)
{
	return vcpu->vm->vgic.model == VGIC_V2 && !host_is_v2(vcpu) && !vm_on_vhe(vcpu->vm);
}

void vgic_load_vmcr(struct vcpu *vcpu)
{
	if (!is_loaded_late(vcpu))
		settle_vmcr(vcpu);
}

/* Active priority registers: 1, 2 or 4 of each group, by the bits of priority. */
static unsigned int max_apr(const struct vcpu *vcpu)
{
	return vcpu->vgic.pri_bits == 7 ? 3 : vcpu->vgic.pri_bits == 6 ? 1 : 0;
}

/*
 * GICC: the frame of a GICv2's CPU interface, for user space only.
 */

static uint64_t gicc_ctlr_rd(const struct vgic_access *a)
{
	struct vgic_vmcr v;

	vgic_get_vmcr(a->vcpu, &v);
	return v.grpen0 | v.grpen1 << 1 | v.ackctl << 2 | v.fiqen << 3 | v.cbpr << 4 | v.eoim << 9;
}

static void gicc_ctlr_wr(const struct vgic_access *a, uint64_t val)
{
	struct vgic_vmcr v;

	vgic_get_vmcr(a->vcpu, &v);
	v.grpen0 = val & 1;
	v.grpen1 = val >> 1 & 1;
	v.ackctl = val >> 2 & 1;
	v.fiqen = val >> 3 & 1;
	v.cbpr = val >> 4 & 1;
	v.eoim = val >> 9 & 1;
	vgic_set_vmcr(a->vcpu, &v);
}

/* The device's interface has the priority mask as GICH_VMCR has it: its upper five bits, shifted down. */
static uint64_t gicc_pmr_rd(const struct vgic_access *a)
{
	struct vgic_vmcr v;

	vgic_get_vmcr(a->vcpu, &v);
	return (v.pmr & GICV2_PMR_BITS) >> 3;
}

static void gicc_pmr_wr(const struct vgic_access *a, uint64_t val)
{
	struct vgic_vmcr v;

	vgic_get_vmcr(a->vcpu, &v);
	v.pmr = (uint32_t)(val << 3) & GICV2_PMR_BITS;
	vgic_set_vmcr(a->vcpu, &v);
}

static uint64_t gicc_bpr_rd(const struct vgic_access *a)
{
	struct vgic_vmcr v;

	vgic_get_vmcr(a->vcpu, &v);
	return v.bpr;
}

static void gicc_bpr_wr(const struct vgic_access *a, uint64_t val)
{
	struct vgic_vmcr v;

	vgic_get_vmcr(a->vcpu, &v);
	v.bpr = (uint32_t)val;
	vgic_set_vmcr(a->vcpu, &v);
}

static uint64_t gicc_abpr_rd(const struct vgic_access *a)
{
	struct vgic_vmcr v;

	vgic_get_vmcr(a->vcpu, &v);
	return v.abpr;
}

static void gicc_abpr_wr(const struct vgic_access *a, uint64_t val)
{
	struct vgic_vmcr v;

	vgic_get_vmcr(a->vcpu, &v);
	v.abpr = (uint32_t)val;
	vgic_set_vmcr(a->vcpu, &v);
}

/* Where a GICv2 guest's active priorities are: GICH_APR, or the group 1 registers of a GICv3. */
static uint32_t *v2_apr(const struct vgic_access *a)
{
	unsigned int n = a->at / 4;

	if (host_is_v2(a->vcpu))
		return n ? NULL : &a->vcpu->vgic.cpu_if.ap0r[0];
	return n > max_apr(a->vcpu) ? NULL : &a->vcpu->vgic.cpu_if.ap1r[n];
}

static uint64_t gicc_apr_rd(const struct vgic_access *a)
{
	const uint32_t *apr = v2_apr(a);

	return apr ? *apr : 0;
}

static void gicc_apr_wr(const struct vgic_access *a, uint64_t val)
{
	uint32_t *apr = v2_apr(a);

	if (apr)
		*apr = (uint32_t)val;
}

static uint64_t gicc_iidr_rd(const struct vgic_access *a)
{
	(void)a;
	return 0x4bu << 20 | 2u << 16 | 0x43b;	/* product KVM, architecture version 2, implementer Arm */
}

#define GICC(reg, offset, size) .name = (reg), .off = (offset), .bytes = (size), .models = ON_V2, .sizes = ACC_32

static const struct vgic_reg rows[] = {
	{ GICC("GICC_CTLR", 0x00, 4), .rd = gicc_ctlr_rd, .wr = gicc_ctlr_wr, .restore = KVMEMU_RESTORE_CONFIG },
	{ GICC("GICC_PMR", 0x04, 4), .rd = gicc_pmr_rd, .wr = gicc_pmr_wr, .restore = KVMEMU_RESTORE_CONFIG },
	{ GICC("GICC_BPR", 0x08, 4), .rd = gicc_bpr_rd, .wr = gicc_bpr_wr, .restore = KVMEMU_RESTORE_CONFIG },
	{ GICC("GICC_ABPR", 0x1c, 4), .rd = gicc_abpr_rd, .wr = gicc_abpr_wr, .restore = KVMEMU_RESTORE_CONFIG },
	{ GICC("GICC_APR", 0xd0, 16), .rd = gicc_apr_rd, .wr = gicc_apr_wr, .restore = KVMEMU_RESTORE_CONFIG },
	{ GICC("GICC_IIDR", 0xfc, 4), .rd = gicc_iidr_rd, .wr = vgic_wi },
};

const struct vgic_table vgic_cpu_table = { .rows = rows, .nr = sizeof(rows) / sizeof(rows[0]) };

/*
 * ICC: system registers.
 */

static int icc_ctlr_wr(struct vcpu *vcpu, uint64_t val)
{
	uint32_t pri_bits = (val >> ICC_CTLR_PRI_BITS & 7) + 1, id_bits = val >> ICC_CTLR_ID_BITS & 7;
	struct vgic_vmcr v;

	/* What is restored must not have more than this host; taken over one by one, as Linux does. */
	if (pri_bits > vcpu->vgic.pri_bits)
		return -EINVAL;
	vcpu->vgic.pri_bits = (uint8_t)pri_bits;
	if (id_bits > vcpu->vgic.id_bits)
		return -EINVAL;
	vcpu->vgic.id_bits = (uint8_t)id_bits;
	if ((val ^ vcpu->vm->host->gic.icc_ctlr) & (ICC_CTLR_SEIS | ICC_CTLR_A3V))
		return -EINVAL;
	vgic_get_vmcr(vcpu, &v);
	v.cbpr = val & ICC_CTLR_CBPR;
	v.eoim = !!(val & ICC_CTLR_EOIMODE);
	vgic_set_vmcr(vcpu, &v);
	return 0;
}

static uint64_t icc_ctlr_rd(const struct vcpu *vcpu)
{
	struct vgic_vmcr v;

	vgic_get_vmcr(vcpu, &v);
	return (vcpu->vm->host->gic.icc_ctlr & (ICC_CTLR_SEIS | ICC_CTLR_A3V)) |
	       (vcpu->vgic.pri_bits - 1u) << ICC_CTLR_PRI_BITS | (uint32_t)vcpu->vgic.id_bits << ICC_CTLR_ID_BITS |
	       v.eoim << 1 | v.cbpr;
}

/* With one binary point for both groups, BPR1 reads as BPR0 + 1. */
static uint32_t bpr1(const struct vgic_vmcr *v)
{
	if (!v->cbpr)
		return v->abpr;
	return v->bpr + 1 > 7 ? 7 : v->bpr + 1;
}

/* Group and number of an AP register; false if the vCPU's priorities do not need it. */
static bool find_apr(const struct vcpu *vcpu, enum sysreg reg, unsigned int *group, unsigned int *n)
{
	*group = reg >= SR_ICC_AP1R0_EL1;
	*n = reg - (*group ? SR_ICC_AP1R0_EL1 : SR_ICC_AP0R0_EL1);
	return *n <= max_apr(vcpu);
}

static uint32_t *apr(struct vcpu *vcpu, unsigned int group, unsigned int n)
{
	return group ? &vcpu->vgic.cpu_if.ap1r[n] : &vcpu->vgic.cpu_if.ap0r[n];
}

bool vgic_has_icc(uint16_t encoding)
{
	switch (sysreg_find(encoding)) {
	case SR_ICC_PMR_EL1:
	case SR_ICC_BPR0_EL1:
	case SR_ICC_AP0R0_EL1 ... SR_ICC_AP0R3_EL1:
	case SR_ICC_AP1R0_EL1 ... SR_ICC_AP1R3_EL1:
	case SR_ICC_BPR1_EL1:
	case SR_ICC_CTLR_EL1:
	case SR_ICC_SRE_EL1:
	case SR_ICC_IGRPEN0_EL1:
	case SR_ICC_IGRPEN1_EL1:
		return true;
	default:
		return false;
	}
}

int vgic_icc_read(struct vcpu *vcpu, uint16_t encoding, uint64_t *value)
{
	enum sysreg reg = sysreg_find(encoding);
	unsigned int group, n;
	struct vgic_vmcr v;

	if (!vgic_has_icc(encoding))
		return -ENOENT;
	vgic_get_vmcr(vcpu, &v);
	switch (reg) {
	case SR_ICC_PMR_EL1:
		*value = v.pmr;
		return 0;
	case SR_ICC_BPR0_EL1:
		*value = v.bpr;
		return 0;
	case SR_ICC_BPR1_EL1:
		*value = bpr1(&v);
		return 0;
	case SR_ICC_CTLR_EL1:
		*value = icc_ctlr_rd(vcpu);
		return 0;
	case SR_ICC_SRE_EL1:
		*value = vcpu->vgic.cpu_if.sre;
		return 0;
	case SR_ICC_IGRPEN0_EL1:
		*value = v.grpen0;
		return 0;
	case SR_ICC_IGRPEN1_EL1:
		*value = v.grpen1;
		return 0;
	default:
		if (!find_apr(vcpu, reg, &group, &n))
			return -EINVAL;
		*value = *apr(vcpu, group, n);
		return 0;
	}
}

int vgic_icc_write(struct vcpu *vcpu, uint16_t encoding, uint64_t value)
{
	enum sysreg reg = sysreg_find(encoding);
	unsigned int group, n;
	struct vgic_vmcr v;

	if (!vgic_has_icc(encoding))
		return -ENOENT;
	vgic_get_vmcr(vcpu, &v);
	switch (reg) {
	case SR_ICC_PMR_EL1:
		v.pmr = value & 0xff;
		break;
	case SR_ICC_BPR0_EL1:
		v.bpr = value & 7;
		break;
	case SR_ICC_BPR1_EL1:
		if (v.cbpr)
			return 0;
		v.abpr = value & 7;
		break;
	case SR_ICC_CTLR_EL1:
		return icc_ctlr_wr(vcpu, value);
	case SR_ICC_SRE_EL1:
		return value & ICC_SRE_SRE ? 0 : -EINVAL;
	case SR_ICC_IGRPEN0_EL1:
		v.grpen0 = value & 1;
		break;
	case SR_ICC_IGRPEN1_EL1:
		v.grpen1 = value & 1;
		break;
	default:
		if (!find_apr(vcpu, reg, &group, &n))
			return -EINVAL;
		*apr(vcpu, group, n) = (uint32_t)value;
		return 0;
	}
	vgic_set_vmcr(vcpu, &v);
	return 0;
}
