/* SPDX-License-Identifier: MIT */
/* TEMPORARY: until the real one is there. Layer: vm. */
#ifndef KVMEMU_VM_HYPERCALL_H
#define KVMEMU_VM_HYPERCALL_H
#include "vcpu.h"
static inline int hypercall_handle(struct vcpu *vcpu) { vcpu->x[0] = UINT64_MAX; return 1; }
static inline int hypercall_smc(struct vcpu *vcpu) { vcpu->x[0] = UINT64_MAX; return 1; }
static inline bool vcpu_has_request(struct vcpu *vcpu) { (void)vcpu; return false; }
static inline void vcpu_handle_requests(struct vcpu *vcpu) { (void)vcpu; }
#endif
