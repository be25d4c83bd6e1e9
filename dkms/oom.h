/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_OOM_H
#define USM_OOM_H

#include <linux/types.h>

struct usm_domain;

/*
 * The domain is at its ceiling with every frame in use, and nobody made room.
 * Kill its largest process, as the cgroup's OOM killer would at memory.max; not
 * while an earlier victim is on its way out. Process context.
 */
void usm_oom_kill(struct usm_domain *domain);

/*
 * The domain keeps a store, so that eviction may make room, and there is patience
 * left for that.
 */
bool usm_oom_relief(struct usm_domain *domain);

#endif /* USM_OOM_H */
