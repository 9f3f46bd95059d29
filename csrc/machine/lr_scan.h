/* SPDX-License-Identifier: MIT */
/*
 * Which of 16 list registers are in a state: masks with a bit a register, for MISR, EISR and ELRSR. Layer: machine.
 *
 * Every world switch reads those three. What hardware keeps up to date with wires is a loop here, so it looks at four
 * registers at a time. Compilers make four times as many instructions of the plain loop (gcc 12 and clang 14, x86-64).
 */
#ifndef KVMEMU_MACHINE_LR_SCAN_H
#define KVMEMU_MACHINE_LR_SCAN_H

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LR_SCAN_NR 16

/* In the half of a list register that holds its state: (half & mask) == value. */
struct lr_pattern {
	uint32_t mask, value;
};

#ifdef __SSE2__

/* The upper or lower halves of four list registers. */
static inline __m128i lr_scan_halves(const uint64_t *lr, int upper)
{
	__m128 a = _mm_castsi128_ps(_mm_loadu_si128((const __m128i *)lr));
	__m128 b = _mm_castsi128_ps(_mm_loadu_si128((const __m128i *)(lr + 2)));

	return _mm_castps_si128(upper ? _mm_shuffle_ps(a, b, 0xdd) : _mm_shuffle_ps(a, b, 0x88));
}

/* All ones where a half matches. */
static inline __m128i lr_scan_match(__m128i halves, struct lr_pattern p)
{
	return _mm_cmpeq_epi32(_mm_and_si128(halves, _mm_set1_epi32((int)p.mask)), _mm_set1_epi32((int)p.value));
}

static inline uint32_t lr_scan(const uint64_t *lr, int upper, struct lr_pattern p)
{
	__m128i low = _mm_packs_epi32(lr_scan_match(lr_scan_halves(lr, upper), p),
				      lr_scan_match(lr_scan_halves(lr + 4, upper), p));
	__m128i high = _mm_packs_epi32(lr_scan_match(lr_scan_halves(lr + 8, upper), p),
				       lr_scan_match(lr_scan_halves(lr + 12, upper), p));

	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}

#else

static inline uint32_t lr_scan(const uint64_t *lr, int upper, struct lr_pattern p)
{
	uint32_t found = 0;

	for (unsigned int n = 0; n < LR_SCAN_NR; n++)
		found |= (uint32_t)(((uint32_t)(lr[n] >> (upper ? 32 : 0)) & p.mask) == p.value) << n;
	return found;
}

#endif

#endif
