// SPDX-License-Identifier: GPL-2.0-only
#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "frame.h"

/* Two pages: 512 entries of 16 bytes. */
#define USM_TABLE_ORDER	1

static_assert(sizeof(union usm_entry) == sizeof(struct usm_frame));
#ifdef __BIG_ENDIAN
#error "usm_entry_set() writes the fields of the first word in this order"
#endif
static_assert(offsetof(struct usm_frame, state) == 4 && offsetof(struct usm_frame, run) == 5 &&
	      offsetof(struct usm_frame, node) == 6 && offsetof(struct usm_frame, age) == 7);
static_assert((PAGE_SIZE << USM_TABLE_ORDER) ==
	      USM_BLOCK_FRAMES * sizeof(struct usm_frame));

int usm_frames_init(struct usm_domain *domain, u32 capacity)
{
	u32 blocks = DIV_ROUND_UP(capacity, USM_BLOCK_FRAMES);

	domain->capacity = capacity;
	domain->blocks = kvcalloc(blocks, sizeof(*domain->blocks), GFP_KERNEL);
	domain->some_free = bitmap_zalloc(blocks, GFP_KERNEL);
	/* uninit frees what is there */
	return domain->blocks && domain->some_free ? 0 : -ENOMEM;
}

static void usm_block_free(struct usm_block *block)
{
	if (!block)
		return;
	free_pages((unsigned long)block->table, USM_TABLE_ORDER);
	kfree(block->pages);
	kfree(block);
}

void usm_frames_uninit(struct usm_domain *domain)
{
	u32 i;

	bitmap_free(domain->some_free);
	domain->some_free = NULL;
	if (!domain->blocks)
		return;
	for (i = 0; i < DIV_ROUND_UP(domain->capacity, USM_BLOCK_FRAMES); i++)
		usm_block_free(domain->blocks[i]);
	kvfree(domain->blocks);
	domain->blocks = NULL;
}

struct usm_block *usm_block_make(struct usm_domain *domain, u32 index, bool charge)
{
	gfp_t gfp = charge ? GFP_KERNEL_ACCOUNT | __GFP_NORETRY : GFP_KERNEL;
	struct usm_block *block = READ_ONCE(domain->blocks[index]);
	struct mem_cgroup *old;

	if (block)
		return block;
	old = set_active_memcg(domain->memcg);
	block = kzalloc(sizeof(*block), gfp | __GFP_NOWARN);
	if (block) {
		block->table = (void *)__get_free_pages(gfp | __GFP_ZERO | __GFP_NOWARN,
							USM_TABLE_ORDER);
		if (!block->table) {
			kfree(block);
			block = NULL;
		}
	}
	set_active_memcg(old);
	if (block) {
		struct usm_block *other = cmpxchg(&domain->blocks[index], NULL, block);

		if (other) {
			usm_block_free(block);
			block = other;
		}
	}
	return block;
}

/* ------------------------------------------------------------------ the table */

static union usm_entry *usm_frame_entry(struct usm_domain *domain, u32 frame)
{
	return usm_frame_block(domain, frame)->table + (frame & (USM_BLOCK_FRAMES - 1));
}

void usm_frame_set_mapped(struct usm_domain *domain, u32 frame, u32 space, u64 page)
{
	usm_entry_set_mapped(usm_frame_entry(domain, frame), usm_frame_block(domain, frame),
			     space, page);
}

void usm_frame_set_state(struct usm_domain *domain, u32 frame, enum usm_frame_state state)
{
	union usm_entry *entry = usm_frame_entry(domain, frame);
	u64 kept = READ_ONCE(entry->word[0]) & ~USM_ENTRY_STATE;

	/* A page that is shared from now on is no younger for it. */
	if (state != USM_FRAME_SHARED)
		kept &= ~USM_ENTRY_AGE;
	WRITE_ONCE(entry->word[0], kept | (u64)state << USM_ENTRY_STATE_SHIFT);
}

void usm_frame_set_own(struct usm_domain *domain, u32 frame, u32 space, u64 page)
{
	union usm_entry *entry = usm_frame_entry(domain, frame);
	u8 age = READ_ONCE(entry->frame.age);

	usm_frame_set_mapped(domain, frame, space, page);
	WRITE_ONCE(entry->frame.age, age);
}

/* FREE frames only: the owner of the claim calls it. */
static void usm_frame_show_free(struct usm_block *block, unsigned int i)
{
	usm_entry_set(block->table + i, block, 0, USM_FRAME_FREE |
		      (test_bit(i, block->zeroed) ? USM_FRAME_ZEROED : 0));
}

/* Of one block; what was in use is not zeroed. */
static void usm_block_show_freed(struct usm_block *block, unsigned int i, unsigned int count)
{
	union usm_entry *entry = block->table + i, *end = entry + count;
	u64 word = usm_entry_word(block, 0, USM_FRAME_FREE);

	for (; entry < end; entry++) {
		WRITE_ONCE(entry->word[1], entry->word[1] + (1ull << USM_PAGE_BITS));
		WRITE_ONCE(entry->word[0], word);
	}
}

void usm_frames_show_freed(struct usm_domain *domain, u32 frame, u32 count)
{
	while (count) {
		unsigned int i = frame & (USM_BLOCK_FRAMES - 1);
		unsigned int here = min(count, USM_BLOCK_FRAMES - i);

		usm_block_show_freed(usm_frame_block(domain, frame), i, here);
		frame += here;
		count -= here;
	}
}

void usm_frame_set_free(struct usm_domain *domain, u32 frame)
{
	struct usm_block *block = usm_frame_block(domain, frame);
	unsigned int i = frame & (USM_BLOCK_FRAMES - 1);
	union usm_entry *entry = block->table + i;

	WRITE_ONCE(entry->word[1], entry->word[1] + (1ull << USM_PAGE_BITS));
	usm_frame_show_free(block, i);
	usm_frames_unclaim(domain, frame, 1);
}

void usm_frame_retire(struct usm_domain *domain, u32 frame)
{
	struct usm_block *block = usm_frame_block(domain, frame);
	unsigned int i = frame & (USM_BLOCK_FRAMES - 1);
	struct page *page = usm_block_page(block, i);

	pr_warn("domain %llu (%s): frame %u has bad memory and is given up\n", domain->id,
		domain->label, frame);
	WRITE_ONCE(block->table[i].word[0], 0);
	set_page_private(page, 0);
	clear_bit(i, block->present);
	usm_count_add(domain, USM_N_FRAMES, -1);
	put_page(page);
}

/* --------------------------------------------------------------------- claims */

struct usm_frame usm_frame_read(struct usm_domain *domain, u32 frame)
{
	struct usm_frame none = { .state = USM_FRAME_NONE };

	return usm_frame_block(domain, frame) ? usm_frame_entry(domain, frame)->frame : none;
}

bool usm_frames_offered(struct usm_domain *domain, u32 frame, u32 count, u16 generation)
{
	if (!count || count > USM_MAX_RUN || frame >= domain->capacity ||
	    count > domain->capacity - frame || !usm_frame_block(domain, frame))
		return false;
	return USM_FRAME_GENERATION(&usm_frame_entry(domain, frame)->frame) == generation;
}

/* Those of `count` frames from `frame` on that one word of a block's bitmaps shows. */
static u32 usm_word_frames(u32 frame, u32 count, unsigned long *mask)
{
	unsigned int low = frame % BITS_PER_LONG;
	u32 here = min_t(u32, BITS_PER_LONG - low, count);

	*mask = GENMASK(low + here - 1, low);
	return here;
}

/* Leading bits of mask that are set in word, as a mask. */
static unsigned long usm_prefix(unsigned long word, unsigned long mask)
{
	unsigned long missing = ~word & mask;

	return missing ? mask & (BIT(__ffs(missing)) - 1) : mask;
}

u32 usm_frames_claim(struct usm_domain *domain, u32 frame, u32 count)
{
	u32 got = 0;

	while (got < count) {
		u32 at = frame + got;
		struct usm_block *block = usm_frame_block(domain, at);
		unsigned int i = at & (USM_BLOCK_FRAMES - 1);
		unsigned long mask, old, take;

		if (!block)
			break;
		usm_word_frames(at, count - got, &mask);
		old = READ_ONCE(block->free[i / BITS_PER_LONG]);
		do {
			take = usm_prefix(old, mask);
		} while (take && !try_cmpxchg(&block->free[i / BITS_PER_LONG],
					      &old, old & ~take));
		got += hweight_long(take);
		if (take != mask)
			break;
	}
	if (got)
		usm_count_add(domain, USM_N_FREE, -(s64)got);
	return got;
}

u32 usm_frames_skip(struct usm_domain *domain, u32 frame, u32 count)
{
	u32 skipped = 0;

	while (skipped < count) {
		u32 at = frame + skipped;
		struct usm_block *block = usm_frame_block(domain, at);
		u32 i = at & (USM_BLOCK_FRAMES - 1), next = USM_BLOCK_FRAMES;

		if (block)
			next = find_next_bit(block->free, USM_BLOCK_FRAMES, i);
		skipped += next - i;
		if (next < USM_BLOCK_FRAMES)
			break;
	}
	return min(skipped, count);
}

/* Free again, without being counted. */
static void usm_frames_release(struct usm_domain *domain, u32 frame, u32 count)
{
	while (count) {
		u32 index = frame >> USM_BLOCK_SHIFT, i = frame & (USM_BLOCK_FRAMES - 1);
		struct usm_block *block = domain->blocks[index];
		unsigned long mask;
		u32 here = usm_word_frames(frame, count, &mask);

		/* What was written to the frames' entries comes first. */
		smp_mb__before_atomic();
		atomic_long_or(mask, (atomic_long_t *)&block->free[i / BITS_PER_LONG]);
		/* Pairs with usm_block_pick(). */
		smp_mb__after_atomic();
		if (!test_bit(index, domain->some_free))
			set_bit(index, domain->some_free);
		frame += here;
		count -= here;
	}
}

void usm_frames_unclaim(struct usm_domain *domain, u32 frame, u32 count)
{
	usm_frames_release(domain, frame, count);
	usm_count_add(domain, USM_N_FREE, count);
}

static unsigned long *usm_zeroed_word(struct usm_block *block, u32 frame)
{
	return &block->zeroed[(frame & (USM_BLOCK_FRAMES - 1)) / BITS_PER_LONG];
}

u32 usm_frames_claim_word(struct usm_domain *domain, u32 frame, u32 count, u32 want,
			  bool *ready)
{
	struct usm_block *block = usm_frame_block(domain, frame);
	unsigned int word = (frame & (USM_BLOCK_FRAMES - 1)) / BITS_PER_LONG;
	unsigned long mask, zeroed, old, take;

	if (unlikely(!block))
		return 0;
	usm_word_frames(frame, count, &mask);
	zeroed = usm_prefix(READ_ONCE(block->zeroed[word]), mask);
	if (likely(zeroed)) {
		mask = zeroed;
	} else {
		usm_word_frames(frame, min(count, want), &mask);
		mask = usm_prefix(~READ_ONCE(block->zeroed[word]), mask);
	}
	old = READ_ONCE(block->free[word]);
	do {
		take = usm_prefix(old, mask);
	} while (take && !try_cmpxchg(&block->free[word], &old, old & ~take));
	/* Now that nobody else may change it. */
	*ready = take && (READ_ONCE(block->zeroed[word]) & take) == take;
	if (*ready)
		atomic_long_andnot(take, (atomic_long_t *)&block->zeroed[word]);
	return hweight_long(take);
}

/* Zero, and known as that again. */
static void usm_frames_set_zeroed(struct usm_domain *domain, u32 frame, u32 count)
{
	for (; count--; frame++) {
		struct usm_block *block = usm_frame_block(domain, frame);

		set_bit(frame & (USM_BLOCK_FRAMES - 1), block->zeroed);
		usm_frame_show_free(block, frame & (USM_BLOCK_FRAMES - 1));
	}
}

void usm_frames_unready(struct usm_domain *domain, u32 frame, u32 count)
{
	usm_frames_set_zeroed(domain, frame, count);
	usm_frames_release(domain, frame, count);
}

/* Claimed frames of one word of a block's bitmaps that are not zeroed. */
static void usm_word_zero(struct usm_block *block, unsigned int first, unsigned long mask)
{
	union usm_entry *entry = block->table + first;
	u64 word = usm_entry_word(block, 0, USM_FRAME_FREE | USM_FRAME_ZEROED);
	unsigned long todo;

	for (todo = mask; todo; todo &= todo - 1)
		clear_highpage(usm_block_page(block, first + __ffs(todo)));
	atomic_long_or(mask, (atomic_long_t *)&block->zeroed[first / BITS_PER_LONG]);
	for (todo = mask; todo; todo &= todo - 1)
		WRITE_ONCE(entry[__ffs(todo)].word[0], word);
}

u32 usm_frames_zero(struct usm_domain *domain, u32 frame, u32 count)
{
	u32 done = 0;

	while (count) {
		struct usm_block *block = usm_frame_block(domain, frame);
		unsigned int first = frame & (USM_BLOCK_FRAMES - 1) & -BITS_PER_LONG;
		unsigned long mask;
		u32 here = usm_word_frames(frame, count, &mask);

		/* Of a claimed frame only we change the bit. */
		mask &= ~READ_ONCE(block->zeroed[first / BITS_PER_LONG]);
		if (mask)
			usm_word_zero(block, first, mask);
		done += hweight_long(mask);
		frame += here;
		count -= here;
	}
	if (done)
		usm_count_add(domain, USM_N_ZEROED, done);
	return done;
}

void usm_frames_set_dirty(struct usm_domain *domain, u32 frame, u32 count)
{
	u32 zeroed = 0;

	while (count) {
		unsigned long mask, *word = usm_zeroed_word(usm_frame_block(domain, frame), frame);
		u32 here = usm_word_frames(frame, count, &mask);

		mask &= READ_ONCE(*word);
		if (mask) {
			atomic_long_andnot(mask, (atomic_long_t *)word);
			zeroed += hweight_long(mask);
		}
		frame += here;
		count -= here;
	}
	if (zeroed)
		usm_count_add(domain, USM_N_ZEROED, -(s64)zeroed);
}

u32 usm_frames_spend(struct usm_domain *domain, u32 frame, u32 count)
{
	u32 zeroed = 0, left, here;

	for (left = count; left; frame += here, left -= here) {
		struct usm_block *block = usm_frame_block(domain, frame);
		unsigned long mask, *word = usm_zeroed_word(block, frame), known;

		here = usm_word_frames(frame, left, &mask);
		known = READ_ONCE(*word) & mask;
		if (known) {
			atomic_long_andnot(known, (atomic_long_t *)word);
			zeroed += hweight_long(known);
		}
		for (mask &= ~known; mask; mask &= mask - 1)
			clear_highpage(usm_block_page(block, ((frame & -BITS_PER_LONG) +
						__ffs(mask)) & (USM_BLOCK_FRAMES - 1)));
	}
	if (zeroed)
		usm_count_add(domain, USM_N_ZEROED, -(s64)zeroed);
	return count - zeroed;
}

void usm_frames_unspend(struct usm_domain *domain, u32 frame, u32 count)
{
	usm_frames_set_zeroed(domain, frame, count);
	usm_count_add(domain, USM_N_ZEROED, count);
	usm_frames_unclaim(domain, frame, count);
}

static bool usm_block_pick(struct usm_domain *domain, u32 index, bool dirty, u32 *frame)
{
	struct usm_block *block = domain->blocks[index];
	bool none = true;
	u32 w;

	for (w = 0; w < USM_BLOCK_WORDS; w++) {
		unsigned long word = READ_ONCE(block->free[w]);

		none &= !word;
		if (!dirty)
			word &= READ_ONCE(block->zeroed[w]);
		for (; word; word &= word - 1) {
			*frame = index * USM_BLOCK_FRAMES + w * BITS_PER_LONG + __ffs(word);
			if (usm_frames_claim(domain, *frame, 1))
				return true;
		}
	}
	if (none) {
		clear_bit(index, domain->some_free);
		/* Pairs with usm_frames_unclaim(): either it sees the bit gone, or we its frame. */
		smp_mb__after_atomic();
		if (!bitmap_empty(block->free, USM_BLOCK_FRAMES))
			set_bit(index, domain->some_free);
	}
	return false;
}

bool usm_frame_pick(struct usm_domain *domain, u32 *frame)
{
	u32 blocks = READ_ONCE(domain->top), hint, index;
	int dirty;

	if (!blocks)
		return false;
	hint = atomic_read(&domain->pick_hint) % blocks;

	for (dirty = 0; dirty < 2; dirty++) {
		for_each_set_bit_wrap(index, domain->some_free, blocks, hint) {
			if (usm_block_pick(domain, index, dirty, frame)) {
				atomic_set(&domain->pick_hint, index);
				return true;
			}
		}
	}
	return false;
}

/* --------------------------------------------------------------------- the end */

/* Nothing is mapped and nobody claims any more: every present frame is free. */
void usm_frames_return_all(struct usm_domain *domain)
{
	u32 index, i;

	mutex_lock(&domain->grow_lock);
	for (index = 0; index < DIV_ROUND_UP(domain->capacity, USM_BLOCK_FRAMES); index++) {
		struct usm_block *block = domain->blocks[index];

		if (!block)
			continue;
		for_each_set_bit(i, block->present, USM_BLOCK_FRAMES) {
			struct page *page = usm_block_page(block, i);

			if (WARN_ON_ONCE(!test_bit(i, block->free) || page_count(page) != 1)) {
				/* Leak rather than hand out what somebody still uses. */
				continue;
			}
			page->mapping = NULL;
			set_page_private(page, 0);
			put_page(page);
			clear_bit(i, block->present);
			clear_bit(i, block->free);
			cond_resched();
		}
	}
	mutex_unlock(&domain->grow_lock);
}
