// SPDX-License-Identifier: GPL-2.0-only
/*
 * USM_MODE_UPCALL: a fault asks the instance which frames to map, waits without any lock
 * and maps them itself. What it waits with is on its stack.
 */
#include <linux/freezer.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "compat/compat.h"
#include "domain.h"
#include "fault.h"
#include "space.h"
#include "trace.h"
#include "upcall.h"

#define USM_UPCALL_SHIFT	6
static_assert(USM_UPCALL_BUCKETS == 1 << USM_UPCALL_SHIFT);

enum usm_asker_state {
	USM_ASKER_WAITS,	/* for the instance; in `asked` */
	USM_ASKER_FOLLOWS,	/* waits for another one of the same pages */
	USM_ASKER_HAS,		/* what is in `fault` is its own; still followed */
	USM_ASKER_DECLINED,	/* nothing for it; still followed */
	USM_ASKER_ALONE,	/* nobody answers any more; still followed */
	USM_ASKER_OVER,		/* in no list: look again */
};

struct usm_asker {
	struct hlist_node node;
	struct list_head asked;
	struct task_struct *task;
	struct usm_fault *fault;
	enum usm_asker_state state;
	u64 epoch;
	unsigned long since;		/* jiffies: when there was something to answer with */
	unsigned long run;		/* its page >> fault order */
	u32 have;			/* frames in `fault` */
	struct usm_event event;		/* as it was posted; arg: its key */
};

static u64 usm_upcall_bucket(u32 space, unsigned long run)
{
	return hash_64((u64)space << 40 ^ run, USM_UPCALL_SHIFT);
}

/* Under the lock: it may be gone as soon as that is released. */
static void usm_asker_wake(struct usm_asker *asker, enum usm_asker_state state)
{
	/* What it gets comes before. */
	smp_store_release(&asker->state, state);
	wake_up_process(asker->task);
}

static void usm_asker_remove(struct usm_asker *asker)
{
	hlist_del_init(&asker->node);
	list_del_init(&asker->asked);
}

/*
 * They do not ask again, or an instance that changes its mind all the time would let them
 * wait for ever: each maps what it has got, or any frame. Who follows looks again then.
 */
void usm_upcall_dismiss(struct usm_domain *domain)
{
	struct usm_upcalls *upcalls = &domain->upcalls;
	struct usm_asker *asker, *next;

	spin_lock(&upcalls->lock);
	list_for_each_entry_safe(asker, next, &upcalls->asked, asked) {
		list_del_init(&asker->asked);
		usm_asker_wake(asker, asker->have ? USM_ASKER_HAS : USM_ASKER_ALONE);
	}
	spin_unlock(&upcalls->lock);
}

/* -------------------------------------------------------------------- too late */

void usm_upcall_hurry(struct usm_domain *domain)
{
	mod_delayed_work(usm_wq, &domain->upcalls.late, 0);
}

/* Nothing is to be had, and that is being changed, or cannot be. */
static bool usm_upcall_excused(struct usm_domain *domain)
{
	return usm_count_sum(domain, USM_N_FREE) <= 0 &&
	       (READ_ONCE(domain->limited) || atomic64_read(&domain->grow_wanted) > 0);
}

/* Jiffies until its deadline, which may be over. */
static long usm_upcall_left(struct usm_domain *domain, const struct usm_asker *asker)
{
	long left = asker->since + msecs_to_jiffies(READ_ONCE(domain->deadline_ms)) - jiffies;

	return max(left, 0L);
}

/* One clock for all: set by the first that waits, it looks at the oldest. */
static void usm_upcall_late(struct work_struct *work)
{
	struct usm_upcalls *upcalls = container_of(to_delayed_work(work), struct usm_upcalls,
						   late);
	struct usm_domain *domain = container_of(upcalls, struct usm_domain, upcalls);
	long deadline = msecs_to_jiffies(READ_ONCE(domain->deadline_ms)), left = deadline;
	struct usm_asker *asker;
	bool excused = false;
	u64 epoch = 0;

	spin_lock(&upcalls->lock);
	asker = list_first_entry_or_null(&upcalls->asked, struct usm_asker, asked);
	if (asker) {
		epoch = asker->epoch;
		left = usm_upcall_left(domain, asker);
	}
	excused = left <= 0 && usm_upcall_excused(domain);
	if (excused) {
		list_for_each_entry(asker, &upcalls->asked, asked)
			asker->since = jiffies;
		left = deadline;
	}
	if (left > 0 && !list_empty(&upcalls->asked))
		queue_delayed_work(usm_wq, &upcalls->late, left);
	spin_unlock(&upcalls->lock);
	if (left <= 0)
		usm_domain_miss(domain, epoch);
	else if (excused && READ_ONCE(domain->limited))
		usm_upcall_dismiss(domain);
}

void usm_upcalls_init(struct usm_upcalls *upcalls)
{
	spin_lock_init(&upcalls->lock);
	INIT_LIST_HEAD(&upcalls->asked);
	INIT_DELAYED_WORK(&upcalls->late, usm_upcall_late);
}

/* ------------------------------------------------------------------- the answer */

static struct usm_asker *usm_upcall_find(struct usm_upcalls *upcalls, u64 key)
{
	struct usm_asker *asker;

	hlist_for_each_entry(asker, &upcalls->buckets[key & (USM_UPCALL_BUCKETS - 1)], node)
		if (asker->event.arg == key && asker->state == USM_ASKER_WAITS)
			return asker;
	return NULL;
}

/* Claim what fits of a run that is FREE: how many; or -EBUSY. */
static int usm_asker_take(struct usm_asker *asker, const struct usm_command *cmd)
{
	struct usm_fault *fault = asker->fault;
	struct usm_run *last = fault->nr_runs ? &fault->runs[fault->nr_runs - 1] : NULL;
	bool joins = last && last->frame + last->count == cmd->frame;
	u32 got;

	if ((!joins && fault->nr_runs == USM_FAULT_RUNS) ||
	    !usm_frames_offered(fault->domain, cmd->frame, cmd->count, cmd->generation))
		return -EBUSY;
	got = usm_frames_claim(fault->domain, cmd->frame,
			       min(cmd->count, asker->event.count - asker->have));
	if (!got)
		return -EBUSY;
	if (joins)
		last->count += got;
	else
		fault->runs[fault->nr_runs++] = (struct usm_run){ cmd->frame, got };
	asker->have += got;
	return got;
}

int usm_upcall_resolve(struct usm_domain *domain, struct usm_port *port,
		       const struct usm_command *cmd)
{
	struct usm_upcalls *upcalls = &domain->upcalls;
	struct usm_asker *asker;
	int got = 0;

	/* Keys do not outlive the arming that they were made in. */
	if (READ_ONCE(domain->armed) != port)
		return -EPERM;
	spin_lock(&upcalls->lock);
	asker = usm_upcall_find(upcalls, cmd->arg);
	if (!asker)
		got = -ESTALE;
	else if (cmd->count)
		got = usm_asker_take(asker, cmd);
	if (got >= 0 && !((cmd->flags & USM_RESOLVE_MORE) && asker->have < asker->event.count)) {
		/* It stays to be found by who follows, until it has mapped. */
		list_del_init(&asker->asked);
		usm_asker_wake(asker, asker->have ? USM_ASKER_HAS : USM_ASKER_DECLINED);
	}
	spin_unlock(&upcalls->lock);
	trace_usm_resolve(domain, cmd->arg, cmd->frame, cmd->count, got);
	if (got > 0)
		usm_count_add(domain, USM_N_RESOLVED, got);
	return got;
}

int usm_upcall_repeat(struct usm_domain *domain, struct usm_port *port)
{
	struct usm_upcalls *upcalls = &domain->upcalls;
	struct usm_asker *asker;
	int nr = 0;

	if (READ_ONCE(domain->armed) != port)
		return -EPERM;
	spin_lock(&upcalls->lock);
	list_for_each_entry(asker, &upcalls->asked, asked) {
		usm_event_put(domain, &asker->event);
		nr++;
	}
	spin_unlock(&upcalls->lock);
	return nr;
}

/* ------------------------------------------------------------------ the question */

static u16 usm_upcall_flags(const struct vm_fault *vmf)
{
	return (vmf->flags & FAULT_FLAG_WRITE ? USM_FAULT_WRITE : 0) |
	       (vmf->flags & FAULT_FLAG_INSTRUCTION ? USM_FAULT_EXEC : 0) |
	       (vmf->flags & FAULT_FLAG_USER ? USM_FAULT_USER : 0) |
	       (vmf->vma->vm_mm != current->mm ? USM_FAULT_REMOTE : 0);
}

/*
 * Become one that asks, or one that follows. False: nobody is asked any more. Who takes
 * the domain's instance, or its mode, away does so before it dismisses.
 */
static bool usm_upcall_enter(struct usm_domain *domain, struct usm_asker *asker)
{
	struct usm_upcalls *upcalls = &domain->upcalls;
	u32 space = asker->event.space;
	u64 bucket = usm_upcall_bucket(space, asker->run);
	struct usm_asker *other;

	spin_lock(&upcalls->lock);
	if (!usm_domain_armed(domain) || READ_ONCE(domain->mode) != USM_MODE_UPCALL) {
		spin_unlock(&upcalls->lock);
		return false;
	}
	hlist_for_each_entry(other, &upcalls->buckets[bucket], node) {
		if (other->event.space == space && other->run == asker->run) {
			asker->state = USM_ASKER_FOLLOWS;
			break;
		}
	}
	hlist_add_head(&asker->node, &upcalls->buckets[bucket]);
	if (asker->state == USM_ASKER_WAITS) {
		asker->epoch = domain->epoch;
		asker->since = jiffies;
		asker->event.arg = ++upcalls->next << USM_UPCALL_SHIFT | bucket;
		list_add_tail(&asker->asked, &upcalls->asked);
		if (!delayed_work_pending(&upcalls->late))
			queue_delayed_work(usm_wq, &upcalls->late,
					   usm_upcall_left(domain, asker));
	}
	spin_unlock(&upcalls->lock);
	return true;
}

/* Whatever the answer was, and whether there was one: who follows looks again. */
static void usm_upcall_leave(struct usm_domain *domain, struct usm_asker *asker)
{
	struct usm_upcalls *upcalls = &domain->upcalls;
	u64 bucket = usm_upcall_bucket(asker->event.space, asker->run);
	struct hlist_node *next;
	struct usm_asker *other;

	/* Also where it is in no list any more: whoever woke it has the lock until then. */
	spin_lock(&upcalls->lock);
	if (asker->state != USM_ASKER_OVER)
		usm_asker_remove(asker);
	if (asker->event.arg) {
		hlist_for_each_entry_safe(other, next, &upcalls->buckets[bucket], node) {
			if (other->state != USM_ASKER_FOLLOWS || other->run != asker->run ||
			    other->event.space != asker->event.space)
				continue;
			usm_asker_remove(other);
			usm_asker_wake(other, USM_ASKER_OVER);
		}
	}
	spin_unlock(&upcalls->lock);
}

/* True: there is an answer, and what is in `fault` is ours. */
static bool usm_upcall_sleep(struct usm_asker *asker, unsigned int freezable)
{
	/* Where the instance is to run on this very CPU, it may have done before we sleep. */
	cond_resched();
	for (;;) {
		set_current_state(TASK_KILLABLE | freezable);
		if (READ_ONCE(asker->state) > USM_ASKER_FOLLOWS || fatal_signal_pending(current))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return smp_load_acquire(&asker->state) > USM_ASKER_FOLLOWS &&
	       asker->state != USM_ASKER_OVER;
}

/* ------------------------------------------------------------------- mapping it */

/* Is it still a first touch in adopted memory? The VMA is another, or may have changed. */
static bool usm_upcall_still(struct vm_area_struct *vma, struct usm_fault *fault,
			     unsigned int flags)
{
	if (!vma || (vma->vm_ops != &usm_vm_ops_plain && vma->vm_ops != &usm_vm_ops_cow) ||
	    usm_vma_space(vma) != fault->space || READ_ONCE(fault->space->broken) ||
	    !(vma->vm_flags & (flags & FAULT_FLAG_WRITE ? VM_WRITE : VM_ACCESS_FLAGS)))
		return false;
	fault->bucket = usm_space_bucket(fault->space, fault->page);
	fault->window = usm_fault_window(fault->domain, vma, fault->page);
	return fault->bucket && !(READ_ONCE(*usm_bucket_slot(fault->bucket, fault->page)) &
				  (USM_SLOT_EVICTED | USM_SLOT_BUSY));
}

/* No lock is held, before nor after. */
static vm_fault_t usm_upcall_map(struct mm_struct *mm, unsigned long address,
				 unsigned int flags, struct usm_fault *fault)
{
	struct vm_area_struct *vma;
	vm_fault_t ret;

	if (mmap_read_lock_killable(mm))
		return VM_FAULT_RETRY;
	vma = vma_lookup(mm, address);
	fault->chosen = true;
	if (!usm_upcall_still(vma, fault, flags)) {
		ret = VM_FAULT_RETRY;
	} else {
		struct vm_fault vmf = {
			.vma = vma,
			.address = address,
			.pgoff = linear_page_index(vma, address),
			.flags = usm_fault_flags_mmap(flags),
		};

		ret = fault->nr_runs ? 0 : usm_fault_claim_any(&vmf, fault);
		/* Then it has waited, and unlocked. */
		if (ret & VM_FAULT_RETRY)
			return VM_FAULT_RETRY;
		if (!ret)
			ret = usm_fault_finish(&vmf, fault);
	}
	mmap_read_unlock(mm);
	/* Errors are for who has a lock that can be released: they will show again. */
	return ret == VM_FAULT_NOPAGE ? VM_FAULT_NOPAGE | VM_FAULT_COMPLETED : VM_FAULT_RETRY;
}

vm_fault_t usm_upcall(struct vm_fault *vmf, struct usm_fault *fault)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	struct usm_domain *domain = fault->domain;
	unsigned long address = vmf->address;
	unsigned int flags = vmf->flags;
	vm_fault_t ret = VM_FAULT_RETRY;
	struct usm_asker asker = {
		.task = current,
		.fault = fault,
		.state = USM_ASKER_WAITS,
		.run = fault->page >> READ_ONCE(domain->order),
		.event = {
			.type = USM_EV_FAULT,
			.flags = usm_upcall_flags(vmf),
			.space = fault->space->id,
			.page = fault->page,
			.frame = raw_smp_processor_id(),
			.count = usm_fault_want(fault),
		},
	};

	INIT_LIST_HEAD(&asker.asked);
	/* Then the fault begins again, and finds that it need not ask. */
	if (!usm_upcall_enter(domain, &asker))
		return VM_FAULT_NOPAGE;
	usm_domain_get(domain);
	usm_fault_unlock(vmf);
	usm_count_add(domain, USM_N_WAITS, 1);
	trace_usm_wait(domain, asker.event.space, fault->page, USM_WAIT_UPCALL);
	if (asker.event.arg) {
		usm_count_add(domain, USM_N_UPCALLS, 1);
		trace_usm_upcall(domain, &asker.event);
		usm_event_put(domain, &asker.event);
	}
	if (usm_upcall_sleep(&asker, usm_fault_freezable(vmf))) {
		if (asker.state == USM_ASKER_DECLINED)
			usm_count_add(domain, USM_N_DECLINED, 1);
		ret = usm_upcall_map(mm, address, flags, fault);
	}
	trace_usm_wake(domain, asker.event.space, fault->page, USM_WAIT_UPCALL);
	usm_upcall_leave(domain, &asker);
	/* Nobody can give it any more. What was mapped is not in there. */
	usm_fault_unclaim(fault);
	usm_domain_put(domain);
	return ret;
}
