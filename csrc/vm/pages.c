/* SPDX-License-Identifier: MIT */
/* The pages that KVM and its callers share. Layer: vm. Source: kvm_vcpu_fault(), kvm_coalesced_mmio_init(), Linux 6.1. */
#define _GNU_SOURCE
#include "pages.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../machine/host.h"
#include "event.h"
#include "vcpu.h"
#include "vm.h"

/* A file, so that vCPUs' descriptors can show it. Sealed: ftruncate(2) by the caller must not take it away. */
static int make_ring_file(size_t page_bytes)
{
	int fd = event_move_away(memfd_create("kvm-vcpu", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	if (fd >= 0 && (ftruncate(fd, 2 * (off_t)page_bytes) ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))) {
		close(fd);
		return -1;
	}
	return fd;
}

void ring_init(struct ring *ring)
{
	ring->fd = -1;
	pthread_mutex_init(&ring->lock, NULL);
}

void ring_free(struct vm *vm)
{
	struct ring *ring = &vm->buses.ring;

	if (ring->page)
		munmap(ring->page, vm->host->page_bytes);
	if (ring->fd >= 0)
		close(ring->fd);
	pthread_mutex_destroy(&ring->lock);
}

/*
 * Without signals: a handler that sets immediate_exit comes here too, and must not wait for what the code has that it
 * interrupts. Whoever has the lock takes no other.
 */
static void lock(struct vm *vm, sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, before);
	pthread_mutex_lock(&vm->buses.ring.lock);
}

static void unlock(struct vm *vm, const sigset_t *before)
{
	pthread_mutex_unlock(&vm->buses.ring.lock);
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* With the lock. */
static struct kvm_coalesced_mmio_ring *make_ring(struct vm *vm)
{
	size_t page_bytes = vm->host->page_bytes;
	struct ring *ring = &vm->buses.ring;
	void *page = MAP_FAILED;

	if (ring->page)
		return ring->page;
	if (ring->fd < 0)
		ring->fd = make_ring_file(page_bytes);
	if (ring->fd >= 0)
		page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, (off_t)page_bytes);
	__atomic_store_n(&ring->page, page == MAP_FAILED ? NULL : page, __ATOMIC_RELEASE);
	return ring->page;
}

struct kvm_coalesced_mmio_ring *ring_get(struct vm *vm)
{
	struct kvm_coalesced_mmio_ring *ring = __atomic_load_n(&vm->buses.ring.page, __ATOMIC_ACQUIRE);
	sigset_t before;

	if (ring)
		return ring;
	lock(vm, &before);
	ring = make_ring(vm);
	unlock(vm, &before);
	return ring;
}

size_t run_pages_bytes(const struct vcpu *vcpu)
{
	return 2 * vcpu->vm->host->page_bytes;
}

/* With the lock. The ring goes on top of the vCPU's second page, which stays if that fails. */
static struct kvm_run *make_run_pages(const struct vcpu *vcpu)
{
	const int writable = PROT_READ | PROT_WRITE;
	size_t page_bytes = vcpu->vm->host->page_bytes;
	char *run = mmap(NULL, run_pages_bytes(vcpu), writable, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (run == MAP_FAILED)
		return NULL;
	if (make_ring(vcpu->vm))
		mmap(run + page_bytes, page_bytes, writable, MAP_SHARED | MAP_FIXED, vcpu->vm->buses.ring.fd,
		     (off_t)page_bytes);
	return (struct kvm_run *)run;
}

struct kvm_run *run_pages_get(struct vcpu *vcpu)
{
	struct kvm_run *run = __atomic_load_n(&vcpu->run, __ATOMIC_ACQUIRE);
	sigset_t before;

	if (run)
		return run;
	lock(vcpu->vm, &before);
	if (!vcpu->run)
		__atomic_store_n(&vcpu->run, make_run_pages(vcpu), __ATOMIC_RELEASE);
	run = vcpu->run;
	unlock(vcpu->vm, &before);
	return run;
}

void run_pages_free(struct vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, run_pages_bytes(vcpu));
}
