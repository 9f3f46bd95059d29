/* SPDX-License-Identifier: MIT */
/*
 * The pages that KVM and its callers share: struct kvm_run, one a vCPU, and behind it the VM's one ring of coalesced
 * MMIO. Layer: vm.
 *
 * Nobody can tell whether they are there before somebody looks: they are made at the first look, which a vCPU that is
 * only saved or restored never takes. They go with the vCPU and the VM.
 */
#ifndef KVMEMU_VM_PAGES_H
#define KVMEMU_VM_PAGES_H

#include <pthread.h>
#include <stddef.h>

struct vm;
struct vcpu;
struct kvm_run;
struct kvm_coalesced_mmio_ring;

struct ring {
	pthread_mutex_t lock;	/* of the making of it, and of the vCPUs' pages */
	struct kvm_coalesced_mmio_ring *page;	/* NULL until ring_get() */
	int fd;		/* its page is the second; the first is of the VM's first vCPU */
};

void ring_init(struct ring *ring);
void ring_free(struct vm *vm);

/* NULL if there is no memory for it. */
struct kvm_coalesced_mmio_ring *ring_get(struct vm *vm);

/*
 * A vCPU's pages, run_pages_bytes() of them: from any thread and any signal handler, whoever has the vCPU's lock. NULL if
 * there is no memory for them; where only the ring fails, a page of zeros stands in its place.
 */
struct kvm_run *run_pages_get(struct vcpu *vcpu);
size_t run_pages_bytes(const struct vcpu *vcpu);
void run_pages_free(struct vcpu *vcpu);

#endif
