/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files for memory stores, and pages to put into them. */
#ifndef USM_TESTS_STORAGE_H
#define USM_TESTS_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "store.h"

/* How a page compresses: not at all, to a few hundred bytes, to a word. */
enum storage_kind { STORAGE_NOISE, STORAGE_TEXT, STORAGE_WORD, STORAGE_ZERO };

/* The content that belongs to `seed`, and whether this is it. */
void storage_fill(char page[USM_STORE_PAGE], enum storage_kind kind, uint64_t seed);
bool storage_verify(const char page[USM_STORE_PAGE], enum storage_kind kind, uint64_t seed);

/* A new memfd of the size of a store of so many slabs. */
int storage_file(uint32_t slabs);
/* A lz4 store in a duplicate of `fd`, which stays the caller's; fails the test. */
struct usm_store *storage_open(int fd, bool fresh, uint32_t slabs);
/* Bytes that the file takes. */
uint64_t storage_bytes(int fd);

struct usm_store_usage storage_usage(const struct usm_store *store);

#endif /* USM_TESTS_STORAGE_H */
