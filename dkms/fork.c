// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork(): ->open of a child's VMA in dup_mmap(), with the mmap locks of both held
 * for writing and the parent's VMA locked. It cannot fail: what cannot be copied
 * makes the child's faults SIGBUS, never zero pages.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/coredump.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "compat/compat.h"
#include "event.h"
#include "fault.h"
#include "pte.h"
#include "space.h"
#include "trace.h"

struct usm_fork {
	struct usm_space *parent;
	struct usm_space *child;
	struct vm_area_struct *from;
	struct vm_area_struct *to;
	unsigned long first;		/* pages of the VMA */
	unsigned long end;
};

/* The protection that ->page_mkwrite needs: entries are made without write. */
static void usm_vma_set_cow(struct vm_area_struct *vma)
{
	vma->vm_ops = &usm_vm_ops_cow;
	/* Plain memory: no cache mode or other bit to keep. */
	WRITE_ONCE(vma->vm_page_prot, vm_get_page_prot(vma->vm_flags & ~VM_SHARED));
}

/*
 * All VMAs of a space have the same operations: two that merge keep those of one.
 */
static void usm_space_set_cow(struct usm_space *space)
{
	struct vm_area_struct *vma;
	MA_STATE(mas, &space->mm->mm_mt, 0, 0);

	if (space->cow)
		return;
	mas_for_each(&mas, vma, ULONG_MAX) {
		if (vma->vm_file != space->family->file)
			continue;
		usm_vma_start_write(vma);
		usm_vma_set_cow(vma);
	}
	space->cow = true;
}

static void usm_fork_break(struct usm_fork *fork)
{
	struct usm_domain *domain = fork->parent->domain;

	if (fork->child && fork->child->broken)
		return;
	usm_count_add(domain, USM_N_BROKEN, 1);
	pr_warn("domain %llu (%s): %s[%d]: no memory to copy a page in fork: the child will get SIGBUS\n",
		domain->id, domain->label, current->comm, task_pid_nr(current));
	usm_event_post(domain, USM_EV_BROKEN, fork->child ? fork->child->id : 0, fork->first,
		       0, 0, 0);
	trace_usm_space_broken(fork->parent, fork->child ? fork->child->id : 0, fork->first);
	if (fork->child) {
		WRITE_ONCE(fork->child->broken, true);
		return;
	}
	/*
	 * Not even a space. Another file of the same inode keeps the VMA from
	 * merging with good ones; the caller takes its reference after us.
	 */
	fork->to->vm_file = fork->parent->family->broken;
	fork->to->vm_private_data = NULL;
	fork->to->vm_ops = &usm_vm_ops_broken;
}

static bool usm_fork_child(struct usm_fork *fork)
{
	struct usm_space *parent = fork->parent, *child;

	rcu_read_lock();
	child = usm_space_find(fork->to->vm_mm);
	rcu_read_unlock();
	if (!child) {
		child = usm_space_new(parent->domain, fork->to->vm_mm, parent->family);
		if (IS_ERR(child))
			return false;
		child->cow = true;
		usm_count_add(parent->domain, USM_N_FORKS, 1);
		usm_event_post(parent->domain, USM_EV_SPACE_FORK, child->id, 0, 0, 0,
			       (u64)parent->id << 32 | (u32)task_tgid_nr(current));
		trace_usm_space_fork(parent, child);
	}
	fork->child = child;
	return true;
}

/* ------------------------------------------------------------- one window */

/* Pages of a window that go to both, and those that only the parent keeps. */
struct usm_fork_window {
	struct usm_bucket *from;
	unsigned long first;
	unsigned long end;
};

/* Where I/O writes into the page it stays the parent's; the child gets a copy. */
static bool usm_fork_copy(struct usm_fork *fork, struct usm_bucket *to, unsigned long at,
			  struct page *page)
{
	struct usm_domain *domain = fork->parent->domain;
	struct page *copy;
	u32 frame;

	if (!usm_frame_get_now(domain, &frame, false))
		return false;
	copy = usm_frame_page(domain, frame);
	copy_highpage(copy, page);
	copy->mapping = fork->child->family->file->f_mapping;
	copy->index = usm_space_index(fork->child, at);
	atomic_long_inc(usm_page_word(copy));
	usm_frame_set_mapped(domain, frame, fork->child->id, at);
	usm_count_add(domain, USM_N_MAPPED, 1);
	usm_count_add(domain, USM_N_COW_COPIED, 1);
	trace_usm_cow_copy(fork->child, at, frame);
	usm_slot_fill(fork->child, to, at, frame);
	return true;
}

static void usm_fork_share(struct usm_fork *fork, struct usm_bucket *to, unsigned long at,
			   u32 frame, struct page *page)
{
	struct usm_domain *domain = fork->parent->domain;

	if ((u32)atomic_long_inc_return(usm_page_word(page)) == 2)
		usm_count_add(domain, USM_N_SHARED, 1);
	usm_frame_set_state(domain, frame, USM_FRAME_SHARED);
	usm_slot_fill(fork->child, to, at, frame);
}

/* Give the child its slots. False: no memory; some may have been given. */
static bool usm_fork_slots(struct usm_fork *fork, struct usm_fork_window *window)
{
	struct usm_bucket *to;
	unsigned long at;

	to = usm_space_bucket_make(fork->child, window->first);
	if (!to)
		return false;
	for (at = window->first; at < window->end; at++) {
		u32 slot = *usm_bucket_slot(window->from, at);
		struct page *page;

		if (!(slot & USM_SLOT_BUSY))
			continue;
		page = usm_frame_page(fork->parent->domain, slot & USM_SLOT_FRAME);
		/* Unmapped everywhere in the parent: no new pin can appear now. */
		if (unlikely(folio_maybe_dma_pinned(page_folio(page))) &&
		    test_bit(MMF_HAS_PINNED, &fork->parent->mm->flags)) {
			if (!usm_fork_copy(fork, to, at, page))
				return false;
		} else {
			usm_fork_share(fork, to, at, slot & USM_SLOT_FRAME, page);
		}
	}
	return true;
}

/*
 * Map what those slots of the window name that have `which` set: shared pages for
 * reading, the space's own for writing. None of them is busy any more.
 */
static bool usm_fork_map(struct usm_space *space, struct vm_area_struct *vma,
			 struct usm_bucket *bucket, unsigned long first, unsigned long end,
			 u32 which)
{
	unsigned int mapped = 0;
	struct usm_table table;
	unsigned long at;

	if (!usm_table_lock_alloc(space->mm, first << PAGE_SHIFT, &table))
		return false;
	for (at = first; at < end; at++) {
		u32 *slot = usm_bucket_slot(bucket, at);
		unsigned int once = 0;
		struct page *page;
		bool shared;

		if (!(*slot & which) || (*slot & USM_SLOT_EVICTED))
			continue;
		WRITE_ONCE(*slot, *slot & ~USM_SLOT_BUSY);
		page = usm_frame_page(space->domain, *slot & USM_SLOT_FRAME);
		/* What was clean may still be read by who shared it: see cow.c. */
		shared = __test_and_clear_bit(at & (USM_WINDOW_PAGES - 1), bucket->clean) ||
			 usm_page_refs(page) > 1;
		usm_pte_map(vma, at << PAGE_SHIFT, usm_table_pte(&table, at << PAGE_SHIFT),
			    page, shared ? USM_MAP_SHARED : USM_MAP_OWN, &once);
		if (once)
			usm_mapped_stat_add(page, once);
		mapped++;
	}
	usm_table_unlock(&table);
	usm_rss_add(space->mm, mapped);
	return true;
}

static void usm_fork_window(struct usm_fork *fork, struct usm_fork_window *window)
{
	bool copied = fork->child && !fork->child->broken && usm_fork_slots(fork, window);

	/*
	 * The parent first, whatever happened to the child: its pages must come
	 * back. Its table was not freed by the zap.
	 */
	while (!usm_fork_map(fork->parent, fork->from, window->from, window->first,
			     window->end, USM_SLOT_BUSY))
		cond_resched();
	if (!copied ||
	    !usm_fork_map(fork->child, fork->to,
			  usm_space_bucket(fork->child, window->first), window->first,
			  window->end, USM_SLOT_SET))
		usm_fork_break(fork);
	cond_resched();
}

/* ---------------------------------------------------------------- one VMA */

static bool usm_fork_mark_busy(struct usm_fork *fork)
{
	struct usm_bucket *bucket;
	unsigned long index, at;
	bool any = false;

	xa_for_each_range(&fork->parent->buckets, index, bucket,
			  fork->first >> USM_WINDOW_SHIFT,
			  (fork->end - 1) >> USM_WINDOW_SHIFT) {
		unsigned long base = index << USM_WINDOW_SHIFT;
		struct usm_table table;

		if (!atomic_read(&bucket->used) ||
		    !usm_table_lock(fork->parent->mm, max(fork->first, base) << PAGE_SHIFT,
				    &table))
			continue;
		for (at = max(fork->first, base);
		     at < min(fork->end, base + USM_WINDOW_PAGES); at++) {
			u32 *slot = usm_bucket_slot(bucket, at);

			/* Set but not mapped: dropped, and nobody could tell us. */
			if (!(*slot & USM_SLOT_SET) ||
			    pte_none_mostly(*usm_table_pte(&table, at << PAGE_SHIFT)))
				continue;
			__assign_bit(at & (USM_WINDOW_PAGES - 1), bucket->clean,
				     !pte_dirty(*usm_table_pte(&table, at << PAGE_SHIFT)));
			WRITE_ONCE(*slot, *slot | USM_SLOT_BUSY);
			any = true;
		}
		usm_table_unlock(&table);
	}
	return any;
}

/* Pages that the instance has: both name them, and each gets a copy. */
static bool usm_fork_evicted(struct usm_fork *fork)
{
	struct usm_bucket *bucket, *to;
	unsigned long index, at;

	xa_for_each_range(&fork->parent->buckets, index, bucket,
			  fork->first >> USM_WINDOW_SHIFT,
			  (fork->end - 1) >> USM_WINDOW_SHIFT) {
		unsigned long base = index << USM_WINDOW_SHIFT;

		if (!atomic_read(&bucket->used))
			continue;
		for (at = max(fork->first, base);
		     at < min(fork->end, base + USM_WINDOW_PAGES); at++) {
			u32 slot = *usm_bucket_slot(bucket, at);

			if (!(slot & USM_SLOT_EVICTED))
				continue;
			to = usm_space_bucket_make(fork->child, at);
			if (!to)
				return false;
			usm_evicted_get(fork->parent->domain, slot & USM_SLOT_FRAME);
			usm_slot_fill(fork->child, to, at, slot & ~USM_SLOT_SET);
		}
	}
	return true;
}

void usm_fork_vma(struct usm_space *parent, struct vm_area_struct *vma)
{
	struct usm_fork fork = {
		.parent = parent,
		.to = vma,
		.first = vma->vm_start >> PAGE_SHIFT,
		.end = vma->vm_end >> PAGE_SHIFT,
	};
	struct usm_bucket *bucket;
	unsigned long index;

	mmap_assert_write_locked(parent->mm);
	fork.from = find_vma(parent->mm, vma->vm_start);
	if (!usm_fork_child(&fork)) {
		usm_fork_break(&fork);
		return;
	}
	vma->vm_private_data = fork.child;
	/* Else copy_page_range() writes over what we map; nobody waits for us. */
	usm_vma_flags_change(vma, 0, VM_UFFD_WP);
	usm_space_set_cow(parent);
	usm_vma_set_cow(vma);
	if (READ_ONCE(parent->broken))
		WRITE_ONCE(fork.child->broken, true);
	if (vma->vm_flags & VM_WIPEONFORK)
		return;
	if (!READ_ONCE(fork.child->broken) && !usm_fork_evicted(&fork))
		usm_fork_break(&fork);
	if (!usm_fork_mark_busy(&fork))
		return;

	/*
	 * One zap for the VMA: it flushes, tells other notifiers (KVM, IOMMU) and
	 * makes sure that no new pin appears between the look and the sharing.
	 */
	usm_space_zap(parent, fork.from, vma->vm_start, vma->vm_end - vma->vm_start);
	xa_for_each_range(&parent->buckets, index, bucket, fork.first >> USM_WINDOW_SHIFT,
			  (fork.end - 1) >> USM_WINDOW_SHIFT) {
		unsigned long base = index << USM_WINDOW_SHIFT;
		struct usm_fork_window window = {
			.from = bucket,
			.first = max(fork.first, base),
			.end = min(fork.end, base + USM_WINDOW_PAGES),
		};

		if (atomic_read(&bucket->used))
			usm_fork_window(&fork, &window);
	}
}
