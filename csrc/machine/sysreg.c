/* SPDX-License-Identifier: MIT */
/* System register names and the encoding -> index map. Layer: machine. */
#include "sysreg.h"

#include <string.h>

const struct sysreg_name sysreg_names[SR_COUNT] = {
#define SYSREG(name, op0, op1, crn, crm, op2) { #name, SYSREG_ENCODING(op0, op1, crn, crm, op2) },
#include "sysreg_list.h"
#undef SYSREG
};

/*
 * Registers have op0 2 or 3: 15 bits are left. Filled at compile time with index + 1, so that the zeroes between mean
 * "none" and no lock or first-use check stands in front of a look-up.
 */
static const uint16_t by_encoding[1 << 15] = {
#define SYSREG(name, op0, op1, crn, crm, op2) [SYSREG_ENCODING(op0, op1, crn, crm, op2) & 0x7fff] = SR_##name + 1,
#include "sysreg_list.h"
#undef SYSREG
};

enum sysreg sysreg_find(uint16_t encoding)
{
	unsigned int slot;

	if (!(encoding & 0x8000))
		return SR_NONE;
	slot = by_encoding[encoding & 0x7fff];
	return slot ? (enum sysreg)(slot - 1) : SR_NONE;
}

enum sysreg sysreg_find_name(const char *name, size_t len)
{
	for (unsigned int i = 0; i < SR_COUNT; i++)
		if (strlen(sysreg_names[i].name) == len && !memcmp(sysreg_names[i].name, name, len))
			return (enum sysreg)i;
	return SR_NONE;
}
