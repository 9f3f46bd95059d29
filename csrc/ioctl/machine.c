/* SPDX-License-Identifier: MIT */
/* The machine behind a file: its architecture, its counter, its interrupts, which tests may drive. Layer: ioctl. */
#include <errno.h>

#include "../machine/host.h"
#include "../machine/host_gic.h"
#include "../machine/machine.h"
#include "../vm/forward.h"
#include "../vm/vm.h"
#include "file.h"

/* Any file leads to its machine. */
static struct machine *machine_of(const struct kvmemu_file *file)
{
	return file->kind == FILE_SYSTEM ? file->machine : file->vm->machine;
}

void kvmemu_counter_set(struct kvmemu_file *file, uint64_t ticks)
{
	machine_counter_set(machine_of(file), ticks);
}

void kvmemu_counter_step(struct kvmemu_file *file, uint64_t ticks)
{
	machine_counter_step(machine_of(file), ticks);
}

void kvmemu_counter_follow_clock(struct kvmemu_file *file)
{
	machine_counter_follow_clock(machine_of(file));
}

uint64_t kvmemu_counter_read(const struct kvmemu_file *file)
{
	return machine_counter(machine_of(file));
}

uint64_t kvmemu_counter_hz(const struct kvmemu_file *file)
{
	return machine_of(file)->host->counter_hz;
}

int kvmemu_map_irq(struct kvmemu_file *vcpu, uint32_t intid, uint32_t host_intid)
{
	if (vcpu->kind != FILE_VCPU)
		return -EINVAL;
	return vm_is_usable(vcpu->vm) ? forward_map(vcpu->vcpu, intid, host_intid) : -EIO;
}

int kvmemu_unmap_irq(struct kvmemu_file *vcpu, uint32_t intid)
{
	if (vcpu->kind != FILE_VCPU)
		return -EINVAL;
	return vm_is_usable(vcpu->vm) ? forward_unmap(vcpu->vcpu, intid) : -EIO;
}

static bool is_host_spi(uint32_t host_intid)
{
	return host_intid >= HOST_FIRST_SPI && host_intid <= HOST_LAST_SPI;
}

int kvmemu_host_irq_line(struct kvmemu_file *file, uint32_t host_intid, int level)
{
	return is_host_spi(host_intid) ? host_irq_set_line(machine_of(file), NULL, host_intid, level) : -EINVAL;
}

int kvmemu_host_irq_active(struct kvmemu_file *file, uint32_t host_intid)
{
	return is_host_spi(host_intid) ? host_irq_is_active(machine_of(file), NULL, host_intid) : -EINVAL;
}

int kvmemu_arch(const struct kvmemu_file *file)
{
	return machine_of(file)->host->arch == HOST_ARM32 ? 32 : 64;
}
