/* SPDX-License-Identifier: MIT */
/* The machine behind a file: its architecture, and its counter, which tests may step. Layer: ioctl. */
#include "../machine/host.h"
#include "../machine/machine.h"
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

int kvmemu_arch(const struct kvmemu_file *file)
{
	return machine_of(file)->host->arch == HOST_ARM32 ? 32 : 64;
}
