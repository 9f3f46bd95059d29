/* SPDX-License-Identifier: MIT */
/* Register frames as tables: what a row is, and the accessors that rows share. Layer: vgic. */
#ifndef KVMEMU_VGIC_MMIO_H
#define KVMEMU_VGIC_MMIO_H

#include "kvmemu.h"
#include "vgic.h"

#define ON_V2 1u
#define ON_V3 2u
#define ACC_8 1u
#define ACC_32 4u
#define ACC_64 8u

/* One access to a register: whose banked copy, and from where in the row. */
struct vgic_access {
	struct vm *vm;
	struct vcpu *vcpu;	/* whose banked or redistributor registers */
	uint32_t intid;		/* of the first field; only for rows with a field an interrupt */
	uint32_t at;		/* bytes into the row */
	uint32_t bytes;
	bool user;		/* from user space, not from the guest */
	struct vcpu *requester;	/* the vCPU whose guest does it; NULL for user space */
};

/*
 * A register or an array of them. User space sees what the guest sees, unless user_rd or user_wr says otherwise; its
 * accesses are of 32 bits.
 */
struct vgic_reg {
	const char *name;
	uint32_t off;
	uint32_t bytes;
	uint8_t bits_per_intid;	/* 0: not a field an interrupt */
	uint8_t models;		/* ON_V2, ON_V3: the guest's GIC */
	uint8_t sizes;		/* ACC_*: the guest's accesses */
	bool shared_only;	/* fields of private interrupts are RAZ/WI here: the redistributor has them */
	uint8_t restore;	/* enum kvmemu_gic_restore: when a saved VM's value is written */
	uint32_t cleared_by;	/* for fields that are set by ones: the register that clears them, written first */
	uint64_t (*rd)(const struct vgic_access *a);
	void (*wr)(const struct vgic_access *a, uint64_t val);
	uint64_t (*user_rd)(const struct vgic_access *a);
	int (*user_wr)(const struct vgic_access *a, uint64_t val);
};

struct vgic_table {
	const struct vgic_reg *rows;
	unsigned int nr;
};

extern const struct vgic_table vgic_dist_table;
extern const struct vgic_table vgic_redist_table;
extern const struct vgic_table vgic_cpu_table;

const struct vgic_table *vgic_table_of(enum vgic_frame frame);
unsigned int vgic_model_bit(enum vgic_model model);

/* Accessors for fields of interrupts (fields.c). */
uint64_t vgic_raz(const struct vgic_access *a);
uint64_t vgic_rao(const struct vgic_access *a);
void vgic_wi(const struct vgic_access *a, uint64_t val);
int vgic_user_wi(const struct vgic_access *a, uint64_t val);
uint64_t vgic_group_rd(const struct vgic_access *a);
void vgic_group_wr(const struct vgic_access *a, uint64_t val);
uint64_t vgic_enable_rd(const struct vgic_access *a);
void vgic_enable_set(const struct vgic_access *a, uint64_t val);
void vgic_enable_clear(const struct vgic_access *a, uint64_t val);
uint64_t vgic_pending_rd(const struct vgic_access *a);
void vgic_pending_set(const struct vgic_access *a, uint64_t val);
void vgic_pending_clear(const struct vgic_access *a, uint64_t val);
uint64_t vgic_active_rd(const struct vgic_access *a);
void vgic_active_set(const struct vgic_access *a, uint64_t val);
void vgic_active_clear(const struct vgic_access *a, uint64_t val);
uint64_t vgic_priority_rd(const struct vgic_access *a);
void vgic_priority_wr(const struct vgic_access *a, uint64_t val);
uint64_t vgic_config_rd(const struct vgic_access *a);
void vgic_config_wr(const struct vgic_access *a, uint64_t val);

/* GICv3 user space keeps the pending latch apart from the line. */
uint64_t vgic_latch_rd(const struct vgic_access *a);
int vgic_latch_restore(const struct vgic_access *a, uint64_t val);

/* GICv2 user space: as the guest, and SGIs too. */
int vgic_v2_pending_restore(const struct vgic_access *a, uint64_t val);
int vgic_v2_pending_discard(const struct vgic_access *a, uint64_t val);

#endif
