/* SPDX-License-Identifier: MIT */
/*
 * libkvmemu-preload.so: /dev/kvm for programs that know nothing of kvmemu. Layer: preload, above ioctl.
 *
 * The library defines functions of the C library under their own names, and LD_PRELOAD lets it be asked first. What is
 * about /dev/kvm and the descriptors that come from it goes to csrc/ioctl; everything else goes on to whoever is next,
 * mostly the C library, with all its arguments and with errno as that one leaves it. What cannot be served so is
 * written down in docs/preload.md.
 *
 * Included before anything else, because the names defined here must not be macros or inline functions.
 */
#ifndef KVMEMU_PRELOAD_H
#define KVMEMU_PRELOAD_H

#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvmemu.h"

#define EXPORT __attribute__((visibility("default")))

/* One more name for an interposed function. */
#if __has_attribute(copy)
#define ALIAS(name, of) extern __typeof__(of) name __attribute__((copy(of), alias(#of), visibility("default")))
#else
#define ALIAS(name, of) extern __typeof__(of) name __attribute__((alias(#of), visibility("default")))
#endif

/* Functions that the C library has and its headers do not show. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);
int __xstat(int version, const char *path, struct stat *st);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat(int version, const char *path, struct stat *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
int __fxstat(int version, int fd, struct stat *st);
int __fxstat64(int version, int fd, struct stat64 *st);
int __fxstatat(int version, int dirfd, const char *path, struct stat *st, int flags);
int __fxstatat64(int version, int dirfd, const char *path, struct stat64 *st, int flags);

#define NEXT_FUNCTIONS(X) \
	X(open) X(open64) X(openat) X(openat64) X(__open_2) X(__open64_2) X(__openat_2) X(__openat64_2) \
	X(ioctl) X(mmap) X(mmap64) \
	X(read) X(pread) X(pread64) X(write) X(pwrite) X(pwrite64) X(lseek) X(lseek64) \
	X(close) X(close_range) X(closefrom) X(dup) X(dup2) X(dup3) X(fcntl) X(fcntl64) \
	X(access) X(euidaccess) X(faccessat) \
	X(stat) X(stat64) X(lstat) X(lstat64) X(fstat) X(fstat64) X(fstatat) X(fstatat64) X(statx) \
	X(__xstat) X(__xstat64) X(__lxstat) X(__lxstat64) X(__fxstat) X(__fxstat64) X(__fxstatat) X(__fxstatat64) \
	X(sigaction) X(signal) X(sysv_signal)

enum next_function {
#define X(name) NEXT_##name,
	NEXT_FUNCTIONS(X)
#undef X
	NR_NEXT
};

#pragma GCC visibility push(hidden)

extern _Atomic(void *) next_functions[NR_NEXT];
void *next_resolve(enum next_function which);

static inline void *next_function(enum next_function which)
{
	void *function = atomic_load_explicit(&next_functions[which], memory_order_relaxed);

	return function ? function : next_resolve(which);
}

/* The function of this name that would be called if this library were not there. */
#define NEXT(name) ((__typeof__(&name))next_function(NEXT_##name))

/*
 * False in a child of vfork(2), or of clone(2) like it: it closes and duplicates descriptors of its own, but what it
 * writes is its parent's memory. There the tables must stay as they are.
 */
bool at_home(void);

/* What must be in place before the first call of csrc/ioctl. */
void preload_prepare(void);

enum descriptor_kind { NOT_OURS = -1, KVM_SYSTEM, KVM_VM, KVM_VCPU, KVM_DEVICE, KVM_STATS };

/* False as long as the program has not opened /dev/kvm. */
extern atomic_bool kvm_was_opened;

enum descriptor_kind descriptor_kind_in_table(int fd);

/* What a descriptor is. At most a look into a table, for calls that are made all the time. */
static inline enum descriptor_kind descriptor_kind(int fd)
{
	return atomic_load_explicit(&kvm_was_opened, memory_order_relaxed) ? descriptor_kind_in_table(fd) : NOT_OURS;
}

/*
 * The same for answers that differ from what the kernel would say of the descriptor: a number that was closed where this
 * library could not see it, and is another file by now, is noticed and forgotten.
 */
enum descriptor_kind descriptor_kind_checked(int fd);

/* True for a descriptor that another thread has opened and not entered yet, or taken out and not closed yet. */
bool descriptor_is_in_passing(int fd);

/* A number that is about to be closed, or that the kernel has just given out for something else, stands for no file. */
void descriptor_forget(int fd);

/* A descriptor for /dev/kvm, or -1 and errno, as open(2) with these flags. */
int open_kvm(int flags);

/* True if a path leads to /dev/kvm, seen from dirfd. The path must be readable. */
bool path_is_kvm(int dirfd, const char *path);

/* False for an address at which there can be no path, so that the kernel may say EFAULT. */
bool path_is_readable(const char *path);

/* Headers promise that a path is not NULL, and the compiler believes them; programs do not. */
static inline bool is_null(const char *path)
{
	return (uintptr_t)path < 4096;
}

#pragma GCC visibility pop

/* -1 with errno from a negative errno; anything else is the result, and errno is as it was before. */
static inline long result_of(long ret, int errno_before)
{
	errno = ret < 0 ? (int)-ret : errno_before;
	return ret < 0 ? -1 : ret;
}

#endif
