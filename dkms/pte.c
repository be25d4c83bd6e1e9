// SPDX-License-Identifier: GPL-2.0-only
#include "pte.h"

static pmd_t *usm_pmd(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (pud_none(READ_ONCE(*pud)) || pud_leaf(READ_ONCE(*pud)))
		return NULL;
	return pmd_offset(pud, addr);
}

unsigned long usm_table_next(struct mm_struct *mm, unsigned long addr, unsigned long end)
{
	while (addr < end) {
		pgd_t *pgd = pgd_offset(mm, addr);
		p4d_t *p4d = pgd_none(*pgd) ? NULL : p4d_offset(pgd, addr);
		pud_t *pud = !p4d || p4d_none(*p4d) ? NULL : pud_offset(p4d, addr);
		pmd_t *pmd = !pud || pud_none(*pud) || pud_leaf(*pud) ? NULL :
			     pmd_offset(pud, addr);

		if (!p4d)
			addr = pgd_addr_end(addr, end);
		else if (!pud)
			addr = p4d_addr_end(addr, end);
		else if (!pmd)
			addr = pud_addr_end(addr, end);
		else if (pmd_present(*pmd) && !pmd_leaf(*pmd))
			return addr;
		else
			addr = pmd_addr_end(addr, end);
	}
	return end;
}

static __always_inline bool usm_table_lock_pmd(struct mm_struct *mm, pmd_t *pmd,
					       struct usm_table *table, int subclass)
{
	pmd_t value;

	/* The caller's lock of the mm, of a VMA or of its rmap keeps the table. */
	rcu_read_lock();
	value = READ_ONCE(*pmd);
	if (pmd_none(value) || !pmd_present(value) || pmd_leaf(value)) {
		rcu_read_unlock();
		return false;
	}
	table->lock = pte_lockptr(mm, &value);
	spin_lock_nested(table->lock, subclass);
	if (unlikely(!pmd_same(value, READ_ONCE(*pmd)))) {
		spin_unlock(table->lock);
		rcu_read_unlock();
		return false;
	}
	rcu_read_unlock();
	/* For sparse, which does not understand a lock that is held if we say so. */
	__release(table->lock);
	table->base = (pte_t *)pmd_page_vaddr(value);
	return true;
}

static bool usm_table_lock_class(struct mm_struct *mm, unsigned long addr,
				 struct usm_table *table, int subclass)
{
	pmd_t *pmd = usm_pmd(mm, addr);

	return pmd && usm_table_lock_pmd(mm, pmd, table, subclass);
}

bool usm_table_lock(struct mm_struct *mm, unsigned long addr, struct usm_table *table)
{
	return usm_table_lock_class(mm, addr, table, 0);
}

bool usm_table_lock_nested(struct mm_struct *mm, unsigned long addr, struct usm_table *table)
{
	return usm_table_lock_class(mm, addr, table, SINGLE_DEPTH_NESTING);
}

void usm_table_unlock(struct usm_table *table)
{
	__acquire(table->lock);
	spin_unlock(table->lock);
}

static int usm_table_touch(pte_t *pte, unsigned long addr, void *data)
{
	return 0;
}

bool usm_table_lock_alloc(struct mm_struct *mm, unsigned long addr,
			  struct usm_table *table)
{
	while (!usm_table_lock(mm, addr, table)) {
		pmd_t *pmd = usm_pmd(mm, addr);

		/* Somebody else's huge page: nothing of ours is there. */
		if (pmd && pmd_leaf(READ_ONCE(*pmd)))
			return false;
		/* Makes the levels that are missing. */
		if (apply_to_page_range(mm, addr & PAGE_MASK, PAGE_SIZE, usm_table_touch,
					NULL))
			return false;
		cond_resched();
	}
	return true;
}

bool usm_table_lock_fault(struct vm_fault *vmf, struct usm_table *table)
{
	return (likely(vmf->pmd) &&
		likely(usm_table_lock_pmd(vmf->vma->vm_mm, vmf->pmd, table, 0))) ||
	       usm_table_lock_alloc(vmf->vma->vm_mm, vmf->address, table);
}

void usm_pte_map(struct vm_area_struct *vma, unsigned long addr, pte_t *pte,
		 struct page *page, enum usm_map how, unsigned int *first)
{
	pte_t entry = mk_pte(page, vma->vm_page_prot);

	/* Clean: mprotect() makes dirty entries writable unasked. */
	entry = how == USM_MAP_SHARED ? pte_mkyoung(pte_wrprotect(pte_mkclean(entry))) :
					usm_pte_own(entry, vma);
	get_page(page);
	if (atomic_inc_and_test(&page->_mapcount))
		(*first)++;
	set_pte_at(vma->vm_mm, addr, pte, entry);
}
