/* SPDX-License-Identifier: MIT */
/*
 * KVM's numbers for 32-bit arm hosts: arch/arm/include/uapi/asm/kvm.h as of Linux
 * 5.6, the last release with arch/arm/kvm. Included by kvmemu/uapi.h only.
 *
 * Where Linux gave arm and arm64 one name and two values, arm's has ARM32 for ARM
 * here (KVM_REG_ARM32_TIMER_CNT). All other numbers of that file (the vGIC's,
 * KVM_IRQ_LINE's, PSCI 0.1) are arm64's, and kvm_vcpu_init and kvm_vcpu_events too.
 */
#ifndef KVMEMU_UAPI_ARM32_H
#define KVMEMU_UAPI_ARM32_H

#include <stdint.h>

/* ---- KVM_ARM_VCPU_INIT ---- */
#define KVM_ARM32_TARGET_CORTEX_A15	0
#define KVM_ARM32_TARGET_CORTEX_A7	1
#define KVM_ARM32_NUM_TARGETS		2

#define KVM_ARM32_VCPU_POWER_OFF	0
#define KVM_ARM32_VCPU_PSCI_0_2		1	/* arm64: 2 */

/* ---- register ids: 27:16 is the coprocessor ---- */
#define KVM_REG_ARM_32_OPC2_MASK	0x0000000000000007
#define KVM_REG_ARM_32_OPC2_SHIFT	0
#define KVM_REG_ARM_OPC1_MASK		0x0000000000000078
#define KVM_REG_ARM_OPC1_SHIFT		3
#define KVM_REG_ARM_CRM_MASK		0x0000000000000780
#define KVM_REG_ARM_CRM_SHIFT		7
#define KVM_REG_ARM_32_CRN_MASK		0x0000000000007800
#define KVM_REG_ARM_32_CRN_SHIFT	11

/* The secure copy of a banked register; KVM has none, so the bit is 0. */
#define KVM_REG_ARM_SECURE_MASK		0x0000000010000000
#define KVM_REG_ARM_SECURE_SHIFT	28

/* field is OPC1, 32_CRN, CRM or 32_OPC2 */
#define ARM_CP15_REG_SHIFT_MASK(value, field) \
	(((value) << KVM_REG_ARM_##field##_SHIFT) & KVM_REG_ARM_##field##_MASK)

/* CP15, as MRC and MCR name it (u32), and as MRRC and MCRR do (u64) */
#define KVMEMU_CP15_REG(op1, crn, crm, op2) \
	(KVM_REG_ARM | (15 << KVM_REG_ARM_COPROC_SHIFT) | \
	 ARM_CP15_REG_SHIFT_MASK(op1, OPC1) | ARM_CP15_REG_SHIFT_MASK(crn, 32_CRN) | \
	 ARM_CP15_REG_SHIFT_MASK(crm, CRM) | ARM_CP15_REG_SHIFT_MASK(op2, 32_OPC2))
#define ARM_CP15_REG32(op1, crn, crm, op2) \
	(KVMEMU_CP15_REG(op1, crn, crm, op2) | KVM_REG_SIZE_U32)
#define ARM_CP15_REG64(op1, crm) \
	(KVMEMU_CP15_REG(op1, 0, crm, 0) | KVM_REG_SIZE_U64)

/* CNTP_CTL, CNTPCT, CNTP_CVAL; CNTV_CTL, CNTVCT, CNTV_CVAL. Here each id is the
 * encoding of its register; arm64 has CNT and CVAL swapped. */
#define KVM_REG_ARM32_PTIMER_CTL	ARM_CP15_REG32(0, 14, 2, 1)
#define KVM_REG_ARM32_PTIMER_CNT	ARM_CP15_REG64(0, 14)
#define KVM_REG_ARM32_PTIMER_CVAL	ARM_CP15_REG64(2, 14)
#define KVM_REG_ARM32_TIMER_CTL		ARM_CP15_REG32(0, 14, 3, 1)
#define KVM_REG_ARM32_TIMER_CNT		ARM_CP15_REG64(1, 14)
#define KVM_REG_ARM32_TIMER_CVAL	ARM_CP15_REG64(3, 14)

/* The core registers, u32 each, at KVM_REG_ARM_CORE | KVM_REG_ARM32_CORE_REG().
 * Names of the banked ones: KVM_ARM_SVC_sp and so on, below. */
struct kvm_arm32_regs {
	struct {
		uint32_t uregs[18];	/* R0..R12, SP, LR, PC, CPSR, (ORIG_R0) */
	} usr_regs;
	uint32_t svc_regs[3];		/* SP, LR, SPSR */
	uint32_t abt_regs[3];
	uint32_t und_regs[3];
	uint32_t irq_regs[3];
	uint32_t fiq_regs[8];		/* R8..R12, SP, LR, SPSR */
};

#define KVM_REG_ARM32_CORE_REG(name)	(__builtin_offsetof(struct kvm_arm32_regs, name) / 4)

#define KVM_ARM_SVC_sp			svc_regs[0]
#define KVM_ARM_SVC_lr			svc_regs[1]
#define KVM_ARM_SVC_spsr		svc_regs[2]
#define KVM_ARM_ABT_sp			abt_regs[0]
#define KVM_ARM_ABT_lr			abt_regs[1]
#define KVM_ARM_ABT_spsr		abt_regs[2]
#define KVM_ARM_UND_sp			und_regs[0]
#define KVM_ARM_UND_lr			und_regs[1]
#define KVM_ARM_UND_spsr		und_regs[2]
#define KVM_ARM_IRQ_sp			irq_regs[0]
#define KVM_ARM_IRQ_lr			irq_regs[1]
#define KVM_ARM_IRQ_spsr		irq_regs[2]
#define KVM_ARM_FIQ_r8			fiq_regs[0]
#define KVM_ARM_FIQ_r9			fiq_regs[1]
#define KVM_ARM_FIQ_r10			fiq_regs[2]
#define KVM_ARM_FIQ_fp			fiq_regs[3]
#define KVM_ARM_FIQ_ip			fiq_regs[4]
#define KVM_ARM_FIQ_sp			fiq_regs[5]
#define KVM_ARM_FIQ_lr			fiq_regs[6]
#define KVM_ARM_FIQ_spsr		fiq_regs[7]

/* VFP: D<n>, u64, at BASE_REG + n; the others u32 */
#define KVM_REG_ARM_VFP			(0x0012 << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM_VFP_MASK		0x000000000000FFFF
#define KVM_REG_ARM_VFP_BASE_REG	0x0
#define KVM_REG_ARM_VFP_FPSID		0x1000
#define KVM_REG_ARM_VFP_FPSCR		0x1001
#define KVM_REG_ARM_VFP_MVFR1		0x1006
#define KVM_REG_ARM_VFP_MVFR0		0x1007
#define KVM_REG_ARM_VFP_FPEXC		0x1008
#define KVM_REG_ARM_VFP_FPINST		0x1009
#define KVM_REG_ARM_VFP_FPINST2		0x100A

/* Firmware, u64. The values are those of arm64's registers. */
#define KVM_REG_ARM32_FW_REG(r) \
	(KVM_REG_ARM | KVM_REG_SIZE_U64 | KVM_REG_ARM_FW | ((r) & 0xffff))
#define KVM_REG_ARM32_PSCI_VERSION	KVM_REG_ARM32_FW_REG(0)
#define KVM_REG_ARM32_SMCCC_ARCH_WORKAROUND_1	KVM_REG_ARM32_FW_REG(1)
#define KVM_REG_ARM32_SMCCC_ARCH_WORKAROUND_2	KVM_REG_ARM32_FW_REG(2)

#endif /* KVMEMU_UAPI_ARM32_H */
