/* SPDX-License-Identifier: MIT */
/*
 * Which list registers are in a state: masks with a bit a register, for MISR, EISR and ELRSR. Layer: machine.
 *
 * Every world switch reads those three. What hardware keeps up to date with wires is a loop here, so it looks at four
 * registers at a time. Compilers make four times as many instructions of the plain loop (gcc 12 and clang 14, x86-64).
 *
 * Each half is loaded by itself: a load that spans two registers has to wait until both stores before it have reached the
 * cache, where one within a register is served from the store buffer. A restore with a save soon after it took twice as
 * long for that.
 */
#ifndef KVMEMU_MACHINE_LR_SCAN_H
#define KVMEMU_MACHINE_LR_SCAN_H

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#include <string.h>
#endif

#define LR_SCAN_NR 16

/* In the half of a list register that holds its state: (half & mask) == value. */
struct lr_pattern {
	uint32_t mask, value;
};

#ifdef __SSE2__

static inline __m128i lr_scan_half(const uint64_t *lr, int upper)
{
	int half;

	memcpy(&half, (const char *)lr + (upper ? 4 : 0), sizeof(half));
	return _mm_cvtsi32_si128(half);
}

/* All ones where the upper or lower half of a list register matches, of four. */
static inline __m128i lr_scan_match(const uint64_t *lr, int upper, struct lr_pattern p)
{
	__m128i low = _mm_unpacklo_epi32(lr_scan_half(lr, upper), lr_scan_half(lr + 1, upper));
	__m128i high = _mm_unpacklo_epi32(lr_scan_half(lr + 2, upper), lr_scan_half(lr + 3, upper));
	__m128i four = _mm_unpacklo_epi64(low, high);

	return _mm_cmpeq_epi32(_mm_and_si128(four, _mm_set1_epi32((int)p.mask)), _mm_set1_epi32((int)p.value));
}

/* Of the first four, and of all: nearly all machines have four. */
static inline uint32_t lr_scan_four(const uint64_t *lr, int upper, struct lr_pattern p)
{
	return (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(lr_scan_match(lr, upper, p)));
}

static inline uint32_t lr_scan_all(const uint64_t *lr, int upper, struct lr_pattern p)
{
	__m128i low = _mm_packs_epi32(lr_scan_match(lr, upper, p), lr_scan_match(lr + 4, upper, p));
	__m128i high = _mm_packs_epi32(lr_scan_match(lr + 8, upper, p), lr_scan_match(lr + 12, upper, p));

	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}

#else

static inline uint32_t lr_scan_first(const uint64_t *lr, unsigned int nr, int upper, struct lr_pattern p)
{
	uint32_t found = 0;

	for (unsigned int n = 0; n < nr; n++)
		found |= (uint32_t)(((uint32_t)(lr[n] >> (upper ? 32 : 0)) & p.mask) == p.value) << n;
	return found;
}

static inline uint32_t lr_scan_four(const uint64_t *lr, int upper, struct lr_pattern p)
{
	return lr_scan_first(lr, 4, upper, p);
}

static inline uint32_t lr_scan_all(const uint64_t *lr, int upper, struct lr_pattern p)
{
	return lr_scan_first(lr, LR_SCAN_NR, upper, p);
}

#endif

#endif
