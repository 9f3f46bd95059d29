/* SPDX-License-Identifier: MIT */
/* Copies from and to the caller's memory that survive bad addresses. Layer: ioctl. */
#define _GNU_SOURCE
#include "user.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Link-time optimisation may put the code below and its callers into different units: global, but hidden, names. */
#define NAME(name) ".globl " name "\n.hidden " name "\n"
#define NAMES NAME("kvmemu_user_copy") NAME("kvmemu_user_copy_fault")

/*
 * long copy(to, from, bytes): 0, or 1 after a fault. It keeps nothing on the stack, so that jumping to its last
 * instructions returns properly from wherever it faulted. 8 and 16 bytes, nearly all of what is copied, go by words.
 */
#if defined(__x86_64__)
__asm__(".pushsection .text\n" NAMES
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
__asm__(".pushsection .text\n" NAMES
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

/*
 * Hidden, so that their addresses are computed and not loaded: assembler and linker put what are offsets into .text for
 * them into one entry of the table of addresses on AArch64, and begin and end become the same.
 */
#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN extern const char kvmemu_user_copy_fault[] __asm__("kvmemu_user_copy_fault");

static const int signals[] = { SIGSEGV, SIGBUS };
#define NR_SIGNALS (sizeof(signals) / sizeof(signals[0]))

int (*user_sigaction)(int signum, const struct sigaction *act, struct sigaction *old) = sigaction;

/*
 * Taken with every signal blocked, so that a handler may take it too: the thread it interrupts does not hold it.
 */
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous[NR_SIGNALS];

static void lock_handlers(sigset_t *outside)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, outside);
	pthread_mutex_lock(&install_lock);
}

static void unlock_handlers(const sigset_t *outside)
{
	pthread_mutex_unlock(&install_lock);
	pthread_sigmask(SIG_SETMASK, outside, NULL);
}

static sigset_t outside_fork;

static void before_fork(void)
{
	sigset_t outside;

	lock_handlers(&outside);
	outside_fork = outside;
}

static void after_fork(void)
{
	const sigset_t outside = outside_fork;

	unlock_handlers(&outside);
}

static void guard_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

static int index_of(int signum)
{
	for (size_t i = 0; i < NR_SIGNALS; i++)
		if (signals[i] == signum)
			return (int)i;
	return -1;
}

static bool has_function(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* Sent by kill(2) and its like. The instruction that it hits has nothing to do with it. */
static bool was_sent(const siginfo_t *info)
{
	return info->si_code <= 0;
}

/* The signal ends the process as it would have without us: a fault by happening again, another by being sent again. */
static void let_it_end(int signum, siginfo_t *info)
{
	const struct sigaction fatal = { .sa_handler = SIG_DFL };

	user_sigaction(signum, &fatal, NULL);
	if (was_sent(info))
		syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), signum, info);
}

/* What would have happened without us. */
static void pass_on(int signum, siginfo_t *info, void *context)
{
	struct sigaction *theirs = &previous[index_of(signum)], old;
	sigset_t outside;

	lock_handlers(&outside);
	old = *theirs;
	if (has_function(&old) && old.sa_flags & (int)SA_RESETHAND)
		theirs->sa_handler = SIG_DFL;
	unlock_handlers(&outside);
	if (!has_function(&old)) {
		if (old.sa_handler == SIG_DFL || !was_sent(info))
			let_it_end(signum, info);
	} else if (old.sa_flags & SA_SIGINFO) {
		old.sa_sigaction(signum, info, context);
	} else {
		old.sa_handler(signum);
	}
}

static void on_fault(int signum, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uintptr_t pc = (uintptr_t)CONTEXT_PC(uc), begin = (uintptr_t)kvmemu_user_copy;

	if (!was_sent(info) && pc >= begin && pc < (uintptr_t)kvmemu_user_copy_fault)
		CONTEXT_PC(uc) = (uintptr_t)kvmemu_user_copy_fault;
	else
		pass_on(signum, info, context);
}

static bool is_ours(const struct sigaction *action)
{
	return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_fault;
}

/*
 * Puts our handler on top of one that it calls: on the stack and with the signals blocked that the other asked for, so
 * that it finds everything as if it had been called directly. Returns what was there before.
 */
static struct sigaction cover(size_t at, const struct sigaction *theirs)
{
	struct sigaction ours = { .sa_flags = SA_ONSTACK | SA_NODEFER }, before = { 0 };

	if (has_function(theirs)) {
		ours.sa_flags = theirs->sa_flags & (SA_ONSTACK | SA_NODEFER | SA_RESTART);
		ours.sa_mask = theirs->sa_mask;
	}
	ours.sa_flags |= SA_SIGINFO;
	ours.sa_sigaction = on_fault;
	user_sigaction(signals[at], &ours, &before);
	return before;
}

void user_install_handlers(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sigaction now;
	sigset_t outside;

	pthread_once(&once, guard_forks);
	lock_handlers(&outside);
	for (size_t i = 0; i < NR_SIGNALS; i++) {
		if (user_sigaction(signals[i], NULL, &now) || is_ours(&now))
			continue;
		previous[i] = now;
		now = cover(i, &now);
		if (!is_ours(&now))	/* another thread may have changed it in between */
			previous[i] = now;
	}
	unlock_handlers(&outside);
}

int user_chain_handler(int signum, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction now, before, next;
	int at = index_of(signum), handled;
	sigset_t outside;

	if (at < 0)
		return 0;
	if (act)
		next = *act;
	lock_handlers(&outside);
	handled = !user_sigaction(signum, NULL, &now) && is_ours(&now);
	if (handled) {
		before = previous[at];
		if (act) {
			previous[at] = next;
			cover((size_t)at, &next);
		}
	} else {
		/* Under the lock, so that ours is not put on top of it in between. */
		handled = !user_sigaction(signum, act ? &next : NULL, &before);
	}
	unlock_handlers(&outside);
	if (handled && old)
		*old = before;
	return handled;
}
