/* SPDX-License-Identifier: MIT */
/*
 * The host's distributor: when an interrupt fires, when it fires again, and a guest that ends it. Part of the tests.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "vif.h"

#ifndef ROUNDS
#define ROUNDS 20000
#endif
#define SPI 70
#define PPI 27

/* A device, and what its host does with its interrupt. */
struct device {
	struct machine *machine;
	enum host_irq_return answer;
	bool lower;		/* handling it lowers the line */
	atomic_uint fired;
	atomic_bool inside;
	struct pcpu *cpu;	/* whose it was last */
};

static enum host_irq_return handle(struct pcpu *cpu, uint32_t intid, void *data)
{
	struct device *device = data;

	ok(!atomic_exchange(&device->inside, true));	/* one handler at a time */
	atomic_fetch_add(&device->fired, 1);
	device->cpu = cpu;
	if (device->lower)
		must(host_irq_set_line(device->machine, cpu, intid, false));
	atomic_store(&device->inside, false);
	return device->answer;
}

static struct device *make_device(enum host_irq_return answer, bool edge, uint32_t intid)
{
	struct device *device = calloc(1, sizeof(*device));

	device->machine = make_machine(V3);
	device->answer = answer;
	must(host_irq_claim(device->machine, intid, handle, device));
	if (intid >= 32)
		must(host_irq_set_edge(device->machine, NULL, intid, edge));
	return device;
}

static void end_device(struct device *device, uint32_t intid)
{
	must(host_irq_release(device->machine, intid));
	machine_put(device->machine);
	free(device);
}

static void set_line(struct device *device, bool up)
{
	must(host_irq_set_line(device->machine, NULL, SPI, up));
}

static void set_active(struct device *device, bool active)
{
	must(host_irq_set_active(device->machine, NULL, SPI, active));
}

static void a_forwarded_level_interrupt_fires_again_when_deactivated(void)
{
	struct device *device = make_device(HOST_IRQ_FORWARDED, false, SPI);

	set_line(device, true);
	equal(device->fired, 1);
	equal(host_irq_is_active(device->machine, NULL, SPI), 1);
	set_line(device, false);
	set_line(device, true);
	equal(device->fired, 1);
	set_active(device, false);
	equal(device->fired, 2);
	set_line(device, false);
	set_active(device, false);
	equal(device->fired, 2);
	end_device(device, SPI);
}

static void a_forwarded_edge_interrupt_is_latched_once_while_active(void)
{
	struct device *device = make_device(HOST_IRQ_FORWARDED, true, SPI);

	set_line(device, true);
	equal(device->fired, 1);
	equal(host_irq_is_pending(device->machine, NULL, SPI), 0);
	set_active(device, false);
	equal(device->fired, 1);	/* the line is up, but has not risen again */
	set_line(device, false);
	set_line(device, true);
	equal(device->fired, 2);
	for (unsigned int i = 0; i < 3; i++) {
		set_line(device, false);
		set_line(device, true);
	}
	equal(device->fired, 2);
	equal(host_irq_is_pending(device->machine, NULL, SPI), 1);
	set_active(device, false);
	equal(device->fired, 3);
	set_active(device, false);
	equal(device->fired, 3);
	end_device(device, SPI);
}

static void a_handled_interrupt_is_not_active_after(void)
{
	struct device *device = make_device(HOST_IRQ_HANDLED, false, SPI);

	device->lower = true;
	for (unsigned int i = 1; i < 4; i++) {
		set_line(device, true);
		equal(device->fired, i);
		equal(host_irq_is_active(device->machine, NULL, SPI), 0);
		equal(host_irq_is_pending(device->machine, NULL, SPI), 0);
	}
	end_device(device, SPI);
}

static void a_line_that_nobody_lowers_is_disabled_in_the_end(void)
{
	struct device *device = make_device(HOST_IRQ_HANDLED, false, SPI);

	set_line(device, true);
	ok(device->fired > 1000);
	equal(host_irq_is_enabled(device->machine, NULL, SPI), 0);
	end_device(device, SPI);
}

static void nothing_fires_while_disabled_active_or_unclaimed(void)
{
	struct device *device = make_device(HOST_IRQ_FORWARDED, false, SPI);
	struct machine *machine = device->machine;

	set_active(device, true);
	set_line(device, true);
	equal(device->fired, 0);
	must(host_irq_set_enabled(machine, NULL, SPI, false));
	set_active(device, false);
	equal(device->fired, 0);
	must(host_irq_set_enabled(machine, NULL, SPI, true));
	equal(device->fired, 1);
	must(host_irq_release(machine, SPI));
	equal(host_irq_is_active(machine, NULL, SPI), 0);
	equal(host_irq_is_pending(machine, NULL, SPI), 1);
	equal(host_irq_is_enabled(machine, NULL, SPI), 0);
	must(host_irq_claim(machine, SPI, handle, device));
	equal(device->fired, 2);
	end_device(device, SPI);
}

static void software_makes_pending_until_acknowledged(void)
{
	struct device *device = make_device(HOST_IRQ_FORWARDED, false, SPI);
	struct machine *machine = device->machine;

	set_active(device, true);
	must(host_irq_set_pending(machine, NULL, SPI, true));
	equal(host_irq_is_pending(machine, NULL, SPI), 1);
	must(host_irq_set_pending(machine, NULL, SPI, false));
	equal(host_irq_is_pending(machine, NULL, SPI), 0);
	must(host_irq_set_pending(machine, NULL, SPI, true));
	set_active(device, false);
	equal(device->fired, 1);
	equal(host_irq_is_pending(machine, NULL, SPI), 0);
	/* A level interrupt whose line is up cannot be made not pending. */
	set_line(device, true);
	must(host_irq_set_pending(machine, NULL, SPI, false));
	equal(host_irq_is_pending(machine, NULL, SPI), 1);
	end_device(device, SPI);
}

static void private_interrupts_are_each_cpus_own(void)
{
	struct device *device = make_device(HOST_IRQ_FORWARDED, false, PPI);
	struct machine *machine = device->machine;
	struct pcpu *a = machine_take_cpu(machine), *b = machine_take_cpu(machine);

	must(host_irq_set_line(machine, a, PPI, true));
	equal(device->fired, 0);	/* not enabled on that CPU */
	must(host_irq_set_enabled(machine, a, PPI, true));
	equal(device->fired, 1);
	ok(device->cpu == a);
	equal(host_irq_is_active(machine, a, PPI), 1);
	equal(host_irq_is_active(machine, b, PPI), 0);
	must(host_irq_set_enabled(machine, b, PPI, true));
	must(host_irq_set_pending(machine, b, PPI, true));
	equal(device->fired, 2);
	ok(device->cpu == b);
	machine_give_cpu(a);
	machine_give_cpu(b);
	end_device(device, PPI);
}

static void what_is_no_interrupt_is_refused(void)
{
	static const uint32_t bad[] = { 0, 15, 1020, 1023, 8192, UINT32_MAX };
	struct machine *machine = make_machine(V3);
	struct pcpu *cpu = machine_take_cpu(machine);

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fails(host_irq_claim(machine, bad[i], handle, NULL), EINVAL);
		fails(host_irq_release(machine, bad[i]), EINVAL);
		fails(host_irq_set_edge(machine, cpu, bad[i], true), EINVAL);
		fails(host_irq_set_line(machine, cpu, bad[i], true), EINVAL);
		fails(host_irq_set_active(machine, cpu, bad[i], true), EINVAL);
		fails(host_irq_set_pending(machine, cpu, bad[i], true), EINVAL);
		fails(host_irq_set_enabled(machine, cpu, bad[i], true), EINVAL);
		fails(host_irq_is_active(machine, cpu, bad[i]), EINVAL);
		fails(host_irq_is_pending(machine, cpu, bad[i]), EINVAL);
		fails(host_irq_is_enabled(machine, cpu, bad[i]), EINVAL);
	}
	fails(host_irq_set_line(machine, NULL, PPI, true), EINVAL);	/* whose? */
	fails(host_irq_claim(machine, SPI, NULL, NULL), EINVAL);
	fails(host_irq_release(machine, SPI), ENOENT);
	must(host_irq_claim(machine, SPI, handle, NULL));
	fails(host_irq_claim(machine, SPI, handle, NULL), EBUSY);
	must(host_irq_release(machine, SPI));
	fails(host_irq_release(machine, SPI), ENOENT);
	machine_give_cpu(cpu);
	machine_put(machine);
}

/* A guest's end of a list register with HW is the end of the host's interrupt. */
static void a_guest_ends(enum kind kind, uint32_t intid, bool split)
{
	struct device device = { .machine = make_machine(kind), .answer = HOST_IRQ_FORWARDED };
	struct machine *machine = device.machine;
	struct pcpu *cpu = machine_take_cpu(machine);
	struct virt_cpuif *vif = &cpu->vif;

	must(host_irq_claim(machine, intid, handle, &device));
	must(host_irq_set_enabled(machine, cpu, intid, true));
	must(host_irq_set_line(machine, cpu, intid, true));
	equal(device.fired, 1);
	virt_cpuif_write_hcr(vif, ICH_HCR_EN);
	virt_cpuif_write_vmcr(vif, 0xffu << ICH_VMCR_PMR_SHIFT | ICH_VMCR_ENG0 | (split ? ICH_VMCR_EOIM : 0));
	vif->lr[1] = make_hw_lr(vif, PENDING, false, 0x80, 40, intid);
	equal(kind == V2 ? gicv_read(vif, GICV_IAR) : icc(vif, SR_ICC_IAR0_EL1), 40);
	equal(host_irq_is_active(machine, cpu, intid), 1);
	if (kind == V2)
		gicv_write(vif, GICV_EOIR, 40);
	else
		set_icc(vif, SR_ICC_EOIR0_EL1, 40);
	equal(device.fired, split ? 1 : 2);
	if (split && kind == V2)
		gicv_write(vif, GICV_DIR, 40);
	else if (split)
		set_icc(vif, SR_ICC_DIR_EL1, 40);
	equal(lr_state(vif, 1), INVALID);
	equal(device.fired, 2);
	must(host_irq_set_line(machine, cpu, intid, false));
	host_irq_deactivate(cpu, intid);
	equal(device.fired, 2);
	equal(host_irq_is_active(machine, cpu, intid), 0);
	host_irq_deactivate(cpu, 7);	/* nothing */
	host_irq_deactivate(cpu, 0x1fff);
	machine_give_cpu(cpu);
	must(host_irq_release(machine, intid));
	machine_put(machine);
}

static void a_guests_deactivation_is_the_hosts(void)
{
	for (unsigned int split = 0; split < 2; split++) {
		a_guest_ends(V3, SPI, split);
		a_guest_ends(V3, PPI, split);
		a_guest_ends(V2, SPI, split);
		a_guest_ends(V2, PPI, split);
	}
}

/* The bit that asks for EOI maintenance is a bit of the physical INTID where HW is set, and of nothing else. */
static void an_end_without_hw_leaves_the_host_alone(void)
{
	for (enum kind kind = V3; kind <= V2; kind += V2) {
		struct machine *machine = make_machine(kind);
		struct pcpu *cpu = machine_take_cpu(machine);
		struct virt_cpuif *vif = &cpu->vif;

		virt_cpuif_write_hcr(vif, ICH_HCR_EN);
		virt_cpuif_write_vmcr(vif, 0xffu << ICH_VMCR_PMR_SHIFT | ICH_VMCR_ENG0);
		must(host_irq_set_active(machine, NULL, 512, true));
		vif->lr[0] = make_lr(vif, PENDING, false, 0x80, 40) | (vif->v2 ? GICH_LR_EOI : ICH_LR_EOI);
		equal(kind == V2 ? gicv_read(vif, GICV_IAR) : icc(vif, SR_ICC_IAR0_EL1), 40);
		if (kind == V2)
			gicv_write(vif, GICV_EOIR, 40);
		else
			set_icc(vif, SR_ICC_EOIR0_EL1, 40);
		equal(lr_state(vif, 0), INVALID);
		equal(host_irq_is_active(machine, NULL, 512), 1);
		machine_give_cpu(cpu);
		machine_put(machine);
	}
}

/*
 * Threads.
 */

static void *pulse(void *argument)
{
	struct device *device = argument;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		set_line(device, true);
		set_active(device, false);
		set_line(device, false);
	}
	return NULL;
}

/* A line is raised and interrupts ended from two threads: each end with the line up fires, and handlers never overlap. */
static void handlers_of_one_interrupt_do_not_overlap(void)
{
	struct device *device = make_device(HOST_IRQ_FORWARDED, false, SPI);
	pthread_t thread[2];

	for (unsigned int i = 0; i < 2; i++)
		must(-pthread_create(&thread[i], NULL, pulse, device));
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	set_active(device, false);
	atomic_store(&device->fired, 0);
	set_line(device, true);
	equal(device->fired, 1);
	end_device(device, SPI);
}

static void *raise_often(void *argument)
{
	struct machine *machine = argument;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		must(host_irq_set_line(machine, NULL, SPI, true));
		must(host_irq_set_line(machine, NULL, SPI, false));
	}
	return NULL;
}

/* When a release has returned, no handler uses what it was claimed with. */
static void released_means_that_no_handler_runs(void)
{
	struct machine *machine = make_machine(V3);
	pthread_t thread;

	must(-pthread_create(&thread, NULL, raise_often, machine));
	for (unsigned int i = 0; i < ROUNDS / 10; i++) {
		struct device *device = calloc(1, sizeof(*device));

		device->machine = machine;
		device->lower = true;
		must(host_irq_claim(machine, SPI, handle, device));
		must(host_irq_release(machine, SPI));
		free(device);	/* AddressSanitizer tells who uses it */
	}
	pthread_join(thread, NULL);
	machine_put(machine);
}

static pthread_barrier_t in_handler, forked;

static enum host_irq_return wait_for_fork(struct pcpu *cpu, uint32_t intid, void *data)
{
	(void)cpu;
	(void)intid;
	(void)data;
	pthread_barrier_wait(&in_handler);
	pthread_barrier_wait(&forked);
	return HOST_IRQ_FORWARDED;
}

static void *raise_once(void *argument)
{
	must(host_irq_set_line(argument, NULL, SPI, true));
	return NULL;
}

/* In a fork's child the thread that ran the handler is not there: nobody may wait for it. */
static void a_forks_child_waits_for_no_handler(void)
{
	struct machine *machine = make_machine(V3);
	pthread_t thread;
	pid_t child;
	int status;

	pthread_barrier_init(&in_handler, NULL, 2);
	pthread_barrier_init(&forked, NULL, 2);
	must(host_irq_claim(machine, SPI, wait_for_fork, NULL));
	must(-pthread_create(&thread, NULL, raise_once, machine));
	pthread_barrier_wait(&in_handler);
	child = fork();
	if (!child) {
		struct device device = { .machine = machine, .answer = HOST_IRQ_FORWARDED };

		alarm(20);
		must(host_irq_release(machine, SPI));
		must(host_irq_claim(machine, SPI, handle, &device));
		_exit(device.fired != 1);	/* the line was up */
	}
	pthread_barrier_wait(&forked);
	pthread_join(thread, NULL);
	equal(waitpid(must(child), &status, 0), child);
	equal(status, 0);
	must(host_irq_release(machine, SPI));
	machine_put(machine);
}

int main(void)
{
	run(a_forwarded_level_interrupt_fires_again_when_deactivated);
	run(a_forwarded_edge_interrupt_is_latched_once_while_active);
	run(a_handled_interrupt_is_not_active_after);
	run(a_line_that_nobody_lowers_is_disabled_in_the_end);
	run(nothing_fires_while_disabled_active_or_unclaimed);
	run(software_makes_pending_until_acknowledged);
	run(private_interrupts_are_each_cpus_own);
	run(what_is_no_interrupt_is_refused);
	run(a_guests_deactivation_is_the_hosts);
	run(an_end_without_hw_leaves_the_host_alone);
	run(handlers_of_one_interrupt_do_not_overlap);
	run(released_means_that_no_handler_runs);
	run(a_forks_child_waits_for_no_handler);
	return check_done();
}
