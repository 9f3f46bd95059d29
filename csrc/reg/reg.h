/* SPDX-License-Identifier: MIT */
/*
 * The registers of a vCPU behind KVM_GET_ONE_REG, KVM_SET_ONE_REG and KVM_GET_REG_LIST. Layer: reg.
 * Callers hold vcpu->lock. Nothing here touches a caller's memory: values come through a reg_input.
 */
#ifndef KVMEMU_REG_REG_H
#define KVMEMU_REG_REG_H

#include <stddef.h>
#include <stdint.h>

#include "../vm/vcpu.h"

#define REG_MAX_BYTES 256	/* KVM_REG_SIZE_U2048, the largest */

/*
 * Where a register's new value comes from. When it is fetched is part of KVM's interface: a bad pointer and an unknown
 * register have different errors, and which of them is found first differs from one kind of register to the next.
 */
struct reg_input {
	int (*fetch)(const struct reg_input *input, void *value, size_t bytes);
	uint64_t addr;
};

/* Reads a register; value has REG_MAX_BYTES, of which *bytes are set. Source: kvm_arm_get_reg(), Linux 6.1. */
int one_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes);

/* Writes a register. Source: kvm_arm_set_reg(), Linux 6.1. */
int one_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input);

/*
 * The ids of all registers in Linux's order. room is how many fit in ids (NULL with 0 to count only); the result is how
 * many there are.
 */
size_t one_reg_list(const struct vcpu *vcpu, uint64_t *ids, size_t room);

/* A list under construction: counts past its room. */
struct reg_list {
	uint64_t *ids;
	size_t n, room;
};

static inline void reg_list_add(struct reg_list *list, uint64_t id)
{
	if (list->n < list->room)
		list->ids[list->n] = id;
	list->n++;
}

/* The kinds of registers, each in a file of its name. */
int core_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes);
int core_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input);
void core_reg_list(const struct vcpu *vcpu, struct reg_list *list);

int sve_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes);
int sve_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input);
void sve_reg_list(const struct vcpu *vcpu, struct reg_list *list);
uint16_t sve_host_max_vq(const struct kvmemu_host *host);
size_t sve_state_bytes(const struct vcpu *vcpu);

int fw_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes);
int fw_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input);
void fw_reg_list(struct reg_list *list);

/* What a write is checked for, on 32-bit hosts too, whose latest PSCI is 1.0. */
int fw_set_psci_version(struct vcpu *vcpu, uint64_t version, bool wants_0_2, uint64_t latest);
int fw_check_workaround(uint64_t level, uint64_t host_level);

/* The PSCI that the vCPU's guest has, as PSCI_VERSION() is. Source: kvm_psci_version(), Linux 6.1. */
uint64_t fw_psci_version(const struct vcpu *vcpu);

int sys_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes);
int sys_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input);
void sys_reg_list(const struct vcpu *vcpu, struct reg_list *list);
void sysregs_reset(struct vcpu *vcpu);

/* The EL1 registers were on a physical CPU, which does not keep all of their bits. */
void sysregs_pass_hardware(struct vcpu *vcpu);

/* PMCR_EL0 as user space wrote it takes effect: of a vCPU with a PMU, at the first KVM_RUN that gets as far as the guest. */
void pmu_apply_pmcr(struct vcpu *vcpu);

/* Events are numbered from 0 to below this. */
unsigned int pmu_nr_events(const struct kvmemu_host *host);

/* The PMU's interrupt line is up. */
bool pmu_overflowed(const struct vcpu *vcpu);

/* Of 32-bit hosts as well. */
int demux_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes);
int demux_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input);
void demux_reg_list(const struct vcpu *vcpu, struct reg_list *list);

/* 32-bit hosts: all of a vCPU's registers, in arm32*.c. */
int arm32_alloc(struct arm32_state **state);
void arm32_free(struct arm32_state *state);
int arm32_reset(struct vcpu *vcpu);
int arm32_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes);
int arm32_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input);
void arm32_reg_list(const struct vcpu *vcpu, struct reg_list *list);

/* Ids and names of 32-bit registers, for names.c: these fill in id, kind and name. 0 or -ENOENT. */
struct kvmemu_reg_info;
int arm32_reg_describe(uint64_t id, struct kvmemu_reg_info *info);
int arm32_reg_find(const char *name, struct kvmemu_reg_info *info);

#endif
