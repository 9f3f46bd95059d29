/* SPDX-License-Identifier: MIT */
/* KVM_GET_ONE_REG, KVM_SET_ONE_REG, KVM_GET_REG_LIST, and registers in batches. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_ONE_REG_H
#define KVMEMU_IOCTL_ONE_REG_H

#include <stddef.h>
#include <stdint.h>

#include "kvmemu/uapi.h"

#include "file.h"

long one_reg_get_call(struct call *call);
long one_reg_set_call(struct call *call);
long reg_list_call(struct call *call);

/* For register accesses that do not come through the door: take and give back the vCPU's lock. 0 or an errno. */
int reg_access_begin(struct kvmemu_file *file);
void reg_access_end(struct kvmemu_file *file);

/* The size that an id says its register has. */
static inline size_t reg_id_bytes(uint64_t id)
{
	return 1ul << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

#endif
