/* SPDX-License-Identifier: MIT */
/*
 * The finest clock a program has. A tick is no cycle of the core: the clock's rate is fixed, the core's is not. For
 * measuring only.
 */
#ifndef KVMEMU_BENCH_CLOCK_H
#define KVMEMU_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_SEC 1000000000ull

static inline uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Whatever stands before it is done (but for stores on their way to memory), and nothing behind it has begun. */
#if defined(__x86_64__)

#define CLOCK_NAME "TSC"

static inline uint64_t ticks_now(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

#elif defined(__aarch64__)

#define CLOCK_NAME "CNTVCT_EL0"

static inline uint64_t ticks_now(void)
{
	uint64_t now;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(now) : : "memory");
	return now;
}

#else

#define CLOCK_NAME "CLOCK_MONOTONIC"

static inline uint64_t ticks_now(void)
{
	return monotonic_ns();
}

#endif

/* Stores have reached the cache. */
static inline void drain_stores(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Out of all caches; false where a program cannot do that. */
static inline int evict(const void *from, size_t bytes)
{
#if defined(__x86_64__) || defined(__aarch64__)
	for (const char *line = from; line < (const char *)from + bytes; line += 64)
#if defined(__x86_64__)
		__asm__ volatile("clflush %0" : : "m"(*line) : "memory");
	__asm__ volatile("mfence" : : : "memory");
#else
		__asm__ volatile("dc civac, %0" : : "r"(line) : "memory");
	__asm__ volatile("dsb ish" : : : "memory");
#endif
	return 1;
#else
	(void)from;
	(void)bytes;
	return 0;
#endif
}

#endif
