/* SPDX-License-Identifier: MIT */
/* What a guest's instructions do: memory, WFI, calls. Layer: vm. Source: kvm_handle_guest_abort(), io_mem_abort(), Linux 6.1. */
#include "cpu.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "../machine/host.h"
#include "../machine/pcpu.h"
#include "../timer/timer.h"
#include "cpu_traps.h"
#include "hypercall.h"
#include "run.h"
#include "vcpu.h"
#include "wait.h"

/* Signals cost a system call to look for. A guest that never waits is interrupted by one after so many operations. */
#define OPERATIONS_A_LOOK 256

struct vcpu *cpu_vcpu(struct kvmemu_cpu *cpu)
{
	return (struct vcpu *)((char *)cpu - offsetof(struct vcpu, cpu));
}

void cpu_move(struct vcpu *from, struct vcpu *to)
{
	/* How often each was reset is its own affair: the guest is not to begin again. */
	unsigned int resets = from->cpu.resets;

	to->cpu = from->cpu;
	to->cpu.resets = resets;
	from->cpu = (struct kvmemu_cpu){ .run = cpu_idle, .resets = resets };
}

void cpu_run(struct kvmemu_cpu *cpu)
{
	cpu->leave = CPU_STAYS;
	cpu->until_look = OPERATIONS_A_LOOK;
	cpu->run(cpu, cpu->context);
	if (cpu->leave == CPU_STAYS)
		cpu_step_ends(cpu);
}

static int leave(struct kvmemu_cpu *cpu, enum cpu_leave why)
{
	cpu->leave = why;
	return CPU_LEAVE;
}

int cpu_leave_with(struct kvmemu_cpu *cpu, int result)
{
	cpu->result = result;
	return leave(cpu, CPU_EXITS);
}

/* The host's interrupts, and what other threads want of this vCPU, are taken between two instructions. */
bool cpu_begin(struct kvmemu_cpu *cpu)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);

	if (cpu->leave != CPU_STAYS || cpu_step_ends(cpu))
		return false;
	cpu->op_trapped = false;
	if (--cpu->until_look == 0) {
		leave(cpu, CPU_KICKED);
		return false;
	}
	timers_check(vcpu);
	if (!atomic_load_explicit(&vcpu->kicked, memory_order_relaxed))
		return true;
	cpu_exit(vcpu);
	if (!vcpu_may_go_on(vcpu)) {
		leave(cpu, CPU_KICKED);
		return false;
	}
	cpu_enter(vcpu);
	cpu->op_trapped = false;
	return true;
}

/* An instruction that trapped goes on behind it. */
bool cpu_was_trapped(struct kvmemu_cpu *cpu)
{
	if (cpu->leave != CPU_STAYS || !cpu->trapped)
		return false;
	cpu->trapped = false;
	cpu->op_trapped = true;
	return true;
}

unsigned int cpu_lines_of(struct vcpu *vcpu)
{
	unsigned int lines = atomic_load(&vcpu->irq_lines);

	if (!vgic_in_kernel(&vcpu->vm->vgic))
		return lines;
	lock_take(&vcpu->guest_lock);
	lines |= (virt_irq(&vcpu->pcpu->vif) ? CPU_LINE_IRQ : 0) | (virt_fiq(&vcpu->pcpu->vif) ? CPU_LINE_FIQ : 0);
	lock_release(&vcpu->guest_lock);
	return lines;
}

int cpu_go_on(struct kvmemu_cpu *cpu, uint64_t data)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);

	if (vcpu_may_go_on(vcpu)) {
		cpu_enter(vcpu);
		return 0;
	}
	cpu->trapped = true;
	cpu->data = data;
	return leave(cpu, CPU_KICKED);
}

int cpu_wfi(struct kvmemu_cpu *cpu)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);

	if (cpu_was_trapped(cpu))
		return 0;
	if (!cpu_begin(cpu))
		return CPU_LEAVE;
	if (cpu_lines_of(vcpu))	/* there is nothing to wait for, and nothing that would trap */
		return 0;
	cpu_exit(vcpu);
	vcpu->counts->wfi_exit_stat++;
	if (vcpu_is_runnable(vcpu)) {
		cpu_enter(vcpu);
		return 0;
	}
	cpu->trapped = true;
	return leave(cpu, CPU_WAITS);
}

void cpu_idle(struct kvmemu_cpu *cpu, void *context)
{
	(void)context;
	if (!cpu_step_ends(cpu))
		leave(cpu, CPU_IDLES);
}

int cpu_stop(struct kvmemu_cpu *cpu, uint32_t exit_reason)
{
	if (cpu->leave != CPU_STAYS)
		return CPU_LEAVE;
	cpu_vcpu(cpu)->run->exit_reason = exit_reason;
	return cpu_leave_with(cpu, 0);
}

static int call_hypervisor(struct kvmemu_cpu *cpu, bool smc)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);
	enum smccc_next next;

	if (cpu_was_trapped(cpu))
		return 0;
	if (!cpu_begin(cpu))
		return CPU_LEAVE;
	if (!smc && hypercall_at_el2(vcpu))
		return 0;
	cpu_exit(vcpu);
	next = smc ? hypercall_smc(vcpu) : hypercall_handle(vcpu, cpu->memory);
	cpu->trapped = true;
	/* HVC is at its end when it traps, SMC when KVM has stepped over it. */
	cpu->stepped = !smc && cpu_is_stepped(cpu);
	if (next == SMCCC_EXITS)
		return cpu_leave_with(cpu, 0);
	if (next == SMCCC_WAITS && !vcpu_is_runnable(vcpu))
		return leave(cpu, CPU_WAITS);
	if (!vcpu_may_go_on(vcpu))
		return leave(cpu, CPU_KICKED);
	cpu->trapped = false;
	cpu_enter(vcpu);
	return 0;
}

int cpu_hvc(struct kvmemu_cpu *cpu)
{
	return call_hypervisor(cpu, false);
}

int cpu_smc(struct kvmemu_cpu *cpu)
{
	return call_hypervisor(cpu, true);
}

unsigned int cpu_lines(struct kvmemu_cpu *cpu)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);

	return cpu_begin(cpu) ? cpu_lines_of(vcpu) : atomic_load(&vcpu->irq_lines);
}

/*
 * Memory.
 */

/* Where an IPA is in the caller's memory; false if there is none that may be accessed so. */
static bool find_memory(struct vcpu *vcpu, uint64_t ipa, bool write, uint64_t *addr)
{
	struct vm *vm = vcpu->vm;
	struct memslot *slot;

	pthread_mutex_lock(&vm->slots_lock);
	slot = write ? memslot_writable(vm, ipa) : memslot_of_page(vm, ipa >> MEMSLOT_PAGE_SHIFT);
	if (slot) {
		*addr = memslot_user_addr(slot, ipa);
		if (write)
			memslot_mark_dirty(slot, ipa >> MEMSLOT_PAGE_SHIFT);
	}
	pthread_mutex_unlock(&vm->slots_lock);
	return slot;
}

/* The GICv2's CPU interface, which the hardware itself gives the guest; false if that is not where it is. */
static bool in_gicv(const struct vcpu *vcpu, uint64_t ipa, uint32_t bytes)
{
	const struct vgic *vgic = &vcpu->vm->vgic;

	return vgic->model == VGIC_V2 && vgic->ready && ipa >= vgic->cpu_base &&
	       ipa - vgic->cpu_base <= VGIC_V2_CPU_BYTES - bytes;
}

/* kvm_run tells of every access, whoever answers it, and has the data where they are there already. */
static void show_access(struct kvm_run *run, uint64_t ipa, uint32_t bytes, bool write, const uint64_t *data)
{
	run->mmio.phys_addr = ipa;
	run->mmio.len = bytes;
	run->mmio.is_write = write;
	if (data)
		memcpy(run->mmio.data, data, bytes);
}

/* Out of the guest, and to whatever is at that address; 0 if it was in the kernel. Source: io_mem_abort(), Linux 6.1. */
static int access_device(struct kvmemu_cpu *cpu, uint64_t ipa, uint32_t bytes, bool write, uint64_t *value)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);

	cpu_exit(vcpu);
	if (!trap_gic_access(vcpu, ipa, bytes, write, value) &&
	    !(write && bus_write(vcpu->vm, ipa, bytes, *value))) {
		show_access(vcpu->run, ipa, bytes, write, write ? value : NULL);
		vcpu->run->exit_reason = KVM_EXIT_MMIO;
		cpu->mmio_needed = true;
		vcpu->counts->mmio_exit_user++;
		return cpu_leave_with(cpu, 0);
	}
	show_access(vcpu->run, ipa, bytes, write, write ? NULL : value);
	vcpu->counts->mmio_exit_kernel++;
	return cpu_go_on(cpu, *value);
}

static int access_gicv(struct vcpu *vcpu, uint64_t ipa, bool write, uint64_t *value)
{
	uint32_t offset = (uint32_t)(ipa - vcpu->vm->vgic.cpu_base);

	lock_take(&vcpu->guest_lock);
	if (write)
		gicv_write(&vcpu->pcpu->vif, offset, (uint32_t)*value);
	else
		*value = gicv_read(&vcpu->pcpu->vif, offset);
	trap_maintenance(vcpu);
	lock_release(&vcpu->guest_lock);
	return 0;
}

static int access_memory(struct kvmemu_cpu *cpu, uint64_t addr, uint32_t bytes, bool write, uint64_t *value)
{
	int err;

	*value = write ? *value : 0;
	err = write ? cpu->memory->write(addr, value, bytes) : cpu->memory->read(value, addr, bytes);
	return err ? cpu_leave_with(cpu, err) : 0;
}

static int access(struct kvmemu_cpu *cpu, uint64_t ipa, uint32_t bytes, bool write, uint64_t *value)
{
	struct vcpu *vcpu = cpu_vcpu(cpu);
	uint64_t addr;

	if (!bytes || bytes > 8 || bytes & (bytes - 1) || ipa % bytes)
		return -EINVAL;
	if (cpu->leave == CPU_STAYS && cpu->aborted) {
		cpu->aborted = false;
		return -EFAULT;
	}
	if (cpu_was_trapped(cpu)) {
		*value = cpu->data;
		return 0;
	}
	if (!cpu_begin(cpu))
		return CPU_LEAVE;
	if (in_gicv(vcpu, ipa, bytes))
		return access_gicv(vcpu, ipa, write, value);
	if (find_memory(vcpu, ipa, write, &addr))
		return access_memory(cpu, addr, bytes, write, value);
	return access_device(cpu, ipa, bytes, write, value);
}

int cpu_load(struct kvmemu_cpu *cpu, uint64_t ipa, uint32_t bytes, uint64_t *value)
{
	return access(cpu, ipa, bytes, false, value);
}

int cpu_store(struct kvmemu_cpu *cpu, uint64_t ipa, uint32_t bytes, uint64_t value)
{
	return access(cpu, ipa, bytes, true, &value);
}
