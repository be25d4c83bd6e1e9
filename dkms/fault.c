// SPDX-License-Identifier: GPL-2.0-only
#include <linux/freezer.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "compat/compat.h"
#include "adopt.h"
#include "fault.h"
#include "grow.h"
#include "limbo.h"
#include "oom.h"
#include "pte.h"
#include "space.h"
#include "supply.h"
#include "trace.h"
#include "upcall.h"

struct usm_space *usm_vma_space(struct vm_area_struct *vma)
{
	return vma->vm_private_data;
}

/* A want that nobody felt for so long is over, whoever left it behind. */
#define USM_FAULT_FORGET	(HZ / 5)

/* Since when it has been so without a break. */
static unsigned long usm_fault_since(unsigned long *clock, unsigned long *seen, bool restart)
{
	unsigned long since = READ_ONCE(*clock), now = jiffies;

	if (!since || restart || time_after(now, READ_ONCE(*seen) + USM_FAULT_FORGET)) {
		since = now | 1;
		WRITE_ONCE(*clock, since);
	}
	WRITE_ONCE(*seen, now);
	return since;
}

void usm_fault_starve(struct usm_domain *domain)
{
	usm_fault_since(&domain->starved, &domain->starved_seen, false);
}

/* Of those that are there. */
static bool usm_frame_find(struct usm_domain *domain, u32 *frame)
{
	struct usm_run run;

	if (usm_domain_supplied(domain) && usm_supply_take(domain, 1, &run, 1)) {
		*frame = run.frame;
		return true;
	}
	if (!usm_frame_pick(domain, frame) &&
	    !(usm_limbo_flush(domain) && usm_frame_pick(domain, frame)))
		return false;
	usm_count_add(domain, usm_domain_armed(domain) ? USM_N_PICKED_PAGES :
		      USM_N_FALLBACK_PAGES, 1);
	return true;
}

bool usm_frame_get_spare(struct usm_domain *domain, u32 *frame)
{
	if (!usm_frame_find(domain, frame) && usm_grow_spare(domain, frame))
		return false;
	usm_frames_set_dirty(domain, *frame, 1);
	return true;
}

bool usm_frame_get_now(struct usm_domain *domain, u32 *frame, bool may_kill)
{
	if (usm_frame_find(domain, frame)) {
		usm_fault_fed(domain);
	} else {
		/* Whoever copies a page for itself can come back after an eviction. */
		int err = usm_grow_one(domain, frame, may_kill && usm_oom_relief(domain));

		if (err)
			usm_fault_starve(domain);
		if (err == -ENOSPC && may_kill)
			usm_oom_kill(domain);
		if (err)
			return false;
		usm_count_add(domain, USM_N_FALLBACK_PAGES, 1);
	}
	usm_frames_set_dirty(domain, *frame, 1);
	return true;
}

/* ----------------------------------------------------------------- no frames */

/*
 * Nothing is supplied. Unlock, wait until the instance has supplied, the domain
 * has fallen back or hit a limit, or the deadline has passed; then the fault is
 * tried again. The VMA may be gone when this returns.
 */
static vm_fault_t usm_fault_wait(struct vm_fault *vmf, struct usm_domain *domain, int kicks)
{
	long all = msecs_to_jiffies(READ_ONCE(domain->deadline_ms)), spent, left;
	bool blame = usm_count_sum(domain, USM_N_FREE) > 0;
	u64 epoch = READ_ONCE(domain->epoch);
	u32 space = usm_vma_space(vmf->vma)->id;

	usm_count_add(domain, USM_N_WAITS, 1);
	trace_usm_wait(domain, space, vmf->address >> PAGE_SHIFT, USM_WAIT_SUPPLY);
	/*
	 * One clock for the domain, not one a fault: an instance that wakes faults
	 * and feeds none of them is as good as dead. It runs while there is
	 * something that could be supplied.
	 */
	spent = jiffies - usm_fault_since(&domain->unfed, &domain->unfed_seen, !blame);
	left = all - clamp(spent, 0L, all);
	usm_domain_get(domain);
	usm_fault_unlock(vmf);
	left = ___wait_event(domain->waiters, ___wait_cond_timeout(
				atomic_read(&domain->kicks) != kicks),
			     (TASK_KILLABLE | usm_fault_freezable(vmf)), 0, left,
			     __ret = schedule_timeout(__ret));
	WRITE_ONCE(domain->unfed_seen, jiffies);
	/* Growth takes as long as it takes, but excuses only who has nothing. */
	if (!left && (blame || atomic64_read(&domain->grow_wanted) <= 0))
		usm_domain_miss(domain, epoch);
	trace_usm_wake(domain, space, vmf->address >> PAGE_SHIFT, USM_WAIT_SUPPLY);
	usm_domain_put(domain);
	return VM_FAULT_RETRY;
}

/* Frames of exited processes are on their way: wait for them, unlocked. */
static vm_fault_t usm_fault_wait_freed(struct vm_fault *vmf, struct usm_domain *domain,
				       int kicks)
{
	u32 space = usm_vma_space(vmf->vma)->id;

	trace_usm_wait(domain, space, vmf->address >> PAGE_SHIFT, USM_WAIT_FREED);
	usm_domain_get(domain);
	usm_fault_unlock(vmf);
	___wait_event(domain->waiters, ___wait_cond_timeout(
			atomic_read(&domain->kicks) != kicks),
		      (TASK_KILLABLE | usm_fault_freezable(vmf)), 0, (long)HZ / 10,
		      __ret = schedule_timeout(__ret));
	/* However late we run again: it was wanted all the time. */
	WRITE_ONCE(domain->starved_seen, jiffies);
	trace_usm_wake(domain, space, vmf->address >> PAGE_SHIFT, USM_WAIT_FREED);
	usm_domain_put(domain);
	return VM_FAULT_RETRY;
}

bool usm_fault_may_wait(struct vm_fault *vmf)
{
	return (vmf->flags & FAULT_FLAG_ALLOW_RETRY) &&
	       !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT) && !(current->flags & PF_KTHREAD);
}

/* The domain has nothing and cannot grow: 0 with a frame, or what to return. */
static vm_fault_t usm_fault_scarce(struct vm_fault *vmf, struct usm_fault *fault, int kicks)
{
	struct usm_domain *domain = fault->domain;
	u32 frame;
	int err;

	if (usm_limbo_flush(domain) && usm_frame_pick(domain, &frame)) {
		err = 0;
	} else if (usm_oom_relief(domain) && usm_fault_may_wait(vmf) &&
		   !fatal_signal_pending(current)) {
		/* Rather evict than use up what is left to others, or kill. */
		usm_fault_starve(domain);
		return usm_fault_wait_freed(vmf, domain, kicks);
	} else {
		err = usm_grow_one(domain, &frame, false);
		fault->last = !err;
	}
	if (!err) {
		usm_count_add(domain, USM_N_FALLBACK_PAGES, 1);
		fault->runs[0] = (struct usm_run){ .frame = frame, .count = 1 };
		fault->nr_runs = 1;
		return 0;
	}
	usm_fault_starve(domain);
	if (err == -ENOSPC && vmf->vma->vm_mm == current->mm)
		usm_oom_kill(domain);
	/* A victim's frames, or an earlier one's, come back: look again then. */
	if (err == -ENOSPC && usm_fault_may_wait(vmf) && !fatal_signal_pending(current))
		return usm_fault_wait_freed(vmf, domain, kicks);
	return VM_FAULT_OOM;
}

unsigned int usm_fault_want(const struct usm_fault *fault)
{
	const u32 *slot = usm_bucket_slot(fault->bucket, fault->window.first);
	unsigned int pages = fault->window.end - fault->window.first, used = 0, i;

	if (pages == 1)
		return 1;
	for (i = 0; i < pages; i++)
		used += READ_ONCE(slot[i]) >> USM_SLOT_SET_BIT;
	return used < pages ? pages - used : 1;
}

static vm_fault_t usm_fault_take_any(struct vm_fault *vmf, struct usm_fault *fault, int kicks)
{
	struct usm_domain *domain = fault->domain;
	u32 frame;

	if (usm_frame_pick(domain, &frame)) {
		usm_count_add(domain, usm_domain_armed(domain) ? USM_N_PICKED_PAGES :
			      USM_N_FALLBACK_PAGES, 1);
		fault->runs[0] = (struct usm_run){ .frame = frame, .count = 1 };
		fault->nr_runs = 1;
		return 0;
	}
	if (!usm_domain_armed(domain) && !READ_ONCE(domain->limited) &&
	    atomic64_read(&domain->grow_wanted) <= 0)
		usm_grow_ask(domain, USM_BLOCK_FRAMES, NUMA_NO_NODE);
	return usm_fault_scarce(vmf, fault, kicks);
}

vm_fault_t usm_fault_claim_any(struct vm_fault *vmf, struct usm_fault *fault)
{
	return usm_fault_take_any(vmf, fault, atomic_read(&fault->domain->kicks));
}

/* Armed, frames or hope of frames, and leave to wait: the instance decides. */
static bool usm_fault_may_ask(struct vm_fault *vmf, struct usm_domain *domain)
{
	return usm_fault_may_wait(vmf) &&
	       (!READ_ONCE(domain->limited) || usm_count_sum(domain, USM_N_FREE) > 0);
}

static __always_inline bool usm_fault_claim_supplied(struct usm_fault *fault)
{
	struct usm_domain *domain = fault->domain;

	if (likely(READ_ONCE(domain->mode) != USM_MODE_UPCALL))
		fault->nr_runs = usm_supply_take(domain, usm_fault_want(fault), fault->runs,
						 USM_FAULT_RUNS);
	return fault->nr_runs;
}

/* Nothing is supplied, or the instance is asked each time. */
static noinline vm_fault_t usm_fault_claim_scarce(struct vm_fault *vmf, struct usm_fault *fault)
{
	struct usm_domain *domain = fault->domain;
	int kicks = atomic_read(&domain->kicks);

	if (usm_domain_armed(domain)) {
		if (READ_ONCE(domain->mode) == USM_MODE_UPCALL) {
			if (usm_fault_may_ask(vmf, domain))
				return usm_upcall(vmf, fault);
			return usm_fault_take_any(vmf, fault, kicks);
		}
		/* What came since is not told again. */
		if (usm_fault_claim_supplied(fault))
			return 0;
		if (usm_fault_may_ask(vmf, domain))
			return usm_fault_wait(vmf, domain, kicks);
	}
	return usm_fault_take_any(vmf, fault, kicks);
}

/* Claim frames for the window. 0: at least one; or what the fault returns. */
static vm_fault_t usm_fault_claim(struct vm_fault *vmf, struct usm_fault *fault)
{
	struct usm_domain *domain = fault->domain;

	if (likely(usm_domain_armed(domain) && usm_fault_claim_supplied(fault)))
		return 0;
	return usm_fault_claim_scarce(vmf, fault);
}

/* -------------------------------------------------------------------- mapping */

static unsigned int usm_fault_claimed(const struct usm_fault *fault)
{
	unsigned int i, frames = 0;

	for (i = 0; i < fault->nr_runs; i++)
		frames += fault->runs[i].count;
	return frames;
}

/* What was claimed and not needed: the instance hears of it as freed. */
void usm_fault_unclaim(struct usm_fault *fault)
{
	unsigned int i;

	for (i = fault->run; i < fault->nr_runs; i++) {
		u32 taken = i == fault->run ? fault->taken : 0;
		u32 frame = fault->runs[i].frame + taken, left = fault->runs[i].count - taken;

		if (!left)
			continue;
		if (fault->runs[i].ready)
			usm_frames_unspend(fault->domain, frame, left);
		else
			usm_frames_unclaim(fault->domain, frame, left);
		usm_event_post(fault->domain, USM_EV_FREED, 0, 0, frame, left, 0);
	}
	fault->nr_runs = 0;
}

static __always_inline void usm_batch_init(struct usm_batch *batch, struct vm_area_struct *vma,
					   struct usm_space *space, struct usm_bucket *bucket)
{
	batch->vma = vma;
	batch->space = space;
	batch->bucket = bucket;
	batch->mapping = space->mapping;
	batch->prot = pte_pgprot(usm_pte_own(pfn_pte(0, vma->vm_page_prot), vma));
	batch->nr = 0;
	batch->same = 0;
}

void usm_batch_begin(struct usm_batch *batch, struct vm_area_struct *vma, struct usm_space *space,
		     struct usm_bucket *bucket)
{
	usm_batch_init(batch, vma, space, bucket);
}

static __always_inline void usm_batch_account(struct usm_batch *batch)
{
	if (batch->same)
		usm_mapped_stat_add(batch->page, batch->same);
	batch->same = 0;
}

/* The page of a frame, as it is while `at` is its only place. Its block's node may differ. */
static __always_inline void usm_batch_prepare(struct usm_batch *batch, struct page *page)
{
	if (unlikely(batch->same && page_to_nid(page) != page_to_nid(batch->page)))
		usm_batch_account(batch);
	batch->page = page;
	batch->same++;
}

/*
 * `count` frames of one block into as many pages of one table. Nobody else knows the
 * frames: no count of theirs but one has to be changed atomically.
 */
static __always_inline void usm_batch_span(struct usm_batch *batch, unsigned long at, u32 frame,
					   pte_t *pte, unsigned int count)
{
	struct usm_space *space = batch->space;
	struct usm_block *block = usm_frame_block(space->domain, frame);
	unsigned int i = frame & (USM_BLOCK_FRAMES - 1), n;
	u32 *slot = usm_bucket_slot(batch->bucket, at);
	u64 *word = block->words + i, mapped = usm_word_mapped(at);
	u32 *owner = block->owners + i;
	struct address_space *mapping = batch->mapping;
	pgoff_t index = usm_space_index(space, at);
	struct page **pages = block->pages;
	struct page *page = pages ? pages[i] : block->base + i;
	struct mm_struct *mm = space->mm;
	pte_t entry = pfn_pte(page_to_pfn(page), batch->prot);
	pteval_t step = usm_pte_step(entry);

	batch->nr += count;
	if (likely(!pages)) {
		usm_batch_prepare(batch, page);
		batch->same += count - 1;
	}
	for (n = 0; n < count; n++) {
		if (unlikely(pages)) {
			page = pages[i + n];
			usm_batch_prepare(batch, page);
		}
		page->mapping = mapping;
		usm_page_set_index(page, index + n);
		atomic_long_set(usm_page_word(page),
				(unsigned long)(frame + n) << USM_PAGE_FRAME_SHIFT | 1);
		page_ref_inc(page);
		atomic_set(&page->_mapcount, 0);
		usm_entry_set_mapped(word + n, owner + n, space->id, mapped);
		mapped += 1 << USM_WORD_PAGE_SHIFT;
		WRITE_ONCE(slot[n], USM_SLOT_SET | (frame + n));
		page++;
	}
	/* Who finds an entry without a lock finds its page as it is now. */
	smp_wmb();
	for (n = 0; n < count; n++) {
		set_pte_at(mm, (at + n) << PAGE_SHIFT, pte + n, entry);
		entry = likely(!pages) ? __pte(pte_val(entry) + step) : n + 1 == count ? entry :
			pfn_pte(page_to_pfn(pages[i + n + 1]), batch->prot);
	}
}

void usm_batch_page(struct usm_batch *batch, unsigned long at, u32 frame, pte_t *pte)
{
	usm_batch_span(batch, at, frame, pte, 1);
}

void usm_batch_end(struct usm_batch *batch, struct usm_table *table)
{
	atomic_add(batch->nr, &batch->bucket->used);
	usm_batch_account(batch);
	usm_table_unlock(table);
	usm_rss_add(batch->space->mm, batch->nr);
	usm_count_add(batch->space->domain, USM_N_MAPPED, batch->nr);
}

void usm_frame_map_alone(struct vm_area_struct *vma, struct usm_space *space,
			 struct usm_bucket *bucket, unsigned long at, u32 frame,
			 struct usm_table *table)
{
	struct usm_batch batch;

	usm_batch_begin(&batch, vma, space, bucket);
	usm_batch_page(&batch, at, frame, usm_table_pte(table, at << PAGE_SHIFT));
	usm_batch_end(&batch, table);
}

/*
 * How many of the pages from `at` on are empty, `most` at the most. What was unmapped
 * when the notifier could not tell us is so from here on.
 */
static __always_inline unsigned int usm_fault_empty(struct usm_fault *fault, unsigned long at,
						    pte_t *pte, unsigned int most,
						    struct usm_drop *drop)
{
	u32 *slot = usm_bucket_slot(fault->bucket, at);
	unsigned int n;

	for (n = 0; n < most && usm_pte_vacant(pte[n]); n++) {
		if (likely(!slot[n]))
			continue;
		/* Busy or evicted: a fault on it, if it is this one, begins again. */
		if (slot[n] & (USM_SLOT_BUSY | USM_SLOT_EVICTED))
			break;
		usm_slot_drop(fault->bucket, at + n, drop);
	}
	return n;
}

/* Claimed frames into the empty entries of [at, end). */
static void usm_fault_map_range(struct usm_fault *fault, struct usm_batch *batch,
				struct usm_table *table, unsigned long at, unsigned long end,
				struct usm_drop *drop)
{
	pte_t *pte = usm_table_pte(table, at << PAGE_SHIFT);

	while (at < end && fault->run < fault->nr_runs) {
		struct usm_run *run = &fault->runs[fault->run];
		u32 frame = run->frame + fault->taken;
		unsigned int most = min(run->count - fault->taken,
					USM_BLOCK_FRAMES - (frame & (USM_BLOCK_FRAMES - 1)));
		unsigned int n = usm_fault_empty(fault, at, pte, min_t(unsigned long, most, end - at),
						 drop);

		if (n) {
			usm_batch_span(batch, at, frame, pte, n);
			fault->taken += n;
			if (fault->taken == run->count) {
				fault->run++;
				fault->taken = 0;
			}
		}
		/* What ended it was full, or the frames did. */
		n += n < most;
		at += n;
		pte += n;
	}
}

/*
 * Map claimed frames into the empty entries of the window: as the instance was promised
 * where it chose them for this fault, in order where they are enough for all of it, or else
 * from the faulting page on. Returns how many; *busy: the
 * faulting page is being copied.
 */
static unsigned int usm_fault_map(struct vm_fault *vmf, struct usm_fault *fault,
				  struct usm_table *table, bool *busy)
{
	unsigned long first = fault->window.first, end = fault->window.end, from = first;
	struct usm_drop drop __uninitialized;
	struct usm_batch batch __uninitialized;

	usm_drop_init(&drop, fault->space);
	usm_batch_init(&batch, vmf->vma, fault->space, fault->bucket);
	if (unlikely(fault->chosen)) {
		/* More than it can map, where its window has become smaller since it asked. */
		usm_fault_map_range(fault, &batch, table, fault->page, fault->page + 1, &drop);
		usm_fault_map_range(fault, &batch, table, first, fault->page, &drop);
		usm_fault_map_range(fault, &batch, table, fault->page + 1, end, &drop);
	} else if (end - first == 1) {
		pte_t *pte = usm_table_pte(table, vmf->address);

		if (likely(usm_fault_empty(fault, first, pte, 1, &drop))) {
			usm_batch_span(&batch, first, fault->runs[0].frame, pte, 1);
			fault->run = 1;
		}
	} else {
		if (usm_fault_claimed(fault) < end - first)
			from = fault->page;
		usm_fault_map_range(fault, &batch, table, from, end, &drop);
		if (from != first)
			usm_fault_map_range(fault, &batch, table, first, from, &drop);
	}
	*busy = READ_ONCE(*usm_bucket_slot(fault->bucket, fault->page)) & USM_SLOT_BUSY;
	usm_batch_end(&batch, table);
	if (unlikely(drop.nr))
		usm_drop_finish(&drop);
	return batch.nr;
}

static void usm_fault_account(struct usm_fault *fault, unsigned int mapped, u32 frame)
{
	struct usm_domain *domain = fault->domain;

	usm_count_add(domain, USM_N_FAULT_PAGES, mapped);
	usm_count_add(domain, USM_N_BY_ORDER + ilog2(mapped), 1);
	trace_usm_fault(fault->space, fault->page, frame, mapped);
}

/* Being evicted or copied: no first touch, whatever the entry looks like. */
static vm_fault_t usm_fault_busy(struct vm_fault *vmf, const struct usm_fault *fault)
{
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	usm_cow_wait(usm_bucket_slot(fault->bucket, fault->page));
	return VM_FAULT_NOPAGE;
}

/* All that it got is about to be mapped. */
static __always_inline void usm_fault_spend(struct usm_fault *fault)
{
	unsigned int i, zeroed = 0;

	if (likely(fault->nr_runs == 1 && fault->runs[0].ready))
		return;
	for (i = 0; i < fault->nr_runs; i++) {
		struct usm_run *run = &fault->runs[i];

		if (unlikely(!run->ready))
			zeroed += usm_frames_spend(fault->domain, run->frame, run->count);
		run->ready = true;
	}
	if (zeroed)
		usm_count_add(fault->domain, USM_N_ZEROED_IN_FAULT, zeroed);
}

static __always_inline vm_fault_t usm_fault_end(struct vm_fault *vmf, struct usm_fault *fault)
{
	u32 first = fault->runs[0].frame;
	struct usm_table table __uninitialized;
	unsigned int mapped;
	bool busy;

	if (!fault->last)
		usm_fault_fed(fault->domain);
	usm_fault_spend(fault);
	if (unlikely(!usm_table_lock_fault(vmf, &table))) {
		usm_fault_unclaim(fault);
		return VM_FAULT_OOM;
	}
	mapped = usm_fault_map(vmf, fault, &table, &busy);
	if (mapped)
		usm_fault_account(fault, mapped, first);
	if (unlikely(fault->run < fault->nr_runs))
		usm_fault_unclaim(fault);
	if (unlikely(busy))
		usm_cow_wait(usm_bucket_slot(fault->bucket, fault->page));
	return VM_FAULT_NOPAGE;
}

vm_fault_t usm_fault_finish(struct vm_fault *vmf, struct usm_fault *fault)
{
	return usm_fault_end(vmf, fault);
}

static vm_fault_t usm_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct usm_space *space = usm_vma_space(vma);
	/* Not written before they are needed: that would be a tenth of what is ours. */
	struct usm_fault fault __uninitialized;
	vm_fault_t ret;

	if (unlikely(READ_ONCE(space->broken)))
		return usm_space_sigbus(space, USM_SIGBUS_FORK);
	fault.space = space;
	fault.domain = space->domain;
	fault.nr_runs = fault.run = fault.taken = 0;
	fault.last = fault.chosen = false;
	fault.page = vmf->address >> PAGE_SHIFT;
	fault.bucket = usm_space_bucket(space, fault.page);
	if (likely(fault.bucket)) {
		u32 slot = READ_ONCE(*usm_bucket_slot(fault.bucket, fault.page));

		if (unlikely(slot & USM_SLOT_EVICTED))
			return usm_refault(vmf, space, fault.bucket, fault.page);
		if (unlikely(slot & USM_SLOT_BUSY))
			return usm_fault_busy(vmf, &fault);
	}
	/* A hole in a core dump stays a hole. */
	if (unlikely(current->flags & PF_DUMPCORE) && !(vmf->flags & FAULT_FLAG_WRITE))
		return VM_FAULT_SIGBUS;
	if (unlikely(space->move_task == current))
		WRITE_ONCE(space->move_task, NULL);	/* of an mremap() that failed */

	fault.window = usm_fault_window(fault.domain, vma, fault.page);
	if (unlikely(!fault.bucket)) {
		fault.bucket = usm_space_bucket_make(space, fault.page);
		if (!fault.bucket)
			return VM_FAULT_OOM;
	}
	ret = usm_fault_claim(vmf, &fault);
	if (unlikely(ret))
		return ret;
	return usm_fault_end(vmf, &fault);
}

/* Its presence lets the kernel call ->fault under a VMA lock. Maps nothing. */
static vm_fault_t usm_batch_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	return 0;
}

static vm_fault_t usm_fault_broken(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

/* ------------------------------------------------------------------- its VMAs */

static void usm_vma_open(struct vm_area_struct *vma)
{
	struct usm_space *space = usm_vma_space(vma);

	if (vma->vm_mm != space->mm)
		usm_fork_vma(space, vma);
	else if (vma->vm_pgoff != vma->vm_start >> PAGE_SHIFT)
		usm_space_move_begin(space, vma);
}

static int usm_vma_mremap(struct vm_area_struct *vma)
{
	return usm_space_move_end(usm_vma_space(vma), vma);
}

static int usm_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	return usm_adopt_vma(file, vma);
}

/*
 * remap_file_pages() works on shared memory only and maps the file anew. It is
 * the one caller with MAP_POPULATE, and this is the last moment before it
 * unmaps: of private memory it fails. mremap() comes here too.
 */
static unsigned long usm_file_get_unmapped_area(struct file *file, unsigned long addr,
						unsigned long len, unsigned long pgoff,
						unsigned long flags)
{
	if (flags & MAP_POPULATE)
		return -EINVAL;
	return usm_get_unmapped_area(addr, len, pgoff, flags);
}

#define USM_FOPS							\
	.mmap = usm_file_mmap,						\
	.get_unmapped_area = usm_file_get_unmapped_area,		\
	/* msync() of private memory succeeds. */			\
	.fsync = noop_fsync

const struct file_operations usm_space_fops = { .owner = THIS_MODULE, USM_FOPS };
const struct file_operations usm_template_fops = { USM_FOPS };

const struct vm_operations_struct usm_vm_ops_plain = {
	.open = usm_vma_open,
	.mremap = usm_vma_mremap,
	.fault = usm_fault,
	.map_pages = usm_batch_pages,
};

const struct vm_operations_struct usm_vm_ops_cow = {
	.open = usm_vma_open,
	.mremap = usm_vma_mremap,
	.fault = usm_fault,
	.map_pages = usm_batch_pages,
	.page_mkwrite = usm_cow_mkwrite,
};

const struct vm_operations_struct usm_vm_ops_broken = {
	.fault = usm_fault_broken,
};
