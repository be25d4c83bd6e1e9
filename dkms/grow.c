// SPDX-License-Identifier: GPL-2.0-only
#include <linux/highmem.h>
#include <linux/page_counter.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "domain.h"
#include "frame.h"
#include "grow.h"
#include "node.h"
#include "supply.h"
#include "trace.h"

/*
 * Growth ahead of need must hurt nobody: no OOM kill, no long reclaim, no
 * warning. Zeroing is free where the kernel zeroes on allocation anyway.
 */
#define USM_GFP_AHEAD	(GFP_KERNEL | __GFP_ACCOUNT | __GFP_ZERO | \
			 __GFP_NORETRY | __GFP_NOWARN)
/* What a fault of stock anonymous memory may do. */
#define USM_GFP_NOW	(GFP_KERNEL | __GFP_ACCOUNT | __GFP_ZERO | __GFP_NOWARN)

/* Sizes tried in turn: a whole block, 64 KiB, a page. */
static const unsigned int usm_grow_orders[] = { USM_BLOCK_SHIFT, 4, 0 };

/* A domain without spaces keeps its free frames for so long, then returns them. */
#define USM_TIDY_DELAY	(10 * HZ)

static u64 usm_frames_there(struct usm_domain *domain)
{
	return max_t(s64, 0, usm_count_sum(domain, USM_N_FRAMES));
}

/* Would so many pages more leave the reserve below every limit above us? */
static bool usm_grow_has_room(struct usm_domain *domain, unsigned long pages)
{
	unsigned long reserve = domain->reserve >> PAGE_SHIFT;
	struct page_counter *counter;

	for (counter = &domain->memcg->memory; counter; counter = counter->parent) {
		unsigned long limit = min(READ_ONCE(counter->max), READ_ONCE(counter->high));

		if (limit >= PAGE_COUNTER_MAX)
			continue;
		if (page_counter_read(counter) + pages + reserve > limit)
			return false;
	}
	return true;
}

/* --------------------------------------------------- memory into a block */

static int usm_block_split_up(struct usm_block *block)
{
	struct page **pages;
	unsigned int i;

	if (block->pages)
		return 0;
	pages = kcalloc(USM_BLOCK_FRAMES, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	if (block->base)
		for_each_set_bit(i, block->present, USM_BLOCK_FRAMES)
			pages[i] = block->base + i;
	/* Readers of present frames see the same page either way. */
	smp_store_release(&block->pages, pages);
	return 0;
}

/* `first` and its followers are zeroed pages of their own, one reference each. */
static void usm_block_fill(struct usm_domain *domain, struct usm_block *block, u32 index,
			   unsigned int i, struct page *first, unsigned int count)
{
	unsigned int n;

	for (n = 0; n < count; n++) {
		struct page *page = first + n;

		if (block->pages)
			block->pages[i + n] = page;
		page->mapping = NULL;
		set_page_private(page, (unsigned long)(index * USM_BLOCK_FRAMES + i + n)
				 << USM_PAGE_FRAME_SHIFT);
		set_bit(i + n, block->zeroed);
		set_bit(i + n, block->present);
	}
	/* Not generations that were ever offered. */
	usm_block_show_freed(block, i, count, true);
	usm_count_add(domain, USM_N_FRAMES, count);
	usm_count_add(domain, USM_N_ZEROED, count);
	usm_count_add(domain, USM_N_GROWN, count);
	trace_usm_grow(domain, index * USM_BLOCK_FRAMES + i, count, block->shown->node);
}

/*
 * First block with room for an aligned run of `count`, without memory of another node
 * than `node` unless that is NUMA_NO_NODE; -1: none below capacity.
 */
static long usm_grow_find(struct usm_domain *domain, unsigned int count, int node,
			  unsigned int *at)
{
	u32 blocks = DIV_ROUND_UP(domain->capacity, USM_BLOCK_FRAMES), index;

	for (index = 0; index < blocks; index++) {
		struct usm_block *block = domain->blocks[index];
		u32 end = min_t(u32, USM_BLOCK_FRAMES,
				domain->capacity - index * USM_BLOCK_FRAMES);
		unsigned int i;

		if (!block) {
			*at = 0;
			if (count <= end)
				return index;
			continue;
		}
		if (node != NUMA_NO_NODE && block->shown->node != node &&
		    !bitmap_empty(block->present, USM_BLOCK_FRAMES))
			continue;
		i = bitmap_find_next_zero_area(block->present, end, 0, count, count - 1);
		if (i + count <= end) {
			*at = i;
			return index;
		}
	}
	return -1;
}

/* Under grow_lock: place the pages. 0, -ENOSPC or -ENOMEM; only 0 takes them. */
static int usm_grow_place(struct usm_domain *domain, struct page *page, unsigned int order,
			  u32 *frame)
{
	unsigned int count = 1u << order, at;
	struct usm_block *block;
	long index;

	if (usm_frames_there(domain) + count > READ_ONCE(domain->ceiling))
		return -ENOSPC;
	index = usm_grow_find(domain, count, page_to_nid(page), &at);
	if (index < 0)
		index = usm_grow_find(domain, count, NUMA_NO_NODE, &at);
	if (index < 0)
		return -ENOSPC;
	/* Memory that was had for the frame must not fail for its 12 bytes. */
	block = usm_block_make(domain, index, true) ?: usm_block_make(domain, index, false);
	if (!block)
		return -ENOMEM;
	if (order == USM_BLOCK_SHIFT && !block->pages) {
		block->base = page;
		WRITE_ONCE(block->shown->run, order);
	} else {
		if (usm_block_split_up(block))
			return -ENOMEM;
		WRITE_ONCE(block->shown->run,
			   min_t(unsigned int, order, block->shown->run ?: order));
	}
	/* A block says one node, also where there was no other room. */
	if (bitmap_empty(block->present, USM_BLOCK_FRAMES))
		WRITE_ONCE(block->shown->node, page_to_nid(page));
	split_page(page, order);
	if (index >= domain->top) {
		WRITE_ONCE(domain->top, index + 1);
		/* Before anything says that there are frames. */
		usm_events_top(&domain->events, min_t(u32, domain->capacity,
						      (index + 1) * USM_BLOCK_FRAMES));
	}
	usm_block_fill(domain, block, index, at, page, count);
	*frame = index * USM_BLOCK_FRAMES + at;
	return 0;
}

/*
 * Get 2^order pages and make them frames, claimed by the caller. Returns their
 * number, -ENOSPC or -ENOMEM. Allocates without the lock: reclaim may call our
 * own shrinker, and a fault may be held up in here by the OOM killer.
 */
static int usm_grow_by(struct usm_domain *domain, unsigned int order, int node, gfp_t gfp,
		       u32 *frame)
{
	struct mem_cgroup *old;
	unsigned int flags;
	struct page *page;
	int err;

	if (usm_frames_there(domain) + (1u << order) > READ_ONCE(domain->ceiling))
		return -ENOSPC;
	old = set_active_memcg(domain->memcg);
	page = usm_node_alloc(domain, node, gfp, order);
	set_active_memcg(old);
	if (!page)
		return -ENOMEM;
	mutex_lock(&domain->grow_lock);
	/* Our shrinker cannot help whoever holds the lock, so it shall not wait. */
	flags = memalloc_nofs_save();
	err = usm_grow_place(domain, page, order, frame);
	memalloc_nofs_restore(flags);
	mutex_unlock(&domain->grow_lock);
	if (err) {
		__free_pages(page, order);
		return err;
	}
	return 1 << order;
}

/* ---------------------------------------------------------------- the worker */

static void usm_grow_limit(struct usm_domain *domain, enum usm_limit limit, u64 missing)
{
	WRITE_ONCE(domain->limited, true);
	usm_count_add(domain, USM_N_LIMITS, 1);
	usm_event_post(domain, USM_EV_LIMIT, 0, 0, 0, min_t(u64, missing, U32_MAX), limit);
	trace_usm_limit(domain, limit, missing);
	usm_domain_kick(domain);
}

/* What is free and should not be here: the cpuset was changed, or is known only now. */
static void usm_grow_leave_nodes(struct usm_domain *domain)
{
	u32 blocks = READ_ONCE(domain->top), index;

	if (nodes_equal(domain->nodes, node_states[N_MEMORY]))
		return;
	for (index = 0; index < blocks; index++) {
		struct usm_block *block = READ_ONCE(domain->blocks[index]);

		if (!block || usm_node_allowed(domain, block->shown->node) ||
		    bitmap_empty(block->present, USM_BLOCK_FRAMES))
			continue;
		usm_supply_let_go(domain);
		usm_grow_shrink(domain, index * USM_BLOCK_FRAMES, USM_BLOCK_FRAMES,
				USM_SHRINK_NODE);
		cond_resched();
	}
}

static void usm_grow_work(struct work_struct *work)
{
	struct usm_domain *domain = container_of(work, struct usm_domain, grow_work);
	unsigned int try = 0;
	s64 wanted;

	if (usm_nodes_update(domain))
		usm_grow_leave_nodes(domain);
	while ((wanted = atomic64_read(&domain->grow_wanted)) > 0) {
		unsigned int order = usm_grow_orders[try];
		enum usm_limit limit = USM_LIMIT_HOST;
		u32 frame;
		int got;

		cond_resched();
		/* Rather a whole block too much than a block in pieces. */
		if (order && order < USM_BLOCK_SHIFT && wanted < (1 << order)) {
			try++;
			continue;
		}
		got = -ENOMEM;
		if (usm_grow_has_room(domain, 1ul << order))
			got = usm_grow_by(domain, order, READ_ONCE(domain->grow_node),
					  USM_GFP_AHEAD, &frame);
		else
			limit = USM_LIMIT_CGROUP;
		if (got > 0) {
			s64 left = atomic64_sub_return(got, &domain->grow_wanted);

			WRITE_ONCE(domain->limited, false);
			usm_frames_unclaim(domain, frame, got);
			usm_event_post(domain, USM_EV_GROWN, 0, 0, frame, got,
				       max_t(s64, left, 0));
			continue;
		}
		if (++try < ARRAY_SIZE(usm_grow_orders))
			continue;
		if (got == -ENOSPC)
			limit = USM_LIMIT_CEILING;
		else if (limit == USM_LIMIT_HOST && READ_ONCE(domain->grow_node) != NUMA_NO_NODE)
			limit = USM_LIMIT_NODE;
		else if (limit == USM_LIMIT_HOST && !usm_grow_has_room(domain, USM_BLOCK_FRAMES))
			limit = USM_LIMIT_CGROUP;
		atomic64_set(&domain->grow_wanted, 0);
		usm_grow_limit(domain, limit, wanted);
		return;
	}
	/* Negative where a block was more than what was asked for. */
	if (wanted < 0)
		atomic64_cmpxchg(&domain->grow_wanted, wanted, 0);
	usm_domain_kick(domain);
}

int usm_grow_ask(struct usm_domain *domain, u32 frames, int node)
{
	if (usm_frames_there(domain) >= READ_ONCE(domain->ceiling)) {
		usm_grow_limit(domain, USM_LIMIT_CEILING, frames);
		return -ENOSPC;
	}
	/* What is still to come would be of the wrong one. */
	if (atomic64_read(&domain->grow_wanted) > 0 && READ_ONCE(domain->grow_node) != node)
		return -EBUSY;
	WRITE_ONCE(domain->grow_node, node);
	atomic64_add(frames, &domain->grow_wanted);
	queue_work(usm_wq, &domain->grow_work);
	return 0;
}

int usm_grow_first(struct usm_domain *domain)
{
	unsigned int i;
	int got = -ENOMEM;
	bool charged;
	u32 frame;

	usm_nodes_update(domain);
	for (i = 0; i < ARRAY_SIZE(usm_grow_orders) && got < 0; i++)
		got = usm_grow_by(domain, usm_grow_orders[i], NUMA_NO_NODE, USM_GFP_AHEAD,
				  &frame);
	if (got < 0)
		return got == -ENOSPC ? -EINVAL : got;
	usm_frames_unclaim(domain, frame, got);
	rcu_read_lock();
	charged = folio_memcg(page_folio(usm_frame_page(domain, frame))) == domain->memcg;
	rcu_read_unlock();
	return charged ? 0 : -EOPNOTSUPP;	/* cgroup.memory=nokmem */
}

int usm_grow_spare(struct usm_domain *domain, u32 *frame)
{
	if (!usm_grow_has_room(domain, 1))
		return -ENOMEM;
	return min(usm_grow_by(domain, 0, NUMA_NO_NODE, USM_GFP_AHEAD, frame), 0);
}

int usm_grow_one(struct usm_domain *domain, u32 *frame, bool patient)
{
	int got;

	/* First without the OOM killer: frames may be on their way back. */
	got = usm_grow_spare(domain, frame);
	if (got == -ENOMEM) {
		if (usm_frame_pick(domain, frame))
			return 0;
		if (!patient)
			got = usm_grow_by(domain, 0, NUMA_NO_NODE, USM_GFP_NOW, frame);
	}
	return got < 0 ? got : 0;
}

/* ------------------------------------------------------------------- give back */

static void usm_frame_return(struct usm_domain *domain, struct usm_block *block,
			     unsigned int i)
{
	struct page *page = usm_block_page(block, i);

	if (test_and_clear_bit(i, block->zeroed))
		usm_count_add(domain, USM_N_ZEROED, -1);
	clear_bit(i, block->present);
	usm_block_show_none(block, i);
	page->mapping = NULL;
	set_page_private(page, 0);
	put_page(page);
}

/* Claimed by the caller, in one block; under grow_lock. */
static void usm_frames_return(struct usm_domain *domain, u32 frame, u32 count,
			      enum usm_shrink_why why)
{
	struct usm_block *block = usm_frame_block(domain, frame);
	unsigned int i = frame & (USM_BLOCK_FRAMES - 1), n;

	for (n = 0; n < count; n++)
		usm_frame_return(domain, block, i + n);
	if (bitmap_empty(block->present, USM_BLOCK_FRAMES)) {
		struct page **pages = block->pages;

		WRITE_ONCE(block->pages, NULL);
		WRITE_ONCE(block->base, NULL);
		/* Who looks at a frame that is not present wants a hint: usm_frame_refs(). */
		if (pages)
			kfree_rcu_mightsleep(pages);
		WRITE_ONCE(block->shown->run, 0);
	}
	usm_count_add(domain, USM_N_FRAMES, -(s64)count);
	usm_count_add(domain, USM_N_SHRUNK, count);
	usm_event_post(domain, USM_EV_SHRUNK, 0, 0, frame, count, why);
	trace_usm_shrink(domain, frame, count, why);
}

u32 usm_grow_shrink(struct usm_domain *domain, u32 frame, u32 count,
		    enum usm_shrink_why why)
{
	u32 done = 0, at = frame, end = frame + count;

	/* Reclaim may come from an allocation made with the lock held. */
	if (why == USM_SHRINK_PRESSURE) {
		if (!mutex_trylock(&domain->grow_lock))
			return 0;
	} else {
		mutex_lock(&domain->grow_lock);
	}
	while (at < end) {
		u32 block_end = round_up(at + 1, USM_BLOCK_FRAMES);
		u32 got = usm_frames_claim(domain, at, min(end, block_end) - at);

		if (got) {
			usm_frames_return(domain, at, got, why);
			done += got;
		}
		at += got ?: 1;
	}
	mutex_unlock(&domain->grow_lock);
	return done;
}

u32 usm_grow_shrink_any(struct usm_domain *domain, u32 frames, enum usm_shrink_why why)
{
	u32 blocks = READ_ONCE(domain->top), index, done = 0;
	int whole;

	/* So that a block is whole. */
	usm_supply_let_go(domain);
	for (whole = 1; whole >= 0 && done < frames; whole--) {
		for (index = 0; index < blocks && done < frames; index++) {
			struct usm_block *block = READ_ONCE(domain->blocks[index]);

			if (!block || bitmap_empty(block->free, USM_BLOCK_FRAMES) ||
			    (whole && !bitmap_equal(block->free, block->present,
						    USM_BLOCK_FRAMES)))
				continue;
			done += usm_grow_shrink(domain, index * USM_BLOCK_FRAMES,
						whole ? USM_BLOCK_FRAMES :
						min_t(u32, USM_BLOCK_FRAMES, frames - done),
						why);
			cond_resched();
		}
	}
	return done;
}

static void usm_tidy_work(struct work_struct *work)
{
	struct usm_domain *domain = container_of(to_delayed_work(work), struct usm_domain,
						 tidy_work);

	if (!atomic_read(&domain->nr_spaces))
		usm_grow_shrink_any(domain, U32_MAX, USM_SHRINK_IDLE);
}

void usm_grow_tidy(struct usm_domain *domain)
{
	mod_delayed_work(usm_wq, &domain->tidy_work, USM_TIDY_DELAY);
}

void usm_grow_init(struct usm_domain *domain)
{
	domain->grow_node = NUMA_NO_NODE;
	domain->nodes = node_states[N_MEMORY];
	INIT_WORK(&domain->grow_work, usm_grow_work);
	INIT_DELAYED_WORK(&domain->tidy_work, usm_tidy_work);
}
