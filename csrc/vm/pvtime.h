/* SPDX-License-Identifier: MIT */
/*
 * Stolen time, which a vCPU is told of in the guest's memory (Arm DEN0057). Layer: vm. With vcpu->lock.
 * No time is stolen from a vCPU here; but its structure is written when Linux writes it.
 */
#ifndef KVMEMU_VM_PVTIME_H
#define KVMEMU_VM_PVTIME_H

#include "run.h"

#define PVTIME_NOT_SET UINT64_MAX

static inline bool pvtime_is_set(const struct vcpu *vcpu)
{
	return vcpu->steal_ipa != PVTIME_NOT_SET;
}

/* The guest asks for it: the structure is made. Source: kvm_init_stolen_time(), Linux 6.1. */
void pvtime_start(struct vcpu *vcpu, const struct user_memory *memory);

/*
 * Once it has been put on a physical CPU, its time is brought up to date as it looks at its requests.
 * Source: KVM_REQ_RECORD_STEAL, kvm_update_stolen_time(), Linux 6.1.
 */
static inline void pvtime_load(struct vcpu *vcpu)
{
	vcpu->steal_owed = pvtime_is_set(vcpu);
}

void pvtime_update(struct vcpu *vcpu, const struct user_memory *memory);

#endif
