/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any ioctl, on any file, with any argument, between any other calls. Nothing may crash, hang or leak, and
 * results are what the interface says they can be. Part of the tests.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <kvmemu/uapi.h>

#include "gic.h"
#include "guest.h"
#include "session.h"

uint64_t fuzz_calls, fuzz_results[FUZZ_NR_ERRORS];

void expect(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

long counted(long result)
{
	expect(result > -4096, "a result is >= 0 or an errno");
	fuzz_calls++;
	if (result > -FUZZ_NR_ERRORS)
		fuzz_results[result < 0 ? -result : 0]++;
	return result;
}

/*
 * Files.
 */

void close_file(struct session *s, unsigned int at)
{
	kvmemu_close(s->files[at].file);
	s->files[at].file = NULL;
}

void keep_file(struct session *s, struct kvmemu_file *file, enum kind kind)
{
	unsigned int at = choose(&s->in, NR_FILES);

	for (unsigned int i = 0; i < NR_FILES && s->files[at].file; i++)
		at = (at + 1) % NR_FILES;
	close_file(s, at);
	s->files[at].file = file;
	s->files[at].kind = kind;
}

struct kvmemu_file *any_file(struct session *s, enum kind *kind)
{
	unsigned int at = choose(&s->in, NR_FILES);

	for (unsigned int i = 0; i < NR_FILES; i++, at = (at + 1) % NR_FILES)
		if (s->files[at].file) {
			*kind = s->files[at].kind;
			return s->files[at].file;
		}
	return NULL;
}

struct kvmemu_file *file_of_kind(struct session *s, enum kind kind)
{
	unsigned int at = choose(&s->in, NR_FILES);

	for (unsigned int i = 0; i < NR_FILES; i++, at = (at + 1) % NR_FILES)
		if (s->files[at].file && s->files[at].kind == kind)
			return s->files[at].file;
	return NULL;
}

/*
 * What is not an ioctl.
 */

static void counter(struct session *s)
{
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (!file)
		return;
	fuzz_calls++;
	switch (choose(&s->in, 4)) {
	case 0:
		kvmemu_counter_set(file, take_number(&s->in));
		break;
	case 1:
		kvmemu_counter_follow_clock(file);
		break;
	default:
		kvmemu_counter_step(file, take_number(&s->in));
	}
	kvmemu_counter_read(file);
	expect(kvmemu_counter_hz(file) && kvmemu_arch(file) > 0, "a host has an architecture and a counter");
}

static void read_statistics(struct session *s)
{
	struct kvmemu_file *file = file_of_kind(s, STATS);
	size_t bytes = take(&s->in, 2);
	uint64_t address = take_address(&s->in, bytes);
	uint64_t offset = once_in(&s->in, 4) ? take_number(&s->in) : choose(&s->in, 2000);
	long got = file ? counted(kvmemu_read(file, (void *)address, bytes, offset)) : 0;

	expect(got <= (long)bytes, "no more is read than asked");
}

static void signal_any(struct session *s)
{
	signal_eventfd(&s->in);
}

static void close_any(struct session *s)
{
	close_file(s, choose(&s->in, NR_FILES));
}

static void duplicate(struct session *s)
{
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (file)
		keep_file(s, kvmemu_dup(file), kind);
}

/* How often each is done, of 64 times, so that a byte chooses. */
static const struct {
	void (*act)(struct session *s);
	unsigned int weight;
} actions[] = {
	{ call_fitting, 19 },
	{ call_any, 4 },
	{ call_any_number, 2 },
	{ register_batch, 4 },
	{ one_register, 7 },
	{ read_all_and_write_back, 1 },
	{ register_names, 1 },
	{ run_any, 3 },
	{ scribble_on_run_pages, 2 },
	{ guest_action, 1 },
	{ guest_run, 2 },
	{ guest_forward, 1 },
	{ call_several, 1 },
	{ gic_batch, 2 },
	{ gic_change, 2 },
	{ gic_line, 1 },
	{ gic_inspect, 1 },
	{ counter, 2 },
	{ read_statistics, 1 },
	{ signal_any, 1 },
	{ open_system, 1 },
	{ close_any, 2 },
	{ duplicate, 1 },
	{ descriptor_action, 2 },
};

static void act(struct session *s)
{
	unsigned int which = choose(&s->in, 64), at = 0;

	while (which >= actions[at].weight)
		which -= actions[at++].weight;
	actions[at].act(s);
}

/* All descriptors that are open, where it is a session's turn to be counted; else, for speed, the lowest free one. */
static int count_descriptors(bool all)
{
	DIR *dir = all ? opendir("/proc/self/fd") : NULL;
	int n = 0;

	if (!dir) {
		n = dup(STDERR_FILENO);
		close(n);
		return n;
	}
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct session s = { .in = { data, data + bytes } };
	static unsigned int sessions;
	bool all = sessions++ % 256 == 255;
	int before = count_descriptors(all);

	for (unsigned int i = 0; i < NR_FDS; i++)
		s.fds[i].fd = -1;
	begin(&s);
	while (input_is_left(&s.in))
		act(&s);
	close_descriptors(&s);
	for (unsigned int i = 0; i < NR_FILES; i++)
		close_file(&s, i);
	/* With everything closed, so are the descriptors that the library had opened for itself. */
	expect(count_descriptors(all) == before, "no descriptor is left open");
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	expect(hosts_setup(), "there are built-in hosts");
	expect(memory_setup() && requests_setup(), "there is memory, and registers have ids");
	expect(run_setup(), "there are timers");
	return 0;
}
