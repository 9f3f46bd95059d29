/* SPDX-License-Identifier: MIT */
/* Stores of the guest that user space hears of without an exit: ioeventfds, coalesced MMIO. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_EVENTFD_H
#define KVMEMU_IOCTL_EVENTFD_H

struct call;

long ioeventfd_call(struct call *call);		/* KVM_IOEVENTFD */
long coalesced_mmio_call(struct call *call);	/* KVM_REGISTER_COALESCED_MMIO, KVM_UNREGISTER_COALESCED_MMIO */

#endif
