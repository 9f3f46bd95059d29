/* SPDX-License-Identifier: MIT */
/*
 * What the world switch moves: a vCPU's share of the virtual CPU interface while it is not in the hardware. Layer: switch.
 */
#ifndef KVMEMU_SWITCH_CPU_IF_H
#define KVMEMU_SWITCH_CPU_IF_H

#include <stdint.h>

#define MAX_LRS 16

/*
 * How list registers are kept in struct cpu_if, and which are moved. KVM_RUN uses LRS_REVERSE, and whatever else fills and
 * reads list registers counts on it. The others are there to be measured against it, and give the same state: ascending,
 * and as later kernels do, those that are in use only.
 */
enum lr_storage { LRS_REVERSE, LRS_ASCENDING, LRS_USED, NR_LR_STORAGES };

/*
 * On a GICv3 host the fields are ICH_*_EL2, on a GICv2 host GICH_*.
 *
 * lr[] is NOT in the order of the list registers' numbers. The switch reads ICH_LR15_EL2 first and stores upwards, so
 * ICH_LR<n>_EL2 is in lr[15 - n] whatever the number of list registers is: a machine with four of them uses lr[12] to
 * lr[15]. Nobody indexes the array: cpu_if_lr() is the way to it, for the switch and for the code that fills and reads
 * list registers alike.
 */
struct cpu_if {
	uint32_t hcr;		/* what the guest runs with */
	uint32_t vmcr;
	uint32_t misr;		/* as of the last exit, with eisr and elrsr */
	uint32_t sre;		/* ICC_SRE_EL1 of the guest: 0 for a GICv2's, and on a GICv2 host */
	uint64_t eisr;
	uint64_t elrsr;
	uint32_t ap0r[4];	/* GICH_APR is the first */
	uint32_t ap1r[4];
	uint32_t used_lrs;	/* filled by the last flush: those from 0 on */
	uint64_t lr[MAX_LRS];
};

/* Which element of lr[] list register n is kept in. */
static inline unsigned int lr_slot(enum lr_storage storage, unsigned int n)
{
	return storage == LRS_REVERSE ? MAX_LRS - 1 - n : n;
}

static inline uint64_t *cpu_if_lr(struct cpu_if *cpu_if, unsigned int n)
{
	return &cpu_if->lr[lr_slot(LRS_REVERSE, n)];
}

/*
 * Another vCPU that kicks those with something to do looks at the priority mask without stopping their guests, as
 * kvm_vgic_vcpu_pending_irq() does: an old value or the new one, never half of each.
 */
static inline uint32_t cpu_if_vmcr(const struct cpu_if *cpu_if)
{
	return __atomic_load_n(&cpu_if->vmcr, __ATOMIC_RELAXED);
}

static inline void cpu_if_set_vmcr(struct cpu_if *cpu_if, uint32_t vmcr)
{
	__atomic_store_n(&cpu_if->vmcr, vmcr, __ATOMIC_RELAXED);
}

#endif
