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
#include "guard.h"
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

/* The protection that mmap() gave them, where nobody asked to be told of writes. */
void usm_space_set_plain(struct usm_space *space)
{
	struct vm_area_struct *vma;
	MA_STATE(mas, &space->mm->mm_mt, 0, 0);

	mas_for_each(&mas, vma, ULONG_MAX) {
		if (vma->vm_file != space->family->file)
			continue;
		usm_vma_start_write(vma);
		vma->vm_ops = &usm_vm_ops_plain;
		WRITE_ONCE(vma->vm_page_prot, vm_get_page_prot(vma->vm_flags));
	}
	space->cow = false;
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
		child = usm_space_new(parent->domain, fork->to->vm_mm, parent);
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

/* Pages of one table that both have, and the two tables. */
struct usm_fork_window {
	struct usm_bucket *from;
	struct usm_bucket *to;
	unsigned long at;		/* the next page to look at */
	unsigned long end;
	bool mapped;			/* the parent has a table */
	struct usm_table parent;
	struct usm_table child;
	unsigned int slots;		/* given to the child, and what of it is not told */
	unsigned int pages;
	unsigned int shared;
};

/* In the order of the kernel's own copy: the child's table first. */
static bool usm_fork_lock(struct usm_fork *fork, struct usm_fork_window *window)
{
	unsigned long addr = window->at << PAGE_SHIFT;

	if (!usm_table_lock_alloc(fork->child->mm, addr, &window->child))
		return false;
	window->mapped = usm_table_lock_nested(fork->parent->mm, addr, &window->parent);
	return true;
}

static void usm_fork_unlock(struct usm_fork *fork, struct usm_fork_window *window)
{
	if (window->mapped)
		usm_table_unlock(&window->parent);
	usm_table_unlock(&window->child);
	atomic_add(window->slots, &window->to->used);
	usm_rss_add(fork->child->mm, window->pages);
	usm_count_add(fork->parent->domain, USM_N_SHARED, window->shared);
	window->slots = 0;
	window->pages = 0;
	window->shared = 0;
}

/* One slot more that names the frame: the child's. */
static __always_inline void usm_fork_name(struct usm_fork *fork, struct usm_fork_window *window,
					  u32 frame, struct page *page)
{
	if ((u32)atomic_long_inc_return(usm_page_word(page)) == 2) {
		usm_frame_set_shared(fork->parent->domain, frame, fork->parent->id);
		window->shared++;
	}
	WRITE_ONCE(*usm_bucket_slot(window->to, window->at), USM_SLOT_SET | frame);
	window->slots++;
}

/*
 * Both entries read-only, and clean: mprotect() makes dirty ones writable unasked.
 * The parent's other threads may write until dup_mmap() flushes, as with stock
 * memory; the child does not run before that.
 */
static __always_inline void usm_fork_share(struct usm_fork *fork,
					   struct usm_fork_window *window, u32 frame,
					   struct page *page)
{
	unsigned long addr = window->at << PAGE_SHIFT;
	pte_t *pte = usm_table_pte(&window->parent, addr), entry = *pte;

	if (pte_write(entry) || pte_dirty(entry)) {
		ptep_set_wrprotect(fork->parent->mm, addr, pte);
		entry = pte_mkclean(*pte);
		set_pte_at(fork->parent->mm, addr, pte, entry);
	}
	/* A frame is never part of a larger page. */
	page_ref_inc(page);
	atomic_inc(&page->_mapcount);
	usm_fork_name(fork, window, frame, page);
	set_pte_at(fork->child->mm, addr, usm_table_pte(&window->child, addr),
		   usm_pte_clear_uffd(pte_mkold(entry)));
	window->pages++;
}

/* Bad memory: whoever touches it has lost it, in the child too. */
static void usm_fork_poison(struct usm_fork *fork, struct usm_fork_window *window, u32 frame,
			    struct page *page)
{
	unsigned long addr = window->at << PAGE_SHIFT;

	usm_fork_name(fork, window, frame, page);
	set_pte_at(fork->child->mm, addr, usm_table_pte(&window->child, addr),
		   usm_pte_hwpoison(page));
}

/*
 * Share pages until the end, or until one into which I/O writes: that stays the
 * parent's, and the child needs a copy. Tables locked.
 */
static void usm_fork_share_some(struct usm_fork *fork, struct usm_fork_window *window)
{
	struct usm_domain *domain = fork->parent->domain;
	bool pinned = usm_mm_has_pinned(fork->parent->mm);

	for (; window->at < window->end; window->at++) {
		unsigned long addr = window->at << PAGE_SHIFT;
		u32 slot = *usm_bucket_slot(window->from, window->at);
		struct page *page;
		pte_t entry;

		if (!(slot & USM_SLOT_SET))
			continue;
		if (slot & USM_SLOT_EVICTED) {
			/* The instance has it: both name it, and each gets a copy. */
			usm_evicted_get(domain, slot & USM_SLOT_FRAME);
			WRITE_ONCE(*usm_bucket_slot(window->to, window->at), slot);
			window->slots++;
			continue;
		}
		/* Dropped, and nobody could tell us. */
		if (!window->mapped)
			continue;
		entry = *usm_table_pte(&window->parent, addr);
		if (usm_pte_empty(entry))
			continue;
		page = usm_frame_page(domain, slot & USM_SLOT_FRAME);
		if (unlikely(PageHWPoison(page) || !pte_present(entry))) {
			usm_fork_poison(fork, window, slot & USM_SLOT_FRAME, page);
			continue;
		}
		if (unlikely(pinned) && folio_maybe_dma_pinned(page_folio(page)))
			return;
		usm_fork_share(fork, window, slot & USM_SLOT_FRAME, page);
	}
}

/* The child's own copy of the page. False: no memory. */
static bool usm_fork_copy(struct usm_fork *fork, struct usm_fork_window *window)
{
	struct usm_domain *domain = fork->parent->domain;
	unsigned long at = window->at;
	struct usm_table table;
	struct page *page;
	u32 frame;

	if (!usm_frame_get_now(domain, &frame, false))
		return false;
	page = usm_frame_page(domain, *usm_bucket_slot(window->from, at) & USM_SLOT_FRAME);
	copy_highpage(usm_frame_page(domain, frame), page);
	/* It was there, and nobody else has the child. */
	while (!usm_table_lock_alloc(fork->child->mm, at << PAGE_SHIFT, &table))
		cond_resched();
	usm_frame_map_alone(fork->to, fork->child, window->to, at, frame, &table);
	usm_count_add(domain, USM_N_COW_COPIED, 1);
	trace_usm_cow_copy(fork->child, at, frame);
	window->at++;
	return true;
}

/* False: no memory; the child may have got some. */
static bool usm_fork_window(struct usm_fork *fork, struct usm_fork_window *window)
{
	window->to = usm_space_bucket_make(fork->child, window->at);
	if (!window->to)
		return false;
	for (;;) {
		if (!usm_fork_lock(fork, window))
			return false;
		usm_fork_share_some(fork, window);
		usm_fork_unlock(fork, window);
		if (window->at == window->end)
			return true;
		if (!usm_fork_copy(fork, window))
			return false;
		if (window->at == window->end)
			return true;
	}
}

static bool usm_fork_windows(struct usm_fork *fork)
{
	struct usm_bucket *bucket;
	unsigned long index;

	xa_for_each_range(&fork->parent->buckets, index, bucket,
			  fork->first >> USM_WINDOW_SHIFT,
			  (fork->end - 1) >> USM_WINDOW_SHIFT) {
		unsigned long base = index << USM_WINDOW_SHIFT;
		struct usm_fork_window window = {
			.from = bucket,
			.at = max(fork->first, base),
			.end = min(fork->end, base + USM_WINDOW_PAGES),
		};

		if (atomic_read(&bucket->used) && !usm_fork_window(fork, &window))
			return false;
		cond_resched();
	}
	return true;
}

/* ------------------------------------------------------------ who else watches */

/*
 * Map again what the parent has: what it shares, or may share with who reads it
 * still, read-only.
 */
static void usm_fork_map_again(struct usm_fork *fork, struct usm_bucket *bucket,
			       unsigned long first, unsigned long end)
{
	struct usm_space *space = fork->parent;
	unsigned int mapped = 0;
	struct usm_table table;
	unsigned long at;

	/* Where there is none nothing was mapped; the zap has freed none. */
	if (!usm_table_lock(space->mm, first << PAGE_SHIFT, &table))
		return;
	for (at = first; at < end; at++) {
		u32 *slot = usm_bucket_slot(bucket, at);
		unsigned int once = 0;
		struct page *page;
		bool shared;

		if (!(*slot & USM_SLOT_BUSY))
			continue;
		WRITE_ONCE(*slot, *slot & ~USM_SLOT_BUSY);
		page = usm_frame_page(space->domain, *slot & USM_SLOT_FRAME);
		if (unlikely(PageHWPoison(page))) {
			set_pte_at(space->mm, at << PAGE_SHIFT,
				   usm_table_pte(&table, at << PAGE_SHIFT),
				   usm_pte_hwpoison(page));
			continue;
		}
		/* What was clean may still be read by who shared it: see cow.c. */
		shared = __test_and_clear_bit(at & (USM_WINDOW_PAGES - 1), bucket->clean) ||
			 usm_page_refs(page) > 1;
		usm_pte_map(fork->from, at << PAGE_SHIFT,
			    usm_table_pte(&table, at << PAGE_SHIFT), page,
			    shared ? USM_MAP_SHARED : USM_MAP_OWN, &once);
		if (once)
			usm_mapped_stat_add(page, once);
		mapped++;
	}
	usm_table_unlock(&table);
	usm_rss_add(space->mm, mapped);
}

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
			    usm_pte_empty(*usm_table_pte(&table, at << PAGE_SHIFT)))
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

/*
 * KVM and others keep entries of their own, which must not write to what is shared
 * now. Only a zap tells them.
 */
static void usm_fork_tell(struct usm_fork *fork)
{
	struct usm_bucket *bucket;
	unsigned long index;

	if (!usm_fork_mark_busy(fork))
		return;
	usm_space_zap(fork->parent, fork->from, fork->first << PAGE_SHIFT,
		      (fork->end - fork->first) << PAGE_SHIFT);
	xa_for_each_range(&fork->parent->buckets, index, bucket,
			  fork->first >> USM_WINDOW_SHIFT,
			  (fork->end - 1) >> USM_WINDOW_SHIFT) {
		unsigned long base = index << USM_WINDOW_SHIFT;

		if (atomic_read(&bucket->used))
			usm_fork_map_again(fork, bucket, max(fork->first, base),
					   min(fork->end, base + USM_WINDOW_PAGES));
		cond_resched();
	}
}

/* ---------------------------------------------------------------- one VMA */

void usm_fork_vma(struct usm_space *parent, struct vm_area_struct *vma)
{
	struct usm_fork fork = {
		.parent = parent,
		.to = vma,
		.first = vma->vm_start >> PAGE_SHIFT,
		.end = vma->vm_end >> PAGE_SHIFT,
	};
	bool guarded = usm_vma_guarded(vma) || parent->guarded, copied;

	mmap_assert_write_locked(parent->mm);
	fork.from = find_vma(parent->mm, vma->vm_start);
	/*
	 * Else copy_page_range() writes over what we map. Nobody watches the child: a
	 * context without the flags is what userfaultfd does not expect.
	 */
	usm_vma_flags_change(vma, 0, USM_VM_COPIED);
	vma->vm_userfaultfd_ctx = NULL_VM_UFFD_CTX;
	if (!usm_fork_child(&fork)) {
		usm_fork_break(&fork);
		return;
	}
	vma->vm_private_data = fork.child;
	fork.child->guarded |= guarded;
	usm_space_set_cow(parent);
	usm_vma_set_cow(vma);
	parent->forks++;
	if (READ_ONCE(parent->broken))
		WRITE_ONCE(fork.child->broken, true);
	if ((vma->vm_flags & VM_WIPEONFORK) || READ_ONCE(fork.child->broken))
		return;

	/*
	 * Who pins pages without a lock looks at this afterwards: no pin appears
	 * between the look for one and the protection.
	 */
	raw_write_seqcount_begin(&parent->mm->write_protect_seq);
	copied = usm_fork_windows(&fork);
	raw_write_seqcount_end(&parent->mm->write_protect_seq);
	if (copied && guarded)
		copied = usm_guard_copy(parent->mm, fork.child->mm, vma->vm_start, vma->vm_end);
	if (!copied)
		usm_fork_break(&fork);
	if (READ_ONCE(parent->watched))
		usm_fork_tell(&fork);
}
