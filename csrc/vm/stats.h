/* SPDX-License-Identifier: MIT */
/*
 * Statistics as KVM_GET_STATS_FD shows them: a header, a name, descriptors, then 64-bit values. Layer: vm.
 * Source: virt/kvm/binary_stats.c, arch/arm64/kvm/guest.c, Linux 6.1; Documentation/virt/kvm/api.rst 4.133.
 */
#ifndef KVMEMU_VM_STATS_H
#define KVMEMU_VM_STATS_H

#include <stddef.h>
#include <stdint.h>

#define STATS_NAME_BYTES 48	/* KVM_STATS_NAME_SIZE, not part of the uapi */
#define STATS_HIST_BUCKETS 32

struct vm_stats {
	uint64_t remote_tlb_flush;
	uint64_t remote_tlb_flush_requests;
};

/* What is counted of a vCPU here: there is no polling, whose histograms alone are 768 bytes of zeros. */
struct vcpu_counts {
	uint64_t blocking;
	uint64_t hvc_exit_stat;
	uint64_t wfe_exit_stat;
	uint64_t wfi_exit_stat;
	uint64_t mmio_exit_user;
	uint64_t mmio_exit_kernel;
	uint64_t signal_exits;
	uint64_t exits;
};

/* The values of a vCPU's statistics file. */
struct vcpu_stats {
	uint64_t halt_successful_poll;
	uint64_t halt_attempted_poll;
	uint64_t halt_poll_invalid;
	uint64_t halt_wakeup;
	uint64_t halt_poll_success_ns;
	uint64_t halt_poll_fail_ns;
	uint64_t halt_wait_ns;
	uint64_t halt_poll_success_hist[STATS_HIST_BUCKETS];
	uint64_t halt_poll_fail_hist[STATS_HIST_BUCKETS];
	uint64_t halt_wait_hist[STATS_HIST_BUCKETS];
	struct vcpu_counts counts;
};

/* How a statistics file of a VM or a vCPU begins, up to its values; made once, shared by all of a kind. */
struct stats_layout {
	const void *descriptors;
	uint32_t nr_descriptors;
	uint32_t value_bytes;
};

extern const struct stats_layout vm_stats_layout;
extern const struct stats_layout vcpu_stats_layout;

/*
 * A statistics file's bytes in memory that can be mapped and read through a descriptor. Once it exists, what it counts
 * is counted in it.
 */
struct stats_page {
	int fd;
	char *image;
	size_t bytes;
};

/* Makes a page whose values are zero; 0 or -errno. */
int stats_page_create(const struct stats_layout *layout, const char *name, struct stats_page **out);
void stats_page_destroy(struct stats_page *page);

/* Bytes of a whole statistics file, and the offset of its values. */
size_t stats_file_bytes(const struct stats_layout *layout);
size_t stats_data_offset(const struct stats_layout *layout);

/* Writes header, name and descriptors to image, which has stats_data_offset() bytes. */
void stats_write_head(const struct stats_layout *layout, const char *name, void *image);

#endif
