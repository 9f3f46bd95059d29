/* SPDX-License-Identifier: MIT */
/* What the parts of guest_calls.c share. Part of the tests. */
#ifndef KVMEMU_TESTS_GUEST_CALLS_H
#define KVMEMU_TESTS_GUEST_CALLS_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_VCPUS 8
#define MAX_REGS 1024
#define RAM 0x10000		/* IPA */
#define RAM_BYTES 0x4000
#define CODE_HVC 0x100
#define CODE_SMC 0x110
#define CODE_HVC_IMM 0x120
#define CODE_HVC_A32 0x130
#define CODE_SMC_A32 0x140
#define CODE_WFI 0x150
#define CODE_LOOP 0x200		/* 0x10200: where the scripts' CPU_ON enters */
#define CODE_LOOP_A32 0x300
#define CODE_LOOP_T32 0x400
#define CODE_DONE 0x500
#define DONE 0x9000		/* the store that says that the guest went on */

#define CORE(number) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 2 * (number))
#define CORE_PC CORE(32)
#define CORE_PSTATE CORE(33)
#define TIMER_CNT 0x603000000013df1aull
#define DBGVCR32_EL2 0x603000000013a038ull	/* QEMU does not have it, and answers what was on the bus before */
#define PSTATE_MODE32 0x10

struct vcpu {
	int fd;
	struct kvm_run *run;
	uint64_t id[MAX_REGS], marked[MAX_REGS];
	unsigned int nr_regs;
	pthread_t thread;		/* that is in KVM_RUN */
	atomic_bool ended;
	long result;
};

extern int kvm, vm;
extern struct vcpu vcpu[MAX_VCPUS];
extern unsigned int nr_vcpus;
extern uint8_t *ram;

/* VMs, and what user space does with them: guest_calls_vm.c. Results are negative errnos. */
void die(const char *what);
void new_vm(unsigned int n);
long init(struct vcpu *v, uint32_t features);
long set_reg(struct vcpu *v, uint64_t id, uint64_t value);
uint64_t get_reg(struct vcpu *v, uint64_t id);	/* of wider registers the lowest 64 bits */
unsigned int mp_state(struct vcpu *v);
long set_mp_state(struct vcpu *v, unsigned int mp_state);
long set_events(struct vcpu *v, int serror, int abort);
long serror_pending(struct vcpu *v);
long set_stolen_time(struct vcpu *v, uint64_t ipa);
long enable_cap(uint32_t cap);
long irq_line(unsigned int v, uint32_t level);
long statistic(struct vcpu *v, const char *name);	/* -1: there is none of that name */

/* Running: guest_calls_run.c. */
enum outcome { WENT_ON, EVENT, WAITS };

void setup_signals(void);
enum outcome call(struct vcpu *v, const char *conduit, const uint64_t x[4]);
void format_outcome(struct vcpu *v, enum outcome outcome, char *to, size_t room);
long run_idle(struct vcpu *v);		/* until a signal */
long enter_no_guest(struct vcpu *v);	/* with immediate_exit: ends an MMIO exit, and has the PC moved on */
void start_wfi(struct vcpu *v);		/* on a thread */
bool still_waits(struct vcpu *v);
long join(struct vcpu *v);		/* a signal ends it, if nothing else has */

#endif
