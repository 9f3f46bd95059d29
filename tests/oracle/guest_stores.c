/* SPDX-License-Identifier: MIT */
/*
 * Asks Linux what becomes of a guest's stores: random ioeventfds and coalesced zones that overlap, and for each store
 * whether KVM took it, which eventfds were signalled, and what is in the ring. Part of the tests; a program for the oracle,
 * run by record_stores.py. A line of output a step, which tests/unit/test_bus.py does again.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <errno.h>

#define NR_VMS 24
#define NR_STEPS 120
#define NR_SETUP_STEPS 20
#define MAX_EVENTS 24
#define MAX_ZONES 64
#define FIELD 0x10000	/* where everything happens */
#define DONE 0x9000	/* the store that says that the one before did not exit */
#define CODE 0x100

struct guest {
	int vm, vcpu;
	struct kvm_run *run;
	struct kvm_coalesced_mmio_ring *ring;
	uint32_t *code;
	int in_store;		/* the last exit's store ends with the next entry, one instruction on */
	struct kvm_ioeventfd event[MAX_EVENTS];
	unsigned int nr_events, nr_zones;
};

static uint32_t choose(uint32_t n)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20) % n;
}

static long result(long r)
{
	return r < 0 ? -errno : r;
}

/* STRB, STRH, STR W, STR X of X1 to [X0], each followed by a branch to STR W3 to [X2]. */
static void write_code(uint32_t *code)
{
	static const uint32_t store[] = { 0x39000001, 0x79000001, 0xb9000001, 0xf9000001 };
	unsigned int last = CODE / 4 + 8;

	for (unsigned int i = 0; i < 4; i++) {
		code[CODE / 4 + 2 * i] = store[i];
		code[CODE / 4 + 2 * i + 1] = 0x14000000 | (last - (CODE / 4 + 2 * i + 1));
	}
	code[last] = 0xb9000043;
}

static void make_guest(int kvm, struct guest *g)
{
	struct kvm_vcpu_init init = { .target = KVM_ARM_TARGET_GENERIC_V8 };
	struct kvm_userspace_memory_region memory = { .memory_size = 0x1000 };

	*g = (struct guest){ .vm = ioctl(kvm, KVM_CREATE_VM, 0) };
	g->code = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	write_code(g->code);
	memory.userspace_addr = (uintptr_t)g->code;
	ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &memory);
	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	ioctl(g->vcpu, KVM_ARM_VCPU_INIT, &init);
	g->run = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	g->ring = (void *)((char *)g->run + 0x1000);
}

static void end_guest(struct guest *g)
{
	for (unsigned int i = 0; i < g->nr_events; i++)
		close(g->event[i].fd);
	munmap(g->run, 0x2000);
	munmap(g->code, 0x1000);
	close(g->vcpu);
	close(g->vm);
}

static void set_core(struct guest *g, unsigned int number, uint64_t value)
{
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 2 * number, .addr = (uintptr_t)&value
	};

	ioctl(g->vcpu, KVM_SET_ONE_REG, &reg);
}

/* 1 if KVM took it. */
static int store(struct guest *g, uint64_t addr, unsigned int log_bytes, uint64_t value)
{
	set_core(g, 0, addr);
	set_core(g, 1, value);
	set_core(g, 2, DONE);
	set_core(g, 32, CODE + 8 * log_bytes - 4 * g->in_store);
	g->in_store = 1;
	if (ioctl(g->vcpu, KVM_RUN, 0) || g->run->exit_reason != KVM_EXIT_MMIO) {
		printf("KVM_RUN ended with %u\n", g->run->exit_reason);
		exit(1);
	}
	return g->run->mmio.phys_addr == DONE;
}

static void add_event(struct guest *g)
{
	static const uint32_t lengths[] = { 0, 1, 2, 4, 8 };
	struct kvm_ioeventfd *e = &g->event[g->nr_events];
	long r;

	*e = (struct kvm_ioeventfd){ .fd = eventfd(0, EFD_NONBLOCK) };
	e->datamatch = choose(3);
	e->addr = FIELD + choose(48);
	e->len = lengths[choose(5)];
	e->flags = choose(2) ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0;
	r = result(ioctl(g->vm, KVM_IOEVENTFD, e));
	printf("event %u %llx %u %llx %u -> %ld\n", g->nr_events++, e->addr, e->len, e->datamatch, e->flags, r);
}

static void remove_event(struct guest *g)
{
	unsigned int n = choose(g->nr_events);
	struct kvm_ioeventfd e = g->event[n];

	e.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	printf("no-event %u -> %ld\n", n, result(ioctl(g->vm, KVM_IOEVENTFD, &e)));
}

/* Mostly small; some empty, some that Linux's int makes end before they begin, some around the end of all addresses. */
static void add_zone(struct guest *g)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = FIELD + choose(48), .size = 1 + choose(24) };
	uint32_t kind = choose(12);

	g->nr_zones++;
	if (kind == 0)
		zone.size = 0;
	if (kind == 1)
		zone.size = 0x80000000u + choose(64);
	if (kind == 2)
		zone.size = 0xfffffff0u + choose(16);
	if (kind == 3)
		zone.size = 0x1000;
	if (kind == 4)
		zone.addr = -(uint64_t)choose(64);
	zone.pio = choose(8) == 0;
	printf("zone %llx %x %u -> ", zone.addr, zone.size, zone.pio);
	printf("%ld\n", result(ioctl(g->vm, KVM_REGISTER_COALESCED_MMIO, &zone)));
}

static void remove_zones(struct guest *g)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = FIELD + choose(48), .size = choose(10) ? choose(8) : 0x80000000u };

	printf("no-zone %llx %x -> ", zone.addr, zone.size);
	printf("%ld\n", result(ioctl(g->vm, KVM_UNREGISTER_COALESCED_MMIO, &zone)));
}

/* What user space does to it, and what it had better not do. */
static void set_ring(struct guest *g)
{
	g->ring->first = choose(170);
	if (!choose(3))
		g->ring->last = choose(174);
	else if (choose(2))
		g->ring->first = (g->ring->last + 1 + choose(3)) % 170;
	printf("ring %x %x\n", g->ring->first, g->ring->last);
}

static void do_store(struct guest *g)
{
	unsigned int log_bytes = choose(4);
	uint64_t addr = (FIELD + choose(56)) & ~((1ull << log_bytes) - 1), count;
	uint64_t value = choose(4) ? choose(3) : 0x1122334400000000ull + choose(0xffff);
	uint32_t last = g->ring->last;

	printf("store %llx %u %llx -> ", (unsigned long long)addr, 1u << log_bytes, (unsigned long long)value);
	printf("%d", store(g, addr, log_bytes, value));
	for (unsigned int i = 0; i < g->nr_events; i++)
		if (read(g->event[i].fd, &count, sizeof(count)) == sizeof(count))
			printf(" event %u", i);
	if (g->ring->last != last) {
		struct kvm_coalesced_mmio *entry = &g->ring->coalesced_mmio[last];

		printf(" ring %x %llx %u %u ", g->ring->last, entry->phys_addr, entry->len, entry->pio);
		for (unsigned int i = 0; i < sizeof(entry->data); i++)
			printf("%02x", entry->data[i]);
	}
	printf("\n");
}

static void step(struct guest *g, int adding)
{
	uint32_t what = choose(10);

	if (what < (adding ? 6u : 1u)) {
		if (choose(2) && g->nr_events < MAX_EVENTS)
			add_event(g);
		else if (g->nr_zones < MAX_ZONES)
			add_zone(g);
	} else if (what == 1) {
		remove_zones(g);
	} else if (what == 2 && g->nr_events) {
		remove_event(g);
	} else if (what == 3) {
		set_ring(g);
	} else {
		do_store(g);
	}
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR);
	struct guest g;

	for (int vm = 0; vm < NR_VMS; vm++) {
		make_guest(kvm, &g);
		printf("vm\n");
		for (int i = 0; i < NR_STEPS; i++)
			step(&g, i < NR_SETUP_STEPS);
		end_guest(&g);
	}
	return 0;
}
