// SPDX-License-Identifier: GPL-2.0-or-later
#include "events.h"

#include "journal.h"
#include "lane.h"
#include "vault.h"

void usm_events_announce(struct usm_engine *engine, uint32_t frame, uint32_t count,
			 void (*call)(void *state, uint32_t frame, uint32_t count))
{
	const struct usm_frameset *idle = &engine->index.idle;
	uint32_t end = frame + count;

	if (!call || frame >= idle->frames)
		return;
	if (end > idle->frames || end < frame)
		end = idle->frames;

	while ((frame = usm_frameset_find(idle, frame, 0)) < end) {
		uint32_t length = usm_frameset_length(idle, frame, end - frame);

		call(engine->state, frame, length);
		frame += length;
	}
}

static void pressure(struct usm_engine *engine, uint32_t kind, uint32_t frames)
{
	const struct usm_policy *policy = engine->setup.policy;
	struct usm_pressure_note note = {
		.size = sizeof(note),
		.kind = kind,
		.frames = frames,
	};

	if (policy->pressure)
		policy->pressure(engine->state, &note);
}

static void space(struct usm_engine *engine, const struct usm_event *event, uint32_t change)
{
	const struct usm_policy *policy = engine->setup.policy;
	struct usm_space_note note = {
		.size = sizeof(note),
		.change = change,
		.space = event->space,
		.parent = change == USM_SPACE_FORK ? (uint32_t)(event->arg >> 32) : 0,
		.pid = change == USM_SPACE_EXIT ? 0 : (uint32_t)event->arg,
	};

	if (policy->space)
		policy->space(engine->state, &note);
}

static void refresh(struct usm_engine *engine, const struct usm_event *event)
{
	usm_index_refresh(&engine->index, engine->setup.mapping, event->frame, event->count);
}

static void refault(struct usm_engine *engine, uint64_t key, bool ahead)
{
	int r = engine->vault ? usm_vault_want(engine->vault, key, ahead) : 0;

	if (r < 0)
		engine->failed = r;
}

static void fault(struct usm_engine *engine, const struct usm_event *event)
{
	/* Asked before the mode was another, or before the domain fell back. */
	int r = engine->setup.upcall && engine->armed ? usm_upcall_handle(engine, event) : 0;

	if (r < 0)
		engine->failed = r;
}

static void handle(struct usm_engine *engine, const struct usm_event *event)
{
	const struct usm_policy *policy = engine->setup.policy;

	switch (event->type) {
	case USM_EV_FREED:
		refresh(engine, event);
		usm_events_announce(engine, event->frame, event->count, policy->freed);
		break;
	case USM_EV_GROWN:
		usm_growth_answered(&engine->growth, event->arg != 0);
		engine->runtime.growing = engine->growth.asked;
		refresh(engine, event);
		usm_events_announce(engine, event->frame, event->count, policy->grown);
		break;
	case USM_EV_SHRUNK:
		refresh(engine, event);
		engine->stale = true;
		if (policy->shrunk)
			policy->shrunk(engine->state, event->frame, event->count);
		engine->empty = event->arg == USM_SHRINK_IDLE;
		if (event->arg == USM_SHRINK_PRESSURE) {
			/* Asking for them back at once would be a tug-of-war. */
			usm_growth_limited(&engine->growth, engine->runtime.now);
			engine->eviction.reclaimed_at = engine->runtime.now ?: 1;
			pressure(engine, USM_PRESSURE_RECLAIM, event->count);
		}
		break;
	case USM_EV_LIMIT:
		engine->runtime.growing = false;
		usm_growth_limited(&engine->growth, engine->runtime.now);
		pressure(engine, event->arg == USM_LIMIT_NODE ? USM_PRESSURE_NODE :
			 (uint32_t)event->arg, event->count);
		break;
	case USM_EV_SUPPLY_LOW:
		/* What is wanted is seen in the ring; that somebody faults is news. */
		engine->empty = false;
		break;
	case USM_EV_SPACE_NEW:
		engine->empty = false;
		space(engine, event, USM_SPACE_NEW);
		break;
	case USM_EV_SPACE_FORK:
		engine->empty = false;
		space(engine, event, USM_SPACE_FORK);
		break;
	case USM_EV_SPACE_EXIT:
		space(engine, event, USM_SPACE_EXIT);
		break;
	case USM_EV_COW:
		refresh(engine, event);
		break;
	case USM_EV_REFAULT:
		refault(engine, event->arg, false);
		break;
	case USM_EV_AHEAD:
		refault(engine, event->arg, true);
		break;
	case USM_EV_FAULT:
		fault(engine, event);
		break;
	case USM_EV_DISCARDED:
		if (engine->vault)
			usm_vault_discarded(engine->vault, event->arg);
		break;
	case USM_EV_LOST:
		usm_journal_write(LOG_ERR, USM_MSG_PAGE_LOST, "an evicted page is lost: the "
				  "process that needs it gets SIGBUS");
		break;
	case USM_EV_MEMORY_ERROR:
		if (event->arg) {
			usm_journal_write(LOG_ERR, USM_MSG_PAGE_LOST, "a page is lost, since its "
					  "memory is bad: the process that needs it gets SIGBUS");
			break;
		}
		refresh(engine, event);
		if (policy->shrunk)
			policy->shrunk(engine->state, event->frame, event->count);
		break;
	case USM_EV_FALLBACK:
		usm_engine_fell(engine, (uint32_t)event->arg);
		break;
	case USM_EV_RELEASED:
		engine->released = true;
		break;
	default:
		/* Of a newer module, or for whoever watches the container. */
		break;
	}
}

int usm_events_drain(struct usm_engine *engine, uint32_t most)
{
	struct usm_mapping *mapping = engine->setup.mapping;
	const struct usm_policy *policy = engine->setup.policy;
	struct usm_event event;
	uint64_t lost;
	uint32_t n = 0;

	while (n < most && usm_event_get(mapping, &event)) {
		handle(engine, &event);
		n++;
	}
	/* Before anything else that the same turn brings: somebody waits. */
	if (engine->vault && engine->failed >= 0)
		engine->failed = usm_vault_bring(engine->vault);

	lost = usm_event_lost(mapping);
	if (lost != engine->lost) {
		/* Any of the above may have been among them, the answer to a
		 * request for growth too. */
		engine->lost = lost;
		engine->empty = false;
		engine->stale = true;
		engine->upcalls.unanswered = true;
		usm_index_refresh(&engine->index, mapping, 0, mapping->frames);
		usm_growth_answered(&engine->growth, false);
		engine->runtime.growing = false;
		if (policy->rescan)
			policy->rescan(engine->state);
		if (engine->vault && engine->failed >= 0)
			engine->failed = usm_vault_catch_up(engine->vault);
	}
	/* Once for all of them: a shrinker takes many runs at a time. */
	if (engine->stale)
		usm_lanes_recount(engine);
	engine->stale = false;
	return n == most ? USM_ENGINE_MORE : USM_ENGINE_IDLE;
}
