/* SPDX-License-Identifier: MIT */
/* Threads that open, use and close descriptors of the same numbers. Part of the tests; see preload_check.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "preload_check.h"

#define ROUNDS 300
#define NR_NUMBERS 48	/* what strangers try; more are never open */

static atomic_bool over;

/* KVM's descriptors, from open to close; nothing that others do may be felt. */
static void *use_kvm(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		int kvm = (int)MUST(open("/dev/kvm", O_RDWR | O_CLOEXEC)), vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0));
		int vcpu = (int)MUST(ioctl(vm, KVM_CREATE_VCPU, 0)), copy = (int)MUST(dup(vcpu)), id = i % 7 + 1;
		struct kvm_vcpu_init init;
		struct kvm_run *run;

		EXPECT(ioctl(kvm, KVM_GET_API_VERSION, 0), 12);
		EXPECT(close(kvm), 0);
		EXPECT(ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init), 0);
		EXPECT(close((int)MUST(ioctl(vm, KVM_CREATE_VCPU, id))), 0);
		EXPECT(ioctl(vm, KVM_CREATE_VCPU, id), -EEXIST);
		EXPECT(close(vm), 0);
		EXPECT(ioctl(copy, KVM_RUN, 0), -ENOEXEC);
		EXPECT(ioctl(vcpu, KVM_ARM_VCPU_INIT, &init), 0);
		run = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, copy, 0);
		CHECK(run != MAP_FAILED);
		EXPECT(close(vcpu), 0);
		run->immediate_exit = 1;
		EXPECT(ioctl(copy, KVM_RUN, 0), -EINTR);
		EXPECT(munmap(run, 8192), 0);
		EXPECT(close(copy), 0);
	}
	return NULL;
}

/* The same numbers, for files of other kinds. */
static void *use_others(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t value = 5;
		struct stat st;
		int ends[2], event = (int)MUST(eventfd(0, 0)), ready = 0;

		EXPECT(pipe(ends), 0);
		EXPECT(write(event, &value, 8), 8);
		EXPECT(read(event, &value, 8), 8);
		EXPECT(write(ends[1], "abc", 3), 3);
		EXPECT(ioctl(ends[0], FIONREAD, &ready), 0);
		EXPECT(ready, 3);
		EXPECT(ioctl(ends[0], KVM_GET_API_VERSION, 0), -ENOTTY);
		EXPECT(fstat(ends[1], &st), 0);
		CHECK(S_ISFIFO(st.st_mode));
		EXPECT(lseek(ends[0], 0, SEEK_SET), -ESPIPE);
		EXPECT(close(ends[0]) | close(ends[1]) | close(event), 0);
	}
	return NULL;
}

/* Requests to numbers of others. Each finds a descriptor of some kind, or none, but nothing half made. */
static void *try_numbers(void *unused)
{
	(void)unused;
	while (!over) {
		for (int fd = 3; fd < NR_NUMBERS; fd++) {
			long system = RESULT(ioctl(fd, KVM_GET_API_VERSION, 0)), vm = RESULT(ioctl(fd, KVM_CHECK_EXTENSION, 0xffff));

			CHECK(system == 12 || system == -EBADF || system == -ENOTTY || system == -EINVAL);
			CHECK(vm == 0 || vm == -EBADF || vm == -ENOTTY || vm == -EINVAL);
		}
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[5], stranger;

	EXPECT(pthread_create(&stranger, NULL, try_numbers, NULL), 0);
	for (int i = 0; i < 5; i++)
		EXPECT(pthread_create(&threads[i], NULL, i < 3 ? use_kvm : use_others, NULL), 0);
	for (int i = 0; i < 5; i++)
		EXPECT(pthread_join(threads[i], NULL), 0);
	over = true;
	EXPECT(pthread_join(stranger, NULL), 0);
	/* What is still open was inherited, or is the library's own. */
	for (int fd = 3; fd < NR_NUMBERS; fd++)
		CHECK(ioctl(fd, KVM_GET_API_VERSION, 0) == -1 && (errno == EBADF || errno == ENOTTY));
	return checks_failed();
}
