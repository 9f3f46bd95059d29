/* SPDX-License-Identifier: MIT */
/* The world switch by itself, and memcpy in its place. Looks inside switch and machine. */
#include "world_switch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../machine/host.h"
#include "../switch/switch.h"
#include "clock.h"

#define BATCH 64
#define NR_PAIRS 32	/* that together stay in a first-level cache of 32 KiB */
#define MAX_COPY 256
#define KNOWN_COPY 128
#define CLOCK_ROUNDS 1000
#define CLOCK_NS 10000000
#define SHIFTS 64
#define SHIFT_ROUNDS 32

_Static_assert((int)KVMEMU_BENCH_REVERSE == LRS_REVERSE && (int)KVMEMU_BENCH_ASCENDING == LRS_ASCENDING &&
	       (int)KVMEMU_BENCH_USED == LRS_USED, "one meaning, one number");

/* A vCPU's part, and the CPU that it is moved to and from. */
struct pair {
	union {
		struct cpu_if cpu_if;
		char bytes[MAX_COPY];
	} memory __attribute__((aligned(64)));
	union {
		struct virt_cpuif vif;
		char bytes[MAX_COPY];
	} hw __attribute__((aligned(64)));
};

/*
 * The clock.
 */

/* Both clocks at nearly the same time: of some pairs of readings, the one that took the least. */
static void read_clocks(uint64_t *ns, uint64_t *ticks)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 20; i++) {
		uint64_t before = ticks_now(), now = monotonic_ns(), after = ticks_now();

		if (after - before < least) {
			least = after - before;
			*ns = now;
			*ticks = before + least / 2;
		}
	}
}

/* What is between two readings with nothing between them. */
static double clock_cost(bool drains)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < CLOCK_ROUNDS; i++) {
		uint64_t begin = ticks_now(), ticks;

		if (drains)
			drain_stores();
		ticks = ticks_now() - begin;
		least = ticks < least ? ticks : least;
	}
	return (double)least;
}

/* The step that all differences between readings are multiples of: a clock may count in strides. */
static double clock_step(void)
{
	uint64_t step = 0, before = ticks_now();

	for (int i = 0; i < CLOCK_ROUNDS; i++) {
		uint64_t now = ticks_now(), a = step, b = now - before;

		while (b) {
			uint64_t rest = a % b;

			a = b;
			b = rest;
		}
		step = a;
		before = now;
	}
	return (double)step;
}

/* Cycles a tick: instructions of one cycle that wait for each other, as many as can be run without an interruption. */
static double cycles_a_tick(void)
{
	double cost = clock_cost(false), best = 0;

	for (int i = 0; i < CLOCK_ROUNDS; i++) {
		uint64_t x = 1, begin = ticks_now();
		double ticks;

		for (int k = 0; k < SHIFT_ROUNDS; k++)
#pragma GCC unroll 64
			for (int j = 0; j < SHIFTS; j++) {
				x = x << 1 | x >> 63;
				__asm__ volatile("" : "+r"(x));
			}
		ticks = (double)(ticks_now() - begin) - cost;
		if (ticks > 0 && SHIFTS * SHIFT_ROUNDS / ticks > best)
			best = SHIFTS * SHIFT_ROUNDS / ticks;
	}
	return best;
}

void kvmemu_bench_clock(struct kvmemu_bench_clock *clock)
{
	uint64_t ns, ticks, begin_ns, begin;

	read_clocks(&begin_ns, &begin);
	clock->name = CLOCK_NAME;
	clock->step = clock_step();
	clock->core_hz = cycles_a_tick();
	do {
		read_clocks(&ns, &ticks);
	} while (ns - begin_ns < CLOCK_NS);
	clock->hz = (double)(ticks - begin) * (double)NS_PER_SEC / (double)(ns - begin_ns);
	clock->core_hz *= clock->hz;
}

/*
 * What is measured: out of memory and back into it. kind is a constant wherever it stands below, so that each has loops of
 * its own, with nothing in them but what is measured.
 */
enum kind { SWITCH, COPY, COPY_KNOWN };

struct work {
	const struct world_switch *ws;
	size_t bytes;
	struct pair *pairs;
	double *ticks;
	size_t nr;
};

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void copy(enum kind kind, char *to, const char *from, size_t bytes)
{
	memcpy(to, from, kind == COPY_KNOWN ? KNOWN_COPY : bytes);
	__asm__ volatile("" : : "r"(to), "r"(from) : "memory");
}

ALWAYS_INLINE void restore(enum kind kind, const struct work *work, struct pair *pair)
{
	if (kind == SWITCH)
		work->ws->restore(&pair->memory.cpu_if, &pair->hw.vif);
	else
		copy(kind, pair->hw.bytes, pair->memory.bytes, work->bytes);
}

ALWAYS_INLINE void save(enum kind kind, const struct work *work, struct pair *pair)
{
	if (kind == SWITCH)
		work->ws->save(&pair->memory.cpu_if, &pair->hw.vif);
	else
		copy(kind, pair->memory.bytes, pair->hw.bytes, work->bytes);
}

ALWAYS_INLINE void time_both(enum kind kind, const struct work *work)
{
	double cost = clock_cost(false);

	for (size_t i = 0; i < work->nr; i++) {
		uint64_t begin = ticks_now();

		for (int k = 0; k < BATCH; k++) {
			restore(kind, work, work->pairs);
			save(kind, work, work->pairs);
		}
		work->ticks[i] = ((double)(ticks_now() - begin) - cost) / BATCH;
	}
}

ALWAYS_INLINE void time_one(enum kind kind, const struct work *work, bool saves)
{
	double cost = clock_cost(false);

	for (size_t i = 0; i < work->nr; i++) {
		uint64_t begin;

		for (int k = 0; k < NR_PAIRS; k++)
			saves ? restore(kind, work, &work->pairs[k]) : save(kind, work, &work->pairs[k]);
		drain_stores();
		begin = ticks_now();
		for (int k = 0; k < NR_PAIRS; k++)
			saves ? save(kind, work, &work->pairs[k]) : restore(kind, work, &work->pairs[k]);
		work->ticks[i] = ((double)(ticks_now() - begin) - cost) / NR_PAIRS;
	}
}

ALWAYS_INLINE int time_cold(enum kind kind, const struct work *work, bool saves)
{
	double cost = clock_cost(true);

	for (size_t i = 0; i < work->nr; i++) {
		struct pair *pair = &work->pairs[i % NR_PAIRS];
		uint64_t begin;

		saves ? restore(kind, work, pair) : save(kind, work, pair);
		if (!evict(&pair->memory, sizeof(pair->memory)))
			return -ENOTSUP;
		begin = ticks_now();
		saves ? save(kind, work, pair) : restore(kind, work, pair);
		drain_stores();
		work->ticks[i] = (double)(ticks_now() - begin) - cost;
	}
	return 0;
}

ALWAYS_INLINE int time_part(enum kind kind, const struct work *work, uint32_t part)
{
	switch (part) {
	case KVMEMU_BENCH_BOTH:
		time_both(kind, work);
		return 0;
	case KVMEMU_BENCH_SAVE:
	case KVMEMU_BENCH_RESTORE:
		time_one(kind, work, part == KVMEMU_BENCH_SAVE);
		return 0;
	case KVMEMU_BENCH_COLD_SAVE:
	case KVMEMU_BENCH_COLD_RESTORE:
		return time_cold(kind, work, part == KVMEMU_BENCH_COLD_SAVE);
	default:
		return -EINVAL;
	}
}

/*
 * A vCPU in the middle of its life: its interrupts pending, its interface on.
 */

static bool is_valid(const struct kvmemu_bench_switch *which)
{
	return (which->gic == 2 || which->gic == 3) && which->list_registers >= 1 &&
	       which->list_registers <= MAX_LRS && which->in_use <= which->list_registers &&
	       which->storage < NR_LR_STORAGES;
}

static void prepare(struct pair *pair, const struct kvmemu_bench_switch *which)
{
	struct kvmemu_host host = {
		.gic = { .version = which->gic, .list_registers = which->list_registers, .priority_bits = 5 },
	};
	struct cpu_if *cpu_if = &pair->memory.cpu_if;

	virt_cpuif_init(&pair->hw.vif, &host, NULL);
	*cpu_if = (struct cpu_if){
		.hcr = ICH_HCR_EN, .vmcr = ICH_VMCR_ENG1 | 0xf0u << ICH_VMCR_PMR_SHIFT, .used_lrs = which->in_use,
		.sre = which->gic == 3 ? ICC_SRE_SRE : 0,
	};
	for (unsigned int n = 0; n < which->in_use; n++) {
		struct lr lr = { .vintid = 32 + n, .priority = 0xa0, .pending = true, .group1 = true, .eoi = n & 1 };

		cpu_if->lr[lr_slot(which->storage, n)] = lr_encode(which->gic == 3 ? LR_ICH : LR_GICH, &lr);
	}
}

int kvmemu_bench_world_switch(const struct kvmemu_bench_switch *which, double *ticks, size_t nr)
{
	struct pair pairs[NR_PAIRS];
	struct work work = { .pairs = pairs, .ticks = ticks, .nr = nr };

	uint64_t lr[MAX_LRS];
	int err;

	if (!is_valid(which))
		return -EINVAL;
	work.ws = which->gic == 3 ? &world_switch_v3[which->storage] : &world_switch_v2[which->storage];
	for (int k = 0; k < NR_PAIRS; k++) {
		prepare(&pairs[k], which);
		memcpy(lr, pairs[k].memory.cpu_if.lr, sizeof(lr));
		restore(SWITCH, &work, &pairs[k]);
	}
	err = time_part(SWITCH, &work, which->part);
	/* No guest ran: what was there at the beginning must be there still. */
	restore(SWITCH, &work, pairs);
	save(SWITCH, &work, pairs);
	return !err && memcmp(lr, pairs[0].memory.cpu_if.lr, sizeof(lr)) ? -EIO : err;
}

/* As struct cpu_if has them: HCR, VMCR, MISR, EISR, ELRSR; AP0R and on a GICv3 AP1R; the list registers that are moved. */
size_t kvmemu_bench_switch_bytes(const struct kvmemu_bench_switch *which)
{
	size_t lrs = which->storage == LRS_USED ? which->in_use : which->list_registers;

	return 3 * sizeof(uint32_t) + 2 * sizeof(uint64_t) + (which->gic == 3 ? 2 : 1) * sizeof(uint32_t) +
	       lrs * sizeof(uint64_t);
}

int kvmemu_bench_copy(size_t bytes, uint32_t part, double *ticks, size_t nr)
{
	struct pair pairs[NR_PAIRS];
	struct work work = { .bytes = bytes, .pairs = pairs, .ticks = ticks, .nr = nr };

	if (bytes > MAX_COPY)
		return -EINVAL;
	memset(pairs, 1, sizeof(pairs));
	return bytes ? time_part(COPY, &work, part) : time_part(COPY_KNOWN, &work, part);
}
