/* SPDX-License-Identifier: MIT */
/*
 * Whether a vCPU runs, and what one vCPU asks of another before it does. Layer: vm.
 *
 * Others than its own thread may stop a vCPU, switch it on or reset it: they note the change under its mp_lock, leave a
 * request, and kick it. The vCPU looks at its requests before each entry into the guest.
 * Source: arch/arm64/kvm/arm.c, psci.c, Linux 6.1.
 */
#ifndef KVMEMU_VM_POWER_H
#define KVMEMU_VM_POWER_H

#include "vcpu.h"

/* Bits of vcpu->requests, set after the state that they speak of. */
#define VCPU_REQUEST_SLEEP 1u		/* KVM_REQ_SLEEP: it may be stopped */
#define VCPU_REQUEST_RESET 2u		/* KVM_REQ_VCPU_RESET */
#define VCPU_REQUEST_SUSPEND 4u		/* KVM_REQ_SUSPEND: it may be suspended */

/* What requests make of an entry into the guest. */
enum vcpu_entry {
	VCPU_ENTERS,
	VCPU_SLEEPS,	/* stopped: until vcpu_kick() or a signal; then ask again */
	VCPU_SUSPENDED,	/* waits as if for WFI; once it is runnable KVM_RUN ends with KVM_SYSTEM_EVENT_WAKEUP */
};

/*
 * In KVM_RUN, before each entry and after each wait, once it is known that no signal is pending. With vcpu->lock; the
 * vCPU is loaded. Source: check_vcpu_requests(), kvm_vcpu_sleep(), kvm_vcpu_suspend(), Linux 6.1.
 */
enum vcpu_entry vcpu_check_requests(struct vcpu *vcpu);

/* KVM_SET_MP_STATE. EINVAL. */
int vcpu_set_mp_state(struct vcpu *vcpu, uint32_t state);

/* From any thread: the vCPU is stopped, at its next look at its requests. Source: kvm_arm_vcpu_power_off(), Linux 6.1. */
void vcpu_power_off(struct vcpu *vcpu);

/* From any thread: a stopped vCPU is to be reset, then to run. False if it is not stopped. Source: kvm_psci_vcpu_on(). */
bool vcpu_power_on(struct vcpu *vcpu, const struct vcpu_reset_state *reset);

static inline bool vcpu_is_stopped(const struct vcpu *vcpu)
{
	return atomic_load(&vcpu->mp_state) == KVM_MP_STATE_STOPPED;
}

/* Out of line: the reset that vcpu_settle_reset() found it owes. */
void vcpu_take_reset(struct vcpu *vcpu);

/*
 * A reset that PSCI asked for comes before user space sees or sets a register. With vcpu->lock, outside of KVM_RUN.
 * Source: kvm_arch_vcpu_ioctl(), Linux 6.1.
 */
static inline void vcpu_settle_reset(struct vcpu *vcpu)
{
	if (__builtin_expect(!!(atomic_load_explicit(&vcpu->requests, memory_order_relaxed) & VCPU_REQUEST_RESET), 0))
		vcpu_take_reset(vcpu);
}

#endif
