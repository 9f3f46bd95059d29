/* SPDX-License-Identifier: MIT */
/* Whether a vCPU runs. Layer: vm. Source: arch/arm64/kvm/arm.c, psci.c, Linux 6.1. */
#include "power.h"

#include <errno.h>

#include "../machine/host.h"
#include "../reg/reg.h"
#include "../timer/timer.h"

static void request(struct vcpu *vcpu, unsigned int request)
{
	atomic_fetch_or(&vcpu->requests, request);
}

/* True once for each request. */
static bool take(struct vcpu *vcpu, unsigned int request)
{
	return atomic_load(&vcpu->requests) & request && atomic_fetch_and(&vcpu->requests, ~request) & request;
}

/* A state other than runnable is there before the request that has the vCPU look at it. */
static void set_state(struct vcpu *vcpu, unsigned int state, unsigned int to_request)
{
	lock_take(&vcpu->mp_lock);
	atomic_store(&vcpu->mp_state, state);
	if (to_request)
		request(vcpu, to_request);
	lock_release(&vcpu->mp_lock);
	vcpu_kick(vcpu);
}

void vcpu_power_off(struct vcpu *vcpu)
{
	set_state(vcpu, KVM_MP_STATE_STOPPED, VCPU_REQUEST_SLEEP);
}

bool vcpu_power_on(struct vcpu *vcpu, const struct vcpu_reset_state *reset)
{
	bool was_stopped;

	lock_take(&vcpu->mp_lock);
	was_stopped = vcpu_is_stopped(vcpu);
	if (was_stopped) {
		vcpu->reset_state = *reset;
		/* Before the state: who sees that it runs must see that it is to be reset. */
		request(vcpu, VCPU_REQUEST_RESET);
		atomic_store(&vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
	}
	lock_release(&vcpu->mp_lock);
	if (was_stopped)
		vcpu_kick(vcpu);
	return was_stopped;
}

int vcpu_set_mp_state(struct vcpu *vcpu, uint32_t state)
{
	switch (state) {
	case KVM_MP_STATE_RUNNABLE:
		set_state(vcpu, state, 0);
		return 0;
	case KVM_MP_STATE_STOPPED:
		vcpu_power_off(vcpu);
		return 0;
	case KVM_MP_STATE_SUSPENDED:
		/* The state and the capability came with the same kernel. */
		if (!host_cap(vcpu->vm->host, KVM_CAP_ARM_SYSTEM_SUSPEND))
			return -EINVAL;
		set_state(vcpu, state, VCPU_REQUEST_SUSPEND);
		return 0;
	default:
		return -EINVAL;
	}
}

void vcpu_take_reset(struct vcpu *vcpu)
{
	/* It has been reset with the same features before, and cannot fail. */
	if (take(vcpu, VCPU_REQUEST_RESET))
		vcpu_reset(vcpu);
}

/* A request for a state that still is the vCPU's stays: it asks again after each wait. */
static bool stays(struct vcpu *vcpu, unsigned int state, unsigned int to_request)
{
	if (!take(vcpu, to_request) || atomic_load(&vcpu->mp_state) != state)
		return false;
	request(vcpu, to_request);
	return true;
}

/* The vCPU is on a physical CPU: taken off, and put there again. Not all bits of a register outlast that. */
static void reset_loaded(struct vcpu *vcpu)
{
	timers_put(vcpu);
	vcpu_take_reset(vcpu);
	if (vm_on_vhe(vcpu->vm))
		sysregs_pass_hardware(vcpu);
	timers_load(vcpu);
}

enum vcpu_entry vcpu_check_requests(struct vcpu *vcpu)
{
	bool sleeps;

	if (!atomic_load(&vcpu->requests))
		return VCPU_ENTERS;
	/* In this order: one that is being switched on is runnable only after its reset was asked for. */
	sleeps = stays(vcpu, KVM_MP_STATE_STOPPED, VCPU_REQUEST_SLEEP);
	if (atomic_load(&vcpu->requests) & VCPU_REQUEST_RESET)
		reset_loaded(vcpu);
	if (sleeps)
		return VCPU_SLEEPS;
	return stays(vcpu, KVM_MP_STATE_SUSPENDED, VCPU_REQUEST_SUSPEND) ? VCPU_SUSPENDED : VCPU_ENTERS;
}
