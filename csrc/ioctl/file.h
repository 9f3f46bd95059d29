/* SPDX-License-Identifier: MIT */
/* Files: what a descriptor stands for, and the request tables behind each kind. Layer: ioctl. */
#ifndef KVMEMU_IOCTL_FILE_H
#define KVMEMU_IOCTL_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kvmemu.h"

struct machine;
struct vm;
struct vcpu;
struct call;

enum file_kind { FILE_SYSTEM, FILE_VM, FILE_VCPU, FILE_DEVICE, FILE_STATS };

/*
 * A file is freed only into a list of its own kind, never to the allocator: whoever finds it through a descriptor may
 * look at its reference count even as it goes away (see descriptors.c).
 */
struct kvmemu_file {
	atomic_int refs;
	enum file_kind kind;
	union {
		struct machine *machine;	/* FILE_SYSTEM */
		struct vm *vm;			/* the others; a reference */
	};
	struct vcpu *vcpu;			/* FILE_VCPU, FILE_STATS of a vCPU */
	const struct device_ops *device;	/* FILE_DEVICE */
	atomic_int fd;				/* a descriptor it was published under, -1 */
	struct kvmemu_file *next_free;
};

/* A handler: file and argument in, >= 0 or -errno out. */
typedef long (*ioctl_handler)(struct call *call);

/* One call through the door. */
struct call {
	struct kvmemu_file *file;
	struct vm *vm;			/* file->vm, file->vcpu: not on the system */
	struct vcpu *vcpu;
	unsigned int request;
	uint64_t arg;
	bool with_descriptors;		/* what is created gets a real descriptor: its number is the result */
	struct kvmemu_file **created;	/* else it goes here */
};

struct ioctl_row {
	unsigned int request;
	bool arm64_only;		/* a 32-bit host's kernel (Linux 5.6) has it not, or under another number */
	ioctl_handler handle;
};

struct ioctl_table {
	const struct ioctl_row *rows;
	size_t n;
	long unknown;			/* what other requests answer */
};

extern const struct ioctl_table system_ioctls;
extern const struct ioctl_table vm_ioctls;
extern const struct ioctl_table vcpu_ioctls;
extern const struct ioctl_table device_ioctls;

/* The one door: every call of every front end. */
long file_ioctl(struct call *call);

struct kvmemu_file *file_alloc(enum file_kind kind);
struct kvmemu_file *file_get(struct kvmemu_file *file);
void file_put(struct kvmemu_file *file);

/* Takes a reference unless the last one is gone already. */
bool file_try_get(struct kvmemu_file *file);

/* False where the caller has no place for what a request would create: -EMFILE before anything is done. */
static inline bool call_can_create(const struct call *call)
{
	return call->with_descriptors || call->created;
}

/*
 * Hands a newly created file to the caller: as a real descriptor, whose number it returns, or through call->created.
 * On an error the file is released.
 */
long call_publish(struct call *call, struct kvmemu_file *file);

/*
 * A real descriptor for a file, with the memory that mmap(2) and read(2) of it show, entered under its number with the
 * caller's reference. -errno, and then the reference is still the caller's.
 */
int descriptor_create(struct kvmemu_file *file);

/*
 * For the preload library, which stands between the program and mmap(2): the descriptor was mapped like this. The VM's
 * ring is put where the mapping shows a page of this vCPU's own. (Without that library, mmap(2) shows the ring on the
 * descriptor of the VM's first vCPU only; kvmemu_run() on all.)
 */
void descriptor_show_ring(int fd, void *addr, size_t len, int prot, int flags, off_t offset);

#endif
