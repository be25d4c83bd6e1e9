// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compiled, never linked: once for each capability, with its name defined. It
 * compiles where the kernel has it. "since" is the release that brought it.
 */
#include <linux/ftrace.h>
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#ifdef USM_HAVE_PTE_LEAF
#include <linux/swap.h>
#include <linux/leafops.h>
#endif

#ifdef USM_HAVE_LRU_WALK_LOCK
static enum lru_status usm_probe_lru(struct list_head *item, struct list_lru_one *list,
				     spinlock_t *lock, void *data)
{
	return LRU_SKIP;
}
#endif

void usm_probe(struct vm_area_struct *vma, struct mm_struct *mm);

void usm_probe(struct vm_area_struct *vma, struct mm_struct *mm)
{
#if defined(USM_HAVE_VMA_LOCK)			/* since 6.4 */
	vma_start_write(vma);
#elif defined(USM_HAVE_ZAP_ALL)			/* until 6.2; then only _single */
	zap_page_range(vma, 0, 0);
#elif defined(USM_HAVE_ZAP_VMA)			/* since 7.1, for zap_page_range_single() */
	zap_vma_range(vma, 0, 0);
#elif defined(USM_HAVE_RSS_PERCPU)		/* since 6.2 */
	percpu_counter_add(&mm->rss_stat[0], 1);
#elif defined(USM_HAVE_PTE_NOVMA)		/* since 6.6 */
	(void)pte_mkwrite_novma(__pte(0));
#elif defined(USM_HAVE_PTE_LEAF)		/* since 6.19, for pte_none_mostly() */
	(void)pte_is_marker(__pte(0));
#elif defined(USM_HAVE_PTE_UFFD)		/* since 7.3, for pte_uffd_wp() */
	(void)pte_uffd(__pte(0));
#elif defined(USM_HAVE_SHRINKER_ALLOC)		/* since 6.7 */
	(void)shrinker_alloc(0, "x");
#elif defined(USM_HAVE_LRU_OBJ)			/* since 6.8 */
	(void)list_lru_add_obj(NULL, NULL);
#elif defined(USM_HAVE_LRU_WALK_LOCK)		/* until 6.12 */
	list_lru_walk_one(NULL, 0, NULL, usm_probe_lru, NULL, NULL);
#elif defined(USM_HAVE_VM_FLAGS_SET)		/* since 6.3 */
	vm_flags_clear(vma, 0);
#elif defined(USM_HAVE_MM_UNMAPPED_AREA)	/* since 6.10 */
	(void)mm_get_unmapped_area(mm, NULL, 0, 0, 0, 0);
#elif defined(USM_HAVE_MM_UNMAPPED_AREA_OWN)	/* since 6.19; of the current mm */
	(void)mm_get_unmapped_area(NULL, 0, 0, 0, 0);
#elif defined(USM_HAVE_MM_FLAGS)		/* since 6.18 */
	(void)mm_flags_test(0, mm);
#elif defined(USM_HAVE_STAT_RAW)		/* until 6.19 */
	__lruvec_stat_mod_folio(NULL, 0, 0);
#elif defined(USM_HAVE_PAGE_INDEX)		/* until 6.17 */
	((struct page *)NULL)->index = 0;
#elif defined(USM_HAVE_VM_GUARD)		/* since 6.19: guard regions in mappings of files */
	vma->vm_pgoff = VM_MAYBE_GUARD;
#elif defined(USM_HAVE_FTRACE_REGS_ARCH)	/* since 6.13, and in some 6.12 */
	(void)arch_ftrace_regs((struct ftrace_regs *)NULL);
#else
#error "which capability?"
#endif
}
