/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Amounts of memory in binary units, as people write them. */
#ifndef USM_COMMON_SIZE_H
#define USM_COMMON_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

/*
 * "4096", "64K", "256M", "1G", "2T": decimal digits and at most one of K, M, G,
 * T, which are powers of 1024. No sign, space, fraction or lower case. -EINVAL:
 * not of this form, -ERANGE: beyond 2^64 - 1. The sentence is a predicate: "is
 * not a size such as 256M".
 */
int usm_size_parse(const char *text, uint64_t *bytes, struct usm_error *err);

/* Shortest exact form that usm_size_parse() reads back: 268435456 -> "256M". */
#define USM_SIZE_TEXT	24
char *usm_size_exact(uint64_t bytes, char text[static USM_SIZE_TEXT]);

/* For tables: at most three significant digits and a unit: "1.46G", "12K". */
char *usm_size_human(uint64_t bytes, char text[static USM_SIZE_TEXT]);

#endif /* USM_COMMON_SIZE_H */
