/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place that knows that kernels differ. Each name below behaves the
 * same on every kernel; compat/Makefile finds which branch applies.
 */
#ifndef USM_COMPAT_H
#define USM_COMPAT_H

#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/swapops.h>

/* Add to the count of file pages of an mm; any context. */
static inline void usm_rss_add(struct mm_struct *mm, long pages)
{
#ifdef USM_HAVE_RSS_PERCPU
	percpu_counter_add(&mm->rss_stat[MM_FILEPAGES], pages);
#else
	atomic_long_add(pages, &mm->rss_stat.count[MM_FILEPAGES]);
#endif
}

/* Account pages of the page's node and memory cgroup as mapped. Not preemptible. */
static inline void usm_mapped_stat_add(struct page *page, int pages)
{
	__lruvec_stat_mod_folio(page_folio(page), NR_FILE_MAPPED, pages);
}

/* Unmap a range inside one VMA, flush, and tell the notifiers. */
static inline void usm_zap_range(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long size)
{
#ifndef USM_HAVE_ZAP_ALL
	zap_page_range_single(vma, addr, size, NULL);
#else
	zap_page_range(vma, addr, size);
#endif
}

/*
 * Writable, and dirty in the bit that the CPU would set: where it has set it nobody has to
 * flush before the entry is made clean. In this order, or an entry for reading
 * keeps its dirt in another bit (shadow stacks).
 */
static inline pte_t usm_pte_mkwrite_dirty(pte_t pte)
{
	pte = pte_mkclean(pte);
#ifdef USM_HAVE_PTE_NOVMA
	pte = pte_mkwrite_novma(pte);
#else
	pte = pte_mkwrite(pte);
#endif
	return pte_mkdirty(pte);
}

/* Who touches it has lost it. make_hwpoison_entry() wants the page locked. */
static inline pte_t usm_pte_hwpoison(struct page *page)
{
#ifdef CONFIG_MEMORY_FAILURE
	return swp_entry_to_pte(swp_entry(SWP_HWPOISON, page_to_pfn(page)));
#else
	return __pte(0);
#endif
}

/* Before changing a VMA under the mmap lock held for writing. */
static inline void usm_vma_start_write(struct vm_area_struct *vma)
{
#ifdef USM_HAVE_VMA_LOCK
	vma_start_write(vma);
#endif
}

/* Drop whichever lock the fault holds; the VMA may be gone afterwards. */
static inline void usm_fault_unlock(struct vm_fault *vmf)
{
#ifdef USM_HAVE_VMA_LOCK
	release_fault_lock(vmf);
#else
	mmap_read_unlock(vmf->vma->vm_mm);
#endif
}

/* The flags of the same fault when the mmap lock is held for it. */
static inline unsigned int usm_fault_flags_mmap(unsigned int flags)
{
#ifdef USM_HAVE_VMA_LOCK
	flags &= ~FAULT_FLAG_VMA_LOCK;
#endif
	return flags;
}

/* Has the current task locked the mm for writing? No function says by whom. */
static inline bool usm_mmap_write_owned(struct mm_struct *mm)
{
#ifdef CONFIG_PREEMPT_RT
	struct rwbase_rt *base = &mm->mmap_lock.rwbase;

	/* Bit 0 says that somebody waits. */
	return atomic_read(&base->readers) == WRITER_BIAS &&
	       ((unsigned long)READ_ONCE(base->rtmutex.owner) & ~1ul) == (unsigned long)current;
#else
	/* Bit 0 is set by readers, bit 1 says that nobody need spin for it. */
	return (atomic_long_read(&mm->mmap_lock.owner) & ~2ul) == (unsigned long)current;
#endif
}

/* In ->mmap, where the VMA is not visible yet. */
static inline void usm_vma_flags_change(struct vm_area_struct *vma,
					vm_flags_t set, vm_flags_t clear)
{
#ifdef USM_HAVE_VM_FLAGS_SET
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/* Where memory without a file would go. */
static inline unsigned long usm_get_unmapped_area(unsigned long addr, unsigned long len,
						  unsigned long pgoff, unsigned long flags)
{
#ifdef USM_HAVE_MM_UNMAPPED_AREA
	return mm_get_unmapped_area(current->mm, NULL, addr, len, pgoff, flags);
#else
	return current->mm->get_unmapped_area(NULL, addr, len, pgoff, flags);
#endif
}

/* item lies in a slab object that is charged to the memory cgroup meant. */
static inline bool usm_lru_add(struct list_lru *lru, struct list_head *item)
{
#ifdef USM_HAVE_LRU_OBJ
	return list_lru_add_obj(lru, item);
#else
	return list_lru_add(lru, item);
#endif
}

static inline bool usm_lru_del(struct list_lru *lru, struct list_head *item)
{
#ifdef USM_HAVE_LRU_OBJ
	return list_lru_del_obj(lru, item);
#else
	return list_lru_del(lru, item);
#endif
}

#endif /* USM_COMPAT_H */
