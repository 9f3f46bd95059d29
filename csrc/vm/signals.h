/* SPDX-License-Identifier: MIT */
/*
 * Signals while KVM_RUN has them blocked. Layer: vm.
 *
 * Under Linux a signal ends KVM_RUN if the vCPU's mask (KVM_SET_SIGNAL_MASK, else the caller's) lets it in, and is handled
 * when the caller's mask is back: one that the caller blocks stays pending. So those are looked at through a signalfd, which
 * takes nothing; and ppoll() lets in the others, whose handlers then run there.
 * Source: kvm_sigset_activate(), kvm_sigset_deactivate(), Linux 6.1.
 */
#ifndef KVMEMU_VM_SIGNALS_H
#define KVMEMU_VM_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct vcpu;

struct run_signals {
	sigset_t outside;	/* blocked by the caller */
	sigset_t handled;	/* blocked while ppoll() lets in those that are handled at once */
	int fd;			/* signalfd of those that stay pending; -1: there are none */
};

/* Blocks all signals but those that an instruction raises: what they are for cannot wait. 0 or -ENOMEM, and none is blocked. */
int signals_block(struct vcpu *vcpu, struct run_signals *signals);
void signals_unblock(const struct run_signals *signals);

/* Whether one is there that ends KVM_RUN. */
bool signals_pending(const struct run_signals *signals);

/*
 * Until fd is readable (1), the time is over (0; NULL: it never is) or a signal is there that ends KVM_RUN (-EINTR), since
 * whenever it was blocked.
 */
int signals_wait(const struct run_signals *signals, int fd, const struct timespec *timeout);

#endif
