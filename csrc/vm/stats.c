/* SPDX-License-Identifier: MIT */
/* The layout of statistics files. Layer: vm. */
#define _GNU_SOURCE
#include "stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "event.h"
#include "kvmemu/uapi.h"

/* struct kvm_stats_desc has its name behind it; here both together, of fixed size as Linux has them. */
struct stats_row {
	uint32_t flags;
	int16_t exponent;
	uint16_t size;
	uint32_t offset;
	uint32_t bucket_size;
	char name[STATS_NAME_BYTES];
};

#define ROW(type, member, stat, flag_bits, exp, count) \
	{ .flags = (flag_bits), .exponent = (exp), .size = (count), .offset = offsetof(struct type, member), .name = #stat }
#define COUNTER(type, stat) \
	ROW(type, stat, stat, KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10, 0, 1)
#define COUNTED(stat) \
	ROW(vcpu_stats, counts.stat, stat, KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10, 0, 1)
#define TIME_NS(type, stat) \
	ROW(type, stat, stat, KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_SECONDS | KVM_STATS_BASE_POW10, -9, 1)
#define LOG_HISTOGRAM_NS(type, stat) \
	ROW(type, stat, stat, KVM_STATS_TYPE_LOG_HIST | KVM_STATS_UNIT_SECONDS | KVM_STATS_BASE_POW10, -9, STATS_HIST_BUCKETS)
#define BOOLEAN(stat) \
	ROW(vcpu_stats, counts.stat, stat, KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_BOOLEAN | KVM_STATS_BASE_POW10, 0, 1)

static const struct stats_row vm_rows[] = {
	COUNTER(vm_stats, remote_tlb_flush),
	COUNTER(vm_stats, remote_tlb_flush_requests),
};

static const struct stats_row vcpu_rows[] = {
	COUNTER(vcpu_stats, halt_successful_poll),
	COUNTER(vcpu_stats, halt_attempted_poll),
	COUNTER(vcpu_stats, halt_poll_invalid),
	COUNTER(vcpu_stats, halt_wakeup),
	TIME_NS(vcpu_stats, halt_poll_success_ns),
	TIME_NS(vcpu_stats, halt_poll_fail_ns),
	TIME_NS(vcpu_stats, halt_wait_ns),
	LOG_HISTOGRAM_NS(vcpu_stats, halt_poll_success_hist),
	LOG_HISTOGRAM_NS(vcpu_stats, halt_poll_fail_hist),
	LOG_HISTOGRAM_NS(vcpu_stats, halt_wait_hist),
	BOOLEAN(blocking),
	COUNTED(hvc_exit_stat),
	COUNTED(wfe_exit_stat),
	COUNTED(wfi_exit_stat),
	COUNTED(mmio_exit_user),
	COUNTED(mmio_exit_kernel),
	COUNTED(signal_exits),
	COUNTED(exits),
};

const struct stats_layout vm_stats_layout = {
	.descriptors = vm_rows,
	.nr_descriptors = sizeof(vm_rows) / sizeof(vm_rows[0]),
	.value_bytes = sizeof(struct vm_stats),
};

const struct stats_layout vcpu_stats_layout = {
	.descriptors = vcpu_rows,
	.nr_descriptors = sizeof(vcpu_rows) / sizeof(vcpu_rows[0]),
	.value_bytes = sizeof(struct vcpu_stats),
};

static size_t descriptor_bytes(const struct stats_layout *layout)
{
	return layout->nr_descriptors * sizeof(struct stats_row);
}

size_t stats_data_offset(const struct stats_layout *layout)
{
	return sizeof(struct kvm_stats_header) + STATS_NAME_BYTES + descriptor_bytes(layout);
}

size_t stats_file_bytes(const struct stats_layout *layout)
{
	return stats_data_offset(layout) + layout->value_bytes;
}

void stats_write_head(const struct stats_layout *layout, const char *name, void *image)
{
	const struct kvm_stats_header header = {
		.name_size = STATS_NAME_BYTES,
		.num_desc = layout->nr_descriptors,
		.id_offset = sizeof(header),
		.desc_offset = sizeof(header) + STATS_NAME_BYTES,
		.data_offset = (uint32_t)stats_data_offset(layout),
	};
	char *at = image;

	memcpy(at, &header, sizeof(header));
	memset(at + header.id_offset, 0, STATS_NAME_BYTES);
	memcpy(at + header.id_offset, name, strnlen(name, STATS_NAME_BYTES - 1));
	memcpy(at + header.desc_offset, layout->descriptors, descriptor_bytes(layout));
}

int stats_page_create(const struct stats_layout *layout, const char *name, struct stats_page **out)
{
	struct stats_page *page = malloc(sizeof(*page));
	int err = 0;

	if (!page)
		return -ENOMEM;
	page->bytes = stats_file_bytes(layout);
	page->image = MAP_FAILED;
	page->fd = event_move_away(memfd_create("kvmemu-stats", MFD_CLOEXEC));
	if (page->fd >= 0 && !ftruncate(page->fd, (off_t)page->bytes))
		page->image = mmap(NULL, page->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, page->fd, 0);
	if (page->image == MAP_FAILED) {
		err = -errno;
		if (page->fd >= 0)
			close(page->fd);
		free(page);
		return err;
	}
	stats_write_head(layout, name, page->image);
	*out = page;
	return 0;
}

void stats_page_destroy(struct stats_page *page)
{
	if (!page)
		return;
	munmap(page->image, page->bytes);
	close(page->fd);
	free(page);
}
