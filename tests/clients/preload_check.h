/* SPDX-License-Identifier: MIT */
/*
 * Checks for the programs preload_*.c. Part of the tests.
 *
 * The programs know nothing of kvmemu, and what they check is true of Linux: statically linked, they pass on the oracle's
 * machine as they pass here with libkvmemu-preload.so. They print what is wrong; main() ends with return checks_failed().
 */
#ifndef PRELOAD_CHECK_H
#define PRELOAD_CHECK_H

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvmemu/uapi.h"

/* An address at which nothing is mapped. The compiler need not know. */
static void *volatile bad_address __attribute__((unused)) = (void *)8;
#define BAD bad_address

static atomic_int nr_failed;

/* What a call returned: its result, or its errno as a negative number. */
#define RESULT(call) ({ errno = 0; long ret_ = (long)(call); ret_ == -1 ? -(long)errno : ret_; })

#define EXPECT(call, want) \
	({ \
		long got_ = RESULT(call), want_ = (long)(want); \
		if (got_ != want_) { \
			nr_failed++; \
			printf("%s:%d: %s is %ld, not %s (%ld)\n", __FILE__, __LINE__, #call, got_, #want, want_); \
		} \
	})

#define CHECK(condition) EXPECT(!!(condition), 1)

/* A call that must not fail, because everything after it needs it; its result. */
#define MUST(call) \
	({ \
		long got_ = RESULT(call); \
		if (got_ < 0) { \
			printf("%s:%d: %s is %ld\n", __FILE__, __LINE__, #call, got_); \
			exit(2); \
		} \
		got_; \
	})

static inline int checks_failed(void)
{
	fflush(stdout);
	return nr_failed ? 1 : 0;
}

/* Runs something in a child of its own: its wait status. Checks that fail in the child make it exit with 1. */
#define IN_CHILD(...) \
	({ \
		int status_ = -1; \
		pid_t pid_; \
		fflush(stdout); \
		pid_ = fork(); \
		if (!pid_) { \
			nr_failed = 0; \
			__VA_ARGS__; \
			_exit(checks_failed()); \
		} \
		waitpid(pid_, &status_, 0); \
		status_; \
	})

#endif
