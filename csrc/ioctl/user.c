/* SPDX-License-Identifier: MIT */
/* Copies from and to the caller's memory that survive bad addresses. Layer: ioctl. */
#define _GNU_SOURCE
#include "user.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <ucontext.h>

/* Addresses from here up are the kernel's or not canonical, and never a caller's. */
#define USER_END (1ull << 56)

/*
 * long copy(to, from, bytes): 0, or 1 after a fault. It keeps nothing on the stack, so that jumping to its last
 * instructions returns properly from wherever it faulted. 8 and 16 bytes, nearly all of what is copied, go by words.
 */
#if defined(__x86_64__)
__asm__(".pushsection .text\n"
	".type kvmemu_user_copy, @function\n"
	"kvmemu_user_copy:\n"
	"	cmpq $8, %rdx\n"
	"	jne 1f\n"
	"	movq (%rsi), %rax\n"
	"	movq %rax, (%rdi)\n"
	"	xorl %eax, %eax\n"
	"	ret\n"
	"1:	cmpq $16, %rdx\n"
	"	jne 2f\n"
	"	movq (%rsi), %rax\n"
	"	movq 8(%rsi), %rcx\n"
	"	movq %rax, (%rdi)\n"
	"	movq %rcx, 8(%rdi)\n"
	"	xorl %eax, %eax\n"
	"	ret\n"
	"2:	movq %rdx, %rcx\n"
	"	rep movsb\n"
	"	xorl %eax, %eax\n"
	"	ret\n"
	"kvmemu_user_copy_fault:\n"
	"	movl $1, %eax\n"
	"	ret\n"
	".size kvmemu_user_copy, . - kvmemu_user_copy\n"
	".popsection\n");
#define CONTEXT_PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
	".type kvmemu_user_copy, %function\n"
	"kvmemu_user_copy:\n"
	"	cmp x2, #8\n"
	"	b.lo 2f\n"
	"1:	ldr x3, [x1], #8\n"
	"	str x3, [x0], #8\n"
	"	sub x2, x2, #8\n"
	"	cmp x2, #8\n"
	"	b.hs 1b\n"
	"2:	cbz x2, 4f\n"
	"3:	ldrb w3, [x1], #1\n"
	"	strb w3, [x0], #1\n"
	"	subs x2, x2, #1\n"
	"	b.ne 3b\n"
	"4:	mov x0, #0\n"
	"	ret\n"
	"kvmemu_user_copy_fault:\n"
	"	mov x0, #1\n"
	"	ret\n"
	".size kvmemu_user_copy, . - kvmemu_user_copy\n"
	".popsection\n");
#define CONTEXT_PC(context) ((context)->uc_mcontext.pc)
#else
#error "no fault-proof copy for this architecture: add one here (x86-64 and AArch64 are there)"
#endif

extern long kvmemu_user_copy(void *to, const void *from, size_t bytes) __asm__("kvmemu_user_copy");
extern const char kvmemu_user_copy_fault[] __asm__("kvmemu_user_copy_fault");

static const int signals[] = { SIGSEGV, SIGBUS };
#define NR_SIGNALS (sizeof(signals) / sizeof(signals[0]))

int (*user_sigaction)(int signum, const struct sigaction *act, struct sigaction *old) = sigaction;

static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous[NR_SIGNALS];

static int index_of(int signum)
{
	for (size_t i = 0; i < NR_SIGNALS; i++)
		if (signals[i] == signum)
			return (int)i;
	return -1;
}

/* What would have happened without us. */
static void pass_on(int signum, siginfo_t *info, void *context)
{
	const struct sigaction *old = &previous[index_of(signum)];

	if (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN) {
		/* The instruction faults again on return, and ends the process as it would have. */
		const struct sigaction fatal = { .sa_handler = SIG_DFL };

		user_sigaction(signum, &fatal, NULL);
	} else if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(signum, info, context);
	} else {
		old->sa_handler(signum);
	}
}

static void on_fault(int signum, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uintptr_t pc = (uintptr_t)CONTEXT_PC(uc), begin = (uintptr_t)kvmemu_user_copy;

	if (pc >= begin && pc < (uintptr_t)kvmemu_user_copy_fault)
		CONTEXT_PC(uc) = (uintptr_t)kvmemu_user_copy_fault;
	else
		pass_on(signum, info, context);
}

void user_install_handlers(void)
{
	struct sigaction ours = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	struct sigaction now;

	sigemptyset(&ours.sa_mask);
	pthread_mutex_lock(&install_lock);
	for (size_t i = 0; i < NR_SIGNALS; i++) {
		if (user_sigaction(signals[i], NULL, &now) || (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault))
			continue;
		previous[i] = now;
		user_sigaction(signals[i], &ours, NULL);
	}
	pthread_mutex_unlock(&install_lock);
}

int user_chain_handler(int signum, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction now, before;
	int at = index_of(signum);

	if (at < 0)
		return 0;
	if (user_sigaction(signum, NULL, &now) || !(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_fault)
		return 0;
	pthread_mutex_lock(&install_lock);
	before = previous[at];
	if (act)
		previous[at] = *act;
	pthread_mutex_unlock(&install_lock);
	if (old)
		*old = before;
	return 1;
}

static bool in_user_space(uint64_t addr, size_t bytes)
{
	return addr < USER_END && bytes < USER_END - addr;
}

int user_read(void *to, uint64_t from, size_t bytes)
{
	if (!in_user_space(from, bytes) || kvmemu_user_copy(to, (const void *)(uintptr_t)from, bytes))
		return -EFAULT;
	return 0;
}

int user_write(uint64_t to, const void *from, size_t bytes)
{
	if (!in_user_space(to, bytes) || kvmemu_user_copy((void *)(uintptr_t)to, from, bytes))
		return -EFAULT;
	return 0;
}
