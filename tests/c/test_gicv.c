/* SPDX-License-Identifier: MIT */
/*
 * A guest with the GICV frame, on a GICv2 and on a GICv3 with compatibility, by the architecture's rules, one a test.
 * Source: Arm IHI 0048, 3.2, 3.3 and 5.5; Arm IHI 0069, 12.9. Part of the tests.
 */
#include "vif.h"

#define ACKCTL 4
#define FIQEN 8
#define CBPR 0x10
#define EOIMODE 0x200

static const enum kind kinds[] = { V2, V3_COMPAT };

#define EACH_KIND (unsigned int k_ = 0; k_ < 2; k_++)
#define KIND kinds[k_]

static uint32_t active(const struct virt_cpuif *vif)
{
	equal(vif->v2 ? vif->ap1r[0] : vif->ap0r[0], 0);
	return vif->v2 ? vif->ap0r[0] : vif->ap1r[0];
}

static void group_0_is_an_irq_unless_fiqen(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		vif.lr[0] = make_lr(&vif, PENDING, false, 0xa0, 40);
		ok(virt_irq(&vif) && !virt_fiq(&vif));
		gicv_write(&vif, GICV_CTLR, 3 | FIQEN);
		ok(!virt_irq(&vif) && virt_fiq(&vif));
		vif.lr[0] = make_lr(&vif, PENDING, true, 0xa0, 40);
		ok(virt_irq(&vif) && !virt_fiq(&vif));
	}
}

static void iar_and_eoir_are_for_group_0(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		vif.lr[1] = make_lr(&vif, PENDING, false, 0xa0, 40);
		equal(gicv_read(&vif, GICV_AIAR), INTID_SPURIOUS);
		equal(gicv_read(&vif, GICV_AHPPIR), INTID_SPURIOUS);
		equal(gicv_read(&vif, GICV_HPPIR), 40);
		equal(gicv_read(&vif, GICV_RPR), 0xff);
		equal(gicv_read(&vif, GICV_IAR), 40);
		equal(lr_state(&vif, 1), ACTIVE);
		equal(gicv_read(&vif, GICV_RPR), 0xa0);
		equal(active(&vif), 1u << (0xa0 >> 3));
		equal(gicv_read(&vif, GICV_APR0), 1u << (0xa0 >> 3));
		equal(gicv_read(&vif, GICV_IAR), INTID_SPURIOUS);
		gicv_write(&vif, GICV_EOIR, 40);
		equal(lr_state(&vif, 1), INVALID);
		equal(active(&vif), 0);
	}
}

static void group_1_answers_1022_without_ackctl(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		vif.lr[1] = make_lr(&vif, PENDING, true, 0xa0, 40);
		equal(gicv_read(&vif, GICV_IAR), INTID_GROUP1);
		equal(gicv_read(&vif, GICV_HPPIR), INTID_GROUP1);
		equal(lr_state(&vif, 1), PENDING);
		equal(gicv_read(&vif, GICV_AHPPIR), 40);
		equal(gicv_read(&vif, GICV_AIAR), 40);
		equal(active(&vif), 1u << (0xa0 >> 3));
		gicv_write(&vif, GICV_AEOIR, 40);
		equal(lr_state(&vif, 1), INVALID);
		vif.lr[1] = make_lr(&vif, PENDING, true, 0xa0, 40);
		gicv_write(&vif, GICV_CTLR, 3 | ACKCTL);
		equal(gicv_read(&vif, GICV_HPPIR), 40);
		equal(gicv_read(&vif, GICV_IAR), 40);
		gicv_write(&vif, GICV_EOIR, 40);
		equal(lr_state(&vif, 1), INVALID);
	}
}

static void what_is_not_to_be_signalled_is_spurious_not_1022(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		vif.lr[1] = make_lr(&vif, PENDING, true, 0xa0, 40);
		gicv_write(&vif, GICV_PMR, 0xa0);
		equal(gicv_read(&vif, GICV_IAR), INTID_SPURIOUS);
		equal(gicv_read(&vif, GICV_AIAR), INTID_SPURIOUS);
		equal(gicv_read(&vif, GICV_HPPIR), INTID_SPURIOUS);
		equal(gicv_read(&vif, GICV_AHPPIR), INTID_SPURIOUS);
		gicv_write(&vif, GICV_PMR, 0xff);
		gicv_write(&vif, GICV_CTLR, 1);
		equal(gicv_read(&vif, GICV_IAR), INTID_SPURIOUS);
		gicv_write(&vif, GICV_CTLR, 3);
		virt_cpuif_write_hcr(&vif, 0);
		equal(gicv_read(&vif, GICV_IAR), INTID_SPURIOUS);
	}
}

/* What comes first is chosen before groups are looked at: IHI 0048. A GICv3 looks at them first: IHI 0069. */
static void a_disabled_group_hides_what_is_below_it_on_a_gicv2_only(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		vif.lr[0] = make_lr(&vif, PENDING, true, 0x80, 40);
		vif.lr[1] = make_lr(&vif, PENDING, false, 0xa0, 41);
		gicv_write(&vif, GICV_CTLR, 1);
		equal(virt_irq(&vif), !vif.v2);
		equal(gicv_read(&vif, GICV_HPPIR), vif.v2 ? INTID_SPURIOUS : 41);
		equal(gicv_read(&vif, GICV_IAR), vif.v2 ? INTID_SPURIOUS : 41);
	}
}

/* Bits 12:10 are the sender; two senders of one SGI are two interrupts. */
static void an_sgi_comes_with_its_sender(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		vif.lr[0] = make_lr(&vif, PENDING, false, 0x80, 3 | 5 << 10);
		vif.lr[1] = make_lr(&vif, PENDING, false, 0x70, 3 | 2 << 10);
		equal(gicv_read(&vif, GICV_HPPIR), 3 | 2 << 10);
		equal(gicv_read(&vif, GICV_IAR), 3 | 2 << 10);
		gicv_write(&vif, GICV_EOIR, 3 | 2 << 10);
		equal(lr_state(&vif, 1), INVALID);
		equal(gicv_read(&vif, GICV_IAR), 3 | 5 << 10);
		gicv_write(&vif, GICV_EOIR, 3 | 2 << 10);	/* the wrong one */
		equal(lr_state(&vif, 0), ACTIVE);
		equal(vif.hcr >> ICH_HCR_EOICOUNT_SHIFT, 1);
		gicv_write(&vif, GICV_CTLR, 3 | EOIMODE);
		gicv_write(&vif, GICV_DIR, 3 | 5 << 10);
		equal(lr_state(&vif, 0), INVALID);
	}
}

/* Of a hardware interrupt the same bits of the list register are the physical INTID. */
static void a_gicv2_list_register_with_hw_has_no_sender(void)
{
	struct virt_cpuif vif = make_vif(V2, 4, 5);

	vif.lr[0] = make_hw_lr(&vif, PENDING, false, 0x80, 7, 0x3f);
	equal(lr_pintid(&vif, vif.lr[0]), 0x3f);
	equal(gicv_read(&vif, GICV_IAR), 7);
}

static void ctlr_is_the_low_bits_of_vmcr(void)
{
	for EACH_KIND
		for (uint32_t value = 0; value < 0x800; value++) {
			struct virt_cpuif vif = make_vif(KIND, 4, 5);
			uint32_t before = vif.vmcr & ~0x21fu;

			gicv_write(&vif, GICV_CTLR, value);
			equal(gicv_read(&vif, GICV_CTLR), value & 0x21f);
			equal(vif.vmcr, before | (value & 0x21f));
		}
}

static void binary_points_and_mask_keep_to_the_bits_there_are(void)
{
	for EACH_KIND
		for (uint32_t value = 0; value < 0x100; value++) {
			struct virt_cpuif vif = make_vif(KIND, 4, 5);

			gicv_write(&vif, GICV_PMR, value);
			equal(gicv_read(&vif, GICV_PMR), value & 0xf8);
			gicv_write(&vif, GICV_BPR, value);
			equal(gicv_read(&vif, GICV_BPR), (value & 7) < 2 ? 2 : value & 7);
			gicv_write(&vif, GICV_ABPR, value);
			equal(gicv_read(&vif, GICV_ABPR), (value & 7) < 3 ? 3 : value & 7);
		}
}

/* Unlike ICC_BPR1, GICV_ABPR keeps its own value with CBPR: only preemption goes by the other. */
static void cbpr_makes_group_1_preempt_by_bpr(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		gicv_write(&vif, GICV_CTLR, 3 | ACKCTL);
		gicv_write(&vif, GICV_BPR, 5);
		gicv_write(&vif, GICV_ABPR, 3);
		vif.lr[0] = make_lr(&vif, PENDING, true, 0x38, 40);
		equal(gicv_read(&vif, GICV_IAR), 40);
		equal(gicv_read(&vif, GICV_RPR), 0x38);
		gicv_write(&vif, GICV_EOIR, 40);
		gicv_write(&vif, GICV_CTLR, 3 | ACKCTL | CBPR);
		equal(gicv_read(&vif, GICV_ABPR), 3);
		vif.lr[0] = make_lr(&vif, PENDING, true, 0x38, 40);
		equal(gicv_read(&vif, GICV_IAR), 40);
		equal(gicv_read(&vif, GICV_RPR), 0);
	}
}

static void dir_deactivates_only_with_eoimode_1(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		vif.lr[0] = make_lr(&vif, PENDING, false, 0x80, 40);
		equal(gicv_read(&vif, GICV_IAR), 40);
		gicv_write(&vif, GICV_DIR, 40);
		equal(lr_state(&vif, 0), ACTIVE);
		gicv_write(&vif, GICV_CTLR, 3 | EOIMODE);
		gicv_write(&vif, GICV_EOIR, 40);
		equal(active(&vif), 0);
		equal(lr_state(&vif, 0), ACTIVE);
		gicv_write(&vif, GICV_DIR, 40);
		equal(lr_state(&vif, 0), INVALID);
		equal(vif.hcr >> ICH_HCR_EOICOUNT_SHIFT, 0);
		gicv_write(&vif, GICV_DIR, 40);
		equal(vif.hcr >> ICH_HCR_EOICOUNT_SHIFT, 1);
	}
}

/* "EOIs that do not clear a bit in the Active Priorities register do not cause an increment": GICH_HCR, IHI 0048. */
static void eoicount_counts_only_what_clears_an_active_priority(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		gicv_write(&vif, GICV_EOIR, 40);
		equal(vif.hcr >> ICH_HCR_EOICOUNT_SHIFT, 0);
		gicv_write(&vif, GICV_APR0, 1u << 3 | 1u << 9);
		gicv_write(&vif, GICV_EOIR, 40);
		equal(gicv_read(&vif, GICV_APR0), 1u << 9);
		gicv_write(&vif, GICV_AEOIR, 40);
		equal(gicv_read(&vif, GICV_APR0), 0);
		equal(vif.hcr >> ICH_HCR_EOICOUNT_SHIFT, 2);
	}
}

static void the_frame_has_these_registers_and_no_others(void)
{
	static const uint32_t readable[] = {
		GICV_CTLR, GICV_PMR, GICV_BPR, GICV_IAR, GICV_RPR, GICV_HPPIR, GICV_ABPR, GICV_AIAR, GICV_AHPPIR,
		GICV_APR0, GICV_IIDR,
	};

	for EACH_KIND
		for (uint32_t offset = 0; offset < 0x2000; offset += 4) {
			struct virt_cpuif vif = make_vif(KIND, 4, 5);
			bool there = false;

			gicv_write(&vif, GICV_APR0, 1);
			for (unsigned int i = 0; i < sizeof(readable) / sizeof(readable[0]); i++)
				there |= readable[i] == offset;
			if (offset != GICV_RPR)	/* which is 0 now */
				equal(gicv_read(&vif, offset) != 0, there);
			if (!there && offset != GICV_EOIR && offset != GICV_AEOIR) {
				struct virt_cpuif before = vif;

				gicv_write(&vif, offset, ~0u);
				equal(memcmp(&before, &vif, sizeof(vif)), 0);
			}
		}
}

static void iidr_says_which_architecture(void)
{
	struct virt_cpuif v2 = make_vif(V2, 4, 5), compat = make_vif(V3_COMPAT, 4, 5);

	equal(gicv_read(&v2, GICV_IIDR), 0x2043b);
	equal(gicv_read(&compat, GICV_IIDR), 0x3043b);
}

/* GICv3: as many as bits of priority need, and they are those of group 1 whatever the group. */
static void a_compat_frame_has_up_to_four_active_priority_registers(void)
{
	for (uint32_t bits = 5; bits <= 7; bits++) {
		struct virt_cpuif vif = make_vif(V3_COMPAT, 1, bits);

		for (uint32_t i = 0; i < 4; i++) {
			bool there = i < 1u << (bits - 5);

			gicv_write(&vif, GICV_APR0 + 4 * i, 1u << i);
			equal(vif.ap1r[i], there ? 1u << i : 0);
			equal(gicv_read(&vif, GICV_APR0 + 4 * i), there ? 1u << i : 0);
			equal(vif.ap0r[i], 0);
		}
	}
}

/* What group 0 left active before counts for nothing where AP0R is not used. */
static void a_compat_frame_does_not_look_at_ap0r(void)
{
	struct virt_cpuif vif = make_vif(V3_COMPAT, 4, 5);

	vif.ap0r[0] = 1;
	vif.lr[0] = make_lr(&vif, PENDING, false, 0x80, 40);
	equal(gicv_read(&vif, GICV_RPR), 0xff);
	equal(gicv_read(&vif, GICV_IAR), 40);
	gicv_write(&vif, GICV_EOIR, 40);
	equal(vif.ap0r[0], 1);
}

static void with_system_registers_there_is_no_frame(void)
{
	struct virt_cpuif vif = make_vif(V3, 4, 5);

	vif.lr[0] = make_lr(&vif, PENDING, false, 0x80, 40);
	gicv_write(&vif, GICV_CTLR, 0);
	equal(vif.vmcr & 3, 3);
	for (uint32_t offset = 0; offset < 0x2000; offset += 4)
		equal(gicv_read(&vif, offset), 0);
	equal(lr_state(&vif, 0), PENDING);
}

/* Why a switch begins with a barrier. */
static void stores_to_the_frame_wait_for_dsb(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		gicv_read(&vif, GICV_HPPIR);
		ok(!vif.gicv_stores);
		gicv_write(&vif, GICV_PMR, 0x80);
		ok(vif.gicv_stores);
		virt_cpuif_dsb(&vif);
		ok(!vif.gicv_stores);
		gicv_read(&vif, GICV_IAR);
		ok(vif.gicv_stores);
	}
}

/* UNPREDICTABLE in either: on a GICv3 it stays active, on a GICv2 each interrupt ends by its number. */
static void ending_out_of_order(void)
{
	for EACH_KIND {
		struct virt_cpuif vif = make_vif(KIND, 4, 5);

		vif.lr[0] = make_lr(&vif, PENDING, false, 0x80, 40);
		equal(gicv_read(&vif, GICV_IAR), 40);
		vif.lr[1] = make_lr(&vif, PENDING, false, 0x40, 41);
		equal(gicv_read(&vif, GICV_IAR), 41);
		gicv_write(&vif, GICV_EOIR, 40);
		equal(active(&vif), 1u << (0x80 >> 3));
		equal(lr_state(&vif, 0), vif.v2 ? INVALID : ACTIVE);
	}
}

int main(void)
{
	run(group_0_is_an_irq_unless_fiqen);
	run(iar_and_eoir_are_for_group_0);
	run(group_1_answers_1022_without_ackctl);
	run(what_is_not_to_be_signalled_is_spurious_not_1022);
	run(a_disabled_group_hides_what_is_below_it_on_a_gicv2_only);
	run(an_sgi_comes_with_its_sender);
	run(a_gicv2_list_register_with_hw_has_no_sender);
	run(ctlr_is_the_low_bits_of_vmcr);
	run(binary_points_and_mask_keep_to_the_bits_there_are);
	run(cbpr_makes_group_1_preempt_by_bpr);
	run(dir_deactivates_only_with_eoimode_1);
	run(eoicount_counts_only_what_clears_an_active_priority);
	run(the_frame_has_these_registers_and_no_others);
	run(iidr_says_which_architecture);
	run(a_compat_frame_has_up_to_four_active_priority_registers);
	run(a_compat_frame_does_not_look_at_ap0r);
	run(with_system_registers_there_is_no_frame);
	run(stores_to_the_frame_wait_for_dsb);
	run(ending_out_of_order);
	return check_done();
}
