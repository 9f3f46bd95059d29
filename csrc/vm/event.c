/* SPDX-License-Identifier: MIT */
/* Eventfds of the caller. Layer: vm. */
#define _GNU_SOURCE
#include "event.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Programs count on the lowest numbers, and close ranges of low ones. */
#define FIRST_OWN_NUMBER 512

/* An id that is a descriptor's number, where nothing better is known. */
#define ID_IS_NUMBER (1ull << 63)

static int own_dup(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_OWN_NUMBER);

	/* Not so many numbers allowed, or all of those taken. */
	if (own < 0 && errno != EBADF)
		own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return own < 0 ? -errno : own;
}

int event_move_away(int fd)
{
	int own = fd < 0 ? fd : own_dup(fd);	/* errno stays what it is where there is none */

	if (own < 0)
		return fd;
	close(fd);
	return own;
}

/* What the kernel says of a descriptor; false if it cannot be asked. */
static bool read_info(int fd, char *text, size_t room)
{
	char path[40];
	ssize_t n;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return false;
	n = read(info, text, room - 1);
	close(info);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* Which eventfd it is; number is what the caller knows it by. */
static int identify(int fd, int number, uint64_t *id)
{
	const char *at;
	struct stat st;
	char text[512];
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	*id = ID_IS_NUMBER | (unsigned int)number;
	if (!read_info(fd, text, sizeof(text)))
		return fstat(fd, &st) || st.st_mode & S_IFMT ? -EINVAL : 0;
	if (!strstr(text, "\neventfd-count:"))
		return -EINVAL;
	at = strstr(text, "\neventfd-id:");
	if (at)
		*id = strtoul(at + strlen("\neventfd-id:"), NULL, 10);
	return 0;
}

int event_open(int fd, uint64_t *id)
{
	int own = own_dup(fd), err;

	if (own < 0)
		return own;
	err = identify(own, fd, id);
	if (err) {
		close(own);
		return err;
	}
	return own;
}

bool event_is(int fd, uint64_t id)
{
	uint64_t found;

	return !identify(fd, fd, &found) && found == id;
}

int event_find(uint64_t id)
{
	DIR *dir = id & ID_IS_NUMBER ? NULL : opendir("/proc/self/fd");
	const struct dirent *entry;
	int found = -1;

	while (dir && found < 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && event_is(atoi(entry->d_name), id))
			found = atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return found;
}

static bool is_ready(int fd, short events)
{
	struct pollfd ready = { .fd = fd, .events = events };

	return poll(&ready, 1, 0) > 0 && ready.revents & events;
}

void event_signal(int fd)
{
	const uint64_t one = 1;
	ssize_t done;

	if (!is_ready(fd, POLLOUT))
		return;
	done = write(fd, &one, sizeof(one));
	(void)done;
}

void event_take(int fd)
{
	uint64_t count;
	struct iovec to = { .iov_base = &count, .iov_len = sizeof(count) };
	ssize_t done = preadv2(fd, &to, 1, -1, RWF_NOWAIT);

	/* Kernels before 5.8, and qemu-user. Nobody else reads an eventfd that is KVM's. */
	if (done < 0 && (errno == EOPNOTSUPP || errno == ENOSYS) && is_ready(fd, POLLIN))
		done = read(fd, &count, sizeof(count));
	(void)done;
}
