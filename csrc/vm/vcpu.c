/* SPDX-License-Identifier: MIT */
/* The vCPU's lifetime, KVM_ARM_VCPU_INIT and reset. Layer: vm. */
#include "vcpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../machine/host.h"
#include "../reg/arm32.h"
#include "../reg/reg.h"
#include "../timer/timer.h"
#include "power.h"
#include "pstate.h"
#include "pvtime.h"
#include "run.h"
#include "wait.h"

/* PSTATE at reset: EL1h, or SVC, with every exception masked (DDI 0487, D1.8.1). */
#define PSTATE_EL1H_DAIF 0x3c5
#define PSTATE_SVC_AIF 0x1d3

static struct vcpu *vcpu_alloc(struct vm *vm, uint32_t id)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	if (!vcpu)
		return NULL;
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->target = -1;
	vcpu->steal_ipa = PVTIME_NOT_SET;
	vcpu->kick_fd = vcpu->signal_fd = -1;
	vcpu->cpu.run = cpu_idle;
	vcpu->counts = &vcpu->own_counts;
	vcpu_wait_setup(vcpu);
	return vcpu;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	vgic_unregister_redist(vcpu);
	vcpu_wait_teardown(vcpu);
	run_pages_free(vcpu);
	stats_page_destroy(vcpu->stats_page);
	arm32_free(vcpu->arm32);
	free(vcpu->sve);
	free(vcpu);
}

static void forget_created(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->created_vcpus--;
	pthread_mutex_unlock(&vm->lock);
}

int vcpu_prepare_join(struct vcpu *vcpu)
{
	if (vm_find_vcpu(vcpu->vm, vcpu->id))
		return -EEXIST;
	vcpu->index = vcpu->vm->nr_vcpus;
	return 0;
}

void vcpu_join(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vm->vcpus[vcpu->index] = vcpu;
	atomic_store_explicit(&vm->place_of_id[vcpu->id], vcpu->index + 1, memory_order_release);
	atomic_store_explicit(&vm->nr_vcpus, vcpu->index + 1, memory_order_release);
}

void vcpu_discard(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vcpu_destroy(vcpu);
	forget_created(vm);
}

/* Source: kvm_vm_ioctl_create_vcpu(), kvm_arch_vcpu_precreate(), Linux 6.1. */
static int may_create(const struct vm *vm, uint32_t id)
{
	if (vm->created_vcpus >= vm->max_vcpus)
		return -EINVAL;
	if (vm->vgic.initialized)
		return -EBUSY;
	return id >= vm->max_vcpus ? -EINVAL : 0;
}

int vcpu_create(struct vm *vm, uint64_t wide_id, struct vcpu **out)
{
	uint32_t id = (uint32_t)wide_id;
	struct vcpu *vcpu;
	int err;

	if (id >= VM_MAX_VCPUS)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	err = may_create(vm, id);
	if (!err)
		vm->created_vcpus++;
	pthread_mutex_unlock(&vm->lock);
	if (err)
		return err;

	vcpu = vcpu_alloc(vm, id);
	if (!vcpu) {
		forget_created(vm);
		return -ENOMEM;
	}
	err = vm->host->arch == HOST_ARM32 ? arm32_alloc(&vcpu->arm32) : 0;
	/* Before the id is checked: a refused duplicate sets the VM's time to zero as well (kvm_timer_vcpu_init()). */
	timers_init(vcpu);
	if (!err) {
		pthread_mutex_lock(&vm->lock);
		err = vgic_vcpu_init(vcpu);
		pthread_mutex_unlock(&vm->lock);
	}
	if (err) {
		vcpu_discard(vcpu);
		return err;
	}
	*out = vcpu;
	return 0;
}

/*
 * The first vCPU that is initialised settles for its VM whether EL1 is AArch32, even if its reset then fails.
 * Source: kvm_set_vm_width(), Linux 6.1.
 */
static int settle_width(struct vcpu *vcpu)
{
	bool is_32bit = vcpu_has_feature(vcpu, KVM_ARM_VCPU_EL1_32BIT);
	struct vm *vm = vcpu->vm;
	int err = 0;

	pthread_mutex_lock(&vm->lock);
	if (vm->width_configured) {
		err = is_32bit == vm->el1_32bit ? 0 : -EINVAL;
	} else if (is_32bit && (!host_cap(vm->host, KVM_CAP_ARM_EL1_32BIT) || vm->mte)) {
		err = -EINVAL;
	} else {
		vm->el1_32bit = is_32bit;
		vm->width_configured = true;
	}
	pthread_mutex_unlock(&vm->lock);
	return err;
}

static int enable_features(struct vcpu *vcpu)
{
	const struct kvmemu_host *host = vcpu->vm->host;
	bool address = vcpu_has_feature(vcpu, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
	bool generic = vcpu_has_feature(vcpu, KVM_ARM_VCPU_PTRAUTH_GENERIC);

	if (vcpu->sve_finalized) {
		memset(vcpu->sve, 0, sve_state_bytes(vcpu));
	} else if (vcpu_has_feature(vcpu, KVM_ARM_VCPU_SVE)) {
		if (!host_cap(host, KVM_CAP_ARM_SVE))
			return -EINVAL;
		vcpu->sve_max_vq = sve_host_max_vq(host);
		vcpu->has_sve = true;
	}
	if (address || generic) {
		if (!address || !generic || !host_cap(host, KVM_CAP_ARM_PTRAUTH_ADDRESS))
			return -EINVAL;
		vcpu->has_ptrauth = true;
	}
	if (vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3) && !host_cap(host, KVM_CAP_ARM_PMU_V3))
		return -EINVAL;
	return 0;
}

static struct vcpu_reset_state take_reset_state(struct vcpu *vcpu)
{
	struct vcpu_reset_state state;

	lock_take(&vcpu->mp_lock);
	state = vcpu->reset_state;
	vcpu->reset_state.pending = false;
	lock_release(&vcpu->mp_lock);
	return state;
}

/* The vCPU begins where CPU_ON says, with its caller's endianness; bit 0 of an AArch32 address is for T32. */
static void begin_as_asked(struct vcpu *vcpu, const struct vcpu_reset_state *state)
{
	bool is_32bit = vcpu->pstate & PSTATE_MODE32;

	vcpu->pc = state->pc;
	if (is_32bit && state->pc & 1) {
		vcpu->pc &= ~1ull;
		vcpu->pstate |= PSTATE_AA32_T;
	}
	if (state->big_endian && is_32bit)
		vcpu->pstate |= PSTATE_AA32_E;
	else if (state->big_endian)
		vcpu->sys[SR_SCTLR_EL1] |= SCTLR_EE;
	vcpu->pended = EXCEPTION_NONE;
	vcpu->x[0] = state->x0;
	vcpu->cpu.resets++;
}

/* Source: kvm_reset_vcpu(), Linux 6.1. */
int vcpu_reset(struct vcpu *vcpu)
{
	struct vcpu_reset_state asked;
	int err = settle_width(vcpu);

	if (err)
		return err;
	/* Even if the rest fails. */
	asked = take_reset_state(vcpu);
	err = enable_features(vcpu);
	if (err)
		return err;
	memset(vcpu->x, 0, sizeof(vcpu->x));
	vcpu->sp = 0;
	vcpu->pc = 0;
	vcpu->pstate = vcpu_el1_is_32bit(vcpu) ? PSTATE_SVC_AIF : PSTATE_EL1H_DAIF;
	vcpu->spsr_abt = vcpu->spsr_und = vcpu->spsr_irq = vcpu->spsr_fiq = 0;
	memset(vcpu->v, 0, sizeof(vcpu->v));
	vcpu->fpsr = 0;
	vcpu->fpcr = 0;
	sysregs_reset(vcpu);
	vcpu->cpu.trapped = vcpu->cpu.aborted = vcpu->cpu.stepped = vcpu->cpu.retired = false;
	if (asked.pending)
		begin_as_asked(vcpu, &asked);
	timers_reset(vcpu);
	return 0;
}

/* Features from this number on are unknown to KVM_ARM_VCPU_INIT. */
static unsigned int nr_features(const struct vcpu *vcpu)
{
	return vcpu->arm32 ? ARM32_NR_FEATURES : VCPU_MAX_FEATURES;
}

/*
 * Takes over the features asked for, bit by bit as Linux does: those before a refused one stay. Source:
 * kvm_vcpu_set_target(), Linux 6.1.
 */
static int take_features(struct vcpu *vcpu, const uint32_t features[7])
{
	unsigned int known = nr_features(vcpu);
	bool again = vcpu_initialized(vcpu);

	for (unsigned int i = 0; i < known; i++) {
		bool set = features[0] >> i & 1;

		if (again && vcpu_has_feature(vcpu, i) != set)
			return -EINVAL;
		if (set)
			vcpu->features |= 1u << i;
	}
	if (features[0] >> known)
		return -ENOENT;
	for (unsigned int i = 1; i < 7; i++)
		if (features[i])
			return -ENOENT;
	return 0;
}

int vcpu_init(struct vcpu *vcpu, uint32_t target, const uint32_t features[7])
{
	int err;

	if (target != vcpu->vm->host->target)
		return -EINVAL;
	err = take_features(vcpu, features);
	if (err)
		return err;
	vcpu->target = (int32_t)target;
	err = vcpu->arm32 ? arm32_reset(vcpu) : vcpu_reset(vcpu);
	if (err) {
		vcpu->target = -1;
		vcpu->features = 0;
		return err;
	}
	vcpu->serror_pending = false;
	atomic_store(&vcpu->irq_lines, 0);
	return vcpu_set_mp_state(vcpu, vcpu_has_feature(vcpu, KVM_ARM_VCPU_POWER_OFF) ? KVM_MP_STATE_STOPPED :
											KVM_MP_STATE_RUNNABLE);
}

int vcpu_finalize(struct vcpu *vcpu, int32_t feature)
{
	if (feature != KVM_ARM_VCPU_SVE || !vcpu->has_sve)
		return -EINVAL;
	if (vcpu->sve_finalized)
		return -EPERM;
	vcpu->sve = calloc(1, sve_state_bytes(vcpu));
	if (!vcpu->sve)
		return -ENOMEM;
	vcpu->sve_finalized = true;
	return 0;
}
