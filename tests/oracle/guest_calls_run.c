/* SPDX-License-Identifier: MIT */
/* Guests that run. Part of guest_calls.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "guest_calls.h"

#define ALARM_US 20000
#define SETTLE_US 100000	/* in which a thread gets to where it waits */

static void on_alarm(int signum)
{
	(void)signum;
}

void setup_signals(void)
{
	const struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
}

/* The alarm comes again, lest the one that is to end a KVM_RUN is early. */
static void alarm_each(unsigned int us)
{
	const struct itimerval every = { .it_interval.tv_usec = us, .it_value.tv_usec = us };

	setitimer(ITIMER_REAL, &every, NULL);
}

static long enter(struct vcpu *v)
{
	return ioctl(v->fd, KVM_RUN, 0) < 0 ? -errno : 0;
}

long enter_no_guest(struct vcpu *v)
{
	long r;

	v->run->immediate_exit = 1;
	r = enter(v);
	v->run->immediate_exit = 0;
	return r;
}

static uint64_t code_of(struct vcpu *v, const char *conduit)
{
	bool is_32bit = get_reg(v, CORE_PSTATE) & PSTATE_MODE32;

	if (!strcmp(conduit, "smc"))
		return RAM + (is_32bit ? CODE_SMC_A32 : CODE_SMC);
	if (!strcmp(conduit, "hvc1234"))
		return RAM + CODE_HVC_IMM;
	return RAM + (is_32bit ? CODE_HVC_A32 : CODE_HVC);
}

/* Calls that may wait for ever: the alarm ends those, and only those, so that it cannot end others early. */
static bool may_wait(uint32_t id)
{
	return (id & ~0x40000000u) == 0x84000001 || id == 0x84000002 || id == 0x95c1ba5f;
}

enum outcome call(struct vcpu *v, const char *conduit, const uint64_t x[4])
{
	uint64_t at = code_of(v, conduit);
	enum outcome outcome = WENT_ON;
	long r;

	for (unsigned int i = 0; i < 4; i++)
		set_reg(v, CORE(i), x[i]);
	set_reg(v, CORE(4), DONE);
	set_reg(v, CORE_PC, at);
	do {
		alarm_each(may_wait(x[0]) ? ALARM_US : 0);
		r = enter(v);
		alarm_each(0);
		/* The alarm may have come before the call, or behind one that did not wait. */
	} while (r == -EINTR && (get_reg(v, CORE_PC) == at || get_reg(v, CORE(0)) == (uint64_t)-1));
	if (r == -EINTR) {
		outcome = WAITS;
	} else if (!r && v->run->exit_reason == KVM_EXIT_SYSTEM_EVENT) {
		outcome = EVENT;
	} else if (r || v->run->exit_reason != KVM_EXIT_MMIO || v->run->mmio.phys_addr != DONE) {
		printf("KVM_RUN: %ld, exit %u, PC %llx\n", r, v->run->exit_reason,
		       (unsigned long long)get_reg(v, CORE_PC));
		exit(1);
	}
	if (outcome == WENT_ON)
		enter_no_guest(v);
	return outcome;
}

void format_outcome(struct vcpu *v, enum outcome outcome, char *to, size_t room)
{
	int used = 0;

	if (outcome == EVENT)
		used = snprintf(to, room, "event %x ndata %x flags %llx:", v->run->system_event.type,
				v->run->system_event.ndata, v->run->system_event.data[0]);
	else
		used = snprintf(to, room, outcome == WAITS ? "waits:" : "on:");
	for (unsigned int i = 0; i < 4; i++)
		used += snprintf(to + used, room - used, " %llx", (unsigned long long)get_reg(v, CORE(i)));
}

long run_idle(struct vcpu *v)
{
	long r;

	alarm_each(ALARM_US);
	r = enter(v);
	alarm_each(0);
	return r;
}

static void *run_thread(void *argument)
{
	struct vcpu *v = argument;

	v->result = enter(v);
	atomic_store(&v->ended, true);
	return NULL;
}

void start_wfi(struct vcpu *v)
{
	set_reg(v, CORE(4), DONE);
	set_reg(v, CORE_PC, RAM + CODE_WFI);
	atomic_store(&v->ended, false);
	if (pthread_create(&v->thread, NULL, run_thread, v))
		die("pthread_create");
}

bool still_waits(struct vcpu *v)
{
	usleep(SETTLE_US);
	return !atomic_load(&v->ended);
}

long join(struct vcpu *v)
{
	while (!atomic_load(&v->ended)) {
		pthread_kill(v->thread, SIGALRM);
		usleep(ALARM_US);
	}
	pthread_join(v->thread, NULL);
	return v->result;
}
