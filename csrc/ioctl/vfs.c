/* SPDX-License-Identifier: MIT */
/*
 * Requests that Linux's file layer answers, of any file. Layer: ioctl. Source: do_vfs_ioctl(), fs/ioctl.c, Linux 6.1.
 *
 * KVM's files are no regular ones, and their file systems can do nothing of what is asked here but tell a block size.
 */
#define _GNU_SOURCE
#include "vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../machine/host.h"
#include "../machine/machine.h"
#include "../vm/vm.h"
#include "file.h"
#include "user.h"

#define KVM_HAS_IT 1	/* no answer: the request goes on to KVM */
#define FIEMAP_REQUEST 0xc020660bu	/* FS_IOC_FIEMAP: <linux/fiemap.h> */

static uint32_t page_bytes(const struct call *call)
{
	const struct kvmemu_file *file = call->file;

	return (file->kind == FILE_SYSTEM ? file->machine->host : file->vm->host)->page_bytes;
}

static long no_size(const struct call *call)
{
	(void)call;
	return -ENOTTY;
}

static long no_extents(const struct call *call)
{
	(void)call;
	return -EOPNOTSUPP;
}

static bool is_privileged(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return !syscall(SYS_capget, &header, data) && data[0].effective & 1u << CAP_SYS_ADMIN;
}

static long freeze(const struct call *call)
{
	(void)call;
	return is_privileged() ? -EOPNOTSUPP : -EPERM;
}

static long thaw(const struct call *call)
{
	(void)call;
	return is_privileged() ? -EINVAL : -EPERM;
}

static long block_size(const struct call *call)
{
	uint32_t bytes = page_bytes(call);

	return user_write(call->arg, &bytes, sizeof(bytes));
}

/* Flags are fetched before it turns out that there are none. */
static long set_flags(const struct call *call)
{
	uint32_t flags;

	return user_read(&flags, call->arg, sizeof(flags)) ? -EFAULT : KVM_HAS_IT;
}

static long set_attributes(const struct call *call)
{
	struct fsxattr attributes;

	return user_read(&attributes, call->arg, sizeof(attributes)) ? -EFAULT : KVM_HAS_IT;
}

/* /dev/kvm is in the file system of devices, the others have anonymous inodes. */
static bool is_beside(const struct call *call, int fd)
{
	bool in_dev = call->file->kind == FILE_SYSTEM;
	struct kvmemu_file *other = kvmemu_fd_file(fd);
	struct stat found, dev;
	char path[32], target[16];
	bool same;

	if (other) {
		same = (other->kind == FILE_SYSTEM) == in_dev;
		file_put(other);
		return same;
	}
	if (in_dev)
		return !fstat(fd, &found) && !stat("/dev/null", &dev) && found.st_dev == dev.st_dev;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target)) >= 11 && !memcmp(target, "anon_inode:", 11);
}

static long clone_from(const struct call *call, int source)
{
	int flags = fcntl(source, F_GETFL);

	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	return is_beside(call, source) ? -EINVAL : -EXDEV;
}

static long clone_file(const struct call *call)
{
	return clone_from(call, (int)call->arg);
}

static long clone_range(const struct call *call)
{
	struct file_clone_range range;

	return user_read(&range, call->arg, sizeof(range)) ? -EFAULT : clone_from(call, (int)range.src_fd);
}

static long dedupe_range(const struct call *call)
{
	unsigned char range[sizeof(struct file_dedupe_range)], info[sizeof(struct file_dedupe_range_info)];
	uint16_t count;

	if (user_read(&count, call->arg + offsetof(struct file_dedupe_range, dest_count), sizeof(count)))
		return -EFAULT;
	if (sizeof(range) + count * sizeof(info) > page_bytes(call))
		return -ENOMEM;
	if (user_read(range, call->arg, sizeof(range)))
		return -EFAULT;
	for (unsigned int i = 0; i < count; i++)
		if (user_read(info, call->arg + sizeof(range) + i * sizeof(info), sizeof(info)))
			return -EFAULT;
	return -EINVAL;
}

static const struct {
	unsigned int request;
	long (*answer)(const struct call *call);
} requests[] = {
	{ .request = FIOQSIZE, .answer = no_size },
	{ .request = FIFREEZE, .answer = freeze },
	{ .request = FITHAW, .answer = thaw },
	{ .request = FIEMAP_REQUEST, .answer = no_extents },
	{ .request = FIGETBSZ, .answer = block_size },
	{ .request = (unsigned int)FICLONE, .answer = clone_file },
	{ .request = (unsigned int)FICLONERANGE, .answer = clone_range },
	{ .request = (unsigned int)FIDEDUPERANGE, .answer = dedupe_range },
	{ .request = (unsigned int)FS_IOC_SETFLAGS, .answer = set_flags },
	{ .request = (unsigned int)FS_IOC_FSSETXATTR, .answer = set_attributes },
};

bool vfs_answers(const struct call *call, long *ret)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].request != call->request)
			continue;
		*ret = requests[i].answer(call);
		return *ret != KVM_HAS_IT;
	}
	return false;
}
