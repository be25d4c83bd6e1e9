/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_LIMBO_H
#define USM_LIMBO_H

#include <linux/list.h>
#include <linux/workqueue.h>

struct usm_domain;
struct usm_family;

/*
 * Frames that no slot names any more. The page tables' own references, I/O in
 * flight and pipes may still hold them; each becomes FREE when the module's
 * reference is the last. `pages` (`nr` of them) is emptied; the
 * family's inode outlives them. Any context that may take a spinlock.
 */
void usm_limbo_add(struct usm_domain *domain, struct usm_family *family,
		   struct usm_pages *pages, unsigned int nr);
void usm_limbo_work(struct work_struct *work);
/* Free now what can be freed; returns how many. Sleeps. */
unsigned int usm_limbo_flush(struct usm_domain *domain);

#endif /* USM_LIMBO_H */
