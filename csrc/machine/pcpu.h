/* SPDX-License-Identifier: MIT */
/*
 * Physical CPUs. Layer: machine. Knows no VM and no vCPU.
 *
 * A vCPU in KVM_RUN occupies one. A machine has as many as were ever occupied at once: a CPU is made when all others are
 * taken, and goes with the machine. The registers keep what the last user left in them, as those of hardware do.
 */
#ifndef KVMEMU_MACHINE_PCPU_H
#define KVMEMU_MACHINE_PCPU_H

#include <stdatomic.h>
#include <stdint.h>

#include "host_gic.h"
#include "virt_cpuif.h"

struct machine;

/* A generic timer's registers: CNTV_* or CNTP_*. */
struct pcpu_timer {
	uint32_t ctl;
	uint64_t cval;
};

struct pcpu {
	struct virt_cpuif vif;
	struct machine *machine;
	uint32_t number;		/* from 0 */
	struct pcpu_timer vtimer, ptimer;
	uint64_t cntvoff, cnthctl;	/* CNTVOFF_EL2, CNTHCTL_EL2 */
	host_irq_state ppi[HOST_NR_PPIS];
	_Atomic uint32_t next_free;	/* number + 1 of the next one that is free; 0: none */
};

/* CPUs by number in blocks of 1, 2, 4...: one that exists is never moved. */
#define PCPU_BLOCKS 16
#define PCPU_MAX ((1u << PCPU_BLOCKS) - 1)

struct pcpu_pool {
	/*
	 * The free ones as a stack: number + 1 of the first below, a count of changes above, so that a thread that was
	 * held up between reading and changing it notices. Without a lock, a fork leaves none taken.
	 */
	_Atomic uint64_t free;
	atomic_uint made;
	_Atomic(struct pcpu *) block[PCPU_BLOCKS];
};

/* A CPU of one's own until it is given back; NULL: no memory for another one. Allocates nothing if one is free. */
struct pcpu *machine_take_cpu(struct machine *machine);
void machine_give_cpu(struct pcpu *cpu);

/* With the machine. */
void pcpu_pool_free(struct pcpu_pool *pool);

#endif
