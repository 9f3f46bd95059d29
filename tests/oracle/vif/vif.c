/* SPDX-License-Identifier: MIT */
/*
 * The script of tests/c/vif_script.h on the virtual CPU interface of the machine this runs on: prints VTR, and the hash of
 * each round. Built with -DGIC=2 or 3, without a library. Part of the tests.
 */
#include "../../c/vif_script.h"

#ifndef ROUNDS
#define ROUNDS 500
#endif
#define UART ((volatile uint32_t *)0x09000000ul)

/* start.S */
uint64_t in_el1(uint64_t (*function)(uint64_t), uint64_t argument);
uint64_t read_ISR(uint64_t);

static void print_char(char c)
{
	*UART = (uint8_t)c;
}

static void print_hex(uint64_t value)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		print_char("0123456789abcdef"[value >> shift & 15]);
	print_char('\n');
}

void on_fault(uint64_t esr, uint64_t elr)
{
	print_char('!');
	print_hex(esr);
	print_hex(elr);
}

#if GIC == 3

#define FUNCTION(name) uint64_t read_##name(uint64_t), write_##name(uint64_t)
FUNCTION(IAR0); FUNCTION(IAR1); FUNCTION(EOIR0); FUNCTION(EOIR1); FUNCTION(DIR); FUNCTION(HPPIR0); FUNCTION(HPPIR1);
FUNCTION(RPR); FUNCTION(PMR); FUNCTION(BPR0); FUNCTION(BPR1); FUNCTION(CTLR); FUNCTION(IGRPEN0); FUNCTION(IGRPEN1);

#define READ(encoding) ({ uint64_t v_; __asm__ volatile("isb; mrs %0, " encoding : "=r"(v_) : : "memory"); v_; })
#define WRITE(encoding, v) __asm__ volatile("msr " encoding ", %0; isb" : : "r"((uint64_t)(v)) : "memory")

/* AP0R and AP1R have 32 bits. */
uint64_t script_read(unsigned int reg)
{
	switch (reg) {
	case R_LR + 0: return READ("S3_4_C12_C12_0");
	case R_LR + 1: return READ("S3_4_C12_C12_1");
	case R_LR + 2: return READ("S3_4_C12_C12_2");
	case R_LR + 3: return READ("S3_4_C12_C12_3");
	case R_HCR: return READ("S3_4_C12_C11_0");
	case R_VTR: return READ("S3_4_C12_C11_1");
	case R_VMCR: return READ("S3_4_C12_C11_7");
	case R_MISR: return READ("S3_4_C12_C11_2");
	case R_EISR: return READ("S3_4_C12_C11_3");
	case R_ELRSR: return READ("S3_4_C12_C11_5");
	case R_AP0R: return (uint32_t)READ("S3_4_C12_C8_0");
	case R_AP1R: return (uint32_t)READ("S3_4_C12_C9_0");
	case R_ISR: return in_el1(read_ISR, 0);
	case R_IAR0: return in_el1(read_IAR0, 0);
	case R_IAR1: return in_el1(read_IAR1, 0);
	case R_HPPIR0: return in_el1(read_HPPIR0, 0);
	case R_HPPIR1: return in_el1(read_HPPIR1, 0);
	case R_RPR: return in_el1(read_RPR, 0);
	case R_PMR: return in_el1(read_PMR, 0);
	case R_BPR0: return in_el1(read_BPR0, 0);
	case R_BPR1: return in_el1(read_BPR1, 0);
	case R_CTLR: return in_el1(read_CTLR, 0);
	case R_IGRPEN0: return in_el1(read_IGRPEN0, 0);
	default: return in_el1(read_IGRPEN1, 0);
	}
}

void script_write(unsigned int reg, uint64_t value)
{
	switch (reg) {
	case R_LR + 0: WRITE("S3_4_C12_C12_0", value); break;
	case R_LR + 1: WRITE("S3_4_C12_C12_1", value); break;
	case R_LR + 2: WRITE("S3_4_C12_C12_2", value); break;
	case R_LR + 3: WRITE("S3_4_C12_C12_3", value); break;
	case R_HCR: WRITE("S3_4_C12_C11_0", value); break;
	case R_VMCR: WRITE("S3_4_C12_C11_7", value); break;
	case R_AP0R: WRITE("S3_4_C12_C8_0", value); break;
	case R_AP1R: WRITE("S3_4_C12_C9_0", value); break;
	case R_EOIR0: in_el1(write_EOIR0, value); break;
	case R_EOIR1: in_el1(write_EOIR1, value); break;
	case R_DIR: in_el1(write_DIR, value); break;
	case R_PMR: in_el1(write_PMR, value); break;
	case R_BPR0: in_el1(write_BPR0, value); break;
	case R_BPR1: in_el1(write_BPR1, value); break;
	case R_CTLR: in_el1(write_CTLR, value); break;
	case R_IGRPEN0: in_el1(write_IGRPEN0, value); break;
	case R_IGRPEN1: in_el1(write_IGRPEN1, value); break;
	}
}

static void set_up(void)
{
	WRITE("S3_4_C12_C9_5", 0xf);	/* ICC_SRE_EL2: system registers, for EL1 too */
	WRITE("S3_0_C12_C12_5", 7);	/* ICC_SRE_EL1 */
}

#else

#define GICH 0x08030000ul
#define GICV 0x08040000ul

/* Where a register is. */
static volatile uint32_t *address(unsigned int reg)
{
	static const struct {
		uint8_t reg;
		uint32_t address;
	} rows[] = {
		{ R_HCR, GICH }, { R_VTR, GICH + 4 }, { R_VMCR, GICH + 8 }, { R_MISR, GICH + 0x10 },
		{ R_EISR, GICH + 0x20 }, { R_ELRSR, GICH + 0x30 }, { R_AP0R, GICH + 0xf0 }, { R_CTLR, GICV },
		{ R_PMR, GICV + 4 }, { R_BPR0, GICV + 8 }, { R_IAR0, GICV + 0xc }, { R_EOIR0, GICV + 0x10 },
		{ R_RPR, GICV + 0x14 }, { R_HPPIR0, GICV + 0x18 }, { R_BPR1, GICV + 0x1c }, { R_DIR, GICV + 0x1000 },
	};
	uint64_t at = GICH + 0x100 + 4 * reg;	/* of a list register */

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].reg == reg)
			at = rows[i].address;
	return (volatile uint32_t *)at;
}

uint64_t script_read(unsigned int reg)
{
	return reg == R_ISR ? in_el1(read_ISR, 0) : *address(reg);
}

void script_write(unsigned int reg, uint64_t value)
{
	*address(reg) = (uint32_t)value;
}

static void set_up(void)
{
}

#endif

int main(void)
{
	set_up();
	print_hex(script_read(R_VTR));
	for (uint32_t round = 0; round < ROUNDS; round++)
		print_hex(script_round(GIC == 2, round));
	return 0;
}
