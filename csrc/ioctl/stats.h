/* SPDX-License-Identifier: MIT */
/* KVM_GET_STATS_FD, of a VM or a vCPU. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_STATS_H
#define KVMEMU_IOCTL_STATS_H

#include "file.h"

long stats_open(struct call *call);

#endif
