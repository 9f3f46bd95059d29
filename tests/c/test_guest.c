/* SPDX-License-Identifier: MIT */
/*
 * Guests as C callbacks: how an instruction leaves and completes, and several of them at once, on threads that share
 * interrupts with others which raise lines, look at registers, kick. For ThreadSanitizer and AddressSanitizer. Part of
 * the tests.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>

#include "kvm.h"

#define NR_VCPUS 4
#ifndef ROUNDS
#define ROUNDS 3000
#endif
#define FIRST_SPI 32
#define NR_SPIS 32
#define FORWARDED 60		/* a guest's SPI that is the host's 100 */
#define HOST_SPI 100
#define DIST 0x8000000ull
#define CPU_FRAME 0x8010000ull
#define REDIST 0x80a0000ull
#define DOORBELL 0x10000000ull
#define ICC(crm, op2) (uint16_t)(3 << 14 | 12 << 7 | (crm) << 3 | (op2))
#define ICC_PMR_EL1 (uint16_t)(3 << 14 | 4 << 7 | 6 << 3)
#define ICC_IAR1_EL1 ICC(12, 0)
#define ICC_EOIR1_EL1 ICC(12, 1)
#define ICC_SGI1R_EL1 ICC(11, 5)
#define ICC_IGRPEN1_EL1 ICC(12, 7)
#define SPURIOUS 1023

static struct kvmemu_file *systemf, *vm, *gic, *vcpu[NR_VCPUS];
static bool is_v3;
static atomic_bool stop;
static atomic_ulong acknowledged, bells;

static void set_attr(uint32_t group, uint64_t which, uint64_t value)
{
	const struct kvm_device_attr a = { .group = group, .attr = which, .addr = (uintptr_t)&value };

	must(try_call(gic, KVM_SET_DEVICE_ATTR, &a));
}

static void set_up(const char *host, bool v3)
{
	struct kvm_create_device device = { .type = v3 ? KVM_DEV_TYPE_ARM_VGIC_V3 : KVM_DEV_TYPE_ARM_VGIC_V2 };

	is_v3 = v3;
	systemf = open_system(host);
	vm = create_vm(systemf);
	for (unsigned long i = 0; i < NR_VCPUS; i++)
		vcpu[i] = create_vcpu(vm, i, 1u << KVM_ARM_VCPU_PSCI_0_2);
	must(kvmemu_ioctl(vm, KVM_CREATE_DEVICE, (uintptr_t)&device, &gic));
	if (v3) {
		set_attr(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, DIST);
		set_attr(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, REDIST);
	} else {
		set_attr(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST);
		set_attr(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU, CPU_FRAME);
	}
	set_attr(KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
}

static void tear_down(void)
{
	for (int i = 0; i < NR_VCPUS; i++)
		kvmemu_close(vcpu[i]);
	kvmemu_close(gic);
	kvmemu_close(vm);
	kvmemu_close(systemf);
}

/*
 * How an instruction leaves.
 */

enum { SEEN = 9, STEP = 10, VALUE = 11 };	/* registers that the guests below keep their place in */

static void loads_twice(struct kvmemu_cpu *cpu, void *context)
{
	uint64_t *x = kvmemu_cpu_x(cpu), other;
	int *entries = context;

	(*entries)++;
	if (kvmemu_cpu_load(cpu, DOORBELL, 4, &x[VALUE])) {
		/* Left: nothing else does anything. */
		equal(kvmemu_cpu_store(cpu, DOORBELL + 8, 4, 1), KVMEMU_LEAVE);
		equal(kvmemu_cpu_read_sysreg(cpu, ICC_PMR_EL1, &other), KVMEMU_LEAVE);
		equal(kvmemu_cpu_wfi(cpu), KVMEMU_LEAVE);
		return;
	}
	x[SEEN] = x[VALUE];
	kvmemu_cpu_idle(cpu);
}

static void an_instruction_that_left_completes_when_executed_again(void)
{
	struct kvm_run *run;
	int entries = 0;

	set_up(NULL, true);
	run = run_page(vcpu[0]);
	must(kvmemu_set_guest(vcpu[0], loads_twice, &entries));
	equal(try_call(vcpu[0], KVM_RUN, NULL), 0);
	equal(run->exit_reason, KVM_EXIT_MMIO);
	equal(run->mmio.phys_addr, DOORBELL);
	equal(run->mmio.is_write, 0);
	equal(entries, 1);
	memcpy(run->mmio.data, "\x78\x56\x34\x12", 4);
	/* User space asks for no more than the completion. */
	set_immediate_exit(vcpu[0], 1);
	fails(try_call(vcpu[0], KVM_RUN, NULL), EINTR);
	equal(entries, 1);
	/* And moves the guest, with what it was given, to another vCPU. */
	equal(kvmemu_move_guest(vcpu[0], vcpu[0]), -EINVAL);
	equal(kvmemu_move_guest(vcpu[0], vcpu[1]), 0);
	alarm(1);	/* a guest that idles is ended by a signal */
	fails(try_call(vcpu[1], KVM_RUN, NULL), EINTR);
	alarm(CHECK_SECONDS);
	equal(entries, 2);
	equal(get(vcpu[1], REG_X(SEEN)), 0x12345678);
	set_immediate_exit(vcpu[0], 0);
	must(kvmemu_set_guest(vcpu[0], NULL, NULL));
	fails(kvmemu_set_guest(vm, NULL, NULL), EINVAL);
	tear_down();
}

/*
 * Several at once.
 */

enum { SETUP, TAKE, LOOK, END, SEND, BELL, WAIT };

static int switch_on(struct kvmemu_cpu *cpu)
{
	uint64_t *x = kvmemu_cpu_x(cpu);

	for (;; x[VALUE]++) {
		int ret;

		switch (x[VALUE]) {
		case 0: ret = kvmemu_cpu_store(cpu, DIST, 4, is_v3 ? 2 : 1); break;
		case 1: ret = kvmemu_cpu_store(cpu, DIST + 0x104, 4, UINT32_MAX); break;
		case 2: ret = is_v3 ? kvmemu_cpu_write_sysreg(cpu, ICC_PMR_EL1, 0xff) :
				      kvmemu_cpu_store(cpu, CPU_FRAME + 4, 4, 0xff); break;
		case 3: ret = is_v3 ? kvmemu_cpu_write_sysreg(cpu, ICC_IGRPEN1_EL1, 1) :
				      kvmemu_cpu_store(cpu, CPU_FRAME, 4, 1); break;
		default: return 0;
		}
		if (ret)
			return ret;
	}
}

static int take(struct kvmemu_cpu *cpu, uint64_t *intid)
{
	return is_v3 ? kvmemu_cpu_read_sysreg(cpu, ICC_IAR1_EL1, intid) :
		       kvmemu_cpu_load(cpu, CPU_FRAME + 0xc, 4, intid);
}

static int end(struct kvmemu_cpu *cpu, uint64_t intid)
{
	return is_v3 ? kvmemu_cpu_write_sysreg(cpu, ICC_EOIR1_EL1, intid) :
		       kvmemu_cpu_store(cpu, CPU_FRAME + 0x10, 4, intid);
}

static int send_sgi(struct kvmemu_cpu *cpu, uint64_t number)
{
	uint64_t target = number % NR_VCPUS, sgi = number % 16;

	return is_v3 ? kvmemu_cpu_write_sysreg(cpu, ICC_SGI1R_EL1, sgi << 24 | 1ull << target) :
		       kvmemu_cpu_store(cpu, DIST + 0xf00, 4, 1ull << (16 + target) | sgi);
}

/* Its place is in x10, so that it goes on where it left: each step is one instruction. */
static void busy(struct kvmemu_cpu *cpu, void *context)
{
	uint64_t *x = kvmemu_cpu_x(cpu), active;

	(void)context;
	for (;;) {
		switch (x[STEP]) {
		case SETUP:
			if (switch_on(cpu))
				return;
			x[STEP] = TAKE;
			break;
		case TAKE:
			if (take(cpu, &x[VALUE]))
				return;
			x[STEP] = (x[VALUE] & 0x3ff) == SPURIOUS ? WAIT : LOOK;
			break;
		case LOOK:	/* at the active state of all vCPUs' interrupts, which takes them out of their guests */
			if (x[SEEN] % 4 == 0 && kvmemu_cpu_load(cpu, DIST + 0x304, 4, &active))
				return;
			x[STEP] = END;
			break;
		case END:
			if (end(cpu, x[VALUE]))
				return;
			atomic_fetch_add(&acknowledged, 1);
			x[STEP] = x[SEEN]++ % 3 ? TAKE : SEND;
			break;
		case SEND:
			if (send_sgi(cpu, x[SEEN]))
				return;
			x[STEP] = x[SEEN] % 64 ? TAKE : BELL;
			break;
		case BELL:
			if (kvmemu_cpu_store(cpu, DOORBELL, 4, x[SEEN]))
				return;
			x[STEP] = TAKE;
			break;
		default:
			if (kvmemu_cpu_wfi(cpu))
				return;
			x[STEP] = TAKE;
		}
	}
}

static void *run_until_stopped(void *file)
{
	struct kvm_run *run = run_page(file);

	while (!atomic_load(&stop)) {
		long ret = try_call(file, KVM_RUN, NULL);

		ok(!ret || ret == -EINTR);
		if (!ret && ok(run->exit_reason == KVM_EXIT_MMIO))
			atomic_fetch_add(&bells, 1);
	}
	return NULL;
}

static uint64_t choose(uint64_t *random, uint64_t n)
{
	return (next_random(random) >> 16) % n;
}

static void *raise_and_look(void *seed)
{
	uint64_t random = (uintptr_t)seed;
	struct kvmemu_gic_irq irq;

	for (int i = 0; i < ROUNDS; i++) {
		const struct kvm_irq_level line = {
			.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT |
			       (FIRST_SPI + (uint32_t)choose(&random, NR_SPIS - 4)),
			.level = (uint32_t)choose(&random, 2),
		};

		equal(try_call(vm, KVM_IRQ_LINE, &line), 0);
		equal(kvmemu_host_irq_line(systemf, HOST_SPI, (int)choose(&random, 2)), 0);
		ok(kvmemu_host_irq_active(vm, HOST_SPI) >= 0);
		equal(kvmemu_gic_irq(vm, (uint32_t)choose(&random, NR_VCPUS), (uint32_t)choose(&random, 64), &irq), 0);
	}
	return NULL;
}

static void on_kick(int signum)
{
	(void)signum;
}

static void end_all(pthread_t *thread)
{
	atomic_store(&stop, true);
	for (int i = 0; i < NR_VCPUS; i++)
		set_immediate_exit(vcpu[i], 1);
	for (int i = 0; i < NR_VCPUS; i++)
		must(-pthread_kill(thread[i], SIGUSR1));
	for (int i = 0; i < NR_VCPUS; i++)
		pthread_join(thread[i], NULL);
}

static void together(const char *host, bool v3)
{
	struct sigaction action = { .sa_handler = on_kick };
	pthread_t runner[NR_VCPUS], other[2];
	struct kvmemu_gic_irq irq;

	sigaction(SIGUSR1, &action, NULL);
	set_up(host, v3);
	must(kvmemu_map_irq(vcpu[0], FORWARDED, HOST_SPI));
	atomic_store(&stop, false);
	atomic_store(&acknowledged, 0);
	atomic_store(&bells, 0);
	for (int i = 0; i < NR_VCPUS; i++) {
		must(kvmemu_set_guest(vcpu[i], busy, NULL));
		must(-pthread_create(&runner[i], NULL, run_until_stopped, vcpu[i]));
	}
	for (uintptr_t i = 0; i < 2; i++)
		must(-pthread_create(&other[i], NULL, raise_and_look, (void *)(i + 1)));
	for (int i = 0; i < 2; i++)
		pthread_join(other[i], NULL);
	/* However slow the guests were meanwhile. */
	while (!atomic_load(&bells))
		raise_and_look((void *)3);
	ok(atomic_load(&acknowledged) >= 64);
	end_all(runner);
	/* Outside of KVM_RUN at most the one that each was in the middle of is active. */
	for (uint32_t intid = 0, active = 0; intid < FIRST_SPI + NR_SPIS; intid++)
		for (uint32_t i = 0; i < (intid < FIRST_SPI ? NR_VCPUS : 1); i++) {
			must(kvmemu_gic_irq(vm, i, intid, &irq));
			active += irq.active;
			ok(active <= NR_VCPUS);
		}
	tear_down();
}

static void gicv3_guests_and_other_threads(void)
{
	together(NULL, true);
}

static void gicv2_guests_and_other_threads(void)
{
	together("gicv2-cortex-a72", false);
}

static void on_alarm(int signum)
{
	(void)signum;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_alarm };

	run(gicv3_guests_and_other_threads);
	run(gicv2_guests_and_other_threads);
	sigaction(SIGALRM, &action, NULL);
	run(an_instruction_that_left_completes_when_executed_again);
	return check_done();
}
