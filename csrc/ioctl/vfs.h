/* SPDX-License-Identifier: MIT */
/* Requests that Linux's file layer answers, of any file. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_VFS_H
#define KVMEMU_IOCTL_VFS_H

#include <stdbool.h>

struct call;

/*
 * Whether a request that is not of KVM's type is answered before KVM sees it; *ret is the answer. Those that change a
 * descriptor, such as FIOCLEX, are not here: kvmemu_fd_ioctl() has them done by the kernel below.
 */
bool vfs_answers(const struct call *call, long *ret);

#endif
