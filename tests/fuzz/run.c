/* SPDX-License-Identifier: MIT */
/*
 * KVM_RUN in a fuzzing session. Without immediate_exit only a signal is sure to end it, and only if it is let in.
 * Part of the tests.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <kvmemu/uapi.h>

#include "session.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static timer_t wake_timer;

static void on_wake(int signum)
{
	(void)signum;
}

bool run_setup(void)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN, .sigev_notify_thread_id = gettid(),
	};
	const struct sigaction wake = { .sa_handler = on_wake };

	return !sigaction(SIGRTMIN, &wake, NULL) && !timer_create(CLOCK_MONOTONIC, &event, &wake_timer);
}

/* The signal is let in by the thread's mask, or by one that is empty. */
static void run(struct session *s, struct kvmemu_file *vcpu, bool wait)
{
	struct { uint32_t len; uint8_t set[8]; } none = { .len = 8 };
	const struct itimerspec soon = { .it_value.tv_nsec = 20000, .it_interval.tv_nsec = 200000 }, never = { 0 };
	struct kvm_run *page;
	size_t bytes;
	void *pages;

	expect(!kvmemu_run(vcpu, &pages, &bytes), "a vCPU has run pages");
	page = pages;
	page->immediate_exit = !wait;
	if (wait) {
		kvmemu_ioctl(vcpu, KVM_SET_SIGNAL_MASK, once_in(&s->in, 8) ? (uintptr_t)&none : 0, NULL);
		timer_settime(wake_timer, 0, &soon, NULL);
	}
	counted(kvmemu_ioctl(vcpu, KVM_RUN, 0, NULL));
	if (wait)
		timer_settime(wake_timer, 0, &never, NULL);
}

void run_vcpu(struct session *s, struct kvmemu_file *vcpu)
{
	run(s, vcpu, once_in(&s->in, 64));
}

void wake_vcpu(struct session *s, struct kvmemu_file *vcpu)
{
	run(s, vcpu, true);
}

void run_any(struct session *s)
{
	struct kvmemu_file *vcpu = file_of_kind(s, VCPU);

	if (vcpu)
		run_vcpu(s, vcpu);
}

void scribble_on_run_pages(struct session *s)
{
	struct kvmemu_file *vcpu = file_of_kind(s, VCPU);
	size_t bytes;
	void *pages;

	if (vcpu && !kvmemu_run(vcpu, &pages, &bytes))
		take_bytes(&s->in, (char *)pages + choose(&s->in, 65536) % (bytes - 16), 16);
}
