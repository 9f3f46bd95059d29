/* SPDX-License-Identifier: MIT */
/*
 * The distributor's frame, GICv2 and GICv3. Layer: vgic. Source: vgic-mmio-v2.c, vgic-mmio-v3.c, Linux 6.1.
 */
#include <errno.h>

#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "mmio.h"

#define PRODUCT_KVM 0x4bu
#define IMPLEMENTER_ARM 0x43bu
#define IIDR_REVISION_SHIFT 12
#define IIDR_REVISION_MASK (0xfu << IIDR_REVISION_SHIFT)
#define CTLR_V2_ENABLE 1u
#define CTLR_ENABLE_G1 (1u << 1)	/* EnableGrp1 with one security state */
#define CTLR_ARE (1u << 4)
#define CTLR_DS (1u << 6)
#define TYPER_ID_BITS_SHIFT 19
#define ID_BITS_WITHOUT_LPIS 10
#define PIDR2 (0xffe8u - 0xffd0u)

static uint64_t ctlr_rd(const struct vgic_access *a)
{
	bool enabled = a->vm->vgic.enabled;

	if (a->vm->vgic.model == VGIC_V2)
		return enabled ? CTLR_V2_ENABLE : 0;
	return (enabled ? CTLR_ENABLE_G1 : 0) | CTLR_ARE | CTLR_DS;
}

static void ctlr_wr(const struct vgic_access *a, uint64_t val)
{
	struct vgic *vgic = &a->vm->vgic;
	bool was_enabled = vgic->enabled;

	vgic->enabled = val & (vgic->model == VGIC_V2 ? CTLR_V2_ENABLE : CTLR_ENABLE_G1);
	/* A GICv3 that user space enables wakes nobody: the vCPUs are not running. */
	if (!was_enabled && vgic->enabled && !(a->user && vgic->model == VGIC_V3))
		vgic_kick_vcpus(a->vm);
}

static uint64_t typer_rd(const struct vgic_access *a)
{
	uint32_t lines = (a->vm->vgic.nr_spis + VGIC_NR_PRIVATE_IRQS) / 32 - 1;

	if (a->vm->vgic.model == VGIC_V2)
		return lines | (a->vm->nr_vcpus - 1) << 5;
	return lines | (ID_BITS_WITHOUT_LPIS - 1) << TYPER_ID_BITS_SHIFT;
}

static uint64_t iidr_rd(const struct vgic_access *a)
{
	return PRODUCT_KVM << 24 | a->vm->vgic.revision << IIDR_REVISION_SHIFT | IMPLEMENTER_ARM;
}

/*
 * Restoring IIDR chooses the behaviour of an older KVM. For a GICv2 it also says that user space knows of groups:
 * only then may it write them.
 */
static int iidr_restore(const struct vgic_access *a, uint64_t val)
{
	uint32_t revision = (val & IIDR_REVISION_MASK) >> IIDR_REVISION_SHIFT;

	if ((val ^ iidr_rd(a)) & ~(uint64_t)IIDR_REVISION_MASK)
		return -EINVAL;
	if (revision < 2 || revision > 3)
		return -EINVAL;
	a->vm->vgic.revision = revision;
	if (a->vm->vgic.model == VGIC_V2)
		a->vm->vgic.v2_groups_writable = true;
	return 0;
}

/* GICD_TYPER2 is zero without GICv4.1, and must be restored as such. */
static int typer2_restore(const struct vgic_access *a, uint64_t val)
{
	(void)a;
	return val ? -EINVAL : 0;
}

static int group_restore(const struct vgic_access *a, uint64_t val)
{
	if (a->vm->vgic.model == VGIC_V3 || a->vm->vgic.v2_groups_writable)
		vgic_group_wr(a, val);
	return 0;
}

/* Pending state, which the two versions save and restore differently. */
static uint64_t pending_save(const struct vgic_access *a)
{
	return a->vm->vgic.model == VGIC_V3 ? vgic_latch_rd(a) : vgic_pending_rd(a);
}

static int pending_restore(const struct vgic_access *a, uint64_t val)
{
	return a->vm->vgic.model == VGIC_V3 ? vgic_latch_restore(a, val) : vgic_v2_pending_restore(a, val);
}

static uint64_t pending_clear_save(const struct vgic_access *a)
{
	return a->vm->vgic.model == VGIC_V3 ? 0 : vgic_pending_rd(a);
}

static int pending_clear_restore(const struct vgic_access *a, uint64_t val)
{
	return a->vm->vgic.model == VGIC_V3 ? 0 : vgic_v2_pending_discard(a, val);
}

static uint64_t target_rd(const struct vgic_access *a)
{
	uint64_t val = 0;

	for (unsigned int n = 0; n < a->bytes; n++) {
		const struct vgic_irq *irq = vgic_get_irq(a->vm, a->vcpu, a->intid + n);

		val |= (uint64_t)(irq ? irq->targets : 0) << n * 8;
	}
	return val;
}

/* An SPI goes to the first of its targets, or to vCPU 0 if there is none. Those of private interrupts are fixed. */
static void target_wr(const struct vgic_access *a, uint64_t val)
{
	uint8_t present = (uint8_t)((1u << a->vm->nr_vcpus) - 1);

	if (a->intid < VGIC_NR_PRIVATE_IRQS)
		return;
	for (unsigned int n = 0; n < a->bytes; n++) {
		struct vgic_irq *irq = vgic_get_irq(a->vm, NULL, a->intid + n);

		if (!irq)
			return;
		irq->targets = val >> n * 8 & present;
		irq->target = a->vm->vcpus[irq->targets ? __builtin_ctz(irq->targets) : 0];
	}
}

/* Software-generated interrupts of a GICv2. The sender is whose register it is: a->vcpu. */
static void sgir_wr(const struct vgic_access *a, uint64_t val)
{
	uint32_t filter = val >> 24 & 3, targets = val >> 16 & 0xff, self = 1u << a->vcpu->id;

	if (filter == 3)
		return;
	if (filter == 1)
		targets = ((1u << a->vm->nr_vcpus) - 1) & ~self;
	else if (filter == 2)
		targets = self;
	for (unsigned int i = 0; i < a->vm->nr_vcpus; i++) {
		struct vgic_irq *irq = vgic_get_irq(a->vm, a->vm->vcpus[i], val & 0xf);

		if (!(targets >> i & 1))
			continue;
		irq->latch = true;
		irq->source |= (uint8_t)self;
		vgic_queue_irq(a->vm, irq);
	}
}

static uint64_t sgi_source_rd(const struct vgic_access *a)
{
	uint64_t val = 0;

	for (unsigned int n = 0; n < a->bytes; n++)
		val |= (uint64_t)a->vcpu->vgic.private_irqs[a->at + n].source << n * 8;
	return val;
}

static void sgi_source_clear(const struct vgic_access *a, uint64_t val)
{
	for (unsigned int n = 0; n < a->bytes; n++) {
		struct vgic_irq *irq = &a->vcpu->vgic.private_irqs[a->at + n];

		irq->source &= (uint8_t)~(val >> n * 8);
		if (!irq->source)
			irq->latch = false;
	}
}

static void sgi_source_set(const struct vgic_access *a, uint64_t val)
{
	for (unsigned int n = 0; n < a->bytes; n++) {
		struct vgic_irq *irq = &a->vcpu->vgic.private_irqs[a->at + n];

		irq->source |= (uint8_t)(val >> n * 8);
		if (irq->source) {
			irq->latch = true;
			vgic_queue_irq(a->vm, irq);
		}
	}
}

/* Affinity routing; Aff3 is not there, so that upper halves are RAZ/WI. */
static uint64_t irouter_rd(const struct vgic_access *a)
{
	const struct vgic_irq *irq = vgic_get_irq(a->vm, NULL, a->intid);

	return irq && !(a->at & 4) ? irq->mpidr : 0;
}

static void irouter_wr(const struct vgic_access *a, uint64_t val)
{
	struct vgic_irq *irq = vgic_get_irq(a->vm, NULL, a->intid);

	if (!irq || a->at & 4)
		return;
	irq->mpidr = val & 0xffffff;
	irq->target = vm_vcpu_of_affinity(a->vm, irq->mpidr);
}

static uint64_t idregs_rd(const struct vgic_access *a)
{
	return a->at == PIDR2 ? 0x3b : 0;	/* ArchRev 3, JEP106 of Arm */
}

#define PER_INTID(bits) .bytes = (bits) * 1024 / 8, .bits_per_intid = (bits)
#define ON_BOTH (ON_V2 | ON_V3)

static const struct vgic_reg rows[] = {
	{ .name = "GICD_CTLR", .off = 0x0000, .bytes = 4, .models = ON_BOTH, .sizes = ACC_32, .rd = ctlr_rd,
	  .wr = ctlr_wr, .restore = KVMEMU_RESTORE_CONTROL },
	{ .name = "GICD_TYPER", .off = 0x0004, .bytes = 4, .models = ON_BOTH, .sizes = ACC_32, .rd = typer_rd,
	  .wr = vgic_wi },
	{ .name = "GICD_IIDR", .off = 0x0008, .bytes = 4, .models = ON_BOTH, .sizes = ACC_32, .rd = iidr_rd,
	  .wr = vgic_wi, .user_wr = iidr_restore, .restore = KVMEMU_RESTORE_REVISION },
	{ .name = "GICD_TYPER2", .off = 0x000c, .bytes = 4, .models = ON_V3, .sizes = ACC_32, .rd = vgic_raz,
	  .wr = vgic_wi, .user_wr = typer2_restore },
	{ .name = "GICD_STATUSR", .off = 0x0010, .bytes = 4, .models = ON_V3, .sizes = ACC_32, .rd = vgic_rao,
	  .wr = vgic_wi },
	{ .name = "GICD_IGROUPR", .off = 0x0080, PER_INTID(1), .models = ON_BOTH, .sizes = ACC_32,
	  .shared_only = true, .rd = vgic_group_rd, .wr = vgic_group_wr, .user_wr = group_restore,
	  .restore = KVMEMU_RESTORE_CONFIG },
	{ .name = "GICD_ISENABLER", .off = 0x0100, PER_INTID(1), .models = ON_BOTH, .sizes = ACC_32,
	  .shared_only = true, .rd = vgic_enable_rd, .wr = vgic_enable_set,
	  .restore = KVMEMU_RESTORE_STATE, .cleared_by = 0x0180 },
	{ .name = "GICD_ICENABLER", .off = 0x0180, PER_INTID(1), .models = ON_BOTH, .sizes = ACC_32,
	  .shared_only = true, .rd = vgic_enable_rd, .wr = vgic_enable_clear },
	{ .name = "GICD_ISPENDR", .off = 0x0200, PER_INTID(1), .models = ON_BOTH, .sizes = ACC_32,
	  .shared_only = true, .rd = vgic_pending_rd, .wr = vgic_pending_set, .user_rd = pending_save,
	  .user_wr = pending_restore, .restore = KVMEMU_RESTORE_STATE, .cleared_by = 0x0280 },
	{ .name = "GICD_ICPENDR", .off = 0x0280, PER_INTID(1), .models = ON_BOTH, .sizes = ACC_32,
	  .shared_only = true, .rd = vgic_pending_rd, .wr = vgic_pending_clear, .user_rd = pending_clear_save,
	  .user_wr = pending_clear_restore },
	{ .name = "GICD_ISACTIVER", .off = 0x0300, PER_INTID(1), .models = ON_BOTH, .sizes = ACC_32,
	  .shared_only = true, .rd = vgic_active_rd, .wr = vgic_active_set,
	  .restore = KVMEMU_RESTORE_STATE, .cleared_by = 0x0380 },
	{ .name = "GICD_ICACTIVER", .off = 0x0380, PER_INTID(1), .models = ON_BOTH, .sizes = ACC_32,
	  .shared_only = true, .rd = vgic_active_rd, .wr = vgic_active_clear },
	{ .name = "GICD_IPRIORITYR", .off = 0x0400, PER_INTID(8), .models = ON_BOTH, .sizes = ACC_32 | ACC_8,
	  .shared_only = true, .rd = vgic_priority_rd, .wr = vgic_priority_wr, .restore = KVMEMU_RESTORE_CONFIG },
	{ .name = "GICD_ITARGETSR", .off = 0x0800, PER_INTID(8), .models = ON_V2, .sizes = ACC_32 | ACC_8,
	  .rd = target_rd, .wr = target_wr, .restore = KVMEMU_RESTORE_CONFIG },
	{ .name = "GICD_ITARGETSR", .off = 0x0800, PER_INTID(8), .models = ON_V3, .sizes = ACC_32 | ACC_8,
	  .rd = vgic_raz, .wr = vgic_wi },
	{ .name = "GICD_ICFGR", .off = 0x0c00, PER_INTID(2), .models = ON_BOTH, .sizes = ACC_32, .shared_only = true,
	  .rd = vgic_config_rd, .wr = vgic_config_wr, .restore = KVMEMU_RESTORE_CONFIG },
	{ .name = "GICD_IGRPMODR", .off = 0x0d00, PER_INTID(1), .models = ON_V3, .sizes = ACC_32, .rd = vgic_raz,
	  .wr = vgic_wi },
	{ .name = "GICD_SGIR", .off = 0x0f00, .bytes = 4, .models = ON_V2, .sizes = ACC_32, .rd = vgic_raz,
	  .wr = sgir_wr },
	{ .name = "GICD_CPENDSGIR", .off = 0x0f10, .bytes = 16, .bits_per_intid = 8, .models = ON_V2,
	  .sizes = ACC_32 | ACC_8, .rd = sgi_source_rd, .wr = sgi_source_clear },
	{ .name = "GICD_SPENDSGIR", .off = 0x0f20, .bytes = 16, .bits_per_intid = 8, .models = ON_V2,
	  .sizes = ACC_32 | ACC_8, .rd = sgi_source_rd, .wr = sgi_source_set,
	  .restore = KVMEMU_RESTORE_SGI_SOURCES, .cleared_by = 0x0f10 },
	{ .name = "GICD_IROUTER", .off = 0x6000, PER_INTID(64), .models = ON_V3, .sizes = ACC_64 | ACC_32,
	  .shared_only = true, .rd = irouter_rd, .wr = irouter_wr, .restore = KVMEMU_RESTORE_CONFIG },
	{ .name = "GICD_IDREGS", .off = 0xffd0, .bytes = 48, .models = ON_V3, .sizes = ACC_32, .rd = idregs_rd,
	  .wr = vgic_wi },
};

const struct vgic_table vgic_dist_table = { .rows = rows, .nr = sizeof(rows) / sizeof(rows[0]) };
