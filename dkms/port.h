/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_PORT_H
#define USM_PORT_H

#include <linux/fs.h>

struct usm_domain;

/* A descriptor of a domain: what USM_IOC_BIND and USM_IOC_ATTACH give out. */
struct usm_port {
	struct usm_domain *domain;	/* a ref, not a use */
	const struct mm_struct *reader;	/* who has armed: to compare with */
};

/* A new close-on-exec descriptor, or -errno. Takes a ref of its own. */
int usm_port_open(struct usm_domain *domain, struct file **file);

/*
 * Copy a struct of the uapi that begins with its size: what the caller does not
 * know reads as zero; what we do not know must be zero. 0, -EFAULT, -EINVAL,
 * -E2BIG. And back, as much as the caller knows.
 */
int usm_copy_in(void *to, size_t known, const void __user *from);
int usm_copy_out(void __user *to, const void *from, size_t known);

#endif /* USM_PORT_H */
