// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way back from a fork: where a space shares no page any more its VMAs get their
 * plain operations again. While they have ->page_mkwrite the kernel refuses pins that
 * may last, such as those of io_uring's registered buffers.
 */
#include <linux/oom.h>
#include <linux/sched/mm.h>

#include "compat/compat.h"
#include "fault.h"
#include "pte.h"
#include "space.h"
#include "trace.h"

/* Doubled each time. */
#define USM_UNSHARE_DELAY	(HZ / 20)
/* What is in the way may be I/O, of which nobody says that it has ended. */
#define USM_UNSHARE_TRIES	6

enum usm_unshare_end {
	USM_UNSHARE_DONE,
	USM_UNSHARE_LATER,	/* something is in the way that will pass */
	USM_UNSHARE_NEVER,	/* until one more of the family is gone */
};

/* ------------------------------------------------------------------------ its pages */

/* One page; its slot is set. Table locked. */
static enum usm_unshare_end usm_unshare_page(struct usm_space *space,
					     struct vm_area_struct *vma, unsigned long at,
					     u32 slot, pte_t *pte)
{
	u32 frame = slot & USM_SLOT_FRAME;
	struct page *page;

	if (slot & USM_SLOT_EVICTED)
		return USM_UNSHARE_DONE;	/* who touches it gets one of its own */
	if (slot & USM_SLOT_BUSY)
		return USM_UNSHARE_LATER;
	/* Dropped, and nobody could tell us; or lost. */
	if (!pte_present(*pte))
		return USM_UNSHARE_DONE;
	page = usm_frame_page(space->domain, frame);
	if (usm_page_refs(page) != 1) {
		WRITE_ONCE(space->shared_at, at);
		return USM_UNSHARE_NEVER;
	}
	if (PageHWPoison(page) || pte_page(*pte) != page)
		return USM_UNSHARE_NEVER;
	if (pte_dirty(*pte) && pte_write(*pte))
		return USM_UNSHARE_DONE;
	if (!usm_cow_exclusive(page, *pte, 2))
		return USM_UNSHARE_LATER;
	/* As in usm_cow_reuse(), but nobody has written to it, nor read it. */
	set_pte_at(space->mm, at << PAGE_SHIFT, pte, vma->vm_flags & VM_WRITE ?
		   usm_pte_mkwrite_dirty(*pte) : pte_mkdirty(*pte));
	usm_page_set_index(page, usm_space_index(space, at));
	usm_frame_set_own(space->domain, frame, space->id, at);
	return USM_UNSHARE_DONE;
}

static enum usm_unshare_end usm_unshare_window(struct usm_space *space,
					       struct vm_area_struct *vma,
					       struct usm_bucket *bucket, unsigned long first,
					       unsigned long end)
{
	enum usm_unshare_end result = USM_UNSHARE_DONE;
	struct usm_table table;
	unsigned long at;

	if (!usm_table_lock(space->mm, first << PAGE_SHIFT, &table))
		return USM_UNSHARE_DONE;
	for (at = first; at < end && result == USM_UNSHARE_DONE; at++) {
		u32 slot = *usm_bucket_slot(bucket, at);

		if (slot & USM_SLOT_SET)
			result = usm_unshare_page(space, vma, at, slot,
						  usm_table_pte(&table, at << PAGE_SHIFT));
	}
	usm_table_unlock(&table);
	return result;
}

static enum usm_unshare_end usm_unshare_pages(struct usm_space *space,
					      struct vm_area_struct *vma)
{
	unsigned long first = vma->vm_start >> PAGE_SHIFT, end = vma->vm_end >> PAGE_SHIFT;
	enum usm_unshare_end result = USM_UNSHARE_DONE;
	struct usm_bucket *bucket;
	unsigned long index;

	xa_for_each_range(&space->buckets, index, bucket, first >> USM_WINDOW_SHIFT,
			  (end - 1) >> USM_WINDOW_SHIFT) {
		unsigned long base = index << USM_WINDOW_SHIFT;

		if (atomic_read(&bucket->used))
			result = usm_unshare_window(space, vma, bucket, max(first, base),
						    min(end, base + USM_WINDOW_PAGES));
		if (result != USM_UNSHARE_DONE)
			return result;
		cond_resched();
	}
	return USM_UNSHARE_DONE;
}

/* ------------------------------------------------------------------------- its VMAs */

/*
 * Who has asked to be told of writes (soft-dirty, userfaultfd) relies on entries that
 * are read-only; and an entry that is made dirty counts as written.
 */
static bool usm_unshare_may(const struct vm_area_struct *vma)
{
	return (!IS_ENABLED(CONFIG_MEM_SOFT_DIRTY) || (vma->vm_flags & VM_SOFTDIRTY)) &&
	       !(vma->vm_flags & VM_UFFD_WP);
}

/*
 * Let all pages be written that nobody else has. With the lock held for reading pages
 * are mapped and copied, which are the space's own then, and none becomes shared.
 */
static enum usm_unshare_end usm_unshare_try(struct usm_space *space, u32 *forks)
{
	enum usm_unshare_end result = USM_UNSHARE_DONE;
	struct vm_area_struct *vma;
	MA_STATE(mas, &space->mm->mm_mt, 0, 0);

	if (!mmap_read_trylock(space->mm))
		return USM_UNSHARE_LATER;
	/* A fork that failed half-way leaves a tree with its parent's VMAs, and worse. */
	if (check_stable_address_space(space->mm)) {
		mmap_read_unlock(space->mm);
		return USM_UNSHARE_NEVER;
	}
	*forks = space->forks;
	mas_for_each(&mas, vma, ULONG_MAX) {
		if (vma->vm_file != space->family->file)
			continue;
		if (!usm_unshare_may(vma)) {
			result = USM_UNSHARE_NEVER;
			break;
		}
		result = usm_unshare_pages(space, vma);
		if (result != USM_UNSHARE_DONE)
			break;
	}
	mmap_read_unlock(space->mm);
	return result;
}

static enum usm_unshare_end usm_unshare_finish(struct usm_space *space, u32 forks)
{
	enum usm_unshare_end result = USM_UNSHARE_DONE;
	struct vm_area_struct *vma;
	MA_STATE(mas, &space->mm->mm_mt, 0, 0);

	/* Who has it may keep it for as long as it likes, and others need the worker. */
	if (rwsem_is_locked(&space->mm->mmap_lock))
		return USM_UNSHARE_LATER;
	mmap_write_lock(space->mm);
	mas_for_each(&mas, vma, ULONG_MAX)
		if (vma->vm_file == space->family->file && !usm_unshare_may(vma))
			result = USM_UNSHARE_NEVER;
	/* Whoever has forked meanwhile shares pages again. */
	if (space->forks != forks)
		result = USM_UNSHARE_NEVER;
	if (result == USM_UNSHARE_DONE) {
		usm_space_set_plain(space);
		usm_count_add(space->domain, USM_N_UNSHARED, 1);
		trace_usm_space_plain(space);
	}
	mmap_write_unlock(space->mm);
	return result;
}

/* ------------------------------------------------------------------------- its time */

void usm_unshare_work(struct work_struct *work)
{
	struct usm_space *space = container_of(to_delayed_work(work), struct usm_space,
					       unshare_work);
	enum usm_unshare_end result;
	u32 forks;

	if (!READ_ONCE(space->cow) || READ_ONCE(space->broken) || !mmget_not_zero(space->mm))
		return;
	result = usm_unshare_try(space, &forks);
	if (result == USM_UNSHARE_DONE)
		result = usm_unshare_finish(space, forks);
	mmput_async(space->mm);
	if (result == USM_UNSHARE_LATER && ++space->unshare_tries < USM_UNSHARE_TRIES)
		queue_delayed_work(usm_wq, &space->unshare_work,
				   USM_UNSHARE_DELAY << space->unshare_tries);
}

void usm_unshare_soon(struct usm_space *space)
{
	space->unshare_tries = 0;
	mod_delayed_work(usm_wq, &space->unshare_work, 0);
}
