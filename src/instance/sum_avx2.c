// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Apart, so that nothing else is compiled for a CPU that may not be there: what is included
 * is all static.
 */
#include "sum.h"

#ifdef USM_SUM_AVX2
#pragma GCC target("avx2")

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(XXH_VECTOR == XXH_AVX2, "what this file is for");

uint64_t usm_sum_avx2(const void *bytes, size_t length, uint64_t seed)
{
	return XXH3_64bits_withSeed(bytes, length, seed);
}
#endif
