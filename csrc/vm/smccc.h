/* SPDX-License-Identifier: MIT */
/*
 * The SMC calling convention: ids of the functions that KVM knows beside PSCI's, and results. Layer: vm.
 * Source: Arm DEN0028 (SMCCC), DEN0057 (stolen time), DEN0098 (random numbers); KVM's own in Documentation/virt/kvm/arm.
 */
#ifndef KVMEMU_VM_SMCCC_H
#define KVMEMU_VM_SMCCC_H

#include "vcpu.h"

/* Bit 31: fast call, 30: 64-bit, 29:24 owner, 15:0 function. */
#define SMCCC_VERSION			0x80000000u
#define SMCCC_ARCH_FEATURES		0x80000001u
#define SMCCC_ARCH_WORKAROUND_1		0x80008000u
#define SMCCC_ARCH_WORKAROUND_2		0x80007fffu
#define SMCCC_ARCH_WORKAROUND_3		0x80003fffu

#define SMCCC_TRNG_VERSION		0x84000050u
#define SMCCC_TRNG_FEATURES		0x84000051u
#define SMCCC_TRNG_GET_UUID		0x84000052u
#define SMCCC_TRNG_RND32		0x84000053u
#define SMCCC_TRNG_RND64		0xc4000053u

#define SMCCC_PV_TIME_FEATURES		0xc5000020u
#define SMCCC_PV_TIME_ST		0xc5000021u

#define SMCCC_VENDOR_HYP_CALL_UID	0x8600ff01u
#define SMCCC_VENDOR_HYP_KVM_FEATURES	0x86000000u
#define SMCCC_VENDOR_HYP_KVM_PTP	0x86000001u

#define SMCCC_VERSION_1_1		0x10001u

#define SMCCC_SUCCESS			0
#define SMCCC_NOT_SUPPORTED		(-1)
#define SMCCC_NOT_REQUIRED		(-2)

/* What becomes of the vCPU after a call. */
enum smccc_next {
	SMCCC_EXITS,	/* KVM_RUN ends, with vcpu->run filled in */
	SMCCC_GOES_ON,
	SMCCC_WAITS,	/* goes on, but first waits as if for WFI; a signal ends that wait too */
};

/* Which function, and its arguments: x0 to x3. */
static inline uint32_t smccc_function(const struct vcpu *vcpu)
{
	return (uint32_t)vcpu->x[0];
}

/* Results, of which a call has four, and the first of them alone. Negative ones are as wide as the register. */
static inline enum smccc_next smccc_return4(struct vcpu *vcpu, uint64_t r0, uint64_t r1, uint64_t r2, uint64_t r3)
{
	vcpu->x[0] = r0;
	vcpu->x[1] = r1;
	vcpu->x[2] = r2;
	vcpu->x[3] = r3;
	return SMCCC_GOES_ON;
}

static inline enum smccc_next smccc_return(struct vcpu *vcpu, int64_t r0)
{
	return smccc_return4(vcpu, (uint64_t)r0, 0, 0, 0);
}

#endif
