/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_ADOPT_H
#define USM_ADOPT_H

#include <linux/fs.h>
#include <linux/mm.h>

/* Hooks: armed by init, last of all; disarmed by uninit, which waits for them. */
int usm_adopt_init(void);
void usm_adopt_uninit(void);

/* ->mmap of a mapping that the hook handed our file. mmap lock held for writing. */
int usm_adopt_vma(struct file *file, struct vm_area_struct *vma);

#endif /* USM_ADOPT_H */
