/* SPDX-License-Identifier: MIT */
/* Children of a program that uses KVM. Part of the tests; see preload_check.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "preload_check.h"

static int kvm, vm, vcpu, stats;
static unsigned char *run;

/* A VM belongs to the memory it was made for; what is open on /dev/kvm itself belongs to nobody. */
static void in_child_of_fork(void)
{
	char byte;
	int own;

	EXPECT(ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG), -EIO);
	EXPECT(ioctl(vm, KVM_CREATE_VCPU, 1), -EIO);
	EXPECT(ioctl(vcpu, KVM_RUN, 0), -EIO);
	EXPECT(ioctl(vcpu, KVM_GET_ONE_REG, BAD), -EIO);
	EXPECT(ioctl(dup(vcpu), KVM_RUN, 0), -EIO);
	EXPECT(pread(stats, &byte, 1, 0), 1);
	EXPECT(ioctl(kvm, KVM_GET_API_VERSION, 0), 12);
	own = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0));
	EXPECT(ioctl((int)MUST(ioctl(own, KVM_CREATE_VCPU, 0)), KVM_RUN, 0), -ENOEXEC);
	EXPECT(close(vm) | close(vcpu) | close(kvm) | close(stats), 0);
	EXPECT(ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG), -EBADF);
}

static void parent_is_well(void)
{
	EXPECT(ioctl(kvm, KVM_GET_API_VERSION, 0), 12);
	EXPECT(ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG), 1);
	EXPECT(ioctl(vcpu, KVM_RUN, 0), -ENOEXEC);
}

static void child_of_fork(void)
{
	EXPECT(IN_CHILD(in_child_of_fork()), 0);
	parent_is_well();
	/* The pages of a vCPU are shared with a child all the same. */
	run[1] = 1;
	EXPECT(IN_CHILD(run[1]++), 0);
	EXPECT(run[1], 2);
}

/* What a child of vfork(2) closes stays open in its parent, whose memory it uses. */
static void child_of_vfork(void)
{
	struct sigaction old;
	pid_t pid = vfork();

	if (!pid) {
		close(vcpu);
		close_range(3, ~0u, 0);
		dup2(0, vm);
		open("/dev/null", O_RDONLY);
		signal(SIGSEGV, SIG_IGN);
		_exit(0);
	}
	EXPECT(waitpid(pid, NULL, 0), pid);
	parent_is_well();
	EXPECT(sigaction(SIGSEGV, NULL, &old), 0);
	CHECK(old.sa_handler == SIG_DFL);
}

/* Its own name, for the program to know that it is the one after exec. */
#define AFTER_EXEC "after-exec"

static int after_exec(char **numbers)
{
	int plain = atoi(numbers[0]), cloexec = atoi(numbers[1]), other = atoi(numbers[2]);

	EXPECT(fcntl(plain, F_GETFD), 0);
	EXPECT(fcntl(cloexec, F_GETFD), -EBADF);
	EXPECT(ioctl(cloexec, KVM_GET_API_VERSION, 0), -EBADF);
	EXPECT(fcntl(other, F_GETFD), -EBADF);
	EXPECT(ioctl(other, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG), -EBADF);
	EXPECT(close(plain), 0);
	EXPECT(ioctl((int)MUST(open("/dev/kvm", O_RDWR)), KVM_GET_API_VERSION, 0), 12);
	return checks_failed();
}

static void close_on_exec(void)
{
	int cloexec = (int)MUST(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	char numbers[3][16];
	char *argv[] = { AFTER_EXEC, numbers[0], numbers[1], numbers[2], NULL };
	extern char **environ;
	int status;
	pid_t pid;

	sprintf(numbers[0], "%d", kvm);
	sprintf(numbers[1], "%d", cloexec);
	sprintf(numbers[2], "%d", vm);
	EXPECT(IN_CHILD(execve("/proc/self/exe", argv, environ)), 0);
	EXPECT(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
	EXPECT(waitpid(pid, &status, 0), pid);
	EXPECT(status, 0);
	EXPECT(close(cloexec), 0);
	parent_is_well();
}

int main(int argc, char **argv)
{
	if (!strcmp(argv[0], AFTER_EXEC))
		return after_exec(argv + 1);
	kvm = (int)MUST(open("/dev/kvm", O_RDWR));
	vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0));
	vcpu = (int)MUST(ioctl(vm, KVM_CREATE_VCPU, 0));
	stats = (int)MUST(ioctl(vcpu, KVM_GET_STATS_FD, 0));
	run = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	CHECK(run != MAP_FAILED);
	child_of_fork();
	child_of_vfork();
	if (argc < 2 || strcmp(argv[1], "no-exec"))
		close_on_exec();
	return checks_failed();
}
