// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eviction: the content of a page goes to the instance, by way of the staging
 * pages, and its frame is free; what is left is a number in the page's slot.
 */
#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "compat/compat.h"
#include "domain.h"
#include "evict.h"
#include "fault.h"
#include "frame.h"
#include "pte.h"
#include "space.h"
#include "trace.h"

/* Pages that one unmapping and flush are for. */
#define USM_EVICT_BATCH		32

/* Frames that hold consecutive pages of one space, in one window of a VMA. */
struct usm_eviction {
	struct usm_domain *domain;
	struct usm_space *space;
	struct vm_area_struct *vma;
	struct usm_bucket *bucket;
	unsigned long page;		/* of the first */
	u32 frame;
	u32 staging;
	unsigned int count;
	DECLARE_BITMAP(busy, USM_EVICT_BATCH);
	/* Of each: what it will be known by, or is now. */
	int number[USM_EVICT_BATCH];
	u64 key[USM_EVICT_BATCH];
	DECLARE_BITMAP(gone, USM_EVICT_BATCH);	/* copied out */
	DECLARE_BITMAP(clean, USM_EVICT_BATCH);	/* may still be read by who shared it */
};

/*
 * Shared frames too: who shared it may have let go since, which marking sees.
 */
static bool usm_eviction_maybe(struct usm_frame frame)
{
	return frame.state == USM_FRAME_MAPPED || frame.state == USM_FRAME_SHARED;
}

/* How many of the run, from its first on, go together; returns their space or 0. */
static unsigned int usm_eviction_gather(struct usm_eviction *ev, unsigned int most)
{
	struct usm_frame first = usm_frame_read(ev->domain, ev->frame);
	unsigned long end;

	ev->count = 1;
	ev->page = first.page & USM_PAGE_MASK;
	if (!usm_eviction_maybe(first))
		return 0;
	end = (ev->page | (USM_WINDOW_PAGES - 1)) + 1;
	most = min_t(unsigned long, min(most, (unsigned int)USM_EVICT_BATCH), end - ev->page);
	while (ev->count < most) {
		struct usm_frame next = usm_frame_read(ev->domain, ev->frame + ev->count);

		if (!usm_eviction_maybe(next) || next.space != first.space ||
		    (next.page & USM_PAGE_MASK) != ev->page + ev->count)
			break;
		ev->count++;
	}
	return first.space;
}

/* Nobody but its one page table entry and the module refers to the page. */
static bool usm_evict_may(pte_t pte, struct page *page)
{
	return pte_present(pte) && pte_page(pte) == page && usm_page_refs(page) == 1 &&
	       page_count(page) == 2 && !PageHWPoison(page);
}

static bool usm_evict_mark(struct usm_eviction *ev)
{
	struct usm_table table;
	unsigned int i;
	pte_t pte;

	bitmap_zero(ev->busy, USM_EVICT_BATCH);
	bitmap_zero(ev->gone, USM_EVICT_BATCH);
	if (!usm_table_lock(ev->space->mm, ev->page << PAGE_SHIFT, &table))
		return false;
	for (i = 0; i < ev->count; i++) {
		unsigned long at = ev->page + i;
		u32 *slot = usm_bucket_slot(ev->bucket, at);
		struct page *page;

		if (*slot != (USM_SLOT_SET | (ev->frame + i)))
			continue;
		page = usm_frame_page(ev->domain, ev->frame + i);
		pte = *usm_table_pte(&table, at << PAGE_SHIFT);
		if (!usm_evict_may(pte, page))
			continue;
		WRITE_ONCE(*slot, *slot | USM_SLOT_BUSY);
		__assign_bit(i, ev->clean, ev->space->cow && !pte_dirty(pte));
		__set_bit(i, ev->busy);
	}
	usm_table_unlock(&table);
	return !bitmap_empty(ev->busy, USM_EVICT_BATCH);
}

/* Unmapped everywhere and flushed: copy it out, if nobody took hold of it. */
static void usm_evict_copy(struct usm_eviction *ev, unsigned int i)
{
	struct page *page = usm_frame_page(ev->domain, ev->frame + i);
	void *content;

	if (page_count(page) != 1)
		return;
	ev->key[i] = usm_evicted_new(ev->domain, ev->number[i], page);
	content = kmap_local_page(page);
	memcpy(usm_staging_page(&ev->domain->vault, ev->staging + i), content, PAGE_SIZE);
	kunmap_local(content);
	__set_bit(i, ev->gone);
}

static void usm_evict_tell(struct usm_eviction *ev, unsigned int i)
{
	struct usm_staged *staged = ev->domain->vault.staging;

	staged[ev->staging + i] = (struct usm_staged) {
		.key = ev->key[i],
		.page = ev->page + i,
		.space = ev->space->id,
		.frame = ev->frame + i,
	};
}

/* The busy pages are either evicted, or mapped again. Returns how many are evicted. */
static unsigned int usm_evict_finish(struct usm_eviction *ev)
{
	bool stay = !bitmap_equal(ev->busy, ev->gone, USM_EVICT_BATCH);
	unsigned int i, done = 0, back = 0;
	struct usm_table table;
	struct usm_drop drop;

	usm_drop_init(&drop, ev->space);
	/*
	 * What is evicted, a discard under way will find when it ends. What is mapped
	 * again it would not.
	 */
	usm_space_lock_settled(ev->space, ev->page, stay ? ev->count : 0, &table);
	for_each_set_bit(i, ev->busy, USM_EVICT_BATCH) {
		unsigned long at = ev->page + i;
		u32 *slot = usm_bucket_slot(ev->bucket, at);
		bool dropped = *slot & USM_SLOT_DROPPED;
		unsigned int first = 0;
		struct page *page;

		WRITE_ONCE(*slot, *slot & ~(USM_SLOT_BUSY | USM_SLOT_DROPPED));
		if (dropped || test_bit(i, ev->gone)) {
			usm_slot_drop(ev->bucket, at, &drop);
			if (!dropped) {
				usm_slot_fill(ev->space, ev->bucket, at,
					      USM_SLOT_EVICTED | ev->number[i]);
				usm_evict_tell(ev, i);
				done++;
			} else if (test_bit(i, ev->gone)) {
				usm_evicted_put(ev->domain, ev->number[i]);
			}
			continue;
		}
		page = usm_frame_page(ev->domain, ev->frame + i);
		usm_pte_map(ev->vma, at << PAGE_SHIFT, usm_table_pte(&table, at << PAGE_SHIFT),
			    page, test_bit(i, ev->clean) ? USM_MAP_SHARED : USM_MAP_OWN, &first);
		if (first)
			usm_mapped_stat_add(page, first);
		back++;
	}
	usm_table_unlock(&table);
	if (back)
		usm_rss_add(ev->space->mm, back);
	for_each_set_bit(i, ev->busy, USM_EVICT_BATCH)
		usm_cow_wake(usm_bucket_slot(ev->bucket, ev->page + i));
	usm_drop_finish(&drop);
	return done;
}

/* Unmap what is marked, and evict what nobody took hold of meanwhile. */
static unsigned int usm_evict_marked(struct usm_eviction *ev)
{
	unsigned int i, end;

	/* The only flush that a module can have, and it tells the notifiers. */
	for_each_set_bitrange(i, end, ev->busy, USM_EVICT_BATCH)
		usm_space_zap(ev->space, ev->vma, (ev->page + i) << PAGE_SHIFT,
			      (unsigned long)(end - i) << PAGE_SHIFT);
	for_each_set_bit(i, ev->busy, USM_EVICT_BATCH)
		usm_evict_copy(ev, i);
	return usm_evict_finish(ev);
}

/* The number of pages, or why there is not one. */
static int usm_evict_some(struct usm_eviction *ev)
{
	unsigned long addr = ev->page << PAGE_SHIFT;
	unsigned int i, reserved;
	int done = 0;

	ev->vma = vma_lookup(ev->space->mm, addr);
	if (!ev->vma || ev->vma->vm_private_data != ev->space ||
	    ev->vma->vm_file != ev->space->family->file || (ev->vma->vm_flags & VM_LOCKED))
		return 0;
	ev->count = min_t(unsigned long, ev->count, (ev->vma->vm_end - addr) >> PAGE_SHIFT);
	ev->bucket = usm_space_bucket(ev->space, ev->page);
	if (!ev->bucket)
		return 0;
	/* What may take long comes before anybody can wait for these pages. */
	for (reserved = 0; reserved < ev->count; reserved++) {
		ev->number[reserved] = usm_evicted_reserve(ev->domain);
		if (ev->number[reserved] < 0)
			break;
	}
	if (!reserved)
		return ev->number[0];
	ev->count = reserved;
	if (usm_evict_mark(ev)) {
		done = usm_evict_marked(ev);
		trace_usm_evict(ev->space, ev->page, ev->frame, ev->count, done);
	}
	for (i = 0; i < reserved; i++)
		if (!test_bit(i, ev->gone))
			usm_evicted_unreserve(ev->domain, ev->number[i]);
	return done;
}

/* Of the arming in which it was submitted; a later one's staging is not ours. */
static bool usm_evict_still(struct usm_domain *domain, struct usm_port *port, u64 epoch)
{
	return READ_ONCE(domain->armed) == port && READ_ONCE(domain->epoch) == epoch &&
	       !fatal_signal_pending(current);
}

int usm_evict(struct usm_domain *domain, struct usm_port *port, u64 epoch,
	      const struct usm_command *cmd)
{
	struct usm_eviction ev = { .domain = domain };
	struct usm_staged *staged;
	u32 at = 0, done = 0;
	int err = 0;

	if (!usm_staging(domain))
		return -ENOMEM;
	if (mutex_lock_killable(&domain->vault.staging_lock))
		return -EINTR;
	/* One that woke up late would overwrite what its successor has to save. */
	if (!usm_evict_still(domain, port, epoch)) {
		mutex_unlock(&domain->vault.staging_lock);
		return -EPERM;
	}
	staged = domain->vault.staging;
	memset(staged + cmd->arg, 0, cmd->count * sizeof(*staged));
	while (at < cmd->count && usm_evict_still(domain, port, epoch)) {
		u32 id;

		ev.frame = cmd->frame + at;
		ev.staging = cmd->arg + at;
		id = usm_eviction_gather(&ev, cmd->count - at);
		ev.space = id ? usm_space_get(domain, id) : NULL;
		/* Its owner may hold the lock for as long as it likes. */
		if (ev.space && mmap_read_trylock(ev.space->mm)) {
			int got = usm_evict_some(&ev);

			mmap_read_unlock(ev.space->mm);
			done += max(got, 0);
			err = min(got, err);
		}
		/* Its exit, if we were the last to use it, is not ours to do. */
		if (ev.space)
			mmput_async(ev.space->mm);
		at += ev.count;
		cond_resched();
	}
	mutex_unlock(&domain->vault.staging_lock);
	usm_count_add(domain, USM_N_EVICTIONS, done);
	return done ?: err;
}
