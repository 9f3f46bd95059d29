/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: from the text of a script to its statements. Part of the tests.
 *
 * Statements are rows of a table: the letters of a row's shape say what follows the first word.
 */
#include "parse.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * D, B: binds a new descriptor, buffer      d, b: a descriptor, buffer bound earlier
 * >: the arrow      v: request      a: argument      i: register id      x: register value
 * s, o: numbers for .size and .offset       p: NAME+OFF      [: a block of plain items
 * (: such a block, if given      c: arrow and name, if given      q: `?`, if given
 * h: names of hosts      g: descriptors, each with its guest's operations
 */
static const struct {
	const char *word;
	enum op op;
	const char *shape;
} statement_shapes[] = {
	{ "host", OP_HOST, "h" },
	{ "open", OP_OPEN, "D" },
	{ "ioctl", OP_IOCTL, "dvacq" },
	{ "get", OP_GET, "diq" },
	{ "set", OP_SET, "dix" },
	{ "close", OP_CLOSE, "d" },
	{ "dup", OP_DUP, "d>D" },
	{ "buffer", OP_BUFFER, "Bs" },
	{ "unmap", OP_UNMAP, "b" },
	{ "mmap", OP_MMAP, "dso>B" },
	{ "poke", OP_POKE, "p[" },
	{ "peek", OP_PEEK, "p[" },
	{ "read", OP_READ, "dso(q" },
	{ "eventfd", OP_EVENTFD, "Dso" },
	{ "alarm", OP_ALARM, "s" },
	{ "guest", OP_GUEST, "g" },
	{ "start", OP_START, "d" },
	{ "stop", OP_STOP, "ds" },
};

int parse_fail(struct parser *p, const char *form, ...)
{
	char *message = p->script->message;
	va_list args;
	int n = snprintf(message, MESSAGE_BYTES_MAX, "%s:%u: ", p->script->file, p->line);

	va_start(args, form);
	vsnprintf(message + n, MESSAGE_BYTES_MAX - n, form, args);
	va_end(args);
	return -1;
}

void *grow(void *array, size_t count, size_t element_bytes)
{
	if (count & (count - 1) || (count && count < 8))
		return array;
	array = realloc(array, (count ? 2 * count : 8) * element_bytes);
	if (!array)
		abort();
	return array;
}

char *copy_text(const char *text, size_t n)
{
	char *copy = malloc(n + 1);

	if (!copy)
		abort();
	memcpy(copy, text, n);
	copy[n] = 0;
	return copy;
}

/* ---- tokens ---- */

static int string_token(struct parser *p)
{
	const char *start = p->at++;
	char *to = p->word = copy_text(start, p->end - start);

	for (; p->at < p->end && *p->at != '"' && *p->at != '\n'; p->at++) {
		char c = *p->at;

		if (c == '\\') {
			char hex[3] = { 0 };

			c = ++p->at < p->end ? *p->at : 0;
			if (c == 'n') {
				c = '\n';
			} else if (c == 'x' && p->end - p->at > 2 &&
				   isxdigit((unsigned char)p->at[1]) &&
				   isxdigit((unsigned char)p->at[2])) {
				memcpy(hex, p->at + 1, 2);
				c = strtoul(hex, NULL, 16);
				p->at += 2;
			} else if (c != '"' && c != '\\') {
				return parse_fail(p, "a string knows \\n, \\\", \\\\ and \\xHH");
			}
		}
		*to++ = c;
	}
	if (p->at == p->end || *p->at != '"')
		return parse_fail(p, "the string does not end on its line");
	p->at++;
	p->word_bytes = to - p->word;
	p->raw = copy_text(start, p->at - start);
	p->token = TOKEN_STRING;
	return 0;
}

static bool is_word_char(char c)
{
	return !c || !strchr(" \t\r\n#[];\"", c);
}

static void skip_blanks(struct parser *p)
{
	for (; p->at < p->end; p->at++) {
		if (*p->at == '#')
			while (p->at < p->end && *p->at != '\n')
				p->at++;
		if (p->at == p->end || (*p->at == '\n' && !p->depth))
			return;
		if (*p->at == '\n')
			p->line++;
		else if (!strchr(" \t\r", *p->at) || !*p->at)
			return;
	}
}

int next_token(struct parser *p)
{
	const char *start;

	skip_blanks(p);
	if (p->at == p->end && p->depth)
		return parse_fail(p, "a `[` is not closed");
	if (p->at == p->end || *p->at == '\n') {
		p->token = TOKEN_END;
		return 0;
	}
	if (*p->at == '[' || *p->at == ']') {
		p->token = *p->at++ == '[' ? TOKEN_OPEN : TOKEN_CLOSE;
		if (p->token == TOKEN_CLOSE && !p->depth)
			return parse_fail(p, "`]` without `[`");
		p->depth += p->token == TOKEN_OPEN ? 1 : -1;
		return 0;
	}
	if (*p->at == '"')
		return string_token(p);
	start = p->at;
	if (*p->at == ';')
		p->at++;
	for (; *start != ';' && p->at < p->end && is_word_char(*p->at);)
		p->at++;
	p->word_bytes = p->at - start;
	p->word = copy_text(start, p->word_bytes);
	p->token = TOKEN_WORD;
	return 0;
}

char next_char(struct parser *p)
{
	skip_blanks(p);
	return p->at == p->end ? 0 : *p->at;
}

int next_word(struct parser *p, const char *what)
{
	if (next_token(p))
		return -1;
	if (p->token != TOKEN_WORD)
		return parse_fail(p, "%s is missing", what);
	return 0;
}

bool accept_word(struct parser *p, const char *word)
{
	size_t n = strlen(word);

	skip_blanks(p);
	if ((size_t)(p->end - p->at) < n || strncmp(p->at, word, n))
		return false;
	if (p->at + n < p->end && *word != ';' && is_word_char(p->at[n]))
		return false;
	p->at += n;
	return true;
}

/* ---- names ---- */

bool is_name(const char *text)
{
	static const char *const taken[] = { "bad", "fd", "any", "u8", "u16", "u32", "u64" };

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (!strcmp(text, taken[i]))
			return false;
	if (!isalpha((unsigned char)*text) && *text != '_')
		return false;
	while (isalnum((unsigned char)*text) || *text == '_')
		text++;
	return !*text;
}

int find_name(struct parser *p, const char *text, enum name_kind kind, size_t *index)
{
	struct script *s = p->script;

	for (size_t i = 0; i < s->name_count; i++) {
		if (strcmp(s->names[i].text, text))
			continue;
		if (s->names[i].kind != kind)
			return parse_fail(p, "%s is not a %s", text,
					  kind == NAME_FD ? "descriptor" : "buffer");
		*index = i;
		return 0;
	}
	return parse_fail(p, "no statement above binds the name %s", text);
}

static int bind_name(struct parser *p, enum name_kind kind, size_t *index)
{
	struct script *s = p->script;

	if (next_word(p, "a name"))
		return -1;
	if (!is_name(p->word))
		return parse_fail(p, "%s is not a name: letters, digits and _, no digit first, "
				  "and no word with a meaning", p->word);
	for (size_t i = 0; i < s->name_count; i++)
		if (!strcmp(s->names[i].text, p->word))
			return parse_fail(p, "the name %s is taken since line %u", p->word,
					  s->names[i].line);
	s->names = grow(s->names, s->name_count, sizeof(*s->names));
	s->names[s->name_count] = (struct name){
		.text = p->word, .kind = kind, .line = p->line, .fd = -1,
	};
	*index = s->name_count++;
	return 0;
}

/* ---- statements ---- */

static int parse_created(struct parser *p, struct statement *st)
{
	if (!accept_word(p, "->"))
		return 0;
	if (st->request.kind != VALUE_NUMBER || !request_creates(st->request.number))
		return parse_fail(p, "`->`: this request creates no descriptor");
	return bind_name(p, NAME_FD, &st->created);
}

static int parse_hosts(struct parser *p)
{
	int n = 0;

	while (!next_token(p)) {
		if (p->token == TOKEN_END)
			return n ? 0 : parse_fail(p, "a host's name is missing");
		if (p->token != TOKEN_WORD)
			return parse_fail(p, "only names of hosts follow `host`");
		n++;
	}
	return -1;
}

static int parse_request_or_arg(struct parser *p, struct value *value, bool is_arg)
{
	if (next_token(p))
		return -1;
	if (p->token == TOKEN_END)
		return parse_fail(p, "%s is missing", is_arg ? "the argument" : "the request");
	if (!is_arg && p->token != TOKEN_WORD)
		return parse_fail(p, "the request is a constant's name or a number");
	return parse_value(p, value);
}

static int parse_reg(struct parser *p, struct statement *st, char letter)
{
	size_t n;

	if (letter == 'i') {
		if (next_word(p, "the register's id"))
			return -1;
		return parse_u64(p, p->word, &st->offset);
	}
	if (next_word(p, "the register's value"))
		return -1;
	n = reg_bytes(st->offset);
	st->bytes = calloc(1, n);
	if (!st->bytes)
		abort();
	return parse_reg_value(p, p->word, st->bytes, n);
}

static int parse_plain_block(struct parser *p, struct statement *st, bool is_optional)
{
	skip_blanks(p);
	if (is_optional && (p->at == p->end || *p->at != '['))
		return 0;
	if (next_token(p))
		return -1;
	if (p->token != TOKEN_OPEN)
		return parse_fail(p, "`[` is missing");
	if (parse_block(p, false, &st->block))
		return -1;
	if (st->op == OP_READ && st->block->bytes != st->size)
		return parse_fail(p, "the items are %zu bytes, not %llu", st->block->bytes,
				  (unsigned long long)st->size);
	return 0;
}

static int parse_part(struct parser *p, struct statement *st, char letter)
{
	switch (letter) {
	case 'h':
		return parse_hosts(p);
	case 'D':
		return bind_name(p, NAME_FD, &st->created);
	case 'B':
		return bind_name(p, NAME_BUFFER, &st->created);
	case 'd':
		return next_word(p, "a descriptor") ? -1 :
		       find_name(p, p->word, NAME_FD, &st->name);
	case 'b':
		return next_word(p, "a buffer") ? -1 :
		       find_name(p, p->word, NAME_BUFFER, &st->name);
	case '>':
		return accept_word(p, "->") ? 0 : parse_fail(p, "`-> NAME` is missing");
	case 'v':
		return parse_request_or_arg(p, &st->request, false);
	case 'a':
		return parse_request_or_arg(p, &st->arg, true);
	case 'i':
	case 'x':
		return parse_reg(p, st, letter);
	case 's':
		return next_word(p, "a number") ? -1 : parse_u64(p, p->word, &st->size);
	case 'o':
		return next_word(p, "a number") ? -1 : parse_u64(p, p->word, &st->offset);
	case 'p':
		return next_word(p, "NAME+OFF") ? -1 :
		       parse_place(p, p->word, &st->name, &st->offset);
	case '[':
	case '(':
		return parse_plain_block(p, st, letter == '(');
	case 'c':
		return parse_created(p, st);
	case 'g':
		return parse_guests(p, st);
	default:
		st->is_volatile = accept_word(p, "?");
		return 0;
	}
}

static int check_sizes(struct parser *p, const struct statement *st)
{
	const struct name *names = p->script->names;

	if (st->op == OP_PEEK || st->op == OP_POKE) {
		size_t size = names[st->name].size;

		if (st->offset > size || st->block->bytes > size - st->offset)
			return parse_fail(p, "%s ends at byte %zu", names[st->name].text, size);
	}
	if ((st->op == OP_BUFFER || st->op == OP_MMAP) && (!st->size || st->size > 1ull << 40))
		return parse_fail(p, "a size is 1 byte to 1 TiB");
	if (st->op == OP_READ && st->size > BLOCK_BYTES_MAX)
		return parse_fail(p, "at most %u bytes at a time", BLOCK_BYTES_MAX);
	if (st->op == OP_EVENTFD && (st->size >> 32 || st->offset >> 31))
		return parse_fail(p, "an eventfd's numbers have 32 bits");
	if (st->op == OP_ALARM && (!st->size || st->size > 10000))
		return parse_fail(p, "an alarm is 1 to 10000 ms away");
	if (st->op == OP_STOP && st->size > 10000)
		return parse_fail(p, "a run is given 0 to 10000 ms");
	return 0;
}

static int parse_statement(struct parser *p)
{
	struct script *s = p->script;
	struct statement st = { .first_line = p->line, .created = NO_NAME, .name = NO_NAME };
	const char *shape = NULL;

	for (size_t i = 0; i < sizeof(statement_shapes) / sizeof(statement_shapes[0]); i++) {
		if (!strcmp(p->word, statement_shapes[i].word)) {
			st.op = statement_shapes[i].op;
			shape = statement_shapes[i].shape;
		}
	}
	if (!shape)
		return parse_fail(p, "no statement is called %s", p->word);
	for (; *shape; shape++)
		if (parse_part(p, &st, *shape))
			return -1;
	if (check_sizes(p, &st) || next_token(p))
		return -1;
	if (p->token != TOKEN_END)
		return parse_fail(p, "the statement should end here");
	st.last_line = p->line;
	if (st.op == OP_BUFFER || st.op == OP_MMAP)
		s->names[st.created].size = st.size;
	s->statements = grow(s->statements, s->statement_count, sizeof(*s->statements));
	s->statements[s->statement_count++] = st;
	return 0;
}

static bool has_answer(enum op op)
{
	return op != OP_HOST && op != OP_BUFFER && op != OP_UNMAP && op != OP_POKE &&
	       op != OP_EVENTFD && op != OP_ALARM && op != OP_START;
}

static int skip_answer(struct parser *p)
{
	struct script *s = p->script;
	struct lines lines = { .first = p->line };

	if (!s->statement_count || !has_answer(s->statements[s->statement_count - 1].op))
		return parse_fail(p, "an answer without a statement that has one");
	if (s->answer_count && s->answers[s->answer_count - 1].last >
			       s->statements[s->statement_count - 1].last_line)
		return parse_fail(p, "a second answer to one statement");
	do {
		if (next_token(p))
			return -1;
	} while (p->token != TOKEN_END);
	lines.last = p->line;
	s->answers = grow(s->answers, s->answer_count, sizeof(*s->answers));
	s->answers[s->answer_count++] = lines;
	return 0;
}

static int parse_version(struct parser *p)
{
	if (next_token(p))
		return -1;
	if (p->token != TOKEN_WORD || strcmp(p->word, "1"))
		return parse_fail(p, "only version 1 of the format is known");
	if (next_token(p))
		return -1;
	return p->token == TOKEN_END ? 0 : parse_fail(p, "the statement should end here");
}

int script_parse(struct script *script)
{
	struct parser p = {
		.script = script, .at = script->text, .end = script->text + script->length,
		.line = 1,
	};
	bool has_version = false;
	int err;

	for (;; p.line++, p.at++) {
		if (next_token(&p))
			return -1;
		if (p.token == TOKEN_WORD && !has_version) {
			if (strcmp(p.word, "kvmemu-trace"))
				return parse_fail(&p, "the first statement is `kvmemu-trace 1`");
			err = parse_version(&p);
			has_version = true;
		} else if (p.token == TOKEN_WORD && !strcmp(p.word, "=")) {
			err = skip_answer(&p);
		} else if (p.token == TOKEN_WORD) {
			err = parse_statement(&p);
		} else {
			err = p.token == TOKEN_END ? 0 :
			      parse_fail(&p, "a statement begins with a word");
		}
		if (err)
			return -1;
		if (p.at == p.end)
			return has_version ? 0 : parse_fail(&p, "`kvmemu-trace 1` is missing");
	}
}
