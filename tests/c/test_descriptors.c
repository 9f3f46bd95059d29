/* SPDX-License-Identifier: MIT */
/*
 * Real descriptors: what else works on them, what becomes of a number that is closed, duplicated, reused or inherited
 * by a child. Part of the tests.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kvm.h"

static int open_kvm(void)
{
	struct kvmemu_host *host = NULL;
	int fd;

	must(kvmemu_host_get(NULL, &host));
	fd = (int)must(kvmemu_fd_open(host));
	kvmemu_host_put(host);
	return fd;
}

static int make(int fd, unsigned long request, unsigned long arg)
{
	return (int)must(kvmemu_fd_ioctl(fd, request, arg));
}

static int make_vcpu(int vm, unsigned long id)
{
	const struct kvm_vcpu_init init = { .target = KVM_ARM_TARGET_GENERIC_V8 };
	int fd = make(vm, KVM_CREATE_VCPU, id);

	must(kvmemu_fd_ioctl(fd, KVM_ARM_VCPU_INIT, (uintptr_t)&init));
	return fd;
}

static void mmap_of_a_vcpu_shows_its_run_pages(void)
{
	int kvm = open_kvm(), vm = make(kvm, KVM_CREATE_VM, 0), vcpu = make_vcpu(vm, 0);
	long bytes = must(kvmemu_fd_ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	struct kvm_run *page = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	struct kvmemu_file *file = kvmemu_fd_file(vcpu);

	if (ok(page != MAP_FAILED)) {
		page->immediate_exit = 1;
		page->exit_reason = 99;
		fails(kvmemu_fd_ioctl(vcpu, KVM_RUN, 0), EINTR);
		equal(run_page(file)->exit_reason, 99);	/* as Linux: nothing is stored before the check */
		run_page(file)->exit_reason = 5;
		equal(page->exit_reason, 5);
		munmap(page, (size_t)bytes);
	}
	kvmemu_close(file);
	kvmemu_fd_close(vcpu);
	kvmemu_fd_close(vm);
	kvmemu_fd_close(kvm);
}

/* The size of the pages belongs to the library: a program that cuts them off must not bring it down. */
static void run_pages_cannot_be_cut_off(void)
{
	int kvm = open_kvm(), vm = make(kvm, KVM_CREATE_VM, 0), vcpu = make_vcpu(vm, 0);
	struct kvmemu_file *file = kvmemu_fd_file(vcpu);

	equal(ftruncate(vcpu, 0), -1);
	equal(ftruncate(vcpu, 1 << 20), -1);
	set_immediate_exit(file, 1);
	fails(kvmemu_fd_ioctl(vcpu, KVM_RUN, 0), EINTR);
	kvmemu_close(file);
	kvmemu_fd_close(vcpu);
	kvmemu_fd_close(vm);
	kvmemu_fd_close(kvm);
}

static void statistics_can_be_read_and_files_are_ready(void)
{
	int kvm = open_kvm(), vm = make(kvm, KVM_CREATE_VM, 0), stats = make(vm, KVM_GET_STATS_FD, 0);
	int again = make(vm, KVM_GET_STATS_FD, 0);
	struct kvm_stats_header one = { 0 }, two = { 0 };
	struct pollfd ready[2] = { { .fd = kvm, .events = POLLIN }, { .fd = vm, .events = POLLIN } };

	equal(read(stats, &one, sizeof(one)), sizeof(one));
	equal(read(again, &two, sizeof(two)), sizeof(two));	/* from its own start */
	ok(!memcmp(&one, &two, sizeof(one)) && one.num_desc > 0);
	equal(write(stats, &one, sizeof(one)), -1);
	equal(ftruncate(stats, 0), -1);
	equal(poll(ready, 2, 0), 2);
	kvmemu_fd_close(again);
	kvmemu_fd_close(stats);
	kvmemu_fd_close(vm);
	kvmemu_fd_close(kvm);
}

static void numbers_that_are_not_ours_are_ebadf(void)
{
	static const int numbers[] = { -1, 0, 1, 2, 999, 1 << 20, 1 << 30, INT32_MAX, INT32_MIN };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		fails(kvmemu_fd_ioctl(numbers[i], KVM_GET_API_VERSION, 0), EBADF);
		fails(kvmemu_fd_close(numbers[i]), EBADF);
		fails(kvmemu_fd_forget(numbers[i]), EBADF);
		fails(kvmemu_fd_dup(numbers[i], 5), EBADF);
		ok(!kvmemu_fd_file(numbers[i]));
	}
}

static void publishing_twice_gives_one_number(void)
{
	struct kvmemu_file *system = open_system(NULL), *vm = create_vm(system), *vcpu = create_vcpu(vm, 0, 0), *found;
	int fd;

	set(vcpu, REG_X(1), 11);
	run_page(vcpu)->exit_reason = 42;
	fd = (int)must(kvmemu_fd_publish(vcpu));
	equal(kvmemu_fd_publish(vcpu), fd);
	found = kvmemu_fd_file(fd);
	ok(found == vcpu);
	kvmemu_close(found);
	equal(run_page(vcpu)->exit_reason, 42);		/* what was in the pages is still there */
	kvmemu_close(vcpu);
	equal(get(vcpu, REG_X(1)), 11);			/* the descriptor holds it */
	kvmemu_fd_close(fd);
	kvmemu_close(vm);
	kvmemu_close(system);
}

static void published_again_after_it_was_closed(void)
{
	struct kvmemu_file *system = open_system(NULL), *vm = create_vm(system);
	int fd = (int)must(kvmemu_fd_publish(vm));

	equal(kvmemu_fd_close(fd), 0);
	fails(kvmemu_fd_ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG), EBADF);
	fd = (int)must(kvmemu_fd_publish(vm));
	equal(kvmemu_fd_ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG), 1);
	equal(kvmemu_fd_close(fd), 0);
	kvmemu_close(vm);
	kvmemu_close(system);
}

/* close(2) behind the library's back: the number stands for whatever the library gives it out for next. */
static void reused_number_stands_for_the_new_file(void)
{
	int kvm = open_kvm(), vm = make(kvm, KVM_CREATE_VM, 0), again;

	close(vm);
	again = open_kvm();
	equal(again, vm);
	equal(kvmemu_fd_ioctl(again, KVM_GET_API_VERSION, 0), 12);	/* a system, no longer a VM */
	kvmemu_fd_close(again);
	fails(kvmemu_fd_ioctl(vm, KVM_CHECK_EXTENSION, 0), EBADF);
	kvmemu_fd_close(kvm);
}

static void forget_leaves_the_descriptor_open(void)
{
	int kvm = open_kvm();

	equal(kvmemu_fd_forget(kvm), 0);
	fails(kvmemu_fd_ioctl(kvm, KVM_GET_API_VERSION, 0), EBADF);
	ok(fcntl(kvm, F_GETFD) >= 0);
	equal(close(kvm), 0);
}

static void duplicates_share_the_file(void)
{
	int kvm = open_kvm(), vm = make(kvm, KVM_CREATE_VM, 0), vcpu = make_vcpu(vm, 0);
	int other = fcntl(vcpu, F_DUPFD, 300);
	uint64_t value = 0;
	struct kvm_one_reg reg = { .id = REG_X(9), .addr = (uintptr_t)&value };

	equal(kvmemu_fd_dup(vcpu, other), other);
	equal(kvmemu_fd_close(vcpu), 0);
	equal(kvmemu_fd_close(vm), 0);
	value = 90;
	equal(kvmemu_fd_ioctl(other, KVM_SET_ONE_REG, (uintptr_t)&reg), 0);
	value = 0;
	equal(kvmemu_fd_ioctl(other, KVM_GET_ONE_REG, (uintptr_t)&reg), 0);
	equal(value, 90);
	/* dup2() over one of ours replaces it. */
	equal(dup2(other, kvm), kvm);
	equal(kvmemu_fd_dup(other, kvm), kvm);
	equal(kvmemu_fd_ioctl(kvm, KVM_GET_ONE_REG, (uintptr_t)&reg), 0);
	fails(kvmemu_fd_dup(kvm, -1), EMFILE);
	fails(kvmemu_fd_dup(kvm, 1 << 20), EMFILE);
	equal(kvmemu_fd_close(other), 0);
	equal(kvmemu_fd_close(kvm), 0);
}

static void generic_requests_reach_the_descriptor(void)
{
	int kvm = open_kvm();

	equal(fcntl(kvm, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	equal(kvmemu_fd_ioctl(kvm, FIONCLEX, 0), 0);
	equal(fcntl(kvm, F_GETFD) & FD_CLOEXEC, 0);
	equal(kvmemu_fd_ioctl(kvm, FIOCLEX, 0), 0);
	fails(kvmemu_fd_ioctl(kvm, FIONBIO, 1), EFAULT);
	kvmemu_fd_close(kvm);
}

static bool is_privileged(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	must(syscall(SYS_capget, &header, data));
	return data[0].effective & 1u << CAP_SYS_ADMIN;
}

/* The rest of what file systems answer is in the conformance script vfs-requests. */
static void nobody_freezes_a_file_system_through_kvm(void)
{
	int kvm = open_kvm(), vm = make(kvm, KVM_CREATE_VM, 0);

	fails(kvmemu_fd_ioctl(kvm, FIFREEZE, 0), is_privileged() ? EOPNOTSUPP : EPERM);
	fails(kvmemu_fd_ioctl(vm, FIFREEZE, 0), is_privileged() ? EOPNOTSUPP : EPERM);
	fails(kvmemu_fd_ioctl(kvm, FITHAW, 0), is_privileged() ? EINVAL : EPERM);
	fails(kvmemu_fd_ioctl(vm, FITHAW, 0), is_privileged() ? EINVAL : EPERM);
	kvmemu_fd_close(vm);
	kvmemu_fd_close(kvm);
}

/* Numbers are the lowest that are free, as on Linux: what the library keeps for itself is out of the way. */
static void only_what_the_caller_asked_for_takes_low_numbers(void)
{
	int first = dup(0), kvm, vm, vcpu, stats, again;
	struct kvmemu_file *file;

	close(first);
	kvm = open_kvm();
	vm = make(kvm, KVM_CREATE_VM, 0);
	vcpu = make_vcpu(vm, 0);
	file = kvmemu_fd_file(vcpu);
	set_immediate_exit(file, 1);
	fails(kvmemu_fd_ioctl(vcpu, KVM_RUN, 0), EINTR);
	stats = make(vcpu, KVM_GET_STATS_FD, 0);
	again = make(vm, KVM_GET_STATS_FD, 0);
	equal(kvm, first);
	equal(vm, first + 1);
	equal(vcpu, first + 2);
	equal(stats, first + 3);
	equal(again, first + 4);
	kvmemu_close(file);
	kvmemu_fd_close(again);
	kvmemu_fd_close(stats);
	kvmemu_fd_close(vcpu);
	kvmemu_fd_close(vm);
	kvmemu_fd_close(kvm);
}

static void no_descriptor_left_creates_nothing(void)
{
	int kvm = open_kvm(), vm = make(kvm, KVM_CREATE_VM, 0), vcpu, before;
	struct rlimit limit, none;

	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = (rlim_t)dup(vm);
	close((int)none.rlim_cur);
	before = count_open_descriptors();
	setrlimit(RLIMIT_NOFILE, &none);
	for (int i = 0; i < 1000; i++)
		fails(kvmemu_fd_ioctl(vm, KVM_CREATE_VCPU, 3), EMFILE);
	fails(kvmemu_fd_ioctl(kvm, KVM_CREATE_VM, 0), EMFILE);
	fails(kvmemu_fd_ioctl(vm, KVM_GET_STATS_FD, 0), EMFILE);
	setrlimit(RLIMIT_NOFILE, &limit);
	equal(count_open_descriptors(), before);
	vcpu = make_vcpu(vm, 3);	/* its id is free */
	kvmemu_fd_close(vcpu);
	kvmemu_fd_close(vm);
	kvmemu_fd_close(kvm);
}

/* 0 if everything is as it should be in a child: what belongs to its parent's memory answers EIO. */
static int in_child(int kvm, int vm, int vcpu, struct kvmemu_file *vcpu_file)
{
	uint64_t value = 0, id = REG_PC;
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };
	size_t done;
	int own;

	if (kvmemu_fd_ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG) != -EIO ||
	    kvmemu_fd_ioctl(vcpu, KVM_GET_ONE_REG, (uintptr_t)&reg) != -EIO ||
	    kvmemu_fd_ioctl(vcpu, KVM_RUN, 0) != -EIO ||
	    kvmemu_get_reg(vcpu_file, id, &value, sizeof(value)) != -EIO ||
	    kvmemu_set_regs(vcpu_file, &id, 1, &value, sizeof(value), &done) != -EIO)
		return 1;
	own = (int)kvmemu_fd_ioctl(kvm, KVM_CREATE_VM, 0);	/* /dev/kvm itself may be inherited */
	if (own < 0 || kvmemu_fd_ioctl(own, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG) != 1)
		return 2;
	own = (int)kvmemu_fd_ioctl(own, KVM_CREATE_VCPU, 0);
	if (own < 0)
		return 3;
	return kvmemu_fd_close(vm) || kvmemu_fd_close(vcpu) ? 4 : 0;
}

static void a_child_gets_eio(void)
{
	int kvm = open_kvm(), vm = make(kvm, KVM_CREATE_VM, 0), vcpu = make_vcpu(vm, 0), status = -1;
	struct kvmemu_file *file = kvmemu_fd_file(vcpu);
	pid_t child;

	set(file, REG_PC, 77);
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(in_child(kvm, vm, vcpu, file));
	equal(waitpid(child, &status, 0), child);
	equal(status, 0);
	equal(get(file, REG_PC), 77);
	kvmemu_close(file);
	kvmemu_fd_close(vcpu);
	kvmemu_fd_close(vm);
	kvmemu_fd_close(kvm);
}

int main(void)
{
	int before;

	kvmemu_fd_close(open_kvm());	/* what the library opens once for itself */
	before = count_open_descriptors();
	run(mmap_of_a_vcpu_shows_its_run_pages);
	run(run_pages_cannot_be_cut_off);
	run(statistics_can_be_read_and_files_are_ready);
	run(numbers_that_are_not_ours_are_ebadf);
	run(publishing_twice_gives_one_number);
	run(published_again_after_it_was_closed);
	run(reused_number_stands_for_the_new_file);
	run(forget_leaves_the_descriptor_open);
	run(duplicates_share_the_file);
	run(generic_requests_reach_the_descriptor);
	run(nobody_freezes_a_file_system_through_kvm);
	run(only_what_the_caller_asked_for_takes_low_numbers);
	run(no_descriptor_left_creates_nothing);
	run(a_child_gets_eio);
	equal(count_open_descriptors(), before);
	return check_done();
}
