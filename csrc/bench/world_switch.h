/* SPDX-License-Identifier: MIT */
/*
 * Measuring the world switch. These look inside: they call what KVM_RUN calls, on a CPU of their own. Only in the Python
 * extension.
 *
 * Times are in ticks of kvmemu_bench_clock(), a sample a batch: so many times the same, timed together, divided by their
 * number, less what reading the clock costs. Functions return 0 or a negative errno.
 */
#ifndef KVMEMU_BENCH_WORLD_SWITCH_H
#define KVMEMU_BENCH_WORLD_SWITCH_H

#include <stddef.h>
#include <stdint.h>

struct kvmemu_file;

/* What the ticks are; all of it is measured. */
struct kvmemu_bench_clock {
	const char *name;
	double hz;
	double step;		/* ticks that it moves by at once */
	double core_hz;		/* how fast instructions of one cycle went, at best */
};

void kvmemu_bench_clock(struct kvmemu_bench_clock *clock);

/* As enum lr_storage. */
enum kvmemu_bench_storage { KVMEMU_BENCH_REVERSE, KVMEMU_BENCH_ASCENDING, KVMEMU_BENCH_USED };

/*
 * BOTH is restore and save of one vCPU, by turns, 64 in a batch. SAVE and RESTORE are each by themselves, of 32 vCPUs and
 * CPUs one after another, in a batch. The COLD ones are a single one, when the vCPU's part is in no cache (the CPU's
 * registers are), until its stores have reached the cache: -ENOTSUP where a program cannot empty caches.
 */
enum kvmemu_bench_part {
	KVMEMU_BENCH_BOTH,
	KVMEMU_BENCH_SAVE,
	KVMEMU_BENCH_RESTORE,
	KVMEMU_BENCH_COLD_SAVE,
	KVMEMU_BENCH_COLD_RESTORE,
};

struct kvmemu_bench_switch {
	uint32_t gic;			/* 2 or 3 */
	uint32_t list_registers;	/* that there are: 1 to 16 */
	uint32_t in_use;		/* that hold pending interrupts, every other one with EOI maintenance */
	uint32_t storage;
	uint32_t part;
};

/* -EINVAL for what there is not; -EIO if an interrupt got lost. */
int kvmemu_bench_world_switch(const struct kvmemu_bench_switch *which, double *ticks, size_t nr);

/* How many bytes such a switch moves in one direction. */
size_t kvmemu_bench_switch_bytes(const struct kvmemu_bench_switch *which);

/*
 * memcpy where the switch would be. bytes: 1 to 256; 0 stands for 128 that the compiler knows of, which makes moves of it
 * where others are calls.
 */
int kvmemu_bench_copy(size_t bytes, uint32_t part, double *ticks, size_t nr);

/*
 * KVM_RUN's whole way out of a guest and back in: save, sync, flush, restore. vcpu: of a VM with nr_irqs interrupts pending,
 * which must have list registers for all; -ENODATA if they were not all in list registers.
 */
int kvmemu_bench_entry_exit(struct kvmemu_file *vcpu, uint32_t nr_irqs, double *ticks, size_t nr);

/*
 * Interrupts from KVM_IRQ_LINE through a guest's acknowledging to its end, 64 in a batch. Each of nr_vcpus vCPUs (1 or 2)
 * has a thread, and an interrupt of its own: irqs[i] as KVM_IRQ_LINE has it, edge-triggered. ticks: room for nr of each
 * vCPU. Only batches count in which the other vCPU was at work as well: returns how many there were of all vCPUs, for the
 * machine may hardly ever have a CPU for each; 0: too few, and the first of ticks is the fastest batch of a vCPU. -EIO if the
 * guest did not get what was sent.
 */
int kvmemu_bench_roundtrip(struct kvmemu_file *vm, struct kvmemu_file *const *vcpus, const uint32_t *irqs,
			   uint32_t nr_vcpus, double *ticks, size_t nr);

/* An SGI from the first of two vCPUs to the second, which waits in WFI, and one back; on two threads; one a sample. */
int kvmemu_bench_ping_pong(struct kvmemu_file *const *vcpus, double *ticks, size_t nr);

#endif
