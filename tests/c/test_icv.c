/* SPDX-License-Identifier: MIT */
/*
 * A guest with ICC_* registers by the architecture's rules, one a test. Source: Arm IHI 0069, chapters 4, 6 and 12. Part
 * of the tests.
 */
#include "vif.h"

static void acknowledging_makes_active_and_ending_makes_empty(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	vif.lr[2] = make_lr(&vif, PENDING, true, 0xa0, 40);
	ok(virt_irq(&vif) && !virt_fiq(&vif));
	equal(icc(&vif, SR_ICC_HPPIR1_EL1), 40);
	equal(icc(&vif, SR_ICC_IAR0_EL1), INTID_SPURIOUS);
	equal(icc(&vif, SR_ICC_IAR1_EL1), 40);
	equal(lr_state(&vif, 2), ACTIVE);
	equal(vif.ap1r[0], 1u << (0xa0 >> 3));
	equal(vif.ap0r[0], 0);
	equal(icc(&vif, SR_ICC_RPR_EL1), 0xa0);
	equal(icc(&vif, SR_ICC_IAR1_EL1), INTID_SPURIOUS);
	ok(!virt_irq(&vif));
	set_icc(&vif, SR_ICC_EOIR1_EL1, 40);
	equal(lr_state(&vif, 2), INVALID);
	equal(vif.ap1r[0], 0);
	equal(icc(&vif, SR_ICC_RPR_EL1), 0xff);
}

static void group_0_is_a_fiq(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	vif.lr[0] = make_lr(&vif, PENDING, false, 0xa0, 40);
	ok(!virt_irq(&vif) && virt_fiq(&vif));
	equal(icc(&vif, SR_ICC_IAR1_EL1), INTID_SPURIOUS);
	equal(icc(&vif, SR_ICC_IAR0_EL1), 40);
	equal(vif.ap0r[0], 1u << (0xa0 >> 3));
	set_icc(&vif, SR_ICC_EOIR0_EL1, 40);
	equal(lr_state(&vif, 0), INVALID);
}

static void nothing_is_signalled_while_disabled_or_masked(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	vif.lr[0] = make_lr(&vif, PENDING, true, 0xa0, 40);
	set_icc(&vif, SR_ICC_IGRPEN1_EL1, 0);
	ok(!virt_irq(&vif));
	equal(icc(&vif, SR_ICC_HPPIR1_EL1), INTID_SPURIOUS);
	set_icc(&vif, SR_ICC_IGRPEN1_EL1, 1);
	set_icc(&vif, SR_ICC_PMR_EL1, 0xa0);
	ok(!virt_irq(&vif));
	equal(icc(&vif, SR_ICC_HPPIR1_EL1), 40);	/* whatever the mask */
	equal(icc(&vif, SR_ICC_IAR1_EL1), INTID_SPURIOUS);
	set_icc(&vif, SR_ICC_PMR_EL1, 0xa8);
	ok(virt_irq(&vif));
	virt_cpuif_write_hcr(&vif, 0);
	ok(!virt_irq(&vif));
	equal(icc(&vif, SR_ICC_IAR1_EL1), INTID_SPURIOUS);
	equal(lr_state(&vif, 0), PENDING);
}

static void the_highest_priority_is_taken_first_whatever_its_list_register(void)
{
	struct virt_cpuif vif = make_vif(V3, 8, 5);

	for (unsigned int n = 0; n < 8; n++)
		vif.lr[n] = make_lr(&vif, PENDING, true, (7 - n) * 8, 40 + n);
	vif.lr[3] |= ICH_LR_ACTIVE;	/* not to be taken before it has ended */
	for (unsigned int n = 0; n < 8; n++) {
		if (n == 4)
			continue;
		equal(icc(&vif, SR_ICC_IAR1_EL1), 47 - n);
		set_icc(&vif, SR_ICC_EOIR1_EL1, 47 - n);
	}
	equal(icc(&vif, SR_ICC_IAR1_EL1), INTID_SPURIOUS);
}

static void of_equal_priorities_the_first_list_register_is_taken(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	vif.lr[1] = make_lr(&vif, PENDING, true, 0x80, 50);
	vif.lr[3] = make_lr(&vif, PENDING, true, 0x80, 40);
	equal(icc(&vif, SR_ICC_IAR1_EL1), 50);
}

static void the_lowest_priority_of_all_is_never_signalled(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 7);

	virt_cpuif_write_vmcr(&vif, vif.vmcr | 0xffu << ICH_VMCR_PMR_SHIFT);
	vif.lr[0] = make_lr(&vif, PENDING, true, 0xfe, 40);
	ok(virt_irq(&vif));
	vif = make_vif(V3, 4, 5);
	vif.lr[0] = make_lr(&vif, PENDING, true, 0xf8, 40);
	ok(virt_irq(&vif));	/* the mask, as a hypervisor writes it, is still above it */
	set_icc(&vif, SR_ICC_PMR_EL1, 0xff);
	ok(!virt_irq(&vif));
}

/* IHI 0069, 4.8.3: by group priority, for which binary points are; subpriorities only choose among what is pending. */
static void preemption_is_by_group_priority(void)
{
	for (uint32_t bpr = 3; bpr < 8; bpr++)
		for (uint32_t running = 0; running < 0x100; running += 8)
			for (uint32_t next = 0; next < 0x100; next += 8) {
				struct virt_cpuif vif = make_vif(V3, 4, 5);
				uint32_t mask = 0xff & ~0u << bpr;

				set_icc(&vif, SR_ICC_BPR1_EL1, bpr);
				vif.lr[0] = make_lr(&vif, PENDING, true, running, 40);
				equal(icc(&vif, SR_ICC_IAR1_EL1), 40);
				equal(icc(&vif, SR_ICC_RPR_EL1), running & mask);
				vif.lr[1] = make_lr(&vif, PENDING, true, next, 41);
				equal(virt_irq(&vif), (next & mask) < (running & mask));
			}
}

/* The same split is one lower in BPR0: 0 leaves seven bits, where BPR1 has 1. */
static void group_0_has_its_own_binary_point_which_cbpr_shares(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	set_icc(&vif, SR_ICC_BPR0_EL1, 5);
	set_icc(&vif, SR_ICC_BPR1_EL1, 3);
	vif.lr[0] = make_lr(&vif, PENDING, false, 0x70, 40);
	vif.lr[1] = make_lr(&vif, PENDING, true, 0x38, 41);
	vif.lr[2] = make_lr(&vif, PENDING, true, 0x30, 42);
	equal(icc(&vif, SR_ICC_IAR1_EL1), 42);
	equal(icc(&vif, SR_ICC_RPR_EL1), 0x30);
	set_icc(&vif, SR_ICC_EOIR1_EL1, 42);
	set_icc(&vif, SR_ICC_CTLR_EL1, 1);
	equal(icc(&vif, SR_ICC_BPR1_EL1), 6);
	set_icc(&vif, SR_ICC_BPR1_EL1, 3);	/* ignored */
	equal(icc(&vif, SR_ICC_IAR1_EL1), 41);
	equal(icc(&vif, SR_ICC_RPR_EL1), 0);
	set_icc(&vif, SR_ICC_EOIR1_EL1, 41);
	equal(icc(&vif, SR_ICC_IAR0_EL1), 40);
	equal(icc(&vif, SR_ICC_RPR_EL1), 0x40);
	set_icc(&vif, SR_ICC_EOIR0_EL1, 40);
	set_icc(&vif, SR_ICC_BPR0_EL1, 7);
	equal(icc(&vif, SR_ICC_BPR1_EL1), 7);
	set_icc(&vif, SR_ICC_CTLR_EL1, 0);
	equal(icc(&vif, SR_ICC_BPR1_EL1), 3);
}

/* A bit a level of preemption, in 1, 2 or 4 registers of each group; the others are not there. */
static void active_priorities_fill_as_many_registers_as_bits_need(void)
{
	for (uint32_t bits = 5; bits <= 7; bits++)
		for (uint32_t level = 0; level < 1u << bits; level++) {
			struct virt_cpuif vif = make_vif(V3, 1, bits);
			uint32_t priority = level << (8 - bits);
			uint64_t value;

			set_icc(&vif, SR_ICC_BPR1_EL1, 0);
			virt_cpuif_write_vmcr(&vif, vif.vmcr | 0xffu << ICH_VMCR_PMR_SHIFT);
			vif.lr[0] = make_lr(&vif, PENDING, true, priority, 40);
			equal(icc(&vif, SR_ICC_IAR1_EL1), 40);
			for (unsigned int i = 0; i < 4; i++) {
				bool there = i < 1u << (bits - 5);

				equal(icv_read(&vif, SR_ICC_AP1R0_EL1 + i, &value), there ? 0 : -ENOENT);
				equal(icv_write(&vif, SR_ICC_AP0R0_EL1 + i, 0), there ? 0 : -ENOENT);
				if (there)
					equal(value, level / 32 == i ? 1u << level % 32 : 0);
			}
			equal(icc(&vif, SR_ICC_RPR_EL1), priority);
		}
}

static void nested_interrupts_end_in_turn(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	for (unsigned int n = 0; n < 4; n++) {
		vif.lr[n] = make_lr(&vif, PENDING, n & 1, 0x80 - 0x20 * n, 40 + n);
		equal(icc(&vif, n & 1 ? SR_ICC_IAR1_EL1 : SR_ICC_IAR0_EL1), 40 + n);
	}
	equal(vif.ap0r[0], 1u << 16 | 1u << 8);
	equal(vif.ap1r[0], 1u << 12 | 1u << 4);
	for (unsigned int n = 4; n--;) {
		equal(icc(&vif, SR_ICC_RPR_EL1), 0x80 - 0x20 * n);
		set_icc(&vif, n & 1 ? SR_ICC_EOIR1_EL1 : SR_ICC_EOIR0_EL1, 40 + n);
		equal(lr_state(&vif, n), INVALID);
	}
	equal(icc(&vif, SR_ICC_RPR_EL1), 0xff);
}

/* EOImode 1: EOIR drops the priority, DIR deactivates, in any order of interrupts. */
static void priority_drop_and_deactivation_come_apart(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	set_icc(&vif, SR_ICC_CTLR_EL1, 2);
	equal(icc(&vif, SR_ICC_CTLR_EL1) & 3, 2);
	vif.lr[0] = make_lr(&vif, PENDING, true, 0x80, 40);
	vif.lr[1] = make_lr(&vif, PENDING, true, 0x90, 41);
	equal(icc(&vif, SR_ICC_IAR1_EL1), 40);
	set_icc(&vif, SR_ICC_EOIR1_EL1, 40);
	equal(lr_state(&vif, 0), ACTIVE);
	equal(icc(&vif, SR_ICC_RPR_EL1), 0xff);
	equal(icc(&vif, SR_ICC_IAR1_EL1), 41);
	set_icc(&vif, SR_ICC_DIR_EL1, 40);
	equal(lr_state(&vif, 0), INVALID);
	equal(icc(&vif, SR_ICC_RPR_EL1), 0x90);
	set_icc(&vif, SR_ICC_EOIR1_EL1, 41);
	set_icc(&vif, SR_ICC_DIR_EL1, 41);
	equal(lr_state(&vif, 1), INVALID);
}

static void with_eoimode_0_a_write_to_dir_is_ignored(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	vif.lr[0] = make_lr(&vif, ACTIVE, true, 0x80, 40);
	set_icc(&vif, SR_ICC_DIR_EL1, 40);
	set_icc(&vif, SR_ICC_DIR_EL1, 41);
	equal(lr_state(&vif, 0), ACTIVE);
	equal(vif.hcr, ICH_HCR_EN);
}

static void pending_and_active_ends_as_pending(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	vif.lr[0] = make_lr(&vif, PENDING, true, 0x80, 40);
	equal(icc(&vif, SR_ICC_IAR1_EL1), 40);
	vif.lr[0] |= ICH_LR_PENDING;
	ok(!virt_irq(&vif));
	equal(icc(&vif, SR_ICC_HPPIR1_EL1), INTID_SPURIOUS);
	set_icc(&vif, SR_ICC_EOIR1_EL1, 40);
	equal(lr_state(&vif, 0), PENDING);
	equal(icc(&vif, SR_ICC_IAR1_EL1), 40);
}

/* ICH_HCR_EL2.EOIcount: what ended though it is in no list register. */
static void eoicount_counts_what_is_in_no_list_register(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	virt_cpuif_write_hcr(&vif, ICH_HCR_EN | ICH_HCR_LRENPIE);
	set_icc(&vif, SR_ICC_EOIR1_EL1, 40);
	equal(vif.hcr >> ICH_HCR_EOICOUNT_SHIFT, 0);	/* no priority was active */
	for (unsigned int i = 1; i < 40; i++) {
		vif.ap1r[0] = 1u << 16;
		set_icc(&vif, SR_ICC_EOIR1_EL1, 40);
		equal(vif.ap1r[0], 0);
		equal(vif.hcr >> ICH_HCR_EOICOUNT_SHIFT, i % 32);
		equal(virt_cpuif_misr(&vif), i % 32 ? ICH_MISR_LRENP : 0);
	}
	equal(vif.hcr & ~ICH_HCR_EOICOUNT_MASK, ICH_HCR_EN | ICH_HCR_LRENPIE);
}

static void with_eoimode_1_eoicount_counts_deactivations(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	set_icc(&vif, SR_ICC_CTLR_EL1, 2);
	vif.ap1r[0] = 1u << 16;
	set_icc(&vif, SR_ICC_EOIR1_EL1, 40);
	equal(vif.ap1r[0], 0);
	equal(vif.hcr >> ICH_HCR_EOICOUNT_SHIFT, 0);
	set_icc(&vif, SR_ICC_DIR_EL1, 40);
	equal(vif.hcr >> ICH_HCR_EOICOUNT_SHIFT, 1);
}

/* LPIs have no active state to be ended apart: priority drop ends them in either mode, and none is counted. */
static void an_lpi_ends_with_its_priority(void)
{
	for (uint64_t mode = 0; mode < 4; mode += 2) {
		struct virt_cpuif vif = make_vif(V3, 4, 5);

		set_icc(&vif, SR_ICC_CTLR_EL1, mode);
		vif.lr[0] = make_lr(&vif, PENDING, true, 0x80, 8192);
		equal(icc(&vif, SR_ICC_IAR1_EL1), 8192);
		equal(icc(&vif, SR_ICC_RPR_EL1), 0x80);
		set_icc(&vif, SR_ICC_EOIR1_EL1, 8192);
		equal(lr_state(&vif, 0), INVALID);
		vif.ap1r[0] = 1u << 16;
		set_icc(&vif, SR_ICC_EOIR1_EL1, 8193);
		set_icc(&vif, SR_ICC_DIR_EL1, 8193);
		equal(vif.ap1r[0], 0);
		equal(vif.hcr >> ICH_HCR_EOICOUNT_SHIFT, 0);
	}
}

static void special_intids_are_ignored_where_written(void)
{
	for (uint64_t intid = 1020; intid < 1024; intid++) {
		struct virt_cpuif vif = make_vif(V3, 4, 5);

		set_icc(&vif, SR_ICC_CTLR_EL1, 2);
		vif.ap1r[0] = 1u << 16;
		set_icc(&vif, SR_ICC_EOIR1_EL1, intid);
		set_icc(&vif, SR_ICC_EOIR0_EL1, intid);
		set_icc(&vif, SR_ICC_DIR_EL1, intid);
		equal(vif.ap1r[0], 1u << 16);
		equal(vif.hcr, ICH_HCR_EN);
	}
}

/* UNPREDICTABLE by the manual: priority is dropped all the same, and the interrupt stays active. */
static void ending_with_the_other_groups_register_does_not_deactivate(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	vif.lr[0] = make_lr(&vif, PENDING, true, 0x80, 40);
	equal(icc(&vif, SR_ICC_IAR1_EL1), 40);
	set_icc(&vif, SR_ICC_EOIR0_EL1, 40);
	equal(lr_state(&vif, 0), ACTIVE);
	equal(vif.ap1r[0], 0);
	equal(vif.hcr, ICH_HCR_EN);
}

static void eoi_maintenance_is_told_when_it_ends(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	vif.lr[2] = make_lr(&vif, PENDING, true, 0x80, 40) | ICH_LR_EOI;
	equal(icc(&vif, SR_ICC_IAR1_EL1), 40);
	equal(virt_cpuif_misr(&vif), 0);
	set_icc(&vif, SR_ICC_EOIR1_EL1, 40);
	equal(virt_cpuif_eisr(&vif), 4);
	equal(virt_cpuif_misr(&vif), ICH_MISR_EOI);
	ok(virt_cpuif_maintenance(&vif));
}

/*
 * Which registers there are.
 */

static void each_register_is_read_or_written_as_it_may_be(void)
{
	static const struct {
		enum sysreg reg;
		bool readable, writable;
	} rows[] = {
		{ SR_ICC_PMR_EL1, true, true }, { SR_ICC_IAR0_EL1, true, false }, { SR_ICC_IAR1_EL1, true, false },
		{ SR_ICC_EOIR0_EL1, false, true }, { SR_ICC_EOIR1_EL1, false, true },
		{ SR_ICC_HPPIR0_EL1, true, false }, { SR_ICC_HPPIR1_EL1, true, false },
		{ SR_ICC_BPR0_EL1, true, true }, { SR_ICC_BPR1_EL1, true, true }, { SR_ICC_AP0R0_EL1, true, true },
		{ SR_ICC_AP1R0_EL1, true, true }, { SR_ICC_DIR_EL1, false, true }, { SR_ICC_RPR_EL1, true, false },
		{ SR_ICC_CTLR_EL1, true, true }, { SR_ICC_SRE_EL1, true, true }, { SR_ICC_IGRPEN0_EL1, true, true },
		{ SR_ICC_IGRPEN1_EL1, true, true }, { SR_ICC_SGI1R_EL1, false, false }, { SR_ICC_SRE_EL2, false, false },
		{ SR_ICH_HCR_EL2, false, false }, { SR_SCTLR_EL1, false, false },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct virt_cpuif vif = make_vif(V3, 4, 5);
		uint64_t value;

		equal(icv_read(&vif, rows[i].reg, &value), rows[i].readable ? 0 : -ENOENT);
		equal(icv_write(&vif, rows[i].reg, 0), rows[i].writable ? 0 : -ENOENT);
	}
}

static void traps_are_asked_for_by_hcr(void)
{
	static const struct {
		enum sysreg reg;
		uint32_t by;
	} rows[] = {
		{ SR_ICC_PMR_EL1, ICH_HCR_TC }, { SR_ICC_RPR_EL1, ICH_HCR_TC }, { SR_ICC_CTLR_EL1, ICH_HCR_TC },
		{ SR_ICC_DIR_EL1, ICH_HCR_TC | ICH_HCR_TDIR }, { SR_ICC_IAR0_EL1, ICH_HCR_TALL0 },
		{ SR_ICC_AP0R2_EL1, ICH_HCR_TALL0 }, { SR_ICC_IGRPEN0_EL1, ICH_HCR_TALL0 },
		{ SR_ICC_EOIR1_EL1, ICH_HCR_TALL1 }, { SR_ICC_BPR1_EL1, ICH_HCR_TALL1 },
		{ SR_ICC_IGRPEN1_EL1, ICH_HCR_TALL1 },
	};
	static const uint32_t all[] = { ICH_HCR_TC, ICH_HCR_TALL0, ICH_HCR_TALL1, ICH_HCR_TDIR, ICH_HCR_TSEI };
	struct virt_cpuif vif = make_vif(V3_COMPAT, 4, 5);

	ok(!icv_traps(&vif, SR_ICC_SGI1R_EL1, true));	/* UNDEFINED */
	vif = make_vif(V3, 4, 5);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned int j = 0; j < sizeof(all) / sizeof(all[0]); j++) {
			virt_cpuif_write_hcr(&vif, ICH_HCR_EN | all[j]);
			equal(icv_traps(&vif, rows[i].reg, true), !!(rows[i].by & all[j]));
		}
	ok(icv_traps(&vif, SR_ICC_SGI1R_EL1, true) && icv_traps(&vif, SR_ICC_SGI0R_EL1, true));
	ok(!icv_traps(&vif, SR_ICC_SRE_EL1, false));
	virt_cpuif_write_sre_el2(&vif, 0);
	equal(virt_cpuif_read_sre_el2(&vif), 7);
	ok(!icv_traps(&vif, SR_ICC_SRE_EL1, false));
	virt_cpuif_isb(&vif);
	ok(icv_traps(&vif, SR_ICC_SRE_EL1, false));
}

int main(void)
{
	run(acknowledging_makes_active_and_ending_makes_empty);
	run(group_0_is_a_fiq);
	run(nothing_is_signalled_while_disabled_or_masked);
	run(the_highest_priority_is_taken_first_whatever_its_list_register);
	run(of_equal_priorities_the_first_list_register_is_taken);
	run(the_lowest_priority_of_all_is_never_signalled);
	run(preemption_is_by_group_priority);
	run(group_0_has_its_own_binary_point_which_cbpr_shares);
	run(active_priorities_fill_as_many_registers_as_bits_need);
	run(nested_interrupts_end_in_turn);
	run(priority_drop_and_deactivation_come_apart);
	run(with_eoimode_0_a_write_to_dir_is_ignored);
	run(pending_and_active_ends_as_pending);
	run(eoicount_counts_what_is_in_no_list_register);
	run(with_eoimode_1_eoicount_counts_deactivations);
	run(an_lpi_ends_with_its_priority);
	run(special_intids_are_ignored_where_written);
	run(ending_with_the_other_groups_register_does_not_deactivate);
	run(eoi_maintenance_is_told_when_it_ends);
	run(each_register_is_read_or_written_as_it_may_be);
	run(traps_are_asked_for_by_hcr);
	return check_done();
}
