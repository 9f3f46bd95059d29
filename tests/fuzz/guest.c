/* SPDX-License-Identifier: MIT */
/*
 * Guests in a fuzzing session: what they do comes from the session's input. Between their instructions there are calls on
 * the VM and its devices, as another thread would make them while a vCPU runs. Part of the tests.
 */
#include "guest.h"

#include <errno.h>

#include <kvmemu/uapi.h>

#include "../../csrc/ioctl/guest.h"
#include "../../csrc/machine/pcpu.h"
#include "../../csrc/vm/vcpu.h"
#include "fuzz.h"
#include "gic.h"

#define SYSREG(op0, op1, crn, crm, op2) ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))
#define MOST_OPERATIONS 40

enum what { EXIT, IDLE, READ, WRITE, LOAD, STORE, WFI, HVC, SMC, LINES, NR_WHATS };

#define ICC_IAR0 SYSREG(3, 0, 12, 8, 0)
#define ICC_EOIR0 SYSREG(3, 0, 12, 8, 1)
#define ICC_DIR SYSREG(3, 0, 12, 11, 1)
#define ICC_SGI1R SYSREG(3, 0, 12, 11, 5)
#define ICC_IAR1 SYSREG(3, 0, 12, 12, 0)
#define ICC_EOIR1 SYSREG(3, 0, 12, 12, 1)

static uint16_t take_sysreg(struct input *in)
{
	static const uint16_t known[] = {
		SYSREG(3, 0, 4, 6, 0),						/* ICC_PMR_EL1 */
		SYSREG(3, 0, 12, 8, 2),						/* HPPIR0 */
		SYSREG(3, 0, 12, 8, 3), SYSREG(3, 0, 12, 8, 4), SYSREG(3, 0, 12, 9, 0),	/* BPR0, AP0R0, AP1R0 */
		SYSREG(3, 0, 12, 11, 3), SYSREG(3, 0, 12, 11, 6), SYSREG(3, 0, 12, 11, 7),	/* RPR, ASGI1R, SGI0R */
		SYSREG(3, 0, 12, 12, 2),					/* HPPIR1 */
		SYSREG(3, 0, 12, 12, 3), SYSREG(3, 0, 12, 12, 4), SYSREG(3, 0, 12, 12, 5),	/* BPR1, CTLR, SRE */
		SYSREG(3, 0, 12, 12, 6), SYSREG(3, 0, 12, 12, 7), SYSREG(3, 0, 12, 1, 0),	/* IGRPEN0, IGRPEN1, ISR */
		SYSREG(3, 3, 14, 0, 1), SYSREG(3, 3, 14, 0, 2), SYSREG(3, 3, 14, 2, 0),	/* CNTPCT, CNTVCT, CNTP_TVAL */
		SYSREG(3, 3, 14, 2, 1), SYSREG(3, 3, 14, 2, 2), SYSREG(3, 3, 14, 3, 0),	/* CNTP_CTL, CVAL, CNTV_TVAL */
		SYSREG(3, 3, 14, 3, 1), SYSREG(3, 3, 14, 3, 2), SYSREG(3, 3, 14, 0, 0),	/* CNTV_CTL, CVAL, CNTFRQ */
		SYSREG(3, 0, 0, 0, 0), SYSREG(3, 0, 0, 0, 5),			/* MIDR, MPIDR */
		SYSREG(3, 3, 9, 12, 0), SYSREG(3, 3, 9, 14, 3), SYSREG(3, 0, 9, 14, 1),	/* PMCR, PMOVSSET, PMINTENSET */
		SYSREG(3, 3, 9, 12, 1), SYSREG(3, 3, 9, 12, 3), SYSREG(3, 3, 9, 12, 4),	/* PMCNTENSET, PMOVSCLR, PMSWINC */
		SYSREG(3, 3, 9, 12, 5), SYSREG(3, 3, 9, 13, 1), SYSREG(3, 3, 9, 13, 2),	/* PMSELR, PMXEVTYPER, PMXEVCNTR */
		SYSREG(3, 3, 9, 12, 6), SYSREG(3, 3, 14, 12, 0), SYSREG(3, 3, 14, 8, 0),	/* PMCEID0, PMEVTYPER0, PMEVCNTR0 */
	};

	if (once_in(in, 4))
		return once_in(in, 2) ? (uint16_t)take_register_id(in) : (uint16_t)take(in, 2);
	return known[choose(in, sizeof(known) / sizeof(known[0]))];
}

/* Of the firmware: PSCI mostly; and what else has a number in Arm DEN0028. */
static uint64_t take_function(struct input *in)
{
	static const uint32_t others[] = {
		0x80000000, 0x80000001, 0x80008000, 0x80007fff, 0x80003fff,	/* SMCCC: version, features, workarounds */
		0x80000001,
		0x84000050, 0x84000051, 0x84000052, 0x84000053, 0xc4000053,	/* TRNG */
		0xc5000020, 0xc5000021,						/* stolen time */
		0x86000000, 0x86000001, 0x8600ff01,				/* KVM's own */
	};

	static const uint32_t of_vcpus[] = {
		0x84000001, 0x84000002, 0x84000003, 0xc4000003, 0x84000004,	/* PSCI: suspend, off, on, on, state */
		0x95c1ba5e, 0x95c1ba5f, 0x95c1ba60, 0x95c1ba61,			/* PSCI 0.1, as KVM numbers it */
	};

	if (once_in(in, 3))
		return others[choose(in, sizeof(others) / sizeof(others[0]))];
	if (once_in(in, 2))
		return of_vcpus[choose(in, sizeof(of_vcpus) / sizeof(of_vcpus[0]))];
	return (once_in(in, 2) ? 0x84000000u : 0xc4000000u) + choose(in, 22);
}

/* What a call that asks for another function is about: a vCPU's number, or a function. */
static uint64_t take_first_argument(struct input *in)
{
	return once_in(in, 2) ? choose(in, 4) : take_function(in);
}

/* Never so high that a slot of terabytes has something of this program there: see memory_setup(). */
static uint64_t take_guest_address(struct input *in)
{
	switch (choose(in, 8)) {
	case 0:
		return (uint64_t)choose(in, 2048) << 12 | choose(in, 512) * 8u;
	case 1:
		return choose(in, 4) * 8;	/* where ioeventfds are */
	case 2:
	case 3:
		return MEMORY_IPA + choose(in, MEMORY_WRITABLE / 8) * 8;
	default:
		return take_gic_address(in);
	}
}

/* The first SPIs go to another vCPU, one that may be in a list register too. */
static void choose_target(struct guest *g)
{
	struct input *in = &g->session->in;
	bool v2 = g->session->v2;

	g->what = STORE;
	g->bytes = v2 ? 4 : 8;
	g->address = DIST_BASE + (v2 ? 0x820 : 0x6100 + choose(in, 4) * 8);	/* GICD_ITARGETSR8, GICD_IROUTER32 */
	g->value = v2 ? choose(in, 4) * 0x01010101u : choose(in, 2);
}

/* Takes an interrupt, ends one it has taken, makes one, or moves some. */
static void choose_interrupt(struct guest *g)
{
	static const uint32_t v2_ends[] = { 0x10, 0x24, 0x1000 };	/* GICV_EOIR, GICV_AEOIR, GICV_DIR */
	static const uint16_t v3_ends[] = { ICC_EOIR0, ICC_EOIR1, ICC_DIR };
	struct input *in = &g->session->in;
	unsigned int which = choose(in, 3);
	bool v2 = g->session->v2;

	g->bytes = 4;
	switch (choose(in, 6)) {
	case 5:
		choose_target(g);
		break;
	case 0:
	case 1:
		g->what = v2 ? LOAD : READ;
		g->address = CPU_BASE + (which ? 0xc : 0x20);		/* GICV_IAR, GICV_AIAR */
		g->encoding = which ? ICC_IAR1 : ICC_IAR0;
		break;
	case 2:
	case 3:
		g->what = v2 ? STORE : WRITE;
		g->address = CPU_BASE + v2_ends[which];
		g->encoding = v3_ends[which];
		g->value = g->taken;
		break;
	default:
		g->what = v2 ? STORE : WRITE;
		g->address = DIST_BASE + 0xf00;				/* GICD_SGIR */
		g->encoding = ICC_SGI1R;
		g->value = choose(in, 4) << 24 | choose(in, 4) << 16 | choose(in, 16);
	}
}

static void choose_operation(struct guest *g)
{
	struct input *in = &g->session->in;
	bool interrupt = once_in(in, 3);

	g->what = g->left ? choose(in, NR_WHATS) : EXIT;
	if (g->left && interrupt) {
		g->left--;
		choose_interrupt(g);
		return;
	}
	g->left -= g->left ? 1 : 0;
	/* What idles does so for ever, and a guest that leaves at once does little. */
	if ((g->what == IDLE && !once_in(in, 16)) || (g->what == EXIT && g->left && !once_in(in, 8)))
		g->what = STORE;
	g->bytes = once_in(in, 16) ? choose(in, 18) : once_in(in, 2) ? 4 : 1u << choose(in, 4);
	g->encoding = take_sysreg(in);
	g->address = take_guest_address(in);
	if (!once_in(in, 16))
		g->address -= g->address % (g->bytes ? g->bytes : 1);
	g->value = once_in(in, 2) ? choose(in, 4) : once_in(in, 2) ? choose(in, 64) : take_number(in);
}

static int call_firmware(struct kvmemu_cpu *cpu, struct guest *g)
{
	uint64_t *x = kvmemu_cpu_x(cpu);

	if (!g->again) {
		x[0] = take_function(&g->session->in);
		x[1] = take_first_argument(&g->session->in);
		x[2] = g->value;
	}
	return g->what == HVC ? kvmemu_cpu_hvc(cpu) : kvmemu_cpu_smc(cpu);
}

static int execute(struct kvmemu_cpu *cpu, struct guest *g)
{
	switch (g->what) {
	case EXIT:
		return kvmemu_cpu_exit(cpu, 1 + (uint32_t)(g->value & 31));
	case IDLE:
		return kvmemu_cpu_idle(cpu);
	case READ:
		return kvmemu_cpu_read_sysreg(cpu, g->encoding, &g->taken);
	case WRITE:
		return kvmemu_cpu_write_sysreg(cpu, g->encoding, g->value);
	case LOAD:
		return kvmemu_cpu_load(cpu, g->address, g->bytes, &g->taken);
	case STORE:
		return kvmemu_cpu_store(cpu, g->address, g->bytes, g->value);
	case WFI:
		return kvmemu_cpu_wfi(cpu);
	case HVC:
	case SMC:
		return call_firmware(cpu, g);
	default:
		expect(kvmemu_cpu_lines(cpu) < 4, "there are two lines to a CPU");
		*kvmemu_cpu_pc(cpu) += 4 * kvmemu_cpu_resets(cpu) + 4;
		return 0;
	}
}

/* What is in its list registers is legal, whatever the calls beside it have done. */
static void check_list_registers(struct kvmemu_cpu *cpu)
{
	const struct vcpu *vcpu = (struct vcpu *)((char *)cpu - offsetof(struct vcpu, cpu));

	if (vcpu->in_guest)
		expect(!virt_cpuif_check(&vcpu->pcpu->vif), "list registers are legal");
}

/* Executes until it has to be left, and then the same again, as the interface wants it. */
static void follow_input(struct kvmemu_cpu *cpu, void *context)
{
	struct guest *g = context;
	int result;

	for (;;) {
		if (!g->again)
			choose_operation(g);
		if (once_in(&g->session->in, 8))
			call_beside(g->session);
		result = execute(cpu, g);
		expect(result == KVMEMU_LEAVE || !result || result == -ENOENT || result == -EFAULT || result == -EINVAL,
		       "an operation returns what it may");
		check_list_registers(cpu);
		fuzz_calls++;
		g->again = result == KVMEMU_LEAVE && g->what != EXIT;
		if (g->what == EXIT)
			g->left = choose(&g->session->in, MOST_OPERATIONS);
		if (result == KVMEMU_LEAVE)
			return;
	}
}

void give_guest(struct session *s, struct kvmemu_file *vcpu)
{
	struct guest *g = &s->guests[s->nr_guests];

	if (s->nr_guests == NR_GUESTS)
		return;
	*g = (struct guest){ .session = s, .left = MOST_OPERATIONS };
	s->nr_guests++;
	if (once_in(&s->in, 8))
		counted(kvmemu_set_guest(vcpu, once_in(&s->in, 2) ? kvmemu_guest_waits : kvmemu_guest_calls, NULL));
	else
		counted(kvmemu_set_guest(vcpu, follow_input, g));
}

void guest_run(struct session *s)
{
	struct kvmemu_file *vcpu = file_of_kind(s, VCPU), *other = file_of_kind(s, VCPU);
	const struct kvm_mp_state runs = { KVM_MP_STATE_RUNNABLE };

	if (!vcpu)
		return;
	if (once_in(&s->in, 4))		/* it, or another one, may have switched it off */
		counted(kvmemu_ioctl(vcpu, KVM_SET_MP_STATE, (uintptr_t)&runs, NULL));
	switch (choose(&s->in, 8)) {
	case 0:
		counted(kvmemu_set_guest(vcpu, NULL, NULL));
		break;
	case 1:
		counted(kvmemu_move_guest(vcpu, other));
		break;
	case 2:
	case 3:
		give_guest(s, vcpu);
	}
	wake_vcpu(s, vcpu);
}

void guest_forward(struct session *s)
{
	struct kvmemu_file *vcpu = file_of_kind(s, VCPU);
	uint32_t host_intid = 32 + choose(&s->in, 3), intid = 31 + choose(&s->in, 6);
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (once_in(&s->in, 16)) {
		host_intid = (uint32_t)take_number(&s->in);
		intid = 14 + choose(&s->in, 40);
	}
	if (!vcpu)
		return;
	switch (choose(&s->in, 4)) {
	case 0:
		counted(kvmemu_map_irq(once_in(&s->in, 8) ? file : vcpu, intid, host_intid));
		break;
	case 1:
		counted(kvmemu_unmap_irq(once_in(&s->in, 8) ? file : vcpu, intid));
		break;
	default:
		counted(kvmemu_host_irq_line(file, host_intid, (int)choose(&s->in, 2)));
		counted(kvmemu_host_irq_active(file, host_intid));
	}
}
