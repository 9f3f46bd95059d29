/* SPDX-License-Identifier: MIT */
/*
 * The lock of a vCPU. Layer: vm. It is taken by every register access, nearly always without anybody else wanting it:
 * then it is one atomic exchange each way, inline, where a pthread mutex makes two calls. Waiters sleep in the kernel.
 */
#ifndef KVMEMU_VM_LOCK_H
#define KVMEMU_VM_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>

struct lock {
	atomic_int state;	/* 0: free; 1: held; 2: held, and somebody may be waiting */
};

void lock_wait(struct lock *lock);
void lock_wake(struct lock *lock);

static inline bool lock_try(struct lock *lock)
{
	int unlocked = 0;

	return atomic_compare_exchange_strong_explicit(&lock->state, &unlocked, 1, memory_order_acquire,
						       memory_order_relaxed);
}

static inline void lock_take(struct lock *lock)
{
	if (!lock_try(lock))
		lock_wait(lock);
}

static inline void lock_release(struct lock *lock)
{
	if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2)
		lock_wake(lock);
}

#endif
