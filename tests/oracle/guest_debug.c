/* SPDX-License-Identifier: MIT */
/*
 * Asks Linux what user space sees of a guest that it has stepped, one instruction at a time: of instructions that trap and
 * that do not, and where stepping begins and ends amid one that leaves to user space. Part of the tests; a program for the
 * oracle, run by record_debug.py. A line of output a KVM_RUN, which tests/unit/test_guest_debug.py does again.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define CODE 0x1000
#define RAM 0x8000
#define DIST 0x8000000u
#define REDIST 0x80a0000u
#define VOID 0x5000000u
#define CALL_VERSION 0x84000000u
#define CALL_OFF 0x84000008u
#define PSTATE core_id(33)

static int vm, vcpu;
static struct kvm_run *run;
static uint8_t *memory;

/* Instructions, by the names that the test has for them. x0: an address or a call's number. */
static const struct {
	const char *name;
	uint32_t code;
	uint64_t x0;
} instructions[] = {
	/* With an interrupt pending. Without one QEMU completes it all the same, where hardware would trap. */
	{ "wfi", 0xd503207f, 0 },
	{ "read MIDR_EL1", 0xd5380001, 0 },
	{ "read ID_AA64PFR0_EL1", 0xd5380401, 0 },
	{ "read MPIDR_EL1", 0xd53800a1, 0 },
	{ "read REVIDR_EL1", 0xd53800c1, 0 },
	{ "read ID_AA64MMFR0_EL1", 0xd5380701, 0 },
	{ "read CTR_EL0", 0xd53b0021, 0 },
	{ "read CLIDR_EL1", 0xd5390021, 0 },
	{ "read CSSELR_EL1", 0xd53a0001, 0 },
	{ "read SCTLR_EL1", 0xd5381001, 0 },
	{ "read ACTLR_EL1", 0xd5381021, 0 },
	{ "read TTBR0_EL1", 0xd5382001, 0 },
	{ "read TPIDR_EL1", 0xd538d081, 0 },
	{ "read MDSCR_EL1", 0xd5300241, 0 },
	{ "read DBGBVR0_EL1", 0xd5300081, 0 },
	{ "read OSLSR_EL1", 0xd5301181, 0 },
	{ "read CNTVCT_EL0", 0xd53be041, 0 },
	{ "read CNTV_CTL_EL0", 0xd53be321, 0 },
	{ "read CNTP_CTL_EL0", 0xd53be221, 0 },
	{ "write TTBR0_EL1", 0xd5182000, 0 },
	{ "write CONTEXTIDR_EL1", 0xd518d020, 0 },
	{ "write SCTLR_EL1", 0xd5181000, 0x30d00800 },
	{ "write ACTLR_EL1", 0xd5181020, 0 },
	{ "write CPACR_EL1", 0xd5181040, 0 },
	{ "write TTBR1_EL1", 0xd5182020, 0 },
	{ "write TCR_EL1", 0xd5182040, 0 },
	{ "write AFSR0_EL1", 0xd5185100, 0 },
	{ "write AFSR1_EL1", 0xd5185120, 0 },
	{ "write ESR_EL1", 0xd5185200, 0 },
	{ "write FAR_EL1", 0xd5186000, 0 },
	{ "write MAIR_EL1", 0xd518a200, 0 },
	{ "write AMAIR_EL1", 0xd518a300, 0 },
	{ "write TPIDR_EL1", 0xd518d080, 0 },
	{ "write VBAR_EL1", 0xd518c000, 0 },
	{ "write CSSELR_EL1", 0xd51a0000, 0 },
	{ "write MDSCR_EL1", 0xd5100240, 0 },
	{ "write CNTV_CTL_EL0", 0xd51be320, 0 },
	{ "write CNTP_CTL_EL0", 0xd51be220, 0 },
	{ "write ICC_PMR_EL1", 0xd5184600, 0xf0 },
	{ "read ICC_IAR1_EL1", 0xd538cc01, 0 },
	{ "read ISR_EL1", 0xd538c101, 0 },
	{ "write ICC_SGI1R_EL1", 0xd518cba0, 0 },
	{ "read S3_0_C15_C0_0", 0xd538f001, 0 },	/* undefined */
	{ "load RAM", 0xb9400001, RAM },
	{ "store RAM", 0xb9000001, RAM },
	{ "load DIST", 0xb9400001, DIST },
	{ "store DIST", 0xb9000001, DIST },
	{ "load VOID", 0xb9400001, VOID },
	{ "store VOID", 0xb9000001, VOID },
	{ "hvc PSCI_VERSION", 0xd4000002, CALL_VERSION },
	{ "smc PSCI_VERSION", 0xd4000003, CALL_VERSION },
};
#define MMIO (NR - 4)
#define NR (sizeof(instructions) / sizeof(instructions[0]))

static uint64_t core_id(unsigned int number)
{
	return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 2 * number;
}

static void set(uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	if (ioctl(vcpu, KVM_SET_ONE_REG, &reg))
		printf("set %llx failed\n", (unsigned long long)id);
}

static uint64_t get(uint64_t id)
{
	uint64_t value = 0;
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	ioctl(vcpu, KVM_GET_ONE_REG, &reg);
	return value;
}

static void debug(uint32_t control)
{
	struct kvm_guest_debug debug = { .control = control };

	printf("debug %x -> %d\n", control, ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug));
}

static void line(int level)
{
	struct kvm_irq_level irq = { .irq = 1u << 24 | 40, .level = level };

	ioctl(vm, KVM_IRQ_LINE, &irq);
}

static void device_attr(int gic, uint32_t group, uint64_t number, uint64_t value)
{
	struct kvm_device_attr attr = { .group = group, .attr = number, .addr = (uintptr_t)&value };

	if (ioctl(gic, KVM_SET_DEVICE_ATTR, &attr))
		printf("attribute %u %llx failed\n", group, (unsigned long long)number);
}

static void set_up(void)
{
	struct kvm_vcpu_init init = { .target = KVM_ARM_TARGET_GENERIC_V8, .features = { 1u << KVM_ARM_VCPU_PSCI_0_2 } };
	struct kvm_userspace_memory_region region = { .memory_size = 0x10000 };
	struct kvm_create_device gic = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	int kvm = open("/dev/kvm", O_RDWR);

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	memory = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	region.userspace_addr = (uintptr_t)memory;
	ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	ioctl(vcpu, KVM_ARM_VCPU_INIT, &init);
	ioctl(vm, KVM_CREATE_DEVICE, &gic);
	device_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, DIST);
	device_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, REDIST);
	device_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
	device_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, 2);
	device_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x84, 0xffffffff);
	device_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x104, 1u << 8);
	device_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, 0xc230, 0xf0);
	device_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, 0xc667, 1);
	run = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
}

static void once(void)
{
	if (ioctl(vcpu, KVM_RUN, 0)) {
		printf(" failed");
		return;
	}
	printf(" %u", run->exit_reason);
	if (run->exit_reason == KVM_EXIT_DEBUG)
		printf(" hsr %x %x flags %x", run->debug.arch.hsr, run->debug.arch.hsr_high, run->flags);
	if (run->exit_reason == KVM_EXIT_MMIO)
		printf(" mmio %llx %u", (unsigned long long)run->mmio.phys_addr, run->mmio.is_write);
	printf(" ss %llu", (unsigned long long)get(PSTATE) >> 21 & 1);
}

/* The guest is at this instruction, and has nothing else to do first; behind it are stores to nowhere. */
static void at(unsigned int n)
{
	uint32_t code[] = { instructions[n].code, 0xb9000043, 0xb9000043 };

	if (run->exit_reason == KVM_EXIT_MMIO) {
		run->immediate_exit = 1;
		ioctl(vcpu, KVM_RUN, 0);
		run->immediate_exit = 0;
	}
	memcpy(memory + CODE, code, sizeof(code));
	__builtin___clear_cache((char *)memory + CODE, (char *)memory + CODE + sizeof(code));
	set(core_id(0), instructions[n].x0);
	set(core_id(1), 0);
	set(core_id(2), VOID + 0x1000);
	set(core_id(32), CODE);
}

int main(void)
{
	set_up();
	line(1);
	debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	for (unsigned int n = 0; n < NR; n++) {
		printf("%s:", instructions[n].name);
		at(n);
		once();
		if (run->exit_reason == KVM_EXIT_MMIO) {
			printf(";");
			once();
		}
		printf("\n");
	}
	for (unsigned int control = 0; control < 2; control++) {
		debug(control ? 0 : KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
		for (unsigned int n = MMIO; n < MMIO + 2; n++) {
			printf("%s:", instructions[n].name);
			at(n);
			once();
			printf("\n");
			debug(control ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP : 0);
			printf("then:");
			once();
			printf("\n");
			debug(control ? 0 : KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
			printf("then:");
			once();
			printf("\n");
		}
	}
	debug(KVM_GUESTDBG_ENABLE);
	printf("%s:", instructions[1].name);
	at(1);
	once();
	printf("\n");
	debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	printf("%s:", instructions[1].name);
	at(1);
	run->immediate_exit = 1;
	once();
	run->immediate_exit = 0;
	once();
	printf("\n");
	for (unsigned int n = MMIO + 2; n < NR; n++) {
		struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };

		printf("%.3s SYSTEM_OFF:", instructions[n].name);
		at(n);
		set(core_id(0), CALL_OFF);
		once();
		ioctl(vcpu, KVM_SET_MP_STATE, &runnable);
		printf(";");
		once();
		printf("\n");
	}
	return 0;
}
