// SPDX-License-Identifier: GPL-2.0-only
#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "event.h"
#include "frame.h"
#include "trace.h"

/* Blocks whose owners are in one page. */
#define USM_OWNERS_BLOCKS	2

#ifdef __BIG_ENDIAN
#error "usm_owner_age() is the last byte of an owner"
#endif
static_assert(USM_BLOCK_SIZE == USM_BLOCK_FRAMES);
static_assert(PAGE_SIZE == USM_BLOCK_FRAMES * sizeof(u64));
static_assert(PAGE_SIZE == USM_OWNERS_BLOCKS * USM_BLOCK_FRAMES * sizeof(u32));
/* A program's half of 57 bits of address, which is what five levels of tables translate. */
static_assert(USM_PAGE_BITS - USM_WORD_PAGE_SHIFT >= 56 - PAGE_SHIFT);

static u32 usm_frames_blocks(const struct usm_domain *domain)
{
	return DIV_ROUND_UP(domain->capacity, USM_BLOCK_FRAMES);
}

int usm_frames_init(struct usm_domain *domain, u32 capacity)
{
	u32 blocks = DIV_ROUND_UP(capacity, USM_BLOCK_FRAMES);

	domain->capacity = capacity;
	domain->blocks = kvcalloc(blocks, sizeof(*domain->blocks), GFP_KERNEL);
	domain->owners = kvcalloc(DIV_ROUND_UP(blocks, USM_OWNERS_BLOCKS),
				  sizeof(*domain->owners), GFP_KERNEL);
	domain->shown = vzalloc(PAGE_ALIGN(blocks * sizeof(*domain->shown)));
	domain->some_free = bitmap_zalloc(blocks, GFP_KERNEL);
	/* uninit frees what is there */
	return domain->blocks && domain->owners && domain->shown && domain->some_free ? 0 :
	       -ENOMEM;
}

static void usm_block_free(struct usm_block *block)
{
	if (!block)
		return;
	free_page((unsigned long)block->words);
	kfree(block->pages);
	kfree(block);
}

void usm_frames_uninit(struct usm_domain *domain)
{
	u32 blocks = usm_frames_blocks(domain), i;

	bitmap_free(domain->some_free);
	domain->some_free = NULL;
	for (i = 0; domain->blocks && i < blocks; i++)
		usm_block_free(domain->blocks[i]);
	kvfree(domain->blocks);
	domain->blocks = NULL;
	for (i = 0; domain->owners && i < DIV_ROUND_UP(blocks, USM_OWNERS_BLOCKS); i++)
		free_page((unsigned long)domain->owners[i]);
	kvfree(domain->owners);
	domain->owners = NULL;
	vfree(domain->shown);
	domain->shown = NULL;
}

/* The owners of a block's frames, in a page that another block may have made. */
static u32 *usm_owners_make(struct usm_domain *domain, u32 index, gfp_t gfp)
{
	u32 **owners = &domain->owners[index / USM_OWNERS_BLOCKS], *page = READ_ONCE(*owners);

	if (!page) {
		u32 *other;

		page = (void *)get_zeroed_page(gfp);
		if (!page)
			return NULL;
		other = cmpxchg(owners, NULL, page);
		if (other) {
			free_page((unsigned long)page);
			page = other;
		}
	}
	return page + index % USM_OWNERS_BLOCKS * USM_BLOCK_FRAMES;
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
		block->shown = &domain->shown[index];
		block->words = (void *)get_zeroed_page(gfp | __GFP_NOWARN);
		block->owners = usm_owners_make(domain, index, gfp | __GFP_NOWARN);
		if (!block->words || !block->owners) {
			usm_block_free(block);
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

u64 usm_frames_owners_offset(const struct usm_domain *domain)
{
	return PAGE_ALIGN((u64)domain->capacity * sizeof(u64));
}

u64 usm_frames_blocks_offset(const struct usm_domain *domain)
{
	return usm_frames_owners_offset(domain) +
	       PAGE_ALIGN((u64)domain->capacity * sizeof(u32));
}

u64 usm_frames_table_size(const struct usm_domain *domain)
{
	return usm_frames_blocks_offset(domain) +
	       PAGE_ALIGN((u64)usm_frames_blocks(domain) * sizeof(*domain->shown));
}

unsigned long usm_frames_table_pfn(struct usm_domain *domain, u64 offset)
{
	u64 owners = usm_frames_owners_offset(domain), blocks = usm_frames_blocks_offset(domain);
	struct usm_block *block;
	u32 index;

	if (offset >= blocks)
		return vmalloc_to_pfn((void *)domain->shown + (offset - blocks));
	index = offset < owners ? offset >> PAGE_SHIFT :
		((offset - owners) >> PAGE_SHIFT) * USM_OWNERS_BLOCKS;
	block = usm_block_make(domain, index, true);
	if (!block)
		return 0;
	return PHYS_PFN(__pa(offset < owners ? (void *)block->words : (void *)block->owners));
}

static u64 *usm_frame_word(struct usm_domain *domain, u32 frame)
{
	return usm_frame_block(domain, frame)->words + (frame & (USM_BLOCK_FRAMES - 1));
}

static u32 *usm_frame_owner(struct usm_domain *domain, u32 frame)
{
	return usm_frame_block(domain, frame)->owners + (frame & (USM_BLOCK_FRAMES - 1));
}

void usm_frame_set_mapped(struct usm_domain *domain, u32 frame, u32 space, u64 page)
{
	usm_entry_set_mapped(usm_frame_word(domain, frame), usm_frame_owner(domain, frame),
			     space, usm_word_mapped(page));
}

static void usm_word_set_state(u64 *word, enum usm_frame_state state)
{
	WRITE_ONCE(*word, (READ_ONCE(*word) & ~USM_WORD_STATE) | state);
}

void usm_frame_set_state(struct usm_domain *domain, u32 frame, enum usm_frame_state state)
{
	WRITE_ONCE(*usm_owner_age(usm_frame_owner(domain, frame)), 0);
	usm_word_set_state(usm_frame_word(domain, frame), state);
}

void usm_frame_set_shared(struct usm_domain *domain, u32 frame, u32 space)
{
	u32 *owner = usm_frame_owner(domain, frame);

	/* It is no younger for it. */
	WRITE_ONCE(*owner, (READ_ONCE(*owner) & ~USM_MAX_SPACE) | space);
	usm_word_set_state(usm_frame_word(domain, frame), USM_FRAME_SHARED);
}

void usm_frame_shared_by(struct usm_domain *domain, u32 frame, u32 space, u32 by)
{
	u64 *word = usm_frame_word(domain, frame), was = READ_ONCE(*word);
	u32 *owner = usm_frame_owner(domain, frame), old = READ_ONCE(*owner), new;

	/* Whoever changes it at the same time knows better. */
	new = (old & ~USM_MAX_SPACE) | by;
	if ((old & USM_MAX_SPACE) != space || (was & USM_WORD_STATE) != USM_FRAME_SHARED ||
	    cmpxchg(owner, old, new) != old)
		return;
	/* The last who shared it has let go, and it was `space` that got the frame anew. */
	if (unlikely((READ_ONCE(*word) ^ was) & (USM_WORD_STATE | USM_WORD_GENERATION)))
		cmpxchg(owner, new, old);
}

void usm_frame_set_own(struct usm_domain *domain, u32 frame, u32 space, u64 page)
{
	u8 *at = usm_owner_age(usm_frame_owner(domain, frame)), age = READ_ONCE(*at);

	usm_frame_set_mapped(domain, frame, space, page);
	WRITE_ONCE(*at, age);
}

/* FREE frames only: the owner of the claim calls it. `as`: with or without ..._ZEROED. */
static void usm_frame_show_free(struct usm_block *block, unsigned int i, u64 as)
{
	WRITE_ONCE(block->owners[i], 0);
	WRITE_ONCE(block->words[i], (block->words[i] & ~USM_WORD_STATE) | as);
}

/* What was in use is not zeroed; what is new is. */
void usm_block_show_freed(struct usm_block *block, unsigned int i, unsigned int count, bool zeroed)
{
	u64 *word = block->words + i, *end = word + count;
	u64 as = USM_FRAME_FREE | (zeroed ? USM_FRAME_ZEROED : 0);
	u32 *owner = block->owners + i;

	for (; word < end; word++, owner++) {
		WRITE_ONCE(*owner, 0);
		WRITE_ONCE(*word, ((*word + USM_WORD_FREED) & ~USM_WORD_STATE) | as);
	}
}

void usm_frames_show_freed(struct usm_domain *domain, u32 frame, u32 count)
{
	while (count) {
		unsigned int i = frame & (USM_BLOCK_FRAMES - 1);
		unsigned int here = min(count, USM_BLOCK_FRAMES - i);

		usm_block_show_freed(usm_frame_block(domain, frame), i, here, false);
		frame += here;
		count -= here;
	}
}

void usm_block_show_none(struct usm_block *block, unsigned int i)
{
	WRITE_ONCE(block->owners[i], 0);
	WRITE_ONCE(block->words[i], block->words[i] & ~USM_WORD_STATE);
}

void usm_frame_set_free(struct usm_domain *domain, u32 frame)
{
	struct usm_block *block = usm_frame_block(domain, frame);
	unsigned int i = frame & (USM_BLOCK_FRAMES - 1);

	usm_block_show_freed(block, i, 1, test_bit(i, block->zeroed));
	usm_frames_unclaim(domain, frame, 1);
}

void usm_frame_retire(struct usm_domain *domain, u32 frame)
{
	struct usm_block *block = usm_frame_block(domain, frame);
	unsigned int i = frame & (USM_BLOCK_FRAMES - 1);
	struct page *page = usm_block_page(block, i);

	pr_warn("domain %llu (%s): frame %u has bad memory and is given up\n", domain->id,
		domain->label, frame);
	usm_block_show_none(block, i);
	set_page_private(page, 0);
	clear_bit(i, block->present);
	usm_count_add(domain, USM_N_FRAMES, -1);
	usm_count_add(domain, USM_N_BAD, 1);
	put_page(page);
	usm_event_post(domain, USM_EV_MEMORY_ERROR, 0, 0, frame, 1, 0);
	trace_usm_memory_error(domain, frame, 0, 0, 0);
}

bool usm_frame_of_page(struct usm_domain *domain, struct page *page, u32 *frame)
{
	/* Of a page that is not ours it is anything. */
	u32 maybe = usm_page_frame(page), i = maybe & (USM_BLOCK_FRAMES - 1);
	struct usm_block *block;

	if (maybe >= domain->capacity)
		return false;
	block = usm_frame_block(domain, maybe);
	if (!block || !test_bit(i, block->present) || usm_block_page(block, i) != page)
		return false;
	*frame = maybe;
	return true;
}

/* --------------------------------------------------------------------- claims */

struct usm_frame usm_frame_read(struct usm_domain *domain, u32 frame)
{
	struct usm_frame none = { .state = USM_FRAME_NONE };
	struct usm_block *block = usm_frame_block(domain, frame);
	unsigned int i = frame & (USM_BLOCK_FRAMES - 1);

	return block ? usm_frame_of(READ_ONCE(block->words[i]), READ_ONCE(block->owners[i]),
				    block->shown) : none;
}

u32 usm_frame_refs(struct usm_domain *domain, u32 frame)
{
	struct usm_block *block = usm_frame_block(domain, frame);
	unsigned int i = frame & (USM_BLOCK_FRAMES - 1);
	struct page **pages, *page;
	u32 refs = 0;

	if (!block)
		return 0;
	/* Keeps the list of pages; of those that are gone there is still the struct. */
	rcu_read_lock();
	pages = READ_ONCE(block->pages);
	page = pages ? READ_ONCE(pages[i]) : READ_ONCE(block->base);
	if (page)
		refs = usm_page_refs(pages ? page : page + i);
	rcu_read_unlock();
	return refs;
}

bool usm_frames_offered(struct usm_domain *domain, u32 frame, u32 count, u16 generation)
{
	if (!count || count > USM_MAX_RUN || frame >= domain->capacity ||
	    count > domain->capacity - frame || !usm_frame_block(domain, frame))
		return false;
	return *usm_frame_word(domain, frame) >> USM_PAGE_BITS == generation;
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
	u32 got;

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
	if (likely(*ready)) {
		atomic_long_andnot(take, (atomic_long_t *)&block->zeroed[word]);
		return hweight_long(take);
	}
	/* Used and freed since we looked: others than zeroed frames are for this taker alone. */
	got = hweight_long(take);
	if (unlikely(got > want)) {
		usm_frames_release(domain, frame + want, got - want);
		got = want;
	}
	return got;
}

/* Zero, and known as that again. */
static void usm_frames_set_zeroed(struct usm_domain *domain, u32 frame, u32 count)
{
	for (; count--; frame++) {
		struct usm_block *block = usm_frame_block(domain, frame);

		set_bit(frame & (USM_BLOCK_FRAMES - 1), block->zeroed);
		usm_frame_show_free(block, frame & (USM_BLOCK_FRAMES - 1),
				    USM_FRAME_FREE | USM_FRAME_ZEROED);
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
	unsigned long todo;

	for (todo = mask; todo; todo &= todo - 1)
		clear_highpage(usm_block_page(block, first + __ffs(todo)));
	atomic_long_or(mask, (atomic_long_t *)&block->zeroed[first / BITS_PER_LONG]);
	for (todo = mask; todo; todo &= todo - 1)
		usm_frame_show_free(block, first + __ffs(todo), USM_FRAME_FREE | USM_FRAME_ZEROED);
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

/* Blocks to look for a zeroed frame in: zeroing one costs about as much. */
#define USM_PICK_LOOKS	8

bool usm_frame_pick(struct usm_domain *domain, u32 *frame)
{
	u32 blocks = READ_ONCE(domain->top), hint, index, looks;
	int dirty;

	if (!blocks)
		return false;
	hint = atomic_read(&domain->pick_hint) % blocks;

	for (dirty = 0; dirty < 2; dirty++) {
		looks = dirty ? U32_MAX : USM_PICK_LOOKS;
		for_each_set_bit_wrap(index, domain->some_free, blocks, hint) {
			if (usm_block_pick(domain, index, dirty, frame)) {
				atomic_set(&domain->pick_hint, index);
				return true;
			}
			if (!--looks)
				break;
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
	for (index = 0; index < usm_frames_blocks(domain); index++) {
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
