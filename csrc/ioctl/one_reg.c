/* SPDX-License-Identifier: MIT */
/*
 * Registers one at a time, as KVM has it, and many at a time, as savers want it. Layer: ioctl.
 * Source: kvm_arch_vcpu_ioctl(), Linux 6.1.
 */
#include "one_reg.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "../reg/reg.h"
#include "../vm/vcpu.h"
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

typedef int (*reg_access)(struct vcpu *vcpu, const struct kvm_one_reg *reg);

static long one_reg_call(struct call *call, reg_access access)
{
	struct kvm_one_reg reg;

	if (!vcpu_initialized(call->vcpu))
		return -ENOEXEC;
	if (user_read(&reg, call->arg, sizeof(reg)))
		return -EFAULT;
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

static size_t id_bytes(uint64_t id)
{
	return 1ul << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

/* Takes the vCPU's lock for an access that does not come through the door. */
static int begin(struct kvmemu_file *file)
{
	if (file->kind != FILE_VCPU)
		return -EINVAL;
	if (!vm_is_usable(file->vm))
		return -EIO;
	lock_take(&file->vcpu->lock);
	if (vcpu_initialized(file->vcpu))
		return 0;
	lock_release(&file->vcpu->lock);
	return -ENOEXEC;
}

static void end(struct kvmemu_file *file)
{
	lock_release(&file->vcpu->lock);
}

long kvmemu_get_reg(struct kvmemu_file *vcpu, uint64_t id, void *value, size_t room)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };
	int err;

	if (id_bytes(id) > room)
		return -E2BIG;
	err = begin(vcpu);
	if (err)
		return err;
	err = get_reg(vcpu->vcpu, &reg);
	end(vcpu);
	return err ? err : (long)id_bytes(id);
}

long kvmemu_set_reg(struct kvmemu_file *vcpu, uint64_t id, const void *value)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };
	int err = begin(vcpu);

	if (err)
		return err;
	err = set_reg(vcpu->vcpu, &reg);
	end(vcpu);
	return err;
}

static int access_all(struct vcpu *vcpu, reg_access access, const uint64_t *ids, size_t n, uint64_t values,
		      size_t values_bytes, size_t *done)
{
	size_t at = 0;
	int err;

	for (*done = 0; *done < n; ++*done) {
		struct kvm_one_reg reg;

		if (user_read(&reg.id, (uintptr_t)ids + *done * sizeof(*ids), sizeof(reg.id)))
			return -EFAULT;
		if (values_bytes - at < id_bytes(reg.id))
			return -E2BIG;
		reg.addr = values + at;
		err = access(vcpu, &reg);
		if (err)
			return err;
		at += id_bytes(reg.id);
	}
	return 0;
}

static int batch(struct kvmemu_file *file, reg_access access, const uint64_t *ids, size_t n, uint64_t values,
		 size_t values_bytes, size_t *done)
{
	int err = begin(file);

	*done = 0;
	if (err)
		return err;
	err = access_all(file->vcpu, access, ids, n, values, values_bytes, done);
	end(file);
	return err;
}

int kvmemu_get_regs(struct kvmemu_file *vcpu, const uint64_t *ids, size_t n, void *values, size_t values_bytes,
		    size_t *done)
{
	return batch(vcpu, get_reg, ids, n, (uintptr_t)values, values_bytes, done);
}

int kvmemu_set_regs(struct kvmemu_file *vcpu, const uint64_t *ids, size_t n, const void *values, size_t values_bytes,
		    size_t *done)
{
	return batch(vcpu, set_reg, ids, n, (uintptr_t)values, values_bytes, done);
}
