/* SPDX-License-Identifier: MIT */
/* Registers many at a time: sizes, the first error, how many were done. Part of the tests. */
#include <sys/mman.h>
#include <unistd.h>

#include "kvm.h"

#define REG_V0 (KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]))
#define REG_V(n) (REG_V0 + 4 * (n))
#define REG_FPSR (KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(fp_regs.fpsr))
#define REG_NONE (REG_X(0) + 1)		/* in the middle of X0: EINVAL */

static struct kvmemu_file *vm, *vcpu, *other;

static void values_stand_one_after_another_without_padding(void)
{
	const uint64_t ids[] = { REG_FPSR, REG_X(1), REG_V(2), REG_PC };
	unsigned char in[4 + 8 + 16 + 8], out[sizeof(in) + 1];
	size_t done = 0;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i + 1);
	memset(out, 0xee, sizeof(out));
	equal(kvmemu_set_regs(vcpu, ids, 4, in, sizeof(in), &done), 0);
	equal(done, 4);
	equal(get(vcpu, REG_X(1)), 0x0c0b0a0908070605);
	equal(kvmemu_get_regs(vcpu, ids, 4, out, sizeof(out), &done), 0);
	equal(done, 4);
	ok(!memcmp(in, out, sizeof(in)));
	equal(out[sizeof(in)], 0xee);
}

static void stops_at_the_first_error(void)
{
	const uint64_t ids[] = { REG_X(1), REG_X(2), REG_NONE, REG_X(3) };
	const uint64_t in[] = { 11, 12, 13, 14 };
	uint64_t out[4] = { 0 };
	size_t done = 0;

	set(vcpu, REG_X(3), 99);
	fails(kvmemu_set_regs(vcpu, ids, 4, in, sizeof(in), &done), EINVAL);
	equal(done, 2);
	equal(get(vcpu, REG_X(2)), 12);
	equal(get(vcpu, REG_X(3)), 99);
	fails(kvmemu_get_regs(vcpu, ids, 4, out, sizeof(out), &done), EINVAL);
	equal(done, 2);
	equal(out[1], 12);
	equal(out[2], 0);
}

static void values_that_end_before_the_ids_do(void)
{
	const uint64_t ids[] = { REG_X(1), REG_V(0), REG_X(2) };
	uint64_t values[4] = { 1, 2, 3, 4 };

	for (size_t bytes = 0; bytes < sizeof(values); bytes++) {
		size_t done = 9;

		fails(kvmemu_set_regs(vcpu, ids, 3, values, bytes, &done), E2BIG);
		equal(done, bytes < 8 ? 0 : bytes < 24 ? 1 : 2);
		fails(kvmemu_get_regs(vcpu, ids, 3, values, bytes, &done), E2BIG);
		equal(done, bytes < 8 ? 0 : bytes < 24 ? 1 : 2);
	}
}

/* Two pages of which the second may not be used; the last word of the first is where a batch must stop. */
static uint64_t *words_before_a_hole(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ok(pages != MAP_FAILED);
	must(mprotect(pages + page, page, PROT_NONE));
	return (uint64_t *)(pages + page);
}

/* A batch may copy many at a time; what it did before the bad address is as if it went one by one. */
static void stops_at_the_first_bad_address(void)
{
	uint64_t *hole = words_before_a_hole(), ids[100], values[100];
	size_t done;

	for (size_t i = 0; i < 100; i++)
		ids[i] = REG_X(i % 20);
	for (size_t room = 0; room < 100; room += 33) {
		for (size_t i = 0; i < 20; i++)
			set(vcpu, REG_X(i), 1000 + i);
		done = 999;
		fails(kvmemu_get_regs(vcpu, ids, 100, hole - room, 800, &done), EFAULT);
		equal(done, room);
		for (size_t i = 0; i < room; i++) {
			equal((hole - room)[i], 1000 + i % 20);
			(hole - room)[i] = 5000 + i;
		}
		fails(kvmemu_set_regs(vcpu, ids, 100, hole - room, 800, &done), EFAULT);
		equal(done, room);
		for (size_t i = 0; i < 20; i++)
			equal(get(vcpu, REG_X(i)),
			      i < room ? 5000 + i + (room > 20 ? (room - 1 - i) / 20 * 20 : 0) : 1000 + i);
		memcpy(hole - room, ids, room * sizeof(*ids));
		fails(kvmemu_get_regs(vcpu, hole - room, 100, values, sizeof(values), &done), EFAULT);
		equal(done, room);
	}
}

/* More registers than are copied at a time, of sizes that do not divide its room. */
static void a_long_batch_of_all_sizes(void)
{
	const uint64_t some[] = { REG_V(1), REG_X(3), REG_FPSR, REG_V(2), REG_PC };
	static unsigned char in[500 * 16], out[500 * 16];
	uint64_t ids[500];
	size_t done, bytes = 0;

	for (size_t i = 0; i < 500; i++) {
		ids[i] = some[i % 5];
		bytes += 1ul << ((ids[i] & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
	}
	equal(bytes, 100 * (16 + 8 + 4 + 16 + 8));
	/* Every round of five writes the same, so that what is read is what was written. */
	for (size_t i = 0; i < bytes; i++)
		in[i] = (unsigned char)(i % 52 + 1);
	equal(kvmemu_set_regs(vcpu, ids, 500, in, bytes, &done), 0);
	equal(done, 500);
	equal(kvmemu_get_regs(vcpu, ids, 500, out, bytes, &done), 0);
	equal(done, 500);
	ok(!memcmp(in, out, bytes));
	fails(kvmemu_get_regs(vcpu, ids, 500, out, bytes - 1, &done), E2BIG);
	equal(done, 499);
}

static void an_empty_batch_is_done(void)
{
	size_t done = 9;

	equal(kvmemu_get_regs(vcpu, NULL, 0, NULL, 0, &done), 0);
	equal(done, 0);
	equal(kvmemu_set_regs(vcpu, NULL, 0, NULL, 0, &done), 0);
	equal(done, 0);
}

/* The size in an id may be up to 2^15 bytes; no register is that long. */
static void an_id_of_any_size_is_harmless(void)
{
	static unsigned char value[1 << 15];
	size_t done;

	for (uint64_t log = 0; log < 16; log++) {
		uint64_t id = (REG_X(0) & ~KVM_REG_SIZE_MASK) | log << KVM_REG_SIZE_SHIFT;

		if (log == 3)
			continue;
		ok(kvmemu_get_regs(vcpu, &id, 1, value, sizeof(value), &done) < 0);
		ok(kvmemu_set_regs(vcpu, &id, 1, value, sizeof(value), &done) < 0);
		ok(kvmemu_get_reg(vcpu, id, value, sizeof(value)) < 0);
		ok(kvmemu_set_reg(vcpu, id, value) < 0);
	}
}

static void one_register_gives_its_size(void)
{
	uint64_t value[2] = { 0 };

	set(vcpu, REG_X(5), 55);
	equal(kvmemu_get_reg(vcpu, REG_X(5), value, sizeof(value)), 8);
	equal(value[0], 55);
	equal(kvmemu_get_reg(vcpu, REG_FPSR, value, sizeof(value)), 4);
	equal(kvmemu_get_reg(vcpu, REG_V(0), value, sizeof(value)), 16);
	fails(kvmemu_get_reg(vcpu, REG_V(0), value, 15), E2BIG);
	value[0] = 56;
	equal(kvmemu_set_reg(vcpu, REG_X(5), value), 0);
	equal(get(vcpu, REG_X(5)), 56);
}

static void needs_an_initialised_vcpu(void)
{
	struct kvmemu_file *raw = create(vm, KVM_CREATE_VCPU, 9);
	uint64_t id = REG_X(0), value = 0;
	size_t done = 9;

	fails(kvmemu_get_regs(raw, &id, 1, &value, sizeof(value), &done), ENOEXEC);
	equal(done, 0);
	fails(kvmemu_set_regs(raw, &id, 1, &value, sizeof(value), &done), ENOEXEC);
	fails(kvmemu_get_reg(raw, id, &value, sizeof(value)), ENOEXEC);
	fails(kvmemu_set_reg(raw, id, &value), ENOEXEC);
	kvmemu_close(raw);
}

/* The list of a vCPU, read into one buffer and written to another vCPU, makes the two the same. */
static void a_whole_vcpu_moves_to_another(void)
{
	static uint64_t list[1000] = { 999 }, values[4000], again[4000];
	size_t n, done = 0;

	must(kvmemu_ioctl(vcpu, KVM_GET_REG_LIST, (uintptr_t)list, NULL));
	n = list[0];
	set(vcpu, REG_X(7), 0x7777);
	set(vcpu, REG_TPIDR_EL1, 0x1234);
	equal(kvmemu_get_regs(vcpu, list + 1, n, values, sizeof(values), &done), 0);
	equal(done, n);
	set(other, REG_X(7), 1);
	equal(kvmemu_set_regs(other, list + 1, n, values, sizeof(values), &done), 0);
	equal(done, n);
	equal(get(other, REG_X(7)), 0x7777);
	equal(get(other, REG_TPIDR_EL1), 0x1234);
	equal(kvmemu_get_regs(other, list + 1, n, again, sizeof(again), &done), 0);
	ok(!memcmp(values, again, sizeof(values)));
}

int main(void)
{
	struct kvmemu_file *system = open_system(NULL), *second;

	kvmemu_counter_set(system, 5000);
	vm = create_vm(system);
	second = create_vm(system);
	vcpu = create_vcpu(vm, 0, 0);
	other = create_vcpu(second, 0, 0);

	run(values_stand_one_after_another_without_padding);
	run(stops_at_the_first_error);
	run(values_that_end_before_the_ids_do);
	run(stops_at_the_first_bad_address);
	run(a_long_batch_of_all_sizes);
	run(an_empty_batch_is_done);
	run(an_id_of_any_size_is_harmless);
	run(one_register_gives_its_size);
	run(needs_an_initialised_vcpu);
	run(a_whole_vcpu_moves_to_another);
	kvmemu_close(other);
	kvmemu_close(vcpu);
	kvmemu_close(second);
	kvmemu_close(vm);
	kvmemu_close(system);
	return check_done();
}
