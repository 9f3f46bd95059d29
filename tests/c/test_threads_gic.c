/* SPDX-License-Identifier: MIT */
/*
 * One VM with a GIC, used by several threads at once: lines, eventfds, routes, registers of frames and vCPUs, timers, runs,
 * looks inside. For ThreadSanitizer and AddressSanitizer. Part of the tests.
 */
#include <pthread.h>
#include <sys/eventfd.h>

#include "kvm.h"

#ifndef ROUNDS
#define ROUNDS 10000
#endif
#define NR_THREADS 4
#define NR_VCPUS 4
#define NR_EVENTFDS 2
#define FIRST_SPI 32

static struct kvmemu_file *vm, *gic, *vcpu[NR_VCPUS];
static int eventfds[NR_EVENTFDS];
static bool is_v3;

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

/* GICR_ISPENDR0 and GICD_ISPENDR1, or GICD's of GICv2: private and shared interrupts. EBUSY while a vCPU runs. */
static void frames(struct worker *w)
{
	bool redist = is_v3 && choose(w, 2);
	uint32_t group = redist ? KVM_DEV_ARM_VGIC_GRP_REDIST_REGS : KVM_DEV_ARM_VGIC_GRP_DIST_REGS;
	uint64_t whose = choose(w, NR_VCPUS) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
	uint64_t which = whose | ((redist ? 0x10100 : 0x104) + (choose(w, 4) << 7)), value = 0;
	long got = attr(KVM_GET_DEVICE_ATTR, group, which, &value);

	ok(!got || got == -EBUSY);
	got = attr(KVM_SET_DEVICE_ATTR, group, which, &value);
	ok(!got || got == -EBUSY);
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
		.fd = (uint32_t)fd, .gsi = (uint32_t)choose(w, 4), .flags = choose(w, 2) ? KVM_IRQFD_FLAG_DEASSIGN : 0,
	};
	const struct kvm_ioeventfd io = {
		.addr = 0x1000 * choose(w, 3), .len = 4, .fd = fd, .flags = choose(w, 2) ? KVM_IOEVENTFD_FLAG_DEASSIGN : 0,
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
		table.entries[i].type = KVM_IRQ_ROUTING_IRQCHIP;
		table.entries[i].u.irqchip.pin = (uint32_t)choose(w, 32);
	}
	try_call(vm, KVM_SET_GSI_ROUTING, &table);
}

static void registers(struct worker *w)
{
	struct kvmemu_file *file = vcpu[choose(w, NR_VCPUS)];

	set(file, REG_X(1), get(file, REG_PC));
	set(file, KVM_REG_ARM_TIMER_CVAL, choose(w, 4000));
	set(file, KVM_REG_ARM_TIMER_CTL, choose(w, 4));
	get(file, KVM_REG_ARM_TIMER_CNT);
}

static void runs(struct worker *w)
{
	try_call(vcpu[choose(w, NR_VCPUS)], KVM_RUN, NULL);
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
	frames, frames, lines, lines, looks, events, routes, registers, runs, steps, more_vcpus,
};

static void *work(void *argument)
{
	struct worker *w = argument;

	for (int i = 0; i < ROUNDS; i++)
		actions[choose(w, sizeof(actions) / sizeof(actions[0]))](w);
	return NULL;
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
		set_immediate_exit(vcpu[i], 1);
	}
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
	kvmemu_counter_set(system, 0);
	set_up(system);
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		workers[i].random = 77 + i;
		must(-pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_join(workers[i].thread, NULL);
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
	int before;

	for (unsigned int i = 0; i < NR_EVENTFDS; i++)
		eventfds[i] = (int)must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	before = count_open_descriptors();
	run(gicv3_by_several_threads);
	run(gicv2_by_several_threads);
	run(gicv2_on_a_gicv3_by_several_threads);
	equal(count_open_descriptors(), before);
	return check_done();
}
