/* SPDX-License-Identifier: MIT */
/* Physical CPUs: which are free, and making another. Layer: machine. */
#include "pcpu.h"

#include <stdlib.h>

#include "machine.h"

#define CHANGE (1ull << 32)

/* Block k holds the CPUs from number 2^k - 1 on. */
static unsigned int block_of(uint32_t number)
{
	return 31 - (unsigned int)__builtin_clz(number + 1);
}

static struct pcpu *cpu_at(struct pcpu_pool *pool, uint32_t number)
{
	unsigned int k = block_of(number);

	return atomic_load_explicit(&pool->block[k], memory_order_acquire) + (number + 1 - (1u << k));
}

/* The block that a number is in, allocated by whoever comes first. */
static int need_block(struct pcpu_pool *pool, uint32_t number)
{
	unsigned int k = block_of(number);
	struct pcpu *block = atomic_load_explicit(&pool->block[k], memory_order_acquire), *fresh;

	if (block)
		return 0;
	fresh = calloc(1ul << k, sizeof(*fresh));
	if (!fresh)
		return -1;
	if (!atomic_compare_exchange_strong(&pool->block[k], &block, fresh))
		free(fresh);
	return 0;
}

static struct pcpu *make_cpu(struct machine *machine)
{
	struct pcpu_pool *pool = machine->cpus;
	uint32_t number = atomic_load_explicit(&pool->made, memory_order_relaxed);
	struct pcpu *cpu;

	do {
		if (number >= PCPU_MAX || need_block(pool, number))
			return NULL;
	} while (!atomic_compare_exchange_weak(&pool->made, &number, number + 1));
	cpu = cpu_at(pool, number);
	cpu->machine = machine;
	cpu->number = number;
	virt_cpuif_init(&cpu->vif, machine->host, cpu);
	return cpu;
}

struct pcpu *machine_take_cpu(struct machine *machine)
{
	struct pcpu_pool *pool = machine->cpus;
	uint64_t head = atomic_load_explicit(&pool->free, memory_order_acquire), next;
	struct pcpu *cpu;

	do {
		if (!(uint32_t)head)
			return make_cpu(machine);
		cpu = cpu_at(pool, (uint32_t)head - 1);
		next = (head & ~(CHANGE - 1)) + CHANGE;
		next |= atomic_load_explicit(&cpu->next_free, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&pool->free, &head, next, memory_order_acquire,
							memory_order_acquire));
	return cpu;
}

void machine_give_cpu(struct pcpu *cpu)
{
	struct pcpu_pool *pool = cpu->machine->cpus;
	uint64_t head = atomic_load_explicit(&pool->free, memory_order_relaxed), next;

	do {
		atomic_store_explicit(&cpu->next_free, (uint32_t)head, memory_order_relaxed);
		next = (head & ~(CHANGE - 1)) + CHANGE;
		next |= cpu->number + 1;
	} while (!atomic_compare_exchange_weak_explicit(&pool->free, &head, next, memory_order_release,
							memory_order_relaxed));
}

void pcpu_pool_free(struct pcpu_pool *pool)
{
	for (unsigned int k = 0; k < PCPU_BLOCKS; k++)
		free(atomic_load(&pool->block[k]));
	free(pool);
}
