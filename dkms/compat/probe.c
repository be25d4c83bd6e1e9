// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compiled, never linked: once for each capability, with its name defined. It
 * compiles where the kernel has it. "since" is the release that brought it.
 */
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>

void usm_probe(struct vm_area_struct *vma, struct mm_struct *mm);

void usm_probe(struct vm_area_struct *vma, struct mm_struct *mm)
{
#if defined(USM_HAVE_VMA_LOCK)			/* since 6.4 */
	vma_start_write(vma);
#elif defined(USM_HAVE_ZAP_ALL)			/* until 6.2; then only _single */
	zap_page_range(vma, 0, 0);
#elif defined(USM_HAVE_RSS_PERCPU)		/* since 6.2 */
	percpu_counter_add(&mm->rss_stat[0], 1);
#elif defined(USM_HAVE_PTE_NOVMA)		/* since 6.6 */
	(void)pte_mkwrite_novma(__pte(0));
#elif defined(USM_HAVE_SHRINKER_ALLOC)		/* since 6.7 */
	(void)shrinker_alloc(0, "x");
#elif defined(USM_HAVE_LRU_OBJ)			/* since 6.8 */
	(void)list_lru_add_obj(NULL, NULL);
#elif defined(USM_HAVE_VM_FLAGS_SET)		/* since 6.3 */
	vm_flags_clear(vma, 0);
#elif defined(USM_HAVE_MM_UNMAPPED_AREA)	/* since 6.10 */
	(void)mm_get_unmapped_area(mm, NULL, 0, 0, 0, 0);
#else
#error "which capability?"
#endif
}
