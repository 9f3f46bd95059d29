/* SPDX-License-Identifier: MIT */
/*
 * Eventfds from several threads: written, assigned, taken back, routed elsewhere and closed, while vCPUs run and VMs end.
 * For ThreadSanitizer and AddressSanitizer; what they inject is in tests/unit/test_irqfd.py. Part of the tests.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "kvm.h"

#ifndef ROUNDS
#define ROUNDS 1500
#endif
#define NR_THREADS 4
#define NR_SPIS 64
#define NR_EVENTS 8

static struct kvmemu_file *system_file;

/* A VM with a GICv3 and one vCPU. */
struct guest {
	struct kvmemu_file *vm, *vcpu, *gic;
};

struct worker {
	pthread_t thread;
	uint64_t random;
	struct guest *guest;
	int event[NR_EVENTS];
};

static uint64_t choose(struct worker *w, uint64_t n)
{
	return (next_random(&w->random) >> 16) % n;
}

static long try_attr(struct kvmemu_file *gic, unsigned long request, uint32_t group, uint64_t attr, void *value)
{
	const struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };

	return try_call(gic, request, &a);
}

static struct guest make_guest(void)
{
	struct kvm_create_device cd = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	uint32_t nr_irqs = 32 + NR_SPIS;
	struct guest g;

	g.vm = create_vm(system_file);
	g.vcpu = create_vcpu(g.vm, 0, 0);
	g.gic = create(g.vm, KVM_CREATE_DEVICE, (uintptr_t)&cd);
	must(try_attr(g.gic, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr_irqs));
	must(try_attr(g.gic, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL));
	return g;
}

static long try_irqfd(struct kvmemu_file *vm, int fd, uint32_t gsi, uint32_t flags)
{
	const struct kvm_irqfd args = { .fd = (uint32_t)fd, .gsi = gsi, .flags = flags, .resamplefd = (uint32_t)fd };

	return try_call(vm, KVM_IRQFD, &args);
}

static long try_ioeventfd(struct kvmemu_file *vm, int fd, uint64_t addr, uint32_t flags)
{
	const struct kvm_ioeventfd args = { .addr = addr, .len = 4, .fd = fd, .flags = flags };

	return try_call(vm, KVM_IOEVENTFD, &args);
}

/* Of the first 32 SPIs. EBUSY while the vCPU runs. */
static long try_latches(struct kvmemu_file *gic, uint32_t *value)
{
	return try_attr(gic, KVM_GET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x204, value);
}

static uint32_t latches(struct kvmemu_file *gic)
{
	uint32_t value = 0;

	must(try_latches(gic, &value));
	return value;
}

static void signal_event(int fd)
{
	const uint64_t one = 1;

	equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void assign(struct worker *w)
{
	int *event = &w->event[choose(w, NR_EVENTS)];
	uint32_t gsi = (uint32_t)choose(w, NR_SPIS + 2), flags = choose(w, 2) ? KVM_IRQFD_FLAG_RESAMPLE : 0;
	long err;

	if (!choose(w, 4)) {
		close(*event);
		*event = eventfd((unsigned int)choose(w, 2), EFD_NONBLOCK | EFD_CLOEXEC);
	}
	err = try_irqfd(w->guest->vm, *event, gsi, flags);
	ok(!err || err == -EBUSY);
	signal_event(*event);
	if (choose(w, 2))
		must(try_irqfd(w->guest->vm, *event, gsi, KVM_IRQFD_FLAG_DEASSIGN));
}

static void reroute(struct worker *w)
{
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + NR_SPIS * sizeof(table->entries[0]));

	table->nr = NR_SPIS;
	for (uint32_t i = 0; i < NR_SPIS; i++) {
		table->entries[i].gsi = i;
		table->entries[i].type = KVM_IRQ_ROUTING_IRQCHIP;
		table->entries[i].u.irqchip.pin = (uint32_t)choose(w, NR_SPIS);
	}
	must(try_call(w->guest->vm, KVM_SET_GSI_ROUTING, table));
	free(table);
}

static void on_the_bus(struct worker *w)
{
	const struct kvm_coalesced_mmio_zone zone = { .addr = 64 * choose(w, 8), .size = 64 };
	int event = w->event[choose(w, NR_EVENTS)];
	uint64_t addr = 4 * choose(w, 64);
	long err = try_ioeventfd(w->guest->vm, event, addr, 0);

	ok(!err || err == -EEXIST);
	err = try_ioeventfd(w->guest->vm, event, addr, KVM_IOEVENTFD_FLAG_DEASSIGN);
	ok(!err || err == -ENOENT);
	must(try_call(w->guest->vm, KVM_REGISTER_COALESCED_MMIO, &zone));
	must(try_call(w->guest->vm, KVM_UNREGISTER_COALESCED_MMIO, &zone));
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint32_t value;

	for (int i = 0; i < NR_EVENTS; i++)
		w->event[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	for (int round = 0; round < ROUNDS; round++) {
		switch (choose(w, 8)) {
		case 0 ... 2:
			assign(w);
			break;
		case 3:
			reroute(w);
			break;
		case 4:
			on_the_bus(w);
			break;
		case 5:
			try_latches(w->guest->gic, &value);
			break;
		default:
			signal_event(w->event[choose(w, NR_EVENTS)]);
		}
	}
	for (int i = 0; i < NR_EVENTS; i++)
		close(w->event[i]);
	return NULL;
}

static void *run_vcpu(void *arg)
{
	struct guest *guest = arg;
	long err = try_call(guest->vcpu, KVM_RUN, NULL);

	ok(!err || err == -EINTR || err == -ENXIO);
	return NULL;
}

static void set_frames(struct guest *g)
{
	uint64_t dist = 0x8000000, redist = 0x80a0000;

	must(try_attr(g->gic, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist));
	must(try_attr(g->gic, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redist));
}

static void close_guest(struct guest *g)
{
	kvmemu_close(g->vm);
	kvmemu_close(g->vcpu);
	kvmemu_close(g->gic);
}

static void everything_at_once(void)
{
	struct guest guest = make_guest();
	struct worker workers[NR_THREADS];
	uint32_t enable = UINT32_MAX;
	pthread_t runner;

	/* A vCPU that is woken by every interrupt, and sleeps on. */
	set_frames(&guest);
	must(try_attr(guest.gic, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x104, &enable));
	enable = 2;
	must(try_attr(guest.gic, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, &enable));
	must(try_set_mp_state(guest.vcpu, KVM_MP_STATE_SUSPENDED));
	pthread_create(&runner, NULL, run_vcpu, &guest);
	for (int i = 0; i < NR_THREADS; i++) {
		workers[i] = (struct worker){ .random = 77 + (uint64_t)i, .guest = &guest };
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	/* Its priority mask keeps every interrupt out. A step of the counter has it look at its run page. */
	set_immediate_exit(guest.vcpu, 1);
	kvmemu_counter_step(guest.vm, 1);
	pthread_join(runner, NULL);
	close_guest(&guest);
}

static void *write_until_told(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load((atomic_int *)&w->event[1]))
		signal_event(w->event[0]);
	return NULL;
}

static void vms_end_while_their_eventfds_are_written(void)
{
	struct worker writer = { .event = { eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) } };
	int before = count_open_descriptors();
	struct guest guest;

	pthread_create(&writer.thread, NULL, write_until_told, &writer);
	for (int i = 0; i < ROUNDS / 10; i++) {
		guest = make_guest();
		for (uint32_t gsi = 0; gsi < 3; gsi++)
			try_irqfd(guest.vm, writer.event[0], gsi, i & 1 ? KVM_IRQFD_FLAG_RESAMPLE : 0);
		ok(latches(guest.gic) <= 1);
		close_guest(&guest);
	}
	atomic_store((atomic_int *)&writer.event[1], 1);
	pthread_join(writer.thread, NULL);
	equal(count_open_descriptors(), before);
	close(writer.event[0]);
}

static void the_child_of_a_fork_leaves_them_alone(void)
{
	struct guest guest = make_guest();
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), status = -1;
	pid_t child;

	must(try_irqfd(guest.vm, event, 3, 0));
	child = fork();
	if (!child) {
		close_guest(&guest);
		_exit(0);
	}
	equal(waitpid(child, &status, 0), child);
	equal(status, 0);
	signal_event(event);
	equal(latches(guest.gic), 1 << 3);
	close_guest(&guest);
	close(event);
}

int main(void)
{
	system_file = open_system(NULL);
	run(everything_at_once);
	run(vms_end_while_their_eventfds_are_written);
	run(the_child_of_a_fork_leaves_them_alone);
	kvmemu_close(system_file);
	return check_done();
}
