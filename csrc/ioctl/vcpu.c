/* SPDX-License-Identifier: MIT */
/*
 * Requests of a vCPU; all of them with vcpu->lock held. Layer: ioctl.
 * Source: kvm_vcpu_ioctl(), kvm_arch_vcpu_ioctl(), Linux 6.1.
 */
#include "../vm/vcpu.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "../vm/power.h"
#include "../vm/run.h"
#include "attr_vcpu.h"
#include "file.h"
#include "one_reg.h"
#include "stats.h"
#include "user.h"

#define SERROR_ESR_BITS 0x1ffffffull	/* ESR_ELx.ISS */
#define SERROR_IMPDEF 0x1000000ull	/* ISV: what an SError without a given ESR carries */

static long run(struct call *call)
{
	static const struct user_memory memory = { .read = user_read, .write = user_write };

	return call->arg ? -EINVAL : vcpu_run(call->vcpu, &memory);
}

static long init(struct call *call)
{
	struct kvm_vcpu_init init;
	int err = user_read(&init, call->arg, sizeof(init));

	return err ? err : vcpu_init(call->vcpu, init.target, init.features);
}

static long finalize(struct call *call)
{
	int32_t feature;

	if (!vcpu_initialized(call->vcpu))
		return -ENOEXEC;
	if (user_read(&feature, call->arg, sizeof(feature)))
		return -EFAULT;
	return vcpu_finalize(call->vcpu, feature);
}

static long get_mp_state(struct call *call)
{
	struct kvm_mp_state state = { .mp_state = atomic_load(&call->vcpu->mp_state) };

	return user_write(call->arg, &state, sizeof(state));
}

static long set_mp_state(struct call *call)
{
	struct kvm_mp_state state;
	int err = user_read(&state, call->arg, sizeof(state));

	return err ? err : vcpu_set_mp_state(call->vcpu, state.mp_state);
}

/* Linux 5.6, the last to run on 32-bit hosts, did not look. */
static bool may_have_events(const struct vcpu *vcpu)
{
	return vcpu_initialized(vcpu) || vcpu->arm32;
}

static long get_vcpu_events(struct call *call)
{
	struct vcpu *vcpu = call->vcpu;
	struct kvm_vcpu_events events = { .exception.serror_has_esr = vm_has_ras(vcpu->vm) };

	if (!may_have_events(vcpu))
		return -ENOEXEC;
	events.exception.serror_pending = vcpu->serror_pending;
	if (vcpu->serror_pending && vm_has_ras(vcpu->vm))
		events.exception.serror_esr = vcpu->vsesr;
	return user_write(call->arg, &events, sizeof(events));
}

static bool reserved_is_zero(const struct kvm_vcpu_events *events)
{
	static const struct kvm_vcpu_events zero;

	return !memcmp(events->reserved, zero.reserved, sizeof(zero.reserved)) &&
	       !memcmp(events->exception.pad, zero.exception.pad, sizeof(zero.exception.pad));
}

static long set_vcpu_events(struct call *call)
{
	struct vcpu *vcpu = call->vcpu;
	struct kvm_vcpu_events events;

	if (!may_have_events(vcpu))
		return -ENOEXEC;
	if (user_read(&events, call->arg, sizeof(events)))
		return -EFAULT;
	if (!reserved_is_zero(&events))
		return -EINVAL;
	if (events.exception.serror_pending) {
		uint64_t esr = events.exception.serror_has_esr ? events.exception.serror_esr : SERROR_IMPDEF;

		if (events.exception.serror_has_esr && (!vm_has_ras(vcpu->vm) || esr & ~SERROR_ESR_BITS))
			return -EINVAL;
		vcpu->vsesr = esr;
		vcpu->serror_pending = true;
	}
	if (events.exception.ext_dabt_pending)
		vcpu_inject_dabt(vcpu);
	return 0;
}

static long set_guest_debug(struct call *call)
{
	const uint32_t known = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW |
			       KVM_GUESTDBG_SINGLESTEP;
	struct kvm_guest_debug debug;

	if (user_read(&debug, call->arg, sizeof(debug)))
		return -EFAULT;
	if (debug.control & ~known)
		return -EINVAL;
	call->vcpu->guest_debug = debug.control & KVM_GUESTDBG_ENABLE ? debug.control : 0;
	if (!call->vcpu->guest_debug)
		call->vcpu->cpu.stepped = false;
	return 0;
}

static long set_signal_mask(struct call *call)
{
	struct kvm_signal_mask mask;
	uint64_t set;

	if (!call->arg) {
		call->vcpu->sigmask_active = false;
		return 0;
	}
	if (user_read(&mask, call->arg, sizeof(mask)))
		return -EFAULT;
	if (mask.len != sizeof(set))
		return -EINVAL;
	if (user_read(&set, call->arg + offsetof(struct kvm_signal_mask, sigset), sizeof(set)))
		return -EFAULT;
	call->vcpu->sigmask = set;
	call->vcpu->sigmask_active = true;
	return 0;
}

/* Requests of other architectures that Linux reads the argument of before it refuses them. */
static long refuse_after_reading(struct call *call)
{
	char argument[sizeof(struct kvm_regs)];
	int err = user_read(argument, call->arg, call->request >> 16 & 0x3fff);

	return err ? err : -EINVAL;
}

static const struct ioctl_row rows[] = {
	{ .request = KVM_GET_ONE_REG, .handle = one_reg_get_call },
	{ .request = KVM_SET_ONE_REG, .handle = one_reg_set_call },
	{ .request = KVM_RUN, .handle = run },
	{ .request = KVM_GET_REG_LIST, .handle = reg_list_call },
	{ .request = KVM_ARM_VCPU_INIT, .handle = init },
	{ .request = KVM_ARM_VCPU_FINALIZE, .handle = finalize },
	{ .request = KVM_GET_MP_STATE, .handle = get_mp_state },
	{ .request = KVM_SET_MP_STATE, .handle = set_mp_state },
	{ .request = KVM_GET_VCPU_EVENTS, .handle = get_vcpu_events },
	{ .request = KVM_SET_VCPU_EVENTS, .handle = set_vcpu_events },
	{ .request = KVM_SET_DEVICE_ATTR, .handle = attr_vcpu_set },
	{ .request = KVM_GET_DEVICE_ATTR, .handle = attr_vcpu_get },
	{ .request = KVM_HAS_DEVICE_ATTR, .handle = attr_vcpu_has },
	{ .request = KVM_SET_GUEST_DEBUG, .arm64_only = true, .handle = set_guest_debug },
	{ .request = KVM_SET_SIGNAL_MASK, .handle = set_signal_mask },
	{ .request = KVM_GET_STATS_FD, .arm64_only = true, .handle = stats_open },
	{ .request = KVM_SET_REGS, .arm64_only = true, .handle = refuse_after_reading },
	{ .request = KVM_TRANSLATE, .handle = refuse_after_reading },
};

const struct ioctl_table vcpu_ioctls = { .rows = rows, .n = sizeof(rows) / sizeof(rows[0]), .unknown = -EINVAL };
