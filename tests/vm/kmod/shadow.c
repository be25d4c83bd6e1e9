// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shadow: /dev/shadow writes to a process's memory as KVM does: through pages that it
 * looked up once, without a reference, for as long as an mmu notifier says nothing.
 * With interval=1 the notifier is an interval notifier, as of GPUs and RDMA.
 *
 * open() watches the caller's memory. pwrite(fd, &value, 8, address) writes an aligned
 * word. Its pages are looked up anew only after an invalidation.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

static bool interval;
module_param(interval, bool, 0400);

struct shadow {
	struct mmu_notifier notifier;
	struct mmu_interval_notifier interval;
	struct mm_struct *mm;
	struct mutex pokes;
	spinlock_t lock;		/* pages; held while one is written to */
	struct xarray pages;		/* by address >> PAGE_SHIFT */
	unsigned long invalidations;
};

static void shadow_forget(struct shadow *shadow, const struct mmu_notifier_range *range)
{
	unsigned long at;
	struct page *page;

	spin_lock(&shadow->lock);
	shadow->invalidations++;
	xa_for_each_range(&shadow->pages, at, page, range->start >> PAGE_SHIFT,
			  (range->end - 1) >> PAGE_SHIFT)
		xa_store(&shadow->pages, at, NULL, GFP_ATOMIC);
	spin_unlock(&shadow->lock);
}

static int shadow_on_start(struct mmu_notifier *notifier,
			   const struct mmu_notifier_range *range)
{
	shadow_forget(container_of(notifier, struct shadow, notifier), range);
	return 0;
}

static bool shadow_on_interval(struct mmu_interval_notifier *notifier,
			       const struct mmu_notifier_range *range, unsigned long seq)
{
	mmu_interval_set_seq(notifier, seq);
	shadow_forget(container_of(notifier, struct shadow, interval), range);
	return true;
}

static const struct mmu_notifier_ops shadow_ops = {
	.invalidate_range_start = shadow_on_start,
};

static const struct mmu_interval_notifier_ops shadow_interval_ops = {
	.invalidate = shadow_on_interval,
};

static int shadow_open(struct inode *inode, struct file *file)
{
	struct shadow *shadow = kzalloc(sizeof(*shadow), GFP_KERNEL);
	int err;

	if (!shadow)
		return -ENOMEM;
	shadow->mm = current->mm;
	mutex_init(&shadow->pokes);
	spin_lock_init(&shadow->lock);
	xa_init(&shadow->pages);
	shadow->notifier.ops = &shadow_ops;
	err = interval ? mmu_interval_notifier_insert(&shadow->interval, current->mm, 0,
						      TASK_SIZE_MAX, &shadow_interval_ops) :
			 mmu_notifier_register(&shadow->notifier, current->mm);
	if (err) {
		kfree(shadow);
		return err;
	}
	mmgrab(shadow->mm);
	file->private_data = shadow;
	return 0;
}

static int shadow_release(struct inode *inode, struct file *file)
{
	struct shadow *shadow = file->private_data;

	if (interval)
		mmu_interval_notifier_remove(&shadow->interval);
	else
		mmu_notifier_unregister(&shadow->notifier, shadow->mm);
	xa_destroy(&shadow->pages);
	mmdrop(shadow->mm);
	kfree(shadow);
	return 0;
}

/* Look the page up. It stays in `pages` only if nothing was invalidated meanwhile. */
static int shadow_look_up(struct shadow *shadow, unsigned long at)
{
	struct page *page;
	unsigned long seen;
	long got;

	do {
		seen = READ_ONCE(shadow->invalidations);
		smp_rmb();
		got = get_user_pages_fast(at << PAGE_SHIFT, 1, FOLL_WRITE, &page);
		if (got != 1)
			return got < 0 ? got : -EFAULT;
		spin_lock(&shadow->lock);
		if (seen == shadow->invalidations)
			xa_store(&shadow->pages, at, page, GFP_ATOMIC);
		spin_unlock(&shadow->lock);
		put_page(page);
	} while (seen != shadow->invalidations);
	return 0;
}

static bool shadow_poke(struct shadow *shadow, loff_t address, u64 value)
{
	struct page *page;
	char *bytes;

	spin_lock(&shadow->lock);
	page = xa_load(&shadow->pages, address >> PAGE_SHIFT);
	if (page) {
		bytes = kmap_local_page(page);
		*(u64 *)(bytes + offset_in_page(address)) = value;
		kunmap_local(bytes);
	}
	spin_unlock(&shadow->lock);
	return page;
}

static ssize_t shadow_write(struct file *file, const char __user *buffer, size_t count,
			    loff_t *offset)
{
	struct shadow *shadow = file->private_data;
	u64 value;
	int err = 0;

	if (count != sizeof(value) || *offset % sizeof(value) || current->mm != shadow->mm)
		return -EINVAL;
	if (copy_from_user(&value, buffer, sizeof(value)))
		return -EFAULT;
	mutex_lock(&shadow->pokes);
	while (!err && !shadow_poke(shadow, *offset, value))
		err = shadow_look_up(shadow, *offset >> PAGE_SHIFT);
	mutex_unlock(&shadow->pokes);
	return err ?: sizeof(value);
}

static const struct file_operations shadow_fops = {
	.owner = THIS_MODULE,
	.open = shadow_open,
	.release = shadow_release,
	.write = shadow_write,
	.llseek = noop_llseek,
};

static struct miscdevice shadow_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "shadow",
	.mode = 0600,
	.fops = &shadow_fops,
};

module_misc_device(shadow_device);

MODULE_DESCRIPTION("A second MMU for the tests of usm.ko");
MODULE_LICENSE("GPL");
