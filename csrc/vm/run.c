/* SPDX-License-Identifier: MIT */
/* KVM_RUN. Layer: vm. */
#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "../reg/reg.h"
#include "../timer/timer.h"

#define NSEC_PER_SEC 1000000000ull
#define STOLEN_TIME_OFFSET 8	/* of stolen_time in struct pvclock_vcpu_stolen_time (Arm DEN0057) */

/* The inputs of a user-space interrupt controller. */
#define DEVICE_LINES (KVM_ARM_DEV_EL1_VTIMER | KVM_ARM_DEV_EL1_PTIMER | KVM_ARM_DEV_PMU)

static void counter_jumped(struct counter_waiter *waiter)
{
	vcpu_kick((struct vcpu *)((char *)waiter - offsetof(struct vcpu, waiter)));
}

void vcpu_run_setup(struct vcpu *vcpu)
{
	vcpu->waiter.jumped = counter_jumped;
}

void vcpu_run_teardown(struct vcpu *vcpu)
{
	if (vcpu->kick_fd >= 0)
		close(vcpu->kick_fd);
}

void vcpu_kick(struct vcpu *vcpu)
{
	const uint64_t one = 1;
	int fd = atomic_load(&vcpu->kick_fd);
	ssize_t done;

	if (fd < 0)
		return;
	/* EAGAIN, the only failure there is, says that a kick is on its way already. */
	done = write(fd, &one, sizeof(one));
	(void)done;
}

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
static bool must_notify_user(const struct vcpu *vcpu)
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

static bool has_pending_irq(struct vcpu *vcpu)
{
	bool pending;

	pthread_mutex_lock(&vcpu->vm->vgic.lock);
	pending = vgic_has_pending_irq(vcpu);
	pthread_mutex_unlock(&vcpu->vm->vgic.lock);
	return pending;
}

static bool is_runnable(struct vcpu *vcpu)
{
	return (atomic_load(&vcpu->irq_lines) || must_notify_user(vcpu) || has_pending_irq(vcpu)) &&
	       atomic_load(&vcpu->mp_state) != KVM_MP_STATE_STOPPED;
}

/* True where KVM_RUN is to end; *result is then what it returns. */
static bool wants_exit(struct vcpu *vcpu, int *result)
{
	timers_update_lines(vcpu);
	switch (atomic_load(&vcpu->mp_state)) {
	case KVM_MP_STATE_STOPPED:
		return false;
	case KVM_MP_STATE_SUSPENDED:
		if (!is_runnable(vcpu))
			return false;
		memset(&vcpu->run->system_event, 0, sizeof(vcpu->run->system_event));
		vcpu->run->system_event.type = KVM_SYSTEM_EVENT_WAKEUP;
		vcpu->run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
		*result = 0;
		return true;
	default:
		update_pmu_line(vcpu);
		vgic_prune_ap_list(vcpu);
		if (!must_notify_user(vcpu))
			return false;
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		*result = -EINTR;
		return true;
	}
}

static int interrupted(struct vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	vcpu->stats->signal_exits++;
	return -EINTR;
}

/* NULL for "until kicked", or the time left to the next change of a timer's output. */
static const struct timespec *time_to_wait(const struct vcpu *vcpu, struct timespec *left)
{
	uint64_t ns = timer_ns_until_line(vcpu, TIMER_VIRTUAL), other = timer_ns_until_line(vcpu, TIMER_PHYSICAL);

	/* An output that is up already has been reported; it ends no wait. */
	if (!ns || (other && other < ns))
		ns = other;
	if (!ns || ns == UINT64_MAX)
		return NULL;
	left->tv_sec = (time_t)(ns / NSEC_PER_SEC);
	left->tv_nsec = (long)(ns % NSEC_PER_SEC);
	return left;
}

/*
 * Waits for a kick, a timer or a signal; false for a signal. Signals are blocked by the caller and let in by ppoll()
 * only, so that one that comes before the wait ends it too.
 */
static bool wait_for_event(struct vcpu *vcpu, const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd kick = { .fd = vcpu->kick_fd, .events = POLLIN };
	uint64_t count;
	int ready = ppoll(&kick, 1, timeout, mask);

	if (ready < 0)
		return errno != EINTR;
	if (ready > 0 && read(vcpu->kick_fd, &count, sizeof(count)) != sizeof(count))
		return errno != EINTR;
	return true;
}

static int wait_in_guest(struct vcpu *vcpu)
{
	const struct timespec *timeout;
	sigset_t all, outside, mask;
	struct timespec left;
	int result = -EINTR;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &outside);
	mask = outside;
	if (vcpu->sigmask_active) {
		sigemptyset(&mask);
		memcpy(&mask, &vcpu->sigmask, sizeof(vcpu->sigmask));
	}
	vcpu->stats->blocking = 1;
	for (;;) {
		/* Before the look at the outputs: one that rises in between is then seen there, and else ends the wait. */
		timeout = time_to_wait(vcpu, &left);
		if (wants_exit(vcpu, &result))
			break;
		/* Set by a handler that ran between the caller's check and the blocking of signals. */
		if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED) ||
		    !wait_for_event(vcpu, timeout, &mask)) {
			result = interrupted(vcpu);
			break;
		}
	}
	vcpu->stats->blocking = 0;
	pthread_sigmask(SIG_SETMASK, &outside, NULL);
	return result;
}

/*
 * No time is stolen from a vCPU here; but the structure is brought up to date, and its page dirty from then on.
 * Source: kvm_update_stolen_time(), Linux 6.1.
 */
static void update_stolen_time(struct vcpu *vcpu, const struct user_memory *memory)
{
	uint64_t ipa = vcpu->steal_ipa + STOLEN_TIME_OFFSET, page = ipa >> MEMSLOT_PAGE_SHIFT, addr, stolen;
	struct memslot *slot;

	if (vcpu->steal_ipa == UINT64_MAX)
		return;
	pthread_mutex_lock(&vcpu->vm->slots_lock);
	slot = memslot_writable(vcpu->vm, ipa);
	if (slot) {
		addr = slot->user_addr + (ipa - (slot->first_page << MEMSLOT_PAGE_SHIFT));
		if (!memory->read(&stolen, addr, sizeof(stolen)) && !memory->write(addr, &stolen, sizeof(stolen)))
			memslot_mark_dirty(slot, page);
	}
	pthread_mutex_unlock(&vcpu->vm->slots_lock);
}

/* On a host without VHE only a guest that runs has its registers in the hardware. */
static void enter_guest(struct vcpu *vcpu)
{
	if (atomic_load(&vcpu->mp_state) != KVM_MP_STATE_RUNNABLE || vm_on_vhe(vcpu->vm))
		return;
	vcpu_commit_exception(vcpu);
	sysregs_pass_hardware(vcpu);
	if (!vcpu->vm->vgic.initialized)
		return;
	pthread_mutex_lock(&vcpu->vm->vgic.lock);
	vgic_enter_vmcr(vcpu);
	pthread_mutex_unlock(&vcpu->vm->vgic.lock);
}

static int run_guest(struct vcpu *vcpu, const struct user_memory *memory)
{
	int result;

	vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	vcpu->run->flags = 0;
	update_stolen_time(vcpu, memory);
	if (vcpu->pmu.apply_pmcr)
		pmu_apply_pmcr(vcpu);
	vcpu->pmu.apply_pmcr = false;
	if (!wants_exit(vcpu, &result)) {
		enter_guest(vcpu);
		if (vcpu->kick_fd < 0)
			atomic_store(&vcpu->kick_fd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
		if (vcpu->kick_fd < 0)
			return -ENOMEM;
		machine_add_waiter(vcpu->vm->machine, &vcpu->waiter);
		result = wait_in_guest(vcpu);
		machine_remove_waiter(vcpu->vm->machine, &vcpu->waiter);
	}
	update_pmu_line(vcpu);
	vgic_prune_ap_list(vcpu);
	report_devices(vcpu);
	return result;
}

/* What putting a vCPU on a physical CPU does to its state, even if it leaves at once. Source: kvm_arch_vcpu_load(). */
static void load(struct vcpu *vcpu)
{
	if (vm_on_vhe(vcpu->vm))
		sysregs_pass_hardware(vcpu);
	if (!vcpu->vm->vgic.initialized)
		return;
	pthread_mutex_lock(&vcpu->vm->vgic.lock);
	vgic_load_vmcr(vcpu);
	pthread_mutex_unlock(&vcpu->vm->vgic.lock);
	timers_update_lines(vcpu);
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
	load(vcpu);
	if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED))
		err = -EINTR;
	else
		err = run_guest(vcpu, memory);
	vcpu_commit_exception(vcpu);
	timers_pass_hardware(vcpu);
	return err;
}
