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
#include <linux/userfaultfd_k.h>
#ifdef USM_HAVE_PTE_LEAF
#include <linux/leafops.h>
#endif

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
#ifdef USM_HAVE_STAT_RAW
	__lruvec_stat_mod_folio(page_folio(page), NR_FILE_MAPPED, pages);
#else
	lruvec_stat_mod_folio(page_folio(page), NR_FILE_MAPPED, pages);
#endif
}

/* Unmap a range inside one VMA, flush, and tell the notifiers. */
static inline void usm_zap_range(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long size)
{
#if defined(USM_HAVE_ZAP_VMA)
	zap_vma_range(vma, addr, size);
#elif !defined(USM_HAVE_ZAP_ALL)
	zap_page_range_single(vma, addr, size, NULL);
#else
	zap_page_range(vma, addr, size);
#endif
}

/* Who unmaps its pages need not note that they were used: nobody asks. Since 6.3. */
static inline void usm_file_set_noreuse(struct file *file)
{
#ifdef FMODE_NOREUSE
	file->f_mode |= FMODE_NOREUSE;
#endif
}

/* Where the page lies in its mapping. */
static inline void usm_page_set_index(struct page *page, pgoff_t index)
{
#ifdef USM_HAVE_PAGE_INDEX
	page->index = index;
#else
	page->__folio_index = index;
#endif
}

/* No page: nothing, or a mark that says why. */
static inline bool usm_pte_empty(pte_t pte)
{
#ifdef USM_HAVE_PTE_LEAF
	return pte_none(pte) || pte_is_marker(pte);
#else
	return pte_none_mostly(pte);
#endif
}

/* MADV_GUARD_INSTALL: whoever touches it gets SIGSEGV, and its content is gone. */
static inline bool usm_pte_guard(pte_t pte)
{
#ifdef USM_HAVE_VM_GUARD
	return !pte_none(pte) && softleaf_is_guard_marker(softleaf_from_pte(pte));
#else
	return false;
#endif
}

/* Could a page be mapped here? */
static inline bool usm_pte_vacant(pte_t pte)
{
	return usm_pte_empty(pte) && !usm_pte_guard(pte);
}

/* A userfaultfd wants to know who touches it. */
static inline bool usm_pte_uffd(pte_t pte)
{
#ifdef USM_HAVE_PTE_UFFD
	return pte_uffd(pte);
#else
	return pte_uffd_wp(pte);
#endif
}

static inline pte_t usm_pte_clear_uffd(pte_t pte)
{
#ifdef USM_HAVE_PTE_UFFD
	return pte_clear_uffd(pte);
#else
	return pte_clear_uffd_wp(pte);
#endif
}

/* With which copy_page_range() of fork() copies the page tables of a shared mapping. */
#ifdef USM_HAVE_VM_GUARD
#define USM_VM_COPIED	(__VM_UFFD_FLAGS | VM_MAYBE_GUARD)
#else
#define USM_VM_COPIED	__VM_UFFD_FLAGS
#endif

/* May a guard region be in it? */
static inline bool usm_vma_guarded(const struct vm_area_struct *vma)
{
#ifdef USM_HAVE_VM_GUARD
	return vma->vm_flags & VM_MAYBE_GUARD;
#else
	return false;
#endif
}

/* Was any page of it ever pinned? */
static inline bool usm_mm_has_pinned(struct mm_struct *mm)
{
#ifdef USM_HAVE_MM_FLAGS
	return mm_flags_test(MMF_HAS_PINNED, mm);
#else
	return test_bit(MMF_HAS_PINNED, &mm->flags);
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
#if defined(USM_HAVE_MM_UNMAPPED_AREA_OWN)
	return mm_get_unmapped_area(NULL, addr, len, pgoff, flags);
#elif defined(USM_HAVE_MM_UNMAPPED_AREA)
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

/* One of an lru's lists, with what looks at an item of it. */
#ifdef USM_HAVE_LRU_WALK_LOCK
#define USM_LRU_WALK(name, item, data)						\
	enum lru_status name(struct list_head *item, struct list_lru_one *list,	\
			     spinlock_t *lock, void *data)
#else
#define USM_LRU_WALK(name, item, data)						\
	enum lru_status name(struct list_head *item, struct list_lru_one *list,	\
			     void *data)
#endif

static inline bool usm_lru_del(struct list_lru *lru, struct list_head *item)
{
#ifdef USM_HAVE_LRU_OBJ
	return list_lru_del_obj(lru, item);
#else
	return list_lru_del(lru, item);
#endif
}

#endif /* USM_COMPAT_H */
