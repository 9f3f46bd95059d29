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

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

/* 0 or -EFAULT; on a fault, some of the bytes may have been copied. */
int user_read(void *to, uint64_t from, size_t bytes);
int user_write(uint64_t to, const void *from, size_t bytes);

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
