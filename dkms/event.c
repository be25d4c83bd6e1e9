// SPDX-License-Identifier: GPL-2.0-only
#include <linux/poll.h>
#include <linux/vmalloc.h>

#include "core/ring.h"
#include "domain.h"
#include "event.h"

/*
 * Runs of freed frames come in bursts of a munmap's size; 4096 entries of 32
 * bytes hold what a fragmented 16 MiB gives, the rest costs a rescan.
 */
#define USM_EVENT_ENTRIES	4096

size_t usm_events_size(void)
{
	return PAGE_ALIGN(sizeof(struct usm_ring) +
			  USM_EVENT_ENTRIES * sizeof(struct usm_event));
}

void usm_events_reset(struct usm_events *events)
{
	spin_lock(&events->lock);
	events->head = 0;
	WRITE_ONCE(events->ring->entries, USM_EVENT_ENTRIES);
	WRITE_ONCE(events->ring->entry_size, sizeof(struct usm_event));
	WRITE_ONCE(events->ring->offset, sizeof(struct usm_ring));
	WRITE_ONCE(events->ring->tail, 0);
	WRITE_ONCE(events->ring->lost, 0);
	WRITE_ONCE(events->ring->top, events->top);
	WRITE_ONCE(events->ring->evicted_top, events->evicted_top);
	smp_store_release(&events->ring->head, 0);
	spin_unlock(&events->lock);
}

int usm_events_init(struct usm_events *events)
{
	spin_lock_init(&events->lock);
	init_waitqueue_head(&events->poll);
	events->ring = vmalloc_user(usm_events_size());
	if (!events->ring)
		return -ENOMEM;
	usm_events_reset(events);
	return 0;
}

void usm_events_uninit(struct usm_events *events)
{
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

void usm_event_put(struct usm_domain *domain, enum usm_event_type type, u32 space,
		   u64 page, u32 frame, u32 count, u64 arg)
{
	struct usm_events *events = &domain->events;
	struct usm_event *slot = (void *)(events->ring + 1);
	bool lost;

	spin_lock(&events->lock);
	lost = usm_ring_used(events->head, smp_load_acquire(&events->ring->tail),
			     USM_EVENT_ENTRIES, USM_EVENT_ENTRIES) == USM_EVENT_ENTRIES;
	if (lost) {
		WRITE_ONCE(events->ring->lost, events->ring->lost + 1);
	} else {
		slot += usm_ring_slot(events->head, USM_EVENT_ENTRIES);
		*slot = (struct usm_event) {
			.type = type,
			.space = space,
			.page = page,
			.frame = frame,
			.count = count,
			.arg = arg,
		};
		WRITE_ONCE(events->head, events->head + 1);
		smp_store_release(&events->ring->head, events->head);
	}
	spin_unlock(&events->lock);
	usm_count_add(domain, lost ? USM_N_EVENTS_LOST : USM_N_EVENTS, 1);
}

void usm_event_post(struct usm_domain *domain, enum usm_event_type type, u32 space,
		    u64 page, u32 frame, u32 count, u64 arg)
{
	struct usm_events *events = &domain->events;

	usm_event_put(domain, type, space, page, frame, count, arg);
	if (wq_has_sleeper(&events->poll))
		wake_up_poll(&events->poll, EPOLLIN);
}
