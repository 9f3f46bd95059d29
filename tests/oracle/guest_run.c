/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: has guests do lists of operations, and prints what became of each. Part of
 * the tests.
 *
 * A VM whose guests act gets a memory slot that the script does not see. Before each list the code
 * is laid out there and the vCPU's PC set to its beginning.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "script.h"

#define CORE_X28 (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 2 * 28)
#define CORE_PC (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 2 * 32)

#define ISR_I (1u << 7)
#define ISR_F (1u << 6)
#define EC_UNKNOWN 0u
#define RUN_BYTES 0x1000u

/* A vCPU, shared by all its descriptors; or a VM: only memory is set. */
struct guest {
	struct guest *vm;
	unsigned char *memory; /* of the VM: all of its guests'; of a vCPU: its part */
	uint64_t id;
	struct kvm_run *run;
	const struct guest_list *list; /* the last one, until it has ended */
	struct progress *progress;     /* of each of its operations */
};

/* What the guest itself cannot know of an operation. */
struct progress {
	bool is_mmio; /* it left the guest */
	bool is_printed;
	uint64_t value; /* of the exit */
};

/* A list being done. */
struct turn {
	struct guest *guest;
	int fd;
	long result; /* 0, -errno, or an exit reason + 1 << 32 */
	sem_t *ended;
	pthread_t thread;
	unsigned int number;
};

#define EXIT_REASON (1l << 32)

void guest_created(struct name *vcpu, struct name *vm, uint64_t request, uint64_t arg)
{
	if (request != KVM_CREATE_VCPU && request != KVM_CREATE_VM)
		return;
	vcpu->guest = calloc(1, sizeof(*vcpu->guest));
	if (!vcpu->guest)
		abort();
	vcpu->guest->vm = request == KVM_CREATE_VCPU ? vm->guest : NULL;
	vcpu->guest->id = (uint32_t)arg;
}

static int fail(struct script *script, const struct statement *st, const char *what)
{
	snprintf(script->message, MESSAGE_BYTES_MAX, "%s:%u: %s", script->file, st->first_line,
		 what);
	return -1;
}

/* ---- a guest's memory and code ---- */

static const char *make_memory(struct script *script, struct guest *guest)
{
	struct guest *vm = guest->vm;
	struct kvm_userspace_memory_region slot = {
		.slot = GUEST_SLOT, .guest_phys_addr = GUEST_IPA,
		.memory_size = GUEST_VCPUS_MAX * GUEST_VCPU_BYTES,
	};
	int fd = -1;

	for (size_t i = 0; i < script->name_count; i++)
		if (script->names[i].guest == vm && script->names[i].fd >= 0)
			fd = script->names[i].fd;
	vm->memory = mmap(NULL, slot.memory_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vm->memory == MAP_FAILED)
		return "no memory for a guest";
	slot.userspace_addr = (uintptr_t)vm->memory;
	if (ioctl(fd, KVM_SET_USER_MEMORY_REGION, &slot))
		return "a guest's memory is refused: its VM has to be open and its place free";
	return NULL;
}

static const char *make_guest(struct script *script, struct guest *guest, int fd)
{
	const char *why;

	if (guest->memory)
		return NULL;
	if (guest->id >= GUEST_VCPUS_MAX)
		return "a vCPU whose guest acts has an id below 512";
	why = guest->vm->memory ? NULL : make_memory(script, guest);
	if (why)
		return why;
	guest->run = mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (guest->run == MAP_FAILED)
		return "kvm_run cannot be mapped";
	guest->memory = guest->vm->memory + guest->id * GUEST_VCPU_BYTES;
	return NULL;
}

/*
 * The guest, whose MMU is off, sees the memory itself, not the caches that this process writes and
 * reads through.
 */
static void clean_caches(unsigned char *memory)
{
	uint64_t ctr;

	__asm__ volatile("mrs %0, ctr_el0" : "=r"(ctr));
	for (size_t at = 0, line = 4u << (ctr >> 16 & 0xf); at < GUEST_VCPU_BYTES; at += line)
		__asm__ volatile("dc civac, %0" : : "r"(memory + at) : "memory");
	__asm__ volatile("dsb sy" : : : "memory");
	__builtin___clear_cache((char *)memory, (char *)memory + GUEST_VCPU_BYTES);
}

static const char *begin_list(struct guest *guest, const struct guest_list *list, int fd)
{
	uint64_t ipa = GUEST_IPA + guest->id * GUEST_VCPU_BYTES;
	struct kvm_one_reg pc = { .id = CORE_PC, .addr = (uintptr_t)&ipa };

	guest->list = list;
	free(guest->progress);
	guest->progress = calloc(list->op_count + 1, sizeof(*guest->progress));
	if (!guest->progress)
		abort();
	if (guest_code(guest->memory, ipa, list))
		return "the list's code is too long";
	clean_caches(guest->memory);
	ioctl(fd, KVM_SET_ONE_REG, &pc); /* where this fails KVM_RUN does */
	return NULL;
}

/* ---- running ---- */

/* the operation that a guest is at, or NULL */
static const struct guest_op *current_op(const struct turn *turn, size_t *index)
{
	const struct guest *guest = turn->guest;
	uint64_t x28, first;
	struct kvm_one_reg reg = { .id = CORE_X28, .addr = (uintptr_t)&x28 };

	if (ioctl(turn->fd, KVM_GET_ONE_REG, &reg))
		return NULL;
	first = GUEST_IPA + guest->id * GUEST_VCPU_BYTES +
		((unsigned char *)guest_slots(guest->memory) - guest->memory);
	*index = (x28 - first) / sizeof(struct guest_slot);
	return x28 >= first && *index < guest->list->op_count ? &guest->list->ops[*index] : NULL;
}

/* whether the exit is that of a load or store of the list, which is answered now */
static bool answer_mmio(struct turn *turn)
{
	struct kvm_run *run = turn->guest->run;
	const struct guest_op *op;
	struct progress *progress;
	size_t index;

	op = current_op(turn, &index);
	if (!op || run->mmio.len != op->bytes ||
	    op->kind != (run->mmio.is_write ? GUEST_STORE : GUEST_LOAD))
		return false;
	progress = &turn->guest->progress[index];
	if (progress->is_mmio)
		return false;
	progress->is_mmio = true;
	if (op->kind == GUEST_LOAD)
		memcpy(run->mmio.data, &op->mmio, op->bytes);
	memcpy(&progress->value, run->mmio.data, op->bytes);
	return true;
}

static void run_list(struct turn *turn)
{
	struct kvm_run *run = turn->guest->run;

	do {
		if (ioctl(turn->fd, KVM_RUN, 0)) {
			turn->result = -errno;
			return;
		}
		if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.phys_addr == GUEST_DOORBELL) {
			turn->result = 0;
			return;
		}
	} while (run->exit_reason == KVM_EXIT_MMIO && answer_mmio(turn));
	turn->result = EXIT_REASON + run->exit_reason;
}

/* ---- several at once ---- */

static void on_kick(int number)
{
	(void)number;
}

static void *turn_main(void *arg)
{
	struct turn *turn = arg;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(turn->number % sysconf(_SC_NPROCESSORS_CONF), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	run_list(turn);
	sem_post(turn->ended);
	return NULL;
}

static void start_threads(struct turn *turns, size_t count)
{
	struct sigaction action = { .sa_handler = on_kick };
	sigset_t alarm;

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, NULL);
	for (size_t i = 0; i < count; i++)
		if (pthread_create(&turns[i].thread, NULL, turn_main, &turns[i]))
			abort();
	sigprocmask(SIG_UNBLOCK, &alarm, NULL);
}

/* An alarm interrupts the waiting, and is passed on to all: it comes again until they have ended. */
static void run_together(struct turn *turns, size_t count)
{
	sem_t ended;

	sem_init(&ended, 0, 0);
	for (size_t i = 0; i < count; i++) {
		turns[i].number = i;
		turns[i].ended = &ended;
	}
	start_threads(turns, count);
	for (size_t left = count; left;) {
		if (!sem_wait(&ended)) {
			left--;
			continue;
		}
		for (size_t i = 0; i < count; i++)
			pthread_kill(turns[i].thread, SIGUSR1);
	}
	for (size_t i = 0; i < count; i++)
		pthread_join(turns[i].thread, NULL);
	sem_destroy(&ended);
}

/* ---- answers ---- */

static void print_lines(struct output *out, uint64_t isr)
{
	static const char *const words[] = { "none", "F", "I", "IF" };

	out_tokenf(out, "%s", words[(isr & ISR_I ? 2 : 0) | (isr & ISR_F ? 1 : 0)]);
}

static void print_values(struct output *out, const uint64_t *value)
{
	out_token(out, "[", 1);
	out->depth++;
	for (unsigned int i = 0; i < GUEST_ARGS_MAX; i++)
		out_tokenf(out, "0x%llx", (unsigned long long)value[i]);
	out_token(out, "]", 1);
	out->depth--;
}

static void print_result(struct output *out, const struct guest_op *op,
			 const struct guest_slot *slot, const struct progress *progress)
{
	uint64_t class = (slot->state & ~GUEST_EXCEPTION) >> 26;

	if (slot->state & GUEST_EXCEPTION)
		out_tokenf(out, class == EC_UNKNOWN ? "undefined" : "abort");
	else if (progress->is_mmio)
		out_tokenf(out, "mmio:0x%llx", (unsigned long long)progress->value);
	else if (op->is_volatile)
		out_token(out, "?", 1);
	else if (op->kind == GUEST_LINES)
		print_lines(out, slot->value[0]);
	else if (op->kind == GUEST_HVC || op->kind == GUEST_SMC)
		print_values(out, slot->value);
	else if (op->kind == GUEST_READ || op->kind == GUEST_LOAD || op->kind == GUEST_CONTEXT)
		out_tokenf(out, "0x%llx", (unsigned long long)slot->value[0]);
	else
		out_token(out, ".", 1);
}

/* what has ended since the last time */
static void print_list(struct output *out, struct guest *guest)
{
	out_token(out, "[", 1);
	out->depth++;
	for (size_t i = 0; i < guest->list->op_count; i++) {
		struct guest_slot slot = guest_slots(guest->memory)[i];

		if (!slot.state || guest->progress[i].is_printed)
			continue;
		print_result(out, &guest->list->ops[i], &slot, &guest->progress[i]);
		guest->progress[i].is_printed = true;
	}
	out_token(out, "]", 1);
	out->depth--;
}

static void print_end(struct output *out, long result)
{
	const char *name = NULL;

	if (result < 0)
		name = errno_name(-result);
	else if (result >= EXIT_REASON)
		name = exit_name(result - EXIT_REASON);
	if (name)
		out_tokenf(out, "%s%s", result < 0 ? "-" : "", name);
	else
		out_tokenf(out, "%ld", result);
}

int run_guests(struct script *script, const struct statement *st, struct output *out)
{
	struct turn *turns = calloc(st->guest_count, sizeof(*turns));
	const char *why = turns ? NULL : "no memory";

	for (size_t i = 0; i < st->guest_count && !why; i++) {
		const struct guest_list *list = &st->guests[i];
		const struct name *name = &script->names[list->name];

		if (!name->guest || !name->guest->vm || name->fd < 0)
			return fail(script, st, "only a vCPU that was created has a guest");
		turns[i] = (struct turn){ .guest = name->guest, .fd = name->fd };
		why = make_guest(script, name->guest, name->fd);
		if (!why && !list->is_continued)
			why = begin_list(name->guest, list, name->fd);
		if (!why && !name->guest->list)
			why = "this vCPU has no list to go on with";
	}
	if (why)
		return fail(script, st, why);
	if (st->guest_count == 1)
		run_list(turns);
	else
		run_together(turns, st->guest_count);
	out_token(out, "=", 1);
	for (size_t i = 0; i < st->guest_count; i++) {
		print_end(out, turns[i].result);
		clean_caches(turns[i].guest->memory);
		print_list(out, turns[i].guest);
		if (!turns[i].result)
			turns[i].guest->list = NULL;
	}
	free(turns);
	return 0;
}
