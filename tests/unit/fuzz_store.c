// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a memory store finds in the file that its predecessor left. The input is laid
 * over the beginning of a good one: head, directory, slots. Nothing may be read beyond
 * the file, and what is given out is what was put in.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memstore.h"
#include "slab.h"
#include "storage.h"

#define SLABS	4u
#define PAGES	40u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

struct found {
	struct usm_store *store;
	uint64_t keys[SLABS * USM_SLAB_MAX_SLOTS], handles[SLABS * USM_SLAB_MAX_SLOTS];
	size_t count;
};

static bool claim(void *context, const struct usm_store_page *page, uint64_t handle)
{
	struct found *found = context;

	must(page->key && found->count < SLABS * USM_SLAB_MAX_SLOTS);
	found->keys[found->count] = page->key;
	found->handles[found->count++] = handle;
	return page->key & 1;
}

static char *good_make(int fd)
{
	struct usm_store *store = storage_open(fd, true, SLABS);
	char content[USM_STORE_PAGE];
	uint64_t handle;

	for (uint32_t i = 0; i < PAGES; i++) {
		struct usm_store_page page = { .key = UINT64_C(1) << 32 | i };

		storage_fill(content, (enum storage_kind)(i % 4), i);
		must(store->ops->save(store, &page, content, true, &handle) == 0);
	}
	store->ops->close(store);
	return mmap(NULL, usm_memstore_size(SLABS), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/* The first two bytes of each piece say where it goes: head, directory or a slab. */
static void overlay(char *file, const uint8_t *data, size_t size)
{
	size_t base = usm_memstore_size(SLABS) - (size_t)SLABS * USM_MEMSTORE_SLAB;

	while (size > 3) {
		size_t where = data[0] % 8, at = data[1] * (where > 3 ? 64u : 1u), n = data[2] + 1u;
		size_t start = where < 2 ? at : where < 4 ? 4096 + at :
			       base + (where % SLABS) * USM_MEMSTORE_SLAB + at;

		data += 3;
		size -= 3;
		if (n > size)
			n = size;
		memcpy(file + start, data, n);
		data += n;
		size -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char *file, *good;
	struct found found = {};
	char content[USM_STORE_PAGE];
	struct usm_store *store;
	struct usm_store_page page = { .key = UINT64_C(9) << 32, .space = 1 };
	uint64_t handle;
	int copy;

	if (fd < 0) {
		fd = storage_file(SLABS);
		file = good_make(fd);
		good = malloc(usm_memstore_size(SLABS));
		must(good && file != MAP_FAILED);
		memcpy(good, file, usm_memstore_size(SLABS));
	}
	memcpy(file, good, usm_memstore_size(SLABS));
	overlay(file, data, size);

	copy = dup(fd);
	if (usm_memstore_open(copy, &usm_codec_lz4, false, 0, &store) < 0) {
		close(copy);
		return 0;
	}
	store->ops->set_quota(store, UINT64_MAX);
	store->ops->recover(store, claim, &found);
	for (size_t i = 0; i < found.count; i++) {
		bool kept = found.keys[i] & 1;
		int r = store->ops->load(store, found.handles[i], found.keys[i], content);

		must(kept || r < 0);
		/* A sum of 64 bits does not fit by chance. */
		if (r == 0)
			must(storage_verify(content, (enum storage_kind)(found.keys[i] % 4),
					    (uint32_t)found.keys[i]));
		must(store->ops->drop(store, found.handles[i], found.keys[i], &page) == kept);
	}
	must(storage_usage(store).pages == 0);
	/* It is as good as new. */
	storage_fill(content, STORAGE_TEXT, 5);
	page.key = UINT64_C(9) << 32;
	must(store->ops->save(store, &page, content, true, &handle) == 0 &&
	     store->ops->load(store, handle, page.key, content) == 0 &&
	     storage_verify(content, STORAGE_TEXT, 5));
	store->ops->close(store);
	return 0;
}
