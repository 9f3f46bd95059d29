/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: blocks in memory before a call, and as text after it. Part of the tests.
 *
 * A block ends where accessible memory ends, so a call that reaches beyond it fails with EFAULT
 * instead of depending on what lies there.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "script.h"

#define SLOT_BYTES 65536u
#define SLOTS_MAX 64

/* ---- output ---- */

void out_bytes(struct output *out, const char *bytes, size_t n)
{
	if (n > sizeof(out->text) - out->used)
		n = sizeof(out->text) - out->used;
	memcpy(out->text + out->used, bytes, n);
	out->used += n;
}

void out_token(struct output *out, const char *token, size_t n)
{
	if (out->column && out->depth && out->column + 1 + n > LINE_COLUMNS) {
		out_bytes(out, "\n  ", 3);
		out->column = 2;
	} else if (out->column) {
		out_bytes(out, " ", 1);
		out->column++;
	}
	out_bytes(out, token, n);
	out->column += n;
}

void out_tokenf(struct output *out, const char *form, ...)
{
	char token[128];
	va_list args;
	int n;

	va_start(args, form);
	n = vsnprintf(token, sizeof(token), form, args);
	va_end(args);
	out_token(out, token, (size_t)n < sizeof(token) ? (size_t)n : sizeof(token) - 1);
}

/* ---- memory ---- */

static size_t page_bytes(void)
{
	return sysconf(_SC_PAGESIZE);
}

static size_t whole_pages(size_t bytes)
{
	return (bytes + page_bytes() - 1) / page_bytes() * page_bytes();
}

void *guarded_memory(size_t bytes)
{
	size_t whole = whole_pages(bytes);
	void *memory = mmap(NULL, whole + page_bytes(), PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (whole && mprotect(memory, whole, PROT_READ | PROT_WRITE)) {
		munmap(memory, whole + page_bytes());
		return NULL;
	}
	return memory;
}

uint64_t bad_address(void)
{
	static void *page;

	if (!page)
		page = guarded_memory(0);
	return (uintptr_t)page;
}

static unsigned char *slots[SLOTS_MAX];
static size_t slots_used;
static struct large {
	unsigned char *memory;
	size_t bytes;
	struct large *next;
} *large_blocks;

static unsigned char *large_memory(size_t bytes)
{
	struct large *large = malloc(sizeof(*large));
	unsigned char *memory = guarded_memory(bytes);

	if (!memory || !large)
		abort();
	*large = (struct large){ .memory = memory, .bytes = bytes, .next = large_blocks };
	large_blocks = large;
	return memory + whole_pages(bytes) - bytes;
}

void blocks_reset(void)
{
	slots_used = 0;
	while (large_blocks) {
		struct large *large = large_blocks;

		large_blocks = large->next;
		munmap(large->memory, whole_pages(large->bytes) + page_bytes());
		free(large);
	}
}

unsigned char *block_memory(size_t bytes)
{
	if (bytes > SLOT_BYTES || slots_used == SLOTS_MAX)
		return large_memory(bytes);
	if (!slots[slots_used])
		slots[slots_used] = guarded_memory(SLOT_BYTES);
	if (!slots[slots_used])
		abort();
	return slots[slots_used++] + SLOT_BYTES - bytes;
}

uint64_t value_number(const struct script *script, const struct value *value)
{
	switch (value->kind) {
	case VALUE_BAD:
		return bad_address();
	case VALUE_ADDRESS:
		if (!script->names[value->name].address)
			return bad_address();
		return (uintptr_t)script->names[value->name].address + value->number;
	case VALUE_FD:
		return (int64_t)script->names[value->name].fd;
	case VALUE_BLOCK:
		return (uintptr_t)value->block->memory;
	default:
		return value->number;
	}
}

int block_store(struct script *script, struct block *block)
{
	unsigned char *to = block->memory = block_memory(block->bytes);

	for (size_t i = 0; i < block->item_count; i++) {
		const struct item *item = &block->items[i];
		uint64_t number;

		if (item->value.kind == VALUE_STRING) {
			memcpy(to, item->value.string, item->width);
			to += item->width;
			continue;
		}
		if (item->value.kind == VALUE_BLOCK)
			block_store(script, item->value.block);
		number = value_number(script, &item->value);
		for (uint64_t n = 0; n < item->count; n++, to += item->width)
			memcpy(to, &number, item->width);
	}
	block->written = malloc(block->bytes + 1);
	if (!block->written)
		abort();
	memcpy(block->written, block->memory, block->bytes);
	return 0;
}

/* ---- answers ---- */

bool block_changed(const struct block *block)
{
	size_t at = 0;

	for (size_t i = 0; i < block->item_count; i++) {
		const struct item *item = &block->items[i];
		size_t bytes = item->width * item->count;

		if (!item->is_volatile && memcmp(block->memory + at, block->written + at, bytes))
			return true;
		if (item->value.kind == VALUE_BLOCK && block_changed(item->value.block))
			return true;
		at += bytes;
	}
	return false;
}

static size_t hex_text(char *to, const unsigned char *bytes, size_t n)
{
	char *start = to;

	while (n > 1 && !bytes[n - 1])
		n--;
	to += sprintf(to, "0x%x", bytes[n - 1]);
	while (--n)
		to += sprintf(to, "%02x", bytes[n - 1]);
	return to - start;
}

void print_hex(struct output *out, const unsigned char *bytes, size_t n)
{
	char *text = malloc(2 * n + 3);

	if (!text)
		abort();
	out_token(out, text, hex_text(text, bytes, n));
	free(text);
}

static void print_string(struct output *out, const unsigned char *bytes, size_t n)
{
	char *text = malloc(4 * n + 3), *to = text;

	if (!text)
		abort();
	*to++ = '"';
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '"' || bytes[i] == '\\')
			to += sprintf(to, "\\%c", bytes[i]);
		else if (bytes[i] == '\n')
			to += sprintf(to, "\\n");
		else if (bytes[i] < 0x20 || bytes[i] >= 0x7f)
			to += sprintf(to, "\\x%02x", bytes[i]);
		else
			*to++ = bytes[i];
	}
	*to++ = '"';
	out_token(out, text, to - text);
	free(text);
}

static void print_run(struct output *out, uint64_t count, const char *text)
{
	if (count > 1)
		out_tokenf(out, "%llu*%s", (unsigned long long)count, text);
	else
		out_token(out, text, strlen(text));
}

/* the elements of one item, equal neighbours as one run */
static void print_elements(struct output *out, const struct item *item, const unsigned char *now,
			   const unsigned char *before)
{
	unsigned int width = item->width;

	for (uint64_t i = 0, end; i < item->count; i = end) {
		const unsigned char *first = now + i * width;
		bool changed = memcmp(first, before + i * width, width);
		char hex[2 * sizeof(uint64_t) + 3];

		for (end = i + 1; end < item->count; end++) {
			const unsigned char *other = now + end * width;

			if (memcmp(other, before + end * width, width) ?
			    !changed || memcmp(other, first, width) : changed)
				break;
		}
		hex[hex_text(hex, first, width)] = 0;
		print_run(out, end - i, changed ? hex : item->value.text);
	}
}

static void print_item(struct output *out, const struct item *item, const unsigned char *now,
		       const unsigned char *before)
{
	bool changed = memcmp(now, before, item->width * item->count);

	if (item->is_volatile) {
		print_run(out, item->count, "?");
	} else if (item->value.kind == VALUE_STRING) {
		if (changed)
			print_string(out, now, item->width);
		else
			out_token(out, item->value.text, strlen(item->value.text));
	} else if (item->value.kind == VALUE_BLOCK) {
		if (changed)
			print_hex(out, now, item->width);
		else
			print_block(out, item->value.block, NULL);
	} else {
		print_elements(out, item, now, before);
	}
}

void print_block(struct output *out, const struct block *block, const char *fd_name)
{
	unsigned int width = 8;
	size_t at = 0;

	out_token(out, "[", 1);
	out->depth++;
	for (size_t i = 0; i < block->item_count; i++) {
		const struct item *item = &block->items[i];
		enum value_kind kind = item->value.kind;

		if (kind != VALUE_STRING && kind != VALUE_BLOCK && item->width != width) {
			width = item->width;
			out_tokenf(out, "u%u", 8 * width);
		}
		if (fd_name && at == 4 && item->width == 4 && item->count == 1)
			out_token(out, fd_name, strlen(fd_name));
		else
			print_item(out, item, block->memory + at, block->written + at);
		at += item->width * item->count;
	}
	out_token(out, "]", 1);
	out->depth--;
}
