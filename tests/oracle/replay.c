/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: runs scripts in the trace format (docs/trace-format.md) on Linux's own KVM
 * and prints them with the answers. Part of the tests.
 *
 *     replay [-t MS] SCRIPT...
 *
 * Between lines `@@@ begin FILE` and `@@@ end STATUS` stands each script with its answers; what
 * went wrong is on stderr. As the first process of a machine it serves scripts over a port: guest.c.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "script.h"

/* after this a killed process that sits in the kernel is given up */
#define KILL_LIMIT_MS 5000

static const char *const status_words[] = {
	[STATUS_OK] = "ok", [STATUS_PARSE] = "parse", [STATUS_RUN] = "run",
	[STATUS_HANG] = "hang", [STATUS_CRASH] = "crash",
};

const char *status_word(enum status status)
{
	return status_words[status];
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

bool wait_child(pid_t pid, unsigned int limit_ms, int *wait_status)
{
	int64_t end = now_ms() + limit_ms, left;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (waitpid(pid, wait_status, WNOHANG) != pid) {
		left = end - now_ms();
		if (left <= 0)
			return false;
		struct timespec wait = { left / 1000, left % 1000 * 1000000 };

		sigtimedwait(&child, NULL, &wait);
	}
	return true;
}

void block_child_signal(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
}

static void child_main(const char *file, const char *text, size_t length, struct output *out)
{
	struct script script = {
		.file = file, .text = text, .length = length, .message = out->message,
	};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (script_parse(&script))
		_exit(STATUS_PARSE);
	_exit(script_run(&script, out) ? STATUS_RUN : STATUS_OK);
}

enum status replay_text(const char *file, const char *text, size_t length, unsigned int limit_ms,
			struct output *out)
{
	int wait_status;
	pid_t pid;

	out->used = out->line = out->column = out->depth = 0;
	out->message[0] = 0;
	pid = fork();
	if (pid < 0) {
		snprintf(out->message, sizeof(out->message), "%s: no process for it", file);
		return STATUS_RUN;
	}
	if (!pid)
		child_main(file, text, length, out);
	if (!wait_child(pid, limit_ms, &wait_status)) {
		kill(pid, SIGKILL);
		wait_child(pid, KILL_LIMIT_MS, &wait_status);
		snprintf(out->message, sizeof(out->message),
			 "%s:%u: no answer within %u ms; killed", file, out->line, limit_ms);
		return STATUS_HANG;
	}
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) <= STATUS_RUN)
		return WEXITSTATUS(wait_status);
	snprintf(out->message, sizeof(out->message), "%s:%u: the replayer crashed (status %#x)",
		 file, out->line, wait_status);
	return STATUS_CRASH;
}

struct output *new_output(void)
{
	struct output *out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return out == MAP_FAILED ? NULL : out;
}

static char *read_file(const char *path, size_t *length)
{
	FILE *f = fopen(path, "rb");
	char *text = NULL;
	size_t used = 0, space = 0, n;

	if (!f)
		return NULL;
	do {
		space += 65536;
		text = realloc(text, space);
		if (!text)
			abort();
		n = fread(text + used, 1, space - used, f);
		used += n;
	} while (used == space);
	fclose(f);
	*length = used;
	return text;
}

static bool replay_file(const char *path, unsigned int limit_ms, struct output *out)
{
	enum status status;
	size_t length;
	char *text = read_file(path, &length);

	if (!text) {
		perror(path);
		return false;
	}
	status = replay_text(path, text, length, limit_ms, out);
	free(text);
	printf("@@@ begin %s\n", path);
	fwrite(out->text, 1, out->used, stdout);
	printf("@@@ end %s\n", status_word(status));
	fflush(stdout);
	if (status != STATUS_OK)
		fprintf(stderr, "%s\n", out->message);
	return status == STATUS_OK;
}

int main(int argc, char **argv)
{
	unsigned int limit_ms = 10000;
	struct output *out;
	bool ok = true;
	int c;

	block_child_signal();
	if (getpid() == 1)
		return guest_main();
	while ((c = getopt(argc, argv, "t:")) != -1) {
		if (c != 't')
			return 2;
		limit_ms = strtoul(optarg, NULL, 10);
	}
	if (optind == argc) {
		fprintf(stderr, "usage: replay [-t MS] SCRIPT...\n");
		return 2;
	}
	out = new_output();
	if (!out) {
		perror("replay");
		return 2;
	}
	for (; optind < argc; optind++)
		ok &= replay_file(argv[optind], limit_ms, out);
	return ok ? 0 : 1;
}
