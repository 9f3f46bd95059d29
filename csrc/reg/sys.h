/* SPDX-License-Identifier: MIT */
/*
 * System registers: what KVM does with each. A row a register, indexed as the architecture's list is. Layer: reg.
 * Source: sys_reg_descs[] and invariant_sys_regs[], arch/arm64/kvm/sys_regs.c, Linux 6.1.
 */
#ifndef KVMEMU_REG_SYS_H
#define KVMEMU_REG_SYS_H

#include "../vm/vcpu.h"

/* What a KVM register is to user space. */
enum sys_kind {
	SYS_ABSENT,	/* trapped or unknown: ENOENT; a guest may have it, by guest_rd and guest_wr */
	SYS_STORED,	/* a value of the vCPU's own */
	SYS_ID,		/* the host's value, less what this vCPU lacks; only that same value may be written */
	SYS_RAZ,	/* zero; only zero may be written. ID registers that KVM hides, or that are not allocated */
	SYS_RAZ_WI,	/* zero; writes are ignored */
	SYS_INVARIANT,	/* the host's value; listed and looked up before all others */
};

/* Bits of a row's visibility for one vCPU. */
#define SYS_HIDDEN 1u	/* not there */
#define SYS_AS_RAZ 2u	/* there, but zero */
#define SYS_USER_WI 4u	/* writes are ignored */

struct sys_row {
	enum sys_kind kind;
	enum sysreg alias;	/* where the value is kept, if not under its own index */
	/* With these two, all that user space's accesses look at, in one place. */
	unsigned int (*visibility)(const struct vcpu *vcpu);
	int (*user_rd)(struct vcpu *vcpu, enum sysreg reg, uint64_t *value);
	int (*user_wr)(struct vcpu *vcpu, enum sysreg reg, uint64_t value);
	uint64_t (*reset)(const struct vcpu *vcpu, const struct sys_row *row);	/* NULL: reset leaves it alone */
	uint64_t reset_value;
	uint64_t bits;		/* that an UNKNOWN value after reset has, and that a guest reads; 0: all */
	uint64_t lost;		/* bits that the recorded hosts' hardware does not keep: zero after a KVM_RUN */
	bool guest_ro;		/* SYS_STORED: the guest may only read it */
	bool traps;		/* every access of a guest's: it is left for KVM to emulate it */
	/* A guest's, if not what follows from the kind. -ENOENT: UNDEFINED, as where guest_has says no. */
	bool (*guest_has)(const struct vcpu *vcpu, enum sysreg reg);
	int (*guest_rd)(struct vcpu *vcpu, enum sysreg reg, uint64_t *value);
	int (*guest_wr)(struct vcpu *vcpu, enum sysreg reg, uint64_t value);
};

extern const struct sys_row sys_rows[SR_COUNT];

/* An ID register as the guest of this vCPU sees it. */
uint64_t sys_id_value(const struct vcpu *vcpu, enum sysreg reg);

/* A guest's MRS and MSR of a register that is KVM's or the vCPU's own; -ENOENT where they are UNDEFINED. */
int sys_guest_read(struct vcpu *vcpu, enum sysreg reg, uint64_t *value);
int sys_guest_write(struct vcpu *vcpu, enum sysreg reg, uint64_t value);

/*
 * Whether such an access traps in a guest that is debugged, which one that steps it can tell. Source: HCR_GUEST_FLAGS,
 * vcpu_reset_hcr(), kvm_arm_setup_mdcr_el2(), Linux 6.1.
 */
bool sys_guest_traps(const struct vcpu *vcpu, enum sysreg reg, bool write);

/* The ONE_REG id of a system register. */
uint64_t sys_reg_id(enum sysreg reg);

#endif
