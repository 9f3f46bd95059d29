/* SPDX-License-Identifier: MIT */
/*
 * Registers one at a time, and their list. Layer: ioctl.
 * Source: kvm_arch_vcpu_ioctl(), Linux 6.1.
 */
#include "one_reg.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "../reg/reg.h"
#include "../vm/power.h"
#include "user.h"

static int fetch(const struct reg_input *input, void *value, size_t bytes)
{
	return user_read(value, input->addr, bytes);
}

static int get_reg(struct vcpu *vcpu, const struct kvm_one_reg *reg)
{
	uint64_t value[REG_MAX_BYTES / 8];
	size_t bytes;
	int err = one_reg_get(vcpu, reg->id, value, &bytes);

	return err ? err : user_write(reg->addr, value, bytes);
}

static int set_reg(struct vcpu *vcpu, const struct kvm_one_reg *reg)
{
	const struct reg_input input = { .fetch = fetch, .addr = reg->addr };

	return one_reg_set(vcpu, reg->id, &input);
}

static long one_reg_call(struct call *call, int (*access)(struct vcpu *vcpu, const struct kvm_one_reg *reg))
{
	struct kvm_one_reg reg;

	if (!vcpu_initialized(call->vcpu))
		return -ENOEXEC;
	if (user_read(&reg, call->arg, sizeof(reg)))
		return -EFAULT;
	vcpu_settle_reset(call->vcpu);
	return access(call->vcpu, &reg);
}

long one_reg_get_call(struct call *call)
{
	return one_reg_call(call, get_reg);
}

long one_reg_set_call(struct call *call)
{
	return one_reg_call(call, set_reg);
}

long reg_list_call(struct call *call)
{
	uint64_t room, n, *ids;
	int err = 0;

	if (!vcpu_initialized(call->vcpu))
		return -ENOEXEC;
	if (!vcpu_is_finalized(call->vcpu))
		return -EPERM;
	if (user_read(&room, call->arg, sizeof(room)))
		return -EFAULT;
	n = one_reg_list(call->vcpu, NULL, 0);
	if (user_write(call->arg, &n, sizeof(n)))
		return -EFAULT;
	/* Linux keeps the caller's number in 32 bits. */
	if ((uint32_t)room < n)
		return -E2BIG;
	ids = malloc(n * sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	one_reg_list(call->vcpu, ids, n);
	err = user_write(call->arg + offsetof(struct kvm_reg_list, reg), ids, n * sizeof(*ids));
	free(ids);
	return err;
}

int reg_access_begin(struct kvmemu_file *file)
{
	if (file->kind != FILE_VCPU)
		return -EINVAL;
	if (!vm_is_usable(file->vm))
		return -EIO;
	lock_take(&file->vcpu->lock);
	if (!vcpu_initialized(file->vcpu)) {
		lock_release(&file->vcpu->lock);
		return -ENOEXEC;
	}
	vcpu_settle_reset(file->vcpu);
	return 0;
}

void reg_access_end(struct kvmemu_file *file)
{
	lock_release(&file->vcpu->lock);
}

long kvmemu_get_reg(struct kvmemu_file *vcpu, uint64_t id, void *value, size_t room)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };
	int err;

	if (reg_id_bytes(id) > room)
		return -E2BIG;
	err = reg_access_begin(vcpu);
	if (err)
		return err;
	err = get_reg(vcpu->vcpu, &reg);
	reg_access_end(vcpu);
	return err ? err : (long)reg_id_bytes(id);
}

long kvmemu_set_reg(struct kvmemu_file *vcpu, uint64_t id, const void *value)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };
	int err = reg_access_begin(vcpu);

	if (err)
		return err;
	err = set_reg(vcpu->vcpu, &reg);
	reg_access_end(vcpu);
	return err;
}
