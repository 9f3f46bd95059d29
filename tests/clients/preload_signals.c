/* SPDX-License-Identifier: MIT */
/* A program's own handlers of SIGSEGV and SIGBUS, while KVM is in use. Part of the tests; see preload_check.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "preload_check.h"

static int kvm, vm, vcpu;

/* What the last call of a handler was like. */
static __thread struct {
	int calls, signum;
	void *addr;
	bool on_stack, self_blocked, usr1_blocked;
} seen;

static __thread sigjmp_buf after_fault;
static char other_stack[64 * 1024];

static void look_around(int signum)
{
	char here;
	sigset_t mask;

	seen.calls++;
	seen.signum = signum;
	seen.on_stack = &here >= other_stack && &here < other_stack + sizeof(other_stack);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	seen.self_blocked = sigismember(&mask, signum);
	seen.usr1_blocked = sigismember(&mask, SIGUSR1);
}

static void with_info(int signum, siginfo_t *info, void *context)
{
	(void)context;
	look_around(signum);
	seen.addr = info->si_addr;
	siglongjmp(after_fault, 1);
}

static void simple(int signum)
{
	look_around(signum);
	siglongjmp(after_fault, 1);
}

static void counting(int signum)
{
	look_around(signum);
}

/* True if there was a fault at the address. */
static bool faults(void *addr)
{
	if (sigsetjmp(after_fault, 1))
		return true;
	*(volatile char *)addr = 1;
	return false;
}

static void set(int signum, int flags, bool block_usr1)
{
	struct sigaction act = { .sa_sigaction = with_info, .sa_flags = SA_SIGINFO | flags };

	sigemptyset(&act.sa_mask);
	if (block_usr1)
		sigaddset(&act.sa_mask, SIGUSR1);
	EXPECT(sigaction(signum, &act, NULL), 0);
}

static void reports(int signum, int flags, bool block_usr1)
{
	struct sigaction old;

	EXPECT(sigaction(signum, NULL, &old), 0);
	CHECK(old.sa_sigaction == with_info);
	EXPECT(old.sa_flags & ~0x04000000, SA_SIGINFO | flags);	/* SA_RESTORER, which x86 adds */
	EXPECT(sigismember(&old.sa_mask, SIGUSR1), block_usr1);
}

/* A bad address in a request is an error, and no signal. */
static void efault_is_quiet(void)
{
	int calls = seen.calls;

	EXPECT(ioctl(vm, KVM_ARM_PREFERRED_TARGET, BAD), -EFAULT);
	EXPECT(ioctl(vcpu, KVM_ARM_VCPU_INIT, BAD), -EFAULT);
	EXPECT(ioctl(vcpu, KVM_ARM_VCPU_INIT, ~0ul), -EFAULT);
	EXPECT(ioctl(vcpu, KVM_ARM_VCPU_INIT, 1ul << 60), -EFAULT);
	EXPECT(seen.calls, calls);
}

static void fault_is_seen_as(bool on_stack, bool self_blocked, bool usr1_blocked)
{
	memset(&seen, 0, sizeof(seen));
	CHECK(faults(BAD));
	EXPECT(seen.calls, 1);
	EXPECT(seen.signum, SIGSEGV);
	CHECK(!seen.addr || seen.addr == BAD);
	EXPECT(seen.on_stack, on_stack);
	EXPECT(seen.self_blocked, self_blocked);
	EXPECT(seen.usr1_blocked, usr1_blocked);
	efault_is_quiet();
}

static void handlers_are_called_as_asked(void)
{
	fault_is_seen_as(true, true, true);	/* set before KVM was opened */
	reports(SIGSEGV, SA_ONSTACK, true);
	set(SIGSEGV, SA_NODEFER, false);
	reports(SIGSEGV, SA_NODEFER, false);
	fault_is_seen_as(false, false, false);
	set(SIGSEGV, SA_RESTART | SA_ONSTACK | SA_NODEFER, true);
	fault_is_seen_as(true, false, true);
	set(SIGSEGV, 0, false);
	fault_is_seen_as(false, true, false);
	reports(SIGSEGV, 0, false);
	MUST(open("/dev/kvm", O_RDWR));	/* once more changes nothing */
	reports(SIGSEGV, 0, false);
	fault_is_seen_as(false, true, false);
}

static void simple_handlers(void)
{
	struct sigaction old;

	CHECK((void *)signal(SIGSEGV, simple) == (void *)with_info);
	EXPECT(sigaction(SIGSEGV, NULL, &old), 0);
	CHECK(old.sa_handler == simple);
	EXPECT(old.sa_flags & ~0x04000000, SA_RESTART);
	fault_is_seen_as(false, true, false);
	CHECK(signal(SIGSEGV, SIG_ERR) == SIG_ERR);
	CHECK(sysv_signal(SIGSEGV, simple) == simple);
	fault_is_seen_as(false, false, false);
	EXPECT(sigaction(SIGSEGV, NULL, &old), 0);
	CHECK(old.sa_handler == SIG_DFL);
	efault_is_quiet();
	CHECK(signal(SIGSEGV, SIG_DFL) == SIG_DFL);
	CHECK(signal(SIGTERM, simple) == SIG_DFL);
	CHECK(signal(SIGTERM, SIG_DFL) == simple);
}

/* Sent by a program and not by a fault: nothing happens again when the handler returns. */
static void sent_signals(void)
{
	memset(&seen, 0, sizeof(seen));
	CHECK(signal(SIGSEGV, counting) != SIG_ERR);
	EXPECT(raise(SIGSEGV), 0);
	EXPECT(kill(getpid(), SIGSEGV), 0);
	EXPECT(seen.calls, 2);
	CHECK(signal(SIGSEGV, SIG_IGN) == counting);
	EXPECT(raise(SIGSEGV), 0);
	EXPECT(seen.calls, 2);
	efault_is_quiet();
	CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
}

static bool died_of(int status, int signum)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == signum;
}

static void fatal_signals(void)
{
	CHECK(died_of(IN_CHILD(signal(SIGSEGV, SIG_DFL); faults(BAD)), SIGSEGV));
	CHECK(died_of(IN_CHILD(signal(SIGSEGV, SIG_IGN); faults(BAD)), SIGSEGV));
	CHECK(died_of(IN_CHILD(signal(SIGSEGV, SIG_DFL); raise(SIGSEGV)), SIGSEGV));
	CHECK(died_of(IN_CHILD(signal(SIGBUS, SIG_DFL); kill(getpid(), SIGBUS)), SIGBUS));
	/* A one-time handler, and then the fault once more. */
	CHECK(died_of(IN_CHILD(sysv_signal(SIGSEGV, counting); faults(BAD)), SIGSEGV));
}

/* A request from within the program's handler, which had to do with a fault of its own. */
static void from_a_handler(int signum)
{
	look_around(signum);
	EXPECT(ioctl(kvm, KVM_GET_API_VERSION, 0), 12);
	EXPECT(ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG), 1);
	CHECK(signal(signum, simple) == from_a_handler);
	siglongjmp(after_fault, 1);
}

static void requests_in_handlers(void)
{
	CHECK(signal(SIGSEGV, from_a_handler) != SIG_ERR);
	CHECK(faults(BAD));
	CHECK(signal(SIGSEGV, SIG_DFL) == simple);
}

static void beyond_the_pages_of_a_vcpu(void)
{
	char *run = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

	CHECK(run != MAP_FAILED);
	set(SIGBUS, 0, false);
	reports(SIGBUS, 0, false);
	memset(&seen, 0, sizeof(seen));
	CHECK(!faults(run + 4096));
	CHECK(faults(run + 2 * 4096));
	EXPECT(seen.signum, SIGBUS);
	CHECK(seen.addr == run + 2 * 4096);
	EXPECT(ioctl(vcpu, KVM_ARM_VCPU_INIT, run + 2 * 4096), -EFAULT);
	EXPECT(seen.calls, 1);
}

static void *in_thread(void *unused)
{
	(void)unused;
	for (int i = 0; i < 200; i++) {
		CHECK(faults(BAD));
		EXPECT(ioctl(vcpu, KVM_ARM_VCPU_INIT, BAD), -EFAULT);
	}
	return NULL;
}

/* Faults of both kinds in two threads, while a third changes the handler. */
static void threads(void)
{
	pthread_t thread[2];

	set(SIGSEGV, 0, false);
	for (int i = 0; i < 2; i++)
		EXPECT(pthread_create(&thread[i], NULL, in_thread, NULL), 0);
	for (int i = 0; i < 200; i++)
		set(SIGSEGV, i % 2 ? SA_NODEFER : 0, i % 3);
	for (int i = 0; i < 2; i++)
		EXPECT(pthread_join(thread[i], NULL), 0);
}

int main(void)
{
	const stack_t stack = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) };
	const struct rlimit no_cores = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_cores);
	EXPECT(sigaltstack(&stack, NULL), 0);
	set(SIGSEGV, SA_ONSTACK, true);
	kvm = (int)MUST(open("/dev/kvm", O_RDWR));
	vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0));
	vcpu = (int)MUST(ioctl(vm, KVM_CREATE_VCPU, 0));
	handlers_are_called_as_asked();
	simple_handlers();
	sent_signals();
	fatal_signals();
	requests_in_handlers();
	beyond_the_pages_of_a_vcpu();
	threads();
	return checks_failed();
}
