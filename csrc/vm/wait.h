/* SPDX-License-Identifier: MIT */
/* A vCPU that waits in KVM_RUN, with signals blocked by signals_block(), and what ends that. Layer: vm. */
#ifndef KVMEMU_VM_WAIT_H
#define KVMEMU_VM_WAIT_H

#include "vcpu.h"

struct run_signals;

/* At creation and destruction of a vCPU. */
void vcpu_wait_setup(struct vcpu *vcpu);
void vcpu_wait_teardown(struct vcpu *vcpu);

/* Something wakes it from WFI. Source: kvm_arch_vcpu_runnable(), Linux 6.1. */
bool vcpu_is_runnable(struct vcpu *vcpu);

/* Until something happens: the vCPU is off its physical CPU meanwhile. False for a signal. */
bool vcpu_sleep(struct vcpu *vcpu, const struct run_signals *signals);

/*
 * WFI: nothing is executed until the vCPU has an interrupt. False for a signal. Requests do not end it: a vCPU that is
 * stopped meanwhile, and even one that is then switched on, waits on. Source: kvm_vcpu_block(), Linux 6.1.
 */
bool vcpu_wait_for_interrupt(struct vcpu *vcpu, const struct run_signals *signals);

#endif
