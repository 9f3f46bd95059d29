/* SPDX-License-Identifier: MIT */
/* How a fuzzing session begins: hosts, a system, a VM, its vCPUs and what these have. Part of the tests. */
#include <stdio.h>

#include <kvmemu/uapi.h>

#include "gic.h"
#include "guest.h"
#include "session.h"

#define MAX_HOSTS 16

static struct kvmemu_host *hosts[MAX_HOSTS];
static unsigned int nr_hosts;

/* A host that no machine is: sizes, capabilities and registers at random. */
static struct kvmemu_host *odd_host(struct session *s)
{
	static const char *const registers[] = {
		"PMCR_EL0", "CLIDR_EL1", "ID_AA64PFR0_EL1", "ID_AA64DFR0_EL1", "ID_DFR0_EL1",
	};
	const unsigned long long csv = 0xeeull << 56;	/* ID_AA64PFR0_EL1.CSV2 and .CSV3 are 0 or 1 */
	struct kvmemu_host *host = NULL;
	char text[4096], why[200];
	unsigned int numbers[7];
	int at;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		numbers[i] = (unsigned int)take(&s->in, 4);
	at = snprintf(text, sizeof(text),
		      "kvmemu-host 1\nname odd\nkernel 6.1\n"
		      "gic.version %u\ngic.v2_compat %s\ngic.list_registers %u\ngic.priority_bits %u\n"
		      "counter.hz %u\ncpu.target 5\ncpu.page_bytes %u\ncpu.sve_vqs %u\ncpu.aarch32_el0 %s\n",
		      2 + numbers[0] % 2, numbers[0] % 4 == 3 ? "true" : "false", 1 + numbers[1] % 16,
		      5 + numbers[2] % 3, 1 + numbers[3] / 8,
		      4096 + numbers[4] % 61441, numbers[5] & 0xffff, numbers[6] % 2 ? "true" : "false");
	for (unsigned int i = choose(&s->in, 24); i > 0; i--) {
		unsigned int cap = choose(&s->in, 230);
		int answer = once_in(&s->in, 4) ? (int)(take(&s->in, 4) & INT32_MAX) : (int)choose(&s->in, 80) - 16;

		at += snprintf(text + at, sizeof(text) - (size_t)at, "capability.%u %d\n", cap, answer);
	}
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "register.%s 0x%llx\n", registers[i],
			       (unsigned long long)take_number(&s->in) & ~csv);
	expect(!kvmemu_host_parse(text, (size_t)at, &host, why, sizeof(why)), "an odd host is a host");
	return host;
}

bool hosts_setup(void)
{
	for (; nr_hosts < MAX_HOSTS && kvmemu_host_name(nr_hosts); nr_hosts++)
		if (kvmemu_host_get(kvmemu_host_name(nr_hosts), &hosts[nr_hosts]))
			return false;
	kvmemu_fd_close(kvmemu_fd_open(hosts[0]));	/* what the library opens once and keeps */
	return nr_hosts > 0;
}

void open_system(struct session *s)
{
	struct kvmemu_host *odd = once_in(&s->in, 16) ? odd_host(s) : NULL;
	struct kvmemu_file *system = NULL;

	if (!counted(kvmemu_open(odd ? odd : hosts[choose(&s->in, nr_hosts)], &system)))
		keep_file(s, system, SYSTEM);
	kvmemu_host_put(odd);
}

static void set_vcpu_attr(struct kvmemu_file *vcpu, uint32_t group, uint64_t which, void *value)
{
	const struct kvm_device_attr attr = { .group = group, .attr = which, .addr = (uintptr_t)value };

	counted(kvmemu_ioctl(vcpu, KVM_SET_DEVICE_ATTR, (uintptr_t)&attr, NULL));
}

/* A timer that is on: about to fire, or due long ago. */
static void arm(struct session *s, struct kvmemu_file *vcpu, uint64_t ctl, uint64_t cval)
{
	const uint64_t enable = 1;
	uint64_t when = once_in(&s->in, 2) ? 0 : choose(&s->in, 4096);

	counted(kvmemu_set_reg(vcpu, cval, &when));
	counted(kvmemu_set_reg(vcpu, ctl, &enable));
}

/* A place for stolen time, a PMU that interrupts, and often timers that do. */
static void equip_vcpu(struct session *s, struct kvmemu_file *vcpu)
{
	uint64_t place = MEMORY_IPA;
	int intid = 23;

	set_vcpu_attr(vcpu, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &place);
	set_vcpu_attr(vcpu, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &intid);
	set_vcpu_attr(vcpu, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, NULL);
	if (once_in(&s->in, 2))
		arm(s, vcpu, KVM_REG_ARM_TIMER_CTL, KVM_REG_ARM_TIMER_CVAL);
	if (once_in(&s->in, 4))
		arm(s, vcpu, KVM_REG_ARM_PTIMER_CTL, KVM_REG_ARM_PTIMER_CVAL);
}

/* Memory for guests, and what else they use. */
static void equip(struct session *s, struct kvmemu_file *vm)
{
	const struct kvm_userspace_memory_region region = {
		.slot = 5, .flags = once_in(&s->in, 2) ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = MEMORY_IPA, .memory_size = MEMORY_WRITABLE, .userspace_addr = (uintptr_t)memory,
	};

	counted(kvmemu_ioctl(vm, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&region, NULL));
	for (unsigned int i = 0; i < NR_FILES; i++)
		if (s->files[i].file && s->files[i].kind == VCPU)
			equip_vcpu(s, s->files[i].file);
	for (unsigned int i = choose(&s->in, 4); i > 0; i--)
		guest_forward(s);
	for (unsigned int i = choose(&s->in, 4); i > 0; i--)
		call_number(s, vm, once_in(&s->in, 2) ? KVM_IOEVENTFD : KVM_IRQFD);
}

static void make_vcpu(struct session *s, struct kvmemu_file *vm, unsigned long id, uint32_t features, bool guest)
{
	struct kvm_vcpu_init init = { 0 };
	struct kvmemu_file *vcpu;

	if (counted(kvmemu_ioctl(vm, KVM_CREATE_VCPU, id, &vcpu)))
		return;
	keep_file(s, vcpu, VCPU);
	kvmemu_ioctl(vm, KVM_ARM_PREFERRED_TARGET, (uintptr_t)&init, NULL);
	init.features[0] = features;
	counted(kvmemu_ioctl(vcpu, KVM_ARM_VCPU_INIT, (uintptr_t)&init, NULL));
	if (guest)
		give_guest(s, vcpu);
}

/* Two vCPUs: with any features, or with guests and what these use. */
static void make_vcpus(struct session *s, struct kvmemu_file *vm, bool guests)
{
	static const uint32_t any[] = {
		0, 1u << KVM_ARM_VCPU_PSCI_0_2, 1u << KVM_ARM_VCPU_PMU_V3 | 1u << KVM_ARM_VCPU_PSCI_0_2,
		1u << KVM_ARM_VCPU_SVE, 1u << KVM_ARM_VCPU_EL1_32BIT, 1u << KVM_ARM_VCPU_POWER_OFF,
		1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC,
	}, of_guests[] = {
		1u << KVM_ARM_VCPU_PSCI_0_2, 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_PMU_V3,
		1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_POWER_OFF, 0,
	};
	uint32_t width = guests && once_in(&s->in, 8) ? 1u << KVM_ARM_VCPU_EL1_32BIT : 0;

	for (unsigned long id = 0; id < 2; id++)
		make_vcpu(s, vm, id, guests ? width | of_guests[choose(&s->in, sizeof(of_guests) / sizeof(of_guests[0]))] :
					      any[choose(&s->in, sizeof(any) / sizeof(any[0]))], guests);
}

/* A system, a VM, two vCPUs and mostly a GIC, as every session would make them sooner or later. */
void begin(struct session *s)
{
	struct kvmemu_file *system, *vm = NULL;
	bool guests = once_in(&s->in, 2);

	open_system(s);
	system = file_of_kind(s, SYSTEM);
	if (!system || counted(kvmemu_ioctl(system, KVM_CREATE_VM, 0, &vm)))
		return;
	keep_file(s, vm, VM);
	for (unsigned int i = choose(&s->in, 4); i > 0; i--)
		call_number(s, vm, KVM_ENABLE_CAP);
	make_vcpus(s, vm, guests);
	if (choose(&s->in, 4))
		make_gic(s, vm);
	if (guests)
		equip(s, vm);
	for (unsigned int i = guests ? choose(&s->in, 16) : 0; i > 0; i--)
		guest_run(s);
}
