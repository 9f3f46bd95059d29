/* SPDX-License-Identifier: MIT */
/* The VM's lifetime, and the capabilities it has and takes. Layer: vm. */
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "../machine/host.h"
#include "../machine/machine.h"
#include "kvmemu/uapi.h"
#include "forward.h"
#include "vcpu.h"

#define MIN_IPA_BITS 32		/* ARM64_MIN_PARANGE_BITS */
#define DEFAULT_IPA_BITS 40	/* KVM_PHYS_SHIFT */
#define GICV2_MAX_VCPUS 8	/* VGIC_V2_MAX_CPUS */

atomic_uint process_forks = 1;

static void count_fork(void)
{
	atomic_fetch_add_explicit(&process_forks, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

/* IPA bits of a new VM; 0 if the type is not one this host makes. */
static unsigned int ipa_bits_of_type(const struct kvmemu_host *host, uint64_t type)
{
	unsigned int bits = type ? (unsigned int)type : DEFAULT_IPA_BITS;
	unsigned int limit = (unsigned int)host_cap(host, KVM_CAP_ARM_VM_IPA_SIZE);

	if (host->arch == HOST_ARM32)	/* no IPA sizes: KVM_VM_TYPE must be 0 (arch/arm, Linux 5.6) */
		return type ? 0 : DEFAULT_IPA_BITS;
	if (type & ~(uint64_t)KVM_VM_TYPE_ARM_IPA_SIZE_MASK || bits > limit)
		return 0;
	return bits < MIN_IPA_BITS ? 0 : bits;
}

/* A GICv2 has eight CPU interfaces, whatever the kernel could do. */
static unsigned int max_vcpus_of_host(const struct kvmemu_host *host)
{
	unsigned int announced = (unsigned int)host_cap(host, KVM_CAP_MAX_VCPUS);

	return host->gic.version == 2 && announced > GICV2_MAX_VCPUS ? GICV2_MAX_VCPUS : announced;
}

/* A field of ID_AA64PFR0_EL1 as the host has it. */
static uint8_t pfr0_field(const struct kvmemu_host *host, unsigned int shift)
{
	return host->reg[SR_ID_AA64PFR0_EL1] >> shift & 0xf;
}

int vm_create(struct machine *machine, uint64_t type, struct vm **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const struct kvmemu_host *host = machine->host;
	unsigned int ipa_bits = ipa_bits_of_type(host, type);
	struct vm *vm;

	if (!ipa_bits)
		return -EINVAL;
	pthread_once(&once, watch_forks);
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	atomic_init(&vm->refs, 1);
	vm->machine = machine_get(machine);
	vm->host = host;
	vm->process = process_generation();
	vm->pid = getpid();
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->slots_lock, NULL);
	vm->max_vcpus = max_vcpus_of_host(host);
	vm->ipa_bits = ipa_bits;
	vm->std_bmap = 1ull << KVM_REG_ARM_STD_BIT_TRNG_V1_0;
	vm->std_hyp_bmap = 1ull << KVM_REG_ARM_STD_HYP_BIT_PV_TIME;
	vm->vendor_hyp_bmap = 1ull << KVM_REG_ARM_VENDOR_HYP_BIT_FUNC_FEAT | 1ull << KVM_REG_ARM_VENDOR_HYP_BIT_PTP;
	vm->csv2 = pfr0_field(host, 56);
	vm->csv3 = pfr0_field(host, 60);
	pthread_mutex_init(&vm->irq_lock, NULL);
	irqfds_init(&vm->irqfds);
	buses_init(vm);
	vgic_early_init(&vm->vgic);
	vm->stats = &vm->own_stats;
	*out = vm;
	return 0;
}

struct vm *vm_get(struct vm *vm)
{
	atomic_fetch_add_explicit(&vm->refs, 1, memory_order_relaxed);
	return vm;
}

void vm_put(struct vm *vm)
{
	if (atomic_fetch_sub_explicit(&vm->refs, 1, memory_order_acq_rel) != 1)
		return;
	irqfds_release(vm);
	forwards_free(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	vgic_free(vm);
	routing_free(vm->routing);
	buses_free(vm);
	memslots_free(&vm->slots);
	stats_page_destroy(vm->stats_page);
	free(vm->pmu_filter);
	pthread_mutex_destroy(&vm->irq_lock);
	pthread_mutex_destroy(&vm->slots_lock);
	pthread_mutex_destroy(&vm->lock);
	machine_put(vm->machine);
	free(vm);
}

bool vm_try_lock_vcpus(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if (lock_try(&vm->vcpus[i]->lock))
			continue;
		while (i)
			lock_release(&vm->vcpus[--i]->lock);
		return false;
	}
	return true;
}

void vm_unlock_vcpus(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		lock_release(&vm->vcpus[i]->lock);
}

bool vm_on_vhe(const struct vm *vm)
{
	return vm->host->reg[SR_ID_AA64MMFR1_EL1] >> 8 & 0xf;
}

bool vm_has_ras(const struct vm *vm)
{
	return host_cap(vm->host, KVM_CAP_ARM_INJECT_SERROR_ESR);
}

struct vcpu *vm_find_vcpu(const struct vm *vm, uint32_t id)
{
	unsigned int place = id < VM_MAX_VCPUS ? atomic_load_explicit(&vm->place_of_id[id], memory_order_acquire) : 0;

	return place ? vm->vcpus[place - 1] : NULL;
}

/*
 * Reset gives a vCPU an affinity of its own, by its id. Where user space has moved none, and for all but the 0 that vCPUs
 * have before they are initialised, there is one vCPU of an affinity at most: no need to look for the first.
 */
static struct vcpu *only_one_of_affinity(const struct vm *vm, uint64_t affinity)
{
	uint32_t id = (affinity & 0xf) | (affinity >> 8 & 0xff) << 4 | (affinity >> 16 & 0xff) << 12;
	struct vcpu *vcpu;

	if (!affinity || atomic_load_explicit(&vm->affinities_moved, memory_order_relaxed))
		return NULL;
	vcpu = vm_find_vcpu(vm, id);
	return vcpu && vcpu_affinity(vcpu) == affinity ? vcpu : NULL;
}

struct vcpu *vm_vcpu_of_affinity(const struct vm *vm, uint64_t affinity)
{
	unsigned int n = atomic_load_explicit(&vm->nr_vcpus, memory_order_acquire);
	struct vcpu *vcpu = only_one_of_affinity(vm, affinity);

	if (vcpu)
		return vcpu;
	for (unsigned int i = 0; i < n; i++)
		if (vcpu_affinity(vm->vcpus[i]) == affinity)
			return vm->vcpus[i];
	return NULL;
}

int vm_check_extension(const struct kvmemu_host *host, const struct vm *vm, unsigned long cap)
{
	if (cap >= HOST_NR_CAPS)
		return 0;
	if (!vm)
		return host->system_cap[cap];
	/* Before Linux 5.10 the answer was the kernel's maximum even where the VM's GIC allows fewer. */
	if (host->arch == HOST_ARM64 && (cap == KVM_CAP_MAX_VCPUS || cap == KVM_CAP_MAX_VCPU_ID))
		return (int)vm->max_vcpus;
	return host->cap[cap];
}

static int enable_mte(struct vm *vm)
{
	int err = 0;

	pthread_mutex_lock(&vm->lock);
	if (!host_cap(vm->host, KVM_CAP_ARM_MTE) || vm->created_vcpus)
		err = -EINVAL;
	else
		vm->mte = true;
	pthread_mutex_unlock(&vm->lock);
	return err;
}

static int enable_manual_dirty_log(struct vm *vm, uint32_t flags, uint64_t options)
{
	/* What the capability answers is the set of its options. */
	uint64_t allowed = (uint64_t)host_cap(vm->host, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);

	if (!(options & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE))
		allowed &= ~(uint64_t)KVM_DIRTY_LOG_INITIALLY_SET;
	if (flags || options & ~allowed)
		return -EINVAL;
	pthread_mutex_lock(&vm->slots_lock);
	vm->manual_dirty_log = options;
	pthread_mutex_unlock(&vm->slots_lock);
	return 0;
}

int vm_enable_cap(struct vm *vm, uint32_t cap, uint32_t flags, const uint64_t args[4])
{
	/* A capability that the host does not announce (an older kernel, 32-bit) cannot be enabled either. */
	if (!host_cap(vm->host, cap))
		return -EINVAL;
	switch (cap) {
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return enable_manual_dirty_log(vm, flags, args[0]);
	case KVM_CAP_HALT_POLL:
		if (flags || args[0] > UINT32_MAX)
			return -EINVAL;
		vm->halt_poll_max_ns = (uint32_t)args[0];
		return 0;
	case KVM_CAP_ARM_NISV_TO_USER:
		if (flags)
			return -EINVAL;
		vm->nisv_to_user = true;
		return 0;
	case KVM_CAP_ARM_MTE:
		return flags ? -EINVAL : enable_mte(vm);
	case KVM_CAP_ARM_SYSTEM_SUSPEND:
		if (flags)
			return -EINVAL;
		vm->system_suspend = true;
		return 0;
	default:
		return -EINVAL;
	}
}
