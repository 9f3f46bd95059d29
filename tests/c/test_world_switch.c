/* SPDX-License-Identifier: MIT */
/*
 * The world switch: whichever way list registers are kept, what is saved comes back. Part of the tests.
 *
 * Random legal contents of the virtual CPU interface are moved out of one physical CPU and into another, in each of the
 * three ways, with a guest that takes and ends interrupts in between.
 */
#include "../../csrc/switch/switch.h"
#include "vif.h"

#define ROUNDS 20000
#define GUEST_STEPS 6

static uint64_t seed = 88172645463325252ull;

static uint32_t random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 32) * n >> 32);
}

/* What a hypervisor has in memory, without any order of list registers. */
struct image {
	uint32_t hcr, vmcr, misr, sre, ap0r[4], ap1r[4], used_lrs;
	uint64_t eisr, elrsr, lr[MAX_LRS];
};

static struct cpu_if store(const struct image *image, enum lr_storage storage)
{
	struct cpu_if cpu_if = {
		.hcr = image->hcr, .vmcr = image->vmcr, .misr = image->misr, .sre = image->sre, .eisr = image->eisr,
		.elrsr = image->elrsr, .used_lrs = image->used_lrs,
	};

	memcpy(cpu_if.ap0r, image->ap0r, sizeof(image->ap0r));
	memcpy(cpu_if.ap1r, image->ap1r, sizeof(image->ap1r));
	for (unsigned int n = 0; n < MAX_LRS; n++)
		cpu_if.lr[lr_slot(storage, n)] = image->lr[n];
	return cpu_if;
}

static struct image load(const struct cpu_if *cpu_if, enum lr_storage storage)
{
	struct image image = {
		.hcr = cpu_if->hcr, .vmcr = cpu_if->vmcr, .misr = cpu_if->misr, .sre = cpu_if->sre, .eisr = cpu_if->eisr,
		.elrsr = cpu_if->elrsr, .used_lrs = cpu_if->used_lrs,
	};

	memcpy(image.ap0r, cpu_if->ap0r, sizeof(image.ap0r));
	memcpy(image.ap1r, cpu_if->ap1r, sizeof(image.ap1r));
	for (unsigned int n = 0; n < MAX_LRS; n++)
		image.lr[n] = cpu_if->lr[lr_slot(storage, n)];
	return image;
}

static bool same_image(const struct image *a, const struct image *b)
{
	return !memcmp(a->ap0r, b->ap0r, sizeof(a->ap0r)) && !memcmp(a->ap1r, b->ap1r, sizeof(a->ap1r)) &&
	       !memcmp(a->lr, b->lr, sizeof(a->lr)) && a->hcr == b->hcr && a->vmcr == b->vmcr && a->misr == b->misr &&
	       a->sre == b->sre && a->eisr == b->eisr && a->elrsr == b->elrsr && a->used_lrs == b->used_lrs;
}

/* What the hypervisor and the guest can see of an interface. */
static bool same_hardware(const struct virt_cpuif *a, const struct virt_cpuif *b)
{
	return !memcmp(a->ap0r, b->ap0r, sizeof(a->ap0r)) && !memcmp(a->ap1r, b->ap1r, sizeof(a->ap1r)) &&
	       !memcmp(a->lr, b->lr, sizeof(a->lr)) && a->hcr == b->hcr && a->vmcr == b->vmcr &&
	       a->sre_written == b->sre_written && a->sre == b->sre && a->sre_el2_written == b->sre_el2_written &&
	       a->gicv_stores == b->gicv_stores;
}

static uint64_t random_lr(const struct virt_cpuif *vif, uint32_t vintid)
{
	uint32_t state = random_below(4), priority = random_below(256) & 0xf8;

	if (random_below(4) == 0)
		return make_hw_lr(vif, state & 1 ? PENDING : state, random_below(2), priority, vintid, vintid);
	return make_lr(vif, state, random_below(2), priority, vintid) |
	       (random_below(2) ? (vif->v2 ? (uint64_t)GICH_LR_EOI : ICH_LR_EOI) : 0);
}

static struct virt_cpuif fresh_vif(enum kind kind, uint32_t nr_lr, uint32_t bits)
{
	struct kvmemu_host host = test_host(kind, nr_lr, bits);
	struct virt_cpuif vif;

	virt_cpuif_init(&vif, &host, NULL);
	return vif;
}

/* As flush leaves it: list registers from 0 on are filled, the others are zero. */
static struct image random_image(enum kind kind, const struct virt_cpuif *vif)
{
	struct image image = {
		.hcr = ICH_HCR_EN | (random_below(2) ? random_below(128) << 1 : 0), .sre = kind == V3 ? ICC_SRE_SRE : 0,
		.vmcr = random_below(UINT32_MAX), .used_lrs = random_below(vif->nr_lr + 1u),
	};

	for (unsigned int n = 0; n < image.used_lrs; n++)
		image.lr[n] = random_lr(vif, 32 + n);
	for (unsigned int i = 0; i < vif->nr_apr; i++) {
		image.ap0r[i] = random_below(UINT32_MAX);
		image.ap1r[i] = kind == V2 ? 0 : random_below(UINT32_MAX);
	}
	return image;
}

/* The same steps for a given seed. */
static void run_guest(struct virt_cpuif *vif)
{
	for (unsigned int step = random_below(GUEST_STEPS); step; step--) {
		int n = virt_cpuif_highest_pending(vif);

		if (n >= 0 && random_below(2))
			virt_cpuif_acknowledge(vif, n);
		else
			virt_cpuif_end(vif, 32 + random_below(vif->nr_lr), VIRT_GROUP0 | VIRT_GROUP1);
	}
	vif->gicv_stores = !(vif->sre & ICC_SRE_SRE) && random_below(2);
}

/* In, a guest, out, and in again elsewhere; and another vCPU in its place. */
struct trip {
	struct virt_cpuif entered, left, elsewhere, other_entered;
	struct image saved;
};

static struct trip travel(const struct image *image, const struct image *other, const struct virt_cpuif *vif,
			  enum lr_storage storage)
{
	const struct world_switch *ws = vif->v2 ? &world_switch_v2[storage] : &world_switch_v3[storage];
	struct cpu_if cpu_if = store(image, storage), other_cpu_if = store(other, storage);
	struct trip trip = { .entered = *vif, .elsewhere = *vif };

	ws->restore(&cpu_if, &trip.entered);
	trip.left = trip.entered;
	run_guest(&trip.left);
	ws->save(&cpu_if, &trip.left);
	trip.saved = load(&cpu_if, storage);
	ws->restore(&cpu_if, &trip.elsewhere);
	trip.other_entered = trip.left;
	ws->restore(&other_cpu_if, &trip.other_entered);
	return trip;
}

static bool check_trip(const struct image *image, const struct image *other, const struct virt_cpuif *vif)
{
	struct trip trip[NR_LR_STORAGES];
	uint64_t start = seed;
	bool good = true;

	for (enum lr_storage storage = 0; storage < NR_LR_STORAGES; storage++) {
		seed = start;
		trip[storage] = travel(image, other, vif, storage);
		good &= equal(trip[storage].left.hcr, 0);
		good &= ok(same_hardware(&trip[storage].entered, &trip[LRS_REVERSE].entered));
		good &= ok(same_hardware(&trip[storage].elsewhere, &trip[LRS_REVERSE].elsewhere));
		good &= ok(same_hardware(&trip[storage].other_entered, &trip[LRS_REVERSE].other_entered));
		good &= ok(same_image(&trip[storage].saved, &trip[LRS_REVERSE].saved));
	}
	return good;
}

static void check_kind(enum kind kind)
{
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct virt_cpuif vif = fresh_vif(kind, 1 + round % 16, kind == V2 ? 5 : 5 + random_below(3));
		struct image image = random_image(kind, &vif), other = random_image(kind, &vif);
		uint64_t start = seed;

		if (!check_trip(&image, &other, &vif)) {
			printf("# kind %d, %u list registers, seed %llu\n", kind, vif.nr_lr, (unsigned long long)start);
			return;
		}
	}
}

static void every_way_of_keeping_list_registers_gives_the_same_state_on_gicv3(void)
{
	check_kind(V3);
}

static void every_way_gives_the_same_state_for_a_gicv2_guest_of_a_gicv3(void)
{
	check_kind(V3_COMPAT);
}

static void every_way_gives_the_same_state_on_gicv2(void)
{
	check_kind(V2);
}

/* What is saved is what was there, and what is restored is what was saved. */
static void what_is_restored_is_saved_again(void)
{
	for (unsigned int round = 0; round < ROUNDS; round++)
		for (enum kind kind = V3; kind <= V2; kind++) {
			struct virt_cpuif vif = fresh_vif(kind, 1 + round % 16, kind == V2 ? 5 : 5 + round % 3);
			const struct world_switch *ws = kind == V2 ? world_switch_v2 : world_switch_v3;
			struct image image = random_image(kind, &vif), saved;
			struct cpu_if cpu_if = store(&image, LRS_REVERSE);
			struct virt_cpuif_status status;

			ws->restore(&cpu_if, &vif);
			status = virt_cpuif_status(&vif);
			image.vmcr = vif.vmcr;	/* without bits that do not exist */
			image.misr = status.misr;
			image.eisr = status.eisr;
			image.elrsr = status.elrsr;
			equal(vif.hcr, image.hcr & vif.hcr_mask);
			ok(!memcmp(vif.lr, image.lr, sizeof(vif.lr)));
			ws->save(&cpu_if, &vif);
			saved = load(&cpu_if, LRS_REVERSE);
			if (!ok(same_image(&saved, &image)))
				return;
		}
}

/* In memory ICH_LR<n>_EL2 is in lr[15 - n], however many there are: what the structure's comment says. */
static void list_registers_are_kept_in_reverse(void)
{
	for (unsigned int nr = 1; nr <= MAX_LRS; nr++) {
		struct virt_cpuif vif = fresh_vif(V3, nr, 5);
		struct cpu_if cpu_if = { .sre = ICC_SRE_SRE };

		for (unsigned int n = 0; n < nr; n++)
			vif.lr[n] = make_lr(&vif, PENDING, true, 0, 32 + n);
		world_switch_v3[LRS_REVERSE].save(&cpu_if, &vif);
		for (unsigned int n = 0; n < MAX_LRS; n++) {
			equal(cpu_if.lr[15 - n], n < nr ? make_lr(&vif, PENDING, true, 0, 32 + n) : 0);
			equal(*cpu_if_lr(&cpu_if, n), cpu_if.lr[15 - n]);
		}
	}
}

/* The active priorities that there are by priority bits: 1, 2 or 4 of each group. */
static void active_priorities_are_moved_by_priority_bits(void)
{
	for (uint32_t bits = 5; bits <= 7; bits++) {
		struct virt_cpuif vif = fresh_vif(V3, 4, bits);
		struct cpu_if cpu_if = { .sre = ICC_SRE_SRE };

		memset(vif.ap0r, 0xff, sizeof(vif.ap0r));
		memset(vif.ap1r, 0xff, sizeof(vif.ap1r));
		world_switch_v3[LRS_REVERSE].save(&cpu_if, &vif);
		for (unsigned int i = 0; i < 4; i++) {
			equal(cpu_if.ap0r[i], i < 1u << (bits - 5) ? UINT32_MAX : 0);
			equal(cpu_if.ap1r[i], i < 1u << (bits - 5) ? UINT32_MAX : 0);
		}
	}
}

/* The host has its system registers between guests, whatever the guest has. */
static void system_registers_are_the_hosts_outside(void)
{
	for (enum kind kind = V3; kind <= V3_COMPAT; kind++) {
		struct virt_cpuif vif = fresh_vif(kind, 4, 5);
		struct cpu_if cpu_if = { .hcr = ICH_HCR_EN, .sre = kind == V3 ? ICC_SRE_SRE : 0 };

		world_switch_v3[LRS_REVERSE].restore(&cpu_if, &vif);
		equal(vif.sre & ICC_SRE_SRE, cpu_if.sre);
		equal(virt_cpuif_read_sre_el2(&vif) & ICC_SRE_EL2_ENABLE, 0);
		vif.gicv_stores = kind == V3_COMPAT;
		world_switch_v3[LRS_REVERSE].save(&cpu_if, &vif);
		ok(!vif.gicv_stores);
		equal(virt_cpuif_read_sre_el1(&vif) & ICC_SRE_SRE, ICC_SRE_SRE);
		equal(virt_cpuif_read_sre_el2(&vif) & ICC_SRE_EL2_ENABLE, ICC_SRE_EL2_ENABLE);
	}
}

int main(void)
{
	run(every_way_of_keeping_list_registers_gives_the_same_state_on_gicv3);
	run(every_way_gives_the_same_state_for_a_gicv2_guest_of_a_gicv3);
	run(every_way_gives_the_same_state_on_gicv2);
	run(what_is_restored_is_saved_again);
	run(list_registers_are_kept_in_reverse);
	run(active_priorities_are_moved_by_priority_bits);
	run(system_registers_are_the_hosts_outside);
	return check_done();
}
