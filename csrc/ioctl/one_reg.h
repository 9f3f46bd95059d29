/* SPDX-License-Identifier: MIT */
/* KVM_GET_ONE_REG, KVM_SET_ONE_REG and KVM_GET_REG_LIST. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_ONE_REG_H
#define KVMEMU_IOCTL_ONE_REG_H

#include "file.h"

long one_reg_get_call(struct call *call);
long one_reg_set_call(struct call *call);
long reg_list_call(struct call *call);

#endif
