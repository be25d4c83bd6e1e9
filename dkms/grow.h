/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_GROW_H
#define USM_GROW_H

#include "domain.h"

void usm_grow_init(struct usm_domain *domain);

/* The first block of a domain that is being bound; checks that it is charged. */
int usm_grow_first(struct usm_domain *domain);

/* Ask the worker for more frames; -ENOSPC: at the ceiling. Any process context. */
int usm_grow_ask(struct usm_domain *domain, u32 frames, int node);

/*
 * One frame now, claimed and zeroed, at any price that a page fault of stock
 * memory may pay: reclaim in the cgroup, and its OOM killer. -ENOSPC: at the
 * ceiling; -ENOMEM: the caller is being killed, or cannot be helped. `patient`: what is
 * left to others stays theirs and nobody is killed; -ENOMEM then says that one may wait.
 */
int usm_grow_one(struct usm_domain *domain, u32 *frame, bool patient);
/* The same where it costs nobody anything. */
int usm_grow_spare(struct usm_domain *domain, u32 *frame);

/* Give back FREE frames of a run; returns how many. Sleeps. */
u32 usm_grow_shrink(struct usm_domain *domain, u32 frame, u32 count,
		    enum usm_shrink_why why);
/* Give back up to `frames` of any, whole idle blocks first. Sleeps. */
u32 usm_grow_shrink_any(struct usm_domain *domain, u32 frames, enum usm_shrink_why why);

/* The last space is gone: return what stays free for a while. */
void usm_grow_tidy(struct usm_domain *domain);

#endif /* USM_GROW_H */
