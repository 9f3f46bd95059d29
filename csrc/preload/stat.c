/* SPDX-License-Identifier: MIT */
/*
 * What stat(2) and access(2) say of /dev/kvm, and of KVM's descriptors. Layer: preload.
 *
 * Nothing here is filled in by hand. /dev/null answers for /dev/kvm: a character device that everybody may read and
 * write, with the errors that the kernel has for bad flags and addresses; only the device's number is put in after. For
 * the other descriptors, which are anonymous inodes on Linux, an anonymous inode answers.
 */
#include "preload.h"

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define KVM_MAJOR 10
#define KVM_MINOR 232

/*
 * Asked after the call proper, which has then read the path: true if the answer to it was about /dev/kvm. Other errors
 * than these come before the path is looked at, or with any path.
 */
static bool was_about_kvm(long ret, int dirfd, const char *path)
{
	if (ret && errno != ENOENT && errno != EACCES && errno != EPERM)
		return false;
	return !is_null(path) && path_is_kvm(dirfd, path);
}

/* The answer of the stand-in, and errno as it was before if that is well. */
static int answer(int ret, int errno_before)
{
	if (!ret)
		errno = errno_before;
	return ret;
}

/*
 * Of the kernel itself: the names below are not all in every C library. struct stat64 is the same on 64-bit machines.
 */
static int raw_stat(int dirfd, const char *path, void *st, int flags)
{
	return (int)syscall(SYS_newfstatat, dirfd, path, st, flags);
}

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "a machine with two struct stat");

static int kvm_stat(struct stat *st, int flags, int errno_before)
{
	int ret = raw_stat(AT_FDCWD, "/dev/null", st, flags);

	if (!ret)
		st->st_rdev = makedev(KVM_MAJOR, KVM_MINOR);
	return answer(ret, errno_before);
}

/* A path's state, after the call proper has said ret. */
static int path_stat(int ret, int dirfd, const char *path, void *st, int flags, int errno_before)
{
	return was_about_kvm(ret, dirfd, path) ? kvm_stat(st, flags & ~AT_EMPTY_PATH, errno_before) : ret;
}

static int anonymous_inode(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

/* The state of a descriptor that is ours. */
static int descriptor_stat(enum descriptor_kind kind, void *st)
{
	int errno_before = errno, fd, ret;

	if (kind == KVM_SYSTEM)
		return kvm_stat(st, 0, errno_before);
	fd = anonymous_inode();
	if (fd < 0)
		return -1;
	ret = raw_stat(fd, "", st, AT_EMPTY_PATH);
	NEXT(close)(fd);
	return ret;
}

/* After the call proper: true if it was not about a path but about dirfd, which is ours. */
static bool was_about_ours(int ret, int dirfd, const char *path, int flags, enum descriptor_kind *kind)
{
	if (ret || !(flags & AT_EMPTY_PATH) || (!is_null(path) && *path))
		return false;
	*kind = descriptor_kind_checked(dirfd);
	return *kind != NOT_OURS;
}

static int any_stat(int ret, int dirfd, const char *path, void *st, int flags, int errno_before)
{
	enum descriptor_kind kind;

	if (was_about_ours(ret, dirfd, path, flags, &kind))
		return descriptor_stat(kind, st);
	return path_stat(ret, dirfd, path, st, flags, errno_before);
}

/* NAME(path, st) and __xNAME(version, path, st); the latter is what programs built with glibc before 2.33 call. */
#define DEFINE_STAT(name, versioned, type, flags) \
	EXPORT int name(const char *path, struct type *st) \
	{ \
		int errno_before = errno; \
		return path_stat(NEXT(name)(path, st), AT_FDCWD, path, st, flags, errno_before); \
	} \
	EXPORT int versioned(int version, const char *path, struct type *st) \
	{ \
		int errno_before = errno; \
		return path_stat(NEXT(versioned)(version, path, st), AT_FDCWD, path, st, flags, errno_before); \
	}

DEFINE_STAT(stat, __xstat, stat, 0)
DEFINE_STAT(stat64, __xstat64, stat64, 0)
DEFINE_STAT(lstat, __lxstat, stat, AT_SYMLINK_NOFOLLOW)
DEFINE_STAT(lstat64, __lxstat64, stat64, AT_SYMLINK_NOFOLLOW)

#define DEFINE_FSTAT(name, versioned, type) \
	EXPORT int name(int fd, struct type *st) \
	{ \
		enum descriptor_kind kind = descriptor_kind_checked(fd); \
		return kind == NOT_OURS ? NEXT(name)(fd, st) : descriptor_stat(kind, st); \
	} \
	EXPORT int versioned(int version, int fd, struct type *st) \
	{ \
		enum descriptor_kind kind = descriptor_kind_checked(fd); \
		return kind == NOT_OURS ? NEXT(versioned)(version, fd, st) : descriptor_stat(kind, st); \
	}

DEFINE_FSTAT(fstat, __fxstat, stat)
DEFINE_FSTAT(fstat64, __fxstat64, stat64)

#define DEFINE_FSTATAT(name, versioned, type) \
	EXPORT int name(int dirfd, const char *path, struct type *st, int flags) \
	{ \
		int errno_before = errno; \
		return any_stat(NEXT(name)(dirfd, path, st, flags), dirfd, path, st, flags, errno_before); \
	} \
	EXPORT int versioned(int version, int dirfd, const char *path, struct type *st, int flags) \
	{ \
		int errno_before = errno; \
		return any_stat(NEXT(versioned)(version, dirfd, path, st, flags), dirfd, path, st, flags, errno_before); \
	}

DEFINE_FSTATAT(fstatat, __fxstatat, stat)
DEFINE_FSTATAT(fstatat64, __fxstatat64, stat64)

static int kvm_statx(int flags, unsigned int mask, struct statx *st, int errno_before)
{
	int ret = NEXT(statx)(AT_FDCWD, "/dev/null", flags & ~AT_EMPTY_PATH, mask, st);

	if (!ret) {
		st->stx_rdev_major = KVM_MAJOR;
		st->stx_rdev_minor = KVM_MINOR;
	}
	return answer(ret, errno_before);
}

static int descriptor_statx(enum descriptor_kind kind, int flags, unsigned int mask, struct statx *st)
{
	int fd, ret;

	if (kind == KVM_SYSTEM)
		return kvm_statx(flags, mask, st, errno);
	fd = anonymous_inode();
	if (fd < 0)
		return -1;
	ret = NEXT(statx)(fd, "", flags, mask, st);
	NEXT(close)(fd);
	return ret;
}

EXPORT int statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *st)
{
	int errno_before = errno, ret = NEXT(statx)(dirfd, path, flags, mask, st);
	enum descriptor_kind kind;

	if (was_about_ours(ret, dirfd, path, flags, &kind))
		return descriptor_statx(kind, flags, mask, st);
	return was_about_kvm(ret, dirfd, path) ? kvm_statx(flags, mask, st, errno_before) : ret;
}

EXPORT int access(const char *path, int mode)
{
	int errno_before = errno, ret = NEXT(access)(path, mode);

	return was_about_kvm(ret, AT_FDCWD, path) ? answer(NEXT(access)("/dev/null", mode), errno_before) : ret;
}

EXPORT int faccessat(int dirfd, const char *path, int mode, int flags)
{
	int errno_before = errno, ret = NEXT(faccessat)(dirfd, path, mode, flags);

	if (!was_about_kvm(ret, dirfd, path))
		return ret;
	return answer(NEXT(faccessat)(AT_FDCWD, "/dev/null", mode, flags), errno_before);
}

EXPORT int euidaccess(const char *path, int mode)
{
	int errno_before = errno, ret = NEXT(euidaccess)(path, mode);

	return was_about_kvm(ret, AT_FDCWD, path) ? answer(NEXT(euidaccess)("/dev/null", mode), errno_before) : ret;
}

ALIAS(eaccess, euidaccess);
