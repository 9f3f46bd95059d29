/* SPDX-License-Identifier: MIT */
/*
 * A program on QEMU's "virt" machine that starts in EL2 without an operating system, and calls functions in EL1, where
 * ICC_* are the virtual registers. Part of the tests.
 */
#define HCR_RW (1 << 31)
#define HCR_IMO (1 << 4)
#define HCR_FMO (1 << 3)
#define EL1H_MASKED 0x3c5
#define PSCI_SYSTEM_OFF 0x84000008

	.global _start
	.section .text.start, "ax"
_start:
	ldr	x0, =stack_top
	mov	sp, x0
	ldr	x0, =vectors
	msr	vbar_el2, x0
	ldr	x0, =(HCR_RW | HCR_IMO | HCR_FMO)
	msr	hcr_el2, x0
	isb
	bl	main
off:
	ldr	x0, =PSCI_SYSTEM_OFF
	smc	#0
	b	off

	.align	11
vectors:
	.rept	8
	.align	7
	b	fault
	.endr
	.align	7
	b	back_in_el2	/* a synchronous exception of EL1: its HVC */
	.rept	7
	.align	7
	b	fault
	.endr
fault:
	mrs	x0, esr_el2
	mrs	x1, elr_el2
	bl	on_fault
	b	off

/* uint64_t in_el1(uint64_t (*function)(uint64_t), uint64_t argument); the function uses no stack. */
	.global in_el1
in_el1:
	stp	x29, x30, [sp, #-16]!
	adr	x9, enter_el1
	msr	elr_el2, x9
	mov	x9, #EL1H_MASKED
	msr	spsr_el2, x9
	mov	x10, x0
	mov	x0, x1
	eret
enter_el1:
	blr	x10
	hvc	#0
back_in_el2:
	ldp	x29, x30, [sp], #16
	ret

/* A function a register and direction: read_NAME(), write_NAME(value). */
	.macro	readable name, encoding
	.global	read_\name
read_\name:
	mrs	x0, \encoding
	ret
	.endm
	.macro	writable name, encoding
	.global	write_\name
write_\name:
	msr	\encoding, x0
	isb
	ret
	.endm

	readable ISR, S3_0_C12_C1_0
	readable IAR0, S3_0_C12_C8_0
	readable IAR1, S3_0_C12_C12_0
	readable HPPIR0, S3_0_C12_C8_2
	readable HPPIR1, S3_0_C12_C12_2
	readable RPR, S3_0_C12_C11_3
	readable PMR, S3_0_C4_C6_0
	readable BPR0, S3_0_C12_C8_3
	readable BPR1, S3_0_C12_C12_3
	readable CTLR, S3_0_C12_C12_4
	readable IGRPEN0, S3_0_C12_C12_6
	readable IGRPEN1, S3_0_C12_C12_7
	writable EOIR0, S3_0_C12_C8_1
	writable EOIR1, S3_0_C12_C12_1
	writable DIR, S3_0_C12_C11_1
	writable PMR, S3_0_C4_C6_0
	writable BPR0, S3_0_C12_C8_3
	writable BPR1, S3_0_C12_C12_3
	writable CTLR, S3_0_C12_C12_4
	writable IGRPEN0, S3_0_C12_C12_6
	writable IGRPEN1, S3_0_C12_C12_7

	.bss
	.align	4
	.skip	65536
stack_top:
