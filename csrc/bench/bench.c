/* SPDX-License-Identifier: MIT */
/* Loops for measuring. A client of the C interface. */
#include "bench.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "kvmemu.h"
#include "kvmemu/uapi.h"

#define MAX_BYTES 256
#define BATCH_BYTES (64 << 10)

/* This thread's own time: what other programs take of the machine does not count. */
static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double one_reg(struct kvmemu_file *vcpu, unsigned long request, uint64_t id, uint64_t n)
{
	uint64_t value[MAX_BYTES / 8];
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };
	long ret = kvmemu_ioctl(vcpu, KVM_GET_ONE_REG, (uintptr_t)&reg, NULL);
	double begin = now_ns();

	for (uint64_t i = 0; i < n && !ret; i++)
		ret = kvmemu_ioctl(vcpu, request, (uintptr_t)&reg, NULL);
	return ret ? (double)ret : now_ns() - begin;
}

double kvmemu_bench_get_one_reg(struct kvmemu_file *vcpu, uint64_t id, uint64_t n)
{
	return one_reg(vcpu, KVM_GET_ONE_REG, id, n);
}

double kvmemu_bench_set_one_reg(struct kvmemu_file *vcpu, uint64_t id, uint64_t n)
{
	return one_reg(vcpu, KVM_SET_ONE_REG, id, n);
}

static double batch(struct kvmemu_file *vcpu, const uint64_t *ids, size_t nr_ids, uint64_t n, int set)
{
	void *values = malloc(BATCH_BYTES);
	size_t done;
	double begin, end;
	int err;

	if (!values)
		return -ENOMEM;
	err = kvmemu_get_regs(vcpu, ids, nr_ids, values, BATCH_BYTES, &done);
	begin = now_ns();
	for (uint64_t i = 0; i < n && !err; i++)
		err = set ? kvmemu_set_regs(vcpu, ids, nr_ids, values, BATCH_BYTES, &done) :
			    kvmemu_get_regs(vcpu, ids, nr_ids, values, BATCH_BYTES, &done);
	end = now_ns();
	free(values);
	return err ? err : end - begin;
}

double kvmemu_bench_get_regs(struct kvmemu_file *vcpu, const uint64_t *ids, size_t nr_ids, uint64_t n)
{
	return batch(vcpu, ids, nr_ids, n, 0);
}

double kvmemu_bench_set_regs(struct kvmemu_file *vcpu, const uint64_t *ids, size_t nr_ids, uint64_t n)
{
	return batch(vcpu, ids, nr_ids, n, 1);
}

double kvmemu_bench_vcpus(struct kvmemu_file *const *vcpus, size_t nr_vcpus, const uint64_t *ids, size_t nr_ids,
			  void *values, size_t bytes, int set)
{
	double begin = now_ns();
	char *own = values;
	size_t done;
	int err = 0;

	for (size_t i = 0; i < nr_vcpus && !err; i++, own += bytes)
		err = set ? kvmemu_set_regs(vcpus[i], ids, nr_ids, own, bytes, &done) :
			    kvmemu_get_regs(vcpus[i], ids, nr_ids, own, bytes, &done);
	return err ? err : now_ns() - begin;
}

double kvmemu_bench_attrs(struct kvmemu_file *device, uint32_t group, const uint64_t *attrs, size_t n, void *values,
			  size_t bytes, int set)
{
	double begin = now_ns();
	size_t done;
	int err = set ? kvmemu_set_attrs(device, group, attrs, n, values, bytes, &done) :
			kvmemu_get_attrs(device, group, attrs, n, values, bytes, &done);

	return err ? err : now_ns() - begin;
}

double kvmemu_bench_irq_line(struct kvmemu_file *vm, uint32_t irq, uint64_t n)
{
	struct kvm_irq_level level = { .irq = irq };
	double begin = now_ns();
	long ret = 0;

	for (uint64_t i = 0; i < n && !ret; i++) {
		level.level = !level.level;
		ret = kvmemu_ioctl(vm, KVM_IRQ_LINE, (uintptr_t)&level, NULL);
	}
	return ret ? (double)ret : now_ns() - begin;
}

static long create_and_close(struct kvmemu_file *system, struct kvmemu_file **vcpus, unsigned int nr_vcpus)
{
	struct kvmemu_file *vm;
	long ret = kvmemu_ioctl(system, KVM_CREATE_VM, 0, &vm);
	unsigned int made = 0;

	if (ret)
		return ret;
	while (!ret && made < nr_vcpus) {
		ret = kvmemu_ioctl(vm, KVM_CREATE_VCPU, made, &vcpus[made]);
		made += !ret;
	}
	while (made)
		kvmemu_close(vcpus[--made]);
	kvmemu_close(vm);
	return ret;
}

double kvmemu_bench_create_vm(struct kvmemu_file *system, unsigned int nr_vcpus, uint64_t n)
{
	struct kvmemu_file **vcpus = calloc(nr_vcpus + 1, sizeof(*vcpus));
	double begin = now_ns();
	long ret = vcpus ? 0 : -ENOMEM;

	for (uint64_t i = 0; i < n && !ret; i++)
		ret = create_and_close(system, vcpus, nr_vcpus);
	free(vcpus);
	return ret ? (double)ret : now_ns() - begin;
}

double kvmemu_bench_allocated(void)
{
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
	struct mallinfo2 info = mallinfo2();

	return (double)info.uordblks + (double)info.hblkhd;
#else
	return -ENOTSUP;
#endif
}

double kvmemu_bench_ioctl(int kind, uint64_t n)
{
	const unsigned long requests[] = { FIOCLEX, 0xae00, FIOCLEX };
	double begin, end;
	int fd = -1;

	if (kind < 0 || kind > 2)
		return -EINVAL;
	if (kind != 2)
		fd = eventfd(0, EFD_CLOEXEC);
	begin = now_ns();
	for (uint64_t i = 0; i < n; i++)
		ioctl(fd, requests[kind], 0);
	end = now_ns();
	if (fd >= 0)
		close(fd);
	return end - begin;
}

double kvmemu_bench_memcpy(size_t bytes, uint64_t n)
{
	char *from = calloc(2, bytes), *to = from ? from + bytes : NULL;
	double begin, end;

	if (!from)
		return -ENOMEM;
	begin = now_ns();
	for (uint64_t i = 0; i < n; i++) {
		memcpy(to, from, bytes);
		__asm__ volatile("" : : "r"(to), "r"(from) : "memory");
		memcpy(from, to, bytes);
		__asm__ volatile("" : : "r"(to), "r"(from) : "memory");
	}
	end = now_ns();
	free(from);
	return end - begin;
}
