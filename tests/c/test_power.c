/* SPDX-License-Identifier: MIT */
/*
 * vCPUs that switch each other on and off by PSCI while each is in KVM_RUN on a thread of its own. For ThreadSanitizer as
 * well. Part of the tests.
 *
 * Guests keep their place in registers that a reset zeroes: x19 is 0 at their beginning, x20 counts, x21 is 1 between a
 * call and its end.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "kvm.h"

#ifndef ROUNDS
#define ROUNDS 3000
#endif
#define NR_VCPUS 3
#define ENTRY 0x40000000ull
#define CPU_ON PSCI_0_2_FN64_CPU_ON

static struct kvmemu_file *vm, *vcpu[NR_VCPUS];

static void set_up(void)
{
	struct kvmemu_file *system = open_system(NULL);

	vm = create_vm(system);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		vcpu[i] = create_vcpu(vm, i, 1u << KVM_ARM_VCPU_PSCI_0_2 | (i ? 1u << KVM_ARM_VCPU_POWER_OFF : 0));
	kvmemu_close(system);
}

static void tear_down(void)
{
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		kvmemu_close(vcpu[i]);
	kvmemu_close(vm);
}

static void *run_vcpu(void *file)
{
	return (void *)try_call(file, KVM_RUN, NULL);
}

/* An HVC that may have to be executed again; false if the guest has to be left. */
static bool call(struct kvmemu_cpu *cpu, uint64_t function, uint64_t x1, uint64_t x2, uint64_t x3)
{
	uint64_t *x = kvmemu_cpu_x(cpu);

	if (!x[21]) {
		x[0] = function;
		x[1] = x1;
		x[2] = x2;
		x[3] = x3;
		x[21] = 1;
	}
	if (kvmemu_cpu_hvc(cpu))
		return false;
	x[21] = 0;
	return true;
}

/*
 * One vCPU switches the other on, as often as that switches itself off: it begins each time where it is told, with what
 * it is told, and once a call.
 */
static atomic_int begun, badly_begun;

static void switches_itself_off(struct kvmemu_cpu *cpu, void *context)
{
	uint64_t *x = kvmemu_cpu_x(cpu);

	(void)context;
	if (!x[19]) {
		int n = atomic_fetch_add(&begun, 1);

		if (x[0] != (uint64_t)n + 1 || *kvmemu_cpu_pc(cpu) != ENTRY + 4 * x[0] || x[1] || x[20])
			atomic_fetch_add(&badly_begun, 1);
		x[19] = 1;
		x[20] = 77;
	}
	call(cpu, PSCI_0_2_FN_CPU_OFF, 0, 0, 0);
}

static void switches_the_other_on(struct kvmemu_cpu *cpu, void *context)
{
	uint64_t *x = kvmemu_cpu_x(cpu);

	(void)context;
	while (x[20] < ROUNDS) {
		uint64_t next = x[20] + 1;

		if (!call(cpu, CPU_ON, 1, ENTRY + 4 * next, next))
			return;
		if (!x[0])
			x[20] = next;
		else if (x[0] != (uint64_t)PSCI_RET_ALREADY_ON)
			break;
	}
	kvmemu_cpu_exit(cpu, KVM_EXIT_HLT);
}

static void on_signal(int signum)
{
	(void)signum;
}

/* Until the guests of that thread have been left. */
static void interrupt(pthread_t thread, void **result)
{
	struct timespec soon;

	do {
		pthread_kill(thread, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_nsec += 1000000;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
	} while (pthread_timedjoin_np(thread, result, &soon));
}

static void each_call_starts_it_once(void)
{
	pthread_t secondary;
	void *result;

	set_up();
	must(kvmemu_set_guest(vcpu[0], switches_the_other_on, NULL));
	must(kvmemu_set_guest(vcpu[1], switches_itself_off, NULL));
	must(-pthread_create(&secondary, NULL, run_vcpu, vcpu[1]));
	equal(try_call(vcpu[0], KVM_RUN, NULL), 0);
	equal(run_page(vcpu[0])->exit_reason, KVM_EXIT_HLT);
	interrupt(secondary, &result);
	equal((long)result, -EINTR);
	equal(atomic_load(&begun), ROUNDS);
	equal(atomic_load(&badly_begun), 0);
	equal(mp_state(vcpu[1]), KVM_MP_STATE_STOPPED);
	tear_down();
}

/* SYSTEM_RESET on one vCPU stops those that execute, wait in WFI, or are stopped; user space lets one begin again. */
static void spins(struct kvmemu_cpu *cpu, void *context)
{
	(void)context;
	while (call(cpu, PSCI_0_2_FN_PSCI_VERSION, 0, 0, 0))
		;
}

static void waits(struct kvmemu_cpu *cpu, void *context)
{
	(void)context;
	while (!kvmemu_cpu_wfi(cpu))
		;
}

static void starts_all_and_resets(struct kvmemu_cpu *cpu, void *context)
{
	uint64_t *x = kvmemu_cpu_x(cpu);

	(void)context;
	for (; x[20] < NR_VCPUS - 1; x[20]++)
		if (!call(cpu, CPU_ON, x[20] + 1, ENTRY, 0))
			return;
	call(cpu, PSCI_0_2_FN_SYSTEM_RESET, 0, 0, 0);
}

static void a_reset_stops_all(void)
{
	pthread_t thread[NR_VCPUS];
	void *result;

	set_up();
	for (int round = 0; round < ROUNDS / 20; round++) {
		must(kvmemu_set_guest(vcpu[0], starts_all_and_resets, NULL));
		must(kvmemu_set_guest(vcpu[1], spins, NULL));
		must(kvmemu_set_guest(vcpu[2], waits, NULL));
		for (int i = 1; i < NR_VCPUS; i++)
			must(-pthread_create(&thread[i], NULL, run_vcpu, vcpu[i]));
		equal(try_call(vcpu[0], KVM_RUN, NULL), 0);
		equal(run_page(vcpu[0])->exit_reason, KVM_EXIT_SYSTEM_EVENT);
		equal(run_page(vcpu[0])->system_event.type, KVM_SYSTEM_EVENT_RESET);
		equal(get(vcpu[0], REG_X(0)), PSCI_RET_INTERNAL_FAILURE);
		for (int i = 1; i < NR_VCPUS; i++) {
			interrupt(thread[i], &result);
			equal((long)result, -EINTR);
		}
		for (int i = 0; i < NR_VCPUS; i++)
			equal(mp_state(vcpu[i]), KVM_MP_STATE_STOPPED);
		init_vcpu(vcpu[0], 1u << KVM_ARM_VCPU_PSCI_0_2);
		equal(mp_state(vcpu[0]), KVM_MP_STATE_RUNNABLE);
	}
	tear_down();
}

/* All at random, with user space reading, setting and running in between. Nothing hangs, and no call answers nonsense. */
struct worker {
	pthread_t thread;
	unsigned int index;
	uint64_t random;
};

static atomic_bool stop_storm;
static atomic_int odd_answers;

static bool is_plain(uint64_t function, uint64_t answer)
{
	if (function == PSCI_0_2_FN_AFFINITY_INFO)
		return answer == PSCI_0_2_AFFINITY_LEVEL_ON || answer == PSCI_0_2_AFFINITY_LEVEL_OFF;
	if (function == CPU_ON)
		return !answer || answer == (uint64_t)PSCI_RET_ALREADY_ON;
	return !answer;
}

static void calls_at_random(struct kvmemu_cpu *cpu, void *context)
{
	struct worker *w = context;
	uint64_t *x = kvmemu_cpu_x(cpu);

	for (;;) {
		uint64_t choice = next_random(&w->random) >> 20;

		if (!x[21])
			x[22] = choice % 16 ? choice % 2 ? CPU_ON : PSCI_0_2_FN_AFFINITY_INFO :
				choice % 64 ? PSCI_0_2_FN_CPU_OFF : PSCI_0_2_FN_SYSTEM_RESET;
		if (!call(cpu, x[22], (choice >> 8) % NR_VCPUS, x[22] == CPU_ON ? ENTRY : 0, choice))
			return;
		if (x[22] != PSCI_0_2_FN_SYSTEM_RESET && !is_plain(x[22], x[0]))
			atomic_fetch_add(&odd_answers, 1);
	}
}

static void *storm(void *argument)
{
	struct worker *w = argument;
	struct kvmemu_file *mine = vcpu[w->index];

	while (!atomic_load(&stop_storm)) {
		long result = try_call(mine, KVM_RUN, NULL);

		ok(result == -EINTR || (!result && run_page(mine)->exit_reason == KVM_EXIT_SYSTEM_EVENT));
		get(mine, REG_PC);
		set(mine, REG_TPIDR_EL1, w->random);
		set(mine, ARM64_SYS_REG(3, 0, 0, 0, 5), 0x80000000 | w->index);	/* MPIDR_EL1, as it is */
		ok(mp_state(mine) != KVM_MP_STATE_SUSPENDED);
		must(try_set_mp_state(mine, KVM_MP_STATE_RUNNABLE));
	}
	return NULL;
}

static void all_at_random(void)
{
	const struct timespec moment = { .tv_nsec = 200000 };
	struct worker worker[NR_VCPUS];

	set_up();
	atomic_store(&stop_storm, false);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		worker[i] = (struct worker){ .index = i, .random = i + 1 };
		must(kvmemu_set_guest(vcpu[i], calls_at_random, &worker[i]));
	}
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		must(-pthread_create(&worker[i].thread, NULL, storm, &worker[i]));
	for (int i = 0; i < ROUNDS; i++) {
		nanosleep(&moment, NULL);
		pthread_kill(worker[i % NR_VCPUS].thread, SIGUSR1);
	}
	atomic_store(&stop_storm, true);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		interrupt(worker[i].thread, NULL);
	equal(atomic_load(&odd_answers), 0);
	tear_down();
}

int main(void)
{
	const struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
	run(each_call_starts_it_once);
	run(a_reset_stops_all);
	run(all_at_random);
	return check_done();
}
