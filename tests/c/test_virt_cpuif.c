/* SPDX-License-Identifier: MIT */
/*
 * The virtual CPU interface by the architecture's rules, one a test: what the hypervisor reads and writes. The guest's
 * side is in test_icv.c and test_gicv.c. Source: Arm IHI 0069, chapters 6 and 12. Part of the tests.
 */
#include "vif.h"

#define EOI(vif) ((vif)->v2 ? (uint64_t)GICH_LR_EOI : ICH_LR_EOI)

/*
 * MISR, EISR, ELRSR.
 */

/* EISR and ELRSR as IHI 0069 12.4.4 and 12.4.5 word them, over one list register with every combination of what matters. */
static void status_of_one_list_register(enum kind kind)
{
	for (unsigned int n = 0; n < 16; n++)
		for (unsigned int bits = 0; bits < 16; bits++) {
			struct virt_cpuif vif = make_vif(kind, 16, 5);
			bool hw = bits & 4, eoi = bits & 8, invalid = !(bits & 3);
			uint64_t lr = hw ? make_hw_lr(&vif, bits & 3, false, 0, 40, 0) : make_lr(&vif, bits & 3, false, 0, 40);
			struct virt_cpuif_status status;

			vif.lr[n] = lr | (eoi ? EOI(&vif) : 0);
			status = virt_cpuif_status(&vif);
			equal(status.eisr, invalid && !hw && eoi ? 1u << n : 0);
			equal(status.elrsr, invalid && (hw || !eoi) ? 0xffff : 0xffff & ~(1u << n));
			equal(status.misr, invalid && !hw && eoi ? ICH_MISR_EOI : 0);
			equal(virt_cpuif_eisr(&vif), status.eisr);
			equal(virt_cpuif_elrsr(&vif), status.elrsr);
			equal(virt_cpuif_misr(&vif), status.misr);
		}
}

static void eisr_and_elrsr_tell_how_a_list_register_is_empty(void)
{
	status_of_one_list_register(V3);
	status_of_one_list_register(V2);
}

static void only_list_registers_that_exist_are_counted(void)
{
	for (unsigned int nr = 1; nr <= 16; nr++) {
		struct virt_cpuif vif = make_vif(V3, nr, 5);

		equal(virt_cpuif_elrsr(&vif), (1u << nr) - 1);
		equal(vif.vtr & ICH_VTR_LIST_REGS_MASK, nr - 1);
		vif.lr[nr - 1] = ICH_LR_EOI;
		equal(virt_cpuif_eisr(&vif), 1u << (nr - 1));
	}
}

/* U: at most one list register holds a valid interrupt, whatever its state. */
static void underflow_is_none_or_one_valid(enum kind kind)
{
	struct virt_cpuif vif = make_vif(kind, 4, 5);

	equal(virt_cpuif_misr(&vif) & ICH_MISR_U, 0);
	virt_cpuif_write_hcr(&vif, ICH_HCR_EN | ICH_HCR_UIE);
	equal(virt_cpuif_misr(&vif), ICH_MISR_U);
	vif.lr[3] = make_lr(&vif, ACTIVE, true, 0, 40);
	equal(virt_cpuif_misr(&vif), ICH_MISR_U);
	vif.lr[0] = make_lr(&vif, PENDING, true, 0, 41);
	equal(virt_cpuif_misr(&vif), 0);
	vif.lr[3] = 0;
	equal(virt_cpuif_misr(&vif), ICH_MISR_U);
	ok(virt_cpuif_maintenance(&vif));
	virt_cpuif_write_hcr(&vif, ICH_HCR_UIE);
	ok(!virt_cpuif_maintenance(&vif));
}

static void underflow_is_asserted_with_one_valid_interrupt_or_none(void)
{
	underflow_is_none_or_one_valid(V3);
	underflow_is_none_or_one_valid(V2);
}

static void not_present_is_asserted_while_eoicount_is_not_zero(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	virt_cpuif_write_hcr(&vif, ICH_HCR_LRENPIE);
	equal(virt_cpuif_misr(&vif), 0);
	virt_cpuif_write_hcr(&vif, ICH_HCR_LRENPIE | 31u << ICH_HCR_EOICOUNT_SHIFT);
	equal(virt_cpuif_misr(&vif), ICH_MISR_LRENP);
	virt_cpuif_write_hcr(&vif, 31u << ICH_HCR_EOICOUNT_SHIFT);
	equal(virt_cpuif_misr(&vif), 0);
}

static void no_pending_is_asserted_while_no_interrupt_is_pending(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	virt_cpuif_write_hcr(&vif, ICH_HCR_NPIE);
	equal(virt_cpuif_misr(&vif), ICH_MISR_NP);
	vif.lr[1] = make_lr(&vif, ACTIVE, true, 0, 40);
	equal(virt_cpuif_misr(&vif), ICH_MISR_NP);
	vif.lr[2] = make_lr(&vif, PENDING, true, 0, 41);
	equal(virt_cpuif_misr(&vif), 0);
}

static void group_maintenance_follows_the_enables(void)
{
	for (unsigned int enables = 0; enables < 4; enables++)
		for (uint32_t asked = 0; asked < 0x100; asked += 0x10) {
			struct virt_cpuif vif = make_vif(V3, 4, 5);
			uint32_t want = 0;

			virt_cpuif_write_vmcr(&vif, enables);
			virt_cpuif_write_hcr(&vif, asked);
			want |= enables & 1 ? ICH_MISR_VGRP0E : ICH_MISR_VGRP0D;
			want |= enables & 2 ? ICH_MISR_VGRP1E : ICH_MISR_VGRP1D;
			equal(virt_cpuif_misr(&vif), asked & want);
		}
}

/*
 * VMCR, SRE, VTR.
 */

static void binary_points_have_a_least_value(void)
{
	for (uint32_t bits = 5; bits <= 7; bits++) {
		struct virt_cpuif vif = make_vif(V3, 4, bits);

		virt_cpuif_write_vmcr(&vif, 0);
		equal(vif.vmcr >> 21 & 7, 7 - bits);
		equal(vif.vmcr >> 18 & 7, 8 - bits);
		for (uint64_t bpr = 0; bpr < 8; bpr++) {
			set_icc(&vif, SR_ICC_BPR0_EL1, bpr);
			set_icc(&vif, SR_ICC_BPR1_EL1, bpr);
			equal(icc(&vif, SR_ICC_BPR0_EL1), bpr < 7 - bits ? 7 - bits : bpr);
			equal(icc(&vif, SR_ICC_BPR1_EL1), bpr < 8 - bits ? 8 - bits : bpr);
		}
	}
}

static void priority_bits_that_are_not_there_read_as_zero(void)
{
	for (uint32_t bits = 5; bits <= 7; bits++) {
		struct virt_cpuif vif = make_vif(V3, 4, bits);

		set_icc(&vif, SR_ICC_PMR_EL1, 0xff);
		equal(icc(&vif, SR_ICC_PMR_EL1), 0xff & ~0u << (8 - bits));
		equal(icc(&vif, SR_ICC_CTLR_EL1) >> 8 & 7, bits - 1);
	}
}

static void sre_is_fixed_without_gicv2_compatibility(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	virt_cpuif_write_sre_el1(&vif, 0);
	equal(virt_cpuif_read_sre_el1(&vif) & 1, 1);
	virt_cpuif_isb(&vif);
	equal(vif.sre & 1, 1);
	virt_cpuif_write_vmcr(&vif, 0);
	equal(vif.vmcr & ICH_VMCR_FIQEN, ICH_VMCR_FIQEN);
}

/* Why a switch writes SRE, waits, and only then writes VMCR. */
static void sre_is_in_effect_after_isb_and_then_fiqen_can_be_zero(void)
{
	struct kvmemu_host host = test_host(V3_COMPAT, 4, 5);
	struct virt_cpuif vif;

	virt_cpuif_init(&vif, &host, NULL);
	virt_cpuif_write_sre_el1(&vif, 0);
	equal(virt_cpuif_read_sre_el1(&vif) & 1, 0);
	virt_cpuif_write_vmcr(&vif, ICH_VMCR_ACKCTL);	/* too early */
	virt_cpuif_isb(&vif);
	equal(vif.vmcr & (ICH_VMCR_FIQEN | ICH_VMCR_ACKCTL), ICH_VMCR_FIQEN);
	virt_cpuif_write_vmcr(&vif, ICH_VMCR_ACKCTL);
	equal(vif.vmcr & (ICH_VMCR_FIQEN | ICH_VMCR_ACKCTL), ICH_VMCR_ACKCTL);
	virt_cpuif_write_sre_el1(&vif, 1);
	equal(vif.vmcr & (ICH_VMCR_FIQEN | ICH_VMCR_ACKCTL), ICH_VMCR_ACKCTL);
	virt_cpuif_isb(&vif);
	equal(vif.vmcr & (ICH_VMCR_FIQEN | ICH_VMCR_ACKCTL), ICH_VMCR_FIQEN);
}

static void without_sre_there_are_no_system_registers(void)
{
	struct virt_cpuif v2 = make_vif(V2, 4, 5), compat = make_vif(V3_COMPAT, 4, 5);
	uint64_t value;

	fails(icv_read(&v2, SR_ICC_IAR1_EL1, &value), ENOENT);
	fails(icv_read(&v2, SR_ICC_SRE_EL1, &value), ENOENT);
	fails(icv_read(&compat, SR_ICC_PMR_EL1, &value), ENOENT);
	fails(icv_write(&compat, SR_ICC_PMR_EL1, 0), ENOENT);
	equal(icc(&compat, SR_ICC_SRE_EL1) & 1, 0);
}

/*
 * What a hypervisor must not put there.
 */

static void illegal_list_registers_are_told(void)
{
	struct virt_cpuif v3 = make_vif(V3, 4, 5), v2 = make_vif(V2, 4, 5);

	for (unsigned int kind = 0; kind < 2; kind++) {
		struct virt_cpuif *vif = kind ? &v2 : &v3;

		ok(lr_is_legal(vif, 0));
		ok(lr_is_legal(vif, make_lr(vif, PENDING_ACTIVE, true, 0, 40)));
		ok(lr_is_legal(vif, make_hw_lr(vif, PENDING, true, 0, 40, 16)));
		ok(lr_is_legal(vif, make_hw_lr(vif, ACTIVE, true, 0, 40, 1019)));
		ok(!lr_is_legal(vif, make_hw_lr(vif, PENDING_ACTIVE, true, 0, 40, 40)));
		ok(!lr_is_legal(vif, make_hw_lr(vif, PENDING, true, 0, 40, 15)));
		ok(!lr_is_legal(vif, make_hw_lr(vif, PENDING, true, 0, 40, 1020)));
		ok(!lr_is_legal(vif, make_lr(vif, PENDING, true, 0, 1020)));
		ok(!lr_is_legal(vif, make_lr(vif, ACTIVE, true, 0, 1023)));
		ok(lr_is_legal(vif, make_lr(vif, INVALID, true, 0, 1023)));
	}
	ok(lr_is_legal(&v3, make_lr(&v3, PENDING, true, 0, 0xffffff)));
	ok(!lr_is_legal(&v3, make_lr(&v3, PENDING, true, 0, 0x1000000)));
}

static void list_registers_must_not_share_an_interrupt(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	vif.lr[0] = make_hw_lr(&vif, PENDING, true, 0, 40, 70);
	vif.lr[3] = make_hw_lr(&vif, PENDING, true, 0, 41, 71);
	equal(virt_cpuif_check(&vif), 0);
	vif.lr[2] = make_lr(&vif, ACTIVE, true, 0, 40);
	fails(virt_cpuif_check(&vif), EEXIST);
	vif.lr[2] = make_lr(&vif, INVALID, true, 0, 40);
	equal(virt_cpuif_check(&vif), 0);
	vif.lr[2] = make_hw_lr(&vif, ACTIVE, true, 0, 42, 71);
	fails(virt_cpuif_check(&vif), EEXIST);
	vif.lr[2] = make_hw_lr(&vif, ACTIVE, true, 0, 42, 7);
	fails(virt_cpuif_check(&vif), EINVAL);
	vif.lr[2] = 0;
	vif.lr[4] = 1;	/* there is none */
	fails(virt_cpuif_check(&vif), EINVAL);
	/* One SGI from two senders is two interrupts. */
	vif = make_vif(V2, 4, 5);
	vif.lr[0] = make_lr(&vif, PENDING, true, 0, 3 | 1 << 10);
	vif.lr[1] = make_lr(&vif, PENDING, true, 0, 3 | 2 << 10);
	equal(virt_cpuif_check(&vif), 0);
	vif.lr[1] = make_lr(&vif, PENDING, true, 0, 3 | 1 << 10);
	fails(virt_cpuif_check(&vif), EEXIST);
}

int main(void)
{
	run(eisr_and_elrsr_tell_how_a_list_register_is_empty);
	run(only_list_registers_that_exist_are_counted);
	run(underflow_is_asserted_with_one_valid_interrupt_or_none);
	run(not_present_is_asserted_while_eoicount_is_not_zero);
	run(no_pending_is_asserted_while_no_interrupt_is_pending);
	run(group_maintenance_follows_the_enables);
	run(binary_points_have_a_least_value);
	run(priority_bits_that_are_not_there_read_as_zero);
	run(sre_is_fixed_without_gicv2_compatibility);
	run(sre_is_in_effect_after_isb_and_then_fiqen_can_be_zero);
	run(without_sre_there_are_no_system_registers);
	run(illegal_list_registers_are_told);
	run(list_registers_must_not_share_an_interrupt);
	return check_done();
}
