// SPDX-License-Identifier: GPL-2.0-only
/* Evicted pages by number, what is known of them, and the staging pages. */
#include <linux/highmem.h>
#include <linux/idr.h>
#include <linux/once.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "core/nh.h"
#include "domain.h"
#include "evict.h"
#include "frame.h"
#include "trace.h"

static_assert(sizeof(struct usm_evicted) * USM_EVICTED_BLOCK <= PAGE_SIZE);
static_assert(sizeof(struct usm_evicted_page) == 32);
static_assert(sizeof(struct usm_staged) * USM_STAGING_PAGES <= PAGE_SIZE);

/*
 * Of the sum of a page's words, which says something of this key and stays in here: what a
 * tag is made of it with is the domain's own.
 */
static unsigned long long usm_tag_key[PAGE_SIZE / sizeof(unsigned long long)];

int usm_vault_init(struct usm_vault *vault, u32 frames)
{
	spin_lock_init(&vault->lock);
	mutex_init(&vault->staging_lock);
	ida_init(&vault->ids);
	get_random_bytes(&vault->key, sizeof(vault->key));
	get_random_once(usm_tag_key, sizeof(usm_tag_key));
	vault->capacity = min_t(u64, (u64)frames * USM_EVICTED_PER_FRAME, USM_MAX_EVICTED);
	vault->blocks = kvcalloc(DIV_ROUND_UP(vault->capacity, USM_EVICTED_BLOCK),
				 sizeof(*vault->blocks), GFP_KERNEL_ACCOUNT);
	return vault->blocks ? 0 : -ENOMEM;
}

static void usm_evicted_block_free(struct usm_evicted_block *block)
{
	if (!block)
		return;
	free_page((unsigned long)block->shown);
	kvfree(block->page);
	kfree(block);
}

void usm_vault_uninit(struct usm_vault *vault)
{
	u32 i;

	/* Of a domain that could not be made. */
	if (!vault->blocks)
		return;
	for (i = 0; i < DIV_ROUND_UP(vault->capacity, USM_EVICTED_BLOCK); i++)
		usm_evicted_block_free(vault->blocks[i]);
	kvfree(vault->blocks);
	vfree(vault->staging);
	kfree(vault->eviction);
	ida_destroy(&vault->ids);
	memzero_explicit(&vault->key, sizeof(vault->key));
}

size_t usm_vault_table_size(const struct usm_vault *vault)
{
	return (size_t)DIV_ROUND_UP(vault->capacity, USM_EVICTED_BLOCK) << PAGE_SHIFT;
}

unsigned long usm_vault_table_pfn(struct usm_vault *vault, u32 index)
{
	struct usm_evicted_block *block = smp_load_acquire(&vault->blocks[index]);

	return block ? PHYS_PFN(__pa(block->shown)) : 0;
}

size_t usm_staging_offset(void)
{
	return PAGE_SIZE;
}

size_t usm_staging_size(void)
{
	return usm_staging_offset() + USM_STAGING_PAGES * PAGE_SIZE;
}

void *usm_staging(struct usm_domain *domain)
{
	struct usm_vault *vault = &domain->vault;
	void *staging = smp_load_acquire(&vault->staging);

	/* An eviction may hold the lock for long, and restoring must not wait for it. */
	if (staging)
		return staging;
	mutex_lock(&vault->staging_lock);
	if (!vault->staging)
		smp_store_release(&vault->staging, vmalloc_user(usm_staging_size()));
	mutex_unlock(&vault->staging_lock);
	return vault->staging;
}

u64 usm_evicted_tag(struct usm_vault *vault, struct page *page, u64 key)
{
	void *content = kmap_local_page(page);
	struct usm_nh_sum sum = usm_nh(content, usm_tag_key, ARRAY_SIZE(usm_tag_key));

	kunmap_local(content);
	return siphash_3u64(sum.low, sum.high, key, &vault->key);
}

static struct usm_evicted_block *usm_evicted_block_make(struct usm_domain *domain, u32 index)
{
	struct usm_evicted_block *block = READ_ONCE(domain->vault.blocks[index]), *other;
	/* Where there is no room, eviction must not be what calls the OOM killer. */
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN;
	struct mem_cgroup *old;

	if (block)
		return block;
	old = set_active_memcg(domain->memcg);
	block = kzalloc(sizeof(*block), gfp);
	if (block) {
		block->shown = (void *)get_zeroed_page(gfp);
		block->page = kvcalloc(USM_EVICTED_BLOCK, sizeof(*block->page), gfp);
	}
	set_active_memcg(old);
	if (!block || !block->shown || !block->page) {
		usm_evicted_block_free(block);
		return NULL;
	}
	other = cmpxchg(&domain->vault.blocks[index], NULL, block);
	if (other) {
		usm_evicted_block_free(block);
		return other;
	}
	usm_events_evicted_top(&domain->events, (index + 1) << USM_EVICTED_SHIFT);
	return block;
}

int usm_evicted_reserve(struct usm_domain *domain)
{
	struct usm_vault *vault = &domain->vault;
	int number = ida_alloc_max(&vault->ids, vault->capacity - 1, GFP_KERNEL);

	if (number < 0)
		return number;
	if (!usm_evicted_block_make(domain, number >> USM_EVICTED_SHIFT)) {
		ida_free(&vault->ids, number);
		return -ENOMEM;
	}
	return number;
}

void usm_evicted_unreserve(struct usm_domain *domain, u32 number)
{
	ida_free(&domain->vault.ids, number);
}

/* Nobody else looks at a number that is not in use. */
static u64 usm_evicted_new_key(struct usm_vault *vault, u32 number)
{
	struct usm_evicted *shown = usm_evicted_shown(vault, number);

	WRITE_ONCE(shown->generation, shown->generation + 1);
	return usm_evicted_key(vault, number);
}

static void usm_evicted_begin(struct usm_domain *domain, u32 number,
			      const struct usm_evicted_page *page, enum usm_evicted_state state)
{
	struct usm_vault *vault = &domain->vault;

	spin_lock(&vault->lock);
	*usm_evicted_page(vault, number) = *page;
	WRITE_ONCE(usm_evicted_shown(vault, number)->state, state);
	spin_unlock(&vault->lock);
	usm_count_add(domain, USM_N_EVICTED, 1);
}

u64 usm_evicted_new(struct usm_domain *domain, u32 number, struct page *page, u32 refs)
{
	u64 key = usm_evicted_new_key(&domain->vault, number);
	struct usm_evicted_page evicted = {
		.tag = usm_evicted_tag(&domain->vault, page, key),
		.refs = refs,
		.frame = USM_NO_FRAME,
	};

	usm_evicted_begin(domain, number, &evicted, USM_EVICTED_AWAY);
	return key;
}

u64 usm_evicted_new_bad(struct usm_domain *domain, u32 number, u32 refs)
{
	struct usm_evicted_page evicted = {
		.refs = refs, .frame = USM_NO_FRAME, .bad = true,
	};
	u64 key = usm_evicted_new_key(&domain->vault, number);

	usm_evicted_begin(domain, number, &evicted, USM_EVICTED_LOST);
	return key;
}

void usm_evicted_get(struct usm_domain *domain, u32 number)
{
	spin_lock(&domain->vault.lock);
	usm_evicted_page(&domain->vault, number)->refs++;
	spin_unlock(&domain->vault.lock);
}

void usm_evicted_give_back(struct usm_domain *domain, u32 frame)
{
	usm_frame_set_free(domain, frame);
	usm_event_post(domain, USM_EV_FREED, 0, 0, frame, 1, 0);
	usm_domain_kick(domain);
}

static void usm_evicted_free(struct usm_domain *domain, u32 number, u64 key)
{
	usm_count_add(domain, USM_N_EVICTED, -1);
	trace_usm_discarded(domain, key);
	ida_free(&domain->vault.ids, number);
}

void usm_evicted_end(struct usm_domain *domain, u32 number, u64 key, u32 frame)
{
	if (frame != USM_NO_FRAME)
		usm_evicted_give_back(domain, frame);
	usm_event_post(domain, USM_EV_DISCARDED, 0, 0, 0, 1, key);
	usm_evicted_free(domain, number, key);
}

void usm_evicted_put(struct usm_domain *domain, u32 number)
{
	struct usm_vault *vault = &domain->vault;
	struct usm_evicted *shown = usm_evicted_shown(vault, number);
	struct usm_evicted_page *page = usm_evicted_page(vault, number);
	u64 key = usm_evicted_key(vault, number);
	bool end, taken, waiters;
	u32 frame;

	spin_lock(&vault->lock);
	/* Who brings it back just now will see that nobody is left. */
	end = !--page->refs && shown->state != USM_EVICTED_COMING;
	/* Who waits at this slot waits in vain, whoever else names the page. */
	waiters = shown->state == USM_EVICTED_WANTED || shown->state == USM_EVICTED_COMING ||
		  shown->state == USM_EVICTED_TAKEN;
	taken = end && shown->state == USM_EVICTED_TAKEN;
	frame = page->frame;
	if (end) {
		page->frame = USM_NO_FRAME;
		WRITE_ONCE(shown->state, USM_EVICTED_NONE);
	}
	spin_unlock(&vault->lock);
	if (taken) {
		/* No news for who has brought it back. */
		usm_event_put_quietly(domain, &(struct usm_event){
			.type = USM_EV_DISCARDED,
			.count = 1,
			.arg = key,
		});
		usm_evicted_free(domain, number, key);
	} else if (end) {
		usm_evicted_end(domain, number, key, frame);
	}
	if (waiters)
		usm_domain_kick(domain);
}
