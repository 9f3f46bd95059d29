/* SPDX-License-Identifier: MIT */
/* Waiting for a vCPU's lock. Layer: vm. */
#define _GNU_SOURCE
#include "lock.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

void lock_wait(struct lock *lock)
{
	/* Whoever waits leaves 2, also when it gets the lock: there may be others, and one needless wake-up is cheap. */
	while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire))
		syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void lock_wake(struct lock *lock)
{
	syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
