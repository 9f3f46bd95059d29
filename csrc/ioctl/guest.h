/* SPDX-License-Identifier: MIT */
/* What a guest does, done by hand: for tests of what user space sees of it. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_GUEST_H
#define KVMEMU_IOCTL_GUEST_H

#include <stdint.h>

struct kvmemu_file;

/*
 * A store of the low bytes (1, 2, 4 or 8) of value to an address without memory. 1 if an eventfd or the ring of coalesced
 * stores took it; 0 where KVM_RUN would end with KVM_EXIT_MMIO. EINVAL, EIO.
 */
int kvmemu_guest_store(struct kvmemu_file *file, uint64_t ipa, uint32_t bytes, uint64_t value);

/* The guest is done with a level-triggered SPI, which its list register tells KVM of. EINVAL, EIO. */
int kvmemu_guest_eoi(struct kvmemu_file *file, uint32_t intid);

#endif
