/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_EVICT_H
#define USM_EVICT_H

#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/siphash.h>
#include <linux/spinlock.h>
#include <uapi/linux/usm.h>

#include "core/window.h"

struct usm_bucket;
struct usm_domain;
struct usm_port;
struct usm_drop;
struct usm_eviction;
struct usm_space;

/*
 * Pages whose content the instance keeps. A slot that names one has
 * USM_SLOT_EVICTED and its number; slots of several spaces may, after a fork.
 * Numbers are used again, with another generation.
 */
struct usm_evicted_page {
	u64 tag;		/* keyed hash of the content */
	u32 epoch;		/* arming in which the instance was asked for it, */
	u32 since;		/* ... and when: jiffies; the low halves of both */
	u32 refs;		/* slots that name it */
	u32 frame;		/* USM_EVICTED_READY: holds the content */
	bool kept;		/* ... and so does the instance, which was asked to */
	bool homeless;		/* it came back, and there was no frame for it */
	u8 wrong;		/* times that it came back wrong */
	u8 asked;		/* armings that were asked for it in vain, and this one */
	bool bad;		/* nobody ever had it: the frame that held it is bad */
};

#define USM_NO_FRAME		U32_MAX

/* Spaces that may share a page which is evicted or aged; with more of them it stays. */
#define USM_SHARERS_MAX		32

#define USM_EVICTED_SHIFT	9
#define USM_EVICTED_BLOCK	(1u << USM_EVICTED_SHIFT)

struct usm_evicted_block {
	struct usm_evicted *shown;	/* one page, which user space may map */
	struct usm_evicted_page *page;	/* apart, so that no allocator has to round it up */
};

/* Of a domain. Once made, a block stays until the domain is freed. */
struct usm_vault {
	spinlock_t lock;		/* what pages say; shown, refs, frame */
	struct ida ids;
	u32 capacity;			/* pages at the most */
	struct usm_evicted_block **blocks;
	siphash_key_t key;
	void *staging;			/* usm_staging_size() bytes; NULL until mapped */
	struct mutex staging_lock;	/* one EVICT at a time, and none while one arms */
	struct usm_eviction *eviction;	/* that one; NULL until there is one */
};

int usm_vault_init(struct usm_vault *vault, u32 frames);
void usm_vault_uninit(struct usm_vault *vault);
size_t usm_vault_table_size(const struct usm_vault *vault);
/* The page of the table that shows block `index`; 0: none has been used there. */
unsigned long usm_vault_table_pfn(struct usm_vault *vault, u32 index);

/* Descriptors, then pages of content. */
size_t usm_staging_size(void);
size_t usm_staging_offset(void);
/* Made at the first call; NULL: no memory. */
void *usm_staging(struct usm_domain *domain);

static inline void *usm_staging_page(struct usm_vault *vault, u32 index)
{
	return vault->staging + usm_staging_offset() + ((size_t)index << PAGE_SHIFT);
}

/* Of a number that is in use. */
static inline struct usm_evicted_page *usm_evicted_page(struct usm_vault *vault, u32 number)
{
	return &vault->blocks[number >> USM_EVICTED_SHIFT]->page[number & (USM_EVICTED_BLOCK - 1)];
}

static inline struct usm_evicted *usm_evicted_shown(struct usm_vault *vault, u32 number)
{
	return &vault->blocks[number >> USM_EVICTED_SHIFT]->shown[number & (USM_EVICTED_BLOCK - 1)];
}

static inline u64 usm_evicted_key(struct usm_vault *vault, u32 number)
{
	return (u64)usm_evicted_shown(vault, number)->generation << 32 | number;
}

/* Of the content, for this key: what went out under another one is no answer. */
u64 usm_evicted_tag(struct usm_vault *vault, struct page *page, u64 key);
/* A number for a page that is going to be evicted, or an error. */
int usm_evicted_reserve(struct usm_domain *domain);
/* It was not. */
void usm_evicted_unreserve(struct usm_domain *domain, u32 number);
/* It is, with this content, and so many slots will name it. Returns its key. */
u64 usm_evicted_new(struct usm_domain *domain, u32 number, struct page *page, u32 refs);
/* It is lost with its frame, and so many slots will say so. Returns its key. */
u64 usm_evicted_new_bad(struct usm_domain *domain, u32 number, u32 refs);
/* A frame that held, or should have held, what was evicted is free. */
void usm_evicted_give_back(struct usm_domain *domain, u32 frame);
/* Nothing names it any more; frame: USM_NO_FRAME or the one that holds it. */
void usm_evicted_end(struct usm_domain *domain, u32 number, u64 key, u32 frame);

/* Commands; results as the uapi says. */
int usm_evict(struct usm_domain *domain, struct usm_port *port, u64 epoch,
	      const struct usm_command *cmd);
int usm_restore(struct usm_domain *domain, struct usm_port *port, u64 epoch,
		const struct usm_command *cmd);
int usm_lose(struct usm_domain *domain, struct usm_port *port, u64 epoch,
	     const struct usm_command *cmd);

/*
 * The frame's memory is bad: unmap the page that it holds, which is lost from then on.
 * Returns its key; 0: it holds none, or somebody holds it for a moment. Sleeps.
 */
u64 usm_evict_bad(struct usm_domain *domain, u32 frame);

/*
 * family.c: living spaces whose slot named the frame a moment ago, found by the `id` that
 * the table names: all of them or none, where nobody shares or lets go of it just now.
 * At most USM_SHARERS_MAX; the caller must put their mms.
 */
unsigned int usm_sharers_find(struct usm_domain *domain, u32 id, unsigned long page, u32 frame,
			      struct usm_space **found);

/* One slot more or less that names the page; put: table locked or mm gone. */
void usm_evicted_get(struct usm_domain *domain, u32 number);
void usm_evicted_put(struct usm_domain *domain, u32 number);

/* A fault on a page that was evicted. */
vm_fault_t usm_refault(struct vm_fault *vmf, struct usm_space *space,
		       struct usm_bucket *bucket, unsigned long page);

#endif /* USM_EVICT_H */
