/* SPDX-License-Identifier: MIT */
/* The guest's interface as the library shows it. Layer: ioctl. */
#include "../vm/cpu.h"

#include <errno.h>

#include "../vm/vcpu.h"
#include "file.h"
#include "kvmemu.h"

_Static_assert(KVMEMU_LEAVE == CPU_LEAVE, "one meaning, one number");

int kvmemu_set_guest(struct kvmemu_file *file, kvmemu_guest *guest, void *context)
{
	struct vcpu *vcpu = file->vcpu;

	if (file->kind != FILE_VCPU)
		return -EINVAL;
	lock_take(&vcpu->lock);
	vcpu->cpu = (struct kvmemu_cpu){
		.run = guest ? guest : cpu_idle, .context = context, .resets = vcpu->cpu.resets,
	};
	lock_release(&vcpu->lock);
	return 0;
}

int kvmemu_move_guest(struct kvmemu_file *from, struct kvmemu_file *to)
{
	int err = 0;

	if (from->kind != FILE_VCPU || to->kind != FILE_VCPU || from->vcpu == to->vcpu)
		return -EINVAL;
	if (!lock_try(&from->vcpu->lock))
		return -EBUSY;
	if (lock_try(&to->vcpu->lock)) {
		cpu_move(from->vcpu, to->vcpu);
		lock_release(&to->vcpu->lock);
	} else {
		err = -EBUSY;
	}
	lock_release(&from->vcpu->lock);
	return err;
}

int kvmemu_cpu_read_sysreg(struct kvmemu_cpu *cpu, uint16_t encoding, uint64_t *value)
{
	return cpu_end(cpu, cpu_read_sysreg(cpu, encoding, value));
}

int kvmemu_cpu_write_sysreg(struct kvmemu_cpu *cpu, uint16_t encoding, uint64_t value)
{
	return cpu_end(cpu, cpu_write_sysreg(cpu, encoding, value));
}

int kvmemu_cpu_load(struct kvmemu_cpu *cpu, uint64_t ipa, uint32_t bytes, uint64_t *value)
{
	return cpu_end(cpu, cpu_load(cpu, ipa, bytes, value));
}

int kvmemu_cpu_store(struct kvmemu_cpu *cpu, uint64_t ipa, uint32_t bytes, uint64_t value)
{
	return cpu_end(cpu, cpu_store(cpu, ipa, bytes, value));
}

int kvmemu_cpu_wfi(struct kvmemu_cpu *cpu)
{
	return cpu_end(cpu, cpu_wfi(cpu));
}

int kvmemu_cpu_hvc(struct kvmemu_cpu *cpu)
{
	return cpu_end(cpu, cpu_hvc(cpu));
}

int kvmemu_cpu_smc(struct kvmemu_cpu *cpu)
{
	return cpu_end(cpu, cpu_smc(cpu));
}

int kvmemu_cpu_idle(struct kvmemu_cpu *cpu)
{
	if (cpu->leave == CPU_STAYS)
		cpu_idle(cpu, NULL);
	return CPU_LEAVE;
}

int kvmemu_cpu_exit(struct kvmemu_cpu *cpu, uint32_t exit_reason)
{
	return cpu_stop(cpu, exit_reason);
}

unsigned int kvmemu_cpu_lines(struct kvmemu_cpu *cpu)
{
	unsigned int lines = cpu_lines(cpu);

	if (cpu->leave == CPU_STAYS)
		cpu_end(cpu, 0);
	return lines;
}

uint64_t *kvmemu_cpu_x(struct kvmemu_cpu *cpu)
{
	return cpu_vcpu(cpu)->x;
}

uint64_t *kvmemu_cpu_pc(struct kvmemu_cpu *cpu)
{
	return &cpu_vcpu(cpu)->pc;
}

unsigned int kvmemu_cpu_resets(const struct kvmemu_cpu *cpu)
{
	return cpu->resets;
}

int kvmemu_cpu_is_begun(const struct kvmemu_cpu *cpu)
{
	return cpu->trapped || cpu->aborted;
}
