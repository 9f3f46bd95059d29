/* SPDX-License-Identifier: MIT */
/*
 * struct kvm_run, a vCPU's page shared with KVM, and why KVM_RUN returned
 * (Linux 6.1). Included by kvmemu/uapi.h only.
 */
#ifndef KVMEMU_UAPI_RUN_H
#define KVMEMU_UAPI_RUN_H

#include <stdint.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

/* KVM_EXIT_DEBUG: ESR_EL2 and FAR_EL2 at the exit. */
struct kvm_debug_exit_arch {
	uint32_t hsr;			/* ESR_EL2 31:0 */
	uint32_t hsr_high;		/* ESR_EL2 61:32, if the flag below is set */
	uint64_t far;			/* of a watchpoint */
};

#define KVM_DEBUG_ARCH_HSR_HIGH_VALID	(1 << 0)	/* kvm_run.flags */

/* Output lines of devices in the kernel when the GIC is not
 * (KVM_CAP_ARM_USER_IRQ). */
struct kvm_sync_regs {
	uint64_t device_irq_level;	/* KVM_ARM_DEV_* */
};

#define KVM_ARM_DEV_EL1_VTIMER		(1 << 0)
#define KVM_ARM_DEV_EL1_PTIMER		(1 << 1)
#define KVM_ARM_DEV_PMU			(1 << 2)

#define SYNC_REGS_SIZE_BYTES		2048

/*
 * At offset 0 of a vCPU's mapping; KVM_GET_VCPU_MMAP_SIZE gives the length.
 * "in" is read by KVM_RUN, "out" written by it. The union's other members, of
 * other architectures, are left out; padding keeps its size.
 */
struct kvm_run {
	uint8_t request_interrupt_window;	/* x86 */
	uint8_t immediate_exit;			/* in: 1 makes KVM_RUN return EINTR */
	uint8_t padding1[6];

	uint32_t exit_reason;			/* out: KVM_EXIT_* */
	uint8_t ready_for_interrupt_injection;	/* x86 */
	uint8_t if_flag;			/* x86 */
	uint16_t flags;				/* out: KVM_DEBUG_ARCH_* */

	uint64_t cr8;				/* x86 */
	uint64_t apic_base;			/* x86 */

	union {
		struct {			/* KVM_EXIT_UNKNOWN */
			uint64_t hardware_exit_reason;
		} hw;
		struct {			/* KVM_EXIT_FAIL_ENTRY */
			uint64_t hardware_entry_failure_reason;
			uint32_t cpu;
		} fail_entry;
		struct {			/* KVM_EXIT_EXCEPTION */
			uint32_t exception;
			uint32_t error_code;
		} ex;
		struct {			/* KVM_EXIT_IO (x86) */
			uint8_t direction;	/* KVM_EXIT_IO_IN, _OUT */
			uint8_t size;
			uint16_t port;
			uint32_t count;
			uint64_t data_offset;
		} io;
		struct {			/* KVM_EXIT_DEBUG */
			struct kvm_debug_exit_arch arch;
		} debug;
		struct {			/* KVM_EXIT_MMIO */
			uint64_t phys_addr;
			uint8_t data[8];	/* out if is_write, else in */
			uint32_t len;		/* bytes */
			uint8_t is_write;
		} mmio;
		struct {			/* KVM_EXIT_HYPERCALL */
			uint64_t nr;
			uint64_t args[6];
			uint64_t ret;
			uint32_t longmode;
			uint32_t pad;
		} hypercall;
		struct {			/* KVM_EXIT_INTERNAL_ERROR */
			uint32_t suberror;	/* KVM_INTERNAL_ERROR_* */
			uint32_t ndata;
			uint64_t data[16];
		} internal;
		struct {			/* KVM_EXIT_SYSTEM_EVENT */
			uint32_t type;		/* KVM_SYSTEM_EVENT_* */
			uint32_t ndata;		/* KVM_CAP_SYSTEM_EVENT_DATA */
			union {
				uint64_t flags;
				uint64_t data[16];
			};
		} system_event;
		struct {			/* KVM_EXIT_ARM_NISV */
			uint64_t esr_iss;	/* ESR_EL2 24:0, no valid ISS */
			uint64_t fault_ipa;
		} arm_nisv;
		char padding[256];
	};

	uint64_t kvm_valid_regs;		/* s390, x86 */
	uint64_t kvm_dirty_regs;		/* s390, x86 */
	union {
		struct kvm_sync_regs regs;
		char padding[SYNC_REGS_SIZE_BYTES];
	} s;
};

#pragma GCC diagnostic pop

/* kvm_run.exit_reason. arm64 sets UNKNOWN, DEBUG, MMIO, FAIL_ENTRY, INTR,
 * INTERNAL_ERROR, SYSTEM_EVENT and ARM_NISV (6.1). */
#define KVM_EXIT_UNKNOWN		0
#define KVM_EXIT_EXCEPTION		1
#define KVM_EXIT_IO			2
#define KVM_EXIT_HYPERCALL		3
#define KVM_EXIT_DEBUG			4
#define KVM_EXIT_HLT			5
#define KVM_EXIT_MMIO			6
#define KVM_EXIT_IRQ_WINDOW_OPEN	7
#define KVM_EXIT_SHUTDOWN		8
#define KVM_EXIT_FAIL_ENTRY		9
#define KVM_EXIT_INTR			10
#define KVM_EXIT_SET_TPR		11
#define KVM_EXIT_TPR_ACCESS		12
#define KVM_EXIT_S390_SIEIC		13
#define KVM_EXIT_S390_RESET		14
#define KVM_EXIT_DCR			15
#define KVM_EXIT_NMI			16
#define KVM_EXIT_INTERNAL_ERROR		17
#define KVM_EXIT_OSI			18
#define KVM_EXIT_PAPR_HCALL		19
#define KVM_EXIT_S390_UCONTROL		20
#define KVM_EXIT_WATCHDOG		21
#define KVM_EXIT_S390_TSCH		22
#define KVM_EXIT_EPR			23
#define KVM_EXIT_SYSTEM_EVENT		24
#define KVM_EXIT_S390_STSI		25
#define KVM_EXIT_IOAPIC_EOI		26
#define KVM_EXIT_HYPERV			27
#define KVM_EXIT_ARM_NISV		28
#define KVM_EXIT_X86_RDMSR		29
#define KVM_EXIT_X86_WRMSR		30
#define KVM_EXIT_DIRTY_RING_FULL	31
#define KVM_EXIT_AP_RESET_HOLD		32
#define KVM_EXIT_X86_BUS_LOCK		33
#define KVM_EXIT_XEN			34
#define KVM_EXIT_RISCV_SBI		35
#define KVM_EXIT_RISCV_CSR		36
#define KVM_EXIT_NOTIFY			37

/* kvm_run.fail_entry.hardware_entry_failure_reason: run on a physical CPU that
 * lacks what the vCPU was given (a PMU, 32-bit EL1) */
#define KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED	(1ULL << 0)

/* kvm_run.io.direction; kvm_run.hyperv.type; kvm_run.xen.type */
#define KVM_EXIT_IO_IN			0
#define KVM_EXIT_IO_OUT			1
#define KVM_EXIT_HYPERV_SYNIC		1
#define KVM_EXIT_HYPERV_HCALL		2
#define KVM_EXIT_HYPERV_SYNDBG		3
#define KVM_EXIT_XEN_HCALL		1

/* kvm_run.internal.suberror */
#define KVM_INTERNAL_ERROR_EMULATION			1
#define KVM_INTERNAL_ERROR_SIMUL_EX			2
#define KVM_INTERNAL_ERROR_DELIVERY_EV			3
#define KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON	4
#define KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES (1ULL << 0)

/* kvm_run.system_event.type. On arm64: a PSCI call of the guest. */
#define KVM_SYSTEM_EVENT_SHUTDOWN	1	/* SYSTEM_OFF */
#define KVM_SYSTEM_EVENT_RESET		2	/* SYSTEM_RESET, SYSTEM_RESET2 */
#define KVM_SYSTEM_EVENT_CRASH		3
#define KVM_SYSTEM_EVENT_WAKEUP		4	/* a SUSPENDED vCPU has an interrupt */
#define KVM_SYSTEM_EVENT_SUSPEND	5	/* SYSTEM_SUSPEND */
#define KVM_SYSTEM_EVENT_SEV_TERM	6
#define KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2	(1ULL << 0)	/* data[0] */

#endif /* KVMEMU_UAPI_RUN_H */
