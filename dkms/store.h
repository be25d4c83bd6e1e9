/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_STORE_H
#define USM_STORE_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <uapi/linux/usm.h>

struct usm_domain;
struct usm_port;

/* Files in which the instances of a domain keep what they evict, one after the other. */
struct usm_stores {
	struct mutex lock;
	u32 count;			/* read without the lock, as a hint */
	struct usm_kept {
		struct file *file;	/* a reference; NULL: no store */
		u64 data;
		char name[USM_STORE_NAME_LEN];
	} kept[USM_MAX_STORES];
};

void usm_stores_init(struct usm_stores *stores);
/* At the end of the domain, when nobody uses it any more. */
void usm_stores_drop(struct usm_stores *stores);

/* Ioctls; the caller is in a use of the domain. */
long usm_store_put(struct usm_domain *domain, struct usm_port *port, void __user *arg);
long usm_store_get(struct usm_stores *stores, void __user *arg);
long usm_store_drop(struct usm_domain *domain, struct usm_port *port, void __user *arg);

#endif /* USM_STORE_H */
