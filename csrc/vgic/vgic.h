/* SPDX-License-Identifier: MIT */
/*
 * The virtual GIC: interrupts, distributor, redistributors, CPU interfaces. GICv2 and GICv3. Layer: vgic.
 * Source: arch/arm64/kvm/vgic/, Linux 6.1; Arm IHI 0048 (GICv2), IHI 0069 (GICv3).
 *
 * One lock, vgic->lock, guards all interrupt and register state of a VM. It is taken last, for short, and nothing under
 * it waits or allocates. Linux has a lock an interrupt and one an ap_list; what they protect is the same.
 */
#ifndef KVMEMU_VGIC_VGIC_H
#define KVMEMU_VGIC_VGIC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../switch/cpu_if.h"

struct vm;
struct vcpu;

#define VGIC_NR_SGIS 16
#define VGIC_NR_PRIVATE_IRQS 32
#define VGIC_DEFAULT_SPIS (256 - VGIC_NR_PRIVATE_IRQS)	/* where user space sets no NR_IRQS */
#define VGIC_MAX_SPI 1019
#define VGIC_UNDEFINED UINT64_MAX	/* an address that is not set */
#define VGIC_PRIORITY_MASK 0xf8u	/* KVM keeps 5 bits of priority, whatever the host has */

#define VGIC_V2_DIST_BYTES 0x1000ull
#define VGIC_V2_CPU_BYTES 0x2000ull
#define VGIC_V3_DIST_BYTES 0x10000ull
#define VGIC_V3_REDIST_BYTES 0x20000ull

enum vgic_model { VGIC_NONE, VGIC_V2, VGIC_V3 };

struct vgic_irq {
	struct vgic_irq *next;	/* on the ap_list of vcpu */
	struct vcpu *vcpu;	/* whose ap_list it is on; NULL: none */
	struct vcpu *target;	/* where it goes when it is next pending */
	const void *owner;	/* the device in the kernel that alone may inject it; NULL: user space */
	uint32_t intid;
	uint32_t mpidr;		/* GICv3: affinity of the target */
	uint16_t hwintid;	/* with hw: the host's interrupt */
	uint8_t targets;	/* GICv2: mask of target CPU interfaces */
	uint8_t source;		/* GICv2 SGIs: mask of the senders */
	uint8_t active_source;
	uint8_t priority;
	bool edge;		/* config: else level */
	bool line;		/* input level */
	bool latch;		/* pending latch: edge, or set by a register */
	bool active;
	bool enabled;
	bool group1;
	bool hw;		/* mapped to a host interrupt */
};

/* A run of redistributor frames. */
struct redist_region {
	struct redist_region *next;
	uint32_t index;
	uint32_t count;		/* 0: the one legacy region, as long as there are vCPUs */
	uint32_t free_index;	/* frames given out; never given back */
	uint64_t base;
};

/* Per vCPU. */
struct vgic_cpu {
	struct vgic_irq private_irqs[VGIC_NR_PRIVATE_IRQS];
	struct vgic_irq *ap_list;	/* in order of queueing; switch/ sorts it where list registers are too few */

	struct redist_region *region;
	uint32_t region_index;
	uint64_t redist_base;
	bool redist_on_bus;
	uint32_t redist_ctlr;		/* GICR_CTLR.EnableLPIs */
	uint64_t pendbaser;

	/* The CPU interface, in the layout of the host's GIC; while the guest runs it is in the hardware. */
	struct cpu_if cpu_if;
	uint8_t pri_bits;
	uint8_t id_bits;
};

/* Per VM. */
struct vgic {
	pthread_mutex_t lock;
	_Atomic enum vgic_model model;	/* of the guest; VGIC_NONE: no interrupt controller in the kernel */
	atomic_bool initialized;	/* interrupts exist */
	atomic_bool ready;		/* frames are mapped, for good */
	bool enabled;			/* GICD_CTLR */
	bool v2_groups_writable;
	uint32_t revision;		/* GICD_IIDR.Revision */
	_Atomic uint32_t nr_spis;
	uint64_t dist_base;
	uint64_t cpu_base;
	uint64_t propbaser;
	struct redist_region *regions;
	struct vgic_irq *spis;
};

/*
 * Lifetime (init.c).
 */
void vgic_early_init(struct vgic *vgic);
void vgic_free(struct vm *vm);

/* At creation of a vCPU; EINVAL if its redistributor has no room. Source: kvm_vgic_vcpu_init(). */
int vgic_vcpu_init(struct vcpu *vcpu);

/* KVM_CREATE_DEVICE, KVM_CREATE_IRQCHIP; with vm->lock. EEXIST, EBUSY, E2BIG. Source: kvm_vgic_create(). */
int vgic_create(struct vm *vm, enum vgic_model model);

/* Whether this host can have such a device. */
bool vgic_host_has(const struct vm *vm, enum vgic_model model);

/* KVM_DEV_ARM_VGIC_CTRL_INIT; with vm->lock. EBUSY, ENOMEM. Source: vgic_init(). */
int vgic_init(struct vm *vm);

/* GICv2 is initialised by its first use, GICv3 is not: EBUSY. Source: vgic_lazy_init(). */
int vgic_lazy_init(struct vm *vm);

/* At a VM's first KVM_RUN: the frames are settled. A failure ends the VM. Source: kvm_vgic_map_resources(). */
int vgic_map_resources(struct vm *vm);

static inline bool vgic_in_kernel(const struct vgic *vgic)
{
	return vgic->model != VGIC_NONE;
}

/*
 * Where the frames are (frames.c).
 */
/* A frame may be put here: EEXIST, EINVAL, E2BIG. Source: vgic_check_iorange(). */
int vgic_check_range(const struct vm *vm, uint64_t now, uint64_t base, uint64_t alignment, uint64_t bytes);
int vgic_set_redist_base(struct vm *vm, uint32_t index, uint64_t base, uint32_t count);
struct redist_region *vgic_redist_region(const struct vgic *vgic, uint32_t index);
int vgic_register_redist(struct vcpu *vcpu);
void vgic_unregister_redist(struct vcpu *vcpu);
bool vgic_v3_frames_fit(const struct vm *vm);

/*
 * Interrupts (irq.c); all with vgic->lock.
 */
/* NULL if there is none; vcpu is for private ones. */
struct vgic_irq *vgic_get_irq(struct vm *vm, struct vcpu *vcpu, uint32_t intid);

static inline bool vgic_irq_is_pending(const struct vgic_irq *irq)
{
	return irq->latch || (!irq->edge && irq->line);
}

/* Which vCPU it belongs to now: an active one stays where it is, others go to their target; NULL for none. */
struct vcpu *vgic_target_of(const struct vm *vm, const struct vgic_irq *irq);

/* To the end of a vCPU's ap_list, which is kicked; it is on none. */
void vgic_append(struct vcpu *vcpu, struct vgic_irq *irq);

/* Puts it on its vCPU's ap_list if it should be on one, and wakes that vCPU. Source: vgic_queue_irq_unlock(). */
void vgic_queue_irq(struct vm *vm, struct vgic_irq *irq);

/* The vCPU has something to take: WFI ends. Source: kvm_vgic_vcpu_pending_irq(). */
bool vgic_has_pending_irq(struct vcpu *vcpu);
void vgic_kick_vcpus(struct vm *vm);

/* Without the lock: an input changes. EINVAL, EBUSY. Source: kvm_vgic_inject_irq(). */
int vgic_inject(struct vm *vm, struct vcpu *vcpu, uint32_t intid, bool level, const void *owner);

/*
 * Injects to the vCPU at an index. Linux's callers pass a vCPU's id where this index is meant: where the two differ the
 * interrupt goes elsewhere, or is refused.
 */
int vgic_inject_at(struct vm *vm, uint32_t index, uint32_t intid, bool level, const void *owner);

/* Without the lock: an interrupt is mapped to the host's; and its state is cleared, if it is, when its device is reset. */
void vgic_map_irq(struct vcpu *vcpu, uint32_t intid, uint32_t hwintid);
void vgic_reset_mapped_irq(struct vcpu *vcpu, uint32_t intid);

/* Without the lock: reserves an interrupt for a device in the kernel. EAGAIN, EINVAL, EEXIST. */
int vgic_set_owner(struct vcpu *vcpu, uint32_t intid, const void *owner);

/*
 * Register access by offset (mmio.c): frames as tables.
 */
enum vgic_frame { VGIC_FRAME_DIST, VGIC_FRAME_REDIST, VGIC_FRAME_CPU };

/* What KVM_HAS_DEVICE_ATTR asks. */
bool vgic_has_reg(const struct vm *vm, enum vgic_frame frame, uint32_t offset);

/* User-space access, 32 bits; with vgic->lock. Offsets without a register read as zero and ignore writes. */
uint32_t vgic_user_read(struct vcpu *vcpu, enum vgic_frame frame, uint32_t offset);
int vgic_user_write(struct vcpu *vcpu, enum vgic_frame frame, uint32_t offset, uint32_t value);

/*
 * The guest's accesses to the frames in its memory: bytes is 1, 2, 4 or 8. What no row takes reads as zero and ignores
 * writes. With vgic->lock, and the vCPU out of its guest. Source: dispatch_mmio_read(), dispatch_mmio_write().
 */
struct vgic_place {
	enum vgic_frame frame;
	uint32_t offset;
	struct vcpu *vcpu;	/* whose redistributor; for other frames, whose access */
};

/* False if there is no frame there: neither the distributor's nor a redistributor's. Without the lock. */
bool vgic_find_place(struct vcpu *requester, uint64_t ipa, uint32_t bytes, struct vgic_place *place);
uint64_t vgic_guest_read(struct vcpu *requester, const struct vgic_place *place, uint32_t bytes);
void vgic_guest_write(struct vcpu *requester, const struct vgic_place *place, uint32_t bytes, uint64_t value);

/* What is there is an active state that may be in another vCPU's list registers: that one must leave its guest first. */
bool vgic_touches_active(const struct vm *vm, const struct vgic_place *place);

/* ICC_SGI1R_EL1, ICC_ASGI1R_EL1, ICC_SGI0R_EL1: the latter two make group 0 ones only. Source: vgic_v3_dispatch_sgi(). */
void vgic_send_sgi(struct vcpu *sender, uint64_t value, bool group1);

/*
 * The host's side of a mapped interrupt (hw.c); with vgic->lock. on: the vCPU whose physical CPU it is done on.
 */
bool vgic_phys_line(const struct vcpu *vcpu, const struct vgic_irq *irq);
void vgic_set_phys_active(struct vcpu *on, const struct vgic_irq *irq, bool active);
void vgic_clear_phys_pending(struct vcpu *on, const struct vgic_irq *irq);

/*
 * Names of registers (names.c).
 */
#define VGIC_REG_NAME_BYTES 24

struct vgic_reg_info {
	char name[VGIC_REG_NAME_BYTES];
	uint32_t offset;
	uint32_t bytes;		/* 4 or 8 */
	uint32_t bits_per_intid;	/* 0: not a field an interrupt */
	uint32_t intid;		/* of the first field */
	uint32_t restore;	/* enum kvmemu_gic_restore */
	uint32_t cleared_by;
};

/* The register that an offset is in or, if there is none, the next one; false past the last. */
bool vgic_reg_from(enum vgic_model model, enum vgic_frame frame, uint32_t offset, struct vgic_reg_info *info);

/* The same of the ICC system registers that user space may access, by encoding. */
bool vgic_icc_from(uint16_t encoding, struct vgic_reg_info *info);

/*
 * CPU interface (cpuif.c).
 */
struct vgic_vmcr {
	uint32_t grpen0, grpen1, ackctl, fiqen, cbpr, eoim, abpr, bpr, pmr;
};

void vgic_get_vmcr(const struct vcpu *vcpu, struct vgic_vmcr *vmcr);
void vgic_set_vmcr(struct vcpu *vcpu, const struct vgic_vmcr *vmcr);
void vgic_enable_cpu(struct vcpu *vcpu);

/*
 * What the hardware makes of a VMCR that is loaded into it as a vCPU is put on a physical CPU: binary points have a least
 * value. One that is loaded only where the guest is entered is left alone: the world switch does it. With vgic.lock.
 */
void vgic_load_vmcr(struct vcpu *vcpu);

/* ICC_* by system register encoding; ENOENT, EINVAL. Source: arch/arm64/kvm/vgic-sys-reg-v3.c. */
bool vgic_has_icc(uint16_t encoding);
int vgic_icc_read(struct vcpu *vcpu, uint16_t encoding, uint64_t *value);
int vgic_icc_write(struct vcpu *vcpu, uint16_t encoding, uint64_t value);

/* Line levels of 32 interrupts from intid. */
uint32_t vgic_line_levels(struct vcpu *vcpu, uint32_t intid);
void vgic_set_line_levels(struct vcpu *vcpu, uint32_t intid, uint32_t levels);

#endif
