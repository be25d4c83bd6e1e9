// SPDX-License-Identifier: GPL-2.0-or-later
#include "lane.h"

#include <errno.h>
#include <stdlib.h>

#include "events.h"

void usm_lanes_done(struct usm_lane **lanes, const struct usm_mapping *mapping)
{
	for (uint32_t cpu = 0; cpu < mapping->rings; cpu++)
		free((*lanes)[cpu].entries);
	free(*lanes);
	*lanes = NULL;
}

int usm_lanes_init(struct usm_lane **lanes, const struct usm_mapping *mapping)
{
	struct usm_lane *l = calloc(mapping->rings ?: 1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	for (uint32_t cpu = 0; cpu < mapping->rings; cpu++) {
		/* Twice the ring, for the entry in hand beside a full ring. */
		l[cpu].entries = calloc(2 * (size_t)mapping->supply[cpu].entries, sizeof(uint64_t));
		if (!l[cpu].entries) {
			usm_lanes_done(&l, mapping);
			return -ENOMEM;
		}
	}
	*lanes = l;
	return 0;
}

void usm_lanes_reset(struct usm_lane *lanes, const struct usm_mapping *mapping)
{
	for (uint32_t cpu = 0; cpu < mapping->rings; cpu++) {
		lanes[cpu].put = lanes[cpu].taken = lanes[cpu].withdrawn = 0;
		lanes[cpu].held = 0;
		lanes[cpu].stale = false;
		lanes[cpu].answered = false;
		lanes[cpu].used_at = 0;
	}
}

static uint64_t *lane_slot(struct usm_engine *engine, uint32_t cpu, uint32_t at)
{
	uint32_t slots = 2 * engine->setup.mapping->supply[cpu].entries;

	return &engine->lanes[cpu].entries[at & (slots - 1)];
}

/* Frames of a used entry that are free are so again, or were refused. */
static void lane_withdraw(struct usm_engine *engine, uint32_t cpu)
{
	uint64_t entry = *lane_slot(engine, cpu, engine->lanes[cpu].withdrawn++);
	uint32_t frame = USM_SUPPLY_FRAME(entry), count = USM_SUPPLY_COUNT(entry);

	usm_index_withdraw(&engine->index, engine->setup.mapping, frame, count);
	usm_events_announce(engine, frame, count, engine->setup.policy->freed);
}

/*
 * Whether the entry in hand was refused is not to be seen, but if it was not,
 * its first frame has been used. When nothing else is left it is offered anew;
 * twice does no harm.
 */
static void lane_withdraw_refused(struct usm_engine *engine, uint32_t cpu)
{
	const struct usm_lane *lane = &engine->lanes[cpu];
	struct usm_frame first;

	if (lane->taken == lane->withdrawn)
		return;
	first = usm_mapping_frame(engine->setup.mapping,
				  USM_SUPPLY_FRAME(*lane_slot(engine, cpu, lane->withdrawn)));
	if ((first.state & USM_FRAME_STATE_MASK) == USM_FRAME_FREE)
		lane_withdraw(engine, cpu);
}

static uint32_t entry_weight(const struct usm_engine *engine, uint64_t entry)
{
	return usm_frameset_weight(&engine->index.offered, USM_SUPPLY_FRAME(entry),
				   USM_SUPPLY_COUNT(entry));
}

static void lane_reap(struct usm_engine *engine, uint32_t cpu)
{
	struct usm_lane *lane = &engine->lanes[cpu];
	uint32_t queued = usm_supply_queued(engine->setup.mapping, cpu);

	if (lane->put - lane->taken > queued) {
		lane->used_at = engine->runtime.now ?: 1;
		lane->answered = false;
	}
	while (lane->put - lane->taken > queued) {
		uint32_t weight = entry_weight(engine, *lane_slot(engine, cpu, lane->taken++));

		/* A frame that went and came back may stand in two entries. */
		lane->held -= weight < lane->held ? weight : lane->held;
	}
	while (lane->taken - lane->withdrawn > 1)
		lane_withdraw(engine, cpu);
}

void usm_lanes_reap(struct usm_engine *engine)
{
	for (uint32_t cpu = 0; cpu < engine->setup.mapping->rings; cpu++)
		lane_reap(engine, cpu);
}

void usm_lanes_recount(struct usm_engine *engine)
{
	for (uint32_t cpu = 0; cpu < engine->setup.mapping->rings; cpu++) {
		struct usm_lane *lane = &engine->lanes[cpu];

		lane->held = 0;
		lane->stale = false;
		lane->fresh = lane->taken;
		for (uint32_t at = lane->taken; at != lane->put; at++) {
			uint32_t weight = entry_weight(engine, *lane_slot(engine, cpu, at));

			lane->held += weight;
			lane->stale |= !weight;
		}
	}
}

static uint16_t generation(const struct usm_engine *engine, uint32_t frame)
{
	struct usm_frame entry = usm_mapping_frame(engine->setup.mapping, frame);

	return USM_FRAME_GENERATION(&entry);
}

static int zero_submit(struct usm_engine *engine, struct usm_command *commands, uint32_t n)
{
	struct usm_index *index = &engine->index;
	int r;

	if (!n)
		return 0;
	r = engine->setup.ops->submit(engine->setup.context, commands, n);
	if (r < 0)
		return r;

	for (uint32_t i = 0; i < n; i++) {
		/* All of them free still, and zeroed. */
		if (commands[i].result == (int32_t)commands[i].count) {
			usm_frameset_remove(&index->dirty, commands[i].frame, commands[i].count);
			continue;
		}
		usm_index_refresh(index, engine->setup.mapping, commands[i].frame,
				  commands[i].count);
		/* Refused, and why is not to be seen in the table: leave these to
		 * the fault rather than try for ever. The scrub finds them again. */
		if (commands[i].result <= 0)
			usm_frameset_remove(&index->dirty, commands[i].frame, commands[i].count);
	}
	return 0;
}

int usm_lane_zero(struct usm_engine *engine, const struct usm_run *runs, uint32_t n)
{
	const struct usm_frameset *dirty = &engine->index.dirty;
	struct usm_command commands[USM_ENGINE_RUNS];
	uint32_t filled = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t frame = runs[i].frame, end = frame + runs[i].count;

		while ((frame = usm_frameset_find(dirty, frame, 0)) < end) {
			uint32_t length = usm_frameset_length(dirty, frame, end - frame);

			if (filled == USM_ENGINE_RUNS) {
				int r = zero_submit(engine, commands, filled);

				if (r < 0)
					return r;
				filled = 0;
			}
			commands[filled++] = (struct usm_command){
				.op = USM_CMD_ZERO,
				.frame = frame,
				.count = length,
				.generation = generation(engine, frame),
			};
			frame += length;
		}
	}
	return zero_submit(engine, commands, filled);
}

/*
 * Use the place of an entry of which nothing is left. Otherwise a fault would
 * have to look through all of these before it comes to what was put after them,
 * and a ring full of them would take nothing new. The module may just have taken
 * the old entry: then the new one is passed over, and withdrawn in its turn as if
 * it had been taken, which the table settles.
 */
static bool lane_replace(struct usm_engine *engine, uint32_t cpu, uint64_t entry)
{
	const struct usm_mapped_ring *ring = &engine->setup.mapping->supply[cpu];
	struct usm_lane *lane = &engine->lanes[cpu];

	if (!lane->stale)
		return false;
	if ((int32_t)(lane->taken - lane->fresh) > 0)
		lane->fresh = lane->taken;

	for (; lane->fresh != lane->put; lane->fresh++) {
		uint64_t *slot = lane_slot(engine, cpu, lane->fresh);
		uint32_t at = ring->ring->head - (lane->put - lane->fresh);

		if (entry_weight(engine, *slot))
			continue;
		__atomic_store_n((uint64_t *)(ring->base + (size_t)(at & (ring->entries - 1)) *
					      ring->entry_size), entry, __ATOMIC_RELEASE);
		*slot = entry;
		lane->fresh++;
		return true;
	}
	lane->stale = false;
	return false;
}

static bool lane_append(struct usm_engine *engine, uint32_t cpu, uint64_t entry)
{
	if (!usm_supply_put(engine->setup.mapping, cpu, entry))
		return false;
	*lane_slot(engine, cpu, engine->lanes[cpu].put++) = entry;
	return true;
}

/*
 * Put a run into the ring in entries of `most` frames. The table is read again
 * first: a caller that could not wait may have got a frame of it meanwhile.
 */
static uint32_t lane_put(struct usm_engine *engine, uint32_t cpu, const struct usm_run *run,
			 uint32_t most)
{
	struct usm_index *index = &engine->index;
	struct usm_lane *lane = &engine->lanes[cpu];
	uint32_t frame = run->frame, end = frame + run->count, total = 0;

	usm_index_refresh(index, engine->setup.mapping, frame, run->count);

	while ((frame = usm_frameset_find(&index->idle, frame, 0)) < end) {
		uint32_t length = usm_frameset_length(&index->idle, frame, end - frame);
		uint64_t entry;

		if (length > most)
			length = most;
		entry = USM_SUPPLY(frame, length, generation(engine, frame));
		if (!lane_replace(engine, cpu, entry) && !lane_append(engine, cpu, entry))
			break;
		lane->held += length;
		engine->put += length;
		lane->answered = true;
		usm_index_offer(index, frame, length);
		total += length;
		frame += length;
	}
	return total;
}

/* What follows on what comes before is one run: its frames are supplied in the same order. */
static uint32_t runs_join(struct usm_run *runs, uint32_t n)
{
	uint32_t joined = 0;

	for (uint32_t i = 1; i < n; i++) {
		if (runs[joined].frame + runs[joined].count == runs[i].frame &&
		    runs[joined].count + runs[i].count <= USM_RUN_MAX)
			runs[joined].count += runs[i].count;
		else
			runs[++joined] = runs[i];
	}
	return n ? joined + 1 : 0;
}

/*
 * One answer of the policy into one ring. Returns 1 if something was put or the
 * index has learned something, 0 if there is nothing (more) to be had.
 */
static int lane_ask(struct usm_engine *engine, uint32_t cpu, uint32_t frames, uint32_t most,
		    bool urgent, uint32_t *put)
{
	struct usm_run runs[USM_ENGINE_RUNS];
	struct usm_supply_request request = {
		.size = sizeof(request),
		.cpu = cpu,
		.frames = frames,
		.order = engine->setup.fault_order,
		.urgent = urgent,
	};
	struct usm_answer answer;
	uint32_t n;

	*put = 0;
	if (!engine->index.idle.count ||
	    (!engine->lanes[cpu].stale && !usm_supply_room(engine->setup.mapping, cpu)))
		return 0;

	n = engine->setup.policy->supply(engine->state, &request, runs, USM_ENGINE_RUNS);
	answer = usm_answer_check(&engine->index.idle, runs, n, USM_ENGINE_RUNS, frames);
	if (answer.verdict) {
		if (!engine->wrong++)
			engine->first_wrong = answer;
		return 0;
	}
	n = runs_join(runs, n);
	if (!urgent) {
		int r = usm_lane_zero(engine, runs, n);

		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < n; i++)
		*put += lane_put(engine, cpu, &runs[i], most);
	return n > 0;
}

static struct usm_ration ration(const struct usm_engine *engine)
{
	uint32_t rings = engine->setup.mapping->rings, active = 0;

	for (uint32_t cpu = 0; cpu < rings; cpu++) {
		uint64_t used = engine->lanes[cpu].used_at;

		active += used && engine->runtime.now - used < USM_RATION_ACTIVE_NS;
	}
	return usm_ration_plan(usm_index_free(&engine->index), rings, active,
			       engine->setup.fault_order);
}

static uint32_t lane_ration(const struct usm_engine *engine, const struct usm_ration *ration,
			    uint32_t cpu)
{
	uint64_t used = engine->lanes[cpu].used_at;

	return used && engine->runtime.now - used < USM_RATION_ACTIVE_NS ?
	       ration->active : ration->seed;
}

static uint32_t lane_entry(const struct usm_engine *engine, uint32_t cpu, uint32_t amount)
{
	return usm_ration_entry(amount, engine->setup.mapping->supply[cpu].entries,
				engine->setup.fault_order);
}

/* The same for a ring that is about to get some: tell it when to ask for more. */
static uint32_t lane_plan(struct usm_engine *engine, uint32_t cpu, uint32_t amount)
{
	uint32_t entry = lane_entry(engine, cpu, amount);

	usm_supply_set_low(engine->setup.mapping, cpu, usm_ration_low(amount, entry));
	return entry;
}

/* How much the ring gets at the most in one answer: whole faults. */
static uint32_t lane_portion(const struct usm_engine *engine, uint32_t due)
{
	uint32_t fault = 1u << engine->setup.fault_order;
	uint32_t most = fault > USM_ENGINE_PORTION ? fault : USM_ENGINE_PORTION;

	return due < most ? due : most;
}

/* The call for more stands in the ring until the module looks again: answer it once. */
static uint32_t lane_due(const struct usm_engine *engine, uint32_t cpu, uint32_t amount)
{
	const struct usm_lane *lane = &engine->lanes[cpu];
	bool wanted = usm_supply_wanted(engine->setup.mapping, cpu) && !lane->answered;

	return usm_ration_due(lane->held, amount, lane_entry(engine, cpu, amount), wanted);
}

/* An empty ring: all that it is due, zeroed or not; somebody may be waiting. */
static int lane_rescue(struct usm_engine *engine, uint32_t cpu, uint32_t due, uint32_t most,
		       uint32_t *total)
{
	for (int asks = 0; due && asks < USM_ENGINE_ASKS; asks++) {
		uint32_t put;
		int r = lane_ask(engine, cpu, due, most, true, &put);

		if (r <= 0)
			return r;
		*total += put;
		due -= put;
	}
	return 0;
}

/*
 * A fault may have found every ring empty and gone to wait just before something
 * was put, so each round ends with a call to look again.
 */
static int kick(struct usm_engine *engine)
{
	int r = engine->setup.ops->kick(engine->setup.context);

	/* Not armed any more: the event that says so is on its way. */
	return r == -EPERM ? 0 : r;
}

static int lanes_rescue(struct usm_engine *engine, const struct usm_ration *plan)
{
	const struct usm_mapping *mapping = engine->setup.mapping;
	uint32_t total = 0;

	for (uint32_t i = 0; i < mapping->rings; i++) {
		uint32_t cpu = (engine->next_lane + i) % mapping->rings;
		uint32_t amount = lane_ration(engine, plan, cpu);
		int r;

		if (engine->lanes[cpu].held)
			continue;
		if (!engine->index.idle.count)
			lane_withdraw_refused(engine, cpu);
		r = lane_rescue(engine, cpu, lane_due(engine, cpu, amount),
				lane_plan(engine, cpu, amount), &total);
		if (r < 0)
			return r;
	}
	return total ? kick(engine) : 0;
}

int usm_lanes_fill(struct usm_engine *engine)
{
	const struct usm_mapping *mapping = engine->setup.mapping;
	struct usm_ration plan = ration(engine);
	int r;

	r = lanes_rescue(engine, &plan);
	if (r < 0)
		return r;

	/* One portion: the first ring that takes one, next time the one after it. */
	for (uint32_t i = 0; i < mapping->rings; i++) {
		uint32_t cpu = (engine->next_lane + i) % mapping->rings;
		uint32_t amount = lane_ration(engine, &plan, cpu);
		uint32_t due = lane_due(engine, cpu, amount);
		uint32_t put;

		if (!due)
			continue;
		r = lane_ask(engine, cpu, lane_portion(engine, due), lane_plan(engine, cpu, amount),
			     false, &put);
		if (r < 0)
			return r;
		if (r > 0) {
			engine->next_lane = (cpu + 1) % mapping->rings;
			r = put ? kick(engine) : 0;
			return r < 0 ? r : USM_ENGINE_MORE;
		}
	}
	return USM_ENGINE_IDLE;
}
