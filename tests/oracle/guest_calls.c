/* SPDX-License-Identifier: MIT */
/*
 * Asks Linux what a guest's HVC and SMC calls give: runs a script of VMs, calls and looks, and prints it with answers.
 * Part of the tests; a program for the oracle, run by record_calls.py, which passes the script as its argument. What the
 * lines mean is in tests/unit/hypercalls/README.md; tests/unit/test_hypercalls.py does them again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "guest_calls.h"

#define RND_CALLS 200
#define NS 1000000000ull

/* Whatever the call did, the vCPUs are as before. */
static void after_call(enum outcome outcome)
{
	for (unsigned int i = 0; i < nr_vcpus && outcome != WENT_ON; i++)
		if (mp_state(&vcpu[i]) == KVM_MP_STATE_STOPPED)
			set_mp_state(&vcpu[i], KVM_MP_STATE_RUNNABLE);
}

/* One of many calls, which is named by its id or its argument; only those that are not simply unknown are printed. */
static void try_call(struct vcpu *v, uint64_t name, const uint64_t x[4])
{
	char text[256];
	enum outcome outcome = call(v, "hvc", x);

	format_outcome(v, outcome, text, sizeof(text));
	after_call(outcome);
	if (strcmp(text, "on: ffffffffffffffff 0 0 0") && strcmp(text, "on: ffffffff 0 0 0"))
		printf("  %llx -> %s\n", (unsigned long long)name, text);
}

/* ---- statements: v is the vCPU the line names, n its numbers ---- */

static void do_call(struct vcpu *v, const char *conduit, const uint64_t *n)
{
	char text[256];

	format_outcome(v, call(v, conduit, n), text, sizeof(text));
	printf(" -> %s\n", text);
}

static void sweep(struct vcpu *v, const uint64_t *n)
{
	printf("\n");
	for (uint64_t id = n[0]; id <= n[1]; id++)
		try_call(v, id, (uint64_t[]){ id, n[2], n[3], n[4] });
}

/* The same id with each argument of a range. */
static void arguments(struct vcpu *v, const uint64_t *n)
{
	printf("\n");
	for (uint64_t argument = n[1]; argument <= n[2]; argument++)
		try_call(v, argument, (uint64_t[]){ n[0], argument, n[3], n[4] });
}

static void flips(struct vcpu *v, const uint64_t *n)
{
	printf("\n");
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t id = n[0] ^ 1ull << bit;

		try_call(v, id, (uint64_t[]){ id, n[1], n[2], n[3] });
	}
}

/* Which bits of the results are ever set. */
static void rnd(struct vcpu *v, const uint64_t *n)
{
	const uint64_t x[4] = { n[0], n[1], 0, 0 };
	uint64_t ever[4] = { 0 };

	for (unsigned int i = 0; i < RND_CALLS; i++) {
		call(v, "hvc", x);
		for (unsigned int j = 0; j < 4; j++)
			ever[j] |= get_reg(v, CORE(j));
	}
	printf(" -> %llx %llx %llx %llx\n", (unsigned long long)ever[0], (unsigned long long)ever[1],
	       (unsigned long long)ever[2], (unsigned long long)ever[3]);
}

static uint64_t wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * NS + now.tv_nsec;
}

static uint64_t counter(void)
{
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
}

/* Whether the clock and a counter are what they were between before and after. */
static void ptp(struct vcpu *v, const uint64_t *n)
{
	const uint64_t x[4] = { 0x86000001, n[0], 0, 0 };
	uint64_t clock[2], virtual[2], physical[2], got[4], ns, ticks;

	clock[0] = wall_clock();
	physical[0] = counter();
	virtual[0] = get_reg(v, TIMER_CNT);
	call(v, "hvc", x);
	clock[1] = wall_clock();
	physical[1] = counter();
	virtual[1] = get_reg(v, TIMER_CNT);
	for (unsigned int i = 0; i < 4; i++)
		got[i] = get_reg(v, CORE(i));
	ns = got[0] << 32 | got[1];
	ticks = got[2] << 32 | got[3];
	if ((int64_t)got[0] < 0) {
		printf(" -> %llx %llx %llx %llx\n", (unsigned long long)got[0], (unsigned long long)got[1],
		       (unsigned long long)got[2], (unsigned long long)got[3]);
		return;
	}
	printf(" -> clock %d virtual %d physical %d\n", clock[0] <= ns && ns <= clock[1],
	       virtual[0] <= ticks && ticks <= virtual[1], physical[0] <= ticks && ticks <= physical[1]);
}

/* How a KVM_RUN ended; by the store that says that the guest went on: without a reason. */
static void ended(struct vcpu *v, long r)
{
	if (!r && v->run->exit_reason == KVM_EXIT_MMIO && v->run->mmio.phys_addr == DONE) {
		enter_no_guest(v);
		printf(" -> 0 on\n");
		return;
	}
	printf(" -> %ld exit %u", r, v->run->exit_reason);
	if (v->run->exit_reason == KVM_EXIT_SYSTEM_EVENT)
		printf(" event %x", v->run->system_event.type);
	printf("\n");
}

static void mark(struct vcpu *v)
{
	struct kvm_reg_list *list = calloc(1, sizeof(*list) + MAX_REGS * sizeof(uint64_t));

	list->n = MAX_REGS;
	if (ioctl(v->fd, KVM_GET_REG_LIST, list))
		die("KVM_GET_REG_LIST");
	v->nr_regs = list->n;
	for (unsigned int i = 0; i < v->nr_regs; i++) {
		v->id[i] = list->reg[i];
		v->marked[i] = get_reg(v, v->id[i]);
	}
	free(list);
	printf("\n");
}

/* Registers that are not what they were when marked. */
static void diff(struct vcpu *v)
{
	printf("\n");
	for (unsigned int i = 0; i < v->nr_regs; i++) {
		uint64_t value = get_reg(v, v->id[i]);

		if (v->id[i] != TIMER_CNT && v->id[i] != DBGVCR32_EL2 && value != v->marked[i])
			printf("  %llx %llx -> %llx\n", (unsigned long long)v->id[i], (unsigned long long)v->marked[i],
			       (unsigned long long)value);
	}
}

static void dirty(void)
{
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = { .dirty_bitmap = &bitmap };
	int r = ioctl(vm, KVM_GET_DIRTY_LOG, &log);

	printf(" -> %d %llx\n", r ? -errno : 0, (unsigned long long)bitmap);
}

static void read_ram(uint64_t ipa, uint64_t bytes)
{
	printf(" ->");
	for (uint64_t i = 0; i < bytes; i++)
		printf(" %02x", ram[ipa - RAM + i]);
	printf("\n");
}

static void plain(long r)
{
	printf(" -> %ld\n", r);
}

static void looks(const char *word, const char *name, struct vcpu *v, const uint64_t *n)
{
	if (!strcmp(word, "get"))
		printf(" -> %llx\n", (unsigned long long)get_reg(v, n[0]));
	else if (!strcmp(word, "waits"))
		plain(still_waits(v));
	else if (!strcmp(word, "mp"))
		printf(" -> %x\n", mp_state(v));
	else if (!strcmp(word, "serror"))
		plain(serror_pending(v));
	else if (!strcmp(word, "stat"))
		plain(statistic(v, name));
	else if (!strcmp(word, "mark"))
		mark(v);
	else if (!strcmp(word, "diff"))
		diff(v);
	else if (!strcmp(word, "dirty"))
		dirty();
	else if (!strcmp(word, "read"))
		read_ram(n[0], n[1]);
	else
		die(word);
}

static void statement(const char *word, const char *name, unsigned int number, const uint64_t *n)
{
	struct vcpu *v = &vcpu[number % MAX_VCPUS];

	if (!strcmp(word, "vm"))
		printf("\n"), new_vm(number);
	else if (!strcmp(word, "cap"))
		plain(enable_cap(n[0]));
	else if (!strcmp(word, "init"))
		plain(init(v, n[0]));
	else if (!strcmp(word, "set"))
		plain(set_reg(v, n[0], n[1]));
	else if (!strcmp(word, "set-mp"))
		plain(set_mp_state(v, n[0]));
	else if (!strcmp(word, "events"))
		plain(set_events(v, n[0], n[1]));
	else if (!strcmp(word, "stolen-time"))
		plain(set_stolen_time(v, n[0]));
	else if (!strcmp(word, "line"))
		plain(irq_line(number, n[0]));
	else if (!strcmp(word, "fill"))
		printf("\n"), memset(ram + n[0] - RAM, n[2], n[1]);
	else if (!strcmp(word, "hvc") || !strcmp(word, "smc") || !strcmp(word, "hvc1234"))
		do_call(v, word, n);
	else if (!strcmp(word, "sweep"))
		sweep(v, n);
	else if (!strcmp(word, "arguments"))
		arguments(v, n);
	else if (!strcmp(word, "flips"))
		flips(v, n);
	else if (!strcmp(word, "rnd"))
		rnd(v, n);
	else if (!strcmp(word, "ptp"))
		ptp(v, n);
	else if (!strcmp(word, "run"))
		ended(v, run_idle(v));
	else if (!strcmp(word, "wfi"))
		printf("\n"), start_wfi(v);
	else if (!strcmp(word, "join"))
		ended(v, join(v));
	else if (!strcmp(word, "poke"))
		plain(enter_no_guest(v));
	else
		looks(word, name, v, n);
}

/* word [vCPU [name] numbers...], all hexadecimal */
static void do_line(char *line)
{
	char *at = NULL, *word = strtok_r(line, " ", &at), *next;
	char name[64] = "";
	uint64_t n[8] = { 0 };
	unsigned int count = 0, number = 0;

	if (!word || *word == '#')
		return;
	next = strtok_r(NULL, " ", &at);
	if (next)
		number = strtoul(next, NULL, 16);
	while ((next = strtok_r(NULL, " ", &at)) && count < 8) {
		if (!strcmp(word, "stat"))
			snprintf(name, sizeof(name), "%s", next);
		else
			n[count++] = strtoull(next, NULL, 16);
	}
	statement(word, name, number, n);
}

int main(int argc, char **argv)
{
	char *at = NULL;

	if (argc != 2)
		return 2;
	setup_signals();
	kvm = open("/dev/kvm", O_RDWR);
	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (kvm < 0 || ram == MAP_FAILED)
		die("/dev/kvm");
	for (char *line = strtok_r(argv[1], "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		printf("%s", line);
		if (*line == '#')
			printf("\n");
		do_line(line);
	}
	return 0;
}
