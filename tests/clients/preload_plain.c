/* SPDX-License-Identifier: MIT */
/*
 * A program that has nothing to do with KVM: it prints the same with the preload library and without. Part of the tests;
 * see preload_check.h. Its argument is a folder to work in.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "preload_check.h"

#define SHOW(call) printf("%d %s = %ld\n", __LINE__, #call, RESULT(call))

static char bytes[64];

static void files(void)
{
	char *volatile nowhere = NULL;
	struct statx stx;
	struct stat st;
	int fd, copy;

	umask(022);
	SHOW(fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0666));
	SHOW(open("file", O_RDWR | O_CREAT | O_EXCL, 0666));
	SHOW(fstat(fd, &st) ? -1 : (long)st.st_mode);
	SHOW(openat(AT_FDCWD, "other", O_WRONLY | O_CREAT, 0600));
	SHOW(stat("other", &st) ? -1 : (long)st.st_mode);
	SHOW(open(".", O_TMPFILE | O_RDWR, 0640));
	SHOW(write(fd, "0123456789", 10));
	SHOW(lseek(fd, -4, SEEK_END));
	SHOW(read(fd, bytes, sizeof(bytes)));
	SHOW(bytes[0]);
	SHOW(pread(fd, bytes, 3, 5));
	SHOW(pwrite(fd, "ab", 2, 9));
	SHOW(lstat("file", &st) ? -1 : st.st_size);
	SHOW(fstatat(fd, "", &st, AT_EMPTY_PATH) ? -1 : st.st_size);
	SHOW(statx(AT_FDCWD, "file", 0, STATX_SIZE, &stx) ? -1 : (long)stx.stx_size);
	SHOW(flock(fd, LOCK_EX));
	SHOW(fcntl(fd, F_SETLK, &(struct flock){ .l_type = F_WRLCK }));
	SHOW(fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
	SHOW(copy = dup(fd));
	SHOW(fcntl(copy, F_GETFD));
	SHOW(dup2(copy, 90));
	SHOW(dup3(copy, 91, O_CLOEXEC));
	SHOW(dup3(copy, copy, 0));
	SHOW(fcntl(91, F_DUPFD, 80));
	SHOW(fcntl(91, F_DUPFD, -1));
	SHOW(close_range(80, 91, 0));
	SHOW(close(91));
	SHOW(close(-1));
	SHOW(close(copy));
	SHOW(access("file", R_OK));
	SHOW(access("missing", R_OK));
	SHOW(faccessat(AT_FDCWD, "file", X_OK, AT_EACCESS));
	SHOW(open("missing", O_RDONLY));
	SHOW(open("file/x", O_RDONLY));
	SHOW(open(nowhere, O_RDONLY));
	SHOW(stat(BAD, &st));
	SHOW(stat("file", (struct stat *)nowhere));
	SHOW(read(fd, BAD, 1));
	SHOW(fstat(999, &st));
	SHOW(lseek(fd, 0, 99));
}

static void memory(void)
{
	int fd = open("file", O_RDWR);
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(at != MAP_FAILED);
	SHOW(at[1]);
	SHOW(munmap(at, 4096));
	SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, 999, 0));
	SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 1));
	SHOW((long)mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0));
	SHOW(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	SHOW(close(fd));
}

static void requests(void)
{
	int ends[2], waiting = 0;

	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	SHOW(write(ends[0], "abc", 3));
	SHOW(ioctl(ends[1], FIONREAD, &waiting));
	SHOW(waiting);
	SHOW(ioctl(ends[1], FIONREAD, BAD));
	SHOW(ioctl(999, FIONREAD, &waiting));
	SHOW(lseek(ends[0], 0, SEEK_SET));
	SHOW(close(ends[0]) | close(ends[1]));
}

static void handler(int signum)
{
	(void)signum;
}

static void signals(void)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK }, old;

	sigaddset(&act.sa_mask, SIGUSR2);
	SHOW(sigaction(SIGSEGV, NULL, &old) ? -1 : old.sa_handler == SIG_DFL);
	SHOW(sigaction(SIGSEGV, &act, NULL));
	SHOW(sigaction(SIGSEGV, NULL, &old) ? -1 : old.sa_handler == handler);
	SHOW(old.sa_flags & ~0x04000000);
	SHOW(sigismember(&old.sa_mask, SIGUSR2));
	SHOW(raise(SIGSEGV));
	SHOW(signal(SIGSEGV, SIG_DFL) == handler);
	SHOW(signal(SIGBUS, handler) == SIG_DFL);
	SHOW(signal(SIGBUS, SIG_DFL) == handler);
	SHOW((long)signal(99, handler));
	SHOW(sigaction(SIGKILL, &act, NULL));
}

static void *thread(void *unused)
{
	(void)unused;
	SHOW(open("missing", O_RDONLY));
	SHOW(read(-1, bytes, 1));
	return NULL;
}

static void processes(void)
{
	const struct rlimit no_cores = { 0, 0 };
	pthread_t other;

	setrlimit(RLIMIT_CORE, &no_cores);
	SHOW(IN_CHILD(raise(SIGSEGV)));
	SHOW(IN_CHILD(*(volatile int *)BAD = 1));
	SHOW(IN_CHILD(_exit(7)));
	CHECK(!pthread_create(&other, NULL, thread, NULL));
	CHECK(!pthread_join(other, NULL));
}

/* What the process looks like from outside. */
static void itself(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, "SigB", 4) || !strncmp(line, "SigI", 4) || !strncmp(line, "SigC", 4))
			fputs(line, stdout);
	if (status)
		fclose(status);
	for (int fd = 0; fd < 100; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d is open\n", fd);
}

static void errno_is_kept(void)
{
	struct stat st;
	int fd;

	errno = EDOM;
	fd = open("file", O_RDONLY);
	if (fstat(fd, &st) || stat("file", &st) || read(fd, bytes, 1) != 1 || lseek(fd, 0, SEEK_SET) || access("file", 0) ||
	    close(dup(fd)) || close(fd))
		puts("a call failed");
	printf("errno %d\n", errno);
}

int main(int argc, char **argv)
{
	if (argc < 2 || chdir(argv[1]))
		return 2;
	itself();
	files();
	memory();
	requests();
	signals();
	processes();
	errno_is_kept();
	itself();
	return checks_failed();
}
