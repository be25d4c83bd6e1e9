/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hooks and the registers they touch: what an architecture must bring.
 */
#ifndef USM_REGS_H
#define USM_REGS_H

#include <linux/types.h>

struct file;
struct mm_struct;

/* Arguments of walk_page_range_vma_unsafe(vma, start, end, ops, private); or mm in place of vma. */
enum { USM_WALK_WHERE, USM_WALK_START, USM_WALK_END, USM_WALK_OPS, USM_WALK_PRIVATE };

/* What the handler leaves here is what the function gets. */
struct usm_hook_args {
	unsigned long arg[5];
};

/*
 * At the entry of mmap_region(file, addr, len, vm_flags, pgoff, uf): the file that it gets
 * for none, with VM_SHARED and VM_MAYSHARE; NULL: all stays as it is. Of adopt.c; not in the
 * table, since everybody pays for it.
 */
struct file *usm_adopt_file(unsigned long file, unsigned long addr, unsigned long flags,
			    unsigned long pgoff);

typedef bool (*usm_brk_hook_t)(unsigned long brk);
/* Somebody is about to add an mmu notifier to the mm. */
typedef void (*usm_watch_hook_t)(struct mm_struct *mm);

/*
 * That walk is about to begin, of_mm: of an mm. NULL, or what to call in its place with the
 * arguments left here.
 */
typedef void *(*usm_walk_hook_t)(struct usm_hook_args *args, bool of_mm);

struct usm_hook_handlers {
	usm_brk_hook_t brk;
	usm_watch_hook_t watch;
	usm_walk_hook_t walk;		/* where guard regions are in mappings of files */
};

/*
 * Atomic context, RCU watching. Returns an error that names what this kernel
 * lacks in the log. disarm() returns when no handler runs any more.
 */
int usm_hooks_arm(const struct usm_hook_handlers *handlers);
void usm_hooks_disarm(void);

#endif /* USM_REGS_H */
