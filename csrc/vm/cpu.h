/* SPDX-License-Identifier: MIT */
/*
 * The CPU as its guest sees it: the border between a vCPU and what executes its instructions. Layer: vm.
 *
 * An engine is called by KVM_RUN with the vCPU in its guest, and executes instructions by the operations below. Those
 * that hardware would trap leave the guest and come back, within the operation. What KVM_RUN itself has to do (wait,
 * return to user space) makes the operation answer CPU_LEAVE: the engine returns at once, and executes the same
 * instruction again when it is next called. All state that KVM knows of is in struct vcpu; an engine that keeps its own
 * beside it has to see to its moving.
 */
#ifndef KVMEMU_VM_CPU_H
#define KVMEMU_VM_CPU_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;
struct user_memory;
struct kvmemu_cpu;

#define CPU_LEAVE 1

#define CPU_LINE_IRQ 1u
#define CPU_LINE_FIQ 2u

/* Why the guest has to be left. */
enum cpu_leave {
	CPU_STAYS,
	CPU_KICKED,	/* something waits for KVM_RUN; nothing was executed */
	CPU_WAITS,	/* WFI, and nothing to wake it */
	CPU_IDLES,	/* WFI for ever: there is no guest */
	CPU_EXITS,	/* KVM_RUN ends with result */
};

struct kvmemu_cpu {
	void (*run)(struct kvmemu_cpu *cpu, void *context);
	void *context;
	const struct user_memory *memory;	/* while in KVM_RUN */
	enum cpu_leave leave;
	int result;
	bool trapped;		/* the instruction that left has been done meanwhile: executed again, it completes */
	bool aborted;		/* or has it been answered by an external abort */
	bool mmio_needed;	/* user space owes the end of a load or store */
	uint64_t data;		/* what it loaded */
	bool stepped;		/* a debugger steps the guest, and an instruction is at its end */
	bool op_trapped;	/* the instruction was executed outside of the guest */
	bool retired;		/* the one that trapped was at its end when KVM_RUN returned, so that no step ends with it */
	unsigned int until_look;	/* operations until the next look at signals */
	unsigned int resets;	/* by PSCI CPU_ON */
};

/* A guest that does nothing but wait. */
void cpu_idle(struct kvmemu_cpu *cpu, void *context);

/* The guest of one vCPU, and where it stands, to another; both locked. */
void cpu_move(struct vcpu *from, struct vcpu *to);

struct vcpu *cpu_vcpu(struct kvmemu_cpu *cpu);

/*
 * Instructions. 0, CPU_LEAVE, or -ENOENT for a register that is not there, for which the guest would take an exception.
 * Encodings are those of MRS and MSR, as SYSREG_ENCODING() makes them.
 */
int cpu_read_sysreg(struct kvmemu_cpu *cpu, uint16_t encoding, uint64_t *value);
int cpu_write_sysreg(struct kvmemu_cpu *cpu, uint16_t encoding, uint64_t value);

/* Loads and stores of 1, 2, 4 or 8 bytes at an IPA (else -EINVAL); -EFAULT for an external abort. */
int cpu_load(struct kvmemu_cpu *cpu, uint64_t ipa, uint32_t bytes, uint64_t *value);
int cpu_store(struct kvmemu_cpu *cpu, uint64_t ipa, uint32_t bytes, uint64_t value);
int cpu_wfi(struct kvmemu_cpu *cpu);

/* HVC #0; arguments and results in the vCPU's x0 to x3, and more by the function called. */
int cpu_hvc(struct kvmemu_cpu *cpu);
int cpu_smc(struct kvmemu_cpu *cpu);

/* KVM_RUN ends with this exit reason. */
int cpu_stop(struct kvmemu_cpu *cpu, uint32_t exit_reason);

/* For the border: an instruction has ended with this result, which it passes on. */
int cpu_end(struct kvmemu_cpu *cpu, int result);

/* What is asserted: CPU_LINE_*; as ISR_EL1 shows it. */
unsigned int cpu_lines(struct kvmemu_cpu *cpu);

/* For KVM_RUN: the guest executes until it has to be left. */
void cpu_run(struct kvmemu_cpu *cpu);

/*
 * For KVM_RUN: into the guest and out of it. Out: interrupts and timers are as of now. Source: kvm_arch_vcpu_ioctl_run().
 */
void cpu_enter(struct vcpu *vcpu);
void cpu_exit(struct vcpu *vcpu);

#endif
