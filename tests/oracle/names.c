/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: names of KVM's constants and of errors. Part of the tests.
 *
 * The names are kvmemu's list, sorted; the values are those of the real headers.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

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
