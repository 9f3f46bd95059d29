/* SPDX-License-Identifier: MIT */
/*
 * The program's handlers of SIGSEGV and SIGBUS. Layer: preload.
 *
 * csrc/ioctl/user.c keeps a handler of its own on top of both signals while KVM is in use, and calls the program's for
 * every fault that is not its own. The program is told of its own handlers only.
 */
#include "preload.h"

#include "../ioctl/user.h"

static int change_handler(int signum, const struct sigaction *act, struct sigaction *old)
{
	if ((signum == SIGSEGV || signum == SIGBUS) && at_home()) {
		preload_prepare();
		if (user_chain_handler(signum, act, old))
			return 0;
	}
	return NEXT(sigaction)(signum, act, old);
}

EXPORT int sigaction(int signum, const struct sigaction *restrict act, struct sigaction *restrict old)
{
	return change_handler(signum, act, old);
}

static sighandler_t change_simple_handler(int signum, sighandler_t handler, int flags, bool blocked)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags }, old;

	sigemptyset(&act.sa_mask);
	if (blocked)
		sigaddset(&act.sa_mask, signum);
	return change_handler(signum, &act, &old) ? SIG_ERR : old.sa_handler;
}

static bool is_fault(int signum, sighandler_t handler)
{
	return (signum == SIGSEGV || signum == SIGBUS) && handler != SIG_ERR;
}

/* BSD's signal(2), which is Linux's: the signal is blocked in its handler, and system calls go on after it. */
EXPORT sighandler_t signal(int signum, sighandler_t handler)
{
	if (is_fault(signum, handler))
		return change_simple_handler(signum, handler, SA_RESTART, true);
	return NEXT(signal)(signum, handler);
}

/* System V's: the handler is good for one time. */
EXPORT sighandler_t sysv_signal(int signum, sighandler_t handler)
{
	if (is_fault(signum, handler))
		return change_simple_handler(signum, handler, (int)SA_RESETHAND | SA_NODEFER, false);
	return NEXT(sysv_signal)(signum, handler);
}

ALIAS(__sigaction, sigaction);
ALIAS(bsd_signal, signal);
ALIAS(ssignal, signal);
ALIAS(__sysv_signal, sysv_signal);
