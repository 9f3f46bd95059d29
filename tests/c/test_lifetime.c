/* SPDX-License-Identifier: MIT */
/* How long objects live: a VM until its last file is closed, in whatever order files are. Part of the tests. */
#include "kvm.h"

enum { SYSTEM, VM, VCPU0, VCPU1, VM_STATS, VCPU_STATS, NR_FILES };

static void open_all(struct kvmemu_file *files[NR_FILES])
{
	files[SYSTEM] = open_system(NULL);
	kvmemu_counter_set(files[SYSTEM], 1000);
	files[VM] = create_vm(files[SYSTEM]);
	files[VCPU0] = create_vcpu(files[VM], 0, 0);
	files[VCPU1] = create_vcpu(files[VM], 1, 0);
	files[VM_STATS] = create(files[VM], KVM_GET_STATS_FD, 0);
	files[VCPU_STATS] = create(files[VCPU1], KVM_GET_STATS_FD, 0);
	set(files[VCPU0], REG_PC, 0x1000);
	set(files[VCPU1], REG_PC, 0x1001);
}

static void use(unsigned int which, struct kvmemu_file *file)
{
	struct kvm_stats_header header;
	struct kvmemu_file *vm;

	switch (which) {
	case SYSTEM:
		vm = create_vm(file);
		ok(vm);
		kvmemu_close(vm);
		break;
	case VM:
		equal(try_call(file, KVM_CHECK_EXTENSION, (void *)KVM_CAP_ONE_REG), 1);
		fails(kvmemu_ioctl(file, KVM_CREATE_VCPU, 1, &vm), EEXIST);
		break;
	case VCPU0:
	case VCPU1:
		equal(get(file, REG_PC), 0x1000 + which - VCPU0);
		break;
	default:
		equal(kvmemu_read(file, &header, sizeof(header), 0), sizeof(header));
		equal(header.id_offset, sizeof(header));
	}
	equal(kvmemu_counter_read(file), 1000);
}

/* Each file works until it is itself closed, whichever others are already. */
static void vm_lives_until_its_last_file_is_closed(void)
{
	struct kvmemu_file *files[NR_FILES];
	unsigned int order[NR_FILES];

	for (unsigned int n = 0; n < 720; n++) {
		permutation(n, NR_FILES, order);
		open_all(files);
		for (unsigned int closed = 0; closed < NR_FILES; closed++) {
			for (unsigned int i = closed; i < NR_FILES; i++)
				use(order[i], files[order[i]]);
			kvmemu_close(files[order[closed]]);
		}
	}
}

static void closing_everything_leaves_no_descriptor(void)
{
	struct kvmemu_file *files[NR_FILES];
	int before = count_open_descriptors();

	open_all(files);
	set_immediate_exit(files[VCPU0], 1);
	fails(try_call(files[VCPU0], KVM_RUN, NULL), EINTR);
	for (unsigned int i = 0; i < NR_FILES; i++)
		kvmemu_close(files[i]);
	equal(count_open_descriptors(), before);
}

/* What a descriptor shows is made when somebody looks at it: a VM that is only made, set up and read needs none. */
static void files_need_no_descriptors(void)
{
	struct kvmemu_file *system = open_system(NULL), *vm, *vcpu;
	int before = count_open_descriptors();

	vm = create_vm(system);
	vcpu = create_vcpu(vm, 0, 0);
	set(vcpu, REG_PC, 4);
	equal(get(vcpu, REG_PC), 4);
	equal(count_open_descriptors(), before);
	equal(run_page(vcpu)->immediate_exit, 0);
	ok(count_open_descriptors() > before);
	kvmemu_close(vcpu);
	kvmemu_close(vm);
	equal(count_open_descriptors(), before);
	kvmemu_close(system);
}

static void dup_is_one_more_reference(void)
{
	struct kvmemu_file *system = open_system(NULL), *vm = create_vm(system), *vcpu = create_vcpu(vm, 0, 0), *again;

	again = kvmemu_dup(vcpu);
	kvmemu_close(vcpu);
	kvmemu_close(vm);
	kvmemu_close(system);
	set(again, REG_X(3), 33);
	equal(get(again, REG_X(3)), 33);
	kvmemu_close(again);
}

static void close_of_nothing_is_allowed(void)
{
	kvmemu_close(NULL);
}

/* A vCPU outlives its file: its id stays taken, as on Linux, where the VM keeps it as well. */
static void closed_vcpu_keeps_its_id(void)
{
	struct kvmemu_file *system = open_system(NULL), *vm = create_vm(system), *none = NULL;

	kvmemu_close(create_vcpu(vm, 7, 0));
	fails(kvmemu_ioctl(vm, KVM_CREATE_VCPU, 7, &none), EEXIST);
	ok(!none);
	kvmemu_close(vm);
	kvmemu_close(system);
}

/* Without a place for the new file nothing is made: not even a vCPU whose id would then be taken. */
static void no_place_for_a_file_creates_nothing(void)
{
	struct kvmemu_file *system = open_system(NULL), *vm = create_vm(system), *vcpu;

	fails(try_call(system, KVM_CREATE_VM, NULL), EMFILE);
	for (int i = 0; i < 1000; i++)
		fails(try_call(vm, KVM_CREATE_VCPU, NULL), EMFILE);
	vcpu = create_vcpu(vm, 0, 0);
	fails(try_call(vm, KVM_GET_STATS_FD, NULL), EMFILE);
	fails(try_call(vcpu, KVM_GET_STATS_FD, NULL), EMFILE);
	kvmemu_close(vcpu);
	kvmemu_close(vm);
	kvmemu_close(system);
}

/* What a failed creation stores is nothing. */
static void failed_creation_leaves_the_callers_pointer(void)
{
	struct kvmemu_file *system = open_system(NULL), *vm = create_vm(system), *created = system;

	fails(kvmemu_ioctl(system, KVM_CREATE_VM, 1ul << 40, &created), EINVAL);
	ok(created == system);
	fails(kvmemu_ioctl(vm, KVM_CREATE_VCPU, 512, &created), EINVAL);
	ok(created == system);
	kvmemu_close(vm);
	kvmemu_close(system);
}

static void files_of_the_wrong_kind_are_refused(void)
{
	struct kvmemu_file *system = open_system(NULL), *vm = create_vm(system);
	struct kvmemu_file *stats = create(vm, KVM_GET_STATS_FD, 0);
	uint64_t id = REG_PC, value = 0;
	size_t bytes, done;
	void *page;

	fails(kvmemu_run(vm, &page, &bytes), EINVAL);
	fails(kvmemu_run(stats, &page, &bytes), EINVAL);
	fails(kvmemu_read(vm, &value, sizeof(value), 0), ESPIPE);
	fails(kvmemu_get_reg(system, id, &value, sizeof(value)), EINVAL);
	fails(kvmemu_set_reg(stats, id, &value), EINVAL);
	fails(kvmemu_get_regs(vm, &id, 1, &value, sizeof(value), &done), EINVAL);
	fails(kvmemu_set_regs(system, &id, 1, &value, sizeof(value), &done), EINVAL);
	fails(try_call(stats, KVM_GET_API_VERSION, NULL), ENOTTY);
	fails(try_call(vm, KVM_RUN, NULL), EINVAL);
	fails(try_call(system, KVM_CREATE_VCPU, NULL), EINVAL);
	kvmemu_close(stats);
	kvmemu_close(vm);
	kvmemu_close(system);
}

int main(void)
{
	run(vm_lives_until_its_last_file_is_closed);
	run(closing_everything_leaves_no_descriptor);
	run(files_need_no_descriptors);
	run(dup_is_one_more_reference);
	run(close_of_nothing_is_allowed);
	run(closed_vcpu_keeps_its_id);
	run(no_place_for_a_file_creates_nothing);
	run(failed_creation_leaves_the_callers_pointer);
	run(files_of_the_wrong_kind_are_refused);
	return check_done();
}
