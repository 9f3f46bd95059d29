/* SPDX-License-Identifier: MIT */
/* Entry and exit of a guest, and interrupts on their whole way. Guests in C; the first one looks inside vm. */
#include "world_switch.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "../ioctl/file.h"
#include "../machine/sysreg.h"
#include "../machine/virt_cpuif.h"
#include "../vm/vcpu.h"
#include "clock.h"
#include "kvmemu.h"
#include "kvmemu/uapi.h"

#define BATCH 64
#define MAX_NS 200000000	/* for as long the other vCPU may be off its CPU */
#define MIN_SAMPLES 10	/* fewer tell of what else the machine does */
#define QUARTERS 4
#define MAX_VCPUS 2
#define INTID_BITS 0xffff	/* of what KVM_IRQ_LINE takes */
#define SGI 3

#define ICC_PMR SYSREG_ENCODING(3, 0, 4, 6, 0)
#define ICC_SGI1R SYSREG_ENCODING(3, 0, 12, 11, 5)
#define ICC_IAR1 SYSREG_ENCODING(3, 0, 12, 12, 0)
#define ICC_EOIR1 SYSREG_ENCODING(3, 0, 12, 12, 1)
#define ICC_IGRPEN1 SYSREG_ENCODING(3, 0, 12, 12, 7)

/* Runs a vCPU until its guest says so. */
static int run(struct kvmemu_file *vcpu)
{
	long ret;

	do {
		ret = kvmemu_ioctl(vcpu, KVM_RUN, 0, NULL);
	} while (ret == -EINTR);
	return (int)ret;
}

/*
 * Entry and exit.
 */

struct entry_exit {
	uint32_t nr_irqs;
	double *ticks;
	size_t nr;
	int error;
};

static void enter_and_exit(struct kvmemu_cpu *cpu, void *context)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);
	struct entry_exit *work = context;

	for (size_t i = 0; i < work->nr; i++) {
		uint64_t begin = ticks_now();

		for (int k = 0; k < BATCH; k++) {
			cpu_exit(vcpu);
			cpu_enter(vcpu);
		}
		work->ticks[i] = (double)(ticks_now() - begin) / BATCH;
	}
	if (vcpu->vgic.cpu_if.used_lrs != work->nr_irqs)
		work->error = -ENODATA;
	kvmemu_cpu_exit(cpu, KVM_EXIT_UNKNOWN);
}

int kvmemu_bench_entry_exit(struct kvmemu_file *vcpu, uint32_t nr_irqs, double *ticks, size_t nr)
{
	struct entry_exit work = { .nr_irqs = nr_irqs, .ticks = ticks, .nr = nr };
	int err = kvmemu_set_guest(vcpu, enter_and_exit, &work);

	if (err)
		return err;
	err = run(vcpu);
	kvmemu_set_guest(vcpu, NULL, NULL);
	return err ? err : work.error;
}

/*
 * Guests that take interrupts. They are left between any two steps, and go on with the next one, or with the same.
 */

enum step { UNMASK, ENABLE, MEET, SEND, WAIT, TAKE, END };

struct player {
	struct kvmemu_file *vm, *vcpu;
	uint32_t irq;			/* to be sent by KVM_IRQ_LINE; 0: SGIs are sent to the other */
	uint32_t intid;			/* that must come */
	unsigned int index, nr_players;
	bool sends_first;
	enum step step;
	atomic_uint *met;		/* how many are ready */
	atomic_bool *failed;
	struct player *other;		/* whose batches count only while this one is at work, too; or NULL */
	double *ticks;
	unsigned int batch, in_batch;	/* interrupts a sample, and of this one so far */
	size_t nr;
	atomic_size_t samples;
	uint64_t begin, end_ns;
	double fastest;			/* batch, alone or not */
	unsigned int other_before;
	bool done;			/* between two batches: no interrupt is under way */
	int error;
	atomic_uint progress __attribute__((aligned(64)));	/* quarters of batches; the other reads it */
};

static int send(struct kvmemu_cpu *cpu, struct player *p)
{
	if (!p->irq)
		return kvmemu_cpu_write_sysreg(cpu, ICC_SGI1R, (uint64_t)SGI << 24 | 2u >> p->index);
	return (int)kvmemu_irq_line(p->vm, p->irq, 1);
}

static int take(struct kvmemu_cpu *cpu, struct player *p)
{
	uint64_t intid;
	int err = kvmemu_cpu_read_sysreg(cpu, ICC_IAR1, &intid);

	if (err)
		return err;
	/* Woken by one that was taken before it slept. */
	if (intid == INTID_SPURIOUS && !p->irq) {
		p->step = WAIT;
		return 0;
	}
	p->step = END;
	return intid == p->intid ? 0 : -EIO;
}

static int end(struct kvmemu_cpu *cpu, struct player *p)
{
	int err = kvmemu_cpu_write_sysreg(cpu, ICC_EOIR1, p->intid);

	if (!err && p->irq)
		err = (int)kvmemu_irq_line(p->vm, p->irq, 0);
	return err;
}

/*
 * Whether the other one was at work since this was last asked: it did something, and not so much that this one must have
 * been off its CPU meanwhile.
 */
static bool other_was_at_work(struct player *p)
{
	unsigned int before = p->other_before;

	if (!p->other)
		return true;
	p->other_before = atomic_load_explicit(&p->other->progress, memory_order_relaxed);
	return p->other_before != before && p->other_before - before <= 4 * QUARTERS;
}

/* This one has what it wants, and so has the other, which needs somebody to work beside. */
static bool is_done(struct player *p)
{
	bool mine = atomic_load_explicit(&p->samples, memory_order_relaxed) >= p->nr;

	if (!p->other)
		return mine;
	return (mine && atomic_load_explicit(&p->other->samples, memory_order_relaxed) >= p->nr) ||
	       monotonic_ns() >= p->end_ns;
}

/* An interrupt more is through. */
static void count(struct player *p)
{
	size_t samples = atomic_load_explicit(&p->samples, memory_order_relaxed);
	uint64_t now;
	double ticks;

	if (++p->in_batch % (BATCH / QUARTERS) == 0)
		atomic_fetch_add_explicit(&p->progress, 1, memory_order_relaxed);
	if (p->in_batch < p->batch)
		return;
	now = ticks_now();
	ticks = (double)(now - p->begin) / p->batch;
	p->fastest = !p->fastest || ticks < p->fastest ? ticks : p->fastest;
	if (other_was_at_work(p) && samples < p->nr) {
		if (p->ticks)
			p->ticks[samples] = ticks;
		atomic_store_explicit(&p->samples, samples + 1, memory_order_relaxed);
	}
	p->in_batch = 0;
	p->done = is_done(p);
	p->begin = ticks_now();
}

/* Does the next step; not 0: the guest has to be left, or -errno. */
static int play(struct kvmemu_cpu *cpu, struct player *p)
{
	int ret = 0;

	switch (p->step) {
	case UNMASK:
		ret = kvmemu_cpu_write_sysreg(cpu, ICC_PMR, 0xff);
		break;
	case ENABLE:
		ret = kvmemu_cpu_write_sysreg(cpu, ICC_IGRPEN1, 1);
		break;
	case MEET:
		atomic_fetch_add(p->met, 1);
		while (atomic_load(p->met) < p->nr_players && !atomic_load(p->failed))
			sched_yield();
		p->end_ns = monotonic_ns() + MAX_NS;
		p->begin = ticks_now();
		p->step = p->sends_first ? SEND : WAIT;
		return 0;
	case SEND:
		ret = send(cpu, p);
		if (!ret && !p->sends_first)
			count(p);
		break;
	case WAIT:
		ret = p->irq ? 0 : kvmemu_cpu_wfi(cpu);
		break;
	case TAKE:
		return take(cpu, p);
	case END:
		ret = end(cpu, p);
		if (!ret && p->sends_first)
			count(p);
		if (!ret)
			p->step = SEND;
		return ret;
	}
	if (!ret)
		p->step++;
	return ret;
}

static void player_guest(struct kvmemu_cpu *cpu, void *context)
{
	struct player *p = context;
	int ret = 0;

	while (!ret && !p->done && !atomic_load_explicit(p->failed, memory_order_relaxed))
		ret = play(cpu, p);
	if (ret == KVMEMU_LEAVE)
		return;
	p->error = ret;
	/* The other one must not wait for ever. */
	if (ret && !atomic_exchange(p->failed, true))
		send(cpu, p);
	kvmemu_cpu_exit(cpu, KVM_EXIT_UNKNOWN);
}

static void *player_thread(void *context)
{
	struct player *p = context;
	int err = run(p->vcpu);

	if (err)
		p->error = err;
	return NULL;
}

/* The first of them on this thread, the other on one of its own, to which no signals go. */
static int run_players(struct player *players, unsigned int nr)
{
	sigset_t all, mine;
	pthread_t thread;
	int err = 0;

	sigfillset(&all);
	for (unsigned int i = 0; i < nr; i++)
		kvmemu_set_guest(players[i].vcpu, player_guest, &players[i]);
	if (nr > 1) {
		pthread_sigmask(SIG_BLOCK, &all, &mine);
		err = -pthread_create(&thread, NULL, player_thread, &players[1]);
		pthread_sigmask(SIG_SETMASK, &mine, NULL);
	}
	if (!err) {
		player_thread(&players[0]);
		if (nr > 1)
			pthread_join(thread, NULL);
	}
	for (unsigned int i = 0; i < nr; i++) {
		kvmemu_set_guest(players[i].vcpu, NULL, NULL);
		err = err ? err : players[i].error;
	}
	return err;
}

/* A vCPU's samples after those of the vCPUs before it, without a gap. */
static int gather(const struct player *players, unsigned int nr_players, double *ticks)
{
	size_t all = 0;

	for (unsigned int i = 0; i < nr_players; i++) {
		memmove(ticks + all, players[i].ticks, players[i].samples * sizeof(*ticks));
		all += players[i].samples;
	}
	if (all >= MIN_SAMPLES || (all && nr_players == 1))
		return (int)all;
	ticks[0] = players[0].fastest;
	return 0;
}

int kvmemu_bench_roundtrip(struct kvmemu_file *vm, struct kvmemu_file *const *vcpus, const uint32_t *irqs,
			   uint32_t nr_vcpus, double *ticks, size_t nr)
{
	struct player players[MAX_VCPUS];
	atomic_uint met = 0;
	atomic_bool failed = false;
	int err;

	if (!nr_vcpus || nr_vcpus > MAX_VCPUS)
		return -EINVAL;
	for (uint32_t i = 0; i < nr_vcpus; i++)
		players[i] = (struct player){
			.vm = vm, .vcpu = vcpus[i], .irq = irqs[i], .intid = irqs[i] & INTID_BITS, .index = i,
			.nr_players = nr_vcpus, .sends_first = true, .met = &met, .failed = &failed,
			.other = nr_vcpus > 1 ? &players[1 - i] : NULL,
			.ticks = ticks + i * nr, .batch = BATCH, .nr = nr,
		};
	err = run_players(players, nr_vcpus);
	return err ? err : gather(players, nr_vcpus, ticks);
}

int kvmemu_bench_ping_pong(struct kvmemu_file *const *vcpus, double *ticks, size_t nr)
{
	struct player players[MAX_VCPUS];
	atomic_uint met = 0;
	atomic_bool failed = false;

	for (uint32_t i = 0; i < MAX_VCPUS; i++)
		players[i] = (struct player){
			.vcpu = vcpus[i], .intid = SGI, .index = i, .nr_players = MAX_VCPUS, .sends_first = i == 0,
			.met = &met, .failed = &failed, .ticks = i ? NULL : ticks, .batch = 1, .nr = nr,
		};
	return run_players(players, MAX_VCPUS);
}
