/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_EVENT_H
#define USM_EVENT_H

#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <uapi/linux/usm.h>

struct usm_domain;
struct usm_port;

struct usm_events {
	spinlock_t lock;		/* head; the ring's contents */
	struct usm_ring *ring;		/* shared: written by both sides */
	u32 entries;			/* ours, as are those below; the ring has copies */
	u32 head;
	u32 top;
	u32 evicted_top;
	wait_queue_head_t poll;
	/* USM_SUBMIT_WAIT: who waits, under the lock, and until when. */
	struct task_struct *waiter;
	struct delayed_work late;
	bool expired;
};

/* Of a domain of so many frames. */
int usm_events_init(struct usm_events *events, u32 frames);
void usm_events_uninit(struct usm_events *events);
void usm_events_reset(struct usm_events *events);
/* The table is worth reading up to here; never less than before. */
void usm_events_top(struct usm_events *events, u32 frames);
void usm_events_evicted_top(struct usm_events *events, u32 numbers);
bool usm_events_pending(struct usm_events *events);
/* Whoever polls or waits looks again: nobody is armed any more. */
void usm_events_hang_up(struct usm_events *events);
/*
 * Until there is an event, the port is not the armed one, or a time that is never
 * longer than timeout, in jiffies; 0: for ever. 0, -EINTR or -EBUSY.
 */
int usm_events_wait(struct usm_domain *domain, struct usm_port *port, unsigned long timeout);
size_t usm_events_size(const struct usm_events *events);

/* Process context; takes a spinlock. Dropped where nobody is armed to read it. */
void usm_event_put(struct usm_domain *domain, const struct usm_event *event);
/* Wakes nobody, for what can wait until there is something else to be read. */
void usm_event_put_quietly(struct usm_domain *domain, const struct usm_event *event);

static inline void usm_event_post(struct usm_domain *domain, enum usm_event_type type,
				  u32 space, u64 page, u32 frame, u32 count, u64 arg)
{
	usm_event_put(domain, &(struct usm_event){
		.type = type,
		.space = space,
		.page = page,
		.frame = frame,
		.count = count,
		.arg = arg,
	});
}

#endif /* USM_EVENT_H */
