/* SPDX-License-Identifier: MIT */
/*
 * Drives the fuzz target without libFuzzer: sessions of random bytes, as many as it takes to make so many calls, the
 * same ones every time. Part of the tests.
 *
 *     fuzz_door [-calls N] [-seed N]      N calls, from the session of that seed on
 *     fuzz_door -session N                that one session
 *     fuzz_door FILE...                   files that libFuzzer has left
 *
 * A crash names its session. A session that takes a minute hangs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define SESSION_BYTES 4096
#define SESSION_SECONDS 60

static volatile uint64_t session;

static void random_bytes(uint64_t seed, uint8_t *to, size_t bytes)
{
	uint64_t state = (seed + 1) * 0x9e3779b97f4a7c15ull, word;

	for (size_t i = 0; i + sizeof(word) <= bytes; i += sizeof(word)) {
		state ^= state >> 12;
		state ^= state << 25;
		state ^= state >> 27;
		word = state * 0x2545f4914f6cdd1dull;
		memcpy(to + i, &word, sizeof(word));
	}
}

static void name_session(void)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "in session %llu\n", (unsigned long long)session);

	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}

static void on_crash(int signum)
{
	name_session();
	signal(signum, SIG_DFL);
	raise(signum);
}

/* AddressSanitizer calls this where it ends the program; without it there is no such function. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch_for_crashes(void)
{
	signal(SIGABRT, on_crash);
	signal(SIGALRM, on_crash);
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(name_session);
		return;
	}
	signal(SIGSEGV, on_crash);
	signal(SIGBUS, on_crash);
}

static void run_session(uint64_t seed)
{
	static uint8_t bytes[SESSION_BYTES];

	session = seed;
	random_bytes(seed, bytes, sizeof(bytes));
	alarm(SESSION_SECONDS);
	LLVMFuzzerTestOneInput(bytes, sizeof(bytes));
}

static int run_file(const char *path)
{
	static uint8_t bytes[1 << 20];
	FILE *file = fopen(path, "re");
	size_t n;

	if (!file) {
		perror(path);
		return 1;
	}
	n = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, n);
	return 0;
}

static void report(uint64_t sessions, const struct timespec *begun)
{
	struct timespec now;
	double seconds;

	clock_gettime(CLOCK_MONOTONIC, &now);
	seconds = (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
	printf("%llu calls in %llu sessions, %.1f s, %.0f calls a second\n", (unsigned long long)fuzz_calls,
	       (unsigned long long)sessions, seconds, (double)fuzz_calls / seconds);
	for (int i = 0; i < FUZZ_NR_ERRORS; i++)
		if (fuzz_results[i])
			printf("%12llu  %s\n", (unsigned long long)fuzz_results[i], i ? strerror(i) : "no error");
}

int main(int argc, char **argv)
{
	uint64_t calls = 200000, seed = 0, sessions = 0;
	struct timespec begun;
	int at = 1;

	watch_for_crashes();
	LLVMFuzzerInitialize(&argc, &argv);
	for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
		uint64_t number = strtoull(argv[at + 1], NULL, 0);

		if (!strcmp(argv[at], "-calls")) {
			calls = number;
		} else if (!strcmp(argv[at], "-seed")) {
			seed = number;
		} else if (!strcmp(argv[at], "-session")) {
			seed = number;
			calls = 1;
		}
	}
	if (at < argc) {
		for (; at < argc; at++)
			if (run_file(argv[at]))
				return 1;
		return 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &begun);
	for (; fuzz_calls < calls; sessions++)
		run_session(seed + sessions);
	report(sessions, &begun);
	return 0;
}
