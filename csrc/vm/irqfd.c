/* SPDX-License-Identifier: MIT */
/* Interrupts by eventfd. Layer: vm. Source: virt/kvm/eventfd.c, Linux 6.1. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../machine/host.h"
#include "event.h"
#include "forward.h"
#include "irqfd_watch.h"
#include "kvmemu/uapi.h"
#include "vm.h"

static bool has_resampler(const struct irqfds *irqfds, uint32_t gsi)
{
	for (size_t i = 0; i < irqfds->room; i++)
		if (irqfds->slot[i].in_use && irqfds->slot[i].resamples && irqfds->slot[i].gsi == gsi)
			return true;
	return false;
}

/*
 * Events.
 */

/* A descriptor of ours for its eventfd, or -1 if only another process has it open. */
static int open_event(struct irqfd *irqfd)
{
	uint64_t id = 0;
	int own = event_open(irqfd->number, &id), number;

	if (own >= 0 && id == irqfd->event)
		return own;
	if (own >= 0)
		close(own);
	/* The number is another's by now; the eventfd may have more of them. */
	number = event_find(irqfd->event);
	own = number < 0 ? -1 : event_open(number, &id);
	if (own >= 0 && id != irqfd->event) {
		close(own);
		return -1;
	}
	if (own >= 0)
		irqfd->number = number;
	return own;
}

static void take_count(struct irqfd *irqfd)
{
	int own = open_event(irqfd);

	if (own < 0)
		return;
	event_take(own);
	close(own);
}

static void signal_resample(struct irqfd *irqfd)
{
	int own = irqfd->resample_fd < 0 ? open_event(irqfd) : irqfd->resample_fd;

	if (own >= 0)
		event_signal(own);
	if (own >= 0 && own != irqfd->resample_fd)
		close(own);
}

/*
 * Linux's fast path raises the input and does not lower it: a level interrupt stays up until somebody lowers it. What
 * was pending when the irqfd was assigned goes the slow way, which pulses it and leaves the count alone. A 32-bit host's
 * Linux 5.6 has no other way for SPIs.
 */
static void handle(struct vm *vm, struct irqfd *irqfd)
{
	bool slowly = irqfd->fresh || vm->host->arch == HOST_ARM32;

	if (!slowly)
		take_count(irqfd);
	routing_inject(vm, irqfd->gsi, true);
	if (slowly && !irqfd->resamples)
		routing_inject(vm, irqfd->gsi, false);
}

void irqfds_init(struct irqfds *irqfds)
{
	irqfds->fired = handle;
	irqfds->epoll_fd = -1;
	irqfds->stop_fd = -1;
}

/*
 * The end of an irqfd.
 */

static void deactivate(struct vm *vm, struct irqfd *irqfd)
{
	atomic_fetch_sub(&vm->irqfds.nr, 1);
	irqfd->in_use = false;
	irqfd->generation++;
	if (!irqfd->resamples)
		return;
	atomic_fetch_sub(&vm->irqfds.nr_resample, 1);
	if (irqfd->resample_fd >= 0)
		close(irqfd->resample_fd);
	if (!has_resampler(&vm->irqfds, irqfd->gsi))
		routing_inject(vm, irqfd->gsi, false);
}

/* The eventfd is there, and goes without its count. */
static void deassign_one(struct vm *vm, struct irqfd *irqfd)
{
	take_count(irqfd);
	if (!vm->irqfds.stopping)
		irqfd_unwatch(&vm->irqfds, irqfd);
	deactivate(vm, irqfd);
}

/* Linux learns of a closed eventfd by a callback; here somebody has to look. */
static void forget_closed(struct vm *vm)
{
	struct irqfds *irqfds = &vm->irqfds;

	if (!irqfds_mark_watched(irqfds))
		return;
	for (size_t i = 0; i < irqfds->room; i++)
		if (irqfds->slot[i].in_use && !irqfds->slot[i].watched)
			deactivate(vm, &irqfds->slot[i]);
}

/*
 * KVM_IRQFD.
 */

static struct irqfd *find_event(struct irqfds *irqfds, uint64_t event)
{
	for (size_t i = 0; i < irqfds->room; i++)
		if (irqfds->slot[i].in_use && irqfds->slot[i].event == event)
			return &irqfds->slot[i];
	return NULL;
}

/* For an eventfd that is open: what has its id may be left from an earlier one, closed by now. */
static struct irqfd *find_open(struct vm *vm, uint64_t event)
{
	if (!find_event(&vm->irqfds, event))
		return NULL;
	forget_closed(vm);
	return find_event(&vm->irqfds, event);
}

static struct irqfd *free_slot(struct irqfds *irqfds)
{
	size_t old_room = irqfds->room, room = old_room ? old_room * 2 : 8;
	struct irqfd *grown;

	for (size_t i = atomic_load(&irqfds->nr) < old_room ? 0 : old_room; i < old_room; i++)
		if (!irqfds->slot[i].in_use)
			return &irqfds->slot[i];
	grown = realloc(irqfds->slot, room * sizeof(*grown));
	if (!grown)
		return NULL;
	memset(grown + old_room, 0, (room - old_room) * sizeof(*grown));
	irqfds->slot = grown;
	irqfds->room = room;
	return &grown[old_room];
}

static int add(struct vm *vm, const struct irqfd *new)
{
	struct irqfds *irqfds = &vm->irqfds;
	struct irqfd *irqfd;
	uint32_t generation;
	int err;

	if (find_open(vm, new->event))
		return -EBUSY;
	err = irqfds_start(vm);
	if (err)
		return err;
	irqfd = free_slot(irqfds);
	if (!irqfd)
		return -ENOMEM;
	generation = irqfd->generation;
	*irqfd = *new;
	irqfd->generation = generation;
	err = irqfd_watch(irqfds, irqfd);
	if (err)
		return err;
	irqfd->in_use = true;
	atomic_fetch_add(&irqfds->nr, 1);
	if (new->resamples)
		atomic_fetch_add(&irqfds->nr_resample, 1);
	irqfd->fresh = true;
	irqfds_drain(vm);
	irqfd->fresh = false;
	return 0;
}

static int open_resample(const struct kvm_irqfd *args, struct irqfd *new)
{
	uint64_t event;
	int own;

	new->resamples = args->flags & KVM_IRQFD_FLAG_RESAMPLE;
	if (!new->resamples)
		return 0;
	own = event_open((int)args->resamplefd, &event);
	if (own >= 0 && event == new->event)
		close(own);
	else
		new->resample_fd = own;
	return own < 0 ? own : 0;
}

static int assign_opened(struct vm *vm, const struct kvm_irqfd *args, uint64_t event)
{
	struct irqfd new = { .event = event, .gsi = args->gsi, .number = (int)args->fd, .resample_fd = -1 };
	int err = open_resample(args, &new);

	if (err)
		return err;
	pthread_mutex_lock(&vm->irq_lock);
	irqfds_drain(vm);
	err = add(vm, &new);
	/* Linux joins the GSI's resamplers before it looks whether the eventfd is free; the last to leave lowers it. */
	if (err && new.resamples && !has_resampler(&vm->irqfds, new.gsi))
		routing_inject(vm, new.gsi, false);
	pthread_mutex_unlock(&vm->irq_lock);
	if (err && new.resample_fd >= 0)
		close(new.resample_fd);
	return err;
}

static int assign(struct vm *vm, const struct kvm_irqfd *args)
{
	uint64_t event;
	int own, err;

	if (!vm->vgic.initialized)
		return -EAGAIN;
	/* Kept open until it is watched, so that nobody else can get its id. */
	own = event_open((int)args->fd, &event);
	if (own < 0)
		return own;
	err = assign_opened(vm, args, event);
	close(own);
	return err;
}

/* Also where there is nothing to deassign: 0. */
static int deassign(struct vm *vm, const struct kvm_irqfd *args)
{
	struct irqfd *irqfd;
	uint64_t event;
	int own = event_open((int)args->fd, &event);

	if (own < 0)
		return own;
	pthread_mutex_lock(&vm->irq_lock);
	irqfds_drain(vm);
	irqfd = find_open(vm, event);
	if (irqfd && irqfd->gsi == args->gsi)
		deassign_one(vm, irqfd);
	pthread_mutex_unlock(&vm->irq_lock);
	close(own);
	return 0;
}

int irqfd_set(struct vm *vm, const struct kvm_irqfd *args)
{
	if (args->flags & ~(uint32_t)(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	return args->flags & KVM_IRQFD_FLAG_DEASSIGN ? deassign(vm, args) : assign(vm, args);
}

void irqfds_sync(struct vm *vm)
{
	forwards_sync(vm);
	if (!atomic_load(&vm->irqfds.nr))
		return;
	pthread_mutex_lock(&vm->irq_lock);
	irqfds_drain(vm);
	/* Only the line of a resampler shows whether its eventfd is closed. */
	if (atomic_load(&vm->irqfds.nr_resample))
		forget_closed(vm);
	pthread_mutex_unlock(&vm->irq_lock);
}

void irqfd_acked(struct vm *vm, uint32_t intid)
{
	struct irqfds *irqfds = &vm->irqfds;
	int gsi;

	if (!atomic_load(&irqfds->nr_resample))
		return;
	pthread_mutex_lock(&vm->irq_lock);
	gsi = routing_gsi_of_spi(vm, intid);
	if (gsi >= 0 && has_resampler(irqfds, (uint32_t)gsi)) {
		/* Once for all of them: they share the line, and one of them may raise it again at once. */
		routing_inject(vm, (uint32_t)gsi, false);
		for (size_t i = 0; i < irqfds->room; i++)
			if (irqfds->slot[i].in_use && irqfds->slot[i].resamples && irqfds->slot[i].gsi == (uint32_t)gsi)
				signal_resample(&irqfds->slot[i]);
	}
	pthread_mutex_unlock(&vm->irq_lock);
}

static void stop(struct vm *vm)
{
	struct irqfds *irqfds = &vm->irqfds;

	pthread_mutex_lock(&vm->irq_lock);
	irqfds_drain(vm);
	forget_closed(vm);
	irqfds->stopping = true;
	for (size_t i = 0; i < irqfds->room; i++)
		if (irqfds->slot[i].in_use)
			deassign_one(vm, &irqfds->slot[i]);
	event_signal(irqfds->stop_fd);
	pthread_mutex_unlock(&vm->irq_lock);
	pthread_join(irqfds->thread, NULL);
}

void irqfds_release(struct vm *vm)
{
	bool ours = vm->irqfds.process == process_generation();

	if (vm->irqfds.epoll_fd < 0)
		return;
	if (ours) {
		stop(vm);
		pthread_mutex_lock(&vm->irq_lock);
	}
	irqfds_close(&vm->irqfds);
	free(vm->irqfds.slot);
	vm->irqfds.slot = NULL;
	vm->irqfds.room = 0;
	if (ours)
		pthread_mutex_unlock(&vm->irq_lock);
}
