/* SPDX-License-Identifier: MIT */
/*
 * Carries a program into the oracle's machine: a static arm64 program that unpacks another one, which is appended to it,
 * and becomes it. Part of the tests; selftests.py puts both together.
 *
 *     run_here NAME VARIABLE=VALUE [ARG...]      becomes ./NAME [ARG...], with that one variable in the environment
 *
 * The oracle starts a program from memory, under a name that no file has, and with an environment of its own. KVM's
 * selftests load themselves into a guest from the file they were started as. The file ends with the appended
 * program's size, 8 bytes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int unpack(const char *name)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;
	struct stat st;
	uint64_t left;
	off_t at;

	if (from < 0 || fstat(from, &st) ||
	    pread(from, &left, sizeof(left), st.st_size - sizeof(left)) != sizeof(left))
		return -1;
	unlink(name);	/* a program of the same name may still be running */
	to = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (to < 0)
		return -1;
	at = st.st_size - sizeof(left) - left;
	while (left) {
		ssize_t sent = sendfile(to, from, &at, left);

		if (sent <= 0)
			return -1;
		left -= sent;
	}
	return close(to);
}

int main(int argc, char **argv)
{
	char name[256];

	if (argc < 3)
		return 126;
	snprintf(name, sizeof(name), "./%s", argv[1]);
	if (!unpack(name) && !putenv(argv[2])) {
		argv[2] = name;
		execv(name, argv + 2);
	}
	perror(name);
	return 127;
}
