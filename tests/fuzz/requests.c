/* SPDX-License-Identifier: MIT */
/* The ioctls that the fuzzer knows. Part of the tests. */
#define _GNU_SOURCE
#include "requests.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <kvmemu.h>
#include <kvmemu/uapi.h>

#include "gic.h"

#define MAX_IDS 2000
#define MAX_ROUTES 6
#define NR_EVENTFDS 3
#define FREE_BYTES (256ul << 20)
#define ALL_FILES (ON(SYSTEM) | ON(VM) | ON(VCPU) | ON(DEVICE) | ON(STATS))

char *memory;

static uint64_t ids[MAX_IDS];
static unsigned int nr_ids;
static int eventfds[NR_EVENTFDS];

/*
 * What comes after the pages that are used is kept free: regions reach into it, and what guests store to them. It is as
 * much as the highest address that guests use.
 */
bool memory_setup(void)
{
	memory = mmap(NULL, MEMORY_WRITABLE + FREE_BYTES, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	return !mprotect(memory, MEMORY_WRITABLE, PROT_READ | PROT_WRITE) &&
	       !mprotect(memory + MEMORY_WRITABLE, MEMORY_PAGE, PROT_READ);
}

/* The ids of a vCPU that has all the features its host has. */
static bool add_ids_of(const char *host_name)
{
	struct kvmemu_file *system = NULL, *vm = NULL, *vcpu = NULL;
	uint64_t list[1000] = { 999 };
	struct kvmemu_host *host;
	bool good = false;

	if (kvmemu_host_get(host_name, &host))
		return false;
	if (kvmemu_open(host, &system) || kvmemu_ioctl(system, KVM_CREATE_VM, 0, &vm) ||
	    kvmemu_ioctl(vm, KVM_CREATE_VCPU, 0, &vcpu))
		goto out;
	for (uint32_t features = 0x7f; !good && features; features--) {
		struct kvm_vcpu_init init = { .features = { features & ~(1u << KVM_ARM_VCPU_EL1_32BIT) } };
		int sve = KVM_ARM_VCPU_SVE;

		kvmemu_ioctl(vm, KVM_ARM_PREFERRED_TARGET, (uintptr_t)&init.target, NULL);
		init.features[0] = features & ~(1u << KVM_ARM_VCPU_EL1_32BIT);
		if (kvmemu_ioctl(vcpu, KVM_ARM_VCPU_INIT, (uintptr_t)&init, NULL))
			continue;
		kvmemu_ioctl(vcpu, KVM_ARM_VCPU_FINALIZE, (uintptr_t)&sve, NULL);
		good = !kvmemu_ioctl(vcpu, KVM_GET_REG_LIST, (uintptr_t)list, NULL);
	}
	for (uint64_t i = 0; good && i < list[0] && nr_ids < MAX_IDS; i++)
		ids[nr_ids++] = list[1 + i];
out:
	kvmemu_close(vcpu);
	kvmemu_close(vm);
	kvmemu_close(system);
	kvmemu_host_put(host);
	return good;
}

bool requests_setup(void)
{
	for (unsigned int i = 0; i < NR_EVENTFDS; i++)
		eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (size_t i = 0; i < kvmemu_host_count(); i++)
		if (!add_ids_of(kvmemu_host_name(i)))
			return false;
	return nr_ids > 0 && gic_setup();
}

void signal_eventfd(struct input *in)
{
	unsigned int which = choose(in, NR_EVENTFDS);
	const uint64_t one = 1;
	int fd = eventfds[which];
	uint64_t count;

	if (once_in(in, 16)) {
		int other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

		/* It takes the number: a descriptor that the library has for a moment might, were it free. */
		expect(dup3(other, fd, O_CLOEXEC) == fd && !close(other), "there are eventfds");
		return;
	}
	if (write(fd, &one, sizeof(one)) != sizeof(one) && read(fd, &count, sizeof(count)) != sizeof(count))
		return;
}

uint64_t take_register_id(struct input *in)
{
	uint64_t id = ids[choose(in, nr_ids)], size, kind;

	switch (choose(in, 12)) {
	case 0:
		return id ^ 1ull << choose(in, 64);
	case 1:
		return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | take(in, 2);
	case 2:
		size = choose(in, 10);
		kind = 0x10 + choose(in, 8);
		return KVM_REG_ARM64 | size << KVM_REG_SIZE_SHIFT | kind << KVM_REG_ARM_COPROC_SHIFT | take(in, 2);
	case 3:
		return take(in, 8);
	default:
		return id;
	}
}

static void fill_one_reg(struct input *in, void *argument)
{
	struct kvm_one_reg *reg = argument;
	uint64_t value[32];

	reg->id = take_register_id(in);
	reg->addr = take_address(in, KVM_REG_SIZE(reg->id) & 0x1ff);
	if (once_in(in, 2)) {
		for (unsigned int i = 0; i < 4; i++)
			value[i] = take_number(in);
		memset(value + 4, 0, sizeof(value) - 32);
		store(reg->addr, value, KVM_REG_SIZE(reg->id) & 0x1ff);
	}
}

static void fill_list(struct input *in, void *argument)
{
	*(uint64_t *)argument = once_in(in, 2) ? 1000 : take_number(in);
}

static void fill_init(struct input *in, void *argument)
{
	struct kvm_vcpu_init *init = argument;

	init->target = once_in(in, 16) ? (uint32_t)take_number(in) : KVM_ARM_TARGET_GENERIC_V8;
	init->features[0] = (uint32_t)take(in, 1) & 0x7f;
	if (once_in(in, 16))
		init->features[0] = (uint32_t)take(in, 4);
	if (once_in(in, 16))
		init->features[1 + choose(in, 6)] = 1;
}

static void fill_finalize(struct input *in, void *argument)
{
	*(int32_t *)argument = once_in(in, 8) ? (int32_t)take(in, 4) : KVM_ARM_VCPU_SVE;
}

static void fill_mp_state(struct input *in, void *argument)
{
	static const uint32_t states[] = { KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_STOPPED, KVM_MP_STATE_SUSPENDED };

	*(uint32_t *)argument = once_in(in, 8) ? choose(in, 16) : states[choose(in, 3)];
}

static void fill_events(struct input *in, void *argument)
{
	struct kvm_vcpu_events *events = argument;

	events->exception.serror_pending = (uint8_t)choose(in, 2);
	events->exception.serror_has_esr = (uint8_t)choose(in, 2);
	events->exception.ext_dabt_pending = (uint8_t)choose(in, 2);
	events->exception.serror_esr = take_number(in);
}

static void fill_debug(struct input *in, void *argument)
{
	struct kvm_guest_debug *debug = argument;

	debug->control = choose(in, 4);
	debug->control |= choose(in, 5) << 16;
}

static void fill_signal_mask(struct input *in, void *argument)
{
	uint64_t set = take(in, 8);

	((struct kvm_signal_mask *)argument)->len = once_in(in, 8) ? (uint32_t)take_number(in) : 8;
	memcpy((char *)argument + 4, &set, sizeof(set));
}

static void fill_vcpu_attr(struct input *in, void *argument)
{
	struct kvm_device_attr *attr = argument;
	uint64_t value = take_number(in);

	attr->group = choose(in, 4);
	attr->attr = choose(in, 5);
	if (attr->group == KVM_ARM_VCPU_PVTIME_CTRL)
		attr->attr = once_in(in, 16);
	if (attr->group == KVM_ARM_VCPU_PVTIME_CTRL && choose(in, 4))
		value = (uint64_t)choose(in, 64) << 16 | choose(in, 64) * 64;
	else if (attr->group == KVM_ARM_VCPU_PVTIME_CTRL && value >> 22)
		value |= NOWHERE;	/* guest memory that is not ours to have written to */
	else if (once_in(in, 4))
		value = choose(in, 64);
	if (attr->group == KVM_ARM_VCPU_PMU_V3_CTRL && attr->attr == KVM_ARM_VCPU_PMU_V3_FILTER)
		value = choose(in, 1200) | choose(in, 64) << 16 | (uint64_t)choose(in, 3) << 32;	/* base, n, action */
	attr->addr = take_address(in, 8);
	store(attr->addr, &value, sizeof(value));
}

static void fill_region(struct input *in, void *argument)
{
	struct kvm_userspace_memory_region *region = argument;

	region->slot = once_in(in, 16) ? (uint32_t)take_number(in) : choose(in, 6);
	region->flags = choose(in, 4);
	region->guest_phys_addr = once_in(in, 16) ? take_number(in) & ~0xfffull : (uint64_t)choose(in, 64) << 16;
	/* Often the same, so that a slot that is there is changed; partly what is not there. */
	region->memory_size = once_in(in, 4) ? 0 : (uint64_t)(once_in(in, 2) ? 8 : 1 + choose(in, 40)) << 12;
	region->userspace_addr = (uintptr_t)memory + (once_in(in, 2) ? 0 : choose(in, 40)) * MEMORY_PAGE;
	if (once_in(in, 8))
		region->userspace_addr = (uint64_t)choose(in, 64) << 20;
	if (once_in(in, 2000))	/* the log of a slot of terabytes is large, too */
		region->memory_size = take_number(in) & ~0xfffull;
}

static void fill_dirty_log(struct input *in, void *argument)
{
	struct kvm_dirty_log *log = argument;

	log->slot = once_in(in, 16) ? (uint32_t)take_number(in) : choose(in, 6);
	log->padding2 = take_address(in, 8);
}

static void fill_clear_log(struct input *in, void *argument)
{
	struct kvm_clear_dirty_log *log = argument;

	log->slot = once_in(in, 16) ? (uint32_t)take_number(in) : choose(in, 6);
	log->num_pages = choose(in, 70);
	log->first_page = once_in(in, 8) ? take_number(in) : choose(in, 2) * 64;
	log->padding2 = take_address(in, 8);
}

static void fill_irq(struct input *in, void *argument)
{
	struct kvm_irq_level *irq = argument;

	irq->irq = choose(in, 64);
	irq->irq |= choose(in, 4) << KVM_ARM_IRQ_VCPU_SHIFT;
	irq->irq |= choose(in, 3) << KVM_ARM_IRQ_TYPE_SHIFT;
	if (once_in(in, 8))
		irq->irq = (uint32_t)take(in, 4);
	irq->level = choose(in, 2);
}

static void fill_cap(struct input *in, void *argument)
{
	static const uint32_t caps[] = {
		KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_CAP_HALT_POLL, KVM_CAP_ARM_NISV_TO_USER, KVM_CAP_ARM_MTE,
		KVM_CAP_ARM_SYSTEM_SUSPEND,
	};
	struct kvm_enable_cap *cap = argument;

	cap->cap = once_in(in, 4) ? choose(in, 600) : caps[choose(in, sizeof(caps) / sizeof(caps[0]))];
	cap->args[0] = once_in(in, 4) ? take_number(in) : choose(in, 4);
}

static void fill_create_device(struct input *in, void *argument)
{
	struct kvm_create_device *device = argument;

	device->type = once_in(in, 8) ? (uint32_t)take_number(in) : KVM_DEV_TYPE_VFIO + choose(in, 5);
	device->flags = choose(in, 8) ? 0 : choose(in, 3);
}

/* One of the program's own, or none: what else a number stands for is not the library's to read. */
static int take_eventfd(struct input *in)
{
	return once_in(in, 8) ? (once_in(in, 2) ? -1 : 5000) : eventfds[choose(in, NR_EVENTFDS)];
}

/* Few, so that what one call assigns another one finds. */
static uint32_t take_gsi(struct input *in)
{
	return once_in(in, 16) ? (uint32_t)take_number(in) : once_in(in, 4) ? choose(in, 40) : choose(in, 3);
}

static void fill_irqfd(struct input *in, void *argument)
{
	struct kvm_irqfd *irqfd = argument;

	irqfd->fd = (uint32_t)take_eventfd(in);
	irqfd->gsi = take_gsi(in);
	irqfd->flags = once_in(in, 16) ? (uint32_t)take_number(in) : choose(in, 4);
	irqfd->resamplefd = (uint32_t)take_eventfd(in);
}

static void fill_ioeventfd(struct input *in, void *argument)
{
	struct kvm_ioeventfd *io = argument;

	io->datamatch = choose(in, 2);
	io->addr = once_in(in, 16) ? take_number(in) : choose(in, 4) * 8;
	io->len = once_in(in, 8) ? choose(in, 10) : once_in(in, 2) ? 4 : 0;
	io->fd = take_eventfd(in);
	io->flags = once_in(in, 16) ? (uint32_t)take_number(in) : choose(in, 3) * 2 + choose(in, 2);
}

static void fill_zone(struct input *in, void *argument)
{
	struct kvm_coalesced_mmio_zone *zone = argument;

	zone->addr = choose(in, 8) * 4096;
	zone->size = once_in(in, 8) ? (uint32_t)take_number(in) : choose(in, 3) * 4096;
	zone->pio = choose(in, 8) ? 0 : choose(in, 3);
}

static void fill_routing(struct input *in, void *argument)
{
	struct kvm_irq_routing *routing = argument;

	routing->nr = once_in(in, 16) ? (uint32_t)take_number(in) : choose(in, MAX_ROUTES + 1);
	routing->flags = choose(in, 16) ? 0 : 1;
	for (unsigned int i = 0; i < MAX_ROUTES; i++) {
		struct kvm_irq_routing_entry *entry = (struct kvm_irq_routing_entry *)((char *)argument + 8) + i;

		entry->gsi = once_in(in, 16) ? take_gsi(in) : i;
		entry->type = once_in(in, 8) ? choose(in, 6) : KVM_IRQ_ROUTING_IRQCHIP + choose(in, 2);
		entry->flags = choose(in, 4) ? 0 : choose(in, 3);
		entry->u.irqchip.irqchip = choose(in, 8) ? 0 : 1;
		entry->u.irqchip.pin = once_in(in, 4) ? choose(in, 40) : choose(in, 3);
	}
}

static void fill_signal_msi(struct input *in, void *argument)
{
	struct kvm_msi *msi = argument;

	msi->address_lo = once_in(in, 4) ? 0x8090040 : (uint32_t)take_number(in);
	msi->data = choose(in, 64);
	msi->flags = choose(in, 3);
	msi->devid = choose(in, 8);
}

static uint64_t descriptor(struct input *in)
{
	return (uint64_t)(int64_t)take_eventfd(in);
}

static void fill_clone(struct input *in, void *argument)
{
	struct file_clone_range *range = argument;

	range->src_fd = take_eventfd(in);
}

#define DEDUPE_BYTES (sizeof(struct file_dedupe_range) + 3 * sizeof(struct file_dedupe_range_info))

static void fill_dedupe(struct input *in, void *argument)
{
	struct file_dedupe_range *range = argument;

	range->dest_count = once_in(in, 4) ? (uint16_t)take_number(in) : (uint16_t)choose(in, 4);
}

static uint64_t vcpu_id(struct input *in)
{
	return once_in(in, 8) ? take_number(in) : choose(in, 6);
}

static uint64_t capability(struct input *in)
{
	return once_in(in, 8) ? take_number(in) : choose(in, 300);
}

static uint64_t vm_type(struct input *in)
{
	return once_in(in, 4) ? take_number(in) : once_in(in, 2) ? choose(in, 64) : 0;
}

#define WITH(structure, filler) .bytes = sizeof(struct structure), .fill = filler
#define POINTER(structure, member) .pointer = offsetof(struct structure, member)

const struct request requests[] = {
	{ .number = KVM_GET_API_VERSION, .kinds = ON(SYSTEM) },
	{ .number = KVM_CREATE_VM, .kinds = ON(SYSTEM), .creates = VM, .number_argument = vm_type },
	{ .number = KVM_CHECK_EXTENSION, .kinds = ON(SYSTEM) | ON(VM), .number_argument = capability },
	{ .number = KVM_GET_VCPU_MMAP_SIZE, .kinds = ON(SYSTEM) },
	{ .number = KVM_CREATE_VCPU, .kinds = ON(VM), .creates = VCPU, .number_argument = vcpu_id },
	{ .number = KVM_GET_DIRTY_LOG, .kinds = ON(VM), WITH(kvm_dirty_log, fill_dirty_log),
	  POINTER(kvm_dirty_log, dirty_bitmap) },
	{ .number = KVM_SET_USER_MEMORY_REGION, .kinds = ON(VM), WITH(kvm_userspace_memory_region, fill_region),
	  POINTER(kvm_userspace_memory_region, userspace_addr) },
	{ .number = KVM_CLEAR_DIRTY_LOG, .kinds = ON(VM), WITH(kvm_clear_dirty_log, fill_clear_log),
	  POINTER(kvm_clear_dirty_log, dirty_bitmap) },
	{ .number = KVM_CREATE_IRQCHIP, .kinds = ON(VM) },
	{ .number = KVM_IRQ_LINE, .kinds = ON(VM), WITH(kvm_irq_level, fill_irq) },
	{ .number = KVM_IRQ_LINE_STATUS, .kinds = ON(VM), WITH(kvm_irq_level, fill_irq) },
	{ .number = KVM_SIGNAL_MSI, .kinds = ON(VM), WITH(kvm_msi, fill_signal_msi) },
	{ .number = KVM_IRQFD, .kinds = ON(VM), WITH(kvm_irqfd, fill_irqfd), .descriptors = true },
	{ .number = KVM_IOEVENTFD, .kinds = ON(VM), WITH(kvm_ioeventfd, fill_ioeventfd), .descriptors = true },
	{ .number = KVM_REGISTER_COALESCED_MMIO, .kinds = ON(VM), WITH(kvm_coalesced_mmio_zone, fill_zone) },
	{ .number = KVM_UNREGISTER_COALESCED_MMIO, .kinds = ON(VM), WITH(kvm_coalesced_mmio_zone, fill_zone) },
	{ .number = KVM_SET_GSI_ROUTING, .kinds = ON(VM), .bytes = 8 + MAX_ROUTES * sizeof(struct kvm_irq_routing_entry),
	  .fill = fill_routing },
	{ .number = KVM_ARM_SET_DEVICE_ADDR, .kinds = ON(VM), WITH(kvm_arm_device_addr, NULL) },
	{ .number = KVM_ARM_PREFERRED_TARGET, .kinds = ON(VM), WITH(kvm_vcpu_init, NULL) },
	{ .number = KVM_ARM_MTE_COPY_TAGS, .kinds = ON(VM), WITH(kvm_arm_copy_mte_tags, NULL) },
	{ .number = KVM_CREATE_DEVICE, .kinds = ON(VM), .creates = DEVICE, WITH(kvm_create_device, fill_create_device) },
	{ .number = KVM_ENABLE_CAP, .kinds = ON(VM), WITH(kvm_enable_cap, fill_cap) },
	{ .number = KVM_GET_STATS_FD, .kinds = ON(VM) | ON(VCPU), .creates = STATS },
	{ .number = KVM_SET_SIGNAL_MASK, .kinds = ON(VCPU), .bytes = 12, .fill = fill_signal_mask },
	{ .number = KVM_GET_MP_STATE, .kinds = ON(VCPU), WITH(kvm_mp_state, NULL) },
	{ .number = KVM_SET_MP_STATE, .kinds = ON(VCPU), WITH(kvm_mp_state, fill_mp_state) },
	{ .number = KVM_SET_GUEST_DEBUG, .kinds = ON(VCPU), WITH(kvm_guest_debug, fill_debug) },
	{ .number = KVM_GET_VCPU_EVENTS, .kinds = ON(VCPU), WITH(kvm_vcpu_events, NULL) },
	{ .number = KVM_SET_VCPU_EVENTS, .kinds = ON(VCPU), WITH(kvm_vcpu_events, fill_events) },
	{ .number = KVM_GET_ONE_REG, .kinds = ON(VCPU), WITH(kvm_one_reg, fill_one_reg),
	  POINTER(kvm_one_reg, addr) },
	{ .number = KVM_SET_ONE_REG, .kinds = ON(VCPU), WITH(kvm_one_reg, fill_one_reg),
	  POINTER(kvm_one_reg, addr) },
	{ .number = KVM_GET_ONE_REG, .kinds = ON(VCPU), WITH(kvm_one_reg, fill_one_reg),
	  POINTER(kvm_one_reg, addr) },		/* the most used, so more often */
	{ .number = KVM_SET_ONE_REG, .kinds = ON(VCPU), WITH(kvm_one_reg, fill_one_reg),
	  POINTER(kvm_one_reg, addr) },
	{ .number = KVM_ARM_VCPU_INIT, .kinds = ON(VCPU), WITH(kvm_vcpu_init, fill_init) },
	{ .number = KVM_GET_REG_LIST, .kinds = ON(VCPU), .bytes = 8, .fill = fill_list },
	{ .number = KVM_ARM_VCPU_FINALIZE, .kinds = ON(VCPU), .bytes = 4, .fill = fill_finalize },
	{ .number = KVM_SET_DEVICE_ATTR, .kinds = ON(VCPU), WITH(kvm_device_attr, fill_vcpu_attr),
	  POINTER(kvm_device_attr, addr) },
	{ .number = KVM_GET_DEVICE_ATTR, .kinds = ON(VCPU), WITH(kvm_device_attr, fill_vcpu_attr),
	  POINTER(kvm_device_attr, addr) },
	{ .number = KVM_HAS_DEVICE_ATTR, .kinds = ON(VCPU), WITH(kvm_device_attr, fill_vcpu_attr),
	  POINTER(kvm_device_attr, addr) },
	{ .number = KVM_SET_DEVICE_ATTR, .kinds = ON(DEVICE), WITH(kvm_device_attr, fill_gic_attr),
	  POINTER(kvm_device_attr, addr) },
	{ .number = KVM_GET_DEVICE_ATTR, .kinds = ON(DEVICE), WITH(kvm_device_attr, fill_gic_attr),
	  POINTER(kvm_device_attr, addr) },
	{ .number = KVM_HAS_DEVICE_ATTR, .kinds = ON(DEVICE), WITH(kvm_device_attr, fill_gic_attr),
	  POINTER(kvm_device_attr, addr) },
	{ .number = KVM_SET_REGS, .kinds = ON(VCPU), WITH(kvm_regs, NULL) },
	{ .number = KVM_TRANSLATE, .kinds = ON(VCPU), .bytes = 24 },
	{ .number = KVM_TRACE_ENABLE, .kinds = ON(SYSTEM) },
	{ .number = FIOQSIZE, .kinds = ALL_FILES, .bytes = 8 },
	{ .number = FIGETBSZ, .kinds = ALL_FILES, .bytes = 4 },
	{ .number = FIFREEZE, .kinds = ALL_FILES },
	{ .number = FITHAW, .kinds = ALL_FILES },
	{ .number = FS_IOC_FIEMAP, .kinds = ALL_FILES, WITH(fiemap, NULL) },
	{ .number = FICLONE, .kinds = ALL_FILES, .number_argument = descriptor },
	{ .number = FICLONERANGE, .kinds = ALL_FILES, WITH(file_clone_range, fill_clone) },
	{ .number = FIDEDUPERANGE, .kinds = ALL_FILES, .bytes = DEDUPE_BYTES, .fill = fill_dedupe },
	{ .number = FS_IOC_SETFLAGS, .kinds = ALL_FILES, .bytes = 4 },
	{ .number = FS_IOC_FSSETXATTR, .kinds = ALL_FILES, WITH(fsxattr, NULL) },
};

const size_t nr_requests = sizeof(requests) / sizeof(requests[0]);
