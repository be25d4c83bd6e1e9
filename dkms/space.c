// SPDX-License-Identifier: GPL-2.0-only
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/hashtable.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "compat/compat.h"
#include "event.h"
#include "fault.h"
#include "grow.h"
#include "limbo.h"
#include "pte.h"
#include "space.h"
#include "trace.h"

#define USM_MAGIC		0x75736d20	/* "usm " */
#define USM_TAG_BITS		20
/* __mmu_notifier_register() gives up when a signal is pending; it is not for us. */
#define USM_REGISTER_TRIES	100
/* exit_mmap() tells when it begins, not when it is done. */
#define USM_REAP_DELAY_MAX	(HZ / 50)
/* Ticks that it may take from there until its last page is free. */
#define USM_REAP_SETTLE		5

static void usm_space_reap_work(struct work_struct *work);

static DEFINE_HASHTABLE(usm_spaces, 10);
static DEFINE_SPINLOCK(usm_spaces_lock);
static DEFINE_IDA(usm_tags);
static atomic64_t usm_cookies;
static struct kmem_cache *usm_bucket_cache;
static struct vfsmount *usm_mount;
struct file *usm_template;

/* ------------------------------------------------------------------ the family */

static const struct address_space_operations usm_aops = {
	.dirty_folio = noop_dirty_folio,
};

static struct inode *usm_inode_new(struct usm_family *family)
{
	struct inode *inode = alloc_anon_inode(usm_mount->mnt_sb);

	if (IS_ERR(inode))
		return inode;
	inode->i_mapping->a_ops = &usm_aops;
	inode->i_private = family;
	inode->i_flags |= S_NOCMTIME;
	/* Unlinked: core dumps take it for anonymous memory. */
	clear_nlink(inode);
	return inode;
}

/* Takes over a reference to the inode, also on failure. */
static struct file *usm_file_new(struct inode *inode, const struct file_operations *fops)
{
	struct file *file;

	__module_get(fops->owner);
	file = alloc_file_pseudo(inode, usm_mount, "usm", O_RDWR, fops);
	if (IS_ERR(file)) {
		module_put(fops->owner);
		iput(inode);
		return file;
	}
	usm_file_set_noreuse(file);
	return file;
}

static struct usm_family *usm_family_new(void)
{
	struct usm_family *family = kzalloc(sizeof(*family), GFP_KERNEL_ACCOUNT);
	struct inode *inode;

	if (!family)
		return NULL;
	atomic_long_set(&family->refs, 1);
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

/* ------------------------------------------------------------------- the space */

struct usm_space *usm_space_find(struct mm_struct *mm)
{
	struct usm_space *space;

	hash_for_each_possible_rcu(usm_spaces, space, node, (unsigned long)mm)
		if (space->mm == mm)
			return space;
	return NULL;
}

static void usm_space_notifier_free(struct mmu_notifier *notifier)
{
	kfree_rcu(container_of(notifier, struct usm_space, notifier), rcu);
}

static void usm_space_on_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct usm_space *space = container_of(notifier, struct usm_space, notifier);

	spin_lock(&usm_spaces_lock);
	hash_del_rcu(&space->node);
	spin_unlock(&usm_spaces_lock);
	WRITE_ONCE(space->exiting, true);
	atomic_inc(&space->domain->nr_exiting);
	queue_delayed_work(usm_wq, &space->reap_work, 0);
}

/* What usm_slot_drop() does, where it is done to many. */
static __always_inline void usm_slot_let_go(struct usm_bucket *bucket, unsigned long page,
					    struct usm_drop *drop)
{
	struct usm_domain *domain = drop->space->domain;
	u32 *slot = usm_bucket_slot(bucket, page);
	u32 value = *slot, refs;
	struct page *p;

	WRITE_ONCE(*slot, 0);
	atomic_dec(&bucket->used);
	if (unlikely(value & USM_SLOT_EVICTED)) {
		usm_evicted_put(domain, value & USM_SLOT_FRAME);
		return;
	}
	p = usm_frame_page(domain, value & USM_SLOT_FRAME);
	refs = (u32)atomic_long_dec_return(usm_page_word(p));
	if (!refs) {
		usm_pages_add(&drop->pages, p);
		drop->nr++;
	} else if (refs == 1) {
		/* The other one may drop it this moment: its entry is not ours. */
		usm_count_add(domain, USM_N_SHARED, -1);
	}
}

/* Of [first, end), what is not mapped any more was dropped by its owner. */
static void usm_space_forget_window(struct usm_space *space, struct usm_bucket *bucket,
				    unsigned long first, unsigned long end,
				    bool may_sleep, struct usm_drop *drop)
{
	unsigned long page;
	struct usm_table table;

	/*
	 * The caller of the notifier holds the mmap lock, and munmap() frees
	 * tables after it. Where there is none, make one: its lock is what keeps
	 * a fault in another VMA of the same window away. The OOM reaper frees none.
	 */
	if (may_sleep ? !usm_table_lock_alloc(space->mm, first << PAGE_SHIFT, &table) :
	    !usm_table_lock(space->mm, first << PAGE_SHIFT, &table))
		return;
	for (page = first; page < end && atomic_read(&bucket->used); page++) {
		u32 *slot = usm_bucket_slot(bucket, page);

		if (!(*slot & USM_SLOT_SET) ||
		    !usm_pte_empty(*usm_table_pte(&table, page << PAGE_SHIFT)))
			continue;
		if (*slot & USM_SLOT_BUSY)
			WRITE_ONCE(*slot, *slot | USM_SLOT_DROPPED);
		else
			usm_slot_let_go(bucket, page, drop);
	}
	usm_table_unlock(&table);
}

static void usm_space_forget(struct usm_space *space, unsigned long first,
			     unsigned long end, bool may_sleep)
{
	struct usm_bucket *bucket;
	struct usm_drop drop;
	unsigned long index;
	unsigned int flags;

	usm_drop_init(&drop, space);
	/* Reclaim must not come back to a notifier from within one. */
	flags = memalloc_noreclaim_save();
	xa_for_each_range(&space->buckets, index, bucket, first >> USM_WINDOW_SHIFT,
			  (end - 1) >> USM_WINDOW_SHIFT) {
		unsigned long base = index << USM_WINDOW_SHIFT;

		if (atomic_read(&bucket->used))
			usm_space_forget_window(space, bucket, max(first, base),
						min(end, base + USM_WINDOW_PAGES), may_sleep,
						&drop);
	}
	memalloc_noreclaim_restore(flags);
	usm_drop_finish(&drop);
}

static bool usm_space_zapping(struct usm_space *space)
{
	struct usm_zap *zap;
	bool ours = false;

	if (list_empty_careful(&space->zaps))
		return false;
	spin_lock(&space->zap_lock);
	list_for_each_entry(zap, &space->zaps, list)
		ours |= zap->task == current;
	spin_unlock(&space->zap_lock);
	return ours;
}

void usm_space_zap(struct usm_space *space, struct vm_area_struct *vma,
		   unsigned long addr, unsigned long size)
{
	struct usm_zap zap = { .task = current };

	spin_lock(&space->zap_lock);
	list_add(&zap.list, &space->zaps);
	spin_unlock(&space->zap_lock);
	usm_zap_range(vma, addr, size);
	spin_lock(&space->zap_lock);
	list_del(&zap.list);
	spin_unlock(&space->zap_lock);
}

bool usm_space_clearing(struct usm_space *space, unsigned long page)
{
	bool clearing;

	spin_lock(&space->zap_lock);
	clearing = space->clears && page >= space->clear_first && page < space->clear_end;
	spin_unlock(&space->zap_lock);
	return clearing;
}

void usm_space_clearing_wait(struct usm_space *space, unsigned long page)
{
	wait_var_event(&space->clears, !usm_space_clearing(space, page));
}

void usm_space_lock_settled(struct usm_space *space, unsigned long page,
			    unsigned int count, struct usm_table *table)
{
	unsigned int i = 0;

	for (;;) {
		/* The table was there a moment ago and our VMA keeps it. */
		while (!usm_table_lock_alloc(space->mm, page << PAGE_SHIFT, table))
			cond_resched();
		for (i = 0; i < count && !usm_space_clearing(space, page + i); i++)
			;
		if (i == count)
			return;
		usm_table_unlock(table);
		usm_space_clearing_wait(space, page + i);
	}
}

static bool usm_space_is_clear(struct usm_space *space,
			       const struct mmu_notifier_range *range)
{
	return (range->event == MMU_NOTIFY_UNMAP || range->event == MMU_NOTIFY_CLEAR) &&
	       !usm_space_zapping(space);
}

/* From here on a page of the range may be gone without its slot saying so. */
static int usm_space_on_invalidate_start(struct mmu_notifier *notifier,
					 const struct mmu_notifier_range *range)
{
	struct usm_space *space = container_of(notifier, struct usm_space, notifier);
	unsigned long first = range->start >> PAGE_SHIFT;
	unsigned long end = range->end >> PAGE_SHIFT;

	if (!usm_space_is_clear(space, range))
		return 0;
	spin_lock(&space->zap_lock);
	space->clear_first = space->clears ? min(space->clear_first, first) : first;
	space->clear_end = space->clears ? max(space->clear_end, end) : end;
	space->clears++;
	spin_unlock(&space->zap_lock);
	return 0;
}

/*
 * Whoever looks for a huge page to split says CLEAR for the whole of its range,
 * though there is none and nothing of ours is unmapped: when a VMA is cut, with the
 * mmap lock held for writing; in reclaim and migration, for a page of another VMA,
 * with no lock, also while fork() makes the mm and its tree must not be walked. Who
 * discards pages says UNMAP, or does it in one VMA with the lock held for reading.
 */
static bool usm_space_discards(const struct mmu_notifier_range *range)
{
	MA_STATE(mas, &range->mm->mm_mt, range->start, range->start);
	unsigned long size = range->end - range->start;
	bool one;

	if (range->event != MMU_NOTIFY_CLEAR)
		return true;
	if (usm_mmap_write_owned(range->mm) || !mt_in_rcu(&range->mm->mm_mt))
		return false;
	if ((size != PMD_SIZE && size != PUD_SIZE) || !IS_ALIGNED(range->start, size))
		return true;
	rcu_read_lock();
	one = mas_walk(&mas) && mas.index <= range->start && mas.last >= range->end - 1;
	rcu_read_unlock();
	return one;
}

/*
 * mremap() moves entries away from move_start and says, once and before anything
 * else, that it unmaps them. The start may have been rounded down to a whole table,
 * where nothing is mapped; the end is that of what moved.
 */
static bool usm_space_moves(struct usm_space *space, const struct mmu_notifier_range *range)
{
	unsigned long first = range->start >> PAGE_SHIFT, end = range->end >> PAGE_SHIFT;

	if (space->move_task != current || range->event != MMU_NOTIFY_UNMAP ||
	    space->move_seen)
		return false;
	if (vma_lookup(space->mm, space->move_to) != space->move_vma ||
	    first > space->move_start || end <= space->move_start) {
		WRITE_ONCE(space->move_task, NULL);	/* of an mremap() that failed */
		return false;
	}
	space->move_seen = true;
	space->move_end = min(space->move_end, end);
	return true;
}

static void usm_space_on_invalidate_end(struct mmu_notifier *notifier,
					const struct mmu_notifier_range *range)
{
	struct usm_space *space = container_of(notifier, struct usm_space, notifier);

	if (!usm_space_is_clear(space, range))
		return;
	if (usm_space_discards(range) && !usm_space_moves(space, range))
		usm_space_forget(space, range->start >> PAGE_SHIFT, range->end >> PAGE_SHIFT,
				 mmu_notifier_range_blockable(range));
	spin_lock(&space->zap_lock);
	/* A range that began before we were registered is not counted. */
	if (space->clears)
		space->clears--;
	spin_unlock(&space->zap_lock);
	/* Pairs with the barrier of prepare_to_wait_event(). */
	smp_mb();
	wake_up_var(&space->clears);
}

static const struct mmu_notifier_ops usm_space_notifier_ops = {
	.release = usm_space_on_release,
	.invalidate_range_start = usm_space_on_invalidate_start,
	.invalidate_range_end = usm_space_on_invalidate_end,
	.free_notifier = usm_space_notifier_free,
};

static int usm_space_register(struct usm_space *space)
{
	bool signal = false, notify = false;
	int tries = USM_REGISTER_TRIES, err;

	space->watched = mm_has_notifiers(space->mm);
	do {
		signal |= test_and_clear_thread_flag(TIF_SIGPENDING);
		notify |= test_and_clear_thread_flag(TIF_NOTIFY_SIGNAL);
		err = __mmu_notifier_register(&space->notifier, space->mm);
	} while (err == -EINTR && --tries);
	/* At worst one look too many on the way to user mode. */
	if (signal)
		set_thread_flag(TIF_SIGPENDING);
	if (notify)
		set_thread_flag(TIF_NOTIFY_SIGNAL);
	return err ? -ENOMEM : 0;
}

struct usm_space *usm_space_new(struct usm_domain *domain, struct mm_struct *mm,
				struct usm_family *family)
{
	struct usm_space *space;
	int tag, err = -ENOMEM;

	mmap_assert_write_locked(mm);
	if (!usm_domain_use(domain))
		return ERR_PTR(-ENOMEM);
	usm_domain_get(domain);
	space = kzalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);
	if (!space)
		goto fail_domain;
	if (family)
		usm_family_get_many(family, 1);
	else
		family = usm_family_new();
	if (!family)
		goto fail_space;
	tag = ida_alloc_max(&usm_tags, BIT(USM_TAG_BITS) - 1, GFP_KERNEL);
	if (tag < 0)
		goto fail_family;

	space->notifier.ops = &usm_space_notifier_ops;
	space->mm = mm;
	space->domain = domain;
	space->family = family;
	space->tag = tag;
	space->cookie = atomic64_inc_return(&usm_cookies);
	xa_init(&space->buckets);
	spin_lock_init(&space->zap_lock);
	INIT_LIST_HEAD(&space->zaps);
	INIT_DELAYED_WORK(&space->reap_work, usm_space_reap_work);
	INIT_DELAYED_WORK(&space->unshare_work, usm_unshare_work);
	err = usm_space_register(space);
	if (err)
		goto fail_tag;

	spin_lock(&domain->space_lock);
	space->id = domain->next_space++;
	list_add_tail(&space->list, &domain->spaces);
	spin_unlock(&domain->space_lock);
	atomic_inc(&domain->nr_spaces);
	spin_lock(&usm_spaces_lock);
	hash_add_rcu(usm_spaces, &space->node, (unsigned long)mm);
	spin_unlock(&usm_spaces_lock);
	return space;
fail_tag:
	ida_free(&usm_tags, tag);
fail_family:
	usm_family_put_many(family, 1);
fail_space:
	kfree(space);
fail_domain:
	usm_domain_unuse(domain);
	usm_domain_put(domain);
	return ERR_PTR(err);
}

struct usm_space *usm_space_get(struct usm_domain *domain, u32 id)
{
	struct usm_space *space, *found = NULL;

	spin_lock(&domain->space_lock);
	list_for_each_entry(space, &domain->spaces, list) {
		if (space->id != id)
			continue;
		/* Its notifier keeps the mm's struct, and an mm in use keeps the space. */
		if (!READ_ONCE(space->exiting) && mmget_not_zero(space->mm))
			found = space;
		break;
	}
	spin_unlock(&domain->space_lock);
	return found;
}

/* ----------------------------------------------------------------- its buckets */

/*
 * What a CPU looked up last: most faults are in the window of the one before. A space's
 * buckets live as long as it does, and nobody asks for those of one that is gone.
 */
#define USM_RECENT	4

struct usm_recent {
	u64 cookie;		/* of the space */
	unsigned long index;
	struct usm_bucket *bucket;
};

static DEFINE_PER_CPU(struct usm_recent [USM_RECENT], usm_recent);

struct usm_bucket *usm_space_bucket(struct usm_space *space, unsigned long page)
{
	unsigned long index = page >> USM_WINDOW_SHIFT;
	struct usm_bucket *bucket = NULL;
	struct usm_recent *recent;

	preempt_disable();
	recent = this_cpu_ptr(&usm_recent[index % USM_RECENT]);
	if (likely(recent->index == index && recent->cookie == space->cookie))
		bucket = recent->bucket;
	preempt_enable();
	if (likely(bucket))
		return bucket;

	bucket = xa_load(&space->buckets, index);
	if (bucket) {
		preempt_disable();
		*this_cpu_ptr(&usm_recent[index % USM_RECENT]) = (struct usm_recent){
			.cookie = space->cookie,
			.index = index,
			.bucket = bucket,
		};
		preempt_enable();
	}
	return bucket;
}

struct usm_bucket *usm_space_bucket_make(struct usm_space *space, unsigned long page)
{
	struct usm_bucket *bucket = usm_space_bucket(space, page), *other;
	struct mem_cgroup *old;

	if (likely(bucket))
		return bucket;
	old = set_active_memcg(space->domain->memcg);
	bucket = kmem_cache_zalloc(usm_bucket_cache, GFP_KERNEL_ACCOUNT);
	if (bucket) {
		other = xa_cmpxchg(&space->buckets, page >> USM_WINDOW_SHIFT, NULL, bucket,
				   GFP_KERNEL_ACCOUNT);
		if (other) {
			kmem_cache_free(usm_bucket_cache, bucket);
			bucket = xa_is_err(other) ? NULL : other;
		}
	}
	set_active_memcg(old);
	return bucket;
}

void usm_slot_fill(struct usm_space *space, struct usm_bucket *bucket, unsigned long page,
		   u32 frame)
{
	WRITE_ONCE(*usm_bucket_slot(bucket, page), USM_SLOT_SET | frame);
	atomic_inc(&bucket->used);
}

void usm_slot_drop(struct usm_bucket *bucket, unsigned long page, struct usm_drop *drop)
{
	usm_slot_let_go(bucket, page, drop);
}

void usm_drop_finish(struct usm_drop *drop)
{
	if (!drop->nr)
		return;
	usm_count_add(drop->space->domain, USM_N_MAPPED, -(s64)drop->nr);
	usm_limbo_add(drop->space->domain, drop->space->family, &drop->pages, drop->nr);
	drop->nr = 0;
}

/* -------------------------------------------------------------------- the end */

/* The mm has no page tables any more: what the slots name is unmapped. */
static void usm_space_drop_all(struct usm_space *space)
{
	struct usm_bucket *bucket;
	unsigned long index, page;
	struct usm_drop drop;

	usm_drop_init(&drop, space);
	xa_for_each(&space->buckets, index, bucket) {
		unsigned long base = index << USM_WINDOW_SHIFT;

		for (page = base; page < base + USM_WINDOW_PAGES; page++)
			if (*usm_bucket_slot(bucket, page) & USM_SLOT_SET)
				usm_slot_drop(bucket, page, &drop);
		WARN_ON_ONCE(atomic_read(&bucket->used));
		xa_erase(&space->buckets, index);
		kmem_cache_free(usm_bucket_cache, bucket);
		usm_drop_finish(&drop);
		cond_resched();
	}
	xa_destroy(&space->buckets);
}

static void usm_space_reap_work(struct work_struct *work)
{
	struct usm_space *space = container_of(to_delayed_work(work), struct usm_space,
					       reap_work);
	struct usm_domain *domain = space->domain;

	/* Reclaim may still be in a callback, where there never was a table. */
	if (!space->reaping) {
		space->reaping = true;
		mmu_notifier_synchronize();
	}
	/* exit_mmap() says when it begins; it has unmapped when the tables are gone. */
	if (!space->settle && mm_pgtables_bytes(space->mm)) {
		space->reap_delay = clamp_t(unsigned long, space->reap_delay * 2, 1,
					    USM_REAP_DELAY_MAX);
		queue_delayed_work(usm_wq, &space->reap_work, space->reap_delay);
		return;
	}
	if (!space->settle)
		usm_space_drop_all(space);
	usm_limbo_flush(domain);
	/* The last pages leave its TLB gather: who waits for them shall see them. */
	if (usm_count_sum(domain, USM_N_HELD) > 0 && space->settle++ < USM_REAP_SETTLE) {
		queue_delayed_work(usm_wq, &space->reap_work, 1);
		return;
	}
	atomic_dec(&domain->nr_exiting);
	usm_domain_kick(domain);
	spin_lock(&domain->space_lock);
	list_del(&space->list);
	spin_unlock(&domain->space_lock);
	/* It has no mm to use any more, and nobody finds it to queue it again. */
	cancel_delayed_work_sync(&space->unshare_work);
	usm_unshare_family(space);
	usm_event_post(domain, USM_EV_SPACE_EXIT, space->id, 0, 0, 0, 0);
	trace_usm_space_exit(space);
	if (atomic_dec_and_test(&domain->nr_spaces))
		usm_grow_tidy(domain);
	usm_family_put_many(space->family, 1);
	ida_free(&usm_tags, space->tag);
	/* Frees the space after a grace period. */
	mmu_notifier_put(&space->notifier);
	usm_domain_unuse(domain);
	usm_domain_put(domain);
}

vm_fault_t usm_space_sigbus(struct usm_space *space, enum usm_sigbus_why why)
{
	static const char *const words[] = {
		[USM_SIGBUS_FORK] = "its fork could not copy all pages",
		[USM_SIGBUS_NOBODY] = "an evicted page, and nobody has it",
		[USM_SIGBUS_WRONG] = "an evicted page is lost",
	};

	usm_count_add(space->domain, USM_N_SIGBUS, 1);
	trace_usm_sigbus(space, why);
	pr_warn_ratelimited("domain %llu (%s): %s[%d]: SIGBUS: %s\n", space->domain->id,
			    space->domain->label, current->comm, task_pid_nr(current),
			    words[why]);
	return VM_FAULT_SIGBUS;
}

/* ------------------------------------------------------------------ the module */

static int usm_fs_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, USM_MAGIC) ? 0 : -ENOMEM;
}

/* No owner: the mount would keep the module, whose exit unmounts it. */
static struct file_system_type usm_fs = {
	.name = "usm",
	.init_fs_context = usm_fs_init_context,
	.kill_sb = kill_anon_super,
};

int usm_space_init(void)
{
	struct inode *inode;
	int err;

	usm_bucket_cache = KMEM_CACHE(usm_bucket, SLAB_ACCOUNT);
	if (!usm_bucket_cache)
		return -ENOMEM;
	usm_mount = kern_mount(&usm_fs);
	if (IS_ERR(usm_mount)) {
		err = PTR_ERR(usm_mount);
		goto fail_cache;
	}
	inode = usm_inode_new(NULL);
	if (IS_ERR(inode)) {
		err = PTR_ERR(inode);
		goto fail_mount;
	}
	usm_template = usm_file_new(inode, &usm_template_fops);
	if (IS_ERR(usm_template)) {
		err = PTR_ERR(usm_template);
		goto fail_mount;
	}
	return 0;
fail_mount:
	kern_unmount(usm_mount);
fail_cache:
	kmem_cache_destroy(usm_bucket_cache);
	return err;
}

/* Only kernel threads may; and fput() would come back when we are gone. */
static void usm_template_put(struct work_struct *work)
{
	__fput_sync(usm_template);
}

/*
 * Who closes a file lets go of the module first and of the mount then: the last to
 * leave the superblock, with code of ours, is this.
 */
static void usm_unmount(void)
{
	struct super_block *sb = usm_mount->mnt_sb;

	atomic_inc(&sb->s_active);
	kern_unmount(usm_mount);
	while (atomic_read(&sb->s_active) > 1)
		msleep(1);
	deactivate_super(sb);
}

/* Nothing is adopted any more and no mmap() is on its way to the template. */
void usm_space_uninit(void)
{
	struct work_struct put;

	INIT_WORK_ONSTACK(&put, usm_template_put);
	queue_work(usm_wq, &put);
	flush_work(&put);
	destroy_work_on_stack(&put);
	mmu_notifier_synchronize();
	rcu_barrier();
	usm_unmount();
	kmem_cache_destroy(usm_bucket_cache);
	ida_destroy(&usm_tags);
}
