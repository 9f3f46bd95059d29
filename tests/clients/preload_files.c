/* SPDX-License-Identifier: MIT */
/*
 * What calls other than ioctl(2) say of KVM's files. Part of the tests; see preload_check.h.
 *
 *     preload_files system|vm|vcpu|device|vm-stats|vcpu-stats|open|path
 *
 * It prints a line a call: the call, and the result, or the error's name. preload/NAME.txt is what Linux says.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "preload_check.h"

#define NOT_THERE 77
#define PAGE 4096ul

#define SHOW(call) show(#call, (errno = 0, (long)(call)))
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void show(const char *call, long result)
{
	if (result == -1)
		printf("%s = -%s\n", call, strerrorname_np(errno));
	else
		printf("%s = %ld\n", call, result);
}

static char bytes[4096];

static void read_and_write(int fd)
{
	SHOW(read(fd, bytes, 0));
	SHOW(read(fd, bytes, 8));
	SHOW(pread(fd, bytes, 8, 0));
	SHOW(pread(fd, bytes, 0, 0));
	SHOW(pread(fd, bytes, 8, -1));
	SHOW(pread(fd, bytes, sizeof(bytes), 1 << 20));
	SHOW(write(fd, bytes, 0));
	SHOW(write(fd, bytes, 8));
	SHOW(pwrite(fd, bytes, 8, 0));
	SHOW(pwrite(fd, bytes, 8, -1));
}

static void seek(int fd)
{
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(fd, 4, SEEK_SET));
	SHOW(lseek(fd, -4, SEEK_SET));
	SHOW(lseek(fd, 4, SEEK_CUR));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(lseek(fd, 0, SEEK_DATA));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	SHOW(lseek(fd, 0, SEEK_HOLE + 1));
	SHOW(lseek(fd, 0, -1));
	SHOW(read(fd, bytes, 8));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(read(fd, bytes, sizeof(bytes)) < 1000);
}

static sigjmp_buf after_fault;

static void on_fault(int signum)
{
	siglongjmp(after_fault, signum);
}

/* r, w: can be read, written; B: SIGBUS, S: SIGSEGV. */
static void touch(volatile char *page)
{
	int signum = sigsetjmp(after_fault, 1);

	if (!signum) {
		(void)*page;
		signum = sigsetjmp(after_fault, 1);
		if (!signum)
			*page = 0;
		printf(signum ? " r" : " rw");
	} else {
		printf(signum == SIGBUS ? " B" : " S");
	}
}

static void map(int fd, size_t len, int prot, int flags, off_t offset)
{
	volatile char *at;

	errno = 0;
	at = mmap(NULL, len, prot, flags, fd, offset);
	printf("mmap(%#zx, prot %d, flags %#x, %#lx) =", len, prot, (unsigned int)flags, (long)offset);
	if (at == MAP_FAILED) {
		printf(" -%s\n", strerrorname_np(errno));
		return;
	}
	for (size_t i = 0; i < len && i < 4 * PAGE; i += PAGE)
		touch(at + i);
	printf("\n");
	munmap((void *)at, len);
}

static void map_in_many_ways(int fd)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_WRITE | PROT_EXEC };
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE, 0, MAP_SHARED | MAP_POPULATE, MAP_SHARED | MAP_ANONYMOUS };
	static const size_t lens[] = { 0, 1, PAGE, 2 * PAGE, 3 * PAGE, 1 << 20, 1ul << 50 };
	static const off_t offsets[] = { 0, PAGE, 2 * PAGE, 1l << 40, 1, -(off_t)PAGE };

	for (size_t i = 0; i < LENGTH(flags); i++)
		for (size_t j = 0; j < LENGTH(prots); j++)
			map(fd, PAGE, prots[j], flags[i], 0);
	for (size_t i = 0; i < LENGTH(offsets); i++)
		for (size_t j = 0; j < LENGTH(lens); j++)
			map(fd, lens[j], PROT_READ | PROT_WRITE, MAP_SHARED, offsets[i]);
}

static void show_state(const struct stat *st)
{
	/* The permissions of /dev/kvm are a matter of the distribution. */
	int mode = st->st_mode & (S_ISCHR(st->st_mode) ? S_IFMT : ~0u);

	printf("mode %o links %d device %u:%u size %ld blocks %ld\n", mode, (int)st->st_nlink, major(st->st_rdev),
	       minor(st->st_rdev), (long)st->st_size, (long)st->st_blocks);
}

static void state(int fd)
{
	struct statx stx = { 0 };
	struct stat st = { 0 };

	SHOW(fstat(fd, &st));
	show_state(&st);
	memset(&st, 0, sizeof(st));
	SHOW(fstatat(fd, "", &st, AT_EMPTY_PATH));
	show_state(&st);
	SHOW(fstatat(fd, "", &st, 0));
	SHOW(fstatat(fd, "kvm", &st, 0));
	SHOW(fstat(fd, BAD));
	SHOW(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx));
	printf("mode %o device %u:%u\n", stx.stx_mode & S_IFMT, stx.stx_rdev_major, stx.stx_rdev_minor);
	SHOW(statx(fd, "", AT_EMPTY_PATH, 0x80000000, &stx));
	SHOW(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, BAD));
}

static void be_asked(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	read_and_write(fd);
	seek(fd);
	map_in_many_ways(fd);
	state(fd);
	SHOW(poll(&ready, 1, 0));
	printf("ready %#x\n", ready.revents);
	SHOW(fcntl(fd, F_GETFD));
}

static void open_with(const char *name, int flags)
{
	int fd = open("/dev/kvm", flags, 0600), left = flags & (O_APPEND | O_NONBLOCK);

	if (fd < 0) {
		printf("open %s = -%s\n", name, strerrorname_np(errno));
		return;
	}
	printf("open %s\n", name);
	SHOW(fcntl(fd, F_GETFD));
	SHOW((fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK)) == left);
	SHOW(ioctl(fd, KVM_GET_API_VERSION, 0));
	close(fd);
}

#define OPEN(flags) open_with(#flags, flags)

static void open_in_many_ways(void)
{
	OPEN(O_RDONLY);
	OPEN(O_WRONLY);
	OPEN(O_RDWR);
	OPEN(O_RDWR | O_CLOEXEC);
	OPEN(O_RDWR | O_APPEND);
	OPEN(O_RDWR | O_NONBLOCK);
	OPEN(O_RDWR | O_NOFOLLOW);
	OPEN(O_RDWR | O_TRUNC);
	OPEN(O_RDWR | O_CREAT);
	OPEN(O_RDWR | O_CREAT | O_EXCL);
	OPEN(O_RDWR | O_DIRECTORY);
	OPEN(O_RDWR | O_DIRECT);
	OPEN(O_RDWR | O_TMPFILE);
	OPEN(O_RDONLY | O_CREAT | O_DIRECTORY);
	OPEN(O_PATH);
	OPEN(O_PATH | O_CLOEXEC | O_RDWR);
	OPEN(O_PATH | O_DIRECTORY);
}

#define PATH(dirfd, path) \
	do { \
		struct statx stx; \
		struct stat st; \
		int fd; \
		printf("%s: ", path); \
		SHOW((fd = openat(dirfd, path, O_RDWR)) < 0 ? fd : ioctl(fd, KVM_GET_API_VERSION, 0)); \
		close(fd); \
		SHOW(fstatat(dirfd, path, &st, 0) ? -1 : S_ISCHR(st.st_mode) ? (long)st.st_rdev : 0); \
		SHOW(fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) ? -1 : S_ISCHR(st.st_mode) ? (long)st.st_rdev : 0); \
		SHOW(statx(dirfd, path, 0, STATX_TYPE, &stx) ? -1 : S_ISCHR(stx.stx_mode) ? (long)stx.stx_rdev_minor : 0); \
		SHOW(faccessat(dirfd, path, R_OK | W_OK, 0)); \
	} while (0)

static void find_in_many_ways(void)
{
	int dev = open("/dev", O_RDONLY | O_DIRECTORY), root = open("/", O_PATH | O_DIRECTORY);
	char long_path[PATH_MAX + 10];
	char *volatile nowhere = NULL;
	struct stat st;

	PATH(AT_FDCWD, "/dev/kvm");
	PATH(AT_FDCWD, "/dev//kvm");
	PATH(AT_FDCWD, "//dev/./kvm");
	PATH(AT_FDCWD, "/./dev/kvm");
	PATH(AT_FDCWD, "/dev/kvmx");
	PATH(AT_FDCWD, "/dev/kv");
	PATH(AT_FDCWD, "/devkvm");
	PATH(AT_FDCWD, "/kvm");
	PATH(AT_FDCWD, "");
	PATH(dev, "kvm");
	PATH(dev, "./kvm");
	PATH(dev, "/dev/kvm");
	PATH(dev, "dev/kvm");
	PATH(root, "dev/kvm");
	PATH(root, "dev/./kvm");
	PATH(root, "kvm");
	PATH(-100000, "/dev/kvm");
	PATH(-100000, "kvm");

	SHOW(chdir("/dev"));
	PATH(AT_FDCWD, "kvm");
	PATH(AT_FDCWD, "dev/kvm");
	SHOW(chdir("/"));
	PATH(AT_FDCWD, "kvm");	/* not "dev/kvm": qemu-user's "/" is not the same as its "." */

	SHOW(stat("/dev/kvm", &st));
	show_state(&st);
	SHOW(lstat("/dev/kvm", &st));
	show_state(&st);
	SHOW(stat("/dev/kvm", BAD));
	SHOW(fstatat(AT_FDCWD, "/dev/kvm", &st, 0x8000));
	for (int mode = -1; mode <= 8; mode++) {
		printf("mode %d: ", mode);
		SHOW(access("/dev/kvm", mode));
		SHOW(faccessat(AT_FDCWD, "/dev/kvm", mode, AT_EACCESS));
		SHOW(euidaccess("/dev/kvm", mode));
	}
	SHOW(faccessat(AT_FDCWD, "/dev/kvm", R_OK, 0x8000));

	memset(long_path, '/', sizeof(long_path));
	strcpy(long_path + PATH_MAX, "dev/kvm");
	SHOW(open(long_path, O_RDWR));
	SHOW(open(BAD, O_RDWR));
	SHOW(open((char *)-1, O_RDWR));
	SHOW(open((char *)(1ul << 60), O_RDWR));
	SHOW(openat(dev, nowhere, O_RDWR));
	SHOW(stat(BAD, &st));
	SHOW(access(BAD, 0));
}

/* A path that ends with its page, and the next is not there. */
static void path_before_a_hole(void)
{
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *path = page + PAGE - sizeof("/dev/kvm");
	int fd;

	munmap(page + PAGE, PAGE);
	strcpy(path, "/dev/kvm");
	SHOW((fd = open(path, O_RDWR)) < 0 ? fd : ioctl(fd, KVM_GET_API_VERSION, 0));
	SHOW(access(path, R_OK));
	strcpy(path + 2, "/");
	SHOW(open(path + 1, O_RDONLY | O_DIRECTORY) < 0);
	memset(path, 'x', sizeof("/dev/kvm"));
	SHOW(open(path, O_RDWR));
	SHOW(access(path, R_OK));
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";
	int kvm = (int)MUST(open("/dev/kvm", O_RDWR)), vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0));
	int vcpu = (int)MUST(ioctl(vm, KVM_CREATE_VCPU, 0));
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	if (!strcmp(kind, "system")) {
		be_asked(kvm);
	} else if (!strcmp(kind, "vm")) {
		be_asked(vm);
	} else if (!strcmp(kind, "vcpu")) {
		be_asked(vcpu);
	} else if (!strcmp(kind, "device")) {
		if (ioctl(vm, KVM_CREATE_DEVICE, &device))
			return NOT_THERE;
		be_asked((int)device.fd);
	} else if (!strcmp(kind, "vm-stats")) {
		be_asked((int)MUST(ioctl(vm, KVM_GET_STATS_FD, 0)));
	} else if (!strcmp(kind, "vcpu-stats")) {
		be_asked((int)MUST(ioctl(vcpu, KVM_GET_STATS_FD, 0)));
	} else if (!strcmp(kind, "open")) {
		open_in_many_ways();
	} else if (!strcmp(kind, "path")) {
		find_in_many_ways();
		path_before_a_hole();
	} else {
		return 2;
	}
	return checks_failed();
}
