/* SPDX-License-Identifier: MIT */
/*
 * The virtual CPU interface beside another one's answers: recorded/vif-gicv*.txt, made by tests/oracle/record_vif.py from
 * QEMU's. Part of the tests.
 */
#include "vif.h"

#include "vif_script.h"

#ifndef RECORDED
#define RECORDED "recorded"
#endif

static struct virt_cpuif vif;

static const enum sysreg icc_regs[] = {
	[R_IAR0] = SR_ICC_IAR0_EL1, [R_IAR1] = SR_ICC_IAR1_EL1, [R_EOIR0] = SR_ICC_EOIR0_EL1,
	[R_EOIR1] = SR_ICC_EOIR1_EL1, [R_DIR] = SR_ICC_DIR_EL1, [R_HPPIR0] = SR_ICC_HPPIR0_EL1,
	[R_HPPIR1] = SR_ICC_HPPIR1_EL1, [R_RPR] = SR_ICC_RPR_EL1, [R_PMR] = SR_ICC_PMR_EL1,
	[R_BPR0] = SR_ICC_BPR0_EL1, [R_BPR1] = SR_ICC_BPR1_EL1, [R_CTLR] = SR_ICC_CTLR_EL1,
	[R_IGRPEN0] = SR_ICC_IGRPEN0_EL1, [R_IGRPEN1] = SR_ICC_IGRPEN1_EL1,
};
static const uint32_t gicv_regs[] = {
	[R_IAR0] = GICV_IAR, [R_EOIR0] = GICV_EOIR, [R_DIR] = GICV_DIR, [R_HPPIR0] = GICV_HPPIR, [R_RPR] = GICV_RPR,
	[R_PMR] = GICV_PMR, [R_BPR0] = GICV_BPR, [R_BPR1] = GICV_ABPR, [R_CTLR] = GICV_CTLR,
};

uint64_t script_read(unsigned int reg)
{
	switch (reg) {
	case R_HCR:
		return vif.hcr;
	case R_VTR:
		return vif.vtr;
	case R_VMCR:
		return vif.vmcr;
	case R_MISR:
		return virt_cpuif_misr(&vif);
	case R_EISR:
		return virt_cpuif_eisr(&vif);
	case R_ELRSR:
		return virt_cpuif_elrsr(&vif);
	case R_AP0R:
		return vif.ap0r[0];
	case R_AP1R:
		return vif.ap1r[0];
	case R_ISR:
		return (virt_irq(&vif) ? 1u << 7 : 0) | (virt_fiq(&vif) ? 1u << 6 : 0);
	default:
		if (reg < R_LR + SCRIPT_LRS)
			return vif.lr[reg - R_LR];
		return vif.v2 ? gicv_read(&vif, gicv_regs[reg]) : icc(&vif, icc_regs[reg]);
	}
}

void script_write(unsigned int reg, uint64_t value)
{
	if (reg < R_LR + SCRIPT_LRS)
		vif.lr[reg - R_LR] = value;
	else if (reg == R_HCR)
		virt_cpuif_write_hcr(&vif, (uint32_t)value);
	else if (reg == R_VMCR)
		virt_cpuif_write_vmcr(&vif, (uint32_t)value);
	else if (reg == R_AP0R)
		vif.ap0r[0] = (uint32_t)value;
	else if (reg == R_AP1R)
		vif.ap1r[0] = (uint32_t)value;
	else if (vif.v2)
		gicv_write(&vif, gicv_regs[reg], (uint32_t)value);
	else
		set_icc(&vif, icc_regs[reg], value);
}

/* VTR, then a hash a round. */
static void same_as_recorded(enum kind kind, const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned long long want;
	uint32_t rounds = 0;

	vif = make_vif(kind, SCRIPT_LRS, 5);
	if (!ok(file) || !ok(fscanf(file, "%llx", &want) == 1))
		return;
	equal(vif.vtr, want);
	while (fscanf(file, "%llx", &want) == 1) {
		if (!equal(script_round(kind == V2, rounds), want))
			printf("# round %u\n", rounds);
		rounds++;
	}
	ok(rounds >= 500);
	fclose(file);
}

static void system_registers_do_as_recorded(void)
{
	same_as_recorded(V3, RECORDED "/vif-gicv3.txt");
}

static void a_gicv2_does_as_recorded(void)
{
	same_as_recorded(V2, RECORDED "/vif-gicv2.txt");
}

int main(void)
{
	run(system_registers_do_as_recorded);
	run(a_gicv2_does_as_recorded);
	return check_done();
}
