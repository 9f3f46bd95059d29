/* SPDX-License-Identifier: MIT */
/* The vGIC's lifetime: created, initialised, mapped. Layer: vgic. Source: vgic-init.c, vgic-v2.c, vgic-v3.c, Linux 6.1. */
#include <errno.h>
#include <stdlib.h>

#include "../machine/host.h"
#include "../vm/vcpu.h"
#include "../vm/vm.h"
#include "vgic.h"

#define LATEST_REVISION 3	/* KVM_VGIC_IMP_REV_LATEST */
#define V2_MAX_VCPUS 8

void vgic_early_init(struct vgic *vgic)
{
	pthread_mutex_init(&vgic->lock, NULL);
}

void vgic_free(struct vm *vm)
{
	struct redist_region *region, *next;

	for (region = vm->vgic.regions; region; region = next) {
		next = region->next;
		free(region);
	}
	free(vm->vgic.spis);
	pthread_mutex_destroy(&vm->vgic.lock);
}

bool vgic_host_has(const struct vm *vm, enum vgic_model model)
{
	bool gicv3 = vm->host->gic.version == 3;

	return model == VGIC_V3 ? gicv3 : !gicv3 || vm->host->gic.v2_compat;
}

int vgic_vcpu_init(struct vcpu *vcpu)
{
	struct vgic *vgic = &vcpu->vm->vgic;

	vcpu->vgic.redist_base = VGIC_UNDEFINED;
	for (uint32_t i = 0; i < VGIC_NR_PRIVATE_IRQS; i++) {
		struct vgic_irq *irq = &vcpu->vgic.private_irqs[i];

		irq->intid = i;
		irq->target = vcpu;
		irq->enabled = irq->edge = i < VGIC_NR_SGIS;
	}
	return vgic->model == VGIC_V3 ? vgic_register_redist(vcpu) : 0;
}

static int check_never_ran(const struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->ran_once)
			return -EBUSY;
	return 0;
}

int vgic_create(struct vm *vm, enum vgic_model model)
{
	int err;

	if (!vm_try_lock_vcpus(vm))
		return -EBUSY;
	err = vgic_in_kernel(&vm->vgic) ? -EEXIST : check_never_ran(vm);
	if (!err) {
		/* Linux leaves the lower limit in place even if there are more vCPUs than it allows. */
		vm->max_vcpus = model == VGIC_V2 ? V2_MAX_VCPUS : VM_MAX_VCPUS;
		if (vm->nr_vcpus > vm->max_vcpus)
			err = -E2BIG;
	}
	if (!err) {
		vm->vgic.model = model;
		vm->vgic.dist_base = VGIC_UNDEFINED;
		vm->vgic.cpu_base = VGIC_UNDEFINED;
	}
	vm_unlock_vcpus(vm);
	return err;
}

static int make_spis(struct vm *vm)
{
	struct vgic *vgic = &vm->vgic;

	free(vgic->spis);
	vgic->spis = calloc(vgic->nr_spis, sizeof(*vgic->spis));
	if (!vgic->spis)
		return -ENOMEM;
	for (uint32_t i = 0; i < vgic->nr_spis; i++) {
		vgic->spis[i].intid = VGIC_NR_PRIVATE_IRQS + i;
		vgic->spis[i].target = vm->nr_vcpus ? vm->vcpus[0] : NULL;
		vgic->spis[i].edge = true;	/* until configured: all zeroes in Linux, which is edge */
		vgic->spis[i].group1 = vgic->model == VGIC_V3;
	}
	return 0;
}

static void give_private_irqs(struct vm *vm, struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < VGIC_NR_PRIVATE_IRQS; i++) {
		struct vgic_irq *irq = &vcpu->vgic.private_irqs[i];

		irq->group1 = vm->vgic.model == VGIC_V3;
		if (vm->vgic.model == VGIC_V3)
			irq->mpidr = (uint32_t)vcpu_affinity(vcpu) & 0xffffff;
		else
			irq->targets = (uint8_t)(1u << vcpu->index);
	}
}

int vgic_init(struct vm *vm)
{
	struct vgic *vgic = &vm->vgic;
	int err;

	if (vgic->initialized)
		return 0;
	if (vm->created_vcpus != vm->nr_vcpus)
		return -EBUSY;
	if (!vgic->nr_spis)
		vgic->nr_spis = VGIC_DEFAULT_SPIS;
	err = make_spis(vm);
	if (!err)
		err = routing_set_default(vm, vgic->nr_spis);
	if (err)
		return err;
	pthread_mutex_lock(&vgic->lock);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		give_private_irqs(vm, vm->vcpus[i]);
		vgic_enable_cpu(vm->vcpus[i]);
	}
	if (!vgic->revision)
		vgic->revision = LATEST_REVISION;
	vgic->initialized = true;
	pthread_mutex_unlock(&vgic->lock);
	return 0;
}

int vgic_lazy_init(struct vm *vm)
{
	int err;

	if (vm->vgic.initialized)
		return 0;
	if (vm->vgic.model != VGIC_V2)
		return -EBUSY;
	pthread_mutex_lock(&vm->lock);
	err = vgic_init(vm);
	pthread_mutex_unlock(&vm->lock);
	return err;
}

static bool v2_frames_fit(uint64_t dist, uint64_t cpu)
{
	if (dist + VGIC_V2_DIST_BYTES < dist || cpu + VGIC_V2_CPU_BYTES < cpu)
		return false;
	return dist + VGIC_V2_DIST_BYTES <= cpu || cpu + VGIC_V2_CPU_BYTES <= dist;
}

static int map_v2(struct vm *vm)
{
	struct vgic *vgic = &vm->vgic;

	if (vgic->dist_base == VGIC_UNDEFINED || vgic->cpu_base == VGIC_UNDEFINED)
		return -ENXIO;
	if (!v2_frames_fit(vgic->dist_base, vgic->cpu_base))
		return -EINVAL;
	return vgic_init(vm);
}

static int map_v3(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->vgic.redist_base == VGIC_UNDEFINED)
			return -ENXIO;
	if (vm->vgic.dist_base == VGIC_UNDEFINED)
		return -ENXIO;
	if (!vgic_v3_frames_fit(vm))
		return -EINVAL;
	return vm->vgic.initialized ? 0 : -EBUSY;
}

int vgic_map_resources(struct vm *vm)
{
	int err = 0;

	pthread_mutex_lock(&vm->lock);
	if (!vm->vgic.ready && vgic_in_kernel(&vm->vgic)) {
		err = vm->vgic.model == VGIC_V2 ? map_v2(vm) : map_v3(vm);
		vm->vgic.ready = !err;
		if (!err)
			err = bus_add_frame(vm);
		if (err)
			atomic_store(&vm->process, 0);
	}
	pthread_mutex_unlock(&vm->lock);
	return err;
}
