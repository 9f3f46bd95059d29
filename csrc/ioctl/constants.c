/* SPDX-License-Identifier: MIT */
/* The constants of <kvmemu/uapi.h> by name and by number. Layer: ioctl. */
#include "constants.h"

#include <stdlib.h>
#include <string.h>

#include "kvmemu/uapi.h"

/* Not "< 0", which compilers call pointless for the unsigned ones. */
#define IS_NEGATIVE(value)	(!((value) > 0) && (value) != 0)

static const struct kvmemu_constant constants[] = {
#define KVMEMU_CONSTANT(id) \
	{ .name = #id, .value = (uint64_t)(id), .negative = IS_NEGATIVE(id) },
#define KVMEMU_CONSTANT_OWN		KVMEMU_CONSTANT
#include "constants_list.h"
};

const struct kvmemu_constant *kvmemu_constants(size_t *n)
{
	*n = sizeof(constants) / sizeof(constants[0]);
	return constants;
}

static int compare_name(const void *name, const void *constant)
{
	return strcmp(name, ((const struct kvmemu_constant *)constant)->name);
}

const struct kvmemu_constant *kvmemu_constant_find(const char *name)
{
	size_t n;
	const struct kvmemu_constant *table = kvmemu_constants(&n);

	return bsearch(name, table, n, sizeof(table[0]), compare_name);
}

/* A switch, so that two requests of one number do not compile unnoticed. */
const char *kvmemu_request_name(unsigned long request)
{
	switch ((uint32_t)request) {
#define KVMEMU_CONSTANT(id)
#define KVMEMU_REQUEST(id)		case id: return #id;
#define KVMEMU_REQUEST_OWN		KVMEMU_REQUEST
#include "constants_list.h"
	}
	return NULL;
}
