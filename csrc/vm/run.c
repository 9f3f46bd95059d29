/* SPDX-License-Identifier: MIT */
/* KVM_RUN. Layer: vm. */
#include "run.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "../reg/reg.h"
#include "../switch/switch.h"
#include "../machine/pcpu.h"
#include "../timer/timer.h"
#include "event.h"
#include "power.h"
#include "pvtime.h"
#include "signals.h"
#include "wait.h"

/* The inputs of a user-space interrupt controller. */
#define DEVICE_LINES (KVM_ARM_DEV_EL1_VTIMER | KVM_ARM_DEV_EL1_PTIMER | KVM_ARM_DEV_PMU)

/* A PMU must have been initialised, with an interrupt if and only if there is a controller for it. */
static int check_pmu(const struct vcpu *vcpu)
{
	const struct vgic *vgic = &vcpu->vm->vgic;
	uint32_t intid = vcpu->pmu.intid;

	if (!vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3))
		return 0;
	if (!vcpu->pmu.created)
		return -EINVAL;
	if (!vgic_in_kernel(vgic))
		return intid ? -EINVAL : 0;
	return intid >= VGIC_NR_SGIS && intid < VGIC_NR_PRIVATE_IRQS + vgic->nr_spis ? 0 : -EINVAL;
}

/*
 * What is settled when a vCPU runs for the first time, and looked at again when another thread takes it over.
 * Source: kvm_arch_vcpu_run_pid_change(), kvm_arm_pmu_v3_enable(), Linux 6.1.
 */
static int first_run(struct vcpu *vcpu)
{
	int err;

	if (!vcpu_initialized(vcpu))
		return -ENOEXEC;
	if (!vcpu_is_finalized(vcpu))
		return -EPERM;
	if (vcpu->ran_once)
		return 0;
	err = vgic_map_resources(vcpu->vm);
	if (!err)
		err = timers_enable(vcpu);
	if (!err)
		err = check_pmu(vcpu);
	if (err)
		return err;
	vcpu->pmu.apply_pmcr = vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3);
	pthread_mutex_lock(&vcpu->vm->lock);
	atomic_store(&vcpu->vm->ran_once, true);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return 0;
}

static uint64_t device_irq_level(const struct vcpu *vcpu)
{
	uint64_t level = 0;

	if (timer_line(vcpu, TIMER_VIRTUAL))
		level |= KVM_ARM_DEV_EL1_VTIMER;
	if (timer_line(vcpu, TIMER_PHYSICAL))
		level |= KVM_ARM_DEV_EL1_PTIMER;
	if (vcpu->pmu.line)
		level |= KVM_ARM_DEV_PMU;
	return level;
}

/* Source: kvm_pmu_update_state(), Linux 6.1. */
static void update_pmu_line(struct vcpu *vcpu)
{
	bool line = pmu_overflowed(vcpu);

	if (line == vcpu->pmu.line)
		return;
	vcpu->pmu.line = line;
	if (vgic_in_kernel(&vcpu->vm->vgic))
		vgic_inject_at(vcpu->vm, vcpu->id, vcpu->pmu.intid, line, &vcpu->pmu);
}

/* A user-space interrupt controller is told of each change of its inputs. */
bool vcpu_must_notify_user(const struct vcpu *vcpu)
{
	if (vgic_in_kernel(&vcpu->vm->vgic))
		return false;
	return device_irq_level(vcpu) != (vcpu->run->s.regs.device_irq_level & DEVICE_LINES);
}

static void report_devices(struct vcpu *vcpu)
{
	uint64_t others = vcpu->run->s.regs.device_irq_level & ~DEVICE_LINES;

	if (vgic_in_kernel(&vcpu->vm->vgic))
		return;
	vcpu->run->s.regs.device_irq_level = others | device_irq_level(vcpu);
}

bool vcpu_may_go_on(struct vcpu *vcpu)
{
	atomic_store(&vcpu->kicked, false);
	if (atomic_load(&vcpu->requests))
		return false;
	update_pmu_line(vcpu);
	return !vcpu_must_notify_user(vcpu) && !__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED);
}

static int interrupted(struct vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	vcpu->counts->signal_exits++;
	return -EINTR;
}

enum next { GO_ON, WAIT, SUSPEND, RETURN };

/* Requests that need no more than to be done; one that is stopped does them when its sleep is over. */
static void do_requests(struct vcpu *vcpu)
{
	pvtime_update(vcpu, vcpu->cpu.memory);
	if (vcpu->pmu.apply_pmcr)
		pmu_apply_pmcr(vcpu);
	vcpu->pmu.apply_pmcr = false;
}

/* What is to be done before a guest is entered. *result is what KVM_RUN returns, for RETURN. */
static enum next before_entry(struct vcpu *vcpu, int *result)
{
	/* First: a kick from here on is for the guest to notice, or for the wait. */
	atomic_store(&vcpu->kicked, false);
	irqfds_sync(vcpu->vm);
	timers_check(vcpu);
	switch (vcpu_check_requests(vcpu)) {
	case VCPU_SLEEPS:
		return WAIT;
	case VCPU_SUSPENDED:
		do_requests(vcpu);
		return SUSPEND;
	default:
		do_requests(vcpu);
		update_pmu_line(vcpu);
		if (!vcpu_must_notify_user(vcpu))
			return GO_ON;
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		*result = -EINTR;
		return RETURN;
	}
}

/* Ends KVM_RUN with what woke a suspended vCPU, which it stays. Source: kvm_vcpu_suspend(), Linux 6.1. */
static int report_wakeup(struct vcpu *vcpu)
{
	memset(&vcpu->run->system_event, 0, sizeof(vcpu->run->system_event));
	vcpu->run->system_event.type = KVM_SYSTEM_EVENT_WAKEUP;
	vcpu->run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	return 0;
}

/* On a host without VHE only a guest that runs has its registers in the hardware. */
static void enter_guest(struct vcpu *vcpu)
{
	if (!vm_on_vhe(vcpu->vm)) {
		vcpu_commit_exception(vcpu);
		sysregs_pass_hardware(vcpu);
	}
	cpu_enter(vcpu);
}

/* One stay in the guest; false if KVM_RUN ends with *result. */
static bool stay(struct vcpu *vcpu, const struct run_signals *signals, int *result)
{
	struct kvmemu_cpu *cpu = &vcpu->cpu;

	enter_guest(vcpu);
	cpu_run(cpu);
	update_pmu_line(vcpu);
	if (vcpu->in_guest)
		cpu_exit(vcpu);
	switch (cpu->leave) {
	case CPU_EXITS:
		*result = cpu->result;
		return cpu->result > 0;
	case CPU_WAITS:
		*result = -EINTR;
		return vcpu_wait_for_interrupt(vcpu, signals);
	case CPU_IDLES:
		*result = -EINTR;
		return vcpu_sleep(vcpu, signals);
	default:
		*result = -EINTR;
		return !signals_pending(signals);
	}
}

/* Without entering: what the way into a guest and out of it does to interrupts happens all the same. */
static void pass_interrupts(struct vcpu *vcpu)
{
	if (!vcpu->vm->vgic.initialized)
		return;
	switch_flush(vcpu);
	switch_sync(vcpu);
}

/* By a signal, while stopped: all that comes before an entry is done, but for that. */
static int awakened(struct vcpu *vcpu)
{
	do_requests(vcpu);
	update_pmu_line(vcpu);
	pass_interrupts(vcpu);
	return interrupted(vcpu);
}

static int run_loop(struct vcpu *vcpu, const struct run_signals *signals)
{
	int result = -EINTR;

	for (;;) {
		enum next next = before_entry(vcpu, &result);

		if (next == SUSPEND)
			result = vcpu_wait_for_interrupt(vcpu, signals) ? report_wakeup(vcpu) : interrupted(vcpu);
		if (next == RETURN || next == SUSPEND) {
			pass_interrupts(vcpu);
			return result;
		}
		/* Set by a handler that ran between the caller's check and the blocking of signals. */
		if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED))
			return interrupted(vcpu);
		if (next == WAIT && !vcpu_sleep(vcpu, signals))
			return awakened(vcpu);
		if (next == GO_ON && !stay(vcpu, signals, &result))
			return result == -EINTR ? interrupted(vcpu) : result;
	}
}

static int run_guest(struct vcpu *vcpu, const struct user_memory *memory)
{
	struct run_signals signals;
	int result;

	if (vcpu->kick_fd < 0)
		atomic_store(&vcpu->kick_fd, event_move_away(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
	if (vcpu->kick_fd < 0 || signals_block(vcpu, &signals))
		return -ENOMEM;
	vcpu->cpu.memory = memory;
	machine_add_waiter(vcpu->vm->machine, &vcpu->waiter);
	if (signals_pending(&signals)) {
		pass_interrupts(vcpu);
		result = interrupted(vcpu);
	} else {
		result = run_loop(vcpu, &signals);
	}
	machine_remove_waiter(vcpu->vm->machine, &vcpu->waiter);
	signals_unblock(&signals);
	return result;
}

/* What putting a vCPU on a physical CPU does to its state, even if it leaves at once. Source: kvm_arch_vcpu_load(). */
static void load(struct vcpu *vcpu)
{
	if (vm_on_vhe(vcpu->vm))
		sysregs_pass_hardware(vcpu);
	if (vcpu->vm->vgic.initialized) {
		pthread_mutex_lock(&vcpu->vm->vgic.lock);
		vgic_load_vmcr(vcpu);
		pthread_mutex_unlock(&vcpu->vm->vgic.lock);
	}
	pvtime_load(vcpu);
	timers_load(vcpu);
}

static void put(struct vcpu *vcpu)
{
	timers_put(vcpu);
	machine_give_cpu(vcpu->pcpu);
	vcpu->pcpu = NULL;
}

/* User space has done its part of the last load or store. Source: kvm_handle_mmio_return(), Linux 6.1. */
static void complete_mmio(struct vcpu *vcpu)
{
	struct kvmemu_cpu *cpu = &vcpu->cpu;
	const struct kvm_run *run = vcpu->run;

	if (run->exit_reason != KVM_EXIT_MMIO || !cpu->mmio_needed)
		return;
	if (vcpu->pended != EXCEPTION_NONE) {
		cpu->aborted = true;
		return;
	}
	cpu->mmio_needed = false;
	cpu->data = 0;
	if (!run->mmio.is_write)
		memcpy(&cpu->data, run->mmio.data, run->mmio.len <= 8 ? run->mmio.len : 8);
	cpu->trapped = true;
	cpu->retired = false;
}

static int run_loaded(struct vcpu *vcpu, const struct user_memory *memory)
{
	int result;

	if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED))
		return -EINTR;
	vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	vcpu->run->flags = 0;
	result = run_guest(vcpu, memory);
	update_pmu_line(vcpu);
	report_devices(vcpu);
	return result;
}

int vcpu_run(struct vcpu *vcpu, const struct user_memory *memory)
{
	uintptr_t thread = (uintptr_t)pthread_self();
	int err = vcpu->run_thread == thread ? 0 : first_run(vcpu);

	if (!err && !run_pages_get(vcpu))
		err = -ENOMEM;
	if (err)
		return err;
	vcpu->run_thread = thread;
	vcpu->ran_once = true;
	complete_mmio(vcpu);
	vcpu->pcpu = machine_take_cpu(vcpu->vm->machine);
	if (!vcpu->pcpu)
		return -ENOMEM;
	load(vcpu);
	err = run_loaded(vcpu, memory);
	vcpu_commit_exception(vcpu);
	vcpu->cpu.retired = vcpu->cpu.trapped;
	put(vcpu);
	return err;
}
