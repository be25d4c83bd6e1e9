/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A store in memory: a memfd of slabs, each cut into slots of one size. A slot has a
 * header and then the page as its codec made it. Pages that are one word over and
 * over need no content, and those that do not get smaller are kept as they are.
 *
 *	bytes 0-4095		struct usm_memstore_head
 *	from 4096		uint32_t directory[slabs]: 0 unused, or size class + 1
 *	from the next 64 KiB	the slabs
 *
 * A slot is empty when its key is 0. Content and the rest of the header are written
 * first and the key last, by one store, so that a process that ends in between leaves an
 * empty slot; the key is the first to go. A slab stands in the directory as long as
 * slots of it may be used. An empty one is given back to the host (a hole in the file).
 */
#ifndef USM_INSTANCE_MEMSTORE_H
#define USM_INSTANCE_MEMSTORE_H

#include "codec.h"
#include "store.h"

#define USM_MEMSTORE_MAGIC	0x45524f54534d5355ull	/* "USMSTORE" */
#define USM_MEMSTORE_VERSION	1
#define USM_MEMSTORE_SLAB	65536			/* bytes */
#define USM_MEMSTORE_MAX_SLABS	(UINT32_C(1) << 26)	/* 4 TiB */
/* Slots of the largest size in a slab: pages that did not get smaller. */
#define USM_MEMSTORE_RAW	15

/*
 * To find out that a page does not get smaller costs the most, five times what copying it
 * does, and such pages come in rows: pictures, what is encrypted. After so many of them it
 * is looked at less and less closely, up to a limit; every so many it is looked at as
 * closely as ever, and from the first page on that does get smaller all are.
 */
#define USM_MEMSTORE_PATIENCE	4
#define USM_MEMSTORE_HASTE_MAX	32
#define USM_MEMSTORE_RELAPSE	16

/* How much haste there is with the next page after so many in a row. */
unsigned int usm_memstore_haste(uint32_t hard);

struct usm_memstore_head {
	uint64_t magic;
	uint32_t version;
	uint32_t slab;		/* USM_MEMSTORE_SLAB */
	uint32_t slabs;		/* that the file has room for */
	uint32_t top;		/* slabs from here on were never used */
	char codec[16];		/* NUL-terminated */
};

enum usm_memstore_form {
	USM_MEMSTORE_PACKED = 1,	/* by the codec */
	USM_MEMSTORE_PLAIN = 2,		/* 4096 bytes */
	USM_MEMSTORE_WORD = 3,		/* 8 bytes that fill the page */
};

struct usm_memstore_slot {
	uint64_t key;		/* 0: empty */
	uint64_t sum;		/* XXH3, seeded with the key, of all that follows */
	uint64_t page;
	uint32_t space;
	uint16_t length;	/* of the content, which follows */
	uint16_t form;		/* enum usm_memstore_form */
};

/* Slots that may be needed for so many pages, as slabs of the file. */
uint32_t usm_memstore_slabs(uint64_t pages);
/* Bytes of a file for so many slabs; sparse, so large ones cost nothing. */
uint64_t usm_memstore_size(uint32_t slabs);

/*
 * Open the store in `fd`, which is taken over; `fresh`: make it one, of `slabs`, in a file
 * of usm_memstore_size() bytes. -EBADMSG: it is no store of this kind; the descriptor
 * stays the caller's then, as after every failure.
 */
int usm_memstore_open(int fd, const struct usm_codec *codec, bool fresh, uint32_t slabs,
		      struct usm_store **store);

#endif /* USM_INSTANCE_MEMSTORE_H */
