/* SPDX-License-Identifier: MIT */
/*
 * The vCPU: its state, its reset, its lifetime (that of its VM). Layer: vm.
 * Everything here is protected by vcpu->lock where it is not marked otherwise.
 */
#ifndef KVMEMU_VM_VCPU_H
#define KVMEMU_VM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../machine/machine.h"
#include "../machine/sysreg.h"
#include "cpu.h"
#include "kvmemu/uapi.h"
#include "lock.h"
#include "stats.h"
#include "vm.h"

#define VCPU_MAX_FEATURES 7	/* KVM_VCPU_MAX_FEATURES of Linux 6.1 */
#define VCPU_NR_SPSR 5
#define PPI_COUNT_END 32
#define MPIDR_AFFINITY 0xff00ffffffull	/* MPIDR_EL1.Aff3..Aff0 */

struct arm32_state;
struct pcpu;

/* What a pended exception will do to the PC and PSTATE at the next entry. */
enum pended_exception { EXCEPTION_NONE, EXCEPTION_AA64_SYNC, EXCEPTION_AA32_UND, EXCEPTION_AA32_PABT, EXCEPTION_AA32_DABT };

/* 128 bits with the alignment of two words, so that a vCPU needs no padding for them. */
struct vreg {
	uint64_t lo, hi;
};

struct timer {
	uint32_t ctl;		/* CNTx_CTL_EL0; ISTATUS is computed, and here only what the last run left */
	uint32_t intid;
	uint64_t cval;
	bool level;		/* of the output, as the interrupt controller in the kernel was last told */
};

enum timer_index { TIMER_VIRTUAL, TIMER_PHYSICAL, NR_TIMERS };

/* What CPU_ON asks of a reset. Source: struct vcpu_reset_state, Linux 6.1. */
struct vcpu_reset_state {
	bool pending;
	bool big_endian;
	uint64_t pc, x0;
};

struct vcpu {
	struct vm *vm;			/* not a reference: the VM owns its vCPUs */
	struct lock lock;
	uint32_t id;
	unsigned int index;		/* position in vm->vcpus */

	/* KVM_ARM_VCPU_INIT */
	int32_t target;			/* -1: not initialised */
	uint32_t features;		/* a bit a KVM_ARM_VCPU_* feature */
	/*
	 * Linux keeps these apart from the features and never takes them back, so that a failed KVM_ARM_VCPU_INIT can
	 * leave SVE on.
	 */
	bool has_sve;
	bool has_ptrauth;
	bool sve_finalized;
	uint16_t sve_max_vq;		/* quadwords */

	/* AArch64 core registers (KVM_REG_ARM_CORE); SP_EL1, ELR_EL1 and SPSR_EL1 are in sys[]. */
	uint64_t x[31];
	uint64_t sp, pc, pstate;
	uint64_t spsr_abt, spsr_und, spsr_irq, spsr_fiq;
	struct vreg v[32];
	uint32_t fpsr, fpcr;
	uint64_t sys[SR_COUNT];
	uint8_t *sve;			/* Z0..31, P0..15, FFR of sve_max_vq each; NULL until finalized */
	struct arm32_state *arm32;	/* 32-bit hosts only */

	struct vgic_cpu vgic;
	struct timer timer[NR_TIMERS];
	bool timers_enabled;		/* since the first KVM_RUN: their INTIDs are settled */
	bool timers_loaded;		/* those that are mapped are in the hardware */

	struct {
		bool created;
		uint32_t intid;		/* 0: not set */
		bool line;		/* the interrupt's level, as of the last KVM_RUN */
		bool apply_pmcr;	/* PMCR_EL0 is yet to take effect */
	} pmu;

	uint64_t steal_ipa;		/* PVTIME_NOT_SET: none */
	bool steal_owed;		/* put on a physical CPU since its stolen time was brought up to date */

	/* power.h */
	struct lock mp_lock;
	atomic_uint mp_state;		/* written under mp_lock */
	struct vcpu_reset_state reset_state;	/* under mp_lock */
	atomic_uint requests;		/* VCPU_REQUEST_* */

	bool serror_pending;		/* HCR_EL2.VSE */
	uint64_t vsesr;
	atomic_uint irq_lines;		/* user-space interrupt controller: bit 0 IRQ, bit 1 FIQ */
	enum pended_exception pended;
	uint32_t guest_debug;

	/* KVM_SET_SIGNAL_MASK */
	bool sigmask_active;
	uint64_t sigmask;
	int signal_fd;			/* signalfd of watched_signals; -1 until there are some (signals.h) */
	uint64_t watched_signals;

	/* KVM_RUN */
	struct kvm_run *run;		/* the pages the caller maps; NULL until run_pages_get() */
	uintptr_t run_thread;		/* the thread that last ran it, 0: none */
	bool ran_once;
	struct counter_waiter waiter;
	atomic_int kick_fd;		/* eventfd that ends a wait; -1 until the first wait */
	atomic_bool kicked;		/* something is to be looked at before the guest goes on */
	atomic_bool waiting;		/* and nobody will look if kick_fd does not tell */

	/* The guest. */
	struct kvmemu_cpu cpu;
	struct pcpu *pcpu;		/* the physical CPU it is on; NULL outside of KVM_RUN */
	struct lock guest_lock;		/* that CPU's registers, where another vCPU may reach for them */
	bool in_guest;			/* under guest_lock: interrupts are in list registers */

	struct vcpu_counts *counts;	/* &own_counts until a statistics file shares a page */
	struct vcpu_counts own_counts;
	struct stats_page *stats_page;
};

/*
 * KVM_CREATE_VCPU, the first part: the vCPU is made and counted, but is not among the VM's yet.
 * Errors: EINVAL, EBUSY, ENOMEM. Source: kvm_vm_ioctl_create_vcpu(), Linux 6.1.
 */
int vcpu_create(struct vm *vm, uint64_t id, struct vcpu **out);

/*
 * The rest of it, both under one hold of vm->lock: EEXIST if the id is taken, else the vCPU has its index; then it belongs
 * to the VM, and lives as long. In between it is given to the caller, which may fail; a vCPU that others can find cannot
 * be taken back.
 */
int vcpu_prepare_join(struct vcpu *vcpu);
void vcpu_join(struct vcpu *vcpu);

/* Undoes vcpu_create(), for a vCPU that has not joined. */
void vcpu_discard(struct vcpu *vcpu);
void vcpu_destroy(struct vcpu *vcpu);

/* KVM_ARM_VCPU_INIT; features has 7 words. Source: kvm_vcpu_set_target(), kvm_reset_vcpu(), Linux 6.1. */
int vcpu_init(struct vcpu *vcpu, uint32_t target, const uint32_t features[7]);

/* As KVM_ARM_VCPU_INIT does it, and CPU_ON, whose reset state is used up by the first that comes. */
int vcpu_reset(struct vcpu *vcpu);

/* KVM_ARM_VCPU_FINALIZE. */
int vcpu_finalize(struct vcpu *vcpu, int32_t feature);

/* Ends a wait in KVM_RUN so that it looks again. May be called with any lock held, from any thread. */
void vcpu_kick(struct vcpu *vcpu);

static inline bool vcpu_initialized(const struct vcpu *vcpu)
{
	return vcpu->target >= 0;
}

static inline bool vcpu_has_feature(const struct vcpu *vcpu, unsigned int feature)
{
	return vcpu->features & 1u << feature;
}

static inline bool vcpu_is_finalized(const struct vcpu *vcpu)
{
	return !vcpu->has_sve || vcpu->sve_finalized;
}

/* MPIDR_EL1 without its flags; 0 before the vCPU is initialised. Of any vCPU, whose lock need not be held. */
static inline uint64_t vcpu_affinity(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->sys[SR_MPIDR_EL1], __ATOMIC_RELAXED) & MPIDR_AFFINITY;
}

/* The guest's EL1 is AArch32: all of a VM's vCPUs or none. */
static inline bool vcpu_el1_is_32bit(const struct vcpu *vcpu)
{
	return vcpu->vm->el1_32bit;
}

#endif
