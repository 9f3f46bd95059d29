/* SPDX-License-Identifier: MIT */
/* What a fuzzing session does with registers beside KVM_GET_ONE_REG and KVM_SET_ONE_REG. Part of the tests. */
#include <stdio.h>

#include <kvmemu/uapi.h>

#include "../../csrc/reg/names.h"
#include "session.h"

void register_batch(struct session *s)
{
	uint64_t ids = take_address(&s->in, 64), values = take_address(&s->in, 64);
	size_t n = choose(&s->in, 12), bytes = choose(&s->in, 512), done = 0;
	bool get = once_in(&s->in, 2);
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	for (size_t i = 0; i < n; i++) {
		const uint64_t id = take_register_id(&s->in);

		store(ids + i * 8, &id, sizeof(id));
	}
	if (!file)
		return;
	if (get)
		counted(kvmemu_get_regs(file, (void *)ids, n, (void *)values, bytes, &done));
	else
		counted(kvmemu_set_regs(file, (void *)ids, n, (void *)values, bytes, &done));
	expect(done <= n, "a batch does no more than it was given");
}

void one_register(struct session *s)
{
	uint64_t id = take_register_id(&s->in), address = take_address(&s->in, 16);
	size_t room = choose(&s->in, 300);
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (!file)
		return;
	if (once_in(&s->in, 2))
		expect(counted(kvmemu_get_reg(file, id, (void *)address, room)) <= (long)room, "a register has room");
	else
		counted(kvmemu_set_reg(file, id, (void *)address));
}

/*
 * SVE's vector lengths are settled once the registers are there, and the PSCI version is the VM's: what a vCPU without
 * PSCI 0.2 sets, one with it reads, and may not write.
 */
static bool takes_what_it_gives(uint64_t id)
{
	return id != KVM_REG_ARM64_SVE_VLS && (id ^ KVM_REG_ARM_PSCI_VERSION) & ~KVM_REG_ARCH_MASK;
}

/* All registers of the list can be read, and what was read can be written. */
void read_all_and_write_back(struct session *s)
{
	static uint64_t list[1000];
	static unsigned char values[16 << 10];
	struct kvmemu_file *vcpu = file_of_kind(s, VCPU);
	size_t done;

	list[0] = sizeof(list) / sizeof(list[0]) - 1;
	if (!vcpu || counted(kvmemu_ioctl(vcpu, KVM_GET_REG_LIST, (uintptr_t)list, NULL)))
		return;
	expect(!kvmemu_get_regs(vcpu, list + 1, list[0], values, sizeof(values), &done), "all that is listed is there");
	for (size_t i = 1; i <= list[0]; i++) {
		long got = kvmemu_get_reg(vcpu, list[i], values, sizeof(values));

		expect(got == (long)KVM_REG_SIZE(list[i]), "a register is as long as its id says");
		got = kvmemu_set_reg(vcpu, list[i], values);
		if (got && takes_what_it_gives(list[i])) {
			fprintf(stderr, "register 0x%llx: %ld\n", (unsigned long long)list[i], got);
			expect(false, "a register takes the value it has");
		}
	}
}

void register_names(struct session *s)
{
	struct kvmemu_reg_info info = { .arch = 64 }, again;
	uint64_t id = take_register_id(&s->in);

	if (counted(kvmemu_reg_describe(id, &info)))
		return;
	expect(memchr(info.name, '\0', sizeof(info.name)), "a name ends");
	expect(!kvmemu_reg_find(info.name, info.arch, &again), "a described register is found by its name");
}
