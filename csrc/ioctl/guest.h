/* SPDX-License-Identifier: MIT */
/* What a guest does, done by hand: for tests of what user space sees of it. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_GUEST_H
#define KVMEMU_IOCTL_GUEST_H

#include <stdint.h>

struct kvmemu_file;
struct kvmemu_cpu;

/*
 * A store of the low bytes (1, 2, 4 or 8) of value to an address without memory. 1 if an eventfd or the ring of coalesced
 * stores took it; 0 where KVM_RUN would end with KVM_EXIT_MMIO. EINVAL, EIO.
 */
int kvmemu_guest_store(struct kvmemu_file *file, uint64_t ipa, uint32_t bytes, uint64_t value);

/* The guest is done with a level-triggered SPI, which its list register tells KVM of. EINVAL, EIO. */
int kvmemu_guest_eoi(struct kvmemu_file *file, uint32_t intid);

/*
 * For kvmemu_set_guest(): HVC, or SMC if context is not NULL, with what is in x0 and up. KVM_RUN ends with
 * KVM_EXIT_HYPERCALL where the guest goes on; where it ends otherwise, the next one ends so, without a call.
 */
void kvmemu_guest_calls(struct kvmemu_cpu *cpu, void *context);

/* The same for one that executes WFI. Where CPU_ON has it begin there is none, and KVM_RUN ends at once. */
void kvmemu_guest_waits(struct kvmemu_cpu *cpu, void *context);

#endif
