/* SPDX-License-Identifier: MIT */
/* Attributes of the vGIC that are registers, one at a time and many. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_ATTR_VGIC_H
#define KVMEMU_IOCTL_ATTR_VGIC_H

#include "device.h"

/* For the groups of registers only: DIST_REGS, CPU_REGS, REDIST_REGS, CPU_SYSREGS, LEVEL_INFO. */
int vgic_regs_has(struct vm *vm, const struct kvm_device_attr *attr);
int vgic_regs_get(struct vm *vm, const struct kvm_device_attr *attr);
int vgic_regs_set(struct vm *vm, const struct kvm_device_attr *attr);
int vgic_regs_many(struct vm *vm, const struct attr_batch *batch);

#endif
