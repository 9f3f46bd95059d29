/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: from a list of operations to A64 instructions. Part of the tests.
 *
 * A guest runs with its MMU off and all exceptions masked, from the beginning of its memory. Each
 * operation has a slot for its results. An exception (an undefined instruction, an abort) goes to
 * the vectors, which note it in the slot and go on with the next operation. The list ends with a
 * store to an address where nothing is, so that KVM_RUN returns.
 *
 * x28 is the address of the current slot, x27 that of the next operation, x9 to x12 are scratch.
 */
#include <string.h>

#include "script.h"

/* A guest's memory. KVM may have yet to step over the doorbell, so the first instruction is a nop. */
#define VECTORS 0x800u
#define CODE 0x1000u
#define CODE_END 0x18000u
#define CONTEXT 0x18000u /* x0 at entry */
#define SLOTS 0x18100u

#define NOP 0xd503201fu
#define ISB 0xd5033fdfu
#define DSB_SY 0xd5033f9fu
#define WFI 0xd503207fu
#define HVC_0 0xd4000002u
#define SMC_0 0xd4000003u
#define ERET 0xd69f03e0u

#define SYSREG(op0, op1, crn, crm, op2) \
	((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))
#define ISR_EL1 SYSREG(3, 0, 12, 1, 0)
#define ESR_EL1 SYSREG(3, 0, 5, 2, 0)
#define ELR_EL1 SYSREG(3, 0, 4, 0, 1)
#define VBAR_EL1 SYSREG(3, 0, 12, 0, 0)

enum { X0 = 0, X9 = 9, X10 = 10, X11 = 11, X16 = 16, NEXT = 27, SLOT = 28, X30 = 30, XZR = 31 };
enum { STATE = offsetof(struct guest_slot, state), VALUE = offsetof(struct guest_slot, value) };

struct code {
	unsigned char *memory;
	uint64_t ipa;
	size_t at; /* offset of the next instruction */
};

/* Beyond the end they are counted and not stored. */
static void put(struct code *c, uint32_t instruction)
{
	if (c->at < CODE_END)
		memcpy(c->memory + c->at, &instruction, sizeof(instruction));
	c->at += sizeof(instruction);
}

static void put_number(struct code *c, unsigned int reg, uint64_t number)
{
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t part = number >> 16 * i & 0xffff;

		put(c, (i ? 0xf2800000u : 0xd2800000u) | i << 21 | part << 5 | reg);
	}
}

/* to or from [base + offset], an offset of whole 8 bytes */
static void put_ldr(struct code *c, unsigned int reg, unsigned int base, unsigned int offset)
{
	put(c, 0xf9400000u | offset / 8 << 10 | base << 5 | reg);
}

static void put_str(struct code *c, unsigned int reg, unsigned int base, unsigned int offset)
{
	put(c, 0xf9000000u | offset / 8 << 10 | base << 5 | reg);
}

static void put_mrs(struct code *c, unsigned int reg, uint16_t sysreg)
{
	put(c, 0xd5200000u | (uint32_t)(sysreg & 0xffff) << 5 | reg);
}

static void put_msr(struct code *c, uint16_t sysreg, unsigned int reg)
{
	put(c, 0xd5000000u | (uint32_t)(sysreg & 0xffff) << 5 | reg);
}

static uint64_t slot_ipa(const struct code *c, size_t op)
{
	return c->ipa + SLOTS + op * sizeof(struct guest_slot);
}

/* a conditional branch over this many instructions, the branch among them: back if negative */
static void put_branch(struct code *c, uint32_t instruction, int distance)
{
	put(c, instruction | ((uint32_t)distance & 0x7ffff) << 5);
}

#define CBZ_X9 0xb4000009u
#define B_NE 0x54000001u

/* register = value */
static void put_value(struct code *c, unsigned int reg, const struct guest_value *value)
{
	put_number(c, reg, value->number);
	if (value->op == NO_OP)
		return;
	put_number(c, X11, slot_ipa(c, value->op) + VALUE);
	put_ldr(c, X11, X11, 0);
	put(c, 0x8b000000u | X11 << 16 | reg << 5 | reg); /* add */
}

static uint32_t log_bytes(unsigned int bytes)
{
	return (uint32_t)__builtin_ctz(bytes);
}

/* of x9 at [x10] */
static void put_access(struct code *c, unsigned int bytes, bool is_load)
{
	put(c, 0x39000000u | log_bytes(bytes) << 30 | (uint32_t)is_load << 22 | X10 << 5 | X9);
}

static void put_call(struct code *c, const struct guest_op *op)
{
	for (unsigned int i = 0; i < GUEST_ARGS_MAX; i++) {
		const struct guest_value none = { .op = NO_OP };

		put_value(c, X0 + i, i < op->args ? &op->arg[i] : &none);
	}
	put(c, op->kind == GUEST_HVC ? HVC_0 : SMC_0);
	for (unsigned int i = 0; i < GUEST_ARGS_MAX; i++)
		put_str(c, X0 + i, SLOT, VALUE + 8 * i);
}

/* until the location holds the value; x12 has the value in as many bytes */
static void put_wait(struct code *c, const struct guest_op *op)
{
	put_value(c, X10, &op->arg[0]);
	put_value(c, 12, &op->arg[1]);
	put_access(c, op->bytes, true);
	put(c, 0xeb00001fu | 12 << 16 | X9 << 5); /* cmp x9, x12 */
	put_branch(c, B_NE, -2);
	put(c, DSB_SY);
}

/* Waiting for interrupts can end without one: the loop goes on until a line is up. */
static void put_wfi(struct code *c)
{
	put(c, WFI);
	put_mrs(c, X9, ISR_EL1);
	put_branch(c, CBZ_X9, -2);
}

static void put_body(struct code *c, const struct guest_op *op)
{
	switch (op->kind) {
	case GUEST_READ:
		put(c, ISB);
		put_mrs(c, X9, op->sysreg);
		put_str(c, X9, SLOT, VALUE);
		put(c, DSB_SY); /* an acknowledgement has its effect before the next operation */
		put(c, ISB);
		break;
	case GUEST_WRITE:
		put_value(c, X9, &op->arg[0]);
		put_msr(c, op->sysreg, X9);
		put(c, ISB);
		break;
	case GUEST_LOAD:
		put_value(c, X10, &op->arg[0]);
		put_access(c, op->bytes, true);
		put_str(c, X9, SLOT, VALUE);
		put(c, DSB_SY);
		break;
	case GUEST_STORE:
		put_value(c, X10, &op->arg[0]);
		put_value(c, X9, &op->arg[1]);
		put_access(c, op->bytes, false);
		put(c, DSB_SY);
		break;
	case GUEST_WFI:
		put_wfi(c);
		break;
	case GUEST_HVC:
	case GUEST_SMC:
		put_call(c, op);
		break;
	case GUEST_LINES:
		put(c, ISB);
		put_mrs(c, X9, ISR_EL1);
		put_str(c, X9, SLOT, VALUE);
		break;
	case GUEST_CONTEXT:
		put_number(c, X10, c->ipa + CONTEXT);
		put_ldr(c, X9, X10, 0);
		put_str(c, X9, SLOT, VALUE);
		break;
	case GUEST_WAIT:
		put_wait(c, op);
		break;
	case GUEST_UNTIL:
		break;
	}
}

/* x9 == x10: on to another operation, whose code is not there yet */
static size_t put_until(struct code *c, const struct guest_op *op)
{
	put_value(c, X9, &op->arg[0]);
	put_value(c, X10, &op->arg[1]);
	put(c, 0xeb00001fu | X10 << 16 | X9 << 5); /* cmp */
	put_branch(c, B_NE, 2);
	put(c, 0);
	return c->at - sizeof(uint32_t);
}

static void set_branch(struct code *c, size_t from, size_t to)
{
	uint32_t instruction = 0x14000000u | ((uint32_t)((to - from) / 4) & 0x3ffffff);

	if (from < CODE_END)
		memcpy(c->memory + from, &instruction, sizeof(instruction));
}

static void put_op(struct code *c, const struct guest_op *op, size_t index)
{
	size_t next_at;

	put_number(c, SLOT, slot_ipa(c, index));
	next_at = c->at;
	put(c, NOP);
	put_body(c, op);
	put_number(c, X9, 1);
	put_str(c, X9, SLOT, STATE);
	if (next_at < CODE_END) { /* adr x27, next */
		uint32_t adr = 0x10000000u | (uint32_t)((c->at - next_at) / 4) << 5 | NEXT;

		memcpy(c->memory + next_at, &adr, sizeof(adr));
	}
}

static void put_vectors(struct code *c)
{
	for (unsigned int i = 0; i < 16; i++) {
		c->at = VECTORS + i * 0x80;
		put_mrs(c, X16, ESR_EL1);
		put(c, 0xb2410000u | X16 << 5 | X16); /* orr x16, x16, #GUEST_EXCEPTION */
		put_str(c, X16, SLOT, STATE);
		put_msr(c, ELR_EL1, NEXT);
		put(c, ERET);
	}
}

int guest_code(unsigned char *memory, uint64_t ipa, const struct guest_list *list)
{
	struct code code = { .memory = memory, .ipa = ipa }, *c = &code;
	size_t until[512], start[512 + 1];

	put(c, NOP);
	put_number(c, X30, ipa + CONTEXT);
	put_str(c, X0, X30, 0);
	put_number(c, X30, ipa + VECTORS);
	put_msr(c, VBAR_EL1, X30);
	put(c, ISB);
	set_branch(c, c->at, CODE);
	put_vectors(c);
	c->at = CODE;
	for (size_t i = 0; i < list->op_count; i++) {
		const struct guest_op *op = &list->ops[i];

		start[i] = c->at;
		if (op->kind == GUEST_UNTIL)
			until[i] = put_until(c, op);
		else
			put_op(c, op, i);
	}
	start[list->op_count] = c->at;
	put_number(c, X10, GUEST_DOORBELL);
	put(c, 0xb9000000u | X10 << 5 | XZR); /* str wzr, [x10] */
	set_branch(c, c->at, c->at);
	c->at += 4;
	for (size_t i = 0; i < list->op_count; i++)
		if (list->ops[i].kind == GUEST_UNTIL)
			set_branch(c, until[i], start[list->ops[i].leave_to]);
	memset(memory + SLOTS, 0, list->op_count * sizeof(struct guest_slot));
	return c->at <= CODE_END ? 0 : -1;
}

volatile struct guest_slot *guest_slots(unsigned char *memory)
{
	return (volatile struct guest_slot *)(memory + SLOTS);
}
