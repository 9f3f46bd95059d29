/* SPDX-License-Identifier: MIT */
/*
 * A guest for recording a VM's state: gives every vCPU registers of its own, arms its virtual timer, and waits.
 * Runs with the MMU off, wherever it is loaded. x0: the vCPU's number; x1: counter ticks a second.
 */
	.text
	.globl _start
_start:
	mov	x19, x0
	mov	x20, x1
	add	x28, x19, #1

	mov	x2, #(3 << 20)			/* CPACR_EL1.FPEN: no traps of FP and SIMD */
	msr	cpacr_el1, x2
	isb

	/* A pattern with the vCPU's number in every byte that a register can keep. */
	ldr	x21, =0x0123456789abcdef
	ldr	x22, =0x1010101010101010
	madd	x21, x22, x28, x21

	adr	x2, vectors
	msr	vbar_el1, x2
	bic	x2, x21, #0xfff
	and	x2, x2, #0x0000ffffffffffff
	msr	ttbr0_el1, x2
	add	x2, x2, #0x1000
	msr	ttbr1_el1, x2
	ldr	x2, =0x00000000b5193519		/* 48-bit VA, 4 KiB granule; the MMU stays off */
	msr	tcr_el1, x2
	ldr	x2, =0x0000bbff440c0400
	msr	mair_el1, x2
	msr	tpidr_el1, x21
	add	x2, x21, #1
	msr	tpidr_el0, x2
	add	x2, x21, #2
	msr	tpidrro_el0, x2
	add	w2, w19, #0x100
	msr	contextidr_el1, x2
	msr	far_el1, x21
	mov	x2, #0x3
	msr	cntkctl_el1, x2
	mov	x2, sp
	add	x2, x21, #0x10
	mov	sp, x2				/* SP_EL1: the guest runs at EL1h */
	msr	sp_el0, x21
	msr	elr_el1, x21
	ldr	x2, =0x600003c5
	msr	spsr_el1, x2

	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	add	x2, x21, #\n
	mov	v\n\().d[0], x2
	mvn	x2, x2
	mov	v\n\().d[1], x2
	.endr
	mov	x2, #0x1f
	msr	fpsr, x2
	mov	x2, #(1 << 24)			/* flush to zero */
	msr	fpcr, x2

	/* Ten seconds, twenty, thirty, ... from now. */
	mrs	x2, cntvct_el0
	mov	x3, #10
	mul	x3, x3, x28
	madd	x2, x3, x20, x2
	msr	cntv_cval_el0, x2
	mov	x2, #1
	msr	cntv_ctl_el0, x2
	isb

	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,22,23,24,25,26,27,28,29,30
	add	x\n, x21, #(\n + 0x40)
	.endr
1:	wfi
	b	1b

	.ltorg
	.balign	2048
vectors:
	.rept	16
	b	.
	.balign	128
	.endr
