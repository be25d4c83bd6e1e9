/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_FRAME_H
#define USM_FRAME_H

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <uapi/linux/usm.h>

#include "domain.h"

#define USM_BLOCK_SHIFT		9
#define USM_BLOCK_FRAMES	(1u << USM_BLOCK_SHIFT)
#define USM_BLOCK_WORDS		(USM_BLOCK_FRAMES / BITS_PER_LONG)

/*
 * 512 frames with consecutive indices. Once set in domain->blocks a block stays
 * until the domain is freed, so readers need no lock; its memory may go and come
 * back. A frame's memory changes only while it is not present, and a frame that
 * is claimed, mapped or in limbo is always present.
 */
struct usm_block {
	struct page *base;		/* one physical run; or */
	struct page **pages;		/* each frame on its own */
	union usm_entry *table;		/* what user space maps */
	u8 node;
	u8 run;				/* log2 of aligned physical runs in it */
	/* Bit n: frame n. Atomic bit operations. */
	unsigned long present[USM_BLOCK_WORDS];	/* has memory; grow_lock */
	unsigned long free[USM_BLOCK_WORDS];	/* and is not claimed */
	unsigned long zeroed[USM_BLOCK_WORDS];	/* owner of the claim */
};

/* struct usm_frame as the two words that readers see change at once. */
union usm_entry {
	struct usm_frame frame;
	u64 word[2];
};

/*
 * page->private of a frame: its index above, and below it the number of slots,
 * over all spaces, that name it. Frames are on no LRU list, so page->lru is ours
 * too (struct usm_pages).
 */
#define USM_PAGE_FRAME_SHIFT	32

static inline atomic_long_t *usm_page_word(struct page *page)
{
	return (atomic_long_t *)&page->private;
}

static inline u32 usm_page_frame(struct page *page)
{
	return page_private(page) >> USM_PAGE_FRAME_SHIFT;
}

static inline u32 usm_page_refs(struct page *page)
{
	return (u32)atomic_long_read(usm_page_word(page));
}

/* A list of the kernel's would be checked at each step where CONFIG_LIST_HARDENED is set. */
static inline struct page **usm_page_next(struct page *page)
{
	return (struct page **)&page->lru.next;
}

static inline void usm_pages_init(struct usm_pages *pages)
{
	pages->first = NULL;
	pages->last = &pages->first;
}

static inline void usm_pages_add(struct usm_pages *pages, struct page *page)
{
	*usm_page_next(page) = NULL;
	*pages->last = page;
	pages->last = usm_page_next(page);
}

/* Those of `from`, which is empty then, after those of `to`. */
static inline void usm_pages_join(struct usm_pages *to, struct usm_pages *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	usm_pages_init(from);
}

static inline struct usm_block *usm_frame_block(struct usm_domain *domain, u32 frame)
{
	return domain->blocks[frame >> USM_BLOCK_SHIFT];
}

static inline struct page *usm_block_page(struct usm_block *block, unsigned int i)
{
	struct page **pages = READ_ONCE(block->pages);

	return pages ? pages[i] : block->base + i;
}

/* Of a frame that is present. */
static inline struct page *usm_frame_page(struct usm_domain *domain, u32 frame)
{
	return usm_block_page(usm_frame_block(domain, frame),
			      frame & (USM_BLOCK_FRAMES - 1));
}

int usm_frames_init(struct usm_domain *domain, u32 capacity);
void usm_frames_uninit(struct usm_domain *domain);
void usm_frames_return_all(struct usm_domain *domain);

/*
 * Block of an index below capacity, made if need be; NULL: no memory. Sleeps.
 * Charged to the container where `charge` says so.
 */
struct usm_block *usm_block_make(struct usm_domain *domain, u32 index, bool charge);

/* What the table says, for a hint; `frame` below capacity. */
struct usm_frame usm_frame_read(struct usm_domain *domain, u32 frame);

/* Is this run one that could be claimed, as far as can be said cheaply? */
bool usm_frames_offered(struct usm_domain *domain, u32 frame, u32 count, u16 generation);

/*
 * Claim free frames: 0 to count of them, beginning with `frame`. A claimed frame
 * belongs to the caller, who maps it or unclaims it. Any context.
 */
u32 usm_frames_claim(struct usm_domain *domain, u32 frame, u32 count);

/*
 * The same for a supply ring, which holds them uncounted: as many as one word of the
 * bitmaps shows. *ready: they are zero, and not known as that any more; otherwise they
 * are at most `want`. Given away they are counted as usm_frames_claim() does, and as
 * zeroed no more if they were ready; unready puts ready ones back.
 */
u32 usm_frames_claim_word(struct usm_domain *domain, u32 frame, u32 count, u32 want,
			  bool *ready);
void usm_frames_unready(struct usm_domain *domain, u32 frame, u32 count);
void usm_frames_unclaim(struct usm_domain *domain, u32 frame, u32 count);

/* Zero what is not zero yet; claimed by the caller. Returns how many were zeroed. */
u32 usm_frames_zero(struct usm_domain *domain, u32 frame, u32 count);

/* Their content is about to change; claimed by the caller. */
void usm_frames_set_dirty(struct usm_domain *domain, u32 frame, u32 count);

/*
 * Both at once, of frames that are about to be mapped: zero what is not, and mark all as
 * dirty. Returns how many were zeroed. unspend: they are not needed after all, and still zero.
 */
u32 usm_frames_spend(struct usm_domain *domain, u32 frame, u32 count);
void usm_frames_unspend(struct usm_domain *domain, u32 frame, u32 count);

/* Claim any one free frame, zeroed ones first; false: none is free. */
bool usm_frame_pick(struct usm_domain *domain, u32 *frame);

/* The first word from bit 0 on: space, state, run, node, age. */
#define USM_ENTRY_STATE_SHIFT	32
#define USM_ENTRY_STATE		(0xffull << USM_ENTRY_STATE_SHIFT)
#define USM_ENTRY_AGE		(0xffull << 56)

/* The age begins anew. */
static inline u64 usm_entry_word(const struct usm_block *block, u32 space, u8 state)
{
	return space | (u64)state << USM_ENTRY_STATE_SHIFT | (u64)block->run << 40 |
	       (u64)block->node << 48;
}

static inline void usm_entry_set(union usm_entry *entry, const struct usm_block *block,
				 u32 space, u8 state)
{
	WRITE_ONCE(entry->word[0], usm_entry_word(block, space, state));
}

static inline void usm_entry_set_mapped(union usm_entry *entry, const struct usm_block *block,
					u32 space, u64 page)
{
	usm_entry_set(entry, block, space, USM_FRAME_MAPPED);
	WRITE_ONCE(entry->word[1], (entry->word[1] & ~USM_PAGE_MASK) | (page & USM_PAGE_MASK));
}

/* Its page was accessed, or was not; while a slot is kept from letting go of the frame. */
static inline void usm_entry_set_age(union usm_entry *entry, bool young)
{
	u8 old = READ_ONCE(entry->frame.age), age = young ? 0 : min(old + 1, U8_MAX);

	if (age != old)
		WRITE_ONCE(entry->frame.age, age);
}

/* A claimed frame is about to be mapped. */
void usm_frame_set_mapped(struct usm_domain *domain, u32 frame, u32 space, u64 page);
/* A frame that was shared is the space's own; its page is as old as it was. */
void usm_frame_set_own(struct usm_domain *domain, u32 frame, u32 space, u64 page);
void usm_frame_set_state(struct usm_domain *domain, u32 frame, enum usm_frame_state state);
/* Claimed, and its memory is broken: never used again. */
void usm_frame_retire(struct usm_domain *domain, u32 frame);
/* How many of a run's first frames are not free. */
u32 usm_frames_skip(struct usm_domain *domain, u32 frame, u32 count);
/*
 * Claimed, unmapped and referred to by nobody else: what the table says before it is
 * unclaimed; and both.
 */
void usm_frames_show_freed(struct usm_domain *domain, u32 frame, u32 count);
void usm_frame_set_free(struct usm_domain *domain, u32 frame);

#endif /* USM_FRAME_H */
