/* SPDX-License-Identifier: MIT */
/*
 * KVM_RUN: what ends it, from another thread or a signal handler, and that nothing that should is ever missed. Part of
 * the tests. A vCPU here has no guest: it waits as if in WFI.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "kvm.h"

#ifndef KICKS
#define KICKS 20000
#endif
#define TIMER_SHOTS 5000
#define FIRST_LOOKS 20000

#define REG_CTL KVM_REG_ARM_TIMER_CTL
#define REG_CNT KVM_REG_ARM_TIMER_CNT
#define REG_CVAL KVM_REG_ARM_TIMER_CVAL
#define CTL_ENABLE 1

/* A vCPU and the thread that runs it once. */
struct runner {
	struct kvmemu_file *system, *vm, *vcpu;
	pthread_t thread;
	atomic_int tid;
	atomic_bool done;
	long result;
};

static atomic_int handled;

static void on_signal(int signum)
{
	(void)signum;
	atomic_fetch_add(&handled, 1);
}

static void catch(int signum, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	sigaction(signum, &action, NULL);
}

static void pause_us(long us)
{
	const struct timespec time = { .tv_nsec = us * 1000 };

	nanosleep(&time, NULL);
}

static void *run_once(void *argument)
{
	struct runner *r = argument;

	atomic_store(&r->tid, gettid());
	r->result = try_call(r->vcpu, KVM_RUN, NULL);
	atomic_store(&r->done, true);
	return NULL;
}

static void set_up(struct runner *r, uint32_t features)
{
	memset(r, 0, sizeof(*r));
	r->system = open_system(NULL);
	kvmemu_counter_set(r->system, 1000);
	r->vm = create_vm(r->system);
	r->vcpu = create_vcpu(r->vm, 0, features);
}

static void start(struct runner *r)
{
	atomic_store(&r->done, false);
	run_page(r->vcpu)->exit_reason = UINT32_MAX;
	must(-pthread_create(&r->thread, NULL, run_once, r));
}

/* KVM_RUN stores to its page when it has the vCPU. That is a race, which ThreadSanitizer need not tell. */
__attribute__((no_sanitize("thread"), noinline)) static bool has_begun(struct runner *r)
{
	return *(volatile uint32_t *)&run_page(r->vcpu)->exit_reason != UINT32_MAX;
}

static bool is_asleep(struct runner *r)
{
	char path[64], state = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&r->tid));
	file = fopen(path, "re");
	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	if (file)
		fclose(file);
	return state == 'S';
}

/* Gives it time to do the wrong thing, and however much it needs to be in the wait. */
static void expect_waiting(struct runner *r)
{
	pause_us(2000);
	while (!atomic_load(&r->done) && !(has_begun(r) && is_asleep(r)))
		pause_us(200);
	ok(!atomic_load(&r->done));
}

static long finish(struct runner *r)
{
	pthread_join(r->thread, NULL);
	return r->result;
}

static void tear_down(struct runner *r)
{
	kvmemu_close(r->vcpu);
	kvmemu_close(r->vm);
	kvmemu_close(r->system);
}

static void a_signal_ends_it(void)
{
	static const uint32_t features[] = { 0, 1u << KVM_ARM_VCPU_POWER_OFF };
	struct runner r;

	catch(SIGUSR1, on_signal);
	for (int i = 0; i < 2; i++) {
		int before = atomic_load(&handled);

		set_up(&r, features[i]);
		start(&r);
		expect_waiting(&r);
		pthread_kill(r.thread, SIGUSR1);
		fails(finish(&r), EINTR);
		equal(run_page(r.vcpu)->exit_reason, KVM_EXIT_INTR);
		equal(atomic_load(&handled), before + 1);
		tear_down(&r);
	}
}

/* KVM_SET_SIGNAL_MASK: what it blocks does not end a run, but is delivered after it; what it lets in does. */
static void the_signal_mask_counts_while_it_runs(void)
{
	struct {
		uint32_t len;
		unsigned char bits[8];
	} mask = { .len = 8 };
	uint64_t usr1 = 1ull << (SIGUSR1 - 1);
	struct runner r;
	int before = atomic_load(&handled);

	catch(SIGUSR1, on_signal);
	catch(SIGUSR2, on_signal);
	memcpy(mask.bits, &usr1, sizeof(usr1));
	set_up(&r, 0);
	must(try_call(r.vcpu, KVM_SET_SIGNAL_MASK, &mask));
	start(&r);
	expect_waiting(&r);
	pthread_kill(r.thread, SIGUSR1);
	expect_waiting(&r);
	equal(atomic_load(&handled), before);
	pthread_kill(r.thread, SIGUSR2);
	fails(finish(&r), EINTR);
	equal(atomic_load(&handled), before + 2);
	tear_down(&r);
}

static void an_interrupt_line_wakes_a_suspended_vcpu(void)
{
	struct runner r;

	set_up(&r, 0);
	must(try_set_mp_state(r.vcpu, KVM_MP_STATE_SUSPENDED));
	start(&r);
	expect_waiting(&r);
	must(try_irq_line(r.vm, 0, 1));
	equal(finish(&r), 0);
	equal(run_page(r.vcpu)->exit_reason, KVM_EXIT_SYSTEM_EVENT);
	equal(run_page(r.vcpu)->system_event.type, KVM_SYSTEM_EVENT_WAKEUP);
	tear_down(&r);
}

/* Another thread's request for a vCPU that runs waits until it has left KVM_RUN, as under Linux's vCPU mutex. */
static atomic_bool stopped;

static void *stop_vcpu(void *argument)
{
	struct runner *r = argument;

	must(try_set_mp_state(r->vcpu, KVM_MP_STATE_STOPPED));
	atomic_store(&stopped, true);
	return NULL;
}

static void other_requests_wait_for_its_end(void)
{
	struct runner r;
	pthread_t other;

	set_up(&r, 0);
	start(&r);
	expect_waiting(&r);
	must(-pthread_create(&other, NULL, stop_vcpu, &r));
	expect_waiting(&r);
	ok(!atomic_load(&stopped));
	pthread_kill(r.thread, SIGUSR1);
	fails(finish(&r), EINTR);
	pthread_join(other, NULL);
	equal(mp_state(r.vcpu), KVM_MP_STATE_STOPPED);
	tear_down(&r);
}

static void stepping_the_counter_to_a_timer_ends_it(void)
{
	struct runner r;

	set_up(&r, 0);
	set(r.vcpu, REG_CVAL, get(r.vcpu, REG_CNT) + 500);
	set(r.vcpu, REG_CTL, CTL_ENABLE);
	start(&r);
	expect_waiting(&r);
	kvmemu_counter_step(r.system, 499);
	expect_waiting(&r);
	kvmemu_counter_step(r.vm, 1);
	fails(finish(&r), EINTR);
	equal(run_page(r.vcpu)->exit_reason, KVM_EXIT_INTR);
	equal(run_page(r.vcpu)->s.regs.device_irq_level, KVM_ARM_DEV_EL1_VTIMER);

	/* Reported once; the next end is when the line falls. */
	start(&r);
	expect_waiting(&r);
	kvmemu_counter_set(r.system, 1000);
	fails(finish(&r), EINTR);
	equal(run_page(r.vcpu)->s.regs.device_irq_level, 0);
	tear_down(&r);
}

static void following_the_clock_lets_a_timer_fire(void)
{
	struct runner r;

	set_up(&r, 0);
	set(r.vcpu, REG_CVAL, kvmemu_counter_hz(r.system) / 100);
	set(r.vcpu, REG_CTL, CTL_ENABLE);
	start(&r);
	expect_waiting(&r);
	kvmemu_counter_follow_clock(r.system);
	fails(finish(&r), EINTR);
	equal(run_page(r.vcpu)->s.regs.device_irq_level, KVM_ARM_DEV_EL1_VTIMER);
	tear_down(&r);
}

/* A timer that is due at about the time the wait begins must end it, however close before or after that is. */
static void a_timer_is_never_missed(void)
{
	uint64_t random = 1, hz;
	struct runner r;

	set_up(&r, 0);
	kvmemu_counter_follow_clock(r.system);
	hz = kvmemu_counter_hz(r.system);
	for (int i = 0; i < TIMER_SHOTS; i++) {
		set(r.vcpu, REG_CTL, 0);
		run_page(r.vcpu)->s.regs.device_irq_level = 0;
		set(r.vcpu, REG_CVAL, get(r.vcpu, REG_CNT) + next_random(&random) % (hz / 200000 + 1));	/* to 5 us */
		set(r.vcpu, REG_CTL, CTL_ENABLE);
		fails(try_call(r.vcpu, KVM_RUN, NULL), EINTR);
		equal(run_page(r.vcpu)->s.regs.device_irq_level, KVM_ARM_DEV_EL1_VTIMER);
	}
	tear_down(&r);
}

static void immediate_exit_ends_it_at_once(void)
{
	struct runner r;

	set_up(&r, 0);
	set_immediate_exit(r.vcpu, 1);
	fails(try_call(r.vcpu, KVM_RUN, NULL), EINTR);
	fails(try_call(r.vcpu, KVM_RUN, (void *)8), EINVAL);
	tear_down(&r);
}

/*
 * The kick of a real VMM: a handler sets immediate_exit, so that a signal just before KVM_RUN ends it as one during it
 * does. Each kick must end one run; a lost one leaves the vCPU waiting for ever, and the test with it.
 */
static struct kvmemu_file *kicked;
static atomic_int kicks_taken;
static atomic_bool stop_kicking;

static void on_kick(int signum)
{
	(void)signum;
	set_immediate_exit(kicked, 1);
}

static void *take_kicks(void *argument)
{
	(void)argument;
	while (!atomic_load(&stop_kicking)) {
		fails(try_call(kicked, KVM_RUN, NULL), EINTR);
		set_immediate_exit(kicked, 0);
		atomic_fetch_add(&kicks_taken, 1);
	}
	return NULL;
}

static void spin(uint64_t turns)
{
	for (volatile uint64_t i = 0; i < turns; i++)
		;
}

static void no_kick_is_ever_lost(void)
{
	uint64_t random = 42;
	struct runner r;
	pthread_t thread;

	catch(SIGUSR1, on_kick);
	set_up(&r, 0);
	kicked = r.vcpu;
	must(-pthread_create(&thread, NULL, take_kicks, NULL));
	for (int i = 0; i < KICKS; i++) {
		alarm(CHECK_SECONDS);
		spin(next_random(&random) % 3000);
		if (i == KICKS - 1)
			atomic_store(&stop_kicking, true);
		pthread_kill(thread, SIGUSR1);
		while (atomic_load(&kicks_taken) == i)
			if (i % 2)
				sched_yield();
	}
	pthread_join(thread, NULL);
	equal(atomic_load(&kicks_taken), KICKS);
	tear_down(&r);
}

/*
 * The kick of a VMM that blocks its signal and has KVM_SET_SIGNAL_MASK let it in: it ends a run whenever it comes, no handler
 * runs, and it is there until it is taken. To the thread, and to a process that blocks it in all of its threads.
 */
static atomic_int pulls;

static void *take_pulls(void *argument)
{
	static const struct timespec none;
	struct runner *r = argument;
	sigset_t usr2;

	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	for (int i = 0; i < KICKS / 2; i++) {
		fails(try_call(r->vcpu, KVM_RUN, NULL), EINTR);
		equal(run_page(r->vcpu)->exit_reason, KVM_EXIT_INTR);
		equal(sigtimedwait(&usr2, NULL, &none), SIGUSR2);
		atomic_fetch_add(&pulls, 1);
	}
	return NULL;
}

static void no_signal_that_the_mask_lets_in_is_lost(void)
{
	struct {
		uint32_t len;
		unsigned char bits[8];
	} mask = { .len = 8 };
	int before = atomic_load(&handled);
	uint64_t random = 44;
	struct runner r;
	pthread_t thread;
	sigset_t usr2;

	catch(SIGUSR2, on_signal);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &usr2, NULL);
	set_up(&r, 0);
	must(try_call(r.vcpu, KVM_SET_SIGNAL_MASK, &mask));
	must(-pthread_create(&thread, NULL, take_pulls, &r));
	for (int i = 0; i < KICKS / 2; i++) {
		alarm(CHECK_SECONDS);
		spin(next_random(&random) % 3000);
		if (i % 4 < 2)
			pthread_kill(thread, SIGUSR2);
		else
			kill(getpid(), SIGUSR2);
		while (atomic_load(&pulls) == i)
			if (i % 2)
				sched_yield();
	}
	pthread_join(thread, NULL);
	equal(atomic_load(&handled), before);
	pthread_sigmask(SIG_UNBLOCK, &usr2, NULL);
	tear_down(&r);
}

/* The same by what wakes without a signal: a line that goes up at any time is seen. */
static atomic_int wakes;

static void *take_wakes(void *argument)
{
	struct runner *r = argument;

	for (int i = 0; i < KICKS / 4; i++) {
		must(try_set_mp_state(r->vcpu, KVM_MP_STATE_SUSPENDED));
		equal(try_call(r->vcpu, KVM_RUN, NULL), 0);
		must(try_irq_line(r->vm, 0, 0));
		atomic_fetch_add(&wakes, 1);
	}
	return NULL;
}

static void no_interrupt_line_is_ever_missed(void)
{
	uint64_t random = 43;
	struct runner r;
	pthread_t thread;

	set_up(&r, 0);
	must(-pthread_create(&thread, NULL, take_wakes, &r));
	for (int i = 0; i < KICKS / 4; i++) {
		alarm(CHECK_SECONDS);
		spin(next_random(&random) % 3000);
		must(try_irq_line(r.vm, 0, 1));
		while (atomic_load(&wakes) == i)
			if (i % 2)
				sched_yield();
	}
	pthread_join(thread, NULL);
	tear_down(&r);
}

/*
 * The handler is the first to look at kvm_run at any moment of the thread's own first look, of the VM's vCPUs being made
 * and of calls on its memory: it waits for nothing that the code has that it interrupts.
 */
static struct kvmemu_file *_Atomic looked_at;
static atomic_int looks;

static void on_look(int signum)
{
	struct kvmemu_file *vcpu = atomic_load(&looked_at);

	(void)signum;
	if (vcpu) {
		set_immediate_exit(vcpu, 1);
		atomic_fetch_add(&looks, 1);
	}
}

static void a_handler_may_be_the_first_to_look(void)
{
	static const struct itimerval often = { { 0, 50 }, { 0, 50 } }, never;
	struct kvmemu_file *system = open_system(NULL);

	catch(SIGPROF, on_look);
	setitimer(ITIMER_PROF, &often, NULL);
	for (int i = 0; i < FIRST_LOOKS; i++) {
		struct kvmemu_file *vm = create_vm(system);
		struct kvm_coalesced_mmio_zone zone = { .addr = 0x1000, .size = 0x1000 };
		struct kvmemu_file *vcpu = create_vcpu(vm, 0, 0);

		atomic_store(&looked_at, vcpu);
		must(try_call(vm, KVM_REGISTER_COALESCED_MMIO, &zone));
		must(try_call(vm, KVM_UNREGISTER_COALESCED_MMIO, &zone));
		set_immediate_exit(vcpu, 1);
		fails(try_call(vcpu, KVM_RUN, NULL), EINTR);
		atomic_store(&looked_at, NULL);
		kvmemu_close(vcpu);
		kvmemu_close(vm);
	}
	setitimer(ITIMER_PROF, &never, NULL);
	ok(atomic_load(&looks) > 0);
	kvmemu_close(system);
}

int main(void)
{
	run(a_signal_ends_it);
	run(the_signal_mask_counts_while_it_runs);
	run(an_interrupt_line_wakes_a_suspended_vcpu);
	run(other_requests_wait_for_its_end);
	run(stepping_the_counter_to_a_timer_ends_it);
	run(following_the_clock_lets_a_timer_fire);
	run(a_timer_is_never_missed);
	run(immediate_exit_ends_it_at_once);
	run(no_kick_is_ever_lost);
	run(no_signal_that_the_mask_lets_in_is_lost);
	run(no_interrupt_line_is_ever_missed);
	run(a_handler_may_be_the_first_to_look);
	return check_done();
}
