/* SPDX-License-Identifier: MIT */
/* Signals while KVM_RUN has them blocked. Layer: vm. */
#define _GNU_SOURCE
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>

#include "event.h"
#include "vcpu.h"

/* The kernel's set, which is the first of the C library's. */
static uint64_t bits_of(const sigset_t *set)
{
	uint64_t bits;

	memcpy(&bits, set, sizeof(bits));
	return bits;
}

static sigset_t set_of(uint64_t bits)
{
	sigset_t set;

	sigemptyset(&set);
	memcpy(&set, &bits, sizeof(bits));
	return set;
}

static void fill_blocked(sigset_t *set)
{
	static const int raised_by_code[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };

	sigfillset(set);
	for (size_t i = 0; i < sizeof(raised_by_code) / sizeof(raised_by_code[0]); i++)
		sigdelset(set, raised_by_code[i]);
}

/* The vCPU's signalfd, for this set: kept from run to run, as the set hardly ever changes. False: no room for it. */
static bool watch(struct vcpu *vcpu, uint64_t bits)
{
	sigset_t set = set_of(bits);
	int fd;

	if (vcpu->signal_fd >= 0 && vcpu->watched_signals == bits)
		return true;
	fd = signalfd(vcpu->signal_fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return false;
	if (vcpu->signal_fd < 0)
		vcpu->signal_fd = event_move_away(fd);
	vcpu->watched_signals = bits;
	return true;
}

int signals_block(struct vcpu *vcpu, struct run_signals *signals)
{
	uint64_t outside, mask;
	sigset_t all;

	fill_blocked(&all);
	pthread_sigmask(SIG_BLOCK, &all, &signals->outside);
	signals->handled = signals->outside;
	signals->fd = -1;
	if (!vcpu->sigmask_active)
		return 0;
	outside = bits_of(&signals->outside);
	mask = vcpu->sigmask;
	signals->handled = set_of(mask | outside);
	if (!(outside & ~mask))
		return 0;
	if (!watch(vcpu, outside & ~mask)) {
		signals_unblock(signals);
		return -ENOMEM;
	}
	signals->fd = vcpu->signal_fd;
	return 0;
}

void signals_unblock(const struct run_signals *signals)
{
	pthread_sigmask(SIG_SETMASK, &signals->outside, NULL);
}

bool signals_pending(const struct run_signals *signals)
{
	static const struct timespec none;

	return signals_wait(signals, -1, &none) < 0;
}

int signals_wait(const struct run_signals *signals, int fd, const struct timespec *timeout)
{
	struct pollfd polled[] = { { .fd = signals->fd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	int ready = ppoll(polled, sizeof(polled) / sizeof(polled[0]), timeout, &signals->handled);

	/* ENOMEM, the other failure there is, is like an event that turns out to be none. */
	if (ready < 0)
		return errno == EINTR ? -EINTR : 0;
	return polled[0].revents ? -EINTR : polled[1].revents != 0;
}
