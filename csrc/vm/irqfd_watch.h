/* SPDX-License-Identifier: MIT */
/*
 * Which irqfds have an event, and which are gone: the epoll instance and the thread. All with vm->irq_lock. Layer: vm.
 */
#ifndef KVMEMU_VM_IRQFD_WATCH_H
#define KVMEMU_VM_IRQFD_WATCH_H

#include "irqfd.h"

/* At the first irqfd. -EMFILE, -ENOMEM. */
int irqfds_start(struct vm *vm);

/* irqfds->fired is called for each that was written to. False if the instance was closed behind our back. */
bool irqfds_drain(struct vm *vm);

/* Begins with an irqfd's generation and slot as they are. -EBADF, -ENOMEM. */
int irqfd_watch(struct irqfds *irqfds, const struct irqfd *irqfd);
void irqfd_unwatch(struct irqfds *irqfds, const struct irqfd *irqfd);

/* Sets each one's `watched`: an eventfd that nobody has open is not. False if that cannot be told. */
bool irqfds_mark_watched(struct irqfds *irqfds);

void irqfds_close(struct irqfds *irqfds);

#endif
