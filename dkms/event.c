// SPDX-License-Identifier: GPL-2.0-only
#include <linux/freezer.h>
#include <linux/log2.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

#include "core/ring.h"
#include "domain.h"
#include "event.h"

/*
 * Runs of freed frames come in bursts of a munmap's size; 4096 entries of 32
 * bytes hold what a fragmented 16 MiB gives, the rest costs a rescan. That of a small
 * domain is soon done, so that one has an entry for each 32 frames.
 */
#define USM_EVENT_ENTRIES_MAX	4096
#define USM_EVENT_ENTRIES_MIN	1024
#define USM_EVENT_FRAMES	32

static void usm_events_expire(struct work_struct *work);

size_t usm_events_size(const struct usm_events *events)
{
	return PAGE_ALIGN(sizeof(struct usm_ring) + events->entries * sizeof(struct usm_event));
}

void usm_events_reset(struct usm_events *events)
{
	spin_lock(&events->lock);
	events->head = 0;
	WRITE_ONCE(events->ring->entries, events->entries);
	WRITE_ONCE(events->ring->entry_size, sizeof(struct usm_event));
	WRITE_ONCE(events->ring->offset, sizeof(struct usm_ring));
	WRITE_ONCE(events->ring->tail, 0);
	WRITE_ONCE(events->ring->lost, 0);
	WRITE_ONCE(events->ring->top, events->top);
	WRITE_ONCE(events->ring->evicted_top, events->evicted_top);
	smp_store_release(&events->ring->head, 0);
	spin_unlock(&events->lock);
}

int usm_events_init(struct usm_events *events, u32 frames)
{
	events->entries = clamp_t(u32, roundup_pow_of_two(max(frames / USM_EVENT_FRAMES, 1u)),
				  USM_EVENT_ENTRIES_MIN, USM_EVENT_ENTRIES_MAX);
	spin_lock_init(&events->lock);
	init_waitqueue_head(&events->poll);
	INIT_DELAYED_WORK(&events->late, usm_events_expire);
	events->ring = vmalloc_user(usm_events_size(events));
	if (!events->ring)
		return -ENOMEM;
	usm_events_reset(events);
	return 0;
}

void usm_events_uninit(struct usm_events *events)
{
	/* Where there is no ring nothing else is there either. */
	if (events->ring)
		cancel_delayed_work_sync(&events->late);
	vfree(events->ring);
	events->ring = NULL;
}

void usm_events_top(struct usm_events *events, u32 frames)
{
	spin_lock(&events->lock);
	events->top = frames;
	smp_store_release(&events->ring->top, frames);
	spin_unlock(&events->lock);
}

void usm_events_evicted_top(struct usm_events *events, u32 numbers)
{
	spin_lock(&events->lock);
	if (numbers > events->evicted_top) {
		events->evicted_top = numbers;
		smp_store_release(&events->ring->evicted_top, numbers);
	}
	spin_unlock(&events->lock);
}

bool usm_events_pending(struct usm_events *events)
{
	return READ_ONCE(events->ring->tail) != READ_ONCE(events->head);
}

/* quiet: who sleeps need not look now. */
static void usm_event_store(struct usm_domain *domain, const struct usm_event *event, bool quiet)
{
	struct usm_events *events = &domain->events;
	struct usm_event *slot = (void *)(events->ring + 1);
	bool lost, waits;

	spin_lock(&events->lock);
	lost = usm_ring_used(events->head, smp_load_acquire(&events->ring->tail),
			     events->entries, events->entries) == events->entries;
	if (lost) {
		WRITE_ONCE(events->ring->lost, events->ring->lost + 1);
	} else {
		slot[usm_ring_slot(events->head, events->entries)] = *event;
		WRITE_ONCE(events->head, events->head + 1);
		smp_store_release(&events->ring->head, events->head);
	}
	waits = events->waiter;
	if (waits && !quiet)
		wake_up_process(events->waiter);
	spin_unlock(&events->lock);
	usm_count_add(domain, lost ? USM_N_EVENTS_LOST : USM_N_EVENTS, 1);
	/* Who waits looks at the ring before it polls again. */
	if (!waits && !quiet && wq_has_sleeper(&events->poll))
		wake_up_poll(&events->poll, EPOLLIN);
}

void usm_event_put(struct usm_domain *domain, const struct usm_event *event)
{
	usm_event_store(domain, event, false);
}

void usm_event_put_quietly(struct usm_domain *domain, const struct usm_event *event)
{
	usm_event_store(domain, event, true);
}

/* --------------------------------------------------------------------- waiting */

static void usm_events_wake(struct usm_events *events)
{
	spin_lock(&events->lock);
	if (events->waiter)
		wake_up_process(events->waiter);
	spin_unlock(&events->lock);
}

void usm_events_hang_up(struct usm_events *events)
{
	usm_events_wake(events);
	wake_up_all(&events->poll);
}

static void usm_events_expire(struct work_struct *work)
{
	struct usm_events *events = container_of(to_delayed_work(work), struct usm_events, late);

	WRITE_ONCE(events->expired, true);
	usm_events_wake(events);
}

/*
 * The clock of one wait goes on in those that follow: who comes back after each event, as
 * who answers faults does, does not set it each time.
 */
static void usm_events_set_clock(struct usm_events *events, unsigned long timeout)
{
	if (delayed_work_pending(&events->late) &&
	    !time_after(READ_ONCE(events->late.timer.expires), jiffies + timeout))
		return;
	WRITE_ONCE(events->expired, false);
	mod_delayed_work(usm_wq, &events->late, timeout);
}

int usm_events_wait(struct usm_domain *domain, struct usm_port *port, unsigned long timeout)
{
	struct usm_events *events = &domain->events;
	int err = 0;

	if (usm_events_pending(events))
		return 0;
	spin_lock(&events->lock);
	if (events->waiter)
		err = -EBUSY;
	else
		events->waiter = current;
	spin_unlock(&events->lock);
	if (err)
		return err;
	WRITE_ONCE(events->expired, false);
	if (timeout)
		usm_events_set_clock(events, timeout);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		if (usm_events_pending(events) || READ_ONCE(domain->armed) != port ||
		    READ_ONCE(events->expired))
			break;
		if (signal_pending(current)) {
			err = -EINTR;
			break;
		}
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	spin_lock(&events->lock);
	events->waiter = NULL;
	spin_unlock(&events->lock);
	/* Whoever took its place may have polled for what only the waiter was told. */
	if (READ_ONCE(domain->armed) != port && usm_events_pending(events))
		wake_up_poll(&events->poll, EPOLLIN);
	return err;
}
