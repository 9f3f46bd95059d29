/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: what a guest is to do, from a script's text. Part of the tests.
 *
 * Operations are rows of a table, as statements are in parse.c. A repetition is read as often as it is
 * to be done, so that each operation of a list has a place of its own for its result.
 */
#include <stdio.h>
#include <string.h>

#include "parse.h"

#define OPS_MAX 512
#define BINDINGS_MAX 64

/* r: system register      n: bytes      a: address      v: value      V: one to four values
 * m: `<-` and what a load that leaves the guest reads, if given
 * >: arrow and name, if given      q: `?`, if given
 */
static const struct {
	const char *word;
	enum guest_op_kind kind;
	const char *shape;
} op_shapes[] = {
	{ "read", GUEST_READ, "r>q" },
	{ "write", GUEST_WRITE, "rv" },
	{ "load", GUEST_LOAD, "anm>q" },
	{ "store", GUEST_STORE, "anv" },
	{ "wfi", GUEST_WFI, "" },
	{ "hvc", GUEST_HVC, "V>q" },
	{ "smc", GUEST_SMC, "V>q" },
	{ "lines", GUEST_LINES, ">" },
	{ "context", GUEST_CONTEXT, ">" },
	{ "wait", GUEST_WAIT, "anv" },
	{ "until", GUEST_UNTIL, "vv" },
};

/* A list being read. Names that a repetition binds are forgotten at its end. */
struct list {
	struct parser *p;
	struct guest_list *ops;
	struct {
		const char *name;
		size_t op;
	} binding[BINDINGS_MAX];
	size_t bindings;
	unsigned int repeats; /* open */
};

static int find_binding(struct list *l, const char *name, size_t *op)
{
	for (size_t i = l->bindings; i--;) {
		if (!strcmp(l->binding[i].name, name)) {
			*op = l->binding[i].op;
			return 0;
		}
	}
	return parse_fail(l->p, "no operation above binds $%s", name);
}

static int parse_arg(struct list *l, struct guest_op *op, unsigned int width)
{
	struct guest_value *arg = &op->arg[op->args++];
	struct value value = { .kind = VALUE_NUMBER };
	struct parser *p = l->p;

	*arg = (struct guest_value){ .op = NO_OP };
	if (next_word(p, "a value"))
		return -1;
	if (*p->word == '$') {
		char *plus = strchr(p->word, '+');

		if (plus)
			*plus++ = 0;
		if (find_binding(l, p->word + 1, &arg->op))
			return -1;
		return plus ? parse_u64(p, plus, &arg->number) : 0;
	}
	if (parse_number(p, p->word, &value))
		return -1;
	if (!value_fits(&value, width))
		return parse_fail(p, "%s does not fit u%u", p->word, 8 * width);
	arg->number = value.number;
	return 0;
}

static int parse_bytes(struct parser *p, struct guest_op *op)
{
	uint64_t bytes;

	if (next_word(p, "the number of bytes") || parse_u64(p, p->word, &bytes))
		return -1;
	if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8)
		return parse_fail(p, "a guest loads and stores 1, 2, 4 or 8 bytes");
	if (op->arg[0].op == NO_OP && op->arg[0].number % bytes)
		return parse_fail(p, "the address is not a multiple of %u", (unsigned int)bytes);
	op->bytes = bytes;
	return 0;
}

static int parse_sysreg(struct parser *p, struct guest_op *op)
{
	if (next_word(p, "a system register"))
		return -1;
	if (!sysreg_encoding(p->word, &op->sysreg))
		return parse_fail(p, "no system register is called %s", p->word);
	return 0;
}

static int parse_mmio(struct parser *p, struct guest_op *op)
{
	struct value value = { .kind = VALUE_NUMBER };

	if (!accept_word(p, "<-"))
		return 0;
	if (next_word(p, "a value") || parse_number(p, p->word, &value))
		return -1;
	if (!value_fits(&value, op->bytes))
		return parse_fail(p, "%s does not fit u%u", p->word, 8 * op->bytes);
	op->mmio = value.number;
	return 0;
}

/* The name stands for the result from the next operation on. */
static int parse_binding(struct list *l)
{
	struct parser *p = l->p;

	if (!accept_word(p, "->"))
		return 0;
	if (next_word(p, "a name"))
		return -1;
	if (!is_name(p->word))
		return parse_fail(p, "%s is not a name: letters, digits and _, no digit first, "
				  "and no word with a meaning", p->word);
	if (l->bindings == BINDINGS_MAX)
		return parse_fail(p, "a list has at most %u names", BINDINGS_MAX);
	l->binding[l->bindings].name = p->word;
	l->binding[l->bindings++].op = l->ops->op_count;
	return 0;
}

static bool args_go_on(struct parser *p)
{
	char c = next_char(p);

	return c && !strchr(";]?", c) && (c != '-' || p->end - p->at < 2 || p->at[1] != '>');
}

static int parse_part(struct list *l, struct guest_op *op, char letter)
{
	switch (letter) {
	case 'r':
		return parse_sysreg(l->p, op);
	case 'n':
		return parse_bytes(l->p, op);
	case 'a':
		return parse_arg(l, op, 8);
	case 'v':
		return parse_arg(l, op, op->bytes ? op->bytes : 8);
	case 'V':
		do {
			if (parse_arg(l, op, 8))
				return -1;
		} while (op->args < GUEST_ARGS_MAX && args_go_on(l->p));
		return 0;
	case 'm':
		return parse_mmio(l->p, op);
	case '>':
		return parse_binding(l);
	default:
		op->is_volatile = accept_word(l->p, "?");
		return 0;
	}
}

static int parse_op(struct list *l)
{
	struct guest_op op = { .leave_to = NO_OP };
	struct guest_list *ops = l->ops;
	const char *shape = NULL;

	for (size_t i = 0; i < sizeof(op_shapes) / sizeof(op_shapes[0]); i++) {
		if (!strcmp(l->p->word, op_shapes[i].word)) {
			op.kind = op_shapes[i].kind;
			shape = op_shapes[i].shape;
		}
	}
	if (!shape)
		return parse_fail(l->p, "no operation is called %s", l->p->word);
	if (op.kind == GUEST_UNTIL && !l->repeats)
		return parse_fail(l->p, "`until` stands inside a repeat");
	for (; *shape; shape++)
		if (parse_part(l, &op, *shape))
			return -1;
	if (ops->op_count == OPS_MAX)
		return parse_fail(l->p, "a list has at most %u operations", OPS_MAX);
	ops->ops = grow(ops->ops, ops->op_count, sizeof(*ops->ops));
	ops->ops[ops->op_count++] = op;
	return 0;
}

static int parse_ops(struct list *l);

static int parse_repeat(struct list *l)
{
	size_t first = l->ops->op_count, bindings = l->bindings;
	struct parser *p = l->p, body;
	uint64_t times;

	if (next_word(p, "how often") || parse_u64(p, p->word, &times))
		return -1;
	if (!times || times > OPS_MAX)
		return parse_fail(p, "a repeat is of 1 to %u times", OPS_MAX);
	if (next_token(p))
		return -1;
	if (p->token != TOKEN_OPEN)
		return parse_fail(p, "`[` is missing");
	body = *p;
	l->repeats++;
	for (; times; times--, l->bindings = bindings) {
		*p = body;
		if (parse_ops(l))
			return -1;
	}
	l->repeats--;
	for (size_t i = first; i < l->ops->op_count; i++)
		if (l->ops->ops[i].kind == GUEST_UNTIL && l->ops->ops[i].leave_to == NO_OP)
			l->ops->ops[i].leave_to = l->ops->op_count;
	return 0;
}

/* up to the `]`: operations with `;` between them */
static int parse_ops(struct list *l)
{
	struct parser *p = l->p;

	for (;;) {
		if (next_token(p))
			return -1;
		if (p->token == TOKEN_CLOSE)
			return 0;
		if (p->token != TOKEN_WORD)
			return parse_fail(p, "an operation begins with a word");
		if (!strcmp(p->word, "repeat") ? parse_repeat(l) : parse_op(l))
			return -1;
		if (next_char(p) != ']' && !accept_word(p, ";"))
			return parse_fail(p, "`;` or `]` is missing");
	}
}

static int parse_list(struct parser *p, struct guest_list *ops)
{
	struct list l = { .p = p, .ops = ops };

	if (next_word(p, "a descriptor") || find_name(p, p->word, NAME_FD, &ops->name))
		return -1;
	ops->is_continued = next_char(p) != '[';
	if (ops->is_continued)
		return 0;
	return next_token(p) || parse_ops(&l) ? -1 : 0;
}

int parse_guests(struct parser *p, struct statement *st)
{
	do {
		st->guests = grow(st->guests, st->guest_count, sizeof(*st->guests));
		st->guests[st->guest_count] = (struct guest_list){ 0 };
		if (parse_list(p, &st->guests[st->guest_count]))
			return -1;
		for (size_t i = 0; i < st->guest_count; i++)
			if (st->guests[i].name == st->guests[st->guest_count].name)
				return parse_fail(p, "a vCPU does one list at a time");
	} while (st->guest_count++, next_char(p) && next_char(p) != '\n');
	return 0;
}
