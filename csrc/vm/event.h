/* SPDX-License-Identifier: MIT */
/*
 * Eventfds of the caller. Layer: vm.
 *
 * Linux tells eventfds apart by their object, whatever number they go by. Here that is the eventfd-id that
 * /proc/self/fdinfo has (Linux 5.2 and later), also without privileges and under qemu-user; kcmp(2) is refused in most
 * containers. Ids are those of eventfds that exist: one that is closed may give its id to the next. Without /proc, or
 * on an older kernel, the caller's number has to do.
 */
#ifndef KVMEMU_VM_EVENT_H
#define KVMEMU_VM_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A descriptor of our own for the caller's eventfd, with a number out of the way of the caller's, and which eventfd it
 * is. EBADF, EINVAL if it is no eventfd, EMFILE.
 */
int event_open(int fd, uint64_t *id);

/* A number of this process that stands for this eventfd, or -1. Slow. */
int event_find(uint64_t id);

bool event_is(int fd, uint64_t id);

/* Adds 1, never waiting: an eventfd that is full stays as it is. */
void event_signal(int fd);

/* Takes its count, never waiting. */
void event_take(int fd);

/*
 * Moves a descriptor of ours out of the way of the caller's; its new number, or the old one if there is no room. -1
 * passes through, with its errno.
 */
int event_move_away(int fd);

#endif
