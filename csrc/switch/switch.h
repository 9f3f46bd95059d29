/* SPDX-License-Identifier: MIT */
/*
 * The world switch of the interrupt controller. Layer: switch.
 *
 * On entry to a guest the interrupts on a vCPU's ap_list are put into list registers (flush), and those moved into the
 * hardware with the rest of the virtual CPU interface (restore). On exit it is the other way round (save, sync).
 * Source: arch/arm64/kvm/vgic/{vgic,vgic-v2,vgic-v3}.c, Linux 6.1; the order in which registers are moved, that of the
 * first version in C of hyp/vgic-v3-sr.c (Linux 4.5).
 */
#ifndef KVMEMU_SWITCH_SWITCH_H
#define KVMEMU_SWITCH_SWITCH_H

#include "../machine/virt_cpuif.h"
#include "cpu_if.h"
#include "lr.h"

struct vcpu;

/* The hardware's registers into memory, after which the interface is off; and back. */
struct world_switch {
	void (*save)(struct cpu_if *cpu_if, struct virt_cpuif *hw);
	void (*restore)(const struct cpu_if *cpu_if, struct virt_cpuif *hw);
};

/* One for each enum lr_storage, so that none of them looks which it is. */
extern const struct world_switch world_switch_v2[NR_LR_STORAGES], world_switch_v3[NR_LR_STORAGES];

/*
 * The ap_list into list registers, and list registers into interrupts. Take vgic->lock; nothing else of the vCPU's may
 * be in use. Source: kvm_vgic_flush_hwstate(), kvm_vgic_sync_hwstate().
 */
void switch_flush(struct vcpu *vcpu);
void switch_sync(struct vcpu *vcpu);

/* The layout of this vCPU's list registers. */
enum lr_layout switch_lr_layout(const struct vcpu *vcpu);

#endif
