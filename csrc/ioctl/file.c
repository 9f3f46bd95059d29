/* SPDX-License-Identifier: MIT */
/* Files, and the door: one function for every call of every front end. Layer: ioctl. */
#include "file.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../machine/host.h"
#include "../machine/machine.h"
#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "device.h"
#include "user.h"
#include "vfs.h"

static pthread_mutex_t free_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kvmemu_file *free_files;

/* A fork must not leave the lock taken for ever in the child. */
static void before_fork(void)
{
	pthread_mutex_lock(&free_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&free_lock);
}

static void guard_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

struct kvmemu_file *file_alloc(enum file_kind kind)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct kvmemu_file *file;

	pthread_once(&once, guard_forks);
	pthread_mutex_lock(&free_lock);
	file = free_files;
	if (file)
		free_files = file->next_free;
	pthread_mutex_unlock(&free_lock);
	if (!file)
		file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->kind = kind;
	file->vm = NULL;
	file->vcpu = NULL;
	file->fd = -1;
	atomic_store_explicit(&file->refs, 1, memory_order_release);
	return file;
}

struct kvmemu_file *file_get(struct kvmemu_file *file)
{
	atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
	return file;
}

bool file_try_get(struct kvmemu_file *file)
{
	int refs = atomic_load_explicit(&file->refs, memory_order_relaxed);

	while (refs > 0)
		if (atomic_compare_exchange_weak_explicit(&file->refs, &refs, refs + 1, memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

/* What ends with the last of a file's descriptors, though the VM may live on. */
static void release_vm(struct kvmemu_file *file)
{
	if (file->kind == FILE_VM)
		irqfds_release(file->vm);
	if (file->kind == FILE_DEVICE)
		device_release(file);
	vm_put(file->vm);
}

void file_put(struct kvmemu_file *file)
{
	if (atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (file->kind == FILE_SYSTEM)
		machine_put(file->machine);
	else if (file->vm)
		release_vm(file);
	pthread_mutex_lock(&free_lock);
	file->next_free = free_files;
	free_files = file;
	pthread_mutex_unlock(&free_lock);
}

long call_publish(struct call *call, struct kvmemu_file *file)
{
	int fd;

	if (!call->with_descriptors) {
		*call->created = file;
		return 0;
	}
	fd = descriptor_create(file);
	if (fd < 0)
		file_put(file);
	return fd;
}

static bool is_arm32(const struct call *call)
{
	return call->vm && call->vm->host->arch == HOST_ARM32;
}

static long dispatch(const struct ioctl_table *table, struct call *call)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct ioctl_row *row = &table->rows[i];

		if (row->request != call->request)
			continue;
		return row->arm64_only && is_arm32(call) ? table->unknown : row->handle(call);
	}
	return table->unknown;
}

static bool is_of_kvm(const struct call *call)
{
	return (call->request >> 8 & 0xff) == KVMIO;
}

/* vCPU requests run one at a time, as under Linux's vcpu->mutex. */
static long vcpu_call(struct call *call)
{
	long ret;

	if (!is_of_kvm(call))
		return -EINVAL;
	lock_take(&call->vcpu->lock);
	ret = dispatch(&vcpu_ioctls, call);
	lock_release(&call->vcpu->lock);
	return ret;
}

long file_ioctl(struct call *call)
{
	struct kvmemu_file *file = call->file;
	long ret;

	if (!is_of_kvm(call) && vfs_answers(call, &ret))
		return ret;
	if (file->kind == FILE_SYSTEM)
		return dispatch(&system_ioctls, call);
	if (file->kind == FILE_STATS)
		return -ENOTTY;
	call->vm = file->vm;
	if (!vm_is_usable(call->vm))
		return -EIO;
	if (file->kind != FILE_VCPU || call->request == KVM_RUN)
		irqfds_sync(call->vm);
	switch (file->kind) {
	case FILE_VM:
		return dispatch(&vm_ioctls, call);
	case FILE_DEVICE:
		return dispatch(&device_ioctls, call);
	default:
		call->vcpu = file->vcpu;
		return vcpu_call(call);
	}
}

/*
 * The C interface.
 */

int kvmemu_open(struct kvmemu_host *host, struct kvmemu_file **system)
{
	struct machine *machine;
	int err = machine_create(host, &machine);

	if (err)
		return err;
	*system = file_alloc(FILE_SYSTEM);
	if (!*system) {
		machine_put(machine);
		return -ENOMEM;
	}
	(*system)->machine = machine;
	user_install_handlers();
	return 0;
}

long kvmemu_ioctl(struct kvmemu_file *file, unsigned long request, unsigned long arg, struct kvmemu_file **created)
{
	struct call call = { .file = file, .request = (unsigned int)request, .arg = arg, .created = created };

	return file_ioctl(&call);
}

int kvmemu_ioctls(struct kvmemu_file *file, struct kvmemu_call *calls, size_t n)
{
	uintptr_t at = (uintptr_t)calls;
	struct kvmemu_call row;

	for (size_t i = 0; i < n; i++, at += sizeof(row)) {
		if (user_read(&row, at, sizeof(row)))
			return -EFAULT;
		row.result = kvmemu_ioctl(file, row.request, row.arg, NULL);
		if (user_write(at + offsetof(struct kvmemu_call, result), &row.result, sizeof(row.result)))
			return -EFAULT;
	}
	return 0;
}

struct kvmemu_file *kvmemu_dup(struct kvmemu_file *file)
{
	return file_get(file);
}

void kvmemu_close(struct kvmemu_file *file)
{
	if (file)
		file_put(file);
}

int kvmemu_run(struct kvmemu_file *vcpu, void **run, size_t *bytes)
{
	if (vcpu->kind != FILE_VCPU)
		return -EINVAL;
	*run = run_pages_get(vcpu->vcpu);
	*bytes = run_pages_bytes(vcpu->vcpu);
	return *run ? 0 : -ENOMEM;
}

long kvmemu_read(struct kvmemu_file *file, void *buf, size_t len, int64_t offset)
{
	const struct stats_page *page;

	if (offset < 0 || file->kind == FILE_SYSTEM)
		return -EINVAL;
	if (file->kind != FILE_STATS)
		return -ESPIPE;
	page = file->vcpu ? file->vcpu->stats_page : file->vm->stats_page;
	if ((uint64_t)offset >= page->bytes)
		return 0;
	if (len > page->bytes - (uint64_t)offset)
		len = page->bytes - (uint64_t)offset;
	return user_write((uintptr_t)buf, page->image + offset, len) ? -EFAULT : (long)len;
}
