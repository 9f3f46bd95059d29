/* SPDX-License-Identifier: MIT */
/*
 * What a fuzzing run is made of: a string of bytes that decides everything, and memory with good and bad places to put
 * arguments in. Part of the tests.
 */
#ifndef KVMEMU_FUZZ_INPUT_H
#define KVMEMU_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct input {
	const uint8_t *at, *end;
};

static inline bool input_is_left(const struct input *in)
{
	return in->at < in->end;
}

/* The next bytes; zeroes after the end. */
static inline void take_bytes(struct input *in, void *to, size_t bytes)
{
	size_t left = (size_t)(in->end - in->at), n = bytes < left ? bytes : left;

	memcpy(to, in->at, n);
	memset((char *)to + n, 0, bytes - n);
	in->at += n;
}

static inline uint64_t take(struct input *in, size_t bytes)
{
	uint64_t value = 0;

	take_bytes(in, &value, bytes);
	return value;
}

/* 0 to n - 1; n up to 65536. */
static inline unsigned int choose(struct input *in, unsigned int n)
{
	return (unsigned int)take(in, n > 256 ? 2 : 1) % n;
}

/* One time in n. */
static inline bool once_in(struct input *in, unsigned int n)
{
	return !choose(in, n);
}

/* A number of the kind that finds mistakes: small, all ones, a power of two and its neighbours, or anything. */
static inline uint64_t take_number(struct input *in)
{
	uint64_t bit = 1ull << choose(in, 64);

	switch (choose(in, 6)) {
	case 0:
		return choose(in, 16);
	case 1:
		return ~(uint64_t)choose(in, 16);
	case 2:
		return bit;
	case 3:
		return bit - 1;
	case 4:
		return take(in, 2);
	default:
		return take(in, 8);
	}
}

/* Pages that may be written, then one that may be read, then one that is not there. */
#define MEMORY_PAGE 4096ul
#define MEMORY_WRITABLE (32 * MEMORY_PAGE)

extern char *memory;

/* A bit that no mapped address has. One made up without it may hit the program's own memory: the sanitizer's is vast. */
#define NOWHERE (1ull << 55)

bool memory_setup(void);

/* An address for so many bytes, mostly a good one. */
static inline uint64_t take_address(struct input *in, size_t bytes)
{
	static const uint64_t bad[] = {
		0, 1, 0x7ffffffff000, 0x800000000000, 1ull << 56, 0xffff7fffffffffff, 0xffff800000000000, UINT64_MAX - 7,
		UINT64_MAX,
	};
	uintptr_t writable = (uintptr_t)memory, read_only = writable + MEMORY_WRITABLE;
	uint64_t inside = 1 + take(in, 1) % (bytes ? bytes : 1);

	switch (choose(in, 24)) {
	case 0:
		return bad[choose(in, sizeof(bad) / sizeof(bad[0]))];
	case 1:
		return take(in, 8) | NOWHERE;
	case 2:
		return read_only;
	case 3:
		return read_only - inside;
	case 4:
		return read_only + MEMORY_PAGE - inside;
	case 5:
		return writable + choose(in, MEMORY_WRITABLE / 2);
	default:
		return writable + choose(in, MEMORY_WRITABLE / 16) * 8;
	}
}

/* Stores as much of an argument as there is writable memory for. */
static inline void store(uint64_t address, const void *from, size_t bytes)
{
	uint64_t offset = address - (uintptr_t)memory;

	if (offset < MEMORY_WRITABLE)
		memcpy(memory + offset, from, bytes < MEMORY_WRITABLE - offset ? bytes : MEMORY_WRITABLE - offset);
}

#endif
