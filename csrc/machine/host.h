/* SPDX-License-Identifier: MIT */
/*
 * A host profile: what the modelled machine and its kernel are. Immutable once parsed. Layer: machine.
 *
 * Profiles are recorded from a real Linux (tests/oracle) and written as TOML (kvmemu/profiles/); what the core reads is
 * the same keys one a line, "gic.version 3", so that a C program and the preload library need no TOML parser.
 */
#ifndef KVMEMU_MACHINE_HOST_H
#define KVMEMU_MACHINE_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kvmemu.h"
#include "sysreg.h"

#define HOST_NR_CAPS 512	/* capability numbers from 0; those beyond answer 0 */
#define HOST_NR_CACHES 14	/* CSSELR values that KVM lists, as CSSELR_MAX in sys_regs.c (v6.1) */
#define HOST_MAX_CP15 128

enum host_arch { HOST_ARM64, HOST_ARM32 };

struct kvmemu_host {
	atomic_int refs;
	char name[64];
	char kernel[64];
	char description[160];
	enum host_arch arch;

	struct {
		uint32_t version;	/* 2 or 3 */
		bool v2_compat;		/* GICv3 with GICv2 compatibility for guests */
		uint32_t list_registers;
		uint32_t priority_bits;
		uint32_t icc_ctlr;	/* ICC_CTLR_EL1 of a new vCPU: priority and INTID bits, SEIS, A3V */
		bool its;
		bool v4_1;
	} gic;

	uint64_t counter_hz;
	uint32_t target;		/* what KVM_ARM_PREFERRED_TARGET answers */
	bool aarch32_el0;
	uint32_t page_bytes;
	uint64_t sve_vqs;		/* bit n: vector length of (n + 1) * 128 bits is there */
	uint64_t ctr;			/* CTR_EL0 of the CPU itself, where KVM's may say more; 0: as reg[] has it */
	uint32_t pmu_type;		/* perf's number of the CPU PMU, for KVM_ARM_VCPU_PMU_V3_SET_PMU */

	/* KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1..3: the level the host offers. */
	uint64_t workaround[3];

	/* KVM_CHECK_EXTENSION on a VM, and the few capabilities whose answer on the system differs. */
	int32_t cap[HOST_NR_CAPS];
	int32_t system_cap[HOST_NR_CAPS];

	/*
	 * Register values that belong to the machine, as a vCPU with every feature sees them: ID registers, invariant
	 * registers, what ACTLR_EL1, AMAIR_EL1 and PMCR_EL0 reset to, and the events in PMCEID0_EL0 and PMCEID1_EL0.
	 */
	uint64_t reg[SR_COUNT];
	uint32_t ccsidr[HOST_NR_CACHES];
	uint64_t dbgauthstatus;

	/* 32-bit hosts: CP15 registers with host-given values, as KVM register id and value. */
	struct {
		uint64_t id;
		uint64_t value;
	} cp15[HOST_MAX_CP15];
	size_t nr_cp15;
};

static inline struct kvmemu_host *host_ref(struct kvmemu_host *host)
{
	atomic_fetch_add_explicit(&host->refs, 1, memory_order_relaxed);
	return host;
}

static inline int host_cap(const struct kvmemu_host *host, unsigned long cap)
{
	return cap < HOST_NR_CAPS ? host->cap[cap] : 0;
}

/* A host whose text is compiled in: csrc/machine/builtin_hosts.c, generated from kvmemu/profiles/. */
struct builtin_host {
	const char *name;
	const char *text;
};

extern const struct builtin_host builtin_hosts[];
extern const size_t nr_builtin_hosts;

#endif
