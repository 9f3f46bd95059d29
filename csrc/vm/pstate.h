/* SPDX-License-Identifier: MIT */
/* Bits of PSTATE and SCTLR_EL1 that more than one file looks at (Arm DDI 0487, C5.2.18 and D17.2.118). Layer: vm. */
#ifndef KVMEMU_VM_PSTATE_H
#define KVMEMU_VM_PSTATE_H

#define PSTATE_MODE 0xfull		/* AArch64: 0 is EL0 */
#define PSTATE_MODE32 0x10ull		/* in AArch32 */
#define PSTATE_AA32_T (1ull << 5)	/* AArch32: executes T32 */
#define PSTATE_AA32_E (1ull << 9)	/* AArch32: data are big-endian */

#define SCTLR_E0E (1ull << 24)		/* AArch64: data are big-endian at EL0 */
#define SCTLR_EE (1ull << 25)		/* and at EL1 */

#endif
