// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guard regions (MADV_GUARD_INSTALL): marks in page table entries, for which whoever
 * touches the page gets SIGSEGV.
 */
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/sched.h>

#include "compat/compat.h"
#include "fault.h"
#include "guard.h"
#include "pte.h"
#include "space.h"

#ifdef USM_HAVE_VM_GUARD
/* The page that had no entry is discarded. Table locked. */
static void usm_guard_discard(struct usm_space *space, unsigned long page, struct usm_drop *drop)
{
	struct usm_bucket *bucket = usm_space_bucket(space, page);
	u32 *slot = bucket ? usm_bucket_slot(bucket, page) : NULL;

	if (!slot || !(*slot & USM_SLOT_SET))
		return;
	/* Who has unmapped it for a moment sees this before it maps it again. */
	if (*slot & USM_SLOT_BUSY)
		WRITE_ONCE(*slot, *slot | USM_SLOT_DROPPED);
	else
		usm_slot_drop(bucket, page, drop);
}

/* 0, -ENOMEM, or more: a page is there and has to be unmapped first. */
static int usm_guard_window(struct mm_walk *walk, unsigned long addr, unsigned long end,
			    struct usm_drop *drop)
{
	struct usm_table table;
	int err = 0;

	if (!usm_table_lock_alloc(walk->mm, addr, &table))
		return -ENOMEM;
	for (; addr < end && !err; addr += PAGE_SIZE) {
		pte_t *pte = usm_table_pte(&table, addr), mark;

		if (!pte_none(*pte)) {
			err = walk->ops->pte_entry(pte, addr, addr + PAGE_SIZE, walk);
			continue;
		}
		err = walk->ops->install_pte(addr, addr + PAGE_SIZE, &mark, walk);
		if (err)
			break;
		usm_guard_discard(drop->space, addr >> PAGE_SHIFT, drop);
		set_pte_at(walk->mm, addr, pte, mark);
		update_mmu_cache(walk->vma, addr, pte);
	}
	usm_table_unlock(&table);
	return err;
}

/*
 * walk_page_range_vma_unsafe() for our VMAs. The kernel's own finds no page in an entry
 * that is empty, and writes the mark without a word to anybody. But a page that is evicted has
 * none either, nor has one that is about to be mapped again: their content would be
 * back when the mark goes. The caller's lock keeps the VMA, and with it the module.
 */
static int usm_guard_walk(struct vm_area_struct *vma, unsigned long addr, unsigned long end,
			  const struct mm_walk_ops *ops, void *private)
{
	struct mm_walk walk = {
		.ops = ops,
		.mm = vma->vm_mm,
		.vma = vma,
		.private = private,
	};
	struct usm_drop drop;
	unsigned long next;
	int err = 0;

	if (addr >= end || addr < vma->vm_start || end > vma->vm_end)
		return -EINVAL;
	usm_drop_init(&drop, usm_vma_space(vma));
	for (; addr < end && !err; addr = next) {
		next = pmd_addr_end(addr, end);
		err = usm_guard_window(&walk, addr, next, &drop);
		cond_resched();
	}
	usm_drop_finish(&drop);
	return err;
}

/* Atomic context. Of an mm, the caller's range lies in one VMA. */
void *usm_guard_instead(struct usm_hook_args *args, bool of_mm)
{
	const struct mm_walk_ops *ops = (const struct mm_walk_ops *)args->arg[USM_WALK_OPS];
	struct vm_area_struct *vma = (struct vm_area_struct *)args->arg[USM_WALK_WHERE];

	if (!ops->install_pte)
		return NULL;
	if (of_mm)
		vma = find_vma((struct mm_struct *)args->arg[USM_WALK_WHERE],
			       args->arg[USM_WALK_START]);
	if (!vma || (vma->vm_ops != &usm_vm_ops_plain && vma->vm_ops != &usm_vm_ops_cow))
		return NULL;
	args->arg[USM_WALK_WHERE] = (unsigned long)vma;
	return usm_guard_walk;
}
#else
void *usm_guard_instead(struct usm_hook_args *args, bool of_mm)
{
	return NULL;
}
#endif

/* ------------------------------------------------------------------------- fork */

/* Does any entry of the table hold a mark? The parent has it to itself. */
static bool usm_guard_any(struct mm_struct *mm, unsigned long addr, unsigned long end)
{
	struct usm_table table;
	bool any = false;

	if (!usm_table_lock(mm, addr, &table))
		return false;
	for (; addr < end && !any; addr += PAGE_SIZE)
		any = usm_pte_guard(*usm_table_pte(&table, addr));
	usm_table_unlock(&table);
	return any;
}

static bool usm_guard_copy_table(struct mm_struct *from, struct mm_struct *to,
				 unsigned long addr, unsigned long end)
{
	struct usm_table table, old;

	if (!usm_table_lock_alloc(to, addr, &table))
		return false;
	if (usm_table_lock_nested(from, addr, &old)) {
		for (; addr < end; addr += PAGE_SIZE) {
			pte_t mark = *usm_table_pte(&old, addr);

			if (usm_pte_guard(mark))
				set_pte_at(to, addr, usm_table_pte(&table, addr), mark);
		}
		usm_table_unlock(&old);
	}
	usm_table_unlock(&table);
	return true;
}

bool usm_guard_copy(struct mm_struct *from, struct mm_struct *to, unsigned long addr,
		    unsigned long end)
{
	unsigned long next;

	while ((addr = usm_table_next(from, addr, end)) < end) {
		next = pmd_addr_end(addr, end);
		if (usm_guard_any(from, addr, next) &&
		    !usm_guard_copy_table(from, to, addr, next))
			return false;
		addr = next;
		cond_resched();
	}
	return true;
}
