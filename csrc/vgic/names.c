/* SPDX-License-Identifier: MIT */
/* Names of the vGIC's registers, from the tables that the frames are made of. Layer: vgic. Needs no VM. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "../machine/sysreg.h"
#include "mmio.h"

static const struct vgic_reg *row_from(enum vgic_model model, enum vgic_frame frame, uint32_t offset)
{
	const struct vgic_table *table = vgic_table_of(frame);
	const struct vgic_reg *best = NULL;

	for (unsigned int i = 0; i < table->nr; i++) {
		const struct vgic_reg *row = &table->rows[i];

		if (!(row->models & vgic_model_bit(model)) || row->off + row->bytes <= offset)
			continue;
		if (!best || row->off < best->off)
			best = row;
	}
	return best;
}

/* The last 48 bytes of a frame: peripheral ID 4 to 7, 0 to 3, component ID 0 to 3. */
static void name_id_register(char *name, const char *row_name, unsigned int n)
{
	snprintf(name, VGIC_REG_NAME_BYTES, "%.5s%s%u", row_name, n < 8 ? "PIDR" : "CIDR", n < 8 ? n ^ 4 : n - 8);
}

static void set_name(char *name, const struct vgic_reg *row, unsigned int n, uint32_t bytes)
{
	if (strstr(row->name, "IDREGS"))
		name_id_register(name, row->name, n);
	else if (row->bytes > bytes)
		snprintf(name, VGIC_REG_NAME_BYTES, "%s%u", row->name, n);
	else
		snprintf(name, VGIC_REG_NAME_BYTES, "%s", row->name);
}

bool vgic_reg_from(enum vgic_model model, enum vgic_frame frame, uint32_t offset, struct vgic_reg_info *info)
{
	const struct vgic_reg *row = row_from(model, frame, offset);
	uint32_t bytes, n, at;

	if (!row)
		return false;
	bytes = row->sizes & ACC_64 ? 8 : 4;
	n = offset > row->off ? (offset - row->off) / bytes : 0;
	at = n * bytes;
	*info = (struct vgic_reg_info){
		.offset = row->off + at,
		.bytes = bytes,
		.bits_per_intid = row->bits_per_intid,
		.intid = row->bits_per_intid ? at * 8 / row->bits_per_intid : 0,
		.restore = row->restore,
		.cleared_by = row->cleared_by ? row->cleared_by + at : 0,
	};
	set_name(info->name, row, n, bytes);
	return true;
}

/* Writing BPR1 depends on what is in CTLR. */
static uint32_t restore_icc(enum sysreg reg)
{
	return reg == SR_ICC_SRE_EL1 ? KVMEMU_RESTORE_REVISION : reg == SR_ICC_CTLR_EL1 ? KVMEMU_RESTORE_CONTROL : KVMEMU_RESTORE_CONFIG;
}

bool vgic_icc_from(uint16_t encoding, struct vgic_reg_info *info)
{
	for (uint32_t e = encoding; e <= UINT16_MAX; e++) {
		if (!vgic_has_icc((uint16_t)e))
			continue;
		*info = (struct vgic_reg_info){
			.offset = e,
			.bytes = 8,
			.restore = restore_icc(sysreg_find((uint16_t)e)),
		};
		snprintf(info->name, sizeof(info->name), "%s", sysreg_names[sysreg_find((uint16_t)e)].name);
		return true;
	}
	return false;
}
