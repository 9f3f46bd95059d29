/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer as the first process of a virtual machine: it answers requests that arrive
 * over a virtio port, one after another, so that one boot serves many scripts and programs. Part of
 * the tests; the other end is linux.py.
 *
 * A request is a line, then its payload:
 *     script LIMIT_MS BYTES FILE        BYTES of a script; FILE names it in messages
 *     program LIMIT_MS BYTES ARGC       ARGC arguments, a NUL behind each, then a static program
 *     off                               power off
 * The answer is a line, then two payloads:
 *     STATUS NUMBER OUTPUT_BYTES MESSAGE_BYTES
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "script.h"

#define MODULES "/modules"
#define PORT "/dev/vport0p1"
#define PORT_WAIT_MS 10000
#define ARGS_MAX 64
#define PAYLOAD_MAX (256u << 20)

static int port;
static struct output *out;

static void give_up(const char *what)
{
	fprintf(stderr, "oracle: %s: %s\n", what, strerror(errno));
	reboot(RB_POWER_OFF);
	_exit(1);
}

/* ---- the machine ---- */

static void mount_all(void)
{
	static const char *const mounts[][2] = {
		{ "proc", "/proc" }, { "sysfs", "/sys" }, { "devtmpfs", "/dev" },
		{ "tmpfs", "/tmp" }, { "debugfs", "/sys/kernel/debug" },
	};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i][1], 0755);
		if (mount(mounts[i][0], mounts[i][1], mounts[i][0], 0, NULL) && errno != EBUSY)
			fprintf(stderr, "oracle: %s: %s\n", mounts[i][1], strerror(errno));
	}
	mkdir("/dev/shm", 01777);
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
}

static void load_modules(void)
{
	DIR *dir = opendir(MODULES);
	struct dirent *entry;
	char path[512];
	int fd;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), MODULES "/%s", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			fprintf(stderr, "oracle: %s: %s\n", path, strerror(errno));
		close(fd);
	}
	closedir(dir);
}

/*
 * Scripts run on one CPU, the last: going to and fro between two that QEMU emulates costs more than
 * they do; and that one has no tick (linux.py boots with nohz_full), which would interrupt a guest
 * at any moment. Programs get all of them.
 */
static void use_cpus(int first)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	for (int i = first; i < sysconf(_SC_NPROCESSORS_CONF); i++)
		CPU_SET(i, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static int last_cpu(void)
{
	return sysconf(_SC_NPROCESSORS_CONF) - 1;
}

static void open_port(void)
{
	for (int ms = 0; ms < PORT_WAIT_MS; ms += 10) {
		port = open(PORT, O_RDWR | O_CLOEXEC);
		if (port >= 0)
			return;
		usleep(10000);
	}
	give_up(PORT);
}

/* ---- the port ---- */

static void port_read(char *to, size_t n)
{
	static char buffer[65536];
	static size_t first, end;

	while (n) {
		if (first == end) {
			ssize_t got = read(port, buffer, sizeof(buffer));

			if (got <= 0)
				give_up("the other end is gone");
			first = 0;
			end = got;
		}
		size_t part = n < end - first ? n : end - first;

		memcpy(to, buffer + first, part);
		to += part;
		n -= part;
		first += part;
	}
}

static void port_write(const char *from, size_t n)
{
	while (n) {
		ssize_t put = write(port, from, n);

		if (put <= 0)
			give_up("the other end is gone");
		from += put;
		n -= put;
	}
}

static void port_line(char *line, size_t space)
{
	size_t n = 0;

	do {
		if (n + 1 == space)
			give_up("a request's line is too long");
		port_read(line + n, 1);
	} while (line[n++] != '\n');
	line[n - 1] = 0;
}

/* in as few writes as can be: each costs a millisecond */
static void answer(const char *status, long number, const char *text, size_t text_bytes,
		   const char *message)
{
	char head[65536];
	size_t message_bytes = strlen(message);
	size_t used = snprintf(head, sizeof(head), "%s %ld %zu %zu\n", status, number, text_bytes,
			       message_bytes);
	size_t part = text_bytes < sizeof(head) / 2 ? text_bytes : sizeof(head) / 2;

	memcpy(head + used, text, part);
	used += part;
	if (part == text_bytes) {
		memcpy(head + used, message, message_bytes);
		used += message_bytes;
	}
	port_write(head, used);
	if (part < text_bytes) {
		port_write(text + part, text_bytes - part);
		port_write(message, message_bytes);
	}
}

/* ---- requests ---- */

static void serve_script(const char *file, const char *text, size_t length, unsigned int limit_ms)
{
	enum status status = replay_text(file, text, length, limit_ms, out);

	answer(status_word(status), 0, out->text, out->used, out->message);
}

static void exec_program(int program, int output, char **argv)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	use_cpus(0);
	setsid();
	dup2(open("/dev/null", O_RDWR), 0);
	dup2(output, 1);
	dup2(output, 2);
	if (chdir("/tmp"))
		_exit(126);
	fexecve(program, argv, (char *[]){ "PATH=/", "HOME=/tmp", NULL });
	dprintf(1, "exec: %s\n", strerror(errno));
	_exit(127);
}

static void run_program(char **argv, const char *elf, size_t length, unsigned int limit_ms)
{
	int program = memfd_create("program", 0), output = memfd_create("output", 0);
	int wait_status = 0;
	struct stat st;
	char *text = "";
	bool hangs;
	pid_t pid;

	if (program < 0 || output < 0 || write(program, elf, length) != (ssize_t)length)
		give_up("no memory for the program");
	pid = fork();
	if (!pid)
		exec_program(program, output, argv);
	hangs = !wait_child(pid, limit_ms, &wait_status);
	kill(-pid, SIGKILL);
	if (hangs)
		wait_child(pid, 5000, &wait_status);
	fstat(output, &st);
	if (st.st_size)
		text = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, output, 0);
	answer(hangs ? "hang" : WIFEXITED(wait_status) ? "exit" : "signal",
	       WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status), text,
	       st.st_size, "");
	if (st.st_size)
		munmap(text, st.st_size);
	close(program);
	close(output);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void serve_program(char *payload, size_t length, unsigned int argc, unsigned int limit_ms)
{
	char *argv[ARGS_MAX + 1] = { NULL }, *at = payload;

	for (unsigned int i = 0; i < argc; i++) {
		char *end = memchr(at, 0, length - (at - payload));

		if (!end || argc > ARGS_MAX)
			give_up("a program's arguments are malformed");
		argv[i] = at;
		at = end + 1;
	}
	run_program(argv, at, length - (at - payload), limit_ms);
}

static void serve_one(void)
{
	char line[4096], word[16], file[4096];
	unsigned int limit_ms;
	size_t length;
	char *payload;

	port_line(line, sizeof(line));
	if (sscanf(line, "%15s %u %zu %4095[^\n]", word, &limit_ms, &length, file) != 4 ||
	    length > PAYLOAD_MAX) {
		reboot(RB_POWER_OFF);
		_exit(0);
	}
	payload = malloc(length + 1);
	if (!payload)
		give_up("no memory for a request");
	port_read(payload, length);
	if (!strcmp(word, "script"))
		serve_script(file, payload, length, limit_ms);
	else
		serve_program(payload, length, strtoul(file, NULL, 10), limit_ms);
	free(payload);
}

int guest_main(void)
{
	mount_all();
	load_modules();
	use_cpus(last_cpu());
	open_port();
	out = new_output();
	if (!out)
		give_up("no memory for output");
	answer("ready", 0, "", 0, "");
	for (;;)
		serve_one();
}
