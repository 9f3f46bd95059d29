/* SPDX-License-Identifier: MIT */
/* Device attributes of a vCPU: its PMU, its timers' INTIDs, where its stolen time goes. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_ATTR_VCPU_H
#define KVMEMU_IOCTL_ATTR_VCPU_H

#include "file.h"

long attr_vcpu_set(struct call *call);
long attr_vcpu_get(struct call *call);
long attr_vcpu_has(struct call *call);

#endif
