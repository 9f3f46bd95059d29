/* SPDX-License-Identifier: MIT */
/*
 * Real descriptors for files, and which file a number stands for. Layer: ioctl.
 *
 * The numbers are memfds and epoll instances, so that everything but ioctl(2) works on them without help: mmap(2) of a
 * vCPU shows its kvm_run, read(2) of statistics reads them, poll(2) says ready, fstat(2) answers.
 *
 * Look-ups take no lock. A slot is read, a reference is taken unless the count has reached zero, and the slot is read
 * again: file.c never gives a file's memory back, so that the count may be looked at whatever has become of the file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../machine/host.h"
#include "../vm/event.h"
#include "../vm/vcpu.h"
#include "file.h"

#define CHUNK_SLOTS 1024
#define NR_CHUNKS 1024

typedef _Atomic(struct kvmemu_file *) slot;

static _Atomic(slot *) chunks[NR_CHUNKS];

static slot *find_slot(int fd)
{
	slot *chunk;

	if (fd < 0 || fd >= CHUNK_SLOTS * NR_CHUNKS)
		return NULL;
	chunk = atomic_load_explicit(&chunks[fd / CHUNK_SLOTS], memory_order_acquire);
	return chunk ? &chunk[fd % CHUNK_SLOTS] : NULL;
}

static slot *make_slot(int fd)
{
	slot *chunk, *none = NULL;

	if (fd < 0 || fd >= CHUNK_SLOTS * NR_CHUNKS || find_slot(fd))
		return find_slot(fd);
	chunk = calloc(CHUNK_SLOTS, sizeof(*chunk));
	if (!chunk)
		return NULL;
	if (!atomic_compare_exchange_strong(&chunks[fd / CHUNK_SLOTS], &none, chunk))
		free(chunk);	/* another thread was first */
	return find_slot(fd);
}

struct kvmemu_file *kvmemu_fd_file(int fd)
{
	slot *at = find_slot(fd);
	struct kvmemu_file *file;

	while (at) {
		file = atomic_load_explicit(at, memory_order_acquire);
		if (!file)
			return NULL;
		if (!file_try_get(file))
			continue;
		if (atomic_load_explicit(at, memory_order_acquire) == file)
			return file;
		file_put(file);
	}
	return NULL;
}

/* Enters a file under a number, with the caller's reference; whatever stood there was closed behind our back. */
static int enter(int fd, struct kvmemu_file *file)
{
	slot *at = make_slot(fd);
	struct kvmemu_file *stale;

	if (!at)
		return -EMFILE;
	stale = atomic_exchange(at, file);
	if (stale)
		file_put(stale);
	return fd;
}

int kvmemu_fd_forget(int fd)
{
	slot *at = find_slot(fd);
	struct kvmemu_file *file = at ? atomic_exchange(at, NULL) : NULL;

	if (!file)
		return -EBADF;
	file_put(file);
	return 0;
}

static bool is_zero(const void *memory, size_t bytes)
{
	const uint64_t *word = memory;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

/* Sealed: ftruncate(2) by the caller must not take the pages away from under us. */
static int new_pages_file(const struct vcpu *vcpu)
{
	int fd = memfd_create("kvm-vcpu", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)run_pages_bytes(vcpu)) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* The file with the VM's ring is the first vCPU's; that page of the others' files is not used. */
static int pages_file(const struct vcpu *vcpu)
{
	const struct ring *ring = &vcpu->vm->buses.ring;
	int fd;

	if (vcpu->index || !ring->page)
		return new_pages_file(vcpu);
	fd = fcntl(ring->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* Moves a vCPU's own pages into a descriptor, without moving them in memory. */
static int share_run_pages(struct vcpu *vcpu)
{
	struct kvm_run *run = run_pages_get(vcpu);
	size_t bytes;
	void *copy;
	int fd, err;

	if (!run)
		return -ENOMEM;
	bytes = vcpu->vm->buses.ring.page ? vcpu->vm->host->page_bytes : run_pages_bytes(vcpu);
	fd = pages_file(vcpu);
	if (fd < 0)
		return fd;
	copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (copy == MAP_FAILED)
		goto fail;
	/* The first vCPU's page may be left from one that did not come to be. Others need not exist yet. */
	if (!vcpu->index || !is_zero(run, bytes))
		memcpy(copy, run, bytes);
	if (mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, run) == MAP_FAILED) {
		munmap(copy, bytes);
		goto fail;
	}
	return fd;
fail:
	err = -errno;
	close(fd);
	return err;
}

void descriptor_show_ring(int fd, void *addr, size_t len, int prot, int flags, off_t offset)
{
	struct kvmemu_file *file = kvmemu_fd_file(fd);
	const struct vcpu *vcpu = file && file->kind == FILE_VCPU ? file->vcpu : NULL;
	off_t page;

	if (vcpu && vcpu->index && vcpu->vm->buses.ring.page) {
		page = (off_t)vcpu->vm->host->page_bytes;
		if (offset <= page && offset + (off_t)len > page)
			mmap((char *)addr + (page - offset), (size_t)page, prot,
			     (flags & (MAP_SHARED | MAP_PRIVATE)) | MAP_FIXED, vcpu->vm->buses.ring.fd, page);
	}
	if (file)
		file_put(file);
}

/*
 * An event that never goes away. Its number is a high one: programs count on the lowest, and close ranges of low ones.
 */
static int make_ready_fd(void)
{
	return event_move_away(eventfd(1, EFD_CLOEXEC));
}

/* Has an epoll instance watch that event; made anew where the program has closed it. */
static void be_always_ready(int fd)
{
	static atomic_int ready_fd = -1;
	struct epoll_event always = { .events = EPOLLIN };
	int known = atomic_load(&ready_fd), fresh;

	if (known >= 0 && !epoll_ctl(fd, EPOLL_CTL_ADD, known, &always))
		return;
	fresh = make_ready_fd();
	if (fresh < 0)
		return;
	if (!atomic_compare_exchange_strong(&ready_fd, &known, fresh)) {
		close(fresh);	/* another thread was first */
		fresh = known;
	}
	epoll_ctl(fd, EPOLL_CTL_ADD, fresh, &always);
}

/*
 * For files that have nothing to show. An epoll instance refuses read(2), write(2) and mmap(2) with the errors that
 * KVM's files refuse them with, and has an anonymous inode as they have; it watches an event that never goes away,
 * because poll(2) finds KVM's files always ready.
 */
static int bare_descriptor(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	be_always_ready(fd);
	return fd;
}

/* A descriptor of its own for each opening, so that each has its own file position. */
static int reopen(int fd)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	if (again < 0)
		again = fcntl(fd, F_DUPFD_CLOEXEC, 0);	/* no /proc: one position for all */
	return again < 0 ? -errno : again;
}

static int new_descriptor(struct kvmemu_file *file)
{
	switch (file->kind) {
	case FILE_VCPU:
		return share_run_pages(file->vcpu);
	case FILE_STATS:
		return reopen(file->vcpu ? file->vcpu->stats_page->fd : file->vm->stats_page->fd);
	default:
		return bare_descriptor();
	}
}

int descriptor_create(struct kvmemu_file *file)
{
	int fd = new_descriptor(file), entered;

	if (fd < 0)
		return fd;
	atomic_store(&file->fd, fd);
	entered = enter(fd, file);
	if (entered < 0)
		close(fd);
	return entered;
}

/* Two threads that publish one file get one number. As in file.c, a fork must not leave the lock taken. */
static pthread_mutex_t publish_lock = PTHREAD_MUTEX_INITIALIZER;

static void before_fork(void)
{
	pthread_mutex_lock(&publish_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&publish_lock);
}

static void guard_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

int kvmemu_fd_publish(struct kvmemu_file *file)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	slot *at;
	int fd;

	pthread_once(&once, guard_forks);
	pthread_mutex_lock(&publish_lock);
	fd = atomic_load(&file->fd);
	at = find_slot(fd);
	if (!at || atomic_load(at) != file) {
		fd = descriptor_create(file_get(file));
		if (fd < 0)
			file_put(file);
	}
	pthread_mutex_unlock(&publish_lock);
	return fd;
}

int kvmemu_fd_open(struct kvmemu_host *host)
{
	struct kvmemu_file *file;
	int err = kvmemu_open(host, &file), fd;

	if (err)
		return err;
	fd = descriptor_create(file);
	if (fd < 0)
		file_put(file);
	return fd;
}

/* What Linux's file layer does to a descriptor, whatever the file: close-on-exec, non-blocking, asynchronous. */
static bool is_generic(unsigned int request)
{
	return request == FIOCLEX || request == FIONCLEX || request == FIONBIO || request == FIOASYNC;
}

long kvmemu_fd_ioctl(int fd, unsigned long request, unsigned long arg)
{
	struct call call = { .request = (unsigned int)request, .arg = arg, .with_descriptors = true };
	long ret;

	call.file = kvmemu_fd_file(fd);
	if (!call.file)
		return -EBADF;
	if (is_generic(call.request))
		ret = syscall(SYS_ioctl, fd, request, arg) < 0 ? -errno : 0; /* ioctl() may be the preload library's */
	else
		ret = file_ioctl(&call);
	file_put(call.file);
	return ret;
}

int kvmemu_fd_dup(int fd, int new_fd)
{
	struct kvmemu_file *file = kvmemu_fd_file(fd);
	int err;

	if (!file)
		return -EBADF;
	err = enter(new_fd, file);
	if (err < 0)
		file_put(file);
	return err;
}

int kvmemu_fd_close(int fd)
{
	int err = kvmemu_fd_forget(fd);

	if (err)
		return err;
	return close(fd) ? -errno : 0;
}
