/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_SPACE_H
#define USM_SPACE_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "core/window.h"
#include "frame.h"

/*
 * The file that a process and its forks map. One inode, because a child's VMA is
 * inserted into the interval tree next to its parent's; two files, because VMAs
 * of a child whose copy failed must never merge with good ones. Counted by its
 * spaces and by every frame in limbo: page->mapping points into the inode.
 */
struct usm_family {
	atomic_long_t refs;
	struct file *file;
	struct file *broken;
};

/*
 * What a space knows of the pages of one page table. slot[n] names the frame that
 * holds the page, plus USM_SLOT_SET. Changed under the page table's lock, or with
 * the mmap lock held for writing, or when the mm is gone, by its reaper.
 */
struct usm_bucket {
	atomic_t used;			/* slots that are set */
	/* Copy-on-write: where it would go on, and how many pages it took last. */
	u16 cow_next;
	u16 cow_run;
	/* The same of pages that come back. */
	u16 back_next;
	u16 back_run;
	/* fork only: was shared once, and is not known to be ours alone again. */
	DECLARE_BITMAP(clean, USM_WINDOW_PAGES);
	u32 slot[USM_WINDOW_PAGES];
};

#define USM_SLOT_SET_BIT 31
#define USM_SLOT_SET	(1u << USM_SLOT_SET_BIT)
/* The entry is empty for a moment, the page is not: wait for it. */
#define USM_SLOT_BUSY	(1u << 30)
/* Busy, and somebody discards the page: what follows must not bring it back. */
#define USM_SLOT_DROPPED (1u << 29)
/* The page is with the instance: its number instead of a frame. */
#define USM_SLOT_EVICTED (1u << 28)
#define USM_SLOT_FRAME	(USM_SLOT_EVICTED - 1)

static_assert(USM_MAX_FRAMES - 1 <= USM_SLOT_FRAME);
static_assert(USM_MAX_EVICTED - 1 <= USM_SLOT_FRAME);

struct usm_space {
	struct mmu_notifier notifier;	/* holds the mm; its callbacks find us */
	struct hlist_node node;		/* by mm; RCU */
	struct list_head list;		/* of the domain's spaces */
	struct mm_struct *mm;
	struct usm_domain *domain;	/* a use of it, dropped by the reaper */
	struct usm_family *family;
	struct xarray buckets;		/* by page number >> USM_WINDOW_SHIFT */
	u64 cookie;			/* no other space ever had it */
	u32 id;
	u32 tag;			/* of its pages' index; unique among the living */
	bool broken;			/* a fork into it failed: faults are SIGBUS */
	bool cow;			/* its VMAs have the copy-on-write operations */
	bool guarded;			/* forked where guard regions were: no VMA says so */
	u32 forks;			/* VMAs that were copied; mmap lock, for writing */
	bool watched;			/* others have, or had, notifiers in the mm */
	bool exiting;			/* the mm's last user is gone */
	bool reaping;			/* and no callback of its notifier runs any more */
	/*
	 * mremap in progress, [move_start, move_end) is where from. Written with
	 * the mmap lock held for writing.
	 */
	struct task_struct *move_task;
	unsigned long move_start;
	unsigned long move_end;
	unsigned long move_to;		/* address of the new VMA */
	struct vm_area_struct *move_vma;	/* the same; a key only */
	bool move_seen;			/* the notifier said what moved */
	/* Tasks that unmap and will map again: their notifier calls are ours. */
	spinlock_t zap_lock;
	struct list_head zaps;
	/* Others' unmaps under way, and the pages between which they are. */
	unsigned int clears;
	unsigned long clear_first;
	unsigned long clear_end;
	unsigned long reap_delay;	/* jiffies */
	unsigned int settle;		/* ticks since its slots were dropped */
	struct delayed_work reap_work;
	struct delayed_work unshare_work;
	unsigned int unshare_tries;
	struct rcu_head rcu;
};

int usm_space_init(void);
void usm_space_uninit(void);

/* The file that stands for any space until ->mmap has made one. */
extern struct file *usm_template;

/* Under rcu_read_lock(), or where the mm cannot exit. */
struct usm_space *usm_space_find(struct mm_struct *mm);

/*
 * A space for the mm, whose mmap lock is held for writing. family: of the
 * parent, or NULL for a new one. Sleeps.
 */
struct usm_space *usm_space_new(struct usm_domain *domain, struct mm_struct *mm,
				struct usm_family *family);

/* A living space by its number, whose mm the caller must mmput(); or NULL. */
struct usm_space *usm_space_get(struct usm_domain *domain, u32 id);

struct usm_bucket *usm_space_bucket(struct usm_space *space, unsigned long page);
/* The same, made if need be; NULL: no memory. Sleeps. */
struct usm_bucket *usm_space_bucket_make(struct usm_space *space, unsigned long page);

static inline u32 *usm_bucket_slot(struct usm_bucket *bucket, unsigned long page)
{
	return &bucket->slot[page & (USM_WINDOW_PAGES - 1)];
}

/* Frames on their way to limbo. */
struct usm_drop {
	struct usm_space *space;
	struct usm_pages pages;
	unsigned int nr;
};

/* A zap of ours, for as long as it takes; on the caller's stack. */
struct usm_zap {
	struct list_head list;
	struct task_struct *task;
};

/* Unmap [addr, addr + size) of the VMA; its slots are busy and stay set. */
void usm_space_zap(struct usm_space *space, struct vm_area_struct *vma,
		   unsigned long addr, unsigned long size);

/* Is the page in a range that somebody else is unmapping now? */
bool usm_space_clearing(struct usm_space *space, unsigned long page);
void usm_space_clearing_wait(struct usm_space *space, unsigned long page);

struct usm_table;
/*
 * Lock the page table of busy or evicted pages when nobody is unmapping any of
 * them: what was dropped until then is marked so. Sleeps.
 */
void usm_space_lock_settled(struct usm_space *space, unsigned long page,
			    unsigned int count, struct usm_table *table);

/*
 * Fill an empty slot with a frame that it shares or owns alone, or with
 * USM_SLOT_EVICTED and a number.
 */
void usm_slot_fill(struct usm_space *space, struct usm_bucket *bucket, unsigned long page,
		   u32 frame);
/* Empty a slot; its frame goes to `drop` when no other slot names it. */
void usm_slot_drop(struct usm_bucket *bucket, unsigned long page, struct usm_drop *drop);
static inline void usm_drop_init(struct usm_drop *drop, struct usm_space *space)
{
	drop->space = space;
	drop->nr = 0;
	usm_pages_init(&drop->pages);
}
/* Without the page table's lock. */
void usm_drop_finish(struct usm_drop *drop);

/* ->open in copy_vma() and ->mremap: pages keep their frames at a new address. */
void usm_space_move_begin(struct usm_space *space, struct vm_area_struct *vma);
int usm_space_move_end(struct usm_space *space, struct vm_area_struct *vma);

/* page->index: unique per space and page, for shared futexes. */
static inline pgoff_t usm_space_index(struct usm_space *space, unsigned long page)
{
	return ((pgoff_t)space->tag << 44) | page;
}

static inline struct usm_family *usm_page_family(struct page *page)
{
	return page->mapping->host->i_private;
}

static inline void usm_family_get_many(struct usm_family *family, long nr)
{
	atomic_long_add(nr, &family->refs);
}
void usm_family_put_many(struct usm_family *family, long nr);

/*
 * unshare.c: a space is gone, with what it shared; those of its family that share
 * nothing any more get their plain operations back, soon.
 */
void usm_unshare_family(struct usm_space *gone);
void usm_unshare_work(struct work_struct *work);

enum usm_sigbus_why {
	USM_SIGBUS_FORK,	/* its fork could not copy all pages */
	USM_SIGBUS_NOBODY,	/* an evicted page, and nobody has it */
	USM_SIGBUS_WRONG,	/* an evicted page is lost */
};

/* Log and count a fault that cannot be answered; returns VM_FAULT_SIGBUS. */
vm_fault_t usm_space_sigbus(struct usm_space *space, enum usm_sigbus_why why);

#endif /* USM_SPACE_H */
