/* SPDX-License-Identifier: MIT */
/* From GSIs to interrupts of the vGIC. Layer: vm. Source: virt/kvm/irqchip.c, vgic-irqfd.c, Linux 6.1. */
#include <errno.h>
#include <stdlib.h>

#include "kvmemu/uapi.h"
#include "vm.h"

#define NR_PINS (1020 - VGIC_NR_PRIVATE_IRQS)	/* KVM_IRQCHIP_NUM_PINS: SPIs that an architecture of the GIC can have */

struct route {
	uint32_t type;		/* KVM_IRQ_ROUTING_*; 0: none */
	union {
		uint32_t pin;		/* SPI, from 0 */
		struct kvm_msi msi;
	};
};

struct routing {
	int16_t gsi_of_pin[NR_PINS];	/* -1: none */
	uint32_t nr;
	struct route routes[];		/* by GSI */
};

static struct routing *alloc_table(uint32_t nr)
{
	struct routing *table = calloc(1, sizeof(*table) + nr * sizeof(table->routes[0]));

	if (!table)
		return NULL;
	table->nr = nr;
	for (unsigned int pin = 0; pin < NR_PINS; pin++)
		table->gsi_of_pin[pin] = -1;
	return table;
}

static void use_table(struct vm *vm, struct routing *table)
{
	struct routing *old;

	pthread_mutex_lock(&vm->irq_lock);
	old = vm->routing;
	vm->routing = table;
	pthread_mutex_unlock(&vm->irq_lock);
	free(old);
}

void routing_free(struct routing *routing)
{
	free(routing);
}

static int route_to_pin(struct routing *table, uint32_t gsi, const struct kvm_irq_routing_irqchip *to)
{
	if (to->pin >= NR_PINS || to->irqchip >= KVM_NR_IRQCHIPS)
		return -EINVAL;
	table->routes[gsi].pin = to->pin;
	table->gsi_of_pin[to->pin] = (int16_t)gsi;
	return 0;
}

static int add_route(struct routing *table, const struct kvm_irq_routing_entry *entry)
{
	struct route *route = &table->routes[entry->gsi];

	if (route->type)	/* one route a GSI: there is one irqchip */
		return -EINVAL;
	route->type = entry->type;
	switch (entry->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		return entry->flags ? -EINVAL : route_to_pin(table, entry->gsi, &entry->u.irqchip);
	case KVM_IRQ_ROUTING_MSI:
		if (entry->flags & ~KVM_MSI_VALID_DEVID)
			return -EINVAL;
		route->msi = (struct kvm_msi){
			.address_lo = entry->u.msi.address_lo,
			.address_hi = entry->u.msi.address_hi,
			.data = entry->u.msi.data,
			.flags = entry->flags,
			.devid = entry->u.msi.devid,
		};
		return 0;
	default:
		return -EINVAL;
	}
}

int routing_set(struct vm *vm, const struct kvm_irq_routing_entry *entries, uint32_t nr)
{
	struct routing *table;
	uint32_t last = 0;
	int err = 0;

	for (uint32_t i = 0; i < nr; i++) {
		if (entries[i].gsi >= ROUTING_MAX_GSIS)
			return -EINVAL;
		if (entries[i].gsi > last)
			last = entries[i].gsi;
	}
	table = alloc_table(last + 1);
	if (!table)
		return -ENOMEM;
	for (uint32_t i = 0; !err && i < nr; i++)
		err = add_route(table, &entries[i]);
	if (err)
		free(table);
	else
		use_table(vm, table);
	return err;
}

int routing_set_default(struct vm *vm, uint32_t nr_spis)
{
	struct routing *table = alloc_table(nr_spis);

	if (!table)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_spis; i++) {
		table->routes[i].type = KVM_IRQ_ROUTING_IRQCHIP;
		table->routes[i].pin = i;
		table->gsi_of_pin[i] = (int16_t)i;
	}
	use_table(vm, table);
	return 0;
}

void routing_inject(struct vm *vm, uint32_t gsi, bool level)
{
	const struct routing *table = vm->routing;
	const struct route *route = table && gsi < table->nr ? &table->routes[gsi] : NULL;

	/* Linux's callers do not look at what these return either: pins beyond the VM's SPIs, MSIs without an ITS. */
	if (!route)
		return;
	if (route->type == KVM_IRQ_ROUTING_IRQCHIP)
		vgic_inject_at(vm, 0, VGIC_NR_PRIVATE_IRQS + route->pin, level, NULL);
	else if (route->type == KVM_IRQ_ROUTING_MSI && level)
		msi_inject(vm, &route->msi);
}

int routing_gsi_of_spi(const struct vm *vm, uint32_t intid)
{
	uint32_t pin = intid - VGIC_NR_PRIVATE_IRQS;

	return vm->routing && pin < NR_PINS ? vm->routing->gsi_of_pin[pin] : -1;
}

int msi_inject(struct vm *vm, const struct kvm_msi *msi)
{
	(void)vm;
	(void)msi;
	return -ENODEV;
}
