/* SPDX-License-Identifier: MIT */
/*
 * ioctl(2), mmap(2), and what KVM's descriptors say to read(2), write(2) and lseek(2). Layer: preload.
 * The errors are those of Linux 6.1 on arm64: tests/clients/preload_files.c asks it.
 */
#include "preload.h"

#include <stdarg.h>

#include "../ioctl/file.h"
#include "kvmemu/uapi.h"

static bool is_kvm_request(unsigned long request)
{
	return (request >> 8 & 0xff) == KVMIO;
}

/*
 * A request of KVM's to a descriptor that is not KVM's. Two answers are put right:
 * - While another thread opens or closes a KVM descriptor there is a moment in which the kernel knows the number and the
 *   table does not. For the caller it is not open.
 * - qemu-user does not pass on requests that it does not know, and says so before it looks at the descriptor.
 */
static int forward_kvm_request(int fd, unsigned long request, void *arg)
{
	int ret = NEXT(ioctl)(fd, request, arg), flags;

	if (ret >= 0 || (errno != ENOTTY && errno != ENOSYS))
		return ret;
	flags = NEXT(fcntl)(fd, F_GETFL);
	errno = flags < 0 || flags & O_PATH || descriptor_is_in_passing(fd) ? EBADF : ENOTTY;
	return -1;
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	int errno_before = errno;
	void *arg;
	va_list args;
	long ret;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!is_kvm_request(request) && descriptor_kind_checked(fd) == NOT_OURS)
		return NEXT(ioctl)(fd, request, arg);
	ret = kvmemu_fd_ioctl(fd, request, (unsigned long)arg);
	if (ret == -EBADF && descriptor_kind(fd) == NOT_OURS)
		return forward_kvm_request(fd, request, arg);
	return (int)result_of(ret, errno_before);
}

/*
 * Only a vCPU has memory to show. For the others a device without memory gives the error, in the kernel's own order of
 * checks; it is open as they are, statistics for reading.
 */
static bool mmap_is_refused(int fd, int flags, int *stand_in)
{
	enum descriptor_kind kind = flags & MAP_ANONYMOUS ? NOT_OURS : descriptor_kind(fd);

	if (kind == NOT_OURS || kind == KVM_VCPU || descriptor_kind_checked(fd) == NOT_OURS)
		return false;
	*stand_in = NEXT(openat)(AT_FDCWD, "/dev/null", (kind == KVM_STATS ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	return true;
}

static void *refused_mmap(void *addr, size_t len, int prot, int flags, int stand_in, off_t offset)
{
	int errno_now = ENODEV;

	if (stand_in >= 0) {
		NEXT(mmap)(addr, len, prot, flags, stand_in, offset);
		errno_now = errno;
		NEXT(close)(stand_in);
	}
	errno = errno_now;
	return MAP_FAILED;
}

/* One ring of coalesced stores is in the mappings of all of a VM's vCPUs. */
static void *with_ring(void *mapped, size_t len, int prot, int flags, int fd, off_t offset)
{
	int errno_before = errno;

	if (mapped != MAP_FAILED && !(flags & MAP_ANONYMOUS) && descriptor_kind(fd) == KVM_VCPU)
		descriptor_show_ring(fd, mapped, len, prot, flags, offset);
	errno = errno_before;
	return mapped;
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	int stand_in;

	if (mmap_is_refused(fd, flags, &stand_in))
		return refused_mmap(addr, len, prot, flags, stand_in, offset);
	return with_ring(NEXT(mmap)(addr, len, prot, flags, fd, offset), len, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
	int stand_in;

	if (mmap_is_refused(fd, flags, &stand_in))
		return refused_mmap(addr, len, prot, flags, stand_in, offset);
	return with_ring(NEXT(mmap64)(addr, len, prot, flags, fd, offset), len, prot, flags, fd, offset);
}

static long fail(int error)
{
	errno = error;
	return -1;
}

/* 0, or the error of read(2) and write(2). Statistics can be read, and are not open for writing. */
static int stream_error(int fd)
{
	enum descriptor_kind kind = descriptor_kind(fd);

	if (kind == NOT_OURS || kind == KVM_STATS || descriptor_kind_checked(fd) == NOT_OURS)
		return 0;
	return EINVAL;
}

/* 0, or the error of pread(2) and pwrite(2). */
static int offset_error(int fd, off_t offset, bool is_write)
{
	enum descriptor_kind kind = descriptor_kind(fd);

	if (kind == NOT_OURS || (kind == KVM_STATS && !is_write) || descriptor_kind_checked(fd) == NOT_OURS)
		return 0;
	return kind == KVM_SYSTEM || offset < 0 ? EINVAL : ESPIPE;
}

EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	int error = stream_error(fd);

	return error ? fail(error) : NEXT(read)(fd, buf, len);
}

EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	int error = stream_error(fd);

	return error ? fail(error) : NEXT(write)(fd, buf, len);
}

EXPORT ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
	int error = offset_error(fd, offset, false);

	return error ? fail(error) : NEXT(pread)(fd, buf, len, offset);
}

EXPORT ssize_t pread64(int fd, void *buf, size_t len, off64_t offset)
{
	int error = offset_error(fd, offset, false);

	return error ? fail(error) : NEXT(pread64)(fd, buf, len, offset);
}

EXPORT ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	int error = offset_error(fd, offset, true);

	return error ? fail(error) : NEXT(pwrite)(fd, buf, len, offset);
}

EXPORT ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset)
{
	int error = offset_error(fd, offset, true);

	return error ? fail(error) : NEXT(pwrite64)(fd, buf, len, offset);
}

/* Nothing moves a KVM descriptor's position but read(2): lseek(2) says where it is, and devices have none. */
static off_t position(int fd, int whence, enum descriptor_kind kind)
{
	if (whence < SEEK_SET || whence > SEEK_HOLE)
		return fail(EINVAL);
	if (kind == KVM_DEVICE)
		return fail(ESPIPE);
	return kind == KVM_STATS ? NEXT(lseek)(fd, 0, SEEK_CUR) : 0;
}

EXPORT off_t lseek(int fd, off_t offset, int whence)
{
	enum descriptor_kind kind = descriptor_kind(fd);

	if (kind == NOT_OURS || descriptor_kind_checked(fd) == NOT_OURS)
		return NEXT(lseek)(fd, offset, whence);
	return position(fd, whence, kind);
}

EXPORT off64_t lseek64(int fd, off64_t offset, int whence)
{
	enum descriptor_kind kind = descriptor_kind(fd);

	if (kind == NOT_OURS || descriptor_kind_checked(fd) == NOT_OURS)
		return NEXT(lseek64)(fd, offset, whence);
	return position(fd, whence, kind);
}

ALIAS(__read, read);
ALIAS(__write, write);
ALIAS(__lseek, lseek);
ALIAS(__pread64, pread64);
ALIAS(__pwrite64, pwrite64);
