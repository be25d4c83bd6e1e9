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
#include "trace.h"

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

static bool usm_cow_still(struct usm_space *space, u32 *slot, pte_t *pte, struct page *page)
{
	u32 value = *slot;

	return (value & USM_SLOT_SET) && !(value & USM_SLOT_BUSY) &&
	       pte_present(*pte) && pte_page(*pte) == page &&
	       usm_frame_page(space->domain, value & USM_SLOT_FRAME) == page;
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
	page->index = usm_space_index(space, at);
	usm_frame_set_mapped(space->domain, frame, space->id, at);
	usm_count_add(space->domain, USM_N_COW_REUSED, 1);
	trace_usm_cow_reuse(space, at, frame);
}

static void usm_cow_give_back(struct usm_domain *domain, u32 frame)
{
	usm_frame_set_free(domain, frame);
	usm_event_post(domain, USM_EV_FREED, 0, 0, frame, 1, 0);
}

/* The slot is busy, so nobody else touches it or its entry. */
static void usm_cow_replace(struct vm_area_struct *vma, struct usm_space *space,
			    struct usm_bucket *bucket, unsigned long at, u32 frame)
{
	struct usm_domain *domain = space->domain;
	u32 *slot = usm_bucket_slot(bucket, at);
	struct usm_table table;
	struct usm_drop drop;
	bool dropped;

	usm_drop_init(&drop, space);
	/* A discard that is on its way over the page has it, or its end will. */
	usm_space_lock_settled(space, at, 1, &table);
	dropped = *slot & USM_SLOT_DROPPED;
	usm_slot_drop(bucket, at, &drop);
	if (unlikely(dropped)) {
		/* Discarded meanwhile: zeros are next, not a copy. */
		usm_table_unlock(&table);
		usm_drop_finish(&drop);
		usm_cow_wake(slot);
		usm_cow_give_back(domain, frame);
		return;
	}
	usm_frame_map_alone(vma, space, bucket, at, frame, &table);
	usm_count_add(domain, USM_N_COW_COPIED, 1);
	usm_event_post(domain, USM_EV_COW, space->id, at, frame, 1, 0);
	trace_usm_cow_copy(space, at, frame);
	usm_drop_finish(&drop);
	usm_cow_wake(slot);
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
 * count who refers to it (the module, our entry, the fault).
 */
static bool usm_cow_exclusive(struct page *page, pte_t pte)
{
	return usm_page_refs(page) == 1 && (pte_dirty(pte) || page_count(page) <= 3);
}

vm_fault_t usm_cow_mkwrite(struct vm_fault *vmf)
{
	struct usm_space *space = usm_vma_space(vmf->vma);
	unsigned long at = vmf->address >> PAGE_SHIFT;
	struct usm_bucket *bucket = usm_space_bucket(space, at);
	struct page *page = vmf->page;
	struct usm_table table;
	u32 *slot, frame;
	bool shared;

	if (!bucket || !usm_table_lock(space->mm, vmf->address, &table))
		return VM_FAULT_NOPAGE;
	slot = usm_bucket_slot(bucket, at);
	if (!usm_cow_still(space, slot, usm_table_pte(&table, vmf->address), page)) {
		usm_table_unlock(&table);
		/* The entry of a page that is being evicted may be there for a while. */
		usm_cow_wait(slot);
		return VM_FAULT_NOPAGE;
	}
	shared = !usm_cow_exclusive(page, *usm_table_pte(&table, vmf->address));
	if (!shared)
		usm_cow_reuse(space, page, at, usm_table_pte(&table, vmf->address),
			      *slot & USM_SLOT_FRAME);
	usm_table_unlock(&table);
	if (!shared)
		return VM_FAULT_NOPAGE;

	if (!usm_frame_get_now(space->domain, &frame, space->mm == current->mm))
		return usm_cow_no_frame(space);
	/* Read-only in every mm that maps it, and we hold a reference. */
	copy_highpage(usm_frame_page(space->domain, frame), page);

	if (!usm_table_lock(space->mm, vmf->address, &table))
		goto raced;
	if (!usm_cow_still(space, slot, usm_table_pte(&table, vmf->address), page)) {
		usm_table_unlock(&table);
		goto raced;
	}
	WRITE_ONCE(*slot, *slot | USM_SLOT_BUSY);
	usm_table_unlock(&table);
	/* The only flush that a module can have, and it tells the notifiers. */
	usm_space_zap(space, vmf->vma, vmf->address & PAGE_MASK, PAGE_SIZE);
	usm_cow_replace(vmf->vma, space, bucket, at, frame);
	return VM_FAULT_NOPAGE;
raced:
	usm_cow_give_back(space->domain, frame);
	return VM_FAULT_NOPAGE;
}
