/* SPDX-License-Identifier: MIT */
/* Which irqfds have an event, and which are gone. Layer: vm. */
#define _GNU_SOURCE
#include "irqfd_watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "event.h"
#include "vm.h"

#define STACK_BYTES (256 * 1024)
#define BATCH 64
#define STOP 0		/* epoll's data of stop_fd; an irqfd's has its slot, from 1 */

static uint64_t data_of(const struct irqfds *irqfds, const struct irqfd *irqfd)
{
	return (uint64_t)irqfd->generation << 32 | (uint64_t)(irqfd - irqfds->slot + 1);
}

/* NULL for an irqfd that is no more. Its eventfd may be watched still, where its number was no longer there to end that. */
static struct irqfd *find_data(struct irqfds *irqfds, uint64_t data)
{
	size_t at = (uint32_t)data;
	struct irqfd *irqfd = at && at <= irqfds->room ? &irqfds->slot[at - 1] : NULL;

	return irqfd && irqfd->in_use && irqfd->generation == data >> 32 ? irqfd : NULL;
}

bool irqfds_drain(struct vm *vm)
{
	struct epoll_event events[BATCH];
	struct irqfd *irqfd;
	int n;

	do {
		n = epoll_wait(vm->irqfds.epoll_fd, events, BATCH, 0);
		for (int i = 0; i < n; i++) {
			irqfd = find_data(&vm->irqfds, events[i].data.u64);
			if (irqfd)
				vm->irqfds.fired(vm, irqfd);
		}
	} while (n == BATCH);
	return n >= 0;
}

static void *serve(void *arg)
{
	struct vm *vm = arg;
	struct pollfd wait = { .fd = vm->irqfds.epoll_fd, .events = POLLIN };
	bool go_on = true;

	while (go_on) {
		if (poll(&wait, 1, -1) < 0 ? errno != EINTR : wait.revents != POLLIN)
			break;
		pthread_mutex_lock(&vm->irq_lock);
		go_on = irqfds_drain(vm) && !vm->irqfds.stopping;
		pthread_mutex_unlock(&vm->irq_lock);
	}
	return NULL;
}

/* The program's signals are none of this thread's business. */
static int start_thread(struct vm *vm)
{
	sigset_t all, outside;
	pthread_attr_t attr;
	int err;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_sigmask(SIG_BLOCK, &all, &outside);
	vm->irqfds.process = process_generation();
	err = pthread_create(&vm->irqfds.thread, &attr, serve, vm);
	pthread_sigmask(SIG_SETMASK, &outside, NULL);
	pthread_attr_destroy(&attr);
	return err ? -ENOMEM : 0;
}

void irqfds_close(struct irqfds *irqfds)
{
	if (irqfds->epoll_fd >= 0)
		close(irqfds->epoll_fd);
	if (irqfds->stop_fd >= 0)
		close(irqfds->stop_fd);
	irqfds->epoll_fd = -1;
	irqfds->stop_fd = -1;
}

int irqfds_start(struct vm *vm)
{
	struct epoll_event stop = { .events = EPOLLIN, .data.u64 = STOP };
	struct irqfds *irqfds = &vm->irqfds;
	int err = -EMFILE;

	if (irqfds->epoll_fd >= 0)
		return 0;
	irqfds->epoll_fd = event_move_away(epoll_create1(EPOLL_CLOEXEC));
	irqfds->stop_fd = event_move_away(eventfd(0, EFD_CLOEXEC));
	if (irqfds->epoll_fd >= 0 && !epoll_ctl(irqfds->epoll_fd, EPOLL_CTL_ADD, irqfds->stop_fd, &stop))
		err = start_thread(vm);
	if (err)
		irqfds_close(irqfds);
	return err;
}

int irqfd_watch(struct irqfds *irqfds, const struct irqfd *irqfd)
{
	/* Every write to the eventfd is an event, read or not: edge-triggered. */
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = data_of(irqfds, irqfd) };

	if (!epoll_ctl(irqfds->epoll_fd, EPOLL_CTL_ADD, irqfd->number, &event))
		return 0;
	/* Left over from an irqfd that was deassigned under another number of its eventfd. */
	if (errno == EEXIST && !epoll_ctl(irqfds->epoll_fd, EPOLL_CTL_MOD, irqfd->number, &event))
		return 0;
	return errno == EBADF ? -EBADF : -ENOMEM;
}

/* The kernel tells what an epoll instance watches: a line each, "... data: HEX ...". */
bool irqfds_mark_watched(struct irqfds *irqfds)
{
	char path[40], line[256];
	struct irqfd *irqfd;
	bool complete = false;
	const char *at;
	uint64_t data;
	FILE *info;

	for (size_t i = 0; i < irqfds->room; i++)
		irqfds->slot[i].watched = false;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", irqfds->epoll_fd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info)) {
		at = strstr(line, "data:");
		if (!at)
			continue;
		data = strtoull(at + strlen("data:"), NULL, 16);
		irqfd = find_data(irqfds, data);
		if (irqfd)
			irqfd->watched = true;
		complete |= data == STOP;
	}
	if (info)
		fclose(info);
	return complete;
}

void irqfd_unwatch(struct irqfds *irqfds, const struct irqfd *irqfd)
{
	/* The number may stand for another eventfd by now, which may be watched too. */
	if (event_is(irqfd->number, irqfd->event))
		epoll_ctl(irqfds->epoll_fd, EPOLL_CTL_DEL, irqfd->number, NULL);
}
