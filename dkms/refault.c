// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way back of an evicted page: a fault asks the instance for its number, what
 * comes back is taken only if it is what went, and the fault maps it.
 */
#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "compat/compat.h"
#include "domain.h"
#include "evict.h"
#include "fault.h"
#include "frame.h"
#include "oom.h"
#include "pte.h"
#include "space.h"
#include "trace.h"

/* An instance may have to read from a disk. */
#define USM_REFAULT_PATIENCE	10
/* Armings that what the kernel needs is asked for: it does not wait for ever. */
#define USM_REFAULT_ARMINGS	8
/* Wrong contents until the page counts as lost. */
#define USM_RESTORE_TRIES	3
/* Pages that come, and are mapped, together; a submission of the instance or so. */
#define USM_REFAULT_RUN		32u
/* What the kernel needs waits so long for the next instance: it may hold locks. */
#define USM_KERNEL_PATIENCE	(30 * HZ)

/* --------------------------------------------------------------------- restoring */

/* Mark it as on its way; false: nobody needs this key, or it is here. *was: its state. */
static bool usm_restore_begin(struct usm_vault *vault, u32 number, u32 generation,
			      enum usm_evicted_state *was)
{
	struct usm_evicted *shown = usm_evicted_shown(vault, number);
	bool begun;

	spin_lock(&vault->lock);
	*was = shown->state;
	begun = shown->generation == generation &&
		(shown->state == USM_EVICTED_AWAY || shown->state == USM_EVICTED_WANTED ||
		 shown->state == USM_EVICTED_LOST) && !usm_evicted_page(vault, number)->bad;
	if (begun) {
		WRITE_ONCE(shown->state, USM_EVICTED_COMING);
		usm_evicted_page(vault, number)->homeless = false;
	}
	spin_unlock(&vault->lock);
	return begun;
}

/*
 * The frame holds the content, or there is none and `state` is what it is then. True:
 * several slots name the page.
 */
static bool usm_restore_end(struct usm_domain *domain, u32 number, u64 key, u32 frame,
			    enum usm_evicted_state state)
{
	struct usm_vault *vault = &domain->vault;
	struct usm_evicted *shown = usm_evicted_shown(vault, number);
	struct usm_evicted_page *page = usm_evicted_page(vault, number);
	bool end, shared;

	spin_lock(&vault->lock);
	end = !page->refs;
	page->homeless = state == USM_EVICTED_WANTED;
	shared = page->refs > 1;
	page->frame = end ? USM_NO_FRAME : frame;
	page->kept = shared;
	WRITE_ONCE(shown->state, end ? USM_EVICTED_NONE :
		   frame == USM_NO_FRAME ? state : USM_EVICTED_READY);
	spin_unlock(&vault->lock);
	if (end) {
		usm_evicted_end(domain, number, key, frame);
	} else if (frame == USM_NO_FRAME && state == USM_EVICTED_LOST) {
		usm_event_post(domain, USM_EV_LOST, 0, 0, 0, 1, key);
		trace_usm_lost(domain, key);
	}
	/* Also after a failure who waits looks again: the caller's to tell. */
	return shared;
}

/*
 * Wrong content: ask again, but an instance that has lost it must not be asked for ever.
 * What a late one reads may be what its successor has put there: that is no answer.
 */
static enum usm_evicted_state usm_restore_wrong(struct usm_domain *domain, u32 number,
						bool armed)
{
	struct usm_vault *vault = &domain->vault;
	struct usm_evicted_page *page = usm_evicted_page(vault, number);
	bool lost;

	usm_count_add(domain, USM_N_CORRUPT, 1);
	spin_lock(&vault->lock);
	lost = armed && ++page->wrong >= USM_RESTORE_TRIES;
	page->epoch = 0;
	spin_unlock(&vault->lock);
	return lost ? USM_EVICTED_LOST : USM_EVICTED_AWAY;
}

/* Has it been in use at all? Only then there is something to look at. */
static bool usm_evicted_known(struct usm_vault *vault, u32 number)
{
	return number < vault->capacity && vault->blocks[number >> USM_EVICTED_SHIFT];
}

int usm_lose(struct usm_domain *domain, struct usm_port *port, u64 epoch,
	     const struct usm_command *cmd)
{
	u32 number = (u32)cmd->arg;
	enum usm_evicted_state was;
	int err = -EPERM;

	/* Said by one whose time is over it may not be true of its successor. */
	spin_lock(&domain->arm_lock);
	if (usm_domain_armed_by(domain, port, epoch))
		err = usm_evicted_known(&domain->vault, number) &&
		      usm_restore_begin(&domain->vault, number, cmd->arg >> 32, &was) ? 0 : -ESTALE;
	spin_unlock(&domain->arm_lock);
	if (err)
		return err;
	usm_restore_end(domain, number, cmd->arg, USM_NO_FRAME, USM_EVICTED_LOST);
	return 0;
}

static int usm_restore_page(struct usm_domain *domain, struct usm_port *port, u64 epoch,
			    const struct usm_command *cmd)
{
	u32 number = (u32)cmd->arg, frame = USM_NO_FRAME;
	enum usm_evicted_state state = USM_EVICTED_READY, was;
	struct usm_vault *vault = &domain->vault;
	struct page *page;
	void *content;
	int err = 0;

	if (!usm_evicted_known(vault, number))
		return -ESTALE;
	if (!usm_staging(domain))
		return -ENOMEM;
	if (!usm_restore_begin(vault, number, cmd->arg >> 32, &was))
		return -ESTALE;
	if (!usm_frame_get_spare(domain, &frame)) {
		/* Where it is wanted the instance knows, and that it has to try again. */
		usm_restore_end(domain, number, cmd->arg, USM_NO_FRAME,
				was == USM_EVICTED_AWAY ? was : USM_EVICTED_WANTED);
		return -ENOMEM;
	}
	usm_frame_set_state(domain, frame, USM_FRAME_TAKEN);
	page = usm_frame_page(domain, frame);
	/* The instance may write to staging at any time: what counts is the copy. */
	content = kmap_local_page(page);
	copy_page(content, usm_staging_page(vault, cmd->frame));
	kunmap_local(content);
	if (usm_evicted_tag(vault, page, cmd->arg) != usm_evicted_page(vault, number)->tag) {
		usm_evicted_give_back(domain, frame);
		frame = USM_NO_FRAME;
		state = usm_restore_wrong(domain, number,
					  usm_domain_armed_by(domain, port, epoch));
		err = -EBADMSG;
	}
	return usm_restore_end(domain, number, cmd->arg, frame, state) && !err ? 1 : err;
}

int usm_restore(struct usm_domain *domain, struct usm_port *port, u64 epoch,
		const struct usm_command *cmd)
{
	int err = usm_restore_page(domain, port, epoch, cmd);

	trace_usm_restore(domain, cmd->arg, err);
	return err;
}

/* --------------------------------------------------------------------- refaulting */

/* One fault on an evicted page. */
struct usm_refault {
	struct usm_space *space;
	struct usm_bucket *bucket;
	unsigned long page;
	u32 value;			/* of the slot */
	u32 number;
	u64 key;
	u64 epoch;
	unsigned long since;		/* that the instance knows, in this epoch */
	int kicks;
	bool homeless;			/* the instance has brought it, and no frame was free */
	u8 asked;			/* armings that know */
};

enum usm_refault_next { USM_REFAULT_AGAIN, USM_REFAULT_MAP, USM_REFAULT_WAIT, USM_REFAULT_LOST,
			USM_REFAULT_BAD,
			USM_REFAULT_OOM };

static unsigned int usm_refault_most(struct usm_domain *domain)
{
	return min(1u << READ_ONCE(domain->order), USM_REFAULT_RUN);
}

/*
 * How many pages are asked for at once: twice as many each time that a fault comes where
 * the last ones end, up to what one fault may map. Table locked.
 */
static unsigned int usm_refault_run(struct usm_refault *refault, unsigned long end)
{
	struct usm_bucket *bucket = refault->bucket;
	unsigned int at = refault->page & (USM_WINDOW_PAGES - 1), run = 1;

	if (at == bucket->back_next)
		run = min(2u * max_t(unsigned int, bucket->back_run, 1),
			  usm_refault_most(refault->space->domain));
	run = min_t(unsigned long, run, end - refault->page);
	bucket->back_next = at + run;
	bucket->back_run = run;
	return run;
}

/*
 * Pages that are touched in a row come together, so that the next fault need not wait.
 * Table locked. They are not waited for: who touches one before it is here asks for it.
 */
static void usm_refault_ahead(struct usm_refault *refault, unsigned long end)
{
	struct usm_space *space = refault->space;
	struct usm_domain *domain = space->domain;
	struct usm_vault *vault = &domain->vault;
	unsigned int run = usm_refault_run(refault, end), i;

	/* Not where a frame more is one that somebody has to give. */
	if (run < 2 || usm_count_sum(domain, USM_N_FREE) < 2 * run)
		return;
	for (i = 1; i < run; i++) {
		u32 slot = *usm_bucket_slot(refault->bucket, refault->page + i);
		u32 number = slot & USM_SLOT_FRAME;
		bool away;

		if (!(slot & USM_SLOT_EVICTED))
			continue;
		spin_lock(&vault->lock);
		away = usm_evicted_shown(vault, number)->state == USM_EVICTED_AWAY &&
		       usm_evicted_page(vault, number)->refs == 1;
		spin_unlock(&vault->lock);
		if (away)
			usm_event_put_quietly(domain, &(struct usm_event){
				.type = USM_EV_AHEAD,
				.space = space->id,
				.page = refault->page + i,
				.count = 1,
				.arg = usm_evicted_key(vault, number),
			});
	}
	trace_usm_ahead(space, refault->page + 1, run - 1);
}

/* Pages from the faulting one on that lie in its VMA and page table. */
static unsigned long usm_refault_end(struct vm_fault *vmf, struct usm_refault *refault)
{
	return min((refault->page | (USM_WINDOW_PAGES - 1)) + 1, vmf->vma->vm_end >> PAGE_SHIFT);
}

/*
 * See what there is, and ask the instance, once in each arming. The slot is looked
 * at under the table's lock: the number is that of this page until it is let go.
 */
static enum usm_refault_next usm_refault_ask(struct vm_fault *vmf, struct usm_refault *refault)
{
	struct usm_space *space = refault->space;
	struct usm_domain *domain = space->domain;
	struct usm_vault *vault = &domain->vault;
	struct usm_evicted_page *evicted;
	enum usm_refault_next next = USM_REFAULT_WAIT;
	struct usm_evicted *shown;
	struct usm_table table;
	bool ask = false;

	/* Before the looks that a wait is for. */
	refault->kicks = atomic_read_acquire(&domain->kicks);
	refault->epoch = READ_ONCE(domain->epoch);
	if (!usm_table_lock_alloc(space->mm, refault->page << PAGE_SHIFT, &table))
		return USM_REFAULT_OOM;
	refault->value = *usm_bucket_slot(refault->bucket, refault->page);
	if (!(refault->value & USM_SLOT_EVICTED)) {
		usm_table_unlock(&table);
		return USM_REFAULT_AGAIN;
	}
	refault->number = refault->value & USM_SLOT_FRAME;
	shown = usm_evicted_shown(vault, refault->number);
	evicted = usm_evicted_page(vault, refault->number);
	spin_lock(&vault->lock);
	refault->key = usm_evicted_key(vault, refault->number);
	if (shown->state == USM_EVICTED_READY) {
		next = USM_REFAULT_MAP;
	} else if (shown->state == USM_EVICTED_LOST) {
		next = evicted->bad ? USM_REFAULT_BAD : USM_REFAULT_LOST;
	} else if ((shown->state == USM_EVICTED_AWAY || shown->state == USM_EVICTED_WANTED) &&
		   evicted->epoch != (u32)refault->epoch) {
		evicted->asked = shown->state == USM_EVICTED_AWAY ? 1 :
				 min(evicted->asked + 1, U8_MAX);
		WRITE_ONCE(shown->state, USM_EVICTED_WANTED);
		evicted->epoch = (u32)refault->epoch;
		evicted->since = (u32)jiffies;
		ask = true;
	}
	/* The instance has its time from when there is a frame again. */
	if (evicted->homeless && usm_count_sum(domain, USM_N_FREE) <= 0)
		evicted->since = (u32)jiffies;
	/* On its way, though this instance was not asked: its time begins now. */
	refault->since = jiffies;
	if (evicted->epoch == (u32)refault->epoch)
		refault->since -= (u32)jiffies - evicted->since;
	refault->homeless = evicted->homeless;
	refault->asked = evicted->asked;
	spin_unlock(&vault->lock);
	if (ask) {
		usm_refault_ahead(refault, usm_refault_end(vmf, refault));
		usm_event_post(domain, USM_EV_REFAULT, space->id, refault->page, 0, 1,
			       refault->key);
		trace_usm_want(space, refault->page, refault->key);
	}
	usm_table_unlock(&table);
	return next;
}

/*
 * What a program does itself may wait for as long as it takes, since its threads can
 * be killed meanwhile. The kernel's accesses, and others', may hold what everybody
 * needs: the lock of an inode, or an mm that is to end.
 */
static bool usm_refault_may_last(struct vm_fault *vmf, struct usm_space *space)
{
	return usm_fault_may_wait(vmf) && (vmf->flags & FAULT_FLAG_USER) &&
	       space->mm == current->mm && !(current->flags & (PF_EXITING | PF_DUMPCORE));
}

/*
 * How long, in jiffies. An instance has its patience from when it was asked, however
 * often something else wakes us; without one there is some from when it was lost.
 */
static long usm_refault_patience(struct vm_fault *vmf, struct usm_refault *refault, bool armed)
{
	struct usm_domain *domain = refault->space->domain;
	long all = USM_REFAULT_PATIENCE * msecs_to_jiffies(READ_ONCE(domain->deadline_ms));

	if (armed)
		return max(all - (long)(jiffies - refault->since), 0L);
	if (usm_refault_may_last(vmf, refault->space))
		return MAX_SCHEDULE_TIMEOUT;
	/* Others wait for the lock that we are called with, or for our end. */
	if (!usm_fault_may_wait(vmf) || ((current->flags & PF_EXITING) &&
					 (current->signal->flags & SIGNAL_GROUP_EXIT)))
		return 0;
	return max((long)USM_KERNEL_PATIENCE - (long)(jiffies - READ_ONCE(domain->fell)), 0L);
}

/* There is no frame: as if it were a first touch, somebody has to go. */
static void usm_refault_scarce(struct usm_refault *refault)
{
	struct usm_domain *domain = refault->space->domain;

	usm_fault_starve(domain);
	if (refault->space->mm == current->mm)
		usm_oom_kill(domain);
}

/*
 * Wait until something happened. Where the fault cannot be tried again its locks
 * stay: what brings the page back takes none of them.
 */
static vm_fault_t usm_refault_wait(struct vm_fault *vmf, struct usm_refault *refault)
{
	struct usm_domain *domain = refault->space->domain;
	bool armed = usm_domain_armed(domain), retry = usm_fault_may_wait(vmf);
	/* Not the instance's fault: no deadline. */
	bool homeless = armed && refault->homeless && usm_count_sum(domain, USM_N_FREE) <= 0;
	long left = homeless ? HZ / 10 : usm_refault_patience(vmf, refault, armed);
	/* In the kernel a signal does not end the access: it would be tried for ever. */
	bool signals = retry && (vmf->flags & FAULT_FLAG_INTERRUPTIBLE) &&
		       (vmf->flags & FAULT_FLAG_USER);
	unsigned int state = signals ? TASK_INTERRUPTIBLE : TASK_KILLABLE;
	u32 space = refault->space->id;

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	/* One that arms again and again has not as many patiences. */
	if ((!left && !armed) || (refault->asked > USM_REFAULT_ARMINGS &&
				  !usm_refault_may_last(vmf, refault->space)))
		return usm_space_sigbus(refault->space, USM_SIGBUS_NOBODY);
	if (homeless)
		usm_refault_scarce(refault);
	trace_usm_wait(domain, space, refault->page, USM_WAIT_REFAULT);
	usm_domain_get(domain);
	if (retry) {
		state |= usm_fault_freezable(vmf);
		usm_fault_unlock(vmf);
	}
	/* The space may go once the locks are gone; the domain does not. */
	if (left)
		left = ___wait_event(domain->waiters, ___wait_cond_timeout(
					atomic_read(&domain->kicks) != refault->kicks),
				     state, 0, left, __ret = schedule_timeout(__ret));
	if (homeless)
		WRITE_ONCE(domain->starved_seen, jiffies);
	else if (!left && armed)
		usm_domain_miss(domain, refault->epoch);
	trace_usm_wake(domain, space, refault->page, USM_WAIT_REFAULT);
	usm_domain_put(domain);
	/* As the kernel counts what it had to wait for, whichever lock it faulted under. */
	return VM_FAULT_MAJOR | (retry ? VM_FAULT_RETRY : VM_FAULT_NOPAGE);
}

static bool usm_refault_is(struct usm_vault *vault, struct usm_refault *refault)
{
	lockdep_assert_held(&vault->lock);
	return usm_evicted_key(vault, refault->number) == refault->key &&
	       usm_evicted_shown(vault, refault->number)->state == USM_EVICTED_READY;
}

/* The frame that came, if nobody else needs it. */
static bool usm_refault_take(struct usm_vault *vault, struct usm_refault *refault, u32 *frame)
{
	struct usm_evicted_page *page = usm_evicted_page(vault, refault->number);
	bool got;

	spin_lock(&vault->lock);
	got = usm_refault_is(vault, refault) && page->refs == 1;
	if (got) {
		*frame = page->frame;
		page->frame = USM_NO_FRAME;
		/* The slot is about to be filled: until then it is nobody's to ask for. */
		WRITE_ONCE(usm_evicted_shown(vault, refault->number)->state, USM_EVICTED_TAKEN);
	}
	spin_unlock(&vault->lock);
	return got;
}

/* 1 with a frame for this slot alone, 0: nobody shares the page, or -ENOMEM, -EAGAIN. */
static int usm_refault_copy(struct usm_refault *refault, u32 *frame)
{
	struct usm_domain *domain = refault->space->domain;
	struct usm_vault *vault = &domain->vault;
	bool shared, copied;

	spin_lock(&vault->lock);
	shared = usm_refault_is(vault, refault) &&
		 usm_evicted_page(vault, refault->number)->refs > 1;
	spin_unlock(&vault->lock);
	if (!shared)
		return 0;
	if (!usm_frame_get_now(domain, frame, refault->space->mm == current->mm))
		return -ENOMEM;
	spin_lock(&vault->lock);
	copied = usm_refault_is(vault, refault);
	if (copied)
		copy_highpage(usm_frame_page(domain, *frame), usm_frame_page(domain,
			      usm_evicted_page(vault, refault->number)->frame));
	spin_unlock(&vault->lock);
	if (copied)
		return 1;
	usm_evicted_give_back(domain, *frame);
	return -EAGAIN;
}

/*
 * One has its copy, and nobody knows when the others will want theirs: the frame is
 * better used until then.
 */
static void usm_refault_let_go(struct usm_domain *domain, struct usm_refault *refault)
{
	struct usm_vault *vault = &domain->vault;
	struct usm_evicted_page *page = usm_evicted_page(vault, refault->number);
	u32 frame = USM_NO_FRAME;

	/* Without an instance nobody could bring it again. */
	if (!usm_domain_armed(domain))
		return;
	spin_lock(&vault->lock);
	if (usm_refault_is(vault, refault) && page->kept) {
		frame = page->frame;
		page->frame = USM_NO_FRAME;
		page->epoch = 0;
		WRITE_ONCE(usm_evicted_shown(vault, refault->number)->state, USM_EVICTED_AWAY);
	}
	spin_unlock(&vault->lock);
	if (frame != USM_NO_FRAME)
		usm_evicted_give_back(domain, frame);
}

/* Table locked: is the slot still that of the page that was asked for? */
static bool usm_refault_still(struct usm_refault *refault, pte_t *pte)
{
	struct usm_vault *vault = &refault->space->domain->vault;

	return *usm_bucket_slot(refault->bucket, refault->page) == refault->value &&
	       usm_evicted_key(vault, refault->number) == refault->key && usm_pte_vacant(*pte);
}

/* Pages that came with it, if they are nobody else's. Table locked. */
static void usm_refault_map_ahead(struct usm_refault *refault, unsigned long end,
				  struct usm_batch *batch, struct usm_table *table,
				  struct usm_drop *drop)
{
	struct usm_space *space = refault->space;
	struct usm_vault *vault = &space->domain->vault;
	struct usm_refault next = *refault;
	unsigned int n = 0;
	u32 frame;

	end = min(end, refault->page + usm_refault_most(space->domain));
	for (next.page++; next.page < end; next.page++) {
		pte_t *pte = usm_table_pte(table, next.page << PAGE_SHIFT);

		next.value = *usm_bucket_slot(next.bucket, next.page);
		next.number = next.value & USM_SLOT_FRAME;
		if (!(next.value & USM_SLOT_EVICTED))
			continue;
		next.key = usm_evicted_key(vault, next.number);
		/* What a discard is on its way over must not come back. */
		if (!usm_pte_vacant(*pte) || usm_space_clearing(space, next.page) ||
		    !usm_refault_take(vault, &next, &frame))
			continue;
		usm_slot_drop(next.bucket, next.page, drop);
		usm_batch_page(batch, next.page, frame, pte);
		trace_usm_refault(space, next.page, frame, next.key);
		n++;
	}
	usm_count_add(space->domain, USM_N_REFAULTS, n);
	usm_count_add(space->domain, USM_N_REFAULTS_AHEAD, n);
}

static vm_fault_t usm_refault_map(struct vm_fault *vmf, struct usm_refault *refault)
{
	struct usm_space *space = refault->space;
	struct usm_domain *domain = space->domain;
	unsigned long page = refault->page;
	u32 frame = USM_NO_FRAME;
	struct usm_table table;
	struct usm_batch batch;
	struct usm_drop drop;
	int copied;

	copied = usm_refault_copy(refault, &frame);
	if (copied == -ENOMEM)
		return usm_cow_no_frame(space);
	if (copied < 0)
		return VM_FAULT_NOPAGE;
	usm_drop_init(&drop, space);
	/* What a discard is on its way over must not come back. */
	usm_space_lock_settled(space, page, 1, &table);
	if (!usm_refault_still(refault, usm_table_pte(&table, page << PAGE_SHIFT)) ||
	    (!copied && !usm_refault_take(&domain->vault, refault, &frame))) {
		usm_table_unlock(&table);
		if (copied)
			usm_evicted_give_back(domain, frame);
		return VM_FAULT_NOPAGE;
	}
	usm_slot_drop(refault->bucket, page, &drop);
	usm_batch_begin(&batch, vmf->vma, space, refault->bucket);
	usm_batch_page(&batch, page, frame, usm_table_pte(&table, page << PAGE_SHIFT));
	usm_refault_map_ahead(refault, usm_refault_end(vmf, refault), &batch, &table, &drop);
	usm_batch_end(&batch, &table);
	usm_count_add(domain, USM_N_REFAULTS, 1);
	trace_usm_refault(space, page, frame, refault->key);
	usm_drop_finish(&drop);
	if (copied)
		usm_refault_let_go(domain, refault);
	return VM_FAULT_NOPAGE;
}

vm_fault_t usm_refault(struct vm_fault *vmf, struct usm_space *space,
		       struct usm_bucket *bucket, unsigned long page)
{
	struct usm_refault refault = { .space = space, .bucket = bucket, .page = page };

	switch (usm_refault_ask(vmf, &refault)) {
	case USM_REFAULT_MAP:
		return usm_refault_map(vmf, &refault);
	case USM_REFAULT_WAIT:
		return usm_refault_wait(vmf, &refault);
	case USM_REFAULT_LOST:
		return usm_space_sigbus(space, USM_SIGBUS_WRONG);
	case USM_REFAULT_BAD:
		usm_space_sigbus(space, USM_SIGBUS_MEMORY);
		return VM_FAULT_HWPOISON;
	case USM_REFAULT_OOM:
		return VM_FAULT_OOM;
	case USM_REFAULT_AGAIN:
		break;
	}
	return VM_FAULT_NOPAGE;
}
