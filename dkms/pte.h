/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_PTE_H
#define USM_PTE_H

#include <linux/mm.h>
#include <linux/pgtable.h>

#include "compat/compat.h"

/*
 * One locked page table: 512 entries, the same window that a bucket describes.
 * Its lock is the bucket's lock while the mm lives.
 */
struct usm_table {
	pte_t *base;		/* entry of the window's first page */
	spinlock_t *lock;
};

/*
 * Lock the page table of addr. The caller holds the mmap lock or a VMA lock, so
 * that tables of the VMA are not freed. False: there is none.
 */
bool usm_table_lock(struct mm_struct *mm, unsigned long addr, struct usm_table *table);
/* The same where another table's lock is held. */
bool usm_table_lock_nested(struct mm_struct *mm, unsigned long addr, struct usm_table *table);
void usm_table_unlock(struct usm_table *table);
/* The same, made if need be; false: no memory. Sleeps. */
bool usm_table_lock_alloc(struct mm_struct *mm, unsigned long addr,
			  struct usm_table *table);

/* The same for the address of a fault, which has found where the table is or would be. */
bool usm_table_lock_fault(struct vm_fault *vmf, struct usm_table *table);
/* From addr to end, the first address that has a page table; or end. Locks as above. */
unsigned long usm_table_next(struct mm_struct *mm, unsigned long addr, unsigned long end);

static inline pte_t *usm_table_pte(struct usm_table *table, unsigned long addr)
{
	return table->base + pte_index(addr);
}

/*
 * Was the page accessed since the last time? As in reclaim on x86 nothing is flushed, so
 * a CPU that has the entry in its TLB is seen again when it has looked it up anew.
 * Table locked.
 */
static inline bool usm_pte_clear_young(pte_t *pte)
{
	return pte_young(*pte) &&
	       test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)&pte->pte);
}

/*
 * Map a page whose module reference the caller holds: takes the mapping's own
 * reference and map count. The caller accounts `*first` pages as mapped and one
 * page of rss each. Table locked; the entry is empty.
 */
enum usm_map { USM_MAP_OWN, USM_MAP_SHARED };

/* For a page that is the mm's own: writable where the VMA is. */
static inline pte_t usm_pte_own(pte_t entry, const struct vm_area_struct *vma)
{
	entry = pte_mkyoung(entry);
	return vma->vm_flags & VM_WRITE ? usm_pte_mkwrite_dirty(entry) : pte_mkdirty(entry);
}

/*
 * What to add to an entry's value for the page that follows in memory. The address in one
 * that no access may use (PROT_NONE) is kept inverted, against L1TF.
 */
static inline pteval_t usm_pte_step(pte_t entry)
{
	return pte_val(entry) & _PAGE_PRESENT ? PAGE_SIZE : -PAGE_SIZE;
}

void usm_pte_map(struct vm_area_struct *vma, unsigned long addr, pte_t *pte,
		 struct page *page, enum usm_map how, unsigned int *first);

#endif /* USM_PTE_H */
