/* SPDX-License-Identifier: MIT */
/* The oracle's replayer: numbers, addresses and blocks in a script's text. Part of the tests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

#define BLOCK_DEPTH_MAX 8

/* ---- numbers ---- */

static int parse_term(struct parser *p, const char *word, uint64_t *number)
{
	char *end;
	bool is_hex = word[0] == '0' && (word[1] == 'x' || word[1] == 'X');

	if (*word >= '0' && *word <= '9') {
		errno = 0;
		*number = strtoull(word, &end, is_hex ? 16 : 10);
		if (*end || end == word || (is_hex && end == word + 1))
			return parse_fail(p, "%s is not a number", word);
		return errno ? parse_fail(p, "%s is more than 64 bits", word) : 0;
	}
	if (constant_value(word, number))
		return 0;
	return parse_fail(p, "%s is neither a number nor a known constant", word);
}

int parse_number(struct parser *p, const char *word, struct value *value)
{
	char *terms = copy_text(word, strlen(word));

	value->kind = VALUE_NUMBER;
	value->number = 0;
	if (*word == '-') {
		value->negative = true;
		if (word[1] < '0' || word[1] > '9')
			return parse_fail(p, "%s is not a number", word);
		if (parse_term(p, word + 1, &value->number))
			return -1;
		if (value->number > 1ull << 63)
			return parse_fail(p, "%s is more than 64 bits", word);
		value->number = -value->number;
		return 0;
	}
	for (char *bar = terms; bar;) {
		char *term = bar;
		uint64_t bits;

		bar = strchr(term, '|');
		if (bar)
			*bar++ = 0;
		if (parse_term(p, term, &bits))
			return -1;
		value->number |= bits;
	}
	return 0;
}

int parse_u64(struct parser *p, const char *word, uint64_t *number)
{
	struct value value = { .kind = VALUE_NUMBER };

	if (parse_number(p, word, &value))
		return -1;
	*number = value.number;
	return 0;
}

bool value_fits(const struct value *value, unsigned int width)
{
	unsigned int bits = 8 * width;

	if (bits == 64)
		return true;
	if (value->negative)
		return -value->number <= 1ull << (bits - 1);
	return value->number >> bits == 0;
}

int parse_reg_value(struct parser *p, const char *word, unsigned char *bytes, size_t n)
{
	size_t digits = strlen(word) - 2, i;
	struct value value = { 0 };

	if (word[0] == '0' && word[1] == 'x' && digits > 16) {
		if (strspn(word + 2, "0123456789abcdefABCDEF") != digits)
			return parse_fail(p, "%s is not a number", word);
		for (i = 0; i < digits; i++) {
			char digit[2] = { word[2 + digits - 1 - i], 0 };
			unsigned int nibble = strtoul(digit, NULL, 16);

			if (nibble && i / 2 >= n)
				return parse_fail(p, "the value has more than the register's %zu "
						  "bytes", n);
			if (nibble)
				bytes[i / 2] |= nibble << (i % 2 * 4);
		}
		return 0;
	}
	if (parse_number(p, word, &value))
		return -1;
	if (n < 8 && !value_fits(&value, n))
		return parse_fail(p, "the value has more than the register's %zu bytes", n);
	memset(bytes, value.negative ? 0xff : 0, n);
	memcpy(bytes, &value.number, n < 8 ? n : 8);
	return 0;
}

/* ---- values ---- */

int parse_place(struct parser *p, const char *word, size_t *name, uint64_t *offset)
{
	const char *plus = strchr(word, '+');
	char *text = copy_text(word, plus ? (size_t)(plus - word) : strlen(word));

	*offset = 0;
	if (find_name(p, text, NAME_BUFFER, name))
		return -1;
	return plus ? parse_u64(p, plus + 1, offset) : 0;
}

static int parse_word_value(struct parser *p, const char *word, struct value *value)
{
	value->text = word;
	if (!strcmp(word, "bad")) {
		value->kind = VALUE_BAD;
		return 0;
	}
	if (*word == '&') {
		value->kind = VALUE_ADDRESS;
		return parse_place(p, word + 1, &value->name, &value->number);
	}
	if (!strncmp(word, "fd:", 3)) {
		value->kind = VALUE_FD;
		return find_name(p, word + 3, NAME_FD, &value->name);
	}
	return parse_number(p, word, value);
}

int parse_value(struct parser *p, struct value *value)
{
	*value = (struct value){ 0 };
	switch (p->token) {
	case TOKEN_WORD:
		return parse_word_value(p, p->word, value);
	case TOKEN_OPEN:
		value->kind = VALUE_BLOCK;
		return parse_block(p, true, &value->block);
	case TOKEN_STRING:
		return parse_fail(p, "a string stands only inside a block");
	default:
		return parse_fail(p, "a value is missing");
	}
}

/* ---- blocks ---- */

static unsigned int width_of(const char *word)
{
	static const struct {
		const char *word;
		unsigned int bytes;
	} widths[] = { { "u8", 1 }, { "u16", 2 }, { "u32", 4 }, { "u64", 8 } };

	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
		if (!strcmp(word, widths[i].word))
			return widths[i].bytes;
	return 0;
}

/* [N*]VALUE[?], or a lone `?`, which is a volatile 0 */
static int parse_word_item(struct parser *p, unsigned int width, struct item *item)
{
	char *word = p->word, *star = strchr(word, '*');

	item->width = width;
	if (star) {
		*star = 0;
		if (parse_u64(p, word, &item->count))
			return -1;
		if (!item->count)
			return parse_fail(p, "a value is repeated at least once");
		if (item->count > BLOCK_BYTES_MAX)
			return parse_fail(p, "a block has at most %u bytes", BLOCK_BYTES_MAX);
		word = star + 1;
	}
	if (*word && word[strlen(word) - 1] == '?') {
		item->is_volatile = true;
		word[strlen(word) - 1] = 0;
		if (!*word)
			word = copy_text("0", 1);
	}
	if (parse_word_value(p, word, &item->value))
		return -1;
	if (item->value.kind == VALUE_NUMBER && !value_fits(&item->value, width))
		return parse_fail(p, "%s does not fit u%u", word, 8 * width);
	if ((item->value.kind == VALUE_BAD || item->value.kind == VALUE_ADDRESS) && width != 8)
		return parse_fail(p, "%s is an address and needs u64", word);
	if (item->value.kind == VALUE_FD && width < 4)
		return parse_fail(p, "%s needs u32 or u64", word);
	return 0;
}

static int parse_item(struct parser *p, unsigned int width, bool may_nest, struct item *item)
{
	*item = (struct item){ .width = 8, .count = 1 };
	if (p->token == TOKEN_STRING) {
		item->value = (struct value){
			.kind = VALUE_STRING, .text = p->raw, .string = p->word,
			.string_bytes = p->word_bytes,
		};
		item->width = p->word_bytes;
		return 0;
	}
	if (p->token == TOKEN_WORD)
		return parse_word_item(p, width, item);
	if (!may_nest)
		return parse_fail(p, "no block stands inside this one");
	if (p->depth > BLOCK_DEPTH_MAX)
		return parse_fail(p, "blocks nest at most %u deep", BLOCK_DEPTH_MAX);
	return parse_value(p, &item->value);
}

int parse_block(struct parser *p, bool may_nest, struct block **result)
{
	struct block *block = calloc(1, sizeof(*block));
	unsigned int width = 8, new_width;

	if (!block)
		abort();
	for (;;) {
		if (next_token(p))
			return -1;
		if (p->token == TOKEN_CLOSE)
			break;
		new_width = p->token == TOKEN_WORD ? width_of(p->word) : 0;
		if (new_width) {
			width = new_width;
			continue;
		}
		block->items = grow(block->items, block->item_count, sizeof(*block->items));
		struct item *item = &block->items[block->item_count++];

		if (parse_item(p, width, may_nest, item))
			return -1;
		block->bytes += item->width * item->count;
		block->nests |= item->value.kind == VALUE_BLOCK;
		if (block->bytes > BLOCK_BYTES_MAX)
			return parse_fail(p, "a block has at most %u bytes", BLOCK_BYTES_MAX);
	}
	*result = block;
	return 0;
}
