/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A store keeps the content of pages that were evicted. Several may be there at once,
 * tried in the order of their priority; which of them a page goes to is the policy's to
 * say. What a store is made of is its own: memory with a codec here, in time a file.
 *
 * A store outlives its process in a file that the domain holds (see STORES in
 * <linux/usm.h>). A process may end at any instruction: what save() has returned 0 for
 * is found by the recover() of the next one, and what it has not is not taken for
 * anything. What is found there is checked like any other input.
 */
#ifndef USM_INSTANCE_STORE_H
#define USM_INSTANCE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USM_STORE_PAGE	4096	/* bytes of content */

/* A page as a store knows it. Where it was when it was evicted; it may have moved since. */
struct usm_store_page {
	uint64_t key;		/* USM_EVICTED_KEY(), never 0 */
	uint64_t page;		/* address / 4096 */
	uint32_t space;
};

/* What it holds now, in bytes unless said. */
struct usm_store_usage {
	uint64_t quota;		/* that it is not to go beyond */
	uint64_t used;		/* that it takes from the host */
	uint64_t data;		/* of that, content as it is stored */
	uint64_t pages;		/* number */
};

/* By which a store finds a page again; its own to choose, below this. */
#define USM_STORE_HANDLE_BITS	56

struct usm_store;

/* What a store reports when it is done with what it did not do at once. */
struct usm_store_done {
	uint64_t key;
	bool saved;		/* else: loaded */
	int result;		/* as save() or load() would have returned it */
	uint64_t handle;	/* of a page that was saved */
};

struct usm_store_ops {
	/*
	 * Keep a page. 0, and what to ask for it with; -ENOSPC: the quota; -ENOMEM: the
	 * host. `force`: beyond the quota, since the page has no other place.
	 * -EINPROGRESS, of this and of load(): the content stays where it is, or is to
	 * come there, until reap() has reported it, which it does also for a page that
	 * was dropped meanwhile.
	 */
	int (*save)(struct usm_store *store, const struct usm_store_page *page,
		    const void *content, bool force, uint64_t *handle);
	/* Its content. -ENOENT: not this page; -EBADMSG: the content is damaged. */
	int (*load)(struct usm_store *store, uint64_t handle, uint64_t key, void *content);
	/* What has been done since. NULL of a store that never waits. */
	void (*reap)(struct usm_store *store,
		     void (*done)(void *context, struct usm_store *store,
				  const struct usm_store_done *done), void *context);
	/* Forget it, and fill in what was known of it. False: not this page. */
	bool (*drop)(struct usm_store *store, uint64_t handle, uint64_t key,
		     struct usm_store_page *page);
	/*
	 * After opening, once: show every page that is there. What `claim` does not
	 * want is dropped. Returns how many places were damaged.
	 */
	uint64_t (*recover)(struct usm_store *store,
			    bool (*claim)(void *context, const struct usm_store_page *page,
					  uint64_t handle), void *context);
	void (*set_quota)(struct usm_store *store, uint64_t bytes);
	void (*usage)(const struct usm_store *store, struct usm_store_usage *usage);
	/* The process lets go of it; what is stored stays. */
	void (*close)(struct usm_store *store);
};

/* The head of every store; the rest is its own. */
struct usm_store {
	const struct usm_store_ops *ops;
	const char *kind;	/* "lz4": also its name in the domain */
	uint32_t priority;	/* 0 is tried first */
};

#endif /* USM_INSTANCE_STORE_H */
