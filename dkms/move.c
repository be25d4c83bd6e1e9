// SPDX-License-Identifier: GPL-2.0-only
/*
 * mremap(): pages keep their frames at a new address. vm_pgoff of an adopted VMA
 * always equals its page number, so that a page is known by its address alone;
 * a VMA that is moved gets the new one before it enters the interval tree.
 */
#include <linux/swap.h>
#include <linux/swapops.h>

#include "pte.h"
#include "space.h"

void usm_space_move_begin(struct usm_space *space, struct vm_area_struct *vma)
{
	/* vm_pgoff is still that of the old place. */
	space->move_start = vma->vm_pgoff;
	/* At most: a mapping that grows has more pages than come from there. */
	space->move_end = vma->vm_pgoff + vma_pages(vma);
	space->move_to = vma->vm_start;
	space->move_vma = vma;
	space->move_seen = false;
	WRITE_ONCE(space->move_task, current);
	vma->vm_pgoff = vma->vm_start >> PAGE_SHIFT;
}

/* The buckets of [first, first + pages), so that the move itself cannot fail. */
static int usm_move_prepare(struct usm_space *space, unsigned long from,
			    unsigned long to, unsigned long pages)
{
	struct usm_bucket *bucket;
	unsigned long index;

	xa_for_each_range(&space->buckets, index, bucket, from >> USM_WINDOW_SHIFT,
			  (from + pages - 1) >> USM_WINDOW_SHIFT) {
		unsigned long base = index << USM_WINDOW_SHIFT;
		unsigned long first = max(from, base) - from + to;
		unsigned long last = min(from + pages, base + USM_WINDOW_PAGES) - 1 - from + to;

		if (!atomic_read(&bucket->used))
			continue;
		if (!usm_space_bucket_make(space, first) ||
		    !usm_space_bucket_make(space, last))
			return -ENOMEM;
	}
	return 0;
}

static void usm_move_page(struct usm_space *space, struct usm_bucket *bucket,
			  unsigned long from, unsigned long to, struct usm_drop *drop)
{
	u32 *slot = usm_bucket_slot(bucket, from);
	u32 value = *slot & (USM_SLOT_EVICTED | USM_SLOT_FRAME);
	struct usm_bucket *new = usm_space_bucket(space, to);
	struct page *page;

	WRITE_ONCE(*slot, 0);
	atomic_dec(&bucket->used);
	/* Unmapped, and the notifier could not tell us. */
	if (*usm_bucket_slot(new, to) & USM_SLOT_SET)
		usm_slot_drop(new, to, drop);
	usm_slot_fill(space, new, to, value);
	if (value & USM_SLOT_EVICTED)
		return;
	page = usm_frame_page(space->domain, value);
	/* A shared page's index is that of one of its spaces; COW makes it ours. */
	if (usm_page_refs(page) == 1) {
		usm_page_set_index(page, usm_space_index(space, to));
		usm_frame_set_mapped(space->domain, value, space->id, to);
	}
}

/* The pages of one old window. */
static void usm_move_window(struct usm_space *space, struct usm_bucket *bucket,
			    unsigned long first, unsigned long end, long delta,
			    struct usm_drop *drop)
{
	struct usm_table table;
	bool locked = usm_table_lock(space->mm, first << PAGE_SHIFT, &table);
	unsigned long page;

	/* No table: mremap() took it along whole, so all of the window moved. */
	for (page = first; page < end; page++) {
		u32 slot = *usm_bucket_slot(bucket, page);

		if (!(slot & USM_SLOT_SET) || (slot & USM_SLOT_BUSY))
			continue;
		if (locked && !usm_pte_empty(*usm_table_pte(&table, page << PAGE_SHIFT)))
			continue;
		usm_move_page(space, bucket, page, page + delta, drop);
	}
	if (locked)
		usm_table_unlock(&table);
}

/*
 * ->mremap: the page tables were moved. The mmap lock is held for writing and
 * both VMAs are locked, so no fault looks at the slots that move.
 */
int usm_space_move_end(struct usm_space *space, struct vm_area_struct *vma)
{
	unsigned long from = space->move_start, to = vma->vm_start >> PAGE_SHIFT;
	unsigned long pages = space->move_end - from, index;
	bool moved = space->move_task == current && space->move_seen;
	struct usm_bucket *bucket;
	struct usm_drop drop;
	int err;

	WRITE_ONCE(space->move_task, NULL);
	/*
	 * Nothing was unmapped: mremap(old_len = 0), which duplicates shared memory.
	 * Of private memory it fails.
	 */
	if (!moved || pages > vma_pages(vma))
		return -EINVAL;
	err = usm_move_prepare(space, from, to, pages);
	if (err)
		return err;
	usm_drop_init(&drop, space);
	xa_for_each_range(&space->buckets, index, bucket, from >> USM_WINDOW_SHIFT,
			  (from + pages - 1) >> USM_WINDOW_SHIFT) {
		unsigned long base = index << USM_WINDOW_SHIFT;

		if (atomic_read(&bucket->used))
			usm_move_window(space, bucket, max(from, base),
					min(from + pages, base + USM_WINDOW_PAGES),
					to - from, &drop);
	}
	usm_drop_finish(&drop);
	/* Who waits for an evicted page at its old place waits in vain. */
	usm_domain_kick(space->domain);
	return 0;
}
