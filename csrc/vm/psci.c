/* SPDX-License-Identifier: MIT */
/* PSCI: a row a function. Layer: vm. Source: arch/arm64/kvm/psci.c, Linux 6.1; Arm DEN0022. */
#include "psci.h"

#include <string.h>

#include "../reg/reg.h"
#include "power.h"
#include "pstate.h"

#define V0_1 PSCI_VERSION(0, 1)
#define V0_2 PSCI_VERSION(0, 2)
#define V1_0 PSCI_VERSION(1, 0)
#define V1_1 PSCI_VERSION(1, 1)
#define ANY UINT32_MAX

#define LEVEL_BITS 8		/* of MPIDR_EL1, an affinity level */
#define MAX_LEVEL 3

struct psci_row {
	uint32_t id;
	uint32_t first, last;	/* PSCI versions that have it */
	bool narrow;		/* a 32-bit call: arguments are cut before they are used, and stay so where they are kept */
	bool on_request;	/* only with KVM_CAP_ARM_SYSTEM_SUSPEND */
	enum smccc_next (*handle)(struct vcpu *vcpu);
};

static const struct psci_row *offered(const struct vcpu *vcpu, uint32_t id);

static enum smccc_next version(struct vcpu *vcpu)
{
	return smccc_return(vcpu, (int64_t)fw_psci_version(vcpu));
}

static enum smccc_next features(struct vcpu *vcpu)
{
	uint32_t id = (uint32_t)vcpu->x[1];

	return smccc_return(vcpu, id == SMCCC_VERSION || offered(vcpu, id) ? PSCI_RET_SUCCESS : PSCI_RET_NOT_SUPPORTED);
}

static enum smccc_next migrate_info_type(struct vcpu *vcpu)
{
	return smccc_return(vcpu, PSCI_0_2_TOS_MP);
}

/* Every state is standby: registers are kept, and interrupts end it. */
static enum smccc_next cpu_suspend(struct vcpu *vcpu)
{
	smccc_return(vcpu, PSCI_RET_SUCCESS);
	return SMCCC_WAITS;
}

/* The result is seen by whom user space lets run again. */
static enum smccc_next cpu_off(struct vcpu *vcpu)
{
	vcpu_power_off(vcpu);
	return smccc_return(vcpu, PSCI_RET_SUCCESS);
}

/* How the guest accesses data where it runs now. */
static bool is_big_endian(const struct vcpu *vcpu)
{
	uint64_t sctlr = vcpu->sys[SR_SCTLR_EL1];

	if (vcpu->pstate & PSTATE_MODE32)
		return vcpu->pstate & PSTATE_AA32_E;
	return vcpu->pstate & PSTATE_MODE ? sctlr & SCTLR_EE : sctlr & SCTLR_E0E;
}

/* x1: affinity, x2: where it begins, x3: what it finds in x0. */
static enum smccc_next cpu_on(struct vcpu *vcpu)
{
	const struct vcpu_reset_state reset = {
		.pending = true, .pc = vcpu->x[2], .x0 = vcpu->x[3], .big_endian = is_big_endian(vcpu),
	};
	struct vcpu *target;

	target = vm_vcpu_of_affinity(vcpu->vm, vcpu->x[1]);
	if (!target)
		return smccc_return(vcpu, PSCI_RET_INVALID_PARAMS);
	if (vcpu_power_on(target, &reset))
		return smccc_return(vcpu, PSCI_RET_SUCCESS);
	return smccc_return(vcpu, fw_psci_version(vcpu) == V0_1 ? PSCI_RET_INVALID_PARAMS : PSCI_RET_ALREADY_ON);
}

/* x1: affinity, x2: the lowest level of it that counts. On if one of those that match is. */
static enum smccc_next affinity_info(struct vcpu *vcpu)
{
	uint64_t affinity = vcpu->x[1], level = vcpu->x[2], mask;
	struct vm *vm = vcpu->vm;
	bool found = false;

	if (affinity & ~MPIDR_AFFINITY || level > MAX_LEVEL)
		return smccc_return(vcpu, PSCI_RET_INVALID_PARAMS);
	mask = MPIDR_AFFINITY & UINT64_MAX << level * LEVEL_BITS;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if ((vcpu_affinity(vm->vcpus[i]) ^ affinity) & mask)
			continue;
		if (!vcpu_is_stopped(vm->vcpus[i]))
			return smccc_return(vcpu, PSCI_0_2_AFFINITY_LEVEL_ON);
		found = true;
	}
	return smccc_return(vcpu, found ? PSCI_0_2_AFFINITY_LEVEL_OFF : PSCI_RET_INVALID_PARAMS);
}

/* ---- the system as a whole ---- */

static enum smccc_next system_event(struct vcpu *vcpu, uint32_t type, uint32_t ndata, uint64_t flags)
{
	struct kvm_run *run = vcpu->run;

	memset(&run->system_event, 0, sizeof(run->system_event));
	run->system_event.type = type;
	run->system_event.ndata = ndata;
	run->system_event.flags = flags;
	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	return SMCCC_EXITS;
}

/*
 * No vCPU runs until user space says so, even if it enters this one again: the guest counts on that. A caller that is let
 * run all the same is told of a failure.
 */
static enum smccc_next stop_system(struct vcpu *vcpu, uint32_t type, uint64_t flags)
{
	struct vm *vm = vcpu->vm;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_power_off(vm->vcpus[i]);
	vcpu->x[0] = (uint64_t)PSCI_RET_INTERNAL_FAILURE;
	return system_event(vcpu, type, 1, flags);
}

static enum smccc_next system_off(struct vcpu *vcpu)
{
	vcpu->x[1] = vcpu->x[2] = vcpu->x[3] = 0;
	return stop_system(vcpu, KVM_SYSTEM_EVENT_SHUTDOWN, 0);
}

static enum smccc_next system_reset(struct vcpu *vcpu)
{
	vcpu->x[1] = vcpu->x[2] = vcpu->x[3] = 0;
	return stop_system(vcpu, KVM_SYSTEM_EVENT_RESET, 0);
}

/* x1: which kind of reset. User space may look at the arguments. */
static enum smccc_next system_reset2(struct vcpu *vcpu)
{
	uint32_t type = (uint32_t)vcpu->x[1];

	if (type > PSCI_1_1_RESET_TYPE_SYSTEM_WARM_RESET && type < PSCI_1_1_RESET_TYPE_VENDOR_START)
		return smccc_return(vcpu, PSCI_RET_INVALID_PARAMS);
	return stop_system(vcpu, KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2);
}

/* User space carries it out, and so finds the call as it was made. */
static enum smccc_next system_suspend(struct vcpu *vcpu)
{
	return system_event(vcpu, KVM_SYSTEM_EVENT_SUSPEND, 0, 0);
}

/* ---- the table ---- */

static const struct psci_row rows[] = {
	{ .id = PSCI_0_2_FN_PSCI_VERSION, .first = V0_2, .last = ANY, .handle = version },
	{ .id = PSCI_0_2_FN_CPU_SUSPEND, .first = V0_2, .last = ANY, .handle = cpu_suspend },
	{ .id = PSCI_0_2_FN64_CPU_SUSPEND, .first = V0_2, .last = ANY, .handle = cpu_suspend },
	{ .id = PSCI_0_2_FN_CPU_OFF, .first = V0_2, .last = ANY, .handle = cpu_off },
	{ .id = PSCI_0_2_FN_CPU_ON, .first = V0_2, .last = ANY, .narrow = true, .handle = cpu_on },
	{ .id = PSCI_0_2_FN64_CPU_ON, .first = V0_2, .last = ANY, .handle = cpu_on },
	{ .id = PSCI_0_2_FN_AFFINITY_INFO, .first = V0_2, .last = ANY, .narrow = true, .handle = affinity_info },
	{ .id = PSCI_0_2_FN64_AFFINITY_INFO, .first = V0_2, .last = ANY, .handle = affinity_info },
	{ .id = PSCI_0_2_FN_MIGRATE_INFO_TYPE, .first = V0_2, .last = ANY, .handle = migrate_info_type },
	{ .id = PSCI_0_2_FN_SYSTEM_OFF, .first = V0_2, .last = ANY, .handle = system_off },
	{ .id = PSCI_0_2_FN_SYSTEM_RESET, .first = V0_2, .last = ANY, .handle = system_reset },
	{ .id = PSCI_1_0_FN_PSCI_FEATURES, .first = V1_0, .last = ANY, .handle = features },
	{ .id = PSCI_1_0_FN_SYSTEM_SUSPEND, .first = V1_0, .last = ANY, .narrow = true, .on_request = true,
	  .handle = system_suspend },
	{ .id = PSCI_1_0_FN64_SYSTEM_SUSPEND, .first = V1_0, .last = ANY, .on_request = true, .handle = system_suspend },
	{ .id = PSCI_1_1_FN_SYSTEM_RESET2, .first = V1_1, .last = ANY, .narrow = true, .handle = system_reset2 },
	{ .id = PSCI_1_1_FN64_SYSTEM_RESET2, .first = V1_1, .last = ANY, .handle = system_reset2 },
	{ .id = KVM_PSCI_FN_CPU_OFF, .first = V0_1, .last = V0_1, .handle = cpu_off },
	{ .id = KVM_PSCI_FN_CPU_ON, .first = V0_1, .last = V0_1, .handle = cpu_on },
};

/* The function that this vCPU has by an id, or NULL. Guests in AArch32 have no 64-bit ones. */
static const struct psci_row *offered(const struct vcpu *vcpu, uint32_t id)
{
	uint64_t version = fw_psci_version(vcpu);

	if (id & PSCI_0_2_64BIT && vcpu->pstate & PSTATE_MODE32)
		return NULL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].id != id || version < rows[i].first || version > rows[i].last)
			continue;
		return rows[i].on_request && !atomic_load(&vcpu->vm->system_suspend) ? NULL : &rows[i];
	}
	return NULL;
}

enum smccc_next psci_call(struct vcpu *vcpu)
{
	const struct psci_row *row = offered(vcpu, smccc_function(vcpu));

	if (!row)
		return smccc_return(vcpu, PSCI_RET_NOT_SUPPORTED);
	if (row->narrow)
		for (unsigned int i = 1; i < 4; i++)
			vcpu->x[i] = (uint32_t)vcpu->x[i];
	return row->handle(vcpu);
}
