/* SPDX-License-Identifier: MIT */
/*
 * The VM's I/O buses: what takes a guest's stores to addresses without memory before user space does. Layer: vm.
 * Source: kvm_io_bus_*() in kvm_main.c, eventfd.c, coalesced_mmio.c of virt/kvm, Linux 6.1.
 *
 * The vGIC's frames are on a bus in Linux as well. Here they only count: vgic/ finds its frames itself.
 */
#ifndef KVMEMU_VM_BUS_H
#define KVMEMU_VM_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pages.h"

struct vm;
struct kvm_ioeventfd;
struct kvm_coalesced_mmio_zone;
struct bus_device;

/* A guest of arm64 reaches the first only; the others take registrations, as they do in Linux. */
enum bus_id { BUS_MMIO, BUS_PIO, BUS_VIRTIO_CCW, BUS_FAST_MMIO, NR_BUSES };

struct bus {
	struct bus_device *device;	/* in Linux's order: by address where they do not overlap */
	size_t nr, room;
	size_t nr_ioeventfds;
	size_t nr_frames;
};

/* All under vm->slots_lock. */
struct buses {
	struct bus bus[NR_BUSES];
	struct ring ring;
};

/* Without a lock, at creation and destruction of a VM. */
void buses_init(struct vm *vm);
void buses_free(struct vm *vm);

/* KVM_IOEVENTFD. EINVAL, EBADF, EEXIST, ENOSPC, ENOENT; ENOMEM, EMFILE. */
int ioeventfd_set(struct vm *vm, const struct kvm_ioeventfd *args);

/* KVM_REGISTER_COALESCED_MMIO and KVM_UNREGISTER_COALESCED_MMIO. EINVAL, ENOSPC; ENOMEM. */
int coalesced_add(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone);
int coalesced_remove(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone);

/*
 * The guest stores the low len bytes of value, at most 8. True if an eventfd or the ring took it; else KVM_RUN ends
 * with KVM_EXIT_MMIO.
 */
bool bus_write(struct vm *vm, uint64_t addr, uint32_t len, uint64_t value);

/* A frame of the vGIC is mapped, or goes with its vCPU. ENOSPC. */
int bus_add_frame(struct vm *vm);
void bus_remove_frame(struct vm *vm);

#endif
