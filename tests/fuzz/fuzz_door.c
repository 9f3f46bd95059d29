/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any ioctl, on any file, with any argument, between any other calls. Nothing may crash, hang or leak, and
 * results are what the interface says they can be. Part of the tests.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <kvmemu/uapi.h>

#include "gic.h"
#include "session.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define MAX_HOSTS 16

uint64_t fuzz_calls, fuzz_results[FUZZ_NR_ERRORS];

static struct kvmemu_host *hosts[MAX_HOSTS];
static unsigned int nr_hosts;
static timer_t wake_timer;

void expect(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

long counted(long result)
{
	expect(result > -4096, "a result is >= 0 or an errno");
	fuzz_calls++;
	if (result > -FUZZ_NR_ERRORS)
		fuzz_results[result < 0 ? -result : 0]++;
	return result;
}

/*
 * Files.
 */

void close_file(struct session *s, unsigned int at)
{
	kvmemu_close(s->files[at].file);
	s->files[at].file = NULL;
}

void keep_file(struct session *s, struct kvmemu_file *file, enum kind kind)
{
	unsigned int at = choose(&s->in, NR_FILES);

	for (unsigned int i = 0; i < NR_FILES && s->files[at].file; i++)
		at = (at + 1) % NR_FILES;
	close_file(s, at);
	s->files[at].file = file;
	s->files[at].kind = kind;
}

struct kvmemu_file *any_file(struct session *s, enum kind *kind)
{
	unsigned int at = choose(&s->in, NR_FILES);

	for (unsigned int i = 0; i < NR_FILES; i++, at = (at + 1) % NR_FILES)
		if (s->files[at].file) {
			*kind = s->files[at].kind;
			return s->files[at].file;
		}
	return NULL;
}

struct kvmemu_file *file_of_kind(struct session *s, enum kind kind)
{
	unsigned int at = choose(&s->in, NR_FILES);

	for (unsigned int i = 0; i < NR_FILES; i++, at = (at + 1) % NR_FILES)
		if (s->files[at].file && s->files[at].kind == kind)
			return s->files[at].file;
	return NULL;
}

/*
 * ioctls.
 */

/* Any bytes, but where they could be an address it is nobody's. */
static void fill_at_random(struct input *in, void *argument, size_t bytes)
{
	uint64_t *words = argument;

	take_bytes(in, argument, bytes < 64 ? bytes : 64);
	for (size_t i = 0; i < bytes / 8; i++)
		if (words[i] >> 20)
			words[i] |= NOWHERE;
}

/* Flips bits of a byte, but not of a pointer (see NOWHERE) or a descriptor, which might be anybody's. */
static void disturb(struct input *in, char *argument, const struct request *request)
{
	size_t at = choose(in, (unsigned int)request->bytes);

	if (request->descriptors)
		return;
	if (!request->pointer || at < request->pointer || at >= request->pointer + 8)
		argument[at] ^= (char)take(in, 1);
}

uint64_t make_argument(struct session *s, const struct request *request)
{
	_Alignas(16) char argument[ARGUMENT_MAX] = { 0 };
	uint64_t address;

	if (!request->bytes)
		return request->number_argument ? request->number_argument(&s->in) :
						  (choose(&s->in, 4) ? 0 : take_number(&s->in));
	if (request->fill)
		request->fill(&s->in, argument);
	else if (once_in(&s->in, 2))
		fill_at_random(&s->in, argument, request->bytes);
	if (once_in(&s->in, 8))
		disturb(&s->in, argument, request);
	address = take_address(&s->in, request->bytes);
	store(address, argument, request->bytes);
	return address;
}

enum kind created_by(unsigned long number)
{
	for (size_t i = 0; i < nr_requests; i++)
		if (requests[i].number == (uint32_t)number && requests[i].creates)
			return requests[i].creates;
	return NO_FILE;
}

static void call(struct session *s, struct kvmemu_file *file, const struct request *request)
{
	struct kvmemu_file *const nothing = (struct kvmemu_file *)s, *created = nothing;
	uint64_t argument = make_argument(s, request);
	bool place = choose(&s->in, 16) > 0;
	long ret = counted(kvmemu_ioctl(file, request->number, argument, place ? &created : NULL));

	if (created == nothing)
		return;
	expect(!ret && created_by(request->number), "a file is created by requests that create one, with result 0");
	keep_file(s, created, created_by(request->number));
}

static void call_fitting(struct session *s)
{
	unsigned int fitting = 0, which;
	enum kind kind = NO_FILE;
	struct kvmemu_file *file = any_file(s, &kind);

	for (size_t i = 0; i < nr_requests; i++)
		fitting += requests[i].kinds & ON(kind) ? 1 : 0;
	if (!fitting)
		return;
	which = choose(&s->in, fitting);
	for (size_t i = 0; i < nr_requests; i++)
		if (requests[i].kinds & ON(kind) && !which--) {
			call(s, file, &requests[i]);
			return;
		}
}

static void call_any(struct session *s)
{
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (file)
		call(s, file, &requests[choose(&s->in, (unsigned int)nr_requests)]);
}

static void call_any_number(struct session *s)
{
	struct request request = { .number = take(&s->in, 4), .bytes = 64 };
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (once_in(&s->in, 2))
		request.number = KVMIO << 8 | (request.number & 0xc0ff00ff) | (uint64_t)choose(&s->in, 128) << 16;
	if (file && request.number != KVM_RUN)
		call(s, file, &request);
}

/*
 * KVM_RUN. Without immediate_exit only a signal is sure to end it, and only if it is let in.
 */

static void on_wake(int signum)
{
	(void)signum;
}

void run_vcpu(struct session *s, struct kvmemu_file *vcpu)
{
	const struct itimerspec soon = { .it_value.tv_nsec = 20000, .it_interval.tv_nsec = 200000 }, never = { 0 };
	bool wait = once_in(&s->in, 64);
	struct kvm_run *page;
	size_t bytes;
	void *pages;

	expect(!kvmemu_run(vcpu, &pages, &bytes), "a vCPU has run pages");
	page = pages;
	page->immediate_exit = !wait;
	if (wait) {
		kvmemu_ioctl(vcpu, KVM_SET_SIGNAL_MASK, 0, NULL);
		timer_settime(wake_timer, 0, &soon, NULL);
	}
	counted(kvmemu_ioctl(vcpu, KVM_RUN, 0, NULL));
	if (wait)
		timer_settime(wake_timer, 0, &never, NULL);
}

static void run_any(struct session *s)
{
	struct kvmemu_file *vcpu = file_of_kind(s, VCPU);

	if (vcpu)
		run_vcpu(s, vcpu);
}

/* The caller shares these pages and may write anything to them at any time. */
static void scribble_on_run_pages(struct session *s)
{
	struct kvmemu_file *vcpu = file_of_kind(s, VCPU);
	size_t bytes;
	void *pages;

	if (vcpu && !kvmemu_run(vcpu, &pages, &bytes))
		take_bytes(&s->in, (char *)pages + choose(&s->in, 65536) % (bytes - 16), 16);
}

/*
 * What is not an ioctl.
 */

static void counter(struct session *s)
{
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (!file)
		return;
	fuzz_calls++;
	switch (choose(&s->in, 4)) {
	case 0:
		kvmemu_counter_set(file, take_number(&s->in));
		break;
	case 1:
		kvmemu_counter_follow_clock(file);
		break;
	default:
		kvmemu_counter_step(file, take_number(&s->in));
	}
	kvmemu_counter_read(file);
}

static void read_statistics(struct session *s)
{
	struct kvmemu_file *file = file_of_kind(s, STATS);
	size_t bytes = take(&s->in, 2);
	uint64_t address = take_address(&s->in, bytes);
	uint64_t offset = once_in(&s->in, 4) ? take_number(&s->in) : choose(&s->in, 2000);
	long got = file ? counted(kvmemu_read(file, (void *)address, bytes, offset)) : 0;

	expect(got <= (long)bytes, "no more is read than asked");
}

static void signal_any(struct session *s)
{
	signal_eventfd(&s->in);
}

static void close_any(struct session *s)
{
	close_file(s, choose(&s->in, NR_FILES));
}

static void duplicate(struct session *s)
{
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (file)
		keep_file(s, kvmemu_dup(file), kind);
}

/* A host that no machine is: sizes, capabilities and registers at random. */
static struct kvmemu_host *odd_host(struct session *s)
{
	static const char *const registers[] = {
		"PMCR_EL0", "CLIDR_EL1", "ID_AA64PFR0_EL1", "ID_AA64DFR0_EL1", "ID_DFR0_EL1",
	};
	const unsigned long long csv = 0xeeull << 56;	/* ID_AA64PFR0_EL1.CSV2 and .CSV3 are 0 or 1 */
	struct kvmemu_host *host = NULL;
	char text[4096], why[200];
	unsigned int numbers[7];
	int at;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		numbers[i] = (unsigned int)take(&s->in, 4);
	at = snprintf(text, sizeof(text),
		      "kvmemu-host 1\nname odd\nkernel 6.1\n"
		      "gic.version %u\ngic.v2_compat %s\ngic.list_registers %u\ngic.priority_bits %u\n"
		      "counter.hz %u\ncpu.target 5\ncpu.page_bytes %u\ncpu.sve_vqs %u\ncpu.aarch32_el0 %s\n",
		      2 + numbers[0] % 2, numbers[0] % 4 == 3 ? "true" : "false", 1 + numbers[1] % 16,
		      5 + numbers[2] % 3, 1 + numbers[3] / 8,
		      4096 + numbers[4] % 61441, numbers[5] & 0xffff, numbers[6] % 2 ? "true" : "false");
	for (unsigned int i = choose(&s->in, 24); i > 0; i--) {
		unsigned int cap = choose(&s->in, 230);
		int answer = once_in(&s->in, 4) ? (int)(take(&s->in, 4) & INT32_MAX) : (int)choose(&s->in, 80) - 16;

		at += snprintf(text + at, sizeof(text) - (size_t)at, "capability.%u %d\n", cap, answer);
	}
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "register.%s 0x%llx\n", registers[i],
			       (unsigned long long)take_number(&s->in) & ~csv);
	expect(!kvmemu_host_parse(text, (size_t)at, &host, why, sizeof(why)), "an odd host is a host");
	return host;
}

static void open_system(struct session *s)
{
	struct kvmemu_host *odd = once_in(&s->in, 32) ? odd_host(s) : NULL;
	struct kvmemu_file *system = NULL;

	if (!counted(kvmemu_open(odd ? odd : hosts[choose(&s->in, nr_hosts)], &system)))
		keep_file(s, system, SYSTEM);
	kvmemu_host_put(odd);
}

/* How often each is done, of 64 times, so that a byte chooses. */
static const struct {
	void (*act)(struct session *s);
	unsigned int weight;
} actions[] = {
	{ call_fitting, 26 },
	{ call_any, 4 },
	{ call_any_number, 2 },
	{ register_batch, 4 },
	{ one_register, 7 },
	{ read_all_and_write_back, 1 },
	{ register_names, 1 },
	{ run_any, 3 },
	{ scribble_on_run_pages, 2 },
	{ guest_action, 1 },
	{ gic_batch, 2 },
	{ gic_inspect, 1 },
	{ counter, 2 },
	{ read_statistics, 1 },
	{ signal_any, 1 },
	{ open_system, 1 },
	{ close_any, 2 },
	{ duplicate, 1 },
	{ descriptor_action, 2 },
};

static void act(struct session *s)
{
	unsigned int which = choose(&s->in, 64), at = 0;

	while (which >= actions[at].weight)
		which -= actions[at++].weight;
	actions[at].act(s);
}

/* A system, a VM, two vCPUs and mostly a GIC, as every session would make them sooner or later. */
static void begin(struct session *s)
{
	static const uint32_t features[] = {
		0, 1u << KVM_ARM_VCPU_PSCI_0_2, 1u << KVM_ARM_VCPU_PMU_V3 | 1u << KVM_ARM_VCPU_PSCI_0_2,
		1u << KVM_ARM_VCPU_SVE, 1u << KVM_ARM_VCPU_EL1_32BIT, 1u << KVM_ARM_VCPU_POWER_OFF,
		1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC,
	};
	struct kvmemu_file *system, *vm = NULL, *vcpu = NULL;
	struct kvm_vcpu_init init = { .target = KVM_ARM_TARGET_GENERIC_V8 };

	open_system(s);
	system = file_of_kind(s, SYSTEM);
	if (!system || counted(kvmemu_ioctl(system, KVM_CREATE_VM, 0, &vm)))
		return;
	keep_file(s, vm, VM);
	kvmemu_ioctl(vm, KVM_ARM_PREFERRED_TARGET, (uintptr_t)&init, NULL);
	for (unsigned long id = 0; id < 2; id++) {
		init.features[0] = features[choose(&s->in, sizeof(features) / sizeof(features[0]))];
		if (counted(kvmemu_ioctl(vm, KVM_CREATE_VCPU, id, &vcpu)))
			continue;
		keep_file(s, vcpu, VCPU);
		counted(kvmemu_ioctl(vcpu, KVM_ARM_VCPU_INIT, (uintptr_t)&init, NULL));
	}
	if (choose(&s->in, 4))
		make_gic(s, vm);
}

/* All descriptors that are open, where it is a session's turn to be counted; else, for speed, the lowest free one. */
static int count_descriptors(bool all)
{
	DIR *dir = all ? opendir("/proc/self/fd") : NULL;
	int n = 0;

	if (!dir) {
		n = dup(STDERR_FILENO);
		close(n);
		return n;
	}
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct session s = { .in = { data, data + bytes } };
	static unsigned int sessions;
	bool all = sessions++ % 256 == 255;
	int before = count_descriptors(all);

	for (unsigned int i = 0; i < NR_FDS; i++)
		s.fds[i].fd = -1;
	begin(&s);
	while (input_is_left(&s.in))
		act(&s);
	close_descriptors(&s);
	for (unsigned int i = 0; i < NR_FILES; i++)
		close_file(&s, i);
	/* With everything closed, so are the descriptors that the library had opened for itself. */
	expect(count_descriptors(all) == before, "no descriptor is left open");
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN, .sigev_notify_thread_id = gettid(),
	};
	const struct sigaction wake = { .sa_handler = on_wake };

	(void)argc;
	(void)argv;
	for (; nr_hosts < MAX_HOSTS && kvmemu_host_name(nr_hosts); nr_hosts++)
		expect(!kvmemu_host_get(kvmemu_host_name(nr_hosts), &hosts[nr_hosts]), "a built-in host can be read");
	kvmemu_fd_close(kvmemu_fd_open(hosts[0]));	/* what the library opens once and keeps */
	expect(memory_setup() && requests_setup(), "there is memory, and registers have ids");
	expect(!sigaction(SIGRTMIN, &wake, NULL) && !timer_create(CLOCK_MONOTONIC, &event, &wake_timer),
	       "there are timers");
	return 0;
}
