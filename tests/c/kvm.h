/* SPDX-License-Identifier: MIT */
/*
 * What every test program does with KVM: open a system, make a VM and vCPUs, read and write registers. Part of the tests.
 * Functions without "try_" end the program if the call fails.
 */
#ifndef KVMEMU_TESTS_KVM_H
#define KVMEMU_TESTS_KVM_H

#include <dirent.h>
#include <stdint.h>
#include <string.h>

#include <kvmemu.h>
#include <kvmemu/uapi.h>

#include "check.h"

#define CORE_REG(member) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(member))
#define REG_PC CORE_REG(regs.pc)
#define REG_X(n) (CORE_REG(regs.regs[0]) + 2 * (n))
#define REG_SCTLR_EL1 ARM64_SYS_REG(3, 0, 1, 0, 0)
#define REG_TPIDR_EL1 ARM64_SYS_REG(3, 0, 13, 0, 4)

/* A default of the library's, or a built-in host by name. */
static inline struct kvmemu_file *open_system(const char *host_name)
{
	struct kvmemu_file *system = NULL;
	struct kvmemu_host *host = NULL;

	must(kvmemu_host_get(host_name, &host));
	must(kvmemu_open(host, &system));
	kvmemu_host_put(host);
	return system;
}

/* An ioctl that creates nothing. */
static inline long try_call(struct kvmemu_file *file, unsigned long request, const void *arg)
{
	return kvmemu_ioctl(file, request, (uintptr_t)arg, NULL);
}

static inline struct kvmemu_file *create(struct kvmemu_file *file, unsigned long request, unsigned long arg)
{
	struct kvmemu_file *created = NULL;

	must(kvmemu_ioctl(file, request, arg, &created));
	return created;
}

static inline struct kvmemu_file *create_vm(struct kvmemu_file *system)
{
	return create(system, KVM_CREATE_VM, 0);
}

static inline void init_vcpu(struct kvmemu_file *vcpu, uint32_t features)
{
	const struct kvm_vcpu_init init = { .target = KVM_ARM_TARGET_GENERIC_V8, .features = { features } };

	must(try_call(vcpu, KVM_ARM_VCPU_INIT, &init));
}

static inline struct kvmemu_file *create_vcpu(struct kvmemu_file *vm, unsigned long id, uint32_t features)
{
	struct kvmemu_file *vcpu = create(vm, KVM_CREATE_VCPU, id);

	init_vcpu(vcpu, features);
	return vcpu;
}

/* KVM_GET_ONE_REG and KVM_SET_ONE_REG themselves, of a 64-bit register. */
static inline long try_get(struct kvmemu_file *vcpu, uint64_t id, uint64_t *value)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return try_call(vcpu, KVM_GET_ONE_REG, &reg);
}

static inline long try_set(struct kvmemu_file *vcpu, uint64_t id, uint64_t value)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	return try_call(vcpu, KVM_SET_ONE_REG, &reg);
}

static inline uint64_t get(struct kvmemu_file *vcpu, uint64_t id)
{
	uint64_t value = 0;

	must(try_get(vcpu, id, &value));
	return value;
}

static inline void set(struct kvmemu_file *vcpu, uint64_t id, uint64_t value)
{
	must(try_set(vcpu, id, value));
}

static inline long try_set_mp_state(struct kvmemu_file *vcpu, uint32_t state)
{
	const struct kvm_mp_state mp = { .mp_state = state };

	return try_call(vcpu, KVM_SET_MP_STATE, &mp);
}

static inline uint32_t mp_state(struct kvmemu_file *vcpu)
{
	struct kvm_mp_state mp = { 0 };

	must(kvmemu_ioctl(vcpu, KVM_GET_MP_STATE, (uintptr_t)&mp, NULL));
	return mp.mp_state;
}

/* Drives the IRQ input of the vCPU that was created index-th. */
static inline long try_irq_line(struct kvmemu_file *vm, uint32_t index, uint32_t level)
{
	const struct kvm_irq_level irq = {
		.irq = KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
		       (index & KVM_ARM_IRQ_VCPU_MASK) << KVM_ARM_IRQ_VCPU_SHIFT |
		       (index >> 8) << KVM_ARM_IRQ_VCPU2_SHIFT | KVM_ARM_IRQ_CPU_IRQ,
		.level = level,
	};

	return try_call(vm, KVM_IRQ_LINE, &irq);
}

static inline struct kvm_run *run_page(struct kvmemu_file *vcpu)
{
	size_t bytes = 0;
	void *page = NULL;

	must(kvmemu_run(vcpu, &page, &bytes));
	return page;
}

static inline void set_immediate_exit(struct kvmemu_file *vcpu, uint8_t value)
{
	__atomic_store_n(&run_page(vcpu)->immediate_exit, value, __ATOMIC_RELAXED);
}

static inline int count_open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* xorshift64*: good enough to choose with, the same everywhere. */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

/* The n-th of the permutations of 0..count-1, for n below count factorial. */
static inline void permutation(unsigned int n, unsigned int count, unsigned int *order)
{
	for (unsigned int i = 0; i < count; i++)
		order[i] = i;
	for (unsigned int i = 0; i < count; i++) {
		unsigned int left = count - i, with = i + n % left, swap = order[i];

		n /= left;
		order[i] = order[with];
		order[with] = swap;
	}
}

#endif
