/* SPDX-License-Identifier: MIT */
/*
 * A pointer that cannot be read or written gives EFAULT: every ioctl that takes one, every kind of bad address, and the
 * pointers inside structures. Part of the tests.
 */
#include <sys/mman.h>

#include "kvm.h"

#define PAGE 4096ul

enum direction { IN = 1, OUT = 2 };

/* An ioctl and an argument that it takes without error, so that only the address is wrong. */
struct request {
	const char *name;
	enum { ON_VM, ON_VCPU } on;
	unsigned long number;
	enum direction direction;
	size_t bytes;
	const void *argument;
};

/* A page to read and write, one that may only be read, and one that is not there, in a row. */
static char *pages;
static struct kvmemu_file *vm, *vcpu;

static uint64_t value = 5, bitmap;
static uint32_t mask[3] = { 8 };
static const struct kvm_vcpu_init init = { .target = KVM_ARM_TARGET_GENERIC_V8 };
static const struct kvm_mp_state runnable;
static const struct kvm_vcpu_events no_events;
static const struct kvm_guest_debug no_debug;
static const struct kvm_enable_cap halt_poll = { .cap = KVM_CAP_HALT_POLL };
static const struct kvm_irq_level irq_low;
static const struct kvm_one_reg x0 = { .id = CORE_REG(regs.regs[0]), .addr = (uintptr_t)&value };
static const struct kvm_userspace_memory_region region = {
	.slot = 1, .flags = KVM_MEM_LOG_DIRTY_PAGES, .memory_size = 64 * PAGE,
};
static const struct kvm_dirty_log get_log = { .slot = 1, .dirty_bitmap = &bitmap };
static const struct kvm_clear_dirty_log clear_all = { .slot = 1, .num_pages = 64, .dirty_bitmap = &bitmap };
static const struct kvm_device_attr vtimer_intid = {
	.group = KVM_ARM_VCPU_TIMER_CTRL, .attr = KVM_ARM_VCPU_TIMER_IRQ_VTIMER, .addr = (uintptr_t)&value,
};

#define ROW(file, request, where, what) { #request, file, request, where, sizeof(what), &(what) }

/* The memory slot first: those after it use its log. */
static const struct request requests[] = {
	ROW(ON_VM, KVM_SET_USER_MEMORY_REGION, IN, region),
	ROW(ON_VM, KVM_GET_DIRTY_LOG, IN, get_log),
	ROW(ON_VM, KVM_CLEAR_DIRTY_LOG, IN, clear_all),
	ROW(ON_VM, KVM_ENABLE_CAP, IN, halt_poll),
	ROW(ON_VM, KVM_ARM_PREFERRED_TARGET, OUT, init),
	ROW(ON_VM, KVM_IRQ_LINE, IN, irq_low),
	ROW(ON_VM, KVM_IRQ_LINE_STATUS, IN | OUT, irq_low),
	ROW(ON_VCPU, KVM_ARM_VCPU_INIT, IN, init),
	ROW(ON_VCPU, KVM_GET_ONE_REG, IN, x0),
	ROW(ON_VCPU, KVM_SET_ONE_REG, IN, x0),
	ROW(ON_VCPU, KVM_GET_MP_STATE, OUT, runnable),
	ROW(ON_VCPU, KVM_SET_MP_STATE, IN, runnable),
	ROW(ON_VCPU, KVM_GET_VCPU_EVENTS, OUT, no_events),
	ROW(ON_VCPU, KVM_SET_VCPU_EVENTS, IN, no_events),
	ROW(ON_VCPU, KVM_SET_GUEST_DEBUG, IN, no_debug),
	ROW(ON_VCPU, KVM_SET_SIGNAL_MASK, IN, mask),
	ROW(ON_VCPU, KVM_GET_DEVICE_ATTR, IN, vtimer_intid),
	ROW(ON_VCPU, KVM_HAS_DEVICE_ATTR, IN, vtimer_intid),
};

#define NR_REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* Refused in the end, but not before their argument was read. */
static const struct request refused[] = {
	{ "KVM_SET_REGS", ON_VCPU, KVM_SET_REGS, IN, sizeof(struct kvm_regs), NULL },
	{ "KVM_TRANSLATE", ON_VCPU, KVM_TRANSLATE, IN, 24, NULL },
	{ "KVM_ARM_MTE_COPY_TAGS", ON_VM, KVM_ARM_MTE_COPY_TAGS, IN, sizeof(struct kvm_arm_copy_mte_tags), NULL },
	{ "KVM_ARM_VCPU_FINALIZE", ON_VCPU, KVM_ARM_VCPU_FINALIZE, IN, sizeof(int), NULL },
	{ "KVM_SET_DEVICE_ATTR", ON_VCPU, KVM_SET_DEVICE_ATTR, IN, sizeof(struct kvm_device_attr), NULL },
};

static const struct request reg_list = { "KVM_GET_REG_LIST", ON_VCPU, KVM_GET_REG_LIST, IN | OUT, 8, NULL };

static const uint64_t never_mapped[] = {
	0,			/* page 0 */
	1,
	0x7ffffffff000,		/* the last page of a 47-bit user space */
	0x800000000000,		/* not canonical on x86, unmapped on arm64 */
	(1ull << 56) - 16,
	1ull << 56,
	0xffff7fffffffffff,
	0xffff800000000000,	/* the kernel's half */
	0xffffffffff600000,	/* x86's vsyscall page: executable, not readable */
	0xfffffffffffff000,
	UINT64_MAX - 7,
	UINT64_MAX,
};

#define NR_NEVER_MAPPED (sizeof(never_mapped) / sizeof(never_mapped[0]))

static struct kvmemu_file *file_of(const struct request *request)
{
	return request->on == ON_VM ? vm : vcpu;
}

static void expect(const struct request *request, uint64_t address, long want)
{
	long got = kvmemu_ioctl(file_of(request), request->number, address, NULL);

	if (!equal(got, want))
		printf("#   %s at 0x%llx\n", request->name, (unsigned long long)address);
}

static void requests_work_with_good_pointers(void)
{
	for (size_t i = 0; i < NR_REQUESTS; i++) {
		memcpy(pages, requests[i].argument, requests[i].bytes);
		expect(&requests[i], (uintptr_t)pages, 0);
	}
}

static void unmapped_addresses_fault(void)
{
	for (size_t i = 0; i < NR_REQUESTS; i++)
		for (size_t n = 0; n < NR_NEVER_MAPPED; n++)
			/* NULL means no mask. */
			if (never_mapped[n] || requests[i].number != KVM_SET_SIGNAL_MASK)
				expect(&requests[i], never_mapped[n], -EFAULT);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		for (size_t n = 0; n < NR_NEVER_MAPPED; n++)
			expect(&refused[i], never_mapped[n], -EFAULT);
}

/* All but the last byte, or only the first, is on a page that is there. */
static void crossing_into_an_unmapped_page_faults(void)
{
	char *end = pages + 2 * PAGE;

	mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < NR_REQUESTS; i++) {
		size_t bytes = requests[i].bytes;

		for (size_t inside = 1; inside < bytes; inside++) {
			memcpy(end - inside, requests[i].argument, inside);
			expect(&requests[i], (uintptr_t)end - inside, -EFAULT);
		}
		memcpy(end - bytes, requests[i].argument, bytes);
		expect(&requests[i], (uintptr_t)end - bytes, 0);
	}
	mprotect(pages + PAGE, PAGE, PROT_READ);
}

static void read_only_memory_is_for_input_only(void)
{
	for (size_t i = 0; i < NR_REQUESTS; i++) {
		mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE);
		memcpy(pages + PAGE, requests[i].argument, requests[i].bytes);
		mprotect(pages + PAGE, PAGE, PROT_READ);
		expect(&requests[i], (uintptr_t)pages + PAGE, requests[i].direction & OUT ? -EFAULT : 0);
	}
}

/* Its head is read and written before the rest, which is as long as the list is. */
static void register_list_faults(void)
{
	uint64_t *last = (uint64_t *)(pages + 2 * PAGE) - 1, *list = (uint64_t *)pages, n;

	for (size_t i = 0; i < NR_NEVER_MAPPED; i++)
		expect(&reg_list, never_mapped[i], -EFAULT);
	list[0] = 0;
	expect(&reg_list, (uintptr_t)list, -E2BIG);
	n = list[0];
	ok(n > 100 && n < 2 * PAGE / 8);
	expect(&reg_list, (uintptr_t)list, 0);

	mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE);
	*last = 0;
	expect(&reg_list, (uintptr_t)last, -E2BIG);
	equal(*last, n);
	expect(&reg_list, (uintptr_t)last, -EFAULT);
	last[1 - (long)n] = n;	/* room for all but the last id */
	expect(&reg_list, (uintptr_t)(last + 1 - n), -EFAULT);
	last[-(long)n] = n;
	expect(&reg_list, (uintptr_t)(last - n), 0);
	mprotect(pages + PAGE, PAGE, PROT_READ);
	expect(&reg_list, (uintptr_t)(last - n), -EFAULT);
}

/* The register's own address: in both directions, for registers of every size. */
static void bad_register_addresses_fault(void)
{
	static const uint64_t ids[] = {
		CORE_REG(regs.regs[0]),
		KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(fp_regs.fpsr),
		KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(fp_regs.vregs[3]),
		KVM_REG_ARM_TIMER_CNT,
		KVM_REG_ARM_PSCI_VERSION,
		REG_SCTLR_EL1,
	};

	set(vcpu, REG_X(0), 5);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		const uint64_t end = (uintptr_t)pages + 2 * PAGE;
		struct kvm_one_reg reg = { .id = ids[i], .addr = end - KVM_REG_SIZE(ids[i]) + 1 };

		fails(try_call(vcpu, KVM_GET_ONE_REG, &reg), EFAULT);
		fails(try_call(vcpu, KVM_SET_ONE_REG, &reg), EFAULT);
		reg.addr = (uintptr_t)pages + PAGE;	/* read-only */
		fails(try_call(vcpu, KVM_GET_ONE_REG, &reg), EFAULT);
		for (size_t n = 0; n < NR_NEVER_MAPPED; n++) {
			reg.addr = never_mapped[n];
			fails(try_call(vcpu, KVM_GET_ONE_REG, &reg), EFAULT);
			fails(try_call(vcpu, KVM_SET_ONE_REG, &reg), EFAULT);
			fails(kvmemu_get_reg(vcpu, ids[i], (void *)(uintptr_t)never_mapped[n], 16), EFAULT);
			fails(kvmemu_set_reg(vcpu, ids[i], (void *)(uintptr_t)never_mapped[n]), EFAULT);
		}
	}
	equal(get(vcpu, REG_X(0)), 5);
}

static void bad_inner_pointers_fault(void)
{
	for (size_t n = 0; n < NR_NEVER_MAPPED; n++) {
		void *bad = (void *)(uintptr_t)never_mapped[n];
		struct kvm_dirty_log bad_log = { .slot = 1, .dirty_bitmap = bad };
		struct kvm_clear_dirty_log bad_clear = { .slot = 1, .num_pages = 64, .dirty_bitmap = bad };
		struct kvm_device_attr attr = vtimer_intid;
		uint64_t id = REG_X(0), values[4];
		size_t done = 9;

		attr.addr = never_mapped[n];
		fails(try_call(vm, KVM_GET_DIRTY_LOG, &bad_log), EFAULT);
		fails(try_call(vm, KVM_CLEAR_DIRTY_LOG, &bad_clear), EFAULT);
		fails(try_call(vcpu, KVM_GET_DEVICE_ATTR, &attr), EFAULT);
		fails(kvmemu_get_regs(vcpu, bad, 1, values, sizeof(values), &done), EFAULT);
		equal(done, 0);
		fails(kvmemu_get_regs(vcpu, &id, 1, bad, sizeof(values), &done), EFAULT);
		fails(kvmemu_set_regs(vcpu, &id, 1, bad, sizeof(values), &done), EFAULT);
		equal(done, 0);
	}
}

static void reading_statistics_to_a_bad_pointer_faults(void)
{
	struct kvmemu_file *stats = create(vcpu, KVM_GET_STATS_FD, 0);

	for (size_t n = 0; n < NR_NEVER_MAPPED; n++)
		fails(kvmemu_read(stats, (void *)(uintptr_t)never_mapped[n], 8, 0), EFAULT);
	fails(kvmemu_read(stats, pages + PAGE, 8, 0), EFAULT);
	equal(kvmemu_read(stats, pages, 8, 0), 8);
	kvmemu_close(stats);
}

int main(void)
{
	struct kvmemu_file *system = open_system(NULL);

	pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return 1;
	mprotect(pages + PAGE, PAGE, PROT_READ);
	mprotect(pages + 2 * PAGE, PAGE, PROT_NONE);	/* not unmapped: something else would come there */
	vm = create_vm(system);
	vcpu = create_vcpu(vm, 0, 0);
	kvmemu_close(system);

	run(requests_work_with_good_pointers);
	run(unmapped_addresses_fault);
	run(crossing_into_an_unmapped_page_faults);
	run(read_only_memory_is_for_input_only);
	run(register_list_faults);
	run(bad_register_addresses_fault);
	run(bad_inner_pointers_fault);
	run(reading_statistics_to_a_bad_pointer_faults);
	kvmemu_close(vcpu);
	kvmemu_close(vm);
	return check_done();
}
