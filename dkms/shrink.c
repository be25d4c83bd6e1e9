// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free frames go back to the host when the container's cgroup, or the host, is
 * short of memory. The list holds one item a domain, charged to the bound
 * cgroup, so that memory.reclaim and memory.max of that cgroup and of its
 * ancestors reach it.
 */
#include <linux/sched.h>
#include <linux/swap.h>

#include "compat/compat.h"
#include "domain.h"
#include "grow.h"
#include "limbo.h"
#include "shrink.h"

static struct list_lru usm_lru;
static bool usm_lru_ready;

/* Domains that one scan looks at; reclaim comes back for more. */
#define USM_SHRINK_DOMAINS	16
/*
 * Memory of a killed process is free in stock Linux when it has exited; ours is a
 * worker's turn later. Whoever reclaims waits for that turn, or the OOM killer
 * would take the next process before the first one's memory is seen.
 */
#define USM_SHRINK_WAIT		(HZ / 10)

struct usm_shrink_found {
	unsigned int nr;
	struct usm_domain *domains[USM_SHRINK_DOMAINS];
};

static USM_LRU_WALK(usm_shrink_collect, item, data)
{
	struct usm_domain *domain = container_of(item, struct usm_domain, lru);
	struct usm_shrink_found *found = data;

	if (found->nr == USM_SHRINK_DOMAINS)
		return LRU_SKIP;
	usm_domain_get(domain);
	found->domains[found->nr++] = domain;
	return LRU_SKIP;
}

static void usm_shrink_find(struct shrink_control *sc, struct usm_shrink_found *found)
{
	unsigned long nr = USM_SHRINK_DOMAINS;

	found->nr = 0;
	list_lru_walk_one(&usm_lru, sc->nid, sc->memcg, usm_shrink_collect, found, &nr);
}

static unsigned long usm_shrink_free_frames(struct usm_domain *domain)
{
	s64 frames = usm_count_sum(domain, USM_N_FREE) + usm_count_sum(domain, USM_N_HELD);

	if (atomic_read(&domain->nr_exiting))
		frames += usm_count_sum(domain, USM_N_MAPPED);
	return max_t(s64, 0, frames);
}

/* Bounded, since the process that exits may need a lock that we are called with. */
static void usm_shrink_wait(struct usm_domain *domain, gfp_t gfp)
{
	int kicks = atomic_read(&domain->kicks);

	if (!atomic_read(&domain->nr_exiting) || !(gfp & __GFP_FS) ||
	    current_is_kswapd() || (current->flags & (PF_EXITING | PF_WQ_WORKER)))
		return;
	wait_event_timeout(domain->waiters, atomic_read(&domain->kicks) != kicks,
			   USM_SHRINK_WAIT);
}

static unsigned long usm_shrink_domain(struct usm_domain *domain, unsigned long frames,
				       gfp_t gfp)
{
	unsigned long freed;

	usm_limbo_flush(domain);
	freed = usm_grow_shrink_any(domain, frames, USM_SHRINK_PRESSURE);
	if (!freed) {
		usm_shrink_wait(domain, gfp);
		freed = usm_grow_shrink_any(domain, frames, USM_SHRINK_PRESSURE);
	}
	return freed;
}

static unsigned long usm_shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct usm_shrink_found found;
	unsigned long frames = 0;
	unsigned int i;

	if (!smp_load_acquire(&usm_lru_ready) || !list_lru_shrink_count(&usm_lru, sc))
		return SHRINK_EMPTY;
	usm_shrink_find(sc, &found);
	for (i = 0; i < found.nr; i++) {
		frames += usm_shrink_free_frames(found.domains[i]);
		usm_domain_put(found.domains[i]);
	}
	return frames;
}

static unsigned long usm_shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct usm_shrink_found found;
	unsigned long freed = 0;
	unsigned int i;

	usm_shrink_find(sc, &found);
	for (i = 0; i < found.nr; i++) {
		struct usm_domain *domain = found.domains[i];

		if (freed < sc->nr_to_scan && usm_domain_use(domain)) {
			freed += usm_shrink_domain(domain, sc->nr_to_scan - freed,
						   sc->gfp_mask);
			usm_domain_unuse(domain);
		}
		usm_domain_put(domain);
	}
	return freed ?: SHRINK_STOP;
}

#ifdef USM_HAVE_SHRINKER_ALLOC
static struct shrinker *usm_shrinker;

static struct shrinker *usm_shrinker_register(void)
{
	usm_shrinker = shrinker_alloc(SHRINKER_MEMCG_AWARE, "usm");
	if (!usm_shrinker)
		return NULL;
	usm_shrinker->count_objects = usm_shrink_count;
	usm_shrinker->scan_objects = usm_shrink_scan;
	usm_shrinker->seeks = DEFAULT_SEEKS;
	shrinker_register(usm_shrinker);
	return usm_shrinker;
}

static void usm_shrinker_unregister(void)
{
	shrinker_free(usm_shrinker);
}
#else
static struct shrinker usm_shrinker = {
	.count_objects = usm_shrink_count,
	.scan_objects = usm_shrink_scan,
	.seeks = DEFAULT_SEEKS,
	.flags = SHRINKER_MEMCG_AWARE,
};

static struct shrinker *usm_shrinker_register(void)
{
	return register_shrinker(&usm_shrinker, "usm") ? NULL : &usm_shrinker;
}

static void usm_shrinker_unregister(void)
{
	unregister_shrinker(&usm_shrinker);
}
#endif

int usm_shrink_init(void)
{
	struct shrinker *shrinker = usm_shrinker_register();
	int err;

	if (!shrinker)
		return -ENOMEM;
	/* Needs the shrinker's id; calls that come before are turned away. */
	err = list_lru_init_memcg(&usm_lru, shrinker);
	if (err) {
		usm_shrinker_unregister();
		return err;
	}
	smp_store_release(&usm_lru_ready, true);
	return 0;
}

void usm_shrink_uninit(void)
{
	usm_shrinker_unregister();
	list_lru_destroy(&usm_lru);
}

void *usm_shrink_alloc(struct kmem_cache *cache)
{
	return kmem_cache_alloc_lru(cache, &usm_lru, GFP_KERNEL);
}

void usm_shrink_add(struct usm_domain *domain)
{
	usm_lru_add(&usm_lru, &domain->lru);
}

void usm_shrink_remove(struct usm_domain *domain)
{
	usm_lru_del(&usm_lru, &domain->lru);
}
