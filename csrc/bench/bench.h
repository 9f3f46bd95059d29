/* SPDX-License-Identifier: MIT */
/*
 * Loops for measuring: what a call costs in C, without Python around it. A client of the C interface; only in the
 * Python extension. Each returns nanoseconds of the thread's CPU time for all n rounds, or a negative errno.
 */
#ifndef KVMEMU_BENCH_BENCH_H
#define KVMEMU_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

struct kvmemu_file;

/* KVM_GET_ONE_REG and KVM_SET_ONE_REG through kvmemu_ioctl(); set writes back what was read first. */
double kvmemu_bench_get_one_reg(struct kvmemu_file *vcpu, uint64_t id, uint64_t n);
double kvmemu_bench_set_one_reg(struct kvmemu_file *vcpu, uint64_t id, uint64_t n);

/* kvmemu_get_regs() and kvmemu_set_regs() of these registers. */
double kvmemu_bench_get_regs(struct kvmemu_file *vcpu, const uint64_t *ids, size_t nr_ids, uint64_t n);
double kvmemu_bench_set_regs(struct kvmemu_file *vcpu, const uint64_t *ids, size_t nr_ids, uint64_t n);

/*
 * The same once for each of nr_vcpus vCPUs, whose values follow each other, bytes each; and kvmemu_get_attrs() or
 * kvmemu_set_attrs() of these attributes, whose values are bytes together.
 */
double kvmemu_bench_vcpus(struct kvmemu_file *const *vcpus, size_t nr_vcpus, const uint64_t *ids, size_t nr_ids,
			  void *values, size_t bytes, int set);
double kvmemu_bench_attrs(struct kvmemu_file *device, uint32_t group, const uint64_t *attrs, size_t n, void *values,
			  size_t bytes, int set);

/* KVM_IRQ_LINE: up and down by turns. */
double kvmemu_bench_irq_line(struct kvmemu_file *vm, uint32_t irq, uint64_t n);

/* KVM_CREATE_VM and close; KVM_CREATE_VM with nr_vcpus vCPUs, and close of all. */
double kvmemu_bench_create_vm(struct kvmemu_file *system, unsigned int nr_vcpus, uint64_t n);

/* Bytes that are allocated in this process. -ENOTSUP where the C library does not tell. */
double kvmemu_bench_allocated(void);

/*
 * Real ioctl system calls that do next to nothing: kind 0 sets a flag of a descriptor, 1 is an unknown request, 2 names a
 * descriptor that does not exist. -EINVAL for other kinds.
 */
double kvmemu_bench_ioctl(int kind, uint64_t n);

/* memcpy of this many bytes, out and back. */
double kvmemu_bench_memcpy(size_t bytes, uint64_t n);

#endif
