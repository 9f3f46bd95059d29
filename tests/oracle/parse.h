/* SPDX-License-Identifier: MIT */
/* The oracle's replayer: what parse.c (statements) and values.c (numbers, blocks) share. */
#ifndef ORACLE_PARSE_H
#define ORACLE_PARSE_H

#include "script.h"

enum token { TOKEN_END, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_WORD, TOKEN_STRING };

struct parser {
	struct script *script;
	const char *at, *end;
	unsigned int line;
	unsigned int depth; /* of open brackets: a line end inside is only a space */
	enum token token;
	char *word; /* a word, or the bytes of a string with its escapes resolved */
	size_t word_bytes;
	const char *raw; /* a string as written, with its quotes */
};

/* parse.c. Functions that can fail return 0, or -1 with the message set. */
__attribute__((format(printf, 2, 3))) int parse_fail(struct parser *p, const char *form, ...);
int next_token(struct parser *p);
int next_word(struct parser *p, const char *what);
bool accept_word(struct parser *p, const char *word); /* the statement goes on with it: consumed */
char next_char(struct parser *p);		      /* of the next token; 0 at the end */
bool is_name(const char *text);
int find_name(struct parser *p, const char *text, enum name_kind kind, size_t *index);
void *grow(void *array, size_t count, size_t element_bytes);
char *copy_text(const char *text, size_t n);

/* values.c: each works on the parser's current token and leaves it on the last one it used. */
int parse_value(struct parser *p, struct value *value);
int parse_number(struct parser *p, const char *word, struct value *value);
bool value_fits(const struct value *value, unsigned int width_bytes);
int parse_u64(struct parser *p, const char *word, uint64_t *number);
int parse_place(struct parser *p, const char *word, size_t *name, uint64_t *offset);
int parse_reg_value(struct parser *p, const char *word, unsigned char *bytes, size_t n);
int parse_block(struct parser *p, bool may_nest, struct block **block);

/* parse_guest.c: the rest of a `guest` statement */
int parse_guests(struct parser *p, struct statement *st);

#endif
