/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: vCPUs that run while the script goes on. Part of the tests.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "script.h"

#define RUN_BYTES 0x1000u
#define NOT_YET 0xffffffffu /* no exit reason: KVM_RUN has not begun */
#define LOOK_AGAIN_US 200
#define SIGNAL_AGAIN_MS 100

struct background {
	pthread_t thread;
	int fd;
	long result;
	atomic_bool ended;
};

static void *run_vcpu(void *argument)
{
	struct background *background = argument;
	sigset_t alarm;
	int done;

	/* The script's alarms are for its other statements. */
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	done = ioctl(background->fd, KVM_RUN, 0);
	background->result = done < 0 ? -errno : done;
	background->ended = true;
	return NULL;
}

void background_start(struct name *vcpu)
{
	struct background *background;
	struct kvm_run *run;

	if (vcpu->background)
		return;
	background = calloc(1, sizeof(*background));
	if (!background)
		abort();
	background->fd = vcpu->fd;
	run = mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run != MAP_FAILED)
		run->exit_reason = NOT_YET;
	if (pthread_create(&background->thread, NULL, run_vcpu, background))
		abort();
	/* KVM clears it when it is past its checks and has the vCPU to itself. */
	while (!background->ended && (run == MAP_FAILED || *(volatile uint32_t *)&run->exit_reason == NOT_YET))
		usleep(LOOK_AGAIN_US);
	if (run != MAP_FAILED)
		munmap(run, RUN_BYTES);
	vcpu->background = background;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static void on_signal(int number)
{
	(void)number;
}

long background_stop(struct name *vcpu, unsigned int ms)
{
	struct background *background = vcpu->background;
	struct sigaction action = { .sa_handler = on_signal };
	uint64_t end = now_ms() + ms;
	long result;

	if (!background)
		return -ESRCH;
	sigaction(SIGUSR1, &action, NULL);
	while (!background->ended) {
		if (now_ms() >= end) {
			pthread_kill(background->thread, SIGUSR1);
			end = now_ms() + SIGNAL_AGAIN_MS;
		}
		usleep(LOOK_AGAIN_US);
	}
	pthread_join(background->thread, NULL);
	result = background->result;
	free(background);
	vcpu->background = NULL;
	return result;
}
