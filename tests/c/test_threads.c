/* SPDX-License-Identifier: MIT */
/*
 * Everything at once, from several threads: registers, states, attributes, memory slots, statistics, lifetimes, the
 * counter, descriptors. For ThreadSanitizer and AddressSanitizer; without them it checks little. Part of the tests.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#include "kvm.h"

#ifndef ROUNDS
#define ROUNDS 10000
#endif
#define NR_THREADS 4
#define NR_VCPUS 6
#define NR_SHARED_FDS 12

static struct kvmemu_file *shared_system, *shared_vm, *shared_vcpu[NR_VCPUS];
static struct kvmemu_host *host;
static atomic_int shared_fd[NR_SHARED_FDS];

/* What a thread has of its own. */
struct worker {
	pthread_t thread;
	uint64_t random;
};

static uint64_t choose(struct worker *w, uint64_t n)
{
	return (next_random(&w->random) >> 16) % n;
}

static struct kvmemu_file *any_vcpu(struct worker *w)
{
	return shared_vcpu[choose(w, NR_VCPUS)];
}

static void registers(struct worker *w)
{
	static const uint64_t ids[] = {
		REG_PC, REG_X(7), REG_SCTLR_EL1, REG_TPIDR_EL1, KVM_REG_ARM_TIMER_CTL, KVM_REG_ARM_TIMER_CNT,
		KVM_REG_ARM_TIMER_CVAL, KVM_REG_ARM_PSCI_VERSION, KVM_REG_ARM_STD_BMAP, KVM_REG_ARM_VENDOR_HYP_BMAP,
		ARM64_SYS_REG(3, 0, 0, 4, 0),	/* ID_AA64PFR0_EL1: CSV2 and CSV3 are the VM's */
	};
	uint64_t id = ids[choose(w, sizeof(ids) / sizeof(ids[0]))], value = 0, values[3];
	const uint64_t some[] = { REG_PC, id, REG_X(1) };
	struct kvmemu_file *vcpu = any_vcpu(w);
	size_t done;

	must(try_get(vcpu, id, &value));
	try_set(vcpu, id, value);
	must(kvmemu_get_regs(vcpu, some, 3, values, sizeof(values), &done));
	fails(try_get(vcpu, id, NULL), EFAULT);
}

static void list(struct worker *w)
{
	uint64_t ids[1000] = { 999 };

	must(try_call(any_vcpu(w), KVM_GET_REG_LIST, ids));
	ok(ids[0] > 100);
}

static void states(struct worker *w)
{
	static const uint32_t wanted[] = { KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_STOPPED, KVM_MP_STATE_SUSPENDED, 99 };
	struct kvmemu_file *vcpu = any_vcpu(w);
	struct kvm_vcpu_events events = { 0 };

	try_set_mp_state(vcpu, wanted[choose(w, 4)]);
	ok(mp_state(vcpu) <= KVM_MP_STATE_SUSPENDED);
	must(try_irq_line(shared_vm, (uint32_t)choose(w, NR_VCPUS), (uint32_t)choose(w, 2)));
	must(try_call(vcpu, KVM_GET_VCPU_EVENTS, &events));
	events.exception.ext_dabt_pending = choose(w, 2);
	try_call(vcpu, KVM_SET_VCPU_EVENTS, &events);
	if (!choose(w, 8))
		init_vcpu(vcpu, 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_PMU_V3);
}

static void attributes(struct worker *w)
{
	struct kvm_pmu_event_filter filter = { .base_event = (uint16_t)choose(w, 64), .nevents = 3 };
	uint64_t value = 0;
	struct kvm_device_attr attr = {
		.group = (uint32_t)choose(w, 3),
		.attr = choose(w, 4),
		.addr = choose(w, 2) ? (uintptr_t)&value : (uintptr_t)&filter,
	};
	struct kvmemu_file *vcpu = any_vcpu(w);

	try_call(vcpu, KVM_HAS_DEVICE_ATTR, &attr);
	try_call(vcpu, KVM_GET_DEVICE_ATTR, &attr);
	if (attr.group != KVM_ARM_VCPU_PMU_V3_CTRL || attr.attr != KVM_ARM_VCPU_PMU_V3_INIT)
		try_call(vcpu, KVM_SET_DEVICE_ATTR, &attr);
}

static void slots(struct worker *w)
{
	uint64_t bitmap[16];
	struct kvm_userspace_memory_region region = {
		.slot = (uint32_t)choose(w, 8),
		.flags = choose(w, 2) ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = choose(w, 8) << 22,
		.memory_size = choose(w, 3) ? 1024 * 4096 : 0,
	};
	struct kvm_dirty_log log = { .slot = region.slot, .dirty_bitmap = bitmap };
	struct kvm_clear_dirty_log clear = { .slot = region.slot, .num_pages = 64, .dirty_bitmap = bitmap };
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { choose(w, 2) * 3 } };

	memset(bitmap, 0xff, sizeof(bitmap));
	try_call(shared_vm, KVM_SET_USER_MEMORY_REGION, &region);
	try_call(shared_vm, KVM_GET_DIRTY_LOG, &log);
	try_call(shared_vm, KVM_CLEAR_DIRTY_LOG, &clear);
	try_call(shared_vm, KVM_ENABLE_CAP, &cap);
}

static void capabilities(struct worker *w)
{
	static const uint32_t caps[] = {
		KVM_CAP_HALT_POLL, KVM_CAP_ARM_NISV_TO_USER, KVM_CAP_ARM_SYSTEM_SUSPEND, KVM_CAP_ARM_MTE,
	};
	struct kvm_enable_cap cap = { .cap = caps[choose(w, 4)] };

	try_call(shared_vm, KVM_ENABLE_CAP, &cap);
	ok(try_call(shared_vm, KVM_CHECK_EXTENSION, (void *)(uintptr_t)choose(w, 300)) >= 0);
}

static void statistics(struct worker *w)
{
	struct kvmemu_file *stats = create(choose(w, 2) ? shared_vm : any_vcpu(w), KVM_GET_STATS_FD, 0);
	char head[24];

	equal(kvmemu_read(stats, head, sizeof(head), 0), sizeof(head));
	kvmemu_close(stats);
}

static void lifetimes(struct worker *w)
{
	struct kvmemu_file *system = choose(w, 2) ? open_system(NULL) : kvmemu_dup(shared_system);
	struct kvmemu_file *vm = create_vm(system), *vcpu = create_vcpu(vm, 0, 0), *more = NULL;

	kvmemu_close(system);
	set(vcpu, REG_PC, 4);
	kvmemu_close(vm);
	equal(get(vcpu, REG_PC), 4);
	kvmemu_close(vcpu);
	kvmemu_ioctl(shared_vm, KVM_CREATE_VCPU, choose(w, 512), &more);
	kvmemu_close(more);
}

static void counter(struct worker *w)
{
	switch (choose(w, 4)) {
	case 0:
		kvmemu_counter_follow_clock(shared_vm);
		break;
	case 1:
		kvmemu_counter_set(shared_system, choose(w, 1000000));
		break;
	default:
		kvmemu_counter_step(any_vcpu(w), choose(w, 1000));
	}
	kvmemu_counter_read(shared_vm);
}

static void runs(struct worker *w)
{
	struct kvmemu_file *vcpu = any_vcpu(w);
	uint32_t mask[3] = { 8 };

	if (choose(w, 2))
		try_call(vcpu, KVM_SET_SIGNAL_MASK, choose(w, 2) ? mask : NULL);
	equal(run_page(vcpu)->immediate_exit, 1);
	try_call(vcpu, KVM_RUN, NULL);
}

/* Descriptors are closed and given out again while others look them up; a look-up finds a file or EBADF, no more. */
static void descriptors(struct worker *w)
{
	atomic_int *at = &shared_fd[choose(w, NR_SHARED_FDS)];
	int fd = atomic_load(at), made = -1;
	struct kvmemu_file *file;
	struct kvm_mp_state mp;

	switch (choose(w, 6)) {
	case 0:
		made = kvmemu_fd_open(host);
		break;
	case 1:
		made = (int)kvmemu_fd_ioctl(fd, KVM_CREATE_VM, 0);
		break;
	case 2:
		made = (int)kvmemu_fd_ioctl(fd, KVM_CREATE_VCPU, choose(w, 512));
		break;
	case 3:
		kvmemu_fd_ioctl(fd, KVM_GET_MP_STATE, (uintptr_t)&mp);
		kvmemu_fd_ioctl(fd, KVM_GET_API_VERSION, 0);
		break;
	case 4:
		file = kvmemu_fd_file(fd);
		if (file) {
			kvmemu_counter_read(file);
			kvmemu_fd_ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG);
			kvmemu_close(file);
		}
		break;
	default:
		made = (int)kvmemu_fd_ioctl(fd, KVM_GET_STATS_FD, 0);
	}
	if (made >= 0) {
		made = atomic_exchange(at, made);
		if (made >= 0)
			kvmemu_fd_close(made);
	}
}

static void published(struct worker *w)
{
	int fd = kvmemu_fd_publish(any_vcpu(w));

	if (ok(fd >= 0) && !choose(w, 3))
		kvmemu_fd_close(fd);
}

static void hosts(struct worker *w)
{
	struct kvmemu_host *other = NULL;

	must(kvmemu_host_get(kvmemu_host_name(choose(w, kvmemu_host_count())), &other));
	kvmemu_host_put(other);
}

static void (*const actions[])(struct worker *w) = {
	registers, registers, list, states, attributes, slots, capabilities, statistics, lifetimes, counter, runs,
	descriptors, descriptors, published, hosts,
};

static void *work(void *argument)
{
	struct worker *w = argument;

	for (int i = 0; i < ROUNDS; i++)
		actions[choose(w, sizeof(actions) / sizeof(actions[0]))](w);
	return NULL;
}

static void start_workers(struct worker *workers, void *(*body)(void *))
{
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		workers[i].random = 1000 + i;
		must(-pthread_create(&workers[i].thread, NULL, body, &workers[i]));
	}
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_join(workers[i].thread, NULL);
}

static void everything_at_once(void)
{
	struct worker workers[NR_THREADS];

	for (unsigned int i = 0; i < NR_SHARED_FDS; i++)
		atomic_store(&shared_fd[i], -1);
	shared_system = open_system(NULL);
	shared_vm = create_vm(shared_system);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		shared_vcpu[i] = create_vcpu(shared_vm, 512 - NR_VCPUS + i,
					     1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_PMU_V3);
		set_immediate_exit(shared_vcpu[i], 1);
	}
	start_workers(workers, work);
	for (unsigned int i = 0; i < NR_SHARED_FDS; i++)
		kvmemu_fd_close(shared_fd[i]);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		kvmemu_fd_close(kvmemu_fd_publish(shared_vcpu[i]));
		kvmemu_close(shared_vcpu[i]);
	}
	kvmemu_close(shared_vm);
	kvmemu_close(shared_system);
}

/* A vCPU's pages are made at the first look: whoever takes it, all threads see the same ones. */
static _Atomic(void *) pages_of[NR_VCPUS];

static void *look_at_pages(void *argument)
{
	struct worker *w = argument;

	for (int i = 0; i < NR_VCPUS; i++) {
		void *mine = run_page(shared_vcpu[i]), *first = NULL;

		if (!atomic_compare_exchange_strong(&pages_of[i], &first, mine))
			ok(mine == first);
		if (choose(w, 2))
			fails(try_call(shared_vcpu[i], KVM_RUN, (void *)1), EINVAL);
	}
	return NULL;
}

static void pages_are_made_once(void)
{
	struct worker workers[NR_THREADS];

	shared_system = open_system(NULL);
	for (int round = 0; round < ROUNDS / 100; round++) {
		shared_vm = create_vm(shared_system);
		for (unsigned int i = 0; i < NR_VCPUS; i++) {
			shared_vcpu[i] = create_vcpu(shared_vm, i, 0);
			atomic_store(&pages_of[i], NULL);
		}
		start_workers(workers, look_at_pages);
		for (unsigned int i = 0; i < NR_VCPUS; i++)
			kvmemu_close(shared_vcpu[i]);
		kvmemu_close(shared_vm);
	}
	kvmemu_close(shared_system);
}

/* vCPUs that are made and then refused a descriptor are taken back, while others drive every vCPU there might be. */
static atomic_int contested_vm;

static void *create_and_drive(void *argument)
{
	struct worker *w = argument;
	int vm = atomic_load(&contested_vm);
	struct kvmemu_file *file = kvmemu_fd_file(vm), *made = NULL;

	for (int i = 0; i < ROUNDS / 4; i++) {
		fails(kvmemu_fd_ioctl(vm, KVM_CREATE_VCPU, choose(w, 500)), EMFILE);
		for (uint32_t n = 0; n < 4; n++)
			try_irq_line(file, n, 1);
		if (i % 256 == 0 && !kvmemu_ioctl(file, KVM_CREATE_VCPU, 500 + choose(w, 12), &made))
			kvmemu_close(made);
	}
	kvmemu_close(file);
	return NULL;
}

static void refused_vcpus_leave_no_trace(void)
{
	struct worker workers[NR_THREADS];
	struct rlimit limit, none;
	int kvm = kvmemu_fd_open(host);

	atomic_store(&contested_vm, (int)must(kvmemu_fd_ioctl(kvm, KVM_CREATE_VM, 0)));
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = (rlim_t)atomic_load(&contested_vm) + 1;
	setrlimit(RLIMIT_NOFILE, &none);
	start_workers(workers, create_and_drive);
	setrlimit(RLIMIT_NOFILE, &limit);
	for (unsigned long id = 0; id < 500; id++)	/* none of these ids is taken */
		kvmemu_fd_close((int)must(kvmemu_fd_ioctl(atomic_load(&contested_vm), KVM_CREATE_VCPU, id)));
	kvmemu_fd_close(atomic_load(&contested_vm));
	kvmemu_fd_close(kvm);
}

int main(void)
{
	int before;

	must(kvmemu_host_get(NULL, &host));
	kvmemu_fd_close(kvmemu_fd_open(host));	/* what the library opens once for itself */
	before = count_open_descriptors();
	run(everything_at_once);
	equal(count_open_descriptors(), before);
	run(pages_are_made_once);
	equal(count_open_descriptors(), before);
	run(refused_vcpus_leave_no_trace);
	equal(count_open_descriptors(), before);
	kvmemu_host_put(host);
	return check_done();
}
