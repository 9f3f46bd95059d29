/* SPDX-License-Identifier: MIT */
/* KVM_RUN: entering the vCPU, waiting, leaving. Layer: vm. */
#ifndef KVMEMU_VM_RUN_H
#define KVMEMU_VM_RUN_H

#include "vcpu.h"

/* The memory behind a VM's slots, which is the caller's: only the ioctl layer may touch it. 0 or -EFAULT. */
struct user_memory {
	int (*read)(void *to, uint64_t from, size_t bytes);
	int (*write)(uint64_t to, const void *from, size_t bytes);
};

/* A vCPU that was taken out of its guest may go back without anything that KVM_RUN has to see to. */
bool vcpu_may_go_on(struct vcpu *vcpu);

/* Without an interrupt controller in the kernel: user space has to be told of a change of the vCPU's own devices. */
bool vcpu_must_notify_user(const struct vcpu *vcpu);

/*
 * KVM_RUN, with vcpu->lock held: 0 with an exit in vcpu->run, or -errno. A vCPU that has no guest behaves as one that
 * executes WFI for ever. Source: kvm_arch_vcpu_ioctl_run(), kvm_arch_vcpu_run_pid_change(), Linux 6.1.
 */
int vcpu_run(struct vcpu *vcpu, const struct user_memory *memory);

/* The guest aborts a load at its next entry, as KVM_SET_VCPU_EVENTS asks. Source: kvm_inject_dabt(), Linux 6.1. */
void vcpu_inject_dabt(struct vcpu *vcpu);

/* Takes a pended exception: PC, PSTATE and their saved copies change. Source: __kvm_adjust_pc(), Linux 6.1. */
void vcpu_commit_exception(struct vcpu *vcpu);

#endif
