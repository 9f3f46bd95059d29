/* SPDX-License-Identifier: MIT */
/* The host's distributor: when an interrupt fires, and who ends it. Layer: machine. */
#include "host_gic.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <unistd.h>

#include "machine.h"
#include "pcpu.h"

/* One that fires so often without ever being quiet is a line that nobody lowers: it is disabled, as Linux does. */
#define STORM 100000

/* An interrupt: where its state is, and what the handler is told. */
struct host_irq {
	host_irq_state *state;
	struct host_claim *claim;
	struct pcpu *cpu;
	uint32_t intid;
};

static bool is_ppi(uint32_t intid)
{
	return intid >= HOST_FIRST_PPI && intid < HOST_FIRST_SPI;
}

static bool is_spi(uint32_t intid)
{
	return intid >= HOST_FIRST_SPI && intid <= HOST_LAST_SPI;
}

static struct host_claim *find_claim(struct machine *machine, uint32_t intid)
{
	return is_ppi(intid) || is_spi(intid) ? &machine->gic->claim[intid - HOST_FIRST_PPI] : NULL;
}

static bool find(struct machine *machine, struct pcpu *cpu, uint32_t intid, struct host_irq *irq)
{
	bool ppi = is_ppi(intid) && cpu;

	if (!ppi && !is_spi(intid))
		return false;
	*irq = (struct host_irq){
		.state = ppi ? &cpu->ppi[intid - HOST_FIRST_PPI] : &machine->gic->spi[intid - HOST_FIRST_SPI],
		.claim = find_claim(machine, intid),
		.cpu = ppi ? cpu : NULL,
		.intid = intid,
	};
	return true;
}

static bool is_pending(uint32_t state)
{
	return state & HOST_IRQ_LATCH || (state & HOST_IRQ_LINE && !(state & HOST_IRQ_EDGE));
}

static bool may_fire(uint32_t state)
{
	return is_pending(state) && state & HOST_IRQ_ENABLED && !(state & (HOST_IRQ_ACTIVE | HOST_IRQ_RUNNING));
}

/* Acknowledges it for its handler, if it may fire. */
static bool acknowledge(host_irq_state *state)
{
	uint32_t old = atomic_load(state);

	do {
		if (!may_fire(old))
			return false;
	} while (!atomic_compare_exchange_weak(state, &old,
					       (old & ~HOST_IRQ_LATCH) | HOST_IRQ_ACTIVE | HOST_IRQ_RUNNING));
	return true;
}

/* As often as it is pending. Whoever finds its handler running leaves it to that thread, which looks again. */
static void fire(const struct host_irq *irq)
{
	host_irq_handler handler;

	if (!may_fire(atomic_load(irq->state)))
		return;
	atomic_fetch_add(&irq->claim->users, 1);
	handler = atomic_load(&irq->claim->handler);
	for (unsigned int n = 1; handler && acknowledge(irq->state); n++) {
		uint32_t done = HOST_IRQ_RUNNING;

		if (handler(irq->cpu, irq->intid, irq->claim->data) == HOST_IRQ_HANDLED)
			done |= HOST_IRQ_ACTIVE;
		if (n == STORM)
			done |= HOST_IRQ_ENABLED;
		atomic_fetch_and(irq->state, ~done);
		handler = atomic_load(&irq->claim->handler);
	}
	atomic_fetch_sub(&irq->claim->users, 1);
}

/* Sets and clears bits of its state; it may fire for that. */
static void change(const struct host_irq *irq, uint32_t bits, bool set)
{
	if (set)
		atomic_fetch_or(irq->state, bits);
	else
		atomic_fetch_and(irq->state, ~bits);
	fire(irq);
}

int host_irq_claim(struct machine *machine, uint32_t intid, host_irq_handler handler, void *data)
{
	struct host_claim *claim = find_claim(machine, intid);
	struct host_irq irq;

	if (!claim || !handler)
		return -EINVAL;
	if (atomic_exchange(&claim->taken, true))
		return -EBUSY;
	claim->data = data;
	claim->process = getpid();
	atomic_store(&claim->handler, handler);
	if (find(machine, NULL, intid, &irq))
		change(&irq, HOST_IRQ_ENABLED, true);
	return 0;
}

int host_irq_release(struct machine *machine, uint32_t intid)
{
	struct host_claim *claim = find_claim(machine, intid);
	struct host_irq irq;

	if (!claim)
		return -EINVAL;
	if (!atomic_exchange(&claim->handler, NULL))
		return -ENOENT;
	if (find(machine, NULL, intid, &irq))
		change(&irq, HOST_IRQ_ENABLED | HOST_IRQ_LATCH | HOST_IRQ_ACTIVE, false);
	/* A fork's child has no thread that was in a handler: nobody would ever count down for it. */
	if (claim->process != getpid()) {
		atomic_store(&claim->users, 0);
		if (is_spi(intid))
			atomic_fetch_and(irq.state, ~HOST_IRQ_RUNNING);
	}
	while (atomic_load(&claim->users))
		sched_yield();
	atomic_store(&claim->taken, false);
	return 0;
}

int host_irq_set_edge(struct machine *machine, struct pcpu *cpu, uint32_t intid, bool edge)
{
	struct host_irq irq;

	if (!find(machine, cpu, intid, &irq))
		return -EINVAL;
	change(&irq, HOST_IRQ_EDGE, edge);
	return 0;
}

int host_irq_set_line(struct machine *machine, struct pcpu *cpu, uint32_t intid, bool up)
{
	struct host_irq irq;
	uint32_t old, new;

	if (!find(machine, cpu, intid, &irq))
		return -EINVAL;
	old = atomic_load(irq.state);
	do {
		new = up ? old | HOST_IRQ_LINE : old & ~HOST_IRQ_LINE;
		if (up && old & HOST_IRQ_EDGE && !(old & HOST_IRQ_LINE))
			new |= HOST_IRQ_LATCH;
	} while (!atomic_compare_exchange_weak(irq.state, &old, new));
	fire(&irq);
	return 0;
}

static int set_state(struct machine *machine, struct pcpu *cpu, uint32_t intid, uint32_t bit, bool set)
{
	struct host_irq irq;

	if (!find(machine, cpu, intid, &irq))
		return -EINVAL;
	change(&irq, bit, set);
	return 0;
}

int host_irq_set_enabled(struct machine *machine, struct pcpu *cpu, uint32_t intid, bool enabled)
{
	return set_state(machine, cpu, intid, HOST_IRQ_ENABLED, enabled);
}

int host_irq_set_pending(struct machine *machine, struct pcpu *cpu, uint32_t intid, bool pending)
{
	return set_state(machine, cpu, intid, HOST_IRQ_LATCH, pending);
}

int host_irq_set_active(struct machine *machine, struct pcpu *cpu, uint32_t intid, bool active)
{
	return set_state(machine, cpu, intid, HOST_IRQ_ACTIVE, active);
}

int host_irq_is_enabled(struct machine *machine, struct pcpu *cpu, uint32_t intid)
{
	struct host_irq irq;

	return find(machine, cpu, intid, &irq) ? !!(atomic_load(irq.state) & HOST_IRQ_ENABLED) : -EINVAL;
}

int host_irq_is_pending(struct machine *machine, struct pcpu *cpu, uint32_t intid)
{
	struct host_irq irq;

	return find(machine, cpu, intid, &irq) ? is_pending(atomic_load(irq.state)) : -EINVAL;
}

int host_irq_is_active(struct machine *machine, struct pcpu *cpu, uint32_t intid)
{
	struct host_irq irq;

	return find(machine, cpu, intid, &irq) ? !!(atomic_load(irq.state) & HOST_IRQ_ACTIVE) : -EINVAL;
}

void host_irq_deactivate(struct pcpu *cpu, uint32_t pintid)
{
	host_irq_set_active(cpu->machine, cpu, pintid, false);
}
