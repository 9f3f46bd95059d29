/* SPDX-License-Identifier: MIT */
/* The host's distributor: when an interrupt fires, and when it fires again. Part of the tests. */
#include <pthread.h>

#include "vif.h"

#define SPI 70

/* A device, and what its host does with its interrupt. */
struct device {
	struct machine *machine;
	enum host_irq_return answer;
	unsigned int fired;
	bool lower;	/* handling it lowers the line */
};

static enum host_irq_return handle(struct pcpu *cpu, uint32_t intid, void *data)
{
	struct device *device = data;

	device->fired++;
	if (device->lower)
		host_irq_set_line(device->machine, cpu, intid, false);
	return device->answer;
}

static void a_forwarded_level_interrupt_fires_again_when_deactivated(void)
{
	struct machine *m = make_machine(V3);
	struct device device = { .machine = m, .answer = HOST_IRQ_FORWARDED };

	must(host_irq_claim(m, SPI, handle, &device));
	must(host_irq_set_line(m, NULL, SPI, true));
	equal(device.fired, 1);
	equal(host_irq_is_active(m, NULL, SPI), 1);
	must(host_irq_set_line(m, NULL, SPI, false));
	must(host_irq_set_line(m, NULL, SPI, true));
	equal(device.fired, 1);
	must(host_irq_set_active(m, NULL, SPI, false));
	equal(device.fired, 2);
	must(host_irq_set_line(m, NULL, SPI, false));
	must(host_irq_set_active(m, NULL, SPI, false));
	equal(device.fired, 2);
	must(host_irq_release(m, SPI));
	machine_put(m);
}

int main(void)
{
	run(a_forwarded_level_interrupt_fires_again_when_deactivated);
	return check_done();
}
