// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "lane.h"
#include "vault.h"

int usm_engine_init(struct usm_engine *engine, const struct usm_engine_setup *setup)
{
	struct usm_engine e = { .setup = *setup };
	int r;

	r = usm_index_init(&e.index, setup->mapping->frames);
	if (!r)
		r = usm_lanes_init(&e.lanes, setup->mapping);
	if (r) {
		usm_index_done(&e.index);
		return r;
	}
	*engine = e;
	usm_runtime_init(&engine->runtime, &engine->index, setup->mapping, setup->parameters,
			 setup->fault_order, setup->ceiling);
	engine->runtime.evicts = setup->policy->evict;
	return 0;
}

void usm_engine_done(struct usm_engine *engine)
{
	if (engine->begun && engine->setup.policy->fini)
		engine->setup.policy->fini(engine->state);
	if (engine->lanes)
		usm_lanes_done(&engine->lanes, engine->setup.mapping);
	usm_index_done(&engine->index);
	*engine = (struct usm_engine){};
}

int usm_engine_begin(struct usm_engine *engine, uint64_t now, struct usm_error *err)
{
	const struct usm_policy *policy = engine->setup.policy;
	int r = 0;

	engine->runtime.now = now;
	usm_index_reset(&engine->index, engine->setup.mapping);

	engine->runtime.beginning = true;
	if (policy->init)
		r = policy->init(&engine->runtime.host, &engine->state);
	engine->runtime.beginning = false;

	if (r)
		return usm_error_set(err, EPROTO, "policy %s refused to begin: %s", policy->name,
				     strerrordesc_np(r < 0 ? -r : r) ?: "no reason given");
	engine->begun = true;
	return usm_parameters_verdict(engine->setup.parameters, err);
}

void usm_engine_reset(struct usm_engine *engine, uint64_t now)
{
	const struct usm_policy *policy = engine->setup.policy;

	engine->runtime.now = now;
	engine->runtime.growing = false;
	engine->runtime.grow = 0;
	engine->runtime.evict = 0;
	engine->growth = (struct usm_growth){};
	engine->sampler = (struct usm_sampler){ .supplied = engine->put };
	engine->lost = usm_event_lost(engine->setup.mapping);
	engine->fallback = 0;
	engine->armed = true;
	engine->empty = false;
	engine->upcalls = (struct usm_upcalls){};
	usm_lanes_reset(engine->lanes, engine->setup.mapping);
	usm_index_reset(&engine->index, engine->setup.mapping);
	if (policy->rescan)
		policy->rescan(engine->state);
	/* Some page may have been waited for, or dropped, when nobody was told. */
	if (engine->vault)
		engine->failed = usm_vault_catch_up(engine->vault);
}

void usm_engine_fell(struct usm_engine *engine, uint32_t why)
{
	if (!engine->armed)
		return;
	engine->armed = false;
	engine->fallback = why;
}

static struct usm_growth_view growth_view(const struct usm_engine *engine)
{
	return (struct usm_growth_view){
		.present = engine->index.present.count,
		.free = usm_index_free(&engine->index),
		.ceiling = engine->setup.ceiling,
	};
}

static int engine_grow(struct usm_engine *engine)
{
	struct usm_growth_view view = growth_view(engine);
	struct usm_runtime *runtime = &engine->runtime;
	struct usm_command command = { .op = USM_CMD_GROW, .node = -1 };
	int r;

	/* Who has nobody to serve needs nothing ahead. */
	if (engine->empty)
		return 0;
	command.count = usm_growth_request(&engine->growth, &view, runtime->now);
	if (runtime->grow && !engine->growth.asked) {
		if (runtime->grow > command.count)
			command.count = runtime->grow;
		command.node = runtime->grow_node;
		runtime->grow = 0;
	}
	if (!command.count)
		return 0;

	r = engine->setup.ops->submit(engine->setup.context, &command, 1);
	if (r < 0)
		return r;
	if (command.result < 0) {
		usm_growth_limited(&engine->growth, runtime->now);
		return 0;
	}
	usm_growth_asked(&engine->growth, runtime->now);
	runtime->growing = true;
	return 0;
}

/*
 * Zero idle frames that a fault may get soon: as many as are not given back to the
 * host, the lowest, since that is where most policies go next; what another one
 * chooses is zeroed on its way into a ring. Each frame has to be zeroed once
 * before it serves again, so this is work done early and not work added.
 */
static int engine_zero(struct usm_engine *engine)
{
	struct usm_growth_view view = growth_view(engine);
	const struct usm_index *index = &engine->index;
	struct usm_run runs[USM_ENGINE_RUNS];
	uint32_t n = 0, left = USM_ENGINE_PORTION, from = 0, end;
	int r;

	if (!index->dirty.count || usm_eviction_returns(engine))
		return USM_ENGINE_IDLE;

	end = usm_frameset_nth(&index->idle, usm_growth_keep(&view));
	while (n < USM_ENGINE_RUNS && left) {
		uint32_t frame = usm_frameset_find(&index->dirty, from, 0);

		if (frame == USM_FRAMESET_NONE || frame >= end)
			break;
		runs[n].frame = frame;
		runs[n].count = usm_frameset_length(&index->dirty, frame, left);
		left -= runs[n].count;
		from = frame + runs[n].count;
		n++;
	}
	if (!n)
		return USM_ENGINE_IDLE;
	r = usm_lane_zero(engine, runs, n);
	return r < 0 ? r : USM_ENGINE_MORE;
}

int usm_engine_turn(struct usm_engine *engine, uint64_t now)
{
	int more = USM_ENGINE_IDLE, r;

	engine->runtime.now = now;

	r = usm_events_drain(engine, USM_ENGINE_EVENTS);
	if (engine->failed < 0)
		return engine->failed;
	if (r == USM_ENGINE_MORE)
		more = r;
	if (engine->setup.upcall) {
		r = usm_upcall_flush(engine);
		if (!r && engine->armed)
			r = usm_upcall_repeat(engine);
		if (r < 0)
			return r;
	} else {
		usm_lanes_reap(engine);
	}

	if (engine->armed && !engine->setup.upcall) {
		r = usm_lanes_fill(engine);
		if (r < 0)
			return r;
		more |= r;
	}
	r = engine_grow(engine);
	if (r < 0)
		return r;

	r = usm_eviction_turn(engine);
	if (r < 0)
		return r;
	more |= r;

	/* Also while the rest is busy: it is then that victims are chosen. */
	r = usm_sampler_turn(engine);
	if (r < 0)
		return r;
	more |= r;

	/* A ring that is not full yet comes before frames that nobody chose yet. */
	if (more == USM_ENGINE_IDLE) {
		more = engine_zero(engine);
		if (more < 0)
			return more;
	}
	return more;
}

/* From the high end, where a policy that packs low leaves them free. */
static int engine_shrink(struct usm_engine *engine)
{
	struct usm_growth_view view = growth_view(engine);
	uint32_t blocks = usm_growth_surplus(&engine->growth, &view, engine->runtime.now);
	struct usm_command commands[USM_GROWTH_SHRINK];
	uint32_t below = engine->setup.mapping->frames;
	uint32_t n = 0;
	int r;

	while (n < blocks) {
		uint32_t frame = usm_frameset_find_below(&engine->index.idle, below, 9);
		struct usm_frame entry;

		if (frame == USM_FRAMESET_NONE)
			break;
		entry = usm_mapping_frame(engine->setup.mapping, frame);
		commands[n++] = (struct usm_command){
			.op = USM_CMD_SHRINK,
			.frame = frame,
			.count = USM_GROWTH_BLOCK,
			.generation = USM_FRAME_GENERATION(&entry),
		};
		below = frame;
	}
	if (!n)
		return 0;

	r = engine->setup.ops->submit(engine->setup.context, commands, n);
	if (r < 0)
		return r;
	/* Whatever was done to them: the table says it. */
	for (uint32_t i = 0; i < n; i++)
		usm_index_refresh(&engine->index, engine->setup.mapping, commands[i].frame,
				  commands[i].count);
	return 0;
}

int usm_engine_tick(struct usm_engine *engine, uint64_t now)
{
	const struct usm_policy *policy = engine->setup.policy;
	int r;

	engine->runtime.now = now;
	usm_index_refresh(&engine->index, engine->setup.mapping, engine->scrub, USM_ENGINE_SCRUB);
	engine->scrub += USM_ENGINE_SCRUB;
	if (engine->scrub >= usm_mapping_top(engine->setup.mapping))
		engine->scrub = 0;
	engine->stale = true;

	if (policy->tick)
		policy->tick(engine->state, now);
	r = usm_eviction_tick(engine);
	return r < 0 ? r : engine_shrink(engine);
}
