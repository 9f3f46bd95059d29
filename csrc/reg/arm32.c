/* SPDX-License-Identifier: MIT */
/*
 * 32-bit ARM hosts: which kind of register an id names, the core registers, the timers, and reset. Layer: reg.
 * Source: arch/arm/kvm/guest.c and reset.c, virt/kvm/arm/arch_timer.c, Linux 5.5 and 5.6.
 */
#include "arm32.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../machine/host.h"
#include "../timer/timer.h"

#define NR_WORDS (sizeof(struct kvm_arm32_regs) / sizeof(uint32_t))
#define CPSR_WORD 16u	/* in usr_regs.uregs: after R0..R12, SP, LR, PC */

/* CPSR, Arm DDI 0406C, B1.3.3. */
#define CPSR_MODE_MASK 0x1fu
#define CPSR_SVC_AIF 0x1d3u	/* Supervisor mode; aborts, IRQ and FIQ masked */
#define MODE_USR 0x10
#define MODE_FIQ 0x11
#define MODE_IRQ 0x12
#define MODE_SVC 0x13
#define MODE_ABT 0x17
#define MODE_UND 0x1b

int arm32_alloc(struct arm32_state **state)
{
	*state = calloc(1, sizeof(**state));
	return *state ? 0 : -ENOMEM;
}

void arm32_free(struct arm32_state *state)
{
	free(state);
}

uint64_t arm32_host_value(const struct kvmemu_host *host, uint64_t id)
{
	for (size_t i = 0; i < host->nr_cp15; i++)
		if (host->cp15[i].id == id)
			return host->cp15[i].value;
	return 0;
}

int arm32_fetch_in_place(const struct reg_input *input, void *field, size_t bytes)
{
	int err = input->fetch(input, field, bytes);

	if (err)
		memset(field, 0, bytes);
	return err;
}

/* Source: kvm_reset_vcpu(). D0..D31 and the VFP control registers are not reset: they start as zero and stay. */
int arm32_reset(struct vcpu *vcpu)
{
	if (vcpu->vm->host->target >= KVM_ARM32_NUM_TARGETS)
		return -ENODEV;
	memset(&vcpu->arm32->core, 0, sizeof(vcpu->arm32->core));
	vcpu->arm32->core.usr_regs.uregs[CPSR_WORD] = CPSR_SVC_AIF;
	cp15_reset(vcpu);
	vfp_reset(vcpu);
	timers_reset(vcpu);
	return 0;
}

/*
 * Core registers: KVM_REG_ARM_CORE, words of struct kvm_arm32_regs.
 */

static uint32_t *core_word(struct vcpu *vcpu, uint64_t id)
{
	uint64_t word = id & ~(KVM_REG_ARCH_MASK | KVM_REG_SIZE_MASK | KVM_REG_ARM_CORE);

	if ((id & KVM_REG_SIZE_MASK) != KVM_REG_SIZE_U32 || word >= NR_WORDS)
		return NULL;
	return (uint32_t *)&vcpu->arm32->core + word;
}

/* System mode, whose registers are User mode's, is not among those that KVM accepts; nor are Monitor and Hyp. */
static bool may_enter_mode(uint32_t cpsr)
{
	switch (cpsr & CPSR_MODE_MASK) {
	case MODE_USR:
	case MODE_FIQ:
	case MODE_IRQ:
	case MODE_SVC:
	case MODE_ABT:
	case MODE_UND:
		return true;
	default:
		return false;
	}
}

static int core_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	const uint32_t *word = core_word(vcpu, id);

	if (!word)
		return -ENOENT;
	*bytes = sizeof(*word);
	memcpy(value, word, sizeof(*word));
	return 0;
}

static int core_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	uint32_t *word = core_word(vcpu, id), val;
	int err;

	if (!word)
		return -ENOENT;
	err = input->fetch(input, &val, sizeof(val));
	if (err)
		return err;
	if (word == &vcpu->arm32->core.usr_regs.uregs[CPSR_WORD] && !may_enter_mode(val))
		return -EINVAL;
	*word = val;
	return 0;
}

static void core_list(struct reg_list *list)
{
	for (uint32_t word = 0; word < NR_WORDS; word++)
		reg_list_add(list, KVM_REG_ARM | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE | word);
}

/*
 * The virtual timer, by its own CP15 encodings: nothing is swapped here, as CNT and CVAL are on arm64. The physical
 * timer has ids (KVM_REG_ARM32_PTIMER_*) but cannot be reached: ENOENT, from cp15_get().
 */

static bool is_timer(uint64_t id)
{
	return id == KVM_REG_ARM32_TIMER_CTL || id == KVM_REG_ARM32_TIMER_CNT || id == KVM_REG_ARM32_TIMER_CVAL;
}

static int timer_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	uint64_t val;

	if (id == KVM_REG_ARM32_TIMER_CTL)
		val = timer_ctl(vcpu, TIMER_VIRTUAL);
	else if (id == KVM_REG_ARM32_TIMER_CNT)
		val = timer_count(vcpu, TIMER_VIRTUAL);
	else
		val = vcpu->timer[TIMER_VIRTUAL].cval;
	*bytes = arm32_id_bytes(id);
	memcpy(value, &val, *bytes);	/* the lower half for CTL: little-endian hosts only, as in Linux */
	return 0;
}

static int timer_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	uint64_t val = 0;
	int err = input->fetch(input, &val, arm32_id_bytes(id));

	if (err)
		return err;
	if (id == KVM_REG_ARM32_TIMER_CTL)
		timer_set_ctl(vcpu, TIMER_VIRTUAL, val);
	else if (id == KVM_REG_ARM32_TIMER_CNT)
		timer_set_virtual_count(vcpu, val);
	else
		vcpu->timer[TIMER_VIRTUAL].cval = val;
	return 0;
}

/*
 * The router.
 */

/* Architecture and reserved bits: all of the upper half but the size must be KVM_REG_ARM's. */
static bool is_arm(uint64_t id)
{
	return (id & ~KVM_REG_SIZE_MASK) >> 32 == KVM_REG_ARM >> 32;
}

int arm32_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes)
{
	if (!is_arm(id))
		return -EINVAL;
	switch (id & KVM_REG_ARM_COPROC_MASK) {
	case KVM_REG_ARM_CORE:
		return core_get(vcpu, id, value, bytes);
	case KVM_REG_ARM_FW:
		return arm32_fw_get(vcpu, id, value, bytes);
	case KVM_REG_ARM_DEMUX:
		return demux_reg_get(vcpu, id, value, bytes);
	case KVM_REG_ARM_VFP:
		return vfp_get(vcpu, id, value, bytes);
	default:
		return is_timer(id) ? timer_get(vcpu, id, value, bytes) : cp15_get(vcpu, id, value, bytes);
	}
}

int arm32_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input)
{
	if (!is_arm(id))
		return -EINVAL;
	switch (id & KVM_REG_ARM_COPROC_MASK) {
	case KVM_REG_ARM_CORE:
		return core_set(vcpu, id, input);
	case KVM_REG_ARM_FW:
		return arm32_fw_set(vcpu, id, input);
	case KVM_REG_ARM_DEMUX:
		return demux_reg_set(vcpu, id, input);
	case KVM_REG_ARM_VFP:
		return vfp_set(vcpu, id, input);
	default:
		return is_timer(id) ? timer_set(vcpu, id, input) : cp15_set(vcpu, id, input);
	}
}

/* Source: kvm_arm_copy_reg_indices(), kvm_arm_copy_coproc_indices(). */
void arm32_reg_list(const struct vcpu *vcpu, struct reg_list *list)
{
	core_list(list);
	arm32_fw_list(list);
	reg_list_add(list, KVM_REG_ARM32_TIMER_CTL);
	reg_list_add(list, KVM_REG_ARM32_TIMER_CNT);
	reg_list_add(list, KVM_REG_ARM32_TIMER_CVAL);
	cp15_list(list);
	vfp_list(vcpu, list);
	demux_reg_list(vcpu, list);
}
