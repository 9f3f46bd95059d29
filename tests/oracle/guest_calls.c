/* SPDX-License-Identifier: MIT */
/*
 * Asks Linux what a guest's HVC and SMC calls give: runs a script of VMs, calls and looks, and prints it with answers.
 * Part of the tests; a program for the oracle, run by record_calls.py, which passes the script as its argument. What the
 * lines mean is in tests/unit/hypercalls/README.md; tests/unit/test_hypercalls.py does them again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAX_VCPUS 8
#define MAX_REGS 1024
#define RAM 0x10000		/* IPA */
#define RAM_BYTES 0x4000
#define CODE_HVC 0x100
#define CODE_SMC 0x110
#define CODE_HVC_IMM 0x120
#define CODE_HVC_A32 0x130
#define CODE_SMC_A32 0x140
#define CODE_LOOP 0x200		/* 0x10200: where the scripts' CPU_ON enters */
#define CODE_LOOP_A32 0x300
#define CODE_LOOP_T32 0x400
#define DONE 0x9000		/* the store that says that the guest went on */
#define ALARM_US 20000
#define RND_CALLS 200
#define NS 1000000000ull

#define CORE(number) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 2 * (number))
#define CORE_PC CORE(32)
#define CORE_PSTATE CORE(33)
#define TIMER_CNT 0x603000000013df1aull
#define DBGVCR32_EL2 0x603000000013a038ull	/* QEMU does not have it, and answers what was on the bus before */
#define PSTATE_MODE32 0x10

struct vcpu {
	int fd;
	struct kvm_run *run;
	uint64_t id[MAX_REGS], marked[MAX_REGS];
	unsigned int nr_regs;
};

static int kvm, vm;
static struct vcpu vcpu[MAX_VCPUS];
static unsigned int nr_vcpus;
static uint8_t *ram;

static void die(const char *what)
{
	printf("\n%s: %s\n", what, strerror(errno));
	exit(1);
}

static long result(long r)
{
	return r < 0 ? -errno : r;
}

static long set_reg(struct vcpu *v, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	return result(ioctl(v->fd, KVM_SET_ONE_REG, &reg));
}

/* Registers wider than 64 bits: their lowest 64. */
static uint64_t get_reg(struct vcpu *v, uint64_t id)
{
	uint64_t value[32] = { 0 };
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return ioctl(v->fd, KVM_GET_ONE_REG, &reg) ? (uint64_t)-errno : value[0];
}

/* ---- VMs ---- */

static void write_code(void)
{
	static const struct { unsigned int at; uint32_t word[2]; } code[] = {
		{ CODE_HVC, { 0xd4000002, 0xb9000085 } },	/* HVC #0; STR W5, [X4] */
		{ CODE_SMC, { 0xd4000003, 0xb9000085 } },
		{ CODE_HVC_IMM, { 0xd4024682, 0xb9000085 } },	/* HVC #0x1234 */
		{ CODE_HVC_A32, { 0xe1400070, 0xe5845000 } },	/* HVC #0; STR R5, [R4] */
		{ CODE_SMC_A32, { 0xe1600070, 0xe5845000 } },
		{ CODE_LOOP, { 0x14000000, 0 } },
		{ CODE_LOOP_A32, { 0xeafffffe, 0 } },
		{ CODE_LOOP_T32, { 0xe7fee7fe, 0 } },
	};

	memset(ram, 0, RAM_BYTES);
	for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++)
		memcpy(ram + code[i].at, code[i].word, sizeof(code[i].word));
}

static void new_vm(unsigned int n)
{
	struct kvm_userspace_memory_region memory = {
		.guest_phys_addr = RAM, .memory_size = RAM_BYTES, .flags = KVM_MEM_LOG_DIRTY_PAGES,
	};

	while (nr_vcpus) {
		munmap(vcpu[--nr_vcpus].run, 0x1000);
		close(vcpu[nr_vcpus].fd);
	}
	if (vm)
		close(vm);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	write_code();
	memory.userspace_addr = (uintptr_t)ram;
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory))
		die("VM");
	for (; nr_vcpus < n && nr_vcpus < MAX_VCPUS; nr_vcpus++) {
		vcpu[nr_vcpus].fd = ioctl(vm, KVM_CREATE_VCPU, nr_vcpus);
		vcpu[nr_vcpus].run = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu[nr_vcpus].fd, 0);
		if (vcpu[nr_vcpus].run == MAP_FAILED)
			die("vCPU");
	}
}

static long init(struct vcpu *v, uint32_t features)
{
	struct kvm_vcpu_init init = { 0 };

	if (ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init))
		die("KVM_ARM_PREFERRED_TARGET");
	init.features[0] = features;
	return result(ioctl(v->fd, KVM_ARM_VCPU_INIT, &init));
}

static unsigned int mp_state(struct vcpu *v)
{
	struct kvm_mp_state state = { 0 };

	return ioctl(v->fd, KVM_GET_MP_STATE, &state) ? 99 : state.mp_state;
}

static long set_mp_state(struct vcpu *v, unsigned int mp_state)
{
	struct kvm_mp_state state = { .mp_state = mp_state };

	return result(ioctl(v->fd, KVM_SET_MP_STATE, &state));
}

static long set_events(struct vcpu *v, int serror, int abort)
{
	struct kvm_vcpu_events events = { 0 };

	events.exception.serror_pending = serror;
	events.exception.ext_dabt_pending = abort;
	return result(ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events));
}

static long serror_pending(struct vcpu *v)
{
	struct kvm_vcpu_events events = { 0 };
	int r = ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events);

	return r ? -errno : events.exception.serror_pending;
}

static long set_stolen_time(struct vcpu *v, uint64_t ipa)
{
	struct kvm_device_attr attr = { .group = KVM_ARM_VCPU_PVTIME_CTRL, .attr = KVM_ARM_VCPU_PVTIME_IPA };

	attr.addr = (uintptr_t)&ipa;
	return result(ioctl(v->fd, KVM_SET_DEVICE_ATTR, &attr));
}

/* What the vCPU's statistics say under a name; -1: nothing. */
static long statistic(struct vcpu *v, const char *name)
{
	int fd = ioctl(v->fd, KVM_GET_STATS_FD, NULL);
	struct kvm_stats_header head;
	char desc[sizeof(struct kvm_stats_desc) + 256];
	uint64_t value = -1;

	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head))
		die("KVM_GET_STATS_FD");
	for (unsigned int i = 0; i < head.num_desc; i++) {
		size_t bytes = sizeof(struct kvm_stats_desc) + head.name_size;
		struct kvm_stats_desc *d = (void *)desc;

		if (pread(fd, desc, bytes, head.desc_offset + i * bytes) == (ssize_t)bytes && !strcmp(d->name, name) &&
		    pread(fd, &value, sizeof(value), head.data_offset + d->offset) != sizeof(value))
			die(name);
	}
	close(fd);
	return value;
}

/* ---- running ---- */

static void on_alarm(int signum)
{
	(void)signum;
}

/* The alarm comes again, lest the one that is to end a KVM_RUN is early. */
static void alarm_each(unsigned int us)
{
	const struct itimerval every = { .it_interval.tv_usec = us, .it_value.tv_usec = us };

	setitimer(ITIMER_REAL, &every, NULL);
}

static long enter(struct vcpu *v)
{
	return result(ioctl(v->fd, KVM_RUN, 0));
}

/* Ends an MMIO exit, and has the PC moved on. */
static long enter_no_guest(struct vcpu *v)
{
	long r;

	v->run->immediate_exit = 1;
	r = enter(v);
	v->run->immediate_exit = 0;
	return r;
}

enum outcome { WENT_ON, EVENT, WAITS };

static uint64_t code_of(struct vcpu *v, const char *conduit)
{
	bool is_32bit = get_reg(v, CORE_PSTATE) & PSTATE_MODE32;

	if (!strcmp(conduit, "smc"))
		return RAM + (is_32bit ? CODE_SMC_A32 : CODE_SMC);
	if (!strcmp(conduit, "hvc1234"))
		return RAM + CODE_HVC_IMM;
	return RAM + (is_32bit ? CODE_HVC_A32 : CODE_HVC);
}

/* Calls that may wait for ever: the alarm ends those, and only those, so that it cannot end others early. */
static bool may_wait(uint32_t id)
{
	return (id & ~0x40000000u) == 0x84000001 || id == 0x84000002 || id == 0x95c1ba5f;
}

static enum outcome call(struct vcpu *v, const char *conduit, const uint64_t x[4])
{
	uint64_t at = code_of(v, conduit);
	enum outcome outcome = WENT_ON;
	long r;

	for (unsigned int i = 0; i < 4; i++)
		set_reg(v, CORE(i), x[i]);
	set_reg(v, CORE(4), DONE);
	set_reg(v, CORE_PC, at);
	do {
		alarm_each(may_wait(x[0]) ? ALARM_US : 0);
		r = enter(v);
		alarm_each(0);
		/* The alarm may have come before the call, or behind one that did not wait. */
	} while (r == -EINTR && (get_reg(v, CORE_PC) == at || get_reg(v, CORE(0)) == (uint64_t)-1));
	if (r == -EINTR) {
		outcome = WAITS;
	} else if (!r && v->run->exit_reason == KVM_EXIT_SYSTEM_EVENT) {
		outcome = EVENT;
	} else if (r || v->run->exit_reason != KVM_EXIT_MMIO || v->run->mmio.phys_addr != DONE) {
		printf("KVM_RUN: %ld, exit %u, PC %llx\n", r, v->run->exit_reason,
		       (unsigned long long)get_reg(v, CORE_PC));
		exit(1);
	}
	if (outcome == WENT_ON)
		enter_no_guest(v);
	return outcome;
}

static void format_outcome(struct vcpu *v, enum outcome outcome, char *to, size_t room)
{
	int used = 0;

	if (outcome == EVENT)
		used = snprintf(to, room, "event %x ndata %x flags %llx:", v->run->system_event.type,
				v->run->system_event.ndata, v->run->system_event.data[0]);
	else
		used = snprintf(to, room, outcome == WAITS ? "waits:" : "on:");
	for (unsigned int i = 0; i < 4; i++)
		used += snprintf(to + used, room - used, " %llx", (unsigned long long)get_reg(v, CORE(i)));
}

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

static void run(struct vcpu *v)
{
	long r;

	alarm_each(ALARM_US);
	r = enter(v);
	alarm_each(0);
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
	long r = result(ioctl(vm, KVM_GET_DIRTY_LOG, &log));

	printf(" -> %ld %llx\n", r, (unsigned long long)bitmap);
}

static void read_ram(uint64_t ipa, uint64_t bytes)
{
	printf(" ->");
	for (uint64_t i = 0; i < bytes; i++)
		printf(" %02x", ram[ipa - RAM + i]);
	printf("\n");
}

static long enable_cap(uint32_t cap)
{
	struct kvm_enable_cap enable = { .cap = cap };

	return result(ioctl(vm, KVM_ENABLE_CAP, &enable));
}

static long irq_line(unsigned int v, uint32_t level)
{
	struct kvm_irq_level irq = { .irq = v << KVM_ARM_IRQ_VCPU_SHIFT, .level = level };

	return result(ioctl(vm, KVM_IRQ_LINE, &irq));
}

static void plain(long r)
{
	printf(" -> %ld\n", r);
}

static void looks(const char *word, const char *name, struct vcpu *v, const uint64_t *n)
{
	if (!strcmp(word, "get"))
		printf(" -> %llx\n", (unsigned long long)get_reg(v, n[0]));
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
		run(v);
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
	const struct sigaction action = { .sa_handler = on_alarm };
	char *at = NULL;

	if (argc != 2)
		return 2;
	sigaction(SIGALRM, &action, NULL);
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
