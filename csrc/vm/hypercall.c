/* SPDX-License-Identifier: MIT */
/*
 * Calls of guests that are not PSCI's: SMCCC's own, random numbers, stolen time, KVM's. Layer: vm.
 * Source: arch/arm64/kvm/hypercalls.c, trng.c, pvtime.c, Linux 6.1.
 */
#include "hypercall.h"

#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "../machine/host.h"
#include "../timer/timer.h"
#include "psci.h"
#include "pstate.h"
#include "pvtime.h"

#define NSEC_PER_SEC 1000000000ull
#define TRNG_VERSION_1_0 0x10000
#define TRNG_INVALID_PARAMETER (-2)
#define TRNG_NO_ENTROPY (-3)
#define TRNG_MAX_WORDS 3	/* of results of one call */
#define PTP_VIRTUAL_COUNTER 0
#define PTP_PHYSICAL_COUNTER 1

/* A function that the guest may call while a bit of one of the VM's firmware bitmaps is set; bitmap 0: always. */
struct hypercall_row {
	uint32_t id;
	uint16_t bitmap;	/* offset in struct vm */
	uint8_t bit;
	enum smccc_next (*handle)(struct vcpu *vcpu, const struct user_memory *memory);
};

/* ---- SMCCC's own ---- */

static enum smccc_next smccc_version(struct vcpu *vcpu, const struct user_memory *memory)
{
	(void)memory;
	return smccc_return(vcpu, SMCCC_VERSION_1_1);
}

/* What the firmware register of a workaround says, in the words of SMCCC: an index is the register's level. */
static int64_t workaround_answer(const struct vcpu *vcpu, unsigned int n)
{
	static const int8_t by_level[3][4] = {
		{ SMCCC_NOT_SUPPORTED, SMCCC_SUCCESS, 1, SMCCC_NOT_SUPPORTED },
		{ SMCCC_NOT_SUPPORTED, SMCCC_NOT_SUPPORTED, SMCCC_NOT_SUPPORTED, SMCCC_NOT_REQUIRED },
		{ SMCCC_NOT_SUPPORTED, SMCCC_SUCCESS, 1, SMCCC_NOT_SUPPORTED },
	};

	return by_level[n][vcpu->vm->host->workaround[n] & 3];
}

static enum smccc_next arch_features(struct vcpu *vcpu, const struct user_memory *memory)
{
	uint64_t pv_time = 1ull << KVM_REG_ARM_STD_HYP_BIT_PV_TIME;

	(void)memory;
	switch ((uint32_t)vcpu->x[1]) {
	case SMCCC_ARCH_WORKAROUND_1:
		return smccc_return(vcpu, workaround_answer(vcpu, 0));
	case SMCCC_ARCH_WORKAROUND_2:
		return smccc_return(vcpu, workaround_answer(vcpu, 1));
	case SMCCC_ARCH_WORKAROUND_3:
		return smccc_return(vcpu, workaround_answer(vcpu, 2));
	case SMCCC_PV_TIME_FEATURES:
		return smccc_return(vcpu, vcpu->vm->std_hyp_bmap & pv_time ? SMCCC_SUCCESS : SMCCC_NOT_SUPPORTED);
	default:
		return smccc_return(vcpu, SMCCC_NOT_SUPPORTED);
	}
}

/* ---- random numbers ---- */

static enum smccc_next trng_version(struct vcpu *vcpu, const struct user_memory *memory)
{
	(void)memory;
	return smccc_return(vcpu, TRNG_VERSION_1_0);
}

/* The one function whose argument counts with its upper half. */
static enum smccc_next trng_features(struct vcpu *vcpu, const struct user_memory *memory)
{
	(void)memory;
	switch (vcpu->x[1]) {
	case SMCCC_TRNG_VERSION:
	case SMCCC_TRNG_FEATURES:
	case SMCCC_TRNG_GET_UUID:
	case SMCCC_TRNG_RND32:
	case SMCCC_TRNG_RND64:
		return smccc_return(vcpu, SMCCC_SUCCESS);
	default:
		return smccc_return(vcpu, SMCCC_NOT_SUPPORTED);
	}
}

/* 0d21e000-4384-11eb-8070-5244554e5a4c, four bytes a register, the first lowest. */
static enum smccc_next trng_uuid(struct vcpu *vcpu, const struct user_memory *memory)
{
	(void)memory;
	return smccc_return4(vcpu, 0x00e0210d, 0xeb118443, 0x44527080, 0x4c5a4e55);
}

/* The number's lowest word in x3, the next in x2, the highest in x1. */
static enum smccc_next trng_rnd(struct vcpu *vcpu, unsigned int word_bits)
{
	uint32_t bits = (uint32_t)vcpu->x[1];
	uint64_t word[TRNG_MAX_WORDS] = { 0 };

	if (bits > TRNG_MAX_WORDS * word_bits)
		return smccc_return(vcpu, TRNG_INVALID_PARAMETER);
	for (unsigned int i = 0; i * word_bits < bits; i++) {
		unsigned int left = bits - i * word_bits, n = left < word_bits ? left : word_bits;

		/* Never short or interrupted; only a kernel without it refuses. */
		if (getrandom(&word[i], sizeof(word[i]), 0) != sizeof(word[i]))
			return smccc_return(vcpu, TRNG_NO_ENTROPY);
		word[i] &= UINT64_MAX >> (64 - n);
	}
	return smccc_return4(vcpu, SMCCC_SUCCESS, word[2], word[1], word[0]);
}

static enum smccc_next trng_rnd32(struct vcpu *vcpu, const struct user_memory *memory)
{
	(void)memory;
	return trng_rnd(vcpu, 32);
}

static enum smccc_next trng_rnd64(struct vcpu *vcpu, const struct user_memory *memory)
{
	(void)memory;
	return trng_rnd(vcpu, 64);
}

/* ---- stolen time ---- */

static enum smccc_next pv_time_features(struct vcpu *vcpu, const struct user_memory *memory)
{
	uint32_t feature = (uint32_t)vcpu->x[1];
	bool known = feature == SMCCC_PV_TIME_FEATURES || feature == SMCCC_PV_TIME_ST;

	(void)memory;
	return smccc_return(vcpu, known && pvtime_is_set(vcpu) ? SMCCC_SUCCESS : SMCCC_NOT_SUPPORTED);
}

static enum smccc_next pv_time_st(struct vcpu *vcpu, const struct user_memory *memory)
{
	if (!pvtime_is_set(vcpu))
		return smccc_return(vcpu, SMCCC_NOT_SUPPORTED);
	pvtime_start(vcpu, memory);
	return smccc_return(vcpu, (int64_t)vcpu->steal_ipa);
}

/* ---- KVM's own ---- */

/* 28b46fb6-2ec5-11e9-a9ca-4b564d003a74 */
static enum smccc_next vendor_uid(struct vcpu *vcpu, const struct user_memory *memory)
{
	(void)memory;
	return smccc_return4(vcpu, 0xb66fb428, 0xe911c52e, 0x564bcaa9, 0x743a004d);
}

static enum smccc_next vendor_features(struct vcpu *vcpu, const struct user_memory *memory)
{
	(void)memory;
	return smccc_return(vcpu, (int64_t)vcpu->vm->vendor_hyp_bmap);
}

/* The host's wall clock in ns, and a counter at the same moment. */
static enum smccc_next vendor_ptp(struct vcpu *vcpu, const struct user_memory *memory)
{
	uint32_t counter = (uint32_t)vcpu->x[1];
	struct timespec now;
	uint64_t ns, ticks;

	(void)memory;
	if (counter != PTP_VIRTUAL_COUNTER && counter != PTP_PHYSICAL_COUNTER)
		return smccc_return(vcpu, SMCCC_NOT_SUPPORTED);
	clock_gettime(CLOCK_REALTIME, &now);
	ticks = timer_count(vcpu, counter == PTP_VIRTUAL_COUNTER ? TIMER_VIRTUAL : TIMER_PHYSICAL);
	ns = (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
	return smccc_return4(vcpu, ns >> 32, (uint32_t)ns, ticks >> 32, (uint32_t)ticks);
}

/* ---- the table ---- */

#define TRNG .bitmap = offsetof(struct vm, std_bmap), .bit = KVM_REG_ARM_STD_BIT_TRNG_V1_0
#define PV_TIME .bitmap = offsetof(struct vm, std_hyp_bmap), .bit = KVM_REG_ARM_STD_HYP_BIT_PV_TIME
#define VENDOR .bitmap = offsetof(struct vm, vendor_hyp_bmap), .bit = KVM_REG_ARM_VENDOR_HYP_BIT_FUNC_FEAT
#define PTP .bitmap = offsetof(struct vm, vendor_hyp_bmap), .bit = KVM_REG_ARM_VENDOR_HYP_BIT_PTP

static const struct hypercall_row rows[] = {
	{ .id = SMCCC_VERSION, .handle = smccc_version },
	{ .id = SMCCC_ARCH_FEATURES, .handle = arch_features },
	{ .id = SMCCC_TRNG_VERSION, TRNG, .handle = trng_version },
	{ .id = SMCCC_TRNG_FEATURES, TRNG, .handle = trng_features },
	{ .id = SMCCC_TRNG_GET_UUID, TRNG, .handle = trng_uuid },
	{ .id = SMCCC_TRNG_RND32, TRNG, .handle = trng_rnd32 },
	{ .id = SMCCC_TRNG_RND64, TRNG, .handle = trng_rnd64 },
	{ .id = SMCCC_PV_TIME_FEATURES, PV_TIME, .handle = pv_time_features },
	{ .id = SMCCC_PV_TIME_ST, PV_TIME, .handle = pv_time_st },
	{ .id = SMCCC_VENDOR_HYP_CALL_UID, VENDOR, .handle = vendor_uid },
	{ .id = SMCCC_VENDOR_HYP_KVM_FEATURES, VENDOR, .handle = vendor_features },
	{ .id = SMCCC_VENDOR_HYP_KVM_PTP, PTP, .handle = vendor_ptp },
};

static bool is_allowed(const struct vm *vm, const struct hypercall_row *row)
{
	const _Atomic uint64_t *bitmap = (const void *)((const char *)vm + row->bitmap);

	return !row->bitmap || atomic_load_explicit(bitmap, memory_order_relaxed) >> row->bit & 1;
}

bool hypercall_at_el2(struct vcpu *vcpu)
{
	switch (smccc_function(vcpu)) {
	case SMCCC_ARCH_WORKAROUND_1:
	case SMCCC_ARCH_WORKAROUND_2:
	case SMCCC_ARCH_WORKAROUND_3:
		/* Entering EL2 was the workaround. x1 is what EL2 worked with; it is not given back. */
		vcpu->x[0] = 0;
		vcpu->x[1] = 0;
		return true;
	default:
		return false;
	}
}

static enum smccc_next call(struct vcpu *vcpu, const struct user_memory *memory)
{
	uint32_t id = smccc_function(vcpu);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].id != id)
			continue;
		return is_allowed(vcpu->vm, &rows[i]) ? rows[i].handle(vcpu, memory) :
							smccc_return(vcpu, SMCCC_NOT_SUPPORTED);
	}
	return psci_call(vcpu);
}

/* In AArch32 a register has 32 bits: where the guest goes on, the rest of a result is gone. */
static enum smccc_next give_results(struct vcpu *vcpu, enum smccc_next next)
{
	if (next == SMCCC_GOES_ON && vcpu->pstate & PSTATE_MODE32)
		for (unsigned int i = 0; i < 4; i++)
			vcpu->x[i] = (uint32_t)vcpu->x[i];
	return next;
}

enum smccc_next hypercall_handle(struct vcpu *vcpu, const struct user_memory *memory)
{
	vcpu->counts->hvc_exit_stat++;
	return give_results(vcpu, call(vcpu, memory));
}

enum smccc_next hypercall_smc(struct vcpu *vcpu)
{
	vcpu->x[0] = UINT64_MAX;
	return give_results(vcpu, SMCCC_GOES_ON);
}
