/* SPDX-License-Identifier: MIT */
/*
 * Interrupts by eventfd. Layer: vm. Source: virt/kvm/eventfd.c, Linux 6.1.
 *
 * A VM's irqfds are watched by an epoll instance and, from the first one on until the VM's last descriptor is closed,
 * by a thread that waits for it. Whoever takes events off the instance does so under vm->irq_lock, and every call that
 * could see an interrupt takes them first: as on Linux, what was written to an eventfd before a call has its effect.
 *
 * As in Linux an irqfd does not keep the eventfd open: once its last descriptor anywhere is closed, the irqfd is gone.
 * So the instance watches the caller's own descriptor (which is gone from it when the file is, not when the number is),
 * and the count is taken through whatever number stands for that eventfd at the time. (A resamplefd, or an ioeventfd's,
 * is kept open here: an irqfd on the same one is not gone before those are.)
 *
 * After a fork the child has neither thread nor VM. It shares the epoll instance, and leaves it alone.
 */
#ifndef KVMEMU_VM_IRQFD_H
#define KVMEMU_VM_IRQFD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;
struct kvm_irqfd;

struct irqfd {
	uint64_t event;		/* which eventfd */
	uint32_t gsi;
	int number;		/* the caller's for it, as far as we know */
	bool resamples;
	int resample_fd;	/* ours; -1: the eventfd itself */
	uint32_t generation;	/* tells the users of a slot apart, for events that come late */
	bool in_use;
	bool fresh;		/* being assigned: what is pending was before */
	bool watched;		/* at the last irqfds_mark_watched() */
};

struct irqfds {
	struct irqfd *slot;	/* all under vm->irq_lock */
	size_t room;
	int epoll_fd;		/* -1 until there is one to watch */
	int stop_fd;
	pthread_t thread;
	unsigned int process;	/* where the thread is: process_generation() */
	bool stopping;
	void (*fired)(struct vm *vm, struct irqfd *irqfd);	/* its eventfd was written to */
	atomic_uint nr;
	atomic_uint nr_resample;
};

void irqfds_init(struct irqfds *irqfds);

/* The VM's last descriptor is closed: all of them are deassigned. No lock held. Source: kvm_irqfd_release(). */
void irqfds_release(struct vm *vm);

/* KVM_IRQFD. EINVAL, EAGAIN, EBADF, EBUSY; ENOMEM, EMFILE. Source: kvm_irqfd(). */
int irqfd_set(struct vm *vm, const struct kvm_irqfd *args);

/* Whatever was written to eventfds so far takes effect, and what host interrupts fired. No lock from vm->irq_lock on. */
void irqfds_sync(struct vm *vm);

/*
 * The guest has deactivated a level SPI whose list register asked for an EOI maintenance interrupt: the line of a
 * resampling irqfd falls, and user space is told to look at its source again. Without vgic.lock.
 * Source: kvm_notify_acked_irq(), irqfd_resampler_ack().
 */
void irqfd_acked(struct vm *vm, uint32_t intid);

#endif
