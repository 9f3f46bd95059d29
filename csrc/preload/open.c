/* SPDX-License-Identifier: MIT */
/* Opening /dev/kvm, under all the names that open(2) has. Layer: preload. */
#include "preload.h"

#include <stdarg.h>
#include <stdlib.h>

/* Flags that F_SETFL changes later. */
#define STATUS_FLAGS (O_APPEND | O_NONBLOCK | O_NOATIME)

/*
 * What open(2) says to flags that do not suit a character device, it says of this one too. Returns 0, or -1 and errno.
 * Where there is none, as in some jails, any flags will do.
 */
static int try_flags(int flags)
{
	int fd = NEXT(openat)(AT_FDCWD, "/dev/null", flags | O_CLOEXEC, 0);

	if (fd < 0)
		return errno == ENOENT && !(flags & O_PATH) ? 0 : -1;
	NEXT(close)(fd);
	return 0;
}

static int finish_open(int fd, int flags)
{
	if (!(flags & O_CLOEXEC))
		NEXT(fcntl)(fd, F_SETFD, 0);
	if (flags & STATUS_FLAGS)
		NEXT(fcntl)(fd, F_SETFL, flags & STATUS_FLAGS);
	return fd;
}

int open_kvm(int flags)
{
	int errno_before = errno, ret;
	struct kvmemu_host *host;

	preload_prepare();
	kvm_was_opened = true;
	if (flags & O_PATH)	/* a place in the file system, not a file: no request reaches it */
		return NEXT(openat)(AT_FDCWD, "/dev/null", flags, 0);
	if (try_flags(flags))
		return -1;
	ret = kvmemu_host_get(getenv("KVMEMU_HOST"), &host);
	if (!ret) {
		ret = kvmemu_fd_open(host);
		kvmemu_host_put(host);
	}
	if (ret >= 0)
		ret = finish_open(ret, flags);
	return (int)result_of(ret, errno_before);
}

static bool wants_kvm(int dirfd, const char *path)
{
	return path_is_readable(path) && path_is_kvm(dirfd, path);
}

/* A number that the kernel gave to another file is nobody's any more. */
static int other_file(int fd)
{
	if (fd >= 0)
		descriptor_forget(fd);
	return fd;
}

/* The mode is only there, and only read, where a file may be created. */
#define TAKE_MODE(mode, flags) \
	mode_t mode = 0; \
	if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
		va_list args; \
		va_start(args, flags); \
		mode = va_arg(args, mode_t); \
		va_end(args); \
	}

EXPORT int open(const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return wants_kvm(AT_FDCWD, path) ? open_kvm(flags) : other_file(NEXT(open)(path, flags, mode));
}

EXPORT int open64(const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return wants_kvm(AT_FDCWD, path) ? open_kvm(flags) : other_file(NEXT(open64)(path, flags, mode));
}

EXPORT int openat(int dirfd, const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return wants_kvm(dirfd, path) ? open_kvm(flags) : other_file(NEXT(openat)(dirfd, path, flags, mode));
}

EXPORT int openat64(int dirfd, const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return wants_kvm(dirfd, path) ? open_kvm(flags) : other_file(NEXT(openat64)(dirfd, path, flags, mode));
}

/* With _FORTIFY_SOURCE: like the above, and end a program that asks for O_CREAT without a mode. */

EXPORT int __open_2(const char *path, int flags)
{
	return wants_kvm(AT_FDCWD, path) ? open_kvm(flags) : other_file(NEXT(__open_2)(path, flags));
}

EXPORT int __open64_2(const char *path, int flags)
{
	return wants_kvm(AT_FDCWD, path) ? open_kvm(flags) : other_file(NEXT(__open64_2)(path, flags));
}

EXPORT int __openat_2(int dirfd, const char *path, int flags)
{
	return wants_kvm(dirfd, path) ? open_kvm(flags) : other_file(NEXT(__openat_2)(dirfd, path, flags));
}

EXPORT int __openat64_2(int dirfd, const char *path, int flags)
{
	return wants_kvm(dirfd, path) ? open_kvm(flags) : other_file(NEXT(__openat64_2)(dirfd, path, flags));
}

ALIAS(__open, open);
ALIAS(__open64, open64);
