/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of the host that a guest deactivates itself. Layer: vm.
 *
 * A device of the host raises an interrupt of the host's distributor. It is acknowledged there, given to the guest, and
 * stays active until the guest deactivates its own: the list register carries both numbers, and the hardware does both.
 * Meanwhile the host's does not come again, and the guest's is never pending and active at once.
 * Source: kvm_vgic_map_phys_irq(), Linux 6.1; "Allow HW interrupts to be queued to a guest", Linux 4.3.
 */
#ifndef KVMEMU_VM_FORWARD_H
#define KVMEMU_VM_FORWARD_H

#include <stdint.h>

struct vm;
struct vcpu;
struct forward;

/*
 * Maps a guest's interrupt, a PPI of vcpu or an SPI, to an SPI of the host, which is level- or edge-triggered as the
 * guest's is now. The guest's has no other source from then on.
 * EAGAIN before the vGIC is initialised; EINVAL for interrupts that are not such; EEXIST if the guest's is mapped already,
 * EBUSY if the host's is, or if the guest's is pending or active: what it is then would come to be illegal.
 */
int forward_map(struct vcpu *vcpu, uint32_t intid, uint32_t host_intid);

/* ENOENT if it is not mapped; EBUSY while it is active, or in a list register. */
int forward_unmap(struct vcpu *vcpu, uint32_t intid);

/* Host interrupts that fired so far are injected. No lock from vm->irq_lock on. */
void forwards_sync(struct vm *vm);

/* With the VM. */
void forwards_free(struct vm *vm);

#endif
