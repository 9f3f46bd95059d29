/* SPDX-License-Identifier: MIT */
/* PSCI, as KVM implements it for guests. Layer: vm. */
#ifndef KVMEMU_VM_PSCI_H
#define KVMEMU_VM_PSCI_H

#include "smccc.h"

/*
 * A call with an id that is no other service's, by the PSCI version that the vCPU has; ids that are not PSCI's either
 * are not supported. With vcpu->lock. Source: kvm_psci_call(), Linux 6.1.
 */
enum smccc_next psci_call(struct vcpu *vcpu);

#endif
