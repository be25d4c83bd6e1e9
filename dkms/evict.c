// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eviction: the content of a page goes to the instance, by way of the staging
 * pages, and its frame is free; what is left is a number in the page's slot.
 */
#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

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

/* A space that maps the pages. */
struct usm_sharer {
	struct usm_space *space;
	struct vm_area_struct *vma;
	struct usm_bucket *bucket;
	DECLARE_BITMAP(busy, USM_EVICT_BATCH);
	DECLARE_BITMAP(clean, USM_EVICT_BATCH);	/* may still be read by who shared it */
};

/*
 * Frames that hold consecutive pages, in one window of a VMA, of one space or of
 * several that share them after a fork. Of a domain, under its staging_lock.
 */
struct usm_eviction {
	struct usm_domain *domain;
	unsigned long page;		/* of the first */
	u32 frame;
	u32 staging;
	unsigned int count;
	unsigned int sharers;
	bool bad;			/* its memory is: nothing can be copied */
	struct usm_sharer sharer[USM_SHARERS_MAX];
	struct usm_space *found[USM_SHARERS_MAX];
	/* Of each: what it will be known by, or is now. */
	int number[USM_EVICT_BATCH];
	u64 key[USM_EVICT_BATCH];
	DECLARE_BITMAP(all, USM_EVICT_BATCH);	/* busy wherever they are mapped */
	DECLARE_BITMAP(gone, USM_EVICT_BATCH);	/* copied out */
	DECLARE_BITMAP(told, USM_EVICT_BATCH);	/* and some slot says so */
};

static bool usm_eviction_maybe(struct usm_frame frame)
{
	return frame.state == USM_FRAME_MAPPED || frame.state == USM_FRAME_SHARED;
}

/* How many of the run, from its first on, go together. False: not even that one does. */
static bool usm_eviction_gather(struct usm_eviction *ev, struct usm_frame first,
				unsigned int most)
{
	unsigned long end;

	ev->count = 1;
	ev->page = first.page & USM_PAGE_MASK;
	if (!usm_eviction_maybe(first))
		return false;
	end = (ev->page | (USM_WINDOW_PAGES - 1)) + 1;
	most = min_t(unsigned long, min(most, (unsigned int)USM_EVICT_BATCH), end - ev->page);
	while (ev->count < most) {
		struct usm_frame next = usm_frame_read(ev->domain, ev->frame + ev->count);

		if (next.state != first.state || next.space != first.space ||
		    (next.page & USM_PAGE_MASK) != ev->page + ev->count)
			break;
		ev->count++;
	}
	return true;
}

/* --------------------------------------------------------------------- who maps them */

static bool usm_sharer_open(struct usm_eviction *ev, struct usm_space *space)
{
	struct usm_sharer *sharer = &ev->sharer[ev->sharers];
	unsigned long addr = ev->page << PAGE_SHIFT;
	struct vm_area_struct *vma;

	/* Its owner may hold the lock for as long as it likes. */
	if (!mmap_read_trylock(space->mm))
		return false;
	vma = vma_lookup(space->mm, addr);
	sharer->bucket = usm_space_bucket(space, ev->page);
	if (!sharer->bucket || !vma || vma->vm_private_data != space ||
	    vma->vm_file != space->family->file || ((vma->vm_flags & VM_LOCKED) && !ev->bad)) {
		mmap_read_unlock(space->mm);
		return false;
	}
	sharer->space = space;
	sharer->vma = vma;
	ev->count = min_t(unsigned long, ev->count, (vma->vm_end - addr) >> PAGE_SHIFT);
	ev->sharers++;
	return true;
}

/*
 * The spaces that map the first page, as many as there are: who shared it may have let
 * go since, and he whom the table names may be one of these.
 */
static void usm_sharers_open(struct usm_eviction *ev, struct usm_frame first)
{
	unsigned int found, i;

	ev->sharers = 0;
	if (first.state == USM_FRAME_MAPPED) {
		ev->found[0] = usm_space_get(ev->domain, first.space);
		found = !!ev->found[0];
	} else {
		found = usm_sharers_find(ev->domain, first.space, ev->page, ev->frame,
					 ev->found);
	}
	for (i = 0; i < found; i++)
		/* Its exit, if we were the last to use it, is not ours to do. */
		if (!usm_sharer_open(ev, ev->found[i]))
			mmput_async(ev->found[i]->mm);
}

static void usm_sharers_close(struct usm_eviction *ev)
{
	unsigned int i;

	for (i = 0; i < ev->sharers; i++) {
		struct mm_struct *mm = ev->sharer[i].space->mm;

		mmap_read_unlock(mm);
		mmput_async(mm);
	}
}

/* Table locked, or for a hint. */
static bool usm_sharer_has(struct usm_eviction *ev, struct usm_sharer *sharer, unsigned int i)
{
	return READ_ONCE(*usm_bucket_slot(sharer->bucket, ev->page + i)) ==
	       (USM_SLOT_SET | (ev->frame + i));
}

/*
 * How many of the pages, from the first on, all of these share and nobody else: of a
 * page for which that is not so one more space may be found when it is the first.
 */
static unsigned int usm_sharers_agree(struct usm_eviction *ev)
{
	struct usm_table table;
	unsigned int i, n;

	if (!usm_table_lock(ev->sharer[0].space->mm, ev->page << PAGE_SHIFT, &table))
		return 0;
	for (i = 0; i < ev->count; i++) {
		for (n = 0; n < ev->sharers && usm_sharer_has(ev, &ev->sharer[n], i); n++)
			;
		/* While the first has it, it is a page. */
		if (!n || n != ev->sharers ||
		    usm_page_refs(usm_frame_page(ev->domain, ev->frame + i)) != n)
			break;
	}
	usm_table_unlock(&table);
	return i;
}

/* ----------------------------------------------------------------------- their pages */

/* Nobody but page table entries of adopted memory and the module refers to the page. */
static bool usm_evict_may(struct usm_eviction *ev, pte_t pte, struct page *page)
{
	return pte_present(pte) && pte_page(pte) == page &&
	       page_count(page) == usm_page_refs(page) + 1 && ev->bad == !!PageHWPoison(page);
}

static void usm_evict_mark_in(struct usm_eviction *ev, struct usm_sharer *sharer)
{
	struct usm_table table;
	unsigned int i;
	pte_t pte;

	bitmap_zero(sharer->busy, USM_EVICT_BATCH);
	if (!usm_table_lock(sharer->space->mm, ev->page << PAGE_SHIFT, &table))
		return;
	for (i = 0; i < ev->count; i++) {
		unsigned long at = ev->page + i;
		u32 *slot = usm_bucket_slot(sharer->bucket, at);

		if (!usm_sharer_has(ev, sharer, i))
			continue;
		pte = *usm_table_pte(&table, at << PAGE_SHIFT);
		if (!usm_evict_may(ev, pte, usm_frame_page(ev->domain, ev->frame + i)))
			continue;
		WRITE_ONCE(*slot, *slot | USM_SLOT_BUSY);
		__assign_bit(i, sharer->clean, sharer->space->cow && !pte_dirty(pte));
		__set_bit(i, sharer->busy);
	}
	usm_table_unlock(&table);
}

/*
 * Once it is busy in all of them nobody can share the page with one more, for which a
 * lock is needed that we keep out, or let go of it. False: no page is.
 */
static bool usm_evict_mark(struct usm_eviction *ev)
{
	bool any = false;
	unsigned int i;

	bitmap_zero(ev->gone, USM_EVICT_BATCH);
	bitmap_zero(ev->told, USM_EVICT_BATCH);
	bitmap_fill(ev->all, USM_EVICT_BATCH);
	for (i = 0; i < ev->sharers; i++) {
		usm_evict_mark_in(ev, &ev->sharer[i]);
		any |= !bitmap_empty(ev->sharer[i].busy, USM_EVICT_BATCH);
		bitmap_and(ev->all, ev->all, ev->sharer[i].busy, USM_EVICT_BATCH);
	}
	for_each_set_bit(i, ev->all, USM_EVICT_BATCH)
		if (usm_page_refs(usm_frame_page(ev->domain, ev->frame + i)) != ev->sharers)
			__clear_bit(i, ev->all);
	return any;
}

/* Unmapped everywhere and flushed: copy it out, if nobody took hold of it. */
static void usm_evict_copy(struct usm_eviction *ev, unsigned int i)
{
	struct page *page = usm_frame_page(ev->domain, ev->frame + i);
	void *content;

	if (page_count(page) != 1)
		return;
	__set_bit(i, ev->gone);
	if (ev->bad) {
		ev->key[i] = usm_evicted_new_bad(ev->domain, ev->number[i], ev->sharers);
		return;
	}
	ev->key[i] = usm_evicted_new(ev->domain, ev->number[i], page, ev->sharers);
	content = kmap_local_page(page);
	copy_page(usm_staging_page(&ev->domain->vault, ev->staging + i), content);
	kunmap_local(content);
}

static void usm_evict_tell(struct usm_eviction *ev, struct usm_space *space, unsigned int i)
{
	struct usm_staged *staged = ev->domain->vault.staging;

	if (__test_and_set_bit(i, ev->told) || ev->bad)
		return;
	staged[ev->staging + i] = (struct usm_staged) {
		.key = ev->key[i],
		.page = ev->page + i,
		.space = space->id,
		.frame = ev->frame + i,
	};
}

/* The slot is busy no more: its page is evicted, dropped, or still there. */
static void usm_evict_settle(struct usm_eviction *ev, struct usm_sharer *sharer, unsigned int i,
			     bool dropped, struct usm_drop *drop)
{
	unsigned long at = ev->page + i;

	usm_slot_drop(sharer->bucket, at, drop);
	if (!dropped) {
		usm_slot_fill(sharer->space, sharer->bucket, at, USM_SLOT_EVICTED | ev->number[i]);
		usm_evict_tell(ev, sharer->space, i);
	} else if (test_bit(i, ev->gone)) {
		usm_evicted_put(ev->domain, ev->number[i]);
	}
}

/* The busy pages of one space are either evicted, or mapped again. */
static void usm_evict_finish(struct usm_eviction *ev, struct usm_sharer *sharer)
{
	DECLARE_BITMAP(zapped, USM_EVICT_BATCH);
	struct usm_space *space = sharer->space;
	struct usm_table table;
	unsigned int i, back = 0;
	struct usm_drop drop;
	bool stay;

	bitmap_and(zapped, sharer->busy, ev->all, USM_EVICT_BATCH);
	stay = !bitmap_subset(zapped, ev->gone, USM_EVICT_BATCH);
	usm_drop_init(&drop, space);
	/*
	 * What is evicted, a discard under way will find when it ends. What is mapped
	 * again it would not.
	 */
	usm_space_lock_settled(space, ev->page, stay ? ev->count : 0, &table);
	for_each_set_bit(i, sharer->busy, USM_EVICT_BATCH) {
		unsigned long at = ev->page + i;
		u32 *slot = usm_bucket_slot(sharer->bucket, at);
		pte_t *pte = usm_table_pte(&table, at << PAGE_SHIFT);
		bool dropped = *slot & USM_SLOT_DROPPED;
		unsigned int first = 0;
		struct page *page;

		WRITE_ONCE(*slot, *slot & ~(USM_SLOT_BUSY | USM_SLOT_DROPPED));
		if (dropped || test_bit(i, ev->gone)) {
			usm_evict_settle(ev, sharer, i, dropped, &drop);
			continue;
		}
		/* Another space kept the page, so that we have not unmapped it here. */
		if (!test_bit(i, zapped))
			continue;
		page = usm_frame_page(ev->domain, ev->frame + i);
		usm_pte_map(sharer->vma, at << PAGE_SHIFT, pte, page,
			    test_bit(i, sharer->clean) || usm_page_refs(page) > 1 ?
			    USM_MAP_SHARED : USM_MAP_OWN, &first);
		if (first)
			usm_mapped_stat_add(page, first);
		back++;
	}
	usm_table_unlock(&table);
	if (back)
		usm_rss_add(space->mm, back);
	for_each_set_bit(i, sharer->busy, USM_EVICT_BATCH)
		usm_cow_wake(usm_bucket_slot(sharer->bucket, ev->page + i));
	usm_drop_finish(&drop);
}

static void usm_evict_zap(struct usm_eviction *ev, struct usm_sharer *sharer)
{
	unsigned int i, end;

	/* The only flush that a module can have, and it tells the notifiers. */
	for_each_set_bitrange(i, end, ev->all, USM_EVICT_BATCH)
		usm_space_zap(sharer->space, sharer->vma, (ev->page + i) << PAGE_SHIFT,
			      (unsigned long)(end - i) << PAGE_SHIFT);
}

/*
 * Unmap what is marked, and evict what nobody took hold of meanwhile. Returns how many
 * are evicted.
 */
static unsigned int usm_evict_marked(struct usm_eviction *ev)
{
	unsigned int i;

	for (i = 0; i < ev->sharers; i++)
		usm_evict_zap(ev, &ev->sharer[i]);
	for_each_set_bit(i, ev->all, USM_EVICT_BATCH)
		usm_evict_copy(ev, i);
	for (i = 0; i < ev->sharers; i++)
		usm_evict_finish(ev, &ev->sharer[i]);
	return bitmap_weight(ev->told, USM_EVICT_BATCH);
}

/* The number of pages, or why there is not one. */
static int usm_evict_some(struct usm_eviction *ev)
{
	unsigned int i, reserved, agreed;
	int done = 0;

	agreed = usm_sharers_agree(ev);
	ev->count = agreed ?: 1;
	if (!agreed)
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
		/* Of one that is lost the caller tells. */
		if (!ev->bad)
			trace_usm_evict(ev->sharer[0].space, ev->page, ev->frame, ev->count,
					ev->sharers, done);
	}
	for (i = 0; i < reserved; i++)
		if (!test_bit(i, ev->gone))
			usm_evicted_unreserve(ev->domain, ev->number[i]);
	return done;
}

/* Of the arming in which it was submitted; a later one's staging is not ours. */
static bool usm_evict_still(struct usm_domain *domain, struct usm_port *port, u64 epoch)
{
	return usm_domain_armed_by(domain, port, epoch) && !fatal_signal_pending(current);
}

/* Made at the first call, and the vault's from then on; its lock is held. */
static struct usm_eviction *usm_eviction(struct usm_domain *domain)
{
	struct usm_vault *vault = &domain->vault;

	if (!vault->eviction)
		vault->eviction = kzalloc(sizeof(*vault->eviction), GFP_KERNEL_ACCOUNT);
	if (vault->eviction)
		vault->eviction->domain = domain;
	return vault->eviction;
}

static int usm_evict_staged(struct usm_domain *domain, struct usm_port *port, u64 epoch,
			    const struct usm_command *cmd)
{
	struct usm_eviction *ev = usm_eviction(domain);
	struct usm_staged *staged = domain->vault.staging;
	u32 at = 0, done = 0;
	int err = 0;

	if (!ev)
		return -ENOMEM;
	memset(staged + cmd->arg, 0, cmd->count * sizeof(*staged));
	while (at < cmd->count && usm_evict_still(domain, port, epoch)) {
		struct usm_frame first;

		ev->frame = cmd->frame + at;
		ev->staging = cmd->arg + at;
		first = usm_frame_read(domain, ev->frame);
		if (usm_eviction_gather(ev, first, cmd->count - at)) {
			usm_sharers_open(ev, first);
			if (ev->sharers) {
				int got = usm_evict_some(ev);

				done += max(got, 0);
				err = min(got, err);
			} else if (first.state == USM_FRAME_SHARED) {
				/* Who has the next one may be found. */
				ev->count = 1;
			}
			usm_sharers_close(ev);
		}
		at += ev->count;
		cond_resched();
	}
	usm_count_add(domain, USM_N_EVICTIONS, done);
	return done ?: err;
}

int usm_evict(struct usm_domain *domain, struct usm_port *port, u64 epoch,
	      const struct usm_command *cmd)
{
	int done;

	if (!usm_staging(domain))
		return -ENOMEM;
	if (mutex_lock_killable(&domain->vault.staging_lock))
		return -EINTR;
	/* One that woke up late would overwrite what its successor has to save. */
	done = usm_evict_still(domain, port, epoch) ?
	       usm_evict_staged(domain, port, epoch, cmd) : -EPERM;
	mutex_unlock(&domain->vault.staging_lock);
	return done;
}

u64 usm_evict_bad(struct usm_domain *domain, u32 frame)
{
	struct usm_vault *vault = &domain->vault;
	struct usm_eviction *ev;
	u64 key = 0;

	mutex_lock(&vault->staging_lock);
	ev = usm_eviction(domain);
	if (ev) {
		struct usm_frame first = usm_frame_read(domain, frame);

		ev->frame = frame;
		ev->bad = true;
		if (usm_eviction_gather(ev, first, 1)) {
			usm_sharers_open(ev, first);
			if (ev->sharers && usm_evict_some(ev) > 0)
				key = ev->key[0];
			usm_sharers_close(ev);
		}
		ev->bad = false;
	}
	mutex_unlock(&vault->staging_lock);
	return key;
}
