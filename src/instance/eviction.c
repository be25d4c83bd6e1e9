// SPDX-License-Identifier: GPL-2.0-or-later
#include "eviction.h"

#include "engine.h"
#include "vault.h"

/* Frames to have free at the least. */
static uint32_t low_water(const struct usm_eviction *eviction, const struct usm_growth_view *view,
			  uint64_t now)
{
	uint32_t low = view->present / USM_EVICTION_PART;

	if (low < USM_EVICTION_MIN)
		low = USM_EVICTION_MIN;
	if (low > USM_EVICTION_MAX)
		low = USM_EVICTION_MAX;
	if (eviction->reclaimed_at && now - eviction->reclaimed_at < USM_EVICTION_CALM_NS)
		low /= USM_EVICTION_CALM_PART;
	return low;
}

uint32_t usm_eviction_want(struct usm_eviction *eviction, const struct usm_growth_view *view,
			   bool limited, bool starved, uint64_t now)
{
	uint32_t low = low_water(eviction, view, now), high = 2 * low;

	/* What is waited for is not there, whatever the count says. */
	if (starved)
		return view->free < high ? high - view->free : 1;
	if (!limited || view->free >= high)
		eviction->running = false;
	else if (view->free < low)
		eviction->running = true;
	return eviction->running ? high - view->free : 0;
}

uint32_t usm_eviction_ask(struct usm_engine *engine, uint32_t frames, bool urgent,
			  struct usm_run *runs)
{
	struct usm_evict_request request = {
		.size = sizeof(request),
		.frames = frames,
		.urgent = urgent,
	};
	uint32_t n = engine->setup.policy->evict(engine->state, &request, runs, USM_ENGINE_RUNS);
	struct usm_answer answer = usm_answer_check_victims(engine->setup.mapping->frames, runs, n,
							    USM_ENGINE_RUNS, frames);

	if (!answer.verdict)
		return n;
	if (!engine->wrong++)
		engine->first_wrong = answer;
	return 0;
}

/* ------------------------------------------------------ what the vault asks and tells */

static int vault_submit(void *context, struct usm_command *commands, uint32_t count)
{
	const struct usm_engine *engine = context;

	return engine->setup.ops->submit(engine->setup.context, commands, count);
}

static uint32_t vault_place(void *context, const struct usm_staged *staged)
{
	const struct usm_engine *engine = context;
	struct usm_place_request request = {
		.size = sizeof(request),
		.frame = staged->frame,
		.space = staged->space,
		.page = staged->page,
	};

	return engine->setup.policy->place ?
	       engine->setup.policy->place(engine->state, &request) : USM_STORE_ANYWHERE;
}

static void note(const struct usm_engine *engine, const struct usm_store_page *page,
		 void (*call)(void *state, const struct usm_return_note *note))
{
	struct usm_return_note n = {
		.size = sizeof(n),
		.space = page->space,
		.page = page->page,
	};

	if (call)
		call(engine->state, &n);
}

static void vault_refaulted(void *context, const struct usm_store_page *page)
{
	const struct usm_engine *engine = context;

	note(engine, page, engine->setup.policy->refault);
}

static void vault_discarded(void *context, const struct usm_store_page *page)
{
	const struct usm_engine *engine = context;

	note(engine, page, engine->setup.policy->discarded);
}

void usm_eviction_attach(struct usm_engine *engine, struct usm_vault *vault)
{
	if (vault)
		vault->calls = (struct usm_vault_calls){
			.submit = vault_submit,
			.place = vault_place,
			.refaulted = vault_refaulted,
			.discarded = vault_discarded,
			.context = engine,
		};
	engine->vault = vault;
	engine->runtime.vault = vault;
}

/* ----------------------------------------------------------------------- its turn */

static int evict_some(struct usm_engine *engine, uint32_t want, bool urgent)
{
	struct usm_runtime *runtime = &engine->runtime;
	struct usm_run runs[USM_ENGINE_RUNS];
	uint32_t n, done;
	int r;

	n = usm_eviction_ask(engine, want < USM_VAULT_BATCH ? want : USM_VAULT_BATCH, urgent, runs);
	r = usm_vault_evict(engine->vault, runs, n, &done);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++)
		usm_index_refresh(&engine->index, engine->setup.mapping, runs[i].frame,
				  runs[i].count);
	if (done)
		usm_sampler_evicted(&engine->sampler, engine->runtime.now);
	engine->eviction.fruitless = done ? 0 : engine->eviction.fruitless + 1;
	/* What it asked for itself is at an end where it names nothing. */
	runtime->evict = n && runtime->evict > done ? runtime->evict - done : 0;
	return USM_ENGINE_MORE;
}

bool usm_eviction_limited(const struct usm_engine *engine)
{
	return engine->index.present.count >= engine->setup.ceiling || engine->growth.backoff;
}

bool usm_eviction_returns(const struct usm_engine *engine)
{
	uint64_t at = engine->eviction.returned_at;

	return at && engine->runtime.now - at < USM_EVICTION_RETURNS_NS;
}

int usm_eviction_turn(struct usm_engine *engine)
{
	struct usm_growth_view view = {
		.present = engine->index.present.count,
		.free = usm_index_free(&engine->index),
		.ceiling = engine->setup.ceiling,
	};
	struct usm_vault *vault = engine->vault;
	uint32_t want;
	int r;

	if (!vault)
		return USM_ENGINE_IDLE;
	r = usm_vault_reap(vault);
	if (!r)
		r = usm_vault_retry(vault);
	if (r < 0)
		return r;
	if (vault->restored != engine->eviction.returned) {
		engine->eviction.returned = vault->restored;
		engine->eviction.returned_at = engine->runtime.now ?: 1;
	}
	if (!engine->armed || !engine->setup.policy->evict)
		return USM_ENGINE_IDLE;

	want = usm_eviction_want(&engine->eviction, &view, usm_eviction_limited(engine),
				 vault->starved, engine->runtime.now);
	if (want < engine->runtime.evict)
		want = engine->runtime.evict;
	if (!want || engine->eviction.fruitless >= USM_EVICTION_FRUITLESS ||
	    !usm_vault_has_room(vault))
		return USM_ENGINE_IDLE;
	return evict_some(engine, want, vault->starved || !view.free);
}

int usm_eviction_tick(struct usm_engine *engine)
{
	if (!engine->vault)
		return 0;
	/* What was in the way may have gone. */
	engine->eviction.fruitless = 0;
	engine->vault->full = false;
	return usm_vault_retry(engine->vault);
}
