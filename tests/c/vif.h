/* SPDX-License-Identifier: MIT */
/* A virtual CPU interface to drive: hosts of all kinds, list registers in either format. Part of the tests. */
#ifndef KVMEMU_TESTS_VIF_H
#define KVMEMU_TESTS_VIF_H

#include <stdlib.h>
#include <string.h>

#include "../../csrc/machine/host.h"
#include "../../csrc/machine/host_gic.h"
#include "../../csrc/machine/machine.h"
#include "../../csrc/machine/pcpu.h"
#include "../../csrc/machine/virt_cpuif.h"
#include "check.h"

#define GICV_CTLR 0x0000
#define GICV_PMR 0x0004
#define GICV_BPR 0x0008
#define GICV_IAR 0x000c
#define GICV_EOIR 0x0010
#define GICV_RPR 0x0014
#define GICV_HPPIR 0x0018
#define GICV_ABPR 0x001c
#define GICV_AIAR 0x0020
#define GICV_AEOIR 0x0024
#define GICV_AHPPIR 0x0028
#define GICV_STATUSR 0x002c
#define GICV_APR0 0x00d0
#define GICV_IIDR 0x00fc
#define GICV_DIR 0x1000

enum kind { V3, V3_COMPAT, V2 };

static inline struct kvmemu_host test_host(enum kind kind, uint32_t nr_lr, uint32_t bits)
{
	struct kvmemu_host host = { .counter_hz = 1000 };

	host.gic.version = kind == V2 ? 2 : 3;
	host.gic.v2_compat = kind == V3_COMPAT;
	host.gic.list_registers = nr_lr;
	host.gic.priority_bits = bits;
	host.gic.icc_ctlr = kind == V2 ? 0 : 1u << 15 | 1u << 11 | (bits - 1) << 8;	/* A3V, 24 bits of INTID */
	return host;
}

/* A machine of one's own; ends with machine_put(). */
static inline struct machine *make_machine(enum kind kind)
{
	struct kvmemu_host *host = malloc(sizeof(*host));
	struct machine *machine = NULL;

	if (!ok(host))
		_exit(1);
	*host = test_host(kind, 4, 5);
	atomic_init(&host->refs, 1);
	must(machine_create(host, &machine));
	kvmemu_host_put(host);
	return machine;
}

/* Ready: all enabled, nothing masked, no traps. V3_COMPAT: for a GICv2 guest. */
static inline struct virt_cpuif make_vif(enum kind kind, uint32_t nr_lr, uint32_t bits)
{
	struct kvmemu_host host = test_host(kind, nr_lr, bits);
	struct virt_cpuif vif;

	virt_cpuif_init(&vif, &host, NULL);
	if (kind == V3_COMPAT) {
		virt_cpuif_write_sre_el1(&vif, 0);
		virt_cpuif_isb(&vif);
	}
	virt_cpuif_write_hcr(&vif, ICH_HCR_EN);
	virt_cpuif_write_vmcr(&vif, ICH_VMCR_ENG0 | ICH_VMCR_ENG1 | 0xffu << ICH_VMCR_PMR_SHIFT);
	return vif;
}

enum { INVALID, PENDING, ACTIVE, PENDING_ACTIVE };

/* A list register in the host's format; group 1 if asked. */
static inline uint64_t make_lr(const struct virt_cpuif *vif, unsigned int state, bool group1, uint32_t priority,
			       uint32_t vintid)
{
	if (vif->v2)
		return (uint64_t)state << 28 | (uint64_t)group1 << 30 | (uint64_t)(priority >> 3) << 23 | vintid;
	return (uint64_t)state << 62 | (uint64_t)group1 << 60 | (uint64_t)priority << 48 | vintid;
}

static inline uint64_t make_hw_lr(const struct virt_cpuif *vif, unsigned int state, bool group1, uint32_t priority,
				  uint32_t vintid, uint32_t pintid)
{
	uint64_t lr = make_lr(vif, state, group1, priority, vintid);

	return vif->v2 ? lr | GICH_LR_HW | (uint64_t)pintid << 10 : lr | ICH_LR_HW | (uint64_t)pintid << 32;
}

static inline unsigned int lr_state(const struct virt_cpuif *vif, unsigned int n)
{
	return (lr_pending(vif, vif->lr[n]) ? PENDING : 0) | (lr_active(vif, vif->lr[n]) ? ACTIVE : 0);
}

static inline uint64_t icc(struct virt_cpuif *vif, enum sysreg reg)
{
	uint64_t value = UINT64_MAX;

	equal(icv_read(vif, reg, &value), 0);
	return value;
}

static inline void set_icc(struct virt_cpuif *vif, enum sysreg reg, uint64_t value)
{
	equal(icv_write(vif, reg, value), 0);
}

#endif
