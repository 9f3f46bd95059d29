/* SPDX-License-Identifier: MIT */
/*
 * A machine: one host profile, one counter, physical CPUs and a distributor, shared by every VM that was created through
 * the same open("/dev/kvm").
 * Layer: machine. Knows no VM.
 */
#ifndef KVMEMU_MACHINE_MACHINE_H
#define KVMEMU_MACHINE_MACHINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct host_gic;
struct kvmemu_host;
struct pcpu_pool;

/* Called with the waiters' lock held whenever the counter jumps; must not block, fork or register. */
struct counter_waiter {
	struct counter_waiter *next;
	void (*jumped)(struct counter_waiter *waiter);
};

struct machine {
	atomic_int refs;
	struct kvmemu_host *host;

	/*
	 * The counter: stepped ? ticks : clock + offset. Two words, so that whichever mode a reader sees, the word that
	 * goes with it was stored before.
	 */
	atomic_bool stepped;
	_Atomic uint64_t ticks;
	_Atomic uint64_t offset;

	struct counter_waiter *waiters;	/* under one lock of all machines, which a fork leaves free */

	struct pcpu_pool *cpus;
	struct host_gic *gic;
};

int machine_create(struct kvmemu_host *host, struct machine **out);
struct machine *machine_get(struct machine *machine);
void machine_put(struct machine *machine);

/* CNTPCT_EL0, in ticks of host->counter_hz. */
uint64_t machine_counter(const struct machine *machine);

/* From the first of these on the counter stands still between calls. */
void machine_counter_set(struct machine *machine, uint64_t ticks);
void machine_counter_step(struct machine *machine, uint64_t ticks);

/* The counter runs with the clock again, from where it stands. */
void machine_counter_follow_clock(struct machine *machine);

/* Nanoseconds until the counter reaches a value; 0 if it has, UINT64_MAX if it does not move by itself. */
uint64_t machine_counter_ns_until(const struct machine *machine, uint64_t ticks);

void machine_add_waiter(struct machine *machine, struct counter_waiter *waiter);
void machine_remove_waiter(struct machine *machine, struct counter_waiter *waiter);

#endif
