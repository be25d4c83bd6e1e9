// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>

#include "domain.h"
#include "frame.h"
#include "grow.h"
#include "limbo.h"
#include "port.h"
#include "shrink.h"
#include "trace.h"

struct workqueue_struct *usm_wq;

/* Domains that one USM_IOC_LIST can tell of. */
#define USM_LIST_MAX	65536

static DEFINE_MUTEX(usm_registry_lock);
static LIST_HEAD(usm_domains);			/* not gone; registry lock */
static DEFINE_HASHTABLE(usm_bound, 8);		/* by cgroup; written under it, read by RCU */
/* See usm_domain_none(). At first they say that the root, of number 0, has no domain. */
unsigned long usm_bindings;
DEFINE_PER_CPU(struct usm_nobody, usm_nobody);
static struct kmem_cache *usm_domain_cache;
static struct tracepoint *usm_rmdir_tracepoint;

/* ---------------------------------------------------------------- lookup */

static struct usm_domain *usm_domain_of(struct cgroup *cgroup)
{
	struct usm_domain *domain;

	hash_for_each_possible_rcu(usm_bound, domain, node, (unsigned long)cgroup)
		if (domain->cgroup == cgroup)
			return domain;
	return NULL;
}

struct usm_domain *usm_domain_current(void)
{
	struct cgroup *own = task_dfl_cgroup(current), *cgroup;
	/* Pairs with usm_domain_bind(): who sees that there is a new one finds it. */
	unsigned long bindings = smp_load_acquire(&usm_bindings);
	struct usm_domain *domain = NULL;

	for (cgroup = own; cgroup && !domain; cgroup = cgroup_parent(cgroup))
		domain = usm_domain_of(cgroup);
	if (!domain) {
		preempt_disable_notrace();
		raw_cpu_write(usm_nobody.cgroup, own->self.serial_nr);
		raw_cpu_write(usm_nobody.bindings, bindings);
		preempt_enable_notrace();
	}
	return domain;
}

struct usm_domain *usm_domain_find(u64 id)
{
	struct usm_domain *domain, *found = NULL;

	mutex_lock(&usm_registry_lock);
	list_for_each_entry(domain, &usm_domains, list) {
		/* Without users it is gone already, and only its end is to come. */
		if (domain->id == id && refcount_read(&domain->users)) {
			usm_domain_get(domain);
			found = domain;
			break;
		}
	}
	mutex_unlock(&usm_registry_lock);
	return found;
}

int usm_domain_list(struct usm_list *list)
{
	struct usm_list_entry *entries, *to;
	struct usm_domain *domain;
	u32 count = 0;
	int err = 0;

	/* Not under the lock: the caller's own memory may be adopted. */
	entries = kvcalloc(min_t(u32, list->capacity, USM_LIST_MAX) ?: 1, sizeof(*entries),
			   GFP_KERNEL_ACCOUNT);
	if (!entries)
		return -ENOMEM;
	to = entries;

	mutex_lock(&usm_registry_lock);
	list_for_each_entry(domain, &usm_domains, list)
		count++;
	list->count = count;
	if (count > min_t(u32, list->capacity, USM_LIST_MAX)) {
		err = -ENOSPC;
		goto out;
	}
	list_for_each_entry(domain, &usm_domains, list) {
		*to = (struct usm_list_entry){
			.id = domain->id,
			.spaces = atomic_read(&domain->nr_spaces),
			.state = READ_ONCE(domain->state),
			.released = domain->released,
		};
		memcpy(to->label, domain->label, sizeof(to->label));
		to++;
	}
out:
	mutex_unlock(&usm_registry_lock);
	if (!err && copy_to_user(u64_to_user_ptr(list->entries), entries,
				 count * sizeof(*entries)))
		err = -EFAULT;
	kvfree(entries);
	return err;
}

/* ---------------------------------------------------------- arm and fall back */

int usm_domain_arm(struct usm_domain *domain, struct usm_port *port, u64 *epoch)
{
	int err = 0;

	spin_lock(&domain->arm_lock);
	if (domain->armed) {
		err = domain->armed == port ? -EALREADY : -EBUSY;
	} else if (READ_ONCE(domain->gone)) {
		err = -ENODEV;
	} else {
		usm_events_reset(&domain->events);
		usm_supply_reset(domain);
		domain->armed = port;
		*epoch = domain->epoch + 1;
		WRITE_ONCE(domain->epoch, *epoch);
		usm_count_add(domain, USM_N_ARMS, 1);
		trace_usm_arm(domain);
		WRITE_ONCE(domain->state, USM_FALLBACK_NONE);
	}
	spin_unlock(&domain->arm_lock);
	if (!err)
		usm_domain_kick(domain);
	return err;
}

/* Of `port`, or, where that is NULL, of whoever was armed as `epoch`. */
static void usm_domain_fall(struct usm_domain *domain, const struct usm_port *port, u64 epoch,
			    enum usm_fallback_why why)
{
	bool fell;

	spin_lock(&domain->arm_lock);
	fell = domain->armed && (port ? domain->armed == port : domain->epoch == epoch);
	if (fell) {
		domain->armed = NULL;
		WRITE_ONCE(domain->fell, jiffies);
		WRITE_ONCE(domain->state, why);
		usm_count_add(domain, USM_N_FALLBACKS, 1);
		/* Once, however many faults were waiting: it is one that was missed. */
		if (why == USM_FALLBACK_DEADLINE) {
			usm_count_add(domain, USM_N_DEADLINES, 1);
			trace_usm_deadline(domain);
		}
		trace_usm_fallback(domain, why);
		usm_event_post(domain, USM_EV_FALLBACK, 0, 0, 0, 0, why);
	}
	spin_unlock(&domain->arm_lock);
	if (!fell)
		return;
	usm_supply_let_go(domain);
	pr_info("domain %llu (%s): fallback: %s\n", domain->id, domain->label,
		why == USM_FALLBACK_DEADLINE ? "the instance missed a deadline" :
		why == USM_FALLBACK_DISARMED ? "the instance disarmed" :
		"the instance is gone");
	usm_domain_kick(domain);
	usm_upcall_dismiss(domain);
	usm_events_hang_up(&domain->events);
}

void usm_domain_disarm(struct usm_domain *domain, struct usm_port *port,
		       enum usm_fallback_why why)
{
	usm_domain_fall(domain, port, 0, why);
}

void usm_domain_miss(struct usm_domain *domain, u64 epoch)
{
	usm_domain_fall(domain, NULL, epoch, USM_FALLBACK_DEADLINE);
}

/* After something changed that a fault may be waiting for. */
void usm_domain_kick(struct usm_domain *domain)
{
	atomic_inc(&domain->kicks);
	/* Pairs with the barrier of prepare_to_wait_event(). */
	smp_mb__after_atomic();
	if (waitqueue_active(&domain->waiters))
		wake_up_all(&domain->waiters);
	/* Nothing is left to answer with: they make room, or wait, otherwise. */
	if (READ_ONCE(domain->limited) && usm_upcalls_waiting(&domain->upcalls) &&
	    usm_count_sum(domain, USM_N_FREE) <= 0)
		usm_upcall_dismiss(domain);
}

/* ------------------------------------------------------------------ the end */

static void usm_domain_free(struct usm_domain *domain)
{
	usm_vault_uninit(&domain->vault);
	usm_frames_uninit(domain);
	usm_events_uninit(&domain->events);
	usm_supply_uninit(domain);
	free_percpu(domain->counts);
	if (domain->memcg)
		css_put(&domain->memcg->css);
	cgroup_put(domain->cgroup);
	kmem_cache_free(usm_domain_cache, domain);
	/* Last: on usm_wq, which the module's exit drains. */
	module_put(THIS_MODULE);
}

static void usm_domain_free_work(struct work_struct *work)
{
	usm_domain_free(container_of(to_rcu_work(work), struct usm_domain, free_work));
}

/* May sleep not: the rest happens in a worker after a grace period. */
void usm_domain_put(struct usm_domain *domain)
{
	if (domain && refcount_dec_and_test(&domain->ref))
		queue_rcu_work(usm_wq, &domain->free_work);
}

static void usm_domain_end_work(struct work_struct *work)
{
	struct usm_domain *domain = container_of(work, struct usm_domain, end_work);

	mutex_lock(&usm_registry_lock);
	list_del(&domain->list);
	mutex_unlock(&usm_registry_lock);

	spin_lock(&domain->arm_lock);
	WRITE_ONCE(domain->gone, true);
	domain->armed = NULL;
	spin_unlock(&domain->arm_lock);
	usm_events_hang_up(&domain->events);

	usm_shrink_remove(domain);
	cancel_work_sync(&domain->grow_work);
	cancel_delayed_work_sync(&domain->tidy_work);
	cancel_delayed_work_sync(&domain->limbo_work);
	usm_supply_let_go(domain);
	cancel_delayed_work_sync(&domain->upcalls.late);
	usm_frames_return_all(domain);
	usm_stores_drop(&domain->stores);
	pr_info("domain %llu (%s): ended\n", domain->id, domain->label);
	trace_usm_domain_end(domain);
	usm_domain_put(domain);
}

void usm_domain_unuse(struct usm_domain *domain)
{
	if (refcount_dec_and_test(&domain->users))
		queue_work(usm_wq, &domain->end_work);
}

/* Whoever takes it out of the hash owns the binding's use. */
static bool usm_domain_unbind(struct usm_domain *domain)
{
	bool was_bound;

	mutex_lock(&usm_registry_lock);
	was_bound = !domain->released;
	if (was_bound) {
		domain->released = true;
		hash_del_rcu(&domain->node);
	}
	mutex_unlock(&usm_registry_lock);
	if (was_bound) {
		usm_event_post(domain, USM_EV_RELEASED, 0, 0, 0, 0, 0);
		usm_domain_unuse(domain);
	}
	return was_bound;
}

int usm_domain_release(u64 id)
{
	struct usm_domain *domain = usm_domain_find(id);

	if (!domain)
		return -ENOENT;
	usm_domain_unbind(domain);
	usm_domain_put(domain);
	return 0;
}

static void usm_domain_release_work(struct work_struct *work)
{
	struct usm_domain *domain = container_of(work, struct usm_domain, release_work);

	usm_domain_unbind(domain);
	usm_domain_unuse(domain);
}

/* The cgroup is removed: runs with a spinlock held and interrupts off. */
static void usm_domain_on_rmdir(void *data, struct cgroup *cgroup, const char *path)
{
	struct usm_domain *domain;

	rcu_read_lock();
	domain = usm_domain_of(cgroup);
	if (domain && usm_domain_use(domain) &&
	    !queue_work(usm_wq, &domain->release_work))
		refcount_dec(&domain->users);	/* queued before; never the last */
	rcu_read_unlock();
}

/* -------------------------------------------------------------------- bind */

/*
 * Frames are charged as kernel memory. Where that is switched off, or the
 * cgroup has no memory controller of its own, the container's limit would not
 * hold, so such a cgroup is refused.
 */
static int usm_domain_take_cgroup(struct usm_domain *domain, struct cgroup *cgroup)
{
	struct cgroup_subsys_state *css;

	if (cgroup->root != &cgrp_dfl_root)
		return -EBADF;
	if (!cgroup_parent(cgroup))
		return -EINVAL;
	css = cgroup_get_e_css(cgroup, &memory_cgrp_subsys);
	if (css->cgroup != cgroup) {
		css_put(css);
		return -EOPNOTSUPP;
	}
	domain->memcg = mem_cgroup_from_css(css);
	cgroup_get(cgroup);
	domain->cgroup = cgroup;
	return 0;
}

static struct usm_domain *usm_domain_new(const struct usm_bind *bind,
					 struct cgroup *cgroup)
{
	struct usm_domain *domain;
	struct mem_cgroup *memcg, *old;
	struct cgroup_subsys_state *css;
	int err;

	/* Charged to the container, and listed for reclaim of its cgroup. */
	css = cgroup_get_e_css(cgroup, &memory_cgrp_subsys);
	memcg = mem_cgroup_from_css(css);
	old = set_active_memcg(memcg);
	domain = usm_shrink_alloc(usm_domain_cache);
	set_active_memcg(old);
	css_put(css);
	if (!domain)
		return ERR_PTR(-ENOMEM);

	memset(domain, 0, sizeof(*domain));
	__module_get(THIS_MODULE);
	refcount_set(&domain->ref, 1);
	refcount_set(&domain->users, 1);
	domain->id = cgroup_id(cgroup);
	memcpy(domain->label, bind->label, sizeof(domain->label));
	domain->ceiling = bind->ceiling;
	domain->reserve = bind->reserve;
	domain->mode = bind->mode;
	domain->order = bind->fault_order;
	memset(domain->orders, bind->fault_order, sizeof(domain->orders));
	domain->deadline_ms = bind->deadline_ms ?: USM_DEFAULT_DEADLINE_MS;
	domain->state = USM_FALLBACK_NEVER_ARMED;
	domain->fell = jiffies;
	domain->next_space = 1;
	INIT_LIST_HEAD(&domain->list);
	INIT_LIST_HEAD(&domain->lru);
	usm_pages_init(&domain->limbo);
	INIT_LIST_HEAD(&domain->spaces);
	spin_lock_init(&domain->arm_lock);
	spin_lock_init(&domain->limbo_lock);
	spin_lock_init(&domain->space_lock);
	mutex_init(&domain->grow_lock);
	usm_stores_init(&domain->stores);
	init_waitqueue_head(&domain->waiters);
	INIT_RCU_WORK(&domain->free_work, usm_domain_free_work);
	INIT_WORK(&domain->release_work, usm_domain_release_work);
	INIT_WORK(&domain->end_work, usm_domain_end_work);
	INIT_DELAYED_WORK(&domain->limbo_work, usm_limbo_work);
	usm_grow_init(domain);
	usm_upcalls_init(&domain->upcalls);

	err = usm_domain_take_cgroup(domain, cgroup);
	if (err)
		goto fail;
	err = -ENOMEM;
	domain->counts = alloc_percpu(struct usm_counts);
	if (!domain->counts)
		goto fail;
	err = usm_supply_init(domain);
	if (err)
		goto fail;
	err = usm_events_init(&domain->events);
	if (err)
		goto fail;
	err = usm_frames_init(domain, bind->ceiling);
	if (err)
		goto fail;
	err = usm_vault_init(&domain->vault, domain->capacity);
	if (err)
		goto fail;
	return domain;
fail:
	if (!domain->cgroup) {
		/* The release path puts it; take what it expects. */
		cgroup_get(cgroup);
		domain->cgroup = cgroup;
	}
	usm_domain_put(domain);
	return ERR_PTR(err);
}

struct usm_domain *usm_domain_bind(const struct usm_bind *bind, struct cgroup *cgroup)
{
	struct usm_domain *domain;
	int err;

	domain = usm_domain_new(bind, cgroup);
	if (IS_ERR(domain))
		return domain;

	/* Proves that frames can be had and that their charge is real. */
	err = usm_grow_first(domain);
	if (err)
		goto fail;

	mutex_lock(&usm_registry_lock);
	rcu_read_lock();
	if (usm_domain_of(cgroup))
		err = -EBUSY;
	rcu_read_unlock();
	if (!err) {
		usm_domain_get(domain);		/* the caller's */
		hash_add_rcu(usm_bound, &domain->node, (unsigned long)cgroup);
		smp_store_release(&usm_bindings, usm_bindings + 1);
		list_add_tail(&domain->list, &usm_domains);
		usm_shrink_add(domain);
	}
	mutex_unlock(&usm_registry_lock);
	if (err)
		goto fail;
	trace_usm_domain_new(domain);
	/* rmdir between open and here was not seen by the tracepoint's probe. */
	if (!(READ_ONCE(cgroup->self.flags) & CSS_ONLINE))
		usm_domain_unbind(domain);
	return domain;
fail:
	usm_frames_return_all(domain);
	usm_domain_put(domain);
	return ERR_PTR(err);
}

/* ------------------------------------------------------------------ the module */

static void usm_domain_find_tracepoint(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "cgroup_rmdir"))
		usm_rmdir_tracepoint = tp;
}

int usm_domain_init(void)
{
	int err;

	usm_domain_cache = KMEM_CACHE(usm_domain, SLAB_ACCOUNT);
	if (!usm_domain_cache)
		return -ENOMEM;
	usm_wq = alloc_workqueue("usm", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!usm_wq) {
		err = -ENOMEM;
		goto fail_cache;
	}
	for_each_kernel_tracepoint(usm_domain_find_tracepoint, NULL);
	if (!usm_rmdir_tracepoint) {
		pr_err("this kernel has no tracepoint cgroup_rmdir\n");
		err = -EOPNOTSUPP;
		goto fail_wq;
	}
	err = tracepoint_probe_register(usm_rmdir_tracepoint, usm_domain_on_rmdir, NULL);
	if (err)
		goto fail_wq;
	return 0;
fail_wq:
	destroy_workqueue(usm_wq);
fail_cache:
	kmem_cache_destroy(usm_domain_cache);
	return err;
}

void usm_domain_uninit(void)
{
	tracepoint_probe_unregister(usm_rmdir_tracepoint, usm_domain_on_rmdir, NULL);
	tracepoint_synchronize_unregister();
	rcu_barrier();
	destroy_workqueue(usm_wq);
	kmem_cache_destroy(usm_domain_cache);
}
