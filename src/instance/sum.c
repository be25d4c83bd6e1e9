// SPDX-License-Identifier: GPL-2.0-or-later
#include "sum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t usm_sum(const void *bytes, size_t length, uint64_t seed)
{
#ifdef USM_SUM_AVX2
	if (__builtin_cpu_supports("avx2"))
		return usm_sum_avx2(bytes, length, seed);
#endif
	return XXH3_64bits_withSeed(bytes, length, seed);
}
