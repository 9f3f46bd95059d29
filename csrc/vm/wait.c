/* SPDX-License-Identifier: MIT */
/* A vCPU that waits in KVM_RUN, and what ends that. Layer: vm. */
#include "wait.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "../timer/timer.h"
#include "power.h"
#include "pvtime.h"
#include "run.h"
#include "signals.h"

#define NSEC_PER_SEC 1000000000ull

static void counter_jumped(struct counter_waiter *waiter)
{
	vcpu_kick((struct vcpu *)((char *)waiter - offsetof(struct vcpu, waiter)));
}

void vcpu_wait_setup(struct vcpu *vcpu)
{
	vcpu->waiter.jumped = counter_jumped;
}

void vcpu_wait_teardown(struct vcpu *vcpu)
{
	if (vcpu->kick_fd >= 0)
		close(vcpu->kick_fd);
	if (vcpu->signal_fd >= 0)
		close(vcpu->signal_fd);
}

void vcpu_kick(struct vcpu *vcpu)
{
	const uint64_t one = 1;
	int fd = atomic_load(&vcpu->kick_fd);
	ssize_t done;

	/* Who waits says so first and looks then; who kicks does it the other way round. One of the two notices. */
	atomic_store(&vcpu->kicked, true);
	if (fd < 0 || !atomic_load(&vcpu->waiting))
		return;
	/* EAGAIN, the only failure there is, says that a kick is on its way already. */
	done = write(fd, &one, sizeof(one));
	(void)done;
}

static bool has_pending_irq(struct vcpu *vcpu)
{
	bool pending;

	pthread_mutex_lock(&vcpu->vm->vgic.lock);
	pending = vgic_has_pending_irq(vcpu);
	pthread_mutex_unlock(&vcpu->vm->vgic.lock);
	return pending;
}

bool vcpu_is_runnable(struct vcpu *vcpu)
{
	return (atomic_load(&vcpu->irq_lines) || vcpu_must_notify_user(vcpu) || has_pending_irq(vcpu)) &&
	       !vcpu_is_stopped(vcpu);
}

/* NULL for "until kicked", or the time left to the next change of a timer's output. */
static const struct timespec *time_to_wait(const struct vcpu *vcpu, struct timespec *left)
{
	uint64_t ns = timer_ns_until_line(vcpu, TIMER_VIRTUAL), other = timer_ns_until_line(vcpu, TIMER_PHYSICAL);

	/* An output that is up already has been reported; it ends no wait. */
	if (!ns || (other && other < ns))
		ns = other;
	if (!ns || ns == UINT64_MAX)
		return NULL;
	left->tv_sec = (time_t)(ns / NSEC_PER_SEC);
	left->tv_nsec = (long)(ns % NSEC_PER_SEC);
	return left;
}

/* Waits for a kick, a timer or a signal; false for a signal. */
static bool wait_for_event(struct vcpu *vcpu, const struct timespec *timeout, const struct run_signals *signals)
{
	static const struct timespec none;
	uint64_t count;
	int ready;

	atomic_store(&vcpu->waiting, true);
	if (atomic_exchange(&vcpu->kicked, false))
		timeout = &none;
	ready = signals_wait(signals, vcpu->kick_fd, timeout);
	atomic_store(&vcpu->waiting, false);
	if (ready > 0 && read(vcpu->kick_fd, &count, sizeof(count)) != sizeof(count))
		return errno != EINTR;
	return ready >= 0;
}

/* One that is stopped has nothing to say. */
static bool wants_user(const struct vcpu *vcpu)
{
	return !vcpu_is_stopped(vcpu) && vcpu_must_notify_user(vcpu);
}

bool vcpu_sleep(struct vcpu *vcpu, const struct run_signals *signals)
{
	const struct timespec *timeout;
	struct timespec left;
	bool event;

	timers_put(vcpu);
	/* Before the look at the outputs: one that rises in between is then seen there, and else ends the wait. */
	timeout = time_to_wait(vcpu, &left);
	timers_update_lines(vcpu);
	vcpu->counts->blocking = 1;
	event = wants_user(vcpu) || wait_for_event(vcpu, timeout, signals);
	vcpu->counts->blocking = 0;
	pvtime_load(vcpu);
	timers_load(vcpu);
	return event;
}

bool vcpu_wait_for_interrupt(struct vcpu *vcpu, const struct run_signals *signals)
{
	for (;;) {
		irqfds_sync(vcpu->vm);
		timers_check(vcpu);
		if (vcpu_is_runnable(vcpu))
			return true;
		if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED))
			return false;
		if (!vcpu_sleep(vcpu, signals))
			return false;
	}
}
