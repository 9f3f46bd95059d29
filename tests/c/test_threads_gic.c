/* SPDX-License-Identifier: MIT */
/*
 * One VM with a GIC, used by several threads at once: lines, eventfds, messages, routes, device attributes one by one and
 * many at a time, registers of vCPUs, timers, runs that return at once and one that waits for its interrupts, looks inside.
 * For ThreadSanitizer and AddressSanitizer. Part of the tests.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

#include "kvm.h"

#ifndef ROUNDS
#define ROUNDS 10000
#endif
#define NR_THREADS 4
#define NR_VCPUS 4
#define NR_EVENTFDS 3
#define FIRST_SPI 32
#define WAITING (NR_VCPUS - 1)	/* the vCPU that a thread of its own runs */
#define DOORBELL 0x1000
#define LEVEL_INFO (VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT)

static struct kvmemu_file *vm, *gic, *vcpu[NR_VCPUS];
static int eventfds[NR_EVENTFDS];
static bool is_v3;
static atomic_bool stop;
static atomic_uint woken, accesses, refusals;	/* by interrupts; of attributes that were done, and that met a run */
static pthread_t waiting;

struct worker {
	pthread_t thread;
	uint64_t random;
};

static uint64_t choose(struct worker *w, uint64_t n)
{
	return (next_random(&w->random) >> 16) % n;
}

static long attr(unsigned long request, uint32_t group, uint64_t which, uint64_t *value)
{
	const struct kvm_device_attr a = { .group = group, .attr = which, .addr = (uintptr_t)value };

	return try_call(gic, request, &a);
}

/* EBUSY while a vCPU runs. */
static void count(long got)
{
	ok(!got || got == -EBUSY);
	atomic_fetch_add(got ? &refusals : &accesses, 1);
}

/* GICR_ISPENDR0 and GICD_ISPENDR1, or GICD's of GICv2: private and shared interrupts. */
static void frames(struct worker *w)
{
	bool redist = is_v3 && choose(w, 2);
	uint32_t group = redist ? KVM_DEV_ARM_VGIC_GRP_REDIST_REGS : KVM_DEV_ARM_VGIC_GRP_DIST_REGS;
	uint64_t whose = choose(w, NR_VCPUS) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
	uint64_t which = whose | ((redist ? 0x10100 : 0x104) + (choose(w, 4) << 7)), value = 0;

	count(attr(KVM_GET_DEVICE_ATTR, group, which, &value));
	count(attr(KVM_SET_DEVICE_ATTR, group, which, &value));
}

/* Of a vCPU's interface: GICC_CTLR to GICC_BPR, or ICC_PMR_EL1 and ICC_IGRPEN1_EL1. And levels, of a GICv3. */
static void interfaces(struct worker *w)
{
	uint64_t whose = choose(w, NR_VCPUS) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT, value = 0;
	uint32_t group = is_v3 ? KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS : KVM_DEV_ARM_VGIC_GRP_CPU_REGS;
	uint64_t which = is_v3 ? (choose(w, 2) ? 0xc230 : 0xc667) : choose(w, 3) * 4;

	if (is_v3 && !choose(w, 3)) {
		group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;
		which = LEVEL_INFO | choose(w, 2) * 32;
	}
	count(attr(KVM_GET_DEVICE_ATTR, group, whose | which, &value));
	count(attr(KVM_SET_DEVICE_ATTR, group, whose | which, &value));
}

/* A page of the distributor in one call. */
static void batches(struct worker *w)
{
	uint64_t attrs[8], base = 0x100 + choose(w, 6) * 0x80;
	uint32_t values[8];
	size_t done = 0;
	long got;

	for (uint64_t i = 0; i < 8; i++)
		attrs[i] = base + i * 4;
	got = kvmemu_get_attrs(gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, attrs, 8, values, sizeof(values), &done);
	ok((!got && done == 8) || got == -EBUSY);
	got = kvmemu_set_attrs(gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, attrs, 8, values, sizeof(values), &done);
	ok((!got && done == 8) || got == -EBUSY);
}

/* What is settled already, and what there is none of. */
static void settings(struct worker *w)
{
	uint64_t value = 0;

	equal(attr(KVM_GET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &value), 0);
	equal(value, 256);
	value = 0x8000000 + choose(w, 8) * 0x10000;
	equal(attr(KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_ADDR,
		   is_v3 ? KVM_VGIC_V3_ADDR_TYPE_DIST : KVM_VGIC_V2_ADDR_TYPE_DIST, &value), -EEXIST);
	equal(attr(KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL), 0);
}

static void messages(struct worker *w)
{
	const struct kvm_msi msi = {
		.address_lo = 0x8090040,
		.data = (uint32_t)choose(w, 4),
		.flags = (uint32_t)choose(w, 2) * KVM_MSI_VALID_DEVID,
	};

	equal(try_call(vm, KVM_SIGNAL_MSI, &msi), -ENODEV);
}

static void lines(struct worker *w)
{
	uint32_t type = choose(w, 2) ? KVM_ARM_IRQ_TYPE_SPI : KVM_ARM_IRQ_TYPE_PPI;
	uint32_t intid = type == KVM_ARM_IRQ_TYPE_SPI ? FIRST_SPI + (uint32_t)choose(w, 8) : 16 + (uint32_t)choose(w, 8);
	const struct kvm_irq_level irq = {
		.irq = type << KVM_ARM_IRQ_TYPE_SHIFT | (uint32_t)choose(w, NR_VCPUS) << KVM_ARM_IRQ_VCPU_SHIFT | intid,
		.level = (uint32_t)choose(w, 2),
	};

	equal(try_call(vm, KVM_IRQ_LINE, &irq), 0);
}

static void looks(struct worker *w)
{
	struct kvmemu_gic_irq irq;

	equal(kvmemu_gic_irq(vm, (uint32_t)choose(w, NR_VCPUS), (uint32_t)choose(w, 40), &irq), 0);
}

static void events(struct worker *w)
{
	const uint64_t one = 1;
	int fd = eventfds[choose(w, NR_EVENTFDS)];
	const struct kvm_irqfd irqfd = {
		.fd = (uint32_t)fd,
		.gsi = (uint32_t)choose(w, 4),
		.flags = (uint32_t)choose(w, 4),	/* KVM_IRQFD_FLAG_DEASSIGN, KVM_IRQFD_FLAG_RESAMPLE */
		.resamplefd = (uint32_t)eventfds[choose(w, NR_EVENTFDS)],
	};
	const struct kvm_ioeventfd io = {
		.addr = DOORBELL * choose(w, 3), .len = 4, .fd = fd, .flags = choose(w, 2) ? KVM_IOEVENTFD_FLAG_DEASSIGN : 0,
	};

	try_call(vm, KVM_IRQFD, &irqfd);
	try_call(vm, KVM_IOEVENTFD, &io);
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

static void routes(struct worker *w)
{
	struct {	/* struct kvm_irq_routing with room */
		uint32_t nr, flags;
		struct kvm_irq_routing_entry entries[4];
	} table = { .nr = (uint32_t)choose(w, 5) };

	for (uint32_t i = 0; i < 4; i++) {
		table.entries[i].gsi = i;
		table.entries[i].type = choose(w, 4) ? KVM_IRQ_ROUTING_IRQCHIP : KVM_IRQ_ROUTING_MSI;
		if (table.entries[i].type == KVM_IRQ_ROUTING_IRQCHIP)
			table.entries[i].u.irqchip.pin = (uint32_t)choose(w, 32);
	}
	try_call(vm, KVM_SET_GSI_ROUTING, &table);
}

static void registers(struct worker *w)
{
	struct kvmemu_file *file = vcpu[choose(w, WAITING)];	/* the waiting one is busy for as long as it waits */

	set(file, REG_X(1), get(file, REG_PC));
	set(file, KVM_REG_ARM_TIMER_CVAL, choose(w, 4000));
	set(file, KVM_REG_ARM_TIMER_CTL, choose(w, 4));
	get(file, KVM_REG_ARM_TIMER_CNT);
}

static void runs(struct worker *w)
{
	try_call(vcpu[choose(w, WAITING)], KVM_RUN, NULL);
}

static void kicks(struct worker *w)
{
	(void)w;
	must(-pthread_kill(waiting, SIGUSR1));
}

static void steps(struct worker *w)
{
	if (choose(w, 4))
		kvmemu_counter_step(vm, choose(w, 100));
	else
		kvmemu_counter_set(vm, choose(w, 4000));
}

static void more_vcpus(struct worker *w)
{
	struct kvmemu_file *created = NULL;

	kvmemu_ioctl(vm, KVM_CREATE_VCPU, NR_VCPUS + choose(w, 8), &created);
	kvmemu_close(created);
}

static void (*const actions[])(struct worker *w) = {
	frames, frames, interfaces, batches, settings, lines, lines, messages, looks, events, events, routes, registers,
	runs, kicks, steps, more_vcpus,
};

static void *work(void *argument)
{
	struct worker *w = argument;

	for (int i = 0; i < ROUNDS; i++)
		actions[choose(w, sizeof(actions) / sizeof(actions[0]))](w);
	return NULL;
}

/* Waits for an interrupt, of which it does nothing but tell a doorbell. */
static void guest(struct kvmemu_cpu *cpu, void *context)
{
	(void)context;
	if (kvmemu_cpu_wfi(cpu) || kvmemu_cpu_store(cpu, DOORBELL, 4, 1))
		return;
	atomic_fetch_add(&woken, 1);
	kvmemu_cpu_exit(cpu, KVM_EXIT_DEBUG);
}

/* With pauses: while it is in KVM_RUN, nobody else gets at the GIC's registers. */
static void *wait_for_interrupts(void *file)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	while (!atomic_load(&stop)) {
		long ret = try_call(file, KVM_RUN, NULL);

		ok(!ret || ret == -EINTR);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void on_kick(int signum)
{
	(void)signum;
}

static void end_waiting(void)
{
	atomic_store(&stop, true);
	set_immediate_exit(vcpu[WAITING], 1);
	must(-pthread_kill(waiting, SIGUSR1));
	pthread_join(waiting, NULL);
}

static void place(uint64_t type, uint64_t base)
{
	must(attr(KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &base));
}

static void set_up(struct kvmemu_file *system)
{
	struct kvm_create_device device = { .type = is_v3 ? KVM_DEV_TYPE_ARM_VGIC_V3 : KVM_DEV_TYPE_ARM_VGIC_V2 };

	vm = create_vm(system);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		vcpu[i] = create_vcpu(vm, i, 0);
		set_immediate_exit(vcpu[i], i != WAITING);
	}
	must(kvmemu_set_guest(vcpu[WAITING], guest, NULL));
	gic = create(vm, KVM_CREATE_DEVICE, (uintptr_t)&device);
	place(is_v3 ? KVM_VGIC_V3_ADDR_TYPE_DIST : KVM_VGIC_V2_ADDR_TYPE_DIST, 0x8000000);
	place(is_v3 ? KVM_VGIC_V3_ADDR_TYPE_REDIST : KVM_VGIC_V2_ADDR_TYPE_CPU, 0x80a0000);
	must(attr(KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL));
}

static void work_together(const char *host, bool v3)
{
	struct kvmemu_file *system = open_system(host);
	struct worker workers[NR_THREADS];

	is_v3 = v3;
	atomic_store(&stop, false);
	atomic_store(&woken, 0);
	atomic_store(&accesses, 0);
	atomic_store(&refusals, 0);
	kvmemu_counter_set(system, 0);
	set_up(system);
	must(-pthread_create(&waiting, NULL, wait_for_interrupts, vcpu[WAITING]));
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		workers[i].random = 77 + i;
		must(-pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	end_waiting();
	ok(atomic_load(&woken) && atomic_load(&accesses) && atomic_load(&refusals));
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		kvmemu_close(vcpu[i]);
	kvmemu_close(gic);
	kvmemu_close(vm);
	kvmemu_close(system);
}

static void gicv3_by_several_threads(void)
{
	work_together("gicv3-max", true);
}

static void gicv2_by_several_threads(void)
{
	work_together("gicv2-cortex-a72", false);
}

static void gicv2_on_a_gicv3_by_several_threads(void)
{
	work_together("gicv3-gicv2-compat", false);
}

int main(void)
{
	const struct sigaction action = { .sa_handler = on_kick };
	int before;

	sigaction(SIGUSR1, &action, NULL);
	for (unsigned int i = 0; i < NR_EVENTFDS; i++)
		eventfds[i] = (int)must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	before = count_open_descriptors();
	run(gicv3_by_several_threads);
	run(gicv2_by_several_threads);
	run(gicv2_on_a_gicv3_by_several_threads);
	equal(count_open_descriptors(), before);
	return check_done();
}
