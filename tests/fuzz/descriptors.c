/* SPDX-License-Identifier: MIT */
/* What a fuzzing session does with real descriptors. Part of the tests. */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <kvmemu/uapi.h>

#include "session.h"

#define FAKE_FD 5000	/* a number that no descriptor of this program has */

static void keep_fd(struct session *s, int fd, enum kind kind)
{
	unsigned int at = choose(&s->in, NR_FDS);

	for (unsigned int i = 0; i < NR_FDS; i++) {
		if (s->fds[i].fd == fd) {	/* published again, or closed behind the library's back and reused */
			at = i;
			break;
		}
		if (s->fds[at].fd >= 0)
			at = (at + 1) % NR_FDS;
	}
	if (s->fds[at].fd >= 0 && s->fds[at].fd != fd) {
		if (s->fds[at].closed)
			kvmemu_fd_forget(s->fds[at].fd);
		else
			kvmemu_fd_close(s->fds[at].fd);
	}
	s->fds[at].fd = fd;
	s->fds[at].kind = kind;
	s->fds[at].closed = false;
}

static void publish(struct session *s)
{
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);
	int fd;

	if (!file)
		return;
	/* Else the library may give out such a number again, not knowing that it is closed. */
	for (unsigned int i = 0; i < NR_FDS; i++)
		if (s->fds[i].fd >= 0 && s->fds[i].closed) {
			kvmemu_fd_forget(s->fds[i].fd);
			s->fds[i].fd = -1;
		}
	fd = kvmemu_fd_publish(file);
	expect(counted(fd) >= 0, "a file can be published");
	keep_fd(s, fd, kind);
}

/* A vCPU is never run through a descriptor without this. */
static void make_exit_immediate(int fd)
{
	struct kvmemu_file *file = kvmemu_fd_file(fd);
	size_t bytes;
	void *pages;

	if (file && !kvmemu_run(file, &pages, &bytes))
		((struct kvm_run *)pages)->immediate_exit = 1;
	kvmemu_close(file);
}

/* KVM_CREATE_DEVICE hands its descriptor out in the argument, which is known to be good since it could. */
static void keep_device(struct session *s, const struct kvm_create_device *device)
{
	struct kvm_create_device copy;

	memcpy(&copy, device, sizeof(copy));
	if (!(copy.flags & KVM_CREATE_DEVICE_TEST))
		keep_fd(s, (int)copy.fd, DEVICE);
}

static void call_fd(struct session *s, unsigned int at)
{
	static const struct request run = { .number = KVM_RUN };
	unsigned int which = choose(&s->in, (unsigned int)nr_requests);
	const struct request *request = once_in(&s->in, 16) ? &run : &requests[which];
	uint64_t argument = make_argument(s, request);
	int fd = s->fds[at].fd;
	long ret;

	/* A number that stands for another file by now gets there, and that one's file system is not to be frozen. */
	if (request->number == FIFREEZE || request->number == FITHAW)
		return;
	/* A device's descriptor is lost if its number cannot be stored, as on Linux: not what is looked for here. */
	if (request->creates == DEVICE && argument - (uintptr_t)memory > MEMORY_WRITABLE - request->bytes)
		argument = (uintptr_t)memory;
	make_exit_immediate(fd);
	ret = counted(kvmemu_fd_ioctl(fd, request->number, argument));
	if (ret >= 0 && created_by(request->number) == DEVICE)
		keep_device(s, (const void *)argument);
	else if (ret >= 0 && created_by(request->number))
		keep_fd(s, (int)ret, created_by(request->number));
}

static void duplicate_fd(struct session *s, unsigned int at)
{
	int fd;

	if (s->fds[at].closed)
		return;
	fd = dup(s->fds[at].fd);
	expect(counted(kvmemu_fd_dup(s->fds[at].fd, fd)) == fd, "a descriptor can be duplicated");
	keep_fd(s, fd, s->fds[at].kind);
}

static void close_fd(struct session *s, unsigned int at)
{
	int fd = s->fds[at].fd;

	switch (choose(&s->in, 4)) {
	case 0:
		if (!s->fds[at].closed)
			close(fd);
		s->fds[at].closed = true;
		return;
	case 1:
		kvmemu_fd_forget(fd);
		if (!s->fds[at].closed)
			close(fd);
		break;
	default:
		if (s->fds[at].closed)
			kvmemu_fd_forget(fd);
		else
			expect(!counted(kvmemu_fd_close(fd)), "an open descriptor can be closed");
	}
	s->fds[at].fd = -1;
}

/* What a program may do with any descriptor. */
static void use_as_descriptor(struct session *s, unsigned int at)
{
	int fd = s->fds[at].fd;
	char bytes[64];
	void *map;

	if (s->fds[at].closed)
		return;
	switch (choose(&s->in, 4)) {
	case 0:
		if (pread(fd, bytes, sizeof(bytes), (off_t)choose(&s->in, 1000)) < 0)
			return;
		break;
	case 1:
		if (ftruncate(fd, (off_t)choose(&s->in, 10000)))
			return;
		break;
	default:
		map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			return;
		take_bytes(&s->in, (char *)map + choose(&s->in, 4080), 16);
		munmap(map, 4096);
	}
}

void descriptor_action(struct session *s)
{
	unsigned int at = choose(&s->in, NR_FDS);

	if (s->fds[at].fd < 0) {
		publish(s);
		return;
	}
	switch (choose(&s->in, 8)) {
	case 0:
		duplicate_fd(s, at);
		break;
	case 1:
		close_fd(s, at);
		break;
	case 2:
		use_as_descriptor(s, at);
		break;
	case 3:		/* numbers beyond what the table holds, and one that is not a descriptor */
		counted(kvmemu_fd_dup(s->fds[at].fd, once_in(&s->in, 2) ? (int)take(&s->in, 4) | 1 << 20 : FAKE_FD));
		kvmemu_fd_forget(FAKE_FD);
		break;
	default:
		call_fd(s, at);
	}
}

void close_descriptors(struct session *s)
{
	for (unsigned int i = 0; i < NR_FDS; i++) {
		if (s->fds[i].fd < 0)
			continue;
		if (s->fds[i].closed)
			kvmemu_fd_forget(s->fds[i].fd);
		else
			kvmemu_fd_close(s->fds[i].fd);
	}
}
