// SPDX-License-Identifier: GPL-2.0-only
/*
 * usm.ko: userspace memory management for containers. The contract with user
 * space is in include/uapi/linux/usm.h; this file is the table of contents.
 *
 * dev     /dev/usm                     port    descriptors of a domain
 * domain  a bound cgroup               event   module to instance
 * frame   its memory                   supply  instance to module
 * grow    more and less of it          shrink  reclaim's wish for less
 * space   an mm with adopted memory    move    mremap
 * adopt   mmap and brk, hooked         regs    how, on this architecture
 * fault   first touch                  cow     write to a shared page
 * fork    sharing                      limbo   frames somebody still holds
 * oom     the ceiling reached          pte     page tables
 * mce     memory errors
 * guard   guard regions               trace   what tracing tools see
 */
#include <linux/module.h>

#include "adopt.h"
#include "dev.h"
#include "domain.h"
#include "mce.h"
#include "shrink.h"
#include "space.h"

static int __init usm_init(void)
{
	int err;

	err = usm_shrink_init();
	if (err)
		return err;
	err = usm_domain_init();
	if (err)
		goto uninit_shrink;
	err = usm_space_init();
	if (err)
		goto uninit_domain;
	err = usm_adopt_init();
	if (err)
		goto uninit_space;
	err = usm_dev_init();
	if (err)
		goto uninit_adopt;
	usm_mce_init();
	pr_info("version " USM_VERSION ", ABI %d\n", USM_ABI);
	return 0;

uninit_adopt:
	usm_adopt_uninit();
uninit_space:
	usm_space_uninit();
uninit_domain:
	usm_domain_uninit();
uninit_shrink:
	usm_shrink_uninit();
	return err;
}

/* Domains, spaces, files and descriptors hold the module: none is left. */
static void __exit usm_exit(void)
{
	usm_mce_uninit();
	usm_dev_uninit();
	usm_adopt_uninit();
	usm_space_uninit();
	usm_domain_uninit();
	usm_shrink_uninit();
}

module_init(usm_init);
module_exit(usm_exit);

MODULE_DESCRIPTION("Userspace memory management for containers");
MODULE_AUTHOR("The USM authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(USM_VERSION);
/* The name that the original implementation had. */
MODULE_ALIAS("usm_lkmRM");
