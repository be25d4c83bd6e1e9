/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_UPCALL_H
#define USM_UPCALL_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <uapi/linux/usm.h>

struct usm_domain;
struct usm_fault;
struct usm_port;
struct vm_fault;

#define USM_UPCALL_BUCKETS	64

/* The faults that wait for the instance's answer, and those that wait for them. */
struct usm_upcalls {
	spinlock_t lock;		/* all below, and what each waits for */
	struct hlist_head buckets[USM_UPCALL_BUCKETS];	/* by space and aligned run */
	struct list_head asked;		/* those that ask, the oldest first */
	u64 next;			/* number of the next one */
	struct delayed_work late;	/* at a deadline of one of them, or before it */
};

void usm_upcalls_init(struct usm_upcalls *upcalls);

/*
 * Ask the instance for the pages of fault->window, and map what it gives. The locks of
 * the fault are gone when this returns; what the fault returns.
 */
vm_fault_t usm_upcall(struct vm_fault *vmf, struct usm_fault *fault);

/* USM_CMD_RESOLVE and USM_CMD_REPEAT: result of the command. */
int usm_upcall_resolve(struct usm_domain *domain, struct usm_port *port,
		       const struct usm_command *cmd);
int usm_upcall_repeat(struct usm_domain *domain, struct usm_port *port);

/* None that waits does so any longer. */
void usm_upcall_dismiss(struct usm_domain *domain);
/* The deadline is another. */
void usm_upcall_hurry(struct usm_domain *domain);

static inline bool usm_upcalls_waiting(const struct usm_upcalls *upcalls)
{
	return unlikely(!list_empty_careful(&upcalls->asked));
}

#endif /* USM_UPCALL_H */
