/* SPDX-License-Identifier: MIT */
/* The VM's I/O buses. Layer: vm. Source: kvm_main.c, eventfd.c, coalesced_mmio.c of virt/kvm, Linux 6.1. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../machine/host.h"
#include "event.h"
#include "kvmemu/uapi.h"
#include "vm.h"

#define MAX_DEVICES 1000	/* NR_IOBUS_DEVS; without ioeventfds */

enum device_kind { IOEVENTFD, COALESCED_ZONE };

struct bus_device {
	enum device_kind kind;
	uint64_t addr;
	uint32_t size;		/* bytes; of an ioeventfd 0: a store of any size there */

	int fd;			/* IOEVENTFD: ours */
	uint64_t event;		/* which eventfd */
	bool any_value;
	uint64_t datamatch;

	uint32_t pio;		/* COALESCED_ZONE */
};

/*
 * Buses.
 */

/* Linux keeps sizes in an int here: a zone of 2 GiB or more ends before it begins. */
static uint64_t end_of(uint64_t addr, uint32_t size)
{
	return addr + (uint64_t)(int64_t)(int32_t)size;
}

/*
 * Below 0, 0 or above: where a range lies as seen from a device. 0 where the device has all of it; a device without a
 * size has its one address. Not the same the other way round. Source: kvm_io_bus_cmp().
 */
static int compare(uint64_t addr, uint32_t size, const struct bus_device *device)
{
	if (addr < device->addr)
		return -1;
	if (device->size)
		return end_of(addr, size) > end_of(device->addr, device->size);
	return addr > device->addr;
}

/*
 * The first device that has all of the range, or bus->nr. Where devices overlap, a search by halves may miss one that
 * has it: it must take Linux's steps. Source: kvm_io_bus_get_first_dev(), bsearch().
 */
static size_t first_at(const struct bus *bus, uint64_t addr, uint32_t size)
{
	size_t base = 0, nr = bus->nr, at;
	int order;

	for (; nr; nr >>= 1) {
		at = base + (nr >> 1);
		order = compare(addr, size, &bus->device[at]);
		if (!order) {
			while (at && !compare(addr, size, &bus->device[at - 1]))
				at--;
			return at;
		}
		if (order > 0) {
			base = at + 1;
			nr--;
		}
	}
	return bus->nr;
}

static bool is_full(const struct bus *bus)
{
	return bus->nr - bus->nr_ioeventfds + bus->nr_frames >= MAX_DEVICES;
}

static int insert(struct bus *bus, const struct bus_device *new)
{
	size_t room = bus->room ? bus->room * 2 : 8, at = 0;
	struct bus_device *grown;

	if (is_full(bus))
		return -ENOSPC;
	if (bus->nr == bus->room) {
		grown = realloc(bus->device, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		bus->device = grown;
		bus->room = room;
	}
	while (at < bus->nr && compare(bus->device[at].addr, bus->device[at].size, new) <= 0)
		at++;
	memmove(&bus->device[at + 1], &bus->device[at], (bus->nr - at) * sizeof(*new));
	bus->device[at] = *new;
	bus->nr++;
	bus->nr_ioeventfds += new->kind == IOEVENTFD;
	return 0;
}

static void remove_at(struct bus *bus, size_t at)
{
	bus->nr_ioeventfds -= bus->device[at].kind == IOEVENTFD;
	bus->nr--;
	memmove(&bus->device[at], &bus->device[at + 1], (bus->nr - at) * sizeof(bus->device[at]));
}

int bus_add_frame(struct vm *vm)
{
	struct bus *bus = &vm->buses.bus[BUS_MMIO];
	int err;

	pthread_mutex_lock(&vm->slots_lock);
	err = is_full(bus) ? -ENOSPC : 0;
	if (!err)
		bus->nr_frames++;
	pthread_mutex_unlock(&vm->slots_lock);
	return err;
}

void bus_remove_frame(struct vm *vm)
{
	pthread_mutex_lock(&vm->slots_lock);
	vm->buses.bus[BUS_MMIO].nr_frames--;
	pthread_mutex_unlock(&vm->slots_lock);
}

/*
 * Eventfds that a store signals.
 */

static enum bus_id bus_of_flags(uint32_t flags)
{
	if (flags & KVM_IOEVENTFD_FLAG_PIO)
		return BUS_PIO;
	return flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY ? BUS_VIRTIO_CCW : BUS_MMIO;
}

/* Stores of any size are looked up on a bus of their own too: a second registration. */
static bool is_fast(const struct kvm_ioeventfd *args)
{
	return !args->len && bus_of_flags(args->flags) == BUS_MMIO;
}

static bool collides(const struct bus_device *a, const struct bus_device *b)
{
	if (a->kind != IOEVENTFD || a->addr != b->addr)
		return false;
	if (!a->size || !b->size)
		return true;
	return a->size == b->size && (a->any_value || b->any_value || a->datamatch == b->datamatch);
}

static bool is_same(const struct bus_device *a, const struct bus_device *b)
{
	return a->kind == IOEVENTFD && a->event == b->event && a->addr == b->addr && a->size == b->size &&
	       a->any_value == b->any_value && (a->any_value || a->datamatch == b->datamatch);
}

static size_t find(const struct bus *bus, bool (*matches)(const struct bus_device *a, const struct bus_device *b),
		   const struct bus_device *device)
{
	size_t at = 0;

	while (at < bus->nr && !matches(&bus->device[at], device))
		at++;
	return at;
}

/* Its descriptor is ours; the eventfd, or -errno. */
static int open_ioeventfd(const struct kvm_ioeventfd *args, struct bus_device *device)
{
	*device = (struct bus_device){
		.kind = IOEVENTFD,
		.addr = args->addr,
		.size = args->len,
		.any_value = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH),
		.datamatch = args->datamatch,
	};
	device->fd = event_open(args->fd, &device->event);
	return device->fd < 0 ? device->fd : 0;
}

static int assign_on(struct vm *vm, enum bus_id id, const struct kvm_ioeventfd *args)
{
	struct bus *bus = &vm->buses.bus[id];
	struct bus_device device;
	int err = open_ioeventfd(args, &device);

	if (err)
		return err;
	pthread_mutex_lock(&vm->slots_lock);
	err = find(bus, collides, &device) < bus->nr ? -EEXIST : insert(bus, &device);
	pthread_mutex_unlock(&vm->slots_lock);
	if (err)
		close(device.fd);
	return err;
}

static int deassign_on(struct vm *vm, enum bus_id id, const struct kvm_ioeventfd *args)
{
	struct bus *bus = &vm->buses.bus[id];
	struct bus_device device;
	int err = open_ioeventfd(args, &device);
	size_t at;

	if (err)
		return err;
	pthread_mutex_lock(&vm->slots_lock);
	at = find(bus, is_same, &device);
	if (at < bus->nr) {
		close(bus->device[at].fd);
		remove_at(bus, at);
	} else {
		err = -ENOENT;
	}
	pthread_mutex_unlock(&vm->slots_lock);
	close(device.fd);
	return err;
}

static int assign(struct vm *vm, const struct kvm_ioeventfd *args)
{
	enum bus_id id = bus_of_flags(args->flags);
	int err;

	if (args->len > 8 || args->len & (args->len - 1))
		return -EINVAL;
	if (args->addr + args->len < args->addr)
		return -EINVAL;
	if (args->flags & ~(uint32_t)KVM_IOEVENTFD_VALID_FLAG_MASK)
		return -EINVAL;
	if (!args->len && args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
		return -EINVAL;
	err = assign_on(vm, id, args);
	if (err || !is_fast(args))
		return err;
	err = assign_on(vm, BUS_FAST_MMIO, args);
	if (err)
		deassign_on(vm, id, args);
	return err;
}

/* No check of lengths and flags here: what cannot have been assigned is not found. */
static int deassign(struct vm *vm, const struct kvm_ioeventfd *args)
{
	int err = deassign_on(vm, bus_of_flags(args->flags), args);

	if (is_fast(args))
		deassign_on(vm, BUS_FAST_MMIO, args);
	return err;
}

int ioeventfd_set(struct vm *vm, const struct kvm_ioeventfd *args)
{
	return args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN ? deassign(vm, args) : assign(vm, args);
}

static bool signal_ioeventfd(const struct bus_device *device, uint64_t addr, uint32_t len, uint64_t value)
{
	if (addr != device->addr)
		return false;
	if (device->size && (len != device->size || (!device->any_value && value != device->datamatch)))
		return false;
	event_signal(device->fd);
	return true;
}

/*
 * Zones whose stores are queued.
 */

static bool zone_has(const struct bus_device *zone, uint64_t addr, uint32_t len)
{
	if ((int32_t)len < 0 || addr + len < addr)
		return false;
	return addr >= zone->addr && addr + len <= zone->addr + zone->size;
}

int coalesced_add(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone)
{
	const struct bus_device device = {
		.kind = COALESCED_ZONE, .addr = zone->addr, .size = zone->size, .pio = zone->pio, .fd = -1
	};
	int err;

	if (zone->pio > 1)
		return -EINVAL;
	pthread_mutex_lock(&vm->slots_lock);
	err = insert(&vm->buses.bus[zone->pio ? BUS_PIO : BUS_MMIO], &device);
	pthread_mutex_unlock(&vm->slots_lock);
	return err;
}

/* All zones that have the range, not the one that is it; none is no error. */
int coalesced_remove(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone)
{
	struct bus *bus = &vm->buses.bus[zone->pio ? BUS_PIO : BUS_MMIO];

	if (zone->pio > 1)
		return -EINVAL;
	pthread_mutex_lock(&vm->slots_lock);
	for (size_t at = bus->nr; at-- > 0;)
		if (bus->device[at].kind == COALESCED_ZONE && zone_has(&bus->device[at], zone->addr, zone->size))
			remove_at(bus, at);
	pthread_mutex_unlock(&vm->slots_lock);
	return 0;
}

/*
 * False where the ring is full. User space may write anything to it. The difference is one of 32 bits, as in Linux:
 * 2^32 is no multiple of the 170 places, so that only 85 are found before any was read.
 */
static bool queue(struct vm *vm, const struct bus_device *zone, uint64_t addr, uint32_t len, uint64_t value)
{
	struct kvm_coalesced_mmio_ring *ring;
	const uint32_t entries = KVMEMU_COALESCED_MMIO_MAX(vm->host->page_bytes);
	struct kvm_coalesced_mmio *entry;
	uint32_t last, first;

	ring = zone_has(zone, addr, len) ? ring_get(vm) : NULL;
	if (!ring)
		return false;
	last = __atomic_load_n(&ring->last, __ATOMIC_RELAXED);
	first = __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE);
	if ((first - last - 1) % entries == 0 || last >= entries)
		return false;
	entry = &ring->coalesced_mmio[last];
	entry->phys_addr = addr;
	entry->len = len;
	memcpy(entry->data, &value, len);
	entry->pio = zone->pio;
	__atomic_store_n(&ring->last, (last + 1) % entries, __ATOMIC_RELEASE);
	return true;
}

/*
 * The guest's stores.
 */

bool bus_write(struct vm *vm, uint64_t addr, uint32_t len, uint64_t value)
{
	const struct bus *bus = &vm->buses.bus[BUS_MMIO];
	const struct bus_device *device;
	bool taken = false;

	if (len < sizeof(value))
		value &= (1ull << len * 8) - 1;
	pthread_mutex_lock(&vm->slots_lock);
	for (size_t at = first_at(bus, addr, len); !taken && at < bus->nr; at++) {
		device = &bus->device[at];
		if (compare(addr, len, device))
			break;
		taken = device->kind == IOEVENTFD ? signal_ioeventfd(device, addr, len, value) :
						    queue(vm, device, addr, len, value);
	}
	pthread_mutex_unlock(&vm->slots_lock);
	/* The eventfd may be an irqfd's. */
	if (taken)
		irqfds_sync(vm);
	return taken;
}

/*
 * Lifetime.
 */

void buses_init(struct vm *vm)
{
	ring_init(&vm->buses.ring);
}

void buses_free(struct vm *vm)
{
	for (unsigned int id = 0; id < NR_BUSES; id++) {
		struct bus *bus = &vm->buses.bus[id];

		for (size_t at = 0; at < bus->nr; at++)
			if (bus->device[at].fd >= 0)
				close(bus->device[at].fd);
		free(bus->device);
	}
	ring_free(vm);
}
