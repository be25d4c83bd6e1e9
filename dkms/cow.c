// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copy-on-write: ->page_mkwrite of VMAs whose pages fork() may have shared. It is
 * called with the mmap lock or a VMA lock held and cannot retry, so it never
 * waits for a policy.
 */
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>

#include "compat/compat.h"
#include "event.h"
#include "fault.h"
#include "pte.h"
#include "space.h"
#include "supply.h"
#include "trace.h"

/*
 * Who writes to shared pages one after the other gets ever more of them copied at
 * once, as with readahead, and pays for a fault and a flush once for all of them. It
 * never takes more than one first touch would.
 */
#define USM_COW_PAGES	16u
/* Runs that the frames for that come in. */
#define USM_COW_RUNS	4

struct usm_cow {
	struct vm_area_struct *vma;
	struct usm_space *space;
	struct usm_bucket *bucket;
	unsigned long at;		/* the first page */
	unsigned int nr;
	struct page *page[USM_COW_PAGES];	/* what is shared, referenced */
	u32 frame[USM_COW_PAGES];	/* for the copies */
};

void usm_cow_wait(u32 *slot)
{
	wait_var_event(slot, !(READ_ONCE(*slot) & USM_SLOT_BUSY));
}

void usm_cow_wake(u32 *slot)
{
	/* Pairs with the barrier of prepare_to_wait_event(). */
	smp_mb();
	wake_up_var(slot);
}

/*
 * Does the entry still show the page, and for reading only? Another thread's fault may
 * have found it to be its own. Nobody does while we copy: we refer to it too. Table locked.
 */
static bool usm_cow_still(struct usm_space *space, u32 slot, pte_t pte, struct page *page)
{
	return (slot & (USM_SLOT_SET | USM_SLOT_BUSY | USM_SLOT_EVICTED)) == USM_SLOT_SET &&
	       pte_present(pte) && !pte_write(pte) && pte_page(pte) == page &&
	       usm_frame_page(space->domain, slot & USM_SLOT_FRAME) == page;
}

/*
 * The page is ours alone: let it be written. No flush: a stale read-only entry
 * only faults once more. Only fork() makes it shared again, and that needs locks
 * which exclude us.
 */
static void usm_cow_reuse(struct usm_space *space, struct page *page, unsigned long at,
			  pte_t *pte, u32 frame)
{
	set_pte_at(space->mm, at << PAGE_SHIFT, pte,
		   usm_pte_mkwrite_dirty(pte_mkyoung(*pte)));
	usm_page_set_index(page, usm_space_index(space, at));
	usm_frame_set_mapped(space->domain, frame, space->id, at);
	usm_count_add(space->domain, USM_N_COW_REUSED, 1);
	trace_usm_cow_reuse(space, at, frame);
}

static void usm_cow_give_back(struct usm_domain *domain, const u32 *frames, unsigned int nr)
{
	unsigned int first, i;

	for (first = 0; first < nr; first = i) {
		for (i = first; i < nr && frames[i] == frames[first] + (i - first); i++)
			usm_frame_set_free(domain, frames[i]);
		usm_event_post(domain, USM_EV_FREED, 0, 0, frames[first], i - first, 0);
	}
}

/*
 * We may not let go of the lock that we are called with. While memory comes back,
 * a tick at a time, the access is tried again, as stock memory's would go on in
 * the page allocator; an access from outside fails, or it would keep the lock from
 * those whose faults make room.
 */
vm_fault_t usm_cow_no_frame(struct usm_space *space)
{
	if (fatal_signal_pending(current) || space->mm != current->mm)
		return VM_FAULT_OOM;
	schedule_timeout_killable(1);
	return VM_FAULT_NOPAGE;
}

/*
 * Nobody else names the page. But who did a moment ago may still read it, by a
 * stale TLB entry of an unmap that has not flushed yet or by I/O in flight, and
 * must not see what we write: a dirty entry was ours alone all the time, otherwise
 * count who refers to it: the module, our entry, and of the page that faults the fault.
 */
bool usm_cow_exclusive(struct page *page, pte_t pte, int refs)
{
	return usm_page_refs(page) == 1 && (pte_dirty(pte) || page_count(page) <= refs);
}

/* How many pages from the faulting one on to look at. Table locked. */
static unsigned int usm_cow_most(struct usm_cow *cow)
{
	struct usm_bucket *bucket = cow->bucket;
	unsigned int index = cow->at & (USM_WINDOW_PAGES - 1), most = 1;

	if (index == bucket->cow_next)
		most = clamp(2u * bucket->cow_run, 1u,
			     min(USM_COW_PAGES, 1u << READ_ONCE(cow->space->domain->order)));
	most = min(most, USM_WINDOW_PAGES - index);
	return min_t(unsigned long, most, (cow->vma->vm_end >> PAGE_SHIFT) - cow->at);
}

static void usm_cow_went(struct usm_cow *cow, unsigned int nr)
{
	cow->bucket->cow_next = (cow->at & (USM_WINDOW_PAGES - 1)) + nr;
	cow->bucket->cow_run = nr;
}

/*
 * The next page, if it is read-only as the first is; or NULL. Bad memory is left to who
 * touches it, and what a userfaultfd protects must fault. Table locked.
 */
static struct page *usm_cow_next(struct usm_cow *cow, unsigned long at, pte_t pte)
{
	u32 slot = *usm_bucket_slot(cow->bucket, at);
	struct page *page;

	if (!pte_present(pte) || usm_pte_uffd(pte))
		return NULL;
	page = pte_page(pte);
	if (PageHWPoison(page) || !usm_cow_still(cow->space, slot, pte, page))
		return NULL;
	return page;
}

/*
 * Take what follows of the same kind: let it be written as well, or reference it
 * to be copied. Table locked.
 */
static void usm_cow_gather(struct usm_cow *cow, struct usm_table *table, bool reuse)
{
	unsigned int most = usm_cow_most(cow);

	for (cow->nr = 1; cow->nr < most; cow->nr++) {
		unsigned long at = cow->at + cow->nr;
		pte_t *pte = usm_table_pte(table, at << PAGE_SHIFT);
		struct page *page = usm_cow_next(cow, at, *pte);

		if (!page || usm_cow_exclusive(page, *pte, 2) != reuse)
			break;
		if (reuse) {
			usm_cow_reuse(cow->space, page, at, pte,
				      *usm_bucket_slot(cow->bucket, at) & USM_SLOT_FRAME);
			continue;
		}
		/* Where I/O may be writing into it, from before the fork. */
		if (page_count(page) > usm_page_refs(page) + 1)
			break;
		get_page(page);
		cow->page[cow->nr] = page;
	}
	if (reuse)
		usm_cow_went(cow, cow->nr);
}

static void usm_cow_put_from(struct usm_cow *cow, unsigned int first)
{
	unsigned int i;

	for (i = max(first, 1u); i < cow->nr; i++)
		put_page(cow->page[i]);
	cow->nr = min(cow->nr, first);
}

/*
 * Frames to copy into: one at any price, for the others what is supplied. Those
 * that get none are left to their own faults. False: not even the one.
 */
static bool usm_cow_frames(struct usm_cow *cow)
{
	struct usm_domain *domain = cow->space->domain;
	struct usm_run runs[USM_COW_RUNS];
	unsigned int nr_runs = 0, got = 1, i;

	if (!usm_frame_get_now(domain, &cow->frame[0], cow->space->mm == current->mm))
		return false;
	if (cow->nr > 1 && usm_domain_supplied(domain) && !READ_ONCE(domain->starved) &&
	    !READ_ONCE(domain->limited))
		nr_runs = usm_supply_take_here(domain, cow->nr - 1, runs, USM_COW_RUNS);
	for (i = 0; i < nr_runs; i++) {
		usm_frames_set_dirty(domain, runs[i].frame, runs[i].count);
		while (runs[i].count--)
			cow->frame[got++] = runs[i].frame++;
	}
	usm_cow_put_from(cow, got);
	return true;
}

/* How many of the pages, from the first on, are as they were; those are busy now. */
static unsigned int usm_cow_mark(struct usm_cow *cow)
{
	struct usm_table table;
	unsigned int i;

	if (!usm_table_lock(cow->space->mm, cow->at << PAGE_SHIFT, &table))
		return 0;
	for (i = 0; i < cow->nr; i++) {
		unsigned long at = cow->at + i;
		u32 *slot = usm_bucket_slot(cow->bucket, at);

		if (!usm_cow_still(cow->space, *slot, *usm_table_pte(&table, at << PAGE_SHIFT),
				   cow->page[i]))
			break;
		WRITE_ONCE(*slot, *slot | USM_SLOT_BUSY);
	}
	if (i)
		usm_cow_went(cow, i);
	usm_table_unlock(&table);
	return i;
}

/* Copies that are mapped now, as events of runs. */
static void usm_cow_tell(struct usm_cow *cow, const bool *dropped, unsigned int nr)
{
	struct usm_domain *domain = cow->space->domain;
	unsigned int first, i, copied = 0;

	for (first = 0; first < nr; first = i) {
		for (i = first + 1; i < nr && dropped[i] == dropped[first] &&
		     cow->frame[i] == cow->frame[first] + (i - first); i++)
			;
		if (dropped[first])
			continue;
		copied += i - first;
		usm_event_post(domain, USM_EV_COW, cow->space->id, cow->at + first,
			       cow->frame[first], i - first, 0);
	}
	for (i = 0; i < nr; i++)
		if (!dropped[i])
			trace_usm_cow_copy(cow->space, cow->at + i, cow->frame[i]);
	usm_count_add(domain, USM_N_COW_COPIED, copied);
}

/* The slots are busy, so nobody else touches them or their entries. */
static void usm_cow_replace(struct usm_cow *cow, unsigned int nr)
{
	struct usm_space *space = cow->space;
	bool dropped[USM_COW_PAGES];
	struct usm_batch batch;
	struct usm_table table;
	struct usm_drop drop;
	unsigned int i;

	usm_drop_init(&drop, space);
	usm_batch_begin(&batch, cow->vma, space, cow->bucket);
	/* A discard that is on its way over a page has it, or its end will. */
	usm_space_lock_settled(space, cow->at, nr, &table);
	for (i = 0; i < nr; i++) {
		unsigned long at = cow->at + i;

		/* Discarded meanwhile: zeros are next, not a copy. */
		dropped[i] = *usm_bucket_slot(cow->bucket, at) & USM_SLOT_DROPPED;
		usm_slot_drop(cow->bucket, at, &drop);
		if (likely(!dropped[i]))
			usm_batch_page(&batch, at, cow->frame[i],
				       usm_table_pte(&table, at << PAGE_SHIFT));
	}
	usm_batch_end(&batch, &table);
	usm_cow_tell(cow, dropped, nr);
	/* Else they would be held for a tick more. */
	usm_cow_put_from(cow, 1);
	usm_drop_finish(&drop);
	for (i = 0; i < nr; i++) {
		usm_cow_wake(usm_bucket_slot(cow->bucket, cow->at + i));
		if (unlikely(dropped[i]))
			usm_cow_give_back(space->domain, &cow->frame[i], 1);
	}
}

/* How many of the pages could be copied: their memory may have gone bad. */
static unsigned int usm_cow_copy(struct usm_cow *cow)
{
	unsigned int i;

	for (i = 0; i < cow->nr; i++)
		if (copy_mc_user_highpage(usm_frame_page(cow->space->domain, cow->frame[i]),
					  cow->page[i], (cow->at + i) << PAGE_SHIFT, cow->vma))
			break;
	usm_cow_give_back(cow->space->domain, cow->frame + i, cow->nr - i);
	usm_cow_put_from(cow, i);
	return i;
}

vm_fault_t usm_cow_mkwrite(struct vm_fault *vmf)
{
	struct usm_space *space = usm_vma_space(vmf->vma);
	unsigned long at = vmf->address >> PAGE_SHIFT;
	struct usm_cow cow = {
		.vma = vmf->vma,
		.space = space,
		.bucket = usm_space_bucket(space, at),
		.at = at,
		.page = { vmf->page },
	};
	struct usm_table table;
	unsigned int nr;
	pte_t *pte;
	bool reuse;
	u32 *slot;

	if (unlikely(PageHWPoison(vmf->page)))
		return VM_FAULT_HWPOISON;
	if (!cow.bucket || !usm_table_lock(space->mm, vmf->address, &table))
		return VM_FAULT_NOPAGE;
	slot = usm_bucket_slot(cow.bucket, at);
	pte = usm_table_pte(&table, vmf->address);
	if (!usm_cow_still(space, *slot, *pte, vmf->page)) {
		usm_table_unlock(&table);
		/* The entry of a page that is being evicted may be there for a while. */
		usm_cow_wait(slot);
		return VM_FAULT_NOPAGE;
	}
	reuse = usm_cow_exclusive(vmf->page, *pte, 3);
	if (reuse)
		usm_cow_reuse(space, vmf->page, at, pte, *slot & USM_SLOT_FRAME);
	usm_cow_gather(&cow, &table, reuse);
	usm_table_unlock(&table);
	if (reuse)
		return VM_FAULT_NOPAGE;

	if (!usm_cow_frames(&cow)) {
		usm_cow_put_from(&cow, 0);
		return usm_cow_no_frame(space);
	}
	/* Read-only in every mm that maps them, and we hold references. */
	if (!usm_cow_copy(&cow))
		return VM_FAULT_HWPOISON;
	nr = usm_cow_mark(&cow);
	usm_cow_give_back(space->domain, cow.frame + nr, cow.nr - nr);
	if (nr) {
		/* The only flush that a module can have, and it tells the notifiers. */
		usm_space_zap(space, vmf->vma, vmf->address & PAGE_MASK,
			      (unsigned long)nr << PAGE_SHIFT);
		usm_cow_replace(&cow, nr);
	}
	usm_cow_put_from(&cow, 0);
	return VM_FAULT_NOPAGE;
}
