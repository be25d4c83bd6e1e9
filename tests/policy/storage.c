// SPDX-License-Identifier: GPL-2.0-or-later
#include "storage.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memstore.h"

static uint64_t word_of(enum storage_kind kind, uint64_t seed, size_t at)
{
	uint64_t noise = (seed << 20 ^ at) * UINT64_C(0x9e3779b97f4a7c15);

	switch (kind) {
	case STORAGE_NOISE:
		return noise ^ noise >> 29;
	case STORAGE_TEXT:
		return seed << 8 | at % 16;
	case STORAGE_WORD:
		return ~seed;
	case STORAGE_ZERO:
		break;
	}
	return 0;
}

void storage_fill(char page[USM_STORE_PAGE], enum storage_kind kind, uint64_t seed)
{
	for (size_t at = 0; at < USM_STORE_PAGE / sizeof(uint64_t); at++) {
		uint64_t word = word_of(kind, seed, at);

		memcpy(page + at * sizeof(word), &word, sizeof(word));
	}
}

bool storage_verify(const char page[USM_STORE_PAGE], enum storage_kind kind, uint64_t seed)
{
	char wanted[USM_STORE_PAGE];

	storage_fill(wanted, kind, seed);
	return !memcmp(page, wanted, USM_STORE_PAGE);
}

int storage_file(uint32_t slabs)
{
	int fd = memfd_create("store", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)usm_memstore_size(slabs)) < 0)
		err(EXIT_FAILURE, "memfd");
	return fd;
}

struct usm_store *storage_open(int fd, bool fresh, uint32_t slabs)
{
	struct usm_store *store;
	int r = usm_memstore_open(dup(fd), &usm_codec_lz4, fresh, slabs, &store);

	if (r < 0)
		errx(EXIT_FAILURE, "cannot open the store: %s", strerror(-r));
	store->ops->set_quota(store, UINT64_MAX);
	return store;
}

uint64_t storage_bytes(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		err(EXIT_FAILURE, "fstat");
	return (uint64_t)st.st_blocks * 512;
}

struct usm_store_usage storage_usage(const struct usm_store *store)
{
	struct usm_store_usage usage;

	store->ops->usage(store, &usage);
	return usage;
}
