/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_DOMAIN_H
#define USM_DOMAIN_H

#include <linux/atomic.h>
#include <linux/cgroup.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <uapi/linux/usm.h>

#include "event.h"
#include "evict.h"
#include "stat.h"
#include "store.h"
#include "supply.h"
#include "upcall.h"

struct usm_block;
struct usm_port;

/* Frames in a row, in the order in which they were added; each names the next. */
struct usm_pages {
	struct page *first;
	struct page **last;		/* where the next one is to be named */
};

/*
 * Two counts. `ref` keeps the struct and what descriptors map. `users` keeps the
 * domain alive: one for the binding, one a space, one while frames are held by
 * somebody else; when it reaches zero the frames go back to the host.
 */
struct usm_domain {
	refcount_t ref;
	refcount_t users;
	struct rcu_work free_work;

	/* Constant after bind. */
	u64 id;
	struct cgroup *cgroup;		/* referenced; a key only, never followed */
	struct mem_cgroup *memcg;	/* its own; its css is referenced */
	char label[USM_LABEL_LEN];
	u32 capacity;			/* frames that blocks[] can name */
	struct usm_counts __percpu *counts;
	struct usm_supply __percpu *supply;

	/* Written under registry lock. */
	struct hlist_node node;		/* in the hash of bound domains; RCU */
	struct list_head list;		/* of all domains that are not gone */
	bool released;
	bool gone;

	/* Tunables; any value is valid at any time. */
	u32 ceiling;
	u64 reserve;
	u32 order;			/* the largest of: */
	u8 orders[USM_ORDER_SIZES];	/* by log2 of a mapping's pages */
	u32 deadline_ms;
	u32 mode;

	/* Who decides. */
	spinlock_t arm_lock;		/* armed, state, epoch */
	struct usm_port *armed;
	u32 state;			/* enum usm_fallback_why; read without lock */
	u64 epoch;
	unsigned long fell;		/* jiffies: when nobody was armed any more */
	atomic_t kicks;			/* stepped when a waiting fault should look again */
	wait_queue_head_t waiters;
	struct usm_events events;
	struct usm_upcalls upcalls;

	/* Frames. */
	struct mutex grow_lock;		/* structure of blocks */
	struct usm_block **blocks;	/* by frame >> 9; set once, release order */
	unsigned long *some_free;	/* bit n: block n may have a free frame */
	atomic_t pick_hint;		/* block to look into first in fallback */
	atomic64_t grow_wanted;
	int grow_node;
	bool limited;			/* growth failed and nothing was freed since */
	/* Clocks of want, in jiffies | 1, or 0; `seen` is when it was so last. */
	unsigned long starved;		/* nothing to be had: patience of the OOM killer */
	unsigned long starved_seen;
	unsigned long unfed;		/* frames, but not supplied: the deadline */
	unsigned long unfed_seen;
	u32 top;			/* blocks below which all memory is */
	struct work_struct grow_work;
	struct delayed_work tidy_work;	/* idle frames back to the host */

	/* Unmapped frames that somebody may still refer to. */
	spinlock_t limbo_lock;
	struct usm_pages limbo;
	unsigned long limbo_delay;	/* jiffies */
	unsigned long limbo_nr;		/* also those a flush looks at; not 0: a `users` */
	struct delayed_work limbo_work;

	struct usm_vault vault;
	struct usm_stores stores;

	/* Spaces. */
	spinlock_t space_lock;
	struct list_head spaces;
	atomic_t nr_spaces;
	atomic_t nr_exiting;		/* of them, whose mm has no users any more */
	u32 next_space;
	unsigned long oom_until;	/* jiffies; a victim is exiting */

	struct list_head lru;		/* in the shrinker's list */
	struct work_struct release_work;
	struct work_struct end_work;
};

extern struct workqueue_struct *usm_wq;

int usm_domain_init(void);
void usm_domain_uninit(void);

/* Returns a domain with a `ref` for the caller, or an error; may sleep. */
struct usm_domain *usm_domain_bind(const struct usm_bind *bind, struct cgroup *cgroup);
struct usm_domain *usm_domain_find(u64 id);
int usm_domain_release(u64 id);
int usm_domain_list(struct usm_list *list);

/* Nearest bound ancestor of the caller's cgroup; under rcu_read_lock(). */
struct usm_domain *usm_domain_current(void);

/*
 * Of each CPU the last cgroup that was looked up in vain, by its number, which no other
 * ever gets, and how many bindings there had been.
 */
struct usm_nobody {
	u64 cgroup;
	unsigned long bindings;
};

DECLARE_PER_CPU(struct usm_nobody, usm_nobody);
extern unsigned long usm_bindings;

/* Is the caller known to be in no domain? It is what all others pay, so it is short. */
static __always_inline bool usm_domain_none(void)
{
	const struct usm_nobody *nobody;
	bool none;

	/* Also for RCU, which keeps the cgroup. */
	preempt_disable_notrace();
	nobody = raw_cpu_ptr(&usm_nobody);
	none = rcu_dereference_raw(current->cgroups)->dfl_cgrp->self.serial_nr ==
	       nobody->cgroup && READ_ONCE(usm_bindings) == nobody->bindings;
	preempt_enable_notrace();
	return none;
}

static inline void usm_domain_get(struct usm_domain *domain)
{
	refcount_inc(&domain->ref);
}
void usm_domain_put(struct usm_domain *domain);

/* False when the domain is ending. */
static inline bool usm_domain_use(struct usm_domain *domain)
{
	return refcount_inc_not_zero(&domain->users);
}
void usm_domain_unuse(struct usm_domain *domain);

int usm_domain_arm(struct usm_domain *domain, struct usm_port *port, u64 *epoch);
/* No-op where port is not the armed one. */
void usm_domain_disarm(struct usm_domain *domain, struct usm_port *port,
		       enum usm_fallback_why why);
/* The instance armed as `epoch` missed a deadline; no-op where a later one is. */
void usm_domain_miss(struct usm_domain *domain, u64 epoch);
void usm_domain_kick(struct usm_domain *domain);

static inline bool usm_domain_armed(struct usm_domain *domain)
{
	return READ_ONCE(domain->state) == USM_FALLBACK_NONE;
}

/* By this descriptor, and in this arming? It stays so only under arm_lock. */
static inline bool usm_domain_armed_by(struct usm_domain *domain, struct usm_port *port,
				       u64 epoch)
{
	return READ_ONCE(domain->armed) == port && READ_ONCE(domain->epoch) == epoch;
}

#endif /* USM_DOMAIN_H */
