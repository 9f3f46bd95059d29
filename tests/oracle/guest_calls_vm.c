/* SPDX-License-Identifier: MIT */
/* VMs, and what user space does with them. Part of guest_calls.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest_calls.h"

int kvm, vm;
struct vcpu vcpu[MAX_VCPUS];
unsigned int nr_vcpus;
uint8_t *ram;

void die(const char *what)
{
	printf("\n%s: %s\n", what, strerror(errno));
	exit(1);
}

static long result(long r)
{
	return r < 0 ? -errno : r;
}

long set_reg(struct vcpu *v, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	return result(ioctl(v->fd, KVM_SET_ONE_REG, &reg));
}

uint64_t get_reg(struct vcpu *v, uint64_t id)
{
	uint64_t value[32] = { 0 };
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return ioctl(v->fd, KVM_GET_ONE_REG, &reg) ? (uint64_t)-errno : value[0];
}

static void write_code(void)
{
	static const struct { unsigned int at; uint32_t word[2]; } code[] = {
		{ CODE_HVC, { 0xd4000002, 0xb9000085 } },	/* HVC #0; STR W5, [X4] */
		{ CODE_SMC, { 0xd4000003, 0xb9000085 } },
		{ CODE_HVC_IMM, { 0xd4024682, 0xb9000085 } },	/* HVC #0x1234 */
		{ CODE_HVC_A32, { 0xe1400070, 0xe5845000 } },	/* HVC #0; STR R5, [R4] */
		{ CODE_SMC_A32, { 0xe1600070, 0xe5845000 } },
		{ CODE_WFI, { 0xd503207f, 0xb9000085 } },
		{ CODE_LOOP, { 0x14000000, 0 } },
		{ CODE_LOOP_A32, { 0xeafffffe, 0 } },
		{ CODE_LOOP_T32, { 0xe7fee7fe, 0 } },
		{ CODE_DONE, { 0xd2920004, 0xb9000085 } },	/* MOV X4, #DONE; STR W5, [X4] */
	};

	memset(ram, 0, RAM_BYTES);
	for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++)
		memcpy(ram + code[i].at, code[i].word, sizeof(code[i].word));
}

void new_vm(unsigned int n)
{
	struct kvm_userspace_memory_region memory = {
		.guest_phys_addr = RAM, .memory_size = RAM_BYTES, .flags = KVM_MEM_LOG_DIRTY_PAGES,
	};

	while (nr_vcpus) {
		munmap(vcpu[--nr_vcpus].run, 0x1000);
		close(vcpu[nr_vcpus].fd);
	}
	if (vm)
		close(vm);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	write_code();
	memory.userspace_addr = (uintptr_t)ram;
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory))
		die("VM");
	for (; nr_vcpus < n && nr_vcpus < MAX_VCPUS; nr_vcpus++) {
		vcpu[nr_vcpus].fd = ioctl(vm, KVM_CREATE_VCPU, nr_vcpus);
		vcpu[nr_vcpus].run = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu[nr_vcpus].fd, 0);
		if (vcpu[nr_vcpus].run == MAP_FAILED)
			die("vCPU");
	}
}

long init(struct vcpu *v, uint32_t features)
{
	struct kvm_vcpu_init init = { 0 };

	if (ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init))
		die("KVM_ARM_PREFERRED_TARGET");
	init.features[0] = features;
	return result(ioctl(v->fd, KVM_ARM_VCPU_INIT, &init));
}

unsigned int mp_state(struct vcpu *v)
{
	struct kvm_mp_state state = { 0 };

	return ioctl(v->fd, KVM_GET_MP_STATE, &state) ? 99 : state.mp_state;
}

long set_mp_state(struct vcpu *v, unsigned int mp_state)
{
	struct kvm_mp_state state = { .mp_state = mp_state };

	return result(ioctl(v->fd, KVM_SET_MP_STATE, &state));
}

long set_events(struct vcpu *v, int serror, int abort)
{
	struct kvm_vcpu_events events = { 0 };

	events.exception.serror_pending = serror;
	events.exception.ext_dabt_pending = abort;
	return result(ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events));
}

long serror_pending(struct vcpu *v)
{
	struct kvm_vcpu_events events = { 0 };
	int r = ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events);

	return r ? -errno : events.exception.serror_pending;
}

long set_stolen_time(struct vcpu *v, uint64_t ipa)
{
	struct kvm_device_attr attr = { .group = KVM_ARM_VCPU_PVTIME_CTRL, .attr = KVM_ARM_VCPU_PVTIME_IPA };

	attr.addr = (uintptr_t)&ipa;
	return result(ioctl(v->fd, KVM_SET_DEVICE_ATTR, &attr));
}

long statistic(struct vcpu *v, const char *name)
{
	int fd = ioctl(v->fd, KVM_GET_STATS_FD, NULL);
	struct kvm_stats_header head;
	char desc[sizeof(struct kvm_stats_desc) + 256];
	uint64_t value = -1;

	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head))
		die("KVM_GET_STATS_FD");
	for (unsigned int i = 0; i < head.num_desc; i++) {
		size_t bytes = sizeof(struct kvm_stats_desc) + head.name_size;
		struct kvm_stats_desc *d = (void *)desc;

		if (pread(fd, desc, bytes, head.desc_offset + i * bytes) == (ssize_t)bytes && !strcmp(d->name, name) &&
		    pread(fd, &value, sizeof(value), head.data_offset + d->offset) != sizeof(value))
			die(name);
	}
	close(fd);
	return value;
}

long enable_cap(uint32_t cap)
{
	struct kvm_enable_cap enable = { .cap = cap };

	return result(ioctl(vm, KVM_ENABLE_CAP, &enable));
}

long irq_line(unsigned int v, uint32_t level)
{
	struct kvm_irq_level irq = { .irq = v << KVM_ARM_IRQ_VCPU_SHIFT, .level = level };

	return result(ioctl(vm, KVM_IRQ_LINE, &irq));
}
