/* SPDX-License-Identifier: MIT */
/* Physical CPUs taken and given back, by one thread and by several. Part of the tests. */
#include <pthread.h>
#include <sys/wait.h>

#include "vif.h"

#ifndef ROUNDS
#define ROUNDS 20000
#endif
#define NR_THREADS 4
#define NR_CPUS 40

static void as_many_are_made_as_run_at_once(void)
{
	struct machine *machine = make_machine(V3);
	struct pcpu *cpu[NR_CPUS];

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < NR_CPUS; i++) {
			cpu[i] = machine_take_cpu(machine);
			for (unsigned int j = 0; j < i; j++)
				ok(cpu[j] != cpu[i] && cpu[j]->number != cpu[i]->number);
		}
		equal(atomic_load(&machine->cpus->made), NR_CPUS);
		for (unsigned int i = 0; i < NR_CPUS; i++)
			machine_give_cpu(cpu[i]);
	}
	machine_put(machine);
}

static void registers_keep_what_the_last_user_left(void)
{
	struct machine *machine = make_machine(V3);
	struct pcpu *cpu = machine_take_cpu(machine);

	cpu->vif.lr[3] = 12345;
	machine_give_cpu(cpu);
	ok(machine_take_cpu(machine) == cpu);
	equal(cpu->vif.lr[3], 12345);
	machine_give_cpu(cpu);
	machine_put(machine);
}

static void *use_cpus(void *argument)
{
	struct machine *machine = argument;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct pcpu *a = machine_take_cpu(machine), *b = machine_take_cpu(machine);

		/* Plain stores: two users at once are a race that ThreadSanitizer tells, and a value that is not there. */
		a->cntvoff = i;
		b->cntvoff = ~i;
		equal(a->cntvoff, i);
		equal(b->cntvoff, ~i);
		machine_give_cpu(i & 1 ? a : b);
		machine_give_cpu(i & 1 ? b : a);
	}
	return NULL;
}

static void no_two_threads_have_the_same(void)
{
	struct machine *machine = make_machine(V3);
	pthread_t thread[NR_THREADS];

	for (unsigned int i = 0; i < NR_THREADS; i++)
		must(-pthread_create(&thread[i], NULL, use_cpus, machine));
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_join(thread[i], NULL);
	ok(atomic_load(&machine->cpus->made) <= 2 * NR_THREADS);
	machine_put(machine);
}

static atomic_bool stop;

static void *take_and_give(void *argument)
{
	struct machine *machine = argument;

	while (!atomic_load(&stop))
		machine_give_cpu(machine_take_cpu(machine));
	return NULL;
}

/* Whatever another thread is doing with the pool: the child has CPUs, of which none is one that it held itself. */
static void a_forks_child_can_take_cpus(void)
{
	struct machine *machine = make_machine(V3);
	struct pcpu *mine = machine_take_cpu(machine);
	pthread_t thread;

	must(-pthread_create(&thread, NULL, take_and_give, machine));
	for (unsigned int i = 0; i < 20; i++) {
		pid_t child = fork();
		int status;

		if (!child) {
			struct pcpu *cpu = machine_take_cpu(machine), *other = machine_take_cpu(machine);

			alarm(20);
			_exit(!cpu || !other || cpu == other || cpu == mine || other == mine);
		}
		equal(waitpid(must(child), &status, 0), child);
		equal(status, 0);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	machine_give_cpu(mine);
	machine_put(machine);
}

int main(void)
{
	run(as_many_are_made_as_run_at_once);
	run(registers_keep_what_the_last_user_left);
	run(no_two_threads_have_the_same);
	run(a_forks_child_can_take_cpus);
	return check_done();
}
