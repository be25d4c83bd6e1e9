/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_SHRINK_H
#define USM_SHRINK_H

#include <linux/slab.h>

struct usm_domain;

int usm_shrink_init(void);
void usm_shrink_uninit(void);

/* An object of the cache that may be listed for the active memory cgroup. */
void *usm_shrink_alloc(struct kmem_cache *cache);
/* Under the registry lock; the domain gives free frames back to reclaim. */
void usm_shrink_add(struct usm_domain *domain);
void usm_shrink_remove(struct usm_domain *domain);

#endif /* USM_SHRINK_H */
