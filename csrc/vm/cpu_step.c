/* SPDX-License-Identifier: MIT */
/* A guest that a debugger steps. Layer: vm. Source: kvm_handle_guest_debug(), kvm_arm_setup_debug(), Linux 6.1. */
#include <errno.h>

#include "cpu.h"
#include "cpu_traps.h"
#include "vcpu.h"

/* ESR_EL2 of a Software Step exception from below; ISV: the step was of an instruction that the CPU itself executed. */
#define ESR_SOFTWARE_STEP 0xca000022u
#define ESR_STEP_ISV (1u << 24)

bool cpu_is_stepped(struct kvmemu_cpu *cpu)
{
	return cpu_vcpu(cpu)->guest_debug & KVM_GUESTDBG_SINGLESTEP;
}

int cpu_end(struct kvmemu_cpu *cpu, int result)
{
	/* An exception that the guest takes ends a step as well, at its vector. */
	if (result == 0 || result == -ENOENT || result == -EFAULT) {
		cpu->stepped |= cpu_is_stepped(cpu) && !cpu->retired;
		cpu->op_trapped |= result != 0;
		cpu->retired = false;
	}
	return result;
}

bool cpu_step_ends(struct kvmemu_cpu *cpu)
{
	struct kvm_run *run = cpu_vcpu(cpu)->run;

	if (!cpu->stepped)
		return false;
	cpu->stepped = false;
	if (!cpu_is_stepped(cpu))
		return false;
	run->debug.arch.hsr = ESR_SOFTWARE_STEP | (cpu->op_trapped ? 0 : ESR_STEP_ISV);
	run->debug.arch.hsr_high = 0;
	run->flags = KVM_DEBUG_ARCH_HSR_HIGH_VALID;
	run->exit_reason = KVM_EXIT_DEBUG;
	cpu_leave_with(cpu, 0);
	return true;
}
