/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_SIGNAL_MASK and KVM_RUN: which signals end it, which are then handled, and which stay pending. Part of the tests;
 * see preload_check.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "preload_check.h"

static int kvm, vm, vcpu;
static struct kvm_run *run;
static pid_t vcpu_tid;
static pthread_t vcpu_thread;

/* What the handler of SIGUSR1 and SIGUSR2 has seen since a case began. */
static volatile int handled[65], exit_seen;

static void on_signal(int signum)
{
	handled[signum]++;
	exit_seen = run->exit_reason;
}

static void set_mask(uint64_t bits)
{
	struct {
		uint32_t len;
		unsigned char bits[8];
	} mask = { .len = 8 };

	memcpy(mask.bits, &bits, sizeof(bits));
	EXPECT(ioctl(vcpu, KVM_SET_SIGNAL_MASK, &mask), 0);
}

static uint64_t bit(int signum)
{
	return 1ull << (signum - 1);
}

static bool is_pending(int signum)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, signum);
}

static void outside(int how, int signum)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signum);
	pthread_sigmask(how, &set, NULL);
}

static void handle(int signum, void (*handler)(int), int flags)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags };

	sigemptyset(&act.sa_mask);
	EXPECT(sigaction(signum, &act, NULL), 0);
	handled[signum] = 0;
}

/* ---- signals that come while KVM_RUN waits ---- */

enum way { TO_THREAD, TO_PROCESS, QUEUED };

struct kick {
	int signum[3];
	enum way way;
};

static void wait_until_asleep(void)
{
	const struct timespec moment = { .tv_nsec = 2000000 };
	char path[64], state;
	int times = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", vcpu_tid);
	while (times < 5) {
		FILE *file = fopen(path, "re");

		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = '?';
		if (file)
			fclose(file);
		times = state == 'S' ? times + 1 : 0;
		nanosleep(&moment, NULL);
	}
}

static void *kicker(void *argument)
{
	const struct kick *kick = argument;
	const union sigval value = { .sival_int = 1234 };

	for (int i = 0; i < 3 && kick->signum[i]; i++) {
		wait_until_asleep();
		if (kick->way == TO_THREAD)
			pthread_kill(vcpu_thread, kick->signum[i]);
		else if (kick->way == TO_PROCESS)
			kill(getpid(), kick->signum[i]);
		else
			sigqueue(getpid(), kick->signum[i], value);
	}
	return NULL;
}

/* KVM_RUN, during which another thread, which takes none itself, sends these signals one after another. */
static long run_with(struct kick kick)
{
	sigset_t all, before;
	pthread_t thread;
	long result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	MUST(-pthread_create(&thread, NULL, kicker, &kick));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	run->exit_reason = 77;
	result = RESULT(ioctl(vcpu, KVM_RUN, 0));
	pthread_join(thread, NULL);
	return result;
}

/* ---- what is so on Linux ---- */

/* Blocked by the caller, let in by the vCPU's mask: it ends KVM_RUN, is not handled, and stays pending. */
static void let_in_by_the_mask_only(enum way way)
{
	handle(SIGUSR1, on_signal, way == TO_PROCESS ? SA_RESTART : 0);
	outside(SIG_BLOCK, SIGUSR1);
	set_mask(0);
	EXPECT(run_with((struct kick){ { SIGUSR1 }, way }), -EINTR);
	EXPECT(run->exit_reason, KVM_EXIT_INTR);
	EXPECT(handled[SIGUSR1], 0);
	CHECK(is_pending(SIGUSR1));
	/* Until it is taken KVM_RUN returns at once. */
	EXPECT(ioctl(vcpu, KVM_RUN, 0), -EINTR);
	EXPECT(ioctl(vcpu, KVM_RUN, 0), -EINTR);
	EXPECT(handled[SIGUSR1], 0);
	outside(SIG_UNBLOCK, SIGUSR1);
	EXPECT(handled[SIGUSR1], 1);
	CHECK(!is_pending(SIGUSR1));
}

/* As QEMU took its kicks: by sigtimedwait(), which finds out who sent it. */
static void it_can_be_waited_for(void)
{
	static const struct timespec none;
	siginfo_t info;
	sigset_t set;

	handle(SIGUSR1, on_signal, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	outside(SIG_BLOCK, SIGUSR1);
	set_mask(~bit(SIGUSR1));
	EXPECT(run_with((struct kick){ { SIGUSR1 }, QUEUED }), -EINTR);
	EXPECT(sigtimedwait(&set, &info, &none), SIGUSR1);
	CHECK(info.si_code == SI_QUEUE);
	EXPECT(info.si_pid, getpid());
	EXPECT(info.si_value.sival_int, 1234);
	EXPECT(sigtimedwait(&set, &info, &none), -EAGAIN);
	EXPECT(handled[SIGUSR1], 0);
	outside(SIG_UNBLOCK, SIGUSR1);
	EXPECT(handled[SIGUSR1], 0);
}

/* Let in by both: handled once, by the time KVM_RUN has returned; never restarted. */
static void let_in_by_both(enum way way)
{
	handle(SIGUSR1, on_signal, SA_RESTART);
	set_mask(0);
	EXPECT(run_with((struct kick){ { SIGUSR1 }, way }), -EINTR);
	EXPECT(handled[SIGUSR1], 1);
}

/* Blocked by the mask, let in by the caller: it ends nothing, and is handled when KVM_RUN has returned. */
static void blocked_by_the_mask(void)
{
	handle(SIGUSR1, on_signal, 0);
	handle(SIGUSR2, on_signal, 0);
	set_mask(bit(SIGUSR1));
	EXPECT(run_with((struct kick){ { SIGUSR1, SIGUSR2 }, TO_THREAD }), -EINTR);
	EXPECT(handled[SIGUSR1], 1);
	EXPECT(handled[SIGUSR2], 1);
	EXPECT(exit_seen, KVM_EXIT_INTR);
}

/* One of each: the one ends it, both were there. */
static void blocked_by_both(void)
{
	handle(SIGUSR1, on_signal, 0);
	handle(SIGUSR2, on_signal, 0);
	outside(SIG_BLOCK, SIGUSR1);
	outside(SIG_BLOCK, SIGUSR2);
	set_mask(bit(SIGUSR1));
	EXPECT(run_with((struct kick){ { SIGUSR1, SIGUSR2 }, TO_PROCESS }), -EINTR);
	CHECK(is_pending(SIGUSR1));
	CHECK(is_pending(SIGUSR2));
	outside(SIG_UNBLOCK, SIGUSR1);
	outside(SIG_UNBLOCK, SIGUSR2);
	EXPECT(handled[SIGUSR1], 1);
	EXPECT(handled[SIGUSR2], 1);
}

/* One that is ignored, and blocked by the caller, is not dropped: it ends KVM_RUN. */
static void ignored_but_blocked(void)
{
	handle(SIGUSR1, SIG_IGN, 0);
	outside(SIG_BLOCK, SIGUSR1);
	set_mask(0);
	EXPECT(run_with((struct kick){ { SIGUSR1 }, TO_THREAD }), -EINTR);
	CHECK(is_pending(SIGUSR1));
	outside(SIG_UNBLOCK, SIGUSR1);
	CHECK(!is_pending(SIGUSR1));
}

/* One that is ignored, or is by default, ends nothing where the caller does not block it. */
static void ignored(void)
{
	handle(SIGUSR1, SIG_IGN, 0);
	handle(SIGWINCH, SIG_DFL, 0);
	handle(SIGUSR2, on_signal, 0);
	set_mask(0);
	EXPECT(run_with((struct kick){ { SIGUSR1, SIGWINCH, SIGUSR2 }, TO_THREAD }), -EINTR);
	EXPECT(handled[SIGUSR2], 1);
	CHECK(!is_pending(SIGUSR1));
}

/* Without a mask the caller's holds. */
static void without_a_mask(void)
{
	handle(SIGUSR1, on_signal, 0);
	handle(SIGUSR2, on_signal, 0);
	outside(SIG_BLOCK, SIGUSR1);
	EXPECT(ioctl(vcpu, KVM_SET_SIGNAL_MASK, NULL), 0);
	EXPECT(run_with((struct kick){ { SIGUSR1, SIGUSR2 }, TO_THREAD }), -EINTR);
	EXPECT(handled[SIGUSR1], 0);
	EXPECT(handled[SIGUSR2], 1);
	CHECK(is_pending(SIGUSR1));
	outside(SIG_UNBLOCK, SIGUSR1);
	EXPECT(handled[SIGUSR1], 1);
}

/* immediate_exit comes before any signal is looked at, and leaves exit_reason alone. */
static void immediate_exit_is_first(void)
{
	handle(SIGUSR1, on_signal, 0);
	outside(SIG_BLOCK, SIGUSR1);
	set_mask(0);
	pthread_kill(pthread_self(), SIGUSR1);
	run->immediate_exit = 1;
	run->exit_reason = 77;
	EXPECT(ioctl(vcpu, KVM_RUN, 0), -EINTR);
	EXPECT(run->exit_reason, 77);
	run->immediate_exit = 0;
	EXPECT(ioctl(vcpu, KVM_RUN, 0), -EINTR);
	EXPECT(run->exit_reason, KVM_EXIT_INTR);
	EXPECT(handled[SIGUSR1], 0);
	outside(SIG_UNBLOCK, SIGUSR1);
	EXPECT(handled[SIGUSR1], 1);
}

static void set_up(void)
{
	struct kvm_vcpu_init init = { .target = KVM_ARM_TARGET_GENERIC_V8 };

	kvm = MUST(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	vm = MUST(ioctl(kvm, KVM_CREATE_VM, 0));
	vcpu = MUST(ioctl(vm, KVM_CREATE_VCPU, 0));
	init.features[0] = 1u << KVM_ARM_VCPU_POWER_OFF;
	MUST(ioctl(vcpu, KVM_ARM_VCPU_INIT, &init));
	run = mmap(NULL, MUST(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0)), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	CHECK(run != MAP_FAILED);
	vcpu_thread = pthread_self();
	vcpu_tid = gettid();
}

int main(void)
{
	set_up();
	let_in_by_the_mask_only(TO_THREAD);
	let_in_by_the_mask_only(TO_PROCESS);
	it_can_be_waited_for();
	let_in_by_both(TO_THREAD);
	let_in_by_both(TO_PROCESS);
	blocked_by_the_mask();
	blocked_by_both();
	ignored_but_blocked();
	ignored();
	without_a_mask();
	immediate_exit_is_first();
	return checks_failed();
}
