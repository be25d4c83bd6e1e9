/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_FAULT_H
#define USM_FAULT_H

#include <linux/mm.h>

#include "core/window.h"
#include "domain.h"

struct usm_bucket;
struct usm_space;
struct usm_table;

extern const struct file_operations usm_space_fops;
extern const struct file_operations usm_template_fops;	/* the same, without owner */
extern const struct vm_operations_struct usm_vm_ops_plain;
extern const struct vm_operations_struct usm_vm_ops_cow;
extern const struct vm_operations_struct usm_vm_ops_broken;

/* Of a VMA that is adopted and not broken; NULL otherwise. */
struct usm_space *usm_vma_space(struct vm_area_struct *vma);

/*
 * One claimed frame to copy into, for a caller that cannot wait for the instance:
 * a supplied one, any free one, or a new one at the price of a stock fault. It
 * counts as dirty. False: no memory; at the ceiling, with may_kill, somebody was
 * chosen to make room.
 */
bool usm_frame_get_now(struct usm_domain *domain, u32 *frame, bool may_kill);
/* The same at no price: who can make room otherwise comes first. */
bool usm_frame_get_spare(struct usm_domain *domain, u32 *frame);

/* A fault finds nothing to be had, or found something again. */
void usm_fault_starve(struct usm_domain *domain);
static inline void usm_fault_fed(struct usm_domain *domain)
{
	if (unlikely(READ_ONCE(domain->starved)))
		WRITE_ONCE(domain->starved, 0);
	if (unlikely(READ_ONCE(domain->unfed)))
		WRITE_ONCE(domain->unfed, 0);
}

/* What a fault waits for. */
enum usm_wait_why { USM_WAIT_SUPPLY, USM_WAIT_FREED, USM_WAIT_REFAULT, USM_WAIT_UPCALL };

/* May its lock go, to be tried again? */
bool usm_fault_may_wait(struct vm_fault *vmf);

/* How it sleeps. Who faults within the kernel may have locks: it is not frozen with them. */
static inline unsigned int usm_fault_freezable(const struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_USER ? TASK_FREEZABLE : 0;
}

/* Runs that one fault's frames may come in; fewer frames are mapped otherwise. */
#define USM_FAULT_RUNS	8

/* One first touch. */
struct usm_fault {
	struct usm_space *space;
	struct usm_domain *domain;
	struct usm_bucket *bucket;
	struct usm_window window;
	unsigned long page;		/* that faulted */
	unsigned int nr_runs;
	unsigned int run;		/* the frames before `taken` of it are mapped */
	u32 taken;
	bool last;			/* what it got nobody supplied: the want goes on */
	bool chosen;			/* for this page, and those around it in turn */
	struct usm_run runs[USM_FAULT_RUNS];
};

/* Pages of the window without a frame, as a hint: at least the faulting one. */
/* The pages around this one that a fault in the mapping maps. */
static inline struct usm_window usm_fault_window(const struct usm_domain *domain,
						 const struct vm_area_struct *vma,
						 unsigned long page)
{
	unsigned long start = vma->vm_start >> PAGE_SHIFT, end = vma->vm_end >> PAGE_SHIFT;
	unsigned int size = min(__fls(end - start), USM_ORDER_SIZES - 1ul);

	return usm_window_around(page, READ_ONCE(domain->orders[size]), start, end);
}

unsigned int usm_fault_want(const struct usm_fault *fault);

/*
 * Claim one frame without asking anybody: any that is free, or what can be had at last.
 * 0, or what the fault returns; with VM_FAULT_RETRY it has waited and its lock is gone.
 */
vm_fault_t usm_fault_claim_any(struct vm_fault *vmf, struct usm_fault *fault);

/* Map what was claimed, and give back what was not needed. VM_FAULT_NOPAGE or _OOM. */
vm_fault_t usm_fault_finish(struct vm_fault *vmf, struct usm_fault *fault);
void usm_fault_unclaim(struct usm_fault *fault);

/*
 * Pages that one task maps into empty entries and slots of one locked table, each with a
 * claimed frame that is marked dirty: what they have in common, and what is not
 * accounted yet.
 */
struct usm_batch {
	struct vm_area_struct *vma;
	struct usm_space *space;
	struct usm_bucket *bucket;
	struct address_space *mapping;
	pgprot_t prot;
	unsigned int nr;
	struct page *page;		/* one of `same` pages of a node */
	unsigned int same;
};

void usm_batch_begin(struct usm_batch *batch, struct vm_area_struct *vma, struct usm_space *space,
		   struct usm_bucket *bucket);
void usm_batch_page(struct usm_batch *batch, unsigned long page, u32 frame, pte_t *pte);
/* Unlocks the table. */
void usm_batch_end(struct usm_batch *batch, struct usm_table *table);

/* All of that for one page. */
void usm_frame_map_alone(struct vm_area_struct *vma, struct usm_space *space,
			 struct usm_bucket *bucket, unsigned long page, u32 frame,
			 struct usm_table *table);

/* cow.c */
vm_fault_t usm_cow_mkwrite(struct vm_fault *vmf);
/* What a fault returns that got no frame and cannot wait for one. */
vm_fault_t usm_cow_no_frame(struct usm_space *space);
/* Wait until no slot of the page is busy; no spinlock held. */
void usm_cow_wait(u32 *slot);
void usm_cow_wake(u32 *slot);
/*
 * Does nobody else have the page of this entry, of which `refs` references are known?
 * Table locked.
 */
bool usm_cow_exclusive(struct page *page, pte_t pte, int refs);
/* fork.c */
void usm_fork_vma(struct usm_space *parent, struct vm_area_struct *vma);
/* Nothing is shared any more. The mmap lock is held for writing. */
void usm_space_set_plain(struct usm_space *space);

#endif /* USM_FAULT_H */
