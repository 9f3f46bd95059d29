/* SPDX-License-Identifier: MIT */
/* Which numbers are KVM's, and the calls that make, share and end them. Layer: preload. */
#include "preload.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../ioctl/file.h"

/* csrc/ioctl/descriptors.c keeps track of numbers below this; any above can be no file of ours. */
#define NUMBERS_END (1u << 20)

atomic_bool kvm_was_opened;

static enum descriptor_kind kind_of_file(const struct kvmemu_file *file)
{
	switch (file->kind) {
	case FILE_SYSTEM:
		return KVM_SYSTEM;
	case FILE_VM:
		return KVM_VM;
	case FILE_VCPU:
		return KVM_VCPU;
	case FILE_STATS:
		return KVM_STATS;
	default:
		return KVM_DEVICE;
	}
}

enum descriptor_kind descriptor_kind_in_table(int fd)
{
	struct kvmemu_file *file = kvmemu_fd_file(fd);
	enum descriptor_kind kind;

	if (!file)
		return NOT_OURS;
	kind = kind_of_file(file);
	kvmemu_close(file);
	return kind;
}

/* By what /proc calls it: is it a descriptor such as csrc/ioctl/descriptors.c makes? -ENOENT if /proc cannot say. */
static int looks_like_ours(int fd)
{
	char link[32], target[32];
	int errno_before = errno;
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, target, sizeof(target) - 1);
	errno = errno_before;
	if (len < 0)
		return -ENOENT;
	target[len] = '\0';
	return !strncmp(target, "anon_inode:[eventpoll]", 22) || !strncmp(target, "/memfd:kvm", 10);
}

enum descriptor_kind descriptor_kind_checked(int fd)
{
	enum descriptor_kind kind = descriptor_kind(fd);

	if (kind == NOT_OURS || looks_like_ours(fd))
		return kind;
	descriptor_forget(fd);
	return NOT_OURS;
}

bool descriptor_is_in_passing(int fd)
{
	return kvm_was_opened && looks_like_ours(fd) > 0;
}

void descriptor_forget(int fd)
{
	int errno_before = errno;

	if (descriptor_kind(fd) != NOT_OURS && at_home())
		kvmemu_fd_forget(fd);
	errno = errno_before;
}

/*
 * What the kernel has made of a dup(2), entered: copy shares the file of fd, if it has one. Returns copy, or -1 and
 * errno where there is no room for it.
 */
static int duplicated(int fd, int copy)
{
	int errno_before = errno, err;

	if (copy < 0 || copy == fd)
		return copy;
	if (descriptor_kind(fd) == NOT_OURS) {
		descriptor_forget(copy);
		return copy;
	}
	if (!at_home())
		return copy;
	err = kvmemu_fd_dup(fd, copy);
	if (err < 0) {
		descriptor_forget(copy);
		NEXT(close)(copy);
		return (int)result_of(err, errno_before);
	}
	errno = errno_before;
	return copy;
}

/* Forgotten first: once it is closed, the number may be another thread's already. */
EXPORT int close(int fd)
{
	descriptor_forget(fd);
	return NEXT(close)(fd);
}

/*
 * Every number of a range, as far as numbers go. A program that lowered its limit below a descriptor it holds, and closes
 * that one in a range, is not seen through.
 */
static void forget_range(unsigned int first, unsigned int last)
{
	struct rlimit limit;

	if (!kvm_was_opened || !at_home())
		return;
	if (last >= NUMBERS_END)
		last = NUMBERS_END - 1;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && last >= limit.rlim_cur)
		last = (unsigned int)limit.rlim_cur;
	for (unsigned int fd = first; fd <= last; fd++)
		kvmemu_fd_forget((int)fd);
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	int errno_before = errno;

	if (!(flags & ~(int)CLOSE_RANGE_UNSHARE))
		forget_range(first, last);
	errno = errno_before;
	return NEXT(close_range)(first, last, flags);
}

EXPORT void closefrom(int first)
{
	int errno_before = errno;

	forget_range(first < 0 ? 0 : (unsigned int)first, NUMBERS_END);
	errno = errno_before;
	NEXT(closefrom)(first);
}

EXPORT int dup(int fd)
{
	return duplicated(fd, NEXT(dup)(fd));
}

EXPORT int dup2(int fd, int copy)
{
	return duplicated(fd, NEXT(dup2)(fd, copy));
}

EXPORT int dup3(int fd, int copy, int flags)
{
	return duplicated(fd, NEXT(dup3)(fd, copy, flags));
}

/* The argument is a number or an address, and either way in the same register. */
#define TAKE_ARGUMENT(arg, last) \
	void *arg; \
	va_list args; \
	va_start(args, last); \
	arg = va_arg(args, void *); \
	va_end(args)

EXPORT int fcntl(int fd, int command, ...)
{
	int ret;

	TAKE_ARGUMENT(arg, command);
	ret = NEXT(fcntl)(fd, command, arg);
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? duplicated(fd, ret) : ret;
}

EXPORT int fcntl64(int fd, int command, ...)
{
	int ret;

	TAKE_ARGUMENT(arg, command);
	ret = NEXT(fcntl64)(fd, command, arg);
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? duplicated(fd, ret) : ret;
}

ALIAS(__close, close);
ALIAS(__dup2, dup2);
ALIAS(__fcntl, fcntl);
