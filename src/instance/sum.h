/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a store checks its content by: XXH3 of 64 bits, by what this CPU is quickest with. */
#ifndef USM_INSTANCE_SUM_H
#define USM_INSTANCE_SUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t usm_sum(const void *bytes, size_t length, uint64_t seed);

/* clang has no way to compile a file's inline functions for another CPU from within it. */
#if defined(__x86_64__) && !defined(__clang__)
#define USM_SUM_AVX2

/* The same with AVX2, which the CPU must have. */
uint64_t usm_sum_avx2(const void *bytes, size_t length, uint64_t seed);
#endif

#endif /* USM_INSTANCE_SUM_H */
