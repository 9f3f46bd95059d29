/* SPDX-License-Identifier: MIT */
/*
 * Checks for test programs: ok(), equal(), fails(), and a line of output a test, in the manner of TAP. Part of the tests.
 *
 * A check that fails says where and what, and the test goes on; the program's exit status is 1 if any failed. Checks may
 * be made by several threads. A program that hangs is ended by SIGALRM.
 */
#ifndef KVMEMU_TESTS_CHECK_H
#define KVMEMU_TESTS_CHECK_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#ifndef CHECK_SECONDS
#define CHECK_SECONDS 120	/* of one test, under a sanitizer on a busy machine */
#endif

static atomic_int check_failed;
static int check_tests, check_tests_failed;

/* An expression that must be true. */
#define ok(expr) check_true(!!(expr), __FILE__, __LINE__, #expr)

/* Two integers that must be the same. */
#define equal(got, want) check_equal((long long)(got), (long long)(want), __FILE__, __LINE__, #got)

/* A call that must return -err; err is a positive errno. */
#define fails(call, err) check_equal((long long)(call), -(long long)(err), __FILE__, __LINE__, #call)

/* A call that must succeed; its result. A test cannot go on without it, so that the program ends if it fails. */
#define must(call) check_must((long)(call), __FILE__, __LINE__, #call)

static inline bool check_true(bool good, const char *file, int line, const char *what)
{
	if (!good) {
		printf("# %s:%d: %s\n", file, line, what);
		atomic_fetch_add(&check_failed, 1);
	}
	return good;
}

static inline bool check_equal(long long got, long long want, const char *file, int line, const char *what)
{
	if (got != want) {
		printf("# %s:%d: %s is %lld (0x%llx), not %lld\n", file, line, what, got, got, want);
		atomic_fetch_add(&check_failed, 1);
	}
	return got == want;
}

static inline long check_must(long got, const char *file, int line, const char *what)
{
	if (got >= 0)
		return got;
	printf("Bail out! %s:%d: %s is %ld\n", file, line, what, got);
	fflush(stdout);
	_exit(1);
}

#define run(test) check_run(test, #test)

static inline void check_run(void (*test)(void), const char *name)
{
	int before = atomic_load(&check_failed);
	bool good;

	alarm(CHECK_SECONDS);
	test();
	good = atomic_load(&check_failed) == before;
	check_tests_failed += !good;
	printf("%sok %d - %s\n", good ? "" : "not ", ++check_tests, name);
	fflush(stdout);
}

/* What main() returns. */
static inline int check_done(void)
{
	printf("1..%d\n", check_tests);
	return check_tests_failed || atomic_load(&check_failed);
}

#endif
