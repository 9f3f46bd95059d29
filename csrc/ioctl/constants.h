/* SPDX-License-Identifier: MIT */
/*
 * The constants of <kvmemu/uapi.h> by name, and its requests by number. Layer:
 * ioctl; the Python front end, the trace reader and the CLI take their numbers
 * from here. The rows are in constants_list.h.
 */
#ifndef KVMEMU_IOCTL_CONSTANTS_H
#define KVMEMU_IOCTL_CONSTANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kvmemu_constant {
	const char *name;
	uint64_t value;		/* two's complement if negative */
	bool negative;		/* PSCI_RET_*: int64_t is what is meant */
};

/* All constants, *n of them, sorted by name (strcmp). Never freed or changed. */
const struct kvmemu_constant *kvmemu_constants(size_t *n);

/* The constant of that name, or NULL. */
const struct kvmemu_constant *kvmemu_constant_find(const char *name);

/*
 * The name of an ioctl request, or NULL. Only the low 32 bits count, as in Linux.
 * KVM_ARM_SET_DEVICE_ADDR (VM) and KVM_GET_ONE_REG (vCPU) are one number: the
 * answer is the latter, and who knows the descriptor must know better.
 */
const char *kvmemu_request_name(unsigned long request);

#endif /* KVMEMU_IOCTL_CONSTANTS_H */
