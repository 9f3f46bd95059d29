/* SPDX-License-Identifier: MIT */
/*
 * The architected timers of a vCPU: EL1 virtual and physical. Layer: timer.
 * Source: arch/arm64/kvm/arch_timer.c, Linux 6.1.
 */
#ifndef KVMEMU_TIMER_TIMER_H
#define KVMEMU_TIMER_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "../vm/vcpu.h"

/* CNTx_CTL_EL0, Arm DDI 0487, D17.11. */
#define TIMER_CTL_ENABLE 1u
#define TIMER_CTL_IMASK 2u
#define TIMER_CTL_ISTATUS 4u

/* The INTIDs KVM gives the timers until user space chooses others. */
#define TIMER_DEFAULT_VIRTUAL_INTID 27
#define TIMER_DEFAULT_PHYSICAL_INTID 30

/* At creation of a vCPU: the VM's virtual counter starts at zero, for all its vCPUs. */
void timers_init(struct vcpu *vcpu);

/* At KVM_ARM_VCPU_INIT: both disabled; CVAL stays. */
void timers_reset(struct vcpu *vcpu);

/* What the guest's CNTVCT_EL0 or CNTPCT_EL0 reads, in ticks. */
uint64_t timer_count(const struct vcpu *vcpu, enum timer_index index);

/* CNTVCT_EL0 of every vCPU of the VM becomes ticks. */
void timer_set_virtual_count(struct vcpu *vcpu, uint64_t ticks);

/* CNTx_CTL_EL0 with ISTATUS, whether enabled or not, as KVM answers. */
uint64_t timer_ctl(const struct vcpu *vcpu, enum timer_index index);
void timer_set_ctl(struct vcpu *vcpu, enum timer_index index, uint64_t ctl);

/*
 * The physical timer is a host interrupt of its own only on hosts with VHE; elsewhere KVM emulates it.
 * Source: get_timer_map(), Linux 6.1.
 */
bool timer_is_mapped(const struct vcpu *vcpu, enum timer_index index);

/* The host's PPI that a mapped timer raises. */
static inline uint32_t timer_host_intid(enum timer_index index)
{
	return index == TIMER_VIRTUAL ? 27 : 30;
}

/* The timer's output as KVM knows it, to the interrupt controller in the kernel. */
void timer_set_line(struct vcpu *vcpu, enum timer_index index, bool level);
void timer_update_line(struct vcpu *vcpu, enum timer_index index);

/*
 * The timers in the hardware (hw.c): loaded onto the vCPU's physical CPU, which is then its until they are put. Putting
 * leaves the hardware's quiet. CTL comes back as the hardware has it, two bits and ISTATUS; KVM keeps that ISTATUS until
 * CTL is written or the vCPU runs again, whatever becomes of CVAL. Source: kvm_timer_vcpu_load(), timer_save_state().
 */
void timers_load(struct vcpu *vcpu);
void timers_put(struct vcpu *vcpu);

/* With the timers loaded: takes the host's timer interrupts, if there are any. Source: kvm_arch_timer_handler(). */
void timers_check(struct vcpu *vcpu);

/* With the timers loaded: the output of a mapped one. */
bool timer_hw_output(const struct vcpu *vcpu, enum timer_index index);

/* With the timers loaded: the output of the timer that a PPI is for, as the hardware has it; false for other PPIs. */
bool timer_hw_level(const struct vcpu *vcpu, uint32_t intid);

/* The guest's CNT*_EL0 registers. -ENOENT for a write to a counter. */
bool timer_guest_has(enum sysreg reg);
int timer_guest_read(struct vcpu *vcpu, enum sysreg reg, uint64_t *value);
int timer_guest_write(struct vcpu *vcpu, enum sysreg reg, uint64_t value);

/* The timer's output: enabled, not masked, CVAL reached. */
bool timer_line(const struct vcpu *vcpu, enum timer_index index);

/*
 * Carries the outputs to the interrupt controller in the kernel, as entering the vCPU does. Nothing without one, or
 * before the first KVM_RUN.
 */
void timers_update_lines(struct vcpu *vcpu);

/* At the first KVM_RUN: takes hold of the interrupts. EINVAL if they are taken, or differ between vCPUs. */
int timers_enable(struct vcpu *vcpu);

/* Nanoseconds until the output rises by itself; UINT64_MAX if it does not. */
uint64_t timer_ns_until_line(const struct vcpu *vcpu, enum timer_index index);

/*
 * KVM_ARM_VCPU_TIMER_CTRL. intid is the VM's for all vCPUs. The caller has checked that it is a PPI and that the timers
 * have not been enabled. ENXIO for an unknown timer.
 */
int timer_set_intid(struct vcpu *vcpu, uint64_t attr, uint32_t intid);
int timer_get_intid(const struct vcpu *vcpu, uint64_t attr, uint32_t *intid);

#endif
