/* SPDX-License-Identifier: MIT */
/* System register names and the encoding -> index map. Layer: machine. */
#include "sysreg.h"

#include <string.h>
#include <strings.h>

const struct sysreg_name sysreg_names[SR_COUNT] = {
#define SYSREG(name, op0, op1, crn, crm, op2) { #name, SYSREG_ENCODING(op0, op1, crn, crm, op2) },
#include "sysreg_list.h"
#undef SYSREG
};

/* Filled at compile time, so that no lock or first-use check stands in front of a look-up. */
const uint16_t sysreg_by_encoding[1 << 15] = {
#define SYSREG(name, op0, op1, crn, crm, op2) [SYSREG_ENCODING(op0, op1, crn, crm, op2) & 0x7fff] = SR_##name + 1,
#include "sysreg_list.h"
#undef SYSREG
};

enum sysreg sysreg_find_name(const char *name, size_t len)
{
	for (unsigned int i = 0; i < SR_COUNT; i++)
		if (strlen(sysreg_names[i].name) == len && !strncasecmp(sysreg_names[i].name, name, len))
			return (enum sysreg)i;
	return SR_NONE;
}
