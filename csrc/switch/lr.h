/* SPDX-License-Identifier: MIT */
/*
 * A list register's fields, in either layout. Layer: switch.
 * Source: ICH_LR<n>_EL2, IHI 0069, 12.4.6; GICH_LR<n>, IHI 0048, 5.3.9.
 */
#ifndef KVMEMU_SWITCH_LR_H
#define KVMEMU_SWITCH_LR_H

#include <stdbool.h>
#include <stdint.h>

/* Whose list register it is: GICH_LR, ICH_LR, or ICH_LR of a guest with a GICv2, whose SGIs name their sender. */
enum lr_layout { LR_GICH, LR_ICH, LR_ICH_V2_GUEST };

struct lr {
	uint32_t vintid;
	uint32_t pintid;	/* of the host's interrupt; with hw only */
	uint8_t priority;
	uint8_t source;		/* GICv2's SGIs: the sending CPU interface */
	bool pending;
	bool active;
	bool hw;
	bool group1;
	bool eoi;		/* ask for maintenance at its deactivation */
};

uint64_t lr_encode(enum lr_layout layout, const struct lr *lr);
struct lr lr_decode(enum lr_layout layout, uint64_t val);

#endif
