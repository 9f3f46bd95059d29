/* SPDX-License-Identifier: MIT */
/* The machine's lifetime and its counter. Layer: machine. */
#include "machine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "host.h"
#include "host_gic.h"
#include "pcpu.h"

#define NSEC_PER_SEC 1000000000ull

/*
 * Of all machines, so that forks can be guarded: another thread of the parent may be holding it, which the child does
 * not have.
 */
static pthread_mutex_t waiters_lock = PTHREAD_MUTEX_INITIALIZER;

static void before_fork(void)
{
	pthread_mutex_lock(&waiters_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&waiters_lock);
}

static void guard_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

int machine_create(struct kvmemu_host *host, struct machine **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct machine *machine = calloc(1, sizeof(*machine));

	if (!machine)
		return -ENOMEM;
	machine->cpus = calloc(1, sizeof(*machine->cpus));
	machine->gic = calloc(1, sizeof(*machine->gic));
	if (!machine->cpus || !machine->gic) {
		free(machine->cpus);
		free(machine->gic);
		free(machine);
		return -ENOMEM;
	}
	atomic_init(&machine->refs, 1);
	machine->host = host_ref(host);
	pthread_once(&once, guard_forks);
	*out = machine;
	return 0;
}

struct machine *machine_get(struct machine *machine)
{
	atomic_fetch_add_explicit(&machine->refs, 1, memory_order_relaxed);
	return machine;
}

void machine_put(struct machine *machine)
{
	if (atomic_fetch_sub_explicit(&machine->refs, 1, memory_order_acq_rel) != 1)
		return;
	pcpu_pool_free(machine->cpus);
	free(machine->gic);
	kvmemu_host_put(machine->host);
	free(machine);
}

static uint64_t clock_ticks(const struct machine *machine)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * machine->host->counter_hz +
	       (uint64_t)now.tv_nsec * machine->host->counter_hz / NSEC_PER_SEC;
}

uint64_t machine_counter(const struct machine *machine)
{
	if (atomic_load_explicit(&machine->stepped, memory_order_acquire))
		return atomic_load_explicit(&machine->ticks, memory_order_relaxed);
	return clock_ticks(machine) + atomic_load_explicit(&machine->offset, memory_order_relaxed);
}

static void announce_jump(struct machine *machine)
{
	for (struct counter_waiter *w = machine->waiters; w; w = w->next)
		w->jumped(w);
}

void machine_counter_set(struct machine *machine, uint64_t ticks)
{
	pthread_mutex_lock(&waiters_lock);
	atomic_store_explicit(&machine->ticks, ticks, memory_order_relaxed);
	atomic_store_explicit(&machine->stepped, true, memory_order_release);
	announce_jump(machine);
	pthread_mutex_unlock(&waiters_lock);
}

void machine_counter_step(struct machine *machine, uint64_t ticks)
{
	pthread_mutex_lock(&waiters_lock);
	atomic_store_explicit(&machine->ticks, machine_counter(machine) + ticks, memory_order_relaxed);
	atomic_store_explicit(&machine->stepped, true, memory_order_release);
	announce_jump(machine);
	pthread_mutex_unlock(&waiters_lock);
}

void machine_counter_follow_clock(struct machine *machine)
{
	pthread_mutex_lock(&waiters_lock);
	if (atomic_load(&machine->stepped)) {
		uint64_t now = atomic_load(&machine->ticks);

		atomic_store(&machine->offset, now - clock_ticks(machine));
		atomic_store_explicit(&machine->stepped, false, memory_order_release);
		announce_jump(machine);
	}
	pthread_mutex_unlock(&waiters_lock);
}

uint64_t machine_counter_ns_until(const struct machine *machine, uint64_t ticks)
{
	uint64_t now = machine_counter(machine);
	uint64_t left = ticks - now, hz = machine->host->counter_hz;

	if (ticks <= now)
		return 0;
	if (atomic_load_explicit(&machine->stepped, memory_order_acquire))
		return UINT64_MAX;
	if (left / hz > UINT64_MAX / NSEC_PER_SEC / 2)
		return UINT64_MAX;
	return left / hz * NSEC_PER_SEC + left % hz * NSEC_PER_SEC / hz + 1;
}

void machine_add_waiter(struct machine *machine, struct counter_waiter *waiter)
{
	pthread_mutex_lock(&waiters_lock);
	waiter->next = machine->waiters;
	machine->waiters = waiter;
	pthread_mutex_unlock(&waiters_lock);
}

void machine_remove_waiter(struct machine *machine, struct counter_waiter *waiter)
{
	struct counter_waiter **link;

	pthread_mutex_lock(&waiters_lock);
	for (link = &machine->waiters; *link; link = &(*link)->next)
		if (*link == waiter) {
			*link = waiter->next;
			break;
		}
	pthread_mutex_unlock(&waiters_lock);
}
