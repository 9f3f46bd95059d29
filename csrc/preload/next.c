/* SPDX-License-Identifier: MIT */
/* Finding the functions that this library stands in front of. Layer: preload. */
#include "preload.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "../ioctl/user.h"

_Atomic(void *) next_functions[NR_NEXT];

static const char *const names[NR_NEXT] = {
#define X(name) [NEXT_##name] = #name,
	NEXT_FUNCTIONS(X)
#undef X
};

/*
 * dlsym(3) may allocate memory, and an allocator may open files and map memory: calls that come back here before there
 * is an answer to give them go to the kernel.
 */
static int early_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

static int early_open(const char *path, int flags, mode_t mode)
{
	return early_openat(AT_FDCWD, path, flags, mode);
}

static ssize_t early_read(int fd, void *buf, size_t len)
{
	return syscall(SYS_read, fd, buf, len);
}

static ssize_t early_write(int fd, const void *buf, size_t len)
{
	return syscall(SYS_write, fd, buf, len);
}

static int early_close(int fd)
{
	return (int)syscall(SYS_close, fd);
}

static void *early_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

static int raw_close_range(unsigned int first, unsigned int last, int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

static int not_there(void)
{
	errno = ENOSYS;
	return -1;
}

static void *without_the_library(enum next_function which)
{
	switch (which) {
	case NEXT_open:
	case NEXT_open64:
		return early_open;
	case NEXT_openat:
	case NEXT_openat64:
		return early_openat;
	case NEXT_read:
		return early_read;
	case NEXT_write:
		return early_write;
	case NEXT_close:
		return early_close;
	case NEXT_mmap:
	case NEXT_mmap64:
		return early_mmap;
	case NEXT_close_range:	/* glibc has it since 2.34 */
		return raw_close_range;
	default:
		return not_there;
	}
}

void *next_resolve(enum next_function which)
{
	static __thread bool asking __attribute__((tls_model("initial-exec")));
	int errno_before = errno;
	void *function;

	if (asking)
		return without_the_library(which);
	asking = true;
	function = dlsym(RTLD_NEXT, names[which]);
	asking = false;
	if (!function)
		function = without_the_library(which);
	atomic_store_explicit(&next_functions[which], function, memory_order_relaxed);
	errno = errno_before;
	return function;
}

static atomic_int home;		/* 0 until the library has been set up */

static void remember_home(void)
{
	atomic_store_explicit(&home, getpid(), memory_order_relaxed);
}

bool at_home(void)
{
	int pid = atomic_load_explicit(&home, memory_order_relaxed);

	return !pid || pid == getpid();
}

/* Libraries that are set up earlier may call in before this has run; then at_home() is true, and names get resolved. */
__attribute__((constructor)) static void set_up(void)
{
	for (int i = 0; i < NR_NEXT; i++)
		next_function((enum next_function)i);
	preload_prepare();
	remember_home();
	pthread_atfork(NULL, NULL, remember_home);
}

void preload_prepare(void)
{
	if (user_sigaction == sigaction)
		user_sigaction = NEXT(sigaction);
}
