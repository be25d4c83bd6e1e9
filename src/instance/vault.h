/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evicted pages on their way between the module and the stores. Which store holds
 * which page is known here, and derived: from what the stores say they hold and what
 * the module's table says is still away.
 *
 * What is evicted lies in the staging pages until a store has it. Where no store takes
 * it, it stays there, is answered for from there, and nothing more is evicted. Makes no
 * system call but by struct usm_vault_calls.
 */
#ifndef USM_INSTANCE_VAULT_H
#define USM_INSTANCE_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include <usm/policy.h>

#include "mapping.h"
#include "store.h"

/* Pages evicted in one go: 0.1 ms or so of compressing, for which a refault waits. */
#define USM_VAULT_BATCH		32
/* The last staging pages, by which content goes back; we evict none into them. */
#define USM_VAULT_GATES		32
#define USM_VAULT_FIRST_GATE	(USM_STAGING_PAGES - USM_VAULT_GATES)
/* Whoever was there before may have, into the first of them; no version into all. */
#define USM_VAULT_STAGED	(USM_STAGING_PAGES - 8)

_Static_assert(USM_VAULT_BATCH <= USM_VAULT_FIRST_GATE, "staging pages of two purposes");
/* Refaults that found no frame or no gate; what is more is found in the table. */
#define USM_VAULT_PENDING	64

struct usm_vault_calls {
	/* As in struct usm_engine_ops. */
	int (*submit)(void *context, struct usm_command *commands, uint32_t count);
	/* Index of the store that a page is to go to first; anything else: any. */
	uint32_t (*place)(void *context, const struct usm_staged *staged);
	/* What has become of a page. */
	void (*refaulted)(void *context, const struct usm_store_page *page);
	void (*discarded)(void *context, const struct usm_store_page *page);
	void *context;
};

struct usm_vault {
	const struct usm_mapping *mapping;
	struct usm_evicted_mapping evicted;
	struct usm_vault_calls calls;
	struct usm_store *stores[USM_MAX_STORES];	/* by priority */
	uint32_t nr_stores;
	/* By number of the page: which store and handle, 0: none; its generation. */
	uint64_t *where;
	uint32_t *generation;
	bool unsaved;		/* staging pages hold what no store took */
	bool full;		/* no store took the last page */
	uint64_t saving[USM_VAULT_STAGED];	/* key of the page that a store is at */
	uint32_t nr_saving;
	uint64_t gates[USM_VAULT_GATES];	/* key of the page that is coming; 0: free */
	uint32_t next_gate;			/* to look at first */
	uint32_t nr_loading;			/* of them, that a store is at */
	/* What lies in gates and is to be handed to the module, all at once. */
	struct usm_command queue[USM_VAULT_GATES];
	uint32_t queued;
	uint32_t ahead;				/* bit n: nobody waits for queue[n] yet */
	uint64_t pending[USM_VAULT_PENDING];
	uint32_t nr_pending;
	bool overrun;		/* there are more of them */
	bool starved;		/* the module had no frame for one of them */

	/* Numbers since the start. */
	uint64_t saved, restored, damaged, lost;
};

/* The mappings stay the caller's; stores are taken over as they are added. -ENOMEM. */
int usm_vault_init(struct usm_vault *vault, const struct usm_mapping *mapping,
		   const struct usm_evicted_mapping *evicted);
/* Takes a zeroed vault. Closes the stores; what is in them stays. */
void usm_vault_done(struct usm_vault *vault);

/* -ENOSPC: there are USM_MAX_STORES. */
int usm_vault_add(struct usm_vault *vault, struct usm_store *store);

/*
 * Once, after the domain was armed and the stores were added: find out what they hold,
 * and save what was left in staging. Returns how many places were damaged.
 */
uint64_t usm_vault_recover(struct usm_vault *vault);

/*
 * Whether more may be evicted. A store does not know whether it has room for a page
 * before it has tried; what then turns out to have none is still in staging.
 */
bool usm_vault_has_room(const struct usm_vault *vault);

/*
 * Evict up to USM_VAULT_BATCH frames of the runs, which must be in the table. *done: how
 * many were. 0, or negative: fatal, as of submit().
 */
int usm_vault_evict(struct usm_vault *vault, const struct usm_run *runs, uint32_t count,
		    uint32_t *done);

/*
 * Somebody waits for a page, or will soon (ahead). 0, or negative: fatal. It may be in
 * the queue until usm_vault_bring().
 */
int usm_vault_want(struct usm_vault *vault, uint64_t key, bool ahead);
int usm_vault_bring(struct usm_vault *vault);
/* Want it and bring it. */
int usm_vault_refault(struct usm_vault *vault, uint64_t key);
/* Nobody has it any more. */
void usm_vault_discarded(struct usm_vault *vault, uint64_t key);

/* What the stores have done since; before usm_vault_retry(). 0, or negative: fatal. */
int usm_vault_reap(struct usm_vault *vault);

/* Pages that could not come back for want of a frame, or not be saved: again. */
int usm_vault_retry(struct usm_vault *vault);
/* Events were lost, or the domain was armed again: look at the table. */
int usm_vault_catch_up(struct usm_vault *vault);

/* Of all stores together. */
void usm_vault_usage(const struct usm_vault *vault, struct usm_store_usage *usage);

#endif /* USM_INSTANCE_VAULT_H */
