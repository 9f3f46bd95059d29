/* SPDX-License-Identifier: MIT */
/*
 * KVM's ioctl requests (Linux 6.1). Included by kvmemu/uapi.h only.
 *
 * First those that KVM/arm64 knows, by the descriptor that takes them, then all
 * others of the generic header: a program may issue them by mistake, and a trace
 * should name them. The argument's size is part of a request; where its structure
 * is another architecture's, the size stands here as a number of bytes (x86 as of
 * 6.1; ppc's kernel also packs requests in another way, which is not shown here).
 */
#ifndef KVMEMU_UAPI_IOCTLS_H
#define KVMEMU_UAPI_IOCTLS_H

#include "structs.h"

#define KVM_API_VERSION			12	/* of KVM_GET_API_VERSION, for ever */
#define KVMIO				0xAE	/* the type byte of all requests */

/* asm-generic's packing: direction 31:30, size 29:16, type 15:8, number 7:0.
 * Directions are the caller's view: W(rite) passes memory in, R(ead) gets it. */
#define KVMEMU_IOC(dir, nr, bytes) \
	(((dir) << 30) | (KVMIO << 8) | (nr) | ((bytes) << 16))
#define KVMEMU_IO(nr)			KVMEMU_IOC(0U, nr, 0)
#define KVMEMU_IOW(nr, type)		KVMEMU_IOC(1U, nr, sizeof(type))
#define KVMEMU_IOR(nr, type)		KVMEMU_IOC(2U, nr, sizeof(type))
#define KVMEMU_IOWR(nr, type)		KVMEMU_IOC(3U, nr, sizeof(type))
#define KVMEMU_IOW_BYTES(nr, bytes)	KVMEMU_IOC(1U, nr, bytes##UL)
#define KVMEMU_IOR_BYTES(nr, bytes)	KVMEMU_IOC(2U, nr, bytes##UL)
#define KVMEMU_IOWR_BYTES(nr, bytes)	KVMEMU_IOC(3U, nr, bytes##UL)

/* ---- /dev/kvm ---- */
#define KVM_GET_API_VERSION		KVMEMU_IO(0x00)
#define KVM_CREATE_VM			KVMEMU_IO(0x01)	/* KVM_VM_TYPE_ARM_IPA_SIZE(); fd */
#define KVM_CHECK_EXTENSION		KVMEMU_IO(0x03)	/* KVM_CAP_*; a VM fd takes it too */
#define KVM_GET_VCPU_MMAP_SIZE		KVMEMU_IO(0x04)	/* bytes */

/* KVM_CREATE_VM's argument: 0 for 40 bits, else the bits of an IPA */
#define KVM_VM_TYPE_ARM_IPA_SIZE_MASK	0xffULL
#define KVM_VM_TYPE_ARM_IPA_SIZE(bits)	((bits) & KVM_VM_TYPE_ARM_IPA_SIZE_MASK)

/* ---- VM ---- */
#define KVM_CREATE_VCPU			KVMEMU_IO(0x41)	/* vCPU id; fd */
#define KVM_GET_DIRTY_LOG		KVMEMU_IOW(0x42, struct kvm_dirty_log)
#define KVM_SET_USER_MEMORY_REGION	KVMEMU_IOW(0x46, struct kvm_userspace_memory_region)
#define KVM_CREATE_IRQCHIP		KVMEMU_IO(0x60)	/* GICv2, the old way */
#define KVM_IRQ_LINE			KVMEMU_IOW(0x61, struct kvm_irq_level)
#define KVM_IRQ_LINE_STATUS		KVMEMU_IOWR(0x67, struct kvm_irq_level)
#define KVM_REGISTER_COALESCED_MMIO	KVMEMU_IOW(0x67, struct kvm_coalesced_mmio_zone)
#define KVM_UNREGISTER_COALESCED_MMIO	KVMEMU_IOW(0x68, struct kvm_coalesced_mmio_zone)
#define KVM_SET_GSI_ROUTING		KVMEMU_IOW(0x6a, struct kvm_irq_routing)
#define KVM_IRQFD			KVMEMU_IOW(0x76, struct kvm_irqfd)
#define KVM_IOEVENTFD			KVMEMU_IOW(0x79, struct kvm_ioeventfd)
#define KVM_SIGNAL_MSI			KVMEMU_IOW(0xa5, struct kvm_msi)
/* The same number as KVM_GET_ONE_REG: only the descriptor tells them apart. */
#define KVM_ARM_SET_DEVICE_ADDR		KVMEMU_IOW(0xab, struct kvm_arm_device_addr)
#define KVM_ARM_PREFERRED_TARGET	KVMEMU_IOR(0xaf, struct kvm_vcpu_init)
#define KVM_ARM_MTE_COPY_TAGS		KVMEMU_IOR(0xb4, struct kvm_arm_copy_mte_tags)
#define KVM_CLEAR_DIRTY_LOG		KVMEMU_IOWR(0xc0, struct kvm_clear_dirty_log)
#define KVM_RESET_DIRTY_RINGS		KVMEMU_IO(0xc7)
#define KVM_CREATE_DEVICE		KVMEMU_IOWR(0xe0, struct kvm_create_device)

/* ---- vCPU ---- */
#define KVM_RUN				KVMEMU_IO(0x80)
#define KVM_SET_SIGNAL_MASK		KVMEMU_IOW(0x8b, struct kvm_signal_mask)
#define KVM_GET_MP_STATE		KVMEMU_IOR(0x98, struct kvm_mp_state)
#define KVM_SET_MP_STATE		KVMEMU_IOW(0x99, struct kvm_mp_state)
#define KVM_SET_GUEST_DEBUG		KVMEMU_IOW(0x9b, struct kvm_guest_debug)
#define KVM_GET_VCPU_EVENTS		KVMEMU_IOR(0x9f, struct kvm_vcpu_events)
#define KVM_SET_VCPU_EVENTS		KVMEMU_IOW(0xa0, struct kvm_vcpu_events)
#define KVM_GET_ONE_REG			KVMEMU_IOW(0xab, struct kvm_one_reg)
#define KVM_SET_ONE_REG			KVMEMU_IOW(0xac, struct kvm_one_reg)
#define KVM_ARM_VCPU_INIT		KVMEMU_IOW(0xae, struct kvm_vcpu_init)
#define KVM_GET_REG_LIST		KVMEMU_IOWR(0xb0, struct kvm_reg_list)
#define KVM_ARM_VCPU_FINALIZE		KVMEMU_IOW(0xc2, int)	/* KVM_ARM_VCPU_SVE */

/* ---- VM and vCPU ---- */
#define KVM_ENABLE_CAP			KVMEMU_IOW(0xa3, struct kvm_enable_cap)
#define KVM_GET_STATS_FD		KVMEMU_IO(0xce)	/* fd */

/* ---- device; a vCPU, and /dev/kvm and a VM where offered ---- */
#define KVM_SET_DEVICE_ATTR		KVMEMU_IOW(0xe1, struct kvm_device_attr)
#define KVM_GET_DEVICE_ATTR		KVMEMU_IOW(0xe2, struct kvm_device_attr)
#define KVM_HAS_DEVICE_ATTR		KVMEMU_IOW(0xe3, struct kvm_device_attr)

/* ---- decoded in Linux's common code, refused by arm64: EINVAL ---- */
#define KVM_GET_REGS			KVMEMU_IOR(0x81, struct kvm_regs)
#define KVM_SET_REGS			KVMEMU_IOW(0x82, struct kvm_regs)
#define KVM_GET_SREGS			KVMEMU_IOR_BYTES(0x83, 0)
#define KVM_SET_SREGS			KVMEMU_IOW_BYTES(0x84, 0)
#define KVM_TRANSLATE			KVMEMU_IOWR_BYTES(0x85, 24)
#define KVM_GET_FPU			KVMEMU_IOR_BYTES(0x8c, 0)
#define KVM_SET_FPU			KVMEMU_IOW_BYTES(0x8d, 0)

/* ---- no longer in any Linux (EINVAL; KVM_TRACE_* on /dev/kvm: EOPNOTSUPP) ---- */
#define KVM_TRACE_ENABLE		KVMEMU_IOW_BYTES(0x06, 8)
#define KVM_TRACE_PAUSE			KVMEMU_IO(0x07)
#define KVM_TRACE_DISABLE		KVMEMU_IO(0x08)
#define KVM_SET_MEMORY_REGION		KVMEMU_IOW_BYTES(0x40, 24)
#define KVM_SET_MEMORY_ALIAS		KVMEMU_IOW_BYTES(0x43, 32)
#define KVM_ASSIGN_PCI_DEVICE		KVMEMU_IOR_BYTES(0x69, 64)
#define KVM_ASSIGN_IRQ			KVMEMU_IOR_BYTES(0x70, 64)
#define KVM_ASSIGN_DEV_IRQ		KVMEMU_IOW_BYTES(0x70, 64)
#define KVM_DEASSIGN_PCI_DEVICE		KVMEMU_IOW_BYTES(0x72, 64)
#define KVM_ASSIGN_SET_MSIX_NR		KVMEMU_IOW_BYTES(0x73, 8)
#define KVM_ASSIGN_SET_MSIX_ENTRY	KVMEMU_IOW_BYTES(0x74, 16)
#define KVM_DEASSIGN_DEV_IRQ		KVMEMU_IOW_BYTES(0x75, 64)
#define KVM_DEBUG_GUEST			KVMEMU_IOW_BYTES(0x87, 80)
#define KVM_ASSIGN_SET_INTX_MASK	KVMEMU_IOW_BYTES(0xa4, 64)
#define KVM_ALLOCATE_RMA		KVMEMU_IOR_BYTES(0xa9, 8)

/* ---- x86 (a few also elsewhere, none on arm64) ---- */
#define KVM_GET_MSR_INDEX_LIST		KVMEMU_IOWR_BYTES(0x02, 4)
#define KVM_GET_SUPPORTED_CPUID		KVMEMU_IOWR_BYTES(0x05, 8)
#define KVM_GET_EMULATED_CPUID		KVMEMU_IOWR_BYTES(0x09, 8)
#define KVM_GET_MSR_FEATURE_INDEX_LIST	KVMEMU_IOWR_BYTES(0x0a, 4)
#define KVM_SET_NR_MMU_PAGES		KVMEMU_IO(0x44)
#define KVM_GET_NR_MMU_PAGES		KVMEMU_IO(0x45)
#define KVM_SET_TSS_ADDR		KVMEMU_IO(0x47)
#define KVM_SET_IDENTITY_MAP_ADDR	KVMEMU_IOW_BYTES(0x48, 8)
#define KVM_GET_IRQCHIP			KVMEMU_IOWR_BYTES(0x62, 520)
#define KVM_SET_IRQCHIP			KVMEMU_IOR_BYTES(0x63, 520)
#define KVM_CREATE_PIT			KVMEMU_IO(0x64)
#define KVM_GET_PIT			KVMEMU_IOWR_BYTES(0x65, 72)
#define KVM_SET_PIT			KVMEMU_IOR_BYTES(0x66, 72)
#define KVM_REINJECT_CONTROL		KVMEMU_IO(0x71)
#define KVM_CREATE_PIT2			KVMEMU_IOW_BYTES(0x77, 64)
#define KVM_SET_BOOT_CPU_ID		KVMEMU_IO(0x78)
#define KVM_XEN_HVM_CONFIG		KVMEMU_IOW_BYTES(0x7a, 56)
#define KVM_SET_CLOCK			KVMEMU_IOW_BYTES(0x7b, 48)
#define KVM_GET_CLOCK			KVMEMU_IOR_BYTES(0x7c, 48)
#define KVM_INTERRUPT			KVMEMU_IOW_BYTES(0x86, 4)
#define KVM_GET_MSRS			KVMEMU_IOWR_BYTES(0x88, 8)
#define KVM_SET_MSRS			KVMEMU_IOW_BYTES(0x89, 8)
#define KVM_SET_CPUID			KVMEMU_IOW_BYTES(0x8a, 8)
#define KVM_GET_LAPIC			KVMEMU_IOR_BYTES(0x8e, 1024)
#define KVM_SET_LAPIC			KVMEMU_IOW_BYTES(0x8f, 1024)
#define KVM_SET_CPUID2			KVMEMU_IOW_BYTES(0x90, 8)
#define KVM_GET_CPUID2			KVMEMU_IOWR_BYTES(0x91, 8)
#define KVM_TPR_ACCESS_REPORTING	KVMEMU_IOWR_BYTES(0x92, 40)
#define KVM_SET_VAPIC_ADDR		KVMEMU_IOW_BYTES(0x93, 8)
#define KVM_NMI				KVMEMU_IO(0x9a)
#define KVM_X86_SETUP_MCE		KVMEMU_IOW_BYTES(0x9c, 8)
#define KVM_X86_GET_MCE_CAP_SUPPORTED	KVMEMU_IOR_BYTES(0x9d, 8)
#define KVM_X86_SET_MCE			KVMEMU_IOW_BYTES(0x9e, 64)
#define KVM_GET_PIT2			KVMEMU_IOR_BYTES(0x9f, 112)
#define KVM_SET_PIT2			KVMEMU_IOW_BYTES(0xa0, 112)
#define KVM_GET_DEBUGREGS		KVMEMU_IOR_BYTES(0xa1, 128)
#define KVM_SET_DEBUGREGS		KVMEMU_IOW_BYTES(0xa2, 128)
#define KVM_SET_TSC_KHZ			KVMEMU_IO(0xa2)
#define KVM_GET_TSC_KHZ			KVMEMU_IO(0xa3)
#define KVM_GET_XSAVE			KVMEMU_IOR_BYTES(0xa4, 4096)
#define KVM_SET_XSAVE			KVMEMU_IOW_BYTES(0xa5, 4096)
#define KVM_GET_XCRS			KVMEMU_IOR_BYTES(0xa6, 392)
#define KVM_SET_XCRS			KVMEMU_IOW_BYTES(0xa7, 392)
#define KVM_KVMCLOCK_CTRL		KVMEMU_IO(0xad)
/* Not for arm64's PMU, whose filter is KVM_ARM_VCPU_PMU_V3_FILTER; x86's request
 * has the size of x86's structure and so another number. */
#define KVM_SET_PMU_EVENT_FILTER	KVMEMU_IOW(0xb2, struct kvm_pmu_event_filter)
#define KVM_SMI				KVMEMU_IO(0xb7)
#define KVM_MEMORY_ENCRYPT_OP		KVMEMU_IOWR_BYTES(0xba, 8)
#define KVM_MEMORY_ENCRYPT_REG_REGION	KVMEMU_IOR_BYTES(0xbb, 16)
#define KVM_MEMORY_ENCRYPT_UNREG_REGION	KVMEMU_IOR_BYTES(0xbc, 16)
#define KVM_HYPERV_EVENTFD		KVMEMU_IOW_BYTES(0xbd, 24)
#define KVM_GET_NESTED_STATE		KVMEMU_IOWR_BYTES(0xbe, 128)
#define KVM_SET_NESTED_STATE		KVMEMU_IOW_BYTES(0xbf, 128)
#define KVM_GET_SUPPORTED_HV_CPUID	KVMEMU_IOWR_BYTES(0xc1, 8)
#define KVM_X86_SET_MSR_FILTER		KVMEMU_IOW_BYTES(0xc6, 392)
#define KVM_XEN_HVM_GET_ATTR		KVMEMU_IOWR_BYTES(0xc8, 72)
#define KVM_XEN_HVM_SET_ATTR		KVMEMU_IOW_BYTES(0xc9, 72)
#define KVM_XEN_VCPU_GET_ATTR		KVMEMU_IOWR_BYTES(0xca, 72)
#define KVM_XEN_VCPU_SET_ATTR		KVMEMU_IOW_BYTES(0xcb, 72)
#define KVM_GET_SREGS2			KVMEMU_IOR_BYTES(0xcc, 320)
#define KVM_SET_SREGS2			KVMEMU_IOW_BYTES(0xcd, 320)
#define KVM_GET_XSAVE2			KVMEMU_IOR_BYTES(0xcf, 4096)
#define KVM_XEN_HVM_EVTCHN_SEND		KVMEMU_IOW_BYTES(0xd0, 12)

/* ---- s390 ---- */
#define KVM_S390_ENABLE_SIE		KVMEMU_IO(0x06)
#define KVM_S390_UCAS_MAP		KVMEMU_IOW_BYTES(0x50, 24)
#define KVM_S390_UCAS_UNMAP		KVMEMU_IOW_BYTES(0x51, 24)
#define KVM_S390_VCPU_FAULT		KVMEMU_IOW_BYTES(0x52, 8)
#define KVM_S390_INTERRUPT		KVMEMU_IOW_BYTES(0x94, 16)
#define KVM_S390_STORE_STATUS		KVMEMU_IOW_BYTES(0x95, 8)
#define KVM_S390_SET_INITIAL_PSW	KVMEMU_IOW_BYTES(0x96, 16)
#define KVM_S390_INITIAL_RESET		KVMEMU_IO(0x97)
#define KVM_S390_MEM_OP			KVMEMU_IOW_BYTES(0xb1, 64)
#define KVM_S390_GET_SKEYS		KVMEMU_IOW_BYTES(0xb2, 64)
#define KVM_S390_SET_SKEYS		KVMEMU_IOW_BYTES(0xb3, 64)
#define KVM_S390_IRQ			KVMEMU_IOW_BYTES(0xb4, 72)
#define KVM_S390_SET_IRQ_STATE		KVMEMU_IOW_BYTES(0xb5, 32)
#define KVM_S390_GET_IRQ_STATE		KVMEMU_IOW_BYTES(0xb6, 32)
#define KVM_S390_GET_CMMA_BITS		KVMEMU_IOWR_BYTES(0xb8, 32)
#define KVM_S390_SET_CMMA_BITS		KVMEMU_IOW_BYTES(0xb9, 32)
#define KVM_S390_NORMAL_RESET		KVMEMU_IO(0xc3)
#define KVM_S390_CLEAR_RESET		KVMEMU_IO(0xc4)
#define KVM_S390_PV_COMMAND		KVMEMU_IOWR_BYTES(0xc5, 32)
#define KVM_S390_PV_CPU_COMMAND		KVMEMU_IOWR_BYTES(0xd0, 32)
#define KVM_S390_ZPCI_OP		KVMEMU_IOW_BYTES(0xd1, 72)

/* ---- ppc ---- */
#define KVM_PPC_GET_PVINFO		KVMEMU_IOW_BYTES(0xa1, 128)
#define KVM_PPC_GET_SMMU_INFO		KVMEMU_IOR_BYTES(0xa6, 592)
#define KVM_PPC_ALLOCATE_HTAB		KVMEMU_IOWR_BYTES(0xa7, 4)
#define KVM_CREATE_SPAPR_TCE		KVMEMU_IOW_BYTES(0xa8, 16)
#define KVM_CREATE_SPAPR_TCE_64		KVMEMU_IOW_BYTES(0xa8, 32)
#define KVM_DIRTY_TLB			KVMEMU_IOW_BYTES(0xaa, 16)
#define KVM_PPC_GET_HTAB_FD		KVMEMU_IOW_BYTES(0xaa, 32)
#define KVM_PPC_RTAS_DEFINE_TOKEN	KVMEMU_IOW_BYTES(0xac, 128)
#define KVM_PPC_RESIZE_HPT_PREPARE	KVMEMU_IOR_BYTES(0xad, 16)
#define KVM_PPC_RESIZE_HPT_COMMIT	KVMEMU_IOR_BYTES(0xae, 16)
#define KVM_PPC_CONFIGURE_V3_MMU	KVMEMU_IOW_BYTES(0xaf, 16)
#define KVM_PPC_GET_RMMU_INFO		KVMEMU_IOW_BYTES(0xb0, 96)
#define KVM_PPC_GET_CPU_CHAR		KVMEMU_IOR_BYTES(0xb1, 32)
#define KVM_PPC_SVM_OFF			KVMEMU_IO(0xb3)

#endif /* KVMEMU_UAPI_IOCTLS_H */
