/* SPDX-License-Identifier: MIT */
/*
 * KVM/arm64's devices and vCPU features: targets, the vGIC's and the ITS's
 * attributes, vCPU attributes, interrupt lines (Linux 6.1; more in Linux's
 * Documentation/virt/kvm/devices). Included by kvmemu/uapi.h only.
 */
#ifndef KVMEMU_UAPI_DEVICES_H
#define KVMEMU_UAPI_DEVICES_H

/* ---- KVM_ARM_VCPU_INIT ---- */

/* kvm_vcpu_init.target. New CPUs are all GENERIC_V8. */
#define KVM_ARM_TARGET_AEM_V8		0
#define KVM_ARM_TARGET_FOUNDATION_V8	1
#define KVM_ARM_TARGET_CORTEX_A57	2
#define KVM_ARM_TARGET_XGENE_POTENZA	3
#define KVM_ARM_TARGET_CORTEX_A53	4
#define KVM_ARM_TARGET_GENERIC_V8	5
#define KVM_ARM_NUM_TARGETS		6

/* kvm_vcpu_init.features: bit numbers. (32-bit arm numbers PSCI_0_2 otherwise.) */
#define KVM_ARM_VCPU_POWER_OFF		0	/* starts STOPPED */
#define KVM_ARM_VCPU_EL1_32BIT		1	/* AArch32 guest; KVM_CAP_ARM_EL1_32BIT */
#define KVM_ARM_VCPU_PSCI_0_2		2	/* PSCI 0.2 or later; else 0.1 */
#define KVM_ARM_VCPU_PMU_V3		3	/* KVM_CAP_ARM_PMU_V3 */
#define KVM_ARM_VCPU_SVE		4	/* KVM_CAP_ARM_SVE; to be finalized */
#define KVM_ARM_VCPU_PTRAUTH_ADDRESS	5	/* both PTRAUTH features, or none */
#define KVM_ARM_VCPU_PTRAUTH_GENERIC	6

/* ---- kvm_create_device.type ---- */
#define KVM_DEV_TYPE_FSL_MPIC_20	1
#define KVM_DEV_TYPE_FSL_MPIC_42	2
#define KVM_DEV_TYPE_XICS		3
#define KVM_DEV_TYPE_VFIO		4
#define KVM_DEV_TYPE_ARM_VGIC_V2	5
#define KVM_DEV_TYPE_FLIC		6
#define KVM_DEV_TYPE_ARM_VGIC_V3	7
#define KVM_DEV_TYPE_ARM_VGIC_ITS	8
#define KVM_DEV_TYPE_XIVE		9
#define KVM_DEV_TYPE_ARM_PV_TIME	10	/* no device: see KVM_ARM_VCPU_PVTIME_CTRL */
#define KVM_DEV_TYPE_MAX		11

/* VFIO: group and attributes */
#define KVM_DEV_VFIO_GROUP		1
#define KVM_DEV_VFIO_GROUP_ADD		1
#define KVM_DEV_VFIO_GROUP_DEL		2
#define KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE 3

/* ---- vGIC and ITS: kvm_device_attr.group ---- */
#define KVM_DEV_ARM_VGIC_GRP_ADDR	0	/* u64: an IPA, KVM_VGIC_*_ADDR_TYPE_* */
#define KVM_DEV_ARM_VGIC_GRP_DIST_REGS	1	/* u32: GICD_* */
#define KVM_DEV_ARM_VGIC_GRP_CPU_REGS	2	/* u32: GICC_* (GICv2) */
#define KVM_DEV_ARM_VGIC_GRP_NR_IRQS	3	/* u32: 64 to 992, in steps of 32 */
#define KVM_DEV_ARM_VGIC_GRP_CTRL	4	/* no value: an action, below */
#define KVM_DEV_ARM_VGIC_GRP_REDIST_REGS 5	/* u32: GICR_* */
#define KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS 6	/* u64: ICC_* */
#define KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO	7	/* u32: 32 interrupt lines */
#define KVM_DEV_ARM_VGIC_GRP_ITS_REGS	8	/* u64: GITS_* */

/* group ADDR: attr. Values are base addresses, but see REDIST_REGION. */
#define KVM_VGIC_V2_ADDR_TYPE_DIST	0
#define KVM_VGIC_V2_ADDR_TYPE_CPU	1
#define KVM_VGIC_V3_ADDR_TYPE_DIST	2
#define KVM_VGIC_V3_ADDR_TYPE_REDIST	3	/* one region for all redistributors */
#define KVM_VGIC_ITS_ADDR_TYPE		4
/* count 63:52, base 51:16, flags 15:12 (0), index 11:0; one region of several */
#define KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION 5

/* bytes of guest address space (REDIST: of each vCPU) */
#define KVM_VGIC_V2_DIST_SIZE		0x1000
#define KVM_VGIC_V2_CPU_SIZE		0x2000
#define KVM_VGIC_V3_DIST_SIZE		0x10000
#define KVM_VGIC_V3_REDIST_SIZE		0x20000
#define KVM_VGIC_V3_ITS_SIZE		0x20000

/* groups *_REGS: attr. Offset of the register, and whose it is: the vCPU's index
 * (GICv2) or its affinity (GICv3: Aff3 Aff2 Aff1 Aff0, a byte each). */
#define KVM_DEV_ARM_VGIC_OFFSET_SHIFT	0
#define KVM_DEV_ARM_VGIC_OFFSET_MASK	(0xffffffffULL << KVM_DEV_ARM_VGIC_OFFSET_SHIFT)
#define KVM_DEV_ARM_VGIC_CPUID_SHIFT	32
#define KVM_DEV_ARM_VGIC_CPUID_MASK	(0xffULL << KVM_DEV_ARM_VGIC_CPUID_SHIFT)
#define KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT	32
#define KVM_DEV_ARM_VGIC_V3_MPIDR_MASK	(0xffffffffULL << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT)
/* group CPU_SYSREGS: the encoding, op0 15:14 op1 13:11 CRn 10:7 CRm 6:3 op2 2:0 */
#define KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK (0xffff)
/* group LEVEL_INFO: first INTID (a multiple of 32) and what is asked for */
#define KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT	10
#define KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_MASK \
	(0x3fffffULL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT)
#define KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK	0x3ff
#define VGIC_LEVEL_INFO_LINE_LEVEL	0

/* group CTRL: attr. VGIC_* are the GIC's, ITS_* the ITS's; INIT is both's. */
#define KVM_DEV_ARM_VGIC_CTRL_INIT	0
#define KVM_DEV_ARM_ITS_SAVE_TABLES	1
#define KVM_DEV_ARM_ITS_RESTORE_TABLES	2
#define KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES	3
#define KVM_DEV_ARM_ITS_CTRL_RESET	4

/* kvm_arm_device_addr.id, the older way to the addresses of a GICv2 */
#define KVM_ARM_DEVICE_TYPE_SHIFT	0
#define KVM_ARM_DEVICE_TYPE_MASK	(0xffffUL << KVM_ARM_DEVICE_TYPE_SHIFT)
#define KVM_ARM_DEVICE_ID_SHIFT		16
#define KVM_ARM_DEVICE_ID_MASK		(0xffffUL << KVM_ARM_DEVICE_ID_SHIFT)
#define KVM_ARM_DEVICE_VGIC_V2		0

/* ---- attributes of a vCPU descriptor: groups, and each one's attr ---- */
#define KVM_ARM_VCPU_PMU_V3_CTRL	0
#define KVM_ARM_VCPU_PMU_V3_IRQ		0	/* int: the overflow interrupt's INTID */
#define KVM_ARM_VCPU_PMU_V3_INIT	1	/* no value */
#define KVM_ARM_VCPU_PMU_V3_FILTER	2	/* struct kvm_pmu_event_filter */
#define KVM_ARM_VCPU_PMU_V3_SET_PMU	3	/* int: a physical PMU, perf's type number */

#define KVM_ARM_VCPU_TIMER_CTRL		1
#define KVM_ARM_VCPU_TIMER_IRQ_VTIMER	0	/* int: PPI, INTID 16 to 31 */
#define KVM_ARM_VCPU_TIMER_IRQ_PTIMER	1

#define KVM_ARM_VCPU_PVTIME_CTRL	2
#define KVM_ARM_VCPU_PVTIME_IPA		0	/* u64: stolen time page, 64-byte aligned */

/* ---- KVM_IRQ_LINE: kvm_irq_level.irq ---- */
#define KVM_ARM_IRQ_VCPU2_SHIFT		28	/* vCPU index / 256; ..._LINE_LAYOUT_2 */
#define KVM_ARM_IRQ_VCPU2_MASK		0xf
#define KVM_ARM_IRQ_TYPE_SHIFT		24
#define KVM_ARM_IRQ_TYPE_MASK		0xf
#define KVM_ARM_IRQ_VCPU_SHIFT		16	/* vCPU index % 256 */
#define KVM_ARM_IRQ_VCPU_MASK		0xff
#define KVM_ARM_IRQ_NUM_SHIFT		0	/* INTID; or KVM_ARM_IRQ_CPU_* */
#define KVM_ARM_IRQ_NUM_MASK		0xffff

#define KVM_ARM_IRQ_TYPE_CPU		0	/* no vGIC: the vCPU's IRQ or FIQ input */
#define KVM_ARM_IRQ_TYPE_SPI		1
#define KVM_ARM_IRQ_TYPE_PPI		2
#define KVM_ARM_IRQ_CPU_IRQ		0
#define KVM_ARM_IRQ_CPU_FIQ		1

#define KVM_ARM_IRQ_GIC_MAX		127	/* once the highest SPI; means nothing */
#define KVM_NR_IRQCHIPS			1	/* kvm_irq_routing_irqchip.irqchip < 1 */

#endif /* KVMEMU_UAPI_DEVICES_H */
