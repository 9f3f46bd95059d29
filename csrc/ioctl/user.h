/* SPDX-License-Identifier: MIT */
/*
 * The caller's memory, and the only code that touches it. Layer: ioctl.
 *
 * A copy that hits an address nobody may read or write ends with -EFAULT. It costs no system call: the copy is one
 * routine of assembly whose addresses a SIGSEGV and SIGBUS handler knows, and a fault inside it resumes at its failing
 * end. Faults anywhere else go to the handler that was there before.
 */
#ifndef KVMEMU_IOCTL_USER_H
#define KVMEMU_IOCTL_USER_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The routine: 0, or 1 after a fault. Hidden, see user.c. */
__attribute__((visibility("hidden"))) extern long kvmemu_user_copy(void *to, const void *from, size_t bytes)
	__asm__("kvmemu_user_copy");

/* Addresses from here up are the kernel's or not canonical, and never a caller's. */
#define USER_END (1ull << 56)

static inline bool user_may_have(uint64_t addr, size_t bytes)
{
	return addr < USER_END && bytes < USER_END - addr;
}

/* 0 or -EFAULT; on a fault, some of the bytes may have been copied. Inline: each register access has two of them. */
static inline int user_read(void *to, uint64_t from, size_t bytes)
{
	if (!user_may_have(from, bytes) || kvmemu_user_copy(to, (const void *)(uintptr_t)from, bytes))
		return -EFAULT;
	return 0;
}

static inline int user_write(uint64_t to, const void *from, size_t bytes)
{
	if (!user_may_have(to, bytes) || kvmemu_user_copy((void *)(uintptr_t)to, from, bytes))
		return -EFAULT;
	return 0;
}

/*
 * Puts the handlers in place where they are not on top already. Called at every open of a system: a program may have
 * set handlers of its own since the last one.
 */
void user_install_handlers(void);

/* sigaction(2). The preload library, which replaces that function, puts the C library's own here. */
extern int (*user_sigaction)(int signum, const struct sigaction *act, struct sigaction *old);

/*
 * For the preload library, which stands between the program and sigaction(2): remembers the program's handler and
 * hands out the one remembered. Either pointer may be NULL. Returns 0 if signum is not one of ours and the call must go
 * to the C library.
 */
int user_chain_handler(int signum, const struct sigaction *act, struct sigaction *old);

#endif
