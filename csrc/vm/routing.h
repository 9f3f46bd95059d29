/* SPDX-License-Identifier: MIT */
/*
 * From GSIs, the inputs that an irqfd names, to interrupts of the vGIC. Layer: vm.
 * Source: virt/kvm/irqchip.c, arch/arm64/kvm/vgic/vgic-irqfd.c, Linux 6.1.
 */
#ifndef KVMEMU_VM_ROUTING_H
#define KVMEMU_VM_ROUTING_H

#include <stdbool.h>
#include <stdint.h>

struct vm;
struct routing;
struct kvm_msi;
struct kvm_irq_routing_entry;

#define ROUTING_MAX_GSIS 4096	/* KVM_MAX_IRQ_ROUTES: entries, and GSI numbers */

/* KVM_SET_GSI_ROUTING: the table as a whole, or EINVAL, ENOMEM and the table as it was. */
int routing_set(struct vm *vm, const struct kvm_irq_routing_entry *entries, uint32_t nr);

/* When the vGIC is initialised: GSI n is the SPI n, whatever user space had set before. ENOMEM. */
int routing_set_default(struct vm *vm, uint32_t nr_spis);
void routing_free(struct routing *routing);

/* With vm->irq_lock: a GSI's input changes. Nothing happens without a route, or where it leads nowhere. */
void routing_inject(struct vm *vm, uint32_t gsi, bool level);

/* With vm->irq_lock: the GSI that was last routed to an SPI, or -1. */
int routing_gsi_of_spi(const struct vm *vm, uint32_t intid);

/* A message-signalled interrupt. ENODEV: no VM has an ITS yet. Source: kvm_set_msi(). */
int msi_inject(struct vm *vm, const struct kvm_msi *msi);

#endif
