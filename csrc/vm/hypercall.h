/* SPDX-License-Identifier: MIT */
/* What KVM answers to a guest's HVC and SMC. Layer: vm. All with vcpu->lock. */
#ifndef KVMEMU_VM_HYPERCALL_H
#define KVMEMU_VM_HYPERCALL_H

#include "run.h"
#include "smccc.h"

/*
 * Calls that EL2 answers without leaving the guest, so that nothing is synchronised or counted: true if this was one.
 * Source: el1_sync, arch/arm64/kvm/hyp/hyp-entry.S, Linux 6.1.
 */
bool hypercall_at_el2(struct vcpu *vcpu);

/*
 * HVC, once the guest was left: function and arguments are in x0 to x3, results go there. Whatever it returns, the
 * guest's next instruction is the one after HVC. A signal that ends the wait after SMCCC_WAITS ends KVM_RUN with EINTR.
 * Source: handle_hvc(), kvm_hvc_call_handler(), Linux 6.1.
 */
enum smccc_next hypercall_handle(struct vcpu *vcpu, const struct user_memory *memory);

/* SMC, which is no way to call KVM. Source: handle_smc(), Linux 6.1. */
enum smccc_next hypercall_smc(struct vcpu *vcpu);

#endif
