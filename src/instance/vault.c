// SPDX-License-Identifier: GPL-2.0-or-later
#include "vault.h"

#include <errno.h>
#include <stdlib.h>

#define HANDLE_MASK	((UINT64_C(1) << USM_STORE_HANDLE_BITS) - 1)

int usm_vault_init(struct usm_vault *vault, const struct usm_mapping *mapping,
		   const struct usm_evicted_mapping *evicted)
{
	struct usm_vault v = { .mapping = mapping, .evicted = *evicted };

	v.where = calloc(evicted->numbers ?: 1, sizeof(*v.where));
	v.generation = calloc(evicted->numbers ?: 1, sizeof(*v.generation));
	if (!v.where || !v.generation) {
		free(v.where);
		free(v.generation);
		return -ENOMEM;
	}
	*vault = v;
	return 0;
}

void usm_vault_done(struct usm_vault *vault)
{
	for (uint32_t i = 0; i < vault->nr_stores; i++)
		vault->stores[i]->ops->close(vault->stores[i]);
	free(vault->where);
	free(vault->generation);
	*vault = (struct usm_vault){};
}

int usm_vault_add(struct usm_vault *vault, struct usm_store *store)
{
	uint32_t at = vault->nr_stores;

	if (at == USM_MAX_STORES)
		return -ENOSPC;
	for (; at && vault->stores[at - 1]->priority > store->priority; at--)
		vault->stores[at] = vault->stores[at - 1];
	vault->stores[at] = store;
	vault->nr_stores++;
	return 0;
}

/* ---------------------------------------------------------------------- looking */

/*
 * The module may ask for this content, or ask again: what is ready in a frame may be let
 * go of, where processes share it.
 */
static bool is_away(const struct usm_vault *vault, uint64_t key)
{
	struct usm_evicted entry = usm_evicted_read(vault->mapping, &vault->evicted,
						    USM_EVICTED_NUMBER(key));

	if (entry.generation != USM_EVICTED_GENERATION(key))
		return false;
	return entry.state == USM_EVICTED_AWAY || entry.state == USM_EVICTED_WANTED ||
	       entry.state == USM_EVICTED_COMING || entry.state == USM_EVICTED_READY ||
	       entry.state == USM_EVICTED_LOST;
}

/* The store that holds the page; NULL: none. */
static struct usm_store *find(const struct usm_vault *vault, uint64_t key, uint64_t *handle)
{
	uint32_t number = USM_EVICTED_NUMBER(key);

	if (number >= vault->evicted.numbers || !vault->where[number] ||
	    vault->generation[number] != USM_EVICTED_GENERATION(key))
		return NULL;
	*handle = (vault->where[number] & HANDLE_MASK) - 1;
	return vault->stores[vault->where[number] >> USM_STORE_HANDLE_BITS];
}

static void remember(struct usm_vault *vault, uint32_t store, uint64_t key, uint64_t handle)
{
	uint32_t number = USM_EVICTED_NUMBER(key);

	vault->where[number] = (uint64_t)store << USM_STORE_HANDLE_BITS | (handle + 1);
	vault->generation[number] = USM_EVICTED_GENERATION(key);
}

/* The staging page that still holds it; -1: none. */
static int find_staged(const struct usm_vault *vault, uint64_t key)
{
	for (int i = 0; (vault->unsaved || vault->nr_saving) && i < USM_VAULT_STAGED; i++)
		if (vault->evicted.staged[i].key == key)
			return i;
	return -1;
}

/* Out of whatever holds it. False: nothing did. */
static bool forget(struct usm_vault *vault, uint64_t key, struct usm_store_page *page)
{
	int i = find_staged(vault, key);
	struct usm_store *store;
	uint64_t handle;

	if (i >= 0) {
		struct usm_staged *staged = &vault->evicted.staged[i];

		*page = (struct usm_store_page){ key, staged->page, staged->space };
		__atomic_store_n(&staged->key, 0, __ATOMIC_RELEASE);
		return true;
	}
	store = find(vault, key, &handle);
	if (!store)
		return false;
	vault->where[USM_EVICTED_NUMBER(key)] = 0;
	vault->full = false;
	return store->ops->drop(store, handle, key, page);
}

/* ----------------------------------------------------------------------- saving */

/* What had the number before is gone, and its event is still to come. */
static void supersede(struct usm_vault *vault, uint64_t key)
{
	uint32_t number = USM_EVICTED_NUMBER(key);
	struct usm_store_page page;

	if (vault->where[number] &&
	    forget(vault, USM_EVICTED_KEY(number, vault->generation[number]), &page))
		vault->calls.discarded(vault->calls.context, &page);
}

static bool save_in(struct usm_vault *vault, uint32_t index, uint32_t i, bool force)
{
	struct usm_staged *staged = &vault->evicted.staged[i];
	struct usm_store *store = vault->stores[index];
	struct usm_store_page page = {
		.key = staged->key, .page = staged->page, .space = staged->space,
	};
	uint64_t handle;
	int r = store->ops->save(store, &page, usm_evicted_content(&vault->evicted, i), force,
				 &handle);

	if (r == -EINPROGRESS) {
		vault->saving[i] = page.key;
		vault->nr_saving++;
		return true;
	}
	if (r < 0)
		return false;
	remember(vault, index, page.key, handle);
	/* Only now: until here the staging page was the one that counted. */
	__atomic_store_n(&staged->key, 0, __ATOMIC_RELEASE);
	vault->saved++;
	return true;
}

static bool save(struct usm_vault *vault, uint32_t i, bool force)
{
	const struct usm_staged *staged = &vault->evicted.staged[i];
	uint32_t first;

	if (USM_EVICTED_NUMBER(staged->key) >= vault->evicted.numbers)
		return false;
	supersede(vault, staged->key);
	first = vault->calls.place(vault->calls.context, staged);
	if (first < vault->nr_stores && save_in(vault, first, i, force))
		return true;
	for (uint32_t index = 0; index < vault->nr_stores; index++)
		if (index != first && save_in(vault, index, i, force))
			return true;
	return false;
}

/*
 * What the staging pages hold that is still away: in the store already, where the
 * last process ended before it said so, or to be saved.
 */
static void salvage(struct usm_vault *vault, bool force)
{
	vault->unsaved = false;
	/* What one page finds no room for the others need not try. */
	for (uint32_t i = 0; i < USM_VAULT_STAGED && !vault->unsaved; i++) {
		struct usm_staged *staged = &vault->evicted.staged[i];
		uint64_t handle;

		if (!staged->key || vault->saving[i])
			continue;
		if (!is_away(vault, staged->key) || find(vault, staged->key, &handle))
			__atomic_store_n(&staged->key, 0, __ATOMIC_RELEASE);
		else if (!save(vault, i, force))
			vault->unsaved = vault->full = true;
	}
}

struct recovery {
	struct usm_vault *vault;
	uint32_t store;
};

static bool claim(void *context, const struct usm_store_page *page, uint64_t handle)
{
	const struct recovery *recovery = context;
	struct usm_vault *vault = recovery->vault;
	uint64_t other;

	if (!is_away(vault, page->key) || find(vault, page->key, &other))
		return false;
	remember(vault, recovery->store, page->key, handle);
	return true;
}

uint64_t usm_vault_recover(struct usm_vault *vault)
{
	uint64_t damaged = 0;

	for (uint32_t i = 0; i < vault->nr_stores; i++) {
		struct usm_store *store = vault->stores[i];
		struct recovery recovery = { vault, i };

		damaged += store->ops->recover(store, claim, &recovery);
	}
	salvage(vault, true);
	vault->damaged += damaged;
	return damaged;
}

/* --------------------------------------------------------------------- evicting */

bool usm_vault_has_room(const struct usm_vault *vault)
{
	if (vault->unsaved || vault->nr_saving || vault->full)
		return false;
	for (uint32_t i = 0; i < vault->nr_stores; i++) {
		struct usm_store_usage usage;

		vault->stores[i]->ops->usage(vault->stores[i], &usage);
		if (usage.quota)
			return true;
	}
	return false;
}

static bool is_mapped(const struct usm_vault *vault, uint32_t frame)
{
	unsigned int state = usm_mapping_frame(vault->mapping, frame).state & USM_FRAME_STATE_MASK;

	return state == USM_FRAME_MAPPED || state == USM_FRAME_SHARED;
}

/* How many frames from `frame` on hold a page that can go with the first. */
static uint32_t mapped_length(const struct usm_vault *vault, uint32_t frame, uint32_t most)
{
	uint32_t n = 0;

	while (n < most && is_mapped(vault, frame + n))
		n++;
	return n;
}

/* Commands for what is mapped in the runs. Returns their number; *pages: theirs. */
static uint32_t commands_build(const struct usm_vault *vault, const struct usm_run *runs,
			       uint32_t count, struct usm_command *commands, uint32_t *pages)
{
	uint32_t n = 0, staging = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t frame = runs[i].frame, end = frame + runs[i].count;

		while (frame < end && staging < USM_VAULT_BATCH) {
			uint32_t most = USM_VAULT_BATCH - staging, length;
			struct usm_frame first = usm_mapping_frame(vault->mapping, frame);

			length = mapped_length(vault, frame,
					       most < end - frame ? most : end - frame);
			if (length)
				commands[n++] = (struct usm_command){
					.op = USM_CMD_EVICT,
					.frame = frame,
					.count = length,
					.generation = USM_FRAME_GENERATION(&first),
					.arg = staging,
				};
			staging += length;
			frame += length ?: 1;
		}
	}
	*pages = staging;
	return n;
}

int usm_vault_evict(struct usm_vault *vault, const struct usm_run *runs, uint32_t count,
		    uint32_t *done)
{
	struct usm_command commands[USM_VAULT_BATCH];
	uint32_t pages, n = commands_build(vault, runs, count, commands, &pages);
	int r;

	*done = 0;
	if (!n || vault->unsaved || vault->nr_saving)
		return 0;
	r = vault->calls.submit(vault->calls.context, commands, n);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < pages; i++) {
		if (!vault->evicted.staged[i].key)
			continue;
		++*done;
		if (!save(vault, i, false))
			vault->unsaved = vault->full = true;
	}
	return 0;
}

/* ------------------------------------------------------------------- coming back */

static int command(struct usm_vault *vault, uint16_t op, uint32_t staging, uint64_t key,
		   int *result)
{
	struct usm_command c = { .op = op, .frame = staging, .count = 1, .arg = key };
	int r = vault->calls.submit(vault->calls.context, &c, 1);

	*result = c.result;
	return r;
}

/* No store has it, or what it has is not what was evicted: better no page than that. */
static int give_up(struct usm_vault *vault, uint64_t key)
{
	struct usm_store_page page;
	int result, r;

	if (!is_away(vault, key))
		return 0;
	r = command(vault, USM_CMD_LOSE, 0, key, &result);
	if (r < 0)
		return r;
	vault->lost += !result;
	forget(vault, key, &page);
	return 0;
}

static void postpone(struct usm_vault *vault, uint64_t key)
{
	if (vault->nr_pending < USM_VAULT_PENDING)
		vault->pending[vault->nr_pending++] = key;
	else
		vault->overrun = true;
}

/* What the module said to its content. */
static void restored(struct usm_vault *vault, uint64_t key, int result, bool ahead)
{
	struct usm_store_page page;

	if (result == -ENOMEM) {
		/* Who needs it yet asks for it. */
		if (ahead)
			return;
		vault->starved = true;
		postpone(vault, key);
		return;
	}
	vault->restored += result >= 0;
	/* Processes share it, and the others may ask for it yet: it stays. */
	if (result > 0)
		return;
	/* Not taken: nobody wants it any more, or it is there. Or it was not what went out
	 * (-EBADMSG), and then it is asked for again until the module gives it up. */
	if (!result || !is_away(vault, key)) {
		if (forget(vault, key, &page) && !result)
			vault->calls.refaulted(vault->calls.context, &page);
	}
}

/* The content is in staging: the module takes it, or says why not. */
static int restore(struct usm_vault *vault, uint64_t key, uint32_t staging, bool ahead)
{
	int result, r = command(vault, USM_CMD_RESTORE, staging, key, &result);

	if (r < 0)
		return r;
	restored(vault, key, result, ahead);
	return 0;
}

int usm_vault_bring(struct usm_vault *vault)
{
	uint32_t n = vault->queued, ahead = vault->ahead;
	int r;

	if (!n)
		return 0;
	vault->queued = vault->ahead = 0;
	for (uint32_t i = 0; i < n; i++)
		vault->gates[vault->queue[i].frame - USM_VAULT_FIRST_GATE] = 0;
	r = vault->calls.submit(vault->calls.context, vault->queue, n);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++)
		restored(vault, vault->queue[i].arg, vault->queue[i].result, ahead >> i & 1);
	return 0;
}

static bool gate_is_free(const struct usm_vault *vault, uint32_t gate)
{
	uint32_t staging = USM_VAULT_FIRST_GATE + gate;

	return !vault->gates[gate] &&
	       (staging >= USM_VAULT_STAGED || !vault->evicted.staged[staging].key);
}

static bool is_coming(const struct usm_vault *vault, uint64_t key)
{
	for (uint32_t i = 0; i < vault->queued; i++)
		if (vault->queue[i].arg == key)
			return true;
	for (uint32_t gate = 0; vault->nr_loading && gate < USM_VAULT_GATES; gate++)
		if (vault->gates[gate] == key)
			return true;
	return false;
}

/* A gate that is free; -1: all are taken, or this page is coming already. */
static int gate_find(struct usm_vault *vault, uint64_t key, bool *coming)
{
	*coming = is_coming(vault, key);
	for (uint32_t i = 0; i < USM_VAULT_GATES && !*coming; i++) {
		uint32_t gate = (vault->next_gate + i) % USM_VAULT_GATES;

		if (gate_is_free(vault, gate)) {
			vault->next_gate = gate + 1;
			return (int)gate;
		}
	}
	return -1;
}

static int enqueue(struct usm_vault *vault, uint64_t key, int gate, bool ahead)
{
	vault->gates[gate] = key;
	vault->ahead |= (uint32_t)ahead << vault->queued;
	vault->queue[vault->queued++] = (struct usm_command){
		.op = USM_CMD_RESTORE,
		.frame = USM_VAULT_FIRST_GATE + (uint32_t)gate,
		.count = 1,
		.arg = key,
	};
	return vault->queued == USM_VAULT_GATES ? usm_vault_bring(vault) : 0;
}

/* It may be in the queue, and now somebody waits for it. */
static void hasten(struct usm_vault *vault, uint64_t key)
{
	for (uint32_t i = 0; i < vault->queued; i++)
		if (vault->queue[i].arg == key)
			vault->ahead &= ~(UINT32_C(1) << i);
}

int usm_vault_refault(struct usm_vault *vault, uint64_t key)
{
	int r = usm_vault_want(vault, key, false);

	return r < 0 ? r : usm_vault_bring(vault);
}

int usm_vault_want(struct usm_vault *vault, uint64_t key, bool ahead)
{
	int staging = find_staged(vault, key), gate, r = -ENOENT;
	struct usm_store *store;
	uint64_t handle;
	bool coming;

	if (staging >= 0) {
		/* Who waits for it maps what came before. */
		r = usm_vault_bring(vault);
		return r < 0 ? r : restore(vault, key, (uint32_t)staging, ahead);
	}
	gate = gate_find(vault, key, &coming);
	if (gate < 0) {
		if (coming && !ahead)
			hasten(vault, key);
		else if (!ahead)
			postpone(vault, key);
		return 0;
	}
	staging = USM_VAULT_FIRST_GATE + gate;
	store = find(vault, key, &handle);
	if (store)
		r = store->ops->load(store, handle, key,
				     usm_evicted_content(&vault->evicted, (uint32_t)staging));
	if (r == -EINPROGRESS) {
		vault->gates[gate] = key;
		vault->nr_loading++;
		return 0;
	}
	/* Whoever needs it yet asks for it, and is told. */
	if (r < 0 && ahead)
		return 0;
	vault->damaged += r == -EBADMSG;
	return r < 0 ? give_up(vault, key) : enqueue(vault, key, gate, ahead);
}

/* ------------------------------------------------------------------- what was later */

struct reaping {
	struct usm_vault *vault;
	int result;		/* of the vault's own calls */
};

static void saved_later(struct usm_vault *vault, struct usm_store *store,
			const struct usm_store_done *done)
{
	struct usm_store_page page;
	uint32_t index = 0, i = 0;

	while (i < USM_VAULT_STAGED && vault->saving[i] != done->key)
		i++;
	if (i == USM_VAULT_STAGED)
		return;
	vault->saving[i] = 0;
	vault->nr_saving--;
	if (vault->evicted.staged[i].key != done->key) {
		/* It went back, or was dropped, out of staging. */
		if (!done->result)
			store->ops->drop(store, done->handle, done->key, &page);
		return;
	}
	if (done->result < 0) {
		vault->unsaved = vault->full = true;
		return;
	}
	while (vault->stores[index] != store)
		index++;
	remember(vault, index, done->key, done->handle);
	__atomic_store_n(&vault->evicted.staged[i].key, 0, __ATOMIC_RELEASE);
	vault->saved++;
}

static int loaded_later(struct usm_vault *vault, const struct usm_store_done *done)
{
	for (uint32_t gate = 0; gate < USM_VAULT_GATES; gate++) {
		if (vault->gates[gate] != done->key)
			continue;
		vault->gates[gate] = 0;
		vault->nr_loading--;
		vault->damaged += done->result == -EBADMSG;
		return done->result < 0 ? give_up(vault, done->key) :
		       restore(vault, done->key, USM_VAULT_FIRST_GATE + gate, false);
	}
	return 0;
}

static void reaped(void *context, struct usm_store *store, const struct usm_store_done *done)
{
	struct reaping *reaping = context;
	int r = 0;

	if (done->saved)
		saved_later(reaping->vault, store, done);
	else
		r = loaded_later(reaping->vault, done);
	if (r < 0)
		reaping->result = r;
}

int usm_vault_reap(struct usm_vault *vault)
{
	struct reaping reaping = { .vault = vault };

	for (uint32_t i = 0; i < vault->nr_stores; i++)
		if (vault->stores[i]->ops->reap)
			vault->stores[i]->ops->reap(vault->stores[i], reaped, &reaping);
	return reaping.result;
}

void usm_vault_discarded(struct usm_vault *vault, uint64_t key)
{
	struct usm_store_page page;

	if (forget(vault, key, &page))
		vault->calls.discarded(vault->calls.context, &page);
}

static int refault_wanted(struct usm_vault *vault, uint32_t number)
{
	struct usm_evicted entry = usm_evicted_read(vault->mapping, &vault->evicted, number);

	return entry.state == USM_EVICTED_WANTED ?
	       usm_vault_want(vault, USM_EVICTED_KEY(number, entry.generation), false) : 0;
}

static int refault_all_wanted(struct usm_vault *vault)
{
	uint32_t top = usm_evicted_top(vault->mapping, &vault->evicted);
	int r = 0;

	/* Where one found no frame the others need not try now. */
	for (uint32_t number = 0; !r && number < top && !vault->overrun; number++) {
		r = refault_wanted(vault, number);
		vault->overrun |= vault->starved;
	}
	if (!r)
		r = usm_vault_bring(vault);
	vault->overrun |= vault->starved;
	return r;
}

int usm_vault_retry(struct usm_vault *vault)
{
	uint32_t n = vault->nr_pending;
	bool overrun = vault->overrun;
	int r = 0;

	vault->overrun = vault->starved = false;
	vault->nr_pending = 0;
	if (overrun) {
		r = refault_all_wanted(vault);
	} else {
		uint64_t keys[USM_VAULT_PENDING];

		for (uint32_t i = 0; i < n; i++)
			keys[i] = vault->pending[i];
		for (uint32_t i = 0; !r && i < n; i++) {
			if (vault->starved)
				postpone(vault, keys[i]);
			else
				r = refault_wanted(vault, USM_EVICTED_NUMBER(keys[i]));
		}
		if (!r)
			r = usm_vault_bring(vault);
	}
	if (vault->unsaved && !vault->full)
		salvage(vault, false);
	return r;
}

int usm_vault_catch_up(struct usm_vault *vault)
{
	uint32_t top = usm_evicted_top(vault->mapping, &vault->evicted);

	vault->nr_pending = 0;
	vault->overrun = vault->starved = false;
	salvage(vault, false);
	for (uint32_t number = 0; number < top; number++) {
		uint64_t key = USM_EVICTED_KEY(number, vault->generation[number]);

		if (vault->where[number] && !is_away(vault, key))
			usm_vault_discarded(vault, key);
	}
	return refault_all_wanted(vault);
}

void usm_vault_usage(const struct usm_vault *vault, struct usm_store_usage *usage)
{
	*usage = (struct usm_store_usage){};
	for (uint32_t i = 0; i < vault->nr_stores; i++) {
		struct usm_store_usage one;

		vault->stores[i]->ops->usage(vault->stores[i], &one);
		usage->quota += one.quota;
		usage->used += one.used;
		usage->data += one.data;
		usage->pages += one.pages;
	}
}
