/* SPDX-License-Identifier: MIT */
/*
 * The VM: what its vCPUs share, and how long it lives. Layer: vm.
 *
 * Lock order: vcpu->lock, then vm->lock, then vm->slots_lock, then guest_locks by index, then vm->irq_lock or
 * vm->forwards_lock, then vm->vgic.lock, then any vCPU's mp_lock; buses.ring.lock alone last. vCPUs' locks may be tried
 * under vm->lock. No lock is held while a caller waits in KVM_RUN except that vCPU's own.
 */
#ifndef KVMEMU_VM_VM_H
#define KVMEMU_VM_VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../vgic/vgic.h"
#include "bus.h"
#include "irqfd.h"
#include "lock.h"
#include "memslot.h"
#include "routing.h"
#include "stats.h"

struct machine;
struct forward;
struct kvmemu_host;
struct vcpu;

#define VM_MAX_VCPUS 512	/* KVM_MAX_VCPUS and KVM_MAX_VCPU_IDS of arm64, Linux 6.1 */

struct vm {
	atomic_int refs;
	struct machine *machine;
	const struct kvmemu_host *host;		/* machine->host */

	/*
	 * The process the VM belongs to, as process_generation() counts: -EIO for anyone else, as for another mm. 0, which
	 * is nobody, once the VM is dead.
	 */
	atomic_uint process;
	int pid;				/* for the names of statistics */

	pthread_mutex_t lock;			/* what follows, where it is not const or atomic */

	/* In creation order; only ever grows, so that an index below nr_vcpus may be read without the lock. */
	struct vcpu *vcpus[VM_MAX_VCPUS];
	atomic_uint nr_vcpus;
	_Atomic uint16_t place_of_id[VM_MAX_VCPUS];	/* in vcpus[], from 1; 0: there is none */
	atomic_bool affinities_moved;		/* an MPIDR_EL1 was given another affinity than its vCPU's id does */
	unsigned int created_vcpus;		/* with those whose creation is under way */
	unsigned int max_vcpus;

	unsigned int ipa_bits;

	/*
	 * CNTVOFF_EL2. It belongs to the VM: every vCPU's virtual counter is the physical one less this. Linux 6.1 keeps
	 * a copy a vCPU and writes all of them together, which nobody can tell from one.
	 */
	_Atomic uint64_t cntvoff;

	atomic_bool ran_once;
	bool width_configured;
	bool el1_32bit;
	bool mte;
	atomic_bool nisv_to_user;
	atomic_bool system_suspend;

	/* Firmware registers: the guest's PSCI version (0 until set) and the hypercalls it may make. */
	_Atomic uint64_t psci_version;
	_Atomic uint64_t std_bmap;
	_Atomic uint64_t std_hyp_bmap;
	_Atomic uint64_t vendor_hyp_bmap;

	/* ID_AA64PFR0_EL1.CSV2 and .CSV3: the only ID fields user space may change in 6.1. */
	_Atomic uint8_t csv2;
	_Atomic uint8_t csv3;

	bool pmu_chosen;
	uint64_t *pmu_filter;			/* a bit an event, set where it may be counted */

	pthread_mutex_t slots_lock;		/* memory slots, dirty logs, buses */
	struct memslots slots;
	struct buses buses;
	uint64_t manual_dirty_log;		/* KVM_DIRTY_LOG_MANUAL_* */
	_Atomic uint32_t halt_poll_max_ns;

	pthread_mutex_t irq_lock;		/* GSI routing, irqfds */
	struct routing *routing;		/* NULL: none set, and no vGIC initialised */
	struct irqfds irqfds;

	bool has_vfio;				/* under vm->lock */
	struct lock forwards_lock;		/* interrupts of the host that a guest ends */
	struct forward *forwards;
	atomic_bool forwards_fired;		/* one of them waits to be injected */
	struct vgic vgic;

	struct vm_stats *stats;			/* &own_stats until a statistics file shares a page */
	struct vm_stats own_stats;
	struct stats_page *stats_page;
};

/*
 * Creates a VM with one reference. type as for KVM_CREATE_VM: 0, or the number of IPA bits.
 * Errors: EINVAL, ENOMEM. Source: kvm_create_vm(), kvm_arm_setup_stage2(), Linux 6.1.
 */
int vm_create(struct machine *machine, uint64_t type, struct vm **out);
struct vm *vm_get(struct vm *vm);
void vm_put(struct vm *vm);

/* KVM_ENABLE_CAP. Source: kvm_vm_ioctl_enable_cap_generic(), kvm_vm_ioctl_enable_cap(), Linux 6.1. */
int vm_enable_cap(struct vm *vm, uint32_t cap, uint32_t flags, const uint64_t args[4]);

/* KVM_CHECK_EXTENSION; vm is NULL on the system. */
int vm_check_extension(const struct kvmemu_host *host, const struct vm *vm, unsigned long cap);

/* The host's kernel runs at EL2 (VHE), and so keeps a vCPU's EL1 registers loaded around a whole KVM_RUN. */
bool vm_on_vhe(const struct vm *vm);

/* The host has the RAS extension: SError interrupts with syndromes, and DISR_EL1. */
bool vm_has_ras(const struct vm *vm);

/* The VM's vCPU with this id, or NULL. */
struct vcpu *vm_find_vcpu(const struct vm *vm, uint32_t id);

/* The first vCPU of this affinity (MPIDR_EL1 without its flags), or NULL. */
struct vcpu *vm_vcpu_of_affinity(const struct vm *vm, uint64_t affinity);

/*
 * Keeps every vCPU out of ioctls and KVM_RUN, with vm->lock held, without waiting: false if one is in use, and then none
 * is locked.
 */
bool vm_try_lock_vcpus(struct vm *vm);
void vm_unlock_vcpus(struct vm *vm);

/* How many forks this process is away from the first that used the library; from 1. */
extern atomic_uint process_forks __attribute__((visibility("hidden")));

static inline unsigned int process_generation(void)
{
	return atomic_load_explicit(&process_forks, memory_order_relaxed);
}

/* False for a VM of another process, and for a dead one: every request is EIO. */
static inline bool vm_is_usable(const struct vm *vm)
{
	return atomic_load_explicit(&vm->process, memory_order_relaxed) == process_generation();
}

#endif
