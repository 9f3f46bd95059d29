/* SPDX-License-Identifier: MIT */
/*
 * Register ids and names, both ways, for people and for files. Layer: reg; needs no vCPU.
 *
 * A name is what the Arm manual calls the register the id stands for, not what the id's bits would spell: the timer's
 * CNT and CVAL have each other's encodings on arm64, and are named by what they hold.
 */
#ifndef KVMEMU_REG_NAMES_H
#define KVMEMU_REG_NAMES_H

#include <stddef.h>
#include <stdint.h>

#ifndef KVMEMU_API
#define KVMEMU_API __attribute__((visibility("default")))
#endif

#define KVMEMU_REG_NAME_BYTES 40

enum kvmemu_reg_kind {
	KVMEMU_REG_CORE,
	KVMEMU_REG_SVE,
	KVMEMU_REG_FIRMWARE,
	KVMEMU_REG_TIMER,
	KVMEMU_REG_SYSTEM,
	KVMEMU_REG_DEMUX,
	KVMEMU_REG_CP15,
	KVMEMU_REG_VFP,
};

struct kvmemu_reg_info {
	uint64_t id;
	uint32_t bytes;
	int kind;			/* enum kvmemu_reg_kind */
	int arch;			/* 64 or 32 */
	char name[40];
};

/* What an id stands for. 0, or -ENOENT if no register has this id. */
KVMEMU_API int kvmemu_reg_describe(uint64_t id, struct kvmemu_reg_info *info);

/* The register of this name, as kvmemu_reg_describe() spells it; arch 64 or 32. 0 or -ENOENT. */
KVMEMU_API int kvmemu_reg_find(const char *name, int arch, struct kvmemu_reg_info *info);

/*
 * The encoding of a system register in MRS and MSR, as op0:op1:CRn:CRm:op2 in 16 bits, by its name or by one such as
 * S3_0_C12_C12_0; -ENOENT if there is none.
 */
KVMEMU_API int kvmemu_sysreg_encoding(const char *name);

#endif
