/* SPDX-License-Identifier: MIT */
/* Interrupts of a VM: GSI routing, irqfds, MSIs. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_IRQ_H
#define KVMEMU_IOCTL_IRQ_H

struct call;

long gsi_routing_set(struct call *call);	/* KVM_SET_GSI_ROUTING */
long irqfd_call(struct call *call);		/* KVM_IRQFD */
long msi_signal(struct call *call);		/* KVM_SIGNAL_MSI */

#endif
