/* SPDX-License-Identifier: MIT */
/* What the operations of a guest share. Layer: vm. */
#ifndef KVMEMU_VM_CPU_TRAPS_H
#define KVMEMU_VM_CPU_TRAPS_H

#include "cpu.h"

/* Before an instruction: false if the guest has to be left first. */
bool cpu_begin(struct kvmemu_cpu *cpu);

/* KVM_SET_GUEST_DEBUG has the guest stepped, one instruction a KVM_RUN. */
bool cpu_is_stepped(struct kvmemu_cpu *cpu);

/* Between two instructions: if the last one was to be the only one, KVM_RUN ends with KVM_EXIT_DEBUG, and it is true. */
bool cpu_step_ends(struct kvmemu_cpu *cpu);

/* True if it was executed before, and needs only to be completed. */
bool cpu_was_trapped(struct kvmemu_cpu *cpu);

/*
 * Back into the guest, behind an instruction that was executed outside of it and loaded data; CPU_LEAVE if there is
 * something to do first.
 */
int cpu_go_on(struct kvmemu_cpu *cpu, uint64_t data);

/* CPU_LINE_*: what the hardware and user space assert to a vCPU that is in its guest. */
unsigned int cpu_lines_of(struct vcpu *vcpu);

/* KVM_RUN ends with this: CPU_LEAVE. */
int cpu_leave_with(struct kvmemu_cpu *cpu, int result);

/*
 * Other vCPUs' list registers become interrupts, and may not change until they are resumed. The vCPU itself is out of
 * its guest.
 */
void cpu_halt_others(struct vcpu *vcpu);
void cpu_resume_others(struct vcpu *vcpu);

/* With the vCPU out of its guest: an access to a frame of the GIC in the kernel; false if that is not where it is. */
bool trap_gic_access(struct vcpu *vcpu, uint64_t ipa, uint32_t bytes, bool write, uint64_t *value);

/* With guest_lock: if the virtual CPU interface asks for maintenance, the guest is left before its next instruction. */
void trap_maintenance(struct vcpu *vcpu);

#endif
