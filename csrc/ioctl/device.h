/* SPDX-License-Identifier: MIT */
/* Devices of a VM: their creation, and the attributes each kind has. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_DEVICE_H
#define KVMEMU_IOCTL_DEVICE_H

#include "file.h"

struct kvm_device_attr;

/* Many attributes of one group at once: see kvmemu_get_attrs(). The addresses are the caller's. */
struct attr_batch {
	uint32_t group;
	bool set;
	uint64_t attrs;
	size_t n;
	uint64_t values;
	size_t values_bytes;
	size_t *done;		/* 0 to begin with */
};

/* A kind of device. Attribute handlers copy from and to the caller themselves: when is part of the interface. */
struct device_ops {
	uint32_t type;		/* KVM_DEV_TYPE_* */
	bool (*on_host)(const struct vm *vm);
	int (*create)(struct vm *vm);	/* with vm->lock */
	void (*release)(struct vm *vm);	/* with vm->lock, when its last descriptor is closed; NULL: it stays */
	int (*has)(struct vm *vm, const struct kvm_device_attr *attr);
	int (*get)(struct vm *vm, const struct kvm_device_attr *attr);	/* NULL, like the others: EPERM */
	int (*set)(struct vm *vm, const struct kvm_device_attr *attr);
	int (*many)(struct vm *vm, const struct attr_batch *batch);
};

extern const struct device_ops vgic_v2_ops;
extern const struct device_ops vgic_v3_ops;
extern const struct device_ops vfio_ops;

void device_release(struct kvmemu_file *file);

long device_create(struct call *call);		/* KVM_CREATE_DEVICE */
long irqchip_create(struct call *call);		/* KVM_CREATE_IRQCHIP */
long device_set_addr(struct call *call);	/* KVM_ARM_SET_DEVICE_ADDR */

/* The GICv2 part of the above. */
int vgic_set_legacy_addr(struct vm *vm, uint64_t id, uint64_t addr);

#endif
