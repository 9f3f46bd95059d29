/* SPDX-License-Identifier: MIT */
/*
 * Structures that KVM/arm64's ioctls take, with the constants of their fields
 * (Linux 6.1). Included by kvmemu/uapi.h only. struct kvm_run is in run.h.
 *
 * Left out: structures of other architectures, and kvm_sregs and kvm_fpu, which
 * are empty on arm64 (KVM_GET_SREGS and its like answer EINVAL).
 */
#ifndef KVMEMU_UAPI_STRUCTS_H
#define KVMEMU_UAPI_STRUCTS_H

#include <stdint.h>

/* Flexible arrays, 128-bit integers and types within unions: Linux's layout,
 * but extensions to a compiler that was told -pedantic. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

/* ---- memory ---- */

/* KVM_SET_USER_MEMORY_REGION. Sizes and addresses in bytes, page aligned;
 * memory_size 0 deletes the slot. */
struct kvm_userspace_memory_region {
	uint32_t slot;			/* 15:0 slot, 31:16 address space (arm64: 0) */
	uint32_t flags;			/* KVM_MEM_* */
	uint64_t guest_phys_addr;	/* IPA */
	uint64_t memory_size;
	uint64_t userspace_addr;
};

#define KVM_MEM_LOG_DIRTY_PAGES		(1UL << 0)
#define KVM_MEM_READONLY		(1UL << 1)	/* KVM_CAP_READONLY_MEM */

/* KVM_GET_DIRTY_LOG: one bit a page, rounded up to 64 bits. */
struct kvm_dirty_log {
	uint32_t slot;
	uint32_t padding1;
	union {
		void *dirty_bitmap;
		uint64_t padding2;
	};
};

/* KVM_CLEAR_DIRTY_LOG. first_page is a multiple of 64, as num_pages is unless
 * the range ends with the slot. */
struct kvm_clear_dirty_log {
	uint32_t slot;
	uint32_t num_pages;
	uint64_t first_page;
	union {
		void *dirty_bitmap;
		uint64_t padding2;
	};
};

/* args[0] of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 */
#define KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE	(1 << 0)
#define KVM_DIRTY_LOG_INITIALLY_SET		(1 << 1)

/* An entry of a vCPU's dirty ring (not offered by KVM/arm64 in 6.1). */
struct kvm_dirty_gfn {
	uint32_t flags;			/* KVM_DIRTY_GFN_F_* */
	uint32_t slot;			/* as in kvm_userspace_memory_region */
	uint64_t offset;		/* pages from the start of the slot */
};

#define KVM_DIRTY_GFN_F_DIRTY		(1UL << 0)	/* set by KVM */
#define KVM_DIRTY_GFN_F_RESET		(1UL << 1)	/* set by the VMM: collected */
#define KVM_DIRTY_GFN_F_MASK		0x3
#define KVM_DIRTY_LOG_PAGE_OFFSET	0		/* pages; 0: no ring */

/* KVM_(UN)REGISTER_COALESCED_MMIO: writes to [addr, addr + size) are queued. */
struct kvm_coalesced_mmio_zone {
	uint64_t addr;
	uint32_t size;			/* bytes */
	union {
		uint32_t pad;
		uint32_t pio;		/* 1: port I/O (x86) */
	};
};

struct kvm_coalesced_mmio {
	uint64_t phys_addr;
	uint32_t len;			/* bytes */
	union {
		uint32_t pad;
		uint32_t pio;
	};
	uint8_t data[8];
};

/* The page at KVM_COALESCED_MMIO_PAGE_OFFSET of a vCPU's mapping. */
struct kvm_coalesced_mmio_ring {
	uint32_t first, last;		/* next to read; next to be written */
	struct kvm_coalesced_mmio coalesced_mmio[];
};

#define KVM_COALESCED_MMIO_PAGE_OFFSET	1		/* pages */

/* Entries in a ring. Linux's KVM_COALESCED_MMIO_MAX, which wants PAGE_SIZE. */
#define KVMEMU_COALESCED_MMIO_MAX(page_bytes) \
	(((page_bytes) - sizeof(struct kvm_coalesced_mmio_ring)) / \
	 sizeof(struct kvm_coalesced_mmio))

/* KVM_ARM_MTE_COPY_TAGS. Allocation tags, one a byte, for 16 bytes of memory
 * each; guest_ipa and length are page aligned. */
struct kvm_arm_copy_mte_tags {
	uint64_t guest_ipa;
	uint64_t length;		/* bytes of guest memory */
	void *addr;			/* length / 16 bytes */
	uint64_t flags;			/* direction, one of the two below */
	uint64_t reserved[2];
};

#define KVM_ARM_TAGS_TO_GUEST		0
#define KVM_ARM_TAGS_FROM_GUEST		1

/* ---- vCPU ---- */

/* KVM_ARM_VCPU_INIT, KVM_ARM_PREFERRED_TARGET. Feature n (KVM_ARM_VCPU_*) is
 * bit n % 32 of features[n / 32]. */
struct kvm_vcpu_init {
	uint32_t target;		/* KVM_ARM_TARGET_* */
	uint32_t features[7];
};

struct kvm_mp_state {
	uint32_t mp_state;		/* KVM_MP_STATE_* */
};

/* arm64 knows RUNNABLE, STOPPED (powered off) and SUSPENDED. */
#define KVM_MP_STATE_RUNNABLE		0
#define KVM_MP_STATE_UNINITIALIZED	1
#define KVM_MP_STATE_INIT_RECEIVED	2
#define KVM_MP_STATE_HALTED		3
#define KVM_MP_STATE_SIPI_RECEIVED	4
#define KVM_MP_STATE_STOPPED		5
#define KVM_MP_STATE_CHECK_STOP		6
#define KVM_MP_STATE_OPERATING		7
#define KVM_MP_STATE_LOAD		8
#define KVM_MP_STATE_AP_RESET_HOLD	9
#define KVM_MP_STATE_SUSPENDED		10

/* KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS */
struct kvm_vcpu_events {
	struct {
		uint8_t serror_pending;
		uint8_t serror_has_esr;		/* KVM_CAP_ARM_INJECT_SERROR_ESR */
		uint8_t ext_dabt_pending;	/* set only; reads as 0 */
		uint8_t pad[5];
		uint64_t serror_esr;		/* ESR_EL1 to be: bits 24:0 */
	} exception;
	uint32_t reserved[12];
};

#define KVM_ARM_MAX_DBG_REGS		16

/* Breakpoint and watchpoint controls and values: DBGBCR<n>_EL1 and so on. */
struct kvm_guest_debug_arch {
	uint64_t dbg_bcr[KVM_ARM_MAX_DBG_REGS];
	uint64_t dbg_bvr[KVM_ARM_MAX_DBG_REGS];
	uint64_t dbg_wcr[KVM_ARM_MAX_DBG_REGS];
	uint64_t dbg_wvr[KVM_ARM_MAX_DBG_REGS];
};

struct kvm_guest_debug {
	uint32_t control;		/* KVM_GUESTDBG_* */
	uint32_t pad;
	struct kvm_guest_debug_arch arch;
};

#define KVM_GUESTDBG_ENABLE		0x00000001
#define KVM_GUESTDBG_SINGLESTEP		0x00000002
#define KVM_GUESTDBG_USE_SW_BP		(1 << 16)	/* BRK exits to the VMM */
#define KVM_GUESTDBG_USE_HW		(1 << 17)	/* use struct ..._arch */

/* KVM_SET_SIGNAL_MASK. len is 8; a null argument takes the mask away. */
struct kvm_signal_mask {
	uint32_t len;			/* bytes of sigset */
	uint8_t sigset[];
};

/* ---- registers ---- */

/* KVM_GET_ONE_REG, KVM_SET_ONE_REG */
struct kvm_one_reg {
	uint64_t id;			/* KVM_REG_*; bits 55:52 give the size */
	uint64_t addr;			/* of the value, in the caller's memory */
};

/* KVM_GET_REG_LIST. n in: room; n out: registers there are (E2BIG if more). */
struct kvm_reg_list {
	uint64_t n;
	uint64_t reg[];
};

__extension__ typedef unsigned __int128 kvmemu_uint128;

/* struct user_pt_regs and struct user_fpsimd_state of <asm/ptrace.h>, under
 * names that do not clash with it: <signal.h> may have drawn it in. */
struct kvmemu_user_pt_regs {
	uint64_t regs[31];		/* X0..X30 */
	uint64_t sp;			/* SP_EL0 */
	uint64_t pc;
	uint64_t pstate;
};

struct kvmemu_user_fpsimd_state {
	kvmemu_uint128 vregs[32];	/* V0..V31 */
	uint32_t fpsr;
	uint32_t fpcr;
	uint32_t __reserved[2];
};

#define KVM_SPSR_EL1			0
#define KVM_SPSR_SVC			KVM_SPSR_EL1
#define KVM_SPSR_ABT			1
#define KVM_SPSR_UND			2
#define KVM_SPSR_IRQ			3
#define KVM_SPSR_FIQ			4
#define KVM_NR_SPSR			5

/* The core registers. Never passed whole: an offset in here, in 32-bit words, is
 * the number of a core register. See KVM_REG_ARM_CORE_REG(). */
struct kvm_regs {
	struct kvmemu_user_pt_regs regs;
	uint64_t sp_el1;
	uint64_t elr_el1;
	uint64_t spsr[KVM_NR_SPSR];	/* KVM_SPSR_*: EL1, then AArch32 modes */
	struct kvmemu_user_fpsimd_state fp_regs;
};

/* ---- interrupts ---- */

/* KVM_IRQ_LINE: irq packed by KVM_ARM_IRQ_* (devices.h). KVM_IRQ_LINE_STATUS
 * takes the same and stores status over irq; arm64 leaves irq as it was. */
struct kvm_irq_level {
	union {
		uint32_t irq;
		int32_t status;
	};
	uint32_t level;			/* 0 or 1 */
};

/* KVM_SIGNAL_MSI */
struct kvm_msi {
	uint32_t address_lo;
	uint32_t address_hi;
	uint32_t data;			/* EventID */
	uint32_t flags;			/* KVM_MSI_VALID_DEVID */
	uint32_t devid;			/* DeviceID */
	uint8_t pad[12];
};

#define KVM_MSI_VALID_DEVID		(1U << 0)	/* KVM_CAP_MSI_DEVID */

struct kvm_irqfd {
	uint32_t fd;			/* an eventfd */
	uint32_t gsi;
	uint32_t flags;			/* KVM_IRQFD_FLAG_* */
	uint32_t resamplefd;		/* an eventfd, signalled at EOI */
	uint8_t pad[16];
};

#define KVM_IRQFD_FLAG_DEASSIGN		(1 << 0)
#define KVM_IRQFD_FLAG_RESAMPLE		(1 << 1)	/* level; KVM_CAP_IRQFD_RESAMPLE */

struct kvm_ioeventfd {
	uint64_t datamatch;
	uint64_t addr;
	uint32_t len;			/* bytes: 1, 2, 4, 8, or 0 for any */
	int32_t fd;
	uint32_t flags;			/* KVM_IOEVENTFD_FLAG_* */
	uint8_t pad[36];
};

#define KVM_IOEVENTFD_FLAG_DATAMATCH	(1 << 0)
#define KVM_IOEVENTFD_FLAG_PIO		(1 << 1)	/* x86 */
#define KVM_IOEVENTFD_FLAG_DEASSIGN	(1 << 2)
#define KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY (1 << 3)	/* s390 */
#define KVM_IOEVENTFD_VALID_FLAG_MASK	((1 << 5) - 1)	/* bit 4: internal to Linux */

struct kvm_irq_routing_irqchip {
	uint32_t irqchip;		/* 0: the vGIC */
	uint32_t pin;			/* SPI: INTID - 32 */
};

struct kvm_irq_routing_msi {
	uint32_t address_lo;
	uint32_t address_hi;
	uint32_t data;			/* EventID */
	union {
		uint32_t pad;
		uint32_t devid;		/* with KVM_MSI_VALID_DEVID in entry.flags */
	};
};

/* s390's; here because it gives the union below its alignment. */
struct kvm_irq_routing_s390_adapter {
	uint64_t ind_addr;
	uint64_t summary_addr;
	uint64_t ind_offset;
	uint32_t summary_offset;
	uint32_t adapter_id;
};

struct kvm_irq_routing_entry {
	uint32_t gsi;
	uint32_t type;			/* KVM_IRQ_ROUTING_* */
	uint32_t flags;
	uint32_t pad;
	union {
		struct kvm_irq_routing_irqchip irqchip;
		struct kvm_irq_routing_msi msi;
		struct kvm_irq_routing_s390_adapter adapter;
		uint32_t pad[8];
	} u;
};

/* KVM_SET_GSI_ROUTING: replaces the whole table. */
struct kvm_irq_routing {
	uint32_t nr;
	uint32_t flags;
	struct kvm_irq_routing_entry entries[];
};

/* arm64 takes the first two. */
#define KVM_IRQ_ROUTING_IRQCHIP		1
#define KVM_IRQ_ROUTING_MSI		2
#define KVM_IRQ_ROUTING_S390_ADAPTER	3
#define KVM_IRQ_ROUTING_HV_SINT		4
#define KVM_IRQ_ROUTING_XEN_EVTCHN	5
#define KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL	((uint32_t)(-1))

/* ---- devices, capabilities ---- */

struct kvm_create_device {
	uint32_t type;			/* KVM_DEV_TYPE_* */
	uint32_t fd;			/* out */
	uint32_t flags;			/* 0 or KVM_CREATE_DEVICE_TEST */
};

#define KVM_CREATE_DEVICE_TEST		1	/* only ask whether it could be made */

/* KVM_{SET,GET,HAS}_DEVICE_ATTR, on device, vCPU, VM and system descriptors */
struct kvm_device_attr {
	uint32_t flags;			/* 0 */
	uint32_t group;
	uint64_t attr;
	uint64_t addr;			/* of the value; its width belongs to the attribute */
};

/* KVM_ARM_SET_DEVICE_ADDR; replaced by KVM_DEV_ARM_VGIC_GRP_ADDR */
struct kvm_arm_device_addr {
	uint64_t id;			/* KVM_ARM_DEVICE_*_SHIFT */
	uint64_t addr;			/* IPA */
};

struct kvm_enable_cap {
	uint32_t cap;			/* KVM_CAP_* */
	uint32_t flags;			/* 0 */
	uint64_t args[4];
	uint8_t pad[64];
};

/* KVM_ARM_VCPU_PMU_V3_FILTER: a range of PMU events. The first filter set says
 * what becomes of the other events: the opposite of its action. */
struct kvm_pmu_event_filter {
	uint16_t base_event;
	uint16_t nevents;
	uint8_t action;
	uint8_t pad[3];
};

#define KVM_PMU_EVENT_ALLOW		0
#define KVM_PMU_EVENT_DENY		1

/* ---- statistics: what read() of KVM_GET_STATS_FD's descriptor finds ---- */

/* At offset 0. The other members are offsets in the file, in bytes. */
struct kvm_stats_header {
	uint32_t flags;			/* 0 */
	uint32_t name_size;		/* bytes of name in each descriptor */
	uint32_t num_desc;
	uint32_t id_offset;		/* a string, name_size bytes: kvm-PID/vcpu-N */
	uint32_t desc_offset;
	uint32_t data_offset;		/* uint64_t values */
};

/* One unit is base^exponent of what flags name. */
struct kvm_stats_desc {
	uint32_t flags;			/* type | unit | base, KVM_STATS_* */
	int16_t exponent;
	uint16_t size;			/* values: 1, or a histogram's buckets */
	uint32_t offset;		/* bytes from data_offset */
	uint32_t bucket_size;		/* of a linear histogram */
	char name[];
};

#define KVM_STATS_TYPE_SHIFT		0
#define KVM_STATS_TYPE_MASK		(0xF << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_CUMULATIVE	(0x0 << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_INSTANT		(0x1 << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_PEAK		(0x2 << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_LINEAR_HIST	(0x3 << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_LOG_HIST		(0x4 << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_MAX		KVM_STATS_TYPE_LOG_HIST

#define KVM_STATS_UNIT_SHIFT		4
#define KVM_STATS_UNIT_MASK		(0xF << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_NONE		(0x0 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_BYTES		(0x1 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_SECONDS		(0x2 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_CYCLES		(0x3 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_BOOLEAN		(0x4 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_MAX		KVM_STATS_UNIT_BOOLEAN

#define KVM_STATS_BASE_SHIFT		8
#define KVM_STATS_BASE_MASK		(0xF << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_POW10		(0x0 << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_POW2		(0x1 << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_MAX		KVM_STATS_BASE_POW2

#pragma GCC diagnostic pop

#endif /* KVMEMU_UAPI_STRUCTS_H */
