/* SPDX-License-Identifier: MIT */
/* The GIC in a fuzzing session. Part of the tests. */
#include "gic.h"

#include <kvmemu/uapi.h>

#include "../../csrc/ioctl/guest.h"

#define MAX_REGS 800

/* The frames of both versions, with the offsets of their registers. */
static struct frame {
	int version;
	enum kvmemu_gic_frame frame;
	uint32_t group;
	uint32_t offset[MAX_REGS];
	unsigned int n;
} frames[] = {
	{ .version = 2, .frame = KVMEMU_GICD, .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS },
	{ .version = 2, .frame = KVMEMU_GICC, .group = KVM_DEV_ARM_VGIC_GRP_CPU_REGS },
	{ .version = 3, .frame = KVMEMU_GICD, .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS },
	{ .version = 3, .frame = KVMEMU_GICR, .group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS },
	{ .version = 3, .frame = KVMEMU_ICC, .group = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS },
};

#define NR_FRAMES (sizeof(frames) / sizeof(frames[0]))

bool gic_setup(void)
{
	for (struct frame *f = frames; f < frames + NR_FRAMES; f++) {
		struct kvmemu_gic_reg reg = { 0 };
		uint32_t from = 0;

		while (f->n < MAX_REGS && !kvmemu_gic_reg_from(f->version, f->frame, from, &reg)) {
			f->offset[f->n++] = reg.offset;
			from = reg.offset + (f->frame == KVMEMU_ICC ? 1 : reg.bytes);
		}
		if (!f->n)
			return false;
	}
	return true;
}

/* An attribute of a register; in the upper half is the vCPU: its index for GICv2, its affinity for GICv3. */
static uint64_t take_register_attr(struct input *in, const struct frame *f)
{
	uint64_t attr = f->offset[choose(in, f->n)], whose = choose(in, 3);

	if (once_in(in, 16))
		attr += take(in, 1);
	return attr | (once_in(in, 16) ? take(in, 4) : whose) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
}

static uint64_t take_frame_address(struct input *in)
{
	uint64_t base = (uint64_t)choose(in, 64) << 16;

	return once_in(in, 8) ? take_number(in) : base;
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
		attr->attr = take_number(in);
		break;
	default:
		attr->group = f->group;
		attr->attr = take_register_attr(in, f);
	}
	attr->addr = take_address(in, 8);
	store(attr->addr, &value, sizeof(value));
}

static long set_attr(struct kvmemu_file *device, uint32_t group, uint64_t attr, uint64_t value)
{
	const struct kvm_device_attr set = { .group = group, .attr = attr, .addr = (uintptr_t)&value };

	return counted(kvmemu_ioctl(device, KVM_SET_DEVICE_ATTR, (uintptr_t)&set, NULL));
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
	if (v2) {
		set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_DIST, 0x8000000);
		set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU, 0x8010000);
	} else {
		set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, 0x8000000);
		set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, 0x80a0000);
	}
	if (choose(&s->in, 8))
		set_attr(device, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
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

/* What the guest would do: a store to somewhere, and the end of an interrupt. */
void guest_action(struct session *s)
{
	uint64_t ipa = once_in(&s->in, 8) ? take_number(&s->in) : (uint64_t)choose(&s->in, 64) * 8;
	uint32_t bytes = once_in(&s->in, 8) ? (uint32_t)take_number(&s->in) : 1u << choose(&s->in, 4);
	uint64_t value = choose(&s->in, 2);
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (file && choose(&s->in, 4))
		counted(kvmemu_guest_store(file, ipa, bytes, value));
	else if (file)
		counted(kvmemu_guest_eoi(file, choose(&s->in, 80)));
}
