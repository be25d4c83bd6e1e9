// SPDX-License-Identifier: GPL-2.0-only
/*
 * Adoption: a private anonymous mapping of a domain's process becomes a shared
 * mapping of our file, before the kernel has looked at what is there.
 */
#include <linux/file.h>
#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "adopt.h"
#include "compat/compat.h"
#include "domain.h"
#include "event.h"
#include "fault.h"
#include "guard.h"
#include "regs.h"
#include "space.h"
#include "trace.h"

#ifdef VM_PKEY_SHIFT
#define USM_PKEY_FLAGS	(VM_PKEY_BIT0 | VM_PKEY_BIT1 | VM_PKEY_BIT2 | VM_PKEY_BIT3)
#else
#define USM_PKEY_FLAGS	0
#endif

/*
 * What a private anonymous mapping may have to be adopted. Any other bit, also
 * one that a later kernel invents, means memory that we do not know how to be:
 * VM_GROWSDOWN, VM_SHADOW_STACK, VM_DROPPABLE, VM_WIPEONFORK, VM_HUGETLB ...
 */
#define USM_ADOPT_FLAGS							\
	(VM_READ | VM_WRITE | VM_EXEC | VM_MAYREAD | VM_MAYWRITE |	\
	 VM_MAYEXEC | VM_ACCOUNT | VM_NORESERVE | VM_LOCKED |		\
	 VM_LOCKONFAULT | VM_SOFTDIRTY | VM_HUGEPAGE | VM_NOHUGEPAGE |	\
	 VM_MERGEABLE | USM_PKEY_FLAGS)
/* brk() may grow so far before it is refused: a static binary's TLS lives there. */
#define USM_BRK_ALLOWANCE	(64 * 1024ul)

/* ------------------------------------------------------------------ the hooks */

/*
 * Entry of mmap_region(): atomic context, and the caller may sleep before it takes
 * a reference to the file. The space's own file lives as long as the mm, and the
 * template as long as the module.
 */
struct file *notrace usm_adopt_file(unsigned long file, unsigned long addr,
				    unsigned long flags, unsigned long pgoff)
{
	struct usm_domain *domain;
	struct usm_space *space;
	struct file *own = NULL;

	if (file || (flags & ~USM_ADOPT_FLAGS) || pgoff != addr >> PAGE_SHIFT ||
	    likely(usm_domain_none()))
		return NULL;
	rcu_read_lock();
	domain = usm_domain_current();
	if (domain) {
		space = usm_space_find(current->mm);
		if (!space)
			own = usm_template;
		else if (space->domain == domain)
			own = space->family->file;
	}
	rcu_read_unlock();
	return own;
}

/* Entry of the brk() system call: true: answer as if it had asked where it is. */
static bool notrace usm_adopt_brk(unsigned long brk)
{
	struct mm_struct *mm = current->mm;
	struct usm_domain *domain;
	bool refuse = false;

	if (!mm || brk <= READ_ONCE(mm->brk) ||
	    brk - READ_ONCE(mm->start_brk) <= USM_BRK_ALLOWANCE || usm_domain_none())
		return false;
	rcu_read_lock();
	domain = usm_domain_current();
	if (domain) {
		usm_count_add(domain, USM_N_BRK_REFUSED, 1);
		refuse = true;
	}
	rcu_read_unlock();
	return refuse;
}

/*
 * Whoever adds the first one needs the mmap lock for writing, and so cannot do it
 * while the space is made or forked; those that follow find `watched` set.
 */
static void notrace usm_adopt_watch(struct mm_struct *mm)
{
	struct usm_space *space;

	rcu_read_lock();
	space = usm_space_find(mm);
	if (space)
		WRITE_ONCE(space->watched, true);
	rcu_read_unlock();
}

/* ------------------------------------------------------------------- ->mmap */

static struct usm_space *usm_adopt_space(struct mm_struct *mm)
{
	struct usm_domain *domain;
	struct usm_space *space;

	rcu_read_lock();
	space = usm_space_find(mm);
	domain = space ? NULL : usm_domain_current();
	if (domain && !refcount_inc_not_zero(&domain->ref))
		domain = NULL;
	rcu_read_unlock();
	if (space)
		return space;
	/* Released between the hook and here. */
	if (!domain)
		return ERR_PTR(-ENOMEM);
	space = usm_space_new(domain, mm, NULL);
	if (!IS_ERR(space)) {
		usm_event_post(domain, USM_EV_SPACE_NEW, space->id, 0, 0, 0,
			       (u32)task_tgid_nr(current));
		trace_usm_space_new(space, current);
	}
	usm_domain_put(domain);
	return space;
}

int usm_adopt_vma(struct file *file, struct vm_area_struct *vma)
{
	struct usm_space *space;

	if (vma->vm_mm != current->mm || !(vma->vm_flags & VM_SHARED) ||
	    vma->vm_pgoff != vma->vm_start >> PAGE_SHIFT)
		return -EPERM;
	space = usm_adopt_space(vma->vm_mm);
	if (IS_ERR(space))
		return PTR_ERR(space);
	if (file != space->family->file)
		vma_set_file(vma, space->family->file);
	if (space->move_task == current)
		space->move_task = NULL;	/* of an mremap() that failed */
	vma->vm_private_data = space;
	vma->vm_ops = space->cow ? &usm_vm_ops_cow : &usm_vm_ops_plain;
	usm_count_add(space->domain, USM_N_MAPPINGS, 1);
	trace_usm_adopt(space, vma);
	return 0;
}

/* ------------------------------------------------------------------ the module */

/* Each mm that has users now, referenced; returns how many there are. */
static unsigned int usm_adopt_collect(struct mm_struct **mms, unsigned int max)
{
	struct task_struct *process, *thread;
	struct mm_struct *last = NULL, *mm;
	unsigned int nr = 0;

	rcu_read_lock();
	for_each_process_thread(process, thread) {
		if (thread->flags & PF_KTHREAD)
			continue;
		mm = READ_ONCE(thread->mm);
		if (!mm || mm == last)
			continue;
		last = mm;
		if (nr < max)
			mms[nr] = get_task_mm(thread);
		nr++;
	}
	rcu_read_unlock();
	return nr;
}

/*
 * A task that was handed the template holds its mmap lock for writing until it has
 * a reference: after each lock was taken once, nobody is on his way any more.
 */
static void usm_adopt_drain(void)
{
	unsigned int max = 1024, nr, i;
	struct mm_struct **mms;

	for (;;) {
		mms = kvcalloc(max, sizeof(*mms), GFP_KERNEL | __GFP_NOFAIL);
		nr = usm_adopt_collect(mms, max);
		for (i = 0; i < min(nr, max); i++) {
			if (!mms[i])
				continue;
			mmap_read_lock(mms[i]);
			mmap_read_unlock(mms[i]);
			mmput(mms[i]);
		}
		kvfree(mms);
		if (nr <= max)
			return;
		max = nr + nr / 4;
	}
}

int usm_adopt_init(void)
{
	static const struct usm_hook_handlers handlers = {
		.brk = usm_adopt_brk,
		.watch = usm_adopt_watch,
		.walk = usm_guard_instead,
	};

	return usm_hooks_arm(&handlers);
}

void usm_adopt_uninit(void)
{
	usm_hooks_disarm();
	usm_adopt_drain();
}
