/* SPDX-License-Identifier: MIT */
/*
 * The system registers the architecture has: names, encodings, and a dense index for tables and storage.
 * Layer: machine. Knows no VM.
 */
#ifndef KVMEMU_MACHINE_SYSREG_H
#define KVMEMU_MACHINE_SYSREG_H

#include <stddef.h>
#include <stdint.h>

/* Index of a register: SR_SCTLR_EL1 and so on, ascending by encoding. SR_NONE stands for "no such register". */
enum sysreg {
#define SYSREG(name, op0, op1, crn, crm, op2) SR_##name,
#include "sysreg_list.h"
#undef SYSREG
	SR_COUNT,
	SR_NONE = SR_COUNT,
};

/* The 16 bits op0:op1:CRn:CRm:op2 in which both MSR/MRS and KVM's register ids hold an encoding. */
#define SYSREG_ENCODING(op0, op1, crn, crm, op2) \
	((uint16_t)((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2)))

struct sysreg_name {
	const char *name;
	uint16_t encoding;
};

extern const struct sysreg_name sysreg_names[SR_COUNT];

/* Index + 1 by the lower 15 bits of an encoding: registers have op0 2 or 3. 0: no such register. */
extern const uint16_t sysreg_by_encoding[1 << 15] __attribute__((visibility("hidden")));

/* Constant time. Encodings with op0 < 2 are instructions, not registers, and give SR_NONE. */
static inline enum sysreg sysreg_find(uint16_t encoding)
{
	unsigned int slot = encoding & 0x8000 ? sysreg_by_encoding[encoding & 0x7fff] : 0;

	return slot ? (enum sysreg)(slot - 1) : SR_NONE;
}

/* By name, as the Arm manual spells it, in any case. */
enum sysreg sysreg_find_name(const char *name, size_t len);

#endif
