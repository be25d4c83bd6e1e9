/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_GUARD_H
#define USM_GUARD_H

#include "regs.h"

struct mm_struct;

/* For regs.c: what to call in place of a walk that installs guard regions; or NULL. */
void *usm_guard_instead(struct usm_hook_args *args, bool of_mm);

/*
 * Copy the guard regions of [addr, end) at fork, where both mmap locks are held for
 * writing. False: no memory.
 */
bool usm_guard_copy(struct mm_struct *from, struct mm_struct *to, unsigned long addr,
		    unsigned long end);

#endif /* USM_GUARD_H */
