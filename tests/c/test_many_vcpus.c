/* SPDX-License-Identifier: MIT */
/*
 * As many vCPUs as KVM allows, and what one costs: at most 16 KiB, with its run pages and a GIC, beside guest RAM. Part of the
 * tests.
 */
#include <sys/wait.h>

#include "kvm.h"

#define NR_VCPUS 512
#define MAX_BYTES (16 << 10)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEASURED 0
#elif defined(__has_feature)
#define MEASURED !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define MEASURED 1	/* a sanitizer's own memory would be counted */
#endif

static struct kvmemu_file *vcpu[NR_VCPUS];

/* Bytes of memory that this process has to itself, written to at some time. */
static long private_bytes(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	long kib, sum = 0;
	char line[200];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Private_Dirty: %ld", &kib) == 1 || sscanf(line, "Shared_Dirty: %ld", &kib) == 1)
			sum += kib * 1024;
	fclose(file);
	return sum;
}

static void expect_cost(const char *state, long before, long most)
{
	long each = (private_bytes() - before) / NR_VCPUS;

	if (before < 0 || !MEASURED)
		return;
	printf("# %ld bytes a vCPU, %s\n", each, state);
	ok(each <= most);
}

/* Reads a register list, and writes back all of it that can be written. */
static void touch_all_registers(struct kvmemu_file *file)
{
	static uint64_t list[1000], value[32];

	list[0] = sizeof(list) / sizeof(list[0]) - 1;
	must(kvmemu_ioctl(file, KVM_GET_REG_LIST, (uintptr_t)list, NULL));
	for (uint64_t i = 1; i <= list[0]; i++) {
		must(kvmemu_get_reg(file, list[i], value, sizeof(value)));
		kvmemu_set_reg(file, list[i], value);
	}
}

static void set_attr(struct kvmemu_file *device, uint32_t group, uint64_t which, const void *value)
{
	const struct kvm_device_attr attr = { .group = group, .attr = which, .addr = (uintptr_t)value };

	must(try_call(device, KVM_SET_DEVICE_ATTR, &attr));
}

/* With as many interrupts as KVM allows. */
static struct kvmemu_file *create_gic(struct kvmemu_file *vm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	const uint64_t dist = 0x8000000, redist = 0x80a0000;
	const uint32_t nr_irqs = 992;
	struct kvmemu_file *gic;

	must(kvmemu_ioctl(vm, KVM_CREATE_DEVICE, (uintptr_t)&create, &gic));
	set_attr(gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr_irqs);
	set_attr(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist);
	set_attr(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redist);
	set_attr(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return gic;
}

static void measure(const char *host_name, uint32_t features, long most)
{
	static const int sve = KVM_ARM_VCPU_SVE;
	struct kvmemu_file *system = open_system(host_name), *vm = create_vm(system), *gic;
	long before = private_bytes();

	for (unsigned int i = 0; i < NR_VCPUS; i++)
		vcpu[i] = create(vm, KVM_CREATE_VCPU, i);
	expect_cost("created", before, most);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		init_vcpu(vcpu[i], features);
		if (features & 1u << KVM_ARM_VCPU_SVE)
			must(try_call(vcpu[i], KVM_ARM_VCPU_FINALIZE, &sve));
	}
	expect_cost("initialised", before, most);
	gic = create_gic(vm);
	expect_cost("with a GIC", before, most);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		touch_all_registers(vcpu[i]);
	expect_cost("all registers written", before, most);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		set_immediate_exit(vcpu[i], 1);
		fails(try_call(vcpu[i], KVM_RUN, NULL), EINTR);
	}
	expect_cost("has run", before, most);
	kvmemu_close(gic);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		kvmemu_close(vcpu[i]);
	kvmemu_close(vm);
	kvmemu_close(system);
}

/* In a process of its own, where no memory is lying about that was used before. */
static void measure_apart(const char *host_name, uint32_t features, long most)
{
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		measure(host_name, features, most);
		fflush(stdout);
		_exit(atomic_load(&check_failed) != 0);
	}
	equal(waitpid(child, &status, 0), child);
	equal(status, 0);
}

static void a_vcpu_costs_at_most_16_kib(void)
{
	measure_apart("gicv3-max", 1u << KVM_ARM_VCPU_PSCI_0_2, MAX_BYTES);
}

/* Vectors of 2048 bits, which is what this host has, come on top: 32 Z, 16 P and FFR. */
static void with_sve_its_vectors_come_on_top(void)
{
	const long vectors = 32 * 256 + 17 * 32;

	measure_apart("gicv3-max-sve", 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_SVE, MAX_BYTES + vectors);
}

/* Ids 0 to 511 and no other; the VM's limit is the host's. */
static void ids_end_at_the_limit(void)
{
	struct kvmemu_file *system = open_system("gicv3-max"), *vm = create_vm(system), *created;

	equal(try_call(vm, KVM_CHECK_EXTENSION, (void *)KVM_CAP_MAX_VCPUS), NR_VCPUS);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		vcpu[i] = create(vm, KVM_CREATE_VCPU, NR_VCPUS - 1 - i);	/* backwards: no index is an id */
	fails(kvmemu_ioctl(vm, KVM_CREATE_VCPU, NR_VCPUS, &created), EINVAL);
	fails(kvmemu_ioctl(vm, KVM_CREATE_VCPU, UINT32_MAX, &created), EINVAL);
	fails(kvmemu_ioctl(vm, KVM_CREATE_VCPU, 0, &created), EINVAL);	/* full comes before taken */
	must(try_irq_line(vm, NR_VCPUS - 1, 1));
	fails(try_irq_line(vm, NR_VCPUS, 1), EINVAL);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		kvmemu_close(vcpu[i]);
	kvmemu_close(vm);
	kvmemu_close(system);
}

/* The affinity that a vCPU's id gives it is its own. */
static void every_vcpu_has_its_own_affinity(void)
{
	const uint64_t mpidr = ARM64_SYS_REG(3, 0, 0, 0, 5);
	struct kvmemu_file *system = open_system("gicv3-max"), *vm = create_vm(system);

	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		vcpu[i] = create_vcpu(vm, i, 0);
		equal(get(vcpu[i], mpidr), 1ull << 31 | (i & 15) | (uint64_t)(i >> 4) << 8);
	}
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		kvmemu_close(vcpu[i]);
	kvmemu_close(vm);
	kvmemu_close(system);
}

int main(void)
{
	run(a_vcpu_costs_at_most_16_kib);
	run(with_sve_its_vectors_come_on_top);
	run(ids_end_at_the_limit);
	run(every_vcpu_has_its_own_affinity);
	return check_done();
}
