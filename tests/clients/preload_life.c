/* SPDX-License-Identifier: MIT */
/* How long KVM's descriptors live, and what shares their files. Part of the tests; see preload_check.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "preload_check.h"

#define API 12

static int open_kvm(void)
{
	return (int)MUST(open("/dev/kvm", O_RDWR));
}

static void from_open_to_close(void)
{
	int kvm = open_kvm(), vm, vcpu;
	struct kvm_run *run;
	long run_bytes;

	EXPECT(ioctl(kvm, KVM_GET_API_VERSION, 0), API);
	vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0));
	vcpu = (int)MUST(ioctl(vm, KVM_CREATE_VCPU, 0));
	run_bytes = MUST(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	CHECK(run != MAP_FAILED);
	run->immediate_exit = 1;
	EXPECT(ioctl(vcpu, KVM_RUN, 0), -ENOEXEC);
	EXPECT(munmap(run, (size_t)run_bytes), 0);
	EXPECT(close(vcpu), 0);
	EXPECT(close(vm), 0);
	EXPECT(close(kvm), 0);
	EXPECT(close(kvm), -EBADF);
	EXPECT(ioctl(kvm, KVM_GET_API_VERSION, 0), -EBADF);
	EXPECT(ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG), -EBADF);
	EXPECT(ioctl(vcpu, KVM_RUN, 0), -EBADF);
}

/* The kernel gives out the lowest number that is free, and so do all of these. */
static void lowest_numbers(void)
{
	int first = open_kvm(), second = open_kvm();

	EXPECT(close(first), 0);
	EXPECT(open_kvm(), first);
	EXPECT(ioctl(first, KVM_GET_API_VERSION, 0), API);
	EXPECT(close(first), 0);
	EXPECT(open("/dev/null", O_RDONLY), first);
	EXPECT(ioctl(first, KVM_GET_API_VERSION, 0), -ENOTTY);
	EXPECT(close(first), 0);
	EXPECT(ioctl(second, KVM_CREATE_VM, 0), first);
	EXPECT(ioctl(first, KVM_GET_API_VERSION, 0), -EINVAL);
	EXPECT(close(first), 0);
	EXPECT(close(second), 0);
}

static void vm_outlives_system(void)
{
	int kvm = open_kvm(), vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0)), vcpu;

	EXPECT(close(kvm), 0);
	vcpu = (int)MUST(ioctl(vm, KVM_CREATE_VCPU, 0));
	EXPECT(close(vm), 0);
	EXPECT(ioctl(vcpu, KVM_RUN, 0), -ENOEXEC);
	EXPECT(close(vcpu), 0);
}

static int one_reg(int vcpu, unsigned long request, uint64_t *value)
{
	/* X0 */
	struct kvm_one_reg reg = { .id = 0x6030000000100000, .addr = (uintptr_t)value };

	return ioctl(vcpu, request, &reg);
}

static uint64_t x0(int vcpu)
{
	uint64_t value = 0;

	EXPECT(one_reg(vcpu, KVM_GET_ONE_REG, &value), 0);
	return value;
}

/* All of them are one file: what is written through one is read through the others, until the last is closed. */
static void duplicates_share(void)
{
	int kvm = open_kvm(), vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0)), vcpu = (int)MUST(ioctl(vm, KVM_CREATE_VCPU, 0));
	int copies[6];
	struct kvm_vcpu_init init;
	uint64_t value = 0x1234;

	MUST(ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init));
	EXPECT(ioctl(vcpu, KVM_ARM_VCPU_INIT, &init), 0);
	copies[0] = (int)MUST(dup(vcpu));
	copies[1] = (int)MUST(dup2(copies[0], 200));
	copies[2] = (int)MUST(dup3(vcpu, 201, O_CLOEXEC));
	copies[3] = (int)MUST(fcntl(copies[1], F_DUPFD, 202));
	copies[4] = (int)MUST(fcntl(vcpu, F_DUPFD_CLOEXEC, 203));
	copies[5] = (int)MUST(fcntl(vcpu, F_DUPFD, 0));
	EXPECT(fcntl(copies[1], F_GETFD), 0);
	EXPECT(fcntl(copies[2], F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(copies[3], F_GETFD), 0);
	EXPECT(fcntl(copies[4], F_GETFD), FD_CLOEXEC);

	EXPECT(close(vm), 0);
	EXPECT(close(vcpu), 0);
	EXPECT(one_reg(copies[3], KVM_SET_ONE_REG, &value), 0);
	for (int i = 0; i < 6; i++) {
		EXPECT(x0(copies[i]), value);
		EXPECT(close(copies[i]), 0);
		EXPECT(ioctl(copies[i], KVM_RUN, 0), -EBADF);
	}
	EXPECT(close(kvm), 0);
}

/* dup2(2) closes what was there. */
static void dup2_over(void)
{
	int kvm = open_kvm(), vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0)), null = (int)MUST(open("/dev/null", O_RDWR));

	EXPECT(dup2(kvm, kvm), kvm);
	EXPECT(ioctl(kvm, KVM_GET_API_VERSION, 0), API);
	EXPECT(dup3(kvm, kvm, 0), -EINVAL);
	EXPECT(dup2(null, vm), vm);
	EXPECT(ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG), -ENOTTY);
	EXPECT(write(vm, "x", 1), 1);
	EXPECT(dup2(kvm, vm), vm);
	EXPECT(ioctl(vm, KVM_GET_API_VERSION, 0), API);
	EXPECT(dup2(999, vm), -EBADF);
	EXPECT(ioctl(vm, KVM_GET_API_VERSION, 0), API);
	EXPECT(dup2(vm, null), null);
	EXPECT(close(kvm), 0);
	EXPECT(close(vm), 0);
	EXPECT(ioctl(null, KVM_GET_API_VERSION, 0), API);
	EXPECT(close(null), 0);
}

static void ranges(void)
{
	int kvm = open_kvm(), low = (int)MUST(dup2(kvm, 300)), mid = (int)MUST(dup2(kvm, 301)), high = (int)MUST(dup2(kvm, 400));

	EXPECT(close_range(301, 300, 0), -EINVAL);
	EXPECT(ioctl(low, KVM_GET_API_VERSION, 0), API);
	EXPECT(close_range(300, 301, ~0u), -EINVAL);
	EXPECT(ioctl(low, KVM_GET_API_VERSION, 0), API);
	EXPECT(close_range(300, 301, CLOSE_RANGE_CLOEXEC), 0);
	EXPECT(ioctl(mid, KVM_GET_API_VERSION, 0), API);
	EXPECT(fcntl(mid, F_GETFD), FD_CLOEXEC);
	EXPECT(close_range(300, 301, 0), 0);
	EXPECT(ioctl(low, KVM_GET_API_VERSION, 0), -EBADF);
	EXPECT(ioctl(mid, KVM_GET_API_VERSION, 0), -EBADF);
	EXPECT(ioctl(high, KVM_GET_API_VERSION, 0), API);
	EXPECT(dup2(0, mid), mid);
	CHECK(ioctl(mid, KVM_GET_API_VERSION, 0) == -1 && errno == ENOTTY);
	EXPECT(close_range(301, ~0u, 0), 0);
	EXPECT(ioctl(high, KVM_GET_API_VERSION, 0), -EBADF);
	EXPECT(close(kvm), 0);

	EXPECT(dup2(open_kvm(), 300), 300);
	closefrom(300);
	EXPECT(ioctl(300, KVM_GET_API_VERSION, 0), -EBADF);
}

static void several_systems(void)
{
	int kvm[3];

	for (int i = 0; i < 3; i++)
		kvm[i] = open_kvm();
	for (int i = 0; i < 3; i++) {
		EXPECT(ioctl(kvm[i], KVM_GET_API_VERSION, 0), API);
		EXPECT(close(kvm[i]), 0);
		for (int j = i + 1; j < 3; j++)
			EXPECT(ioctl(kvm[j], KVM_GET_API_VERSION, 0), API);
	}
}

static void all_are_ready(void)
{
	int kvm = open_kvm(), vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0)), vcpu = (int)MUST(ioctl(vm, KVM_CREATE_VCPU, 0));
	int fds[] = { kvm, vm, vcpu, (int)MUST(ioctl(vm, KVM_GET_STATS_FD, 0)), (int)MUST(ioctl(vcpu, KVM_GET_STATS_FD, 0)) };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		struct pollfd ready = { .fd = fds[i], .events = POLLIN };

		EXPECT(poll(&ready, 1, 0), 1);
		EXPECT(ready.revents, POLLIN);
	}
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		EXPECT(close(fds[i]), 0);
}

/* Programs close what they may have inherited, whoever it belongs to. */
static void all_was_closed_before(void)
{
	close_range(3, ~0u, 0);
	EXPECT(open("/dev/null", O_RDONLY), 3);
	all_are_ready();
	EXPECT(close(3), 0);
	from_open_to_close();
}

static void close_on_exec(void)
{
	int plain = open_kvm(), cloexec = (int)MUST(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	int vm = (int)MUST(ioctl(plain, KVM_CREATE_VM, 0)), vcpu = (int)MUST(ioctl(vm, KVM_CREATE_VCPU, 0));

	EXPECT(fcntl(plain, F_GETFD), 0);
	EXPECT(fcntl(cloexec, F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(vm, F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(vcpu, F_GETFD), FD_CLOEXEC);
	EXPECT(ioctl(plain, FIOCLEX, 0), 0);
	EXPECT(fcntl(plain, F_GETFD), FD_CLOEXEC);
	EXPECT(ioctl(plain, FIONCLEX, 0), 0);
	EXPECT(fcntl(plain, F_GETFD), 0);
	EXPECT(close(plain) | close(cloexec) | close(vm) | close(vcpu), 0);
}

/* Requests that are not KVM's, to descriptors that are, and the other way round. */
static void strange_requests(void)
{
	int kvm = open_kvm(), vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0)), stats = (int)MUST(ioctl(vm, KVM_GET_STATS_FD, 0));
	int ends[2], on = 1;

	EXPECT(pipe(ends), 0);
	EXPECT(ioctl(ends[0], FIONREAD, &on), 0);
	EXPECT(on, 0);
	EXPECT(ioctl(ends[0], KVM_GET_API_VERSION, 0), -ENOTTY);
	EXPECT(ioctl(ends[0], KVM_CREATE_VM, 0), -ENOTTY);
	EXPECT(ioctl(999, KVM_GET_API_VERSION, 0), -EBADF);
	EXPECT(ioctl(-1, KVM_GET_API_VERSION, 0), -EBADF);
	EXPECT(ioctl(kvm, FIONREAD, &on), -EINVAL);
	EXPECT(ioctl(vm, FIONREAD, &on), -EINVAL);
	EXPECT(ioctl(stats, FIONREAD, &on), -ENOTTY);
	EXPECT(ioctl(kvm, FIONBIO, &on), 0);
	EXPECT(close(ends[0]) | close(ends[1]) | close(kvm) | close(vm) | close(stats), 0);
}

/*
 * Closed inside the C library, or by a system call of the program's own: what gets the number then is not mistaken for
 * KVM's, once it is asked for something that KVM's files refuse.
 */
static void closed_unseen(void)
{
	int kvm = open_kvm(), vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0)), stats = (int)MUST(ioctl(vm, KVM_GET_STATS_FD, 0));
	char bytes[4] = "abc";
	int ends[2], waiting = 0;
	struct stat st;

	EXPECT(fclose(fdopen(kvm, "r")), 0);
	EXPECT(syscall(SYS_close, vm), 0);
	EXPECT(pipe(ends), 0);
	EXPECT(ends[0] + ends[1], kvm + vm);
	EXPECT(write(ends[1], bytes, 3), 3);
	EXPECT(ioctl(ends[0], FIONREAD, &waiting), 0);
	EXPECT(waiting, 3);
	EXPECT(read(ends[0], bytes, 3), 3);
	EXPECT(ioctl(ends[0], KVM_GET_API_VERSION, 0), -ENOTTY);
	EXPECT(fstat(ends[1], &st), 0);
	CHECK(S_ISFIFO(st.st_mode));
	EXPECT(close(ends[0]) | close(ends[1]), 0);

	EXPECT(syscall(SYS_close, stats), 0);
	EXPECT(open("/proc/self/exe", O_RDONLY), kvm);
	EXPECT(close(kvm), 0);
	EXPECT(syscall(SYS_dup3, open("/proc/self/exe", O_RDONLY), stats, 0), stats);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, stats, 0) != MAP_FAILED);
	EXPECT(lseek(stats, 3, SEEK_SET), 3);
	EXPECT(close(kvm) | close(stats), 0);
}

/* errno is what it was where nothing failed. */
static void errno_is_kept(void)
{
	int kvm, vm, vcpu, errno_after;

	errno = EDOM;
	kvm = open("/dev/kvm", O_RDWR);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	close(fcntl(vcpu, F_DUPFD, 100));
	close(vcpu);
	close_range((unsigned int)kvm, (unsigned int)vm, 0);
	errno_after = errno;
	EXPECT(errno_after, EDOM);
}

int main(void)
{
	from_open_to_close();
	lowest_numbers();
	vm_outlives_system();
	duplicates_share();
	dup2_over();
	ranges();
	several_systems();
	all_are_ready();
	all_was_closed_before();
	close_on_exec();
	strange_requests();
	closed_unseen();
	errno_is_kept();
	return checks_failed();
}
