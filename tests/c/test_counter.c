/* SPDX-License-Identifier: MIT */
/*
 * The counter of a system, and the one offset that all vCPUs of a VM share, whatever the order they are restored in.
 * Part of the tests.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kvm.h"

#define NR_VCPUS 4
#define CTL_ENABLE 1
#define CTL_ISTATUS 4

static void set_and_step_move_it_by_exactly_so_much(void)
{
	struct kvmemu_file *system = open_system(NULL), *vm = create_vm(system), *vcpu = create_vcpu(vm, 0, 0);

	kvmemu_counter_set(system, 1000);
	equal(kvmemu_counter_read(system), 1000);
	kvmemu_counter_step(vcpu, 234);		/* by any file of the system */
	equal(kvmemu_counter_read(vm), 1234);
	kvmemu_counter_set(vm, UINT64_MAX);
	kvmemu_counter_step(vm, 2);
	equal(kvmemu_counter_read(vcpu), 1);
	kvmemu_close(vcpu);
	kvmemu_close(vm);
	kvmemu_close(system);
}

static uint64_t ticks_in(uint64_t hz, uint64_t ms)
{
	return hz * ms / 1000;
}

static void sleep_ms(long ms)
{
	const struct timespec time = { .tv_nsec = ms * 1000000 };

	nanosleep(&time, NULL);
}

static void follows_the_clock_until_stepped(void)
{
	struct kvmemu_file *system = open_system(NULL);
	uint64_t hz = kvmemu_counter_hz(system), before = kvmemu_counter_read(system), now;

	ok(hz > 1000);
	sleep_ms(20);
	now = kvmemu_counter_read(system);
	ok(now - before >= ticks_in(hz, 20));
	kvmemu_counter_step(system, 0);
	now = kvmemu_counter_read(system);
	sleep_ms(5);
	equal(kvmemu_counter_read(system), now);
	kvmemu_close(system);
}

static void follows_the_clock_again_from_where_it_stands(void)
{
	struct kvmemu_file *system = open_system(NULL);
	uint64_t hz = kvmemu_counter_hz(system), now;

	kvmemu_counter_set(system, 77);
	kvmemu_counter_follow_clock(system);
	now = kvmemu_counter_read(system);
	ok(now >= 77 && now < 77 + 100 * hz);
	sleep_ms(10);
	ok(kvmemu_counter_read(system) - now >= ticks_in(hz, 10));
	kvmemu_counter_follow_clock(system);	/* already does: no jump */
	ok(kvmemu_counter_read(system) - now < 100 * hz);
	kvmemu_close(system);
}

static void each_system_has_its_own(void)
{
	struct kvmemu_file *one = open_system(NULL), *two = open_system(NULL);

	kvmemu_counter_set(one, 1);
	kvmemu_counter_set(two, 2);
	kvmemu_counter_step(one, 10);
	equal(kvmemu_counter_read(one), 11);
	equal(kvmemu_counter_read(two), 2);
	kvmemu_close(one);
	kvmemu_close(two);
}

struct saved_timer {
	uint64_t ctl, cnt, cval;
};

struct fixture {
	struct kvmemu_file *system, *vm, *vcpu[NR_VCPUS];
};

static void open_fixture(struct fixture *f, uint64_t counter)
{
	f->system = open_system(NULL);
	kvmemu_counter_set(f->system, counter);
	f->vm = create_vm(f->system);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		f->vcpu[i] = create_vcpu(f->vm, i, 0);
}

static void close_fixture(struct fixture *f)
{
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		kvmemu_close(f->vcpu[i]);
	kvmemu_close(f->vm);
	kvmemu_close(f->system);
}

static struct saved_timer save(struct kvmemu_file *vcpu)
{
	return (struct saved_timer){
		.ctl = get(vcpu, KVM_REG_ARM_TIMER_CTL),
		.cnt = get(vcpu, KVM_REG_ARM_TIMER_CNT),
		.cval = get(vcpu, KVM_REG_ARM_TIMER_CVAL),
	};
}

static void expect_count_everywhere(struct fixture *f, uint64_t want)
{
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		equal(get(f->vcpu[i], KVM_REG_ARM_TIMER_CNT), want);
}

/* What one vCPU is told, all of them read at once; and physical time does not move by it. */
static void a_write_on_one_vcpu_moves_all(void)
{
	struct fixture f;

	open_fixture(&f, 1000000);
	expect_count_everywhere(&f, 0);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		set(f.vcpu[i], KVM_REG_ARM_TIMER_CNT, 5000 * i);
		expect_count_everywhere(&f, 5000 * i);
		kvmemu_counter_step(f.system, 7);
		expect_count_everywhere(&f, 5000 * i + 7);
	}
	equal(kvmemu_counter_read(f.system), 1000000 + 7 * NR_VCPUS);
	close_fixture(&f);
}

static void other_vms_are_not_moved(void)
{
	struct kvmemu_file *system = open_system(NULL), *vm[2], *vcpu[2];

	kvmemu_counter_set(system, 100);
	for (int i = 0; i < 2; i++) {
		vm[i] = create_vm(system);
		vcpu[i] = create_vcpu(vm[i], 0, 0);
	}
	set(vcpu[0], KVM_REG_ARM_TIMER_CNT, 4242);
	equal(get(vcpu[1], KVM_REG_ARM_TIMER_CNT), 0);
	for (int i = 0; i < 2; i++) {
		kvmemu_close(vcpu[i]);
		kvmemu_close(vm[i]);
	}
	kvmemu_close(system);
}

/* KVM starts the VM's virtual time at zero with every new vCPU: a VMM restores CNT after it has created the last. */
static void a_new_vcpu_starts_virtual_time_again(void)
{
	struct fixture f;
	struct kvmemu_file *late;

	open_fixture(&f, 1000);
	set(f.vcpu[0], KVM_REG_ARM_TIMER_CNT, 123456);
	late = create_vcpu(f.vm, NR_VCPUS, 0);
	expect_count_everywhere(&f, 0);
	equal(get(late, KVM_REG_ARM_TIMER_CNT), 0);
	kvmemu_close(late);
	close_fixture(&f);
}

/* vCPU i's timer is due when the virtual count is 9000 + 100 * i; the guest is saved when it is 9150. */
static void make_source(struct fixture *f, struct saved_timer saved[NR_VCPUS])
{
	open_fixture(f, 70000000);
	set(f->vcpu[2], KVM_REG_ARM_TIMER_CNT, 9000);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		set(f->vcpu[i], KVM_REG_ARM_TIMER_CVAL, 9000 + 100 * i);
		set(f->vcpu[i], KVM_REG_ARM_TIMER_CTL, CTL_ENABLE);
	}
	kvmemu_counter_step(f->system, 150);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		saved[i] = save(f->vcpu[i]);
}

/*
 * Time goes on while vCPUs are restored one after another, and each write of CNT turns it back for all. After the last,
 * they agree: on the count, and on which timers are due.
 */
static void restore_in_order(const struct saved_timer saved[NR_VCPUS], const unsigned int order[NR_VCPUS],
			     const unsigned int reg_order[3])
{
	struct fixture f;

	open_fixture(&f, 123);
	for (unsigned int n = 0; n < NR_VCPUS; n++) {
		const struct saved_timer *timer = &saved[order[n]];
		struct kvmemu_file *vcpu = f.vcpu[order[n]];

		for (unsigned int i = 0; i < 3; i++) {
			if (reg_order[i] == 0)
				set(vcpu, KVM_REG_ARM_TIMER_CTL, timer->ctl);
			else if (reg_order[i] == 1)
				set(vcpu, KVM_REG_ARM_TIMER_CVAL, timer->cval);
			else
				set(vcpu, KVM_REG_ARM_TIMER_CNT, timer->cnt);
		}
		expect_count_everywhere(&f, timer->cnt);
		if (n + 1 < NR_VCPUS)
			kvmemu_counter_step(f.system, 31);
	}
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		struct saved_timer now = save(f.vcpu[i]);

		equal(now.ctl, saved[i].ctl);
		equal(now.cval, saved[i].cval);
		equal(now.cnt, saved[i].cnt);
	}
	kvmemu_counter_step(f.system, 100);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		equal(save(f.vcpu[i]).ctl & CTL_ISTATUS, 9000 + 100 * i <= 9250 ? CTL_ISTATUS : 0);
	close_fixture(&f);
}

static void every_order_of_restoring_gives_one_offset(void)
{
	struct saved_timer saved[NR_VCPUS];
	unsigned int order[NR_VCPUS], reg_order[3];
	struct fixture source;

	make_source(&source, saved);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		equal(saved[i].cnt, 9150);
		equal(saved[i].ctl, 9000 + 100 * i <= 9150 ? CTL_ENABLE | CTL_ISTATUS : CTL_ENABLE);
	}
	for (unsigned int n = 0; n < 24; n++) {
		permutation(n, NR_VCPUS, order);
		for (unsigned int m = 0; m < 6; m++) {
			permutation(m, 3, reg_order);
			restore_in_order(saved, order, reg_order);
		}
	}
	close_fixture(&source);
}

static atomic_bool stop;

static void *step_on(void *system)
{
	while (!atomic_load(&stop))
		kvmemu_counter_step(system, 1);
	return NULL;
}

/* Its system is a copy. A vCPU that waits for the counter is among those that hear of a step. */
static int use_counter_in_child(struct kvmemu_file *system)
{
	struct kvmemu_file *vm, *vcpu;

	alarm(20);
	kvmemu_counter_set(system, 1000);
	vm = create_vm(system);
	vcpu = create_vcpu(vm, 0, 0);
	set_immediate_exit(vcpu, 1);
	fails(try_call(vcpu, KVM_RUN, NULL), EINTR);
	kvmemu_counter_step(system, 234);
	return kvmemu_counter_read(system) != 1234;
}

static void a_forks_child_can_step_it_whatever_others_do(void)
{
	struct kvmemu_file *system = open_system(NULL);
	pthread_t thread;

	must(-pthread_create(&thread, NULL, step_on, system));
	for (unsigned int i = 0; i < 50; i++) {
		pid_t child = fork();
		int status = -1;

		if (!child)
			_exit(use_counter_in_child(system));
		equal(waitpid(must(child), &status, 0), child);
		equal(status, 0);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	kvmemu_close(system);
}

int main(void)
{
	run(set_and_step_move_it_by_exactly_so_much);
	run(follows_the_clock_until_stepped);
	run(follows_the_clock_again_from_where_it_stands);
	run(each_system_has_its_own);
	run(a_write_on_one_vcpu_moves_all);
	run(other_vms_are_not_moved);
	run(a_new_vcpu_starts_virtual_time_again);
	run(every_order_of_restoring_gives_one_offset);
	run(a_forks_child_can_step_it_whatever_others_do);
	return check_done();
}
