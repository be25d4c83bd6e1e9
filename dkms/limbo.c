// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>

#include "domain.h"
#include "frame.h"
#include "limbo.h"
#include "space.h"
#include "trace.h"

/*
 * A page leaves the TLB gather within a jiffy of its munmap; a page pinned by I/O
 * or sitting in a pipe gives no sign when it is let go, so it is looked at again
 * ever more rarely.
 */
#define USM_LIMBO_DELAY_MAX	(HZ / 4)
/* Pages looked at until others may run. */
#define USM_LIMBO_BATCH		64

void usm_limbo_add(struct usm_domain *domain, struct usm_family *family,
		   struct usm_pages *pages, unsigned int nr)
{
	if (!nr)
		return;
	usm_family_get_many(family, nr);
	usm_count_add(domain, USM_N_HELD, nr);
	spin_lock(&domain->limbo_lock);
	usm_pages_join(&domain->limbo, pages);
	/* The caller's space holds a use, so this is never the first. */
	if (!domain->limbo_nr)
		refcount_inc(&domain->users);
	domain->limbo_nr += nr;
	domain->limbo_delay = 1;
	spin_unlock(&domain->limbo_lock);
	mod_delayed_work(usm_wq, &domain->limbo_work, 0);
}

/* Freed frames, in runs: free for others when their run is flushed. */
struct usm_freed {
	struct usm_domain *domain;
	u32 frame;
	u32 count;
};

static void usm_freed_flush(struct usm_freed *freed)
{
	if (freed->count) {
		usm_frames_show_freed(freed->domain, freed->frame, freed->count);
		usm_frames_unclaim(freed->domain, freed->frame, freed->count);
		usm_event_post(freed->domain, USM_EV_FREED, 0, 0, freed->frame,
			       freed->count, 0);
		trace_usm_freed(freed->domain, freed->frame, freed->count);
	}
	freed->count = 0;
}

static void usm_freed_add(struct usm_freed *freed, u32 frame)
{
	/* Nobody shall have to wait for the end of a large one. */
	if (freed->count == USM_MAX_RUN)
		usm_freed_flush(freed);
	if (freed->count && frame == freed->frame + freed->count) {
		freed->count++;
		return;
	}
	if (freed->count && frame + 1 == freed->frame) {
		freed->frame = frame;
		freed->count++;
		return;
	}
	usm_freed_flush(freed);
	freed->frame = frame;
	freed->count = 1;
}

static void usm_limbo_free(struct usm_domain *domain, struct page *page,
			   struct usm_freed *freed)
{
	u32 frame = usm_page_frame(page);

	page->mapping = NULL;
	/* The old content's, set by zap. */
	folio_clear_referenced(page_folio(page));
	if (unlikely(PageHWPoison(page))) {
		usm_frame_retire(domain, frame);
		return;
	}
	usm_freed_add(freed, frame);
}

/* Who poisons a page on purpose keeps a reference to it for ever. */
static bool usm_limbo_over(struct page *page)
{
	return page_count(page) == 1 ||
	       unlikely(PageHWPoison(page) && !folio_mapped(page_folio(page)));
}

unsigned int usm_limbo_flush(struct usm_domain *domain)
{
	struct usm_freed freed = { .domain = domain };
	struct address_space *mapping = NULL;
	struct usm_family *family = NULL;
	struct usm_pages pages, held;
	struct page *page, *next;
	unsigned int done = 0, batch = 0, seen = 0;
	bool unuse;

	usm_pages_init(&pages);
	usm_pages_init(&held);
	spin_lock(&domain->limbo_lock);
	usm_pages_join(&pages, &domain->limbo);
	spin_unlock(&domain->limbo_lock);

	for (page = pages.first; page; page = next) {
		next = *usm_page_next(page);
		if (!(++seen % USM_LIMBO_BATCH))
			cond_resched();
		if (unlikely(!usm_limbo_over(page))) {
			usm_frame_set_state(domain, usm_page_frame(page), USM_FRAME_HELD);
			usm_pages_add(&held, page);
			continue;
		}
		/* Those of a family have their inode in common. */
		if (unlikely(page->mapping != mapping)) {
			usm_family_put_many(family, batch);
			mapping = page->mapping;
			family = usm_page_family(page);
			batch = 0;
		}
		usm_limbo_free(domain, page, &freed);
		batch++;
		done++;
	}
	usm_family_put_many(family, batch);
	usm_freed_flush(&freed);
	if (done) {
		usm_count_add(domain, USM_N_HELD, -(s64)done);
		WRITE_ONCE(domain->limited, false);
		usm_domain_kick(domain);
	}

	spin_lock(&domain->limbo_lock);
	usm_pages_join(&held, &domain->limbo);
	usm_pages_join(&domain->limbo, &held);
	domain->limbo_nr -= done;
	unuse = done && !domain->limbo_nr;
	spin_unlock(&domain->limbo_lock);
	if (unuse)
		usm_domain_unuse(domain);
	return done;
}

void usm_limbo_work(struct work_struct *work)
{
	struct usm_domain *domain = container_of(to_delayed_work(work), struct usm_domain,
						 limbo_work);
	usm_limbo_flush(domain);

	/* Here it may have ended already: end_work waits for us. */
	spin_lock(&domain->limbo_lock);
	if (domain->limbo_nr) {
		queue_delayed_work(usm_wq, &domain->limbo_work, domain->limbo_delay);
		domain->limbo_delay = min_t(unsigned long, domain->limbo_delay * 2,
					    USM_LIMBO_DELAY_MAX);
	}
	spin_unlock(&domain->limbo_lock);
}
