// SPDX-License-Identifier: GPL-2.0-only
/*
 * A domain keeps the stores of its instance open, so that what was evicted is there
 * when the next one comes. Nothing here looks into them.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "domain.h"
#include "port.h"
#include "store.h"

void usm_stores_init(struct usm_stores *stores)
{
	mutex_init(&stores->lock);
}

static void usm_kept_drop(struct usm_stores *stores, struct usm_kept *kept)
{
	fput(kept->file);
	*kept = (struct usm_kept) { .file = NULL };
	WRITE_ONCE(stores->count, stores->count - 1);
}

void usm_stores_drop(struct usm_stores *stores)
{
	u32 i;

	mutex_lock(&stores->lock);
	for (i = 0; i < USM_MAX_STORES; i++)
		if (stores->kept[i].file)
			usm_kept_drop(stores, stores->kept + i);
	mutex_unlock(&stores->lock);
}

static int usm_store_read(struct usm_store_fd *store, const void __user *arg)
{
	int err = usm_copy_in(store, sizeof(*store), arg);

	if (err)
		return err;
	/* Half an answer would be of no use, and a descriptor must not get lost. */
	if (store->flags || store->size < sizeof(*store))
		return -EINVAL;
	return 0;
}

/*
 * A file that holds bytes and can give them back, and no other: a descriptor that
 * refers to others, or to a domain, could keep itself alive by way of us.
 */
static bool usm_store_may(struct file *file)
{
	return S_ISREG(file_inode(file)->i_mode) && file->f_op->fallocate &&
	       (file->f_mode & FMODE_READ) && (file->f_mode & FMODE_WRITE);
}

static long usm_store_place(struct usm_stores *stores, const struct usm_store_fd *store,
			    struct file *file)
{
	long index = -ENOSPC;
	u32 i;

	for (i = USM_MAX_STORES; i--;) {
		if (!stores->kept[i].file)
			index = i;
		else if (!strcmp(stores->kept[i].name, store->name))
			return -EEXIST;
	}
	if (index < 0)
		return index;
	stores->kept[index].file = file;
	stores->kept[index].data = store->data;
	memcpy(stores->kept[index].name, store->name, sizeof(store->name));
	WRITE_ONCE(stores->count, stores->count + 1);
	return index;
}

/* For the armed one to change: it stays the armed one until the end of that. */
static void usm_stores_lock(struct usm_domain *domain)
	__acquires(&domain->arm_lock)
{
	mutex_lock(&domain->stores.lock);
	spin_lock(&domain->arm_lock);
}

static void usm_stores_unlock(struct usm_domain *domain)
	__releases(&domain->arm_lock)
{
	spin_unlock(&domain->arm_lock);
	mutex_unlock(&domain->stores.lock);
}

static void usm_store_take_back(struct usm_stores *stores, long index,
				const struct usm_store_fd *store)
{
	struct usm_kept *kept = stores->kept + index;

	mutex_lock(&stores->lock);
	if (kept->file && !strcmp(kept->name, store->name))
		usm_kept_drop(stores, kept);
	mutex_unlock(&stores->lock);
}

long usm_store_put(struct usm_domain *domain, struct usm_port *port, void __user *arg)
{
	struct usm_store_fd store, __user *user = arg;
	struct file *file;
	long index;
	int err;

	err = usm_store_read(&store, arg);
	if (err)
		return err;
	if (store.index || !store.name[0] ||
	    strnlen(store.name, sizeof(store.name)) == sizeof(store.name))
		return -EINVAL;
	file = fget(store.fd);
	if (!file)
		return -EBADF;
	index = -EINVAL;
	if (usm_store_may(file)) {
		usm_stores_lock(domain);
		index = READ_ONCE(domain->armed) == port ?
			usm_store_place(&domain->stores, &store, file) : -EPERM;
		usm_stores_unlock(domain);
	}
	if (index < 0) {
		fput(file);
		return index;
	}
	/* Not under the lock: the caller's memory may take as long as it likes. */
	if (put_user((u32)index, &user->index)) {
		usm_store_take_back(&domain->stores, index, &store);
		return -EFAULT;
	}
	return 0;
}

long usm_store_get(struct usm_stores *stores, void __user *arg)
{
	struct file *file = NULL;
	struct usm_store_fd store;
	struct usm_kept *kept;
	int fd, err;

	err = usm_store_read(&store, arg);
	if (err)
		return err;
	if (store.index >= USM_MAX_STORES)
		return -ENOENT;
	mutex_lock(&stores->lock);
	kept = stores->kept + store.index;
	if (kept->file) {
		file = get_file(kept->file);
		store.data = kept->data;
		memcpy(store.name, kept->name, sizeof(store.name));
	}
	mutex_unlock(&stores->lock);
	if (!file)
		return -ENOENT;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		fput(file);
		return fd;
	}
	store.fd = fd;
	err = usm_copy_out(arg, &store, sizeof(store));
	if (err) {
		put_unused_fd(fd);
		fput(file);
		return err;
	}
	fd_install(fd, file);
	return 0;
}

long usm_store_drop(struct usm_domain *domain, struct usm_port *port, void __user *arg)
{
	struct usm_stores *stores = &domain->stores;
	struct usm_store_fd store;
	int err = usm_store_read(&store, arg);

	if (err)
		return err;
	usm_stores_lock(domain);
	if (READ_ONCE(domain->armed) != port) {
		err = -EPERM;
	} else if (store.index < USM_MAX_STORES && stores->kept[store.index].file) {
		usm_kept_drop(stores, stores->kept + store.index);
	} else {
		err = -ENOENT;
	}
	usm_stores_unlock(domain);
	return err;
}
