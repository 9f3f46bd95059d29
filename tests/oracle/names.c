/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: names of KVM's constants, errors, system registers. Part of the tests.
 *
 * The names of constants are kvmemu's list, sorted; the values are those of the real headers. The
 * system registers are kvmemu's list with the architecture's encodings.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "script.h"

#define KVMEMU_CONSTANT(name) { #name, (uint64_t)(name) },

struct constant {
	const char *name;
	uint64_t value;
};

static const struct constant constants[] = {
#include "../../csrc/ioctl/constants_list.h"
};

#define E(name) [name] = #name

static const char *const errno_names[] = {
	E(EPERM), E(ENOENT), E(ESRCH), E(EINTR), E(EIO), E(ENXIO), E(E2BIG), E(ENOEXEC), E(EBADF),
	E(ECHILD), E(EAGAIN), E(ENOMEM), E(EACCES), E(EFAULT), E(ENOTBLK), E(EBUSY), E(EEXIST),
	E(EXDEV), E(ENODEV), E(ENOTDIR), E(EISDIR), E(EINVAL), E(ENFILE), E(EMFILE), E(ENOTTY),
	E(ETXTBSY), E(EFBIG), E(ENOSPC), E(ESPIPE), E(EROFS), E(EMLINK), E(EPIPE), E(EDOM),
	E(ERANGE), E(EDEADLK), E(ENAMETOOLONG), E(ENOLCK), E(ENOSYS), E(ENOTEMPTY), E(ELOOP),
	E(ENODATA), E(ETIME), E(EPROTO), E(EBADMSG), E(EOVERFLOW), E(EILSEQ), E(EOPNOTSUPP),
	E(EALREADY), E(ETIMEDOUT), E(ESTALE), E(ECANCELED),
};

#undef E

#define X(name) [name] = #name

/* how KVM_RUN can end on arm64 */
static const char *const exit_names[] = {
	X(KVM_EXIT_UNKNOWN), X(KVM_EXIT_DEBUG), X(KVM_EXIT_MMIO), X(KVM_EXIT_SHUTDOWN),
	X(KVM_EXIT_FAIL_ENTRY), X(KVM_EXIT_INTR), X(KVM_EXIT_INTERNAL_ERROR),
	X(KVM_EXIT_SYSTEM_EVENT), X(KVM_EXIT_ARM_NISV), X(KVM_EXIT_DIRTY_RING_FULL),
};

#undef X

#define ENCODING(op0, op1, crn, crm, op2) \
	((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))
#define SYSREG(name, op0, op1, crn, crm, op2) { #name, ENCODING(op0, op1, crn, crm, op2) },

static const struct {
	const char *name;
	uint16_t encoding;
} sysregs[] = {
#include "../../csrc/machine/sysreg_list.h"
};

#undef SYSREG

static int compare_name(const void *name, const void *row)
{
	return strcmp(name, ((const struct constant *)row)->name);
}

bool constant_value(const char *name, uint64_t *value)
{
	const struct constant *found = bsearch(name, constants,
					       sizeof(constants) / sizeof(constants[0]),
					       sizeof(constants[0]), compare_name);

	if (found)
		*value = found->value;
	return found;
}

const char *errno_name(int number)
{
	if (number < 0 || (size_t)number >= sizeof(errno_names) / sizeof(errno_names[0]))
		return NULL;
	return errno_names[number];
}

const char *exit_name(uint32_t reason)
{
	return reason < sizeof(exit_names) / sizeof(exit_names[0]) ? exit_names[reason] : NULL;
}

/* S3_0_C12_C12_0: any encoding, whether a register has it or not */
static bool generic_encoding(const char *name, uint16_t *encoding)
{
	unsigned int op0, op1, crn, crm, op2;
	int end = 0;

	if (sscanf(name, "S%1u_%1u_C%2u_C%2u_%1u%n", &op0, &op1, &crn, &crm, &op2, &end) != 5 ||
	    name[end] || op0 < 2 || op0 > 3 || op1 > 7 || crn > 15 || crm > 15 || op2 > 7)
		return false;
	*encoding = ENCODING(op0, op1, crn, crm, op2);
	return true;
}

bool sysreg_encoding(const char *name, uint16_t *encoding)
{
	for (size_t i = 0; i < sizeof(sysregs) / sizeof(sysregs[0]); i++) {
		if (!strcasecmp(sysregs[i].name, name)) {
			*encoding = sysregs[i].encoding;
			return true;
		}
	}
	return generic_encoding(name, encoding);
}
