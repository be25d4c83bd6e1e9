// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who was forked from whom: the living spaces of a family, among which those are to be
 * found that share a page. A domain may have thousands of spaces, most of which have
 * nothing to do with each other.
 */
#include <linux/file.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "domain.h"
#include "evict.h"
#include "fault.h"
#include "frame.h"
#include "space.h"

/* Who forks again and again stays as it is, and who waits for it does not wait long. */
#define USM_UNSHARE_DELAY	(HZ / 20)

/* ----------------------------------------------------------------------- its members */

/* Lock order: domain->families, family->lock. */
int usm_family_found(struct usm_family *family, struct usm_domain *domain, u32 id)
{
	family->id = id;
	return xa_insert(&domain->families, id, family, GFP_KERNEL);
}

void usm_family_lose(struct usm_family *family, struct usm_domain *domain)
{
	xa_erase(&domain->families, family->id);
}

/* Right behind the parent: those forked from a space, and from these, follow it. */
void usm_family_join(struct usm_space *space, struct usm_space *parent)
{
	struct usm_family *family = space->family;

	spin_lock(&family->lock);
	list_add(&space->kin, parent ? &parent->kin : &family->spaces);
	spin_unlock(&family->lock);
}

void usm_family_leave(struct usm_space *space)
{
	struct xarray *families = &space->domain->families;
	struct usm_family *family = space->family;
	bool last;

	xa_lock(families);
	spin_lock(&family->lock);
	list_del(&space->kin);
	last = list_empty(&family->spaces);
	spin_unlock(&family->lock);
	/* From here on nobody is forked into it, nor finds it. */
	if (last)
		__xa_erase(families, family->id);
	xa_unlock(families);
}

/* The family with this number, where its first space is gone; put by the caller. Or NULL. */
static struct usm_family *usm_family_get(struct usm_domain *domain, u32 id)
{
	struct usm_family *family;

	xa_lock(&domain->families);
	family = xa_load(&domain->families, id);
	if (family)
		usm_family_get_many(family, 1);
	xa_unlock(&domain->families);
	return family;
}

/* What its slot says, while its family is locked. Not of those that faults look up. */
static u32 usm_space_slot(struct usm_space *space, unsigned long page)
{
	struct usm_bucket *bucket = xa_load(&space->buckets, page >> USM_WINDOW_SHIFT);

	return bucket ? READ_ONCE(*usm_bucket_slot(bucket, page)) : 0;
}

/* Beginning with `first`, until there are `all`. */
static unsigned int usm_family_find(struct usm_family *family, struct usm_space *first,
				    unsigned long page, u32 frame, unsigned int all,
				    struct usm_space **found)
{
	struct usm_space *space = first;
	unsigned int n = 0;

	do {
		if (usm_space_slot(space, page) == (USM_SLOT_SET | frame) &&
		    !READ_ONCE(space->exiting) && mmget_not_zero(space->mm))
			found[n++] = space;
		space = list_next_entry_circular(space, &family->spaces, kin);
	} while (n < all && space != first);
	return n;
}

unsigned int usm_sharers_find(struct usm_domain *domain, u32 id, unsigned long page, u32 frame,
			      struct usm_space **found)
{
	u32 all = usm_frame_refs(domain, frame), n = 0;
	struct usm_space *space, *first;
	struct usm_family *family;

	if (!all || all > USM_SHARERS_MAX)
		return 0;
	space = usm_space_get(domain, id);
	family = space ? space->family : usm_family_get(domain, id);
	if (!family)
		return 0;
	spin_lock(&family->lock);
	first = space ?: list_first_entry_or_null(&family->spaces, struct usm_space, kin);
	if (first)
		n = usm_family_find(family, first, page, frame, all, found);
	spin_unlock(&family->lock);
	if (space)
		mmput_async(space->mm);
	else
		usm_family_put_many(family, 1);
	return n;
}

/* Is there still what kept it from getting its plain operations? Family locked. */
static bool usm_space_shares(struct usm_space *space)
{
	u32 slot = space->shared_at ? usm_space_slot(space, space->shared_at) : 0;

	return (slot & (USM_SLOT_SET | USM_SLOT_EVICTED)) == USM_SLOT_SET &&
	       usm_frame_refs(space->domain, slot & USM_SLOT_FRAME) > 1;
}

static void usm_family_unshare_work(struct work_struct *work)
{
	struct usm_family *family = container_of(to_delayed_work(work), struct usm_family,
						 unshare_work);
	struct usm_space *space;

	spin_lock(&family->lock);
	list_for_each_entry(space, &family->spaces, kin)
		if (READ_ONCE(space->cow) && !READ_ONCE(space->exiting) && !usm_space_shares(space))
			usm_unshare_soon(space);
	spin_unlock(&family->lock);
	usm_family_put_many(family, 1);
}

void usm_family_unshare(struct usm_family *family)
{
	if (list_empty(&family->spaces)) {
		if (cancel_delayed_work(&family->unshare_work))
			usm_family_put_many(family, 1);
		return;
	}
	/* Once for all that exit within the delay; as long as it waits it has a reference. */
	usm_family_get_many(family, 1);
	if (mod_delayed_work(usm_wq, &family->unshare_work, USM_UNSHARE_DELAY))
		usm_family_put_many(family, 1);
}

/* ------------------------------------------------------------- its beginning and end */

struct usm_family *usm_family_new(void)
{
	struct usm_family *family = kzalloc(sizeof(*family), GFP_KERNEL_ACCOUNT);
	struct inode *inode;

	if (!family)
		return NULL;
	atomic_long_set(&family->refs, 1);
	spin_lock_init(&family->lock);
	INIT_LIST_HEAD(&family->spaces);
	INIT_DELAYED_WORK(&family->unshare_work, usm_family_unshare_work);
	inode = usm_inode_new(family);
	if (IS_ERR(inode))
		goto fail;
	ihold(inode);
	family->file = usm_file_new(inode, &usm_space_fops);
	if (IS_ERR(family->file)) {
		iput(inode);
		goto fail;
	}
	family->broken = usm_file_new(inode, &usm_space_fops);
	if (IS_ERR(family->broken)) {
		fput(family->file);
		goto fail;
	}
	return family;
fail:
	kfree(family);
	return NULL;
}

void usm_family_put_many(struct usm_family *family, long nr)
{
	if (!family || !nr || atomic_long_sub_return(nr, &family->refs))
		return;
	fput(family->file);
	fput(family->broken);
	kfree(family);
}
