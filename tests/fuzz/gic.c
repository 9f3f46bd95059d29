/* SPDX-License-Identifier: MIT */
/* The GIC in a fuzzing session. Part of the tests. */
#include "gic.h"

#include <kvmemu/uapi.h>

#include "../../csrc/ioctl/guest.h"

#define MAX_ROWS 64
#define FEW 40
#define REDIST_BYTES 0x20000u

/* The frames of both versions, with their registers: those that are one array, one behind the other, are a row. */
static struct frame {
	int version;
	enum kvmemu_gic_frame frame;
	uint32_t group;
	struct row {
		char stem[24];
		uint32_t offset, bytes;
		unsigned int n;
	} row[MAX_ROWS];
	unsigned int nr_rows;
} frames[] = {
	{ .version = 2, .frame = KVMEMU_GICD, .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS },
	{ .version = 2, .frame = KVMEMU_GICC, .group = KVM_DEV_ARM_VGIC_GRP_CPU_REGS },
	{ .version = 3, .frame = KVMEMU_GICD, .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS },
	{ .version = 3, .frame = KVMEMU_GICR, .group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS },
	{ .version = 3, .frame = KVMEMU_ICC, .group = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS },
};

#define NR_FRAMES (sizeof(frames) / sizeof(frames[0]))

/* A name without the number at its end. */
static void stem_of(const char *name, char *stem)
{
	size_t length = strlen(name);

	while (length && name[length - 1] >= '0' && name[length - 1] <= '9')
		length--;
	memcpy(stem, name, length);
	stem[length] = 0;
}

static bool add_register(struct frame *f, const struct kvmemu_gic_reg *reg)
{
	struct row *last = f->nr_rows ? &f->row[f->nr_rows - 1] : NULL;
	char stem[sizeof(reg->name)];

	stem_of(reg->name, stem);
	if (last && f->frame != KVMEMU_ICC && !strcmp(last->stem, stem)) {
		last->n++;
		return true;
	}
	if (f->nr_rows == MAX_ROWS)
		return false;
	f->row[f->nr_rows] = (struct row){ .offset = reg->offset, .bytes = reg->bytes, .n = 1 };
	memcpy(f->row[f->nr_rows++].stem, stem, sizeof(stem));
	return true;
}

bool gic_setup(void)
{
	for (struct frame *f = frames; f < frames + NR_FRAMES; f++) {
		struct kvmemu_gic_reg reg = { 0 };
		uint32_t from = 0;

		while (!kvmemu_gic_reg_from(f->version, f->frame, from, &reg)) {
			if (!add_register(f, &reg))
				return false;
			from = reg.offset + (f->frame == KVMEMU_ICC ? 1 : reg.bytes);
		}
		if (!f->nr_rows)
			return false;
	}
	return true;
}

/* Any kind of register as often as any other, and mostly one of interrupts that are used elsewhere too. */
static uint32_t take_offset(struct input *in, const struct frame *f)
{
	const struct row *row = &f->row[choose(in, f->nr_rows)];
	unsigned int n = row->n > FEW && !once_in(in, 8) ? FEW : row->n;

	return row->offset + choose(in, n) * row->bytes;
}

/* An attribute of a register; in the upper half is the vCPU: its index for GICv2, its affinity for GICv3. */
static uint64_t take_register_attr(struct input *in, const struct frame *f)
{
	uint64_t attr = take_offset(in, f), whose = choose(in, 3);

	if (once_in(in, 16))
		attr += take(in, 1);
	return attr | (once_in(in, 16) ? take(in, 4) : whose) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
}

uint64_t take_gic_address(struct input *in)
{
	const struct frame *f = &frames[choose(in, NR_FRAMES)];
	uint32_t offset = take_offset(in, f);

	switch (f->frame) {
	case KVMEMU_GICD:
		return DIST_BASE + offset;
	case KVMEMU_GICC:
		return CPU_BASE + (once_in(in, 2) ? choose(in, 64) * 4 : offset);	/* a guest has some more */
	default:
		return REDIST_BASE + choose(in, 3) * REDIST_BYTES + (f->frame == KVMEMU_GICR ? offset : 0);
	}
}

/* Anywhere; where frames are; or where memory ends. */
static uint64_t take_frame_address(struct input *in)
{
	uint64_t near = (uint64_t)choose(in, 64) << 16;

	switch (choose(in, 8)) {
	case 0:
		return take_number(in);
	case 1:
		return (1ull << 40) - near;
	case 2:
		return 0 - near;
	case 3:
		return near;
	default:
		return DIST_BASE + near;
	}
}

void fill_gic_attr(struct input *in, void *argument)
{
	struct kvm_device_attr *attr = argument;
	const struct frame *f = &frames[choose(in, NR_FRAMES)];
	uint64_t value = take_number(in);

	switch (choose(in, 16)) {
	case 0:
		attr->group = KVM_DEV_ARM_VGIC_GRP_ADDR;
		attr->attr = choose(in, 7);
		value = take_frame_address(in);
		if (attr->attr == KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION)
			value |= (uint64_t)choose(in, 8) << 52 | choose(in, 4);
		break;
	case 1:
		attr->group = KVM_DEV_ARM_VGIC_GRP_NR_IRQS;
		value = choose(in, 34) * 32;
		break;
	case 2:
		attr->group = KVM_DEV_ARM_VGIC_GRP_CTRL;
		attr->attr = choose(in, 5);
		break;
	case 3:
		attr->group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;
		attr->attr = (uint64_t)choose(in, 2) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT | choose(in, 33) * 32;
		break;
	case 4:
		attr->group = choose(in, 12);
		attr->attr = once_in(in, 2) ? choose(in, 3) : take_number(in);
		break;
	default:
		attr->group = f->group;
		attr->attr = take_register_attr(in, f);
	}
	attr->addr = take_address(in, 8);
	store(attr->addr, &value, sizeof(value));
}

/* As many zones as the bus has room for, or nearly: redistributors that find no place. */
static void crowd(struct session *s, struct kvmemu_file *vm)
{
	unsigned int n = 996 + choose(&s->in, 8);

	for (unsigned int i = 0; i < n; i++) {
		const struct kvm_coalesced_mmio_zone zone = { .addr = (1ull << 32) + i * 4096ull, .size = 8 };

		kvmemu_ioctl(vm, KVM_REGISTER_COALESCED_MMIO, (uintptr_t)&zone, NULL);
	}
}

static long set_attr(struct kvmemu_file *device, uint32_t group, uint64_t attr, uint64_t value)
{
	const struct kvm_device_attr set = { .group = group, .attr = attr, .addr = (uintptr_t)&value };

	return counted(kvmemu_ioctl(device, KVM_SET_DEVICE_ATTR, (uintptr_t)&set, NULL));
}

/* Mostly where it is meant to be; or where it does not fit, alone or with the others. */
static uint64_t place(struct input *in, uint64_t base)
{
	return once_in(in, 32) ? take_frame_address(in) : base;
}

/* In one run, or in a few, of which one begins where another ends. */
static void place_redistributors(struct session *s, struct kvmemu_file *device)
{
	uint64_t base = place(&s->in, REDIST_BASE);

	if (choose(&s->in, 4)) {
		set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, base);
		return;
	}
	for (uint64_t index = 0; index < 3; index++) {
		uint64_t count = 1 + choose(&s->in, 2);

		set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
			 count << 52 | base | index);
		base += count * REDIST_BYTES;
	}
}

/*
 * Two vCPUs' interrupts, private ones and the first SPIs, as a guest would configure them: it takes some. Their groups,
 * triggers and what is pending are the input's to say.
 */
static void enable_interrupts(struct session *s, struct kvmemu_file *device)
{
	const uint32_t dist = KVM_DEV_ARM_VGIC_GRP_DIST_REGS, private = s->v2 ? dist : KVM_DEV_ARM_VGIC_GRP_REDIST_REGS;
	const uint32_t icc = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, sgi_frame = s->v2 ? 0 : 0x10000;
	struct input *in = &s->in;

	set_attr(device, dist, 0, 3);					/* GICD_CTLR */
	set_attr(device, dist, 0x84, once_in(in, 2) ? ~0u : take(in, 4));	/* GICD_IGROUPR1 */
	set_attr(device, dist, 0x104, ~0u);				/* GICD_ISENABLER1 */
	set_attr(device, dist, 0x204, choose(in, 4));			/* GICD_ISPENDR1: few, or list registers are full */
	set_attr(device, dist, 0x820, 0x01020301);			/* GICD_ITARGETSR8 */
	set_attr(device, dist, 0xc08, take(in, 4));			/* GICD_ICFGR2 */
	for (uint64_t vcpu = 0; vcpu < 2; vcpu++) {
		uint64_t whose = vcpu << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;

		set_attr(device, private, whose | (sgi_frame + 0x80), once_in(in, 2) ? ~0u : take(in, 4));
		set_attr(device, private, whose | (sgi_frame + 0x100), ~0u);
		set_attr(device, private, whose | (sgi_frame + 0x200), 1u << choose(in, 32));
		if (s->v2) {
			set_attr(device, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, whose | 0, 3 | take(in, 2));	/* GICC_CTLR */
			set_attr(device, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, whose | 4, 0xf8);		/* GICC_PMR */
			continue;
		}
		set_attr(device, icc, whose | 0xc230, 0xf8);		/* ICC_PMR_EL1 */
		set_attr(device, icc, whose | 0xc666, 1);		/* ICC_IGRPEN0_EL1, and ICC_IGRPEN1_EL1 */
		set_attr(device, icc, whose | 0xc667, 1);
	}
}

void make_gic(struct session *s, struct kvmemu_file *vm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	bool v2 = once_in(&s->in, 3);
	struct kvmemu_file *device;

	if (v2)
		create.type = KVM_DEV_TYPE_ARM_VGIC_V2;
	if (counted(kvmemu_ioctl(vm, KVM_CREATE_DEVICE, (uintptr_t)&create, &device))) {
		v2 = !v2;
		create.type = v2 ? KVM_DEV_TYPE_ARM_VGIC_V2 : KVM_DEV_TYPE_ARM_VGIC_V3;
		if (counted(kvmemu_ioctl(vm, KVM_CREATE_DEVICE, (uintptr_t)&create, &device)))
			return;
	}
	keep_file(s, device, DEVICE);
	s->v2 = v2;
	if (once_in(&s->in, 64))
		crowd(s, vm);
	if (once_in(&s->in, 16))
		return;
	if (v2) {
		set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_DIST, place(&s->in, DIST_BASE));
		set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU, place(&s->in, CPU_BASE));
	} else {
		set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, place(&s->in, DIST_BASE));
		place_redistributors(s, device);
	}
	if (choose(&s->in, 8))
		set_attr(device, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
	if (once_in(&s->in, 2))
		enable_interrupts(s, device);
}

void gic_batch(struct session *s)
{
	struct kvmemu_file *device = file_of_kind(s, DEVICE);
	uint64_t attrs = take_address(&s->in, 64), values = take_address(&s->in, 64);
	size_t n = choose(&s->in, 12), bytes = choose(&s->in, 100), done = 0;
	const struct frame *f = &frames[choose(&s->in, NR_FRAMES)];
	uint32_t group = f->group;

	for (size_t i = 0; i < n; i++) {
		const uint64_t attr = take_register_attr(&s->in, f);

		store(attrs + i * 8, &attr, sizeof(attr));
	}
	if (once_in(&s->in, 16))
		group = choose(&s->in, 12);
	if (!device)
		return;
	if (once_in(&s->in, 2))
		counted(kvmemu_get_attrs(device, group, (void *)attrs, n, (void *)values, bytes, &done));
	else
		counted(kvmemu_set_attrs(device, group, (void *)attrs, n, (void *)values, bytes, &done));
	expect(done <= n, "a batch does no more than it was given");
}

void gic_change(struct session *s)
{
	struct kvmemu_file *device = file_of_kind(s, DEVICE);
	const struct frame *f = &frames[choose(&s->in, NR_FRAMES)];
	const uint64_t attr = take_register_attr(&s->in, f);
	uint64_t value = 0;
	const struct kvm_device_attr of = { .group = f->group, .attr = attr, .addr = (uintptr_t)&value };

	if (!device || counted(kvmemu_ioctl(device, KVM_GET_DEVICE_ATTR, (uintptr_t)&of, NULL)))
		return;
	if (choose(&s->in, 4))
		value ^= 1ull << choose(&s->in, 32);
	counted(kvmemu_ioctl(device, KVM_SET_DEVICE_ATTR, (uintptr_t)&of, NULL));
}

void gic_line(struct session *s)
{
	struct kvmemu_file *vm = file_of_kind(s, VM);
	bool spi = once_in(&s->in, 2);
	uint32_t type = spi ? KVM_ARM_IRQ_TYPE_SPI : KVM_ARM_IRQ_TYPE_PPI;
	uint32_t irq = type << KVM_ARM_IRQ_TYPE_SHIFT | ((spi ? 32 : 16) + choose(&s->in, 18));

	if (!spi)
		irq |= choose(&s->in, 3) << KVM_ARM_IRQ_VCPU_SHIFT;
	if (vm)
		counted(kvmemu_irq_line(vm, irq, choose(&s->in, 2)));
}

void gic_inspect(struct session *s)
{
	uint32_t intid = once_in(&s->in, 8) ? (uint32_t)take(&s->in, 4) : choose(&s->in, 300);
	uint32_t vcpu_id = choose(&s->in, 4);
	struct kvmemu_gic_irq irq = { .intid = ~0u };
	struct kvmemu_gic_reg reg;
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (file && !counted(kvmemu_gic_irq(file, vcpu_id, intid, &irq)))
		expect(irq.intid == intid, "the interrupt asked for is shown");
	counted(kvmemu_gic_reg_from((int)(intid % 5), (int)vcpu_id, (uint32_t)take_number(&s->in), &reg));
}

void guest_action(struct session *s)
{
	uint64_t ipa = once_in(&s->in, 8) ? take_number(&s->in) : (uint64_t)choose(&s->in, 8) * 8;
	uint32_t bytes = once_in(&s->in, 8) ? (uint32_t)take_number(&s->in) : 1u << choose(&s->in, 4);
	uint64_t value = choose(&s->in, 2);
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (file && choose(&s->in, 4))
		counted(kvmemu_guest_store(file, ipa, bytes, value));
	else if (file)
		counted(kvmemu_guest_eoi(file, once_in(&s->in, 4) ? choose(&s->in, 80) : 32 + choose(&s->in, 3)));
}
