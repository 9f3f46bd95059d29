/* SPDX-License-Identifier: MIT */
/*
 * kvmemu: Linux's KVM/arm64 state interface in user space. The C interface.
 *
 * A file stands for one of KVM's descriptors: the system (/dev/kvm), a VM, a vCPU, a device, statistics. Every operation
 * on it is an ioctl with KVM's own request numbers and structures (kvmemu/uapi.h), and answers as Linux 6.1 would.
 *
 * Results: functions return >= 0, or a negative errno; they never set errno, print, or exit. All of them may be called
 * from any thread. Objects live as Linux's do: a VM until its last VM, vCPU, device or statistics file is closed.
 * A caller's pointer that cannot be read or written gives -EFAULT, on every path.
 */
#ifndef KVMEMU_H
#define KVMEMU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KVMEMU_API __attribute__((visibility("default")))

struct kvmemu_host;
struct kvmemu_file;

/*
 * Hosts: which machine is modelled. A host is immutable and may be shared by any number of systems.
 */

/* The number of built-in hosts, and the name of one of them (NULL past the end). The first is the default. */
KVMEMU_API size_t kvmemu_host_count(void);
KVMEMU_API const char *kvmemu_host_name(size_t n);

/*
 * Finds a host: a built-in one by name, or, where the name holds a '/', a host description file (see
 * docs/host-profiles.md). NULL or "" is the default. Returns 0, -ENOENT (no such name), -EINVAL (not a host
 * description), or what open(2) and read(2) gave. Release with kvmemu_host_put().
 */
KVMEMU_API int kvmemu_host_get(const char *name, struct kvmemu_host **host);

/*
 * Parses a host description of len bytes. On -EINVAL, why (if not NULL, why_len bytes) says in words which line is
 * wrong and how.
 */
KVMEMU_API int kvmemu_host_parse(const char *text, size_t len, struct kvmemu_host **host, char *why, size_t why_len);
KVMEMU_API void kvmemu_host_put(struct kvmemu_host *host);

/* The text a built-in host was made from, without a final NUL counted in len. NULL if there is no such host. */
KVMEMU_API const char *kvmemu_host_text(const char *name, size_t *len);

/*
 * Files. kvmemu_open() is open("/dev/kvm"): a system on this host, with a counter of its own.
 */
KVMEMU_API int kvmemu_open(struct kvmemu_host *host, struct kvmemu_file **system);

/*
 * ioctl(2) on a file. A request that creates a descriptor (KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_CREATE_DEVICE,
 * KVM_GET_STATS_FD) stores the new file in *created and returns 0; with created == NULL it fails with -EMFILE and
 * creates nothing.
 */
KVMEMU_API long kvmemu_ioctl(struct kvmemu_file *file, unsigned long request, unsigned long arg,
			     struct kvmemu_file **created);

/*
 * Several calls on one file in one crossing, in order, each with its own result; all are made, whatever the results are.
 * A request that creates a descriptor fails with -EMFILE. Returns 0, or -EFAULT where a row cannot be read or written.
 */
struct kvmemu_call {
	uint64_t request;
	uint64_t arg;
	int64_t result;
};

KVMEMU_API int kvmemu_ioctls(struct kvmemu_file *file, struct kvmemu_call *calls, size_t n);

/* One more reference to a file, as dup(2) makes; each is given back with kvmemu_close(). */
KVMEMU_API struct kvmemu_file *kvmemu_dup(struct kvmemu_file *file);
KVMEMU_API void kvmemu_close(struct kvmemu_file *file);

/*
 * The shared pages of a vCPU: struct kvm_run, then the coalesced MMIO ring. They live as long as the vCPU's VM.
 * Async-signal-safe, for the handler that sets immediate_exit. Returns 0, -EINVAL if the file is not a vCPU, or -ENOMEM.
 */
KVMEMU_API int kvmemu_run(struct kvmemu_file *vcpu, void **run, size_t *bytes);

/*
 * pread(2), which only statistics files have: bytes read, 0 at the end. -EINVAL for a negative offset or a system,
 * -ESPIPE for a VM, a vCPU or a device.
 */
KVMEMU_API long kvmemu_read(struct kvmemu_file *file, void *buf, size_t len, int64_t offset);

/*
 * Reads or writes n registers of a vCPU in one call. ids: n register ids. values: the registers' values one after
 * another, each as long as its id says, without padding, values_bytes in all. Stops at the first error: *done is the
 * number of registers read or written, and the result is that register's errno. -EINVAL if the file is not a vCPU,
 * -E2BIG if the values end before the ids do.
 */
KVMEMU_API int kvmemu_get_regs(struct kvmemu_file *vcpu, const uint64_t *ids, size_t n, void *values,
			       size_t values_bytes, size_t *done);
KVMEMU_API int kvmemu_set_regs(struct kvmemu_file *vcpu, const uint64_t *ids, size_t n, const void *values,
			       size_t values_bytes, size_t *done);

/*
 * One register without the indirection of struct kvm_one_reg: what KVM_GET_ONE_REG and KVM_SET_ONE_REG do. Get returns
 * the register's bytes (at most 256, stored to value; -E2BIG if room is less), set 0; or -errno. -EINVAL if the file is
 * not a vCPU.
 */
KVMEMU_API long kvmemu_get_reg(struct kvmemu_file *vcpu, uint64_t id, void *value, size_t room);
KVMEMU_API long kvmemu_set_reg(struct kvmemu_file *vcpu, uint64_t id, const void *value);

/*
 * KVM_IRQ_LINE without the indirection of struct kvm_irq_level; irq has the interrupt's type, vCPU and number as there.
 * Returns 0 or -errno.
 */
KVMEMU_API long kvmemu_irq_line(struct kvmemu_file *vm, uint32_t irq, uint32_t level);

/*
 * Device attributes many at a time: reads or writes n attributes of one group of a device in one call, with the locks
 * taken once. values: their values one after another, without padding, each as long as the group's attributes are: 4
 * bytes for registers of frames and line levels, 8 for system registers. Each attribute is checked as KVM_GET_DEVICE_ATTR
 * and KVM_SET_DEVICE_ATTR do. Stops at the first error: *done is the number of attributes read or written, and the result
 * is that attribute's errno. -E2BIG if the values end before the attributes do, -ENXIO if the device has no such group,
 * -EINVAL for a group that is no registers, and if the file is not a device.
 */
KVMEMU_API int kvmemu_get_attrs(struct kvmemu_file *device, uint32_t group, const uint64_t *attrs, size_t n,
				void *values, size_t values_bytes, size_t *done);
KVMEMU_API int kvmemu_set_attrs(struct kvmemu_file *device, uint32_t group, const uint64_t *attrs, size_t n,
				const void *values, size_t values_bytes, size_t *done);

/*
 * One interrupt of a VM's GIC as it is inside, which KVM's interface shows in parts only. file: of the VM, or of a vCPU
 * or device of it. vcpu_id: whose, for private interrupts. 0, -ENXIO without an initialised GIC, -ENOENT if there is no
 * such vCPU or interrupt, -EINVAL for other files.
 */
struct kvmemu_gic_irq {
	uint32_t intid;
	uint8_t enabled;
	uint8_t latch;		/* pending: by an edge, or by a register */
	uint8_t line;		/* the input's level */
	uint8_t pending;	/* to the guest: the latch, or the line of a level-triggered one */
	uint8_t active;
	uint8_t edge;		/* triggered by edges; else by level */
	uint8_t group;
	uint8_t hw;		/* mapped to an interrupt of the host */
	uint8_t owned;		/* a device in the kernel is its source, and nobody else may be */
	uint8_t priority;
	uint8_t targets;	/* GICv2: mask of CPU interfaces */
	uint8_t sources;	/* GICv2 SGIs: mask of the senders */
	uint8_t active_source;	/* GICv2 SGIs: the sender of the active one */
	uint32_t mpidr;		/* GICv3: affinity it is routed to */
	int32_t target;		/* id of the vCPU it goes to next; -1: none */
	int32_t queued;		/* id of the vCPU that has it on its list; -1: none */
};

KVMEMU_API int kvmemu_gic_irq(struct kvmemu_file *file, uint32_t vcpu_id, uint32_t intid, struct kvmemu_gic_irq *out);

/*
 * Registers of a GIC by name and by offset. version: 2 or 3, the guest's. Finds the register that an offset is in or, if
 * there is none, the next one after it, so that they may be listed. 0, -ENOENT past the last one, -EINVAL for a version or
 * frame that there is not.
 */
/*
 * What is part of a saved VM, and in which order it is restored. KVMEMU_RESTORE_NOT: a constant, or another view of what
 * is saved already.
 */
enum kvmemu_gic_restore {
	KVMEMU_RESTORE_NOT,
	KVMEMU_RESTORE_REVISION,	/* chooses the behaviour of the rest */
	KVMEMU_RESTORE_CONTROL,		/* what is pending is queued only while the distributor is on */
	KVMEMU_RESTORE_TABLES,		/* addresses of tables: KVM corrects what is written, even a value it gave */
	KVMEMU_RESTORE_CONFIG,		/* where interrupts go, and what they are: they are queued there */
	KVMEMU_RESTORE_STATE,
	KVMEMU_RESTORE_SGI_SOURCES,	/* after the pending state, which makes the receiver a sender */
};

enum kvmemu_gic_frame { KVMEMU_GICD, KVMEMU_GICR, KVMEMU_GICC, KVMEMU_ICC };

struct kvmemu_gic_reg {
	char name[24];		/* GICD_ISENABLER1 */
	uint32_t offset;	/* in the frame; of KVMEMU_ICC, the encoding as in KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS */
	uint32_t bytes;		/* 4 or 8; attributes of frames are of 4 */
	uint32_t bits_per_intid;	/* of the field of each interrupt; 0: there are none */
	uint32_t intid;		/* that the first field is for */
	uint32_t restore;	/* enum kvmemu_gic_restore */
	uint32_t cleared_by;	/* the register to write ones to before that; 0: writing restores it as a whole */
};

KVMEMU_API int kvmemu_gic_reg_from(int version, int frame, uint32_t offset, struct kvmemu_gic_reg *reg);

/*
 * The guest: what KVM_RUN enters. Without one a vCPU waits in WFI for ever.
 *
 * A guest is a function that executes instructions by the operations below, on the thread that is in KVM_RUN. It is called
 * with the vCPU in the guest; where it returns, it is called again, and goes on. An operation returns
 *
 *    0               the instruction was executed,
 *    KVMEMU_LEAVE    the guest has to be left first: for user space (MMIO, a PSCI call), to wait, for a signal. Return at
 *                    once, and execute the same instruction first when called again; it then completes. Until then no
 *                    operation has an effect. Any operation may return this before it did anything.
 *    -ENOENT         there is no such register: the instruction is UNDEFINED,
 *    -EFAULT         user space answered the access with an external abort,
 *    -EINVAL         not an access there is: bytes is 1, 2, 4 or 8, and the address a multiple of it.
 *
 * What a guest keeps in the vCPU's registers or in guest memory is saved and restored with the VM; what it keeps in
 * context is its own.
 */
struct kvmemu_cpu;
typedef void kvmemu_guest(struct kvmemu_cpu *cpu, void *context);

#define KVMEMU_LEAVE 1

/*
 * Gives a vCPU its guest; NULL takes it away. 0; -EINVAL if the file is not a vCPU. Waits for a KVM_RUN that is under way.
 */
KVMEMU_API int kvmemu_set_guest(struct kvmemu_file *vcpu, kvmemu_guest *guest, void *context);

/*
 * A guest goes on elsewhere: to's vCPU takes over from's guest, with what of the instruction it stands at is done already,
 * and from has none any more. For a VM that was saved and restored in between. Neither may be in KVM_RUN: EBUSY. EINVAL if
 * one is not a vCPU, or both are the same.
 */
KVMEMU_API int kvmemu_move_guest(struct kvmemu_file *from, struct kvmemu_file *to);

/*
 * MRS and MSR, by op0:op1:CRn:CRm:op2 as in KVM_REG_ARM64_SYSREG ids (the lower 16 bits of such an id). ICC_* and CNT* are
 * the hardware's; others trap, or are the vCPU's.
 */
KVMEMU_API int kvmemu_cpu_read_sysreg(struct kvmemu_cpu *cpu, uint16_t encoding, uint64_t *value);
KVMEMU_API int kvmemu_cpu_write_sysreg(struct kvmemu_cpu *cpu, uint16_t encoding, uint64_t value);

/* A load or store at an IPA: memory, the GIC's frames, ioeventfds, and what is left ends KVM_RUN with KVM_EXIT_MMIO. */
KVMEMU_API int kvmemu_cpu_load(struct kvmemu_cpu *cpu, uint64_t ipa, uint32_t bytes, uint64_t *value);
KVMEMU_API int kvmemu_cpu_store(struct kvmemu_cpu *cpu, uint64_t ipa, uint32_t bytes, uint64_t value);

/* Completes when the vCPU has an interrupt to take, masked or not. */
KVMEMU_API int kvmemu_cpu_wfi(struct kvmemu_cpu *cpu);

/* HVC #0 and SMC #0: function and arguments in x0 and up, results there too (Arm DEN0028, SMC Calling Convention). */
KVMEMU_API int kvmemu_cpu_hvc(struct kvmemu_cpu *cpu);
KVMEMU_API int kvmemu_cpu_smc(struct kvmemu_cpu *cpu);

/* For a guest that has nothing left to do: it waits, whatever interrupts there are, and KVM_RUN with it. */
KVMEMU_API int kvmemu_cpu_idle(struct kvmemu_cpu *cpu);

/* KVM_RUN ends, with an exit reason of KVM_EXIT_*: for an engine that cannot go on. */
KVMEMU_API int kvmemu_cpu_exit(struct kvmemu_cpu *cpu, uint32_t exit_reason);

/*
 * What is asserted to the CPU: bit 0 IRQ, bit 1 FIQ. It cannot say KVMEMU_LEAVE: where the guest has to be left, as the next
 * operation tells, only what user space asserts. A read of ISR_EL1 (bits 7 and 6) has no such case.
 */
KVMEMU_API unsigned int kvmemu_cpu_lines(struct kvmemu_cpu *cpu);

/* x0 to x30, as KVM_GET_ONE_REG reads them outside of KVM_RUN; and the PC, which is the guest's to move. */
KVMEMU_API uint64_t *kvmemu_cpu_x(struct kvmemu_cpu *cpu);
KVMEMU_API uint64_t *kvmemu_cpu_pc(struct kvmemu_cpu *cpu);

/* How often PSCI CPU_ON has reset this vCPU: a guest that has its place elsewhere than in the PC starts again then. */
KVMEMU_API unsigned int kvmemu_cpu_resets(const struct kvmemu_cpu *cpu);

/*
 * Whether the operation that answered KVMEMU_LEAVE has been done meanwhile, so that the next one of its kind is that one's
 * end; else it has had no effect, and a guest that goes elsewhere by then may leave it.
 */
KVMEMU_API int kvmemu_cpu_is_begun(const struct kvmemu_cpu *cpu);

/*
 * Interrupts of the host that a guest deactivates itself: a guest's PPI or SPI is mapped to an SPI of the host, whose line a
 * device of the host drives. The host's is then active until the guest deactivates its own, and comes again if its line is
 * still up, or has risen again. KVM does so for drivers in the kernel; user space has no call for it.
 *
 * Map: EAGAIN before the GIC is initialised, EINVAL for interrupts that are not such, EEXIST if the guest's is mapped or
 * owned already, EBUSY if the host's is mapped, or the guest's is pending or active. Unmap: ENOENT; EBUSY while it is
 * pending or active. For vcpu: -EINVAL if the file is not a vCPU; an SPI belongs to the VM, whichever vCPU is given.
 */
KVMEMU_API int kvmemu_map_irq(struct kvmemu_file *vcpu, uint32_t intid, uint32_t host_intid);
KVMEMU_API int kvmemu_unmap_irq(struct kvmemu_file *vcpu, uint32_t intid);

/* The line of an SPI of the host, by any file of its system: 0 or -EINVAL. And whether it is active there: 0, 1, -EINVAL. */
KVMEMU_API int kvmemu_host_irq_line(struct kvmemu_file *file, uint32_t host_intid, int level);
KVMEMU_API int kvmemu_host_irq_active(struct kvmemu_file *file, uint32_t host_intid);

/*
 * The counter of a system, by any of its files: what CNTPCT_EL0 would read, in ticks of the host's counter frequency. It follows the
 * machine's clock until it is stepped for the first time; from then on it moves only when told to.
 */
KVMEMU_API uint64_t kvmemu_counter_read(const struct kvmemu_file *file);
KVMEMU_API uint64_t kvmemu_counter_hz(const struct kvmemu_file *file);
KVMEMU_API void kvmemu_counter_set(struct kvmemu_file *file, uint64_t ticks);
KVMEMU_API void kvmemu_counter_step(struct kvmemu_file *file, uint64_t ticks);
KVMEMU_API void kvmemu_counter_follow_clock(struct kvmemu_file *file);

/* 64 for an arm64 host, 32 for a 32-bit one, whose register ids are others. */
KVMEMU_API int kvmemu_arch(const struct kvmemu_file *file);

/*
 * Real descriptors. A number from these calls is a true descriptor of this process, so that mmap(2) of a vCPU, poll(2),
 * fstat(2) and read(2) of statistics work on it as they do on KVM's. A number that is closed or reused behind the
 * library's back is noticed when it is next given out by the library.
 */
KVMEMU_API int kvmemu_fd_open(struct kvmemu_host *host);
KVMEMU_API long kvmemu_fd_ioctl(int fd, unsigned long request, unsigned long arg);
KVMEMU_API int kvmemu_fd_dup(int fd, int new_fd);	/* new_fd is already a duplicate of fd: share its file */
KVMEMU_API int kvmemu_fd_close(int fd);			/* forgets the file and closes the descriptor */
KVMEMU_API int kvmemu_fd_forget(int fd);		/* forgets the file only */
KVMEMU_API struct kvmemu_file *kvmemu_fd_file(int fd);	/* a new reference, or NULL if fd is not ours */
KVMEMU_API int kvmemu_fd_publish(struct kvmemu_file *file); /* a descriptor for a file that has none yet */

#ifdef __cplusplus
}
#endif

#endif
