/* SPDX-License-Identifier: MIT */
/* Which paths are /dev/kvm. Layer: preload. */
#include "preload.h"

#include <limits.h>
#include <string.h>
#include <sys/syscall.h>

#define PAGE 4096ul	/* the smallest there is */

/* No call of this library is made for these: they are questions of its own. */
static bool stat_of(int dirfd, const char *path, struct stat *st)
{
	int errno_before = errno;
	bool found = !syscall(SYS_newfstatat, dirfd, path, st, *path ? 0 : AT_EMPTY_PATH);

	errno = errno_before;
	return found;
}

static bool is_same_directory(int dirfd, const char *path)
{
	struct stat there, wanted;

	return stat_of(dirfd, dirfd == AT_FDCWD ? "." : "", &there) && stat_of(AT_FDCWD, path, &wanted) &&
	       there.st_dev == wanted.st_dev && there.st_ino == wanted.st_ino;
}

/* Behind slashes and components that are only a dot. */
static const char *skip_nothing(const char *path)
{
	for (;;) {
		if (*path == '/')
			path++;
		else if (path[0] == '.' && path[1] == '/')
			path += 2;
		else
			return path;
	}
}

/* Behind a directory's name and what may follow it; NULL if the path does not begin with it. */
static const char *skip_directory(const char *path, const char *name)
{
	size_t len = strlen(name);

	return strncmp(path, name, len) || path[len] != '/' ? NULL : skip_nothing(path + len);
}

/* True if a path ends with what stands here, and is not too long for the kernel to look at. */
static bool ends_with_kvm(const char *path, const char *here)
{
	return here && !strcmp(here, "kvm") && here - path <= PATH_MAX - (long)sizeof("kvm");
}

/* Symbolic links and ".." are not followed: nobody writes /dev/kvm so. */
bool path_is_kvm(int dirfd, const char *path)
{
	const char *rest = skip_nothing(path), *in_dev = skip_directory(rest, "dev");

	if (*path == '/')
		return ends_with_kvm(path, in_dev);
	if (ends_with_kvm(path, in_dev))
		return is_same_directory(dirfd, "/");
	return ends_with_kvm(path, rest) && is_same_directory(dirfd, "/dev");
}

/*
 * rt_sigprocmask(2) reads its set before it finds that there is no such operation as ~0, and reads nothing else: 8 bytes
 * that do not cross into another page. A path shorter than "/dev/kvm" to the end of a page is not followed further.
 */
static bool is_readable(uintptr_t addr)
{
	int errno_before = errno;
	bool readable = syscall(SYS_rt_sigprocmask, ~0, addr & ~7ul, NULL, 8ul) < 0 && errno == EINVAL;

	errno = errno_before;
	return readable;
}

bool path_is_readable(const char *path)
{
	uintptr_t first = (uintptr_t)path, last = first + sizeof("/dev/kvm") - 1;

	if (is_null(path) || !is_readable(first))
		return false;
	return first / PAGE == last / PAGE || memchr(path, '\0', PAGE - first % PAGE) || is_readable(last);
}
