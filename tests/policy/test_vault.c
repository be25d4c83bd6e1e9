// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Eviction in the trusted runtime, against a model of the module that takes nothing but
 * what went out: when it happens, what comes back, and what an end of the process, a full
 * or damaged store and lost events make of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "events.h"
#include "memstore.h"
#include "model.h"
#include "storage.h"
#include "suite.h"
#include "vault.h"

#define FRAMES	256u
#define SLABS	64u
#define SECOND	1000000000ull

static struct model model;
static struct usm_parameters parameters;
static struct usm_engine engine;
static struct usm_vault vault;
static int files[2];
static uint64_t now;

/* ------------------------------------------------------------------- the policy */

/* As told by the test; what it heard. */
static struct {
	uint32_t hand, place, refaults, discarded, asked;
	bool wrong;
} policy;

static uint32_t policy_supply(void *state, const struct usm_supply_request *request,
			      struct usm_run *runs, uint32_t capacity)
{
	const struct usm_host *host = state;
	uint32_t frame = host->find(host, 0, 0), n = 0;

	while (frame != USM_FRAME_NOWHERE && n < capacity && n < request->frames) {
		runs[n++] = (struct usm_run){ .frame = frame, .count = 1 };
		frame = host->find(host, frame + 1, 0);
	}
	return n;
}

static int policy_init(const struct usm_host *host, void **state)
{
	*state = (void *)host;
	return 0;
}

static uint32_t policy_evict(void *state, const struct usm_evict_request *request,
			     struct usm_run *runs, uint32_t capacity)
{
	uint32_t n = 0;

	policy.asked++;
	if (policy.wrong) {
		runs[0] = (struct usm_run){ .frame = FRAMES - 1, .count = 2 };
		return 1;
	}
	while (n < capacity && n < request->frames && n < FRAMES) {
		runs[n++] = (struct usm_run){ .frame = policy.hand, .count = 1 };
		policy.hand = (policy.hand + 1) % FRAMES;
	}
	return n;
}

static uint32_t policy_place(void *state, const struct usm_place_request *request)
{
	return policy.place;
}

static void policy_refault(void *state, const struct usm_return_note *note)
{
	ck_assert_uint_eq(note->space, 1);
	policy.refaults++;
}

static void policy_discarded(void *state, const struct usm_return_note *note)
{
	ck_assert_uint_eq(note->space, 1);
	policy.discarded++;
}

static const struct usm_policy test_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "test",
	.init = policy_init,
	.supply = policy_supply,
	.evict = policy_evict,
	.place = policy_place,
	.refault = policy_refault,
	.discarded = policy_discarded,
};

/* ------------------------------------------------------------------- the process */

static void settle(void)
{
	const struct usm_ring *events = model.mapping.events.ring;
	int turns = 0;

	while (usm_engine_turn(&engine, now) == USM_ENGINE_MORE || events->head != events->tail)
		ck_assert_int_lt(++turns, 1000);
}

static void tick(void)
{
	now += SECOND;
	ck_assert_int_eq(usm_engine_tick(&engine, now), 0);
	settle();
}

static void begin(bool fresh, int stores, uint64_t quota)
{
	model_arm(&model);
	ck_assert_int_eq(usm_parameters_init(&parameters, NULL, NULL), 0);
	ck_assert_int_eq(usm_engine_init(&engine, &(struct usm_engine_setup){
		.mapping = &model.mapping,
		.policy = &test_policy,
		.parameters = &parameters,
		.ceiling = FRAMES,
		.ops = &model_ops,
		.context = &model,
	}), 0);
	ck_assert_int_eq(usm_engine_begin(&engine, now, NULL), 0);
	ck_assert_int_eq(usm_vault_init(&vault, &model.mapping, &model.evicted), 0);
	for (int i = 0; i < stores; i++) {
		struct usm_store *store = storage_open(files[i], fresh, SLABS);

		store->priority = (uint32_t)i;
		store->ops->set_quota(store, quota);
		ck_assert_int_eq(usm_vault_add(&vault, store), 0);
	}
	usm_eviction_attach(&engine, &vault);
	ck_assert_uint_eq(usm_vault_recover(&vault), 0);
	usm_engine_reset(&engine, now);
}

/* As after a kill: nothing is said to anybody. */
static void process_end(void)
{
	usm_engine_done(&engine);
	usm_vault_done(&vault);
	usm_parameters_done(&parameters);
}

static void setup(void)
{
	now = SECOND;
	memset(&policy, 0, sizeof(policy));
	policy.place = USM_STORE_ANYWHERE;
	model_init(&model, FRAMES, 1);
	model_evicts(&model);
	files[0] = storage_file(SLABS);
	files[1] = storage_file(SLABS);
}

static void teardown(void)
{
	process_end();
	model_done(&model);
	close(files[0]);
	close(files[1]);
}

/* Everything in use and nothing more to be had, and what that leads to. */
static void fill(void)
{
	model_occupy(&model, 0, FRAMES);
	begin(true, 1, UINT64_MAX);
	settle();
}

static uint32_t away(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < MODEL_NUMBERS; i++)
		n += model.numbers[i].state == USM_EVICTED_AWAY ||
		     model.numbers[i].state == USM_EVICTED_WANTED;
	return n;
}

/* The next that is away is touched, and comes back as it was. */
static void come_back(uint32_t pages)
{
	uint32_t before = model.refaults;

	for (uint32_t i = 0; i < MODEL_NUMBERS && pages; i++) {
		if (model.numbers[i].state != USM_EVICTED_AWAY)
			continue;
		model_touch(&model, i);
		settle();
		ck_assert_uint_eq(model.refaults, ++before);
		pages--;
	}
	ck_assert_uint_eq(pages, 0);
	ck_assert_uint_eq(model.corrupt, 0);
}

/* Out of the policy's and the runtime's hands, as an EVICT by itself. */
static void evict_only(uint32_t frame, uint32_t count)
{
	struct usm_command command = { .op = USM_CMD_EVICT, .frame = frame, .count = count };

	ck_assert_int_eq(model_command_evict(&model, &command), (int)count);
}

static uint64_t key_of(uint32_t number)
{
	return USM_EVICTED_KEY(number, model.numbers[number].generation);
}

/* ------------------------------------------------------------------------- tests */

static const struct {
	uint32_t present, free;
	bool limited, starved;
	uint32_t wanted;
} wants[] = {
	{ 16384, 8192, true, false, 0 },
	{ 16384, 300, true, false, 0 },		/* between low and high, not begun */
	{ 16384, 256, true, false, 0 },
	{ 16384, 255, true, false, 257 },
	{ 16384, 0, true, false, 512 },
	{ 16384, 0, false, false, 0 },		/* there is more to be had */
	{ 16384, 8192, true, true, 1 },		/* the count says so, a fault knows better */
	{ 16384, 0, false, true, 512 },
	{ 256, 31, true, false, 33 },		/* the least */
	{ 1 << 24, 2047, true, false, 2049 },	/* the most */
};

START_TEST(test_want)
{
	struct usm_growth_view view = {
		.present = wants[_i].present, .free = wants[_i].free, .ceiling = wants[_i].present,
	};
	struct usm_eviction eviction = {};

	ck_assert_uint_eq(usm_eviction_want(&eviction, &view, wants[_i].limited,
					    wants[_i].starved, now), wants[_i].wanted);
}
END_TEST

START_TEST(test_want_goes_on)
{
	struct usm_growth_view view = { .present = 16384, .ceiling = 16384, .free = 255 };
	struct usm_eviction eviction = {};

	ck_assert_uint_eq(usm_eviction_want(&eviction, &view, true, false, SECOND), 257);
	view.free = 511;
	ck_assert_uint_eq(usm_eviction_want(&eviction, &view, true, false, SECOND), 1);
	view.free = 512;
	ck_assert_uint_eq(usm_eviction_want(&eviction, &view, true, false, SECOND), 0);
	view.free = 300;
	ck_assert_uint_eq(usm_eviction_want(&eviction, &view, true, false, SECOND), 0);
	/* The kernel takes free frames: it gets no more of them for a while. */
	view.free = 100;
	eviction.reclaimed_at = SECOND;
	ck_assert_uint_eq(usm_eviction_want(&eviction, &view, true, false, SECOND), 0);
	ck_assert_uint_eq(usm_eviction_want(&eviction, &view, true, false, 2 * SECOND), 412);
}
END_TEST

START_TEST(test_evict)
{
	fill();
	/* Twice the least, in whole batches. */
	ck_assert_uint_ge(model.evictions, 2 * USM_EVICTION_MIN);
	ck_assert_uint_le(model.evictions, 2 * USM_EVICTION_MIN + USM_VAULT_BATCH);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, model.evictions);
	for (uint32_t i = 0; i < USM_STAGING_PAGES; i++)
		ck_assert_uint_eq(model.evicted.staged[i].key, 0);
	come_back(20);
	ck_assert_uint_eq(policy.refaults, 20);
	ck_assert_uint_eq(policy.discarded, 0);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, away());

	for (uint32_t i = 0; i < MODEL_NUMBERS; i++)
		if (model.numbers[i].state == USM_EVICTED_AWAY)
			model_discard(&model, i);
	settle();
	ck_assert_uint_gt(policy.discarded, 20);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, away());
}
END_TEST

/* What the module expects to be touched next comes with what is, in one submission. */
START_TEST(test_ahead)
{
	uint32_t found[3], n = 0, submissions, pages;

	fill();
	for (uint32_t i = 0; i < MODEL_NUMBERS && n < 3; i++)
		if (model.numbers[i].state == USM_EVICTED_AWAY)
			found[n++] = i;
	submissions = model.submissions;
	pages = away();
	model_expect(&model, found[0]);
	model_expect(&model, found[1]);
	model_touch(&model, found[2]);
	ck_assert_int_eq(usm_events_drain(&engine, USM_ENGINE_EVENTS), USM_ENGINE_IDLE);
	ck_assert_uint_eq(model.submissions, submissions + 1);
	ck_assert_uint_eq(model.refaults, 3);
	ck_assert_uint_eq(away(), pages - 3);
	settle();
	ck_assert_uint_eq(policy.refaults, 3);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, away());
	come_back(away());
}
END_TEST

/* There is no frame: who waits gets the next, what nobody waits for is left alone. */
START_TEST(test_ahead_no_frame)
{
	uint32_t found[2], n = 0;

	fill();
	for (uint32_t i = 0; i < MODEL_NUMBERS && n < 2; i++)
		if (model.numbers[i].state == USM_EVICTED_AWAY)
			found[n++] = i;
	model.pinned = UINT32_MAX;
	for (uint32_t i = 0; i < FRAMES; i++)
		if (model_state(&model, i) == USM_FRAME_FREE)
			model_occupy(&model, i, 1);
	model_expect(&model, found[0]);
	settle();
	ck_assert(!vault.starved);
	ck_assert_uint_eq(vault.nr_pending, 0);
	/* Of one of them it turns out while it is on its way that it is waited for. */
	model_expect(&model, found[0]);
	model_expect(&model, found[1]);
	model_touch(&model, found[1]);
	settle();
	ck_assert(vault.starved);
	ck_assert_uint_eq(vault.nr_pending, 1);
	ck_assert_uint_eq(vault.pending[0], key_of(found[1]));
	ck_assert_uint_eq(model.refaults, 0);
	model.pinned = 0;
	tick();
	ck_assert_uint_eq(model.refaults, 1);
	ck_assert_uint_eq(model.numbers[found[0]].state, USM_EVICTED_AWAY);
	ck_assert_uint_eq(model.lost, 0);
}
END_TEST

/* Growth first: nothing is evicted while there is memory to be had. */
START_TEST(test_not_needed)
{
	model_occupy(&model, 0, FRAMES / 2);
	begin(true, 1, UINT64_MAX);
	settle();
	ck_assert_uint_eq(model.evictions, 0);
	ck_assert_uint_eq(policy.asked, 0);
}
END_TEST

/* A refault finds no frame: it is tried again when one came free, without another event. */
START_TEST(test_no_frame)
{
	uint32_t number = 0;

	fill();
	while (model.numbers[number].state != USM_EVICTED_AWAY)
		number++;
	model.pinned = UINT32_MAX;
	for (uint32_t i = 0; i < FRAMES; i++)
		if (model_state(&model, i) == USM_FRAME_FREE)
			model_occupy(&model, i, 1);
	model_touch(&model, number);
	settle();
	ck_assert_uint_eq(model.refaults, 0);
	ck_assert_uint_gt(policy.asked, USM_EVICTION_FRUITLESS);
	model.pinned = 0;
	tick();
	ck_assert_uint_eq(model.refaults, 1);
	ck_assert_uint_eq(model.corrupt, 0);
}
END_TEST

/* The next process finds all of it in the file. */
START_TEST(test_successor)
{
	fill();
	process_end();
	begin(false, 1, UINT64_MAX);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, away());
	settle();
	come_back(away());
}
END_TEST

/* Two processes have the page: each gets it, and between them it stays in the store. */
START_TEST(test_shared)
{
	uint32_t number = 0, before;

	fill();
	while (model.numbers[number].state != USM_EVICTED_AWAY)
		number++;
	before = away();
	model.known[number].sharers = 1;
	model_touch(&model, number);
	settle();
	ck_assert_uint_eq(model.refaults, 1);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, before);
	/* Also where the process ends while the first has it in front of it. */
	model.numbers[number].state = USM_EVICTED_READY;
	process_end();
	begin(false, 1, UINT64_MAX);
	model.numbers[number].state = USM_EVICTED_AWAY;
	settle();
	come_back(away());
	ck_assert_uint_eq(model.lost, 0);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, away());
}
END_TEST

/* It ended between the eviction and the storing, with some of it stored. */
START_TEST(test_staging)
{
	model_occupy(&model, 0, FRAMES);
	begin(true, 1, UINT64_MAX);
	process_end();
	evict_only(0, 40);
	/* One of them is wanted already, one was dropped, one had been stored. */
	model_touch(&model, 3);
	model_discard(&model, 4);
	begin(false, 1, 0);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, 38);
	ck_assert_uint_eq(model.refaults, 1);
	for (uint32_t i = 0; i < USM_STAGING_PAGES; i++)
		ck_assert_uint_eq(model.evicted.staged[i].key, 0);
	/* Its last act was to say so: both have it, and it is there once. */
	model.evicted.staged[7] = (struct usm_staged){ .key = key_of(7), .space = 1 };
	process_end();
	begin(false, 1, 0);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, 38);
	ck_assert_uint_eq(model.evicted.staged[7].key, 0);
	come_back(38);
}
END_TEST

/* What no store takes stays in staging, is answered for, and nothing more is evicted. */
START_TEST(test_full)
{
	uint32_t staged = 0, before;

	for (uint32_t i = 0; i < FRAMES; i++)
		model_write(&model, i, 4 * i);	/* none of it compresses */
	model_occupy(&model, 0, FRAMES);
	begin(true, 1, 2 * USM_MEMSTORE_SLAB);
	settle();
	before = model.evictions;
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, 2 * USM_MEMSTORE_RAW);
	for (uint32_t i = 0; i < USM_STAGING_PAGES; i++)
		staged += model.evicted.staged[i].key != 0;
	ck_assert_uint_eq(staged + 2 * USM_MEMSTORE_RAW, before);
	ck_assert_uint_gt(staged, 0);
	ck_assert(!usm_vault_has_room(&vault));

	/* Of those in staging one comes back, another is dropped. */
	model_touch(&model, before - 1);
	settle();
	ck_assert_uint_eq(model.refaults, 1);
	model_occupy(&model, 0, FRAMES);
	tick();
	ck_assert_uint_eq(model.evictions, before);
	/* Room in the store: what was left is saved, and it goes on. */
	for (uint32_t i = 0; i < USM_MEMSTORE_RAW; i++)
		model_discard(&model, i);
	tick();
	ck_assert_uint_gt(model.evictions, before);
	ck_assert_uint_eq(model.corrupt, 0);
	model_free(&model, 0, FRAMES);
	settle();
	come_back(away());
}
END_TEST

/* A page that is damaged in the store is lost, and no other. */
START_TEST(test_damage)
{
	size_t base = usm_memstore_size(SLABS) - (size_t)SLABS * USM_MEMSTORE_SLAB;
	struct usm_memstore_slot *slot;
	uint32_t number;
	char *map;

	fill();
	map = mmap(NULL, usm_memstore_size(SLABS), PROT_READ | PROT_WRITE, MAP_SHARED, files[0], 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	slot = (struct usm_memstore_slot *)(map + base);
	ck_assert_uint_ne(slot->key, 0);
	number = USM_EVICTED_NUMBER(slot->key);
	((char *)(slot + 1))[2] ^= 16;
	model_touch(&model, number);
	settle();
	ck_assert_uint_eq(model.lost, 1);
	ck_assert_uint_eq(model.numbers[number].state, USM_EVICTED_LOST);
	ck_assert_uint_eq(model.corrupt, 0);
	ck_assert_uint_eq(vault.damaged, 1);
	come_back(away());
	munmap(map, usm_memstore_size(SLABS));
}
END_TEST

/* The events are lost; the table is not. */
START_TEST(test_overrun)
{
	uint32_t numbers[2], n = 0;

	fill();
	for (uint32_t i = 0; n < 2; i++)
		if (model.numbers[i].state == USM_EVICTED_AWAY)
			numbers[n++] = i;
	model.blind = true;
	model_touch(&model, numbers[0]);
	model_discard(&model, numbers[1]);
	settle();
	ck_assert_uint_eq(model.refaults, 0);
	model.blind = false;
	model.mapping.events.ring->lost++;
	settle();
	ck_assert_uint_eq(model.refaults, 1);
	ck_assert_uint_eq(policy.discarded, 1);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, away());
}
END_TEST

/* A number is used again before anybody has heard that it was free. */
START_TEST(test_reused)
{
	fill();
	model.blind = true;
	for (uint32_t i = 0; i < 8; i++)
		model_discard(&model, i);
	model.blind = false;
	for (uint32_t i = 0; i < FRAMES; i++)
		model_write(&model, i, i + 1000);
	for (uint32_t i = 0; i < FRAMES; i++)
		if (model_state(&model, i) == USM_FRAME_FREE)
			model_occupy(&model, i, 1);
	tick();
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, away());
	come_back(away());
}
END_TEST

/* The policy says where; what does not fit goes to the other. */
START_TEST(test_place)
{
	for (uint32_t i = 0; i < FRAMES; i++)
		model_write(&model, i, 4 * i);
	policy.place = 1;
	model_occupy(&model, 0, FRAMES);
	begin(true, 2, 3 * USM_MEMSTORE_SLAB);
	settle();
	ck_assert_uint_eq(storage_usage(vault.stores[1]).pages, 3 * USM_MEMSTORE_RAW);
	ck_assert_uint_eq(storage_usage(vault.stores[0]).pages, away() - 3 * USM_MEMSTORE_RAW);
	process_end();
	begin(false, 2, UINT64_MAX);
	ck_assert_uint_eq(storage_usage(vault.stores[1]).pages, 3 * USM_MEMSTORE_RAW);
	settle();
	come_back(away());
}
END_TEST

/* A store that takes its time, before another: what it is told it does when it is reaped. */
struct slow {
	struct usm_store store;
	struct usm_store *below;
	struct { struct usm_store_page page; const void *from; void *to; uint64_t handle; } todo[64];
	uint32_t count;
	int result;		/* of what it saves */
};

static int slow_save(struct usm_store *store, const struct usm_store_page *page,
		     const void *content, bool force, uint64_t *handle)
{
	struct slow *slow = (struct slow *)store;

	slow->todo[slow->count].page = *page;
	slow->todo[slow->count].to = NULL;
	slow->todo[slow->count++].from = content;
	return -EINPROGRESS;
}

static int slow_load(struct usm_store *store, uint64_t handle, uint64_t key, void *content)
{
	struct slow *slow = (struct slow *)store;

	slow->todo[slow->count].page.key = key;
	slow->todo[slow->count].handle = handle;
	slow->todo[slow->count++].to = content;
	return -EINPROGRESS;
}

static void slow_reap(struct usm_store *store,
		      void (*done)(void *context, struct usm_store *store,
				   const struct usm_store_done *done), void *context)
{
	struct slow *slow = (struct slow *)store;
	uint32_t count = slow->count;

	slow->count = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct usm_store_done d = { .key = slow->todo[i].page.key };

		d.saved = !slow->todo[i].to;
		if (!d.saved)
			d.result = slow->below->ops->load(slow->below, slow->todo[i].handle, d.key,
							  slow->todo[i].to);
		else
			d.result = slow->result ?: slow->below->ops->save(slow->below,
				&slow->todo[i].page, slow->todo[i].from, false, &d.handle);
		done(context, store, &d);
	}
}

static bool slow_drop(struct usm_store *store, uint64_t handle, uint64_t key,
		      struct usm_store_page *page)
{
	struct slow *slow = (struct slow *)store;

	return slow->below->ops->drop(slow->below, handle, key, page);
}

static void slow_usage(const struct usm_store *store, struct usm_store_usage *usage)
{
	const struct slow *slow = (const struct slow *)store;

	slow->below->ops->usage(slow->below, usage);
}

static void slow_close(struct usm_store *store)
{
	struct slow *slow = (struct slow *)store;

	slow->below->ops->close(slow->below);
}

static const struct usm_store_ops slow_ops = {
	.save = slow_save, .load = slow_load, .reap = slow_reap, .drop = slow_drop,
	.usage = slow_usage, .close = slow_close,
};

START_TEST(test_slow_store)
{
	struct slow slow = { .store = { .ops = &slow_ops, .kind = "slow" } };
	uint64_t key;

	model_occupy(&model, 0, FRAMES);
	begin(true, 0, 0);
	slow.below = storage_open(files[0], true, SLABS);
	ck_assert_int_eq(usm_vault_add(&vault, &slow.store), 0);
	ck_assert_int_eq(usm_engine_turn(&engine, now), USM_ENGINE_MORE);
	ck_assert_uint_eq(vault.nr_saving, USM_VAULT_BATCH);
	ck_assert(!usm_vault_has_room(&vault));

	/* Until it is done the staging page is the page: one comes back, one is dropped. */
	model_touch(&model, 3);
	model_discard(&model, 4);
	settle();
	ck_assert_uint_eq(model.refaults, 1);
	ck_assert_uint_ge(model.evictions, 2 * USM_EVICTION_MIN);
	tick();
	ck_assert_uint_eq(vault.nr_saving, 0);
	ck_assert_uint_eq(storage_usage(slow.below).pages, away());

	/* One is asked for, asked for again and dropped while it is on its way. */
	model_touch(&model, 7);
	key = key_of(7);
	ck_assert_int_eq(usm_vault_refault(&vault, key), 0);
	ck_assert_int_eq(usm_vault_refault(&vault, key), 0);
	ck_assert_uint_eq(slow.count, 1);
	tick();
	ck_assert_uint_eq(model.refaults, 2);
	model_touch(&model, 8);
	key = key_of(8);
	ck_assert_int_eq(usm_vault_refault(&vault, key), 0);
	model_discard(&model, 8);
	tick();
	ck_assert_uint_eq(model.refaults, 2);
	ck_assert_uint_eq(model.lost, 0);

	/* What it cannot save after all stays where it is. */
	slow.result = -ENOSPC;
	model_occupy(&model, 0, FRAMES);
	tick();
	tick();
	ck_assert(vault.unsaved);
	slow.result = 0;
	tick();
	tick();
	ck_assert(!vault.unsaved);
	for (uint32_t i = 0; i < MODEL_NUMBERS; i++)
		if (model.numbers[i].state == USM_EVICTED_AWAY)
			model_touch(&model, i);
	for (int i = 0; i < 40; i++)
		tick();
	ck_assert_uint_eq(model.corrupt, 0);
	ck_assert_uint_eq(model.lost, 0);
	for (uint32_t i = 0; i < MODEL_NUMBERS; i++)
		ck_assert_int_ne(model.numbers[i].state, USM_EVICTED_WANTED);
}
END_TEST

START_TEST(test_wrong_answer)
{
	policy.wrong = true;
	fill();
	ck_assert_uint_ge(engine.wrong, 1);
	ck_assert_int_eq(engine.first_wrong.verdict, USM_ANSWER_OUT_OF_RANGE);
	ck_assert_uint_eq(model.evictions, 0);
	ck_assert_uint_le(policy.asked, USM_EVICTION_FRUITLESS);
}
END_TEST

static const struct {
	struct usm_run runs[3];
	uint32_t count;
	enum usm_answer_verdict verdict;
} answers[] = {
	{ { { 0, 4 }, { 4, 4 } }, 2, USM_ANSWER_FINE },
	{ { { 0, 4 }, { 8, 1 } }, 4, USM_ANSWER_TOO_MANY_RUNS },
	{ { { 0, 4 }, { 8, 5 } }, 2, USM_ANSWER_TOO_MANY_FRAMES },
	{ { { 0, UINT32_MAX } }, 1, USM_ANSWER_BAD_COUNT },
	{ { { 0, 0 } }, 1, USM_ANSWER_BAD_COUNT },
	{ { { FRAMES - 1, 2 } }, 1, USM_ANSWER_OUT_OF_RANGE },
	{ { { UINT32_MAX, 1 } }, 1, USM_ANSWER_OUT_OF_RANGE },
	{ { { 3, 2 }, { 4, 1 } }, 2, USM_ANSWER_TWICE },
	{ { { 3, 2 }, { 0, 4 } }, 2, USM_ANSWER_TWICE },
};

START_TEST(test_answers)
{
	struct usm_answer answer = usm_answer_check_victims(FRAMES, answers[_i].runs,
							    answers[_i].count, 3, 8);

	ck_assert_int_eq(answer.verdict, answers[_i].verdict);
}
END_TEST

static void with_model(Suite *suite, const char *name, const TTest *function)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, function);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	Suite *suite = suite_create("vault");

	suite_add_rows(suite, "want", test_want, wants);
	suite_add(suite, "want-goes-on", test_want_goes_on);
	suite_add_rows(suite, "answers", test_answers, answers);
	with_model(suite, "evict", test_evict);
	with_model(suite, "ahead", test_ahead);
	with_model(suite, "ahead-no-frame", test_ahead_no_frame);
	with_model(suite, "not-needed", test_not_needed);
	with_model(suite, "no-frame", test_no_frame);
	with_model(suite, "successor", test_successor);
	with_model(suite, "shared", test_shared);
	with_model(suite, "staging", test_staging);
	with_model(suite, "full", test_full);
	with_model(suite, "damage", test_damage);
	with_model(suite, "overrun", test_overrun);
	with_model(suite, "reused", test_reused);
	with_model(suite, "place", test_place);
	with_model(suite, "slow-store", test_slow_store);
	with_model(suite, "wrong-answer", test_wrong_answer);
	return suite_run(suite);
}
